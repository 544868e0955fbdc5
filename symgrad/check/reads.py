"""Reads of tensors, each index checked against the extent of its axis, and their extensions beyond the border."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from symgrad.check.scope import Environment, Node, Scope, whole

Positions = Callable[[Environment], tuple[int, ...]]


@dataclass(frozen=True)
class _Index:
    """An index of a read, for errors; SymPy prints it only when there is one."""

    index: Any
    read: Any

    def __str__(self) -> str:
        return f"the index {self.index} of {self.read}"


def positions(indices: Sequence[Any], nodes: Sequence[Node], read: Any, scope: Scope) -> Positions:
    """Return the closure that gives the value of every index, each an integer."""
    named = [(node, _Index(index, read)) for node, index in zip(nodes, indices, strict=True)]
    return lambda env: tuple([whole(node(env), what, scope, env) for node, what in named])


def element(name: str, at: Positions, rank: int, read: Any, scope: Scope) -> Node:
    """Return the closure that reads a tensor; an index outside of its axis, a negative one too, fails."""

    def look_up(env: Environment) -> Any:
        table, position = scope.table(name, rank, read), at(env)
        for axis, (k, extent) in enumerate(zip(position, table.shape, strict=True)):
            if not 0 <= k < extent:
                raise scope.fail(f"{read} reads {name} at index {k} on axis {axis}, which has extent {extent}", env)
        return table.at(position)

    return look_up


def bordered(name: str, at: Positions, rank: int, outside: Node, read: Any, scope: Scope) -> Node:
    """Return the closure that reads a tensor, and gives the value of ``outside`` where there is no element."""

    def look_up(env: Environment) -> Any:
        table, position = scope.table(name, rank, read), at(env)
        inside = all(0 <= k < extent for k, extent in zip(position, table.shape, strict=True))
        return table.at(position) if inside else outside(env)

    return look_up


def repeated(name: str, at: Positions, rank: int, mode: str, read: Any, scope: Scope) -> Node:
    """Return the closure that reads a tensor whose elements repeat outside: reflect, replicate or wrap."""

    def look_up(env: Environment) -> Any:
        table, position = scope.table(name, rank, read), at(env)
        if 0 in table.shape:
            raise scope.fail(f"{read} extends {name}, which is empty: its shape is {table.shape}", env)
        return table.at(tuple([_inside(k, n, mode) for k, n in zip(position, table.shape, strict=True)]))

    return look_up


def _inside(k: int, extent: int, mode: str) -> int:
    """Return the position of an axis that position ``k`` repeats."""
    match mode:
        case "replicate":
            return min(max(k, 0), extent - 1)
        case "wrap":
            return k % extent
    period = max(2 * (extent - 1), 1)  # to and fro, the border itself once
    return min(k % period, -k % period)
