"""Masks where a condition may fail: elsewhere in a block it is known to hold."""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.conditions import conjuncts, negation
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.scalars import TRUE, Compare, Number, Select, reads_of
from symgrad.derive.terms import rename
from symgrad.lower.arrays import FULL, Assign, Const, Helper, Name, Run, Slice, Subscript
from symgrad.lower.axes import align
from symgrad.lower.builder import Builder
from symgrad.lower.chunks import Lower
from symgrad.lower.elementwise import condition_value


def masked_at_edges(b: Builder, equation: Equation, lower: Lower) -> bool:
    """Emit a choice between a value and a number as the value, with the number written where the condition fails."""
    match equation.body:
        case Select(condition, then, Number(value)) if condition != TRUE:
            tests = conjuncts(condition)
        case _:
            return False
    if not all(isinstance(t, Compare) and t in b.edges for t in tests):
        return False
    if any(r.extension is not None for r in reads_of(then)):
        return False
    lower(b, equation.with_body(then), None)
    match b.block[-1]:
        case Assign(array=Name() | Subscript() as other) as last:
            b.block[-1] = replace(last, array=Helper("copy", (other,)))
    for test in tests:
        edge = b.edges[test]  # type: ignore[index]
        axis = equation.indices.index(edge.index)
        start = edge.start if edge.start is not None else as_poly(0)
        stop = edge.stop if edge.stop is not None else edge.index.extent
        near = Index(edge.index.name, stop - start)
        axes = tuple(near if i == edge.index else i for i in equation.indices)
        fails = condition_value(b, rename(negation(test), {edge.index: as_poly(near) + start}), axes)
        place = Subscript(Name(equation.target), (*[FULL] * axis, Slice(edge.start, edge.stop)))
        b.emit(Run(Helper("np.copyto", (place, Const(float(value)), Helper("where=", (align(fails, axes),))))))
    b.because(f"{equation.target}: the mask is applied where it may fail, not all over a block")
    return True
