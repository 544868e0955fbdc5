"""Maxima, minima, their positions, and products: reductions that no matrix product helps with."""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.bounds import nonnegative, positive
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.facts import may_be_negative
from symgrad.declare.integers import ZERO, Index, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import Compare, Condition, Reduce, free_indices, reads_of
from symgrad.declare.substitution import substitute
from symgrad.derive.adjoint import row_major
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    At,
    Cast,
    Collapse,
    Const,
    For,
    Fresh,
    Helper,
    Map,
    Name,
    NewAxis,
    Reshape,
    Run,
    Subscript,
    Value,
    Whole,
)
from symgrad.lower.axes import Axes, align, joint_extent
from symgrad.lower.builder import Builder
from symgrad.lower.choices import guard
from symgrad.lower.elementwise import condition_value, value_of
from symgrad.lower.extrema_at import extremum_at
from symgrad.lower.pairs import found_in, pairs_of
from symgrad.lower.sums import window_indices
from symgrad.lower.values import mapped

_IDENTITY = {"max": float("-inf"), "argmax": float("-inf"), "min": float("inf"), "argmin": float("inf"), "product": 1.0}
FEW = 2**14
"""Candidates of a step up to which calls cost more than the work."""
_BETTER = {"max": "gt", "min": "lt"}
_FOLD = {"max": "maximum", "min": "minimum", "product": "multiply"}


def reduction(b: Builder, equation: Equation, winner: str | None) -> None:
    """Emit a reduction of kind max, min, argmax, argmin or product; ``winner`` names the position to keep as well."""
    node = equation.body
    assert isinstance(node, Reduce)
    if node.kind == "product":
        excluded = _excluded(node, equation.indices)
        if excluded is not None:
            _product_of_others(b, equation, node, *excluded)
            return
    if _in_pairs(b, equation, node, winner):
        return
    if node.kind in ("max", "min") and not b.general and extremum_at(b, equation, node, winner):
        return
    slides = () if b.general else window_indices(b, node.body, node.indices)
    if slides == node.indices and node.kind in _FOLD and not _is_short(b, equation, node):
        _looped(b, equation, node, winner)
        return
    _direct(b, equation, node, winner)


def _in_pairs(b: Builder, equation: Equation, node: Reduce, winner: str | None) -> bool:
    """Emit the reduction over ragged ranges from their pairs; whether it is one."""
    over = found_in(b, node.condition, [node.body], windows=True)
    positioned = winner is not None or node.kind.startswith("arg")
    if over is None or over[0].inside not in node.indices or set(over[0].owners) & set(node.indices):
        return False
    found = over[0]
    inner = tuple(i for i in node.indices if i != found.inside)
    if (positioned and inner) or not set(inner) <= free_indices(node.body):
        return False
    b.because(f"{equation.target}: one candidate for each pair of a range and a position in it")
    kind, pairs = node.kind.removeprefix("arg"), pairs_of(b, found)
    rest = tuple(i for i in equation.indices if i not in found.owners)
    moved = replace(node, kind=kind, indices=inner, condition=pairs.moved(found.rest), body=pairs.moved(node.body))
    rows = pairs.rows(_body(b, moved, (pairs.pair, *rest, *inner)), (*rest, *inner))
    if inner:
        over_axes = tuple(rows.axes.index(i) for i in inner)
        array = Collapse(kind, rows.array, over_axes, _IDENTITY[kind] if kind != "product" else None)
        rows = Value(array, tuple(i for i in rows.axes if i not in inner))
    if positioned:
        rows = replace(rows, array=b.keep(rows.array, f"{equation.target}_candidates"))
    best = pairs.folded(kind, rows)
    if node.kind == kind:
        b.emit(Assign(equation.target, full(best, equation.indices)))
        best = replace(best, array=align(Value(Name(equation.target), equation.indices), best.axes)) if winner else best
    if positioned:
        first = pairs.first(rows.array, best)
        b.emit(Assign(winner or equation.target, full(first, equation.indices)))
    return True


