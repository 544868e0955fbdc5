"""Documents that know where they may break, and the breaks that make them fit a width.

A group lies on one line, or every break of its own is taken; the outermost group that does not fit breaks first.
The names follow Wadler, "A prettier printer"; what fits is judged as ``ruff format`` judges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

STEP = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A place to break; where its group stays on one line, ``flat`` stands there."""

    flat: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """Text that stands only where its group breaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Indent:
    """A part whose lines are indented one step further."""

    part: Doc


@dataclass(frozen=True, slots=True)
class Group:
    """A part that breaks as one.

    ``free``: it may break although what surrounds it stays on one line (brackets of a statement without parentheses).
    ``open``: it always breaks.
    """

    part: Doc
    free: bool = False
    open: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The first of several layouts that fits, each but the last taken on one line.

    ``shy``: the last is taken only if every line of it fits, else the first.
    """

    layouts: tuple[Doc, ...]
    shy: bool = False


Doc: TypeAlias = "str | tuple[Doc, ...] | Line | Broken | Indent | Group | Choice"


_Frame: TypeAlias = tuple[Doc, int, bool, bool]
"""A document on its way to the page; its indent; whether on one line; whether all its lines have to fit."""


def render(doc: Doc, indent: int, width: int) -> list[str]:
    """The lines of a document whose first line starts at column ``indent``."""
    flat = _flat(doc)
    if flat is not None and indent + len(flat) <= width:
        return [" " * indent + flat]
    lines = [" " * indent]
    stack: list[_Frame] = [(doc, indent, False, False)]
    while stack:
        frame = stack.pop()
        doc, indent, on_one_line, whole = frame
        match doc:
            case str(text):
                lines[-1] += text
            case Line(flat) if on_one_line:
                lines[-1] += flat
            case Line():
                lines.append(" " * indent)
            case Broken(text):
                lines[-1] += "" if on_one_line else text
            case Group() | Choice():
                stack.append(_chosen(frame, stack, len(lines[-1]), width))
            case Indent(part):
                stack.append((part, indent + STEP, on_one_line, whole))
            case tuple(parts):
                stack += [(part, indent, on_one_line, whole) for part in reversed(parts)]
    return lines


def _flat(doc: Doc) -> str | None:
    """A document on one line, None where something in it always breaks."""
    found: list[str] = []
    waiting = [doc]
    while waiting:
        doc = waiting.pop()
        if isinstance(doc, str):
            found.append(doc)
        elif isinstance(doc, tuple):
            waiting.extend(reversed(doc))
        elif isinstance(doc, Line):
            found.append(doc.flat)
        elif isinstance(doc, Choice):
            waiting.append(doc.layouts[0])
        elif not isinstance(doc, Broken):
            if isinstance(doc, Group) and doc.open:
                return None
            waiting.append(doc.part)
    return "".join(found)


def _chosen(frame: _Frame, stack: Sequence[_Frame], column: int, width: int) -> _Frame:
    """How a group or a choice is set at ``column``, with ``stack`` to follow on the same line."""
    doc, indent, on_one_line, whole = frame

    def fits(candidate: _Frame) -> bool:
        return _fits(candidate, stack, column, width)

    match doc:
        case Group(part, free, opened):
            flat: _Frame = (part, indent, True, whole)
            settled = on_one_line and not free
            return flat if not opened and (settled or fits(flat)) else (part, indent, False, whole)
        case Choice(layouts, shy):
            flats: list[_Frame] = [(layout, indent, True, whole) for layout in layouts]
            found = flats[0] if on_one_line else next((flat for flat in flats[:-1] if fits(flat)), None)
            if found is None and shy and not fits((layouts[-1], indent, False, True)):
                found = flats[0]
            return found or (layouts[-1], indent, False, whole)
    raise TypeError(doc)


def _fits(candidate: _Frame, stack: Sequence[_Frame], column: int, width: int) -> bool:
    """Whether the candidate, and what follows it up to the next certain break, stays within the width."""
    behind = reversed(stack)
    waiting = [candidate]
    while column <= width:
        frame = waiting.pop() if waiting else next(behind, None)
        if frame is None:
            return True
        doc, indent, on_one_line, whole = frame
        if isinstance(doc, str):
            column += len(doc)
        elif isinstance(doc, tuple):
            waiting += [(part, indent, on_one_line, whole) for part in reversed(doc)]
        elif isinstance(doc, Line):
            if not on_one_line and not whole:
                return True
            column = column + len(doc.flat) if on_one_line else indent
        elif isinstance(doc, Group):
            if doc.open or (doc.free and on_one_line):
                waiting.append((doc.part, indent, False, whole or not doc.open))
            else:
                waiting.append((doc.part, indent, on_one_line, whole))
        elif isinstance(doc, Indent):
            waiting.append((doc.part, indent + STEP, on_one_line, whole))
        elif isinstance(doc, Broken):
            column += 0 if on_one_line else len(doc.text)
        else:
            waiting.append((doc.layouts[0 if on_one_line or doc.shy else -1], indent, on_one_line, whole))
    return False
