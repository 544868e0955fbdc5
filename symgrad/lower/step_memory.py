"""Where the arrays of a loop are in memory: its steps first, so that what a step reads and writes stands side by side.

And what a step computes is written where it belongs, without an array in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from symgrad.declare.integers import Index, indices_of
from symgrad.declare.program import Program
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    At,
    Chunks,
    Collapse,
    Einsum,
    For,
    Fresh,
    Helper,
    MatMul,
    Name,
    Reshape,
    Slice,
    Statement,
    Subscript,
    Transpose,
    Update,
    When,
)
from symgrad.lower.destinations import computed_in
from symgrad.lower.shapes import Shape, Shapes, shape_of, shapes_of
from symgrad.lower.share import walk
from symgrad.lower.traverse import parts

REASON = "arrays that a loop fills in have its steps first in memory: what a step reads and writes stands side by side"
REASON_PLACED = "what a step computes is written where it belongs, without an array in between"


def steps_first(
    program: Program, statements: tuple[Statement, ...], outputs: frozenset[str]
) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """The statements with other places in memory for what loops fill in, and why.

    Args:
        program: what the equations read.
        statements: those of a function.
        outputs: what its caller gets, whose axes stay in order.
    """
    made = _made(statements) - outputs
    uses = _Uses(made, _views(statements, made))
    for statement in statements:
        uses.survey(statement, None)
    moved = {name: axis for name, axis in uses.axes.items() if axis and name not in uses.merged}
    ordered = tuple(_ordered(s, moved) for s in statements)
    known = _shapes(program, statements)
    placed = tuple(_in_place(s, known, False) for s in ordered)
    reasons = ((REASON,) if ordered != statements else ()) + ((REASON_PLACED,) if placed != ordered else ())
    return placed, reasons


def _shapes(program: Program, statements: tuple[Statement, ...]) -> dict[str, Shape]:
    """The shapes of what a function assigns: what a loop assigns is of one step, and each time of the same shape."""
    made = [s for s in walk(statements) if isinstance(s, Assign)]
    names, outside = {s.name for s in made}, {s.name for s in statements if isinstance(s, Assign)}
    known = {n: s for n, s in shapes_of(program, statements).items() if n in outside or n not in names}
    inner: dict[str, Shape | None] = {}
    for statement in made:
        if statement.name not in known:
            shape = shape_of(statement.array, known | {n: s for n, s in inner.items() if s is not None})
            inner[statement.name] = shape if inner.get(statement.name, shape) == shape else None
    return known | {n: s for n, s in inner.items() if s is not None}


def _made(statements: tuple[Statement, ...]) -> frozenset[str]:
    """Arrays of several axes that are made once, before they are filled in."""
    times = Counter(s.name for s in walk(statements) if isinstance(s, Assign))
    return frozenset(
        s.name
        for s in statements
        if isinstance(s, Assign) and isinstance(s.array, Fresh) and len(s.array.shape) > 1 and times[s.name] == 1
    )


def _views(statements: tuple[Statement, ...], made: frozenset[str]) -> dict[str, str]:
    """The arrays by the names of what is a range of them, in parts as well, and by their own."""
    found = {name: name for name in made}
    for statement in walk(statements):
        match statement:
            case Assign(name, Subscript(Name(whole), items)) if whole in found and all(map(_is_range, items)):
                found[name] = found[whole]
    return found


def _is_range(item: object) -> bool:
    return isinstance(item, Slice) and item.step is None


@dataclass(slots=True)
class _Uses:
    """How arrays are read and written.

    Attributes:
        made: the arrays.
        bases: the array by the name of what is a range of it.
        axes: the axis along which loops go step by step; None where there is no single one.
        merged: arrays whose axes something may want to take together.
    """

    made: frozenset[str]
    bases: dict[str, str]
    axes: dict[str, int | None] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)

    def survey(self, statement: Statement, step: Index | None) -> None:
        """Look at a statement in a loop along ``step``, if it is in one."""
        if isinstance(statement, For):
            step = step or statement.index
        for inner in _bodies(statement):
            self.survey(inner, step)
        match statement:
            case Assign(name, array) if name in self.bases and (
                isinstance(array, Fresh) or (isinstance(array, Subscript) and name not in self.made)
            ):
                return
            case Assign(_, array):
                found: tuple[Array, ...] = (array,)
            case Update(target, _, array):
                found = (target, array)
            case _:
                own = getattr(statement, "array", None)
                found = (own,) if own is not None else ()
        for array in found:
            self._look(array, step)

    def _look(self, array: Array, step: Index | None) -> None:
        match array:
            case Subscript(Name(name), items) if name in self.bases:
                base = self.bases[name]
                at = [p for p, i in enumerate(items) if isinstance(i, At) and step in indices_of(i.position)]
                plain = sum(isinstance(i, At) for i in items) < 2 and all(isinstance(i, At | Slice) for i in items)
                if not plain:
                    self.merged.add(base)
                elif at and self.axes.setdefault(base, at[0]) != at[0]:
                    self.axes[base] = None
                return
            case Reshape() | Helper() | Collapse() | MatMul() | Einsum():
                self.merged |= {self.bases[n] for n in _whole_names(array) if n in self.bases}
        for part in parts(array):
            self._look(part, step)


def _whole_names(array: Array) -> Iterator[str]:
    """Names of arrays that an expression reads whole or in ranges, perhaps with axes in another order."""
    for part in parts(array):
        match part:
            case Name(text):
                yield text
            case Transpose():
                yield from _whole_names(part)
            case Subscript(_, items) if not any(isinstance(i, At) for i in items):
                yield from _whole_names(part)


def _bodies(statement: Statement) -> tuple[Statement, ...]:
    return (*getattr(statement, "body", ()), *getattr(statement, "otherwise", ()))


def _ordered(statement: Statement, axes: dict[str, int]) -> Statement:
    match statement:
        case Assign(name, Fresh() as array) if name in axes:
            axis, shape = axes[name], array.shape
            first = replace(array, shape=(shape[axis], *shape[:axis], *shape[axis + 1 :]))
            order = (*range(1, axis + 1), 0, *range(axis + 1, len(shape)))
            return replace(statement, array=Transpose(first, order))
    return statement


def _in_place(statement: Statement, known: Shapes, looped: bool) -> Statement:
    """The statement, and those inside it, writing where the result belongs if a loop is around."""

    def each(some: tuple[Statement, ...], looped: bool) -> tuple[Statement, ...]:
        return tuple(_in_place(s, known, looped) for s in some)

    match statement:
        case For(body=body):
            return replace(statement, body=each(body, True))
        case When(body=body, otherwise=otherwise):
            return replace(statement, body=each(body, looped), otherwise=each(otherwise, looped))
        case Chunks(body=body):
            return replace(statement, body=each(body, looped))
        case Update() if looped:
            return _placed(statement, known)
    return statement


def _placed(statement: Update, known: Shapes) -> Statement:
    match statement:
        case Update(Subscript(Name(), items) as target, "=", array, comment) if items and items != (FULL,):
            shapes = shape_of(target, known), shape_of(array, known)
            if shapes[0] is not None and shapes[0] == shapes[1] and shapes[0].floats and shapes[0].extents:
                return computed_in(target, array, comment) or statement
    return statement
