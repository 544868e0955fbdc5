"""Forms that neither overflow nor cancel: named rules, each an identity over the reals.

Pointwise rules are a table in ``pointwise.py``; the one rule about reductions subtracts the largest exponent from every
exponential in a sum, which changes nothing because it cancels where the sum is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from symgrad.declare.algebra import apply, multiply, negate
from symgrad.declare.integers import Atom, Index, Poly, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    Apply,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Stopped,
    free_indices,
    reads_of,
    walk,
)
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import alpha_form, rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.exponentials import at_most_nought
from symgrad.simplify.norms import guard_norms
from symgrad.simplify.pointwise import rewrite


def stabilise(program: Program, trace: Trace) -> Program:
    """Apply every rule to every equation of a split program."""
    program = _log_of_named(program, trace)
    program = _pointwise(program, trace, shift=False)
    program = _shift(_to_base_e(program, trace), trace)
    return guard_norms(_pointwise(program, trace, shift=True), trace)


def _pointwise(program: Program, trace: Trace, shift: bool) -> Program:
    equations = []
    for equation in program.equations:
        used: list[str] = []
        after = replace(equation, body=rewrite(equation.body, used, shift))
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
        _exponent(b) is None and _exponent(a) is not None for b, a in zip(program.equations, equations, strict=True)
    )
    if not summed or _shift(other, Trace()) is other:
        return program
    for before, after in zip(program.equations, equations, strict=True):
        trace.record("b^a = exp(a log(b))", before, after)
    return other


def _shift(program: Program, trace: Trace) -> Program:
    """Rewrite sum exp(a) v = exp(m) sum exp(a - m) v, m = max a, in every sum with the same a, where exp(m) cancels.

    All such sums at once, since they may cancel in one quotient; then without those that are left with their factor.
    """
    groups: dict[str, list[Equation]] = {}
    for equation in program.equations:
        exponent = _exponent(equation)
        if exponent is not None and equation.target not in program.outputs:
            key, _ = alpha_form(_extremum(equation, exponent))
            groups.setdefault(key, []).append(equation)
    chosen = list(groups.values())
    while chosen:
        shifts = _shifts(program, chosen)
        equations, left = _apply(program, shifts)
        if not left:
            return _recorded(program, shifts, equations, trace)
        chosen = [members for members, s in zip(chosen, shifts, strict=True) if s.largest.target not in left]
    return program


@dataclass(frozen=True, slots=True)
class _Group:
    """Sums with the same exponent: the equation of the largest one, and the shifted sums by name."""

    largest: Equation
    sums: Mapping[str, Equation]


def _exponent(equation: Equation) -> Scalar | None:
    """The a, if the equation is ``sum exp(a) * v`` and a varies inside the sum."""
    match equation.body:
        case Reduce("sum", indices, _, body, _):
            factors = body.args if isinstance(body, Mul) else (body,)
            found = [f.args[0] for f in factors if isinstance(f, Apply) and f.function == "exp"]
            if len(found) == 1 and free_indices(found[0]) & set(indices):
                return found[0]
    return None


def _shifts(program: Program, chosen: list[list[Equation]]) -> list[_Group]:
    taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
    taken |= {a.name for a in program.attributes}
    groups = []
    for members in chosen:
        first, exponent = members[0], _exponent(members[0])
        assert exponent is not None
        name = fresh(f"max_{_subject(exponent)}", taken)
        taken.add(name)
        maximum = _extremum(first, exponent)
        free = tuple(i for i in first.indices if i in free_indices(maximum))
        sums: dict[str, Equation] = {}
        for equation in members:
            a = _exponent(equation)
            assert a is not None and isinstance(equation.body, Reduce)
            m = Stopped(Read(name, _correspond(maximum, _extremum(equation, a), free)))
            smaller = multiply(equation.body.body, apply("exp", negate(m)))
            sums[equation.target] = replace(equation, body=replace(equation.body, body=smaller))
        groups.append(_Group(Equation(name, free, _extremum(first, exponent, "none")), sums))
    return groups


def _apply(program: Program, groups: list[_Group]) -> tuple[list[Equation], set[str]]:
    """The equations with shifted sums, and the names of the shifts that are left over somewhere."""
    names = {g.largest.target for g in groups}
    equations: list[Equation] = []
    left: set[str] = set()
    for equation in program.equations:
        group = next((g for g in groups if equation.target in g.sums), None)
        if group is not None:
            if equation.target == next(iter(group.sums)):
                equations.append(group.largest)
            equations.append(group.sums[equation.target])
            continue
        body = equation.body
        for g in groups:
            body = _unscale(body, g)
        after = replace(equation, body=rewrite(_softplus_of_sums(body, groups), []))
        left |= _left_over(after.body, names)
        equations.append(after)
    return equations, left


def _recorded(program: Program, groups: list[_Group], equations: list[Equation], trace: Trace) -> Program:
    sums = {name: equation for g in groups for name, equation in g.sums.items()}
    for before in program.equations:
        if before.target in sums:
            trace.record("sum exp(a) = exp(m) sum exp(a - m), m = max a", before, sums[before.target])
    names = {g.largest.target for g in groups}
    for before, after in zip(program.equations, (e for e in equations if e.target not in names), strict=True):
        if before.target not in sums:
            trace.record("exp(m) cancels", before, after)
    return replace(program, equations=tuple(equations))


def _subject(exponent: Scalar) -> str:
    reads = reads_of(exponent)
    return reads[0].tensor if len(reads) == 1 else "exponent"


def _extremum(equation: Equation, exponent: Scalar, ties: str = "first") -> Reduce:
    """The largest exponent in a sum of exponentials."""
    node = equation.body
    assert isinstance(node, Reduce)
    return Reduce("max", node.indices, node.condition, exponent, ties)


def _correspond(first: Reduce, other: Reduce, free: tuple[Index, ...]) -> tuple[Poly, ...]:
    """The indices of the first extremum in terms of another that differs in index names only."""
    table = dict(zip(alpha_form(first)[1], alpha_form(other)[1], strict=True))
    return tuple(as_poly(table[i]) for i in free)


def _unscale(body: Scalar, group: _Group) -> Scalar:
    """Replace each read of a shifted sum by ``exp(m) *`` itself."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.tensor in group.sums:
            equation = group.sums[node.tensor]
            table: dict[Atom, Poly] = dict(zip(equation.indices, node.indices, strict=True))
            here = _indices_of_shift(equation, group.largest)
            m = Read(group.largest.target, tuple(substitute(p, table) for p in here))
            return multiply(apply("exp", Stopped(m)), node)
        return map_children(node, change)

    return changed(body, change)


