"""Pointwise expressions as elementwise array operations with broadcasting."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from symgrad.declare.algebra import multiply, power, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least, conjuncts, negation
from symgrad.declare.integers import Index, Poly, atoms
from symgrad.declare.scalars import (
    NOUGHT,
    PLAIN,
    Add,
    All,
    AnyOf,
    Apply,
    Compare,
    Condition,
    Extension,
    FromInteger,
    Mul,
    Named,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    Stopped,
    Truth,
    free_indices,
    tensors_of,
    walk,
)
from symgrad.lower.arrays import Cast, Const, Map, Name, Value
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder
from symgrad.lower.choices import as_clip, guard
from symgrad.lower.reads import integer, read
from symgrad.lower.values import add_values, as_float, assemble, mapped, times, whole_power


def value_of(b: Builder, node: Scalar, order: Axes) -> Value:
    """A pointwise expression as an array over its indices (loop variables excepted)."""
    match node:
        case Number(value):
            return Value(Const(value), (), "scalar")
        case Named(name):
            return Value(Name(f"np.{name}"), (), "scalar")
        case FromInteger(poly):
            found = integer(b, poly, order)
            if not found.axes and not any(hasattr(a, "tensor") for a in atoms(poly)):
                return Value(found.array, (), "scalar")
            return Value(Cast(found.array, "float"), found.axes)
        case Read(tensor, (), _) if tensor in {a.name for a in b.program.attributes}:
            return Value(Name(tensor), (), "scalar")
        case Read(tensor, indices, extension):
            return read(b, Name(tensor), b.program.extents(tensor), indices, extension, order, tensor)
        case Stopped(value):
            return value_of(b, value, order)
        case Add():
            return _sum(b, node, order)
        case Mul():
            return product(b, node.coefficient, list(node.args), order)
        case Power():
            return _power(b, node, order)
        case Select(condition, then, otherwise):
            return _select(b, condition, then, otherwise, order)
        case Apply("max" | "min", args):
            return _fold(b, "maximum" if node.function == "max" else "minimum", args, order)
        case Apply(function, args):
            return mapped(function, [as_float(value_of(b, a, order)) for a in args], order)
    raise TypeError(f"not pointwise: {node}")


def _fold(b: Builder, function: str, args: tuple[Scalar, ...], order: Axes) -> Value:
    """Tensors first, numbers last: ``np.maximum(x, 0)``."""
    values = [as_float(value_of(b, a, order)) for a in args]
    values.sort(key=lambda v: v.kind == "scalar")
    total = values[0]
    for v in values[1:]:
        total = mapped(function, [total, v], order)
    return total


def _sum(b: Builder, node: Add, order: Axes) -> Value:
    """Positive terms first; terms over fewer axes are combined before they are broadcast.

    A shift (a stopped maximum) meets what it shifts before any logarithm is added: the other order loses digits.
    """
    signed = [_sign(t) for a in node.args for t in _opened(a)]
    signed.sort(key=lambda st: st[0] < 0)
    late = [st for st in signed if isinstance(st[1], Apply) and st[1].function == "log"]
    if late and len(late) < len(signed) and any(_is_shift(b, t) for _, t in signed):
        pairs = _pairs(b, [st for st in signed if st not in late])
        total = (
            add_values([_grouped(b, p, order) for p in pairs], order)
            if len(pairs) > 1
            else _grouped(b, pairs[0], order)
        )
        for sign, term in late:
            value = as_float(value_of(b, term, order))
            total = mapped("sub" if sign < 0 else "add", [total, value], order)
        return total
    return _grouped(b, signed, order)


def _pairs(b: Builder, signed: list[tuple[int, Scalar]]) -> list[list[tuple[int, Scalar]]]:
    """The terms apart by the shift that they go with, if there are several: each meets what it was the largest of."""
    shifts = [st for st in signed if _is_shift(b, st[1])]
    found = [[st] for st in shifts]
    rest: list[tuple[int, Scalar]] = []
    for sign, term in (st for st in signed if st not in shifts):
        own = [p for p in found if p[0][0] != sign and set(tensors_of(term)) & _shifted_by(b, p[0][1])]
        (own[0] if own and len(shifts) > 1 else rest).append((sign, term))
    return [*found, *([rest] if rest else [])] if len(shifts) > 1 else [signed]


def _is_shift(b: Builder, term: Scalar) -> bool:
    """Whether a term is the largest of some exponents, taken out of a sum."""
    match term:
        case Stopped():
            return True
        case Read(tensor, _, _):
            equation = b.program.equation(tensor)
            return equation is not None and isinstance(equation.body, Reduce) and equation.body.ties == "none"
    return False


def _shifted_by(b: Builder, shift: Scalar) -> set[str]:
    """The tensors that a shift is the largest value of."""
    found: set[str] = set()
    waiting = list(tensors_of(shift))
    while waiting:
        equation = b.program.equation(waiting.pop())
        inner = set() if equation is None else set(tensors_of(equation.body)) - found
        found |= inner
        waiting += sorted(inner)
    return found


def _opened(term: Scalar) -> tuple[Scalar, ...]:
    """The terms of ``-(a + b)`` if a shift is among them."""
    match term:
        case Mul(c, (Add(inner),)) if c == -1 and any(isinstance(t, Stopped) for t in inner):
            return tuple(multiply(Number(c), t) for t in inner)
    return (term,)


def _grouped(b: Builder, signed: list[tuple[int, Scalar]], order: Axes) -> Value:
    """The sum of signed terms, those over equal axes first."""
    groups: dict[frozenset[Index], Value] = {}
    pieces = [(s, as_float(value_of(b, t, order))) for s, t in signed]
    for sign, value in pieces:
        key = frozenset(value.axes)
        if key in groups:
            groups[key] = mapped("sub" if sign < 0 else "add", [groups[key], value], order)
        else:
            groups[key] = value if sign > 0 else Value(Map("neg", (value.array,)), value.axes, value.kind)
    return add_values(sorted(groups.values(), key=lambda v: (_is_negated(v), -len(v.axes))), order)


def _is_negated(value: Value) -> bool:
    return isinstance(value.array, Map) and value.array.function == "neg"


def _sign(term: Scalar) -> tuple[int, Scalar]:
    match term:
        case Number(value) if value < 0:
            return -1, Number(-value)
        case Mul(coefficient, args) if coefficient < 0:
            return -1, multiply(Number(-coefficient), *args)
    return 1, term


def product(b: Builder, coefficient: Fraction | float, factors: list[Scalar], order: Axes) -> Value:
    """A product: factors over fewer axes first, reciprocals as divisions."""
    above: dict[frozenset[Index], list[Value]] = {}
    below: dict[frozenset[Index], list[Value]] = {}
    for factor in factors:
        inverse = _reciprocal(factor)
        value = value_of(b, factor if inverse is None else inverse, order)
        (above if inverse is None else below).setdefault(frozenset(value.axes), []).append(value)
    keys = sorted({*above, *below}, key=lambda k: (len(k), sorted(i.name for i in k)))
    groups = [(k, times(above.get(k, []), order), times(below.get(k, []), order)) for k in keys]
    if b.fast:
        groups = [_multiplying(b, g, groups, order) for g in groups]
    # Small groups that do not nest would make a full-size product of their own: they meet the largest one by one.
    chain = [g for g in groups if all(g[0] <= k or k <= g[0] for k in keys)]
    rest = [(a, c) for g, a, c in groups if (g, a, c) not in chain]
    if rest and chain and chain[-1][0] == keys[-1]:
        ordered = [(a, c) for _, a, c in chain] + rest
    else:
        ordered = [(a, c) for _, a, c in groups]
    return assemble(coefficient, ordered, order)


Group = tuple[frozenset[Index], Value | None, Value | None]


def _multiplying(b: Builder, group: Group, groups: list[Group], order: Axes) -> Group:
    """A root below factors over more axes as its reciprocal above: one division for each root, not for each element.

    The reciprocal of a root is as far from overflow as the root is, so that no result is lost.
    """
    axes, above, below = group
    larger = any(axes < other and top is not None for other, top, _ in groups)
    if above is not None or below is None or not larger or not axes:
        return group
    if not isinstance(below.array, Map) or below.array.function != "sqrt":
        return group
    b.because("one division for each root that many elements are divided by, and a multiplication for each of those")
    return axes, mapped("div", [Value(Const(Fraction(1)), (), "scalar"), below], order), None


def _reciprocal(factor: Scalar) -> Scalar | None:
    match factor:
        case Power(base, Number(n)) if n < 0:
            return power(base, Number(-n))
        case Power(base, Mul(c, args)) if c < 0:
            return power(base, multiply(Number(-c), *args))
    return None


def _power(b: Builder, node: Power, order: Axes) -> Value:
    match node.exponent:
        case Number(n) if n < 0:
            return product(b, Fraction(1), [node], order)
        case Number(Fraction(numerator=1, denominator=2)):
            return mapped("sqrt", [as_float(value_of(b, node.base, order))], order)
        case Number(n) if isinstance(n, Fraction) and n.denominator == 1 and n <= 8:
            return whole_power(as_float(value_of(b, node.base, order)), int(n), order)
        case Number(n) if isinstance(n, Fraction) and n.denominator == 2:
            value = as_float(value_of(b, node.base, order))
            return mapped("mul", [whole_power(value, int(n), order), mapped("sqrt", [value], order)], order)
    values = [as_float(value_of(b, node.base, order)), as_float(value_of(b, node.exponent, order))]
    return mapped("pow", values, order)


def condition_value(b: Builder, condition: Condition, order: Axes) -> Value:
    """A condition as a Boolean array."""
    match condition:
        case Truth(value):
            return Value(Name(str(value)), (), "bool")
        case Compare(relation, poly):
            return _compare(b, relation, poly, order)
        case Relation(relation, left, right):
            values = [as_float(value_of(b, s, order)) for s in (left, right)]
            flip = values[0].kind == "scalar" and relation in ("<", "<=")
            names = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne"}
            name = {"lt": "gt", "le": "ge"}[names[relation]] if flip else names[relation]
            return mapped(name, values[::-1] if flip else values, order, "bool")
        case All(args):
            return mapped("and", [condition_value(b, _beside(a, args), order) for a in args], order, "bool")
        case AnyOf(args):
            return mapped("or", [condition_value(b, a, order) for a in args], order, "bool")
    raise TypeError(condition)


def _beside(part: Condition, parts: tuple[Condition, ...]) -> Condition:
    """One of conditions that must all hold; what it compares need only have a value where the others do."""
    match part:
        case Relation(kind, left, right):
            others = all_of(*(p for p in parts if p != part))
            return Relation(kind, guard(left, others), guard(right, others))
    return part


def _compare(b: Builder, relation: str, poly: Poly, order: Axes) -> Value:
    """Indices that count on one side, the rest on the other, so that it reads like the declaration."""
    left = Poly(tuple(t for t in poly.terms if t[1] > 0))
    right = -Poly(tuple(t for t in poly.terms if t[1] < 0))
    names = {">=": "ge", "==": "eq", "!=": "ne"}
    values = [integer(b, left, order), integer(b, right, order)]
    if relation == ">=" and right.constant is not None and left.constant is None:
        return mapped("ge", values, order, "bool")
    if relation == ">=" and right.terms and right.terms[-1] == ((), 1):
        # a >= b + 1 reads better as b < a.
        smaller, larger = integer(b, right - 1, order), values[0]
        indexed = any(isinstance(a, Index) for a in atoms(right))
        return mapped("lt" if indexed else "gt", [smaller, larger] if indexed else [larger, smaller], order, "bool")
    return mapped(names[relation], values, order, "bool")


def _select(b: Builder, condition: Condition, then: Scalar, otherwise: Scalar, order: Axes) -> Value:
    match then, otherwise:
        case Number(a), Number(c) if a == 1 and c == 0:
            return condition_value(b, condition, order)
        case Number(a), Number(c) if a == 0 and c == 1:
            return condition_value(b, negation(condition), order)
    if otherwise == NOUGHT and isinstance(then, Apply) and then.function == "exp":
        # exp(-inf) is 0: the mask goes into the exponent, where it also keeps exp from overflowing.
        masked = select(condition, then.args[0], Number(float("-inf")))
        return mapped("exp", [as_float(value_of(b, masked, order))], order)
    clipped = as_clip(condition, then, otherwise)
    if clipped is not None:
        return value_of(b, clipped, order)
    bordered = _as_border(b, condition, then, otherwise)
    if bordered is not None:
        return value_of(b, bordered, order)
    first = as_float(value_of(b, guard(then, condition), order))
    second = as_float(value_of(b, guard(otherwise, condition, holds=False), order))
    test = condition_value(b, condition, order)
    if b.fast and not b.in_step and any(isinstance(part, Relation) for part in walk(condition)):
        b.because("where data decide between two values, bits are chosen: no branch to guess wrong for each element")
        return mapped("chosen", [test, first, second], order)
    return mapped("where", [test, first, second], order)


def _as_border(b: Builder, condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar | None:
    """A read where it is inside its tensor, else a number or what attributes give: a read with that border."""
    if not isinstance(then, Read) or then.extension not in PLAIN or not then.indices:
        return None
    if free_indices(otherwise) or not set(tensors_of(otherwise)) <= {a.name for a in b.program.attributes}:
        return None
    extents = b.program.extents(then.tensor)
    bounds = [at_least(i, 0) for i in then.indices]
    bounds += [at_least(e - 1, i) for i, e in zip(then.indices, extents, strict=True)]
    open_ends = [c for c in bounds if not (isinstance(c, Compare) and nonnegative(c.poly))]
    if not open_ends or set(conjuncts(all_of(*open_ends))) != set(conjuncts(condition)):
        return None
    if isinstance(otherwise, Number):
        return replace(then, extension=Extension("constant", float(otherwise.value)))
    fill = value_of(b, otherwise, ()).array
    name = fill.text if isinstance(fill, Name) else b.keep(fill, f"{then.tensor}_outside").text
    return replace(then, extension=Extension("constant", name=name))
