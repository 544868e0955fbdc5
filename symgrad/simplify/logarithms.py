"""Rules for logarithms of exponentials, of sums of them and of the functions that they become."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, negate, number, power
from symgrad.declare.scalars import NOUGHT, UNIT, Add, Apply, Mul, Number, Power, Scalar, reads_of
from symgrad.simplify.exponentials import (
    HALF,
    Exponential,
    difference,
    exponentials,
    is_shifted,
    largest,
    log_of,
    log_ratio,
    logcosh_of,
    overflows,
    positive_pair,
)
from symgrad.simplify.patterns import base_and_exponent
from symgrad.simplify.quotients import complement
from symgrad.simplify.terms import factors_of


def log_of_two(node: Scalar) -> Scalar | None:
    """log(c + d exp(u)) = log(c) + softplus(u + log(d/c)) for positive numbers c and d."""
    terms = _in_logarithm(node)
    if not positive_pair(terms):
        return None
    for constant, other in (terms, terms[::-1]):
        if constant.exponent == NOUGHT and reads_of(other.exponent):
            return add(log_of(constant.scale), apply("softplus", log_ratio(other, constant)))
    return None


def log_of_cosh(node: Scalar) -> Scalar | None:
    """log(exp(u) + exp(-u)) = log(2) + logcosh(u), and log(cosh(u)) = logcosh(u)."""
    match node:
        case Apply("log", (Apply("cosh", (u,)),)):
            return logcosh_of(u)
    terms = _in_logarithm(node)
    if not positive_pair(terms) or terms[0].scale != terms[1].scale:
        return None
    if reads_of(terms[0].exponent) and add(terms[0].exponent, terms[1].exponent) == NOUGHT:
        return add(log_of(multiply(number(2), terms[0].scale)), logcosh_of(terms[0].exponent))
    return None


def log_of_difference(node: Scalar) -> Scalar | None:
    """log(exp(a) - exp(b)) = a + log1mexp(b - a), defined where a > b."""
    terms = _in_logarithm(node)
    if len(terms) != 2 or not any(reads_of(t.exponent) for t in terms):
        return None
    for above, below in (terms, terms[::-1]):
        match above.scale, below.scale:
            case Number(c), Number(d) if c > 0 > d:
                ratio = log_ratio(Exponential(Number(-d), below.exponent), above)
                return add(above.exponent, log_of(above.scale), apply("log1mexp", ratio))
    return None


def log_of_sum(node: Scalar) -> Scalar | None:
    """log(sum exp(a)) = m + log(sum exp(a - m)), m = max a."""
    terms = _in_logarithm(node)
    if not overflows(terms):
        underflows = len(terms) > 1 and all(reads_of(t.exponent) for t in terms)
        if not underflows or any(is_shifted(t.exponent) for t in terms):
            return None
    m = largest(terms)
    return add(m, apply("log", add(*(t.scalar(m) for t in terms))))


def _in_logarithm(node: Scalar) -> tuple[Exponential, ...]:
    """The terms of what the logarithm is taken of; none if the node is no logarithm."""
    match node:
        case Apply("log", (u,)):
            return exponentials(u)
        case Apply("log1p", (u,)):
            return exponentials(add(UNIT, u))
    return ()


def _one_plus_exp(args: tuple[Scalar, ...]) -> Scalar | None:
    """The u, if the terms are 1 and exp(u)."""
    match args:
        case (Apply("exp", (u,)), Number(one)) | (Number(one), Apply("exp", (u,))) if one == 1:
            return u
    return None


def log_of_one_plus_exp(node: Scalar) -> Scalar | None:
    """log(1 + exp(u)) = softplus(u)."""
    match node:
        case Apply("log", (Add(args),)):
            u = _one_plus_exp(args)
            return None if u is None else apply("softplus", u)
    return None


def log_of_sigmoid(node: Scalar) -> Scalar | None:
    """log(sigmoid(u)^n v) = -n softplus(-u) + log(v); with sigmoid(-u) beside it, logcosh(u/2) or u."""
    if not (isinstance(node, Apply) and node.function == "log"):
        return None
    coefficient, factors = factors_of(complement(node.args[0]) or node.args[0])
    for factor in factors:
        match base_and_exponent(factor):
            case Apply("sigmoid", (u,)), Number(n):
                others = [f for f in factors if f is not factor]
                mirror, odds = (power(apply("sigmoid", negate(u)), Number(p)) for p in (n, -n))
                if odds in others:
                    others.remove(odds)
                    return add(multiply(Number(n), u), apply("log", multiply(Number(coefficient), *others)))
                if mirror in others:
                    others.remove(mirror)
                    rest = apply("log", multiply(Number(coefficient), power(number(4), Number(-n)), *others))
                    return add(multiply(number(-2 * n), logcosh_of(multiply(HALF, u))), rest)
                rest = apply("log", multiply(Number(coefficient), *others))
                return add(multiply(Number(-n), apply("softplus", negate(u))), rest)
    return None


def log_of_sigmoids(node: Scalar) -> Scalar | None:
    """log(c (sigmoid(a) - sigmoid(b))) = log(c) - softplus(-a) - softplus(b) + log1mexp(b - a), defined where a > b."""
    match node:
        case Apply("log", (Add((left, right)),)):
            for above, below in ((left, right), (right, left)):
                match factors_of(above), factors_of(below):
                    case (c, (Apply("sigmoid", (a,)),)), (d, (Apply("sigmoid", (b,)),)) if c > 0 and d == -c:
                        ends = add(apply("softplus", negate(a)), apply("softplus", b))
                        return add(log_of(Number(c)), negate(ends), apply("log1mexp", difference(b, a)))
    return None


def log_of_product(node: Scalar) -> Scalar | None:
    """log(exp(u) * v) = u + log(v) and log(1 / v) = -log(v)."""
    match node:
        case Apply("log", (Mul(coefficient, args),)):
            exponents = [a for a in args if isinstance(a, Apply) and a.function == "exp"]
            if exponents:
                rest = multiply(Number(coefficient), *(a for a in args if a not in exponents))
                return add(*(e.args[0] for e in exponents), apply("log", rest))
            for a in args:
                match base_and_exponent(a):
                    case Apply("cosh", (u,)), Number(n):
                        rest = multiply(Number(coefficient), *(f for f in args if f is not a))
                        return add(multiply(Number(n), logcosh_of(u)), apply("log", rest))
        case Apply("log", (Power(Apply("cosh", (u,)), Number(n)),)):
            return multiply(Number(n), logcosh_of(u))
        case Apply("log", (Power(base, Number(n)),)) if n == -1:
            return negate(apply("log", base))
    return None


def log_near_one(node: Scalar) -> Scalar | None:
    """log(1 + u) = log1p(u)."""
    match node:
        case Apply("log", (Add(args),)) if UNIT in args and _one_plus_exp(args) is None:
            rest = [a for a in args if a != UNIT]
            if any(reads_of(a) for a in rest):
                return apply("log1p", add(*rest))
    return None


def exp_less_one(node: Scalar) -> Scalar | None:
    """exp(u) - 1 = expm1(u)."""
    match node:
        case Add(args):
            for a in args:
                scale, e = (a.coefficient, a.args) if isinstance(a, Mul) else (Fraction(1), (a,))
                match e:
                    case (Apply("exp", (u,)),) if Number(-scale) in args and reads_of(u):
                        rest = [t for t in args if t is not a and t != Number(-scale)]
                        return add(multiply(Number(scale), apply("expm1", u)), *rest)
    return None


def logcosh_by_softplus(node: Scalar) -> Scalar | None:
    """softplus(u) - u/2 - log(2) = logcosh(u/2)."""
    if not isinstance(node, Add):
        return None
    for term in node.args:
        match factors_of(term):
            case c, (Apply("softplus", (u,)),):
                half = multiply(HALF, u)
                others = [a for a in node.args if a is not term]
                rest = difference(add(*others), multiply(Number(-c), add(half, apply("log", number(2)))))
                if len(rest.args if isinstance(rest, Add) else (rest,)) < len(others):
                    return add(multiply(Number(c), logcosh_of(half)), rest)
    return None


def log_of_root(node: Scalar) -> Scalar | None:
    """log(u + sqrt(u^2 + 1)) = arcsinh(u)."""
    match node:
        case Apply("log", (Add((u, v)),)):
            for a, b in ((u, v), (v, u)):
                if b == power(add(power(a, number(2)), UNIT), HALF):
                    return apply("arcsinh", a)
    return None
