"""Values of integer expressions at a few points: what is negative at one of them is nowhere proved nonnegative."""

from __future__ import annotations

from math import nan, prod
from zlib import crc32

from symgrad.declare.frozen import remember
from symgrad.declare.integers import Atom, Extreme, Index, Poly, Quotient, Remainder, Size

# How far each size is above its minimum, at most: the first point has every index at its first iteration.
_SPREADS = (0, 3, 97)


def negative(poly: Poly, *less: Poly) -> bool:
    """Whether ``poly`` minus the others is negative at a point that the sizes and the indices allow."""
    return any(_at(poly, spread) - sum(_at(part, spread) for part in less) < 0 for spread in _SPREADS)


@remember
def _at(poly: Poly, spread: int) -> float:
    """The value at a point, NaN where the point is none: an empty index, a division that is not exact or by nothing."""
    return sum(c * prod(_value(atom, spread) for atom in monomial) for monomial, c in poly.terms)


@remember
def _value(atom: Atom, spread: int) -> float:
    match atom:
        case Size(name, minimum):
            return (1 if minimum is None else minimum) + crc32(name.encode()) % (spread + 1)
        case Index(name, extent):
            last = _at(extent, spread) - 1
            return (crc32(name.encode()) % (last + 1) if spread else 0) if last >= 0 else nan
        case Quotient(top, bottom, exact):
            above, below = _at(top, spread), _at(bottom, spread)
            return above // below if below > 0 and not (exact and above % below) else nan
        case Remainder(top, bottom):
            below = _at(bottom, spread)
            return _at(top, spread) % below if below > 0 else nan
        case Extreme(kind, args):
            values = [_at(arg, spread) for arg in args]
            return (max if kind == "max" else min)(values) if all(v == v for v in values) else nan
    return spread  # data: anything
