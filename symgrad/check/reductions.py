"""Reductions as loops over every value of their indices, in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from symgrad.check.arithmetic import Arithmetic
from symgrad.check.scope import Environment, Node, Scope, whole
from symgrad.declare.notation import ArgMax, ArgMin, LogSumExp, ReduceMax, ReduceMin, Reduction

Limit = tuple[str, Node, Node]
"""An index, its first and its last value."""


def points(limits: list[Limit], scope: Scope, env: Environment) -> Iterator[None]:
    """Set the indices to each of their values in turn; as in SymPy, a limit may depend on those after it.

    A last value below the first leaves nothing. An index of the same name outside is back when the loop is over.
    """
    if not limits:
        yield
        return
    *inner, (name, first, last) = limits
    start = whole(first(env), f"the first value of {name}", scope, env)
    stop = whole(last(env), f"the last value of {name}", scope, env)
    shadowed = env.get(name)
    for value in range(start, stop + 1):
        env[name] = value
        yield from points(inner, scope, env)
    env.pop(name, None)
    if shadowed is not None:
        env[name] = shadowed


def accumulation(body: Node, limits: list[Limit], start: int, combine: Callable[[Any, Any], Any], scope: Scope) -> Node:
    """Return the closure of a sum or a product; ``start`` is the value of an empty one."""

    def accumulated(env: Environment) -> Any:
        total: Any = start
        for _ in points(limits, scope, env):
            total = combine(total, body(env))
        return total

    return accumulated


def reduction(expr: Reduction, body: Node, limits: list[Limit], scope: Scope) -> Node:
    """Return the closure of a maximum, a minimum, the position of one, or a log-sum-exp.

    The first of several largest values is the first in the order of the limits as written, where the first limit
    varies slowest; the position counts from the first value of each limit, row-major.
    """
    names, arithmetic = [name for name, _, _ in limits], scope.arithmetic
    largest = isinstance(expr, ReduceMax | ArgMax)

    def reduced(env: Environment) -> Any:
        found = [(tuple([env[name] for name in names]), body(env)) for _ in points(limits, scope, env)]
        found.sort(key=lambda pair: pair[0])
        values = [value for _, value in found]
        if isinstance(expr, LogSumExp):
            return _log_sum_exp(values, arithmetic)
        if not values:
            raise scope.fail(f"{expr} reduces over no value at all", env)
        winner = arithmetic.extreme(values, largest)
        match expr:
            case ArgMax() | ArgMin():
                return _row_major(winner, [position for position, _ in found], expr, scope)
            case ReduceMax() | ReduceMin():
                return arithmetic.share(values, winner) if expr.ties == "split" else values[winner]
        raise scope.fail(f"{type(expr).__name__} is not a reduction that the naive evaluator knows")

    return reduced


def _row_major(winner: int, everywhere: list[tuple[int, ...]], expr: Reduction, scope: Scope) -> int:
    """Return the place of the winner in the box of all positions, which are sorted."""
    extents = [max(axis) - min(axis) + 1 for axis in zip(*everywhere, strict=True)]
    if math.prod(extents) != len(everywhere):
        raise scope.fail(f"{expr}: a position over limits that depend on each other has no row-major number")
    return winner


def _log_sum_exp(values: list[Any], arithmetic: Arithmetic) -> Any:
    exp, log = arithmetic.function("exp"), arithmetic.function("log")
    assert exp is not None and log is not None
    top = max((v.real for v in values), default=-math.inf)
    if not math.isfinite(top):
        return top
    total: Any = 0
    for value in values:
        total = total + exp(value - top)
    return log(total) + top
