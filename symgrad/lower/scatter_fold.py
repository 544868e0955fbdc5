"""The adjoint of a border that repeats a tensor: it is folded back."""

from __future__ import annotations

from symgrad.declare.algebra import multiply
from symgrad.declare.scalars import free_indices
from symgrad.lower.arrays import Assign, Fold, Name, Update
from symgrad.lower.axes import Axes, align
from symgrad.lower.builder import Builder
from symgrad.lower.placement import Scatter
from symgrad.lower.repeats import bordered_axis
from symgrad.lower.sums import sum_value
from symgrad.lower.values import as_float


def fold_back(b: Builder, target: Name, free: Axes, job: Scatter, first: bool) -> bool:
    """Emit the adjoint of ``padded_copy``: the border is added to the elements that it repeats."""
    if b.general or b.loops:
        return False
    borders = [None if p is None else bordered_axis(p, i.extent) for p, i in zip(job.places, free, strict=True)]
    if any(p is not None and k is None for p, k in zip(job.places, borders, strict=True)):
        return False
    over = tuple(i if k is None else k[1] for i, k in zip(free, borders, strict=True))
    if len(set(over)) < len(over):
        return False
    inner = tuple(i for i in job.term.bound if i not in over)
    weight = multiply(job.term.scale, job.term.body)
    value = as_float(sum_value(b, inner, job.condition, weight, over, target.text))
    if set(value.axes) != set(over) or not set(over) <= free_indices(weight):
        return False
    array = align(value, over)
    for axis, border in enumerate(borders):
        if border is not None:
            array = Fold(array, axis, border[2], border[3], border[0])
    b.because(f"{target.text}: the border is added back to the elements that it repeats")
    b.emit(Assign(target.text, array) if first else Update(target, "+", array))
    return True
