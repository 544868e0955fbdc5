"""Largest exponents that may be infinite: a row that is masked whole has none, and subtracting -inf would give nan.

Any number may be subtracted from all exponents: 0 is, where the largest is infinite, and exp(-inf - 0) is 0 as it has
to be.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, product
from math import inf, isinf

from symgrad.declare.algebra import apply, select
from symgrad.declare.bounds import nonnegative, positive
from symgrad.declare.conditions import conjuncts, negation, relation
from symgrad.declare.integers import ZERO, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Add,
    Apply,
    Compare,
    Condition,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    Truth,
    contains,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.derive.terms import rename, written_out
from symgrad.derive.trace import Trace
from symgrad.naming import base_of, fresh

RULE = "m = 0 where the largest exponent is infinite"
EMPTY = "log(0) = -oo"


def guard_maxima(program: Program, ours: frozenset[str], trace: Trace) -> Program:
    """Put 0 for every maximum of exponents that may be infinite, wherever it is subtracted.

    ``ours`` are the left sides that hold such maxima.
    """
    found = _Infinities(program)
    taken = program.names()
    shifts: dict[str, Equation] = {}
    for e in program.equations:
        if e.target in ours & found.names:
            name = fresh(f"shift_{base_of(e.target).removeprefix('max_')}", taken)
            taken.add(name)
            shifts[e.target] = Equation(name, e.indices, finite(Read(e.target, tuple(map(as_poly, e.indices)))))

    empty = {e.target for e in program.equations if isinstance(e.body, Reduce) and _shifts_of(e.body) & shifts.keys()}

    def change(node: Node) -> Node:
        if not contains(node, Stopped, Apply):
            return node
        match node:
            case Apply("log", (Read(tensor) as total,)) if tensor in empty:
                return select(relation("!=", total, NOUGHT), node, Number(-inf))
            case Apply("log", (Add() as total,)) if found.may_vanish(total):
                finite_terms = changed(total, change)
                return select(relation("!=", finite_terms, NOUGHT), apply("log", finite_terms), Number(-inf))
            case Stopped(Read(tensor, indices, extension)) if tensor in shifts:
                return Stopped(Read(shifts[tensor].target, indices, extension))
            case Stopped(Apply("max", _) as largest) if found.may_be(largest):
                return Stopped(finite(largest))
        return map_children(node, change)

    equations: list[Equation] = []
    for before in program.equations:
        after = replace(before, body=changed(before.body, change))
        trace.record(EMPTY if set(tensors_of(before.body)) & empty else RULE, before, after)
        equations.append(after)
        if before.target in shifts:
            trace.record(RULE, None, shifts[before.target])
            equations.append(shifts[before.target])
    return replace(program, equations=tuple(equations))


def _shifts_of(body: Scalar) -> set[str]:
    """The left sides that are subtracted as constants."""
    return {n.value.tensor for n in walk(body) if isinstance(n, Stopped) and isinstance(n.value, Read)}


def finite(value: Scalar) -> Scalar:
    """The value, 0 where it is infinite."""
    return select(relation("<", apply("abs", value), Number(inf)), value, NOUGHT)


class _Infinities:
    """What the declaration makes infinite somewhere, for finite inputs: by a number, or as the maximum of nothing.

    The logarithm of a constant input (a mask) counts; what overflows does not.
    """

    def __init__(self, program: Program) -> None:
        self.constants = frozenset(t.name for t in program.inputs if t.constant)
        self.definitions = {e.target: e for e in program.equations}
        self.names: frozenset[str] = frozenset()
        while True:
            more = frozenset(e.target for e in program.equations if self.may_be(e.body))
            if more == self.names:
                break
            self.names = more

    def may_be(self, node: Scalar) -> bool:
        """Whether a value may be infinite."""
        match node:
            case Number(value):
                return isinf(value)
            case Read(tensor, _, extension):
                return tensor in self.names or (extension is not None and isinf(extension.value))
            case Apply("log", (u,)) if (reads := reads_of(u)) and all(r.tensor in self.constants for r in reads):
                return True
            case Apply("max" | "min" | "abs" | "log" | "softplus" | "logcosh", args) | Add(args) | Mul(_, args):
                return any(map(self.may_be, args))
            case Reduce(kind, _, condition, body, _):
                some = kind in ("max", "min") and condition != TRUE
                return (some or self.may_be(body)) and not (kind == "max" and self._has_finite(node))
            case Select(_, then, otherwise):
                return self.may_be(then) or self.may_be(otherwise)
            case Power(base, _) | Stopped(base):
                return self.may_be(base)
        return False

    def may_vanish(self, total: Add) -> bool:
        """Whether a sum of exponentials may be 0: the largest of a few exponents is taken out, and all may be -oo."""
        named = (self.definitions[r.tensor].body for r in reads_of(total) if r.tensor in self.definitions)
        for part in chain.from_iterable(map(walk, (total, *named))):
            match part:
                case Stopped(Read(tensor)) if tensor in self.definitions:
                    largest = self.definitions[tensor].body
                case Stopped(Apply() as largest):
                    pass
                case _:
                    continue
            if isinstance(largest, Apply) and largest.function == "max":
                return all(map(self.may_be, largest.args))
        return False

    def _has_finite(self, node: Reduce) -> bool:
        """Whether something finite is among what a maximum is taken of, whatever the other indices are.

        Tried are the first and the last value of every index, and those of other indices with the same range.
        """
        others = free_indices(node)
        places = [[ZERO, i.extent - 1, *(as_poly(o) for o in others if o.extent == i.extent)] for i in node.indices]
        for chosen in product(*places):
            table = dict(zip(node.indices, chosen, strict=True))
            inside = all(map(_holds, conjuncts(rename(node.condition, table))))
            if inside and not self.may_be(self._resolved(rename(node.body, table))):
                return True
        return False

    def _resolved(self, node: Scalar, within: tuple[str, ...] = ()) -> Scalar:
        """The value with definitions written out, and choices made where it is known how."""
        match node:
            case Read(tensor, indices, None) if tensor in self.names and tensor not in within:
                definition = self.definitions[tensor]
                if not isinstance(definition.body, Reduce):
                    return self._resolved(written_out(definition, indices), (*within, tensor))
            case Select(condition, then, otherwise):
                if all(map(_holds, conjuncts(condition))):
                    return self._resolved(then, within)
                if any(_holds(negation(c)) for c in conjuncts(condition)):
                    return self._resolved(otherwise, within)
        return node


def _holds(condition: Condition) -> bool:
    """Whether a condition on indices is known to hold."""
    match condition:
        case Truth(value):
            return value
        case Compare(">=", poly):
            return nonnegative(poly)
        case Compare("==", poly):
            return poly == ZERO
        case Compare("!=", poly):
            return positive(poly) or positive(-poly)
    return False
