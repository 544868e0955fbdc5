"""Tables that are large beside all that a section reads and gives exist for a block of a second index at a time.

A section goes along one index. A table such as q[t] . k[s] has all pairs of two others for each position of it:
equations that all go along one of these, in a section inside the section, need only a block of it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from symgrad.declare.integers import Index, Poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import tensors_of
from symgrad.declare.typical import typical, typical_sizes, volume
from symgrad.lower.axes import joint_extent
from symgrad.lower.parts import Section, gathered

TABLE = 2
"""A table has at least so many times the elements of anything else."""


@dataclass(frozen=True, slots=True)
class Inner:
    """Equations before a section inside of a section, that section, and the equations after it.

    Attributes:
        others: how many elements of its tables belong to one position of a block, at one position of the outer section.
    """

    before: tuple[Equation, ...]
    section: Section
    after: tuple[Equation, ...]
    others: Poly


def inner_section(program: Program, section: Section, wanted: Iterable[str]) -> Inner | None:
    """The equations of a section with a section among them by which no table is ever there as a whole, if there is one.

    ``wanted`` are left sides that are read elsewhere.
    """
    sizes = typical_sizes(program)
    equations = [c.equation for c in section.cuts]
    outer = frozenset().union(*(c.indices for c in section.cuts))
    tables = _tables(program, section, set(wanted), sizes)
    for extent in dict.fromkeys(i.extent for e in equations if e.target in tables for i in e.indices if i not in outer):
        if extent.constant is not None:
            continue
        before, found, after = gathered(program, equations, extent, tables, outer)
        inside = {c.equation.target: c for c in found.cuts if not c.summed}
        if tables <= set(inside) and not tables & {t for e in after for t in tensors_of(e.body)}:
            beside = [_beside(inside[t].equation, outer | inside[t].indices) for t in sorted(tables)]
            return Inner(before, found, after, joint_extent(max(beside, key=lambda i: volume(i, sizes))))
    return None


def _beside(equation: Equation, others: frozenset[Index]) -> tuple[Index, ...]:
    return tuple(i for i in equation.indices if i not in others)


def _tables(program: Program, section: Section, wanted: set[str], sizes: Mapping[str, int]) -> set[str]:
    """The left sides nobody else reads with many more elements than anything that stays, by two further indices."""
    cuts = {c.equation.target: c for c in section.cuts}
    read = {t for c in section.cuts for t in tensors_of(c.equation.body) if t not in cuts}
    kept = [program.extents(t) for t in (*read, *(wanted & cuts.keys()))]
    most = max((prod(typical(e, sizes) for e in extents) for extents in kept), default=1)
    return {
        t
        for t, c in cuts.items()
        if not (t in wanted or c.summed or c.equation.integer)
        and volume(c.equation.indices, sizes) >= TABLE * most
        and sum(i.extent.constant is None for i in _beside(c.equation, c.indices)) > 1
    }
