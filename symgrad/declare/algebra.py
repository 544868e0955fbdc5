"""Constructors that keep scalars in canonical form: sums and products collected and sorted.

Nothing is distributed and nothing is evaluated in floating point here; every rule holds for all real values
(``exp(a) * exp(b)`` merges, ``exp(x + log s)`` does not).
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import reduce
from math import prod
from operator import mul

from symgrad.declare.division import divide as divide_exactly
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Poly, Size, as_poly, atoms
from symgrad.declare.scalars import (
    FALSE,
    NOUGHT,
    TRUE,
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
    free_indices,
    reads_of,
    show_scalar,
)

_ORDER: dict[type, int] = {
    Number: 0,
    FromInteger: 1,
    Named: 2,
    Read: 3,
    Power: 4,
    Apply: 5,
    Reduce: 6,
    Select: 7,
    Stopped: 8,
    Sloped: 9,
    Mul: 10,
    Add: 11,
}

_ZERO, _ONE = Fraction(0), Fraction(1)


@remember
def key(node: Node) -> tuple[int, str]:
    """A total order on scalars that no hash seed changes."""
    return _ORDER.get(type(node), 20), show_scalar(node)


def number(value: int | float | Fraction) -> Number:
    """A number, exact if it is."""
    return Number(Fraction(value) if isinstance(value, int) else value)


def from_integer(poly: Poly) -> Scalar:
    """An integer expression as a number."""
    return number(poly.constant) if poly.constant is not None else FromInteger(poly)


@remember
def add(*args: Scalar) -> Scalar:
    """Sum, like terms collected."""
    constant: Fraction | float = _ZERO
    integer = Poly()
    totals: dict[Scalar, Fraction | float] = {}
    stack = list(reversed(args))
    while stack:
        match stack.pop():
            case Number(value):
                constant += value
            case FromInteger(poly):
                integer = integer + poly
            case Add(inner):
                stack.extend(reversed(inner))
            case Mul(coefficient, factors):
                core = _product(_ONE, factors)
                totals[core] = totals.get(core, _ZERO) + coefficient
            case other:
                totals[other] = totals.get(other, _ZERO) + 1
    terms = [t if c == 1 else multiply(Number(c), t) for t, c in totals.items() if c]
    if integer.constant is not None:
        constant += integer.constant
    else:
        terms.append(FromInteger(integer))
    if constant:
        terms.append(Number(constant))
    if not terms:
        return NOUGHT
    return terms[0] if len(terms) == 1 else Add(tuple(sorted(terms, key=_term_key)))


def _term_key(term: Scalar) -> tuple[object, ...]:
    """Constants last, negative terms after positive ones."""
    if isinstance(term, Mul):
        return (term.coefficient < 0, False, key(_product(_ONE, term.args)))
    constant = isinstance(term, Number | FromInteger)
    return (isinstance(term, Number) and term.value < 0, constant, key(term))


def negate(value: Scalar) -> Scalar:
    """Negation."""
    return multiply(number(-1), value)


def subtract(left: Scalar, right: Scalar) -> Scalar:
    """Difference."""
    return add(left, negate(right))


@remember
def multiply(*args: Scalar) -> Scalar:
    """Product, equal bases collected and exponentials merged."""
    coefficient: Fraction | float = _ONE
    powers: dict[Scalar, Scalar] = {}
    exponents: list[Scalar] = []
    above: list[Poly] = []
    below: list[Poly] = []
    stack = list(reversed(args))
    while stack:
        match stack.pop():
            case Number(value):
                coefficient *= value
            case Mul(c, factors):
                coefficient *= c
                stack.extend(reversed(factors))
            case FromInteger(poly) if _is_size(poly):
                above.append(poly)
            case Power(FromInteger(poly), Number(n)) if n == -1 and _is_size(poly):
                below.append(poly)
            case Apply("exp", (argument,)):
                exponents.append(argument)
            case Power(Apply("exp", (argument,)), Number() as n):
                exponents.append(multiply(n, argument))
            case Power(base, exponent):
                powers[base] = add(powers[base], exponent) if base in powers else exponent
            case other:
                powers[other] = add(powers[other], UNIT) if other in powers else UNIT
    if coefficient == 0:
        return NOUGHT
    for polys, sign in ((above, 1), (below, -1)):
        if is_long(polys):
            for poly in [p for p in polys if len(p.terms) > 1]:
                base = FromInteger(poly)
                powers[base] = add(powers.get(base, NOUGHT), number(sign))
                polys.remove(poly)
    made = [power(b, e) for b, e in powers.items()]
    made += _ratio(_multiplied(above), _multiplied(below))
    if exponents:
        made.append(apply("exp", add(*exponents)))
    for factor in made:
        if isinstance(factor, Number):
            coefficient *= factor.value
    return _product(coefficient, tuple(f for f in made if not isinstance(f, Number)))


LONGEST = 12
"""Terms of an integer expression that a product may have when it is multiplied out."""


def is_long(polys: Iterable[Poly]) -> bool:
    """Whether the product of integer expressions is better left as it is."""
    return prod(len(p.terms) for p in polys) > LONGEST


def _multiplied(polys: Iterable[Poly]) -> Poly:
    return reduce(mul, polys, as_poly(1))


def _is_size(poly: Poly) -> bool:
    """A number made of sizes alone: the same for every element."""
    return all(isinstance(a, Size) for a in atoms(poly))


def _ratio(above: Poly, below: Poly) -> list[Scalar]:
    """Sizes above and below a fraction line, what is common cancelled; their signs are known to be positive."""
    whole = divide_exactly(above, below)
    if whole is not None:
        return [] if whole == as_poly(1) else [from_integer(whole)]
    inverse = divide_exactly(below, above)
    if inverse is not None:
        return [Power(from_integer(inverse), number(-1))]
    found: list[Scalar] = [] if above == as_poly(1) else [from_integer(above)]
    return found if below == as_poly(1) else [*found, Power(from_integer(below), number(-1))]


def _product(coefficient: Fraction | float, factors: tuple[Scalar, ...]) -> Scalar:
    if coefficient == 0 or not factors:
        return Number(coefficient)
    if coefficient == 1 and len(factors) == 1:
        return factors[0]
    return Mul(coefficient, tuple(sorted(factors, key=key)))


def divide(left: Scalar, right: Scalar) -> Scalar:
    """Quotient."""
    return multiply(left, power(right, number(-1)))


def stopped(value: Scalar) -> Scalar:
    """The value, constant for differentiation; a number is that anyway."""
    return value if isinstance(value, Number) else Stopped(value)


def sloped(variable: Scalar, slope: Scalar) -> Scalar:
    """0, with this slope in the variable, an element of a tensor; nothing is left of it where it has none."""
    return Sloped(variable, slope) if isinstance(variable, Read) and slope != NOUGHT else NOUGHT


@remember
def power(base: Scalar, exponent: Scalar) -> Scalar:
    """Power; integer powers of powers and products are merged."""
    match base, exponent:
        case _, Number(n) if n == 0:
            return UNIT
        case _, Number(n) if n == 1:
            return base
        case Number(b), Number(n) if isinstance(b, Fraction) and isinstance(n, Fraction) and n.denominator == 1:
            if b != 0 or n > 0:
                return Number(b**n.numerator)
        case Power(inner, Number(m)), Number(n) if m == 2 and n == Fraction(1, 2):
            return apply("abs", inner)
        case Power(inner, Number(m)), Number(n) if _integer(n) and isinstance(m, Fraction):
            return power(inner, Number(m * n))
        case Apply("exp", (argument,)), Number(n) if _integer(n):
            return apply("exp", multiply(exponent, argument))
        case Mul(c, factors), Number(n) if _integer(n) and isinstance(c, Fraction):
            return multiply(power(Number(c), exponent), *(power(f, exponent) for f in factors))
        case Number(b), _ if b == 1:
            return UNIT
    return Power(base, exponent)


def _integer(value: Fraction | float) -> bool:
    return isinstance(value, Fraction) and value.denominator == 1


def apply(function: str, *args: Scalar) -> Scalar:
    """A function of the table, its values at 0 folded where they are exact."""
    match function, args:
        case "exp" | "cos" | "cosh", (Number(v),) if v == 0:
            return UNIT
        case "sin" | "sinh" | "tan" | "tanh" | "sign" | "abs" | "erf" | "logcosh", (Number(v),) if v == 0:
            return NOUGHT
        case "log", (Number(v),) if v == 1:
            return NOUGHT
        case "log", (Apply("exp", (argument,)),):
            return argument
        case "max" | "min", (single,):
            return single
    return Apply(function, args)


# --- choices -------------------------------------------------------------------------------------------------


def select(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar:
    """``then`` if the condition holds, else ``otherwise``."""
    then = then.then if isinstance(then, Select) and _is_told(then.condition, condition) else then
    otherwise = otherwise.otherwise if isinstance(otherwise, Select) and otherwise.condition == condition else otherwise
    if condition == TRUE or then == otherwise:
        return then
    if condition == FALSE:
        return otherwise
    if otherwise == NOUGHT and then != UNIT and not isinstance(then, Select) and _is_fixed(then):
        return multiply(then, Select(condition, UNIT, NOUGHT))
    return Select(condition, then, otherwise)


def _is_told(condition: Condition, known: Condition) -> bool:
    """Whether a condition that holds is another one, or tells apart what that does."""
    match condition, known:
        case Relation("!=", a, b), Relation("<", c, d):
            return (a, b) in ((c, d), (d, c))
    return condition == known


def _is_fixed(node: Scalar) -> bool:
    """Whether the value is a finite number, the same for every element."""
    finite = not isinstance(node, Number) or abs(node.value) != float("inf")
    return finite and not reads_of(node) and not free_indices(node)


def indicator(condition: Condition) -> Scalar:
    """1 where the condition holds, else 0."""
    return select(condition, UNIT, NOUGHT)
