"""The two schedules of a function: all of every equation in turn, or sections of equations part by part."""

from __future__ import annotations

from collections.abc import Iterator

from symgrad.declare.graph import groups
from symgrad.declare.program import Equation, Program
from symgrad.lower.arrays import Statement
from symgrad.lower.function import Lowered, lower_equations
from symgrad.lower.ownership import apart
from symgrad.lower.part_costs import sections, tables_in_blocks, wanted_after
from symgrad.lower.part_statements import lower_section, threads_name
from symgrad.lower.parts import Section, maxima_of
from symgrad.lower.product_places import REASON, products_in_place
from symgrad.lower.products import in_blocks_of_parts, on_threads
from symgrad.lower.reuse import reuse
from symgrad.lower.share import defines, needed_by, share, walk
from symgrad.lower.step_memory import steps_first

SCHEDULES = ("readable", "fast")


def lower_function(
    program: Program,
    equations: tuple[Equation, ...],
    taken: set[str],
    results: frozenset[str],
    declared: tuple[Program, ...],
    schedule: str = "readable",
    general: bool = False,
) -> Lowered:
    """Statements of one function; the arguments are those of ``lower_equations``, and one of ``SCHEDULES``."""
    if general or schedule != "fast":
        lowered = lower_equations(program, equations, taken, general, results, declared)
        shared = share(lowered.statements, set(taken))
        if general:
            return Lowered(shared, lowered.reasons)
        thrifty, reasons_of_reuse = reuse(program, shared, results)
        return Lowered(apart(_needed(thrifty, results), results), (*lowered.reasons, *reasons_of_reuse))
    taken = set(taken)
    equations = _ordered(equations)
    statements: list[Statement] = []
    reasons: list[str] = []
    items = tuple(_items(program, equations, results))
    for place, item in enumerate(items):
        wanted = wanted_after(items, place, results)
        if isinstance(item, Section):
            lowered = lower_section(program, item, wanted, taken, declared)
        else:
            lowered = lower_equations(program, item, taken, False, wanted, declared, fast=True)
        taken |= {n for s in walk(lowered.statements) for n in defines(s)}
        statements += lowered.statements
        reasons += lowered.reasons
    thrifty, reasons_of_reuse = reuse(program, share(tuple(statements), taken), results, fast=True)
    outputs = frozenset({*program.outputs, *(o for p in declared for o in p.outputs)})
    placed, reasons_of_places = steps_first(program, _needed(thrifty, results), outputs)
    shared = on_threads(apart(placed, results), threads_name(program))
    filled, in_place = products_in_place(program, shared)
    cut, reasons_of_parts = in_blocks_of_parts(filled)
    reasons += [
        *reasons_of_reuse,
        *reasons_of_places,
        *([REASON] if in_place else []),
        *reasons_of_parts,
    ]
    return Lowered(cut, tuple(dict.fromkeys(reasons)))


def _needed(statements: tuple[Statement, ...], results: frozenset[str]) -> tuple[Statement, ...]:
    """The statements without those that no result needs: a recurrence may leave the array of a part of its states."""
    needs = needed_by(statements, {"": results})
    return tuple(s for s, n in zip(statements, needs, strict=True) if n)


def in_blocks(program: Program, equations: tuple[Equation, ...], results: frozenset[str]) -> frozenset[str]:
    """The left sides of tables that exist for a block at a time in the fast schedule."""
    return tables_in_blocks(program, sections(program, _ordered(equations), results), results)


def _ordered(equations: tuple[Equation, ...]) -> tuple[Equation, ...]:
    """The equations in the order in which they can be computed: with recurrences it is not the one they stand in."""
    return _winners_beside(tuple(e for group in groups(equations) for e in group))


def _winners_beside(equations: tuple[Equation, ...]) -> tuple[Equation, ...]:
    """The equations with the positions of maxima right behind the maxima: one pass finds both."""
    maxima = maxima_of(equations)
    found: list[Equation] = []
    for equation in equations:
        if equation.target not in maxima:
            found += [equation, *(e for e in equations if maxima.get(e.target) == equation.target)]
    return tuple(found)


def _items(
    program: Program, equations: tuple[Equation, ...], results: frozenset[str]
) -> Iterator[Section | tuple[Equation, ...]]:
    """The sections, and the equations between them."""
    between: tuple[Equation, ...] = ()
    for item in sections(program, equations, results):
        if isinstance(item, Section):
            if between:
                yield between
            yield item
            between = ()
        else:
            between += (item,)
    if between:
        yield between
