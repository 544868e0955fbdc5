"""Sums of differences ``u[i, d] - v[j, d]``, multiplied out so that a matrix product replaces the joint space.

``(u - v)^2 = u^2 - 2 u v + v^2`` loses digits where u and v are large and close. Both are therefore centred first:
``u - v = (u - m) - (v - m)`` with m the mean of v, and a sum of squares is kept from falling below zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symgrad.declare.algebra import add, negate
from symgrad.declare.integers import Index
from symgrad.declare.scalars import Add, Mul, Number, Power, Scalar, free_indices, reads_of
from symgrad.lower.arrays import Collapse, Const, Map, Value, Whole
from symgrad.lower.axes import Axes, joint_extent
from symgrad.lower.builder import Builder
from symgrad.lower.contract import contract
from symgrad.lower.elementwise import value_of
from symgrad.lower.operands import operands_of, scaled, stored_order
from symgrad.lower.values import add_values, as_float, mapped

LONG = 8
"""The joint space must have this many times the elements of any operand and of the result."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``first - second`` to the power 1 or 2; each side has an index that the other lacks."""

    first: Scalar
    second: Scalar
    power: int


def multiplied_out(b: Builder, bound: Axes, factors: list[Scalar], order: Axes, name: str) -> Value | None:
    """The sum with its one difference multiplied out, or None where that does not pay."""
    found = _found(b, factors, order)
    if found is None:
        return None
    difference, rest = found
    power = difference.power
    b.because(f"{name}: the difference is multiplied out, centred, so that a matrix product does the sum")
    first, second = _centred(b, difference, order)
    others = operands_of(b, rest, stored_order(b, rest, (*order, *bound)), bound) if rest else []
    terms = [_product(b, weight, arrays, others, order, bound, name) for weight, arrays in _terms(first, second, power)]
    total = add_values(terms, order)
    if power == 2 and not rest:
        return mapped("maximum", [total, Value(Const(Fraction(0)), (), "scalar")], order)
    return total


def _product(
    b: Builder, weight: int, arrays: list[Value], others: list[Value], order: Axes, bound: Axes, name: str
) -> Value:
    """A term of the binomial; what is not a sign is multiplied with the smaller factor, not with the product."""
    if abs(weight) == 1:
        return scaled(b, contract(b, [*arrays, *others], order, bound, name), Fraction(weight), [], order)
    small = min(arrays, key=lambda v: b.volume(v.axes))
    number = Value(Const(Fraction(weight)), (), "scalar")
    factors = [mapped("mul", [number, v], v.axes) if v is small else v for v in arrays]
    return contract(b, [*factors, *others], order, bound, name)


def is_multiplied_out(b: Builder, factors: Sequence[Scalar], order: Axes) -> bool:
    """Whether the sum of this product over what ``order`` lacks is lowered here."""
    return _found(b, factors, order) is not None


def _found(b: Builder, factors: Sequence[Scalar], order: Axes) -> tuple[Difference, list[Scalar]] | None:
    """The one difference among the factors, if it pays, and the others."""
    if b.loops:
        return None
    found = [(f, d) for f in factors if (d := _difference(f)) is not None]
    if len(found) != 1:
        return None
    factor, difference = found[0]
    rest = [f for f in factors if f is not factor]
    return (difference, rest) if _pays(b, difference, rest, order) else None


def _terms(first: Value, second: Value, power: int) -> list[tuple[int, list[Value]]]:
    """The binomial, the mixed product first: it is the array that the others are added to."""
    if power == 1:
        return [(1, [first]), (-1, [second])]
    return [(-2, [first, second]), (1, [first, first]), (1, [second, second])]


def _difference(factor: Scalar) -> Difference | None:
    match factor:
        case Power(Add(args), Number(n)) if n == 2:
            power = 2
        case Add(args):
            power = 1
        case _:
            return None
    sets = sorted({frozenset(free_indices(a)) for a in args}, key=lambda s: (-len(s), sorted(i.name for i in s)))
    if len(sets) < 2 or not (sets[0] - sets[1] and sets[1] - sets[0]):
        return None
    sides: tuple[list[Scalar], list[Scalar]] = ([], [])
    for arg in args:
        fitting = [side for side, indices in zip(sides, sets, strict=False) if free_indices(arg) <= indices]
        if not fitting or not (reads_of(arg) or not free_indices(arg)):
            return None
        fitting[0].append(arg)
    first, second = sides
    if power == 2 and _sign(first) < 0 < _sign(second):
        first, second = second, first
    return Difference(add(*first), negate(add(*second)), power)


def _sign(terms: list[Scalar]) -> int:
    """The sign of the first term's number."""
    match terms[0]:
        case Mul(coefficient, _) | Number(coefficient) if coefficient < 0:
            return -1
    return 1


def _pays(b: Builder, difference: Difference, rest: list[Scalar], order: Axes) -> bool:
    """Whether the joint space is much larger than every operand and than the result."""
    joint = free_indices(difference.first) | free_indices(difference.second)
    spaces = [free_indices(f) for f in (difference.first, difference.second, *rest)]
    spaces.append(frozenset(i for i in order if any(i in s for s in spaces)))
    return _elements(b, joint) >= LONG * max(_elements(b, s) for s in spaces)


def _elements(b: Builder, indices: Iterable[Index]) -> int:
    return b.volume(sorted(indices, key=lambda i: i.name))


def _centred(b: Builder, difference: Difference, order: Axes) -> tuple[Value, Value]:
    """Both sides without the mean of the second over the indices that the first lacks."""
    first, second = (
        as_float(value_of(b, side, stored_order(b, [side], order))) for side in (difference.first, difference.second)
    )
    alone = tuple(p for p, i in enumerate(second.axes) if i not in first.axes)
    kept = tuple(i for i in second.axes if i in first.axes)
    # At least 1: the mean over an empty axis must not be NaN.
    count = Map("max", (Whole(joint_extent(tuple(second.axes[p] for p in alone))), Const(Fraction(1))))
    mean = Value(b.keep(Map("div", (Collapse("sum", second.array, alone), count)), "centre"), kept)
    comment = "The difference multiplied out, so that a matrix product sums it; centred, to lose no digits."
    sides = (mapped("sub", [first, mean], first.axes), mapped("sub", [second, mean], second.axes))
    names = (_name(difference.first), _name(difference.second))
    return (
        Value(b.keep(sides[0].array, names[0], comment), sides[0].axes),
        Value(b.keep(sides[1].array, names[1]), sides[1].axes),
    )


def _name(side: Scalar) -> str:
    tensors = {r.tensor for r in reads_of(side)}
    return f"{min(tensors)}_centred" if len(tensors) == 1 else "centred"
