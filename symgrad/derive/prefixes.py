"""Products over all positions up to another one (or from it on) as recurrences, each step one factor more.

The adjoint of such a recurrence runs back over the same factors, so zeros among them need no division and no table of
pairs of positions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.algebra import multiply, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least, conjuncts
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import TRUE, UNIT, Extension, Node, Read, Reduce, Scalar, free_indices, tensors_of
from symgrad.derive.invert import guarded
from symgrad.derive.terms import all_indices, alpha_form, rename
from symgrad.derive.trace import Trace
from symgrad.derive.triangles import Triangle, triangle
from symgrad.naming import base_of, fresh

RULE = "prod_{j <= i} f(j) = f(i) prod_{j <= i - 1} f(j)"


def running_products(program: Program, trace: Trace) -> Program:
    """Give every product over a triangle an equation that reads itself one step before."""
    return replace(program, equations=tuple(_Products(program, trace).all()))


class _Products:
    def __init__(self, program: Program, trace: Trace) -> None:
        self.program, self.trace = program, trace
        self.taken = program.names()
        self.recurrent = set(recurrent_axes(program.equations))
        self.shared: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.done: list[Equation] = []

    def all(self) -> list[Equation]:
        for equation in self.program.equations:
            found = None if equation.target in self.recurrent else _running(equation.body, equation.indices)
            if found is not None:
                after = replace(equation, body=found.step(equation.target, equation.indices))
            else:
                after = replace(equation, body=changed(equation.body, lambda n, e=equation: self._named(n, e)))
            self.trace.record(RULE, equation, after)
            self.done.append(after)
        return self.done

    def _named(self, node: Node, equation: Equation) -> Node:
        """A product inside an expression as a read of an equation of its own."""
        node = map_children(node, lambda part: self._named(part, equation))
        if not isinstance(node, Reduce) or node.kind != "product" or set(tensors_of(node)) & self.recurrent:
            return node
        key, order = alpha_form(node)
        if key not in self.shared:
            names = [i.name for i in equation.indices]
            wanted = sorted(order, key=lambda i: names.index(i.name) if i.name in names else len(names))
            found = _running(node, tuple(wanted))
            if found is None:
                return node
            name = fresh(f"prod_{_subject(node) or base_of(equation.target)}", self.taken)
            self.taken.add(name)
            made = Equation(name, tuple(wanted), found.step(name, tuple(wanted)))
            self.trace.record(RULE, None, made)
            self.done.append(made)
            self.shared[key] = name, tuple(order.index(i) for i in wanted)
        name, places = self.shared[key]
        return Read(name, tuple(as_poly(order[p]) for p in places))


def _subject(node: Reduce) -> str:
    return node.body.tensor if isinstance(node.body, Read) else ""


@dataclass(frozen=True, slots=True)
class _Running:
    """A product over a triangle, and its factors."""

    where: Triangle
    factor: Scalar

    def step(self, name: str, indices: tuple[Index, ...]) -> Scalar:
        """The product at its outer index from the one a step before it."""
        j, i, ahead, offset = self.where.inner, self.where.outer, self.where.ahead, self.where.offset
        place = as_poly(i) + offset if ahead else as_poly(i) + j.extent - i.extent - offset
        passed = as_poly(i) if ahead else i.extent - 1 - as_poly(i)
        before = as_poly(i) - 1 if ahead else as_poly(i) + 1
        state = Read(name, tuple(before if k == i else as_poly(k) for k in indices), Extension("guarded"))
        factor = rename(self.factor, {j: place})
        if not offset:
            return multiply(factor, select(at_least(passed, 1), state, UNIT))
        return select(at_least(passed, -offset), multiply(guarded(factor), state), UNIT)


def _running(node: Scalar, free: tuple[Index, ...]) -> _Running | None:
    """The product as a recurrence along its outer index; None where it is not over a triangle.

    A product that goes further than its outer index has several factors in its first step: it stays as it is. What
    further conditions leave out is a factor of 1.
    """
    if not isinstance(node, Reduce) or node.kind != "product" or len(node.indices) != 1:
        return None
    (inner,), parts = node.indices, conjuncts(node.condition)
    if inner not in free_indices(node.body) or all_indices(node.body) - free_indices(node.body):
        return None
    for part in parts:
        found = triangle(part, node.indices, free)
        if found is None or found.offset > 0 or not nonnegative(inner.extent - found.outer.extent - found.offset):
            continue
        rest = all_of(*(p for p in parts if p is not part))
        factor = select(rest, node.body if rest == TRUE else guarded(node.body), UNIT)
        if found.outer not in free_indices(factor):
            return _Running(found, factor)
    return None
