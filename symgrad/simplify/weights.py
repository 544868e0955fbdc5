"""Exponentials with weights that have no gradient: where a weight is 0, so is the exponential.

``w exp(a)`` is ``w exp(a if w != 0 else -oo)``: what a mask leaves out has no part in the largest exponent, however
large it is. Weights with a gradient need the exponential itself there.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from math import inf

from symgrad.declare.algebra import apply, multiply, select
from symgrad.declare.conditions import relation
from symgrad.declare.program import Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import NOUGHT, Apply, Mul, Node, Number, Power, Read, Reduce, Scalar
from symgrad.derive.trace import Trace
from symgrad.simplify.shift import shifted_exponent
from symgrad.simplify.terms import factors_of

RULE = "w exp(a) = w exp(a where w != 0)"


def masked_by_weights(program: Program, trace: Trace) -> Program:
    """Leave out what constant weights of a sum of exponentials leave out, wherever these stand beside exponentials."""
    constants = {t.name for t in program.inputs if t.constant and not t.integer}
    weights = {w.tensor for e in program.equations if shifted_exponent(e) for w in _weights(_summed(e.body), constants)}
    if not weights:
        return program

    def change(node: Node) -> Node:
        node = map_children(node, change)
        return _masked(node, weights) if isinstance(node, Mul) else node

    equations = []
    for equation in program.equations:
        after = equation.with_body(changed(equation.body, change))
        trace.record(RULE, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _summed(body: Scalar) -> Scalar:
    return body.body if isinstance(body, Reduce) else body


def _weights(node: Scalar, constants: Set[str]) -> list[Read]:
    """The constant tensors among the factors, or whose powers are."""
    bases = (f.base if isinstance(f, Power) and _is_positive(f.exponent) else f for f in factors_of(node)[1])
    return [b for b in bases if isinstance(b, Read) and b.tensor in constants]


def _is_positive(exponent: Scalar) -> bool:
    return isinstance(exponent, Number) and exponent.value > 0


def _masked(node: Mul, names: Set[str]) -> Scalar:
    weights = _weights(node, names)
    factors = []
    for factor in node.args:
        match factor:
            case Apply("exp", (exponent,)):
                for weight in weights:
                    exponent = select(relation("!=", weight, NOUGHT), exponent, Number(-inf))
                factors.append(apply("exp", exponent))
            case _:
                factors.append(factor)
    return multiply(Number(node.coefficient), *factors)
