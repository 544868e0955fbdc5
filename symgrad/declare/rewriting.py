"""Rewriting of scalars and conditions from the inside out; what is rebuilt is in canonical form again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast, overload

from symgrad.declare.algebra import add, apply, from_integer, multiply, power, select
from symgrad.declare.conditions import all_of, any_of, compare, relation
from symgrad.declare.integers import Index, Poly, as_poly
from symgrad.declare.scalars import (
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
    Stopped,
    walk,
)

Change: TypeAlias = Callable[[Node], Node]
"""A rewrite of scalars into scalars and of conditions into conditions."""


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
    scalar, truth = cast(Callable[[Scalar], Scalar], change), cast(Callable[[Condition], Condition], change)
    match node:
        case Add(args):
            return add(*map(scalar, args))
        case Mul(coefficient, args):
            return multiply(Number(coefficient), *map(scalar, args))
        case Power(base, exponent):
            return power(scalar(base), scalar(exponent))
        case Apply(function, args):
            return apply(function, *map(scalar, args))
        case Select(condition, then, otherwise):
            return select(truth(condition), scalar(then), scalar(otherwise))
        case Reduce(kind, indices, condition, body, ties):
            return Reduce(kind, indices, truth(condition), scalar(body), ties)
        case Stopped(value):
            return Stopped(scalar(value))
        case Relation(kind, left, right):
            return relation(kind, scalar(left), scalar(right))
        case All(conditions):
            return all_of(*map(truth, conditions))
        case AnyOf(conditions):
            return any_of(*map(truth, conditions))
    return node


def without_stops(node: Node) -> Node:
    """The node with every stopped value as a plain value."""
    return without_stops(node.value) if isinstance(node, Stopped) else map_children(node, without_stops)


def cancelled(node: Node) -> Node:
    """The node without terms that cancel once stopped values are values: ``d * (x - stopped(x))``."""
    node = map_children(node, cancelled)
    if isinstance(node, Add) and any(isinstance(part, Stopped) for part in walk(node)):
        plain = cast(Scalar, without_stops(node))
        if not isinstance(plain, Add) or len(plain.args) < len(node.args):
            return plain
    return node


@overload
def map_polynomials(node: Scalar, change: Callable[[Poly], Poly]) -> Scalar: ...
@overload
def map_polynomials(node: Condition, change: Callable[[Poly], Poly]) -> Condition: ...
def map_polynomials(node: Node, change: Callable[[Poly], Poly]) -> Node:
    """Rebuild a node with each integer expression in it changed; bound indices follow where they are renamed."""
    match node:
        case FromInteger(poly):
            return from_integer(change(poly))
        case Compare(kind, poly):
            return compare(kind, change(poly))
        case Read(tensor, indices, extension):
            return Read(tensor, tuple(change(i) for i in indices), extension)
        case Reduce(kind, bound, condition, body, ties):
            renamed = tuple(_as_index(change(as_poly(i)), i) for i in bound)
            return Reduce(kind, renamed, map_polynomials(condition, change), map_polynomials(body, change), ties)
    return map_children(node, lambda child: map_polynomials(child, change))


def _as_index(poly: Poly, old: Index) -> Index:
    return poly.atom if isinstance(poly.atom, Index) else old
