"""Borders that repeat a tensor (wrap, replicate, reflect): as padding."""

from __future__ import annotations

from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import Index, Poly, as_poly, indices_of
from symgrad.declare.repeats import repeat_of
from symgrad.lower.arrays import Array, Pad, Value

Border = tuple[str, Index, Poly, Poly]
"""Mode, the index along the bordered axis, and the widths before and after."""


def bordered_axis(poly: Poly, extent: Poly) -> Border | None:
    """The border that an index over a whole bordered axis stands for: ``fold(p - before)``."""
    found = repeat_of(poly, extent)
    if found is None or len(indices_of(found.inner)) != 1:
        return None
    (index,) = indices_of(found.inner)
    offset = as_poly(index) - found.inner
    # Positions that wrap are known only up to a multiple of the extent.
    for before in (offset, offset + extent) if found.mode == "wrap" else (offset,):
        after = index.extent - extent - before
        if not indices_of(before) and nonnegative(before) and nonnegative(after):
            return found.mode, index, before, after
    return None


def padded_copy(source: Array, extents: tuple[Poly, ...], indices: tuple[Poly, ...]) -> Value | None:
    """The tensor with repeated borders, if that is what is read."""
    widths: list[tuple[Poly, Poly]] = []
    axes: list[Index] = []
    modes: set[str] = set()
    for poly, extent in zip(indices, extents, strict=True):
        border = bordered_axis(poly, extent)
        if border is not None:
            modes.add(border[0])
            axes.append(border[1])
            widths.append(border[2:])
        elif isinstance(poly.atom, Index) and poly.atom.extent == extent:
            axes.append(poly.atom)
            widths.append((as_poly(0), as_poly(0)))
        else:
            return None
    if len(modes) != 1 or len(set(axes)) < len(axes):
        return None
    return Value(Pad(source, tuple(widths), mode=modes.pop()), tuple(axes))
