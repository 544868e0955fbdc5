"""An expression cut along one index into the ranges on which its conditions on that index are decided."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from symgrad.declare.algebra import indicator
from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import ZERO, Atom, Index, Poly, Size, affine_in, atoms, extreme
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    FALSE,
    NOUGHT,
    TRUE,
    UNIT,
    Compare,
    Condition,
    Node,
    Reduce,
    Scalar,
    Truth,
    contains,
    walk,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """``first <= index < stop``, and the expression there; empty where ``stop`` is not beyond ``first``."""

    first: Poly
    stop: Poly
    body: Scalar

    @property
    def single(self) -> bool:
        """Whether the index has one value here."""
        return (self.stop - self.first).constant == 1


def segments(
    index: Index, body: Scalar, beside: Sequence[Poly] = (), known: Container[Atom] = ()
) -> tuple[Segment, ...]:
    """The expression along the index, in order; a condition whose place is not known stays as it is.

    ``beside`` are other values of the index whose order with the ends of the segments has to be known; ``known`` are
    the indices that have a value, as variables of loops have.
    """
    tests = [p for p in walk(body) if isinstance(p, Compare) and thresholds(p, index, known)]
    cuts: list[Poly] = []
    for test in dict.fromkeys(tests):
        wanted = [v for v in thresholds(test, index, known) if not _settled(v, index.extent)]
        if all(_comparable(v, [*cuts, *wanted, *beside]) for v in wanted):
            cuts += [v for v in wanted if v not in cuts]
    cuts = sorted(cuts, key=lambda v: sum(v != other and nonnegative(v - other) for other in cuts))
    firsts = [ZERO, *(at_or_after(v, ZERO) for v in cuts)]
    stops = [*(at_or_before(v, index.extent) for v in cuts), index.extent]
    return tuple(
        Segment(first, stop, decided(body, index, cuts[:k], cuts[k:], known))
        for k, (first, stop) in enumerate(zip(firsts, stops, strict=True))
    )


def decided(body: Scalar, index: Index, passed: list[Poly], ahead: list[Poly], known: Container[Atom] = ()) -> Scalar:
    """The expression where the index is at or beyond ``passed`` and before ``ahead``."""

    def beyond(value: Poly) -> bool | None:
        if value in passed or nonnegative(-value):
            return True
        return False if value in ahead or nonnegative(value - index.extent) else None

    def change(node: Node) -> Node:
        if not contains(node, Compare, Reduce):
            return node
        if isinstance(node, Compare):
            found = [beyond(v) for v in thresholds(node, index, known)]
            if found and None not in found:
                return Truth(_holds(node, index, [bool(f) for f in found]))
        return simplified_sum(map_children(node, change))

    return changed(body, change)


def simplified_sum(node: Node) -> Node:
    """A sum whose condition never holds is 0; one over no index whose condition holds is its body.

    An extremum whose condition never holds has no value, so nobody looks at it.
    """
    match node:
        case Reduce("sum" | "max" | "min", _, condition) if condition == FALSE:
            return NOUGHT
        case Reduce("sum", (), condition, inner) if condition == TRUE:
            return inner
    return node


def thresholds(test: Compare, index: Index, known: Container[Atom] = ()) -> tuple[Poly, ...]:
    """The values at which a condition on the index and on what is known changes; none if it is of another kind.

    Sizes are known, and the indices in ``known``.
    """
    split = affine_in(test.poly, index)
    if split is None or split[0].constant not in (1, -1):
        return ()
    if not all(isinstance(a, Size) or a in known for a in atoms(split[1])):
        return ()
    value = -split[1] if split[0].constant == 1 else split[1]
    match test.relation, split[0].constant:
        case ">=", 1:
            return (value,)
        case ">=", -1:
            return (value + 1,)
    return (value, value + 1)


def _holds(test: Compare, index: Index, beyond: list[bool]) -> bool:
    """Whether the condition holds, given which of its thresholds the index has reached."""
    split = affine_in(test.poly, index)
    assert split is not None
    if test.relation == ">=":
        return beyond[0] == (split[0].constant == 1)
    equal = beyond[0] and not beyond[1]
    return equal == (test.relation == "==")


def _settled(value: Poly, extent: Poly) -> bool:
    """Whether the index is beyond the value everywhere or nowhere."""
    return nonnegative(-value) or nonnegative(value - extent)


def _comparable(value: Poly, others: list[Poly]) -> bool:
    return all(nonnegative(value - other) or nonnegative(other - value) for other in others)


def at_or_after(value: Poly, least: Poly) -> Poly:
    """The value, or the least one where it may lie before that."""
    return value if nonnegative(value - least) else extreme("max", [value, least])


def at_or_before(value: Poly, most: Poly) -> Poly:
    """The value, or the most where it may lie beyond that."""
    return value if nonnegative(most - value) else extreme("min", [value, most])


def interval(condition: Condition, index: Index) -> tuple[Poly, Poly] | None:
    """First value and extent of the range in which a condition on the index alone holds; None if that is no range."""
    found = segments(index, indicator(condition))
    where = [s for s in found if s.body == UNIT]
    if len(where) != 1 or any(isinstance(p, Compare) for s in found for p in walk(s.body)):
        return None
    first, extent = where[0].first, where[0].stop - where[0].first
    return (first, extent) if nonnegative(extent) else None
