"""Choices inside a reduction as conditions of the reduction."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import apply, multiply
from symgrad.declare.conditions import all_of, has_opposite, negation
from symgrad.declare.integers import depends_on_data
from symgrad.declare.scalars import NOUGHT, Apply, Compare, Mul, Number, Reduce, Scalar, Select

_IDENTITY: dict[str, Fraction | float] = {
    "sum": Fraction(0),
    "max": float("-inf"),
    "min": float("inf"),
    "product": Fraction(1),
}


def masked(node: Reduce) -> Reduce:
    """A choice against the identity of the reduction is a condition of the reduction."""
    identity = Number(_IDENTITY[node.kind]) if node.kind in _IDENTITY else None
    match _chosen_exponential(node.body) if node.kind == "sum" else node.body:
        case Select(condition, then, otherwise) if otherwise == identity:
            return masked(Reduce(node.kind, node.indices, all_of(node.condition, condition), then, node.ties))
        case Select(condition, then, otherwise) if then == identity and has_opposite(condition):
            where = all_of(node.condition, negation(condition))
            return masked(Reduce(node.kind, node.indices, where, otherwise, node.ties))
        case Mul(coefficient, factors) if node.kind == "sum":
            for p, factor in enumerate(factors):
                factor = _chosen_exponential(factor)
                if isinstance(factor, Select) and factor.otherwise == Number(Fraction(0)):
                    rest = multiply(Number(coefficient), factor.then, *factors[:p], *factors[p + 1 :])
                    where = all_of(node.condition, factor.condition)
                    return masked(Reduce(node.kind, node.indices, where, rest, node.ties))
    return node


def _chosen_exponential(factor: Scalar) -> Scalar:
    """``exp(a if c else -oo)`` is a choice against 0, where c compares with data: that may place what is summed."""
    match factor:
        case Apply("exp", (Select(Compare("==", poly) as condition, then, Number(value)),)):
            if value == float("-inf") and depends_on_data(poly):
                return Select(condition, apply("exp", then), NOUGHT)
    return factor
