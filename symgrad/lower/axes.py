"""Axes of values: which index stands where, and arrays brought into a common order."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.declare.integers import Index, Poly, as_poly
from symgrad.lower.arrays import FULL, Array, Item, NewAxis, Slice, Subscript, Transpose, Value

Axes = tuple[Index, ...]


def place_in(index: Index, order: Axes) -> int:
    """Where the index stands in an order; last if it does not."""
    return order.index(index) if index in order else len(order)


def align(value: Value, axes: Axes) -> Array:
    """The array with its axes in the order of ``axes``, extent 1 where it has none, leading ones left out."""
    wanted = [i for i in axes if i in value.axes]
    order = tuple(value.axes.index(i) for i in wanted)
    array = value.array
    if order != tuple(range(len(order))):
        array = transposed(array, order)
    if not wanted:
        return array
    tail = axes[axes.index(wanted[0]) :]
    if len(tail) == len(wanted):
        return array
    items: list[Item] = [FULL if i in wanted else NewAxis() for i in tail]
    return subscript(array, items)


def aligned_axes(value: Value, axes: Axes) -> Axes:
    """The axes that an aligned array has."""
    wanted = [i for i in axes if i in value.axes]
    return axes[axes.index(wanted[0]) :] if wanted else ()


def transposed(array: Array, order: tuple[int, ...]) -> Array:
    """Axes in another order; two reorderings are one."""
    if isinstance(array, Transpose):
        return transposed(array.source, tuple(array.order[p] for p in order))
    return array if order == tuple(range(len(order))) else Transpose(array, order)


def union(values: list[Value], order: Axes) -> Axes:
    """All axes of several values, in order."""
    found = {i for v in values for i in v.axes}
    return tuple(sorted(found, key=lambda i: (place_in(i, order), i.name)))


def subscript(source: Array, items: Sequence[Item]) -> Array:
    """The array subscripted; whole axes at the end are left out."""
    while items and items[-1] == FULL:
        items = items[:-1]
    if isinstance(source, Subscript) and items and (joined := _joined(source.items, items)) is not None:
        return Subscript(source.source, joined)
    return Subscript(source, tuple(items)) if items else source


def _joined(inner: tuple[Item, ...], outer: Sequence[Item]) -> tuple[Item, ...] | None:
    """``x[a:b][:, None]`` is ``x[a:b, None]``: slices of different axes and new axes as one subscript."""
    if not all(isinstance(i, Slice) for i in inner) or not all(isinstance(i, NewAxis | Slice) for i in outer):
        return None
    left = list(inner)
    joined: list[Item] = []
    for item in outer:
        before = FULL if isinstance(item, NewAxis) or not left else left.pop(0)
        if FULL not in (before, item):
            return None
        joined.append(item if before == FULL else before)
    return (*joined, *left)


def joint_extent(axes: Axes) -> Poly:
    """Number of positions over all these axes."""
    total = as_poly(1)
    for i in axes:
        total = total * i.extent
    return total
