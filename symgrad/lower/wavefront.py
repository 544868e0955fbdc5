"""Recurrences along two axes as one loop over diagonals.

Each equation is cut into rectangles of rows and columns; what a rectangle computes without the recurrence is computed
before the loop. A step computes the elements of a diagonal that lie in a rectangle, as slices of sheared views. The
terms of a sum that hold on different rectangles are added one by one, each as soon as what it reads is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from symgrad.declare.bounds import nonnegative, surely
from symgrad.declare.division import quotient
from symgrad.declare.formula import equation_text
from symgrad.declare.integers import ZERO, Index, Poly, as_poly, extreme
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Scan
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import NOUGHT, Node, Read, Scalar, reads_of, tensors_of
from symgrad.declare.segments import segments
from symgrad.derive.terms import rename
from symgrad.lower.arrays import FLIP, FULL, Array, Assign, At, Item, Map, Name, Slice, When, Whole
from symgrad.lower.axes import Axes, subscript
from symgrad.lower.builder import Builder, comment
from symgrad.lower.carry import one_state
from symgrad.lower.diagonals import Diagonals, diagonals_of, on_diagonals
from symgrad.lower.factors import solved, with_factors
from symgrad.lower.homes import KEPT, fill_of, homes_of
from symgrad.lower.inplace import settled_in
from symgrad.lower.rectangles import Extents, Key, NoDiagonalsError, Rectangle, of_one_step, scheduled
from symgrad.lower.scan import Lower, ScanLowering
from symgrad.lower.scan_parts import Part, Task, looks_ahead, terms_in
from symgrad.lower.shear import sheared


def lower_recurrence(b: Builder, scan: Scan, lower: Lower, kept: frozenset[str]) -> None:
    """Emit the statements of a recurrence: along diagonals where that fits, else along one axis after the other."""
    if b.general:
        ScanLowering(b, lower, kept).scan(scan)
        return
    prepared = with_factors(b, scan, kept)
    for equation in prepared.before:
        start = len(b.block)
        lower(b, equation)
        comment(b, start, equation_text(equation))
    if _on_diagonals(b, solved(prepared.scan), lower, kept):
        return
    scan, after = one_state(b, prepared.scan, kept)
    read = frozenset(t for each in after for e in each.members for t in (e.target, *tensors_of(e.body)))
    for each in (scan, *after):
        ScanLowering(b, lower, kept | read).scan(each)


def _on_diagonals(b: Builder, scan: Scan, lower: Lower, kept: frozenset[str]) -> bool:
    """Emit the statements of a recurrence along diagonals, if it fits on them."""
    diagonals = diagonals_of(scan, b.typical)
    if diagonals is None:
        return False
    undo = b.undoing()
    try:
        DiagonalLowering(b, lower, kept, diagonals).scan(scan)
    except NoDiagonalsError:
        undo()
        return False
    b.because(f"{', '.join(e.target for e in scan.members)}: a diagonal at once")
    return True


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a step is on the diagonals of a rectangle: rows ``first .. stop - 1`` of it."""

    first: Index
    stop: Index
    diagonal: Poly


