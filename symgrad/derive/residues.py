"""Sums over the elements whose position leaves a certain remainder, by the quotient that they are read at.

``sum_u [(i + u) % s == 0] f(u) x[(i + u) // s]`` is ``sum_{u, k} [s k == i + u] f(u) x[k]``: each element of x is put
where it belongs, s positions apart, and no position is asked whether it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from symgrad.declare.bounds import positive
from symgrad.declare.conditions import all_of, compare, conjuncts
from symgrad.declare.integers import (
    Atom,
    Index,
    Poly,
    Quotient,
    Remainder,
    Size,
    affine_in,
    as_poly,
    atoms,
    depends_on_data,
    indices_of,
)
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import PLAIN, Compare, Condition, Mul, Read, Reduce, Scalar
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import all_indices
from symgrad.naming import fresh

Extents = Callable[[str], tuple[Poly, ...]]


def by_quotient(node: Reduce, left: tuple[Index, ...], extents: Extents, taken: Iterable[str]) -> Reduce:
    """The sum with an index for the quotient in place of a condition on the remainder, where that is possible."""
    if node.kind != "sum":
        return node
    for part in conjuncts(node.condition):
        for quotient, rest in _quotients(part):
            known = {*node.indices, *left}
            moved = [i for i in left if (split := affine_in(quotient.numerator, i)) and split[0].constant in (1, -1)]
            if not moved or not indices_of(quotient.numerator) <= known or depends_on_data(quotient.numerator):
                continue
            found = _read_at(node.body, quotient, extents)
            if found is None:
                continue
            extent, shift = found
            names = {i.name for i in (*left, *all_indices(node))}.union(taken)
            index = Index(fresh(_letter(extent), names), extent)
            value = as_poly(index) - shift
            place = compare("==", value * quotient.denominator + rest - quotient.numerator)
            put = _putting({quotient: value})
            others = all_of(*(map_polynomials(c, put) for c in conjuncts(node.condition) if c != part))
            body = map_polynomials(node.body, put)
            return Reduce("sum", (*node.indices, index), all_of(others, place), body, node.ties)
    return node


def _putting(table: dict[Atom, Poly]) -> Callable[[Poly], Poly]:
    return lambda poly: substitute(poly, table)


def _quotients(part: Condition) -> Iterator[tuple[Quotient, int]]:
    """``e // s`` and r for a condition ``e % s == r``."""
    if not isinstance(part, Compare) or part.relation != "==":
        return
    for atom in atoms(part.poly):
        if isinstance(atom, Remainder) and positive(atom.denominator):
            for sign in (1, -1):
                rest = part.poly * sign - as_poly(atom)
                if rest.constant is not None and rest.constant <= 0:
                    yield Quotient(atom.numerator, atom.denominator), -rest.constant


def _read_at(body: Scalar, quotient: Quotient, extents: Extents) -> tuple[Poly, Poly] | None:
    """The axis that a factor reads at the quotient, and how far from it, if nothing counts beyond that axis."""
    for factor in body.args if isinstance(body, Mul) else (body,):
        if not isinstance(factor, Read):
            continue
        extension = factor.extension
        if not (extension in PLAIN or (extension is not None and extension.mode == "constant" and not extension.value)):
            continue
        for place, extent in zip(factor.indices, extents(factor.tensor), strict=True):
            shift = place - as_poly(quotient)
            if quotient in atoms(place, deep=False) and quotient not in atoms(shift) and not depends_on_data(shift):
                return extent, shift
    return None


def _letter(extent: Poly) -> str:
    sizes = sorted(a.name for a in atoms(extent) if isinstance(a, Size))
    return sizes[0].lower() if sizes else "k"