def _softplus_of_sums(body: Scalar, groups: list[_Group]) -> Scalar:
    """log(1 + exp(m) s) = softplus(m + log(s)) for a sum s of exponentials and nothing else, which is positive."""
    positive = {
        name
        for g in groups
        for name, e in g.sums.items()
        if isinstance(e.body, Reduce) and isinstance(e.body.body, Apply) and e.body.body.function == "exp"
    }

    def change(node: Node) -> Node:
        match node:
            case Apply("log1p", (Mul(c, (*factors,)),)) if c > 0:
                rest = [f for f in factors if not (isinstance(f, Apply) and f.function == "exp")]
                if len(rest) == 1 and isinstance(rest[0], Read) and rest[0].tensor in positive:
                    return apply("softplus", rewrite(apply("log", node.args[0]), []))
        return map_children(node, change)

    return changed(body, change)


def _indices_of_shift(equation: Equation, largest: Equation) -> tuple[Poly, ...]:
    """Where a shifted sum reads its shift."""
    for part in walk(equation.body):
        match part:
            case Stopped(Read(tensor, indices, _)) if tensor == largest.target:
                return indices
    return tuple(map(as_poly, largest.indices))


def _left_over(body: Scalar, names: set[str]) -> set[str]:
    """The shifts that stand in an exponential that may be large: which has not met what it shifts."""
    found: set[str] = set()
    for part in walk(body):
        if isinstance(part, Apply) and part.function == "exp" and not at_most_nought(part.args[0]):
            tensors = {r.tensor for r in reads_of(part.args[0])}
            if tensors <= names:
                found |= tensors
    return found
