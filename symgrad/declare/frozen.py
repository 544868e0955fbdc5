"""Frozen data that remembers its hash: expressions are looked up in tables far more often than they are built."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

Made = TypeVar("Made", bound=Hashable)


class Hashed:
    """Room for the hash. It depends on the hash seed, so it is neither a field nor pickled."""

    __slots__ = ("_hash",)
    _hash: int


@dataclass_transform(frozen_default=True)
def frozen(cls: type[Made]) -> type[Made]:
    """A frozen dataclass with slots, made of a subclass of ``Hashed``."""
    made = dataclass(frozen=True, slots=True)(cls)
    of_fields = made.__hash__

    def remembered(self: Hashed) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", of_fields(self))
            return self._hash

    made.__hash__ = remembered  # type: ignore[assignment, method-assign]
    return made
