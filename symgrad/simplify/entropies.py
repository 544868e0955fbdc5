"""Shares beside their own logarithms, as in an entropy: 0 log(0) counts as 0, and so does its slope.

A share is 0 to the end where its exponent is -oo, as a mask of logits says; its logarithm is -oo then, which times 0 is
no number. The limit is 0 for powers of logarithms, and for sums of those and of numbers; nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from symgrad.declare.algebra import multiply, select
from symgrad.declare.conditions import relation
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import NOUGHT, Add, Apply, Mul, Node, Number, Power, Read, Scalar, contains, reads_of, walk
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace
from symgrad.simplify.terms import factors_of

RULE = "p log(p) = 0 where p = exp(-oo)"


def guard_entropies(program: Program, trace: Trace) -> Program:
    """Put 0 for logarithms of a share, or its exponent, beside the share where the exponent is -oo."""
    steps = recurrent_axes(program.equations)
    definitions = {e.target: e for e in program.equations if e.target not in steps}

    def change(node: Node) -> Node:
        if not contains(node, Mul):
            return node
        node = map_children(node, change)
        return _guarded(node, definitions) if isinstance(node, Mul) else node

    equations = []
    for equation in program.equations:
        after = equation
        if equation.target in definitions:
            after = equation.with_body(changed(equation.body, change))
        trace.record(RULE, equation, after)
        equations.append(after)
    return program if tuple(equations) == program.equations else replace(program, equations=tuple(equations))


def _guarded(node: Mul, definitions: Mapping[str, Equation]) -> Scalar:
    factors = list(node.args)
    for share in node.args:
        exponent = _exponent(share, definitions)
        if exponent is None:
            continue
        for place, factor in enumerate(factors):
            if factor != share and _holds_logarithm(factor, share, exponent, definitions):
                factors[place] = select(relation("!=", exponent, Number(-inf)), factor, NOUGHT)
    return multiply(Number(node.coefficient), *factors)


def _exponent(node: Scalar, definitions: Mapping[str, Equation]) -> Scalar | None:
    """The exponent of what is an exponential of data, perhaps over something else, by name or written out."""
    match node:
        case Apply("exp", (a,)) if reads_of(a):
            return a
        case Read(tensor, indices, None) if tensor in definitions:
            definition = definitions[tensor]
            exponents = [_exponent(f, definitions) for f in factors_of(definition.body)[1]]
            found = [e for e in exponents if e is not None]
            if len(found) == 1:
                return rename(found[0], dict(zip(definition.indices, indices, strict=True)))
    return None


def _holds_logarithm(node: Scalar, share: Scalar, exponent: Scalar, definitions: Mapping[str, Equation]) -> bool:
    """Whether a factor is made of logarithms of the share, or is the named logarithm that the share is made of."""
    if node == exponent and isinstance(node, Read) and node.tensor in definitions:
        return True
    held = any(isinstance(part, Apply) and part.function == "log" and share in set(walk(part)) for part in walk(node))
    return held and _grows_slowly(node, share)


def _grows_slowly(node: Scalar, share: Scalar) -> bool:
    """Whether the share times a value goes to 0 with the share: powers and sums of its logarithms, and of itself."""
    if node == share or share not in set(walk(node)):
        return True
    match node:
        case Apply("log", (inner,)):
            return _is_algebraic(inner, share)
        case Add(args) | Mul(_, args):
            return all(_grows_slowly(a, share) for a in args)
        case Power(base, Number(n)) if n >= 0:
            return _grows_slowly(base, share)
    return False


def _is_algebraic(node: Scalar, share: Scalar) -> bool:
    """Whether a value is made of sums, products and powers of the share: its logarithm grows as that of the share."""
    if node == share or share not in set(walk(node)):
        return True
    match node:
        case Add(args) | Mul(_, args):
            return all(_is_algebraic(a, share) for a in args)
        case Power(base, Number()):
            return _is_algebraic(base, share)
    return False
