"""Substitution in integer expressions, inside quotients, reads and real parts as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symgrad.declare.division import quotient, remainder
from symgrad.declare.integers import (
    Atom,
    Entry,
    Extreme,
    Monomial,
    Poly,
    Quotient,
    RealFloor,
    Remainder,
    as_poly,
    atoms,
    collect,
    extreme,
)


def substitute(poly: Poly, table: Mapping[Atom, Poly]) -> Poly:
    """Replace atoms (indices, sizes, whole quotients) by polynomials, inside other atoms as well."""
    if not any(atom in table for atom in atoms(poly)):
        return poly
    return rebuild(poly, lambda atom: table.get(atom))


def rebuild(poly: Poly, replace: Callable[[Atom], Poly | None]) -> Poly:
    """Rebuild bottom-up; ``replace`` gives an atom's substitute or None to keep it."""
    terms: list[tuple[Monomial, int]] = []
    for monomial, coefficient in poly.terms:
        product = as_poly(coefficient)
        for atom in monomial:
            product = product * _rebuild_atom(atom, replace)
        terms += product.terms
    return collect(terms)


def _rebuild_atom(atom: Atom, replace: Callable[[Atom], Poly | None]) -> Poly:
    replaced = replace(atom)
    if replaced is not None:
        return replaced
    match atom:
        case Quotient(a, b, exact):
            return quotient(rebuild(a, replace), rebuild(b, replace), exact)
        case Remainder(a, b):
            return remainder(rebuild(a, replace), rebuild(b, replace))
        case Extreme(kind, args):
            return extreme(kind, [rebuild(a, replace) for a in args])
        case Entry(tensor, args, guarded):
            return as_poly(Entry(tensor, tuple(rebuild(a, replace) for a in args), guarded))
        case RealFloor(value):
            from symgrad.declare.rewriting import map_polynomials  # which proves signs, and proofs substitute

            return as_poly(RealFloor(map_polynomials(value, lambda p: rebuild(p, replace))))
    return as_poly(atom)
