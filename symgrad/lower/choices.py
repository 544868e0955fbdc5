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
    Select,
    Truth,
    free_indices,
    polynomials,
    tensors_of,
    walk,
)
from symgrad.simplify.exponentials import at_most_nought, is_shifted_sum


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
    "erfcx": NOUGHT,
    "ierfcx": NOUGHT,
    "expm1": NOUGHT,
    "arcsin": NOUGHT,
    "arccos": NOUGHT,
    "arctanh": NOUGHT,
    "arccosh": UNIT,
    "sinh": NOUGHT,
    "cosh": NOUGHT,
    "tan": NOUGHT,
}


def guard(node: Scalar, condition: Condition, holds: bool = True) -> Scalar:
    """Arguments that are harmless where an arm of a choice is not taken: NumPy evaluates both.

    The arm is the one taken where the condition holds, or the other one: by the same condition, since where a value is
    no number its opposite fails as well. An argument that has nothing in common with the condition is the same in both
    cases; one number may be computed from another.
    """
    decided = _names(condition)
    asked = {condition, *conjuncts(condition)}
    bounding = {t for part in walk(condition) if isinstance(part, Relation) for t in tensors_of(part)}

    def is_decided(part: Scalar) -> bool:
        scalars = not free_indices(part) and not free_indices(condition)
        return bool(_names(part) & decided) or bool(scalars and tensors_of(part) and tensors_of(condition))

    def where(part: Scalar, safe: Scalar) -> Scalar:
        return _where(condition, holds, part, safe)

    def change(part: Node) -> Node:
        if part in asked:
            return part  # it is evaluated everywhere in any case, and would never be the same again
        part = map_children(part, change)
        match part:
            case Apply(function, (u,)) if function in _SAFE and is_decided(u) and not _is_tame(function, u):
                return apply(function, where(u, _SAFE[function]))
            case Power(base, exponent) if (
                not _is_harmless(exponent)
                and not isinstance(base, FromInteger)
                and is_decided(base)
                and not is_shifted_sum(base)
            ):
                return Power(where(base, UNIT), exponent)
            case Power(base, Number(n)) if n >= 2 and bounding & set(tensors_of(base)):
                return Power(where(base, NOUGHT), Number(n))  # it would overflow where it is not taken
        return part

    if all(isinstance(c, Truth) for c in conjuncts(condition)):
        return node
    return changed(node, change)


def _where(condition: Condition, holds: bool, node: Scalar, safe: Scalar) -> Scalar:
    """The node in its arm, asked once: a choice inside a choice is guarded with the outer one."""
    inner = node
    while isinstance(inner, Select) and safe in (inner.then, inner.otherwise):
        taken = inner.otherwise == safe
        if inner.condition == condition and taken == holds:
            return node
        inner = inner.then if taken else inner.otherwise
    return select(condition, node, safe) if holds else select(condition, safe, node)


def _is_tame(function: str, argument: Scalar) -> bool:
    """Whether a function is finite whatever the data: the largest exponent has been taken out."""
    if function == "log":
        return is_shifted_sum(argument)
    return function in ("exp", "expm1") and at_most_nought(argument)


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
