"""Recurrences as loops over steps; what is known before the loop is computed for all steps at once.

Each equation is cut into ranges of steps. A range that reads nothing of the recurrence, and the terms of a sum that do
not, are computed in bulk before the loop; the rest runs in one loop for each run of steps that do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

from symgrad.declare.algebra import add
from symgrad.declare.bounds import nonnegative, nonnegative_with, surely
from symgrad.declare.conditions import at_least, negation
from symgrad.declare.integers import ZERO, Index, Poly, Size, as_poly, atoms, extreme
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Scan, scans
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Reduce,
    tensors_of,
)
from symgrad.declare.segments import segments
from symgrad.derive.terms import all_indices
from symgrad.lower.arrays import FULL, Assign, At, Map, Name, Slice, When
from symgrad.lower.axes import subscript
from symgrad.lower.builder import Builder, comment
from symgrad.lower.carry import carry_of
from symgrad.lower.elementwise import condition_value
from symgrad.lower.homes import KEPT, Home, fill_of, homes_of, without_copies
from symgrad.lower.inplace import into, settled, without_copy
from symgrad.lower.scan_parts import (
    Part,
    Task,
    assuming,
    bulk_terms,
    cuts_of,
    from_nought,
    left_over,
    looks_ahead,
    lower_bounds,
    open_test,
    outside,
    positions_first,
    stored_in,
    terms_in,
    within_limits,
    without_axis,
    without_steps,
)
from symgrad.lower.state_arrays import StateArrays

Lower: TypeAlias = Callable[[Builder, Equation], None]


class _OrderUnknownError(Exception):
    """It is not known which of two ranges comes first, so what one step leaves for another needs an array."""


class ScanLowering(StateArrays):
    """Lowers the recurrences of one function.

    Args:
        b: the function.
        lower: lowers an equation that stands by itself.
        kept: names that are read elsewhere in the function, or given back by it.
    """

    def __init__(self, b: Builder, lower: Lower, kept: frozenset[str]) -> None:
        super().__init__(b)
        self.lower, self.kept = lower, kept
        self.stored: frozenset[str] = frozenset()
        self.cuts: list[Poly] = []
        self.spans: list[tuple[Poly, Poly]] = []

    def scan(self, scan: Scan) -> None:
        """Emit the statements of a recurrence."""
        undo, zeros, made = self.b.undoing(), set(self.zeros), set(self.made)
        try:
            self._scan(scan, stored_in(scan, self.kept, self.b.general))
        except _OrderUnknownError:
            undo()
            self.zeros, self.made = zeros, made
            self._scan(scan, frozenset(e.target for e in scan.members))

    def _scan(self, scan: Scan, stored: frozenset[str]) -> None:
        """Emit the statements of a recurrence; ``stored`` left sides are arrays over all steps."""
        self.fills = {}
        homes = self.homes = {} if self.b.general else homes_of(scan, {e.target for e in scan.members})
        self.cuts, self.stored = [], stored | homes.keys() | {home.whole for home in homes.values()}
        local = {e.target for e in scan.members} - self.stored
        members = {e.target: without_axis(e, local, scan) for e in scan.members}
        shorter = (replace(e, indices=left_over(e, scan)) if e.target in local else e for e in self.b.program.equations)
        self.b.program = replace(self.b.program, equations=tuple(shorter))
        self.steps = frozenset(s.index(e.target) for s in (scan, *scans(scan.body)) for e in s.members)
        with self.b.recurring(self.stored):
            start = len(self.b.block)
            tasks = [
                Task(e.target, members[e.target], (FULL,) * len(e.indices), e.body, tuple(map(as_poly, e.indices)))
                for e in scan.members
            ]
            self._loops(scan, self._before(scan, tasks, homes))
            self.with_zeros_where_needed(start)

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
            self.fills[task.target] = fill
            bulk = () if self.b.general else bulk_terms(task.equation, names)
            if task.target in homes:
                self.settle(task, homes[task.target])
            elif task.target in self.stored and not bulk:
                self.allocate(task, fill or 0.0)
            if fill is not None:
                self.zeros.add(task.target)
                continue
            if bulk:
                self._emit(task.of(add(*bulk), add(*bulk)))
                rest, shown = (
                    add(*(a for a in terms_in(body) if a not in bulk)) for body in (task.equation.body, task.shown)
                )
                task = replace(task.of(rest, shown), adds=True)
            parts += self._cut(scan, task, names)
        return parts

    def _cut(self, scan: Scan, task: Task, names: set[str]) -> list[Part]:
        """The ranges of steps of one equation; those outside the recurrence are computed at once."""
        index, shift = scan.index(task.target), scan.shift(task.target)
        parts: list[Part] = []
        beside = [c + shift for c in self.cuts]
        known = self.b.loops if not self.b.general else frozenset[Index]()
        found, texts = (segments(index, body, beside, known) for body in (task.equation.body, task.shown))
        self.cuts += [s.first - shift for s in found if s.first.terms and s.first - shift not in self.cuts]
        for place, (segment, shown) in enumerate(zip(found, texts, strict=True)):
            first, stop = segment.first, segment.stop
            body = settled(segment.body, index, first, stop, self.b.program.extents, names)
            if segment.body == KEPT:
                continue
            if body == NOUGHT and task.target in self.stored and self.begins_at_nought(task.target):
                self.zeros.add(task.target)
                continue
            here = task.of(body, shown.body)
            if task.target not in self.stored or set(tensors_of(body)) & {*names, KEPT.tensor}:
                parts.append(Part(here, index, first - shift, stop - shift, shift))
                if looks_ahead(body, index):
                    self.zeros |= self.stored
                continue
            passed = [
                s.first for s in found[1:place] if not all(self._surely(first - p) for p in lower_bounds(s.first))
            ]
            ahead = [s.first for s in found[place + 1 :] if not self._surely(s.first - stop)]
            first = extreme("max", [first, *passed])
            sure = not passed and not ahead and self._surely(first) and self._surely(index.extent - stop)
            if segment.single and sure:
                self._emit(here.along(index, At(first), first))
            else:
                if self.b.general:
                    # Positions are computed, so they must exist even if the extent is 0.
                    first = first if self._surely(first) else extreme("max", [first, ZERO])
                    stop = stop if self._surely(index.extent - stop) else extreme("min", [stop, index.extent])
                stop = extreme("min", [stop, *ahead]) if segment.single else stop
                one = here.along(index, At(first), first) if segment.single else here
                own = Index(index.name, stop - first)
                item = Slice(first if first.terms else None, None if stop == index.extent else stop)
                whole = here.along(index, item, as_poly(own) + first, own)
                self._emit(replace(whole, shown=one.shown, at=one.at) if segment.single else whole)
        return parts

    # --- the loop --------------------------------------------------------------------------------------------------

    def _loops(self, scan: Scan, parts: list[Part]) -> None:
        """The loops of a recurrence, behind a condition where they would take steps along an axis of extent 0."""
        start, spans, known = len(self.b.block), self.spans, dict(self.b.known)
        self.spans = []
        self._in_order(scan, parts)
        tests = without_steps(scan, self.spans)
        self.spans = spans
        if tests:
            values = tuple(condition_value(self.b, c, ()).array for c in tests)
            body = tuple(self.b.block[start:])
            self.b.block[start:] = [When(values[0] if len(values) == 1 else Map("and", values), body)]
            self.b.known = known

    def _in_order(self, scan: Scan, parts: list[Part]) -> None:
        """One loop for each run of steps in which the same ranges are computed."""
        parts = from_nought(parts)
        cuts = cuts_of(parts)
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
            first = extreme("max", [first, *(end for end in before if not self._surely(first - end))])
            stop = extreme("min", [stop, *(end for end in beyond if not self._surely(end - stop))])
            if (stop - first).constant == 1:
                self.spans.append((first, stop))
                self._step(scan, active, first)
                continue
            step = Index(self._step_name(active, usual), stop)
            if self._side_by_side(scan, active, first, stop) or self._carried(scan, active, first, stop):
                continue
            self.spans.append((first, stop))
            with self.b.stepping(step, first, stop, scan.reverse):
                self._step(scan, active, as_poly(step))

    def _surely(self, poly: Poly) -> bool:
        """Whether a value is not negative even where sizes are 0; a size that a loop around runs along is not."""
        around = [i.extent for i in self.b.loops]
        running = {a for e in around for a in atoms(e) if isinstance(a, Size) and surely(as_poly(a) - e)}
        return surely(poly) or (bool(running) and nonnegative_with(poly, running))

    def _side_by_side(self, scan: Scan, active: list[Part], first: Poly, stop: Poly) -> bool:
        """Emit steps that need none of each other without a loop: what they read is outside of them."""
        ordered = [
            p for item in scan.body for p in active if isinstance(item, Equation) and p.task.target == item.target
        ]
        if self.b.general or len(ordered) < len(active) or not nonnegative(stop - first):
            return False
        if not all(outside(scan, p, first, stop, self.stored) and p.task.target in self.stored for p in active):
            return False
        for part in ordered:
            low, high = first + part.shift, stop + part.shift
            own = Index(part.index.name, high - low)
            item = Slice(low if low.terms else None, None if high == part.index.extent else high)
            self._emit(part.task.along(part.index, item, as_poly(own) + low, own))
        return True

    def _carried(self, scan: Scan, active: list[Part], first: Poly, stop: Poly) -> bool:
        """Emit steps that are affine in one state without a statement for each of them, if they are."""
        if len(active) != 1 or len(scan.body) != len(scan.members) or active[0].task.target not in self.stored:
            return False
        carry = carry_of(self.b, active[0], first, stop, scan.reverse, self.homes)
        if carry is None:
            return False
        task, start = active[0].task, len(self.b.block)
        if carry.rest is not None:
            self._emit(carry.rest)
            self.b.block[start] = replace(self.b.block[start], comment=str(task))
            start = len(self.b.block)
        carry.emit(self.b, task.equation.indices, scan.reverse)
        comment(self.b, start, f"{carry.what}, one step after the other")
        return True

    def _loop(self, scan: Scan, parts: list[Part]) -> None:
        """One loop over all steps: which range comes first is not known, so each asks whether it is its turn."""
        if any(p.task.target not in self.stored for p in parts):
            raise _OrderUnknownError
        first = extreme("min", [extreme("max", [p.first, -p.shift]) for p in parts])
        stop = extreme("max", [extreme("min", [p.stop, p.index.extent - p.shift]) for p in parts])
        start = first if nonnegative(first) else ZERO
        # Whoever sees an index takes it to be at least 0: where steps may be below, they are counted from the first.
        step = Index(self._step_name(parts, parts[0]), stop - first + start)
        here = as_poly(step) + first - start
        turns = []
        for part in parts:
            ends = (at_least(here, part.first), at_least(part.stop - 1, here))
            turns.append(replace(part, task=replace(part.task, when=(*part.task.when, *ends))))
        self.spans.append((first, stop))
        with self.b.stepping(step, start, stop - first + start, scan.reverse):
            self._step(scan, turns, here)

    def _step_name(self, parts: list[Part], usual: Part) -> str:
        """A name for the loop's variable: that of a recurrent index that means nothing else in the equations."""
        others = [*(i for p in parts for i in p.task.equation.indices if i != p.index), *self.b.loops]
        bound = [i for p in parts for i in all_indices(p.task.equation.body) - set(p.task.equation.indices)]
        taken = {i.name for i in (*others, *bound)}
        names = [usual.index.name, *(p.index.name for p in parts)]
        return next((n for n in names if n not in taken), None) or self.b.name("step")

    def _step(self, scan: Scan, active: list[Part], step: Poly) -> None:
        """One step: the equations in order, inner recurrences as loops of their own."""
        tasks = [p.task.along(p.index, At(step + p.shift), step + p.shift) for p in active]
        for item in positions_first(scan.body):
            if isinstance(item, Scan):
                outer, self.cuts = self.cuts, []
                names = {e.target for e in item.members}
                self._loops(item, [p for t in tasks if t.target in names for p in self._cut(item, t, names)])
                self.cuts = outer
                continue
            for task in tasks:
                if task.target == item.target:
                    self._emit(task)
                    self._remember(task)

    def _remember(self, task: Task) -> None:
        """Where the position of an extremum is, for the extremum itself."""
        node = task.equation.body
        if isinstance(node, Reduce) and node.kind.startswith("arg") and not task.when:
            here = subscript(Name(task.target), task.items) if task.target in self.stored else Name(task.target)
            self.b.winners[node] = here

    def _emit(self, task: Task) -> None:
        """Statements that compute a task, into its place if it has one.

        A condition on the step that is not decided is asked in the loop: what stands behind it may not exist.
        """
        if task.equation.body == KEPT:
            return  # it is in its place
        test = open_test(task.equation.body, self.b.loops)
        if test is not None:
            for condition in (test, negation(test)):
                body, shown = (assuming(b, condition) for b in (task.equation.body, task.shown))
                if not (task.adds and body == NOUGHT):
                    self._emit(replace(task.of(body, shown), when=(*task.when, condition)))
            return
        if self.b.loops and not self.b.general:
            task = task.of(within_limits(task.equation.body, self.b.loops), task.shown)
        start = len(self.b.block)
        whole = all(i == FULL for i in task.items) and task.target not in self._made()
        if task.target not in self.stored or whole:
            self.lower(self.b, task.equation)
            if task.target not in self.stored:
                self.b.block[start:] = without_copy(self.b.block[start:], task.target)
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
