"""Reads as views: slices, strided windows, flips, reshapes and borders; a gather where no view fits.

Preconditions: an axis is a view if its index expression is affine in the array indices with coefficients of known
sign, each index standing on one axis only. Everything else is a gather through integer arrays, which fits any read.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.bounds import lower_end, nonnegative, positive, relaxed_upper, tighten, upper_end
from symgrad.declare.integers import (
    ZERO,
    Entry,
    Index,
    Poly,
    RealFloor,
    affine_in,
    as_poly,
    atoms,
    extreme,
    indices_of,
    quotient,
)
from symgrad.declare.program import Program
from symgrad.declare.scalars import Extension, Scalar, reads_of
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Arange,
    Array,
    At,
    By,
    Cast,
    Helper,
    Item,
    Map,
    Name,
    NewAxis,
    Pad,
    Reshape,
    Slice,
    Subscript,
    Transpose,
    Value,
    Whole,
    Windows,
)
from symgrad.lower.builder import Builder


@dataclass(frozen=True, slots=True)
class Along:
    """One axis of a read: ``start + sum of coefficient * index`` with positive coefficients, some indices flipped."""

    start: Poly
    steps: tuple[tuple[Index, Poly], ...]
    flipped: frozenset[Index] = frozenset()

    @property
    def span(self) -> Poly:
        """Number of positions between the first and the last read, both included."""
        return sum((c * (i.extent - 1) for i, c in self.steps), as_poly(1))


def along(poly: Poly, loops: frozenset[Index]) -> Along | None:
    """The axis as a strided walk, or None if it is not one."""
    free = [i for i in sorted(indices_of(poly), key=lambda i: i.name) if i not in loops]
    rest, steps, flipped = poly, [], set()
    for index in free:
        split = affine_in(rest, index)
        if split is None or indices_of(split[0]):
            return None
        coefficient, rest = split
        if positive(coefficient):
            steps.append((index, coefficient))
        elif positive(-coefficient):
            rest = rest + coefficient * (index.extent - 1)
            steps.append((index, -coefficient))
            flipped.add(index)
        else:
            return None
    if any(isinstance(a, Entry | RealFloor) for a in atoms(rest)):
        return None
    return Along(rest, tuple(steps), frozenset(flipped))


def read(b: Builder, source: Name, extents: tuple[Poly, ...], indices: tuple[Poly, ...], extension: Extension | None,
         order: tuple[Index, ...], base: str) -> Value:
    """The elements of a tensor at index expressions, as an array over the indices in them."""
    indices = tuple(tighten(p) for p in indices)
    walks = [along(p, b.loops) for p in indices]
    seen: set[Index] = set()
    for axis, walk in enumerate(walks):
        used = {i for i, _ in walk.steps} if walk else set()
        if used & seen:
            walks[axis] = None
        seen |= used
    shared = [i for w, p in zip(walks, indices, strict=True) if w is None for i in indices_of(p)]
    walks = [None if w and {i for i, _ in w.steps} & set(shared) else w for w in walks]
    if b.general and any(w is None or w.steps for w in walks):
        walks = [None for _ in walks]
    if any(w is None for w in walks):
        return _gather(b, source, extents, indices, walks, extension, order)
    return _view(b, source, extents, [w for w in walks if w], extension, order, base)


# --- views -------------------------------------------------------------------------------------------------------


def _view(b: Builder, source: Array, extents: tuple[Poly, ...], walks: list[Along], extension: Extension | None,
          order: tuple[Index, ...], base: str) -> Value:
    if extension is not None:
        source, extents, walks = _padded(b, source, extents, walks, extension, base)
    source, extents, walks = _digits(source, extents, walks)
    items: list[Item] = []
    axes: list[Index] = []
    windows: list[tuple[int, Index, Poly]] = []
    strides: dict[Index, Poly] = {}
    for walk, extent in zip(walks, extents, strict=True):
        if not walk.steps:
            items.append(At(walk.start))
            continue
        steps = sorted(walk.steps, key=lambda ic: (_rank(ic[0], order), ic[0].name))
        # The window slides over what is longest; its positions are the new axes.
        steps.sort(key=lambda ic: b.small(ic[0]))
        primary, stride = steps[0]
        position = len(axes)
        axes.append(primary)
        if len(steps) == 1:
            items.append(_slice(walk.start, primary, stride, extent))
            continue
        whole = not walk.start.terms and quotient(extent - walk.span + stride * (primary.extent - 1), stride) + 1 == (
            primary.extent
        )
        items.append(FULL if whole else Slice(walk.start or None, walk.start + walk.span))
        strides[primary] = stride
        for index, step in steps[1:]:
            windows.append((position, index, step))
    array = _subscript(source, items)
    slides = bool(windows)
    array, axes = _windowed(array, axes, windows, strides)
    flipped = {i for w in walks for i in w.flipped}
    array = _subscript(array, [FLIP if i in flipped else FULL for i in axes])
    if slides and not b.loops:
        array = b.keep(array, f"{base}_windows")
    return Value(array, tuple(axes))


def _windowed(
    array: Array, axes: list[Index], windows: list[tuple[int, Index, Poly]], strides: dict[Index, Poly]
) -> tuple[Array, list[Index]]:
    while windows:
        now = [w for k, w in enumerate(windows) if w[0] not in {v[0] for v in windows[:k]}]
        windows = [w for w in windows if w not in now]
        sizes = tuple(step * (index.extent - 1) + 1 for _, index, step in now)
        array = Windows(array, sizes, tuple(position for position, _, _ in now))
        axes = axes + [index for _, index, _ in now]
        strides |= {index: step for _, index, step in now}
    items = [Slice(step=strides[i]) if strides.get(i, as_poly(1)) != as_poly(1) else FULL for i in axes]
    return _subscript(array, items), axes


def _rank(index: Index, order: tuple[Index, ...]) -> int:
    return order.index(index) if index in order else len(order)


def _slice(start: Poly, index: Index, step: Poly, extent: Poly) -> Item:
    one = step == as_poly(1)
    stop: Poly | None = start + step * index.extent
    if (one and stop == extent) or (not one and quotient(extent - 1 - start, step) + 1 == index.extent):
        stop = None
    return Slice(start if start.terms else None, stop, None if one else step)


def _subscript(source: Array, items: list[Item]) -> Array:
    while items and items[-1] == FULL:
        items = items[:-1]
    return Subscript(source, tuple(items)) if items else source


def _digits(
    source: Array, extents: tuple[Poly, ...], walks: list[Along]
) -> tuple[Array, tuple[Poly, ...], list[Along]]:
    """An axis walked by the digits of its position is reshaped into one axis a digit."""
    shape: list[Poly] = []
    split: list[Along] = []
    for walk, extent in zip(walks, extents, strict=True):
        several = len(walk.steps) > 1 and not walk.start.terms
        ordered = _as_digits(sorted(walk.steps, key=lambda ic: str(ic[1])), extent) if several else None
        if ordered is None:
            shape.append(extent)
            split.append(walk)
            continue
        shape += [i.extent for i in ordered]
        split += [Along(as_poly(0), ((i, as_poly(1)),), walk.flipped & {i}) for i in ordered]
    if len(shape) == len(extents):
        return source, extents, walks
    return Reshape(source, tuple(shape)), tuple(shape), split


def _as_digits(steps: list[tuple[Index, Poly]], extent: Poly) -> list[Index] | None:
    """Indices, most significant first, if they are digits of a position in 0 .. extent - 1."""
    left, weight, ordered = list(steps), as_poly(1), []
    while left:
        found = next((s for s in left if s[1] == weight), None)
        if found is None:
            return None
        left.remove(found)
        ordered.append(found[0])
        weight = weight * found[0].extent
    return ordered[::-1] if weight == extent else None


def _padded(b: Builder, source: Array, extents: tuple[Poly, ...], walks: list[Along], extension: Extension | None,
            base: str) -> tuple[Array, tuple[Poly, ...], list[Along]]:
    """A border wide enough for every position read, where it cannot be shown that none is needed."""
    fill = extension.value if extension else 0.0
    widths = [border(walk, extent) for walk, extent in zip(walks, extents, strict=True)]
    if not any(w.terms for pair in widths for w in pair):
        return source, extents, walks
    widths = list(b.borders.get((base, fill), widths))
    kept = b.keep(Pad(source, tuple(widths), fill), f"{base}_padded")
    extents = tuple(e + w[0] + w[1] for e, w in zip(extents, widths, strict=True))
    walks = [Along(k.start + w[0], k.steps, k.flipped) for k, w in zip(walks, widths, strict=True)]
    return kept, extents, walks


def border(walk: Along, extent: Poly) -> tuple[Poly, Poly]:
    """How far an axis is read before its beginning and after its end, at most."""
    last = walk.start + walk.span - 1
    before, after = ZERO, ZERO
    if not nonnegative(walk.start):
        low = lower_end(walk.start)
        before = -(walk.start if low is None else low)
    if not nonnegative(extent - 1 - last):
        high = upper_end(relaxed_upper(last))
        after = (last if high is None else high) - extent + 1
    return _at_least_zero(before), _at_least_zero(after)


Borders = dict[tuple[str, float], tuple[tuple[Poly, Poly], ...]]


def survey_borders(program: Program, nodes: list[Scalar]) -> Borders:
    """One border per tensor and fill value, wide enough for every read of it."""
    found: Borders = {}
    for r in dict.fromkeys(r for node in nodes for r in reads_of(node)):
        if r.extension is None:
            continue
        walks = [along(tighten(p), frozenset()) for p in r.indices]
        if any(w is None for w in walks):
            continue
        pairs = [border(w, e) for w, e in zip(walks, program.extents(r.tensor), strict=True) if w is not None]
        key = (r.tensor, r.extension.value)
        known = found.get(key, tuple((ZERO, ZERO) for _ in pairs))
        found[key] = tuple((_larger(a, c), _larger(d, e)) for (a, d), (c, e) in zip(known, pairs, strict=True))
    return found


def _larger(a: Poly, c: Poly) -> Poly:
    if nonnegative(a - c):
        return a
    return c if nonnegative(c - a) else extreme("max", [a, c])


def _at_least_zero(width: Poly) -> Poly:
    return width if nonnegative(width) else ZERO if nonnegative(-width) else extreme("max", [width, ZERO])


# --- gathers -----------------------------------------------------------------------------------------------------


def _gather(b: Builder, source: Array, extents: tuple[Poly, ...], indices: tuple[Poly, ...],
            walks: list[Along | None], extension: Extension | None, order: tuple[Index, ...]) -> Value:
    loose = [axis for axis, w in enumerate(walks) if w is None]
    plain = [(axis, w) for axis, w in enumerate(walks) if w is not None]
    # Axes that are windows join the gather: mixing them with integer arrays would be a view of a copy.
    loose = sorted({*loose, *(a for a, w in plain if len(w.steps) != 1 or not _inside(w, extents[a]))})
    broadcast = tuple(sorted({i for a in loose for i in indices_of(indices[a]) if i not in b.loops},
                             key=lambda i: (_rank(i, order), i.name)))
    outside: list[Array] = []
    items: list[Item] = []
    axes: list[Index] = []
    contiguous = loose == list(range(loose[0], loose[-1] + 1))
    if not contiguous:
        axes += broadcast
    for axis, poly in enumerate(indices):
        if axis in loose:
            if contiguous and axis == loose[0]:
                axes += broadcast
            items.append(By(_positions(b, poly, extents[axis], broadcast, extension, outside)))
            continue
        walk = walks[axis]
        assert walk is not None
        index, step = walk.steps[0]
        items.append(_slice(walk.start, index, step, extents[axis]))
        axes.append(index)
    flipped = {i for a, w in plain if a not in loose for i in w.flipped}
    array = _subscript(Subscript(source, tuple(_trim(items))), [FLIP if i in flipped else FULL for i in axes])
    value = Value(array, tuple(axes))
    if outside and extension is not None:
        inside = outside[0] if len(outside) == 1 else Map("and", tuple(outside))
        mask = align(Value(inside, broadcast), value.axes)
        value = Value(Map("where", (mask, array, Whole(ZERO) if not extension.value else _number(extension.value))),
                      value.axes)
    return value


def _number(value: float) -> Array:
    from symgrad.lower.arrays import Const

    return Const(value)


def _inside(walk: Along, extent: Poly) -> bool:
    return nonnegative(walk.start) and nonnegative(extent - walk.start - walk.span)


def _trim(items: list[Item]) -> list[Item]:
    while items and items[-1] == FULL:
        items = items[:-1]
    return items


def _positions(b: Builder, poly: Poly, extent: Poly, broadcast: tuple[Index, ...], extension: Extension | None,
               outside: list[Array]) -> Array:
    """An integer array of positions, clipped where the read may be outside and nobody looks at the result."""
    array = align(integer(b, poly, broadcast), broadcast)
    low, high = nonnegative(poly), nonnegative(extent - 1 - poly)
    if (low and high) or extension is None:
        return array
    named = array if isinstance(array, Name) else b.keep(array, "position") if not b.loops else array
    if extension.mode != "guarded":
        outside.append(Map("and", (Map("le", (Whole(ZERO), named)), Map("lt", (named, Whole(extent))))))
    return Map("clip", (named, Whole(ZERO), Whole(extent - 1)))


# --- integers ----------------------------------------------------------------------------------------------------


def integer(b: Builder, poly: Poly, order: tuple[Index, ...]) -> Value:
    """An integer expression over the indices in it, in the given order of axes."""
    poly = tighten(poly)
    free = [i for i in indices_of(poly) if i not in b.loops]
    axes = tuple(sorted(free, key=lambda i: (_rank(i, order), i.name)))
    if isinstance(poly.atom, Entry):
        entry = entry_value(b, poly.atom, order)
        return Value(align(entry, axes), axes, "int")
    table = []
    for atom in atoms(poly):
        match atom:
            case Index() if atom not in b.loops:
                table.append((atom, align(Value(Arange(atom.extent), (atom,)), axes)))
            case Entry():
                entry = entry_value(b, atom, order)
                if b.program.equation(atom.tensor) is not None:
                    # Positions are kept in a small type; sums with them need a wide one.
                    entry = Value(Cast(entry.array, "int"), entry.axes, "int")
                table.append((atom, align(entry, axes)))
            case RealFloor(value):
                table.append((atom, align(floor_value(b, value, order), axes)))
    return Value(Whole(poly, tuple(table)), axes, "int")


def entry_value(b: Builder, entry: Entry, order: tuple[Index, ...]) -> Value:
    """An integer tensor's elements."""
    extents = b.program.extents(entry.tensor)
    extension = Extension("guarded") if entry.guarded else None
    value = read(b, Name(entry.tensor), extents, entry.indices, extension, order, entry.tensor)
    return Value(value.array, value.axes, "int")


