"""Accumulation at computed positions: integer arrays over the indices that decide them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from symgrad.declare.algebra import multiply, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least
from symgrad.declare.integers import Index, Poly, as_poly, indices_of
from symgrad.declare.scalars import NOUGHT, TRUE, Condition, Number, Reduce, Scalar, Select
from symgrad.lower.arrays import (
    Array,
    Assign,
    By,
    Const,
    Fresh,
    Helper,
    Map,
    Name,
    Run,
    Subscript,
    Transpose,
    Update,
    Value,
    Whole,
)
from symgrad.lower.axes import Axes, align
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import condition_value, value_of
from symgrad.lower.placement import Scatter, factors_of
from symgrad.lower.reads import integer
from symgrad.lower.sums import sum_value
from symgrad.lower.values import as_float, mapped
from symgrad.lower.walks import along


def add_at_positions(b: Builder, target: Name, free: Axes, job: Scatter, first: bool) -> None:
    """Emit statements that add the term to ``target`` at positions computed over the indices that decide them."""
    if first:
        b.emit(Assign(target.text, Fresh("zeros", tuple(i.extent for i in free))))
    axes_placed = [a for a, p in enumerate(job.places) if p is not None]
    deciding = {i for p in job.places if p is not None for i in indices_of(p)}
    vectors = tuple(i for i in job.term.bound if i in deciding) + tuple(
        f for a, f in enumerate(free) if f in deciding and a not in axes_placed
    )
    plain = tuple(f for a, f in enumerate(free) if a not in axes_placed and f not in vectors)
    carried = tuple(f for a, f in enumerate(free) if a not in axes_placed and f in vectors)
    inner = tuple(i for i in job.term.bound if i not in deciding)
    weight = multiply(job.term.scale, job.term.body)
    behind = all_of(job.condition, *_conditions(weight))
    guards = [range_guard(b, job.places[a], free[a], behind) for a in axes_placed]
    landing = all_of(*guards)
    if inner:
        value = as_float(sum_value(b, inner, job.condition, weight, (*vectors, *plain), target.text))
        if landing != TRUE:
            mask = condition_value(b, landing, (*vectors, *plain))
            value = mapped("where", [mask, value, Value(Const(Fraction(0)), (), "scalar")], (*vectors, *plain))
    else:
        value = value_of(b, select(all_of(job.condition, landing), weight, NOUGHT), (*vectors, *plain))
    whole = (*vectors, *plain)
    array = align(as_float(value), whole)
    lead = sorted([*axes_placed, *(a for a, f in enumerate(free) if f in carried)])
    positions = []
    for a in lead:
        poly = job.places[a] if a in axes_placed else as_poly(free[a])
        assert poly is not None
        positions.append(position_of(b, poly, free[a], vectors))
    order = (*lead, *(a for a in range(len(free)) if a not in lead))
    view: Array = target if order == tuple(range(len(free))) else Transpose(target, order)
    # Positions that are clipped may meet others.
    inside = all(_never_leaves(b, p, f) for p, f in zip(job.places, free, strict=True) if p is not None)
    if not b.general and inside and _injective(job, vectors, carried):
        b.because(f"{target.text}: every position is met once, so indexed addition is enough")
        b.emit(Update(Subscript(view, tuple(By(p) for p in positions)), "=" if first else "+", array))
        return
    b.because(f"{target.text}: positions may repeat, so rows are sorted and added up")
    zeros = (Helper("zeros=", (Name("True"),)),) if first and b.fast else ()
    b.emit(Run(Helper("_add_at", (view, *positions, array, *zeros))))


def _conditions(weight: Scalar) -> Iterator[Condition]:
    """Conditions without which a product is 0: those that are factors of it."""
    for factor in factors_of(weight):
        match factor:
            case Reduce("sum", (), condition) | Select(condition, _, Number(Fraction(numerator=0))):
                yield condition


def range_guard(b: Builder, poly: Poly | None, index: Index, condition: Condition) -> Condition:
    """What lands outside the target is dropped, unless forward has checked that nothing does that is not 0."""
    assert poly is not None
    if b.inside(poly, index.extent, condition):
        return TRUE
    return all_of(at_least(poly, 0), at_least(index.extent - 1, poly))


def position_of(b: Builder, poly: Poly, index: Index, vectors: Axes) -> Array:
    """Positions on an axis as an integer array, clipped where they may leave it."""
    value = integer(b, poly, vectors)
    array = align(value, vectors)
    if _never_leaves(b, poly, index):
        return array
    return Map("clip", (array, Whole(as_poly(0)), Whole(index.extent - 1)))


def _never_leaves(b: Builder, poly: Poly, index: Index) -> bool:
    """Whether the positions lie inside the target under no condition."""
    return b.inside(poly, index.extent, TRUE) or (nonnegative(poly) and nonnegative(index.extent - 1 - poly))


def _injective(job: Scatter, vectors: Axes, carried: Axes) -> bool:
    """Each deciding index can be read off one axis of its own."""
    seen = set(carried)
    for poly in job.places:
        if poly is None:
            continue
        walk = along(poly, frozenset())
        if walk is not None and len(walk.steps) == 1:
            seen.add(walk.steps[0][0])
    return set(vectors) <= seen
