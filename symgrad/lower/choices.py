"""Choices whose arms NumPy can evaluate everywhere."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from symgrad.declare.algebra import apply, negate, select
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Size, atoms
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    UNIT,
    Apply,
    Condition,
    FromInteger,
    Node,
    Number,
    Power,
    Relation,
    Scalar,
    Truth,
    free_indices,
    polynomials,
    tensors_of,
)


def as_clip(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar | None:
    """A choice between two values by their own comparison is a maximum or a minimum."""
    match condition:
        case Relation("<" | "<=", left, right) if {left, right} == {then, otherwise}:
            return apply("max" if then == right else "min", then, otherwise)
    return None


_SAFE: dict[str, Scalar] = {
    "log": UNIT,
    "log1p": NOUGHT,
    "log1mexp": negate(UNIT),
    "exp": NOUGHT,
    "expm1": NOUGHT,
    "arcsin": NOUGHT,
    "arccos": NOUGHT,
    "arctanh": NOUGHT,
    "arccosh": UNIT,
    "sinh": NOUGHT,
    "cosh": NOUGHT,
    "tan": NOUGHT,
}


def guard(node: Scalar, condition: Condition) -> Scalar:
    """Arguments that are harmless where the condition fails: NumPy evaluates both arms of a choice.

    An argument that has nothing in common with the condition is the same where it holds; one number may be computed
    from another.
    """
    decided = _names(condition)

    def is_decided(part: Scalar) -> bool:
        scalars = not free_indices(part) and not free_indices(condition)
        return bool(_names(part) & decided) or bool(scalars and tensors_of(part) and tensors_of(condition))

    def change(part: Node) -> Node:
        part = map_children(part, change)
        match part:
            case Apply(function, (u,)) if function in _SAFE and is_decided(u):
                return apply(function, select(condition, u, _SAFE[function]))
            case Power(base, exponent) if (
                not _is_harmless(exponent) and not isinstance(base, FromInteger) and is_decided(base)
            ):
                return Power(select(condition, base, UNIT), exponent)
        return part

    if all(isinstance(c, Truth) for c in conjuncts(condition)):
        return node
    return changed(node, change)


def _is_harmless(exponent: Scalar) -> bool:
    """Whether every number can be raised to it."""
    match exponent:
        case Number(Fraction(denominator=1) as n):
            return n >= 0
    return False


@cache
def _names(node: Node) -> frozenset[str]:
    """Tensors, attributes, sizes and indices that a value depends on."""
    sizes = {a.name for p in polynomials(node) for a in atoms(p) if isinstance(a, Size)}
    return frozenset({*tensors_of(node), *sizes, *(i.name for i in free_indices(node))})
