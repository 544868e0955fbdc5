"""Tables that are large beside all that a section reads and gives exist for a block of a second index at a time.

A section goes along one index. A table such as q[t] . k[s] has all pairs of two others for each position of it:
equations that all go along one of these, in a section inside the section, need only a block of it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from symgrad.declare.integers import Atom, Index, Poly, Size, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import tensors_of
from symgrad.declare.typical import elements, typical, typical_sizes, volume
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
    outer = frozenset().union(*(c.indices for c in section.cuts))
    summed = {c.equation.target for c in section.cuts if c.summed}
    return _inner(program, [c.equation for c in section.cuts], {*wanted, *summed}, outer)


def table_section(
    program: Program, equations: Sequence[Equation], wanted: Iterable[str], covered: Set[str]
) -> Inner | None:
    """The same for the equations of a function, if some of its tables are not among those that are ``covered``.

    A part has no more than a run of each table along one index.
    """
    if not _tables(program, equations, set(wanted), frozenset()) - covered:
        return None
    found = _inner(program, equations, set(wanted), frozenset())
    cuts = found.section.cuts if found is not None else ()
    return found if all(c.summed or len(beside_of(c.equation, c.indices)) < 2 for c in cuts) else None


def _inner(program: Program, equations: Sequence[Equation], wanted: set[str], outer: frozenset[Index]) -> Inner | None:
    sizes = typical_sizes(program)
    tables = _tables(program, equations, wanted, outer)
    extents = dict.fromkeys(i.extent for e in equations if e.target in tables for i in e.indices if i not in outer)
    found = (_along(program, equations, extent, tables, outer) for extent in extents if extent.constant is None)
    inner = [f for f in found if f is not None]
    # What has an axis twice for each position grows with its square, whatever sizes are typical.
    return min(inner, key=lambda f: (_most_axes(f.others), typical(f.others, sizes)), default=None)


def _along(
    program: Program, equations: Sequence[Equation], extent: Poly, tables: set[str], outer: frozenset[Index]
) -> Inner | None:
    """The equations with a section along an index of the extent that has all of the tables, and all that reads them."""
    before, found, after = gathered(program, equations, extent, tables, outer)
    inside = {c.equation.target: c for c in found.cuts if not c.summed}
    if not tables <= set(inside) or tables & {t for e in after for t in tensors_of(e.body)}:
        return None
    sizes = typical_sizes(program)
    beside = [beside_of(inside[t].equation, outer | inside[t].indices) for t in sorted(tables)]
    return Inner(before, found, after, joint_extent(max(beside, key=lambda i: volume(i, sizes))))


def beside_of(equation: Equation, others: frozenset[Index]) -> tuple[Index, ...]:
    """The other indices of a left side."""
    return tuple(i for i in equation.indices if i not in others)


def _tables(program: Program, equations: Sequence[Equation], wanted: set[str], outer: frozenset[Index]) -> set[str]:
    """The left sides nobody else reads with many more elements than anything that stays, by two further indices."""
    own = {e.target for e in equations}
    read = {t for e in equations for t in tensors_of(e.body)} - own
    kept = [program.extents(t) for t in (*read, *(wanted & own))]
    return {
        e.target
        for e in equations
        if not (e.target in wanted or e.integer)
        and sum(i.extent.constant is None for i in beside_of(e, outer)) > 1
        and is_large(program, [i.extent for i in e.indices], kept)
    }


def is_large(program: Program, extents: Sequence[Poly], others: Sequence[Sequence[Poly]]) -> bool:
    """Whether an array has many more elements than any of the others.

    That is so at typical sizes, or for one size that grows while nothing is said of it: pairs of T positions outgrow
    whatever has T positions once.
    """
    sizes = typical_sizes(program)
    if elements(extents, sizes) >= TABLE * max((elements(o, sizes) for o in others), default=1):
        return True
    said = {*dict(program.typical), *(a.name for a in program.attributes)}
    free = {a for e in extents for a in atoms(e) if isinstance(a, Size) and a.name not in said}
    return any(_axes_with(a, extents) > max((1, *(_axes_with(a, o) for o in others))) for a in free)


def _most_axes(volume: Poly) -> int:
    """In how many factors of a volume one size is at most."""
    return max((monomial.count(a) for monomial, _ in volume.terms for a in monomial), default=0)


def _axes_with(size: Atom, extents: Sequence[Poly]) -> int:
    """How many extents grow with a size."""
    return sum(size in atoms(e) for e in extents)
