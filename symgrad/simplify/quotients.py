"""Rules for quotients of exponentials, and for numbers beside the functions that they become."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from symgrad.declare.algebra import add, apply, divide, multiply, negate, number, power, select
from symgrad.declare.scalars import NOUGHT, UNIT, Add, Apply, Mul, Number, Power, Scalar, Select, reads_of
from symgrad.simplify.exponentials import (
    HALF,
    Exponential,
    difference,
    exponentials,
    grows,
    is_difference,
    largest,
    log_ratio,
    overflows,
    positive_pair,
    spread,
    tanh_of,
)
from symgrad.simplify.roots import is_broken
from symgrad.simplify.terms import factors_of


def logistic(node: Scalar) -> Scalar | None:
    """exp(a) / (exp(a) + exp(b)) = sigmoid(a - b), powers of it, and positive numbers before the exponentials."""
    coefficient, factors = factors_of(node)
    numerator = next((f.args[0] for f in factors if isinstance(f, Apply) and f.function == "exp"), NOUGHT)
    for factor in factors:
        match factor:
            case Power(Add() as base, Number(n)) if isinstance(n, Fraction) and n.denominator == 1 and n < 0:
                terms = exponentials(base)
                if not positive_pair(terms) or not any(reads_of(t.exponent) for t in terms):
                    continue
                if any(_numerator(f, NOUGHT)[1] for f in factors if f is not factor):
                    continue
                found = _as_logistic(terms[0], terms[1], int(-n), numerator)
                if found is not None:
                    rest = [
                        f for f in factors if f is not factor and not (isinstance(f, Apply) and f.function == "exp")
                    ]
                    return multiply(Number(coefficient), found, *rest)
    return None


def _as_logistic(first: Exponential, second: Exponential, n: int, numerator: Scalar) -> Scalar | None:
    """``exp(numerator) / (first + second)**n`` if the numerator is one of the terms of the power."""
    apart = log_ratio(first, second)
    for k in range(n + 1):
        together = add(multiply(number(k), first.exponent), multiply(number(n - k), second.exponent))
        if difference(numerator, together) == NOUGHT:
            scale = multiply(power(first.scale, number(-k)), power(second.scale, number(k - n)))
            left, right = apply("sigmoid", apart), apply("sigmoid", spread(negate(apart)))
            return multiply(scale, power(left, number(k)), power(right, number(n - k)))
    return None


def tangent(node: Scalar) -> Scalar | None:
    """(exp(a) - exp(b)) / (exp(a) + exp(b)) = tanh((a - b)/2), and the inverse of it."""
    if not isinstance(node, Mul):
        return None
    for top in node.args:
        for bottom in node.args:
            match bottom:
                case Power(base, Number(n)) if n == -1 and isinstance(base, Add | Apply):
                    found = _as_tangent(exponentials(top), exponentials(base))
                    if found is not None:
                        rest = [f for f in node.args if f is not top and f is not bottom]
                        return multiply(Number(node.coefficient), found, *rest)
    return None


def _as_tangent(top: tuple[Exponential, ...], bottom: tuple[Exponential, ...]) -> Scalar | None:
    if len(top) != 2 or len(bottom) != 2 or not any(reads_of(t.exponent) for t in top):
        return None
    if {t.exponent for t in top} != {t.exponent for t in bottom}:
        return None
    (a, b), below = top, {t.exponent: t.scale for t in bottom}
    c, d = below[a.exponent], below[b.exponent]
    half = tanh_of(multiply(HALF, difference(a.exponent, b.exponent)))
    if add(a.scale, b.scale) == NOUGHT and c == d:
        return multiply(divide(a.scale, c), half)
    if a.scale == b.scale and add(c, d) == NOUGHT:
        return multiply(divide(a.scale, c), power(half, number(-1)))
    return None


def shifted(node: Scalar) -> Scalar | None:
    """Take the largest exponent out: v / sum exp(a) = v exp(-m) / sum exp(a - m), m = max a.

    Sums of exponentials in v take exp(-m) into them.
    """
    coefficient, factors = factors_of(node)
    for factor in factors:
        match factor:
            case Power(Add() as base, Number(n)) if n < 0:
                terms = exponentials(base)
                if not overflows(terms) or is_difference(terms):
                    continue
                m = largest(terms)
                left, rest = number(n), [power(add(*(t.scalar(m) for t in terms)), number(n))]
                for other in factors:
                    if other is factor:
                        continue
                    sums, count = _numerator(other, m)
                    if count and isinstance(left, Number) and left.value + count <= 0:
                        left = number(left.value + count)
                        rest.append(sums)
                    else:
                        rest.append(other)
                return _with_exponent(coefficient, rest, multiply(left, m))
    return None


def _is_exp(node: Scalar) -> bool:
    return isinstance(node, Apply) and node.function == "exp"


def _with_exponent(coefficient: Fraction | float, factors: list[Scalar], exponent: Scalar) -> Scalar:
    """The product of the factors and of ``exp(exponent)``, in one exponential."""
    for f in factors:
        if isinstance(f, Apply) and f.function == "exp":
            exponent = add(spread(f.args[0]), exponent)
    rest = [f for f in factors if not _is_exp(f)]
    return multiply(Number(coefficient), apply("exp", exponent), *rest)


def _numerator(node: Scalar, m: Scalar) -> tuple[Scalar, int]:
    """A sum of exponentials, or a power of one, with ``exp(-m)`` in every term; how often it was taken in."""
    base, n = (node.base, node.exponent) if isinstance(node, Power) else (node, UNIT)
    whole = isinstance(n, Number) and isinstance(n.value, Fraction) and n.value.denominator == 1 and n.value > 0
    terms = exponentials(base)
    if not whole or not isinstance(n, Number) or len(terms) < 2 or not any(grows(t.exponent) for t in terms):
        return node, 0
    total = add(*(t.scalar(m) for t in terms))
    if is_difference(terms):
        # A difference keeps its digits: exp(a) - exp(b) = tanh((a - b)/2) (exp(a) + exp(b)).
        a, b = terms
        total = add(a.scalar(m), Exponential(a.scale, b.exponent).scalar(m))
        total = multiply(tanh_of(multiply(HALF, difference(a.exponent, b.exponent))), total)
    return power(total, n), int(n.value)


def into_choice(node: Scalar) -> Scalar | None:
    """exp(u) (v if c else w) = (exp(u) v if c else exp(u) w), where v or w is made of exponentials."""
    coefficient, factors = factors_of(node)
    exponential = next((f for f in factors if _is_exp(f)), None)
    for factor in factors:
        match factor:
            case Select(condition, then, otherwise) if exponential is not None and any(
                grows(t.exponent) for arm in (then, otherwise) for t in exponentials(arm)
            ):
                rest = [f for f in factors if f is not factor and f is not exponential]
                chosen = select(condition, multiply(exponential, then), multiply(exponential, otherwise))
                return multiply(Number(coefficient), chosen, *rest)
    return None


def power_of_product(node: Scalar) -> Scalar | None:
    """(exp(u) v)^n = exp(n u) v^n."""
    match node:
        case Power(base, Number(n)):
            coefficient, factors = factors_of(base)
            exponents = [f.args[0] for f in factors if isinstance(f, Apply) and f.function == "exp"]
            rest = multiply(Number(coefficient), *(f for f in factors if not _is_exp(f)))
            if exponents and not (isinstance(rest, Number) and rest.value < 0 and is_broken(Number(n))):
                return multiply(apply("exp", spread(multiply(Number(n), add(*exponents)))), power(rest, Number(n)))
    return None


# --- sigmoid and tanh beside a number --------------------------------------------------------------------------------


def complement(node: Scalar) -> Scalar | None:
    """1 - sigmoid(u) = sigmoid(-u) and 2 sigmoid(u) - 1 = tanh(u/2)."""

    def made(c: Fraction | float, scale: Fraction | float, u: Scalar) -> Scalar | None:
        if scale == -c:
            return multiply(Number(c), apply("sigmoid", negate(u)))
        return multiply(Number(-c), tanh_of(multiply(HALF, u))) if scale == -2 * c else None

    return _beside_a_number(node, "sigmoid", made)


def one_plus_tanh(node: Scalar) -> Scalar | None:
    """1 + tanh(u) = 2 sigmoid(2u)."""

    def made(c: Fraction | float, scale: Fraction | float, u: Scalar) -> Scalar | None:
        if abs(scale) != abs(c):
            return None
        return multiply(Number(2 * c), apply("sigmoid", multiply(number(2 if scale == c else -2), u)))

    return _beside_a_number(node, "tanh", made)


def _beside_a_number(
    node: Scalar, function: str, made: Callable[[Fraction | float, Fraction | float, Scalar], Scalar | None]
) -> Scalar | None:
    """Put ``made(c, scale, u)`` for ``c + scale * function(u)`` in a sum."""
    if not isinstance(node, Add):
        return None
    constants = [a for a in node.args if isinstance(a, Number)]
    for c in constants:
        for term in node.args:
            match factors_of(term):
                case scale, (Apply(name, (u,)),) if name == function:
                    better = made(c.value, scale, u)
                    if better is not None:
                        return add(better, *(a for a in node.args if a is not term and a is not c))
    return None
