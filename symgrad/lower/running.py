"""Running sums: a sum over ``j <= i`` of what does not depend on ``i``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from symgrad.declare.algebra import multiply
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import ONE, Index, as_poly
from symgrad.declare.scalars import TRUE, Compare, Condition, Mul, Number, Scalar, free_indices
from symgrad.lower.arrays import FLIP, FULL, Array, Collapse, Pad, Slice, Subscript, Value
from symgrad.lower.axes import Axes


@dataclass(frozen=True, slots=True)
class RunningSum:
    """``sum_{j <= i} inside(j) * beside``: what to sum before and after the running sum, and what is left to test.

    Attributes:
        summed: the index ``j`` that runs.
        free: the index ``i`` that bounds it.
        ahead: whether ``j`` stays below ``i``, not above it.
        offset: -1 where ``j = i`` is left out, else 0.
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

    def over(self, value: Value) -> Value:
        """The running sum of ``value`` along ``summed``, which becomes ``free``."""
        axis = value.axes.index(self.summed)
        array = _accumulated(value.array, axis, len(value.axes), self.ahead, self.offset)
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
        found = _triangle(part, bound, order)
        if found is None:
            continue
        j, i, ahead, offset = found
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
        yield RunningSum(j, i, ahead, offset, rest, multiply(Number(coefficient), *inside), beside, early, late)


def _triangle(part: Condition, bound: Axes, order: Axes) -> tuple[Index, Index, bool, int] | None:
    """(j, i, j <= i?, strict?) for ``i - j + const >= 0`` over equal ranges, const 0 or -1."""
    if not isinstance(part, Compare) or part.relation != ">=":
        return None
    terms = dict(part.poly.terms)
    constant = terms.pop((), 0)
    if len(terms) != 2 or sorted(terms.values()) != [-1, 1] or constant not in (0, -1):
        return None
    (up,) = next(m for m, c in terms.items() if c == 1)[:1]
    (down,) = next(m for m, c in terms.items() if c == -1)[:1]
    if not (isinstance(up, Index) and isinstance(down, Index)) or up.extent != down.extent:
        return None
    if down in bound and up in order:
        return down, up, True, constant
    if up in bound and down in order:
        return up, down, False, constant
    return None


def _accumulated(array: Array, axis: int, rank: int, ahead: bool, offset: int) -> Array:
    def flip(a: Array) -> Array:
        return Subscript(a, (FULL,) * axis + (FLIP,))

    source = array if ahead else flip(array)
    total: Array = Collapse("cumsum", source, (axis,))
    if offset:
        # Strict: shift by one, a zero first.
        widths = tuple((ONE if k == axis else as_poly(0), as_poly(0)) for k in range(rank))
        total = Subscript(Pad(total, widths, 0.0), (FULL,) * axis + (Slice(stop=as_poly(-1)),))
    return total if ahead else flip(total)
