"""Reads of tensors: views where every axis is a strided walk, else gathers through integer arrays, which fit any."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.declare.bounds import nonnegative, tighten
from symgrad.declare.facts import may_be_negative
from symgrad.declare.integers import ZERO, Atom, Entry, Index, Poly, RealFloor, Size, as_poly, atoms, indices_of
from symgrad.declare.scalars import PLAIN, Extension, Scalar
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Arange,
    Array,
    At,
    By,
    Cast,
    Collapse,
    Const,
    Helper,
    Item,
    Map,
    Name,
    Slice,
    Value,
    Whole,
)
from symgrad.lower.axes import Axes, align, aligned_axes, place_in, subscript
from symgrad.lower.borders import border, fill_of
from symgrad.lower.builder import Builder
from symgrad.lower.repeats import padded_copy
from symgrad.lower.shear import diagonal
from symgrad.lower.values import mapped
from symgrad.lower.views import slice_of, view
from symgrad.lower.walks import Along, along, inside


def read(
    b: Builder,
    source: Array,
    extents: tuple[Poly, ...],
    indices: tuple[Poly, ...],
    extension: Extension | None,
    order: Axes,
    base: str,
) -> Value:
    """The elements of a tensor at index expressions, as an array over the indices in them."""
    if not (b.general or b.loops) and (bordered := padded_copy(source, extents, indices)) is not None:
        return bordered
    indices = tuple(tighten(p) for p in indices)
    if b.loops and not b.general and extension is None and isinstance(source, Name) and source.text not in b.changing:
        found = diagonal(source, extents, indices, b.loops)
        if found is not None:
            source, extents, indices = b.keep(found[0], f"{source.text}_sheared"), found[1], found[2]
    if (axis := _perhaps_missing(b, extents, indices, extension)) is not None:
        items: list[Item] = [FULL] * len(extents)
        items[axis] = Slice(indices[axis] if indices[axis].terms else None, indices[axis] + 1)
        source = Collapse("sum", subscript(source, items), (axis,))
        return read(b, source, _without(extents, axis), _without(indices, axis), extension, order, base)
    walks = [along(p, b.loops) for p in indices]
    seen: set[Index] = set()
    for axis, walk in enumerate(walks):
        used = {i for i, _ in walk.steps} if walk else set()
        if used & seen:
            walks[axis] = None
        seen |= used
    shared = [i for w, p in zip(walks, indices, strict=True) if w is None for i in indices_of(p)]
    walks = [None if w and {i for i, _ in w.steps} & set(shared) else w for w in walks]
    if isinstance(source, Name) and source.text in b.bordered and extension is not None:
        inside_border = _inside_border(b, source.text, extents, indices, walks, extension)
        if inside_border is not None:
            return read(b, *inside_border, None, order, base)
    if isinstance(source, Name) and source.text in b.changing and extension is not None:
        source, extents, indices, walks = _at_step(source, extents, indices, walks)
        if isinstance(source, Name):
            # A border around all steps, in every step, would be too much.
            walks = [w if w is None or inside(w, e) else None for w, e in zip(walks, extents, strict=True)]
    if b.loops and extension in PLAIN:
        # A slice that begins before the axis in some turn (behind a condition that fails there) has another length.
        walks = [None if w and w.steps and _may_be_before(b, w) else w for w in walks]
    if b.general and any(w is None or w.steps for w in walks):
        walks = [None for _ in walks]
    if any(w is None for w in walks):
        return _gather(b, source, extents, indices, walks, extension, order)
    return view(b, source, extents, [w for w in walks if w], extension, order, base)


def _perhaps_missing(
    b: Builder, extents: tuple[Poly, ...], indices: tuple[Poly, ...], extension: Extension | None
) -> int | None:
    """An axis along which one element is read that exists unless the axis is empty, when it is 0 by its extension."""
    if b.general or b.loops or extension != Extension("constant", 0.0):
        return None
    for axis, (p, extent) in enumerate(zip(indices, extents, strict=True)):
        fixed = all(isinstance(a, Size) for a in atoms(p))
        inside_else = fixed and nonnegative(p, b.facts) and nonnegative(extent - 1 - p, b.facts)
        if inside_else and may_be_negative(b.program, extent - 1, b.facts):
            return axis
    return None


def _without(parts: tuple[Poly, ...], axis: int) -> tuple[Poly, ...]:
    return parts[:axis] + parts[axis + 1 :]


def _may_be_before(b: Builder, walk: Along) -> bool:
    """Whether a walk may start before its axis, in some turn of a loop."""
    return bool(set(atoms(walk.start)) & b.loops) and not nonnegative(walk.start, b.facts)


def _inside_border(
    b: Builder,
    tensor: str,
    extents: tuple[Poly, ...],
    indices: tuple[Poly, ...],
    walks: list[Along | None],
    extension: Extension,
) -> tuple[Array, tuple[Poly, ...], tuple[Poly, ...]] | None:
    """A read of an array that lies inside its border, as a read of the whole; None if that does not reach so far."""
    name, widths, fill = b.bordered[tensor]
    if fill != fill_of(extension) or any(w is None for w in walks):
        return None
    wanted = [border(b.program, w, e, b.facts) for w, e in zip(walks, extents, strict=True) if w is not None]
    enough = (
        nonnegative(have - need) for a, c in zip(widths, wanted, strict=True) for have, need in zip(a, c, strict=True)
    )
    if not all(enough):
        return None
    larger = tuple(e + before + after for e, (before, after) in zip(extents, widths, strict=True))
    return Name(name), larger, tuple(p + before for p, (before, _) in zip(indices, widths, strict=True))


def _at_step(
    source: Array, extents: tuple[Poly, ...], indices: tuple[Poly, ...], walks: list[Along | None]
) -> tuple[Array, tuple[Poly, ...], tuple[Poly, ...], list[Along | None]]:
    """One step of an array that a recurrence fills in: what is read outside its border is not the whole array."""
    fixed = [w is not None and not w.steps for w in walks]
    items: list[Item] = [At(w.start) if f and w is not None else FULL for f, w in zip(fixed, walks, strict=True)]
    left = [p for p, f in enumerate(fixed) if not f]
    return (
        subscript(source, items),
        tuple(extents[p] for p in left),
        tuple(indices[p] for p in left),
        [walks[p] for p in left],
    )


def _gather(
    b: Builder,
    source: Array,
    extents: tuple[Poly, ...],
    indices: tuple[Poly, ...],
    walks: list[Along | None],
    extension: Extension | None,
    order: Axes,
) -> Value:
    loose = [axis for axis, w in enumerate(walks) if w is None]
    plain = [(axis, w) for axis, w in enumerate(walks) if w is not None]
    # Axes that are windows join the gather: mixing them with integer arrays would be a view of a copy.
    loose = sorted({*loose, *(a for a, w in plain if len(w.steps) != 1 or not inside(w, extents[a]))})
    broadcast = tuple(
        sorted(
            {i for a in loose for i in indices_of(indices[a]) if i not in b.loops},
            key=lambda i: (place_in(i, order), i.name),
        )
    )
    inner: list[Value] = []
    items: list[Item] = []
    axes: list[Index] = []
    contiguous = loose == list(range(loose[0], loose[-1] + 1))
    if not contiguous:
        axes += broadcast
    for axis, poly in enumerate(indices):
        if axis in loose:
            if contiguous and axis == loose[0]:
                axes += broadcast
            items.append(By(_positions(b, poly, extents[axis], broadcast, extension, inner)))
            continue
        walk = walks[axis]
        assert walk is not None
        index, step = walk.steps[0]
        items.append(slice_of(walk.start, index, step, extents[axis]))
        axes.append(index)
    clipped = [p for p, i in enumerate(items) if isinstance(i, By) and _is_clipped(i.array)]
    empty = [p for p in clipped if may_be_negative(b.program, extents[p] - 1, b.facts)]
    if empty:
        source = Helper("_nonempty", (source, *(Whole(as_poly(p)) for p in empty)))
    flipped = {i for a, w in plain if a not in loose for i in w.flipped}
    # Where the rows' positions come first in what is wanted, NumPy's order in memory is as good.
    in_order = all(place_in(i, order) < place_in(j, order) for i in axes[: loose[0]] for j in broadcast)
    found = _rows(b, source, items) if b.fast and contiguous and broadcast and in_order else None
    array = subscript(found or subscript(source, items), [FLIP if i in flipped else FULL for i in axes])
    value = Value(array, tuple(axes))
    if inner and extension is not None:
        within = inner[0] if len(inner) == 1 else mapped("and", inner, broadcast, "bool")
        fill = fill_of(extension)
        outside = fill if isinstance(fill, Name) else Const(fill) if fill else Whole(ZERO)
        value = Value(Map("where", (align(within, value.axes), array, outside)), value.axes)
    return value


def _rows(b: Builder, source: Array, items: Sequence[Item]) -> Array | None:
    """The read as a call that takes rows as a whole; None where it takes parts of rows, or elements."""
    positions = [i.array for i in items if isinstance(i, By)]
    if len(positions) == len(items) or any(i != FULL for i in items if not isinstance(i, By)):
        return None
    first = next(a for a, i in enumerate(items) if isinstance(i, By))
    b.because("rows at computed positions are copied as a whole, which indexing with arrays does element by element")
    return Helper("_taken", (source, Whole(as_poly(first)), *positions))


def _positions(
    b: Builder, poly: Poly, extent: Poly, broadcast: Axes, extension: Extension | None, inner: list[Value]
) -> Array:
    """An integer array of positions, clipped where the read may be outside; ``inner`` gets the mask of those inside."""
    position = integer(b, poly, broadcast)
    array = align(position, broadcast)
    low, high = nonnegative(poly), nonnegative(extent - 1 - poly)
    if (low and high) or extension is None:
        return array
    named = array if isinstance(array, Name) else b.keep(array, "position") if not b.loops else array
    if extension.mode != "guarded":
        within = Map("and", (Map("le", (Whole(ZERO), named)), Map("lt", (named, Whole(extent)))))
        inner.append(Value(within, aligned_axes(position, broadcast), "bool"))
    return Map("clip", (named, Whole(ZERO), Whole(extent - 1)))


def _is_clipped(positions: Array) -> bool:
    return isinstance(positions, Map) and positions.function == "clip"


def integer(b: Builder, poly: Poly, order: Axes) -> Value:
    """An integer expression over the indices in it, in the given order of axes."""
    poly = tighten(poly)
    free = [i for i in indices_of(poly) if i not in b.loops]
    axes = tuple(sorted(free, key=lambda i: (place_in(i, order), i.name)))
    if isinstance(poly.atom, Entry):
        entry = entry_value(b, poly.atom, order)
        return Value(align(entry, axes), axes, "int")
    table: list[tuple[Atom, Array]] = []
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


def entry_value(b: Builder, entry: Entry, order: Axes) -> Value:
    """An integer tensor's elements."""
    extents = b.program.extents(entry.tensor)
    extension = Extension("guarded") if entry.guarded else None
    value = read(b, Name(entry.tensor), extents, entry.indices, extension, order, entry.tensor)
    return Value(value.array, value.axes, "int")


def floor_value(b: Builder, value: Scalar, order: Axes) -> Value:
    """The floor of a real expression as integers."""
    from symgrad.lower.elementwise import value_of  # expressions read tensors: the two modules need each other

    inner = value_of(b, value, order)
    return Value(Cast(Map("floor", (inner.array,)), "int"), inner.axes, "int")
