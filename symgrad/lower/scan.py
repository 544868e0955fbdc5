"""Recurrences as loops over steps; what is known before the loop is computed for all steps at once.

Each equation is cut into ranges of steps. A range that reads nothing of the recurrence, and the terms of a sum that do
not, are computed in bulk before the loop; the rest runs in one loop for each run of steps that do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from symgrad.declare.algebra import add
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import at_least
from symgrad.declare.formula import text
from symgrad.declare.integers import ZERO, Extreme, Index, Poly, Size, as_poly, extreme, show
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Scan, group_reads, scans
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Add,
    Apply,
    Compare,
    Condition,
    Node,
    Read,
    Reduce,
    Scalar,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.declare.segments import at_or_after, at_or_before, segments
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import rename
from symgrad.lower.arrays import FULL, Assign, At, Fresh, Item, Map, Name, Slice, Statement, When
from symgrad.lower.axes import subscript
from symgrad.lower.builder import Builder, comment
from symgrad.lower.elementwise import condition_value
from symgrad.lower.homes import KEPT, Home, fill_of, homes_of, without_copies
from symgrad.lower.inplace import into, settled

Lower: TypeAlias = Callable[[Builder, Equation], None]


@dataclass(frozen=True, slots=True)
class Task:
    """An equation at fixed positions of some axes.

    Attributes:
        target: its left side.
        equation: over the indices that are left; loop variables stand in its body.
        items: how the left side is subscripted for what the equation gives.
        shown: the body as a reader of the module knows it.
        at: the position on each axis of the left side.
        adds: whether the value is added to what is there.
        when: conditions on loop variables under which it is computed.
    """

    target: str
    equation: Equation
    items: tuple[Item, ...]
    shown: Scalar
    at: tuple[Poly, ...]
    adds: bool = False
    when: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        """The formula."""
        left = f"{self.target}[{', '.join(map(show, self.at))}]" if self.at else self.target
        return f"{left} {'+=' if self.adds else '='} {text(self.shown)}"

    def of(self, body: Scalar, shown: Scalar) -> Task:
        """The task with another body."""
        return replace(self, equation=replace(self.equation, body=body), shown=shown)

    def along(self, index: Index, item: Item, value: Poly, keep: Index | None = None) -> Task:
        """The task where an index has a value, at an item of its axis; ``keep`` is the index in the value."""
        free = [p for p, i in enumerate(self.items) if not isinstance(i, At)]
        place = free[self.equation.indices.index(index)]
        indices: tuple[Index, ...] = ()
        for i in self.equation.indices:
            indices += (i,) if i != index else () if keep is None else (keep,)
        table = {index: value}
        return replace(
            self,
            equation=replace(self.equation, indices=indices, body=rename(self.equation.body, table)),
            items=(*self.items[:place], item, *self.items[place + 1 :]),
            shown=rename(self.shown, table),
            at=tuple(substitute(p, {index: value}) for p in self.at),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What is done for one equation in the steps ``first .. stop - 1``."""

    task: Task
    index: Index
    first: Poly
    stop: Poly
    shift: Poly

    @property
    def ends(self) -> tuple[tuple[Poly, Poly], ...]:
        """The first step and the one after the last; each as it is, and inside the range of the index."""
        last = self.index.extent - self.shift
        return (self.first, at_or_before(self.first, last)), (self.stop, at_or_after(self.stop, -self.shift))


