"""What no longer changes a value need not grow: exponentials under a function that has reached its limit."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, negate
from symgrad.declare.scalars import Add, Apply, Number, Scalar
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
