"""Ranges that data give for each value of another index, ``first[r] <= q < last[r]``: rows of a ragged array.

All pairs of r and q that lie in such ranges are few beside all pairs of r and q. So they are in windows whose ends are
quotients, ``floor(H * r / P) <= q < floor(H * (r + 1) / P)``. Sums over those are products with a matrix of ones,
unless a factor needs both r and q.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symgrad.declare.algebra import multiply
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import ONE, ZERO, Entry, Index, Poly, Quotient, affine_in, as_poly, atoms, indices_of
from symgrad.declare.program import Equation
from symgrad.declare.scalars import (
    Compare,
    Condition,
    Mul,
    Read,
    Reduce,
    Scalar,
    free_indices,
    own_polynomials,
    tensors_of,
    walk,
)


@dataclass(frozen=True, slots=True)
class Ragged:
    """``first <= inside < last``, the ends over the indices ``owners``; ``rest`` is what else a condition says."""

    inside: Index
    owners: tuple[Index, ...]
    first: Poly
    last: Poly
    rest: Condition

    @property
    def indices(self) -> frozenset[Index]:
        """All indices of the pairs."""
        return frozenset((self.inside, *self.owners))


def ragged(condition: Condition, *factors: Scalar, windows: bool = False) -> Ragged | None:
    """The ranges that stand in a condition, if no operand of the factors has an element for every pair.

    ``windows``: also those between two quotients, whatever the factors.
    """
    body = multiply(*factors)
    operands = tuple(_operands(body))
    for inside in sorted(free_indices(condition), key=lambda i: i.name):
        found = _found(condition, inside, body, windows)
        if found is None or any(_fills(o, found) for o in operands):
            continue
        if found.first != ZERO and found.last != inside.extent:
            return found
        # Of ranges with one end about half of all pairs are left, unless both indices run along one axis.
        if any(found.indices <= indices_of(p) for o in operands for p in o):
            return found
    return None


def has_moving_quotient(poly: Poly) -> bool:
    """Whether an integer expression has a quotient that an index moves."""
    return any(isinstance(a, Quotient) and indices_of(as_poly(a)) for a in atoms(poly))


def in_ranges(equations: Sequence[Equation]) -> frozenset[str]:
    """The left sides of reductions over ragged ranges, and of sums that read products over such ranges."""
    found = frozenset(e.target for e in equations if any(ragged_in(n) for n in _reductions(e)))
    products = {e.target for e in equations if e.target in found and any(n.kind == "product" for n in _reductions(e))}
    readers = (e for e in equations if any(ragged(n.condition, windows=True) for n in _reductions(e)))
    return found | {e.target for e in readers if products & set(tensors_of(e.body))}


def ragged_in(node: Reduce) -> Ragged | None:
    """The ranges that a reduction runs over."""
    return ragged(node.condition, node.body, windows=node.kind != "sum")


def _reductions(equation: Equation) -> Iterator[Reduce]:
    return (n for n in walk(equation.body) if isinstance(n, Reduce))


def _operands(node: Scalar) -> Iterator[tuple[Poly, ...]]:
    """Where every tensor in a node is read, real ones and integers."""
    for part in walk(node):
        if isinstance(part, Read):
            yield part.indices
        for poly in own_polynomials(part):
            yield from (a.indices for a in atoms(poly) if isinstance(a, Entry))


def _fills(operand: tuple[Poly, ...], found: Ragged) -> bool:
    """Whether a tensor has all of the indices, the one inside on an axis of its own."""
    everywhere = frozenset[Index]().union(*map(indices_of, operand))
    others = (p for p in operand if found.inside not in indices_of(p))
    return found.indices <= everywhere and any(indices_of(p) & set(found.owners) for p in others)


def _found(condition: Condition, inside: Index, body: Scalar, windows: bool) -> Ragged | None:
    """The ranges of one index, at least one end of which data give, or both of which are quotients."""
    given = _between(condition, inside, Entry)
    found = _between(condition, inside, Quotient) if given is None else None
    if found is None or windows:
        return given or found
    factors = map(free_indices, body.args if isinstance(body, Mul) else (body,))
    return found if any(inside in f and f & set(found.owners) for f in factors) else None


def _between(condition: Condition, inside: Index, kind: type[Entry | Quotient]) -> Ragged | None:
    """The ranges of one index whose ends are given by atoms of one kind; by quotients only if both ends are."""
    parts = conjuncts(condition)
    first, last = ZERO, inside.extent
    used: list[Condition] = []
    for part, end, low in _ends(parts, inside, kind):
        if (first != ZERO) if low else (last != inside.extent):
            continue
        first, last = (end, last) if low else (first, end)
        used.append(part)
    if kind is Quotient and len(used) < 2:
        return None
    owners = tuple(sorted(indices_of(first) | (indices_of(last) - indices_of(inside.extent)), key=lambda i: i.name))
    return Ragged(inside, owners, first, last, all_of(*(p for p in parts if p not in used))) if used else None


def _ends(
    parts: tuple[Condition, ...], inside: Index, kind: type[Entry | Quotient]
) -> Iterator[tuple[Condition, Poly, bool]]:
    """First positions, from ``inside - a >= 0``, and ones beyond the last, from ``b - inside >= 0``.

    They are given by atoms of a kind; those that are the same for all are no ends of ranges.
    """
    for part in parts:
        if not isinstance(part, Compare) or part.relation != ">=":
            continue
        split = affine_in(part.poly, inside)
        sign = split[0].constant if split else None
        end = as_poly(inside) - part.poly if sign == 1 else part.poly + as_poly(inside) + ONE
        entries = (a for a in atoms(end) if isinstance(a, kind))
        owned = any(indices_of(as_poly(a)) for a in entries) and inside not in indices_of(end)
        if sign in (1, -1) and owned:
            yield part, end, sign == 1
