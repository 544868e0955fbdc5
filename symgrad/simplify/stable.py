"""Forms that neither overflow nor cancel: named rules, each an identity over the reals.

Pointwise rules are a table in ``pointwise.py``; the one rule about reductions subtracts the largest exponent from every
exponential in a sum, which changes nothing because it cancels where the sum is used.
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.algebra import add, apply, multiply, negate, subtract
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import Atom, Index, Poly, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    Add,
    Apply,
    Mul,
    Node,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    free_indices,
    reads_of,
    walk,
)
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import alpha_form, rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.pointwise import rewrite


def stabilise(program: Program, trace: Trace) -> Program:
    """Apply every rule to every equation of a split program."""
    program = _log_of_named(program, trace)
    program = _log_of_sums(program, trace)
    program = _pointwise(program, trace)
    program = _shift(program, trace)
    return _pointwise(program, trace)


def _pointwise(program: Program, trace: Trace) -> Program:
    equations = []
    for equation in program.equations:
        used: list[str] = []
        after = replace(equation, body=rewrite(equation.body, used))
        for name in dict.fromkeys(used):
            trace.record(name, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


# --- across equations --------------------------------------------------------------------------------------------


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


LOG_OF_SUM = "log(exp(u) + exp(v)) = m + log(exp(u - m) + exp(v - m)), m = max(u, v)"


def _log_of_sums(program: Program, trace: Trace) -> Program:
    """The largest of several exponents is subtracted from each, under a name; it is constant for differentiation."""
    taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
    taken |= {a.name for a in program.attributes}
    equations: list[Equation] = []
    for equation in program.equations:
        found = [e for e in map(_exponents, walk(equation.body)) if e is not None]
        after = equation
        if found and not any(isinstance(p, Select | Reduce) for p in walk(equation.body)):
            for exponents in dict.fromkeys(found):
                name = fresh(f"max_{_subject(exponents[0])}", taken)
                taken.add(name)
                largest = apply("max", *exponents)
                axes = tuple(i for i in equation.indices if i in free_indices(largest))
                made = Equation(name, axes, largest)
                trace.record(LOG_OF_SUM, None, made)
                equations.append(made)
                m = Stopped(Read(name, tuple(map(as_poly, axes))))
                parts: list[Scalar] = []
                for exponent in exponents:
                    part = fresh(f"exp_{_subject(exponent)}", taken)
                    taken.add(part)
                    shifted = Equation(part, axes, apply("exp", subtract(exponent, m)))
                    trace.record(LOG_OF_SUM, None, shifted)
                    equations.append(shifted)
                    parts.append(Read(part, tuple(map(as_poly, axes))))
                after = replace(after, body=_subtracted(after.body, exponents, add(m, apply("log", add(*parts)))))
            trace.record(LOG_OF_SUM, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _exponents(node: Node) -> tuple[Scalar, ...] | None:
    """The u and v, if a node is the logarithm of exp(u) + exp(v)."""
    match node:
        case Apply("log", (Add(args),)):
            found = [a.args[0] for a in args if isinstance(a, Apply) and a.function == "exp" and reads_of(a)]
            return tuple(found) if len(found) == len(args) else None
    return None


def _subtracted(body: Scalar, exponents: tuple[Scalar, ...], shifted: Scalar) -> Scalar:
    def change(node: Node) -> Node:
        return shifted if _exponents(node) == exponents else map_children(node, change)

    return changed(body, change)


def _shift(program: Program, trace: Trace) -> Program:
    """Rewrite sum exp(a) v = exp(m) sum exp(a - m) v, m = max a, in every sum with the same a, where exp(m) cancels."""
    done: set[str] = set()
    while members := _next_group(program, done):
        done |= {equation.target for equation, _ in members}
        program = _shift_group(program, members, trace)
    return program


def _next_group(program: Program, done: set[str]) -> list[tuple[Equation, Scalar]]:
    """The next sums with the same exponent, as they are now: shifting those before may have changed theirs."""
    found: list[tuple[Equation, Scalar]] = []
    wanted = ""
    for equation in program.equations:
        exponent = _exponent(equation)
        if exponent is None or equation.target in done or equation.target in program.outputs:
            continue
        key, _ = alpha_form(_extremum(equation, exponent))
        if not found or key == wanted:
            wanted = key
            found.append((equation, exponent))
    return found


def _exponent(equation: Equation) -> Scalar | None:
    """The a, if the equation is ``sum exp(a) * v``."""
    match equation.body:
        case Reduce("sum", _, _, body, _):
            factors = body.args if isinstance(body, Mul) else (body,)
            found = [f.args[0] for f in factors if isinstance(f, Apply) and f.function == "exp"]
            if len(found) == 1:
                return found[0]
    return None


def _shift_group(program: Program, members: list[tuple[Equation, Scalar]], trace: Trace) -> Program:
    taken = program.names()
    first, exponent = members[0]
    name = fresh(f"max_{_subject(exponent)}", taken)
    maximum = _extremum(first, exponent)
    free = tuple(i for i in first.indices if i in free_indices(maximum))
    largest = Equation(name, free, _extremum(first, exponent, "none"))
    shifted: dict[str, Equation] = {}
    for equation, a in members:
        m = Stopped(Read(name, _correspond(maximum, _extremum(equation, a), free)))
        body = equation.body
        assert isinstance(body, Reduce)
        smaller = multiply(body.body, apply("exp", negate(m)))
        shifted[equation.target] = replace(equation, body=replace(body, body=smaller))
    equations: list[Equation] = []
    for equation in program.equations:
        if equation.target in shifted:
            if equation.target == first.target:
                equations.append(largest)
            equations.append(shifted[equation.target])
            continue
        after = replace(equation, body=_unscale(equation.body, shifted, free, name))
        used: list[str] = []
        after = replace(after, body=rewrite(after.body, used))
        if not _cancelled(after.body, name):
            return program
        equations.append(after)
    for equation, _ in members:
        trace.record("sum exp(a) = exp(m) sum exp(a - m), m = max a", equation, shifted[equation.target])
    for before, after in zip(program.equations, (e for e in equations if e.target != name), strict=True):
        if before.target not in shifted:
            trace.record("exp(m) cancels", before, after)
    return replace(program, equations=tuple(equations))


def _subject(exponent: Scalar) -> str:
    reads = reads_of(exponent)
    return reads[0].tensor if len(reads) == 1 else "exponent"


def _extremum(equation: Equation, exponent: Scalar, ties: str = "first") -> Scalar:
    """The largest exponent in a sum of exponentials: the exponent itself where they are all the same.

    Conditions that exclude all exponents or none are left out: they would make a maximum of nothing.
    """
    node = equation.body
    assert isinstance(node, Reduce)
    varied = free_indices(exponent) & set(node.indices)
    where = [c for c in conjuncts(node.condition) if free_indices(c) & varied]
    beside = {i for c in where for i in free_indices(c)}
    indices = tuple(i for i in node.indices if i in varied | beside)
    return Reduce("max", indices, all_of(*where), exponent, ties) if varied else exponent


def _correspond(first: Scalar, other: Scalar, free: tuple[Index, ...]) -> tuple[Poly, ...]:
    """The indices of the first extremum in terms of another that differs in index names only."""
    table = dict(zip(alpha_form(first)[1], alpha_form(other)[1], strict=True))
    return tuple(as_poly(table[i]) for i in free)


def _unscale(body: Scalar, shifted: dict[str, Equation], free: tuple[Index, ...], name: str) -> Scalar:
    """Replace each read of a shifted sum by ``exp(m) *`` itself."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.tensor in shifted:
            equation = shifted[node.tensor]
            table: dict[Atom, Poly] = dict(zip(equation.indices, node.indices, strict=True))
            here = _indices_of_shift(equation, name, free)
            m = Read(name, tuple(substitute(p, table) for p in here), node.extension)
            return multiply(apply("exp", Stopped(m)), node)
        return map_children(node, change)

    return changed(body, change)


def _indices_of_shift(equation: Equation, name: str, free: tuple[Index, ...]) -> tuple[Poly, ...]:
    """Where a shifted sum reads its shift."""
    for part in walk(equation.body):
        if isinstance(part, Stopped) and isinstance(part.value, Read) and part.value.tensor == name:
            return part.value.indices
    return tuple(map(as_poly, free))


def _cancelled(body: Scalar, name: str) -> bool:
    """Whether every exponential of the shift has met one of what it shifts."""
    for part in walk(body):
        if isinstance(part, Apply) and part.function == "exp":
            tensors = {r.tensor for r in reads_of(part.args[0])}
            if tensors == {name}:
                return False
    return True
