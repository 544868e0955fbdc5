"""An exponential less 1 below the line: of an exponent that is at most 0, which no exponential overflows for.

``exp(u) - 1 = -exp(u) (exp(-u) - 1)`` where u > 0.
"""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, negate, number, power, select
from symgrad.declare.conditions import relation
from symgrad.declare.scalars import NOUGHT, UNIT, Add, Apply, Mul, Number, Power, Scalar
from symgrad.simplify.exponentials import grows
from symgrad.simplify.terms import factors_of


def inverse_of_expm1(node: Scalar) -> Scalar | None:
    """(exp(u) - 1)^n = (-exp(u) if u >= 0 else 1)^n (exp(-|u|) - 1)^n for whole n < 0: +oo at 0, where n is odd."""
    match node:
        case Power(Apply("expm1", (u,)), Number(Fraction(denominator=1) as n)) if n < 0 and grows(u):
            sign = number(-1 if n % 2 else 1)
            v = _size(u)
            rising = relation("<=", NOUGHT, u) if u == v else relation("<=", v, NOUGHT)
            outer = select(rising, multiply(sign, apply("exp", multiply(Number(n), u))), UNIT)
            return multiply(outer, power(apply("expm1", negate(apply("abs", v))), Number(n)))
    return None


def inverse_of_distance(node: Scalar) -> Scalar | None:
    """(r + c |exp(u) - 1|)^n = (r - c + c exp(u) if u > 1 else r + c |exp(min(u, 1)) - 1|)^n for n < 0.

    Near 0 the difference keeps its digits, far from it none are lost, and the largest exponent can be taken out.
    """
    match node:
        case Power(Add(args), Number(n)) if n < 0:
            for term in args:
                if (found := _distance(term)) is None or not grows(found[1]):
                    continue
                (c, u), rest = found, [a for a in args if a is not term]
                v = _size(u)
                above = add(*rest, multiply(Number(c), add(apply("exp", u), number(-1))))
                below = add(*rest, multiply(Number(c), apply("abs", apply("expm1", apply("min", u, UNIT)))))
                far = relation("<", UNIT, u) if u == v else relation("<", v, number(-1))
                return select(far, power(above, Number(n)), power(below, Number(n)))
    return None


def _distance(term: Scalar) -> tuple[Fraction | float, Scalar] | None:
    """The c and the u of ``c |exp(u) - 1|``."""
    match factors_of(term):
        case c, (Apply("abs", (inner,)),):
            d, inside = factors_of(inner)
            match inside:
                case (Apply("expm1", (u,)),) if not (isinstance(u, Apply) and u.function == "min"):
                    return c * (d if d > 0 else -d), u
    return None


def _size(u: Scalar) -> Scalar:
    """The exponent without a sign in front of it."""
    return negate(u) if isinstance(u, Mul) and u.coefficient < 0 else u
