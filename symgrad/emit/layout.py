"""Emitted modules laid out as ``ruff format`` would: statements folded, docstrings and comments wrapped."""

from __future__ import annotations

from symgrad.emit.document import render
from symgrad.emit.syntax import document

WIDTH = 112


def fold(line: str, width: int = WIDTH) -> list[str]:
    """The lines that stand for one logical line of Python, which may be indented.

    Comments and lines of unknown kinds stay as they are; a line that is short enough changes in its spacing and its
    redundant parentheses alone.
    """
    text = line.strip()
    doc = document(text) if text and not text.startswith(("#", '"""')) else None
    return [line] if doc is None else render(doc, len(line) - len(line.lstrip()), width)
