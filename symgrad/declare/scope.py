"""What names mean while a declaration is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sympy import Symbol
from sympy.tensor.indexed import Idx

from symgrad.declare.integers import Poly, Size
from symgrad.declare.program import Requirement
from symgrad.declare.scalars import Condition
from symgrad.errors import About, DeclarationError


@dataclass
class Scope:
    """What names mean while one layer is converted.

    ``bound_now`` has the indices in scope, ``binders`` the objects that brought them into it, as written;
    ``inferred`` the first and last values of bound indices that the reads determined. ``target`` is the left side whose
    equation is read, ``around`` the reads that are being read, the innermost first, and ``written`` has every read as
    it was written, by equation, tensor and indices.
    """

    ranks: Mapping[str, int]
    integers: frozenset[str]
    sizes: Mapping[str, Size]
    reals: frozenset[str]
    extents: Callable[[str], tuple[Poly, ...] | None]
    where: str = ""
    names: set[str] = field(default_factory=set)
    bound_now: dict[str, Poly] = field(default_factory=dict)
    bound_anywhere: frozenset[str] = frozenset()
    behind: tuple[Condition, ...] = ()
    binders: dict[str, Any] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)
    inferred: dict[str, tuple[Poly, Poly]] = field(default_factory=dict)
    place: Callable[[], str] | None = None
    target: str = ""
    around: tuple[Any, ...] = ()
    written: dict[tuple[str, str, tuple[Poly, ...]], Any] = field(default_factory=dict)

    @contextmanager
    def under(self, *conditions: Condition) -> Iterator[None]:
        """What is converted inside stands behind further conditions."""
        before, self.behind = self.behind, (*self.behind, *conditions)
        yield
        self.behind = before

    def fail(self, text: str, *parts: Any) -> DeclarationError:
        """An error that says in which equation, and where inside a read; ``parts`` are what it is about."""
        place = f"{self.place()}: " if self.place else ""
        return DeclarationError(f"{self.where}: {place}{text}", About(self.target, (*parts, *self.around)))

    @contextmanager
    def inside(self, place: Callable[[], str], expr: Any) -> Iterator[None]:
        """Errors raised meanwhile name this place, which is put into words only then, and are about ``expr``."""
        outer, around = self.place, self.around
        self.place, self.around = place, (expr, *around)
        try:
            yield
        finally:
            self.place, self.around = outer, around

    def as_written(self, error: DeclarationError) -> DeclarationError:
        """The error about reads as they were written; it comes with them as data, tensor and indices."""
        where, parts = error.about.equation, error.about.parts
        found = tuple(self.written.get((where, *p), p[0]) if isinstance(p, tuple) else p for p in parts)
        return DeclarationError(str(error), About(where, found))

    def declared(self, tensor: str) -> str:
        """A tensor as declared: ``x[N, C]``."""
        extents = self.extents(tensor)
        if extents is None:
            return tensor
        return f"{tensor}[{', '.join(map(str, extents))}]" if extents else tensor


def counted(number: int, one: str, many: str) -> str:
    """``1 axis``, ``2 axes``."""
    return f"{number} {one if number == 1 else many}"


def label(index: Any) -> str:
    """The name of an Idx or a Symbol."""
    symbol = index.label if isinstance(index, Idx) else index
    return symbol.name if isinstance(symbol, Symbol) else str(symbol)


def printed(symbol: Any) -> str:
    """What SymPy prints of a tensor's or an index's label; it takes long to find that a symbol is its name."""
    return symbol.name if type(symbol) is Symbol else str(symbol)


def bound_twice(name: str, limit: Any) -> str:
    """What is wrong where a limit binds an index that is in scope."""
    return f"index {name} is bound twice: it is already in scope where {limit} binds it; rename one"
