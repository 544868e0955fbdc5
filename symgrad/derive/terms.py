"""Equations as sums of terms ``scale * sum over bound where condition of body``, and renaming of indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from symgrad.declare.algebra import add, multiply
from symgrad.declare.conditions import all_of
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Atom, Index, Poly, as_poly, atoms
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import (
    TRUE,
    UNIT,
    Add,
    Condition,
    Mul,
    Node,
    Number,
    Reduce,
    Scalar,
    children,
    free_indices,
    own_polynomials,
    polynomials,
    show_scalar,
    walk,
)
from symgrad.declare.substitution import substitute
from symgrad.naming import base_of, fresh


@dataclass(frozen=True, slots=True)
class Term:
    """``scale * sum_{bound, condition} body``; without bound indices and condition it is ``scale * body``."""

    scale: Scalar
    bound: tuple[Index, ...]
    condition: Condition
    body: Scalar

    def scalar(self) -> Scalar:
        """The term as an expression."""
        if not self.bound and self.condition == TRUE:
            return multiply(self.scale, self.body)
        return multiply(self.scale, Reduce("sum", self.bound, self.condition, self.body))


@remember
def terms_of(body: Scalar) -> tuple[Term, ...]:
    """The terms of a body, in order."""
    return tuple(_term(arg) for arg in (body.args if isinstance(body, Add) else (body,)))


def _term(arg: Scalar) -> Term:
    match arg:
        case Reduce("sum", bound, condition, body, _):
            return Term(UNIT, bound, condition, body)
        case Mul(coefficient, factors):
            sums = [f for f in factors if isinstance(f, Reduce) and f.kind == "sum"]
            if len(sums) == 1:
                rest = [f for f in factors if f is not sums[0]]
                scale = multiply(Number(coefficient), *rest)
                return Term(scale, sums[0].indices, sums[0].condition, sums[0].body)
    return Term(UNIT, (), TRUE, arg)


def total(terms: Iterable[Term]) -> Scalar:
    """The body that consists of these terms."""
    return add(*(t.scalar() for t in terms))


@overload
def rename(node: Scalar, table: Mapping[Index, Poly]) -> Scalar: ...
@overload
def rename(node: Condition, table: Mapping[Index, Poly]) -> Condition: ...
def rename(node: Node, table: Mapping[Index, Poly]) -> Node:
    """Substitute free indices, in integer expressions at any depth."""
    if all_indices(node).isdisjoint(table):
        return node
    return _renamed(node, frozenset((k, v) for k, v in table.items() if v != as_poly(k)))


@remember
def _renamed(node: Node, pairs: frozenset[tuple[Index, Poly]]) -> Node:
    table: dict[Atom, Poly] = dict(pairs)
    return map_polynomials(node, lambda p: substitute(p, table), lambda n: table.keys().isdisjoint(all_indices(n)))


def written_out(definition: Equation, indices: Sequence[Poly]) -> Scalar:
    """What an equation says of an element."""
    return rename(definition.body, dict(zip(definition.indices, indices, strict=True)))


@remember
def all_indices(node: Node) -> frozenset[Index]:
    """Every index inside a node, free or bound."""
    found = frozenset(a for p in polynomials(node) for a in atoms(p) if isinstance(a, Index))
    return found.union(*(part.indices for part in walk(node) if isinstance(part, Reduce)))


def freshen(node: Scalar, taken: Iterable[str]) -> Scalar:
    """Rename the bound indices of a node so that none of them has a taken name."""
    names = set(taken)
    bound = [i for part in walk(node) if isinstance(part, Reduce) for i in part.indices]
    table: dict[Index, Poly] = {}
    for index in dict.fromkeys(bound):
        name = fresh(base_of(index.name), names) if index.name in names else index.name
        names.add(name)
        table[index] = as_poly(Index(name, index.extent))
    return rename(node, table)


def with_condition(node: Reduce, extra: Condition) -> Reduce:
    """The reduction restricted further."""
    return Reduce(node.kind, node.indices, all_of(node.condition, extra), node.body, node.ties)


@remember
def alpha_form(node: Scalar) -> tuple[str, tuple[Index, ...]]:
    """A key equal for expressions that differ in index names only, and the free indices in the key's order."""
    order = index_order(node)
    free = [i for i in order if i in free_indices(node)]
    table = {index: as_poly(Index(f"_{p}", index.extent)) for p, index in enumerate(order)}
    renamed = rename(node, table)
    extents = ", ".join(str(i.extent) for i in order)
    return f"{show_scalar(renamed)} over {extents}", tuple(free)


def index_order(node: Scalar) -> list[Index]:
    """Indices by first appearance, reads of many axes first so that names do not decide."""
    found: dict[Index, None] = {}

    def visit(part: Node) -> None:
        for poly in own_polynomials(part):
            for monomial, _ in poly.terms:
                for atom in monomial:
                    for index in sorted(_inner(atom), key=lambda i: i.name):
                        found[index] = None
        for child in children(part):
            visit(child)
        if isinstance(part, Reduce):
            for index in part.indices:
                found[index] = None

    visit(node)
    return list(found)


def _inner(atom: Atom) -> set[Index]:
    return {a for a in atoms(as_poly(atom)) if isinstance(a, Index)}
