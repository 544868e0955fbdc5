"""Reductions over windows of several axes that can be done along one axis after the other."""

from __future__ import annotations

from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import Index, Poly, Size, as_poly, atoms, indices_of
from symgrad.declare.program import Equation
from symgrad.declare.scalars import TRUE, Condition, Extension, Read, Reduce, free_indices
from symgrad.naming import fresh

Inner = tuple[tuple[Index, ...], Reduce, Index]
"""The indices of a reduction along one axis, what it is, and the index that stands for the axis afterwards."""


def own_axis(read: Read, index: Index, condition: Condition) -> int | None:
    """The one axis that an index stands on, together with others; None if a condition or another axis has it."""
    axes = [p for p, poly in enumerate(read.indices) if index in indices_of(poly)]
    if len(axes) != 1 or index in free_indices(condition) or len(indices_of(read.indices[axes[0]])) < 2:
        return None
    return axes[0]


def along_one_axis(
    body: Reduce, read: Read, axis: int, last: Index, extents: tuple[Poly, ...], equation: Equation
) -> Inner | None:
    """The inner extremum over one axis: its indices, its body and the index that its axis is read by afterwards."""
    outer = [i for i in indices_of(read.indices[axis]) if i != last]
    elsewhere = [i for p, poly in enumerate(read.indices) if p != axis for i in indices_of(poly)]
    if (
        len(outer) != 1
        or outer[0] in elsewhere
        or outer[0] not in equation.indices
        or len(extents) != len(read.indices)
    ):
        return None
    if read.extension is not None and body.kind != "sum" and abs(read.extension.value) != float("inf"):
        return None
    taken = {i.name for i in (*equation.indices, *body.indices)}
    indices: list[Index] = []
    for p, extent in enumerate(extents):
        if p == axis:
            indices.append(outer[0])
            continue
        plain = read.indices[p].atom
        if isinstance(plain, Index) and plain.extent == extent and plain not in indices:
            indices.append(plain)
            continue
        letters = [a.name for a in atoms(extent) if isinstance(a, Size)]
        name = fresh(letters[0].lower() if letters else f"p{p}", taken | {read.tensor})
        taken.add(name)
        indices.append(Index(name, extent))
    at = [as_poly(i) for i in indices]
    at[axis] = read.indices[axis]
    inner = Read(read.tensor, tuple(at), read.extension)
    return tuple(indices), Reduce(body.kind, (last,), TRUE, inner, body.ties), outer[0]


def along_own_range(body: Reduce, read: Read, last: Index, equation: Equation) -> tuple[int, Inner, Condition] | None:
    """The inner extremum over a range of one axis that depends on an index of the result alone.

    Returns the axis, the inner extremum as ``along_one_axis`` gives it, and the condition that is left; None where
    positions on the other axes, or other indices that the extremum goes over, decide as well.
    """
    plain = [p.atom for p in read.indices]
    if read.extension is not None or len(set(plain)) < len(plain) or last not in plain:
        return None
    own = [c for c in conjuncts(body.condition) if last in free_indices(c)]
    rest = [c for c in conjuncts(body.condition) if c not in own]
    owners = frozenset().union(*map(free_indices, own)) - {last}
    indices = [i for i in plain if isinstance(i, Index)]
    if len(indices) < len(plain) or len(owners) != 1 or owners & {*indices, *body.indices}:
        return None
    (owner,) = owners
    if owner not in equation.indices or any(owner in free_indices(c) for c in rest):
        return None
    axis = indices.index(last)
    left = tuple(owner if i == last else i for i in indices)
    return axis, (left, Reduce(body.kind, (last,), all_of(*own), read, body.ties), owner), all_of(*rest)


def is_window_sum(node: Reduce) -> bool:
    """Whether elements of one tensor are added up over windows of several axes, nothing else, zeros around it."""
    read = node.body
    if not isinstance(read, Read) or node.condition != TRUE or len(node.indices) < 2:
        return False
    if read.extension is not None and read.extension != Extension("constant"):
        return False
    return all(own_axis(read, i, node.condition) is not None for i in node.indices)
