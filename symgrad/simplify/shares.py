"""Logarithms of one less a share of a sum of exponentials, which are those of the other shares.

``log(1 - p_n)`` with ``p_n = exp(a_n) / sum_i exp(a_i)`` loses all digits where p_n is near 1. At most one share is
above 1/2; for that one the sum over the others is taken, the largest of them taken out, so that it costs one more sum
for all n. No other share is anywhere near 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from symgrad.declare.algebra import apply, multiply, negate, power, select, subtract
from symgrad.declare.conditions import all_of, relation
from symgrad.declare.integers import Atom, Index, Poly, as_poly, depends_on_data
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    UNIT,
    Add,
    Apply,
    Condition,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    contains,
    reads_of,
)
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import freshen, rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.exponentials import grows
from symgrad.simplify.patterns import instance
from symgrad.simplify.terms import factors_of

RULE = "log(1 - p_n) = log(sum_{i != n} exp(a_i)) - log(sum_i exp(a_i)) where p_n > 1/2"
HALF = Number(Fraction(1, 2))


@dataclass(frozen=True, slots=True)
class _Share:
    """``exp(a) / total[places]`` with the summand at ``binding``; ``total`` is the sum of all such ``exp(a)``."""

    total: Equation
    places: tuple[Poly, ...]
    binding: Mapping[Index, Poly]


def logs_of_others(program: Program, trace: Trace) -> Program:
    """Rewrite ``log(1 - p)`` for shares p, by name or written out."""
    made = _Made(program)
    steps = recurrent_axes(program.equations)
    equations: list[Equation] = []
    for equation in program.equations:
        if equation.target in steps:
            equations.append(equation)
            continue
        after = equation.with_body(changed(equation.body, made.change))
        for new in made.waiting:
            trace.record(RULE, None, new)
        trace.record(RULE, equation, after)
        equations += [*made.waiting, after]
        made.waiting.clear()
    return program if tuple(equations) == program.equations else replace(program, equations=tuple(equations))


class _Made:
    """The equations made for a program: shares, and the logarithms of all the others together."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.definitions = {e.target: e for e in program.equations}
        self.taken = set(program.names())
        self.waiting: list[Equation] = []
        self.shares: dict[str, Callable[[tuple[Poly, ...], Mapping[Index, Poly]], Scalar]] = {}
        self.logs: dict[str, str] = {}

    def change(self, node: Node) -> Node:
        if not contains(node, Apply):
            return node
        node = map_children(node, self.change)
        match node:
            case Apply("log", (Add((u, v)),)) if UNIT in (u, v):
                share = self._share(negate(v if u == UNIT else u))
                if share is not None:
                    return self._rewritten(share)
        return node

    def _share(self, node: Scalar) -> _Share | None:
        """What a value is the share of: itself, or the definition it reads."""
        match node:
            case Read(tensor, indices, None) if tensor in self.definitions:
                definition = self.definitions[tensor]
                found = self._written_out(definition.body)
                if found is None:
                    return None
                self._reuse(definition, found)
                table: dict[Atom, Poly] = dict(zip(definition.indices, indices, strict=True))
                places = tuple(substitute(p, table) for p in found.places)
                return _Share(found.total, places, {i: substitute(p, table) for i, p in found.binding.items()})
        return self._written_out(node)

    def _written_out(self, node: Scalar) -> _Share | None:
        """A quotient as a share; places that data choose are inside the axis that they are read along."""
        chosen: dict[Poly, Index] = {}

        def change(part: Node) -> Node:
            if isinstance(part, Read) and part.extension is None:
                for p, extent in zip(part.indices, self.program.extents(part.tensor), strict=True):
                    if depends_on_data(p):
                        chosen.setdefault(p, Index(f"chosen_{len(chosen)}", extent))
                return replace(part, indices=tuple(as_poly(chosen[p]) if p in chosen else p for p in part.indices))
            return map_children(part, change)

        share = _as_share(changed(node, change), self.definitions)
        if share is None:
            return None
        table: dict[Atom, Poly] = {index: p for p, index in chosen.items()}
        places = tuple(substitute(p, table) for p in share.places)
        return _Share(share.total, places, {i: substitute(p, table) for i, p in share.binding.items()})

    def _reuse(self, definition: Equation, found: _Share) -> None:
        """Let the shares of a sum be read from an equation that has them all."""
        total = found.total
        if total.target in self.shares:
            return
        places = dict(zip(total.indices, found.places, strict=True)) | dict(found.binding)
        atoms = [p.atom for p in places.values()]
        if set(atoms) != set(definition.indices) or len(atoms) != len(set(atoms)):
            return
        where = {p.atom: i for i, p in places.items()}

        def read(outer: tuple[Poly, ...], inner: Mapping[Index, Poly]) -> Scalar:
            table = dict(zip(total.indices, outer, strict=True)) | dict(inner)
            return Read(definition.target, tuple(table[where[i]] for i in definition.indices))

        self.shares[total.target] = read

    def _rewritten(self, share: _Share) -> Scalar:
        total = share.total
        if total.target not in self.shares:
            self._name_shares(total)
        if total.target not in self.logs:
            self._name_log(total)
        p = self.shares[total.target](share.places, share.binding)
        others = Read(self.logs[total.target], share.places)
        return select(relation("<", HALF, p), others, apply("log1p", negate(p)))

    def _name_shares(self, total: Equation) -> None:
        summed = _summed(total)
        indices = (*total.indices, *summed.indices)
        body = multiply(
            _masked(summed), power(Read(total.target, tuple(map(as_poly, total.indices))), Number(Fraction(-1)))
        )
        self._add(f"share_{reads_of(summed.body)[0].tensor}", indices, body)
        name = self.waiting[-1].target
        self.shares[total.target] = lambda outer, inner: Read(name, (*outer, *(inner[i] for i in summed.indices)))

    def _name_log(self, total: Equation) -> None:
        """The logarithm of the sum over all shares that are not above 1/2, less that over all."""
        summed = _summed(total)
        here = tuple(map(as_poly, total.indices))
        p = self.shares[total.target](here, {i: as_poly(i) for i in summed.indices})
        small = all_of(summed.condition, relation("<=", p, HALF))
        rest = Reduce("sum", summed.indices, small, summed.body)
        self._add(f"others_{total.target}", total.indices, freshen(rest, {i.name for i in summed.indices}))
        logs = (apply("log", Read(name, here)) for name in (self.waiting[-1].target, total.target))
        self._add(f"log_{self.waiting[-1].target}", total.indices, subtract(*logs))
        self.logs[total.target] = self.waiting[-1].target

    def _add(self, name: str, indices: tuple[Index, ...], body: Scalar) -> None:
        name = fresh(name, self.taken)
        self.taken.add(name)
        self.waiting.append(Equation(name, indices, body))


