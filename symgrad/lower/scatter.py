"""Accumulation ``target[e(v)] += weight``: strided slices over small offsets, else a sorted or added scatter.

Each axis of the target is met by one array index that stands on no other axis (a strided slice) or by none;
further indices on the axis are looped over. Where that does not hold, positions are computed as integer arrays.
"""

from __future__ import annotations

from contextlib import nullcontext

from symgrad.declare.algebra import multiply, select
from symgrad.declare.facts import may_be_negative
from symgrad.declare.integers import ZERO, Index, Poly, as_poly, extreme, indices_of
from symgrad.declare.scalars import NOUGHT, TRUE, Condition, Mul, Read, Scalar, free_indices
from symgrad.declare.substitution import substitute
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Array,
    Assign,
    At,
    Fresh,
    Item,
    Name,
    NewAxis,
    Pad,
    Slice,
    Subscript,
    Update,
    Value,
    When,
)
from symgrad.lower.axes import Axes, align, aligned_axes
from symgrad.lower.bands import spread
from symgrad.lower.borders import border
from symgrad.lower.builder import Builder
from symgrad.lower.destinations import computed_in
from symgrad.lower.elementwise import condition_value, value_of
from symgrad.lower.placement import Scatter, loop_indices
from symgrad.lower.scatter_at import add_at_positions
from symgrad.lower.scatter_first import emptied, first_met
from symgrad.lower.scatter_fold import fold_back
from symgrad.lower.scatter_skew import sum_diagonals
from symgrad.lower.sums import sum_value
from symgrad.lower.values import as_float, mapped
from symgrad.lower.walks import Along, along


def scatter(b: Builder, target: Name, free: Axes, job: Scatter, first: bool, apart: bool = False) -> None:
    """Emit statements that add the term to ``target``, an array over ``free``.

    ``first`` creates the target; ``apart``: there is nothing yet where the term lands.
    """
    if fold_back(b, target, free, job, first) or sum_diagonals(b, target, free, job, first):
        return
    loops = None if b.general else loop_indices(b, job)
    if loops is None or not all(b.small(i) or b.typical(i.extent) <= 64 for i in loops) or _diagonal(b, loops):
        add_at_positions(b, target, free, job, first)
        return
    walks = [None if p is None else along(p, b.loops | frozenset(loops)) for p in job.places]
    buffer, starts, crop = _buffer(b, target, free, walks)
    if first and crop is None:
        b.emit(Assign(target.text, Fresh("zeros", tuple(i.extent for i in free))))
    met = [f if w is None else w.steps[0][0] if w.steps else None for f, w in zip(free, walks, strict=True)]
    axes = tuple(i for i in met if i is not None)
    placed = {i for p in job.places if p is not None for i in indices_of(p)}
    inner = tuple(i for i in job.term.bound if i not in placed)
    items = [_item(w, s) for w, s in zip(walks, starts, strict=True)]
    held = {
        axis for axis, item in enumerate(items) if isinstance(item, At) and crop is None and _is_lacking(b, free[axis])
    }
    items = [
        Slice(i.position, i.position + 1) if isinstance(i, At) and axis in held else i for axis, i in enumerate(items)
    ]
    weight = multiply(job.term.scale, job.term.body)
    reason = f"{target.text}: accumulated in strided slices"
    b.because(reason + (f" over the offsets {', '.join(i.name for i in loops)}" if loops else ""))
    if loops and not inner and _in_bands(b, buffer, job, weight, loops, met, items, starts, target.text):
        _cropped(b, target, buffer, crop, first)
        return
    outside: Value | None = None
    if inner and loops and not _needs(job.condition, loops):
        # What is summed away does not depend on where it lands: one product before the loop.
        order = _loops_first_where_placed(axes, walks, loops)
        outside = sum_value(b, inner, job.condition, weight, order, f"{target.text}_windows")
        outside = Value(b.keep(outside.array, f"{target.text}_windows"), outside.axes)
    elif loops and not inner and not (free_indices(weight) | free_indices(job.condition)) & set(loops):
        # The same for every offset.
        outside = as_float(value_of(b, select(job.condition, weight, NOUGHT), axes))
        if not isinstance(outside.array, Name):
            outside = Value(b.keep(outside.array, f"{target.text}_share"), outside.axes)
    with b.looping(loops) if loops else nullcontext():
        if outside is not None:
            picks: list[Item] = [At(as_poly(i)) if i in loops else FULL for i in outside.axes]
            picked = _part(outside.array, picks) if set(loops) & set(outside.axes) else outside.array
            value = Value(picked, tuple(i for i in outside.axes if i not in loops))
        else:
            value = _weighted(b, inner, job.condition, weight, axes, target.text)
        array = align(as_float(value), axes)
        flips = {i for w in walks if w for i in w.flipped}
        if flips & set(value.axes):
            lead = len(axes) - len(aligned_axes(value, axes))
            array = Subscript(array, tuple(FLIP if i in flips else FULL for i in axes[lead:]))
        array = _spread_over(array, met, held, len(axes) - len(aligned_axes(value, axes)))
        fresh = first or crop is not None
        met_first = first_met(walks, starts, loops) if b.fast and loops and fresh else None
        part = _part(buffer, items)
        if met_first is None:
            b.emit(Update(part, "=" if (fresh or apart) and not loops else "+", array))
        else:
            b.because(f"{target.text}: what an offset is the first to meet is assigned, not added")
            assigned = computed_in(part, array) or Update(part, "=", array)
            b.emit(When(met_first, (assigned,), otherwise=(Update(part, "+", array),)))
    if met_first is not None:
        b.block[:] = [
            emptied(s, walks, starts, loops) if isinstance(s, Assign) and s.name == buffer.text else s for s in b.block
        ]
    _cropped(b, target, buffer, crop, first)


