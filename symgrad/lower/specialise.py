"""A program where some attributes have one known value: index maps that are affine with whole coefficients there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from symgrad.declare.frozen import remember
from symgrad.declare.integers import Atom, Index, Poly, Size, affine_in, as_poly, atoms, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import Scalar, polynomials
from symgrad.declare.substitution import rebuild


def steps_in(
    program: Program, body: Scalar, of: Callable[[Poly, Index], bool] = lambda poly, index: True
) -> tuple[str, ...]:
    """The integer attributes that multiply an index in an expression, one that is meant there, in order of names."""
    known = {a.name for a in program.attributes if a.integer}
    found: set[str] = set()
    for poly in polynomials(body) if known else ():
        for index in indices_of(poly):
            split = affine_in(poly, index)
            if split is not None and of(poly, index):
                found |= {a.name for a in atoms(split[0]) if isinstance(a, Size)} & known
    return tuple(sorted(found))


@remember
def with_ones(program: Program, names: tuple[str, ...]) -> Program:
    """The program with each of these attributes 1."""
    chosen = frozenset(names)
    return replace(
        program,
        inputs=tuple(replace(t, extents=tuple(_poly(e, chosen) for e in t.extents)) for t in program.inputs),
        equations=tuple(equation_with_ones(e, names) for e in program.equations),
    )


@remember
def equation_with_ones(equation: Equation, names: tuple[str, ...]) -> Equation:
    """The equation with each of these attributes 1."""
    chosen = frozenset(names)
    indices = tuple(_index(i, chosen) for i in equation.indices)
    return replace(equation, indices=indices, body=map_polynomials(equation.body, lambda p: _poly(p, chosen)))


@remember
def _poly(poly: Poly, names: frozenset[str]) -> Poly:
    def change(atom: Atom) -> Poly | None:
        match atom:
            case Size(name) if name in names:
                return as_poly(1)
            case Index():
                made = _index(atom, names)
                return None if made == atom else as_poly(made)
        return None

    return rebuild(poly, change)


def _index(index: Index, names: frozenset[str]) -> Index:
    return Index(index.name, _poly(index.extent, names))
