"""Accumulation ``target[e(v)] += weight``: strided slices over small offsets, else a sorted or added scatter.

Each axis of the target is met by one array index that stands on no other axis (a strided slice) or by none;
further indices on the axis are looped over. Where that does not hold, positions are computed as integer arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.algebra import all_of, conjuncts, multiply, select
from symgrad.declare.integers import Entry, Index, Poly, affine_in, as_poly, indices_of
from symgrad.declare.scalars import NOUGHT, TRUE, Compare, Condition, Mul, Read, Scalar, free_indices
from symgrad.derive.invert import Solved, absorb, solve
from symgrad.derive.terms import Term
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Array,
    Assign,
    At,
    By,
    Cast,
    Fresh,
    Helper,
    Item,
    Map,
    Name,
    Run,
    Slice,
    Subscript,
    Transpose,
    Update,
    Value,
    Whole,
)
from symgrad.lower.builder import Builder
from symgrad.lower.contract import Axes, sum_value
from symgrad.lower.elementwise import as_float, condition_value, mapped, value_of
from symgrad.lower.views import Along, _at_least_zero, align, along, integer


@dataclass(frozen=True, slots=True)
class Scatter:
    """A term whose equalities place it: ``places[axis]`` is the position on that axis, None for a plain index."""

    term: Term
    free: Axes
    places: tuple[Poly | None, ...]
    condition: Condition


def as_scatter(term: Term, free: Axes) -> Scatter | None:
    """Equalities ``e = t`` with ``t`` on the left side and nowhere else; None if there are none."""
    places: list[Poly | None] = [None] * len(free)
    rest: list[Condition] = []
    for part in conjuncts(term.condition):
        axis = _placed(part, free, places)
        if axis is None:
            rest.append(part)
            continue
        assert isinstance(part, Compare)
        coefficient, other = affine_in(part.poly, free[axis])  # type: ignore[misc]
        places[axis] = -other if coefficient.constant == 1 else other
    if all(p is None for p in places):
        return None
    placed = {free[a] for a, p in enumerate(places) if p is not None}
    used = free_indices(term.body) | {i for c in rest for i in free_indices(c)}
    used |= {i for p in places if p is not None for i in indices_of(p)}
    if used & placed:
        return None
    return Scatter(term, free, tuple(places), all_of(*rest))


def _placed(part: Condition, free: Axes, places: list[Poly | None]) -> int | None:
    if not isinstance(part, Compare) or part.relation != "==":
        return None
    for axis, index in enumerate(free):
        split = affine_in(part.poly, index)
        if places[axis] is None and split is not None and split[0].constant in (1, -1):
            return axis
    return None


def solved_form(b: Builder, term: Term, free: Axes) -> Solved | None:
    """The term without its equalities, if pivots +-1 suffice and no range condition is left over."""
    cotangents = tuple(i for i in term.bound if not b.small(i))
    solved = absorb(solve(term.bound, term.condition, term.body, cotangents, unit_only=True), b.program.extents)
    before = [c for c in conjuncts(term.condition) if not (isinstance(c, Compare) and c.relation == "==")]
    left_over = [c for c in conjuncts(solved.condition) if c not in before]
    if not solved.pivots or not solved.complete or left_over:
        return None
    return solved


def prefers_solved(b: Builder, scatter: Scatter, solved: Solved | None) -> bool:
    """Whether the solved form beats accumulation: a product of arrays, or nothing small to loop over."""
    if solved is None or b.general:
        return False
    loops = _loop_indices(b, scatter)
    if loops is None or not solved.bound:
        return True
    if b.volume(solved.bound) * b.volume(scatter_axes(scatter)) > 2 * b.volume(scatter.term.bound):
        return False
    body = solved.body
    factors = body.args if isinstance(body, Mul) else (body,)
    arrays = [f for f in factors if isinstance(f, Read) and f.indices]
    sets = {frozenset(free_indices(f)) for f in arrays}
    shared = set.intersection(*(set(s) for s in sets)) & set(solved.bound) if len(sets) > 1 else set()
    if solved.bound and not shared and loops and all(b.small(i) for i in loops):
        return False
    if shared:
        return True
    return bool(loops) and not all(b.small(i) for i in loops)


def scatter_axes(scatter: Scatter) -> Axes:
    """The left side's indices on placed axes: what a solved form runs over instead of summed indices."""
    return tuple(t for t, p in zip(scatter.free, scatter.places, strict=True) if p is not None)


