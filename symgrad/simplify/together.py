"""Two sums of one cotangent, of which one is taken from the other, become one sum of differences.

``sum_n g[n] a[n] - sum_n g[n] c[n]`` is a difference of two numbers that may be large beside it; ``sum_n g[n] (a[n] -
c[n])`` loses no more digits than ``a - c`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from fractions import Fraction
from itertools import combinations

from symgrad.declare.algebra import add, multiply
from symgrad.declare.integers import Index, as_poly, indices_of
from symgrad.declare.scalars import TRUE, Add, Number, Read, Reduce, Scalar, free_indices
from symgrad.derive.terms import Term, freshen, rename, terms_of, total
from symgrad.simplify.terms import factors_of

RULE = "sums of one cotangent in one"
Name = Callable[[Reduce, tuple[Index, ...]], Scalar]


def summed_together(body: Scalar, linear: Set[str], name: Name) -> Scalar:
    """The body with such pairs of terms as one.

    Args:
        body: a sum of terms.
        linear: the cotangents.
        name: what stands for a sum inside the new one; indices in the order that they are better left in.
    """
    if not isinstance(body, Add):
        return body
    terms = terms_of(body)
    for one, other in combinations(terms, 2):
        joined = next(_joined(one, other, linear, name), None)
        if joined is not None:
            rest = (t for t in terms if t not in (one, other))
            return summed_together(total((joined, *rest)), linear, name)
    return body


def _joined(one: Term, other: Term, linear: Set[str], name: Name) -> Iterator[Term]:
    """The two as a sum over what the cotangent has, if nothing in it is larger than the cotangent."""
    (k, scale, factors), (k2, scale2, factors2) = _apart(one), _apart(other)
    if scale != scale2 or k * k2 >= 0 or (one.condition, other.condition) != (TRUE, TRUE):
        return
    for cotangent in _wholes(factors, linear):
        for twin in _wholes(factors2, linear):
            table = _matched(cotangent, twin, one.bound, other.bound)
            if not table:
                continue
            left = _rest(factors, cotangent, tuple(i for i in one.bound if i not in table.values()))
            right = _rest(factors2, twin, tuple(i for i in other.bound if i not in table))
            right = rename(freshen(right, {i.name for i in table.values()}), {a: as_poly(b) for a, b in table.items()})
            if (free_indices(left) | free_indices(right)) <= free_indices(cotangent):
                order = tuple(i for p in cotangent.indices for i in indices_of(p))
                parts = (name(p, order) if isinstance(p, Reduce) else p for p in (left, right))
                difference = add(*(multiply(Number(n), p) for n, p in zip((k, k2), parts, strict=True)))
                yield Term(scale, tuple(table.values()), TRUE, multiply(cotangent, difference))


def _apart(term: Term) -> tuple[Fraction | float, Scalar, tuple[Scalar, ...]]:
    """The number in front of a term, the rest of its scale, and the factors of its body."""
    k, before = (term.scale.value, ()) if isinstance(term.scale, Number) else factors_of(term.scale)
    inner, factors = factors_of(term.body)
    return k * inner, multiply(*before), factors


def _wholes(factors: tuple[Scalar, ...], linear: Set[str]) -> Iterator[Read]:
    """The factors that are a cotangent read once at each place."""
    for factor in factors:
        if isinstance(factor, Read) and factor.tensor in linear and factor.extension is None:
            places = [p.atom for p in factor.indices]
            if all(isinstance(a, Index) for a in places) and len(set(places)) == len(places):
                yield factor


def _matched(
    one: Read, other: Read, bound: tuple[Index, ...], bound2: tuple[Index, ...]
) -> Mapping[Index, Index] | None:
    """The summed indices of the second read in terms of the first; None if they are not read alike."""
    table: dict[Index, Index] = {}
    if one.tensor != other.tensor:
        return None
    for a, b in zip(one.indices, other.indices, strict=True):
        mine, theirs = a.atom, b.atom
        assert isinstance(mine, Index) and isinstance(theirs, Index)
        if mine in bound and theirs in bound2 and mine.extent == theirs.extent:
            table[theirs] = mine
        elif mine in bound or theirs in bound2 or mine != theirs:
            return None
    return table


def _rest(factors: tuple[Scalar, ...], cotangent: Scalar, bound: tuple[Index, ...]) -> Scalar:
    rest = list(factors)
    rest.remove(cotangent)
    body = multiply(*rest)
    return Reduce("sum", bound, TRUE, body) if bound else body
