"""Constructors that keep conditions in canonical form: decided where they can be, flattened and sorted."""

from __future__ import annotations

from symgrad.declare.algebra import key
from symgrad.declare.bounds import nonnegative
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Poly, as_poly
from symgrad.declare.scalars import FALSE, TRUE, All, AnyOf, Compare, Condition, Number, Relation, Scalar, Truth


@remember
def compare(relation: str, poly: Poly) -> Condition:
    """``poly relation 0``, decided where it can be."""
    value = poly.constant
    if value is not None:
        return Truth({">=": value >= 0, "==": value == 0, "!=": value != 0}[relation])
    if relation == ">=":
        if nonnegative(poly):
            return TRUE
        return FALSE if nonnegative(-poly - 1) else Compare(relation, poly)
    if nonnegative(poly - 1) or nonnegative(-poly - 1):
        return Truth(relation == "!=")
    first = poly.terms[0][1]
    return Compare(relation, poly if first > 0 else -poly)


def relation(kind: str, left: Scalar, right: Scalar) -> Condition:
    """``left kind right`` over the reals."""
    match left, right:
        case Number(a), Number(b):
            return Truth({"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}[kind])
    return Relation(kind, left, right)


@remember
def all_of(*args: Condition) -> Condition:
    """Conjunction, flattened."""
    kept: dict[Condition, None] = {}
    for arg in args:
        for part in arg.args if isinstance(arg, All) else (arg,):
            if part == FALSE:
                return FALSE
            if part != TRUE:
                kept[part] = None
    ordered = sorted(kept, key=key)
    return TRUE if not ordered else ordered[0] if len(ordered) == 1 else All(tuple(ordered))


def any_of(*args: Condition) -> Condition:
    """Disjunction, flattened."""
    kept: dict[Condition, None] = {}
    for arg in args:
        for part in arg.args if isinstance(arg, AnyOf) else (arg,):
            if part == TRUE:
                return TRUE
            if part != FALSE:
                kept[part] = None
    ordered = sorted(kept, key=key)
    return FALSE if not ordered else ordered[0] if len(ordered) == 1 else AnyOf(tuple(ordered))


@remember
def negation(condition: Condition) -> Condition:
    """The opposite condition. Over the reals NaN makes both false, as in NumPy; Select decides by the first."""
    match condition:
        case Truth(value):
            return Truth(not value)
        case Compare(">=", poly):
            return compare(">=", -poly - 1)
        case Compare("==", poly):
            return compare("!=", poly)
        case Compare(_, poly):
            return compare("==", poly)
        case Relation("<", a, b):
            return relation("<=", b, a)
        case Relation("<=", a, b):
            return relation("<", b, a)
        case Relation("==", a, b):
            return relation("!=", a, b)
        case Relation(_, a, b):
            return relation("==", a, b)
        case All(args):
            return any_of(*(negation(a) for a in args))
        case AnyOf(args):
            return all_of(*(negation(a) for a in args))
    raise TypeError(condition)


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    """The conditions that must all hold."""
    match condition:
        case All(args):
            return args
        case Truth(True):
            return ()
    return (condition,)


def at_least(left: Poly, right: Poly | int) -> Condition:
    """``left >= right``."""
    return compare(">=", left - as_poly(right))