def _loop_indices(b: Builder, scatter: Scatter) -> Axes | None:
    """Indices to loop over so that every placed axis is a strided slice; None if positions must be computed."""
    if any(set(indices_of(p)) & set(scatter.free) for p in scatter.places if p is not None):
        return None
    walks = [None if p is None else along(p, b.loops) for p in scatter.places]
    if any(w is None and p is not None for w, p in zip(walks, scatter.places, strict=True)):
        return None
    on_axes: dict[Index, int] = {}
    for w in walks:
        for index, _ in w.steps if w else ():
            on_axes[index] = on_axes.get(index, 0) + 1
    loops: list[Index] = []
    for w in walks:
        if w is None:
            continue
        steps = sorted((i for i, _ in w.steps), key=lambda i: (on_axes[i] > 1, b.typical(i.extent) * -1, i.name))
        vectors = [i for i in steps[:1] if on_axes[i] == 1]
        loops += [i for i in steps if i not in vectors]
    return tuple(i for i in scatter.term.bound if i in loops)


def scatter(b: Builder, target: Name, free: Axes, job: Scatter, first: bool) -> None:
    """Emit statements that add the term to ``target``, an array over ``free``; ``first`` creates the target."""
    loops = None if b.general else _loop_indices(b, job)
    if loops is None or not all(b.small(i) or b.typical(i.extent) <= 64 for i in loops) or _diagonal(b, job, loops):
        if first:
            b.emit(Assign(target.text, Fresh("zeros", tuple(i.extent for i in free))))
        _by_position(b, target, free, job)
        return
    walks = [None if p is None else along(p, b.loops | frozenset(loops)) for p in job.places]
    buffer, starts, crop = _buffer(b, target, free, job, walks, loops)
    if first and crop is None:
        b.emit(Assign(target.text, Fresh("zeros", tuple(i.extent for i in free))))
    vectors = [w.steps[0][0] if w and w.steps else None for w in walks]
    axes = tuple(v if w is not None else f for f, v, w in zip(free, vectors, walks, strict=True) if w is None or v)
    placed = {i for p in job.places if p is not None for i in indices_of(p)}
    inner = tuple(i for i in job.term.bound if i not in placed)
    items = [_item(w, s) for w, s in zip(walks, starts, strict=True)]
    weight = multiply(job.term.scale, job.term.body)
    reason = f"{target.text}: accumulated in strided slices"
    b.because(reason + (f" over the offsets {', '.join(i.name for i in loops)}" if loops else ""))
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
    with b.looping(loops) if loops else _nothing():
        if outside is not None:
            picks: list[Item] = [At(as_poly(i)) if i in loops else FULL for i in outside.axes]
            picked = _subscript(outside.array, picks) if set(loops) & set(outside.axes) else outside.array
            value = Value(picked, tuple(i for i in outside.axes if i not in loops))
        else:
            value = _weighted(b, inner, job.condition, weight, axes, target.text)
        array = align(as_float(value), axes)
        flips = {i for w in walks if w for i in w.flipped}
        if flips & set(value.axes):
            lead = len(axes) - len(align_rank(value, axes))
            array = Subscript(array, tuple(FLIP if i in flips else FULL for i in axes[lead:]))
        b.emit(Update(_subscript(buffer, items), "+", array))
    if crop is not None:
        cropped = _subscript(buffer, crop)
        b.emit(Assign(target.text, cropped) if first else Update(target, "+", cropped))


def _weighted(b: Builder, inner: Axes, condition: Condition, weight: Scalar, axes: Axes, name: str) -> Value:
    """The weight where the condition holds; a finite weight is multiplied by the mask, which is faster than a choice."""
    factors = weight.args if isinstance(weight, Mul) else (weight,)
    if inner or condition == TRUE or not all(isinstance(f, Read) for f in factors):
        return sum_value(b, inner, condition, weight, axes, name)
    mask = condition_value(b, condition, axes)
    return mapped("mul", [as_float(value_of(b, weight, axes)), mask], axes)


def align_rank(value: Value, axes: Axes) -> Axes:
    """The axes that an aligned array has."""
    wanted = [i for i in axes if i in value.axes]
    return axes[axes.index(wanted[0]) :] if wanted else ()


def _needs(condition: Condition, loops: Axes) -> bool:
    return bool(free_indices(condition) & set(loops))


def _loops_first_where_placed(axes: Axes, walks: list[Along | None], loops: Axes) -> Axes:
    plain = [i for i, w in zip(axes, (w for w in walks if w is None or w.steps), strict=False) if w is None]
    return (*plain, *loops, *(i for i in axes if i not in plain))


class _nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *args: object) -> None:
        return None


def _subscript(source: Array, items: list[Item]) -> Array:
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


def _diagonal(b: Builder, job: Scatter, loops: Axes) -> bool:
    """An index on two placed axes: a loop over it would be long."""
    return any(not b.small(i) for i in loops)


