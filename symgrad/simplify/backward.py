"""The backward pass made short: invariant factors out of sums, forward values reused, single uses folded in.

Every cotangent is linear in the cotangents it is made of, so each body is a sum of products with one cotangent
each; products are distributed only over sums that hold cotangents, never over the user's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from symgrad.declare.checked import checked_entries
from symgrad.declare.graph import groups, is_recurrent, needed
from symgrad.declare.integers import Index
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import Change, changed, map_children, without_stops
from symgrad.declare.scalars import Node, Read, Reduce, Scalar, free_indices, tensors_of, walk
from symgrad.declare.typical import typical_sizes
from symgrad.derive.adjoint import Adjoint
from symgrad.derive.terms import written_out
from symgrad.derive.trace import Trace
from symgrad.simplify.cores import Cores
from symgrad.simplify.cost import cost, placed_by_data
from symgrad.simplify.known import recognise, usable
from symgrad.simplify.meeting import RULE, met
from symgrad.simplify.placed import RULE as CHOSEN
from symgrad.simplify.placed import elements_chosen
from symgrad.simplify.sums import pulled
from symgrad.simplify.supports import left_out
from symgrad.simplify.terms import expand, factor_out
from symgrad.simplify.together import RULE as TOGETHER
from symgrad.simplify.together import summed_together

CHOICES = 4
"""Up to so many cotangents every choice of those to write out is tried."""

GAIN = 0.9
"""A cotangent that others read as well keeps its name unless writing it out lowers the cost to this share."""


def simplify_backward(adjoint: Adjoint, trace: Trace, again: bool = False) -> Adjoint:
    """Rewrite the backward equations; gradients and cotangents keep their names.

    ``again``: they will be differentiated again, so that what is constant for differentiation stays so in them. A
    largest exponent that was taken out is one for all reads of it, and the gradient is the same whatever it is; so are
    its derivatives with that held. Elsewhere stopped values are values, which more forward values can stand for.
    """
    return _Simplifier(adjoint, trace, again).run()


class _Simplifier:
    def __init__(self, adjoint: Adjoint, trace: Trace, again: bool) -> None:
        self.adjoint, self.trace = adjoint, trace
        self.unstopped: Change = (lambda node: node) if again else without_stops
        program = adjoint.program
        self.sizes = typical_sizes(program)
        self.forward = [e for e in program.equations if e.target not in adjoint.backward]
        self.backward = [e for e in program.equations if e.target in adjoint.backward]
        self.known = usable([e.with_body(changed(e.body, self.unstopped)) for e in self.forward])
        self.checked = checked_entries(program)
        self.linear = set(adjoint.cotangents) | {e.target for e in self.backward}
        self.readers: dict[str, set[str]] = defaultdict(set)
        for e in self.backward:
            for tensor in tensors_of(e.body):
                self.readers[tensor].add(e.target)
        self.recurrent = [e.target for g in groups(self.backward) if is_recurrent(g) for e in g if not _is_spread(e)]
        self.done: list[Equation] = []
        self.cores = Cores(self.forward, program.names(), self.done, trace, adjoint.totals)

    def run(self) -> Adjoint:
        for equation in self.backward:
            self._one(equation)
        gradients = set(self.adjoint.gradients)
        everything = [*self.forward, *self.done]
        wanted = needed(everything, gradients | set(self.adjoint.program.outputs) | {e.target for e in self.forward})
        equations = self.cores.fold(list(wanted))
        made = tuple(e.target for e in equations if e not in self.forward)
        chosen = left_out(tuple(e for e in equations if e.target in made), self.trace)
        kept = (*self.forward, *chosen)
        program = replace(self.adjoint.program, equations=kept)
        return replace(self.adjoint, program=program, backward=made)

    def _one(self, equation: Equation) -> None:
        alone = equation.with_body(met(equation.body))
        self.trace.record(RULE, equation, alone)
        plain = recognise(changed(alone.body, self.unstopped), self.known)
        looked_for = pulled(plain, self.linear, self.forward)
        best = elements_chosen(looked_for, equation.indices, self.checked) or looked_for
        least = self._cost(best)
        for written, inlined in self._inlinings(plain):
            found = pulled(recognise(expand(inlined, self.linear), self.known), self.linear, self.forward)
            other = elements_chosen(found, equation.indices, self.checked)
            if other is None:
                continue
            shared = any(self.readers[t] - {*written, equation.target} for t in written)
            if (price := self._cost(other)) < (GAIN if shared else 1) * least:
                looked_for, best, least = found, other, price
        self.trace.record(CHOSEN, equation.with_body(looked_for), equation.with_body(best))
        together = summed_together(
            best, self.linear, lambda node, order: self.cores.shared(node, replace(equation, indices=order))
        )
        self.trace.record(TOGETHER, equation.with_body(best), equation.with_body(together))
        body = met(factor_out(self.cores.name_in(together, equation)))
        self.linear |= self.cores.names
        after = equation.with_body(body)
        self.trace.record("reuse forward values, take invariant factors out of sums", alone, after)
        self.done.append(after)

    def _cost(self, body: Scalar) -> int:
        """Cost of the body with what it needs that nothing else has computed yet."""
        body = self.cores.known_in(body)
        seen: set[Node] = set()
        total = cost(factor_out(body), self.sizes, seen)
        by_name = {e.target: e for e in self.done}
        pending = [t for t in tensors_of(body) if t in by_name]
        counted = self._computed_anyway()
        while pending:
            name = pending.pop()
            if name in counted:
                continue
            counted.add(name)
            total += cost(by_name[name].body, self.sizes, seen)
            pending += [t for t in tensors_of(by_name[name].body) if t in by_name]
        return total

    def _computed_anyway(self) -> set[str]:
        """What the gradients found so far need."""
        by_name = {e.target: e for e in self.done}
        pending = [n for n in (*self.adjoint.gradients, *self.recurrent) if n in by_name]
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += [t for t in tensors_of(by_name[name].body) if t in by_name]
        return found

    def _inlinings(self, body: Scalar) -> list[tuple[tuple[str, ...], Scalar]]:
        """The body with pointwise cotangents written out: each choice of few, else all that it reads."""
        alone = (e for e in self.done if e.target not in self.recurrent or _is_spread(e))
        pointwise = {e.target: e for e in alone if _is_pointwise(e.body) and not e.integer}
        reached = [t for t in tensors_of(body) if t in pointwise]
        choices = [tuple(reached)]
        for name in reached:
            reached += [t for t in tensors_of(pointwise[name].body) if t in pointwise and t not in reached]
        if len(reached) <= CHOICES:
            choices += [c for count in range(1, len(reached) + 1) for c in combinations(reached, count)]
        found = {_inline(body, {t: pointwise[t] for t in c}): c for c in reversed(dict.fromkeys(choices))}
        return [(c, inlined) for inlined, c in reversed(found.items()) if inlined != body]


def _inline(body: Scalar, definitions: Mapping[str, Equation]) -> Scalar:
    def change(node: Node) -> Node:
        if definitions.keys().isdisjoint(tensors_of(node)):
            return node
        node = map_children(node, change)
        if isinstance(node, Read) and node.tensor in definitions and node.extension is None:
            definition = definitions[node.tensor]
            if all(isinstance(p.atom, Index) for p in node.indices):
                return changed(written_out(definition, node.indices), change)
        return node

    return changed(body, change)


def _is_spread(equation: Equation) -> bool:
    """Whether an equation only repeats an element along further indices."""
    return isinstance(equation.body, Read) and free_indices(equation.body) < set(equation.indices)


def _is_pointwise(body: Scalar) -> bool:
    """Whether nothing is reduced; an element for each place that data give counts as that."""
    return not any(isinstance(p, Reduce) and (p.indices or not placed_by_data(p.condition)) for p in walk(body))
