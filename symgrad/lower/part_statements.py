"""A section as statements: the equations over one part of the axis, inside a function of that part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from symgrad.declare.formula import equation_text
from symgrad.declare.integers import Atom, Index, Poly, RealFloor, Size, as_poly, indices_of
from symgrad.declare.program import Equation, Program, Tensor
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import Compare, FromInteger, Node, Read, Reduce, Scalar
from symgrad.declare.substitution import rebuild
from symgrad.declare.typical import typical, typical_sizes
from symgrad.lower.arrays import FULL, Array, Assign, Fresh, Name, Parts, Reshape, Slice, Statement, Subscript, Update
from symgrad.lower.destinations import computed_in
from symgrad.lower.function import Lowered, lower_equations
from symgrad.lower.inplace import bare
from symgrad.lower.part_costs import row_elements
from symgrad.lower.parts import Section
from symgrad.lower.reuse import reuse
from symgrad.lower.share import defines, share, uses, walk
from symgrad.lower.traverse import map_arrays, map_parts
from symgrad.naming import fresh

PART = 2**18
"""Elements of one array in a part, as in the helper that runs the parts."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Names of a part: of its first position, of the one behind its last, and of how many there are."""

    start: str
    stop: str
    count: str

    @property
    def extent(self) -> Poly:
        return as_poly(Size(self.count))

    def items(self, axis: int) -> tuple[Slice, ...]:
        return (*[FULL] * axis, Slice(as_poly(Size(self.start, 0)), as_poly(Size(self.stop, 0))))

    def to_stop(self, array: Array) -> Array:
        """The expression with slices to ``start + count`` ending at ``stop``."""
        array = map_parts(array, self.to_stop)
        if not isinstance(array, Subscript):
            return array
        first, end = as_poly(Size(self.start, 0)), as_poly(Size(self.stop, 0))
        behind = first + self.extent
        items = (Slice(first, end, i.step) if isinstance(i, Slice) and i.stop == behind else i for i in array.items)
        return replace(array, items=tuple(items))


def lower_section(
    program: Program,
    section: Section,
    wanted: frozenset[str],
    taken: set[str],
    declared: tuple[Program, ...],
) -> Lowered:
    """Statements that compute a section: arrays to be filled in, and the function that fills in a part of them.

    Args:
        program: what the equations read.
        section: the equations.
        wanted: what is read after the section, or given back.
        taken: names that no variable may have; those made here are added.
        declared: as in ``lower_equations``.
    """
    place = _Place(*(_new(base, taken) for base in ("start", "stop", "count")))
    part = _PartOf(program, section, wanted, taken, place)
    lowered = lower_equations(
        part.program,
        part.equations,
        taken,
        results=part.results,
        declared=declared,
        fast=True,
        formulas=part.formulas,
        whole=part.whole,
    )
    statements = tuple(map_arrays(s, place.to_stop) for s in lowered.statements)
    body, reasons = reuse(part.program, share(statements, taken), part.results, True, frozenset(part.outer))
    kinds = {local: _kind(part, local, name, body) for local, (name, _) in part.outer.items()}
    for local, (name, axis) in part.outer.items():
        body = _written(body, local, Name(name), place.items(axis), kinds[local], part.program.extents(local))
    read = {n for s in body for n in uses(s)}
    views = [
        Assign(local, Subscript(Name(tensor), place.items(axis)))
        for (tensor, axis), local in part.sliced.items()
        if local in read
    ]
    body = (*views, *body)
    taken |= {n for s in walk((*lowered.before, *body)) for n in defines(s)}
    before = [
        Assign(name, Fresh("empty", program.extents(name), dtype=kinds[local]))
        for local, (name, _) in part.outer.items()
    ]
    function = _new("part", taken)
    threads = threads_name(program)
    others = row_elements(program, section)
    sums = tuple(c.equation.target for c in section.cuts if c.summed)
    names = ", ".join(dict.fromkeys(i.name for c in section.cuts for i in sorted(c.indices, key=lambda i: i.name)))
    reason = f"{', '.join(c.equation.target for c in section.cuts)}: in parts along {names}, side by side on threads"
    statement = Parts(
        function, place.start, place.stop, place.count, section.extent, others, threads, body, sums, names
    )
    return Lowered((*lowered.before, *before, statement), (reason, *lowered.reasons, *reasons))


def threads_name(program: Program) -> str:
    """The argument of a function that says how many threads it may use."""
    return fresh("threads", program.names())


def _new(base: str, taken: set[str]) -> str:
    name = fresh(base, taken)
    taken.add(name)
    return name


