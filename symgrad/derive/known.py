"""Elements of a recurrence that are known before its steps: read at a fixed place, where its equation needs no other.

``h[0, l]`` beside ``h[t, k] = (x[t, k] if t == 0 else f(h[t - 1], h[0]))`` is ``x[0, l]``: what reads it needs no
step, and can be computed before them all.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.declare.integers import Index, Poly, depends_on_data, indices_of
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import PLAIN, Node, Read, Scalar, tensors_of
from symgrad.derive.invert import guarded
from symgrad.derive.terms import all_indices, freshen, rename

KNOWN = "an element that a recurrence begins with"


def known_elements(group: Sequence[Equation], equation: Equation) -> Equation:
    """The equation of a group, with what stands for the elements that need no step in place of their reads."""
    axes = recurrent_axes(group)
    members = {e.target: e for e in group}
    names = {i.name for i in (*all_indices(equation.body), *equation.indices)}

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if not isinstance(node, Read) or node.tensor not in members or node.extension not in PLAIN:
            return node
        value = _element(members[node.tensor], node.indices, axes[node.tensor], names)
        if value is None or not members.keys().isdisjoint(tensors_of(value)):
            return node
        return value if node.extension is None else guarded(value)

    return equation.with_body(changed(equation.body, change))


def _element(state: Equation, place: Sequence[Poly], axes: Sequence[int], names: set[str]) -> Scalar | None:
    """What the equation of a state says of an element; None if no recurrent index of it is fixed."""
    if not any(not indices_of(place[a]) and not depends_on_data(place[a]) for a in axes):
        return None
    table: dict[Index, Poly] = dict(zip(state.indices, place, strict=True))
    inner = freshen(state.body, {*names, *(i.name for p in place for i in indices_of(p))})
    names |= {i.name for i in all_indices(inner)}
    return rename(inner, table)
