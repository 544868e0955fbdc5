"""Constructors that keep conditions in canonical form: decided where they can be, flattened and sorted."""

from __future__ import annotations

from collections.abc import Container

from symgrad.declare.algebra import key
from symgrad.declare.bounds import nonnegative
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Atom, Index, Poly, Size, as_poly, atoms
from symgrad.declare.scalars import FALSE, TRUE, All, AnyOf, Compare, Condition, Number, Relation, Scalar, Truth
from symgrad.declare.substitution import substitute


@remember
def compare(relation: str, poly: Poly) -> Condition:
    """``poly relation 0``, decided where it can be."""
    value = poly.constant
    if value is not None:
        return Truth({">=": value >= 0, "==": value == 0, "!=": value != 0}[relation])
    if relation == ">=":
        if _holds(poly):
            return TRUE
        return FALSE if _holds(-poly - 1) else Compare(relation, poly)
    if _holds(poly - 1) or _holds(-poly - 1):
        return Truth(relation == "!=")
    first = poly.terms[0][1]
    return Compare(relation, poly if first > 0 else -poly)


def _holds(poly: Poly) -> bool:
    """Whether ``poly >= 0``, also where a dimension beside the indices is 0; those of the indices' extents are not.

    Without an index SymPy has decided already what the signs of the symbols decide.
    """
    if not nonnegative(poly):
        return False
    indices = [a for a in atoms(poly) if isinstance(a, Index)]
    running = {a for i in indices for a in atoms(i.extent)}
    beside = (a for a in atoms(poly, deep=False) if isinstance(a, Size) and a.minimum and a not in running)
    table: dict[Atom, Poly] = {a: as_poly(Size(a.name, 0)) for a in beside} if indices else {}
    return not table or nonnegative(substitute(poly, table))


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
    told = [p for p in kept if isinstance(p, AnyOf) and any(_is_known(a, kept) for a in p.args)]
    if told:
        # A choice that what else holds decides, or shortens: a and (a or b) is a, a and (not a or b) is a and b.
        open_ = (p.args for p in told if not set(p.args) & set(kept))
        others = (p for p in kept if p not in told)
        return all_of(*others, *(any_of(*(a for a in args if not _is_known(a, kept))) for args in open_))
    ordered = sorted(kept, key=key)
    return TRUE if not ordered else ordered[0] if len(ordered) == 1 else All(tuple(ordered))


def _is_known(condition: Condition, known: Container[Condition]) -> bool:
    """Whether conditions that hold decide another one; over the reals NaN may fail both of a pair."""
    return condition in known or (isinstance(condition, Compare) and negation(condition) in known)


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


def has_opposite(condition: Condition) -> bool:
    """Whether exactly one of a condition and its negation holds, of values that are no numbers as well."""
    match condition:
        case Relation(kind, _, _):
            return kind in ("==", "!=")
        case All(args) | AnyOf(args):
            return all(map(has_opposite, args))
    return True


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