class ScanLowering:
    """Lowers the recurrences of one function.

    Args:
        b: the function.
        lower: lowers an equation that stands by itself.
        kept: names that are read elsewhere in the function, or given back by it.
    """

    def __init__(self, b: Builder, lower: Lower, kept: frozenset[str]) -> None:
        self.b, self.lower, self.kept = b, lower, kept
        self.stored: frozenset[str] = frozenset()
        self.made: set[str] = set()
        self.zeros: set[str] = set()
        self.cuts: list[Poly] = []

    def scan(self, scan: Scan) -> None:
        """Emit the statements of a recurrence."""
        self.cuts = []
        self.stored = self._stored(scan)
        local = {e.target for e in scan.members} - self.stored
        homes = {} if self.b.general else homes_of(scan, local | self.stored)
        self.stored |= set(homes)
        local -= set(homes)
        members = [_without_axis(e, local, scan) for e in scan.members]
        changed_ = {e.target: e for e in members}
        self.b.program = replace(
            self.b.program,
            equations=tuple(
                replace(e, indices=_left(e, scan)) if e.target in local else e for e in self.b.program.equations
            ),
        )
        with self.b.recurring(self.stored):
            start = len(self.b.block)
            tasks = [
                Task(e.target, changed_[e.target], (FULL,) * len(e.indices), e.body, tuple(map(as_poly, e.indices)))
                for e in scan.members
            ]
            self._loops(scan, self._before(scan, tasks, homes))
            self.b.block[start:] = [self._without_zeros(s) for s in self.b.block[start:]]

    def _stored(self, scan: Scan) -> frozenset[str]:
        """Left sides that are arrays over all steps: read at another step, or after the loop, or computed before it."""
        names = {e.target for e in scan.members}
        found = {t for t in names if t in self.kept}
        found |= {e.target for inner in scans(scan.body) for e in inner.members}
        found |= {e.target for e in scan.members if e.integer or (not self.b.general and _bulk_terms(e, names))}
        for r in group_reads(scan.members):
            gap = r.indices[scan.axis(r.tensor)] - as_poly(scan.index(r.reader))
            if (gap + scan.shift(r.reader) - scan.shift(r.tensor)).terms:
                found.add(r.tensor)
        return frozenset(found)

    def _without_zeros(self, statement: Statement) -> Statement:
        """An array that is filled in whole need not hold zeros."""
        match statement:
            case Assign(name, Fresh("zeros") as array) if name in self.made - self.zeros:
                return replace(statement, array=replace(array, kind="empty"))
        return statement

    # --- before the loop -------------------------------------------------------------------------------------------

    def _before(self, scan: Scan, tasks: Iterable[Task], homes: dict[str, Home]) -> list[Part]:
        """Make the arrays and fill in what depends on nothing in the recurrence; what is left to the loop."""
        names = {e.target for e in scan.members}
        parts: list[Part] = []
        for task in sorted(tasks, key=lambda t: t.target in homes):
            copies = {h.copy for h in homes.values() if h.whole == task.target}
            if copies:
                body, shown = (without_copies(b, copies) for b in (task.equation.body, task.shown))
                task = task.of(body, shown)
            fill = fill_of(task.equation.body) if copies else None
            bulk = () if self.b.general else _bulk_terms(task.equation, names)
            if task.target in homes:
                self._settle(scan, task, homes[task.target])
            elif task.target in self.stored and not bulk:
                self._allocate(task, fill or 0.0)
            if fill is not None:
                self.zeros.add(task.target)
                continue
            if bulk:
                self._emit(task.of(add(*bulk), add(*bulk)))
                rest, shown = (
                    add(*(a for a in _terms(body) if a not in bulk)) for body in (task.equation.body, task.shown)
                )
                task = replace(task.of(rest, shown), adds=True)
            parts += self._cut(scan, task, names)
        return parts

    def _allocate(self, task: Task, fill: float) -> None:
        """The array of a left side."""
        extents = (i.extent for i in task.equation.indices)
        shape = tuple(e if _surely(e) else extreme("max", [e, ZERO]) for e in extents)
        kind = "int" if task.equation.integer else "float"
        array = Fresh("full", shape, fill, kind) if fill else Fresh("zeros", shape, dtype=kind)
        self.b.emit(Assign(task.target, array))
        self.made.add(task.target)

    def _settle(self, scan: Scan, task: Task, home: Home) -> None:
        """The place of a left side inside another."""
        whole = self.b.program.extents(home.whole)
        items: list[Item] = [FULL] * len(whole)
        for axis, segment in home.ranges:
            stop = None if segment.stop == whole[axis] else segment.stop
            items[axis] = Slice(segment.first if segment.first.terms else None, stop)
        self.b.emit(Assign(task.target, subscript(Name(home.whole), items)))

    def _cut(self, scan: Scan, task: Task, names: set[str]) -> list[Part]:
        """The ranges of steps of one equation; those outside the recurrence are computed at once."""
        index, shift = scan.index(task.target), scan.shift(task.target)
        parts: list[Part] = []
        beside = [c + shift for c in self.cuts]
        found, texts = (segments(index, body, beside) for body in (task.equation.body, task.shown))
        self.cuts += [s.first - shift for s in found if s.first.terms and s.first - shift not in self.cuts]
        for place, (segment, shown) in enumerate(zip(found, texts, strict=True)):
            stop = segment.stop
            passed = [s.first for s in found[1:place] if not all(_surely(segment.first - p) for p in _ends(s.first))]
            first = extreme("max", [segment.first, *passed])
            body = settled(segment.body, index, segment.first, stop, self.b.program.extents, names)
            if segment.body == KEPT:
                continue
            if body == NOUGHT and task.target in self.stored:
                self.zeros.add(task.target)
                continue
            here = task.of(body, shown.body)
            if task.target not in self.stored or set(tensors_of(body)) & {*names, KEPT.tensor}:
                parts.append(Part(here, index, first - shift, stop - shift, shift))
                if _looks_ahead(body, index):
                    self.zeros |= self.stored
            elif segment.single and not passed and _surely(first) and _surely(index.extent - stop):
                self._emit(here.along(index, At(first), first))
            else:
                if self.b.general:
                    # Positions are computed, so they must exist even if the extent is 0.
                    first = first if _surely(first) else extreme("max", [first, ZERO])
                    stop = stop if _surely(index.extent - stop) else extreme("min", [stop, index.extent])
                one = here.along(index, At(first), first) if segment.single else here
                own = Index(index.name, stop - first)
                item = Slice(first if first.terms else None, None if stop == index.extent else stop)
                whole = here.along(index, item, as_poly(own) + first, own)
                self._emit(replace(whole, shown=one.shown, at=one.at) if segment.single else whole)
        return parts

    # --- the loop --------------------------------------------------------------------------------------------------

    def _loops(self, scan: Scan, parts: list[Part]) -> None:
        """One loop for each run of steps in which the same ranges are computed."""
        cuts = _cuts(parts)
        if cuts is None:
            self._loop(scan, parts)
            return
        pieces = list(pairwise(cuts))
        for (first, low), (stop, high) in reversed(pieces) if scan.reverse else pieces:
            active = [p for p in parts if nonnegative(low - p.ends[0][1]) and nonnegative(p.ends[1][1] - high)]
            if not active:
                continue
            usual = min(active, key=lambda p: len(p.shift.terms))
            beyond = [usual.index.extent - usual.shift, *(end for end, inside in cuts if nonnegative(inside - high))]
            before = [-usual.shift, *(end for end, inside in cuts if nonnegative(low - inside))]
            first = extreme("max", [first, *(end for end in before if not _surely(first - end))])
            stop = extreme("min", [stop, *(end for end in beyond if not _surely(end - stop))])
            if (stop - first).constant == 1:
                self._step(scan, active, first)
                continue
            step = Index(usual.index.name, stop)
            with self.b.stepping(step, first, stop, scan.reverse):
                self._step(scan, active, as_poly(step))

    def _loop(self, scan: Scan, parts: list[Part]) -> None:
        """One loop over all steps: which range comes first is not known, so each asks whether it is its turn."""
        first = extreme("min", [extreme("max", [p.first, -p.shift]) for p in parts])
        stop = extreme("max", [extreme("min", [p.stop, p.index.extent - p.shift]) for p in parts])
        step = Index(parts[0].index.name, stop)
        turns = []
        for part in parts:
            ends = (at_least(as_poly(step), part.first), at_least(part.stop - 1, as_poly(step)))
            turns.append(replace(part, task=replace(part.task, when=(*part.task.when, *ends))))
        with self.b.stepping(step, first, stop, scan.reverse):
            self._step(scan, turns, as_poly(step))

    def _step(self, scan: Scan, active: list[Part], step: Poly) -> None:
        """One step: the equations in order, inner recurrences as loops of their own."""
        tasks = [p.task.along(p.index, At(step + p.shift), step + p.shift) for p in active]
        for item in scan.body:
            if isinstance(item, Scan):
                outer, self.cuts = self.cuts, []
                names = {e.target for e in item.members}
                self._loops(item, [p for t in tasks if t.target in names for p in self._cut(item, t, names)])
                self.cuts = outer
                continue
            for task in tasks:
                if task.target == item.target:
                    self._emit(task)

    def _emit(self, task: Task) -> None:
        """Statements that compute a task, into its place if it has one."""
        start = len(self.b.block)
        whole = all(i == FULL for i in task.items) and task.target not in self._made()
        if task.target not in self.stored or whole:
            self.lower(self.b, task.equation)
        else:
            name = self.b.name(f"{task.target}_step")
            self.lower(self.b, replace(task.equation, target=name))
            written, zeros = into(self.b.block[start:], name, task.target, task.items, "+" if task.adds else "=")
            self.b.block[start:] = written
            self.zeros |= {task.target} if zeros else set()
        comment(self.b, start, str(task))
        tests = [condition_value(self.b, c, ()).array for c in task.when if c != TRUE]
        if tests:
            turn = When(tests[0] if len(tests) == 1 else Map("and", tuple(tests)), tuple(self.b.block[start:]))
            self.b.block[start:] = [turn]

    def _made(self) -> set[str]:
        return {s.name for s in self.b.block if isinstance(s, Assign)}


