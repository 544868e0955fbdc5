"""Rewriting of scalars and conditions from the inside out; what is rebuilt is in canonical form again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias, cast, overload

from symgrad.declare.algebra import add, apply, from_integer, is_long, multiply, number, power, select, sloped
from symgrad.declare.conditions import all_of, any_of, compare, relation
from symgrad.declare.integers import Atom, Entry, Index, Poly, RealFloor, as_poly
from symgrad.declare.scalars import (
    NOUGHT,
    Add,
    All,
    AnyOf,
    Apply,
    Compare,
    Condition,
    FromInteger,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    Sloped,
    Stopped,
    children,
    contains,
)
from symgrad.declare.substitution import rebuild

Change: TypeAlias = Callable[[Node], Node]
"""A rewrite of scalars into scalars and of conditions into conditions."""
Test: TypeAlias = Callable[[Node], bool]


@overload
def changed(node: Scalar, change: Change) -> Scalar: ...
@overload
def changed(node: Condition, change: Change) -> Condition: ...
def changed(node: Node, change: Change) -> Node:
    """``change(node)``, a scalar for a scalar and a condition for a condition."""
    return change(node)


@overload
def map_children(node: Scalar, change: Change) -> Scalar: ...
@overload
def map_children(node: Condition, change: Change) -> Condition: ...
def map_children(node: Node, change: Change) -> Node:
    """Rebuild a node with each child changed, in canonical form."""
    before = children(node)
    if not before or (after := tuple(map(change, before))) == before:
        return node
    scalars, conditions = cast(tuple[Scalar, ...], after), cast(tuple[Condition, ...], after)
    match node:
        case Add():
            return add(*scalars)
        case Mul(coefficient):
            return multiply(Number(coefficient), *scalars)
        case Power():
            return power(*scalars)
        case Apply(function):
            return apply(function, *scalars)
        case Select():
            return select(conditions[0], *scalars[1:])
        case Reduce(kind, indices, _, _, ties):
            return Reduce(kind, indices, conditions[0], scalars[1], ties)
        case Stopped():
            return Stopped(*scalars)
        case Sloped(variable):  # the slope is one in this name, which is not written out
            return sloped(scalars[0] if isinstance(scalars[0], Read) else variable, scalars[1])
        case Relation(kind):
            return relation(kind, *scalars)
        case All():
            return all_of(*conditions)
        case AnyOf():
            return any_of(*conditions)
    return node


def without_stops(node: Node) -> Node:
    """The node as numbers: every stopped value as a plain value, and gradients of one's own left out."""
    if not contains(node, Stopped, Sloped):
        return node
    match node:
        case Stopped(value):
            return without_stops(value)
        case Sloped():
            return NOUGHT
    return map_children(node, without_stops)


def cancelled(node: Node) -> Node:
    """The node without terms that are 0 once stopped values are values: ``d * (x - stopped(x))``."""
    if not contains(node, Stopped, Sloped):
        return node
    node = NOUGHT if isinstance(node, Sloped) else map_children(node, cancelled)
    if isinstance(node, Add) and contains(node, Stopped):
        plain = cast(Scalar, without_stops(node))
        if not isinstance(plain, Add) or len(plain.args) < len(node.args):
            return plain
    return node


@overload
def map_polynomials(node: Scalar, change: Callable[[Poly], Poly], stays: Test = ...) -> Scalar: ...
@overload
def map_polynomials(node: Condition, change: Callable[[Poly], Poly], stays: Test = ...) -> Condition: ...
def map_polynomials(node: Node, change: Callable[[Poly], Poly], stays: Test = lambda node: False) -> Node:
    """Rebuild a node with each integer expression in it changed; bound indices follow where they are renamed.

    ``stays`` tells of a node that nothing in it will change, so that none of it is looked at.
    """
    if stays(node):
        return node
    match node:
        case FromInteger(Poly(((monomial, c),))) if len(monomial) > 1:
            factors = [change(as_poly(a)) for a in monomial]
            if is_long(factors):
                return multiply(number(c), *map(from_integer, factors))
            return node if (made := change(node.poly)) is node.poly else from_integer(made)
        case FromInteger(poly):
            return node if (made := change(poly)) is poly else from_integer(made)
        case Compare(kind, poly):
            return node if (made := change(poly)) is poly else compare(kind, made)
        case Read(tensor, indices, extension):
            places = tuple(change(i) for i in indices)
            return node if places == indices else Read(tensor, places, extension)
        case Reduce(kind, bound, condition, body, ties):
            renamed = tuple(_as_index(change(as_poly(i)), i) for i in bound)
            inside = (map_polynomials(condition, change, stays), map_polynomials(body, change, stays))
            if renamed == bound and inside == (condition, body):
                return node
            return Reduce(kind, renamed, *inside, ties)
    return map_children(node, lambda child: map_polynomials(child, change, stays))


def floor_of(atom: Atom, change: Change) -> Poly | None:
    """The floor of a real expression with that changed; None if the atom is none."""
    return as_poly(RealFloor(changed(atom.value, change))) if isinstance(atom, RealFloor) else None


def with_tensors(node: Scalar, names: Mapping[str, str]) -> Scalar:
    """The node with tensors under other names, those in indices as well."""

    def change(part: Node) -> Node:
        if isinstance(part, Read):
            return replace(part, tensor=names.get(part.tensor, part.tensor))
        return map_children(part, change)

    def change_atom(atom: Atom) -> Poly | None:
        match atom:
            case Entry(tensor, indices, guarded) if tensor in names or indices:
                return as_poly(Entry(names.get(tensor, tensor), tuple(map(change_poly, indices)), guarded))
            case RealFloor(value):
                return as_poly(RealFloor(with_tensors(value, names)))
        return None

    def change_poly(poly: Poly) -> Poly:
        return rebuild(poly, change_atom)

    return changed(map_polynomials(node, change_poly), change)


def _as_index(poly: Poly, old: Index) -> Index:
    return poly.atom if isinstance(poly.atom, Index) else old
