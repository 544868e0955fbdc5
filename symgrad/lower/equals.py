"""The first position with the same integer, by sorting: no table of pairs."""

from __future__ import annotations

from symgrad.declare.integers import Atom, Entry, Index, Poly, as_poly, indices_of
from symgrad.declare.program import Equation
from symgrad.declare.scalars import NOUGHT, TRUE, UNIT, Compare, Reduce, Select
from symgrad.declare.substitution import substitute
from symgrad.lower.arrays import Assign, Helper, Value
from symgrad.lower.axes import align
from symgrad.lower.builder import Builder
from symgrad.lower.extrema import full
from symgrad.lower.reads import integer


def first_equal(b: Builder, equation: Equation) -> bool:
    """Emit ``argmax_k [d[k] == d[i]]``; False for any other equation."""
    found = None if b.general or b.loops else paired(equation)
    if found is None:
        return False
    entry, inner, outer = found
    lead = tuple(i for i in equation.indices if i != outer)
    keys = align(integer(b, as_poly(entry), (*lead, inner)), (*lead, inner))
    value = Value(Helper("_first_equal", (keys,)), (*lead, outer), "int")
    b.because(f"{equation.target}: equal integers are found by sorting")
    b.emit(Assign(equation.target, full(value, equation.indices)))
    return True


def paired(equation: Equation) -> tuple[Entry, Index, Index] | None:
    """The entry, the index searched and the outer one, if the first position with the same integer is looked for."""
    match equation.body:
        case Reduce("argmax", (inner,), condition, Select(Compare("==", poly), then, otherwise)) if (
            condition == TRUE and (then, otherwise) == (UNIT, NOUGHT) and len(poly.terms) == 2
        ):
            entries = [m[0] for m, _ in poly.terms if len(m) == 1 and isinstance(m[0], Entry)]
        case _:
            return None
    for entry in entries:
        used = {i for p in entry.indices for i in indices_of(p)}
        if inner not in used or not all(isinstance(p.atom, Index) for p in entry.indices):
            continue
        for outer in equation.indices:
            table: dict[Atom, Poly] = {inner: as_poly(outer)}
            other = as_poly(entry) - substitute(as_poly(entry), table)
            same = outer.extent == inner.extent and poly in (other, -other)
            if same and used == {inner, *equation.indices} - {outer}:
                return entry, inner, outer
    return None
