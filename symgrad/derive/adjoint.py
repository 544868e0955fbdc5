"""Reverse mode over equations: the VJP of a split program, in scatter form, right by construction.

The adjoint of a read ``X[e(f, b)]`` adds ``cotangent * slope`` to ``grad_X[t]`` wherever ``e(f, b) = t``;
an axis read by a bare index of the same range needs no condition, every other one keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.algebra import divide, indicator, multiply
from symgrad.declare.conditions import all_of, compare, relation
from symgrad.declare.integers import Entry, Index, Poly, as_poly, atoms
from symgrad.declare.program import Equation, Program, Tensor
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import NOUGHT, TRUE, UNIT, Condition, Node, Read, Reduce, Scalar, Stopped, reads_of
from symgrad.derive.derivatives import derivative
from symgrad.derive.flat import flat_tensors
from symgrad.derive.terms import Term, all_indices, freshen, rename, terms_of, total
from symgrad.derive.trace import Trace
from symgrad.naming import base_of, fresh


@dataclass(frozen=True, slots=True)
class Adjoint:
    """A derived backward pass: ``program`` has the forward equations first, then ``backward`` names the rest."""

    program: Program
    cotangents: tuple[str, ...]
    gradients: tuple[str, ...]
    backward: tuple[str, ...]


def adjoint(program: Program, trace: Trace) -> Adjoint:
    """The VJP of a split program: cotangents of the outputs in, gradients of the inputs out."""
    return _Reverse(program, trace).run()


class _Reverse:
    def __init__(self, program: Program, trace: Trace) -> None:
        self.program, self.trace = program, trace
        self.taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
        self.taken |= {a.name for a in program.attributes}
        self.winners: list[Equation] = []
        self.extra: list[Equation] = []
        self.flat = flat_tensors(program)
        self.active = self._active()
        read = {r.tensor for e in program.equations for r in _live_reads(e.body)}
        self.seed = {o: self._fresh(f"grad_{o}") for o in program.outputs}
        self.grad = {o: self._fresh(f"grad_{o}_total") if o in read else s for o, s in self.seed.items()}
        self.grad |= {n: self._fresh(f"grad_{n}") for n in self.active if n not in self.grad}
        self.parts: dict[str, list[tuple[tuple[Index, ...], Scalar]]] = {}

    def _fresh(self, base: str) -> str:
        name = fresh(base, self.taken)
        self.taken.add(name)
        return name

    def _active(self) -> tuple[str, ...]:
        """Tensors through which a gradient flows, inputs first."""
        found = [t.name for t in self.program.inputs if not t.constant and not t.integer]
        for e in self.program.equations:
            if not e.integer and any(r.tensor in found for r in _live_reads(e.body)):
                found.append(e.target)
        return tuple(dict.fromkeys(found))

    def run(self) -> Adjoint:
        program = self.program
        forward = list(program.equations)
        backward: list[Equation] = []
        for equation in reversed(program.equations):
            if equation.target not in self.active:
                continue
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
        cotangents = [self.seed[o] for o in program.outputs]
        seeds = [Tensor(n, program.extents(o), False, False) for n, o in zip(cotangents, program.outputs, strict=True)]
        whole = replace(
            program,
            name=f"{program.name}_vjp",
            inputs=program.inputs + tuple(seeds),
            equations=(*forward, *self.winners, *self.extra, *backward),
            outputs=tuple(self.grad[t.name] for t in wanted),
        )
        extras = tuple(e.target for e in self.extra)
        return Adjoint(whole, tuple(cotangents), whole.outputs, extras + tuple(e.target for e in backward))

    def _zero(self, tensor: Tensor) -> Equation:
        indices = tuple(Index(self._axis_name(e, p), e) for p, e in enumerate(tensor.extents))
        return Equation(self.grad[tensor.name], _distinct(indices), NOUGHT)

    def _total(self, name: str, indices: tuple[Index, ...]) -> Equation | None:
        """All contributions to one cotangent, over common indices."""
        parts = list(self.parts.get(name, []))
        if name in self.program.outputs:
            parts.insert(0, (indices, Read(self.seed[name], tuple(map(as_poly, indices)))))
        if not parts:
            return None
        target = self.grad[name]
        own = indices or max((p for p, _ in parts), key=lambda axes: sum(not i.name.startswith("t_") for i in axes))
        terms: list[Term] = []
        for axes, body in parts:
            for term in terms_of(_rename_apart(body, axes, own)):
                terms.append(term)
        return Equation(target, own, total(terms))

    # --- one equation ------------------------------------------------------------------------------------------

    def _through(self, equation: Equation, cotangent: str) -> None:
        """Distribute the cotangent of a left side over the reads of its right side."""
        g = Read(cotangent, tuple(map(as_poly, equation.indices)))
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
        for read in _live_reads(body):
            if read.tensor not in self.active:
                continue
            slope = derivative(body, read, self.flat)
            if slope != NOUGHT:
                self._contribute(read, free + bound, condition, multiply(weight, slope))

    def _contribute(self, read: Read, over: tuple[Index, ...], condition: Condition, value: Scalar) -> None:
        """Swap input and output: the read's axes become free, everything else is summed under its conditions."""
        extents = self.program.extents(read.tensor)
        free: list[Index | None] = [None] * len(extents)
        for axis, (poly, extent) in enumerate(zip(read.indices, extents, strict=True)):
            index = poly.atom
            if isinstance(index, Index) and index in over and index.extent == extent and index not in free:
                free[axis] = index
        names = {i.name for i in over} | self.taken
        conditions = [condition]
        for axis, (poly, extent) in enumerate(zip(read.indices, extents, strict=True)):
            if free[axis] is None:
                made = Index(fresh(self._axis_name(extent, axis), names), extent)
                names.add(made.name)
                free[axis] = made
                conditions.append(compare("==", poly - as_poly(made)))
        axes = tuple(i for i in free if i is not None)
        rest = tuple(i for i in over if i not in axes)
        where = all_of(*conditions)
        if not rest and where == TRUE:
            body: Scalar = value
        else:
            body = Reduce("sum", rest, where, value)
        self.parts.setdefault(read.tensor, []).append((axes, body))

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
                share = divide(g, Read(name, at))
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


def _live_reads(body: Scalar) -> tuple[Read, ...]:
    """Reads outside StopGradient."""

    def strip(node: Node) -> Node:
        return UNIT if isinstance(node, Stopped) else map_children(node, strip)

    return reads_of(strip(body))


def _rename_apart(body: Scalar, axes: tuple[Index, ...], own: tuple[Index, ...]) -> Scalar:
    """Move a contribution to the common indices; its bound indices step aside where they would be captured."""
    clear = freshen(body, {i.name for i in (*own, *axes)})
    return rename(clear, {a: as_poly(o) for a, o in zip(axes, own, strict=True)})


def _distinct(indices: tuple[Index, ...]) -> tuple[Index, ...]:
    names: set[str] = set()
    made = []
    for index in indices:
        name = fresh(index.name, names)
        names.add(name)
        made.append(Index(name, index.extent))
    return tuple(made)
