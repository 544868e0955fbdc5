"""Choices whose arms NumPy can evaluate everywhere."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import apply, negate, select
from symgrad.declare.conditions import conjuncts
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    UNIT,
    Apply,
    Condition,
    FromInteger,
    Named,
    Node,
    Number,
    Power,
    Relation,
    Scalar,
    Truth,
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
    """Arguments that are harmless where the condition fails: NumPy evaluates both arms of a choice."""

    def change(part: Node) -> Node:
        part = map_children(part, change)
        match part:
            case Apply(function, (u,)) if function in _SAFE and not isinstance(u, Number):
                return apply(function, select(condition, u, _SAFE[function]))
            case Power(base, exponent) if not _is_harmless(exponent) and not _plain_number(base):
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


def _plain_number(node: Scalar) -> bool:
    return isinstance(node, Number | FromInteger | Named)
