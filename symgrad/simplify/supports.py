"""Cotangents that are 0 where a condition on integer data fails: so is what they are a factor of, whatever else is.

A row that a condition leaves out may hold anything. What is computed from it by other equations is asked nowhere, but
the product of its values with a cotangent of 0 would be no number where they are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from symgrad.declare.algebra import add, multiply, select
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import depends_on_data
from symgrad.declare.program import Equation
from symgrad.declare.scalars import (
    NOUGHT,
    UNIT,
    Add,
    Compare,
    Condition,
    Mul,
    Number,
    Read,
    Reduce,
    Scalar,
    Select,
    free_indices,
    reads_of,
    walk,
)
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace

RULE = "0 where the cotangent is left out"
Supports = Mapping[str, tuple[Equation, frozenset[Condition]]]


def left_out(backward: tuple[Equation, ...], trace: Trace) -> tuple[Equation, ...]:
    """The backward equations with products of values and such cotangents behind the cotangents' conditions."""
    linear = {e.target for e in backward}
    found: dict[str, tuple[Equation, frozenset[Condition]]] = {}
    made: dict[str, Equation] = {}
    for group in groups(backward):
        for equation in group:
            after = equation
            if not is_recurrent(group):
                after = equation.with_body(_chosen(equation.body, found, linear))
                trace.record(RULE, equation, after)
                kept = (c for c in _support(after.body, found) if free_indices(c) <= set(equation.indices))
                found[equation.target] = equation, frozenset(kept)
            made[equation.target] = after
    return tuple(made[e.target] for e in backward)


def _chosen(body: Scalar, found: Supports, linear: set[str]) -> Scalar:
    match body:
        case Add(args):
            return add(*(_chosen(a, found, linear) for a in args))
        case Mul(coefficient, factors) if not any(isinstance(p, Reduce) for p in walk(body)):
            beside = any(r.tensor not in linear and r.indices for f in factors for r in reads_of(f))
            own = frozenset(
                c for f in factors if isinstance(f, Select) and f.then == UNIT for c in conjuncts(f.condition)
            )
            where = _support(body, found) - own
            if beside and where:
                taken = (_taken(f, where) for f in factors)
                return select(all_of(*where), multiply(Number(coefficient), *taken), NOUGHT)
    return body


def _taken(factor: Scalar, where: frozenset[Condition]) -> Scalar:
    match factor:
        case Select(condition, then, otherwise) if otherwise == NOUGHT and where.issuperset(conjuncts(condition)):
            return then
    return factor


def _support(node: Scalar, found: Supports) -> frozenset[Condition]:
    """Conditions on integer data where any of which fails the value is 0."""
    match node:
        case Read(tensor, indices, None) if tensor in found:
            equation, where = found[tensor]
            table = dict(zip(equation.indices, indices, strict=True))
            return frozenset(rename(c, table) for c in where)
        case Select(condition, then, otherwise) if otherwise == NOUGHT:
            return _on_data(condition) | _support(then, found)
        case Mul(_, factors):
            return frozenset().union(*(_support(f, found) for f in factors))
        case Add(args):
            return reduce(frozenset.intersection, (_support(a, found) for a in args))
        case Reduce("sum", indices, condition, body, _):
            inner = _on_data(condition) | _support(body, found)
            return frozenset(c for c in inner if not free_indices(c) & set(indices))
    return frozenset()


def _on_data(condition: Condition) -> frozenset[Condition]:
    return frozenset(c for c in conjuncts(condition) if isinstance(c, Compare) and depends_on_data(c.poly))
