"""Pointwise expressions as elementwise array operations with broadcasting."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import apply, conjuncts, negation, power, select
from symgrad.declare.integers import Index, atoms
from symgrad.declare.scalars import (
    NOUGHT,
    UNIT,
    Add,
    All,
    AnyOf,
    Apply,
    Compare,
    Condition,
    FromInteger,
    Mul,
    Named,
    Node,
    Number,
    Power,
    Read,
    Relation,
    Scalar,
    Select,
    Stopped,
    Truth,
    map_children,
)
from symgrad.lower.arrays import Array, Cast, Const, Helper, Map, Name, Value, Whole
from symgrad.lower.builder import Builder
from symgrad.lower.views import align, integer, read, union

Order = tuple[Index, ...]


def value_of(b: Builder, node: Scalar, order: Order) -> Value:
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


# NumPy's functions of a Python number give float64, which would promote float32 arrays; math's stay weak.
SCALAR = {f: f"math.{f}" for f in ("sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh")}
SCALAR |= {f"arc{f}": f"math.a{f}" for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
SCALAR |= {"floor": "math.floor", "ceil": "math.ceil", "erf": "math.erf", "erfc": "math.erfc", "arctan2": "math.atan2"}
SCALAR |= {"maximum": "max", "minimum": "min", "pow": "math.pow"}


def mapped(function: str, values: list[Value], order: Order, kind: str = "float") -> Value:
    """An elementwise function of aligned values."""
    axes = union(values, order)
    arrays = tuple(align(v, axes) for v in values)
    if kind == "float" and all(v.kind == "scalar" for v in values):
        return Value(Map(SCALAR.get(function, function), arrays), (), "scalar")
    if function == "where" and all(v.kind == "scalar" for v in values[1:]):
        # Two Python numbers chosen by an array would come out as float64.
        return Value(Cast(Map(function, arrays), "float"), axes, kind)
    return Value(Map(function, arrays), axes, kind)


def as_float(value: Value) -> Value:
    """Booleans and integers as the layer's dtype, so that nothing is promoted by accident."""
    if value.array in (Name("True"), Name("False")):
        return Value(Const(Fraction(value.array == Name("True"))), (), "scalar")
    if value.kind == "bool" and not value.axes:
        return Value(Helper("float", (value.array,)), (), "scalar")
    if value.kind in ("bool", "int"):
        return Value(Cast(value.array, "float"), value.axes)
    return value


def _fold(b: Builder, function: str, args: tuple[Scalar, ...], order: Order) -> Value:
    """Tensors first, numbers last: ``np.maximum(x, 0)``."""
    values = [as_float(value_of(b, a, order)) for a in args]
    values.sort(key=lambda v: v.kind == "scalar")
    total = values[0]
    for v in values[1:]:
        total = mapped(function, [total, v], order)
    return total


# --- sums and products -------------------------------------------------------------------------------------------


def _sum(b: Builder, node: Add, order: Order) -> Value:
    """Positive terms first; terms over fewer axes are combined before they are broadcast."""
    signed = [_sign(a) for a in node.args]
    signed.sort(key=lambda st: st[0] < 0)
    groups: dict[frozenset[Index], Value] = {}
    pieces = [(s, as_float(value_of(b, t, order))) for s, t in signed]
    for sign, value in pieces:
        key = frozenset(value.axes)
        if key in groups:
            groups[key] = mapped("sub" if sign < 0 else "add", [groups[key], value], order)
        else:
            groups[key] = value if sign > 0 else Value(Map("neg", (value.array,)), value.axes, value.kind)
    ordered = sorted(groups.values(), key=lambda v: (isinstance(v.array, Map) and v.array.function == "neg", -len(v.axes)))
    return add_values(ordered, order)


def add_values(values: list[Value], order: Order) -> Value:
    """Sum of values, a negated one subtracted."""
    total = values[0]
    for v in values[1:]:
        match v.array:
            case Map("neg", (inner,)):
                total = mapped("sub", [total, Value(inner, v.axes, v.kind)], order)
            case _:
                total = mapped("add", [total, v], order)
    return total


def _sign(term: Scalar) -> tuple[int, Scalar]:
    match term:
        case Number(value) if value < 0:
            return -1, Number(-value)
        case Mul(coefficient, args) if coefficient < 0:
            from symgrad.declare.algebra import multiply

            return -1, multiply(Number(-coefficient), *args)
    return 1, term


