"""The largest exponent is taken out of sums of exponentials over an index, wherever it cancels where they are used.

Source: Blanchard, Higham and Higham, Accurately computing the log-sum-exp and softmax functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from symgrad.declare.algebra import apply, multiply, negate
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import Atom, Poly, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    Apply,
    Mul,
    Node,
    Read,
    Reduce,
    Scalar,
    Stopped,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import alpha_form, index_order, rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.exponentials import at_most_nought, counted
from symgrad.simplify.pointwise import rewrite
from symgrad.simplify.terms import factors_of


@dataclass(frozen=True, slots=True)
class _Group:
    """Sums with the same exponent: the equation of the largest one, and the shifted sums by name."""

    largest: Equation
    sums: Mapping[str, Equation]


def shift(program: Program, trace: Trace) -> Program:
    """Rewrite sum exp(a) v = exp(m) sum exp(a - m) v, m = max a, in every sum with the same a, where exp(m) cancels.

    Sums that are made of other such sums come after these, since their exponents are then others.
    """
    done: set[str] = set()
    while chosen := _next_groups(program, done):
        done |= {equation.target for members in chosen for equation in members}
        program = _shifted(program, chosen, trace)
    return program


def shifted_exponent(equation: Equation) -> Scalar | None:
    """The a, if the equation is ``sum exp(a) * v``."""
    match equation.body:
        case Reduce("sum", _, _, body, _):
            factors = body.args if isinstance(body, Mul) else (body,)
            found = [f.args[0] for f in factors if isinstance(f, Apply) and f.function == "exp"]
            if len(found) == 1:
                return found[0]
    return None


def _next_groups(program: Program, done: set[str]) -> list[list[Equation]]:
    """The sums that need no other sum of those that are left, by exponent."""
    left: dict[str, tuple[Equation, str]] = {}
    for equation in program.equations:
        exponent = shifted_exponent(equation)
        if exponent is not None and equation.target not in done and equation.target not in program.outputs:
            left[equation.target] = equation, alpha_form(_extremum(equation, exponent))[0]
    needs = {name: _needed(equation, program) for name, (equation, _) in left.items()}
    free = [name for name in left if not any(other != name and other in needs[name] for other in left)]
    groups: dict[str, list[Equation]] = {}
    for name in free:
        equation, key = left[name]
        groups.setdefault(key, []).append(equation)
    return list(groups.values())


def _needed(equation: Equation, program: Program) -> set[str]:
    """The left sides that an equation reads, by way of others too."""
    definitions = {e.target: e for e in program.equations}
    found: set[str] = set()
    waiting = [equation]
    while waiting:
        more = set(tensors_of(waiting.pop().body)) & definitions.keys() - found
        found |= more
        waiting += [definitions[name] for name in sorted(more)]
    return found


def _shifted(program: Program, chosen: list[list[Equation]], trace: Trace) -> Program:
    """All groups at once, since they may cancel in one quotient; then without those left with their factor."""
    while chosen:
        groups = _groups(program, chosen)
        equations, left = _apply(program, groups)
        if not left:
            return _recorded(program, groups, equations, trace)
        chosen = [members for members, g in zip(chosen, groups, strict=True) if g.largest.target not in left]
    return program


def _groups(program: Program, chosen: list[list[Equation]]) -> list[_Group]:
    taken = program.names()
    groups = []
    for members in chosen:
        first, exponent = members[0], shifted_exponent(members[0])
        assert exponent is not None
        name = fresh(f"max_{_subject(exponent)}", taken)
        taken.add(name)
        maximum = _extremum(first, exponent)
        free = tuple(i for i in first.indices if i in free_indices(maximum))
        sums: dict[str, Equation] = {}
        for equation in members:
            a = shifted_exponent(equation)
            assert a is not None and isinstance(equation.body, Reduce)
            table = dict(zip(alpha_form(maximum)[1], alpha_form(_extremum(equation, a))[1], strict=True))
            m = Stopped(Read(name, tuple(as_poly(table[i]) for i in free)))
            smaller = multiply(equation.body.body, apply("exp", negate(m)))
            sums[equation.target] = equation.with_body(replace(equation.body, body=smaller))
        largest = _extremum(first, exponent, "none")
        if isinstance(largest, Reduce):
            largest = replace(largest, body=counted(exponent, _common(members, maximum)))
        groups.append(_Group(Equation(name, free, largest), sums))
    return groups


def _common(members: Sequence[Equation], maximum: Scalar) -> list[Scalar]:
    """The factors before the exponentials of all sums, as the first has them, over no more indices than the maximum."""
    order = index_order(maximum)
    found: list[Scalar] = []
    for place, equation in enumerate(members):
        exponent = shifted_exponent(equation)
        assert exponent is not None and isinstance(equation.body, Reduce)
        table = dict(zip(index_order(_extremum(equation, exponent)), map(as_poly, order), strict=True))
        factors = [f for f in factors_of(equation.body.body)[1] if free_indices(f) <= table.keys()]
        renamed = [rename(f, table) for f in factors if f != apply("exp", exponent)]
        found = [f for f in found if f in renamed] if place else renamed
    return found


def _apply(program: Program, groups: Sequence[_Group]) -> tuple[list[Equation], set[str]]:
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
        after = equation.with_body(rewrite(_softplus_of_sums(body, groups), []))
        if after.target in program.outputs or shifted_exponent(after) is None:
            left |= _left_over(after.body, names)  # of a sum of exponentials, the next largest is taken out
        equations.append(after)
    return equations, left


def _recorded(program: Program, groups: Sequence[_Group], equations: list[Equation], trace: Trace) -> Program:
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


def _unscale(body: Scalar, group: _Group) -> Scalar:
    """Replace each read of a shifted sum by ``exp(m) *`` itself."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.tensor in group.sums:
            equation = group.sums[node.tensor]
            table: dict[Atom, Poly] = dict(zip(equation.indices, node.indices, strict=True))
            here = (substitute(p, table) for p in _indices_of_shift(equation, group.largest))
            m = Read(group.largest.target, tuple(here), node.extension)
            return multiply(apply("exp", Stopped(m)), node)
        return map_children(node, change)

    return changed(body, change)


def _indices_of_shift(equation: Equation, largest: Equation) -> tuple[Poly, ...]:
    """Where a shifted sum reads its shift."""
    for part in walk(equation.body):
        match part:
            case Stopped(Read(tensor, indices, _)) if tensor == largest.target:
                return indices
    return tuple(map(as_poly, largest.indices))


def _softplus_of_sums(body: Scalar, groups: Sequence[_Group]) -> Scalar:
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


def _left_over(body: Scalar, names: set[str]) -> set[str]:
    """The shifts that stand in an exponential that may be large: which has not met what it shifts."""
    found: set[str] = set()
    for part in walk(body):
        if isinstance(part, Apply) and part.function == "exp" and not at_most_nought(part.args[0]):
            tensors = {r.tensor for r in reads_of(part.args[0])}
            if tensors <= names:
                found |= tensors
    return found