class DiagonalLowering(ScanLowering):
    """Lowers one recurrence along two axes."""

    def __init__(self, b: Builder, lower: Lower, kept: frozenset[str], diagonals: Diagonals) -> None:
        super().__init__(b, lower, kept)
        self.diagonals = diagonals
        self.rectangles: list[Rectangle] = []
        self.views: dict[str, str] = {}
        self.local: set[str] = set()
        self.done: set[str] = set()
        self.filled: set[str] = set()

    def scan(self, scan: Scan) -> None:
        """Emit the statements of the recurrence."""
        names = {e.target for e in scan.members}
        homes = self.homes = homes_of(scan, names)
        fills = {h.whole: fill_of(next(e.body for e in scan.members if e.target == h.whole)) for h in homes.values()}
        self.filled = {name for name, home in homes.items() if fills[home.whole] != 0}
        self.stored = frozenset(names)
        with self.b.recurring(self.stored):
            start = len(self.b.block)
            tasks = [
                Task(e.target, e, (FULL,) * len(e.indices), e.body, tuple(map(as_poly, e.indices)))
                for e in scan.members
            ]
            self._before(scan, tasks, homes)
            extents = {n: self.b.program.extents(n) for n in names}
            parts = scheduled(self.rectangles, self.diagonals, extents, homes)
            shared = {*homes, *(h.whole for h in homes.values()), *self.done}
            self.local = of_one_step(parts, self.diagonals, extents, self.kept | shared)
            self.stored -= self.local
            made = self.b.block[start:]
            self.b.block[start:] = [s for s in made if not (isinstance(s, Assign) and s.name in self.local)]
            self._shear(scan)
            self._loop_over(parts, extents)
            self.zeros |= {t for t, view in self.views.items() if view in self.zeros}
            self.with_zeros_where_needed(start)

    # --- rectangles ------------------------------------------------------------------------------------------------

    def _cut(self, scan: Scan, task: Task, names: set[str]) -> list[Part]:
        """The rectangles of an equation; those outside the recurrence are computed at once."""
        bodies = [(task.equation.body, task.shown)]
        terms, texts = terms_in(task.equation.body), terms_in(task.shown)
        if len(terms) == len(texts) > 1 and task.target not in self.filled and self._several(task):
            bodies = list(zip(terms, texts, strict=True))
            first = next((pair for pair in bodies if self._is_everywhere(task.of(*pair), names)), None)
            if first is not None and not task.adds:
                bodies.remove(first)
                self._emit(task.of(*first))
            self.zeros |= {task.target} if first is None else set()
            task = replace(task, adds=True)
        for body, shown in bodies:
            self._rectangles(task.of(body, shown), names)
        return []

    def _several(self, task: Task) -> bool:
        """Whether different terms hold on different rectangles."""
        row, column = (task.equation.indices[a] for a in self.diagonals.axes[task.target])
        return any(len(segments(i, task.equation.body)) > 1 for i in (row, column))

    def _is_everywhere(self, task: Task, names: set[str]) -> bool:
        """Whether a term needs nothing of the recurrence and holds for all elements."""
        return not set(tensors_of(task.equation.body)) & names and not self._several(task)

    def _rectangles(self, task: Task, names: set[str]) -> None:
        row, column = (task.equation.indices[a] for a in self.diagonals.axes[task.target])
        for (first, stop), of_rows in self._ranges(task, row):
            for (left, right), here in self._ranges(of_rows, column):
                inside = {row: (first, stop), column: (left, right)}
                body = settled_in(here.equation.body, inside, self.b.program.extents, names)
                here = here.of(body, here.shown)
                if body == KEPT or (task.adds and body == NOUGHT):
                    continue
                if body == NOUGHT and self.begins_at_nought(task.target):
                    self.zeros.add(task.target)
                elif not set(tensors_of(body)) & names:
                    self._at_once(here, row, column, (first, stop), (left, right))
                else:
                    self._check(here, names, row, column)
                    self._place(here, (first, stop), (left, right), column)

    def _ranges(self, task: Task, index: Index) -> list[tuple[tuple[Poly, Poly], Task]]:
        """The task along the ranges of one index, conditions on it decided."""
        found, texts = (segments(index, body) for body in (task.equation.body, task.shown))
        if len(found) != len(texts):
            raise NoDiagonalsError
        pairs = zip(found, texts, strict=True)
        return [((s.first, s.stop), task.of(s.body, shown.body)) for s, shown in pairs]

    def _check(self, task: Task, names: set[str], row: Index, column: Index) -> None:
        body = task.equation.body
        if any(r.extension is not None for r in reads_of(body) if r.tensor in names):
            raise NoDiagonalsError
        if looks_ahead(body, row) or looks_ahead(body, column):
            self.zeros |= self.stored

    def _at_once(
        self, task: Task, row: Index, column: Index, rows: tuple[Poly, Poly], columns: tuple[Poly, Poly]
    ) -> None:
        """What needs nothing of the recurrence, for a whole rectangle."""
        for index, (first, stop) in ((row, rows), (column, columns)):
            if first.terms or stop != index.extent:
                stop = extreme("max", [stop, first]) if not surely(stop - first) else stop
                own = Index(index.name, stop - first)
                item = Slice(first if first.terms else None, None if stop == index.extent else stop)
                exists = surely(first) and surely(index.extent - stop)
                single = (stop - first).constant == 1 and exists
                value = as_poly(own) + first
                task = task.along(index, At(first), first) if single else task.along(index, item, value, own)
        self.done.add(task.target)
        self._emit(task)

    def _place(self, task: Task, rows: tuple[Poly, Poly], columns: tuple[Poly, Poly], column: Index) -> None:
        """A rectangle inside the recurrence."""
        left, right = columns
        if self.diagonals.mirrored:
            left, right = column.extent - right, column.extent - left
        row = task.equation.indices[self.diagonals.axes[task.target][0]]
        whole = rows == (ZERO, row.extent) and (left, right) == (ZERO, column.extent)
        self.rectangles.append(Rectangle(task, rows[0], rows[1] - rows[0], left, right - left, whole))

    # --- the loop --------------------------------------------------------------------------------------------------

    def _shear(self, scan: Scan) -> None:
        """A view of each array in which diagonals are slices."""
        d = self.diagonals
        for e in (e for e in scan.members if e.target not in self.local):
            row, column = d.axes[e.target]
            name = self.b.name(f"{e.target}_sheared")
            mirror = [FLIP if d.mirrored and a == column else FULL for a in range(len(e.indices))]
            self.b.emit(Assign(name, sheared(subscript(Name(e.target), mirror), row, column, d.slope)))
            longer = e.indices[column].extent + d.slope * (e.indices[row].extent - 1)
            self._know(name, tuple(Index(i.name, longer) if a == column else i for a, i in enumerate(e.indices)))
            self.views[e.target] = name
        self.stored |= set(self.views.values())

    def _know(self, name: str, indices: Axes) -> None:
        """Tell later reads of the extents of an array."""
        others = (e for e in self.b.program.equations if e.target != name)
        self.b.program = replace(self.b.program, equations=(*others, Equation(name, indices, NOUGHT)))

    def _loop_over(self, parts: list[Rectangle], extents: Extents) -> None:
        """The loop over all diagonals."""
        base = parts[0]
        starts = {p.key: base.lag - p.lag for p in parts}
        ends = {k: start + self._count(k) for k, start in starts.items()}
        start, stop = least(starts.values()), -least(-e for e in ends.values())
        step = Index(self.b.name("diagonal"), stop)
        turns: dict[Key, Turn] = {}
        for key in starts:
            first, last = (Index(self.b.name(n), key[0] + extra) for n, extra in (("first", 0), ("stop", 1)))
            turns[key] = Turn(first, last, as_poly(step) - starts[key])
        bounds = frozenset(i for t in turns.values() for i in (t.first, t.stop))
        with (
            self.b.recurring(self.stored),
            self.b.stepping(step, start, stop, self.diagonals.scan.reverse, bounds, self._note(base)),
        ):
            opened: set[Key] = set()
            tests: Array | None = None
            for part in parts:
                place = len(self.b.block)
                if part.key not in opened:
                    opened.add(part.key)
                    self._open(part, turns[part.key])
                self._emit(self._on(part, turns[part.key], extents))
                before, tests = tests, self._met(part, turns[part.key], start, stop, ends[part.key])
                if tests is not None:
                    self._guard(tests, place, tests == before)

    def _met(self, part: Rectangle, turn: Turn, start: Poly, stop: Poly, end: Poly) -> Array | None:
        """Whether a step meets a rectangle; None if all do."""
        count = self._count(part.key)
        low = Map("le", (Whole(ZERO), Whole(turn.diagonal)))
        high = Map("lt", (Whole(turn.diagonal), Whole(count)))
        sure = surely(start - (end - count)), surely(end - stop)
        tests = tuple(t for t, known in zip((low, high), sure, strict=True) if not known)
        return None if not tests else tests[0] if len(tests) == 1 else Map("and", tests)

    def _guard(self, tests: Array, place: int, same: bool) -> None:
        """Statements for the steps that meet a rectangle."""
        body = tuple(self.b.block[place:])
        del self.b.block[place:]
        last = self.b.block[-1] if self.b.block else None
        if same and isinstance(last, When):
            self.b.block[-1] = replace(last, body=(*last.body, *body))
        else:
            self.b.emit(When(tests, body))

    def _count(self, key: Key) -> Poly:
        """The number of diagonals of a rectangle."""
        return self.diagonals.slope * (key[0] - 1) + key[1]

    def _open(self, part: Rectangle, turn: Turn) -> None:
        """The rows of a diagonal."""
        slope = as_poly(self.diagonals.slope)
        first = quotient(turn.diagonal - part.columns, slope) + 1
        stop = quotient(turn.diagonal, slope) + 1
        self.b.emit(Assign(turn.first.name, Whole(extreme("max", [first, ZERO]))))
        self.b.emit(Assign(turn.stop.name, Whole(extreme("min", [stop, part.rows]))))

    def _on(self, part: Rectangle, turn: Turn, extents: Extents) -> Task:
        """A rectangle's equation on a diagonal."""
        d, task = self.diagonals, part.task
        row, column = d.axes[task.target]
        p, o = task.equation.indices[row], task.equation.indices[column]
        first, stop = part.row + as_poly(turn.first), part.row + as_poly(turn.stop)
        along = Index(p.name, stop - first)
        number = turn.diagonal + d.slope * part.row + part.column
        at_row = first + as_poly(along)
        at_column = d.column(number - d.slope * at_row, o.extent)
        body = rename(task.equation.body, {p: at_row, o: at_column})
        body = self._now(on_diagonals(body, d, extents, self.views), along)
        indices = tuple(along if i == p else i for i in task.equation.indices if i != o)
        equation = replace(task.equation, indices=indices, body=body)
        if task.target in self.local:
            self._know(task.target, indices)
            return replace(task, equation=equation)
        items: list[Item] = [FULL] * len(task.equation.indices)
        items[row], items[column] = Slice(first, stop), At(number)
        return replace(task, target=self.views[task.target], name=task.target, items=tuple(items), equation=equation)

    def _now(self, body: Scalar, along: Index) -> Scalar:
        """A body that reads what there is in this step alone, over its rows."""

        def change(node: Node) -> Node:
            node = map_children(node, change)
            if not isinstance(node, Read) or node.tensor not in self.local:
                return node
            row, column = self.diagonals.axes[node.tensor]
            at = [as_poly(along) if a == row else p for a, p in enumerate(node.indices) if a != column]
            return Read(node.tensor, tuple(at), node.extension)

        return changed(body, change)

    def _note(self, part: Rectangle) -> str:
        """What a step is."""
        row, column = (part.task.equation.indices[a].name for a in self.diagonals.axes[part.target])
        slope = "" if self.diagonals.slope == 1 else f"{self.diagonals.slope} * "
        sign = "-" if self.diagonals.mirrored else "+"
        when = "later" if self.diagonals.scan.reverse else "earlier"
        return f"One diagonal at a step, {slope}{row} {sign} {column} the same: it needs only {when} ones."


def least(values: Iterable[Poly]) -> Poly:
    """The smallest of several integers, written as one of them if it is known which."""
    found = list(dict.fromkeys(values))
    known = [v for v in found if all(nonnegative(other - v) for other in found)]
    return known[0] if known else extreme("min", found)