def product(b: Builder, coefficient: Fraction | float, factors: list[Scalar], order: Order) -> Value:
    """A product: factors over fewer axes first, reciprocals as divisions."""
    above: dict[frozenset[Index], list[Value]] = {}
    below: dict[frozenset[Index], list[Value]] = {}
    for factor in factors:
        inverse = _reciprocal(factor)
        value = value_of(b, factor if inverse is None else inverse, order)
        (above if inverse is None else below).setdefault(frozenset(value.axes), []).append(value)
    keys = sorted({*above, *below}, key=lambda k: (len(k), sorted(i.name for i in k)))
    groups = [(k, _times(above.get(k, []), order), _times(below.get(k, []), order)) for k in keys]
    # Small groups that do not nest would make a full-size product of their own: they meet the largest one by one.
    chain = [g for g in groups if all(g[0] <= k or k <= g[0] for k in keys)]
    rest = [(a, c) for g, a, c in groups if (g, a, c) not in chain]
    if rest and chain and chain[-1][0] == keys[-1]:
        ordered = [(a, c) for _, a, c in chain] + rest
    else:
        ordered = [(a, c) for _, a, c in groups]
    return _assemble(coefficient, ordered, order)


def _reciprocal(factor: Scalar) -> Scalar | None:
    match factor:
        case Power(base, Number(n)) if n < 0:
            return power(base, Number(-n))
        case Power(base, Mul(c, args)) if c < 0:
            from symgrad.declare.algebra import multiply

            return power(base, multiply(Number(-c), *args))
    return None


def _times(values: list[Value], order: Order) -> Value | None:
    """Product of values over the same axes; booleans last, so that they act as masks."""
    if not values:
        return None
    values = sorted(values, key=lambda v: v.kind == "bool")
    total = values[0]
    for v in values[1:]:
        if total.kind == "bool" and v.kind == "bool":
            total = mapped("and", [total, v], order, "bool")
        else:
            total = mapped("mul", [total, v], order)
    return total


def _assemble(
    coefficient: Fraction | float, groups: list[tuple[Value | None, Value | None]], order: Order
) -> Value:
    """Multiply the groups, smallest first; the number goes to the first of them."""
    negative = coefficient < 0
    number = abs(coefficient)
    top, bottom = (number.numerator, number.denominator) if isinstance(number, Fraction) else (number, 1)
    total: Value | None = None
    divisors: list[Value] = []
    if negative and top != 1:
        top, negative = -top, False
    if top != 1 or (top == 1 and bottom != 1 and _power_of_two(bottom)):
        exact = Fraction(top, bottom) if isinstance(number, Fraction) and _power_of_two(bottom) else top
        total = Value(Const(exact), (), "scalar")
        bottom = 1 if isinstance(number, Fraction) and _power_of_two(bottom) else bottom
    if bottom != 1:
        divisors.append(Value(Const(Fraction(bottom)), (), "scalar"))
    for above, below in groups:
        if above is not None:
            total = above if total is None else _multiply(total, above, order)
        if below is not None:
            divisors.append(below)
        if total is not None and divisors and (above is not None or total.kind != "scalar"):
            for d in divisors:
                total = mapped("div", [as_float(total), d], order)
            divisors = []
    for d in divisors:
        total = mapped("div", [total or Value(Const(Fraction(1)), (), "scalar"), d], order)
    if total is None:
        total = Value(Const(Fraction(top)), (), "scalar")
    if negative:
        total = Value(Map("neg", (as_float(total).array,)), total.axes, total.kind)
    return total


def _power_of_two(n: int | float) -> bool:
    return isinstance(n, int) and n & (n - 1) == 0


def _multiply(left: Value, right: Value, order: Order) -> Value:
    if left.kind == "bool" and right.kind == "bool":
        return mapped("and", [left, right], order, "bool")
    if left.kind == "bool":
        left, right = right, left
    if left.kind == "scalar" and right.kind == "bool":
        right = as_float(right)
    return mapped("mul", [left, right], order)


def _power(b: Builder, node: Power, order: Order) -> Value:
    match node.exponent:
        case Number(n) if n < 0:
            return product(b, Fraction(1), [node], order)
        case Number(Fraction(numerator=1, denominator=2)):
            return mapped("sqrt", [as_float(value_of(b, node.base, order))], order)
        case Number(n) if isinstance(n, Fraction) and n.denominator == 1 and n <= 8:
            return _whole_power(b, node.base, int(n), order)
        case Number(n) if isinstance(n, Fraction) and n.denominator == 2:
            root = mapped("sqrt", [as_float(value_of(b, node.base, order))], order)
            rest = _whole_power(b, node.base, int(n), order)
            return mapped("mul", [rest, root], order)
    values = [as_float(value_of(b, node.base, order)), as_float(value_of(b, node.exponent, order))]
    return mapped("pow", values, order)


