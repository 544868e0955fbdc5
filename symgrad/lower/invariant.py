"""What changes from one turn of a loop to the next, and what can be computed once before the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from symgrad.declare.integers import Index, indices_of
from symgrad.lower.arrays import (
    Array,
    Assign,
    Cast,
    Collapse,
    Einsum,
    For,
    Helper,
    Map,
    MatMul,
    Name,
    Pad,
    Reshape,
    Run,
    Statement,
    Subscript,
    Transpose,
    Update,
    When,
)
from symgrad.lower.descriptions import describe
from symgrad.lower.traverse import map_parts, names_in, parts, polynomials_in

Keep = Callable[[Array, str], Array]


def varies(array: Array, loops: frozenset[Index], changing: frozenset[str]) -> bool:
    """Whether an expression depends on a loop variable or on an array that the loop changes."""
    return bool(names_in(array) & changing) or any(indices_of(p) & loops for p in polynomials_in(array))


def assigned(statements: Iterable[Statement]) -> frozenset[str]:
    """Variables that statements assign, those inside loops and conditions included."""
    found: set[str] = set()
    for statement in statements:
        match statement:
            case Assign(name):
                found.add(name)
            case For(_, body):
                found |= assigned(body)
            case When(_, body, otherwise=otherwise):
                found |= assigned((*body, *otherwise))
    return frozenset(found)


def invariants_out(
    statements: Sequence[Statement], loops: frozenset[Index], changing: frozenset[str], keep: Keep
) -> list[Statement]:
    """The body of a loop with what is the same in every turn computed once, by ``keep``."""

    def change(array: Array) -> Array:
        if _is_work(array) and not varies(array, loops, changing):
            return keep(array, _name(array))
        if isinstance(array, MatMul) and _is_turned(array.right) and not varies(array.right, loops, changing):
            # A product with few rows takes a third longer where it has to turn the other matrix every time.
            return MatMul(change(array.left), keep(Helper("copy", (array.right,)), _name(array.right)))
        return map_parts(array, change)

    found: list[Statement] = []
    for statement in statements:
        match statement:
            case For(index, body):
                inner = invariants_out(body, loops | {index}, changing | assigned(body), keep)
                found.append(replace(statement, body=tuple(inner)))
            case When(_, body, otherwise=otherwise):
                inner, others = (invariants_out(arm, loops, changing, keep) for arm in (body, otherwise))
                found.append(replace(statement, body=tuple(inner), otherwise=tuple(others)))
            case Assign() | Update() | Run():
                found.append(replace(statement, array=change(statement.array)))
    return found


def _is_work(array: Array) -> bool:
    """Whether computing the expression takes more than a view of an array."""
    match array:
        case Map() | MatMul() | Einsum() | Collapse() | Pad() | Cast():
            return any(not isinstance(p, Name) or "." not in p.text for p in _leaves(array))
        case Reshape(source):
            return not isinstance(source, Name | Reshape)
    return False


def _is_turned(array: Array) -> bool:
    """Whether a matrix is a view of another whose rows are columns here."""
    match array:
        case Transpose():
            return True
        case Reshape(source) | Subscript(source):
            return _is_turned(source)
    return False


def _leaves(array: Array) -> Iterator[Array]:
    inner = list(parts(array))
    if not inner:
        yield array
    for part in inner:
        yield from _leaves(part)


def _name(array: Array) -> str:
    """A name that says what the expression is made of."""
    names = sorted(n for n in names_in(array) if "." not in n)
    what = "_".join(names[:2]) or "constant"
    match array:
        case Map():
            return describe(array)
        case Reshape() | Transpose() | Subscript():
            return f"{what}_matrix"
        case Pad():
            return f"{what}_padded"
    return f"{what}_once"
