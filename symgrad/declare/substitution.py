"""Substitution in integer expressions, inside quotients, reads and real parts as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symgrad.declare.division import quotient, remainder
from symgrad.declare.frozen import remember
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
    if table.keys().isdisjoint(atoms(poly)):
        return poly
    return _substituted(poly, frozenset(table.items()))


@remember
def _substituted(poly: Poly, pairs: frozenset[tuple[Atom, Poly]]) -> Poly:
    table = dict(pairs)
    return rebuild(poly, lambda atom: table.get(atom))


def rebuild(poly: Poly, replace: Callable[[Atom], Poly | None]) -> Poly:
    """Rebuild bottom-up; ``replace`` gives an atom's substitute or None to keep it."""
    terms: list[tuple[Monomial, int]] = []
    unchanged = True
    for monomial, coefficient in poly.terms:
        kept: list[Atom] = []
        new: list[Poly] = []
        for atom in monomial:
            rebuilt = _rebuild_atom(atom, replace)
            if rebuilt is None:
                kept.append(atom)
            else:
                new.append(rebuilt)
        if not new:
            terms.append((monomial, coefficient))
            continue
        unchanged = False
        product = Poly(((tuple(kept), coefficient),))
        for factor in new:
            product = product * factor
        terms += product.terms
    return poly if unchanged else collect(terms)


def _rebuild_atom(atom: Atom, replace: Callable[[Atom], Poly | None]) -> Poly | None:
    """Return what takes the place of ``atom``, None where it stays."""
    replaced = replace(atom)
    if replaced is not None:
        return replaced
    match atom:
        case Quotient(a, b) | Remainder(a, b):
            before: tuple[Poly, ...] = (a, b)
        case Extreme(_, before) | Entry(_, before):
            pass
        case RealFloor(value):
            from symgrad.declare.rewriting import map_polynomials  # which proves signs, and proofs substitute

            real = map_polynomials(value, lambda p: rebuild(p, replace))
            return None if real is value else as_poly(RealFloor(real))
        case _:
            return None
    after = tuple(rebuild(part, replace) for part in before)
    if after == before:
        return None
    match atom:
        case Quotient(_, _, exact):
            return quotient(after[0], after[1], exact)
        case Remainder():
            return remainder(after[0], after[1])
        case Extreme(kind):
            return extreme(kind, list(after))
        case Entry(tensor, _, guarded):
            return as_poly(Entry(tensor, after, guarded))
    return None
