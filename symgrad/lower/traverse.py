"""Array expressions walked through and rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from symgrad.declare.frozen import remember
from symgrad.declare.integers import Poly
from symgrad.lower.arrays import (
    Array,
    Assign,
    At,
    Blocks,
    By,
    Chunks,
    For,
    Name,
    Parts,
    Run,
    Slice,
    Statement,
    Update,
    When,
)


def names_of(record: Any) -> tuple[str, ...]:
    """The names of the fields of a dataclass, which ``match`` has at hand: ``fields`` looks for them each time."""
    names: tuple[str, ...] = record.__match_args__
    return names


@remember
def parts(array: Array) -> tuple[Array, ...]:
    """The arrays directly inside an array expression."""
    found: list[Array] = []
    for name in names_of(array):
        value = getattr(array, name)
        for item in value if isinstance(value, tuple) else (value,):
            match item:
                case By(inner) | (_, inner) if isinstance(inner, Array):
                    found.append(inner)
                case _ if isinstance(item, Array):
                    found.append(item)
    return tuple(found)


@remember
def names_in(array: Array) -> frozenset[str]:
    """Variables that an expression uses."""
    own = frozenset((array.text,)) if isinstance(array, Name) else frozenset[str]()
    return own.union(*map(names_in, parts(array)))


def polynomials_in(array: Array) -> Iterator[Poly]:
    """The integer expressions in an array expression: shapes, slice bounds, positions."""

    def within(value: Any) -> Iterator[Poly]:
        match value:
            case Poly():
                yield value
            case Slice() | At():
                for name in names_of(value):
                    yield from within(getattr(value, name))
            case tuple():
                for item in value:
                    yield from within(item)

    for name in names_of(array):
        yield from within(getattr(array, name))
    for part in parts(array):
        yield from polynomials_in(part)


def map_parts(array: Array, change: Callable[[Array], Array]) -> Array:
    """Rebuild an array expression with each direct part changed."""

    def changed(value: Any) -> Any:
        match value:
            case By(inner):
                return By(change(inner))
            case (key, inner) if isinstance(inner, Array):
                return (key, change(inner))
            case _ if isinstance(value, Array):
                return change(value)
        return value

    old: dict[str, Any] = {name: getattr(array, name) for name in names_of(array)}
    new: dict[str, Any] = {n: tuple(map(changed, v)) if isinstance(v, tuple) else changed(v) for n, v in old.items()}
    return array if new == old else type(array)(**new)


def map_arrays(statement: Statement, change: Callable[[Array], Array]) -> Statement:
    """Rebuild a statement with each array expression in it changed, those inside of it too."""
    match statement:
        case For(body=body) | Chunks(body=body) | Parts(body=body) | Blocks(body=body):
            return replace(statement, body=tuple(map_arrays(s, change) for s in body))
        case When(condition, body, otherwise=otherwise):
            first, second = (tuple(map_arrays(s, change) for s in part) for part in (body, otherwise))
            return replace(statement, condition=change(condition), body=first, otherwise=second)
        case Update(target, _, array):
            return replace(statement, target=change(target), array=change(array))
        case Assign(_, array) | Run(array):
            return replace(statement, array=change(array))
