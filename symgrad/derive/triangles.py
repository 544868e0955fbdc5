"""Triangles: a reduced index that stays on one side of a free one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.scalars import Compare, Condition


@dataclass(frozen=True, slots=True)
class Triangle:
    """``j <= i + offset``, or the same with both indices counted from their ends.

    Attributes:
        inner: the reduced index ``j``.
        outer: the free index ``i`` that bounds it.
        ahead: whether ``j`` stays below ``i``, not above it.
        offset: how far ``j`` goes beyond ``i``, in the direction in which ``j`` runs.
    """

    inner: Index
    outer: Index
    ahead: bool
    offset: int


def triangle(part: Condition, bound: Collection[Index], free: Collection[Index]) -> Triangle | None:
    """The triangle that a condition is; None if it is none, or if either index may end first."""
    if not isinstance(part, Compare) or part.relation != ">=":
        return None
    terms = dict(part.poly.terms)
    ends = {c: m for m, c in terms.items() if len(m) == 1 and isinstance(m[0], Index)}
    if set(ends) != {1, -1}:
        return None
    (up,), (down,) = ends[1], ends[-1]
    if not (isinstance(up, Index) and isinstance(down, Index)):
        return None
    rest = part.poly - as_poly(up) + as_poly(down)
    if down in bound and up in free:
        j, i, ahead, offset = down, up, True, rest
    elif up in bound and down in free:
        j, i, ahead, offset = up, down, False, rest + up.extent - down.extent
    else:
        return None
    spare = j.extent - i.extent - offset
    if offset.constant is None or not (nonnegative(spare) or nonnegative(-spare)):
        return None
    return Triangle(j, i, ahead, offset.constant)
