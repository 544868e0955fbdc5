"""The positions that the equations of one block run over: the block itself, and what its other indices reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from symgrad.declare.integers import Extreme, Index, Poly, Size, as_poly, atoms, extreme
from symgrad.declare.program import Program
from symgrad.declare.scalars import Compare, free_indices
from symgrad.declare.typical import typical
from symgrad.lower.arrays import Array, Slice, Subscript
from symgrad.lower.parts import Cut, Section
from symgrad.lower.reach import Run, Ties, tie, ties_of, uncertain
from symgrad.lower.traverse import map_parts
from symgrad.naming import fresh


@dataclass(frozen=True, slots=True)
class Span:
    """Positions of an axis: the first, the one behind the last, and how many there are."""

    start: Poly
    stop: Poly
    extent: Poly

    @property
    def slice(self) -> Slice:
        """The span as a slice."""
        return Slice(self.start if self.start.terms else None, self.stop)

    def to_stop(self, array: Array) -> Array:
        """The expression with slices to ``start + extent`` ending at ``stop``."""
        array = map_parts(array, self.to_stop)
        if not isinstance(array, Subscript):
            return array
        behind = self.start + self.extent
        items = (
            Slice(self.start, self.stop, i.step) if isinstance(i, Slice) and i.stop == behind else i
            for i in array.items
        )
        return replace(array, items=tuple(items))


@dataclass(frozen=True, slots=True)
class Edge:
    """The positions of ``index`` at which a condition fails for some of a block; None is where the index ends."""

    index: Index
    start: Poly | None
    stop: Poly | None


@dataclass(frozen=True, slots=True)
class Reached:
    """What the indices of a block's equations run over.

    Attributes:
        run: the block.
        ties: what ties other indices to it, by left side and index.
        spans: the positions that those reach.
        heads: names for positions, and what they are.
        edges: where in a span a condition has to be looked at.
    """

    run: Run
    ties: Mapping[tuple[str, Index], Ties]
    spans: Mapping[tuple[str, Index], Span]
    heads: tuple[tuple[str, Poly], ...]
    edges: Mapping[tuple[Poly, Span], tuple[Poly | None, Poly | None]]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is left out."""
        names = ", ".join(sorted({index.name for _, index in self.spans}))
        return (f"{names}: only as far as the conditions on it let a block reach",) if names else ()

    def typical(self, sizes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        """Typical sizes of the positions: what is reached is not small."""
        found = {a.name: typical(i.extent, sizes) for (_, i), s in self.spans.items() for a in _names(s)}
        return tuple(sorted(found.items()))

    def edge(self, cut: Cut, condition: Compare) -> Edge | None:
        """Where a condition has to be looked at in a block, if it ties an index to it."""
        own = free_indices(condition) & cut.indices
        for index in sorted(free_indices(condition) - own, key=lambda i: i.name):
            place = (cut.equation.target, index)
            tied = tie(condition.poly, next(iter(own)), index) if len(own) == 1 and place in self.ties else None
            if tied is not None and tied in self.ties[place].polys:
                return Edge(index, *self.edges[tied, self.spans[place]])
        return None


def _names(span: Span) -> list[Size]:
    return [p.atom for p in (span.stop, span.extent) if isinstance(p.atom, Size)]


def _is_short(poly: Poly) -> bool:
    """Whether a position reads well where it is used."""
    return len(poly.terms) < 3 and not any(isinstance(a, Extreme) for a in atoms(poly))


def reached(program: Program, section: Section, kept: Iterable[str], run: Run, taken: set[str]) -> Reached:
    """What the other indices of a section reach in a block of it; positions that are no names get some."""
    ties = ties_of(program, section, kept)
    found: dict[tuple[Ties, Poly], Span] = {}
    heads: list[tuple[str, Poly]] = []
    edges: dict[tuple[Poly, Span], tuple[Poly | None, Poly | None]] = {}

    def named(base: str, poly: Poly, least: int = 0) -> Poly:
        if (poly.atom is not None and isinstance(poly.atom, Size)) or not poly.terms:
            return poly
        name = fresh(base, taken)
        taken.add(name)
        heads.append((name, poly))
        return as_poly(Size(name, least))

    for (_, index), tied in sorted(ties.items(), key=lambda item: (item[0][0], item[0][1].name)):
        if (tied, index.extent) in found:
            continue
        low, high = tied.low(run), tied.high(run, index.extent)
        if not run.never_negative(high - low):
            low = extreme("min", [low, high])
        begin, end = named("low", low), named("high", high)
        span = found[tied, index.extent] = Span(begin, end, named("width", end - begin))
        for poly in tied.polys:
            near = uncertain(poly, run, span.start, span.extent)
            edges[poly, span] = tuple(p if p is None or _is_short(p) else named("edge", p) for p in near)  # type: ignore[assignment]
    spans = {place: found[tied, place[1].extent] for place, tied in ties.items()}
    return Reached(run, ties, spans, tuple(heads), edges)
