"""Forms that neither overflow nor cancel: named rules, each an identity over the reals.

Pointwise rules are a table in ``pointwise.py``, the largest exponent is taken out of sums over an index in ``shift.py``
roots are guarded where they are 0 in ``norms.py`` and maxima named in ``maxima.py``; here they are put in order.
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.algebra import apply, multiply
from symgrad.declare.program import Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Apply, Node, Number, Power, Read, Reduce, reads_of, walk
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace
from symgrad.simplify.maxima import name_maxima
from symgrad.simplify.norms import guard_norms
from symgrad.simplify.pointwise import rewrite
from symgrad.simplify.shift import shift, shifted_exponent


def stabilise(program: Program, trace: Trace) -> Program:
    """Apply every rule to every equation of a split program."""
    program = _log_of_named(program, trace)
    program = _pointwise(program, trace, shifting=False)
    program = shift(_to_base_e(program, trace), trace)
    program = guard_norms(_pointwise(program, trace, shifting=True), trace)
    return name_maxima(program, trace)


def _pointwise(program: Program, trace: Trace, shifting: bool) -> Program:
    equations = []
    for equation in program.equations:
        used: list[str] = []
        after = replace(equation, body=rewrite(equation.body, used, shift=shifting))
        for name in dict.fromkeys(used):
            trace.record(name, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _log_of_named(program: Program, trace: Trace) -> Program:
    """The logarithm of a named exponential or quotient of exponentials sees through the name."""
    pointwise = {e.target: e for e in program.equations if not any(isinstance(n, Reduce) for n in walk(e.body))}

    def change(node: Node) -> Node:
        node = map_children(node, change)
        match node:
            case Apply("log", (Read(tensor, indices, None),)) if tensor in pointwise:
                definition = pointwise[tensor]
                if any(isinstance(n, Apply) and n.function == "exp" for n in walk(definition.body)):
                    table = dict(zip(definition.indices, indices, strict=True))
                    return apply("log", rename(definition.body, table))
        return node

    equations = []
    for equation in program.equations:
        after = replace(equation, body=changed(equation.body, change))
        trace.record("write out the definition inside a logarithm", equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _to_base_e(program: Program, trace: Trace) -> Program:
    """Rewrite b^a = exp(a log(b)) wherever it lets the largest exponent be taken out of a sum."""

    def change(node: Node) -> Node:
        node = map_children(node, change)
        match node:
            case Power(Number(b), a) if b > 0 and reads_of(a):
                return apply("exp", multiply(apply("log", Number(b)), a))
        return node

    equations = tuple(replace(e, body=changed(e.body, change)) for e in program.equations)
    other = replace(program, equations=equations)
    summed = any(
        shifted_exponent(b) is None and shifted_exponent(a) is not None
        for b, a in zip(program.equations, equations, strict=True)
    )
    if not summed or shift(other, Trace()) is other:
        return program
    for before, after in zip(program.equations, equations, strict=True):
        trace.record("b^a = exp(a log(b))", before, after)
    return other
