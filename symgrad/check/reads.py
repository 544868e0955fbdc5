"""Reads of tensors, each index checked against the extent of its axis, and their extensions beyond the border."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgrad.check.scope import Environment, Node, Scope, whole

Positions = Callable[[Environment], tuple[int, ...]]


def positions(indices: Sequence[Node], texts: Sequence[str], scope: Scope) -> Positions:
    """Return the closure that gives the value of every index, each an integer; ``texts`` name them in errors."""
    named = list(zip(indices, texts, strict=True))
    return lambda env: tuple([whole(index(env), text, scope, env) for index, text in named])


def element(name: str, at: Positions, rank: int, text: str, scope: Scope) -> Node:
    """Return the closure that reads a tensor; an index outside of its axis, a negative one too, fails."""

    def read(env: Environment) -> object:
        table, position = scope.table(name, rank, text), at(env)
        for axis, (k, extent) in enumerate(zip(position, table.shape, strict=True)):
            if not 0 <= k < extent:
                raise scope.fail(f"{text} reads {name} at index {k} on axis {axis}, which has extent {extent}", env)
        return table.at(position)

    return read


def bordered(name: str, at: Positions, rank: int, outside: Node, text: str, scope: Scope) -> Node:
    """Return the closure that reads a tensor, and gives the value of ``outside`` where there is no element."""

    def read(env: Environment) -> object:
        table, position = scope.table(name, rank, text), at(env)
        inside = all(0 <= k < extent for k, extent in zip(position, table.shape, strict=True))
        return table.at(position) if inside else outside(env)

    return read


def repeated(name: str, at: Positions, rank: int, mode: str, text: str, scope: Scope) -> Node:
    """Return the closure that reads a tensor whose elements repeat outside: reflect, replicate or wrap."""

    def read(env: Environment) -> object:
        table, position = scope.table(name, rank, text), at(env)
        if 0 in table.shape:
            raise scope.fail(f"{text} extends {name}, which is empty: its shape is {table.shape}", env)
        return table.at(tuple([_inside(k, n, mode) for k, n in zip(position, table.shape, strict=True)]))

    return read


def _inside(k: int, extent: int, mode: str) -> int:
    """Return the position of an axis that position ``k`` repeats."""
    match mode:
        case "replicate":
            return min(max(k, 0), extent - 1)
        case "wrap":
            return k % extent
    period = max(2 * (extent - 1), 1)  # to and fro, the border itself once
    return min(k % period, -k % period)
