"""Products, extrema and shifted exponential sums over all positions up to another one (or from it on), as recurrences.

Each step has one element more. The adjoint of such a recurrence runs back over the same elements, so it needs no table
of pairs of positions, and zeros among the factors of a product need no division.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.algebra import add, apply, multiply, negate, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least, conjuncts
from symgrad.declare.integers import Poly, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    UNIT,
    Add,
    Apply,
    Extension,
    Mul,
    Number,
    Read,
    Reduce,
    Scalar,
    Stopped,
    free_indices,
    tensors_of,
)
from symgrad.derive.invert import guarded
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace
from symgrad.derive.triangles import Triangle, triangle

RULES = {
    "product": "prod_{j <= i} f(j) = f(i) prod_{j <= i - 1} f(j)",
    "max": "max_{j <= i} f(j) = max(f(i), max_{j <= i - 1} f(j))",
    "min": "min_{j <= i} f(j) = min(f(i), min_{j <= i - 1} f(j))",
    "sum": "S(i) = sum_{j <= i} exp(a(j) - m(i)) = exp(a(i) - m(i)) + exp(m(i - 1) - m(i)) S(i - 1)",
}
_IDENTITY = {"product": UNIT, "max": Number(float("-inf")), "min": Number(float("inf")), "sum": NOUGHT}


def running_forms(program: Program, trace: Trace) -> Program:
    """Give every reduction over a triangle that a step can go on from as an equation that reads itself."""
    recurrent = set(recurrent_axes(program.equations))
    maxima = {e.target: e for e in program.equations if isinstance(e.body, Reduce) and e.body.kind == "max"}
    equations = []
    for equation in program.equations:
        after = equation
        if equation.target not in recurrent and not set(tensors_of(equation.body)) & recurrent:
            found = _running(equation, maxima)
            after = equation.with_body(found.body()) if found is not None else equation
            if found is not None:
                trace.record(RULES[found.kind], equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


@dataclass(frozen=True, slots=True)
class _Running:
    """A reduction over a triangle: its element at ``j``, and what the value of the step before is multiplied by."""

    equation: Equation
    kind: str
    where: Triangle
    element: Scalar
    factor: Scalar = UNIT

    def body(self) -> Scalar:
        """The value at the outer index from the one a step before it."""
        j, i, ahead, offset = self.where.inner, self.where.outer, self.where.ahead, self.where.offset
        place = as_poly(i) + offset if ahead else as_poly(i) + j.extent - i.extent - offset
        passed = as_poly(i) if ahead else i.extent - 1 - as_poly(i)
        at = tuple(before(self.where) if k == i else as_poly(k) for k in self.equation.indices)
        state = Read(self.equation.target, at, Extension("guarded"))
        element = rename(self.element, {j: place})
        further = at_least(passed, 1 if not offset else -offset)
        if offset:
            return select(further, self._joined(guarded(element), state), _IDENTITY[self.kind])
        match self.kind:
            case "product":
                return multiply(element, select(further, state, UNIT))
            case "sum":
                return add(element, select(further, multiply(guarded(self.factor), state), NOUGHT))
        return select(further, self._joined(element, state), element)

    def _joined(self, element: Scalar, state: Scalar) -> Scalar:
        match self.kind:
            case "product":
                return multiply(element, state)
            case "sum":
                return add(element, multiply(guarded(self.factor), state))
        # The first argument wins a tie, and what stands first in the range is to win it.
        return apply(self.kind, *((state, element) if self.where.ahead else (element, state)))


def before(where: Triangle) -> Poly:
    """The outer index one step back."""
    return as_poly(where.outer) - 1 if where.ahead else as_poly(where.outer) + 1


def _running(equation: Equation, maxima: dict[str, Equation]) -> _Running | None:
    """The right side as a recurrence along an outer index; None where it is not over a triangle.

    What goes further than its outer index has several elements in its first step: it stays as it is. What further
    conditions leave out is the identity.
    """
    node = equation.body
    if not isinstance(node, Reduce) or node.kind not in RULES or len(node.indices) != 1 or node.ties == "split":
        return None
    (inner,), parts = node.indices, conjuncts(node.condition)
    for part in parts if inner in free_indices(node.body) else ():
        where = triangle(part, node.indices, equation.indices)
        if where is None or where.offset > 0 or not nonnegative(inner.extent - where.outer.extent - where.offset):
            continue
        rest = all_of(*(p for p in parts if p is not part))
        element = select(rest, node.body if rest == TRUE else guarded(node.body), _IDENTITY[node.kind])
        if node.kind == "sum":
            factor = _rescaling(element, where, maxima)
            if factor is not None:
                return _Running(equation, "sum", where, element, factor)
        elif where.outer not in free_indices(element):
            return _Running(equation, node.kind, where, element)
    return None


def _rescaling(element: Scalar, where: Triangle, maxima: dict[str, Equation]) -> Scalar | None:
    """``exp(m(i - 1) - m(i))`` for elements ``exp(a(j) - m(i)) f(j)`` with m the largest a so far; None for others."""
    factors = element.args if isinstance(element, Mul) else (element,)
    inside = [f for f in factors if where.outer in free_indices(f)]
    match inside:
        case [Apply("exp", (Add(terms),))]:
            late = [t for t in terms if where.outer in free_indices(t)]
        case _:
            return None
    match late:
        case [Mul(c, (Stopped(Read(name, _, None)),)) as shift] if c == -1 and name in maxima:
            largest = maxima[name].body
            same = isinstance(largest, Reduce) and largest.kind == "max" and len(largest.indices) == 1
            if same and where.inner not in free_indices(shift):
                return apply("exp", add(shift, negate(rename(shift, {where.outer: before(where)}))))
    return None
