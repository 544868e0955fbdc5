"""Values of the place that data choose are read there: what is reduced no longer runs over places and data together.

``sum_{k : n == d[k]} exp(s[k] - m[n])`` has no more exponentials than k has values once m is read at d[k].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from symgrad.declare.algebra import add, multiply
from symgrad.declare.checked import Checked, checked_entries
from symgrad.declare.conditions import all_of, at_least, conjuncts
from symgrad.declare.integers import Atom, Entry, Index, Poly, RealFloor, as_poly, atoms, indices_of, set_equal
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, floor_of, map_children, map_polynomials
from symgrad.declare.scalars import (
    TRUE,
    UNIT,
    Compare,
    Condition,
    Extension,
    Mul,
    Node,
    Number,
    Read,
    Reduce,
    Scalar,
    contains,
    free_indices,
    own_polynomials,
)
from symgrad.declare.substitution import rebuild
from symgrad.derive.terms import Term, rename, terms_of
from symgrad.derive.trace import Trace
from symgrad.simplify.terms import factors_of

RULE = "where n = d, f(n) = f(d)"


def at_places(program: Program, trace: Trace) -> Program:
    """Put the position for the index, in every reduction over what lies at a position, where both vary."""
    checked = checked_entries(program)
    equations = []
    for equation in program.equations:
        after = equation.with_body(_moved(equation, checked))
        trace.record(RULE, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _moved(equation: Equation, checked: Sequence[Checked]) -> Scalar:
    def change(node: Node) -> Node:
        if not contains(node, Reduce):
            return node
        node = map_children(node, change)
        match node:
            case Reduce("sum" | "max" | "min"):
                return _at_positions(node, equation.indices, checked)
        return node

    return changed(equation.body, change)


def elements_chosen(body: Scalar, free: Sequence[Index], checked: Sequence[Checked]) -> Scalar | None:
    """Products with an array that is nothing but at one place of each row: what they read there, without the array.

    ``sum_j [j == d[i]] g[i] c[j]`` is ``g[i] c[d[i]]``, and ``c[j] [j == d[i]] g[i]`` puts ``g[i] c[d[i]]`` at the
    places. None where positions are not known to be inside and something else would have to be read at them.
    """
    found = [_read_there(term, free, checked) for term in terms_of(body)]
    return None if None in found else add(*(t.scalar() for t in found if t is not None))


def _read_there(term: Term, free: Sequence[Index], checked: Sequence[Checked]) -> Term | None:
    term = _merged(term)
    while (found := _chosen(term, checked)) is not None:
        equality, index, position = found
        others = all_of(*(c for c in conjuncts(term.condition) if c is not equality))
        left, table = tuple(i for i in term.bound if i != index), {index: position}
        term = Term(term.scale, left, rename(others, table), rename(term.body, table))
    for index, position in _places(term.condition, free).items():
        if index in free_indices(term.scale):
            term = replace(term, scale=UNIT, body=multiply(term.scale, term.body))
        if index in free_indices(term.body):
            if not _is_inside(position, index, checked):
                return None
            term = replace(term, body=rename(term.body, {index: position}))
    return term


def _places(condition: Condition, free: Sequence[Index]) -> dict[Index, Poly]:
    """Left-side indices that a condition sets equal to entries."""
    found: dict[Index, Poly] = {}
    for part in conjuncts(condition):
        if isinstance(part, Compare) and part.relation == "==":
            for index in free:
                position = set_equal(part.poly, index)
                if position is not None and index not in found and isinstance(position.atom, Entry):
                    found[index] = position
                    break
    return found


def _chosen(term: Term, checked: Sequence[Checked]) -> tuple[Condition, Index, Poly] | None:
    """An equality that sets a summed index equal to an entry inside its axis, the index and the entry.

    Not an index that other conditions have too: offsets of a window place what is summed in slices.
    """
    parts = conjuncts(term.condition)
    for part in parts:
        if isinstance(part, Compare) and part.relation == "==":
            elsewhere = {i for other in parts if other is not part for i in free_indices(other)}
            for index in (i for i in term.bound if i not in elsewhere):
                position = set_equal(part.poly, index)
                if position is not None and _is_inside(position, index, checked):
                    return part, index, position
    return None


def _is_inside(position: Poly, index: Index, checked: Sequence[Checked]) -> bool:
    entry = position.atom
    return isinstance(entry, Entry) and any(c.holds(entry, index.extent, TRUE) for c in checked)


def _merged(term: Term) -> Term:
    """The term with the conditions of its factors as its own."""
    coefficient, factors = factors_of(term.body)
    chosen = [f for f in factors if isinstance(f, Reduce) and f.kind == "sum" and not f.indices]
    body = multiply(Number(coefficient), *(f.body if f in chosen else f for f in factors))
    return replace(term, condition=all_of(term.condition, *(f.condition for f in chosen)), body=body)


def _at_positions(node: Reduce, free: Sequence[Index], checked: Sequence[Checked]) -> Reduce:
    """The reduction with its place put in; behind a condition where the data may lie outside of all places."""
    for index, position in _positions(node, free).items():
        factors = node.body.args if isinstance(node.body, Mul) else (node.body,)
        # Factors that do not vary with what is reduced are the same all over the reduction.
        both = [f for f in factors if index in free_indices(f) and free_indices(f) & set(node.indices)]
        if not both:
            continue
        moved = [rename(f, {index: position}) for f in both]
        where = node.condition
        if not _is_inside(position, index, checked):
            where = all_of(where, at_least(position, 0), at_least(index.extent - 1, position))
            moved = [guarded(f, position) for f in moved]
        coefficient = node.body.coefficient if isinstance(node.body, Mul) else 1
        body = multiply(Number(coefficient), *(f for f in factors if f not in both), *moved)
        node = replace(node, condition=where, body=body)
    return node


def _positions(node: Reduce, free: Sequence[Index]) -> dict[Index, Poly]:
    """Left-side indices that the condition sets equal to entries at the reduced indices."""
    places = _places(node.condition, free)
    return {i: p for i, p in places.items() if set(indices_of(p)) & set(node.indices)}


@overload
def guarded(node: Scalar, value: Poly) -> Scalar: ...
@overload
def guarded(node: Condition, value: Poly) -> Condition: ...
def guarded(node: Node, value: Poly) -> Node:
    """The node with every read at a position that may lie outside marked as one behind a condition."""
    data = {a for a in atoms(value) if isinstance(a, Entry | RealFloor)}

    def entries(poly: Poly) -> Poly:
        def moved(atom: Atom) -> Poly | None:
            if isinstance(atom, Entry) and atom not in data and any(data & set(atoms(i)) for i in atom.indices):
                return as_poly(Entry(atom.tensor, tuple(map(entries, atom.indices)), True))
            return None if atom in data else floor_of(atom, change)

        return rebuild(poly, moved)

    def change(node: Node) -> Node:
        match node:
            case Read(tensor, indices, None) if any(data & set(atoms(i)) for i in indices):
                return Read(tensor, tuple(map(entries, indices)), Extension("guarded"))
        return map_polynomials(node, entries) if own_polynomials(node) else map_children(node, change)

    return change(node)
