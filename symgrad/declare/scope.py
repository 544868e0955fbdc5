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
from symgrad.errors import DeclarationError


@dataclass
class Scope:
    """What names mean while one layer is converted.

    ``bound_now`` has the indices in scope, ``binders`` the objects that brought them into it, as written;
    ``inferred`` the first and last values of bound indices that the reads determined.
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

    @contextmanager
    def under(self, *conditions: Condition) -> Iterator[None]:
        """What is converted inside stands behind further conditions."""
        before, self.behind = self.behind, (*self.behind, *conditions)
        yield
        self.behind = before

    def fail(self, text: str) -> DeclarationError:
        """An error that says in which equation, and where inside a read."""
        place = f"{self.place()}: " if self.place else ""
        return DeclarationError(f"{self.where}: {place}{text}")

    @contextmanager
    def inside(self, place: Callable[[], str]) -> Iterator[None]:
        """Errors raised meanwhile name this place, which is put into words only then."""
        outer, self.place = self.place, place
        try:
            yield
        finally:
            self.place = outer

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


def bound_twice(name: str, limit: Any) -> str:
    """What is wrong where a limit binds an index that is in scope."""
    return f"index {name} is bound twice: it is already in scope where {limit} binds it; rename one"
