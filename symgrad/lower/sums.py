"""Sums: matrix products where factors share summed indices, running sums, loops over small windows, plain sums."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from symgrad.declare.algebra import from_integer, multiply, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, any_of
from symgrad.declare.facts import may_be_negative
from symgrad.declare.integers import ZERO, Index, as_poly, indices_of
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    UNIT,
    Add,
    All,
    AnyOf,
    Condition,
    Mul,
    Number,
    Power,
    Read,
    Scalar,
    free_indices,
    reads_of,
)
from symgrad.declare.substitution import substitute
from symgrad.derive.ragged import Ragged
from symgrad.derive.terms import Term
from symgrad.lower.arrays import (
    FULL,
    Assign,
    At,
    Cast,
    Collapse,
    For,
    Fresh,
    Helper,
    Name,
    Subscript,
    Update,
    Value,
    Whole,
)
from symgrad.lower.axes import Axes, align
from symgrad.lower.bands import window_products, window_sum
from symgrad.lower.builder import Builder
from symgrad.lower.choices import guard
from symgrad.lower.contract import contract, einsum
from symgrad.lower.differences import of_differences
from symgrad.lower.elementwise import value_of
from symgrad.lower.fused import fused_offsets, in_rows
from symgrad.lower.operands import mask_in_exponent, masked, operands_of, scaled, stored_order
from symgrad.lower.pairs import found_in, pairs_of
from symgrad.lower.running import running_sums
from symgrad.lower.spans import span_sum
from symgrad.lower.values import add_values, as_float
from symgrad.lower.walks import along

LONG = 256
"""Elements of a sum from which a call of its own is worth it."""


def term_value(b: Builder, term: Term, order: Axes, name: str = "total") -> Value:
    """A term of an equation as an array over (some of) the free indices ``order``."""
    value = sum_value(b, term.bound, term.condition, term.body, order, name)
    match _guard_outside(term.scale, term.bound, term.condition):
        case Number(number):
            return value if number == 1 else scaled(b, value, number, [], order)
        case Mul(coefficient, args):
            return scaled(b, value, coefficient, list(args), order)
        case scale:
            return scaled(b, value, Fraction(1), [scale], order)


def _guard_outside(factor: Scalar, bound: Axes, condition: Condition) -> Scalar:
    """A factor outside a sum need not be finite where no element is summed."""
    return guard(factor, _of_others(condition, frozenset(bound)))


def _of_others(condition: Condition, bound: frozenset[Index]) -> Condition:
    """What a condition says of what is not summed: a part with a summed index in it may hold somewhere."""
    match condition:
        case All(args):
            return all_of(*(_of_others(c, bound) for c in args))
        case AnyOf(args):
            return any_of(*(_of_others(c, bound) for c in args))
    return TRUE if free_indices(condition) & bound else condition


def sum_value(b: Builder, bound: Axes, condition: Condition, body: Scalar, order: Axes, name: str = "total") -> Value:
    """``sum_{bound, condition} body`` over the indices in ``order`` that it depends on."""
    if not bound:
        return value_of(b, select(condition, body, NOUGHT), order)
    if b.general:
        return _joint(b, bound, condition, body, order)
    running = _running_sum(b, bound, condition, body, order, name)
    if running is not None:
        return running
    if isinstance(body, Add) and condition == TRUE and _worth_splitting(body, bound):
        return add_values([sum_value(b, bound, TRUE, a, order, name) for a in body.args], order)
    coefficient, factors = (body.coefficient, list(body.args)) if isinstance(body, Mul) else (Fraction(1), [body])
    factors = [f for f in factors if f != UNIT]
    outside = [f for f in factors if not free_indices(f) & set(bound)]
    inside = [f for f in factors if f not in outside]
    outside = [_guard_outside(f, bound, condition) for f in outside]
    unused = [i for i in bound if not any(i in free_indices(f) for f in (*inside, condition))]
    if unused:
        outside += [from_integer(i.extent) for i in unused]
        bound = tuple(i for i in bound if i not in unused)
    if not bound:
        return value_of(b, multiply(Number(coefficient), *outside, select(condition, multiply(*inside), NOUGHT)), order)
    summed = _inner(b, bound, condition, inside or [UNIT], order, name)
    if coefficient == 1 and not outside:
        return summed
    return scaled(b, summed, coefficient, outside, order)


def _joint(b: Builder, bound: Axes, condition: Condition, body: Scalar, order: Axes) -> Value:
    """The sum over the whole index space, element by element."""
    value = as_float(value_of(b, select(condition, body, NOUGHT), (*order, *bound)))
    if value.kind == "scalar":
        value = Value(Cast(Helper("np.asarray", (value.array,)), "float"), ())
    everything = tuple(i for i in (*order, *bound) if i in value.axes or i in bound)
    shape = Helper("tuple", tuple(Whole(i.extent) for i in everything))
    array = Helper("np.broadcast_to", (align(value, everything), shape))
    summed = tuple(p for p, i in enumerate(everything) if i in bound)
    return Value(Collapse("sum", array, summed), tuple(i for i in everything if i not in bound))


def _worth_splitting(body: Add, bound: Axes) -> bool:
    """Separate sums where a term is a product of arrays over different indices, or lacks a summed index."""
    for arg in body.args:
        if set(bound) - free_indices(arg):
            return True
        if isinstance(arg, Mul) and len({frozenset(free_indices(f)) for f in arg.args if free_indices(f)}) > 1:
            return True
    return False


def _inner(b: Builder, bound: Axes, condition: Condition, factors: list[Scalar], order: Axes, name: str) -> Value:
    spans = span_sum(b, bound, condition, factors)
    if spans is not None:
        b.because(f"{name}: the ranges that data give are summed as runs of rows")
        rows = sum_value(b, spans.early, TRUE, spans.body, (spans.source, *order), name)
        return spans.over(b, as_float(rows), order)
    over = found_in(b, condition, factors)
    if over is not None and over[0].indices & set(bound):
        b.because(f"{name}: one element for each pair of a range that data give and a position in it")
        return _over_pairs(b, bound, *over, order, name)
    condition, factors = mask_in_exponent(condition, factors)
    if condition != TRUE:
        factors = [guard(f, condition) for f in factors]
    else:
        product = of_differences(b, bound, factors, order, name)
        if product is not None:
            return product
    slides = window_indices(b, multiply(*factors), bound)
    if slides and not is_product_of_matrices(factors, bound, slides):
        b.because(f"{name}: a loop over the window offsets {_names(slides)}, each a strided slice")
        return _looped(b, bound, condition, factors, order, slides, name)
    offsets = _result_offsets(b, bound, condition, factors, order)
    if offsets:
        b.because(f"{name}: one sum for each window offset {_names(offsets)}, over strided slices")
        return _each_offset(b, bound, factors, order, offsets, name)
    stored = stored_order(factors, (*order, *bound))
    squares = _square_sums(b, bound, condition, factors, stored)
    if squares is not None:
        return squares
    if condition != TRUE:
        factors = [f for f in factors if f != UNIT]
    operands = operands_of(b, factors, stored, bound)
    operands = masked(b, operands, condition, stored)
    return contract(b, operands, order, bound, name)


def _over_pairs(b: Builder, bound: Axes, found: Ragged, factors: list[Scalar], order: Axes, name: str) -> Value:
    """The sum over ragged ranges, of some or all of their indices."""
    pairs, ends = pairs_of(b, found), found.indices
    early, rest = tuple(i for i in bound if i not in ends), tuple(i for i in order if i not in ends)
    body = pairs.moved(multiply(*factors))
    rows = pairs.rows(
        as_float(sum_value(b, early, pairs.moved(found.rest), body, (pairs.pair, *rest), name)), (pairs.pair, *rest)
    )
    left = tuple(i for i in order if i in ends and i not in bound)
    if set(left) == set(found.owners):
        return pairs.folded("sum", rows)
    if left:
        return pairs.added(rows, left)
    return Value(Collapse("sum", rows.array, (0,)), rows.axes[1:])


def _square_sums(b: Builder, bound: Axes, condition: Condition, factors: list[Scalar], order: Axes) -> Value | None:
    """The sum of a product of two arrays over the same indices: added up as it is formed, no product array."""
    match factors:
        case [Power(base, Number(n))] if n == 2:
            factors = [base, base]
    if condition != TRUE or len(factors) != 2 or not all(map(reads_of, factors)):
        return None
    if free_indices(factors[0]) - b.loops != free_indices(factors[1]) - b.loops:
        return None
    values = [value_of(b, f, order) for f in factors]
    if any(v.kind != "float" for v in values) or values[0].axes != values[1].axes or not values[0].axes:
        return None
    out = tuple(i for i in values[0].axes if i not in bound)
    return einsum(b, values[0], values[1], out)


def _names(indices: Axes) -> str:
    return ", ".join(i.name for i in indices)


def window_indices(b: Builder, body: Scalar, bound: Axes) -> Axes:
    """Summed indices that share an axis with a longer one and run over few values.

    Where they tile the axis it is cut by a reshape, unless it is long.
    """
    found: dict[Index, None] = {}
    for r in reads_of(body):
        for poly in r.indices:
            walk = along(poly, b.loops)
            if walk is None or len(walk.steps) < 2:
                continue
            for index, step in walk.steps:
                others = [(i, s) for i, s in walk.steps if i != index]
                longer = any(
                    not b.small(i)
                    or (
                        b.typical(i.extent) > b.typical(index.extent)
                        and s != index.extent * step
                        and step != i.extent * s
                    )
                    for i, s in others
                )
                if index in bound and b.small(index) and longer:
                    found[index] = None
    return tuple(i for i in bound if i in found)


def is_product_of_matrices(factors: list[Scalar], bound: Axes, slides: Axes) -> bool:
    """Whether two factors share a summed index and each has an index of its own, or more is summed than the window."""
    sets = [frozenset(free_indices(f)) for f in factors if free_indices(f)]
    for p, left in enumerate(sets):
        for right in sets[p + 1 :]:
            shared = left & right & set(bound)
            if shared and (left - right - set(bound)) and (right - left - set(bound)):
                return True
            if shared - set(slides) and (left - right or right - left):
                return True
    return False


def _looped(
    b: Builder, bound: Axes, condition: Condition, factors: list[Scalar], order: Axes, slides: Axes, name: str
) -> Value:
    rest = tuple(i for i in bound if i not in slides)
    body = multiply(*factors)
    axes = tuple(i for i in order if i in free_indices(body) or i in free_indices(condition))
    axes = tuple(i for i in axes if i not in b.loops)
    fused = fused_offsets(b, condition, factors, slides) if not rest else ()
    whole = in_rows(b, factors, slides) if fused else None
    if whole is not None:
        b.because(f"{name}: offsets {_names(slides)} are added up as they are multiplied, in one pass along rows")
        return whole
    total = Name(b.name(name))
    begun = not rest and condition == TRUE and _begin(b, body, order, axes, slides, total)
    if not begun:
        b.emit(Assign(total.text, Fresh("zeros", tuple(i.extent for i in axes))))
        if not rest and window_sum(b, factors, condition, slides, Value(total, axes)):
            return Value(total, axes)
    with b.looping(tuple(i for i in slides if i not in fused)):
        if fused:
            b.because(f"{name}: offsets {_names(fused)} are added up as they are multiplied, in one pass")
            left, right = (value_of(b, f, (*order, *fused)) for f in factors)
            value = einsum(b, left, right, tuple(i for i in axes if i in left.axes or i in right.axes))
        else:
            value = sum_value(b, rest, condition, body, order, name)
        b.emit(Update(total, "+", align(as_float(value), axes)))
    loop = b.block[-1]
    if begun and isinstance(loop, For):
        b.block[-1] = replace(loop, start=as_poly(1))
    return Value(total, axes)


def _result_offsets(b: Builder, bound: Axes, condition: Condition, factors: list[Scalar], order: Axes) -> Axes:
    """Window offsets that the result has, where a sum of products over long axes is no product of matrices.

    NumPy would run through the windows element by element, a few offsets at a time.
    """
    sets = [free_indices(f) for f in factors if free_indices(f)]
    if condition != TRUE or len(sets) != 2 or b.volume(bound) < LONG:
        return ()
    if all(own - set(bound) for own in (sets[0] - sets[1], sets[1] - sets[0])):
        return ()
    along_bound = {
        index
        for f in factors
        for r in reads_of(f)
        for poly in r.indices
        if indices_of(poly) & set(bound)
        for index in indices_of(poly)
    }
    return tuple(i for i in window_indices(b, multiply(*factors), order) if i in along_bound)


def _each_offset(b: Builder, bound: Axes, factors: list[Scalar], order: Axes, offsets: Axes, name: str) -> Value:
    body = multiply(*factors)
    axes = tuple(i for i in order if i in free_indices(body) and i not in b.loops)
    total = Name(b.name(name))
    b.emit(Assign(total.text, Fresh("empty", tuple(i.extent for i in axes))))
    if window_products(b, bound, factors, offsets, Value(total, axes)):
        return Value(total, axes)
    with b.looping(offsets):
        inner = tuple(i for i in order if i not in offsets)
        value = as_float(sum_value(b, bound, TRUE, body, inner, name))
        items = tuple(At(as_poly(i)) if i in offsets else FULL for i in axes)
        b.emit(Update(Subscript(total, items), "=", align(value, tuple(i for i in axes if i not in offsets))))
    return Value(total, axes)


def _begin(b: Builder, body: Scalar, order: Axes, axes: Axes, slides: Axes, total: Name) -> bool:
    """Begin with the first of the elements to be added, where one index runs over at least one of a tensor."""
    if len(slides) > 1 or not isinstance(body, Read) or not nonnegative(slides[0].extent - 1):
        return False
    first = value_of(b, map_polynomials(body, lambda p: substitute(p, {slides[0]: ZERO})), order)
    if first.kind != "float" or set(first.axes) != set(axes):
        return False
    b.emit(Assign(total.text, Helper("copy", (align(first, axes),))))
    return True


def _running_sum(b: Builder, bound: Axes, condition: Condition, body: Scalar, order: Axes, name: str) -> Value | None:
    """``sum_{j <= i} f(j)`` with f free of i is a running sum."""
    for found in running_sums(bound, condition, body, order, b.loops):
        inner_order = (*found.late, *(found.summed if k == found.free else k for k in order))
        summed = sum_value(b, found.early, found.condition, found.inside, inner_order, name)
        if found.summed not in summed.axes:
            continue
        b.because(f"{name}: {found}")
        running = found.over(summed, may_be_negative(b.program, found.summed.extent, b.facts))
        if not found.beside:
            return running
        operands = [running, *operands_of(b, found.beside, (*order, *found.late))]
        return contract(b, operands, order, found.late, name)
    return None
