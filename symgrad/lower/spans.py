"""Sums over ranges that data give, ``first[b] <= t < last[b]``: bags, segments by offsets, and their adjoint."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.algebra import multiply
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import ONE, ZERO, Entry, Index, Poly, affine_in, as_poly, atoms, indices_of
from symgrad.declare.scalars import TRUE, Compare, Condition, Scalar, free_indices
from symgrad.lower.arrays import Array, Helper, Value, Whole
from symgrad.lower.axes import Axes, align
from symgrad.lower.builder import Builder
from symgrad.lower.reads import integer


@dataclass(frozen=True, slots=True)
class Span:
    """``first <= inside < last``, both ends given by data over the one index ``owner``."""

    inside: Index
    owner: Index
    first: Poly
    last: Poly

    def covered(self, b: Builder) -> Value:
        """Whether a position lies in the range of any owner."""
        return Value(Helper("_covered", (*self.ends(b), Whole(self.inside.extent))), (self.inside,), "bool")

    def ends(self, b: Builder) -> tuple[Array, Array]:
        """First positions and ones beyond the last, for every owner."""
        return _end(b, self.first, self.owner), _end(b, self.last, self.owner)


@dataclass(frozen=True, slots=True)
class SpanSum:
    """A sum over spans: of rows along ``inside`` for each owner, or of owners' rows at each position ``inside``.

    Attributes:
        span: the ranges.
        early: further summed indices, which go first.
        body: what is summed.
    """

    span: Span
    early: Axes
    body: Scalar

    @property
    def source(self) -> Index:
        """The index that what is summed runs over."""
        return self.span.inside if self.span.inside in free_indices(self.body) else self.span.owner

    @property
    def target(self) -> Index:
        """The index that the result runs over."""
        return self.span.owner if self.source == self.span.inside else self.span.inside

    def over(self, b: Builder, value: Value, order: Axes) -> Value:
        """The sums of ``value``, whose axis ``source`` becomes ``target``."""
        rest = tuple(i for i in order if i in value.axes and i != self.source)
        rows = align(value, (self.source, *rest))
        ends = self.span.ends(b)
        if self.target == self.span.owner:
            array: Array = Helper("_sum_ranges", (rows, *ends))
        else:
            array = Helper("_spread_ranges", (rows, *ends, Whole(self.span.inside.extent)))
        return Value(array, (self.target, *rest))


def _end(b: Builder, end: Poly, owner: Index) -> Array:
    value = integer(b, end, (owner,))
    if value.axes:
        return value.array
    return Helper("np.full", (Whole(owner.extent), value.array))


def span_sum(b: Builder, bound: Axes, condition: Condition, factors: list[Scalar]) -> SpanSum | None:
    """The sum as one over spans, if its conditions are nothing else."""
    if b.loops or condition == TRUE:
        return None
    span = data_span(condition)
    if span is None or (span.inside in bound) == (span.owner in bound):
        return None
    source, target = (span.inside, span.owner) if span.inside in bound else (span.owner, span.inside)
    body = multiply(*factors)
    if target in free_indices(body) or source not in free_indices(body):
        return None
    return SpanSum(span, tuple(i for i in bound if i != source), body)


def data_span(condition: Condition) -> Span | None:
    """The ranges that a condition says an index lies in, if data give them."""
    parts = conjuncts(condition)
    if not all(isinstance(p, Compare) and p.relation == ">=" for p in parts) or len(parts) > 2:
        return None
    polys = [p.poly for p in parts if isinstance(p, Compare)]
    if not any(isinstance(a, Entry) for p in polys for a in atoms(p)):
        return None
    for index in sorted({i for p in polys for i in _own_indices(p)}, key=lambda i: i.name):
        ends = _ends(polys, index)
        owners = {i for e in ends or () for i in indices_of(e)}
        if ends is not None and len(owners) == 1 and index not in owners:
            return Span(index, owners.pop(), *ends)
    return None


def _own_indices(poly: Poly) -> set[Index]:
    """Indices that stand in the polynomial itself, not inside an entry."""
    return {a for monomial, _ in poly.terms for a in monomial if isinstance(a, Index)}


def _ends(polys: list[Poly], index: Index) -> tuple[Poly, Poly] | None:
    """First position and one beyond the last, from ``index - a >= 0`` and ``b - index >= 0``."""
    first, last = ZERO, index.extent
    seen: set[int] = set()
    for poly in polys:
        split = affine_in(poly, index)
        sign = split[0].constant if split else None
        if split is None or sign not in (1, -1) or sign in seen:
            return None
        seen.add(sign)
        if sign == 1:
            first = as_poly(index) - poly
        else:
            last = poly + as_poly(index) + ONE
    return first, last
