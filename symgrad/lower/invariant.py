"""What changes from one turn of a loop to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from symgrad.declare.integers import Index, Poly, indices_of
from symgrad.lower.arrays import Array, names_in


def varies(array: Array, loops: frozenset[Index], changing: frozenset[str]) -> bool:
    """Whether an expression depends on a loop variable or on an array that the loop changes."""
    return bool(names_in(array) & changing) or any(indices_of(p) & loops for p in _polynomials(array))


def _polynomials(part: Any) -> Iterator[Poly]:
    """Every integer expression in an array expression."""
    if isinstance(part, Poly):
        yield part
    elif isinstance(part, tuple):
        for inner in part:
            yield from _polynomials(inner)
    elif hasattr(part, "__dataclass_fields__") and not isinstance(part, Index):
        for f in fields(part):
            yield from _polynomials(getattr(part, f.name))
