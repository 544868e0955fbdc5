"""Division of integer expressions: exact, and floor and remainder in canonical form."""

from __future__ import annotations

from math import gcd

from symgrad.declare.frozen import remember
from symgrad.declare.integers import (
    ONE,
    ZERO,
    Atom,
    Monomial,
    Poly,
    Quotient,
    Remainder,
    Size,
    affine_in,
    as_poly,
    atom_key,
    collect,
    indices_of,
)

STEPS = 16
"""Terms of a quotient up to which a long division goes on."""


def divide(poly: Poly, divisor: Poly) -> Poly | None:
    """The polynomial ``q`` with ``q * divisor == poly``, if there is one."""
    if divisor == ONE:
        return poly
    if not divisor.terms:
        return None
    if len(divisor.terms) != 1:
        return _long_division(poly, divisor)
    (wanted, coefficient), quotients = divisor.terms[0], []
    for monomial, c in poly.terms:
        rest = list(monomial)
        for atom in wanted:
            if atom in rest:
                rest.remove(atom)
            elif not _cancel_exact(rest, atom, wanted):
                return None
        if c % coefficient:
            return None
        quotients.append((tuple(rest), c // coefficient))
    return collect(quotients)


def _long_division(poly: Poly, divisor: Poly) -> Poly | None:
    """Leading terms divided one after the other, till nothing is left."""
    lead, found = Poly((max(divisor.terms, key=_degree),)), ZERO
    for _ in range(STEPS):
        if not poly.terms:
            return found
        top = divide(Poly((max(poly.terms, key=_degree),)), lead)
        if top is None:
            return None
        found, poly = found + top, poly - top * divisor
    return None


def _degree(term: tuple[Monomial, int]) -> tuple[int, list[tuple[int, str]]]:
    return len(term[0]), [atom_key(a) for a in term[0]]


def _cancel_exact(rest: list[Atom], atom: Atom, wanted: Monomial) -> bool:
    """Divide the monomial by an exact quotient ``K / G``: ``K`` becomes ``G``."""
    if not (isinstance(atom, Quotient) and atom.exact and len(wanted) == 1):
        return False
    top, bottom = atom.numerator.atom, atom.denominator.atom
    if top is None or bottom is None or top not in rest:
        return False
    rest[rest.index(top)] = bottom
    rest.sort(key=atom_key)
    return True


@remember
def split_multiples(poly: Poly, divisor: Poly) -> tuple[Poly, Poly]:
    """Write ``poly = q * divisor + rest`` with every term, or all terms of an index, that it divides in ``q``."""
    q, rest = ZERO, ZERO
    for index in sorted(indices_of(poly), key=lambda i: i.name) if len(divisor.terms) > 1 else ():
        split = affine_in(poly, index)
        times = divide(split[0], divisor) if split is not None else None
        if split is not None and times is not None:
            q, poly = q + times * as_poly(index), split[1]
    for term in poly.terms:
        single = Poly((term,))
        part = divide(single, divisor)
        if part is None and divisor.constant and not term[0]:
            part, single = as_poly(term[1] // divisor.constant), as_poly(term[1] % divisor.constant)
            rest = rest + single
        elif part is None:
            rest = rest + single
        if part is not None:
            q = q + part
    return q, rest


@remember
def quotient(numerator: Poly, denominator: Poly, exact: bool = False) -> Poly:
    """``floor(numerator / denominator)`` in canonical form."""
    if denominator == ONE:
        return numerator
    whole, rest = split_multiples(numerator, denominator)
    top, bottom = rest.constant, denominator.constant
    if top is not None and bottom:
        return whole + top // bottom
    if not rest.terms:
        return whole
    if top == -1 and _positive_sizes(denominator):
        return whole - 1
    if bottom:
        common = gcd(bottom, *(c for _, c in rest.terms))
        if common > 1:
            rest = Poly(tuple((m, c // common) for m, c in rest.terms))
            return whole + quotient(rest, as_poly(bottom // common), exact)
    return whole + as_poly(Quotient(rest, denominator, exact))


def _positive_sizes(poly: Poly) -> bool:
    """Whether the value is at least 1 because every size in it is."""
    return bool(poly.terms) and all(
        c > 0 and all(isinstance(a, Size) and (a.minimum or 0) >= 1 for a in m) for m, c in poly.terms
    )


@remember
def remainder(numerator: Poly, denominator: Poly) -> Poly:
    """``numerator mod denominator`` in canonical form."""
    _, rest = split_multiples(numerator, denominator)
    top, bottom = rest.constant, denominator.constant
    if denominator == ONE or not rest.terms:
        return ZERO
    if top is not None and bottom:
        return as_poly(top % bottom)
    return as_poly(Remainder(rest, denominator))


def multiplied_out(poly: Poly) -> Poly:
    """``G * (K / G)`` written as ``K`` where the division is exact."""
    for monomial, c in poly.terms:
        for atom in monomial:
            if not isinstance(atom, Quotient) or not atom.exact:
                continue
            others = list(monomial)
            others.remove(atom)
            times = divide(Poly(((tuple(others), c),)), atom.denominator)
            if times is not None:
                return multiplied_out(poly - Poly(((monomial, c),)) + times * atom.numerator)
    return poly


def with_remainders(poly: Poly) -> Poly:
    """``a - b * floor(a / b)`` written as ``a mod b``."""
    for monomial, c in poly.terms:
        for atom in monomial:
            if not isinstance(atom, Quotient) or atom.exact:
                continue
            others = list(monomial)
            others.remove(atom)
            times = divide(Poly(((tuple(others), -c),)), atom.denominator)
            if times is None:
                continue
            rest = poly - Poly(((monomial, c),)) - times * atom.numerator
            if len(rest.terms) < len(poly.terms) - 1:
                return with_remainders(rest + times * remainder(atom.numerator, atom.denominator))
    return poly
