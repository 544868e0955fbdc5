"""Values computed into a part of an array that exists, and reads that a range of steps keeps inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import ZERO, Atom, Index, Poly, as_poly, extreme, indices_of
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Extension, Node, Read, Scalar
from symgrad.declare.substitution import substitute
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    At,
    Cast,
    Fresh,
    Helper,
    Item,
    Name,
    Statement,
    Subscript,
    Update,
    Whole,
)
from symgrad.lower.axes import subscript
from symgrad.lower.share import defines, uses
from symgrad.lower.traverse import names_in


def into(
    statements: Sequence[Statement], name: str, target: str, items: tuple[Item, ...], op: str
) -> tuple[list[Statement], bool]:
    """Statements that compute ``name``, rewritten to compute ``target[items]`` (``op`` is ``=`` or ``+``).

    Returns them, and whether they rely on zeros in the target.
    """
    place = subscript(Name(target), items) if any(i != FULL for i in items) else Subscript(Name(target), (FULL,))
    *before, last = statements
    if isinstance(last, Assign) and last.name == name and not any(name in defines(s) | uses(s) for s in before):
        return [*before, Update(place, op, bare(last.array), last.comment)], False
    first = next((s for s in statements if isinstance(s, Assign) and s.name == name), None)
    again = [s for s in statements if isinstance(s, Assign) and s.name == name and s is not first]
    viewed = first is not None and isinstance(first.array, Fresh) and first.array.kind == "zeros"
    if op == "=" and viewed and not again and any(not isinstance(i, At) for i in items):
        assert first is not None
        composed = [_composed(s, name, target, items) for s in statements if s is not first]
        if all(s is not None for s in composed):
            plain = _assigned([s for s in composed if s is not None], target)
            return plain, True
    return [*statements, Update(place, op, Name(name))], False


def without_copy(statements: Sequence[Statement], name: str) -> list[Statement]:
    """What is there for one step only may be a view: elements that are read do not change any more."""
    match statements:
        case [*before, Assign(target, Helper("copy", (Subscript() as inner,))) as last] if target == name:
            return [*before, replace(last, array=inner)]
    return list(statements)


def bare(array: Array) -> Array:
    """What is written into an array need be neither copied nor broadcast nor converted first."""
    match array:
        case Helper("copy" | "np.broadcast_to" | "scalar", (inner, *_)) | Cast(inner, "float"):
            return bare(inner)
        case Fresh("zeros"):
            return Whole(ZERO)
    return array


def _composed(statement: Statement, name: str, target: str, items: tuple[Item, ...]) -> Statement | None:
    """A statement that adds to, or sets, a part of ``name``, doing so with that part of the target instead."""
    if name not in defines(statement) | uses(statement):
        return statement
    match statement:
        case Update(Subscript(Name(text), inner), "+" | "=", array) if text == name and name not in names_in(array):
            left = list(inner)
            both = [i if isinstance(i, At) else left.pop(0) if left else FULL for i in items]
            if left or any(i != FULL and not isinstance(i, At) for i in items):
                return None
            return replace(statement, target=subscript(Name(target), both))
    return None


def _assigned(statements: list[Statement], target: str) -> list[Statement]:
    """Additions into parts that do not meet, of an array of zeros, are assignments."""
    parts = [s.target.items for s in statements if isinstance(s, Update) and isinstance(s.target, Subscript)]
    written = [s for s in statements if isinstance(s, Update) and target in names_in(s.target)]
    if len(parts) != len(statements) or len(written) != len(statements):
        return statements
    for axis in range(min(map(len, parts))):
        places = [p[axis].position.constant for p in parts if isinstance(p[axis], At)]  # type: ignore[union-attr]
        if len(places) == len(parts) and None not in places and len(set(places)) == len(places):
            return [replace(s, op="=", array=bare(s.array)) for s in written]
    return statements


def settled(
    body: Scalar,
    index: Index,
    first: Poly,
    stop: Poly,
    extents: Callable[[str], tuple[Poly, ...]],
    group: set[str],
) -> Scalar:
    """A body whose index runs over ``first .. stop - 1``: reads behind conditions that hold there are plain.

    A position that depends on the index alone and may still be outside is cut off: nobody looks at the element.
    Reads of the ``group`` stand behind conditions on the index even where they have a border along another.
    """
    here = as_poly(Index(f"{index.name}_here", stop - first)) + first

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if not isinstance(node, Read) or node.extension is None:
            return node
        if node.extension != Extension("guarded") and node.tensor not in group:
            return node
        shape = extents(node.tensor)
        positions = tuple(_cut_off(p, e, index, here) for p, e in zip(node.indices, shape, strict=True))
        inside = all(_within(p, e, index, here) for p, e in zip(positions, shape, strict=True))
        return Read(node.tensor, positions, None if inside else node.extension)

    return changed(body, change)


def settled_in(
    body: Scalar,
    ranges: Mapping[Index, tuple[Poly, Poly]],
    extents: Callable[[str], tuple[Poly, ...]],
    group: set[str],
) -> Scalar:
    """A body whose indices have these first values and stops: reads behind conditions that hold there are plain."""
    here: dict[Atom, Poly] = {
        i: as_poly(Index(f"{i.name}_here", stop - first)) + first for i, (first, stop) in ranges.items()
    }

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if not isinstance(node, Read) or node.extension is None:
            return node
        if node.extension != Extension("guarded") and node.tensor not in group:
            return node
        at = [substitute(p, here) for p in node.indices]
        pairs = zip(at, extents(node.tensor), strict=True)
        inside = all(nonnegative(p) and nonnegative(e - 1 - p) for p, e in pairs)
        return Read(node.tensor, node.indices, None) if inside else node

    return changed(body, change)


def _within(poly: Poly, extent: Poly, index: Index, here: Poly) -> bool:
    poly = substitute(poly, {index: here})
    return nonnegative(poly) and nonnegative(extent - 1 - poly)


def _cut_off(poly: Poly, extent: Poly, index: Index, here: Poly) -> Poly:
    if indices_of(poly) != {index} or _within(poly, extent, index, here):
        return poly
    return extreme("max", [extreme("min", [poly, extent - 1]), ZERO])


__all__ = ["into", "settled", "settled_in", "without_copy"]
