"""Diagonals of an array as slices of a sheared view of it."""

from __future__ import annotations

from symgrad.declare.integers import Entry, Index, Poly, RealFloor, affine_in, as_poly, atoms, indices_of
from symgrad.lower.arrays import FLIP, FULL, Array, Helper, Whole
from symgrad.lower.axes import subscript


def sheared(source: Array, row: int, column: int, slope: int) -> Helper:
    """A view whose element (p, s) on the two axes is (p, s - slope * p) of the source."""
    numbers = (row, column) if slope == 1 else (row, column, slope)
    return Helper("_sheared", (source, *(Whole(as_poly(n)) for n in numbers)))


def diagonal(
    source: Array, extents: tuple[Poly, ...], indices: tuple[Poly, ...], loops: frozenset[Index]
) -> tuple[Array, tuple[Poly, ...], tuple[Poly, ...]] | None:
    """A read along a diagonal, one index on two axes, as a read of a sheared view; None if it is no such read.

    Precondition: the read stays inside.
    """
    free = [{i for i in indices_of(p) if i not in loops} for p in indices]
    for index in sorted({i for f in free for i in f}, key=lambda i: i.name):
        where = [axis for axis, f in enumerate(free) if index in f]
        if len(where) != 2 or any(len(free[axis]) != 1 for axis in where):
            continue
        for row, column in (where, where[::-1]):
            split = affine_in(indices[row], index), affine_in(indices[column], index)
            if split[0] is None or split[1] is None or split[0][0].constant != 1:
                continue
            slope = split[1][0].constant
            if slope is None or _from_data(split[0][1]) or _from_data(split[1][1]):
                continue
            at, longer = list(indices), list(extents)
            if slope > 0:
                source = subscript(source, [FLIP if a == column else FULL for a in range(len(indices))])
                at[column] = extents[column] - 1 - at[column]
            at[column] = at[column] + abs(slope) * at[row]
            longer[column] = extents[column] + abs(slope) * (extents[row] - 1)
            return sheared(source, row, column, abs(slope)), tuple(longer), tuple(at)
    return None


def _from_data(poly: Poly) -> bool:
    return any(isinstance(a, Entry | RealFloor) for a in atoms(poly))
