"""Checks that every read that could leave its tensor stays inside, as lines of an emitted forward.

A read behind a condition is checked where the condition holds; elsewhere the data may hold anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.facts import facts
from symgrad.declare.integers import Entry, Index, Poly, as_poly, atoms, depends_on_data, show
from symgrad.declare.program import Program
from symgrad.declare.reads import reaches_ends, undecided
from symgrad.declare.scalars import TRUE, Compare, Condition, FromInteger, Reduce, free_indices, tensors_of, walk
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import rename
from symgrad.emit.printer import Printer, escape
from symgrad.lower.arrays import Helper, Name, Value
from symgrad.lower.axes import align, union
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import condition_value
from symgrad.lower.plan import ModulePlan
from symgrad.lower.reads import integer
from symgrad.lower.share import defines
from symgrad.lower.spans import data_span


@dataclass(frozen=True, slots=True)
class IndexChecks:
    """Lines before the first statement of a forward, and those after the statements that compute what they need.

    ``late`` has the place of the last such statement with each group of lines.
    """

    early: tuple[str, ...]
    late: tuple[tuple[int, tuple[str, ...]], ...]


def index_checks(plan: ModulePlan, printer: Printer) -> IndexChecks:
    """Check lines for the reads of a declaration that neither its ranges nor its conditions keep inside."""
    given = {t.name for t in plan.program.inputs} | {a.name for a in plan.program.attributes}
    made = {n: place for place, s in enumerate(plan.forward.statements) for n in defines(s)}
    early, late = _Checks(plan, printer, given), _Checks(plan, printer, given)
    after: list[tuple[int, tuple[str, ...]]] = []
    for read in _to_check(plan.program):
        needed = set(tensors_of(FromInteger(read.index))) | set(tensors_of(read.where))
        if needed <= given:
            early.add(read)
        elif needed <= given | made.keys():
            done = len(late.lines)
            late.add(read)
            after.append((max(made[n] for n in needed - given), tuple(late.lines[done:])))
    return IndexChecks(tuple(early.lines), tuple(after))


@dataclass(frozen=True, slots=True)
class _Read:
    tensor: str
    axis: int
    index: Poly
    extent: Poly
    where: Condition


def _to_check(program: Program) -> Iterator[_Read]:
    """Undecided reads under conditions that can be evaluated; the ends of unconditional affine ones are required."""
    found: dict[_Read, None] = {}
    known = (*facts(program), *_at_least_0(c for r in program.requirements for c in conjuncts(r.condition)))
    for equation in program.equations:
        for read in undecided(program, equation):
            here = (*known, *_at_least_0(read.behind))
            if nonnegative(read.index, here) and nonnegative(read.extent - 1 - read.index, here):
                continue
            if not read.behind and not depends_on_data(read.index) and reaches_ends(read.index):
                continue
            where = all_of(*read.behind)
            if not any(isinstance(part, Reduce) for part in walk(where)):
                found[_Read(read.tensor, read.axis, read.index, read.extent, where)] = None
    # Conditions and indices read tensors too: what is read in any case, and inside an index, is checked first.
    ordered = sorted(found, key=lambda r: (r.where != TRUE, sum(isinstance(a, Entry) for a in atoms(r.index))))
    named = {_renamed(r): r for r in reversed(ordered)}
    yield from (r for r in ordered if named.get(_renamed(r)) == r and not any(_implies(o, _renamed(r)) for o in named))


def _at_least_0(conditions: Iterable[Condition]) -> list[Poly]:
    return [c.poly for c in conditions if isinstance(c, Compare) and c.relation == ">="]


def _renamed(read: _Read) -> _Read:
    """The read with its indices by number: reads of two equations may differ in their names alone."""
    indices = sorted(free_indices(FromInteger(read.index)) | free_indices(read.where), key=lambda i: i.name)
    table = {i: as_poly(Index(f"i{number}", i.extent)) for number, i in enumerate(indices)}
    return replace(read, index=substitute(read.index, dict(table.items())), where=rename(read.where, table))


def _implies(stronger: _Read, weaker: _Read) -> bool:
    """Whether the first check says all that the second one says: it reads the same place under fewer conditions."""
    same = (stronger.index, stronger.extent) == (weaker.index, weaker.extent)
    return same and set(conjuncts(stronger.where)) < set(conjuncts(weaker.where))


class _Checks:
    """Lines that check reads, and the positions that they compute on the way."""

    def __init__(self, plan: ModulePlan, printer: Printer, given: set[str]) -> None:
        self.printer, self.lines, self.said = printer, list[str](), set[str]()
        self.builder = Builder(plan.adjoint.program, given | {e.target for e in plan.adjoint.program.equations})

    def add(self, read: _Read) -> None:
        """Append the check of one read."""
        done = len(self.builder.block)
        check = self._call(read)
        self.lines += self.printer.lines(tuple(self.builder.block[done:]))
        # Tensors of the same extent, read at the same places: one check says it of all.
        what = check.replace(self._place(read), "")
        if what not in self.said:
            self.lines.append(check)
            self.said.add(what)

    @staticmethod
    def _place(read: _Read) -> str:
        return f'"axis {read.axis} of {read.tensor}"'

    def _call(self, read: _Read) -> str:
        indices = free_indices(FromInteger(read.index)) | free_indices(read.where)
        order = tuple(sorted(indices, key=lambda i: i.name))
        entry = read.index.atom
        what = entry.tensor if isinstance(entry, Entry) else f"the index {show(read.index)}"
        values = integer(self.builder, read.index, order)
        if not values.axes and not isinstance(values.array, Name):
            values = Value(Helper("np.asarray", (values.array,)), ())
        place = f"{self.printer.poly(read.extent)}, {self._place(read)}"
        self.printer.helpers.add("_within")
        if read.where == TRUE:
            return f'_within("{escape(what)}", {self.printer.expr(values.array)}, {place})'
        span = data_span(read.where)
        if span is not None and span.owner not in free_indices(FromInteger(read.index)):
            used = span.covered(self.builder)
        else:
            used = condition_value(self.builder, read.where, order)
        axes = union([values, used], order)
        arrays = [self.printer.expr(align(v, axes)) for v in (values, used)]
        self.printer.helpers.add("_within_where")
        return f'_within_where("{escape(what)}", {arrays[0]}, {place}, {arrays[1]})'
