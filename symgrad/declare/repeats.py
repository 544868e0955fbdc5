"""Index maps that repeat a tensor beyond its border: wrap, replicate and reflect, as they stand and recognised."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.bounds import nonnegative
from symgrad.declare.division import remainder
from symgrad.declare.integers import ZERO, Extreme, Poly, Remainder, as_poly, extreme


@dataclass(frozen=True, slots=True)
class Repeat:
    """A position ``inner``, in or outside the axis, and the mode that says which element is read there."""

    mode: str
    inner: Poly


def folded(mode: str, index: Poly, extent: Poly) -> Poly:
    """Where inside an axis of this extent a position outside is read."""
    if nonnegative(index) and nonnegative(extent - 1 - index):
        return index
    match mode:
        case "wrap":
            return remainder(index, extent)
        case "replicate":
            return extreme("min", [extreme("max", [index, ZERO]), extent - 1])
    there = remainder(index, _period(extent))
    return extreme("min", [there, 2 * extent - 2 - there])


def _period(extent: Poly) -> Poly:
    return extreme("max", [2 * extent - 2, as_poly(1)])


def repeat_of(poly: Poly, extent: Poly) -> Repeat | None:
    """The mode and the position that ``folded`` made this index of, or that a user wrote out."""
    match poly.atom:
        case Remainder(inner, bottom) if bottom == extent:
            return Repeat("wrap", inner)
        case Extreme("min", args) if len(args) == 2:
            for low, other in (args, args[::-1]):
                if other == extent - 1 and (clipped := _beside(low, "max", ZERO)) is not None:
                    return Repeat("replicate", clipped)
                match low.atom:
                    case Remainder(inner, bottom) if bottom == _period(extent) and other == 2 * extent - 2 - low:
                        return Repeat("reflect", inner)
        case Extreme("max", args) if len(args) == 2:
            for high, other in (args, args[::-1]):
                if other == ZERO and (clipped := _beside(high, "min", extent - 1)) is not None:
                    return Repeat("replicate", clipped)
    return None


def _beside(poly: Poly, kind: str, end: Poly) -> Poly | None:
    """``e`` in ``kind(e, end)``."""
    match poly.atom:
        case Extreme(found, args) if found == kind and len(args) == 2 and end in args:
            return args[0] if args[1] == end else args[1]
    return None
