"""Forms that neither overflow nor cancel: named rules, each an identity over the reals.

Pointwise rules are a table in ``pointwise.py``. Of the others ``shift.py`` takes the largest exponent out of sums over
an index, ``infinite.py`` guards it where there is none, ``maxima.py`` names it, and ``weights.py``, ``logistics.py``,
``roots.py`` and ``through.py`` bring exponentials where it can be; ``norms.py`` guards quotients by norms of 0,
``variances.py`` writes moments as deviations, ``shares.py`` 1 less a share as a sum of the others, ``entropies.py``
makes 0 log(0) 0, ``groups.py`` reduces groups of equal integers, ``placed.py`` reads where data say. Here they are put
in order.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from symgrad.declare.algebra import apply, multiply
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    Add,
    Apply,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    contains,
    reads_of,
    walk,
)
from symgrad.derive.terms import written_out
from symgrad.derive.trace import Trace
from symgrad.simplify.entropies import guard_entropies
from symgrad.simplify.exponentials import at_most_nought
from symgrad.simplify.groups import through_groups
from symgrad.simplify.infinite import guard_maxima
from symgrad.simplify.logistics import shares_of_logistics
from symgrad.simplify.maxima import name_maxima
from symgrad.simplify.norms import guard_norms
from symgrad.simplify.placed import at_places
from symgrad.simplify.pointwise import rewrite
from symgrad.simplify.roots import roots_of_named
from symgrad.simplify.shares import logs_of_others
from symgrad.simplify.shift import shift, shifted_exponent
from symgrad.simplify.through import see_through
from symgrad.simplify.variances import as_deviations
from symgrad.simplify.weights import masked_by_weights


def stabilise(program: Program, trace: Trace) -> Program:
    """Apply every rule to every equation of a split program."""
    program = guard_entropies(logs_of_others(as_deviations(program, trace), trace), trace)
    return _stable(see_through(program, trace, lambda other: _stable(other, Trace())), trace)


def _stable(program: Program, trace: Trace) -> Program:
    own = frozenset(e.target for e in program.equations)
    program = roots_of_named(_log_of_named(program, trace), trace)
    program = _pointwise(program, trace, shifting=False)
    program = shares_of_logistics(_to_base_e(program, trace), trace)
    program = shift(masked_by_weights(program, trace), trace)
    program = guard_norms(_pointwise(program, trace, shifting=True), trace)
    program = name_maxima(through_groups(program, trace), trace)
    program = guard_maxima(program, frozenset(e.target for e in program.equations) - own, trace)
    return at_places(program, trace)


def _pointwise(program: Program, trace: Trace, shifting: bool) -> Program:
    equations = []
    for equation in program.equations:
        used: list[str] = []
        after = equation.with_body(rewrite(equation.body, used, shift=shifting))
        for name in dict.fromkeys(used):
            trace.record(name, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _log_of_named(program: Program, trace: Trace) -> Program:
    """The logarithm of a named exponential, or of what is made of one, sees through the names where that helps.

    Not through those in an exponent: it is taken out as it is. Nor through those that a largest exponent has been
    taken out of: they are at most 1.
    """
    maxima = _maxima(program)
    definitions = {n: e for n, e in _made_of_exponentials(program).items() if not _is_shifted(e.body, maxima)}

    def seen_through(node: Node, within: tuple[str, ...] = ()) -> Node:
        match node:
            case Apply("exp" | "sigmoid" | "tanh" | "erf" | "erfc"):
                return node
            case Read(tensor, indices, None) if tensor in definitions and tensor not in within:
                definition = definitions[tensor]
                inner = written_out(definition, indices)
                return seen_through(inner, (*within, tensor))
        return map_children(node, lambda child: seen_through(child, within))

    def change(node: Node) -> Node:
        if not contains(node, Apply):
            return node
        node = map_children(node, change)
        match node:
            case Apply("log", (u,)):
                written = apply("log", changed(u, seen_through))
                if written != node and not _is_unsafe(rewrite(written, [])):
                    return written
        return node

    equations = []
    for equation in program.equations:
        after = equation.with_body(changed(equation.body, change))
        trace.record("write out the definition inside a logarithm", equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _maxima(program: Program) -> frozenset[str]:
    """The equations of a maximum, or of one that is 0 where it is infinite."""
    found: frozenset[str] = frozenset()
    for equation in program.equations:
        match equation.body:
            case Reduce("max") | Apply("max"):
                found |= {equation.target}
            case Select(_, Read(tensor), Number(value)) if tensor in found and value == 0:
                found |= {equation.target}
    return found


def _is_shifted(body: Scalar, maxima: Set[str]) -> bool:
    """Whether a value is an exponential from whose exponent a maximum has been subtracted, constant as ours are."""
    match body:
        case Apply("exp", (Add(terms),)):
            return any(_subtracted(term) in maxima for term in terms)
    return False


def _subtracted(term: Scalar) -> str:
    match term:
        case Mul(c, (Stopped(Read(tensor)),)) if c == -1:
            return tensor
    return ""


def _made_of_exponentials(program: Program) -> dict[str, Equation]:
    """The equations without a reduction whose values are made of exponentials."""
    found: dict[str, Equation] = {}
    for equation in program.equations:
        if any(isinstance(n, Reduce) for n in walk(equation.body)):
            continue
        if _holds_exponential(equation.body) or any(r.tensor in found for r in reads_of(equation.body)):
            found[equation.target] = equation
    return found


def _holds_exponential(node: Node) -> bool:
    return any(isinstance(n, Apply) and n.function in ("exp", "sigmoid", "tanh", "erf", "erfc") for n in walk(node))


def _is_unsafe(node: Node) -> bool:
    """Whether a logarithm is left of what may underflow or lose its digits."""
    logarithms = (n for n in walk(node) if isinstance(n, Apply) and n.function in ("log", "log1p"))
    return any(
        isinstance(n, Apply)
        and n.function in ("exp", "sigmoid", "tanh", "erf", "erfc")
        and not at_most_nought(n.args[0])
        for logarithm in logarithms
        for n in walk(logarithm)
    )


def _to_base_e(program: Program, trace: Trace) -> Program:
    """Rewrite b^a = exp(a log(b)) wherever it lets the largest exponent be taken out of a sum."""

    def change(node: Node) -> Node:
        if not contains(node, Power):
            return node
        node = map_children(node, change)
        match node:
            case Power(Number(b), a) if b > 0 and reads_of(a):
                return apply("exp", multiply(apply("log", Number(b)), a))
        return node

    equations = tuple(e.with_body(changed(e.body, change)) for e in program.equations)
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
