"""What a drawn declaration stands on: its sizes, attributes and tensors, and where its indices lead.

Everything is text, as it stands in the declaration, next to the number it is at the drawn sizes: the same text is
evaluated by Python over integers to see whether a read stays inside its tensor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from types import CodeType
from typing import Any

import numpy as np
import numpy.typing as npt

POINTS = 240
"""The most values that the indices in scope may take together."""

BOUND = ("u", "v", "m", "t", "g")
"""Names of bound indices."""

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Extent:
    """An extent as written, and its value."""

    text: str
    value: int


@dataclass(frozen=True)
class Table:
    """A tensor that may be read: real, positive, integer, or a position in ``range(most)`` that an equation gives."""

    name: str
    extents: tuple[Extent, ...]
    kind: str = "real"
    most: int = 0


@dataclass(frozen=True)
class Bound:
    """An index in scope: its name in the text, its label, its first and last value as written."""

    name: str
    label: str
    first: str
    last: str


@dataclass(frozen=True)
class Scope:
    """Indices in scope, outermost first, the conditions that hold, and indices that no plain read may mention."""

    indices: tuple[Bound, ...] = ()
    guards: tuple[str, ...] = ()
    shy: frozenset[str] = frozenset()

    def inside(self, *indices: Bound) -> Scope:
        """Return the scope with further indices."""
        return replace(self, indices=(*self.indices, *indices))

    def behind(self, guard: str) -> Scope:
        """Return the scope behind a condition."""
        return replace(self, guards=(*self.guards, guard))


class Integers:
    """Integer data under its name in the text: read with square brackets, out of bounds is an error."""

    def __init__(self, values: npt.NDArray[np.int64]) -> None:
        self.values = values

    def __getitem__(self, position: int | tuple[int, ...]) -> int:
        places = position if isinstance(position, tuple) else (position,)
        if len(places) != self.values.ndim or any(k < 0 for k in places):
            raise IndexError(places)
        return int(self.values[places])


class Anywhere:
    """The result of an ArgMax, unknown while drawing: it gives the position that is assumed at the moment."""

    def __init__(self, most: int) -> None:
        self.most, self.assumed = most, 0

    def __getitem__(self, position: int | tuple[int, ...]) -> int:
        return self.assumed


def _modulo(a: int, b: int) -> int:
    return a % b


_FUNCTIONS: Mapping[str, Any] = {
    "floor": math.floor,
    "ceiling": math.ceil,
    "Mod": _modulo,
    "Max": max,
    "Min": min,
    "Abs": abs,
    "And": lambda *conditions: all(conditions),
    "Or": lambda *conditions: any(conditions),
    "Not": lambda condition: not condition,
    "Eq": lambda a, b: a == b,
    "Ne": lambda a, b: a != b,
}


@lru_cache(maxsize=4096)
def _code(text: str) -> CodeType:
    return compile(text, "<drawn>", "eval")


class World:
    """Values of sizes, attributes and integer data, by the names they have in the text.

    ``others`` are further values of the sizes: a read that leaves its tensor at all of them is refused, and rightly.
    """

    def __init__(self, others: Sequence[Mapping[str, int]] = ()) -> None:
        self.values: dict[str, Any] = dict(_FUNCTIONS)
        self.others = others

    def value(self, text: str, point: Mapping[str, int] | None = None) -> int:
        """Return what an integer expression (or a condition) is at a point."""
        names = {**self.values, **(point or {})}
        return eval(_code(text), {"__builtins__": {}}, names)  # type: ignore[no-any-return]

    def points(self, scope: Scope, *texts: str) -> Iterator[dict[str, int]]:
        """Yield the values of the indices that the texts and the conditions of the scope depend on."""
        needed = set(_NAME.findall(" ".join([*texts, *scope.guards])))
        for bound in reversed(scope.indices):
            if bound.name in needed:
                needed |= set(_NAME.findall(f"{bound.first} {bound.last}"))
        chosen = [b for b in scope.indices if b.name in needed]
        yield from self._nested(chosen, scope.guards, {})

    def _nested(self, rest: list[Bound], guards: tuple[str, ...], point: dict[str, int]) -> Iterator[dict[str, int]]:
        if not rest:
            if all(self.value(g, point) for g in guards):
                yield point
            return
        bound, *inner = rest
        for k in range(self.value(bound.first, point), self.value(bound.last, point) + 1):
            yield from self._nested(inner, guards, {**point, bound.name: k})

    def inside(self, text: str, extent: Extent, scope: Scope) -> bool:
        """Whether an index lies in its axis at every point of the scope, at the drawn sizes and at some others."""
        if not self._inside(text, extent, scope):
            return False
        mentioned = _NAME.findall(" ".join([text, *scope.guards, *(f"{b.first} {b.last}" for b in scope.indices)]))
        if any(isinstance(self.values.get(name), Integers | Anywhere) for name in mentioned):
            return True
        return any(World._with(self.values, other)._inside(text, extent, scope, True) for other in self.others)

    def ever_positive(self, text: str) -> bool:
        """Whether an extent is positive at some of the other sizes."""
        return any(World._with(self.values, other).value(text) > 0 for other in self.others)

    @classmethod
    def _with(cls, values: Mapping[str, Any], other: Mapping[str, int]) -> World:
        world = cls()
        world.values = {**values, **{name: value for name, value in other.items() if name in values}}
        return world

    def _inside(self, text: str, extent: Extent, scope: Scope, elsewhere: bool = False) -> bool:
        length = self.value(extent.text) if elsewhere else extent.value
        mentioned = _NAME.findall(" ".join([text, *scope.guards, *(f"{b.first} {b.last}" for b in scope.indices)]))
        positions = [v for k, v in self.values.items() if isinstance(v, Anywhere) and k in mentioned]
        for assumed in range(max((p.most for p in positions), default=1)):
            for p in positions:
                p.assumed = assumed
            try:
                places = [self.value(text, point) for point in islice(self.points(scope, text), 2000)]
            except ZeroDivisionError:  # an extent that is 0 at other sizes
                return False
            if any(not 0 <= k < length for k in places) or (elsewhere and not places):
                return False
        return True

    def size(self, scope: Scope) -> int:
        """Return the number of points of a scope, conditions left aside; POINTS + 1 if there are more than POINTS."""
        names = [b.name for b in scope.indices]
        return sum(1 for _ in islice(self.points(Scope(scope.indices), *names), POINTS + 1))

    def never_empty(self, bounds: tuple[Bound, ...], scope: Scope) -> bool:
        """Whether the ranges hold at least one point wherever the scope is, as far as that is known while drawing."""
        if any(isinstance(self.values.get(n), Anywhere) for b in bounds for n in _NAME.findall(f"{b.first} {b.last}")):
            return False  # several positions are assumed to be one
        names = [b.name for b in scope.indices]
        return all(any(self._nested(list(bounds), (), point)) for point in self.points(scope, *names))
