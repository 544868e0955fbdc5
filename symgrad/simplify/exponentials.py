"""Sums of exponentials in quotients and logarithms: rules that keep every exponential from overflowing.

A sum ``sum c exp(a)`` of two or more terms (a constant is ``c exp(0)``) overflows where a quotient or a logarithm of it
does not. Two terms are a logistic function, a hyperbolic tangent or a softplus; in any other such sum the largest
exponent is taken out, and cancels. Source: Higham, Accuracy and Stability of Numerical Algorithms, chapter 27;
Blanchard, Higham and Higham, Accurately computing the log-sum-exp and softmax functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import inf

from symgrad.declare.algebra import add, apply, divide, multiply, negate, number, power, select
from symgrad.declare.bounds import positive
from symgrad.declare.conditions import all_of, conjuncts, relation
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Add,
    Apply,
    FromInteger,
    Mul,
    Number,
    Power,
    Read,
    Scalar,
    Select,
    Stopped,
    free_indices,
    reads_of,
    walk,
)
from symgrad.simplify.terms import factors_of

HALF = Number(Fraction(1, 2))
FAR = Number(Fraction(80))
"""exp(80) is a number in float32, and so is exp(-80)."""
MOST_FACTORS = 4
"""Up to this power sums of exponentials are written out."""


@dataclass(frozen=True, slots=True)
class Exponential:
    """``scale * exp(exponent)``."""

    scale: Scalar
    exponent: Scalar

    def scalar(self, shift: Scalar = NOUGHT) -> Scalar:
        """The term as an expression, times ``exp(-shift)``."""
        return multiply(self.scale, apply("exp", difference(self.exponent, shift)))


def difference(left: Scalar, right: Scalar) -> Scalar:
    """``left - right`` with multiples of sums written out, so that equal terms meet."""
    return add(spread(left), spread(negate(right)))


def spread(node: Scalar) -> Scalar:
    """Multiples of sums written out."""
    match node:
        case Add(args):
            return add(*map(spread, args))
        case Mul(c, (Add(args),)):
            return add(*(spread(multiply(Number(c), a)) for a in args))
    return node


def exponentials(node: Scalar) -> tuple[Exponential, ...]:
    """The node as a sum of exponentials with different exponents; what is none counts as a multiple of exp(0)."""
    found: dict[Scalar, Scalar] = {}
    for term in node.args if isinstance(node, Add) else (node,):
        for scale, exponent in _of_term(term):
            found[exponent] = add(found.get(exponent, NOUGHT), scale)
    return tuple(Exponential(s, e) for e, s in found.items() if s != NOUGHT)


def _of_term(term: Scalar) -> list[tuple[Scalar, Scalar]]:
    coefficient, factors = factors_of(term)
    if len(factors) == 1 and isinstance(factors[0], Apply) and factors[0].function == "expm1":
        return [(Number(coefficient), spread(factors[0].args[0])), (Number(-coefficient), NOUGHT)]
    scale: Scalar = Number(coefficient)
    exponent: Scalar = NOUGHT
    written_out: list[Exponential] = []
    for factor in factors:
        match factor:
            case Power() if not written_out and (terms := _of_power(factor)):
                written_out = terms
            case Apply("exp", (a,)):
                exponent = add(exponent, spread(a))
            case Power(Number(b), a) if b > 0 and reads_of(a):
                exponent = add(exponent, spread(multiply(apply("log", Number(b)), a)))
            case Select() if (chosen := _of_choice(factor)) is not None:
                scale, exponent = multiply(scale, chosen[0]), add(exponent, chosen[1])
            case _:
                scale = multiply(scale, factor)
    if written_out:
        return [(multiply(scale, t.scale), spread(add(exponent, t.exponent))) for t in written_out]
    return [(scale, exponent)]


def _of_power(node: Power) -> list[Exponential]:
    """A power of a sum of growing exponentials as a sum, where all terms are positive, so that none cancel."""
    match node:
        case Power(Add() as base, Number(Fraction(denominator=1) as n)) if 2 <= n <= MOST_FACTORS:
            terms = exponentials(base)
            numbers = all(isinstance(t.scale, Number) and t.scale.value > 0 for t in terms)
            if numbers and any(grows(t.exponent) for t in terms):
                return [
                    Exponential(multiply(*(t.scale for t in chosen)), spread(add(*(t.exponent for t in chosen))))
                    for chosen in product(terms, repeat=int(n))
                ]
    return []


def _of_choice(node: Select) -> tuple[Scalar, Scalar] | None:
    """``(c exp(a) if .. else d exp(b))`` as one scale and one exponent; 0 is exp(-oo)."""
    arms = [_of_term(arm) if arm != NOUGHT else [] for arm in (node.then, node.otherwise)]
    if any(len(a) > 1 for a in arms) or all(exponent == NOUGHT for a in arms for _, exponent in a):
        return None
    (c, a), (d, b) = (arm[0] if arm else (NOUGHT, Number(-inf)) for arm in arms)
    c, d = (c if arms[0] else d), (d if arms[1] else c)
    return c if c == d else select(node.condition, c, d), select(node.condition, a, b)


def overflows(terms: tuple[Exponential, ...]) -> bool:
    """Whether there are several terms of which one is large for some data, and none is shifted already."""
    several = len(terms) > 1 and any(grows(t.exponent) for t in terms)
    return several and not any(is_shifted(t.exponent) for t in terms)


def grows(exponent: Scalar) -> bool:
    """Whether an exponent depends on data and is not seen to be at most 0."""
    return bool(reads_of(exponent)) and not at_most_nought(exponent)


def at_most_nought(node: Scalar) -> bool:
    """Whether a value is at most 0 whatever the data: by its sign, or because its maximum has been subtracted."""
    if is_shifted(node):
        return True
    match node:
        case Number(value):
            return value <= 0
        case Add(args):
            return all(map(at_most_nought, args))
        case Mul(c, factors):
            return c <= 0 and all(map(at_least_nought, factors))
    return False


def at_least_nought(node: Scalar) -> bool:
    """Whether a value is at least 0 whatever the data, as even powers and absolute values are."""
    match node:
        case Number(value):
            return value >= 0
        case Power(base, Number(n)):
            even = isinstance(n, Fraction) and n.denominator == 1 and n.numerator % 2 == 0
            return even or at_least_nought(base)
        case Apply("abs" | "exp" | "sigmoid" | "softplus" | "cosh", _):
            return True
        case Add(args):
            return all(map(at_least_nought, args))
        case Mul(c, factors):
            return c >= 0 and all(map(at_least_nought, factors))
    return False


def is_shifted_sum(node: Scalar) -> bool:
    """Whether a sum of exponentials has had its largest exponent taken out: it is at least 1."""
    shifts: set[Stopped] = set()
    found: set[Scalar] = set()
    for term in node.args if isinstance(node, Add) else (node,):
        scale, factors = factors_of(term)
        match factors:
            case (Apply("exp", (exponent,)),) if scale >= 1 and (m := _shift_of(exponent)) is not None:
                shifts.add(m)
                found.add(add(exponent, m))
            case _:
                return False
    return len(shifts) == 1 and isinstance((m := shifts.pop()).value, Apply) and set(m.value.args) <= found


def is_shifted(exponent: Scalar) -> bool:
    """Whether the exponent is ``a - max(.., a, ..)``, the maximum constant."""
    return _shift_of(exponent) is not None


def _shift_of(exponent: Scalar) -> Stopped | None:
    """The ``max(.., a, ..)`` of an exponent ``a - max(.., a, ..)``."""
    for term in exponent.args if isinstance(exponent, Add) else (exponent,):
        match term:
            case Mul(c, (Stopped(Apply("max", among)) as m,)) if c == -1:
                return m if add(exponent, m) in map(_as_it_is, among) else None
    return None


def _as_it_is(exponent: Scalar) -> Scalar:
    """An exponent without the choice of ``counted``."""
    match exponent:
        case Select(_, then, otherwise) if otherwise == difference(then, FAR):
            return then
    return exponent


def largest(terms: tuple[Exponential, ...]) -> Scalar:
    """The largest exponent, constant for differentiation."""
    return Stopped(apply("max", *(counted(t.exponent, () if _is_of_a_sum(t) else (t.scale,)) for t in terms)))


def _is_of_a_sum(term: Exponential) -> bool:
    """Whether a term is a sum whose largest exponent has been taken out."""
    return any(isinstance(p, Stopped) and isinstance(p.value, Read) for p in walk(term.exponent))


def counted(exponent: Scalar, scales: Iterable[Scalar]) -> Scalar:
    """An exponent as it counts for the largest one: far less where a scale is 0, as masks are.

    What is 0 does not decide by how much the others are shifted, and is a number itself as long as it is not larger
    than all of them by far.
    """
    chosen = exponent.condition if isinstance(exponent, Select) and exponent.otherwise == Number(-inf) else TRUE
    conditions = (relation("!=", s, NOUGHT) for s in scales if not _is_never_nought(s))
    kept = all_of(*(c for c in conditions if c not in conjuncts(chosen)))
    return exponent if kept == TRUE else select(kept, exponent, difference(exponent, FAR))


def _is_never_nought(scale: Scalar) -> bool:
    match scale:
        case Number(value):
            return value != 0
        case FromInteger(poly):
            return positive(poly) or positive(-poly)
        case Apply("exp" | "sigmoid" | "softplus" | "cosh", _):
            return True
        case Power(base, _):
            return _is_never_nought(base)
        case Mul(_, factors):
            return all(map(_is_never_nought, factors))
        case Add(args):
            return all(map(at_least_nought, args)) and any(map(_is_never_nought, args))
    return not reads_of(scale) and not free_indices(scale)


def is_difference(terms: tuple[Exponential, ...]) -> bool:
    """Whether the terms are ``c (exp(a) - exp(b))``, which loses its digits once it is shifted."""
    return len(terms) == 2 and add(terms[0].scale, terms[1].scale) == NOUGHT


def positive_pair(terms: tuple[Exponential, ...]) -> bool:
    """Whether there are two terms, positive numbers before both."""
    return len(terms) == 2 and all(isinstance(t.scale, Number) and t.scale.value > 0 for t in terms)


def log_ratio(first: Exponential, second: Exponential) -> Scalar:
    """``log(first / second)``: both scales are positive numbers."""
    return add(difference(first.exponent, second.exponent), log_of(divide(first.scale, second.scale)))


def log_of(scale: Scalar) -> Scalar:
    """The logarithm of a positive number; of 1/n as ``-log(n)``."""
    if isinstance(scale, Number) and scale.value < 1:
        return negate(apply("log", power(scale, number(-1))))
    return apply("log", scale)


def logcosh_of(u: Scalar) -> Scalar:
    """``logcosh(u)``, an even function: without a sign in front of the argument."""
    u = spread(u)
    return apply("logcosh", negate(u) if isinstance(u, Mul) and u.coefficient < 0 else u)


def tanh_of(u: Scalar) -> Scalar:
    """``tanh(u)``, an odd function: a sign in front of the argument goes before it."""
    u = spread(u)
    if isinstance(u, Mul) and u.coefficient < 0:
        return negate(apply("tanh", negate(u)))
    return apply("tanh", u)
