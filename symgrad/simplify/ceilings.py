"""What no longer changes a value need not grow: exponentials under a function that has reached its limit."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, negate
from symgrad.declare.scalars import NOUGHT, Add, Apply, Number, Scalar
from symgrad.simplify.exponentials import grows
from symgrad.simplify.terms import factors_of

ENOUGH = Number(Fraction(40))
"""exp(40) is more than any of these functions can tell from infinity, and finite in float32 when it is squared."""
FLAT = frozenset({"tanh", "erf", "erfc", "sigmoid", "arctan"})
"""Functions with a limit on both sides."""
LEAST, MOST = 1e-6, 1e6
"""Factors of an exponential that do not keep it from being large."""


def ceiling(node: Scalar) -> Scalar | None:
    """f(exp(u)) = f(exp(min(u, c))) where f does not change beyond exp(c), to the last digit; so for cosh, sinh."""
    match node:
        case Apply(function, (u,)) if function in FLAT:
            return apply(function, _bounded(u) or u)
        case Apply("exp" | "expm1" as function, (u,)):
            terms = [_bounded(t, falling=True) or t for t in (u.args if isinstance(u, Add) else (u,))]
            return apply(function, add(*terms))
    return None


def least(node: Scalar) -> Scalar | None:
    """min(c (exp(u) - 1), 0) = c (exp(min(u, 0)) - 1) for c > 0; below any other number the exponent is bounded.

    So for max, where c < 0.
    """
    match node:
        case Apply("min" | "max" as function, (u, v)):
            for number, other in ((u, v), (v, u)):
                if isinstance(number, Number) and abs(float(number.value)) <= MOST:
                    return _beyond(function, number, other)
    return None


def _beyond(function: str, number: Number, other: Scalar) -> Scalar | None:
    """The extremum of a number and of a term with an exponential which it does not reach once that is large."""
    terms = list(other.args) if isinstance(other, Add) else [other]
    constants = [t for t in terms if isinstance(t, Number)]
    rest = [t for t in terms if t not in constants]
    if len(rest) != 1 or any(abs(float(c.value)) > MOST for c in constants):
        return None
    coefficient, factors = factors_of(rest[0])
    rises = coefficient > 0 if function == "min" else coefficient < 0
    if not rises or len(factors) != 1 or not LEAST <= abs(float(coefficient)) <= MOST:
        return None
    match factors[0]:
        case Apply("expm1", (a,)) if grows(a) and number == NOUGHT and not constants:
            return multiply(Number(coefficient), apply("expm1", apply("min", NOUGHT, a)))
        case Apply("exp" | "expm1" as inner, (a,)) if grows(a):
            bounded = multiply(Number(coefficient), apply(inner, _at_most(a)))
            return apply(function, number, add(bounded, *constants))
    return None


def _bounded(term: Scalar, falling: bool = False) -> Scalar | None:
    """A multiple of an exponential with its exponent bounded; None if it is none, or if it must fall and does not."""
    coefficient, factors = factors_of(term)
    if not LEAST <= abs(float(coefficient)) <= MOST or len(factors) != 1:
        return None
    match factors[0]:
        case Apply("exp", (a,)) if grows(a) and not (falling and coefficient > 0):
            return multiply(Number(coefficient), apply("exp", _at_most(a)))
        case Apply("cosh", (a,)) if not (falling and coefficient > 0):
            return multiply(Number(coefficient), apply("cosh", _between(a)))
        case Apply("sinh", (a,)) if not falling:
            return multiply(Number(coefficient), apply("sinh", _between(a)))
    return None


def _at_most(exponent: Scalar) -> Scalar:
    if isinstance(exponent, Apply) and exponent.function in ("min", "max"):
        return exponent
    return apply("min", exponent, ENOUGH)


def _between(exponent: Scalar) -> Scalar:
    if isinstance(exponent, Apply) and exponent.function in ("min", "max"):
        return exponent
    return apply("max", apply("min", exponent, ENOUGH), negate(ENOUGH))