def _is_lacking(b: Builder, index: Index) -> bool:
    """Whether an axis may have no element, as one that is read outside as 0."""
    return may_be_negative(b.program, index.extent - 1, b.facts)


def _spread_over(array: Array, met: list[Index | None], held: set[int], missing: int) -> Array:
    """An array with an axis of one element for each position in ``held``; it lacks ``missing`` of the first axes."""
    items: list[Item] = []
    for axis, index in enumerate(met):
        if axis in held:
            items.append(NewAxis())
        elif index is not None:
            items.append(FULL)
    present = [p for p, i in enumerate(items) if i == FULL][missing:]
    items = items[present[0] :] if present else []
    while items and items[-1] == FULL:
        items.pop()
    return Subscript(array, tuple(items)) if any(isinstance(i, NewAxis) for i in items) else array


def _cropped(b: Builder, target: Name, buffer: Name, crop: Array | None, first: bool) -> None:
    """The result without the border that was added into."""
    if crop is not None:
        b.emit(Assign(target.text, crop) if first else Update(target, "+", crop))


def _in_bands(
    b: Builder,
    buffer: Name,
    job: Scatter,
    weight: Scalar,
    loops: Axes,
    met: list[Index | None],
    items: list[Item],
    starts: list[Poly | None],
    name: str,
) -> bool:
    """Emit windows along the last axis as products with band matrices; False if they are none."""
    place, start = job.places[-1], starts[-1]
    if place is None or start is None or None in met:
        return False
    begin = substitute(start, dict.fromkeys(loops, ZERO))
    whole = Index(f"{job.free[-1].name}_axis", job.free[-1].extent)
    last = Slice(begin if begin.terms else None)
    axes = (*(i for i in met[:-1] if i is not None), whole)
    return spread(b, weight, job.condition, loops, place, Value(_part(buffer, [*items[:-1], last]), axes), name)


