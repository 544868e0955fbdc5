"""Matching: whether an expression is an instance of a definition, and with which indices."""

from __future__ import annotations

from typing import TypeAlias

from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import Atom, Index, Poly, as_poly, atoms, indices_of
from symgrad.declare.scalars import (
    PLAIN,
    UNIT,
    Condition,
    Node,
    Power,
    Read,
    Reduce,
    Scalar,
    children,
    own_polynomials,
)
from symgrad.declare.substitution import substitute

Binding: TypeAlias = dict[Index, Poly]


def instance(pattern: Node, node: Node, free: frozenset[Index]) -> Binding | None:
    """Indices ``free`` of the pattern bound such that the pattern becomes the node; None if it is no instance."""
    binding: Binding = {}
    return binding if matches(pattern, node, free, binding) else None


def matches(pattern: Node, node: Node, free: frozenset[Index], binding: Binding) -> bool:
    """Whether the node is an instance under the binding so far, which grows (in part only where it is not)."""
    if type(pattern) is not type(node) or _label(pattern) != _label(node):
        return False
    if isinstance(pattern, Reduce) and isinstance(node, Reduce):
        if len(pattern.indices) != len(node.indices):
            return False
        for p, n in zip(pattern.indices, node.indices, strict=True):
            if p.extent != n.extent:
                return False
            binding[p] = as_poly(n)
        free = free | frozenset(pattern.indices)
    mine, theirs = own_polynomials(pattern), own_polynomials(node)
    if len(mine) != len(theirs) or not all(_match_poly(a, b, free, binding) for a, b in zip(mine, theirs, strict=True)):
        return False
    inner, outer = _conditions_last(children(pattern)), _conditions_last(children(node))
    return len(inner) == len(outer) and all(matches(a, b, free, binding) for a, b in zip(inner, outer, strict=True))


def _conditions_last(nodes: tuple[Node, ...]) -> list[Node]:
    """Reads bind indices one by one; conditions, which mix them, are compared when they are bound."""
    return sorted(nodes, key=lambda n: isinstance(n, Condition))


def _label(node: Node) -> tuple[object, ...]:
    """What must be equal besides children and integer expressions."""
    names = ("value", "name", "tensor", "coefficient", "function", "kind", "ties", "relation")
    border = node.extension if isinstance(node, Read) and node.extension not in PLAIN else None
    return (border, *(getattr(node, n) for n in names if hasattr(node, n) and not isinstance(getattr(node, n), Node)))


def _match_poly(pattern: Poly, poly: Poly, free: frozenset[Index], binding: Binding) -> bool:
    index = pattern.atom
    if isinstance(index, Index) and index in free:
        if index in binding:
            return binding[index] == poly
        if not _fits(index, poly):
            return False
        binding[index] = poly
        return True
    known: dict[Atom, Poly] = {i: binding[i] for i in indices_of(pattern) if i in binding}
    loose = [i for i in atoms(pattern) if isinstance(i, Index) and i in free and i not in binding]
    if loose:
        return pattern == poly and all(_match_poly(as_poly(i), as_poly(i), free, binding) for i in loose)
    return substitute(pattern, known) == poly


def _fits(index: Index, poly: Poly) -> bool:
    """A definition holds over its index's range only."""
    other = poly.atom
    if isinstance(other, Index) and other.extent == index.extent:
        return True
    return nonnegative(poly) and nonnegative(index.extent - 1 - poly)


def base_and_exponent(node: Scalar) -> tuple[Scalar, Scalar]:
    """A factor as a power."""
    return (node.base, node.exponent) if isinstance(node, Power) else (node, UNIT)
