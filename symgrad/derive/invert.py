"""Inversion of index maps: solving ``e(v) = t`` jointly over the integers for summed indices.

Starting from the scatter form, which is right by construction, equalities are solved for one summed index at a
time. A pivot other than +-1 leaves ``(t - rest) mod s = 0`` behind, and the range of an eliminated index becomes a
condition on what remains; neither is ever dropped. What cannot be solved keeps its equality.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, overload

from symgrad.declare.algebra import multiply
from symgrad.declare.bounds import nonnegative, positive, tighten
from symgrad.declare.conditions import all_of, at_least, compare, conjuncts
from symgrad.declare.division import quotient, remainder
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Atom, Entry, Index, Poly, Remainder, affine_in, as_poly, indices_of
from symgrad.declare.rewriting import changed, floor_of, map_children, map_polynomials
from symgrad.declare.scalars import (
    PLAIN,
    TRUE,
    Apply,
    Compare,
    Condition,
    Extension,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Scalar,
    children,
    free_indices,
    own_polynomials,
)
from symgrad.declare.substitution import rebuild, substitute
from symgrad.derive.terms import rename

Extents: TypeAlias = Callable[[str], tuple[Poly, ...]]


@dataclass(frozen=True, slots=True)
class Pivot:
    """One elimination: ``index = value``, exact if the pivot was +-1."""

    index: Index
    value: Poly
    unit: bool


@dataclass(frozen=True, slots=True)
class Solved:
    """``sum_{bound, condition} body`` with the same pairs and multiplicities as before; ``pivots`` say how."""

    bound: tuple[Index, ...]
    condition: Condition
    body: Scalar
    pivots: tuple[Pivot, ...]

    @property
    def complete(self) -> bool:
        """Whether no equality is left."""
        return not any(isinstance(c, Compare) and c.relation == "==" for c in conjuncts(self.condition))


@remember
def solve(
    bound: tuple[Index, ...],
    condition: Condition,
    body: Scalar,
    prefer: tuple[Index, ...] = (),
    unit_only: bool = False,
) -> Solved:
    """Eliminate summed indices through the equalities of the condition.

    Args:
        bound: the summed indices.
        condition: a conjunction; its integer equalities are the system.
        body: what is summed.
        prefer: indices to eliminate first among equally good pivots (those of the cotangent, so that kernels remain).
        unit_only: use pivots +-1 only.
    """
    pivots: list[Pivot] = []
    while True:
        equalities = [c for c in conjuncts(condition) if isinstance(c, Compare) and c.relation == "=="]
        choice = _best_pivot(bound, equalities, prefer, unit_only)
        if choice is None:
            return Solved(bound, condition, body, tuple(pivots))
        equality, index, coefficient, rest = choice
        others = [c for c in conjuncts(condition) if c is not equality]
        top = -rest if positive(coefficient) else rest
        scale = coefficient if positive(coefficient) else -coefficient
        value = tighten(quotient(top, scale))
        unit = scale == as_poly(1)
        where = [] if unit else [compare("==", remainder(top, scale))]
        where += [at_least(value, 0), at_least(index.extent - 1, value)]
        where += [_substitute(other, index, scale, top, value) for other in others]
        condition = all_of(*where)
        body = map_polynomials(rename(body, {index: value}), tighten)
        bound = tuple(i for i in bound if i != index)
        pivots.append(Pivot(index, value, unit))


def _substitute(other: Condition, index: Index, scale: Poly, top: Poly, value: Poly) -> Condition:
    """Substitute into another condition; an equality is multiplied by the pivot first, so that it stays affine."""
    if isinstance(other, Compare) and other.relation == "==" and scale != as_poly(1):
        split = affine_in(other.poly, index)
        if split is not None and split[0].terms:
            return compare("==", split[0] * top + split[1] * scale)
    renamed = rename(other, {index: value})
    return map_polynomials(renamed, tighten)


def _best_pivot(
    bound: tuple[Index, ...], equalities: list[Compare], prefer: tuple[Index, ...], unit_only: bool
) -> tuple[Compare, Index, Poly, Poly] | None:
    """Trivial pivots first, then preferred indices, then +-1, then those of least other indices."""
    found = []
    for equality in equalities:
        if isinstance(equality.poly.atom, Remainder):
            continue
        for index in bound:
            split = affine_in(equality.poly, index)
            if split is None or not split[0].terms or indices_of(split[0]):
                continue
            coefficient, rest = split
            unit = coefficient.constant in (1, -1)
            if not unit and (unit_only or not (positive(coefficient) or positive(-coefficient))):
                continue
            value = -rest if coefficient.constant == 1 else rest
            trivial = unit and nonnegative(value) and nonnegative(index.extent - 1 - value)
            key = (not trivial, index not in prefer, not unit, len(indices_of(rest)), index.name)
            found.append((key, equality, index, coefficient, rest))
    if not found:
        return None
    _, equality, index, coefficient, rest = min(found, key=lambda f: f[0])
    return equality, index, coefficient, rest


def absorb(solved: Solved, extents: Extents) -> Solved:
    """Range conditions that are the bounds of a factor's own axis become a zero extension of that factor.

    ``extents`` gives the extents of a tensor by name.
    """
    condition, body = solved.condition, solved.body
    for pivot in solved.pivots:
        value = _current(pivot, solved)
        wanted = {at_least(value, 0), at_least(pivot.index.extent - 1, value)} - {TRUE}
        present = set(conjuncts(condition))
        if not wanted or not wanted <= present:
            continue
        extended = _extend(body, value, pivot.index.extent, extents)
        if extended is not None and is_total(extended):
            body = extended
            condition = all_of(*(c for c in conjuncts(condition) if c not in wanted))
    if solved.pivots:
        body, condition = guarded(body), changed(condition, _guarded)
    return Solved(solved.bound, condition, body, solved.pivots)


_PARTIAL = frozenset(
    {"exp", "expm1", "log", "log1p", "arcsin", "arccos", "arctanh", "arccosh", "sinh", "cosh", "tan", "mod"}
)


def is_total(node: Node) -> bool:
    """Whether the value is finite wherever what it reads is: a zero beside it is then zero.

    What no index touches is the same everywhere, so it does not count.
    """
    if not free_indices(node):
        return True
    match node:
        case Apply(function) if function in _PARTIAL:
            return False
        case Power(_, Number(n)) if isinstance(n, Fraction) and n.denominator == 1 and n >= 0:
            pass
        case Power():
            return False
    return all(map(is_total, children(node)))


@overload
def guarded(body: Scalar) -> Scalar: ...
@overload
def guarded(body: Condition) -> Condition: ...
def guarded(body: Node) -> Node:
    """The body with every read marked as standing behind a condition.

    Reads that were moved by an elimination may lie outside where its range conditions fail.
    """
    return changed(body, _guarded)


@remember
def _guarded(node: Node) -> Node:
    if isinstance(node, Read) and node.indices and node.extension is None:
        node = Read(node.tensor, node.indices, Extension("guarded"))
    if own_polynomials(node):
        return map_polynomials(node, _guarded_entries)
    return map_children(node, _guarded)


def _guarded_entries(poly: Poly) -> Poly:
    def change(atom: Atom) -> Poly | None:
        if isinstance(atom, Entry):
            return as_poly(Entry(atom.tensor, tuple(map(_guarded_entries, atom.indices)), True))
        return floor_of(atom, _guarded)

    return rebuild(poly, change)


def _current(pivot: Pivot, solved: Solved) -> Poly:
    """The pivot's value after later eliminations."""
    value = pivot.value
    later = solved.pivots[solved.pivots.index(pivot) + 1 :]
    for other in later:
        value = tighten(substitute(value, {other.index: other.value}))
    return value


def _extend(body: Scalar, value: Poly, extent: Poly, extents: Extents) -> Scalar | None:
    factors = list(body.args) if isinstance(body, Mul) else [body]
    for p, factor in enumerate(factors):
        if isinstance(factor, Read) and factor.extension in (*PLAIN, Extension("constant", 0.0)):
            shape = extents(factor.tensor)
            if any(i == value and e == extent for i, e in zip(factor.indices, shape, strict=True)):
                factors[p] = Read(factor.tensor, factor.indices, Extension("constant", 0.0))
                coefficient = body.coefficient if isinstance(body, Mul) else Fraction(1)
                return multiply(Number(coefficient), *factors)
    return None
