"""Sums of differences ``u[i, d] - v[j, d]``: products of matrices replace the joint space where they keep the digits.

``(u - v)^2 = u^2 - 2 u v + v^2`` loses what u and v have in common, and centring saves only what all of them share: two
near points far from the others come out as one. So the product is taken, its error known from the norms, and the pairs
that are near beside those are gone through by their differences; sums of weighted differences alike. Measured in
float32 on one core with 2048 x 512 points of 64 coordinates: the product alone takes 2.2 ms, this 2.5 ms to the digits
of the differences, which take 30 ms themselves. Where most pairs are near, this takes twice those 30 ms.

Sums that fit neither form go through the joint space in chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symgrad.declare.algebra import add, multiply, negate
from symgrad.declare.integers import Index
from symgrad.declare.scalars import Add, Mul, Number, Power, Scalar, free_indices, reads_of
from symgrad.lower.arrays import Array, Helper, Map, Reshape, Value, Whole
from symgrad.lower.axes import Axes, align, joint_extent, transposed
from symgrad.lower.builder import Builder
from symgrad.lower.contract import contract
from symgrad.lower.elementwise import value_of
from symgrad.lower.operands import operands_of, stored_order
from symgrad.lower.values import as_float

LONG = 8
"""The joint space must have this many times the elements of any operand and of the result."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``first - second`` to the power 1 or 2; each side has an index that the other lacks."""

    first: Scalar
    second: Scalar
    power: int


@dataclass(frozen=True, slots=True)
class Gaps:
    """A sum of differences between rows.

    Attributes:
        difference: between the rows.
        rest: the factors beside it, over pairs of rows.
        weights: the factors beside it, over coordinates.
        stack: the indices of pairs of matrices.
        left: the indices of the rows of the first side.
        right: the indices of the rows of the second side.
        coordinates: the indices along a row.
    """

    difference: Difference
    rest: list[Scalar]
    weights: list[Scalar]
    stack: Axes
    left: Axes
    right: Axes
    coordinates: Axes


def of_differences(b: Builder, bound: Axes, factors: list[Scalar], order: Axes, name: str) -> Value | None:
    """The sum of a product in which one factor is a difference, or None where another form does."""
    gaps = _found(b, factors, order, bound)
    if gaps is None:
        return None
    b.because(f"{name}: a product of matrices does the sum of differences, but for rows too near each other for that")
    if gaps.difference.power == 1:
        return _weighted(b, gaps, bound)
    squares = _squares(b, gaps)
    rest = tuple(i for i in bound if i not in gaps.coordinates)
    if not rest and not gaps.rest:
        return squares
    others = operands_of(b, gaps.rest, stored_order(gaps.rest, (*order, *rest)), rest) if gaps.rest else []
    return contract(b, [Value(b.keep(squares.array, f"{name}_gaps"), squares.axes), *others], order, rest, name)


def is_of_differences(b: Builder, factors: Sequence[Scalar], order: Axes, bound: Axes) -> bool:
    """Whether the sum of this product is lowered here, or is a difference of sums."""
    match list(factors):
        case [Add() as alone] if not b.loops and _difference(alone) is not None:
            return True  # each side has a sum of its own
    return _found(b, factors, order, bound) is not None


def _found(b: Builder, factors: Sequence[Scalar], order: Axes, bound: Axes) -> Gaps | None:
    """The one difference among the factors, if it pays, and what its indices are to the sum."""
    if b.loops:
        return None
    found = [(f, d) for f in factors if (d := _difference(f)) is not None]
    if len(found) != 1:
        return None
    factor, difference = found[0]
    rest = [f for f in factors if f is not factor]
    first, second = free_indices(difference.first), free_indices(difference.second)
    everything = (*order, *(i for i in bound if i not in order))
    both, left, right = (
        tuple(i for i in everything if i in s) for s in (first & second, first - second, second - first)
    )
    weights: list[Scalar] = []
    if difference.power == 2:
        weights = [f for f in rest if free_indices(f) <= set(both) and free_indices(f) & set(bound)]
    pairs = [f for f in rest if f not in weights]
    beside = free_indices(multiply(*pairs))
    coordinates = tuple(i for i in both if i not in beside and (difference.power == 1 or i in bound))
    if difference.power == 1:
        ends = {*left, *right}
        if set(bound) not in (set(left), set(right)) or not ends <= beside <= {*both, *ends}:
            return None
    if not coordinates or not _pays(b, difference, rest, order):
        return None
    stack = tuple(i for i in both if i not in coordinates)
    return Gaps(difference, pairs, weights, stack, left, right, coordinates)


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


def _squares(b: Builder, gaps: Gaps) -> Value:
    """The squared distance of each pair of rows."""
    sides = (gaps.difference.first, gaps.difference.second)
    left, right = (
        _matrix(b, side, gaps.stack, rows, gaps.coordinates)
        for side, rows in zip(sides, (gaps.left, gaps.right), strict=True)
    )
    axes = (*gaps.stack, *gaps.left, *gaps.right)
    weights = (_matrix(b, multiply(*gaps.weights), gaps.stack, (), gaps.coordinates),) if gaps.weights else ()
    return Value(_reshaped(Helper("_squared_gaps", (left, right, *weights)), axes, gaps.left, gaps.right), axes)


def _weighted(b: Builder, gaps: Gaps, bound: Axes) -> Value:
    """The sum of weighted differences over the rows of one side, for each row of the other."""
    first, second, left, right, sign = gaps.difference.first, gaps.difference.second, gaps.left, gaps.right, 1
    if _sign_of(first) < 0:
        first, second, left, right = negate(second), negate(first), right, left
    ends = [_matrix(b, s, gaps.stack, r, gaps.coordinates) for s, r in ((first, left), (second, right))]
    weights = _matrix(b, multiply(*gaps.rest), gaps.stack, left, right)
    near: Array = b.keep(Helper("_near_pairs", tuple(ends)), "near")
    if set(bound) == set(left):
        weights, near = (_turned(a, len(gaps.stack)) for a in (weights, near))
        left, right, ends, sign = right, left, ends[::-1], -sign
    axes = (*gaps.stack, *left, *gaps.coordinates)
    total = Helper("_weighted_gaps", (weights, *ends, near))
    value = Value(_reshaped(total, axes, left, gaps.coordinates), axes)
    return value if sign > 0 else Value(Map("neg", (value.array,)), axes)


def _sign_of(side: Scalar) -> int:
    return _sign(list(side.args) if isinstance(side, Add) else [side])


def _matrix(b: Builder, node: Scalar, stack: Axes, rows: Axes, columns: Axes) -> Array:
    """The values as stacked matrices, or as stacked vectors if there are no rows."""
    axes = (*stack, *rows, *columns)
    value = as_float(value_of(b, node, axes))
    if set(value.axes) != set(axes):
        shape = Helper("tuple", tuple(Whole(i.extent) for i in axes))
        value = Value(Helper("np.broadcast_to", (align(value, axes), shape)), axes)
    array = align(value, axes)
    if len(rows) <= 1 and len(columns) == 1:
        return array
    return Reshape(array, (*(i.extent for i in stack), *(joint_extent(s) for s in (rows, columns) if s)))


def _reshaped(array: Array, axes: Axes, rows: Axes, columns: Axes) -> Array:
    return array if len(rows) == len(columns) == 1 else Reshape(array, tuple(i.extent for i in axes))


def _turned(array: Array, stacked: int) -> Array:
    return transposed(array, (*range(stacked), stacked + 1, stacked))
