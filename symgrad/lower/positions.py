"""Positions of extrema counted from the first value of a range: found along the whole axis, then moved.

``ArgMax(x[n, t], (t, first[n], T - 1))`` reads ``x[n, t + first[n]]`` and counts t from 0. Lowering is at its best
where an index runs along an axis, be it behind a condition or over a range that data give.
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least, conjuncts
from symgrad.declare.integers import Index, Poly, as_poly, depends_on_data, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import PLAIN, Compare, Extension, Node, Read, Reduce, polynomials, reads_of
from symgrad.derive.terms import rename


def along_the_axis(program: Program, equation: Equation) -> tuple[Equation, Poly] | None:
    """The equation with the position in the axis instead, and what to take off; None where it is that already."""
    match equation.body:
        case Reduce("argmax" | "argmin" as kind, (index,), condition, body, ties):
            firsts = {p - as_poly(index) for p in polynomials(body) if index in indices_of(p)}
            reads = [r for r in reads_of(body) if any(index in indices_of(p) for p in r.indices)]
        case _:
            return None
    first = firsts.pop() if len(firsts) == 1 else as_poly(0)
    extents = {
        e for r in reads for p, e in zip(r.indices, program.extents(r.tensor), strict=True) if index in indices_of(p)
    }
    moved = index not in indices_of(first) and (depends_on_data(first) or indices_of(first))
    plain = all(r.extension in PLAIN for r in reads)
    if not moved or not plain or len(extents) != 1:
        return None
    place = Index(index.name, extents.pop())
    if (place.extent - index.extent).constant is None:
        return None  # a window, which is shorter than the axis
    table = {index: as_poly(place) - first}
    where = all_of(rename(condition, table), at_least(as_poly(place), first))
    last = index.extent - 1 + first
    told = [*conjuncts(where), *(c for r in program.requirements for c in conjuncts(r.condition))]
    known = [c.poly for c in told if isinstance(c, Compare) and c.relation == ">="]
    if not nonnegative(last - as_poly(place), known):
        where = all_of(where, at_least(last, as_poly(place)))

    def inside(node: Node) -> Node:
        if isinstance(node, Read) and node.extension == Extension("guarded") and as_poly(place) in node.indices:
            return replace(node, extension=None)
        return map_children(node, inside)

    found = Reduce(kind, (place,), where, changed(rename(body, table), inside), ties)
    return equation.with_body(found), first
