"""Reverse mode over equations: the VJP of a split program, in scatter form, right by construction.

The adjoint of a read ``X[e(f, b)]`` adds ``cotangent * slope`` to ``grad_X[t]`` wherever ``e(f, b) = t``;
an axis read by a bare index of the same range needs no condition, every other one keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.algebra import apply, divide, indicator, multiply
from symgrad.declare.conditions import all_of, at_least, compare, relation
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Entry, Index, Poly, affine_in, as_poly, atoms, indices_of
from symgrad.declare.program import Equation, Program, Tensor
from symgrad.declare.recurrence import axes_together, in_steps
from symgrad.declare.scalars import (
    FALSE,
    NOUGHT,
    TRUE,
    UNIT,
    Condition,
    Read,
    Reduce,
    Scalar,
    free_indices,
)
from symgrad.derive.derivatives import derivative, live_reads
from symgrad.derive.flat import flat_tensors
from symgrad.derive.invert import guarded
from symgrad.derive.ranges import distinct, limited, narrowed, never_empty, pinned
from symgrad.derive.terms import Term, all_indices, freshen, rename, terms_of, total
from symgrad.derive.trace import Trace
from symgrad.naming import base_of, fresh


@dataclass(frozen=True, slots=True)
class Adjoint:
    """A derived pass: ``program`` has the forward equations first, ``backward`` the rest, ``totals`` the cotangents."""

    program: Program
    cotangents: tuple[str, ...]
    gradients: tuple[str, ...]
    backward: tuple[str, ...]
    totals: frozenset[str] = frozenset()


def adjoint(program: Program, trace: Trace) -> Adjoint:
    """The VJP of a split program: cotangents of the outputs in, gradients of the inputs out."""
    return _Reverse(program, trace).run()


class _Reverse:
    def __init__(self, program: Program, trace: Trace) -> None:
        self.program, self.trace = program, trace
        self.taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
        self.taken |= {a.name for a in program.attributes}
        self.symbols = program.names()
        recurrences = filter(is_recurrent, groups(program.equations))
        self.recurrent = {name: axes for group in recurrences for name, axes in axes_together(group).items()}
        self.current, self.together = program.equations[0], frozenset[str]()
        self.steps: list[Equation] = []
        self.winners: list[Equation] = []
        self.extra: list[Equation] = []
        self.flat = flat_tensors(program)
        self.active = self._active()
        read = {r.tensor for e in program.equations for r in live_reads(e.body)}
        self.seed = {o: self._fresh(f"grad_{o}") for o in program.real_outputs}
        self.grad = {o: self._fresh(f"grad_{o}_total") if o in read else s for o, s in self.seed.items()}
        self.grad |= {n: self._fresh(f"grad_{n}") for n in self.active if n not in self.grad}
        self.parts: dict[str, list[tuple[tuple[Index, ...], Scalar]]] = {}

    def _fresh(self, base: str) -> str:
        name = fresh(base, self.taken | self.symbols)
        self.taken.add(name)
        return name

    def _active(self) -> tuple[str, ...]:
        """Tensors through which a gradient flows, inputs first."""
        found = dict.fromkeys(t.name for t in self.program.inputs if not t.constant and not t.integer)
        waiting = [e for e in self.program.equations if not e.integer]
        while more := [e for e in waiting if any(r.tensor in found for r in live_reads(e.body))]:
            found |= dict.fromkeys(e.target for e in more)
            waiting = [e for e in waiting if e not in more]
        inputs = [t.name for t in self.program.inputs if t.name in found]
        return (*inputs, *(e.target for e in self.program.equations if e.target in found))

    def _group_of(self, equation: Equation) -> frozenset[str]:
        """The equations that need this one and that it needs."""
        if equation.target not in self.recurrent:
            return frozenset()
        found = next(g for g in groups(self.program.equations) if equation in g)
        return frozenset(e.target for e in found)

    def run(self) -> Adjoint:
        program = self.program
        forward = list(program.equations)
        backward: list[Equation] = []
        for group in reversed(groups(program.equations)):
            active = [e for e in group if e.target in self.active]
            if is_recurrent(group):
                backward += self._through_recurrence(active)
                continue
            for equation in active:
                cotangent = self._total(equation.target, equation.indices)
                if cotangent is None:
                    continue
                if self.seed.get(equation.target) != cotangent.target:
                    backward.append(cotangent)
                self._through(equation, self.grad[equation.target])
        wanted = [t for t in program.inputs if not t.constant and not t.integer]
        for tensor in wanted:
            found = self._total(tensor.name, ())
            backward.append(found or self._zero(tensor))
        for equation in backward:
            self.trace.record("chain rule", None, equation)
        cotangents = [self.seed[o] for o in program.real_outputs]
        seeds = [
            Tensor(n, program.extents(o), False, False) for n, o in zip(cotangents, program.real_outputs, strict=True)
        ]
        whole = replace(
            program,
            name=f"{program.name}_vjp",
            inputs=program.inputs + tuple(seeds),
            equations=(*forward, *self.winners, *self.extra, *backward),
            outputs=tuple(self.grad[t.name] for t in wanted),
        )
        extras = tuple(e.target for e in self.extra)
        totals = frozenset({*cotangents, *self.grad.values()})
        return Adjoint(whole, tuple(cotangents), whole.outputs, extras + tuple(e.target for e in backward), totals)

    def _through_recurrence(self, group: list[Equation]) -> list[Equation]:
        """Cotangents of equations that need each other: every read is distributed before any of them is summed up."""
        waiting = list(reversed(group))
        while True:
            reached = [e for e in waiting if e.target in self.seed or self.parts.get(e.target)]
            if not reached:
                break
            waiting.remove(reached[0])
            self._through(reached[0], self.grad[reached[0].target])
        totals = [self._total(e.target, e.indices) for e in reversed(group) if e not in waiting]
        made = (t for t in totals if t is not None and t.target not in self.seed.values())  # a seed is what it is
        found, self.steps = [*self.steps, *made], []
        return list(in_steps(found))

    def _zero(self, tensor: Tensor) -> Equation:
        indices = tuple(Index(self._axis_name(e, p), e) for p, e in enumerate(tensor.extents))
        return Equation(self.grad[tensor.name], distinct(indices), NOUGHT)

    def _total(self, name: str, indices: tuple[Index, ...]) -> Equation | None:
        """All contributions to one cotangent, over common indices."""
        parts = list(self.parts.get(name, []))
        if name in self.seed:
            parts.insert(0, (indices, Read(self.seed[name], tuple(map(as_poly, indices)))))
        if not parts:
            return None
        target = self.grad[name]
        own = indices or parts[0][0]
        terms: list[Term] = []
        for axes, body in parts:
            for term in terms_of(_rename_apart(body, axes, own)):
                terms.append(term)
        return Equation(target, own, total(terms))

    # --- one equation ------------------------------------------------------------------------------------------

    def _through(self, equation: Equation, cotangent: str) -> None:
        """Distribute the cotangent of a left side over the reads of its right side."""
        g = Read(cotangent, tuple(map(as_poly, equation.indices)))
        self.current, self.together = equation, self._group_of(equation)
        match equation.body:
            case Reduce("sum"):
                pass
            case Reduce(kind) as node:
                self._reduction(equation, node, g, kind)
                return
        for term in terms_of(equation.body):
            self._term(equation.indices, term.bound, term.condition, multiply(g, term.scale), term.body)

    def _term(
        self, free: tuple[Index, ...], bound: tuple[Index, ...], condition: Condition, weight: Scalar, body: Scalar
    ) -> None:
        for read in live_reads(body):
            if read.tensor not in self.active:
                continue
            slope = derivative(body, read, self.flat)
            if slope != NOUGHT:
                self._contribute(read, free + bound, condition, multiply(weight, slope))

    def _contribute(self, read: Read, over: tuple[Index, ...], condition: Condition, value: Scalar) -> None:
        """Swap input and output: the read's axes become free, everything else is summed under its conditions."""
        solved = self._solved_for_step(read, over, condition, value)
        if solved[2] != TRUE:
            solved = self._solved_for_step(read, *self._part(read, over, condition, value))
        read, over, condition, value = solved
        extents = self.program.extents(read.tensor)
        free: list[Index | None] = [None] * len(extents)
        for axis, (poly, extent) in enumerate(zip(read.indices, extents, strict=True)):
            index = poly.atom
            if isinstance(index, Index) and index in over and index.extent == extent and index not in free:
                free[axis] = index
        names, conditions = {i.name for i in over} | self.taken, [condition]
        for axis, (poly, extent) in enumerate(zip(read.indices, extents, strict=True)):
            if free[axis] is None:
                made = Index(fresh(self._axis_name(extent, axis), names), extent)
                names.add(made.name)
                free[axis] = made
                conditions.append(compare("==", poly - as_poly(made)))
        axes = tuple(i for i in free if i is not None)
        rest = tuple(i for i in over if i not in axes)
        rest, where, value = pinned(self.program, rest, all_of(*conditions), value)
        if self.current.target in self.recurrent:
            rest, where, value = narrowed(rest, *limited(rest, where, value))
        if where == FALSE:
            return
        if not rest and where == TRUE:
            body: Scalar = value
        else:
            body = Reduce("sum", rest, where, value)
        self.parts.setdefault(read.tensor, []).append((axes, body))

    def _part(
        self, read: Read, over: tuple[Index, ...], condition: Condition, value: Scalar
    ) -> tuple[tuple[Index, ...], Condition, Scalar]:
        """What a step gives to another, under a name where steps run along several indices.

        It is computed where it is known, and not once more for each border; what the read does not mention is summed.
        """
        several = read.tensor in self.together and len(self.recurrent[read.tensor]) > 1
        if not several or condition != TRUE or isinstance(value, Read) or free_indices(value) != set(over):
            return over, condition, value
        steps = {self.current.indices[a] for a in self.recurrent[self.current.target]}
        mentioned = {i for p in read.indices for i in indices_of(p)} | steps
        left, summed = (tuple(i for i in over if (i in mentioned) == kept) for kept in (True, False))
        name = self._fresh(f"{self.grad[read.tensor]}_part")
        self.steps.append(Equation(name, left, Reduce("sum", summed, TRUE, value) if summed else value))
        return left, condition, Read(name, tuple(map(as_poly, left)))

    def _solved_for_step(
        self, read: Read, over: tuple[Index, ...], condition: Condition, value: Scalar
    ) -> tuple[Read, tuple[Index, ...], Condition, Scalar]:
        """A read inside a recurrence, by the step that is read instead of the step that reads.

        The scatter form would give the cotangent of a step to another one; a recurrence asks what its own step gets.
        """
        producer = self.program.equation(read.tensor)
        if read.tensor not in self.together or producer is None:
            return read, over, condition, value
        for axis in self.recurrent[read.tensor]:
            own = producer.indices[axis]
            reader = self._step_of(read.indices[axis], over)
            if reader is None or read.indices[axis] == as_poly(own):
                continue
            step = as_poly(own) - (read.indices[axis] - as_poly(reader))
            table = {reader: step}
            names = {i.name for i in over} | {own.name} | self.taken
            for other in (i for i in over if i.name == own.name and i != reader):
                table[other] = as_poly(Index(fresh(base_of(other.name), names), other.extent))
                over = tuple(table[i].atom if i == other else i for i in over)  # type: ignore[misc]
            inside = (at_least(step, 0), at_least(reader.extent - 1, step))
            over = tuple(own if i == reader else i for i in over)
            condition = all_of(rename(condition, table), *inside)
            value = rename(value, table) if condition == TRUE else guarded(rename(value, table))
            moved = rename(read, table)
            assert isinstance(moved, Read)
            read = moved
        return read, over, condition, value

    def _step_of(self, position: Poly, over: tuple[Index, ...]) -> Index | None:
        """The index to solve a position for: that of the reading step, else the only one that stands there."""
        steps = [self.current.indices[a] for a in self.recurrent[self.current.target]]
        for index in [*(i for i in steps if i in over), *(i for i in over if indices_of(position) == {i})]:
            split = affine_in(position, index)
            if split is not None and split[0].constant == 1:
                return index
        return None

    def _axis_name(self, extent: Poly, axis: int) -> str:
        """The size's letter in lower case names the index of its axis."""
        symbol = extent.atom
        name = getattr(symbol, "name", "") if symbol is not None else ""
        if not name:
            sizes = [a for a in atoms(extent) if hasattr(a, "name")]
            name = sizes[0].name if len(sizes) >= 1 else f"t{axis}"
        lowered = str(name).lower()
        return lowered if lowered not in self.taken and lowered != name else f"{lowered}_t"

    def _reduction(self, equation: Equation, node: Reduce, g: Scalar, kind: str) -> None:
        at = tuple(map(as_poly, equation.indices))
        match kind:
            case "max" | "min" if node.ties == "first":
                winner = self._winner(equation, node)
                position = compare("==", as_poly(Entry(winner, at)) - row_major(node.indices))
                chosen = all_of(node.condition, position)
                self._term(equation.indices, node.indices, chosen, g, node.body)
            case "max" | "min":
                hit = indicator(relation("==", node.body, Read(equation.target, at)))
                name = self._fresh(f"count_{equation.target}")
                count = Equation(name, equation.indices, Reduce("sum", node.indices, node.condition, hit))
                self.extra.append(count)
                ties: Scalar = Read(name, at)
                if node.condition != TRUE and not never_empty(node):
                    ties = apply("max", UNIT, ties)  # where a choice leaves an empty range out, there is none
                share = divide(g, ties)
                self._term(equation.indices, node.indices, node.condition, multiply(share, hit), node.body)
            case "product":
                others = self._others(equation, node)
                self._term(equation.indices, node.indices, node.condition, multiply(g, others), node.body)

    def _winner(self, equation: Equation, node: Reduce) -> str:
        name = self._fresh(f"winner_{equation.target}")
        kind = "argmax" if node.kind == "max" else "argmin"
        body = Reduce(kind, node.indices, node.condition, node.body)
        self.winners.append(Equation(name, equation.indices, body, integer=True))
        return name

    def _others(self, equation: Equation, node: Reduce) -> Scalar:
        """The product of the other factors, without dividing by this one."""
        names = {i.name for i in all_indices(node)} | self.taken
        table: dict[Index, Index] = {}
        for index in node.indices:
            name = fresh(base_of(index.name), names)
            names.add(name)
            table[index] = Index(name, index.extent)
        inner = tuple(table[i] for i in node.indices)
        elsewhere = compare("!=", row_major(node.indices) - row_major(inner))
        whole = Reduce(node.kind, node.indices, node.condition, node.body)
        renamed = rename(whole, {i: as_poly(other) for i, other in table.items()})
        assert isinstance(renamed, Reduce)
        body = Reduce("product", renamed.indices, all_of(renamed.condition, elsewhere), renamed.body)
        axes = equation.indices + node.indices
        name = self._fresh(f"others_{equation.target}")
        self.extra.append(Equation(name, axes, body))
        return Read(name, tuple(map(as_poly, axes)))


def row_major(indices: tuple[Index, ...]) -> Poly:
    """Position of an index tuple in row-major order."""
    position = as_poly(0)
    for index in indices:
        position = position * index.extent + as_poly(index)
    return position


def _rename_apart(body: Scalar, axes: tuple[Index, ...], own: tuple[Index, ...]) -> Scalar:
    """Move a contribution to the common indices; its bound indices step aside where they would be captured."""
    clear = freshen(body, {i.name for i in (*own, *axes)})
    return rename(clear, {a: as_poly(o) for a, o in zip(axes, own, strict=True)})
