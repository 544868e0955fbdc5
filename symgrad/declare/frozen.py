"""Frozen data of which there is one of each: equal expressions are one object, so comparing them costs nothing.

Expressions are compared and looked up in tables far more often than they are built.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import MISSING, Field, dataclass, fields
from functools import lru_cache, partial
from sys import is_finalizing
from threading import RLock
from typing import Any, TypeVar, dataclass_transform
from weakref import ref

Made = TypeVar("Made", bound=Hashable)

# Remembers the results of a pure function of frozen data, as many as keep the memory of a long-lived process bounded.
remember = lru_cache(maxsize=1 << 16)


class Single:
    """Base of what ``frozen`` makes; it can be referred to weakly."""

    __slots__ = ("__weakref__",)


@dataclass_transform(frozen_default=True)
def frozen(cls: type[Made]) -> type[Made]:
    """A frozen dataclass with slots, made of a subclass of ``Single``: the same values give the same object.

    Values are the same if they are equal and print alike: the float 1.0 is not the fraction 1.
    """
    made = dataclass(frozen=True, slots=True, init=False, eq=False)(cls)
    made.__new__ = _maker(made)  # type: ignore[assignment, method-assign]
    made.__repr__ = remember(made.__repr__)  # type: ignore[method-assign]
    made.__reduce__ = lambda self: (made, _values(self))  # type: ignore[method-assign]
    return made


def _maker(made: type[Made]) -> Callable[..., Made]:
    """Return ``__new__``: it looks for an object with these values and makes one only where there is none."""
    of_class: tuple[Field[Any], ...] = fields(made)  # type: ignore[arg-type]
    names = [field.name for field in of_class]
    defaults = {field.name: field.default for field in of_class if field.default is not MISSING}
    floats = [place for place, field in enumerate(of_class) if "float" in str(field.type)]
    count = len(names)
    # How many values may be given by position alone -> the defaults of the others.
    counts = (n for n in range(count + 1) if defaults.keys() >= set(names[n:]))
    rest = {n: tuple(defaults[name] for name in names[n:]) for n in counts}
    setters = [getattr(made, name).__set__ for name in names]
    kept: dict[tuple[Any, ...], ref[Made]] = {}
    lock = RLock()

    def find(cls: type[Made], *values: Any, **named: Any) -> Made:
        if named or len(values) != count:
            values = bound(values, named) if named or len(values) not in rest else values + rest[len(values)]
        key = values
        for place in floats:
            if type(values[place]) is float:
                key = (*key, repr(values[place]))
        there = kept.get(key)
        if there is not None and (found := there()) is not None:
            return found
        return make(key, values)

    def bound(values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        given = defaults | dict(zip(names, values, strict=False)) | named
        if len(values) > len(names) or given.keys() != set(names):
            raise TypeError(f"{made.__name__} takes {', '.join(names)}")
        return tuple(given[name] for name in names)

    def make(key: tuple[Any, ...], values: tuple[Any, ...]) -> Made:
        with lock:
            there = kept.get(key)
            found = there() if there else None
            if found is not None:  # made by another thread meanwhile
                return found
            new = object.__new__(made)
            for setter, value in zip(setters, values, strict=True):
                setter(new, value)
            kept[key] = ref(new, partial(forget, key))
            return new

    def forget(key: tuple[Any, ...], gone: ref[Made], ending: Callable[[], bool] = is_finalizing) -> None:
        if ending():  # what keys are compared with may be gone already
            return
        with lock:
            if kept.get(key) is gone:
                del kept[key]

    return find


def _values(node: Any) -> tuple[Any, ...]:
    return tuple(getattr(node, field.name) for field in fields(node))
