"""Accumulation over two long indices on one axis, ``t = i + j``: sums along the diagonals of an array."""

from __future__ import annotations

from symgrad.declare.algebra import multiply
from symgrad.declare.integers import ONE, Index
from symgrad.lower.arrays import FLIP, FULL, Assign, Fresh, Helper, Item, Name, Slice, Subscript, Update, Value
from symgrad.lower.axes import Axes, align, subscript
from symgrad.lower.builder import Builder
from symgrad.lower.placement import Scatter, is_skewed
from symgrad.lower.sums import sum_value
from symgrad.lower.values import as_float
from symgrad.lower.walks import along, inside


def sum_diagonals(b: Builder, target: Name, free: Axes, job: Scatter, first: bool) -> bool:
    """Emit the sum over all pairs ``i + j`` that meet one position, if that is what the term is."""
    if not is_skewed(b, job):
        return False
    axis, place = next((a, p) for a, p in enumerate(job.places) if p is not None)
    walk = along(place, b.loops)
    assert walk is not None
    if not inside(walk, free[axis].extent):
        return False
    pair = [i for i, _ in walk.steps]
    inner = tuple(i for i in job.term.bound if i not in pair)
    kept = tuple(i for a, i in enumerate(free) if a != axis)
    weight = multiply(job.term.scale, job.term.body)
    order = (*kept, *pair)
    value = as_float(sum_value(b, inner, job.condition, weight, order, f"{target.text}_pairs"))
    if set(value.axes) != set(order):
        return False
    flips: list[Item] = [FLIP if i in walk.flipped else FULL for i in order]
    diagonals = Index("diagonal", pair[0].extent + pair[1].extent - ONE)
    summed = Value(Helper("_sum_diagonals", (subscript(align(value, order), flips),)), (*kept, diagonals))
    over = tuple(diagonals if a == axis else i for a, i in enumerate(free))
    array = align(summed, over)
    b.because(f"{target.text}: pairs that meet one position lie on a diagonal")
    if not walk.start.terms and walk.span == free[axis].extent:
        b.emit(Assign(target.text, array) if first else Update(target, "+", array))
        return True
    if first:
        b.emit(Assign(target.text, Fresh("zeros", tuple(i.extent for i in free))))
    part: list[Item] = [*[FULL] * axis, Slice(walk.start if walk.start.terms else None, walk.start + walk.span)]
    b.emit(Update(Subscript(target, tuple(part)), "+", array))
    return True
