"""Shares of logistic functions: exponentials of ``-softplus(-u)``, whose largest exponent is taken out as any other.

``sigmoid(u) / sum sigmoid(u)`` is 0/0 where all of them underflow; the shares of their logarithms have values there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symgrad.declare.algebra import apply, multiply, negate
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Apply, Mul, Node, Number, Power, Read, Reduce, Scalar, reads_of, tensors_of, walk
from symgrad.derive.terms import written_out
from symgrad.derive.trace import Trace
from symgrad.simplify.shift import shift
from symgrad.simplify.terms import factors_of

RULE = "sigmoid(u) = exp(-softplus(-u))"


def shares_of_logistics(program: Program, trace: Trace) -> Program:
    """Write logistic functions as exponentials in sums below a line or in a logarithm, and beside those.

    The program stays as it is where no largest exponent could be taken out of such a sum.
    """
    steps = recurrent_axes(program.equations)
    definitions = {e.target: e for e in program.equations if e.target not in steps}
    sums = {n for n, e in definitions.items() if n not in program.outputs and _is_sum(e.body, definitions)}
    below = {n for e in definitions.values() for part in walk(e.body) if (n := _below(part)) in sums}
    if not below:
        return program
    users = {n for n, e in definitions.items() if any(_below(part) in below for part in walk(e.body))}
    beside = {r.tensor for n in users for r in reads_of(definitions[n].body)} & sums

    def written(node: Node) -> Node:
        match node:
            case Mul(c, factors) if any(_below(f) in below for f in factors):
                return multiply(Number(c), *(_as_exponential(f, definitions) for f in factors))
        return map_children(node, written)

    equations = tuple(
        e.with_body(_summed(e.body, definitions))
        if e.target in below | beside
        else e.with_body(changed(e.body, written))
        if e.target in users
        else e
        for e in program.equations
    )
    read = {t for e in equations for t in tensors_of(e.body)} | set(program.outputs)
    before = {t for e in program.equations for t in tensors_of(e.body)}
    kept = tuple(e for e in equations if e.target in read or e.target not in before)
    other = replace(program, equations=kept)
    if shift(other, Trace()) is other:
        return program
    for equation in kept:
        trace.record(RULE, program.equation(equation.target), equation)
    return other


def _is_sum(body: Scalar, definitions: Mapping[str, Equation]) -> bool:
    return isinstance(body, Reduce) and _summed(body, definitions) != body


def _summed(body: Scalar, definitions: Mapping[str, Equation]) -> Scalar:
    """The sum with the logistic functions among its factors as exponentials."""
    match body:
        case Reduce("sum", _, _, inner, _):
            coefficient, factors = factors_of(inner)
            return replace(
                body, body=multiply(Number(coefficient), *(_as_exponential(f, definitions) for f in factors))
            )
    return body


def _as_exponential(factor: Scalar, definitions: Mapping[str, Equation]) -> Scalar:
    """``exp(-n softplus(-u))`` for ``sigmoid(u)^n``, or for the name of a logistic function."""
    match factor:
        case Apply("sigmoid", (u,)):
            return apply("exp", negate(apply("softplus", negate(u))))
        case Power(Apply("sigmoid", (u,)), Number(n)) if n > 0:
            return apply("exp", multiply(Number(-n), apply("softplus", negate(u))))
        case Read(tensor, indices, None) if tensor in definitions:
            definition = definitions[tensor]
            if isinstance(definition.body, Apply) and definition.body.function == "sigmoid":
                here = written_out(definition, indices)
                return _as_exponential(here, definitions)
    return factor


def _below(node: Node) -> str:
    """The name of what stands below a line, or in a logarithm."""
    match node:
        case Power(Read(tensor, _, None), Number(n)) if n < 0:
            return tensor
        case Apply("log", (Read(tensor, _, None),)):
            return tensor
    return ""
