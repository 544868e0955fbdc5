"""Reads as views: slices, strided windows, flips, reshapes and borders.

Precondition: every axis is a strided walk (see ``walks``), and each index stands on one axis only.
"""

from __future__ import annotations

from symgrad.declare.division import quotient
from symgrad.declare.facts import may_be_negative
from symgrad.declare.integers import ONE, Index, Poly, as_poly
from symgrad.declare.scalars import Extension
from symgrad.lower.arrays import FLIP, FULL, Array, At, Item, Reshape, Slice, Value, Windows
from symgrad.lower.axes import Axes, place_in, subscript
from symgrad.lower.borders import padded
from symgrad.lower.builder import Builder
from symgrad.lower.walks import Along, as_digits


def view(
    b: Builder,
    source: Array,
    extents: tuple[Poly, ...],
    walks: list[Along],
    extension: Extension | None,
    order: Axes,
    base: str,
) -> Value:
    """The elements of a tensor along strided walks, one a tensor axis."""
    if extension is not None:
        source, extents, walks = padded(b, source, extents, walks, extension, base)
    source, extents, walks = _digits(source, extents, walks)
    items: list[Item] = []
    axes: list[Index] = []
    windows: list[tuple[int, Index, Poly]] = []
    strides: dict[Index, Poly] = {}
    short: set[Index] = set()
    for walk, extent in zip(walks, extents, strict=True):
        if not walk.steps:
            items.append(At(walk.start))
            continue
        steps = sorted(walk.steps, key=lambda ic: (place_in(ic[0], order), ic[0].name))
        # The window slides over what is longest; its positions are the new axes.
        steps.sort(key=lambda ic: b.small(ic[0]))
        primary, stride = steps[0]
        position = len(axes)
        axes.append(primary)
        if len(steps) == 1:
            items.append(slice_of(walk.start, primary, stride, extent))
            continue
        whole = not walk.start.terms and quotient(extent - walk.span + stride * (primary.extent - 1), stride) + 1 == (
            primary.extent
        )
        items.append(FULL if whole else Slice(walk.start or None, walk.start + walk.span))
        strides[primary] = stride
        if may_be_negative(b.program, extent, b.facts):
            short.add(primary)
        for index, step in steps[1:]:
            windows.append((position, index, step))
    array = subscript(source, items)
    slides = bool(windows)
    array, axes = _windowed(array, axes, windows, strides, short)
    flipped = {i for w in walks for i in w.flipped}
    array = subscript(array, [FLIP if i in flipped else FULL for i in axes])
    if slides and not b.loops:
        array = b.keep(array, f"{base}_windows")
    return Value(array, tuple(axes))


def _windowed(
    array: Array,
    axes: list[Index],
    windows: list[tuple[int, Index, Poly]],
    strides: dict[Index, Poly],
    short: set[Index],
) -> tuple[Array, list[Index]]:
    """Windows of an array; an axis in ``short`` may be empty where it ought to have less, and has too many then."""
    while windows:
        now = [w for k, w in enumerate(windows) if w[0] not in {v[0] for v in windows[:k]}]
        windows = [w for w in windows if w not in now]
        sizes = tuple(step * (index.extent - 1) + 1 for _, index, step in now)
        array = Windows(array, sizes, tuple(position for position, _, _ in now))
        axes = axes + [index for _, index, _ in now]
        strides |= {index: step for _, index, step in now}
    items: list[Item] = []
    for index in axes:
        step = strides.get(index, ONE)
        items.append(Slice(None, step * index.extent if index in short else None, None if step == ONE else step))
    return subscript(array, items), axes


def slice_of(start: Poly, index: Index, step: Poly, extent: Poly) -> Item:
    """The slice of an axis of this extent that an index walks along."""
    one = step == as_poly(1)
    stop: Poly | None = start + step * index.extent
    if (one and stop == extent) or (not one and quotient(extent - 1 - start, step) + 1 == index.extent):
        stop = None
    return Slice(start if start.terms else None, stop, None if one else step)


def _digits(
    source: Array, extents: tuple[Poly, ...], walks: list[Along]
) -> tuple[Array, tuple[Poly, ...], list[Along]]:
    """An axis walked by the digits of its position is reshaped into one axis a digit."""
    shape: list[Poly] = []
    split: list[Along] = []
    for walk, extent in zip(walks, extents, strict=True):
        several = len(walk.steps) > 1 and not walk.start.terms
        ordered = as_digits(sorted(walk.steps, key=lambda ic: str(ic[1])), extent) if several else None
        if ordered is None:
            shape.append(extent)
            split.append(walk)
            continue
        shape += [i.extent for i in ordered]
        split += [Along(as_poly(0), ((i, as_poly(1)),), walk.flipped & {i}) for i in ordered]
    if len(shape) == len(extents):
        return source, extents, walks
    return Reshape(source, tuple(shape)), tuple(shape), split