class _PartOf:
    """The program of one part.

    Attributes:
        sliced: names of the parts of tensors from outside, by tensor and axis.
        outer: what is read after the section, with the axis of its part, by the name of the part.
        equations: those of the section over the part.
        formulas: what they were, by left side.
        whole: the index of a part in terms of the whole one.
    """

    def __init__(
        self, program: Program, section: Section, wanted: frozenset[str], taken: set[str], place: _Place
    ) -> None:
        self.place, self._original = place, program
        made = {c.equation.target: c for c in section.cuts if not c.summed}
        kept = [t for t, c in made.items() if t in wanted or c.equation.integer]
        self._local = {t: _new(f"{t}_part", taken) if t in kept else t for t in made}
        self.outer = {self._local[t]: (t, made[t].axis()) for t in kept}
        self.sliced = {(t, axis): _new(f"{t}_part", taken) for t, axis in section.sliced}
        self._axes = {t: c.axis() for t, c in made.items()}
        own = {i: Index(i.name, place.extent) for c in section.cuts for i in c.indices}
        self.whole: dict[Atom, Poly] = {part: as_poly(i) - as_poly(Size(place.start, 0)) for i, part in own.items()}
        self.equations = tuple(self._moved(c.equation, {i: own[i] for i in c.indices}) for c in section.cuts)
        texts = [equation_text(c.equation) for c in section.cuts]
        self.formulas = {e.target: text for e, text in zip(self.equations, texts, strict=True)}
        self.program = self._program(section)
        self.results = frozenset(self.outer) | {c.equation.target for c in section.cuts if c.summed}

    def is_integer(self, name: str) -> bool:
        equation = self._original.equation(name)
        return equation is not None and equation.integer

    def _program(self, section: Section) -> Program:
        program = self._original
        integer = {t.name for t in program.inputs if t.integer}
        tensors = []
        for (tensor, axis), name in self.sliced.items():
            extents = list(program.extents(tensor))
            extents[axis] = self.place.extent
            tensors.append(Tensor(name, tuple(extents), tensor in integer))
        replaced = {e.target for e in self.equations}
        others = tuple(e for e in program.equations if e.target not in replaced)
        sizes = typical_sizes(program)
        rows = max(1, min(typical(section.extent, sizes), PART // typical(row_elements(program, section), sizes)))
        return replace(
            program,
            inputs=(*program.inputs, *tensors),
            equations=(*others, *self.equations),
            typical=(*program.typical, (self.place.count, rows)),
        )

    # --- equations over a part -------------------------------------------------------------------------------------

    def _moved(self, equation: Equation, own: Mapping[Index, Index]) -> Equation:
        return replace(
            equation,
            target=self._local.get(equation.target, equation.target),
            indices=tuple(own.get(i, i) for i in equation.indices),
            body=self._scalar(equation.body, own),
        )

    def _scalar(self, body: Scalar, own: Mapping[Index, Index]) -> Scalar:
        moved = self._node(body, own)
        assert isinstance(moved, Scalar)
        return moved

    def _node(self, node: Node, own: Mapping[Index, Index]) -> Node:
        match node:
            case Read(tensor, indices, extension):
                axis = next((p for p, poly in enumerate(indices) if poly.atom in own), None)
                local = self._local.get(tensor) or self.sliced.get((tensor, axis if axis is not None else -1))
                places = [self._poly(p, own) for p in indices]
                if axis is None or local is None:
                    return Read(tensor, tuple(places), extension)
                places[axis] = as_poly(own[indices[axis].atom])  # type: ignore[index]
                return Read(local, tuple(places), extension)
            case Reduce(kind, bound, condition, body, ties):
                inside = (self._node(condition, own), self._scalar(body, own))
                return Reduce(kind, tuple(own.get(i, i) for i in bound), *inside, ties)  # type: ignore[arg-type]
            case FromInteger(poly):
                return FromInteger(self._poly(poly, own))
            case Compare(relation, poly):
                return Compare(relation, self._poly(poly, own))
        return map_children(node, lambda child: self._node(child, own))

    def _poly(self, poly: Poly, own: Mapping[Index, Index]) -> Poly:
        """An integer expression in which the index counts from the start of the part."""
        if not indices_of(poly) & set(own):
            return poly

        def change(atom: Atom) -> Poly | None:
            match atom:
                case Index() if atom in own:
                    return as_poly(own[atom]) + as_poly(Size(self.place.start, 0))
                case RealFloor(value):
                    return as_poly(RealFloor(self._scalar(value, own)))
            return None

        return rebuild(poly, change)


# --- what others read ------------------------------------------------------------------------------------------------


def _kind(part: _PartOf, local: str, name: str, body: tuple[Statement, ...]) -> str | Poly:
    """What the whole array holds: what its part does, where that is small integers."""
    for statement in body:
        match statement:
            case Assign(made, Fresh(dtype=Poly() as dtype)) if made == local:
                return dtype
    return "int" if part.is_integer(name) else "float"


def _written(
    body: tuple[Statement, ...],
    local: str,
    outer: Name,
    items: tuple[Slice, ...],
    kind: str | Poly,
    shape: tuple[Poly, ...],
) -> tuple[Statement, ...]:
    """The statements, writing what they compute as ``local`` into its part of the whole array."""
    target: Subscript | Reshape = Subscript(outer, items)
    places = [p for p, s in enumerate(body) if local in defines(s)]
    last = body[places[-1]]
    first = body[places[0]]
    if isinstance(first, Assign) and isinstance(first.array, Fresh) and first.array.kind == "empty":
        rest = body[places[0] + 1 :]
        if last == Assign(local, Reshape(Name(local), shape)):
            # Filled in with an axis taken apart: the place is as well, and need not be put together.
            target = Reshape(target, first.array.shape)
            rest = tuple(s for s in rest if s != last)
        return (*body[: places[0]], replace(first, array=target), *rest)
    read = any(local in uses(s) for s in (*body[: places[-1]], *body[places[-1] + 1 :]))
    if isinstance(last, Assign) and last.name == local and not read:
        there = computed_in(target, last.array, last.comment) if kind == "float" else None
        done = there or Update(target, "=", bare(last.array), last.comment)
        return (*body[: places[-1]], done, *body[places[-1] + 1 :])
    if isinstance(first, Assign) and kind == "float" and not any(isinstance(body[p], Assign) for p in places[1:]):
        there = computed_in(Name(local), first.array, first.comment)
        if there is not None:
            return (*body[: places[0]], Assign(local, target), there, *body[places[0] + 1 :])
    return (*body[: places[-1] + 1], Update(target, "=", Name(local)), *body[places[-1] + 1 :])
