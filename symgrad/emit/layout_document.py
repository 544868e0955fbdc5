"""Documents that know where they may break, and the breaks that make them fit a width.

A group lies on one line, or every break of its own is taken; the outermost group that does not fit breaks first.
The names follow Wadler, "A prettier printer"; what fits is judged as ``ruff format`` judges it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

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


class _Frame(NamedTuple):
    """A document on its way to the page; ``whole``: it fits only if all its lines do, not the first alone."""

    doc: Doc
    indent: int
    flat: bool = False
    whole: bool = False

    def of(self, doc: Doc) -> _Frame:
        return _Frame(doc, self.indent, self.flat, self.whole)

    def on_one_line(self, doc: Doc) -> _Frame:
        return _Frame(doc, self.indent, True, self.whole)

    def broken(self, doc: Doc, whole: bool = False) -> _Frame:
        return _Frame(doc, self.indent, False, self.whole or whole)


def render(doc: Doc, indent: int, width: int) -> list[str]:
    """The lines of a document whose first line starts at column ``indent``."""
    flat = _flat(doc)
    if flat is not None and indent + len(flat) <= width:
        return [" " * indent + flat]
    lines = [" " * indent]
    stack = [_Frame(doc, indent)]
    while stack:
        frame = stack.pop()
        match frame.doc:
            case str(text):
                lines[-1] += text
            case Line(flat) if frame.flat:
                lines[-1] += flat
            case Line():
                lines.append(" " * frame.indent)
            case Broken(text):
                lines[-1] += "" if frame.flat else text
            case Group() | Choice():
                stack.append(_chosen(frame, stack, len(lines[-1]), width))
            case _:
                stack += _parts(frame)
    return lines


def _flat(doc: Doc) -> str | None:
    """A document on one line, None where something in it always breaks."""
    match doc:
        case str(text) | Line(text):
            return text
        case Broken():
            return ""
        case Indent(part) | Group(part, open=False):
            return _flat(part)
        case Choice(layouts):
            return _flat(layouts[0])
        case tuple(parts):
            found = [_flat(part) for part in parts]
            return None if None in found else "".join(text for text in found if text)
    return None


def _chosen(frame: _Frame, stack: list[_Frame], column: int, width: int) -> _Frame:
    """How a group or a choice is set at ``column``, with ``stack`` to follow on the same line."""

    def fits(candidate: _Frame) -> bool:
        return _fits([*stack, candidate], column, width)

    match frame.doc:
        case Group(part, free, opened):
            flat = frame.on_one_line(part)
            settled = frame.flat and not free
            return flat if not opened and (settled or fits(flat)) else frame.broken(part)
        case Choice(layouts, shy):
            flats = [frame.on_one_line(layout) for layout in layouts]
            found = flats[0] if frame.flat else next((flat for flat in flats[:-1] if fits(flat)), None)
            if found is None and shy and not fits(frame.broken(layouts[-1], whole=True)):
                found = flats[0]
            return found or frame.broken(layouts[-1])
    raise TypeError(frame.doc)


def _fits(stack: list[_Frame], column: int, width: int) -> bool:
    """Whether the top of the stack, and what follows it up to the next certain break, stays within the width."""
    while stack and column <= width:
        frame = stack.pop()
        match frame.doc:
            case str(text):
                column += len(text)
            case Line(flat) if frame.flat:
                column += len(flat)
            case Line():
                if not frame.whole:
                    return True
                column = frame.indent
            case Broken(text):
                column += 0 if frame.flat else len(text)
            case Group(part, free, opened):
                measured_broken = opened or (free and frame.flat)
                stack.append(frame.broken(part, whole=not opened) if measured_broken else frame.of(part))
            case Choice(layouts, shy):
                stack.append(frame.of(layouts[0 if frame.flat or shy else -1]))
            case _:
                stack += _parts(frame)
    return column <= width


def _parts(frame: _Frame) -> list[_Frame]:
    """The parts of a sequence or an indented part, the first on top."""
    match frame.doc:
        case Indent(part):
            return [_Frame(part, frame.indent + STEP, frame.flat, frame.whole)]
        case tuple(parts):
            return [frame.of(part) for part in reversed(parts)]
    raise TypeError(frame.doc)
