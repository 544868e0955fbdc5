"""Typical sizes: what to assume of extents when one form has to be chosen over another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod

from symgrad.declare.evaluate import value_of
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Index, Poly, Quotient, Size, affine_in, atoms, indices_of
from symgrad.declare.program import Program
from symgrad.declare.scalars import Compare, reads_of, walk

LARGE, SMALL = 64, 3


def typical_sizes(program: Program) -> dict[str, int]:
    """Sizes to choose schedules by: given, default of an attribute, small for windows and kernels, else large."""
    return dict(_typical_sizes(program))


@remember
def _typical_sizes(program: Program) -> dict[str, int]:
    sizes: dict[str, int] = {}
    extents = [e for t in program.inputs for e in t.extents]
    extents += [i.extent for e in program.equations for i in e.indices]
    kernels = {a.name for e in extents for a in _subtracted(e)}
    kernels |= {a.name for a in (*_offsets(program), *_between(program))}
    for extent in extents:
        for atom in atoms(extent):
            if isinstance(atom, Size):
                sizes[atom.name] = SMALL if atom.name in kernels else LARGE
    sizes |= {a.name: max(int(a.default), a.minimum or 0) for a in program.attributes if a.integer}
    return sizes | dict(program.typical)


def _subtracted(extent: Poly) -> list[Size]:
    """Sizes that stand with a minus in an extent, inside a quotient as well: kernels."""
    found: list[Size] = []
    for monomial, c in extent.terms:
        for atom in monomial:
            if isinstance(atom, Size) and c < 0:
                found.append(atom)
            elif isinstance(atom, Quotient) and c > 0:
                found += _subtracted(atom.numerator)
    return found


def _offsets(program: Program) -> Iterator[Size]:
    """Sizes of what goes around each position of an axis: K where ``pad(x)[l + k]`` is read for all ``l < L``."""
    for equation in program.equations:
        for read in reads_of(equation.body):
            extents = program.extents(read.tensor)
            if len(extents) != len(read.indices):
                continue  # the part of a tensor that one step of a recurrence has
            for poly, extent in zip(read.indices, extents, strict=True):
                plain = {a for monomial, _ in poly.terms for a in monomial if isinstance(a, Index)}
                if read.extension is not None and len(plain) > 1 and any(i.extent == extent for i in plain):
                    yield from (i.extent.atom for i in plain if i.extent != extent and isinstance(i.extent.atom, Size))


def _between(program: Program) -> Iterator[Size]:
    """Sizes of what is added between steps: R where ``i + u == s n``, and i runs over all the steps of n."""
    for equation in program.equations:
        for part in walk(equation.body):
            if not isinstance(part, Compare) or part.relation != "==":
                continue
            steps = [
                (i, split[0]) for i in sorted(indices_of(part.poly), key=str) if (split := affine_in(part.poly, i))
            ]
            beside = [i for i, step in steps if step.constant in (1, -1)]
            for far, step in ((i, step) for i, step in steps if i not in beside):
                if any(i.extent in (step, -step) for i in beside):
                    continue  # digits of a number, the lower of which may be as large as the higher
                if any(set(atoms(far.extent)) <= set(atoms(i.extent)) and i.extent.atom is None for i in beside):
                    yield from (a for i in beside if isinstance(a := i.extent.atom, Size) and i.extent != far.extent)


def typical(poly: Poly, sizes: Mapping[str, int]) -> int:
    """A typical value of an extent."""
    try:
        return max(1, value_of(poly, sizes))
    except (KeyError, ZeroDivisionError):
        return LARGE


def volume(indices: Iterable[Index], sizes: Mapping[str, int]) -> int:
    """Typical number of elements over these indices."""
    return elements((i.extent for i in indices), sizes)


def elements(extents: Iterable[Poly], sizes: Mapping[str, int]) -> int:
    """Typical number of elements of an array with these extents."""
    return prod(typical(e, sizes) for e in extents)
