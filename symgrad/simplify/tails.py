"""The tail of the normal distribution: logarithms of ``erfc(u)`` and quotients by it, which underflows too early.

``erfc(u) = exp(-u^2) erfcx(u)``, of which the second factor falls as 1/u only. Source: Cody, Rational Chebyshev
approximations for the error function, 1969.
"""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, negate, number, power
from symgrad.declare.scalars import NOUGHT, UNIT, Add, Apply, Mul, Number, Power, Scalar, reads_of
from symgrad.derive.derivatives import inverse_mills_ratio
from symgrad.simplify.exponentials import difference, log_of, spread
from symgrad.simplify.terms import factors_of


def log_of_tail(node: Scalar) -> Scalar | None:
    """log(c erfc(u) v) = log(c v) + log(erfc(u)), where 1 - erf(u) is erfc(u) and 1 + erf(u) is erfc(-u).

    ``erfc(u)/2``, which is near 1 where u is far below 0, has a logarithm of its own.
    """
    match node:
        case Apply("log", (inner,)):
            pass
        case Apply("log1p", (less,)):
            inner = add(UNIT, less)
        case _:
            return None
    coefficient, factors = factors_of(inner)
    for factor in factors:
        if (found := _as_tail(factor)) is not None and coefficient > 0:
            scale, u = found[0] * coefficient, found[1]
            rest = multiply(*(f for f in factors if f is not factor))
            if scale == Fraction(1, 2):
                return add(log_of(rest), apply("loghalferfc", u))
            return add(log_of(multiply(Number(scale), rest)), apply("logerfc", u))
    return None


def by_tail(node: Scalar) -> Scalar | None:
    """exp(-u^2 + a)/erfc(u) = exp(a)/erfcx(u) where u > 0."""
    if not isinstance(node, Mul):
        return None
    for top in node.args:
        for bottom in node.args:
            match top, bottom:
                case Apply("exp", (a,)), Power(base, Number(n)) if n == -1 and (found := _as_tail(base)):
                    scale, u = found
                    left = difference(a, negate(spread(power(u, number(2)))))
                    if len(_terms(left)) >= len(_terms(a)) and left != NOUGHT:
                        continue
                    rest = (f for f in node.args if f is not top and f is not bottom)
                    outer = multiply(Number(node.coefficient / scale), apply("exp", left), *rest)
                    return multiply(outer, inverse_mills_ratio(u))
    return None


def _terms(node: Scalar) -> tuple[Scalar, ...]:
    return node.args if isinstance(node, Add) else (node,)


def _as_tail(node: Scalar) -> tuple[Fraction | float, Scalar] | None:
    """The c > 0 and the u of ``c erfc(u)``."""
    scale, factors = factors_of(node)
    match factors:
        case (Apply("erfc", (u,)),) if scale > 0 and reads_of(u):
            return scale, u
    match node:
        case Add((left, right)):
            for constant, term in ((left, right), (right, left)):
                match constant, factors_of(term):
                    case Number(c), (d, (Apply("erf", (u,)),)) if c > 0 and abs(d) == c and not _is_bounded(u):
                        return c, u if d < 0 else negate(u)
    return None


def _is_bounded(u: Scalar) -> bool:
    """Whether the quotient has been chosen already, for what is at most 0."""
    return any(isinstance(f, Apply) and f.function == "min" for f in factors_of(u)[1])
