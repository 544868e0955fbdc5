"""The factors of a sum as arrays: merged over common indices, masked, in an order that saves transposes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from symgrad.declare.algebra import multiply, select
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Index
from symgrad.declare.scalars import TRUE, UNIT, Apply, Condition, Number, Power, Scalar, free_indices, reads_of
from symgrad.lower.arrays import Const, Map, Value
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import condition_value, product
from symgrad.lower.values import as_float, mapped


def stored_order(factors: list[Scalar], default: Axes) -> Axes:
    """Axes in the order in which the largest tensor has them, so that it need not be transposed."""
    reads = [r for f in factors for r in reads_of(f)]
    largest = max(reads, key=lambda r: (len(free_indices(r)), r.tensor), default=None)
    if largest is None:
        return default
    axes = [p.atom for p in largest.indices if isinstance(p.atom, Index) and p.atom in default]
    if any(free_indices(f) - set(axes) for f in factors):
        # No tensor has all axes: the index that most tensors store last goes last.
        ends = [r.indices[-1].atom for r in reads if len(r.indices) > 1]
        last = max(default, key=lambda i: (ends.count(i), default.index(i)))
        return (*(i for i in default if i != last), last) if ends.count(last) > 1 else default
    return (*dict.fromkeys(axes), *(i for i in default if i not in axes))


Group = tuple[frozenset[Index], list[Scalar]]


def operands_of(b: Builder, factors: list[Scalar], order: Axes, bound: Axes = ()) -> list[Value]:
    """Factors over the same indices multiplied into one array; ``bound`` are the indices to be summed."""
    groups: dict[frozenset[Index], list[Scalar]] = {}
    for f in factors:
        groups.setdefault(frozenset(i for i in free_indices(f) if i not in b.loops), []).append(f)
    scalars = groups.pop(frozenset(), [])
    merged = sorted(groups.items(), key=lambda g: (-len(g[0]), str(sorted(i.name for i in g[0]))))
    while len(merged) > 2 and (riding := _rider(b, merged, set(bound))) is not None:
        small, large = riding
        merged = [(a, m + small[1] if (a, m) == large else m) for a, m in merged if (a, m) != small]
    if scalars:
        axes, members = merged[-1] if merged else (frozenset(), [])
        merged = [*merged[:-1], (axes, members + scalars)]
    return [
        product(b, Fraction(1), members, order) if members else Value(Const(1.0), ()) for _, members in reversed(merged)
    ]


def _rider(b: Builder, groups: list[Group], bound: set[Index]) -> tuple[Group, Group] | None:
    """A factor whose indices a larger one has as well rides along with the smallest such.

    Not if the two alone share a summed index: a matrix-vector product then sums it.
    """
    for small in reversed(groups):
        larger = [g for g in groups if small[0] < g[0]]
        if len(larger) == 1 and small[0] & bound - {i for g in groups if g not in (small, larger[0]) for i in g[0]}:
            continue
        if larger:
            return small, min(larger, key=lambda g: (b.volume(g[0]), str(sorted(i.name for i in g[0]))))
    return None


def masked(b: Builder, operands: list[Value], condition: Condition, order: Axes) -> list[Value]:
    """Conditions as masks on the smallest operand that has their indices; a mask of its own if none has."""
    for part in conjuncts(condition):
        mask = condition_value(b, part, order)
        fitting = [v for v in operands if set(mask.axes) <= set(v.axes)]
        if not fitting:
            operands = [*operands, as_float(mask)]
            continue
        chosen = min(fitting, key=lambda v: b.volume(v.axes))
        kept = mapped("where", [mask, as_float(chosen), Value(Const(Fraction(0)), (), "scalar")], order)
        operands = [kept if v is chosen else v for v in operands]
    return operands


def mask_in_exponent(condition: Condition, factors: list[Scalar]) -> tuple[Condition, list[Scalar]]:
    """``[c] * exp(u) = exp(u where c else -inf)``: the mask costs nothing more and nothing overflows."""
    for p, factor in enumerate(factors):
        match factor:
            case Apply("exp", (exponent, *_)) if condition != TRUE and free_indices(condition) <= free_indices(factor):
                hidden = Apply("exp", (select(condition, exponent, Number(float("-inf"))),))
                return TRUE, [*factors[:p], hidden, *factors[p + 1 :]]
    return condition, factors


def scaled(b: Builder, value: Value, scale: Fraction | float, factors: list[Scalar], order: Axes) -> Value:
    """An array that is there already multiplied by a number and by scalar factors, reciprocals as divisions."""
    match value.array:
        case Map("neg", (positive,)):
            value, scale = replace(value, array=positive), -scale
    above: list[Scalar] = []
    below: list[Scalar] = []
    for factor in factors:
        match factor:
            case Power(base, Number(n)) if n < 0:
                below.append(_plain(multiply(UNIT, Power(base, Number(-n)))))
            case _:
                above.append(factor)
    if isinstance(scale, Fraction) and scale.denominator != 1 and not above:
        below.insert(0, Number(Fraction(scale.denominator)))
        scale = Fraction(scale.numerator)
    size = -scale if scale < 0 else scale
    total = value
    if size != 1 or above:
        total = mapped("mul", [product(b, size, above, order), total], order)
    if below:
        total = mapped("div", [total, product(b, Fraction(1), below, order)], order)
    if scale >= 0:
        return total
    return Value(Map("neg", (total.array,)), total.axes, "scalar" if total.kind == "scalar" else "float")


def _plain(node: Scalar) -> Scalar:
    return node.base if isinstance(node, Power) and node.exponent == UNIT else node
