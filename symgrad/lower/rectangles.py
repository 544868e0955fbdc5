"""What an equation computes on a rectangle of rows and columns, and in which step each diagonal of it is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from symgrad.declare.graph import components
from symgrad.declare.integers import ZERO, Poly, as_poly
from symgrad.declare.scalars import Read, walk
from symgrad.lower.diagonals import Diagonals
from symgrad.lower.homes import Home
from symgrad.lower.scan_parts import Task

Extents = Mapping[str, tuple[Poly, ...]]
Key = tuple[Poly, Poly, Poly]


class NoDiagonalsError(Exception):
    """A recurrence turns out not to fit on diagonals."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """What an equation computes on some rows and columns, in terms of its own indices.

    Attributes:
        task: the equation there, over all of its indices.
        row, rows: the first row, and how many there are.
        column, columns: the same for the columns, as they are counted.
        whole: whether these are all elements of the left side.
        lag: the diagonal of the rectangle that is computed in step ``s`` is ``s + lag``.
    """

    task: Task
    row: Poly
    rows: Poly
    column: Poly
    columns: Poly
    whole: bool
    lag: Poly = ZERO

    @property
    def target(self) -> str:
        """The left side."""
        return self.task.target

    @property
    def key(self) -> Key:
        """Rectangles with the same key are at the same place of their diagonals in every step."""
        return self.rows, self.columns, self.lag


@dataclass(frozen=True, slots=True)
class Distance:
    """A read of the recurrence: how many rows and how many diagonals it goes back."""

    tensor: str
    rows: Poly
    diagonals: Poly


def distances(
    r: Rectangle, d: Diagonals, extents: Extents, homes: Mapping[str, Home] | None = None
) -> tuple[Distance, ...]:
    """What a rectangle reads of the recurrence; of a left side with ``homes`` in it also as what lives there."""
    row, column = (r.task.equation.indices[a] for a in d.axes[r.target])
    own = d.number(as_poly(row), as_poly(column), column.extent)
    found: dict[Distance, None] = {}
    for read in walk(r.task.equation.body):
        if isinstance(read, Read) and read.tensor in d.axes:
            i, j = d.axes[read.tensor]
            places = [(read.tensor, read.indices[i], read.indices[j])]
            for inner, home in (homes or {}).items():
                if home.whole == read.tensor:
                    first = {axis: segment.first for axis, segment in home.ranges}
                    places.append((inner, read.indices[i] - first.get(i, ZERO), read.indices[j] - first.get(j, ZERO)))
            for tensor, p, o in places:
                there = d.number(p, o, extents[tensor][d.axes[tensor][1]])
                found[Distance(tensor, as_poly(row) - p, own - there)] = None
    return tuple(found)


Needs = Sequence[Sequence[tuple[int, Poly]]]
"""For each rectangle those that write what it reads, and how many diagonals back it reads that."""


def scheduled(
    rectangles: Sequence[Rectangle], d: Diagonals, extents: Extents, homes: Mapping[str, Home]
) -> list[Rectangle]:
    """The rectangles in the order in which a step computes them, each as soon as what it reads is there.

    In each cycle one rectangle stays in the step that the order of the diagonals gives it, and the others go along.
    """
    writers: dict[str, list[int]] = {}
    for place, r in enumerate(rectangles):
        writers.setdefault(r.target, []).append(place)
    reads = [distances(r, d, extents, homes) for r in rectangles]
    needs = [[(q, n.diagonals) for n in found for q in writers.get(n.tensor, [])] for found in reads]
    sense = -1 if d.scan.reverse else 1
    shifts = [d.scan.shift(r.target) for r in rectangles]

    def lags(found: Sequence[Poly]) -> list[Poly]:
        return [s - d.slope * r.row - r.column for s, r in zip(found, rectangles, strict=True)]

    # The steps that the order of the diagonals gives are right as well, and sometimes fewer.
    tried = [*(_early(shifts, needs, fixed, sense) for fixed in _cuts(needs)), shifts]
    possible = [found for found in tried if _is_order(found, needs, sense)]
    if not possible:
        raise NoDiagonalsError
    shifts = min(possible, key=lambda found: len(set(lags(found))))
    order = [int(name) for group in components(_in_one_step(shifts, needs)) for name in group]
    return [replace(rectangles[p], lag=lags(shifts)[p]) for p in order]


def _in_one_step(shifts: Sequence[Poly], needs: Needs) -> dict[str, list[str]]:
    """For each rectangle those that it needs of the same step."""
    return {
        str(place): [str(q) for q, back in found if not (shifts[q] + back - shifts[place]).terms]
        for place, found in enumerate(needs)
    }


def _is_order(shifts: Sequence[Poly], needs: Needs, sense: int) -> bool:
    """Whether no rectangle needs what a later step computes, or in a circle what its own does."""
    gaps = (shifts[q] + back - shifts[place] for place, found in enumerate(needs) for q, back in found)
    late = any(g.constant is not None and g.constant * sense < 0 for g in gaps)
    now = _in_one_step(shifts, needs)
    return not late and all(len(g) == 1 and g[0] not in now[g[0]] for g in components(now))


def _early(shifts: Sequence[Poly], needs: Needs, fixed: set[int], sense: int) -> list[Poly]:
    """Shifts with which each rectangle but the fixed ones is computed as soon as what it reads is there."""
    shifts = list(shifts)
    for _ in needs:
        for place in (p for p in range(len(needs)) if p not in fixed):
            gaps = [((shifts[q] + back - shifts[place]) * sense).constant for q, back in needs[place]]
            known = [g for g in gaps if g is not None]
            if known and len(known) == len(gaps):
                shifts[place] = shifts[place] + min(known) * sense
    return shifts


def _cuts(needs: Needs) -> list[set[int]]:
    """Choices of rectangles, one of each cycle at least, found by taking what breaks most cycles."""
    first = _in_cycles(needs, set())
    most = min((len(_in_cycles(needs, {p})) for p in first), default=0)
    choices = [{p} for p in first if len(_in_cycles(needs, {p})) == most] or [set()]
    for found in choices:
        while cycle := _in_cycles(needs, found):
            found.add(min(cycle, key=lambda p: (len(_in_cycles(needs, {*found, p})), p)))
    return choices


def _in_cycles(needs: Needs, without: set[int]) -> list[int]:
    """The rectangles that need themselves."""
    left = {str(p): [str(q) for q, _ in n if q not in without] for p, n in enumerate(needs) if p not in without}
    return [int(n) for g in components(left) if len(g) > 1 or g[0] in left[g[0]] for n in g]


def of_one_step(parts: Sequence[Rectangle], d: Diagonals, extents: Extents, kept: frozenset[str]) -> set[str]:
    """Left sides that nobody needs but the step that computes them, for the elements that it computes then."""
    by_target: dict[str, list[Rectangle]] = {}
    for r in parts:
        by_target.setdefault(r.target, []).append(r)
    found = {
        t for t, own in by_target.items() if t not in kept and len(own) == 1 and own[0].whole and not own[0].task.adds
    }
    for r in parts:
        for n in distances(r, d, extents):
            if n.tensor in found:
                (made,) = by_target[n.tensor]
                if made.key != r.key or (r.row - n.rows - made.row).terms or r.target == n.tensor:
                    found.discard(n.tensor)
    return found
