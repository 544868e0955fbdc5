"""Exponentials that have an equation of their own are written out where they are used, wherever that tames them.

``e = exp(x); y = e / sum e`` overflows in e; the same in one equation does not.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace

from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Apply, Node, Number, Read, Reduce, Sloped, Stopped, reads_of, walk
from symgrad.derive.masks import masked
from symgrad.derive.terms import written_out
from symgrad.derive.trace import Trace
from symgrad.simplify.exponentials import FAR, grows

RULE = "write out a named exponential"


def see_through(program: Program, trace: Trace, stable: Callable[[Program], Program]) -> Program:
    """Write out named exponentials if fewer equations can overflow in the ``stable`` form of the program then."""
    while untamed := _untamed(stable(program)):
        better = (_without(program, name, untamed, stable) for name in sorted(untamed & _definitions(program)))
        found = next((b for b in better if b is not None), None)
        if found is None:
            break
        for before in program.equations:
            after = found.equation(before.target)
            if after is not None:
                trace.record(RULE, before, after)
        program = found
    return program


def _without(program: Program, name: str, untamed: Set[str], stable: Callable[[Program], Program]) -> Program | None:
    """The program with a definition written out, and those that read sums of it as far as needed; None if no better."""
    names = {name}
    while True:
        other = _written_out(program, names)
        left = _untamed(stable(other))
        if len(left) < len(untamed):
            return other
        more = {n for n in _definitions(program) - names if any(r.tensor in left for r in reads_of(_body(other, n)))}
        if not more:
            return None
        names |= more


def _body(program: Program, name: str) -> Node:
    equation = program.equation(name)
    assert equation is not None
    return equation.body


def _definitions(program: Program) -> set[str]:
    """The equations that can be written out where they are read."""
    recurrent = recurrent_axes(program.equations)
    return {
        e.target
        for e in program.equations
        if e.target not in recurrent
        and e.target not in program.outputs
        and not any(isinstance(n, Reduce) for n in walk(e.body))
    }


def _untamed(program: Program) -> set[str]:
    """The equations with an exponential that is large for some data."""
    return {e.target for e in program.equations if any(map(_is_untamed, walk(e.body)))}


def _is_untamed(node: Node) -> bool:
    if not (isinstance(node, Apply) and node.function in ("exp", "expm1", "cosh", "sinh")):
        return False
    match node.args[0]:
        case Apply("min", among) if any(isinstance(a, Number) and a.value <= FAR.value for a in among):
            return False
    return grows(node.args[0]) and not any(isinstance(n, Stopped | Sloped) for n in walk(node))


def _written_out(program: Program, names: Set[str]) -> Program:
    """The program without the definitions of these names; where a border is read too, the definition stays."""
    definitions = {e.target: e for e in program.equations if e.target in names}

    def change(node: Node) -> Node:
        match node:
            case Read(tensor, indices, None) if tensor in definitions:
                definition = definitions[tensor]
                inner = written_out(definition, indices)
                return changed(inner, change)
        node = map_children(node, change)
        return masked(node) if isinstance(node, Reduce) else node

    equations = tuple(e.with_body(changed(e.body, change)) for e in program.equations)
    read = {r.tensor for e in equations if e.target not in names for r in reads_of(e.body)}
    kept: tuple[Equation, ...] = tuple(e for e in equations if e.target not in names or e.target in read)
    return replace(program, equations=kept)
