"""The arrays of the states of a recurrence: new ones, with a border perhaps, and places in one another."""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.bounds import surely
from symgrad.declare.integers import ZERO, Index, Poly, extreme
from symgrad.lower.arrays import FULL, Assign, Fresh, Item, Name, Slice, Statement
from symgrad.lower.axes import subscript
from symgrad.lower.builder import Builder
from symgrad.lower.homes import Home
from symgrad.lower.scan_parts import Task


class StateArrays:
    """What is known of the arrays of one recurrence.

    Attributes:
        b: the function.
        steps: the recurrent indices.
        homes: left sides that live inside another one.
        fills: the number that a left side is wherever nothing else lives in it; None if it is none.
        made: arrays that are made here.
        zeros: those of them that have to begin as zeros.
    """

    def __init__(self, b: Builder) -> None:
        self.b = b
        self.steps: frozenset[Index] = frozenset()
        self.homes: dict[str, Home] = {}
        self.fills: dict[str, float | None] = {}
        self.made: set[str] = set()
        self.zeros: set[str] = set()

    def allocate(self, task: Task, fill: float) -> None:
        """The array of a left side."""
        extents = (i.extent for i in task.equation.indices)
        shape = tuple(e if surely(e) or e in self.b.facts else extreme("max", [e, ZERO]) for e in extents)
        kind = "int" if task.equation.integer else "float"
        if not fill and kind == "float" and self._with_border(task, shape):
            return
        array = Fresh("full", shape, fill, kind) if fill else Fresh("zeros", shape, dtype=kind)
        self.b.emit(Assign(task.target, array))
        self.made.add(task.target)

    def _with_border(self, task: Task, shape: tuple[Poly, ...]) -> bool:
        """Allocate an array inside the border that its reads need, so that no step has to add one."""
        key = task.target, len(shape)
        found = [(fill, w) for (name, fill, rank), w in self.b.borders.items() if (name, rank) == key]
        if self.b.general or len(found) != 1:
            return False
        ((fill, widths),) = found
        at_steps = [
            w for index, pair in zip(task.equation.indices, widths, strict=True) if index in self.steps for w in pair
        ]
        if isinstance(fill, Name) or any(w.terms for w in at_steps) or not all(surely(w) for p in widths for w in p):
            return False
        if not any(w.terms for pair in widths for w in pair):
            return False
        name = self.b.name(f"{task.target}_padded")
        larger = tuple(e + before + after for e, (before, after) in zip(shape, widths, strict=True))
        self.b.emit(Assign(name, Fresh("full", larger, fill) if fill else Fresh("zeros", larger)))
        items = [
            Slice(before if before.terms else None, before + e if after.terms else None)
            for e, (before, after) in zip(shape, widths, strict=True)
        ]
        self.b.emit(Assign(task.target, subscript(Name(name), items)))
        self.b.bordered[task.target] = (name, widths, fill)
        self.b.changing |= {name}
        return True

    def settle(self, task: Task, home: Home) -> None:
        """The place of a left side inside another."""
        whole = self.b.program.extents(home.whole)
        items: list[Item] = [FULL] * len(whole)
        for axis, segment in home.ranges:
            stop = None if segment.stop == whole[axis] else segment.stop
            items[axis] = Slice(segment.first if segment.first.terms else None, stop)
        self.b.emit(Assign(task.target, subscript(Name(home.whole), items)))

    def begins_at_nought(self, target: str) -> bool:
        """Whether the array of a left side holds zeros before anything is written to it."""
        home = self.homes.get(target)
        whole = target if home is None else home.whole
        border = self.b.bordered.get(whole, ("", (), 0.0))[2]
        return self.fills.get(whole) in (None, 0) and border == 0

    def with_zeros_where_needed(self, start: int) -> None:
        """Arrays that are filled in whole, and what lives in them, need not hold zeros."""
        self.zeros |= {home.whole for target, home in self.homes.items() if target in self.zeros}
        self.b.block[start:] = [self._without_zeros(s) for s in self.b.block[start:]]

    def _without_zeros(self, statement: Statement) -> Statement:
        match statement:
            case Assign(name, Fresh("zeros") as array) if name in self.made - self.zeros:
                return replace(statement, array=replace(array, kind="empty"))
        return statement
