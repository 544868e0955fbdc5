"""Extrema of what data put at one position: ``max_{k : n == d[k]} x[k]``, one pass over the elements, no mask."""

from __future__ import annotations

from symgrad.declare.conditions import all_of
from symgrad.declare.integers import as_poly, depends_on_data, indices_of
from symgrad.declare.program import Equation
from symgrad.declare.scalars import TRUE, UNIT, Reduce
from symgrad.derive.terms import Term
from symgrad.lower.arrays import Array, Assign, Collapse, Const, Fresh, Helper, Name, Run, Transpose, Value
from symgrad.lower.axes import align
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import condition_value, value_of
from symgrad.lower.placement import as_scatter
from symgrad.lower.scatter_at import position_of, range_guard
from symgrad.lower.values import as_float, mapped

IDENTITY = {"max": float("-inf"), "min": float("inf")}
_FOLD = {"max": "np.maximum.at", "min": "np.minimum.at"}


def extremum_at(b: Builder, equation: Equation, node: Reduce, winner: str | None) -> bool:
    """Emit the extremum if equalities with data say where each element belongs; whether they do.

    A position that no element belongs to holds the identity, and its ``winner`` is 0.
    """
    free = equation.indices
    job = as_scatter(Term(UNIT, node.indices, node.condition, node.body), free)
    if job is None or not all(p is None or depends_on_data(p) for p in job.places):
        return False
    placed = [a for a, p in enumerate(job.places) if p is not None]
    deciding = {i for p in job.places if p is not None for i in indices_of(p)}
    vectors = tuple(i for i in node.indices if i in deciding)
    carried = [a for a, f in enumerate(free) if a not in placed and f in deciding]
    inner = tuple(i for i in node.indices if i not in deciding)
    if winner is not None and (inner or carried):
        return False
    lead = sorted([*placed, *carried])
    plain = tuple(f for a, f in enumerate(free) if a not in lead)
    where = (*vectors, *(free[a] for a in carried))
    whole = (*where, *plain)
    landing = all_of(job.condition, *(range_guard(b, job.places[a], free[a], job.condition) for a in placed))
    value = as_float(value_of(b, node.body, (*whole, *inner)))
    identity = Value(Const(IDENTITY[node.kind]), (), "scalar")
    if landing != TRUE:
        mask = condition_value(b, landing, (*whole, *inner))
        value = mapped("where", [mask, value, identity], (*whole, *inner))
    varied = [i for i in (*whole, *inner) if i in value.axes]
    over = tuple(p for p, i in enumerate(varied) if i in inner)
    if over:
        reduced = Collapse(node.kind, align(value, tuple(varied)), over, IDENTITY[node.kind])
        value = Value(reduced, tuple(i for i in varied if i not in inner))
    array = align(value, whole)
    positions: list[Array] = []
    for a in lead:
        place = job.places[a]
        positions.append(position_of(b, as_poly(free[a]) if place is None else place, free[a], where))
    target = Name(equation.target)
    order = (*lead, *(a for a in range(len(free)) if a not in lead))
    view: Array = target if order == tuple(range(len(free))) else Transpose(target, order)
    if winner is not None and not isinstance(array, Name):
        array = b.keep(array, f"{equation.target}_candidates")
    b.because(f"{equation.target}: data say where each element belongs, so extrema are taken there, without a mask")
    b.emit(Assign(target.text, Fresh("full", tuple(i.extent for i in free), IDENTITY[node.kind])))
    at = positions[0] if len(positions) == 1 else Helper("tuple", tuple(positions))
    b.emit(Run(Helper(_FOLD[node.kind], (view, at, array))))
    if winner is not None:
        found: Array = Helper("_first_at", (view, *positions, array))
        back = tuple(order.index(a) for a in range(len(free)))
        b.emit(Assign(winner, found if view is target else Transpose(found, back)))
    return True
