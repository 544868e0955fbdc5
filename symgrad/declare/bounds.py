"""What can be proved about integer expressions: signs and interval ends, by monotone substitution.

Sound, not complete: True means proved for every value of the sizes within their minimum, at least one
iteration of every index being assumed (a read in an empty range never happens).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from symgrad.declare.division import divide, quotient, remainder, split_multiples
from symgrad.declare.frozen import remember
from symgrad.declare.integers import (
    ONE,
    ZERO,
    Atom,
    Entry,
    Extreme,
    Index,
    Monomial,
    Poly,
    Quotient,
    RealFloor,
    Remainder,
    Size,
    as_poly,
    atom_key,
    atoms,
    collect,
    extreme,
)
from symgrad.declare.samples import negative
from symgrad.declare.substitution import rebuild, substitute

DEPTH = 12


def nonnegative(poly: Poly, facts: Iterable[Poly] = ()) -> bool:
    """Whether ``poly >= 0`` follows, given that each of ``facts`` is at least 0."""
    return _nonnegative(poly, _sorted(tuple(facts)))


@remember
def _sorted(facts: tuple[Poly, ...]) -> tuple[Poly, ...]:
    return tuple(sorted(set(facts), key=str))


def surely(poly: Poly) -> bool:
    """Whether the value is not negative even where sizes are 0."""
    return all(c > 0 and all(isinstance(a, Size) for a in m) for m, c in poly.terms)


def nonnegative_with(poly: Poly, running: Container[Atom]) -> bool:
    """Whether ``poly >= 0`` where every size may be 0 but those in ``running``."""
    sizes = (a for a in atoms(poly) if isinstance(a, Size) and a.minimum and a not in running)
    table: dict[Atom, Poly] = {a: as_poly(Size(a.name, 0)) for a in sizes}
    return nonnegative(substitute(poly, table) if table else poly)


def positive(poly: Poly, facts: Iterable[Poly] = ()) -> bool:
    """Whether ``poly >= 1`` follows."""
    return nonnegative(poly - 1, facts)


@remember
def _nonnegative(poly: Poly, facts: tuple[Poly, ...]) -> bool:
    if _prove(poly, DEPTH):
        return True
    facts = _touching(poly, (*facts, *_nonempty(poly)))
    beyond = _beyond(poly, facts)
    if beyond != poly and _prove(beyond, DEPTH):
        return True
    return any(_prove(poly - f, DEPTH) for f in facts if not negative(poly, f)) or any(
        _prove(poly - f - g, DEPTH) for i, f in enumerate(facts) for g in facts[i:] if not negative(poly, f, g)
    )


def _touching(poly: Poly, facts: tuple[Poly, ...]) -> tuple[Poly, ...]:
    """The facts that speak of something in ``poly``, or in another such fact: no other one can help."""
    near = set(atoms(poly))
    found: set[Poly] = set()
    while more := {f for f in facts if f not in found and not near.isdisjoint(atoms(f))}:
        found |= more
        near.update(*map(atoms, more))
    return tuple(f for f in facts if f in found)


def _beyond(poly: Poly, facts: tuple[Poly, ...]) -> Poly:
    """The value with every index counted from the number that a fact says it is at least."""
    table: dict[Atom, Poly] = {}
    for fact in facts:
        for index in (a for a in atoms(fact, deep=False) if isinstance(a, Index)):
            least = (as_poly(index) - fact).constant
            if least is not None and least > 0:
                table[index] = as_poly(Index(index.name, index.extent - least)) + least
    return substitute(poly, table) if table else poly


def _nonempty(poly: Poly) -> tuple[Poly, ...]:
    """Every index runs at least once, so its extent is at least 1."""
    extents = {a.extent - 1 for a in atoms(poly) if isinstance(a, Index) if a.extent.atom is None}
    return tuple(sorted(extents, key=str))


@remember
def _prove(poly: Poly, depth: int) -> bool:
    """Replace the outermost atom by the end of its interval that makes ``poly`` least; then look at the signs."""
    if not poly.terms:
        return True
    if poly.constant is not None:
        return poly.constant >= 0
    if depth == 0 or negative(poly):
        return False
    target = _outermost(poly)
    if target is None:
        return _sizes_nonnegative(poly)
    split = _linear(poly, target)
    if split is None:
        return False
    coefficient, rest = split
    sign = _sign(coefficient, depth)
    if sign == 0:
        return False
    match target:
        case Index(_, extent):
            return _prove(rest if sign > 0 else rest + coefficient * (extent - 1), depth - 1)
        case Quotient(top, bottom, exact):
            return _prove_quotient(coefficient, sign, top, bottom, exact, rest, depth)
        case Remainder(top, bottom):
            if sign > 0:
                return _prove(rest, depth - 1)
            tight = rest + coefficient * top
            return _prove(rest + coefficient * (bottom - 1), depth - 1) or (
                _prove(top, depth - 1) and _prove(tight, depth - 1)
            )
        case Extreme(kind, args):
            ends = [rest + coefficient * a for a in args]
            if (kind == "max") == (sign > 0) and len(args) == 2 and not (args[0] + args[1]).terms:
                ends.append(rest)
            every = (kind == "max") == (sign < 0)
            return (all if every else any)(_prove(e, depth - 1) for e in ends)
    return False


def _prove_quotient(coefficient: Poly, sign: int, top: Poly, bottom: Poly, exact: bool, rest: Poly, depth: int) -> bool:
    """Use ``bottom * floor(top / bottom) = top - m`` with ``0 <= m < bottom``."""
    if sign > 0 and _prove(rest, depth - 1) and _prove(top, depth - 1):
        return True
    if sign < 0:
        largest = _end(top, least=False)
        if largest is not None and largest != top and _prove(rest + coefficient * quotient(largest, bottom), depth - 1):
            return True
    scaled = divide(coefficient, bottom)
    if scaled is None:
        # A multiple of an integer: less than one bottom below 0 will do.
        rest, scaled = rest * bottom + bottom - 1, coefficient
    slack = bottom - 1 if sign > 0 and not exact else ZERO
    return _prove(rest + scaled * (top - slack), depth - 1)


def _outermost(poly: Poly) -> Atom | None:
    """The atom to eliminate next: quotients before the indices inside them, not before those they bound; no sizes."""
    top = [a for a in atoms(poly, deep=False) if not isinstance(a, Size)]
    if not top:
        return None
    ends = {e for a in top if isinstance(a, Index) for e in atoms(a.extent)}
    top = [a for a in top if a not in ends] or top
    order = {Extreme: 0, Remainder: 1, Quotient: 2, Index: 3, Entry: 4, RealFloor: 5}
    return min(top, key=lambda a: (order[type(a)], _uses(a), atom_key(a)))


def _uses(atom: Atom) -> int:
    """Indices whose extent mentions other indices go first."""
    return -len(atoms(atom.extent)) if isinstance(atom, Index) else 0


def _linear(poly: Poly, atom: Atom) -> tuple[Poly, Poly] | None:
    coefficient: list[tuple[Monomial, int]] = []
    rest: list[tuple[Monomial, int]] = []
    for monomial, c in poly.terms:
        count = monomial.count(atom)
        if count > 1:
            return None
        if count:
            others = list(monomial)
            others.remove(atom)
            coefficient.append((tuple(others), c))
        else:
            rest.append((monomial, c))
    return collect(coefficient), Poly(tuple(rest))


def _sign(poly: Poly, depth: int) -> int:
    if poly.constant is not None:
        return (poly.constant > 0) - (poly.constant < 0)
    if _prove(poly, depth - 1):
        return 1
    return -1 if _prove(-poly, depth - 1) else 0


def _sizes_nonnegative(poly: Poly) -> bool:
    """Shift every size to its minimum; all coefficients nonnegative is enough."""
    table: dict[Atom, Poly] = {}
    for atom in atoms(poly):
        if not isinstance(atom, Size) or atom.minimum is None:
            return False
        table[atom] = as_poly(Size(atom.name, 0)) + atom.minimum
    shifted = substitute(poly, table)
    return all(c > 0 for _, c in shifted.terms)


def lower_end(poly: Poly) -> Poly | None:
    """The least value over all indices as an expression in sizes alone, where signs allow it."""
    return _end(poly, least=True)


def upper_end(poly: Poly) -> Poly | None:
    """The largest value over all indices as an expression in sizes alone, where signs allow it."""
    return _end(poly, least=False)


def _end(poly: Poly, least: bool) -> Poly | None:
    """Interval end; None where data, an unknown sign or a wrapped index stands in the way."""
    for _ in range(DEPTH):
        loose = [a for a in atoms(poly, deep=False) if not isinstance(a, Size)]
        loose = [a for a in loose if isinstance(a, Index | Entry | RealFloor) or _varies(a)]
        if not loose:
            return poly
        order = {Remainder: 0, Quotient: 1, Extreme: 2, Index: 3, Entry: 4, RealFloor: 4}
        atom = min(loose, key=lambda a: (order[type(a)], _uses(a), atom_key(a)))
        split = _linear(poly, atom)
        if split is None:
            return None
        coefficient, rest = split
        sign = _sign(coefficient, DEPTH)
        if sign == 0:
            return None
        low = (sign > 0) == least
        value = _atom_end(atom, low)
        if value is None:
            return None
        poly = rest + coefficient * value
    return None


def _varies(atom: Atom) -> bool:
    probe = as_poly(atom)
    return any(isinstance(a, Index | Entry | RealFloor) for a in atoms(probe))


def _atom_end(atom: Atom, low: bool) -> Poly | None:
    match atom:
        case Index(_, extent):
            return ZERO if low else extent - 1
        case Remainder(_, bottom):
            return ZERO if low else bottom - 1
        case Quotient(top, bottom, exact):
            if not positive(bottom):
                return None
            end = _end(top, low)
            return None if end is None else quotient(end, bottom, exact)
        case Extreme(kind, args):
            ends = [_end(a, low) for a in args]
            if low == (kind == "max") and len(args) == 2 and not (args[0] + args[1]).terms:
                # |a| is at least 0.
                ends.append(ZERO)
            found = [e for e in ends if e is not None]
            return _end_of(kind, found) if len(found) == len(ends) else None
    return None


def _is_digit(poly: Poly, base: Poly) -> bool:
    """Whether a value is known to lie in ``0 .. base - 1``."""
    if isinstance(poly.atom, Index) and poly.atom.extent == base:
        return True
    return nonnegative(poly) and nonnegative(base - 1 - poly)


def _end_of(kind: str, ends: Sequence[Poly]) -> Poly:
    """The largest or smallest of several, one of them where that is known."""
    sign = 1 if kind == "max" else -1
    known = (e for e in ends if all(nonnegative(sign * (e - other)) for other in ends))
    return next(known, None) or extreme(kind, ends)


@remember
def tighten(poly: Poly) -> Poly:
    """Drop quotients and remainders that the ranges of their indices decide."""

    def replace(atom: Atom) -> Poly | None:
        match atom:
            case Quotient(top, bottom, exact):
                top, bottom = tighten(top), tighten(bottom)
                if _is_digit(top, bottom):
                    return ZERO
                for unit, high, _ in _digits(top, bottom):
                    rest = divide(bottom, unit)
                    assert rest is not None
                    return tighten(quotient(high, rest, exact))
                return quotient(top, bottom, exact)
            case Remainder(top, bottom):
                top, bottom = tighten(top), tighten(bottom)
                if _is_digit(top, bottom):
                    return top
                for unit, high, low in _digits(top, bottom):
                    rest = divide(bottom, unit)
                    assert rest is not None
                    return unit * tighten(remainder(high, rest)) + low
                return remainder(top, bottom)
        return None

    return rebuild(poly, replace)


def _digits(top: Poly, bottom: Poly) -> list[tuple[Poly, Poly, Poly]]:
    """``(u, high, low)`` with ``top = u * high + low``, ``0 <= low < u`` and u a proper divisor of the bottom."""
    if len(bottom.terms) != 1:
        return []
    monomial, c = bottom.terms[0]
    units = [Poly(((tuple(a for k, a in enumerate(monomial) if k != skip), 1),)) for skip in range(len(monomial))]
    units += [Poly(((monomial, 1),))] if c > 1 else []
    for unit in units:
        high, low = split_multiples(top, unit)
        if unit != ONE and high.terms and low.terms and nonnegative(low) and nonnegative(unit - 1 - low):
            return [(unit, high, low)]
    return []


def relaxed_upper(poly: Poly) -> Poly:
    """An upper bound without floors where ``s * floor(a / s) <= a`` removes them."""
    changed = True
    while changed:
        changed = False
        for monomial, c in poly.terms:
            for atom in monomial:
                if isinstance(atom, Quotient) and c > 0 and positive(atom.denominator):
                    others = list(monomial)
                    others.remove(atom)
                    scaled = divide(Poly(((tuple(others), c),)), atom.denominator)
                    if scaled is not None:
                        poly = poly - Poly(((monomial, c),)) + scaled * atom.numerator
                        changed = True
                        break
            if changed:
                break
    return poly