def _buffer(
    b: Builder, target: Name, free: Axes, job: Scatter, walks: list[Along | None], loops: Axes
) -> tuple[Name, list[Poly | None], list[Item] | None]:
    """The array to add into: the target itself, or one with a border that is cut off afterwards."""
    from symgrad.declare.bounds import lower_end, nonnegative, relaxed_upper, upper_end
    widths: list[tuple[Poly, Poly]] = []
    for index, walk in zip(free, walks, strict=True):
        before = after = as_poly(0)
        if walk is not None:
            last = walk.start + walk.span - 1
            if not nonnegative(walk.start):
                low = lower_end(walk.start)
                before = _at_least_zero(-(walk.start if low is None else low))
            if not nonnegative(index.extent - 1 - last):
                high = upper_end(relaxed_upper(last))
                after = _at_least_zero((last if high is None else high) - index.extent + 1)
        widths.append((before, after))
    if not any(w.terms for pair in widths for w in pair):
        return target, [w.start if w else None for w in walks], None
    name = b.name(f"{target.text}_padded")
    shape = tuple(i.extent + w[0] + w[1] for i, w in zip(free, widths, strict=True))
    b.emit(Assign(name, Fresh("zeros", shape)))
    starts = [None if w is None else w.start + k[0] for w, k in zip(walks, widths, strict=True)]
    crop: list[Item] = []
    for index, (before, after) in zip(free, widths, strict=True):
        whole = not before.terms and not after.terms
        crop.append(FULL if whole else Slice(before if before.terms else None, before + index.extent))
    return Name(name), starts, crop


# --- computed positions --------------------------------------------------------------------------------------------


def _by_position(b: Builder, target: Name, free: Axes, job: Scatter) -> None:
    """Positions as integer arrays over the indices that decide them."""
    axes_placed = [a for a, p in enumerate(job.places) if p is not None]
    deciding = {i for p in job.places if p is not None for i in indices_of(p)}
    vectors = tuple(i for i in job.term.bound if i in deciding) + tuple(
        f for a, f in enumerate(free) if f in deciding and a not in axes_placed
    )
    plain = tuple(f for a, f in enumerate(free) if a not in axes_placed and f not in vectors)
    carried = tuple(f for a, f in enumerate(free) if a not in axes_placed and f in vectors)
    inner = tuple(i for i in job.term.bound if i not in deciding)
    guards = [_range_guard(b, job.places[a], free[a]) for a in axes_placed]
    condition = all_of(job.condition, *guards)
    weight = select(condition, multiply(job.term.scale, job.term.body), NOUGHT)
    if inner:
        value = sum_value(b, inner, condition, multiply(job.term.scale, job.term.body), (*vectors, *plain), target.text)
    else:
        value = value_of(b, weight, (*vectors, *plain))
    whole = (*vectors, *plain)
    array = align(as_float(value), whole)
    lead = [*axes_placed, *(a for a, f in enumerate(free) if f in carried)]
    positions = []
    for a in lead:
        poly = job.places[a] if a in axes_placed else as_poly(free[a])
        assert poly is not None
        positions.append(_position(b, poly, free[a], vectors))
    order = (*lead, *(a for a in range(len(free)) if a not in lead))
    view: Array = target if order == tuple(range(len(free))) else Transpose(target, order)
    if not b.general and _injective(job, vectors, carried):
        b.because(f"{target.text}: every position is met once, so indexed addition is enough")
        b.emit(Update(Subscript(view, tuple(By(p) for p in positions)), "+", array))
        return
    b.because(f"{target.text}: positions may repeat, so rows are sorted and added up")
    b.emit(Run(Helper("_add_at", (view, *positions, array))))


def _range_guard(b: Builder, poly: Poly | None, index: Index) -> Condition:
    """What lands outside the target is dropped, unless it was checked on entry that nothing does."""
    from symgrad.declare.algebra import at_least

    assert poly is not None
    if isinstance(poly.atom, Entry) and (poly.atom.tensor, index.extent) in b.validated:
        return TRUE
    return all_of(at_least(poly, 0), at_least(index.extent - 1, poly))


def _position(b: Builder, poly: Poly, index: Index, vectors: Axes) -> Array:
    from symgrad.declare.bounds import nonnegative

    value = integer(b, poly, vectors)
    array = align(value, vectors)
    sure = nonnegative(poly) and nonnegative(index.extent - 1 - poly)
    if sure or (isinstance(poly.atom, Entry) and (poly.atom.tensor, index.extent) in b.validated):
        return array
    return Map("clip", (array, Whole(as_poly(0)), Whole(index.extent - 1)))


def _injective(job: Scatter, vectors: Axes, carried: Axes) -> bool:
    """Each deciding index can be read off one axis of its own."""
    seen = set(carried)
    for poly in job.places:
        if poly is None:
            continue
        walk = along(poly, frozenset())
        if walk is not None and len(walk.steps) == 1:
            seen.add(walk.steps[0][0])
    return set(vectors) <= seen


__all__ = ["Scatter", "Scalar", "as_scatter", "prefers_solved", "scatter", "solved_form"]
