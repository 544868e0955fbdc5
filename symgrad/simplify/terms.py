"""Algebra on sums of products: distribution over the sums that hold cotangents, and common factors."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, divide, multiply, power
from symgrad.declare.scalars import Add, Mul, Number, Reduce, Scalar, free_indices, reads_of, walk
from symgrad.simplify.patterns import base_and_exponent

_ONE = Fraction(1)


def factors_of(node: Scalar) -> tuple[Fraction | float, tuple[Scalar, ...]]:
    """The number in front of a product, and its factors."""
    return (node.coefficient, node.args) if isinstance(node, Mul) else (_ONE, (node,))


def expand(node: Scalar, linear: set[str]) -> Scalar:
    """Distribute products over sums of cotangents, inside sums over indices as well."""
    match node:
        case Add(args):
            return add(*(expand(a, linear) for a in args))
        case Mul():
            return add(*expanded_terms(node, linear))
        case Reduce("sum", indices, condition, body, ties):
            return add(*(Reduce("sum", indices, condition, p, ties) for p in expanded_terms(body, linear)))
    return node


def expanded_terms(node: Scalar, linear: set[str]) -> tuple[Scalar, ...]:
    """The terms of a product distributed over its cotangent sums."""
    match node:
        case Add(args) if _holds(node, linear):
            return tuple(p for a in args for p in expanded_terms(a, linear))
        case Mul(coefficient, factors):
            for p, factor in enumerate(factors):
                inner = expand(factor, linear) if isinstance(factor, Mul | Reduce) else factor
                if isinstance(inner, Add) and _holds(inner, linear):
                    rest = multiply(Number(coefficient), *factors[:p], *factors[p + 1 :])
                    return tuple(q for a in inner.args for q in expanded_terms(multiply(rest, a), linear))
    return (node,)


def _holds(node: Scalar, linear: set[str]) -> bool:
    return any(r.tensor in linear for r in reads_of(node))


def factor_out(body: Scalar) -> Scalar:
    """Write the common factors of all terms once."""
    if not isinstance(body, Add) or any(isinstance(p, Reduce) for p in walk(body)):
        return body
    tables = [_powers(a) for a in body.args]
    common: list[Scalar] = []
    for base, exponent in tables[0].items():
        if all(base in t for t in tables[1:]):
            exponents = [t[base] for t in tables]
            if all(isinstance(e, Number) for e in exponents):
                numbers = [e.value for e in exponents if isinstance(e, Number)]
                if all(n > 0 for n in numbers) or all(n < 0 for n in numbers):
                    common.append(power(base, Number(min(numbers) if numbers[0] > 0 else max(numbers))))
            elif all(e == exponent for e in exponents):
                common.append(power(base, exponent))
    if not common or all(not free_indices(c) and not reads_of(c) for c in common):
        return body
    factor = multiply(*common)
    return multiply(factor, add(*(divide(a, factor) for a in body.args)))


def _powers(term: Scalar) -> dict[Scalar, Scalar]:
    return {b: e for b, e in map(base_and_exponent, factors_of(term)[1]) if not isinstance(b, Number)}
