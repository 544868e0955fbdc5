"""Reductions inside an index or a limit, and positions in a comparison: each gets an equation of its own.

``y[i] = x[i, ArgMax(s[i, k], k)]`` is read as ``argmax_s[i] = ArgMax(s[i, k], k)`` and ``y[i] = x[i, argmax_s[i]]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import sympy
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.tensor.indexed import Idx, Indexed, IndexedBase

from symgrad.declare import notation
from symgrad.declare.scope import bound_twice, label, printed
from symgrad.declare.survey import left, nodes_of, used_in_indices
from symgrad.errors import About, DeclarationError
from symgrad.naming import fresh

REDUCTIONS = (sympy.Sum, sympy.Product, notation.Reduction)
POSITIONS = (notation.ArgMax, notation.ArgMin)
PREFIXES = {sympy.Sum: "sum", sympy.Product: "product", notation.ReduceMax: "max", notation.ReduceMin: "min"}

Limit: TypeAlias = tuple[Any, ...]
"""``(index,)`` or ``(index, first, last)``."""


@dataclass(frozen=True)
class _Place:
    """Where a node stands: the indices in scope, the conditions that hold there, and what has to leave."""

    limits: tuple[Limit, ...]
    conditions: tuple[Any, ...] = ()
    leaving: tuple[type, ...] = ()

    def names(self, node: Any) -> frozenset[str]:
        """The names of the indices in scope that the node depends on."""
        used = {label(a) for a in node.atoms(sympy.Symbol, Idx)}
        return frozenset(label(limit[0]) for limit in self.limits if label(limit[0]) in used)


def without_inner_reductions(layer: str, equations: Sequence[Any], known: Iterable[Any]) -> tuple[Any, ...]:
    """The equations, each reduction that stands where an integer is wanted in an equation of its own before them.

    Args:
        layer: its name, for messages.
        equations: ``Eq(y[i], ...)`` as declared.
        known: inputs and attributes; no new tensor takes a name that occurs in them.

    Raises:
        DeclarationError: a reduction binds an index that is in scope around it.
    """
    return tuple(_Hoisting(layer, equations, known).equations())


class _Hoisting:
    """One declaration; equal reductions under equal conditions share an equation."""

    def __init__(self, layer: str, equations: Sequence[Any], known: Iterable[Any]) -> None:
        self.given = equations
        self.where = layer
        self.integers = used_in_indices(equations)
        written = [*equations, *(k for k in known if isinstance(k, sympy.Basic))]
        self.taken = {s.name for e in written for s in nodes_of(e) if isinstance(s, sympy.Symbol)}
        self.made: dict[Any, Any] = {}
        self.found: list[Any] = []

    def equations(self) -> list[Any]:
        layer = self.where
        for equation in self.given:
            target, indices = left(equation)
            self.where = f"{layer}, equation of {target}"
            place = _Place(tuple(_own_limit(i) for i in indices))
            rhs = equation.rhs
            if target in self.integers and not isinstance(rhs, REDUCTIONS):
                place = replace(place, leaving=REDUCTIONS)
            changed = self.visit(rhs, place)
            self.found.append(equation if changed == rhs else sympy.Eq(equation.lhs, changed, evaluate=False))
        return self.found

    def visit(self, node: Any, place: _Place) -> Any:
        """The node with what must leave replaced by reads of new tensors."""
        match node:
            case Idx() | IndexedBase() | sympy.Symbol() | sympy.Number():
                return node
            case Indexed() | sympy.KroneckerDelta() | Relational():
                inner = replace(place, leaving=REDUCTIONS if isinstance(node, Indexed) else POSITIONS)
                return _rebuilt(node, [self.visit(a, inner) for a in node.args])
            case sympy.Piecewise():
                return _rebuilt(node, self._arms(node, place))
            case _ if isinstance(node, REDUCTIONS):
                reduced = self._reduction(node, place)
                return self._read(reduced, place) if isinstance(node, place.leaving) else reduced
        if not getattr(node, "args", ()):
            return node
        return _rebuilt(node, [self.visit(a, place) for a in node.args])

    def _arms(self, node: Any, place: _Place) -> list[Any]:
        """Every arm under its condition, and under the earlier ones not holding."""
        arms = []
        for value, condition in (arm.args for arm in node.args):
            test = condition if condition in (sympy.true, sympy.false) else self.visit(condition, place)
            inner = place if test == sympy.true else replace(place, conditions=(*place.conditions, test))
            arms.append(ExprCondPair(self.visit(value, inner), test))
            if test != sympy.true:
                place = replace(place, conditions=(*place.conditions, sympy.Not(test)))
        return arms

    def _reduction(self, node: Any, place: _Place) -> Any:
        """Limits from the last, which is the outermost, to the first; then what is reduced."""
        limits = []
        for limit in reversed(node.limits):
            if any(label(limit[0]) == label(around[0]) for around in place.limits):
                # In the equation of its own it would not be clear which one was declared.
                about = About(parts=(limit[0],))
                raise DeclarationError(f"{self.where}: {bound_twice(label(limit[0]), limit)}", about)
            ends = replace(place, leaving=REDUCTIONS)
            limits.append(sympy.Tuple(limit[0], *(self.visit(e, ends) for e in limit[1:])))
            place = replace(place, limits=(*place.limits, tuple(limits[-1])))
        inner = self.visit(node.function, replace(place, leaving=()))
        rest = node.args[1 + len(limits) :]
        return _rebuilt(node, [inner, *reversed(limits), *rest])

    def _read(self, node: Any, place: _Place) -> Any:
        """A read of the tensor that holds the reduction."""
        names = place.names(node)
        axes = [limit for limit in place.limits if label(limit[0]) in names]
        # What an arm's condition keeps in bounds stays in bounds in the equation of its own.
        held = [c for c in place.conditions if place.names(c) and place.names(c) <= names]
        function, *rest = node.args
        body = node.func(sympy.Piecewise((function, sympy.And(*held)), (0, True)), *rest) if held else node
        shifts = [_first(axis, place) for axis in axes]
        indices = [_axis(axis, shift, place) for axis, shift in zip(axes, shifts, strict=True)]
        moved = {axis[0]: i + s for axis, i, s in zip(axes, indices, shifts, strict=True) if axis[0] != i or s != 0}
        body = body.xreplace(moved)
        key = (body, tuple(indices))
        if key not in self.made:
            name = fresh(_name(node), self.taken)
            self.taken.add(name)
            self.made[key] = IndexedBase(name) if indices else sympy.Symbol(name)
            target = self.made[key][tuple(indices)] if indices else self.made[key]
            self.found.append(sympy.Eq(target, body, evaluate=False))
        tensor = self.made[key]
        return tensor[tuple(a[0] - s for a, s in zip(axes, shifts, strict=True))] if indices else tensor


def _rebuilt(node: Any, args: Sequence[Any]) -> Any:
    """The node itself where nothing changed: SymPy evaluates what it builds."""
    return node if tuple(args) == tuple(node.args) else node.func(*args)


def _own_limit(index: Any) -> Limit:
    """The limit that an index of a left side stands for."""
    if isinstance(index, Idx) and index.upper is not None:
        return (index, index.lower, index.upper)
    return (index,)


def _first(axis: Limit, place: _Place) -> Any:
    """The first value of an index, or 0 where it depends on other indices: then the reads tell the range."""
    return axis[1] if len(axis) == 3 and not place.names(axis[1]) and not axis[1].atoms(Indexed) else sympy.S.Zero


def _axis(axis: Limit, first: Any, place: _Place) -> Any:
    """The index of a left side that runs over the same values, less the first."""
    index = axis[0]
    if len(axis) == 3 and not any(place.names(e) or e.atoms(Indexed) for e in axis[1:]):
        return index if _own_limit(index) == (index, 0, axis[2]) else Idx(label(index), axis[2] - first + 1)
    return index if _own_limit(index) == (index,) else Idx(label(index))


def _name(node: Any) -> str:
    """``argmax_s`` for an ``ArgMax`` that reads one tensor s, else after its first index."""
    tensors = sorted({printed(r.base.label) for r in node.function.atoms(Indexed)})
    about = tensors[0] if len(tensors) == 1 else label(node.limits[0][0])
    return f"{PREFIXES.get(type(node), type(node).__name__.lower())}_{about}"
