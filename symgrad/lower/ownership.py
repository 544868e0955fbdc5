"""Results have memory of their own: what a function returns is no view of what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from symgrad.declare.integers import Poly
from symgrad.lower.arrays import (
    Array,
    Assign,
    By,
    Cast,
    Helper,
    Name,
    Pad,
    Reshape,
    Statement,
    Subscript,
    Transpose,
    Value,
    Windows,
)
from symgrad.lower.builder import Builder


def owned(b: Builder, start: int, array: Array, value: Value, added_to: bool) -> Array:
    """A result must not share memory with an argument, nor with another value if it is added to, nor be a number."""
    if value.kind == "scalar":
        spread = isinstance(array, Helper) and array.function == "copy"
        return Cast(array, "float") if spread or value.axes else Helper("scalar", (array,))
    views = tuple(_seen_through(array, {s.name: s.array for s in b.block if isinstance(s, Assign)}))
    source = views[-1]
    own = {s.name for s in b.block[start:] if isinstance(s, Assign)}
    if added_to and any(isinstance(v, Name) and v.text not in own for v in views):
        return Helper("copy", (array,))
    made = {s.name for s in b.block if isinstance(s, Assign)}
    made -= {s.name for s in b.block if isinstance(s, Assign) and isinstance(s.array, Pad) and s.array.read_only}
    if isinstance(source, Name) and source.text not in made:
        # To reshape windows is to copy them, but where they are all there is.
        copied = {Reshape, Windows} <= set(map(type, views))
        return Helper("_writeable" if copied else "copy", (array,))
    return array


def apart(statements: tuple[Statement, ...], results: frozenset[str]) -> tuple[Statement, ...]:
    """The statements with a copy for each result that is another one: writing to one of them leaves the other."""
    return tuple(
        replace(s, array=Helper("copy", (s.array,)))
        if isinstance(s, Assign) and s.name in results and isinstance(s.array, Name) and s.array.text in results
        else s
        for s in statements
    )


def reshaped(b: Builder, start: int, array: Array, shape: tuple[Poly, ...]) -> Array:
    """A result in another shape; windows are copied on the way, but where they are all there is."""
    views = _seen_through(array, {s.name: s.array for s in b.block[start:] if isinstance(s, Assign)})
    whole = Reshape(array, shape)
    return Helper("_writeable", (whole,)) if Windows in map(type, views) else whole


def _seen_through(array: Array, named: Mapping[str, Array]) -> Iterator[Array]:
    """An array, what it may be a view of, what that may be a view of, and so on, through the names of views."""
    while True:
        yield array
        if isinstance(array, Subscript | Transpose | Reshape | Windows) and not _is_picked(array):
            array = array.source
        elif isinstance(array, Name) and isinstance(view := named.get(array.text), Subscript | Transpose | Windows):
            array = view
        else:
            return


def _is_picked(array: Array) -> bool:
    """Whether elements are picked at the positions of an integer array, into an array of its own."""
    return isinstance(array, Subscript) and any(isinstance(i, By) for i in array.items)
