"""The equations of a section over one part of its axis: what they read and compute there, under names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from symgrad.declare.conditions import conjuncts
from symgrad.declare.formula import equation_text
from symgrad.declare.integers import Atom, Index, Poly, RealFloor, as_poly, indices_of
from symgrad.declare.program import Equation, Program, Tensor
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import Compare, FromInteger, Node, Read, Reduce, Scalar, Select, walk
from symgrad.declare.substitution import rebuild
from symgrad.lower.arrays import FULL, Array, Slice
from symgrad.lower.parts import Cut, Section
from symgrad.lower.reached import Edge, Reached, Span
from symgrad.naming import fresh

PART = 2**19
"""Elements of one array in a part, as in the helper that runs the parts."""


def new(base: str, taken: set[str]) -> str:
    """A name that is free, and taken from now on."""
    name = fresh(base, taken)
    taken.add(name)
    return name


def slices(spans: Mapping[int, Span]) -> tuple[Slice, ...]:
    """A subscript with spans on some axes."""
    return tuple(spans[p].slice if p in spans else FULL for p in range(max(spans, default=-1) + 1))


@dataclass(frozen=True, slots=True)
class Whole:
    """An array of which a part computes, or adds to, what is in ``items``."""

    name: str
    items: tuple[Slice, ...]


class PartOf:
    """The program of one part.

    Attributes:
        outer: what is read after the section, by the name of the part.
        shares: what is summed up where a part reaches, or over all blocks, by the name of what one of them adds.
        equations: those of the section over the part.
        formulas: what they were, by left side.
        whole: the indices of a part in terms of the whole ones.
        edges: where conditions that move with the index have to be looked at.
    """

    def __init__(
        self,
        program: Program,
        section: Section,
        wanted: frozenset[str],
        taken: set[str],
        span: Span,
        reached: Reached | None = None,
        formulas: Mapping[str, str] | None = None,
        block: bool = False,
    ) -> None:
        self.span, self._original, self._taken, self._reached = span, program, taken, reached
        self.block = block
        self._integer = {t.name for t in program.inputs if t.integer}
        self._integer |= {e.target for e in program.equations if e.integer}
        self._views: dict[tuple[str, tuple[tuple[int, Span], ...]], str] = {}
        self.whole: dict[Atom, Poly] = {}
        self.edges: dict[Compare, Edge] = {}
        made = {c.equation.target: c for c in section.cuts}
        kept = kept_of(section, wanted)
        spans = {t: self._spans(c) for t, c in made.items()}
        places = {
            t: {p: s for p, i in enumerate(c.equation.indices) if (s := spans[t].get(i))} for t, c in made.items()
        }
        shared = [t for t, c in made.items() if c.summed and (block or places[t])]
        own = {*kept, *shared}
        self._names = {t: new(self._part_name(t, (span,)), taken) if t in own else t for t in made}
        self.outer = {self._names[t]: Whole(t, slices({made[t].axis(): span})) for t in kept}
        self.shares = {self._names[t]: Whole(t, slices(places[t])) for t in shared}
        self.equations = tuple(self._moved(c, spans[t]) for t, c in made.items())
        self.formulas = {self._names[t]: (formulas or {}).get(t) or equation_text(c.equation) for t, c in made.items()}
        self.program = self._program()
        self.results = frozenset({*self.outer, *(self._names[t] for t, c in made.items() if c.summed)})

    def _spans(self, cut: Cut) -> dict[Index, Span]:
        """The indices of an equation that run over a part of their range."""
        reached = self._reached.spans if self._reached else {}
        target = cut.equation.target
        return dict.fromkeys(cut.indices, self.span) | {i: s for (t, i), s in reached.items() if t == target}

    def _part_name(self, tensor: str, spans: tuple[Span, ...]) -> str:
        if self._reached is None:
            return f"{tensor}_part"
        return f"{tensor.removesuffix('_part')}_{'block' if self.span in spans else 'reach'}"

    @property
    def views(self) -> list[tuple[str, str, tuple[Slice, ...]]]:
        """Parts of tensors from outside: the name, the tensor, and where."""
        return [
            (name, tensor, slices(dict(spans)))
            for (tensor, spans), name in sorted(self._views.items(), key=lambda v: v[1])
        ]

    def to_stop(self, array: Array) -> Array:
        """The expression with slices of the part's axes written by where they end."""
        for span in (self.span, *(self._reached.spans.values() if self._reached else ())):
            array = span.to_stop(array)
        return array

    def of(self, equation: Equation) -> Equation:
        """The equation over the part."""
        return next(e for e in self.equations if e.target == self._names[equation.target])

    def extents(self, name: str) -> tuple[Poly, ...]:
        """The extents of a tensor as a whole."""
        return self._original.extents(name)

    def is_integer(self, name: str) -> bool:
        """Whether a tensor holds integers."""
        return name in self._integer

    def _program(self) -> Program:
        program = self._original
        tensors = []
        for (tensor, spans), name in self._views.items():
            extents = list(program.extents(tensor))
            for axis, span in spans:
                extents[axis] = span.extent
            tensors.append(Tensor(name, tuple(extents)))
        replaced = {e.target for e in self.equations}
        others = tuple(e for e in program.equations if e.target not in replaced)
        return replace(program, inputs=(*program.inputs, *tensors), equations=(*others, *self.equations))

    # --- equations over a part -------------------------------------------------------------------------------------

    def _moved(self, cut: Cut, own: Mapping[Index, Span]) -> Equation:
        equation = cut.equation
        local = {i: Index(i.name, span.extent) for i, span in own.items()}
        self.whole |= {local[i]: as_poly(i) - span.start for i, span in own.items()}
        for condition in _tests(equation.body) if self._reached else ():
            edge = self._reached.edge(cut, condition) if self._reached else None
            if edge is not None:
                self.edges[Compare(">=", self._poly(condition.poly, own))] = replace(edge, index=local[edge.index])
        return replace(
            equation,
            target=self._names[equation.target],
            indices=tuple(local.get(i, i) for i in equation.indices),
            body=self._scalar(equation.body, own),
        )

    def _scalar(self, body: Scalar, own: Mapping[Index, Span]) -> Scalar:
        moved = self._node(body, own)
        assert isinstance(moved, Scalar)
        return moved

    def _node(self, node: Node, own: Mapping[Index, Span]) -> Node:
        match node:
            case Read(tensor, indices, extension):
                return Read(*self._read(tensor, indices, own), extension)
            case Reduce(kind, bound, condition, body, ties):
                inside = (self._node(condition, own), self._scalar(body, own))
                bound = tuple(Index(i.name, own[i].extent) if i in own else i for i in bound)
                return Reduce(kind, bound, *inside, ties)  # type: ignore[arg-type]
            case FromInteger(poly):
                return FromInteger(self._poly(poly, own))
            case Compare(relation, poly):
                return Compare(relation, self._poly(poly, own))
        return map_children(node, lambda child: self._node(child, own))

    def _read(self, tensor: str, indices: tuple[Poly, ...], own: Mapping[Index, Span]) -> tuple[str, tuple[Poly, ...]]:
        """A read as one of the part: counted from its start where the tensor is there for the part alone."""
        plain = {p: own[poly.atom] for p, poly in enumerate(indices) if poly.atom in own}  # type: ignore[index]
        places = [self._poly(p, own) for p in indices]
        if not plain or (tensor in self._integer and tensor not in self._names):
            return tensor, tuple(places)
        for axis, span in plain.items():
            places[axis] = as_poly(Index(indices[axis].atom.name, span.extent))  # type: ignore[union-attr]
        if tensor in self._names:
            return self._names[tensor], tuple(places)
        key = (tensor, tuple(plain.items()))
        if key not in self._views:
            self._views[key] = new(self._part_name(tensor, tuple(plain.values())), self._taken)
        return self._views[key], tuple(places)

    def _poly(self, poly: Poly, own: Mapping[Index, Span]) -> Poly:
        """An integer expression in which the index counts from the start of the part."""
        if not indices_of(poly) & set(own):
            return poly

        def change(atom: Atom) -> Poly | None:
            match atom:
                case Index() if atom in own:
                    return as_poly(Index(atom.name, own[atom].extent)) + own[atom].start
                case RealFloor(value):
                    return as_poly(RealFloor(self._scalar(value, own)))
            return None

        return rebuild(poly, change)


def _tests(body: Scalar) -> tuple[Compare, ...]:
    """The inequalities on positions by which values are chosen."""
    tests = (c for n in walk(body) if isinstance(n, Select) for c in conjuncts(n.condition))
    return tuple(c for c in tests if isinstance(c, Compare) and c.relation == ">=")


def kept_of(section: Section, wanted: frozenset[str]) -> tuple[str, ...]:
    """What a section has to leave whole for others."""
    made = (c for c in section.cuts if not c.summed)
    return tuple(c.equation.target for c in made if c.equation.target in wanted or c.equation.integer)
