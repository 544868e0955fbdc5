"""The backward pass made short: invariant factors out of sums, forward values reused, single uses folded in.

Every cotangent is linear in the cotangents it is made of, so each body is a sum of products with one cotangent
each; products are distributed only over sums that hold cotangents, never over the user's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import overload

from symgrad.declare.graph import groups, is_recurrent, needed
from symgrad.declare.integers import Index
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Condition, Node, Read, Reduce, Scalar, Stopped, free_indices, tensors_of, walk
from symgrad.declare.typical import typical_sizes
from symgrad.derive.adjoint import Adjoint
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace
from symgrad.simplify.cores import Cores
from symgrad.simplify.cost import cost
from symgrad.simplify.known import recognise, usable
from symgrad.simplify.sums import pulled
from symgrad.simplify.terms import expand, factor_out


def simplify_backward(adjoint: Adjoint, trace: Trace) -> Adjoint:
    """Rewrite the backward equations; gradients and cotangents keep their names."""
    return _Simplifier(adjoint, trace).run()


class _Simplifier:
    def __init__(self, adjoint: Adjoint, trace: Trace) -> None:
        self.adjoint, self.trace = adjoint, trace
        program = adjoint.program
        self.sizes = typical_sizes(program)
        self.forward = [e for e in program.equations if e.target not in adjoint.backward]
        self.backward = [e for e in program.equations if e.target in adjoint.backward]
        self.known = usable([replace(e, body=_unstop(e.body)) for e in self.forward])
        self.linear = set(adjoint.cotangents) | {e.target for e in self.backward}
        taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
        taken |= {a.name for a in program.attributes}
        self.recurrent = [e.target for g in groups(self.backward) if is_recurrent(g) for e in g if not _is_spread(e)]
        self.done: list[Equation] = []
        self.cores = Cores(taken, self.done, trace)

    def run(self) -> Adjoint:
        for equation in self.backward:
            self._one(equation)
        gradients = set(self.adjoint.gradients)
        everything = [*self.forward, *self.done]
        wanted = needed(everything, gradients | set(self.adjoint.program.outputs) | {e.target for e in self.forward})
        equations = self.cores.fold(list(wanted))
        made = tuple(e.target for e in equations if e not in self.forward)
        kept = (*self.forward, *(e for e in equations if e.target in made))
        program = replace(self.adjoint.program, equations=kept)
        return replace(self.adjoint, program=program, backward=made)

    def _one(self, equation: Equation) -> None:
        plain = recognise(_unstop(equation.body), self.known)
        best = pulled(plain, self.linear, self.forward)
        inlined = self._inline(plain)
        if inlined != plain:
            written_out = recognise(expand(inlined, self.linear), self.known)
            other = pulled(written_out, self.linear, self.forward)
            if self._cost(other) < self._cost(best):
                best = other
        body = factor_out(self.cores.name_in(best, equation))
        self.linear |= self.cores.names
        after = replace(equation, body=body)
        self.trace.record("reuse forward values, take invariant factors out of sums", equation, after)
        self.done.append(after)

    def _cost(self, body: Scalar) -> int:
        """Cost of the body with what it needs that nothing else has computed yet."""
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

    def _inline(self, body: Scalar) -> Scalar:
        """Write out the pointwise cotangents that the body reads."""
        alone = (e for e in self.done if e.target not in self.recurrent or _is_spread(e))
        by_name = {e.target: e for e in alone if _is_pointwise(e.body) and not e.integer}

        def change(node: Node) -> Node:
            node = map_children(node, change)
            if isinstance(node, Read) and node.tensor in by_name and node.extension is None:
                definition = by_name[node.tensor]
                if all(isinstance(p.atom, Index) for p in node.indices):
                    return rename(definition.body, dict(zip(definition.indices, node.indices, strict=True)))
            return node

        return changed(body, change)


def _is_spread(equation: Equation) -> bool:
    """Whether an equation only repeats an element along further indices."""
    return isinstance(equation.body, Read) and free_indices(equation.body) < set(equation.indices)


def _is_pointwise(body: Scalar) -> bool:
    return not any(isinstance(p, Reduce) for p in walk(body))


@overload
def _unstop(node: Scalar) -> Scalar: ...
@overload
def _unstop(node: Condition) -> Condition: ...
def _unstop(node: Node) -> Node:
    """After differentiation a stopped value is a value."""
    if isinstance(node, Stopped):
        return _unstop(node.value)
    return map_children(node, _unstop)
