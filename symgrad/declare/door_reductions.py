"""Reductions at the door: limits as indices over 0 .. extent - 1 and a condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgrad.declare.bounds import lower_end, nonnegative, upper_end
from symgrad.declare.conditions import all_of, any_of, at_least, negation
from symgrad.declare.door_integers import to_poly
from symgrad.declare.integers import ZERO, Index, Poly, as_poly, depends_on_data, extreme
from symgrad.declare.program import Requirement
from symgrad.declare.ranges import range_from_reads
from symgrad.declare.scalars import TRUE, Condition, Reduce, Scalar, free_indices
from symgrad.declare.scope import Scope, bound_twice, label
from symgrad.errors import DeclarationError
from symgrad.naming import base_of, check_name, fresh

POSITIONS = ("argmax", "argmin")


def reduction(kind: str, function: Any, limits: Any, ties: str, scope: Scope, body: Callable[[], Scalar]) -> Scalar:
    """A reduction; limits that depend on outer indices or data become a hull and a condition.

    Args:
        kind: the reduction's name as data.
        function: what is reduced, in SymPy; its reads determine ranges that the limits leave open.
        limits: ``(index, first, last)`` or ``(index,)`` each.
        ties: who gets the gradient of an extremum that is reached more than once.
        scope: what names mean outside the reduction.
        body: converts what is reduced, called with the indices in scope.
    """
    indices: list[Index] = []
    conditions: list[Condition] = []
    outer, binders = dict(scope.bound_now), dict(scope.binders)
    # SymPy nests limits inside out: a later one is outside an earlier one and may be used by it.
    for limit in reversed(limits):
        index, shift, condition = _limit(limit, function, scope, conditions, kind in POSITIONS)
        name = label(limit[0])
        if name in scope.bound_now:
            raise scope.fail(bound_twice(name, limit), limit[0])
        if name in scope.sizes:
            raise scope.fail(f"index {name} is also a size; rename one", limit[0])
        scope.bound_now[name], scope.binders[name] = as_poly(index) + shift, limit[0]
        indices.append(index)
        conditions.append(condition())
    together = free_indices(conditions[-1]).intersection(indices[:-1])
    if kind in POSITIONS and (together or any(c != TRUE for c in conditions[:-1])):
        raise scope.fail(
            f"the position of an extremum over {len(limits)} limits is a row-major number, which needs ranges of one "
            f"length: only the end of the first limit may depend on data or on an index outside; write a longer range, "
            f"with a Piecewise of -oo (for ArgMin oo) where the value does not count"
        )
    with scope.under(*conditions):
        value = body()
    scope.bound_now.clear()
    scope.bound_now.update(outer)
    scope.binders = binders
    # In order of the limits as written: the first limit varies slowest in ArgMax and ties.
    return Reduce(kind, tuple(reversed(indices)), all_of(*conditions), value, ties)


def _wider(name: str, function: Any, scope: Scope, low: Poly, high: Poly) -> tuple[Poly, Poly]:
    """The whole range that the reads allow if it is known to hold this one and not to be negative."""
    try:
        lowest, highest = range_from_reads(name, function, scope)
    except DeclarationError:
        return low, high
    known = all(map(nonnegative, (low - lowest, highest - high, highest - lowest + 1)))
    return (lowest, highest) if known else (low, high)


def _limit(
    limit: Any, function: Any, scope: Scope, conditions: Sequence[Condition], counted: bool
) -> tuple[Index, Poly, Callable[[], Condition]]:
    """An index over 0 .. extent - 1, what it is moved by, and the condition that is left.

    A position is counted from the first value of its range, also where that is another one for each outer index.
    """
    name = check_name(label(limit[0]), f"{scope.where}: the index")
    if len(limit) == 3:
        first, last = to_poly(limit[1], scope), to_poly(limit[2], scope)
        low, high = lower_end(first), upper_end(last)
    else:
        first, last, low, high = None, None, None, None
    if low is None or high is None:
        lowest, highest = range_from_reads(name, function, scope)
        if first is None:
            scope.inferred[name] = lowest, highest
        low, high = low or lowest, high or highest
    extent = high - low + 1
    if (first != low or last != high) and not nonnegative(extent):
        # An outer index may leave nothing to run over: an empty sum, not an error.
        low, high = _wider(name, function, scope, low, high)
        extent = high - low + 1
        extent = extent if nonnegative(extent) else extreme("max", [extent, ZERO])
    index = Index(fresh(base_of(name), scope.names), extent)
    scope.names.add(index.name)
    shift = first if counted and first is not None else low
    here = as_poly(index) + shift
    for end, hull, sense in ((first, low, 1), (last, high, -1)):
        if end is not None and depends_on_data(end) and not nonnegative((end - hull) * sense):
            text = f"the limit {end} of {name} leaves the range {low} .. {high} that its reads allow"
            elsewhere = [negation(c) for c in (*scope.behind, *conditions)]
            scope.requirements.append(Requirement(any_of(at_least((end - hull) * sense, 0), *elsewhere), text))

    def condition() -> Condition:
        parts = []
        if first is not None and first != shift:
            parts.append(at_least(here, first))
        if last is not None and (last != high or shift != low):
            parts.append(at_least(last, here))
        return all_of(*parts)

    return index, shift, condition