def floor_value(b: Builder, value: object, order: tuple[Index, ...]) -> Value:
    """The floor of a real expression as integers."""
    from symgrad.lower.elementwise import value_of

    inner = value_of(b, value, order)  # type: ignore[arg-type]
    return Value(Cast(Map("floor", (inner.array,)), "int"), inner.axes, "int")


# --- axes --------------------------------------------------------------------------------------------------------


def align(value: Value, axes: tuple[Index, ...]) -> Array:
    """The array with its axes in the order of ``axes``, extent 1 where it has none, leading ones left out."""
    wanted = [i for i in axes if i in value.axes]
    order = tuple(value.axes.index(i) for i in wanted)
    array = value.array
    if order != tuple(range(len(order))):
        array = transposed(array, order)
    if not wanted:
        return array
    tail = axes[axes.index(wanted[0]):]
    if len(tail) == len(wanted):
        return array
    items: list[Item] = [FULL if i in wanted else NewAxis() for i in tail]
    return Subscript(array, tuple(_trim(items)))


def transposed(array: Array, order: tuple[int, ...]) -> Array:
    """Axes in another order; two reorderings are one."""
    if isinstance(array, Transpose):
        return transposed(array.source, tuple(array.order[p] for p in order))
    return array if order == tuple(range(len(order))) else Transpose(array, order)


def union(values: list[Value], order: tuple[Index, ...]) -> tuple[Index, ...]:
    """All axes of several values, in order."""
    found = {i for v in values for i in v.axes}
    return tuple(sorted(found, key=lambda i: (_rank(i, order), i.name)))


__all__ = ["Helper", "align", "along", "integer", "read", "union"]
