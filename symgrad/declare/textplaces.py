"""Where in a text an expression, a name or an equation stands."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from sympy import Idx, Indexed, IndexedBase, Symbol

from symgrad.declare.textnames import TextEquation
from symgrad.declare.textsource import Source
from symgrad.errors import About


class Places:
    """Remembers what was built from which part of the text.

    Attributes:
        equation: the left side whose equation is being built.
    """

    def __init__(self, source: Source, equations: Sequence[TextEquation]) -> None:
        self.source, self.equations, self.equation = source, equations, ""
        self._of: dict[tuple[str, Any], ast.AST] = {}
        self._marks: dict[str, ast.AST] = {}

    def note(self, value: Any, node: ast.AST) -> None:
        """``value`` was built from ``node``; what was built of it first is what a message shows."""
        self._of.setdefault((self.equation, value), node)

    def mark(self, name: str, node: ast.AST) -> None:
        """A clause names ``name`` at ``node``, or ``name`` is an attribute defined there."""
        self._marks.setdefault(name, node)

    def node(self, about: About) -> ast.AST:
        """The part of the text that an error is about, as exactly as is known."""
        equations = [e for e in self.equations if e.name == about.equation] or list(self.equations)
        for part in about.parts:
            for equation in equations:
                found = self._part(part, equation)
                if found is not None:
                    return found
            if not isinstance(part, str) and ("", part) in self._of:
                return self._of["", part]
            if _name_of(part) in self._marks:
                return self._marks[_name_of(part)]
        return equations[0].node.targets[0]

    def _part(self, part: Any, equation: TextEquation) -> ast.AST | None:
        if not isinstance(part, str) and (equation.name, part) in self._of:
            return self._of[equation.name, part]
        name = _name_of(part)
        return next((n for n in _names(equation.node) if n.id == name), None) if name else None


def _name_of(part: Any) -> str:
    """The name that a part is, or the tensor that it reads."""
    match part:
        case str():
            return part
        case Indexed():
            return str(part.base.label)
        case Idx() | IndexedBase():
            return str(part.label)
        case Symbol():
            return str(part.name)
    return ""


def _names(tree: ast.AST) -> list[ast.Name]:
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return sorted(names, key=lambda node: (node.lineno, node.col_offset))
