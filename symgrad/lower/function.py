"""Equations to the statements of one function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from symgrad.declare.algebra import add, multiply
from symgrad.declare.bounds import tighten
from symgrad.declare.conditions import conjuncts
from symgrad.declare.formula import equation_text
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Atom, Poly, as_poly, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import Scan, schedule, together
from symgrad.declare.rewriting import cancelled, changed, map_polynomials
from symgrad.declare.scalars import (
    FALSE,
    NOUGHT,
    TRUE,
    UNIT,
    Compare,
    FromInteger,
    Read,
    Reduce,
    Scalar,
    free_indices,
    tensors_of,
)
from symgrad.derive.invert import absorb, solve
from symgrad.derive.terms import Term, terms_of
from symgrad.lower.aliases import without_aliases
from symgrad.lower.arrays import (
    Array,
    Assign,
    Blocks,
    Cast,
    Chunks,
    For,
    Fresh,
    Helper,
    Map,
    Name,
    Parts,
    Statement,
    When,
)
from symgrad.lower.axes import Axes, align
from symgrad.lower.borders import survey_borders, widen
from symgrad.lower.builder import Builder, comment
from symgrad.lower.chunks import in_chunks, joint_space
from symgrad.lower.directions import forwards
from symgrad.lower.edges import masked_at_edges
from symgrad.lower.equals import first_equal
from symgrad.lower.extrema import full, reduction
from symgrad.lower.masks import rows_set
from symgrad.lower.ownership import owned, reshaped
from symgrad.lower.placement import (
    Scatter,
    as_scatter,
    factors_of,
    land_apart,
    makes_matrices,
    prefers_solved,
    solve_rest,
    solved_form,
)
from symgrad.lower.positions import along_the_axis
from symgrad.lower.prepare import eliminate, fuse_digits, split_digits
from symgrad.lower.reached import Edge
from symgrad.lower.reads import integer
from symgrad.lower.scatter import scatter
from symgrad.lower.sums import term_value
from symgrad.lower.tile_forms import in_tiles
from symgrad.lower.traverse import map_arrays, map_parts
from symgrad.lower.unit_steps import at_unit_steps
from symgrad.lower.values import add_values, as_float
from symgrad.lower.wavefront import lower_recurrence

BLAS_GAIN = 8
"""How much more work a matrix product may be than a sum without one."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """Statements of one function, why they are what they are, and in a part of an axis what goes before all parts.

    ``tiled``: where all windows go in tiles or none do, the name of the choice by left side.
    """

    statements: tuple[Statement, ...]
    reasons: tuple[str, ...]
    before: tuple[Statement, ...] = ()
    tiled: Mapping[str, str] = field(default_factory=dict)


def lower_equations(
    program: Program,
    equations: tuple[Equation, ...],
    taken: set[str],
    general: bool = False,
    results: frozenset[str] = frozenset(),
    declared: tuple[Program, ...] = (),
    fast: bool = False,
    formulas: Mapping[str, str] | None = None,
    whole: Mapping[Atom, Poly] | None = None,
    edges: Mapping[Compare, Edge] | None = None,
) -> Lowered:
    """Statements that compute the equations in order.

    Args:
        program: what the equations read.
        equations: those of one function.
        taken: names that no variable may have.
        general: leave every optimisation out.
        results: what the function gives back or keeps.
        declared: the layer as declared, and as forward computes it: what forward has checked.
        fast: take forms that are worth their length.
        formulas: what stands above the statements of an equation, by left side, where it is not the equation.
        whole: in a part of an axis, its index in terms of that of the whole axis.
        edges: where conditions have to be looked at, by condition: elsewhere they hold.
    """
    b = Builder(
        program, set(taken), general=general, fast=fast, declared=declared, whole=whole or {}, edges=edges or {}
    )
    equations = tuple(e.with_body(changed(e.body, cancelled)) for e in equations)
    equations = equations if general else without_aliases(program, equations, results)
    b.borders = survey_borders(program, [e.body for e in equations], b.facts)
    winners = {e.body: e.target for e in equations if _is_winner(e)}
    positions = frozenset(p for e in equations if (p := _winner_of(e, winners)) is not None)

    recurrent = any(is_recurrent(g) for g in groups(equations))
    for item in schedule(equations) if recurrent else equations:
        if isinstance(item, Scan):
            beside = {p: e for e in equations if (p := _winner_of(e, winners)) is not None}
            item = together(item, [(e, beside[e.target]) for e in equations if e.target in beside])
            members = {e.target for e in item.members}
            elsewhere = {t for e in equations if e.target not in members for t in tensors_of(e.body)}
            lower_recurrence(b, item, lower_equation, results | elsewhere)
        elif item.target not in positions:
            start = len(b.block)
            lower_equation(b, item, _winner_of(item, winners))
            comment(b, start, (formulas or {}).get(item.target) or equation_text(item))
    return Lowered(tuple(b.block), tuple(b.reasons), tuple(b.outside), b.tiled)


def _is_winner(equation: Equation) -> bool:
    return isinstance(equation.body, Reduce) and equation.body.kind.startswith("arg")


def _winner_of(equation: Equation, winners: dict[Scalar, str]) -> str | None:
    """The position that belongs to a maximum, to be found in the same pass."""
    node = equation.body
    if not isinstance(node, Reduce) or node.kind not in ("max", "min"):
        return None
    return winners.get(Reduce(f"arg{node.kind}", node.indices, node.condition, node.body))


def lower_equation(b: Builder, equation: Equation, winner: str | None = None) -> None:
    """Emit the statements of one equation."""
    # An index that only a quotient mentions may drop out, and is then summed as a factor.
    equation = equation.with_body(map_polynomials(equation.body, tighten))
    if not b.general and (moved := along_the_axis(b.program, equation)) is not None:
        lower_equation(b, moved[0], winner)
        first = integer(b, moved[1], equation.indices)
        counted = Map("sub", (Cast(Name(equation.target), "int"), align(first, equation.indices)))
        b.emit(Assign(equation.target, counted))
        return
    if equation.integer and _whole(b, equation, winner):
        return
    if first_equal(b, equation) or masked_at_edges(b, equation, lower_equation):
        return
    if in_tiles(b, equation, winner, lower_equation) or at_unit_steps(b, equation, winner, lower_equation):
        return
    if not (b.general or b.chunked or b.loops):
        over = joint_space(b, equation)
        if over is not None:
            in_chunks(b, equation, winner, over, lower_equation)
            return
    if isinstance(equation.body, Reduce) and equation.body.kind != "sum":
        reduction(b, equation, winner)
        return
    original, start = equation, len(b.block)
    b.current = equation.target
    equation, split_left = split_digits(equation)
    if not b.general:
        equation, fused = fuse_digits(equation)
        split_left = split_left or fused
    free = equation.indices
    plain: list[Term] = []
    scattered: list[Scatter] = []
    for term in terms_of(equation.body):
        term = eliminate(b, term)
        job = as_scatter(term, free)
        if job is None:
            plain.append(solve_rest(b, term))
            continue
        term, job = _products_first(b, term, job, free)
        solved = solved_form(b, term)
        if solved is not None and prefers_solved(b, job, solved):
            pivots = ", ".join(f"{p.index.name} = {p.value}" for p in solved.pivots)
            b.because(f"{equation.target}: solved for {pivots}")
            plain.append(Term(term.scale, solved.bound, solved.condition, solved.body))
        else:
            scattered.append(job if b.general else _solved_beside(b, job))
    target = Name(equation.target)
    if len(plain) == 1 and not scattered and rows_set(b, target, plain[0], free):
        plain = []
    elif not scattered and all(_is_nought(t) for t in plain):
        b.emit(Assign(target.text, Fresh("zeros", tuple(i.extent for i in free))))
        plain = []
    if plain and not (scattered and all(_is_nought(t) for t in plain)):
        for key, widths in survey_borders(b.program, [t.body for t in plain], b.facts).items():
            widen(b.program, b.borders, key, widths)
        plain = [forwards(t) for t in _together(plain)]
        values = [term_value(b, t, free, _part_name(t, equation, len(plain))) for t in plain]
        total = add_values([as_float(v) for v in values], free)
        array = owned(b, start, full(total, free), total, bool(scattered))
        _assign(b, start, target, array)
    made = bool(plain) and not (scattered and all(_is_nought(t) for t in plain))
    for position, job in enumerate(scattered):
        apart = not made and all(land_apart(job, other) for other in scattered[:position])
        scatter(b, target, free, job, first=not made and position == 0, apart=apart)
    if split_left:
        b.emit(Assign(target.text, reshaped(b, start, target, tuple(i.extent for i in original.indices))))


def _whole(b: Builder, equation: Equation, winner: str | None) -> bool:
    """Emit an equation of integers that is no position: those are integers already."""
    match equation.body:
        case FromInteger(poly):
            start, value = len(b.block), integer(b, poly, equation.indices)
            array = owned(b, start, full(value, equation.indices), value, False)
            b.emit(Assign(equation.target, array))
            return True
        case Reduce(kind="argmax" | "argmin"):
            return False
    lower_equation(b, replace(equation, integer=False), winner)
    b.emit(Assign(equation.target, Cast(Name(equation.target), "int")))
    return True


def _solved_beside(b: Builder, job: Scatter) -> Scatter:
    """An accumulation without equalities that place nothing, if what they determine is summed and places nothing."""
    if not any(isinstance(c, Compare) and c.relation == "==" for c in conjuncts(job.condition)):
        return job
    placing = {i for p in job.places if p is not None for i in indices_of(p)}
    inner = tuple(i for i in job.term.bound if i not in placing)
    solved = absorb(solve(inner, job.condition, job.term.body, unit_only=True), b.program.extents)
    if not solved.pivots or not solved.complete:
        return job
    bound = tuple(i for i in job.term.bound if i in placing or i in solved.bound)
    term = replace(job.term, bound=bound, body=solved.body)
    return replace(job, term=term, condition=solved.condition)


def _products_first(b: Builder, term: Term, job: Scatter, free: Axes) -> tuple[Term, Scatter]:
    """Sum what no equality touches first, as a matrix product, where the solved form would not be one."""
    touched = {i for c in conjuncts(term.condition) for i in free_indices(c)}
    inner = tuple(i for i in term.bound if i not in touched)
    solved = solved_form(b, term)
    if b.general or not inner or solved is None or not prefers_solved(b, job, solved):
        return term, job
    if not makes_matrices(factors_of(term.body), inner) or makes_matrices(factors_of(solved.body), solved.bound):
        return term, job
    axes = tuple(i for i in (*free, *term.bound) if i in free_indices(term.body) and i not in inner)
    if b.volume((*axes, *inner)) > BLAS_GAIN * b.volume((*solved.bound, *free)):
        return term, job
    name = b.name(f"{b.current}_pairs")
    pairs = Equation(name, axes, Reduce("sum", inner, TRUE, term.body))
    b.program = replace(b.program, equations=(*b.program.equations, pairs))
    lower_equation(b, pairs)
    b.because(f"{b.current}: the product over {', '.join(i.name for i in inner)} first, then the scattered sum")
    body = Read(name, tuple(map(as_poly, axes)))
    changed = Term(term.scale, tuple(i for i in term.bound if i not in inner), term.condition, body)
    found = as_scatter(changed, free)
    return (changed, found) if found is not None else (term, job)


def _together(terms: list[Term]) -> list[Term]:
    """Terms without a sum are one expression."""
    pointwise = [t for t in terms if not t.bound and t.condition == TRUE]
    rest = [t for t in terms if t not in pointwise]
    if len(pointwise) < 2:
        return terms
    return [Term(UNIT, (), TRUE, add(*(multiply(t.scale, t.body) for t in pointwise))), *rest]


def _part_name(term: Term, equation: Equation, count: int) -> str:
    return equation.target if count == 1 and term.scale == UNIT else "total"


def _assign(b: Builder, start: int, target: Name, array: Array) -> None:
    """Assign the result; an accumulator made for it takes its name instead."""
    made = {s.name for s in b.block[start:] if isinstance(s, Assign) and _is_begun(s.array)}
    if isinstance(array, Name) and array.text in made:
        b.block[start:] = [_renamed(s, array, target) for s in b.block[start:]]
    elif array != target:
        b.emit(Assign(target.text, array))


def _is_begun(array: Array) -> bool:
    """Whether an accumulator begins like this: as an array of its own."""
    return isinstance(array, Fresh) or (isinstance(array, Helper) and array.function == "copy")


def _renamed(statement: Statement, old: Name, new: Name) -> Statement:
    def change(array: Array) -> Array:
        return new if array == old else map_parts(array, change)

    def named(inner: Statement) -> Statement:
        match inner:
            case Assign(name) if name == old.text:
                return replace(inner, name=new.text)
            case When(body=body, otherwise=otherwise):
                return replace(inner, body=tuple(map(named, body)), otherwise=tuple(map(named, otherwise)))
            case For(body=body) | Chunks(body=body) | Parts(body=body) | Blocks(body=body):
                return replace(inner, body=tuple(map(named, body)))
        return inner

    return named(map_arrays(statement, change))


def _is_nought(term: Term) -> bool:
    return NOUGHT in (term.body, term.scale) or term.condition == FALSE
