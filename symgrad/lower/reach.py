"""How far the other indices of a block reach: ``s <= t`` leaves s < last where t < last.

A block computes a run ``first <= t < last`` of one index. Another index, say s, need not run over all of its range
where everything that it is read for is left out by a sum or a maximum outside of conditions that tie it to t. Indices
that meet in an axis of a tensor that exists for the block alone reach equally far.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import (
    ZERO,
    Atom,
    Index,
    Poly,
    Size,
    affine_in,
    as_poly,
    depends_on_data,
    extreme,
    indices_of,
)
from symgrad.declare.program import Program
from symgrad.declare.scalars import Compare, Condition, Node, Reduce, free_indices, walk
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import terms_of
from symgrad.lower.outside import Outside
from symgrad.lower.parts import Cut, Section, reads_in

Place = tuple[str, Index] | tuple[str, int]
"""An index of an equation, by its left side, or an axis of a tensor."""
CUT, OTHER = Index("_cut", as_poly(Size("_cut"))), Index("_other", as_poly(Size("_other")))
"""What stand for the index of a block and the other one in a condition that ties them."""


@dataclass(frozen=True, slots=True)
class Ties:
    """Conditions ``poly >= 0`` in ``CUT`` and ``OTHER`` that hold wherever an index has to be looked at."""

    polys: tuple[Poly, ...]

    def low(self, block: Run) -> Poly:
        """The first position to look at in a block."""
        ends = [_end(p, block) for p in self.polys if _is_lower(p)]
        sure = any(map(nonnegative, ends))
        return extreme("max", ends if sure else [ZERO, *ends])

    def high(self, block: Run, extent: Poly) -> Poly:
        """The position behind the last one to look at."""
        ends = [_end(p, block) + 1 for p in self.polys if not _is_lower(p)]
        largest: dict[Atom, Poly] = {block.last: block.extent, block.first: ZERO}
        sure = any(nonnegative(extent - substitute(e, largest)) for e in ends)
        return _least(ends if sure else [*ends, extent], block)


@dataclass(frozen=True, slots=True)
class Run:
    """The positions ``first .. last - 1`` of an axis of ``extent``, one at least."""

    first: Size
    last: Size
    extent: Poly

    def never_negative(self, poly: Poly) -> bool:
        """Whether ``poly >= 0`` follows."""
        beyond = as_poly(self.first) + as_poly(Size("_beyond", 1))
        return nonnegative(substitute(poly, {self.last: beyond}))


def _least(ends: list[Poly], block: Run) -> Poly:
    """The least of some positions, 0 if that is negative."""
    least = extreme("min", ends)
    return least if all(map(block.never_negative, ends)) else extreme("max", [ZERO, least])


def tie(poly: Poly, cut: Index, other: Index) -> Poly | None:
    """A condition ``poly >= 0`` in terms of ``CUT`` and ``OTHER``; None if it does not tie them one to one."""
    if depends_on_data(poly) or indices_of(poly) != {cut, other}:
        return None
    for index, ones in ((other, True), (cut, False)):
        split = affine_in(poly, index)
        if split is None or (step := split[0].constant) is None or (ones and abs(step) != 1):
            return None
    return substitute(poly, {cut: as_poly(CUT), other: as_poly(OTHER)})


def _is_lower(poly: Poly) -> bool:
    return _step(poly, OTHER) > 0


def _step(poly: Poly, index: Index) -> int:
    split = affine_in(poly, index)
    assert split is not None and split[0].constant is not None
    return split[0].constant


def _end(poly: Poly, block: Run, inner: bool = False) -> Poly:
    """The last position of ``OTHER`` on the side that the condition bounds for some position of a block.

    ``inner``: for all of them.
    """
    bound = substitute(poly, {OTHER: ZERO}) * (-_step(poly, OTHER))
    farthest = (_step(bound, CUT) > 0) != (_is_lower(poly) != inner)
    return substitute(bound, {CUT: as_poly(block.last) - 1 if farthest else as_poly(block.first)})


def uncertain(poly: Poly, block: Run, low: Poly, width: Poly) -> tuple[Poly | None, Poly | None]:
    """The positions, ``width`` of them counted from ``low``, at which a condition fails for some of a block.

    None where they begin, or end, with what the block reaches.
    """
    end = _end(poly, block, inner=True) - low + (0 if _is_lower(poly) else 1)
    end = end if block.never_negative(end) else extreme("max", [ZERO, end])
    if not _is_lower(poly):
        return end, None
    return None, end if block.never_negative(width - end) else extreme("min", [end, width])


# --- which indices reach how far ---------------------------------------------------------------------------------


def ties_of(program: Program, section: Section, kept: Iterable[str]) -> dict[tuple[str, Index], Ties]:
    """For the indices of a block's equations, by left side, what ties them to the block; only those that are tied.

    ``kept`` are left sides that are read elsewhere.
    """
    outside = Outside(program)
    kept = set(kept)
    groups = _Groups()
    own = {c.equation.target for c in section.cuts if not c.summed}
    for cut in section.cuts:
        target = cut.equation.target
        others = [i for i in cut.equation.indices if i not in cut.indices]
        for axis, index in enumerate(cut.equation.indices):
            if index in others and cut.summed:
                groups.limit((target, index), _in_all_terms(outside, cut, index))
            elif index in others:
                groups.join((target, index), (target, axis))
                groups.limit((target, index), frozenset() if target in kept else None)
        for reduce in (n for n in walk(cut.equation.body) if isinstance(n, Reduce)):
            for index in reduce.indices:
                if index not in cut.indices:
                    groups.limit((target, index), _of_reduce(outside, reduce, cut, index))
        for tensor, indices in reads_in(cut.equation.body):
            for axis, poly in enumerate(indices) if tensor in own else ():
                if isinstance(poly.atom, Index):
                    groups.join((target, poly.atom), (tensor, axis))
                else:
                    groups.limit((tensor, axis), frozenset())
    found: dict[tuple[str, Index], Ties] = {}
    for place, polys in groups.limits().items():
        if isinstance(place[1], Index) and polys:
            found[place[0], place[1]] = Ties(tuple(sorted(polys, key=str)))
    return found


def _of_reduce(outside: Outside, reduce: Reduce, cut: Cut, index: Index) -> frozenset[Poly]:
    """The conditions that tie an index to the block, outside of which a reduction need not look."""
    conditions = dict.fromkeys((*outside.conditions(reduce), *outside.conditions(reduce.body)))
    left = (c for c in conditions if outside.is_left_out(reduce, c))
    return _tied(left, cut, index)


def _tied(conditions: Iterable[Condition], cut: Cut, index: Index) -> frozenset[Poly]:
    found: set[Poly] = set()
    for condition in conditions:
        mine = free_indices(condition) & cut.indices
        if isinstance(condition, Compare) and len(mine) == 1:
            tied = tie(condition.poly, next(iter(mine)), index)
            found |= {tied} if tied is not None else set()
    return frozenset(found)


def _in_all_terms(outside: Outside, cut: Cut, index: Index) -> frozenset[Poly]:
    """The same for an index of the left side, all of whose terms are sums along the block."""

    def of(node: Node) -> frozenset[Poly]:
        assert isinstance(node, Reduce)
        return _of_reduce(outside, node, cut, index)

    terms = terms_of(cut.equation.body)
    found = [of(Reduce("sum", t.bound, t.condition, t.body)) for t in terms]
    return frozenset.intersection(*found)


class _Groups:
    """Places that have to reach equally far, and the conditions that all of them allow."""

    def __init__(self) -> None:
        self._leader: dict[Place, Place] = {}
        self._limits: dict[Place, frozenset[Poly]] = {}

    def _find(self, place: Place) -> Place:
        while self._leader.setdefault(place, place) != place:
            place = self._leader[place]
        return place

    def join(self, one: Place, other: Place) -> None:
        self._leader[self._find(one)] = self._find(other)

    def limit(self, place: Place, polys: frozenset[Poly] | None) -> None:
        self._find(place)
        if polys is not None:
            self._limits[place] = self._limits.get(place, polys) & polys

    def limits(self) -> Mapping[Place, frozenset[Poly]]:
        together: dict[Place, frozenset[Poly]] = {}
        for place, polys in self._limits.items():
            leader = self._find(place)
            together[leader] = together.get(leader, polys) & polys
        return {p: together.get(self._find(p), frozenset()) for p in self._leader}
