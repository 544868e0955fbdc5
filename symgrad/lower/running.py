"""Running sums: a sum over ``j <= i`` of what does not depend on ``i``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from symgrad.declare.algebra import multiply
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import ZERO, Index, Poly, as_poly
from symgrad.declare.scalars import TRUE, Condition, Mul, Number, Scalar, free_indices
from symgrad.derive.triangles import triangle
from symgrad.lower.arrays import FLIP, FULL, Array, Collapse, Pad, Slice, Subscript, Value
from symgrad.lower.axes import Axes


@dataclass(frozen=True, slots=True)
class RunningSum:
    """``sum_{j <= i} inside(j) * beside``: what to sum before and after the running sum, and what is left to test.

    Attributes:
        summed: the index ``j`` that runs.
        free: the index ``i`` that bounds it.
        ahead: whether ``j`` stays below ``i``, not above it.
        offset: the sum ends ``offset`` positions behind ``i``, counted in the direction in which ``j`` runs.
        condition: the other conditions.
        inside: what is summed.
        beside: factors without ``j``.
        early: further summed indices, of which ``beside`` is free.
        late: further summed indices, which ``beside`` has.
    """

    summed: Index
    free: Index
    ahead: bool
    offset: int
    condition: Condition
    inside: Scalar
    beside: list[Scalar]
    early: Axes
    late: Axes

    def over(self, value: Value, short: bool) -> Value:
        """The running sum of ``value`` along ``summed``, which becomes ``free``.

        ``short``: the extent of ``summed`` may come out negative, where that of ``free`` is 0.
        """
        axis = value.axes.index(self.summed)
        array = _accumulated(value.array, axis, len(value.axes), self, short)
        return Value(array, tuple(self.free if k == self.summed else k for k in value.axes))

    def __str__(self) -> str:
        """The triangle, in words."""
        relation = "<=" if self.ahead else ">="
        return f"the triangle {self.summed.name} {relation} {self.free.name} is a running sum along {self.summed.name}"


def running_sums(
    bound: Axes, condition: Condition, body: Scalar, order: Axes, loops: frozenset[Index]
) -> Iterator[RunningSum]:
    """The ways to see ``sum_{bound, condition} body`` as a running sum: one a triangle in the condition."""
    parts = conjuncts(condition)
    coefficient, factors = (body.coefficient, body.args) if isinstance(body, Mul) else (Fraction(1), (body,))
    for part in parts:
        found = triangle(part, bound, order)
        if found is None:
            continue
        j, i = found.inner, found.outer
        rest = all_of(*(p for p in parts if p != part))
        inside = [f for f in factors if j in free_indices(f)]
        beside = [f for f in factors if j not in free_indices(f)]
        if any(i in free_indices(f) for f in inside) or {i, j} & free_indices(rest) or i in loops or not inside:
            continue
        # What is summed besides and does not meet the other factors goes first.
        others = tuple(k for k in bound if k != j)
        early = tuple(k for k in others if not any(k in free_indices(f) for f in beside))
        late = tuple(k for k in others if k not in early)
        if late and rest != TRUE:
            continue
        yield RunningSum(
            j, i, found.ahead, found.offset, rest, multiply(Number(coefficient), *inside), beside, early, late
        )


def _accumulated(array: Array, axis: int, rank: int, running: RunningSum, short: bool) -> Array:
    def flip(a: Array) -> Array:
        return Subscript(a, (FULL,) * axis + (FLIP,))

    offset, extent, wanted = running.offset, running.summed.extent, running.free.extent
    total: Array = Collapse("cumsum", array if running.ahead else flip(array), (axis,))
    before = as_poly(max(-offset, 0))
    if offset < 0:
        # The first sums are empty.
        total = Pad(total, _along(axis, rank, before, ZERO))
    missing = wanted + offset - extent
    if missing.terms and nonnegative(missing):
        # The last sums are all of it.
        total = Pad(total, _along(axis, rank, ZERO, missing), mode="replicate")
        extent = extent + missing
    first = as_poly(max(offset, 0))
    stop = first + wanted
    if extent + before == stop and not (short and offset < 0):
        part = Slice(first if first.terms else None)
    else:
        part = Slice(first if first.terms else None, as_poly(offset) if extent == wanted and offset < 0 else stop)
    whole = part == Slice()
    total = total if whole else Subscript(total, (FULL,) * axis + (part,))
    return total if running.ahead else flip(total)


def _along(axis: int, rank: int, before: Poly, after: Poly) -> tuple[tuple[Poly, Poly], ...]:
    """Widths of a border on one axis."""
    return tuple((before, after) if k == axis else (ZERO, ZERO) for k in range(rank))
