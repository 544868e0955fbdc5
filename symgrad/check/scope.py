"""What a closure may refer to: tensors by name, the values of indices, sizes and attributes, the kind of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from symgrad.check.arithmetic import Arithmetic
from symgrad.errors import CheckError

Environment = dict[str, Any]
Node = Callable[[Environment], Any]


class Table(Protocol):
    """A tensor: its shape, and its elements on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of every axis."""

    def at(self, position: tuple[int, ...]) -> Any:
        """Return an element inside the shape."""


@dataclass(frozen=True)
class Scope:
    """The surroundings of an expression.

    ``names`` are the tensors', known before anything runs; ``tensors`` is filled for a run; ``ranges`` holds the first
    and last value of every index that is bound without limits of its own.
    """

    where: str
    names: frozenset[str]
    tensors: Mapping[str, Table]
    ranges: Mapping[str, tuple[Any, Any]]
    arithmetic: Arithmetic

    def fail(self, text: str, env: Environment | None = None) -> CheckError:
        """Return an error that says in which layer, and at which values of sizes and indices."""
        at = ", ".join(f"{name} = {value}" for name, value in (env or {}).items())
        return CheckError(f"{self.where}: {text}" + (f" (at {at})" if at else ""))

    def table(self, name: str, rank: int, read: Any) -> Table:
        """Return a tensor that the expression ``read`` reads with ``rank`` indices.

        Raises:
            CheckError: there is none, or its rank is another.
        """
        if name not in self.tensors:
            raise self.fail(f"{read} reads {name}, which is neither an input nor a left side")
        table = self.tensors[name]
        if len(table.shape) != rank:
            raise self.fail(f"{read} reads {name} with {rank} indices, but {name} has {len(table.shape)} axes")
        return table


def label(index: Any) -> str:
    """Return the name of an index, a symbol or a tensor."""
    return str(getattr(index, "label", index))


def whole(value: Any, what: object, scope: Scope, env: Environment) -> int:
    """Return an exact integer as an int; ``what`` names it in the error.

    Raises:
        CheckError: it is none.
    """
    if isinstance(value, int):
        return value
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    raise scope.fail(f"{what} is {value}, which is no integer", env)