# --- what a recurrence consists of ---------------------------------------------------------------------------------


def _terms(body: Scalar) -> tuple[Scalar, ...]:
    return body.args if isinstance(body, Add) else (body,)


def _bulk_terms(equation: Equation, names: set[str]) -> tuple[Scalar, ...]:
    """The terms of a sum that need nothing of the recurrence, if they are more than a read or two."""
    free = tuple(a for a in _terms(equation.body) if not set(tensors_of(a)) & names)
    heavy = len(free) > 1 or any(isinstance(p, Reduce | Apply) for a in free for p in walk(a))
    return free if heavy and len(free) < len(_terms(equation.body)) else ()


def _left(equation: Equation, scan: Scan) -> tuple[Index, ...]:
    """The indices of a left side that has no array over the steps."""
    axis = scan.axis(equation.target)
    return equation.indices[:axis] + equation.indices[axis + 1 :]


def _without_axis(equation: Equation, local: set[str], scan: Scan) -> Equation:
    """Reads of what is there for one step only, without the index of the step."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.tensor in local:
            axis = scan.axis(node.tensor)
            return Read(node.tensor, node.indices[:axis] + node.indices[axis + 1 :], node.extension)
        return map_children(node, change)

    return replace(equation, body=changed(equation.body, change))


def _cuts(parts: list[Part]) -> list[tuple[Poly, Poly]] | None:
    """The steps at which a range begins or ends, in order; each as it is, and inside the range of its index.

    None if it is not known which of two comes first.
    """
    ends: dict[Poly, Poly] = {}
    for part in parts:
        for value, inside in part.ends:
            ends.setdefault(inside, value)
    if not all(nonnegative(a - c) or nonnegative(c - a) for a in ends for c in ends):
        return None
    found = sorted(ends, key=lambda e: sum(e != other and nonnegative(e - other) for other in ends))
    return [(ends[e], e) for e in found]


def _looks_ahead(body: Scalar, index: Index) -> bool:
    """Whether elements may be read that no step has computed yet, because a condition or a 0 beside them hides them."""
    tests = any(isinstance(p, Compare) and index in free_indices(p) for p in walk(body))
    return tests or any(r.extension is not None for r in reads_of(body))


def _ends(poly: Poly) -> tuple[Poly, ...]:
    """What a value is at least, apart from 0."""
    return tuple(a for a in poly.atom.args if a.terms) if isinstance(poly.atom, Extreme) else (poly,)


def _surely(poly: Poly) -> bool:
    """Whether the value is not negative even where sizes are 0."""
    return all(c > 0 and all(isinstance(a, Size) for a in m) for m, c in poly.terms)
