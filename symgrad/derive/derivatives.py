"""Derivatives of scalar functions, one table row each; f is the function's own value, u and v its arguments."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from symgrad.declare.algebra import (
    add,
    apply,
    divide,
    from_integer,
    indicator,
    multiply,
    negate,
    number,
    power,
    select,
    subtract,
)
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, conjuncts, negation, relation
from symgrad.declare.frozen import remember
from symgrad.declare.integers import as_poly, extreme
from symgrad.declare.scalars import (
    NOUGHT,
    UNIT,
    Add,
    Apply,
    Condition,
    FromInteger,
    Mul,
    Named,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    Sloped,
    Stopped,
    children,
    reads_of,
    walk,
)
from symgrad.derive.flat import is_flat
from symgrad.errors import DerivationError

ONE, TWO, HALF = number(1), number(2), Number(Fraction(1, 2))
Rule = Callable[[Scalar, Scalar], Scalar]


def _square(u: Scalar) -> Scalar:
    return power(u, TWO)


def _bell(u: Scalar) -> Scalar:
    """2 / sqrt(pi) * exp(-u^2)."""
    return multiply(TWO, power(Named("pi"), negate(HALF)), apply("exp", negate(_square(u))))


def inverse_mills_ratio(u: Scalar) -> Scalar:
    """``exp(-u^2) / erfc(u)``: by the scaled function where u > 0, as it stands elsewhere, where erfc(u) >= 1."""
    low = apply("min", u, NOUGHT)
    plain = divide(apply("exp", negate(_square(low))), add(ONE, apply("erf", negate(low))))
    return select(relation("<", NOUGHT, u), power(apply("erfcx", u), number(-1)), plain)


def _slope_of_tail(u: Scalar) -> Scalar:
    """The slope of ``log(erfc(u))``, and of that of half of it."""
    return multiply(number(-2), power(Named("pi"), negate(HALF)), inverse_mills_ratio(u))


def _is_falling(u: Scalar) -> bool:
    """Whether a value is ``-|v|``: exp(u) - 1 is near -1 where v is large, and adding 1 to it loses the digits."""
    match u:
        case Mul(c, (Apply("abs", _),)):
            return c < 0
    return False


# f(u): derivative as a function of (f, u)
UNARY: dict[str, Rule] = {
    "exp": lambda f, u: f,
    "expm1": lambda f, u: apply("exp", u) if _is_falling(u) else add(f, ONE),
    "log": lambda f, u: power(u, number(-1)),
    "log1p": lambda f, u: power(add(ONE, u), number(-1)),
    "sin": lambda f, u: apply("cos", u),
    "cos": lambda f, u: negate(apply("sin", u)),
    "tan": lambda f, u: add(ONE, _square(f)),
    "arcsin": lambda f, u: power(subtract(ONE, _square(u)), negate(HALF)),
    "arccos": lambda f, u: negate(power(subtract(ONE, _square(u)), negate(HALF))),
    "arctan": lambda f, u: power(add(ONE, _square(u)), number(-1)),
    "sinh": lambda f, u: apply("cosh", u),
    "cosh": lambda f, u: apply("sinh", u),
    "tanh": lambda f, u: subtract(ONE, _square(f)),
    "arcsinh": lambda f, u: power(add(_square(u), ONE), negate(HALF)),
    "arccosh": lambda f, u: power(subtract(_square(u), ONE), negate(HALF)),
    "arctanh": lambda f, u: power(subtract(ONE, _square(u)), number(-1)),
    "erf": lambda f, u: _bell(u),
    "erfc": lambda f, u: negate(_bell(u)),
    "erfcx": lambda f, u: multiply(number(-2), apply("ierfcx", u)),
    "ierfcx": lambda f, u: subtract(multiply(TWO, u, f), apply("erfcx", u)),
    "logerfc": lambda f, u: _slope_of_tail(u),
    "loghalferfc": lambda f, u: _slope_of_tail(u),
    "sigmoid": lambda f, u: multiply(f, subtract(ONE, f)),
    "softplus": lambda f, u: apply("sigmoid", u),
    "logcosh": lambda f, u: apply("tanh", u),
    "log1mexp": lambda f, u: divide(apply("exp", u), apply("expm1", u)),
    "abs": lambda f, u: apply("sign", u),
    "sign": lambda f, u: NOUGHT,
    "floor": lambda f, u: NOUGHT,
    "ceil": lambda f, u: NOUGHT,
}

# f(u, v): derivatives as functions of (u, v)
BINARY: dict[str, tuple[Rule, Rule]] = {
    "mod": (lambda u, v: ONE, lambda u, v: negate(apply("floor", divide(u, v)))),
    "arctan2": (
        lambda u, v: divide(v, add(_square(u), _square(v))),
        lambda u, v: negate(divide(u, add(_square(u), _square(v)))),
    ),
}


@remember
def derivative(node: Scalar, read: Read, flat: frozenset[str] = frozenset()) -> Scalar:
    """The partial derivative of a pointwise expression with respect to one read.

    A root of what is flat at 0 (the tensors ``flat`` are, see ``flat.py``) has slope 0 there.

    Raises:
        DerivationError: the expression holds a function without a derivative.
    """
    if node == read:
        return UNIT
    if read not in reads_of(node):
        return NOUGHT
    match node:
        case Add(args):
            return add(*(derivative(a, read, flat) for a in args))
        case Mul(coefficient, args):
            return multiply(Number(coefficient), _product(args, read, flat))
        case Power(base, exponent):
            return _power(node, base, exponent, read, flat)
        case Apply("max" | "min", args):
            return _extreme(node.function, args, read, flat)
        case Apply(function, (u,)) if function in UNARY:
            return multiply(UNARY[function](node, u), derivative(u, read, flat))
        case Apply(function, (u, v)) if function in BINARY:
            du, dv = BINARY[function]
            return add(multiply(du(u, v), derivative(u, read, flat)), multiply(dv(u, v), derivative(v, read, flat)))
        case Select(condition, then, otherwise):
            return _in_one(condition, derivative(then, read, flat), derivative(otherwise, read, flat))
        case Sloped(variable, slope):
            return multiply(slope, derivative(variable, read, flat))
        case Stopped() | FromInteger() | Read() | Reduce():
            return NOUGHT
    raise DerivationError(f"symgrad knows no derivative of {node}")


def _product(args: tuple[Scalar, ...], read: Read, flat: frozenset[str]) -> Scalar:
    return add(*(multiply(derivative(a, read, flat), *args[:p], *args[p + 1 :]) for p, a in enumerate(args)))


def _power(node: Scalar, base: Scalar, exponent: Scalar, read: Read, flat: frozenset[str]) -> Scalar:
    total: Scalar = NOUGHT
    if read in reads_of(base):
        outer = multiply(exponent, power(base, _lowered(exponent)))
        if is_flat(base, flat) and not (isinstance(exponent, Number) and not 0 < exponent.value < 1):
            steep = multiply(exponent, power(base, subtract(exponent, ONE)))
            outer = select(relation("!=", base, NOUGHT), steep, NOUGHT)
        total = multiply(outer, derivative(base, read, flat))
    if read in reads_of(exponent):
        total = add(total, multiply(node, apply("log", base), derivative(exponent, read, flat)))
    return total


def _lowered(exponent: Scalar) -> Scalar:
    """The exponent less one; it stops at 0 where it can be 0, since the factor before the power is 0 then."""
    if isinstance(exponent, FromInteger) and nonnegative(exponent.poly):
        return from_integer(extreme("max", [exponent.poly - 1, as_poly(0)]))
    if isinstance(exponent, Read):
        return subtract(exponent, indicator(relation("!=", exponent, NOUGHT)))
    return subtract(exponent, ONE)


def _extreme(function: str, args: tuple[Scalar, ...], read: Read, flat: frozenset[str]) -> Scalar:
    """An argument wins if it beats every earlier one strictly and every later one at least ties."""
    parts = []
    for p, a in enumerate(args):
        slope = derivative(a, read, flat)
        if slope == NOUGHT:
            continue
        flip = function == "min"
        earlier = [relation("<", a, o) if flip else relation("<", o, a) for o in args[:p]]
        later = [relation("<=", a, o) if flip else relation("<=", o, a) for o in args[p + 1 :]]
        wins = all_of(*earlier, *later)
        # An infinite slope times 0 is no number: what may be infinite is chosen.
        parts.append(select(wins, slope, NOUGHT) if may_be_infinite(slope) else multiply(slope, indicator(wins)))
    return add(*parts)


UNBOUNDED = frozenset({"exp", "expm1", "sinh", "cosh", "tan", "log", "log1p", "log1mexp", "arctanh"})


def may_be_infinite(node: Scalar, apart: frozenset[Scalar] = frozenset()) -> bool:
    """Whether a value can be infinite, or no number, where what it reads is finite: by a power or a steep function.

    What is ``apart`` from 0 by a condition has a finite logarithm, and finite powers from -1/2 to 1.
    """
    match node:
        case Apply("log", (inner,)) if inner in apart:
            return may_be_infinite(inner, apart)
        case Power(inner, Number(exponent)) if inner in apart and Fraction(-1, 2) <= exponent <= 1:
            return may_be_infinite(inner, apart)
        case Apply(function, _) if function in UNBOUNDED and reads_of(node):
            return True
        case Power(base, _) if reads_of(base):
            return True
        case Select(condition, then, otherwise):
            told = frozenset(map(_not_nought, conjuncts(condition)))
            return may_be_infinite(then, apart | told) or may_be_infinite(otherwise, apart)
    return any(may_be_infinite(child, apart) for child in children(node) if not isinstance(child, Condition))


def _in_one(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar:
    """A choice; one arm among zeros is behind one condition, where integers alone decide."""
    match then, otherwise:
        case Number(0), Select(inner, chosen, Number(0)) if _is_whole(condition) and _is_whole(inner):
            return select(all_of(negation(condition), inner), chosen, NOUGHT)
        case Select(inner, chosen, Number(0)), Number(0) if _is_whole(condition) and _is_whole(inner):
            return select(all_of(condition, inner), chosen, NOUGHT)
    return select(condition, then, otherwise)


def _is_whole(condition: Condition) -> bool:
    return not any(isinstance(part, Relation) for part in walk(condition))


def _not_nought(condition: Condition) -> Scalar:
    """What a condition keeps apart from 0; 1 if nothing."""
    match condition:
        case Relation("<", Number(0), value) | Relation("!=", Number(0), value) | Relation("!=", value, Number(0)):
            return value
    return UNIT


def live_reads(body: Scalar) -> tuple[Read, ...]:
    """Reads outside StopGradient, and outside the slopes of gradients of one's own."""
    found: dict[Read, None] = {}

    def visit(node: Node) -> None:
        if isinstance(node, Read):
            found[node] = None
        match node:
            case Stopped():
                return
            case Sloped(variable, _):
                visit(variable)
                return
        for child in children(node):
            visit(child)

    visit(body)
    return tuple(found)
