"""Nested reductions become named intermediates: afterwards every equation reduces once, over pointwise bodies."""

from __future__ import annotations

from dataclasses import replace
from typing import overload

from symgrad.declare.algebra import add, multiply, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, conjuncts, has_opposite, negation
from symgrad.declare.integers import Entry, Index, Poly, as_poly, depends_on_data, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.reads import places
from symgrad.declare.recurrence import NoOrderError, recurrent_axes, schedule
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import (
    NOUGHT,
    Add,
    Apply,
    Compare,
    Condition,
    Extension,
    FromInteger,
    Mul,
    Named,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.derive.common import factors_outside
from symgrad.derive.extensions import explicit_extensions
from symgrad.derive.masks import masked
from symgrad.derive.recurrence import prepare
from symgrad.derive.residues import by_quotient
from symgrad.derive.separable import Inner, along_one_axis, along_own_range, is_window_sum, own_axis
from symgrad.derive.states import range_where
from symgrad.derive.terms import alpha_form, rename, with_condition
from symgrad.derive.trace import Trace
from symgrad.naming import base_of, fresh


def split(program: Program, trace: Trace) -> Program:
    """Rewrite every equation into statements; equal reductions are shared."""
    program = factors_outside(replace(program, declared=program.equations), trace)
    program = explicit_extensions(prepare(program, trace), trace)
    known = len(trace.steps)
    try:
        return _statements(program, trace, ordered=False)
    except NoOrderError as error:
        # What is named reads the recurrence where the declaration does not: with its conditions it has an order.
        del trace.steps[known:]
        try:
            return _statements(program, trace, ordered=True)
        except NoOrderError:
            raise error from None


def _statements(program: Program, trace: Trace, ordered: bool) -> Program:
    """The program in statements.

    Raises:
        NoOrderError: a recurrence has no order of steps any more.
    """
    splitter = _Splitter(program, trace, ordered)
    for equation in program.equations:
        splitter.statement(equation)
    schedule(splitter.done)
    return replace(program, equations=tuple(splitter.done))


class _Splitter:
    """Splits the equations of one program.

    Args:
        program: the program.
        trace: takes what is done.
        ordered: whether what is named inside a recurrence keeps the conditions that it stands behind.
    """

    def __init__(self, program: Program, trace: Trace, ordered: bool) -> None:
        self.program, self.trace, self.ordered = program, trace, ordered
        self.done: list[Equation] = []
        self.shared: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.taken = program.names()
        self.fixed = {t.name for t in program.inputs if t.constant} | {a.name for a in program.attributes}
        self.recurrent = recurrent_axes(program.equations)

    def statement(self, equation: Equation) -> None:
        body = self._nested(self._top(equation.body, equation), equation)
        after = equation.with_body(body)
        self.trace.record("name inner reductions", equation, after)
        self.done.append(after)

    def _top(self, body: Scalar, equation: Equation) -> Scalar:
        """Reductions may stay where the body is linear in them."""
        match body:
            case Add(args):
                linear = all(not isinstance(a, Reduce) or a.kind == "sum" for a in args)
                if linear:
                    return add(*(self._top_term(a, equation) for a in args))
                return self._hoist(body, equation, ())
            case Reduce():
                return self._inside(body, equation, ())
        return self._top_term(body, equation)

    def _nested(self, body: Scalar, equation: Equation) -> Scalar:
        """A maximum or a sum over a window of several axes is one of others, one axis at a time.

        The first maximum in the order of the limits stays the first, if the last limit goes first; an even split of
        ties would not stay even. Of a sum the first limit goes first: its rows are added as they are stored.
        """
        match body:
            case Mul(coefficient, factors) if any(isinstance(f, Reduce) for f in factors):
                nested = (self._nested(f, equation) if isinstance(f, Reduce) else f for f in factors)
                return multiply(Number(coefficient), *nested)
            case Reduce("max" | "min", ties="first"):
                place = -1
            case Reduce("sum") if equation.target not in self.recurrent and is_window_sum(body):
                place = 0
            case _:
                return body
        while len(body.indices) > 1 and isinstance(body.body, Read):
            first, read = body.indices[place], body.body
            found = self._along(body, read, first, equation)
            if found is None:
                break
            axis, inner, condition = found
            name = fresh(f"{body.kind}_{first.name}_{base_of(equation.target)}", self.taken)
            self.taken.add(name)
            made = Equation(name, inner[0], inner[1])
            self.done.append(made)
            word = "sum of sums" if body.kind == "sum" else "maximum of maxima"
            self.trace.record(f"a {word.split()[0]} over two axes is a {word}", None, made)
            indices = tuple(as_poly(inner[2]) if p == axis else e for p, e in enumerate(read.indices))
            outer = Read(name, indices, read.extension)
            left = tuple(i for i in body.indices if i != first)
            body = Reduce(body.kind, left, condition, outer, body.ties)
        return body

    def _along(self, body: Reduce, read: Read, index: Index, equation: Equation) -> tuple[int, Inner, Condition] | None:
        """The reduction along the axis of one index: the axis, what is inside, the condition left for the outside."""
        axis = own_axis(read, index, body.condition)
        if axis is None:
            return None if body.kind == "sum" else along_own_range(body, read, index, equation)
        inner = along_one_axis(body, read, axis, index, self._extents(read.tensor), equation)
        return None if inner is None else (axis, inner, body.condition)

    def _extents(self, tensor: str) -> tuple[Poly, ...]:
        return self._made(tensor) or self.program.extents(tensor)

    def _made(self, tensor: str) -> tuple[Poly, ...]:
        """Extents of an intermediate."""
        found = next((e for e in self.done if e.target == tensor), None)
        return tuple(i.extent for i in found.indices) if found else ()

    def _top_term(self, term: Scalar, equation: Equation) -> Scalar:
        match term:
            case Select(condition, then, Reduce("sum") as node) if (
                then == NOUGHT and equation.target in self.recurrent and has_opposite(condition)
            ):
                return self._inside(with_condition(node, negation(condition)), equation, ())
            case Reduce("sum"):
                return self._inside(term, equation, ())
            case Mul(coefficient, factors):
                sums = [f for f in factors if isinstance(f, Reduce) and f.kind == "sum"]
                rest = [f for f in factors if not (isinstance(f, Reduce) and f.kind == "sum")]
                if len(sums) == 1 and all(self._is_constant(f) for f in rest):
                    return multiply(Number(coefficient), *rest, self._inside(sums[0], equation, ()))
        return self._hoist(term, equation, ())

    def _is_constant(self, node: Scalar) -> bool:
        return all(
            isinstance(part, Number | Named | FromInteger | Mul | Add | Apply | Power)
            or (isinstance(part, Read) and part.tensor in self.fixed)
            for part in walk(node)
        )

    def _inside(self, node: Reduce, equation: Equation, behind: tuple[Condition, ...]) -> Reduce:
        """Hoist what is nested in a reduction's body; a sum of a sum is one sum."""
        node = masked(node)
        inner = node.body
        if isinstance(inner, Reduce) and node.kind == inner.kind and node.kind in ("sum", "product"):
            indices = node.indices + inner.indices
            merged = Reduce(node.kind, indices, all_of(node.condition, inner.condition), inner.body, node.ties)
            return self._inside(merged, equation, behind)
        placed = by_quotient(node, equation.indices, self._extents, self.taken)
        if placed != node:
            return self._inside(placed, equation, behind)
        body = self._hoist(inner, equation, (*behind, *conjuncts(node.condition)))
        return Reduce(node.kind, node.indices, node.condition, body, node.ties)

    @overload
    def _hoist(self, node: Scalar, equation: Equation, behind: tuple[Condition, ...]) -> Scalar: ...
    @overload
    def _hoist(self, node: Condition, equation: Equation, behind: tuple[Condition, ...]) -> Condition: ...
    def _hoist(self, node: Node, equation: Equation, behind: tuple[Condition, ...]) -> Node:
        """Replace every reduction inside by a read of a named intermediate."""
        match node:
            case Reduce():
                return self._named(self._inside(node, equation, behind), equation, behind)
            case Select(condition, then, otherwise):
                return select(
                    self._hoist(condition, equation, behind),
                    self._hoist(then, equation, (*behind, *conjuncts(condition))),
                    self._hoist(otherwise, equation, (*behind, *conjuncts(negation(condition)))),
                )
        return map_children(node, lambda child: self._hoist(child, equation, behind))

    def _named(self, node: Reduce, equation: Equation, behind: tuple[Condition, ...]) -> Scalar:
        node, behind, outside = self._narrowed(node, equation, behind)
        free = free_indices(node)
        steps: tuple[Index, ...] = ()
        if self._in_steps(node):
            # What is named belongs to its step, even if all steps have the same: it is not known before the first.
            own = {i.name: i for i in outside}
            along = (equation.indices[axis] for axis in self.recurrent.get(equation.target, ()))
            steps = tuple(i for i in (own.get(index.name, index) for index in along) if i not in free)
        guards = [c for c in behind if isinstance(c, Compare) and _over(c, free.union(steps))]
        if guards and (self._in_steps(node) or _has_guarded_reads(self.program, node, self.done)):
            node = with_condition(node, all_of(*guards))
        key, order = alpha_form(node)
        steps = tuple(i for i in steps if i not in order)
        order = (*steps, *order)
        key += "".join(f", at {i.extent}" for i in steps)
        integer = node.kind in ("argmax", "argmin")
        if key not in self.shared:
            wanted = _stored_order(node, order) or _order_like(order, equation)
            name = fresh(_name(node, equation.target), self.taken)
            self.taken.add(name)
            made = Equation(name, wanted, node, integer)
            self.done.append(made)
            self.trace.record("name inner reductions", None, made)
            self.shared[key] = (name, tuple(order.index(i) for i in wanted))
        name, positions = self.shared[key]
        indices = tuple(outside.get(order[p], as_poly(order[p])) for p in positions)
        if integer:
            return FromInteger(as_poly(Entry(name, indices, bool(outside))))
        return Read(name, indices, Extension("guarded") if outside else None)

    def _in_steps(self, node: Reduce) -> bool:
        """Whether what is named has to stay inside the recurrence that it reads."""
        return self.ordered and not self.recurrent.keys().isdisjoint(tensors_of(node))

    def _narrowed(
        self, node: Reduce, equation: Equation, behind: tuple[Condition, ...]
    ) -> tuple[Reduce, tuple[Condition, ...], dict[Index, Poly]]:
        """Inside a recurrence: only the steps at which the conditions hold, and what their indices are outside."""
        outside: dict[Index, Poly] = {}
        needed = set(tensors_of(node)) & set(self.recurrent) or _has_guarded_reads(self.program, node, self.done)
        for axis in self.recurrent.get(equation.target, ()) if needed else ():
            index = equation.indices[axis]
            used = self._in_steps(node) or index in free_indices(node)
            found = range_where(index, behind) if used else None
            if found is not None:
                own = Index(index.name, found[1])
                table = {index: as_poly(own) + found[0]}
                node = Reduce(
                    node.kind,
                    node.indices,
                    rename(node.condition, table),
                    rename(node.body, table),
                    node.ties,
                )
                behind = tuple(rename(c, table) for c in behind)
                outside[own] = as_poly(index) - found[0]
        return node, behind, outside


def _over(condition: Compare, free: frozenset[Index]) -> bool:
    return indices_of(condition.poly) <= free and not depends_on_data(condition.poly)


def _has_guarded_reads(program: Program, node: Reduce, done: list[Equation]) -> bool:
    """Whether some plain read could leave its tensor without the conditions around it."""
    whole = replace(program, equations=tuple(done) + program.equations)
    for tensor, indices, _ in places(node):
        for index, extent in zip(indices, whole.extents(tensor), strict=True):
            if not (nonnegative(index) and nonnegative(extent - 1 - index)):
                return True
    return False


def _stored_order(node: Reduce, order: tuple[Index, ...]) -> tuple[Index, ...] | None:
    """Axes in the order in which one tensor has them all: the intermediate is then stored as that tensor is."""
    for read in reads_of(node.body):
        axes = [next((i for i in indices_of(p) if i in order), None) for p in read.indices]
        found = tuple(i for i in axes if i is not None)
        if len(found) == len(order) and set(found) == set(order):
            return found
    return None


def _order_like(order: tuple[Index, ...], equation: Equation) -> tuple[Index, ...]:
    """Axes of an intermediate follow the left side, then first appearance."""
    names = [i.name for i in equation.indices]
    lead = sorted((i for i in order if i.name in names), key=lambda i: names.index(i.name))
    return tuple(lead + [i for i in order if i not in lead])


_PREFIX = {"sum": "sum", "max": "max", "min": "min", "product": "prod", "argmax": "argmax", "argmin": "argmin"}


def _name(node: Reduce, target: str) -> str:
    """A name that says what is reduced: ``sum_exp``, ``max_x``."""
    match node.body:
        case Read(tensor):
            what = tensor
        case Apply(function):
            what = function
        case Mul(_, factors):
            what = next((f.function for f in factors if isinstance(f, Apply)), target)
        case _:
            what = target
    return f"{_PREFIX[node.kind]}_{what}"