def _direct(b: Builder, equation: Equation, node: Reduce, winner: str | None) -> None:
    """Reduce over axes of the whole array; several axes become one where a position is asked for."""
    kind = node.kind
    order = (*equation.indices, *node.indices)
    found = b.winners.get(replace(node, kind=f"arg{kind}")) if len(node.indices) == 1 else None
    if winner is None and kind in ("max", "min") and found is None:
        order = _inner_order(b, node, order)
    value = _body(b, node, order)
    if value.kind == "scalar":
        value = Value(Cast(Helper("np.asarray", (value.array,)), "float"), ())
    missing = [i for i in node.indices if i not in value.axes]
    if missing and kind in ("max", "min") and winner is None:
        node = Reduce(kind, tuple(i for i in node.indices if i in value.axes), node.condition, node.body, node.ties)
    elif missing:
        value = _spread(value, order)
    if not node.indices:
        b.emit(Assign(equation.target, full(value, equation.indices)))
        return
    array, axes = align(value, tuple(i for i in order if i in value.axes)), [i for i in order if i in value.axes]
    positions = tuple(axes.index(i) for i in node.indices)
    kept = tuple(i for i in axes if i not in node.indices)
    if b.in_step and len(positions) == 1 and kept == equation.indices:
        if kind.startswith("arg"):
            array = b.keep(array, "candidates")
        elif found is not None:
            _at_winner(b, equation, array, found)
            return
    if (winner is not None or kind in ("argmax", "argmin")) and len(positions) > 1:
        array = Reshape(array, (*(i.extent for i in kept), joint_extent(node.indices)))
        array = b.keep(array, f"{equation.target}_candidates") if winner is not None else array
        positions = (len(kept),)
    elif winner is not None and not isinstance(array, Name):
        array = b.keep(array, f"{equation.target}_candidates")
    # Nothing to choose from is refused before, but for what a choice leaves out.
    maybe = node.ties == "none" or not all(positive(i.extent) for i in node.indices)
    empty = kind in ("max", "min") and maybe
    initial = _IDENTITY[kind] if empty else None
    result = Value(Collapse(kind, array, positions, initial), kept, "int" if kind.startswith("arg") else "float")
    b.emit(Assign(equation.target, full(result, equation.indices)))
    if winner is not None:
        where = Value(Collapse(f"arg{kind}", array, positions), kept, "int")
        b.emit(Assign(winner, full(where, equation.indices)))


def _at_winner(b: Builder, equation: Equation, candidates: Array, winner: Array) -> None:
    """The extremum along the last axis, from its position: candidates are compared once."""
    target, all_axes = equation.target, (FULL,) * len(equation.indices)
    at = Subscript(winner, (*all_axes, NewAxis()))
    chosen = Helper("np.take_along_axis", (b.keep(candidates, "candidates"), at, Whole(as_poly(-1))))
    b.because(f"{target}: taken at the position that a step finds anyway")
    b.emit(Assign(target, Subscript(chosen, (*all_axes, At(as_poly(0))))))


def _is_short(b: Builder, equation: Equation, node: Reduce) -> bool:
    """Whether a step of a recurrence has so few candidates that a call for each offset costs more than all at once."""
    return b.in_step and b.volume((*equation.indices, *node.indices)) <= FEW


def _inner_order(b: Builder, node: Reduce, order: Axes) -> Axes:
    """What is reduced before the last axis: in a step, where others read the candidates, or as a tensor is stored."""
    if len(node.indices) != 1 or len(order) < 2:
        return order
    inner = (*order[:-2], order[-1], order[-2])
    ends = {tuple(p.atom for p in r.indices[-2:]) for r in reads_of(node.body) if len(r.indices) > 1}
    return inner if b.in_step or inner[-2:] in ends else order


def _body(b: Builder, node: Reduce, order: Axes) -> Value:
    """The candidates, those that a condition excludes replaced by the identity."""
    value = value_of(b, guard(node.body, node.condition), order)
    if value.kind in ("bool", "int"):
        value = Value(Cast(value.array, "float"), value.axes)
    mask = _mask(b, node.condition, order)
    if mask is None:
        return value
    identity = Value(Const(_IDENTITY[node.kind]), (), "scalar")
    return mapped("where", [mask, value, identity], order)


def _mask(b: Builder, condition: Condition, order: Axes) -> Value | None:
    return condition_value(b, condition, order) if conjuncts(condition) else None


def _spread(value: Value, order: Axes) -> Value:
    """Broadcast to all the axes."""
    shape = Helper("tuple", tuple(Whole(i.extent) for i in order))
    return Value(Helper("np.broadcast_to", (align(value, order), shape)), order)


def full(value: Value, axes: Axes) -> Array:
    """The array with all of its axes, a fresh one."""
    array = align(value, axes)
    if set(value.axes) == set(axes):
        return array
    shape = Helper("tuple", tuple(Whole(i.extent) for i in axes))
    return Helper("copy", (Helper("np.broadcast_to", (array, shape)),))


