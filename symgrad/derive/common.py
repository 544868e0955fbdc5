"""Factors that every arm of a choice inside a sum has are written once, outside of the choice.

SymPy multiplies a product of choices under a sum out into one choice, each arm with all the factors.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from fractions import Fraction

from symgrad.declare.algebra import multiply, select
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Index
from symgrad.declare.program import Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    All,
    AnyOf,
    Compare,
    Condition,
    Mul,
    Node,
    Number,
    Reduce,
    Scalar,
    Select,
    contains,
    free_indices,
    reads_of,
)
from symgrad.derive.trace import Trace

RULE = "f a if c else f b = f (a if c else b)"


def factors_outside(program: Program, trace: Trace) -> Program:
    """Take common factors out of every choice between values of a summed index."""
    equations = []
    for equation in program.equations:
        after = equation.with_body(changed(equation.body, _in_sums))
        trace.record(RULE, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _in_sums(node: Node) -> Node:
    if not contains(node, Select):
        return node
    node = map_children(node, _in_sums)
    match node:
        case Reduce("sum", indices, _, body, _):
            return replace(node, body=_factored(body, set(indices)))
    return node


def _factored(body: Scalar, summed: Set[Index]) -> Scalar:
    match body:
        case Select(condition, then, otherwise) if _on_indices(condition) and free_indices(condition) & summed:
            arms = [_factors(_factored(arm, summed)) for arm in (then, otherwise)]
            common = [f for f in arms[0][1] if f in arms[1][1] and reads_of(f)]
            rest = (multiply(Number(c), *(f for f in factors if f not in common)) for c, factors in arms)
            left = select(condition, *rest) if common else body
            return multiply(*common, _product_of_choices(left))
        case Mul(coefficient, factors):
            return multiply(Number(coefficient), *(_factored(f, summed) for f in factors))
    return body


def _product_of_choices(node: Scalar) -> Scalar:
    """``p q if c and d else (p u if c else r (q if d else u))`` is ``(p if c else r) (q if d else u)``."""
    match node:
        case Select(both, then, Select(first, otherwise, neither)):
            coefficient, factors = _factors(neither)
            for inner in (f for f in factors if isinstance(f, Select)):
                if set(conjuncts(both)) != {*conjuncts(first), *conjuncts(inner.condition)}:
                    continue
                p, q = _without(then, inner.then), _without(otherwise, inner.otherwise)
                if p is not None and p == q:
                    r = multiply(Number(coefficient), *(f for f in factors if f is not inner))
                    return multiply(select(first, p, r), inner)
    return node


def _without(product: Scalar, part: Scalar) -> Scalar | None:
    """What is left of a product without some of its factors; None if it does not have them."""
    (coefficient, factors), (own, parts) = _factors(product), _factors(part)
    if own != 1 or not all(f in factors for f in parts):
        return None
    return multiply(Number(coefficient), *(f for f in factors if f not in parts))


def _factors(node: Scalar) -> tuple[Fraction | float, tuple[Scalar, ...]]:
    return (node.coefficient, node.args) if isinstance(node, Mul) else (Fraction(1), (node,))


def _on_indices(condition: Condition) -> bool:
    match condition:
        case Compare():
            return True
        case All(args) | AnyOf(args):
            return all(map(_on_indices, args))
    return False
