"""Functions of one part of an axis, and loops over blocks inside of them, as lines."""

from __future__ import annotations

from typing import Protocol

from symgrad.declare.integers import Poly, Size, as_poly
from symgrad.lower.arrays import Blocks, Parts


class Names(Protocol):
    """What a printer has printed so far, and how it prints integers."""

    sizes: set[str]
    helpers: set[str]

    def poly(self, poly: Poly) -> str:
        """An integer expression."""


def parts_lines(printer: Names, s: Parts, inner: list[str]) -> list[str]:
    """A function of one part, whose body is ``inner``, and the call that runs it for all parts."""
    printer.helpers.add("_in_parts")
    head = _head(printer, ((s.count, as_poly(Size(s.stop, 0)) - as_poly(Size(s.start, 0))), *s.heads))
    tail = [f"return {', '.join(s.sums)}"] if s.sums else []
    others = printer.poly(s.others)
    least = f", least={s.least}" if s.least > 1 else ""
    if s.tiles is not None:
        chosen = " and ".join(s.tiles[0])
        others = f"{printer.poly(s.tiles[1])} if {chosen} else {others}"
        least = f", least=1 if {chosen} else {s.least}" if least else ""
    call = f"_in_parts({s.function}, {printer.poly(s.extent)}, {others}, {s.threads}{least})"
    printer.sizes -= {s.start, s.stop}
    note = f'"""Compute what belongs to ``{s.start} <= {s.indices} < {s.stop}``."""'
    body = [note, *head, *inner, *tail]
    given = f"{', '.join(s.sums)} = " if s.sums else ""
    rows: list[str] = []
    if s.rows is not None:
        printer.helpers.add("_rows")
        rows = [f"{s.rows[0]} = _rows({', '.join(map(printer.poly, s.rows[1]))})"]
        printer.sizes.discard(s.rows[0])
    return [*rows, f"def {s.function}({s.start}, {s.stop}):", *("    " + line for line in body), "", given + call]


def blocks_lines(printer: Names, s: Blocks, inner: list[str]) -> list[str]:
    """A loop over blocks of an axis, whose body is ``inner``."""
    head = _head(printer, s.heads)
    length = printer.poly(s.extent)
    printer.sizes -= {s.start, s.stop}
    body = [f"{s.stop} = min({s.start} + {s.rows}, {length})", *head, *inner]
    return [f"for {s.start} in range(0, {length}, {s.rows}):", *("    " + line for line in body)]


def _head(printer: Names, heads: tuple[tuple[str, Poly], ...]) -> list[str]:
    """The names of positions that are used, each computed from those before it."""
    lines: list[str] = []
    for name, poly in reversed(heads):
        if name in printer.sizes:
            lines.insert(0, f"{name} = {printer.poly(poly)}")
    printer.sizes -= {name for name, _ in heads}
    return lines
