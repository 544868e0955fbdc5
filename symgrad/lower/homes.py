"""Left sides that live inside another: states beside the value before the first, without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symgrad.declare.algebra import add
from symgrad.declare.integers import ZERO, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Scan, scans
from symgrad.declare.scalars import Add, Number, Read, Reduce, Scalar, Select
from symgrad.declare.segments import Segment, segments


@dataclass(frozen=True, slots=True)
class Home:
    """Where a left side lives inside another one that holds a copy of it: a range on some axes of that."""

    whole: str
    ranges: tuple[tuple[int, Segment], ...]
    copy: Read


KEPT = Read("", ())
"""What stands for an element that is in its place already."""


def homes_of(scan: Scan, wanted: set[str]) -> dict[str, Home]:
    """Left sides that another one holds a copy of, element by element in the same step."""
    found: dict[str, Home] = {}
    axes: dict[str, list[int]] = {}
    for each in (scan, *scans(scan.body)):
        for equation, axis in zip(each.members, each.axes, strict=True):
            axes.setdefault(equation.target, []).append(axis)
    by_name = {e.target: e for e in scan.members}
    for equation in scan.members:
        for home in _copies(equation, equation.body, axes[equation.target], ()):
            inner = by_name.get(home.copy.tensor)
            taken = {*found, *(h.whole for h in found.values())}
            if inner is None or inner.target not in wanted or inner.target in taken or equation.target in found:
                continue
            if axes[inner.target] == axes[equation.target] and _is_copy(scan, equation, inner, home):
                found[inner.target] = home
    return found


def _copies(
    equation: Equation, body: Scalar, axes: list[int], ranges: tuple[tuple[int, Segment], ...]
) -> Iterator[Home]:
    """The ranges of an equation in which it is nothing but a read."""
    if isinstance(body, Read):
        yield Home(equation.target, ranges, body)
        return
    for axis in (a for a in axes if a not in dict(ranges)):
        for segment in segments(equation.indices[axis], body):
            if segment.body != body:
                yield from _copies(equation, segment.body, axes, (*ranges, (axis, segment)))
        return


def _is_copy(scan: Scan, equation: Equation, inner: Equation, home: Home) -> bool:
    """Whether the ranges hold all of another left side, in order, and each step is done when that is."""
    first = {axis: s.first for axis, s in home.ranges}
    same = tuple(as_poly(i) - first.get(a, ZERO) for a, i in enumerate(equation.indices))
    extents = {axis: s.stop - s.first for axis, s in home.ranges}
    whole = all(i.extent == extents.get(a, equation.indices[a].extent) for a, i in enumerate(inner.indices))
    start = first.get(scan.axis(equation.target), ZERO)
    at_once = scan.shift(equation.target) - start == scan.shift(inner.target)
    return home.copy.indices == same and whole and at_once


def without_copies(body: Scalar, copies: set[Read]) -> Scalar:
    """The body of an equation, what is in its place already marked as kept."""
    match body:
        case Select(condition, then, otherwise):
            return Select(condition, without_copies(then, copies), without_copies(otherwise, copies))
        case Add(args):
            return add(*(without_copies(a, copies) for a in args))
        case Reduce("sum", (), condition, inner, _):
            return Reduce("sum", (), condition, without_copies(inner, copies))
        case Read() if body in copies:
            return KEPT
    return body


def fill_of(body: Scalar) -> float | None:
    """The number that an equation is wherever it is no copy; None if it is not one number."""
    leaves: set[Scalar] = set()

    def visit(node: Scalar) -> None:
        if isinstance(node, Select):
            visit(node.then)
            visit(node.otherwise)
        else:
            leaves.add(node)

    visit(body)
    leaves.discard(KEPT)
    match list(leaves):
        case [Number(value)]:
            return float(value)
    return None
