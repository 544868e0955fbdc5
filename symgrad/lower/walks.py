"""An index expression as a strided walk along one axis, or as the digits of a position."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.bounds import nonnegative, positive
from symgrad.declare.division import multiplied_out
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Entry, Index, Poly, RealFloor, affine_in, as_poly, atoms, indices_of


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


@remember
def along(poly: Poly, loops: frozenset[Index]) -> Along | None:
    """The axis as a strided walk, or None if it is not one."""
    free = [i for i in sorted(indices_of(poly), key=lambda i: i.name) if i not in loops]
    rest, steps, flipped = poly, [], set()
    for index in free:
        split = affine_in(rest, index)
        if split is None or indices_of(split[0]):
            return None
        coefficient, rest = split
        # The extent of an index that runs at all is positive.
        if positive(coefficient) or any(coefficient == i.extent for i in free):
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


def inside(walk: Along, extent: Poly) -> bool:
    """Whether the walk is known to stay on an axis of this extent."""
    return nonnegative(walk.start) and nonnegative(extent - walk.start - walk.span)


def as_digits(steps: list[tuple[Index, Poly]], extent: Poly) -> list[Index] | None:
    """Indices, most significant first, if they are digits of a position in 0 .. extent - 1."""
    left, weight, ordered = list(steps), as_poly(1), []
    while left:
        found = next((s for s in left if s[1] == weight), None)
        if found is None:
            return None
        left.remove(found)
        ordered.append(found[0])
        weight = weight * found[0].extent
    return ordered[::-1] if extent in (weight, multiplied_out(weight)) else None
