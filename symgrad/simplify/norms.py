"""Quotients of a value by a norm of it, 0/0 where the norm is 0: the quotient counts as 0 there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symgrad.declare.algebra import multiply, select
from symgrad.declare.conditions import relation
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Index
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import NOUGHT, Add, Apply, Mul, Node, Number, Power, Read, Reduce, Scalar, reads_of
from symgrad.derive.flat import flat_tensors, is_flat
from symgrad.derive.terms import written_out
from symgrad.derive.trace import Trace
from symgrad.simplify.patterns import instance

RULE = "v/norm(v) = 0 where norm(v) = 0"


def guard_norms(program: Program, trace: Trace) -> Program:
    """Rewrite v / s^r, r > 0, as 0 where s is 0, for sums s of even powers or absolute values that take v with them."""
    flat = flat_tensors(program)
    if not flat:
        return program
    # A recurrence has no end that could be written out.
    definitions = {g[0].target: g[0] for g in groups(program.equations) if not is_recurrent(g)}

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if not isinstance(node, Mul):
            return node
        factors = list(node.args)
        for place, factor in enumerate(factors):
            match factor:
                case Power(base, exponent) if _is_negative(exponent) and is_flat(base, flat):
                    others = factors[:place] + factors[place + 1 :]
                    if all(any(_vanishes(o, zero, definitions) for o in others) for zero in _zeros(base, definitions)):
                        factors[place] = select(relation("!=", base, NOUGHT), factor, NOUGHT)
        return multiply(Number(node.coefficient), *factors)

    equations = []
    for equation in program.equations:
        after = equation.with_body(changed(equation.body, change))
        trace.record(RULE, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _is_negative(exponent: Scalar) -> bool:
    match exponent:
        case Number(value):
            return value < 0
        case Mul(c, _):
            return c < 0
    return False


Zeros = tuple[tuple[Scalar, frozenset[Index]], ...]
"""Expressions that are 0, for all values of some of their indices."""


def _zeros(node: Scalar, definitions: Mapping[str, Equation], bound: frozenset[Index] = frozenset()) -> list[Zeros]:
    """What is 0 where the node is: the ways in which that can be."""
    match node:
        case Read(tensor, indices, None) if tensor in definitions:
            return _zeros(written_out(definitions[tensor], indices), definitions, bound)
        case Reduce("sum" | "max", indices, _, body, _):
            return _zeros(body, definitions, bound | frozenset(indices))
        case Power(base, exponent) if not _is_negative(exponent):
            deeper = _zeros(base, definitions, bound)
            return [(*zeros, (base, bound)) for zeros in deeper] or [((base, bound),)]
        case Apply("abs", (u,)):
            return [((u, bound), (node, bound))]
        case Mul(_, factors):
            return [zeros for f in factors if reads_of(f) for zeros in _zeros(f, definitions, bound)]
        case Add(args):
            every = [zeros for a in args for zeros in _zeros(a, definitions, bound)]
            return [tuple(z for zeros in every for z in zeros)]
    return [((node, bound),)]


def _vanishes(node: Scalar, zeros: Zeros, definitions: Mapping[str, Equation]) -> bool:
    """Whether a value is 0 where all of these are."""
    if any(instance(zero, node, bound) is not None for zero, bound in zeros):
        return True
    match node:
        case Read(tensor, indices, None) if tensor in definitions:
            return _vanishes(written_out(definitions[tensor], indices), zeros, definitions)
        case Mul(_, factors):
            return any(_vanishes(f, zeros, definitions) for f in factors)
        case Add(args):
            return all(_vanishes(a, zeros, definitions) for a in args)
        case Reduce("sum", _, _, body, _) | Apply("abs" | "sign", (body,)):
            return _vanishes(body, zeros, definitions)
        case Power(base, Number(n)) if n > 0:
            return _vanishes(base, zeros, definitions)
    return False
