"""Values of the place that data choose are read there: what is reduced no longer runs over places and data together.

``sum_{k : n == d[k]} exp(s[k] - m[n])`` has no more exponentials than k has values once m is read at d[k].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from symgrad.declare.algebra import multiply
from symgrad.declare.checked import Checked, checked_entries
from symgrad.declare.conditions import all_of, at_least, conjuncts
from symgrad.declare.integers import Atom, Entry, Index, Poly, RealFloor, affine_in, as_poly, atoms, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, floor_of, map_children, map_polynomials
from symgrad.declare.scalars import (
    TRUE,
    Compare,
    Condition,
    Extension,
    Mul,
    Node,
    Number,
    Read,
    Reduce,
    Scalar,
    free_indices,
    own_polynomials,
)
from symgrad.declare.substitution import rebuild
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace

RULE = "where n = d, f(n) = f(d)"


def at_places(program: Program, trace: Trace) -> Program:
    """Put the position for the index, in every reduction over what lies at a position, where both vary."""
    checked = checked_entries(program)
    equations = []
    for equation in program.equations:
        after = replace(equation, body=_moved(equation, checked))
        trace.record(RULE, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _moved(equation: Equation, checked: Sequence[Checked]) -> Scalar:
    def change(node: Node) -> Node:
        node = map_children(node, change)
        match node:
            case Reduce("sum" | "max" | "min"):
                return _at_positions(node, equation.indices, checked)
        return node

    return changed(equation.body, change)


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
        entry = position.atom
        if not isinstance(entry, Entry) or not any(c.holds(entry, index.extent, TRUE) for c in checked):
            where = all_of(where, at_least(position, 0), at_least(index.extent - 1, position))
            moved = [guarded(f, position) for f in moved]
        coefficient = node.body.coefficient if isinstance(node.body, Mul) else 1
        body = multiply(Number(coefficient), *(f for f in factors if f not in both), *moved)
        node = replace(node, condition=where, body=body)
    return node


def _positions(node: Reduce, free: Sequence[Index]) -> dict[Index, Poly]:
    """Left-side indices that the condition sets equal to entries at the reduced indices."""
    found: dict[Index, Poly] = {}
    for part in conjuncts(node.condition):
        if not isinstance(part, Compare) or part.relation != "==":
            continue
        for index in free:
            split = affine_in(part.poly, index)
            if split is None or split[0].constant not in (1, -1) or index in found:
                continue
            position = -split[1] if split[0].constant == 1 else split[1]
            if isinstance(position.atom, Entry) and set(indices_of(position)) & set(node.indices):
                found[index] = position
                break
    return found


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
