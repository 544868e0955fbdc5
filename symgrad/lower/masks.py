"""Masks over positions: elements left out of a sum, rows set to zero."""

from __future__ import annotations

from symgrad.declare.conditions import conjuncts, negation
from symgrad.declare.integers import ZERO, as_poly
from symgrad.declare.scalars import NOUGHT, TRUE, UNIT, Compare, Select, free_indices
from symgrad.derive.terms import Term
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    By,
    Cast,
    Collapse,
    Const,
    Fresh,
    Helper,
    Map,
    Name,
    NewAxis,
    Subscript,
    Update,
    Value,
    Whole,
)
from symgrad.lower.axes import Axes, align
from symgrad.lower.builder import Builder
from symgrad.lower.choices import guard
from symgrad.lower.elementwise import condition_value, value_of
from symgrad.lower.values import as_float

ROW = 16
"""From this many elements behind the mask's last axis on, rows are set instead of elements chosen."""


MANY = 2**14
"""From this many elements on a product with ones is faster than adding up, in spite of the ones."""


def summed(b: Builder, value: Value, bound: Axes) -> Value:
    """The sum over ``bound``; what a mask over positions excludes is left out, not replaced by zeros."""
    positions = tuple(p for p, i in enumerate(value.axes) if i in bound)
    kept = tuple(i for i in value.axes if i not in bound)
    match value.array:
        case Map("where", (mask, source, Const(nought))) if nought == 0 and _of_positions(mask) and _is_whole(source):
            return Value(Collapse("sum", source, positions, where=mask), kept)
    ends = {0, len(value.axes) - 1} & set(positions)
    if b.fast and not b.loops and ends and value.kind == "float" and b.volume(value.axes) >= MANY:
        axes = Helper("tuple", tuple(Whole(as_poly(p)) for p in positions))
        return Value(Helper("_sums", (value.array, axes)), kept)
    return Value(Collapse("sum", value.array, positions), kept)


def _of_positions(mask: Array) -> bool:
    """Whether a mask compares positions: it then holds runs, over which a sum is fast."""
    match mask:
        case Map("and" | "or", args):
            return all(map(_of_positions, args))
        case Map("lt" | "le" | "gt" | "ge" | "eq" | "ne", args):
            return all(_is_integer(a) for a in args)
        case Subscript(source, _):
            return _of_positions(source)
    return False


def _is_integer(array: Array) -> bool:
    match array:
        case Whole() | Cast(_, "int"):
            return True
        case Subscript(source, _):
            return _is_integer(source)
        case Name():
            return True
    return False


def _is_whole(source: Array) -> bool:
    """Whether an array has all its axes in full: a mask cannot widen it then."""
    match source:
        case Subscript(inner, items):
            return not any(isinstance(i, NewAxis) for i in items) and _is_whole(inner)
        case Map(_, args):
            return any(_is_whole(a) and not isinstance(a, Const | Whole) for a in args) and all(map(_is_whole, args))
    return True


def rows_set(b: Builder, target: Name, term: Term, free: Axes) -> bool:
    """Emit ``[condition] * value`` as rows assigned and rows set to zero, where the condition picks whole rows."""
    match term:
        case Term(scale, (), condition, then) if scale == UNIT and condition != TRUE:
            pass
        case Term(scale, (), _, Select(condition, then, otherwise)) if scale == UNIT and otherwise == NOUGHT:
            pass
        case _:
            return False
    if b.general or b.loops or not free_indices(condition):
        return False
    axes = free_indices(condition)
    count = len(axes)
    if set(free[:count]) != axes or count == len(free) or b.volume(free[count:]) < ROW:
        return False
    if not all(isinstance(part, Compare) for part in conjuncts(condition)):
        return False
    excluded = condition_value(b, negation(condition), free[:count])
    if set(excluded.axes) != axes or excluded.kind != "bool":
        return False
    value = as_float(value_of(b, guard(then, condition), free))
    b.because(f"{target.text}: the condition picks rows, the others are set to zero")
    array = align(value, free)
    if isinstance(array, Map) and set(value.axes) == set(free):
        b.emit(Assign(target.text, array))
    else:
        b.emit(Assign(target.text, Fresh("empty", tuple(i.extent for i in free))))
        b.emit(Update(Subscript(target, (FULL,)), "=", array))
    b.emit(Update(Subscript(target, (By(align(excluded, free[:count])),)), "=", Whole(ZERO)))
    return True