def _whole_power(b: Builder, base: Scalar, n: int, order: Order) -> Value:
    """Repeated squaring: ``x**n`` is many times slower than products for n >= 3."""
    value = as_float(value_of(b, base, order))
    if value.kind == "scalar" and n > 1:
        return mapped("pow", [value, Value(Const(Fraction(n)), (), "scalar")], order)
    square = mapped("square", [value], order)
    match n:
        case 1:
            return value
        case 2:
            return square
        case 3:
            return mapped("mul", [square, value], order)
        case 4:
            return mapped("square", [square], order)
    half = _whole_power(b, base, n // 2, order)
    doubled = mapped("square", [half], order)
    return mapped("mul", [doubled, value], order) if n % 2 else doubled


# --- conditions --------------------------------------------------------------------------------------------------


def condition_value(b: Builder, condition: Condition, order: Order) -> Value:
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
            return mapped("and", [condition_value(b, a, order) for a in args], order, "bool")
        case AnyOf(args):
            return mapped("or", [condition_value(b, a, order) for a in args], order, "bool")
    raise TypeError(condition)


def _compare(b: Builder, relation: str, poly, order: Order) -> Value:  # type: ignore[no-untyped-def]
    """Indices that count on one side, the rest on the other, so that it reads like the declaration."""
    from symgrad.declare.integers import Poly

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


def _select(b: Builder, condition: Condition, then: Scalar, otherwise: Scalar, order: Order) -> Value:
    match then, otherwise:
        case Number(a), Number(c) if a == 1 and c == 0:
            return condition_value(b, condition, order)
        case Number(a), Number(c) if a == 0 and c == 1:
            return condition_value(b, negation(condition), order)
    if otherwise == NOUGHT and isinstance(then, Apply) and then.function == "exp":
        # exp(-inf) is 0: the mask goes into the exponent, where it also keeps exp from overflowing.
        masked = select(condition, then.args[0], Number(float("-inf")))
        return mapped("exp", [as_float(value_of(b, masked, order))], order)
    clipped = _as_clip(condition, then, otherwise)
    if clipped is not None:
        return value_of(b, clipped, order)
    first = as_float(value_of(b, guard(then, condition), order))
    second = as_float(value_of(b, guard(otherwise, negation(condition)), order))
    test = condition_value(b, condition, order)
    return mapped("where", [test, first, second], order)


def _as_clip(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar | None:
    """A choice between two values by their own comparison is a maximum or a minimum."""
    match condition:
        case Relation("<" | "<=", left, right) if {left, right} == {then, otherwise}:
            return apply("max" if then == right else "min", then, otherwise)
    return None


_SAFE: dict[str, Scalar] = {
    "log": UNIT,
    "log1p": NOUGHT,
    "exp": NOUGHT,
    "expm1": NOUGHT,
    "arcsin": NOUGHT,
    "arccos": NOUGHT,
    "arctanh": NOUGHT,
    "arccosh": UNIT,
    "sinh": NOUGHT,
    "cosh": NOUGHT,
    "tan": NOUGHT,
}


def guard(node: Node, condition: Condition) -> Scalar:
    """Arguments that are harmless where the condition fails: NumPy evaluates both arms of a choice."""

    def change(part: Node) -> Node:
        part = map_children(part, change)
        match part:
            case Apply(function, (u,)) if function in _SAFE and not isinstance(u, Number):
                return apply(function, select(condition, u, _SAFE[function]))
            case Power(base, Number(n)) if (
                (n < 0 or not (isinstance(n, Fraction) and n.denominator == 1)) and not _plain_number(base)
            ):
                return Power(select(condition, base, UNIT), Number(n))
        return part

    if all(isinstance(c, Truth) for c in conjuncts(condition)):
        return node  # type: ignore[return-value]
    return change(node)  # type: ignore[return-value]


def _plain_number(node: Scalar) -> bool:
    return isinstance(node, Number | FromInteger | Named)


def as_array(value: Value) -> Array:
    """The array of a value."""
    return value.array


__all__ = ["Whole", "add_values", "as_array", "condition_value", "guard", "mapped", "product", "value_of"]
