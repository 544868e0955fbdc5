"""Arrays that nothing reads any more are written over: what is read for the last time makes room for the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from functools import partial

from symgrad.lower.arrays import Array, Assign, Collapse, Einsum, Fresh, Map, MatMul, Name, Statement, Update
from symgrad.lower.destinations import CALLS, UNARY, written_to
from symgrad.lower.shapes import Shape, Shapes, shape_of
from symgrad.lower.share import BLOCKS, uses, walk
from symgrad.lower.traverse import map_parts, names_in, parts


def written_over(
    block: list[Statement],
    known: Shapes,
    large: Callable[[Shape], bool],
    results: frozenset[str],
    placed: frozenset[str],
    nested: bool,
) -> list[Statement]:
    """The block with operations that write over an operand that is read there for the last time."""
    own = _own(block, results)
    found: list[Statement] = []
    later: set[str] = set()
    for statement in reversed(block):
        dead = own - later
        later |= uses(statement)
        if isinstance(statement, Assign) or (nested and isinstance(statement, Update)):
            counts = Counter(_names(statement.array))
            free = {n for n in dead if counts[n] == 1 and n not in _target_names(statement)}
            in_place = partial(_over, free=free, known=known, large=large, nested=nested)
            there = isinstance(statement, Assign) and statement.name in placed
            array = map_parts(statement.array, in_place) if there else in_place(statement.array)
            if array != statement.array:
                statement = replace(statement, array=array)
        found.append(statement)
    return found[::-1]


def _target_names(statement: Assign | Update) -> Set[str]:
    return names_in(statement.target) if isinstance(statement, Update) else {statement.name}


def _names(array: Array) -> list[str]:
    own = [array.text] if isinstance(array, Name) else []
    return own + [n for p in parts(array) for n in _names(p)]


def _own(block: Sequence[Statement], results: frozenset[str]) -> set[str]:
    """Variables that hold arrays of the function's own, made once, that no other variable is a view of."""
    made = Counter(s.name for s in walk(block) if isinstance(s, Assign))
    own = {s.name for s in block if isinstance(s, Assign) and made[s.name] == 1 and _is_new(s.array)} - results
    for statement in walk(block):
        if isinstance(statement, Assign) and not _is_new(statement.array):
            own -= names_in(statement.array)
        if isinstance(statement, BLOCKS):
            own -= uses(statement)
    return own


def _is_new(array: Array) -> bool:
    return isinstance(array, Map | MatMul | Collapse | Fresh) or (isinstance(array, Einsum) and len(array.args) > 1)


def _over(array: Array, free: set[str], known: Shapes, large: Callable[[Shape], bool], nested: bool) -> Array:
    """The outermost operation on a large array that is free writes its result there."""
    if not free:
        return array
    match array:
        case Map(function, args) if function in CALLS or function in UNARY:
            shape = shape_of(array, known)
            fit = [a for a in args if isinstance(a, Name) and a.text in free and known.get(a.text) == shape]
            if fit and shape is not None and shape.floats and large(shape):
                if nested:
                    left = free - {fit[0].text}
                    args = tuple(a if a == fit[0] else _over(a, left, known, large, nested) for a in args)
                return written_to(fit[0], function, args)
    return map_parts(array, lambda part: _over(part, free, known, large, nested)) if nested else array