def _looped(b: Builder, equation: Equation, node: Reduce, winner: str | None) -> None:
    """A running extremum or product over the window offsets, each a strided slice; the first extremum wins ties."""
    axes = equation.indices
    target = Name(equation.target)
    shape = tuple(i.extent for i in axes)
    b.because(f"{equation.target}: a running {node.kind} over the window offsets, each a strided slice")
    begun = _begin(b, node, axes, target)
    if winner is not None:
        b.emit(Assign(winner, Fresh("zeros", shape, dtype=joint_extent(node.indices))))
    with b.looping(node.indices):
        value = _body(b, node, axes)
        candidate: Array = align(value, axes)
        if winner is not None:
            candidate = Name(b.name("candidate"))
            # Read twice below: a strided slice is worth a copy.
            b.emit(Assign(candidate.text, Helper("copy", (align(value, axes),))))
            better = Map(_BETTER[node.kind], (candidate, target))
            # Positions only grow, so the largest one that was better on arrival is the first maximum.
            position = Helper("positions", (better, Whole(row_major(node.indices)), Name(winner)))
            b.emit(Run(Helper("np.maximum", (Name(winner), position, Helper("out=", (Name(winner),))))))
        b.emit(Run(Helper(f"np.{_FOLD[node.kind]}", (target, candidate, Helper("out=", (target,))))))
    loop = b.block[-1]
    if begun and isinstance(loop, For):
        b.block[-1] = replace(loop, start=as_poly(1))


def _begin(b: Builder, node: Reduce, axes: Axes, target: Name) -> bool:
    """Emit the array to begin with; whether that is the first candidate, where one index with an element runs."""
    index = node.indices[0]
    # An extremum of nothing has been refused, unless it is one of ours; a product of nothing is 1.
    some = nonnegative(index.extent - 1) if node.kind != "product" else index.extent.constant is not None
    some = some and not (node.ties == "none" and may_be_negative(b.program, index.extent - 1, b.facts))
    if len(node.indices) > 1 or not some:
        b.emit(Assign(target.text, Fresh("full", tuple(i.extent for i in axes), _IDENTITY[node.kind])))
        return False
    first = map_polynomials(replace(node, indices=()), lambda p: substitute(p, {index: ZERO}))
    assert isinstance(first, Reduce)
    b.emit(Assign(target.text, _own(full(_body(b, first, axes), axes))))
    return True


def _own(array: Array) -> Array:
    """An array that may be written to."""
    return (
        array
        if isinstance(array, Map) or (isinstance(array, Helper) and array.function == "copy")
        else Helper("copy", (array,))
    )


def _excluded(node: Reduce, free: Axes) -> tuple[tuple[Index, ...], Condition] | None:
    """The left-side indices whose own factor is left out, if the condition says that and nothing else about them."""
    for part in conjuncts(node.condition):
        if not isinstance(part, Compare) or part.relation != "!=":
            continue
        own = tuple(i for i in free if i not in free_indices(node.body) and i in free_indices(part))
        if tuple(i.extent for i in own) != tuple(i.extent for i in node.indices):
            continue
        if part.poly in (row_major(own) - row_major(node.indices), row_major(node.indices) - row_major(own)):
            return own, all_of(*(c for c in conjuncts(node.condition) if c != part))
    return None


def _product_of_others(b: Builder, equation: Equation, node: Reduce, own: tuple[Index, ...], rest: Condition) -> None:
    """Products of all other factors: those before times those after, no division."""
    outer = tuple(i for i in equation.indices if i not in own)
    order = (*outer, *node.indices)
    value = _body(b, Reduce(node.kind, node.indices, rest, node.body), order)
    if set(node.indices) - set(value.axes):
        value = _spread(value, order)
    present = tuple(i for i in order if i in value.axes)
    array = align(value, present)
    kept = tuple(i for i in present if i not in node.indices)
    if len(own) > 1:
        array = Reshape(array, (*(i.extent for i in kept), joint_extent(own)))
    result: Array = Helper("_product_of_others", (array,))
    if len(own) > 1:
        result = Reshape(result, (*(i.extent for i in kept), *(i.extent for i in own)))
    b.because(f"{equation.target}: products of the factors before and after, so that zeros need no division")
    b.emit(Assign(equation.target, full(Value(result, (*kept, *own)), equation.indices)))