def _weighted(b: Builder, inner: Axes, condition: Condition, weight: Scalar, axes: Axes, name: str) -> Value:
    """The weight where the condition holds; a finite weight is multiplied by the mask: faster than a choice."""
    factors = weight.args if isinstance(weight, Mul) else (weight,)
    if inner or condition == TRUE or not all(isinstance(f, Read) for f in factors):
        return sum_value(b, inner, condition, weight, axes, name)
    mask = condition_value(b, condition, axes)
    return mapped("mul", [as_float(value_of(b, weight, axes)), mask], axes)


def _needs(condition: Condition, loops: Axes) -> bool:
    return bool(free_indices(condition) & set(loops))


def _loops_first_where_placed(axes: Axes, walks: list[Along | None], loops: Axes) -> Axes:
    """An order of axes in which what each offset takes is in long runs of memory, as the target has it."""
    if walks[-1] is None:
        return (*loops, *axes)
    plain = [i for i, w in zip(axes, (w for w in walks if w is None or w.steps), strict=False) if w is None]
    return (*plain, *loops, *(i for i in axes if i not in plain))


def _part(source: Array, items: list[Item]) -> Array:
    while items and items[-1] == FULL:
        items = items[:-1]
    return Subscript(source, tuple(items)) if items else Subscript(source, (FULL,))


def _item(walk: Along | None, start: Poly | None) -> Item:
    if walk is None or start is None:
        return FULL
    if not walk.steps:
        return At(start)
    index, step = walk.steps[0]
    one = step == as_poly(1)
    return Slice(start if start.terms else None, start + step * index.extent, None if one else step)


def _diagonal(b: Builder, loops: Axes) -> bool:
    """An index on two placed axes: a loop over it would be long."""
    return any(not b.small(i) for i in loops)


def _buffer(
    b: Builder, target: Name, free: Axes, walks: list[Along | None]
) -> tuple[Name, list[Poly | None], Array | None]:
    """The array to add into, where, and what it comes to: itself, or None if it is the target."""
    widths = [_border(b, w, i.extent) for i, w in zip(free, walks, strict=True)]
    if not any(w.terms for pair in widths for w in pair):
        return target, [w.start if w else None for w in walks], None
    name = b.name(f"{target.text}_padded")
    shape = tuple(_grown(b, i.extent, w[0] + w[1]) for i, w in zip(free, widths, strict=True))
    b.emit(Assign(name, Fresh("zeros", shape)))
    starts = [None if w is None else w.start + k[0] for w, k in zip(walks, widths, strict=True)]
    return Name(name), starts, _without_border(b, Name(name), free, widths)


def _border(b: Builder, walk: Along | None, extent: Poly) -> tuple[Poly, Poly]:
    """How far a walk goes beyond an axis; a position alone was read from that axis, which has elements then."""
    if walk is None:
        return ZERO, ZERO
    return border(b.program, walk, extent, b.facts if walk.steps else (*b.facts, extent - 1))


def _grown(b: Builder, extent: Poly, width: Poly) -> Poly:
    """An extent with a border, which may have a width below 0."""
    grown = extent + width
    return extreme("max", [grown, ZERO]) if width.terms and may_be_negative(b.program, grown, b.facts) else grown


def _without_border(b: Builder, buffer: Name, free: Axes, widths: list[tuple[Poly, Poly]]) -> Array:
    """What lies inside the border of a buffer; where a width may be below 0 the elements it took away are 0 again."""
    if any(may_be_negative(b.program, w, b.facts) for pair in widths for w in pair):
        whole = Pad(buffer, tuple((-before, -after) for before, after in widths), crops=True)
        return _part(whole, [Slice(None, i.extent) for i in free])
    crop: list[Item] = []
    for index, (before, after) in zip(free, widths, strict=True):
        full = not before.terms and not after.terms
        crop.append(FULL if full else Slice(before if before.terms else None, before + index.extent))
    return _part(buffer, crop)
