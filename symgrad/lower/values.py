"""Elementwise operations on values: axes aligned, dtypes kept, scalars folded in first."""

from __future__ import annotations

from fractions import Fraction

from symgrad.lower.arrays import Array, Cast, Const, Helper, Map, Name, Value, Whole
from symgrad.lower.axes import Axes, align, union

# NumPy's functions of a Python number give float64, which would promote float32 arrays; math's stay weak.
SCALAR = {f: f"math.{f}" for f in ("sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh")}
SCALAR |= {f"arc{f}": f"math.a{f}" for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
SCALAR |= {"floor": "math.floor", "ceil": "math.ceil", "erf": "math.erf", "erfc": "math.erfc", "arctan2": "math.atan2"}
SCALAR |= {"maximum": "max", "minimum": "min", "pow": "math.pow"}
TYPED = frozenset({"log1mexp", "erfcx", "ierfcx", "logerfc", "loghalferfc"})
"""Functions whose digits depend on the dtype of what they are given."""
OPERATORS = frozenset({"add", "sub", "mul", "div", "mod", "neg"})


def mapped(function: str, values: list[Value], order: Axes, kind: str = "float") -> Value:
    """An elementwise function of aligned values."""
    axes = union(values, order)
    arrays = tuple(align(v, axes) for v in values)
    if kind == "float" and all(v.kind == "scalar" for v in values):
        function = "where" if function == "chosen" else function
        if function in TYPED:
            arrays = tuple(Helper("np.float64", (a,)) for a in arrays)
        if function == "div" and _is_of_sizes(arrays[1]):
            # A Python number cannot be divided by an extent of 0.
            return Value(Helper("float", (Helper("np.divide", arrays),)), (), "scalar")
        array: Array = Map(SCALAR.get(function, function), arrays)
        if function not in SCALAR and function not in OPERATORS:
            array = Helper("float", (array,))  # no counterpart in math
        return Value(array, (), "scalar")
    if function == "where" and all(v.kind == "scalar" for v in values[1:]):
        # Two Python numbers chosen by an array would come out as float64.
        return Value(Cast(Map(function, arrays), "float"), axes, kind)
    return Value(Map(function, arrays), axes, kind)


def _is_of_sizes(array: Array) -> bool:
    """Whether a number is a product or a power of extents, which may be 0."""
    match array:
        case Whole(poly):
            return poly.constant is None
        case Map("mul", args):
            return any(map(_is_of_sizes, args))
        case Map("math.sqrt" | "math.pow", (base, *_)):
            return _is_of_sizes(base)
    return False


def as_float(value: Value) -> Value:
    """Booleans and integers as the layer's dtype, so that nothing is promoted by accident."""
    if value.array in (Name("True"), Name("False")):
        return Value(Const(Fraction(value.array == Name("True"))), (), "scalar")
    if value.kind == "bool" and not value.axes:
        return Value(Helper("float", (value.array,)), (), "scalar")
    if value.kind in ("bool", "int"):
        return Value(Cast(value.array, "float"), value.axes)
    return value


def add_values(values: list[Value], order: Axes) -> Value:
    """Sum of values, a negated one subtracted."""
    total = values[0]
    for v in values[1:]:
        match v.array:
            case Map("neg", (inner,)):
                total = mapped("sub", [total, Value(inner, v.axes, v.kind)], order)
            case _:
                total = mapped("add", [total, v], order)
    return total


def times(values: list[Value], order: Axes) -> Value | None:
    """Product of values over the same axes; booleans last, so that they act as masks. None if there are no values."""
    total: Value | None = None
    for v in sorted(values, key=lambda v: v.kind == "bool"):
        total = v if total is None else multiplied(total, v, order)
    return total


def multiplied(left: Value, right: Value, order: Axes) -> Value:
    """The product of two values: of two masks the mask where both hold."""
    if left.kind == "bool" and right.kind == "bool":
        return mapped("and", [left, right], order, "bool")
    if left.kind == "bool":
        left, right = right, left
    if left.kind == "scalar" and right.kind == "bool":
        right = as_float(right)
    return mapped("mul", [left, right], order)


def assemble(coefficient: Fraction | float, groups: list[tuple[Value | None, Value | None]], order: Axes) -> Value:
    """Multiply the groups (numerator, denominator), smallest first; the number goes to the first of them."""
    negative = coefficient < 0
    number = -coefficient if negative else coefficient
    top, bottom = (number.numerator, number.denominator) if isinstance(number, Fraction) else (number, 1)
    total: Value | None = None
    divisors: list[Value] = []
    dyadic = _power_of_two(bottom)
    if negative and (top != 1 or (bottom != 1 and dyadic)):  # a number takes the sign, no operation of its own
        top, number, negative = -top, -number, False
    if top != 1 or (bottom != 1 and dyadic):
        total = Value(Const(number if dyadic else top), (), "scalar")
        bottom = 1 if dyadic else bottom
    if bottom != 1:
        divisors.append(Value(Const(Fraction(bottom)), (), "scalar"))
    for above, below in groups:
        if above is not None:
            total = above if total is None else multiplied(total, above, order)
        if below is not None:
            divisors.append(below)
        if total is None or (
            total.kind == "scalar" and (above is None or any(isinstance(d.array, Whole) for d in divisors))
        ):
            continue  # an array can be divided by an extent of 0, a number cannot
        if divisors:
            for d in divisors:
                total = mapped("div", [as_float(total), d], order)
            divisors = []
    for d in divisors:
        total = mapped("div", [total or Value(Const(Fraction(1)), (), "scalar"), d], order)
    if total is None:
        total = Value(Const(Fraction(1)), (), "scalar")
    if negative:
        total = Value(Map("neg", (as_float(total).array,)), total.axes, total.kind)
    return total


def _power_of_two(n: int) -> bool:
    return n & (n - 1) == 0


def whole_power(value: Value, n: int, order: Axes) -> Value:
    """Repeated squaring: ``x**n`` is many times slower than products for n >= 3."""
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
    doubled = mapped("square", [whole_power(value, n // 2, order)], order)
    return mapped("mul", [doubled, value], order) if n % 2 else doubled