def _summed(total: Equation) -> Reduce:
    assert isinstance(total.body, Reduce)
    return total.body


def _as_share(node: Scalar, definitions: Mapping[str, Equation]) -> _Share | None:
    """An exponential over the sum of all such; where a mask leaves some out of the sum, the exponential has it too."""
    mask: Condition = TRUE
    if isinstance(node, Select) and node.otherwise == NOUGHT:
        mask, node = node.condition, node.then
    coefficient, factors = factors_of(node)
    if coefficient != 1 or len(factors) != 2:
        return None
    for top, bottom in (factors, factors[::-1]):
        top = select(mask, top, NOUGHT)
        match bottom:
            case Power(Read(tensor, places, None), Number(n)) if n == -1 and _grows(top):
                total = definitions.get(tensor)
                match total:
                    case Equation(body=Reduce("sum", bound, _, Apply("exp")) as summed):
                        here = rename(_masked(summed), dict(zip(total.indices, places, strict=True)))
                        binding = instance(here, top, frozenset(bound))
                        if binding is not None and set(binding) == set(bound):
                            return _Share(total, places, binding)
    return None


def _grows(top: Scalar) -> bool:
    match top:
        case Apply("exp", (a,)) | Select(_, Apply("exp", (a,)), _):
            return grows(a)
    return False


def _masked(summed: Reduce) -> Scalar:
    """What a sum adds up at every place."""
    return select(summed.condition, summed.body, NOUGHT)
