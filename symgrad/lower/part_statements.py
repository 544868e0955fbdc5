"""A section as statements: the equations over one part of the axis, inside a function of that part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symgrad.declare.integers import Poly, Size, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import tensors_of
from symgrad.declare.typical import typical, typical_sizes
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    Blocks,
    Fresh,
    Helper,
    Name,
    Parts,
    Reshape,
    Slice,
    Statement,
    Subscript,
    Update,
)
from symgrad.lower.blocks import Inner, inner_section
from symgrad.lower.destinations import computed_in
from symgrad.lower.function import Lowered, lower_equations
from symgrad.lower.inplace import bare
from symgrad.lower.outside import Outside
from symgrad.lower.part_costs import eighths_to_wake, has_window_products, row_elements
from symgrad.lower.part_program import PART, PartOf, kept_of, new
from symgrad.lower.parts import Section
from symgrad.lower.reach import Run
from symgrad.lower.reached import Span, reached
from symgrad.lower.reuse import reuse
from symgrad.lower.share import defines, share, uses, walk
from symgrad.lower.traverse import map_arrays
from symgrad.naming import fresh

ROWS = 64
"""Positions of a block where tables are small, as in the helper that says how many."""

TABLES = 4
"""Tables of a block that are in use at once: all of them together are to stay in cache."""


def lower_section(
    program: Program,
    section: Section,
    wanted: frozenset[str],
    taken: set[str],
    declared: tuple[Program, ...],
) -> Lowered:
    """Statements that compute a section: arrays to be filled in, and the function that fills in a part of them.

    Args:
        program: what the equations read.
        section: the equations.
        wanted: what is read after the section, or given back.
        taken: names that no variable may have; those made here are added.
        declared: as in ``lower_equations``.
    """
    start, stop, count = (new(base, taken) for base in ("start", "stop", "count"))
    span = Span(as_poly(Size(start, 0)), as_poly(Size(stop, 0)), as_poly(Size(count)))
    reach = None
    if section.moving:
        section = _without_masks(program, section)
        reach = reached(
            program, section, kept_of(section, wanted), Run(Size(start, 0), Size(stop, 0), section.extent), taken
        )
    part = PartOf(program, section, wanted, taken, span, reach)
    inner = None if section.moving else inner_section(program, section, wanted)
    rows = new("rows", taken) if inner else ""
    others = row_elements(program, section)
    if inner:
        others = inner.others * as_poly(Size(rows)) * as_poly(TABLES)
    sizes = typical_sizes(program) | {rows: ROWS}
    positions = max(1, min(typical(section.extent, sizes), PART // typical(others, sizes)))
    part.program = replace(part.program, typical=(*part.program.typical, (count, positions)))
    cut = False
    if inner is None:
        lowered = _equations(part, part.equations, part.results, taken, declared)
    else:
        lowered, cut = _with_blocks(part, inner, rows, taken, declared)
    body, before, reasons = _placed(part, lowered, taken)
    body = (*body, *_spread(part)) if reach else body
    function = new("part", taken)
    sums = tuple(c.equation.target for c in section.cuts if c.summed)
    names = ", ".join(dict.fromkeys(i.name for c in section.cuts for i in sorted(c.indices, key=lambda i: i.name)))
    reason = f"{', '.join(c.equation.target for c in section.cuts)}: in parts along {names}, side by side on threads"
    statement = Parts(
        function,
        start,
        stop,
        count,
        section.extent,
        others,
        threads_name(program),
        body,
        sums,
        names,
        (rows, (inner.section.extent, *(() if cut else (inner.others,)))) if inner else None,
        reach.heads if reach else (),
        _tiles(program, section, part, lowered.tiled),
        eighths_to_wake(section),
    )
    return Lowered((*lowered.before, *before, statement), (reason, *(reach.reasons if reach else ()), *reasons))


def _tiles(
    program: Program, section: Section, part: PartOf, tiled: Mapping[str, str]
) -> tuple[tuple[str, ...], Poly] | None:
    """The choices of tiles, if all products with windows have one, and how many elements a position has then."""
    windows = {part.of(c.equation).target for c in section.cuts if has_window_products(c.equation)}
    if not tiled or not windows <= tiled.keys():
        return None
    return tuple(tiled.values()), row_elements(program, section, windows=False)


def threads_name(program: Program) -> str:
    """The argument of a function that says how many threads it may use."""
    return fresh("threads", program.names())


def _equations(
    part: PartOf,
    equations: tuple[Equation, ...],
    results: frozenset[str],
    taken: set[str],
    declared: tuple[Program, ...],
) -> Lowered:
    lowered = lower_equations(
        part.program,
        equations,
        taken,
        results=results,
        declared=declared,
        fast=True,
        formulas=part.formulas,
        whole=part.whole,
        edges=part.edges,
    )
    taken |= {n for s in walk((*lowered.before, *lowered.statements)) for n in defines(s)}
    return lowered


def _with_blocks(
    part: PartOf, inner: Inner, rows: str, taken: set[str], declared: tuple[Program, ...]
) -> tuple[Lowered, bool]:
    """The equations of a part, those of the section inside it in blocks; whether something is left out in these."""
    before, after = ([part.of(e) for e in some] for some in (inner.before, inner.after))
    needed = part.results | {t for e in after for t in tensors_of(e.body)}
    section = replace(inner.section, cuts=tuple(replace(c, equation=part.of(c.equation)) for c in inner.section.cuts))
    read = {t for c in section.cuts for t in tensors_of(c.equation.body)}
    first = _equations(part, tuple(before), needed | read, taken, declared)
    blocks, cut = _blocks(part, section, needed, rows, taken, declared)
    last = _equations(part, tuple(after), part.results, taken, declared)
    pieces = (first, blocks, last)
    joined = Lowered(
        tuple(s for p in pieces for s in p.statements),
        tuple(r for p in pieces for r in p.reasons),
        tuple(s for p in pieces for s in p.before),
    )
    return joined, cut


def _blocks(
    part: PartOf, section: Section, needed: frozenset[str], rows: str, taken: set[str], declared: tuple[Program, ...]
) -> tuple[Lowered, bool]:
    """The loop over the blocks of a section inside a part; whether something is left out in them."""
    program = part.program
    first, last, count = (new(base, taken) for base in ("first", "last", "count"))
    run = Run(Size(first, 0), Size(last, 0), section.extent)
    span = Span(as_poly(run.first), as_poly(run.last), as_poly(Size(count)))
    reach = reached(program, section, kept_of(section, needed), run, taken)
    block = PartOf(program, _without_masks(program, section), needed, taken, span, reach, part.formulas, block=True)
    block.whole |= part.whole
    block.program = replace(
        block.program, typical=(*program.typical, (count, ROWS), *reach.typical(typical_sizes(program)))
    )
    lowered = _equations(block, block.equations, block.results, taken, declared)
    body, before, reasons = _placed(block, lowered, taken)
    heads = ((count, span.stop - span.start), *reach.heads)
    names = ", ".join(c.equation.target for c in section.cuts)
    along = ", ".join(dict.fromkeys(i.name for c in section.cuts for i in sorted(c.indices, key=lambda i: i.name)))
    why = f"{names}: in blocks along {along}, so that no table is ever there as a whole"
    statement = Blocks(first, last, rows, section.extent, heads, body)
    return Lowered((*before, statement), (why, *reach.reasons, *reasons), lowered.before), bool(reach.spans)


def _without_masks(program: Program, section: Section) -> Section:
    """The section without conditions beside factors that are 0 where those fail."""
    outside = Outside(program)
    cuts = (replace(c, equation=replace(c.equation, body=outside.without_masks(c.equation.body))) for c in section.cuts)
    return replace(section, cuts=tuple(cuts))


def _spread(part: PartOf) -> list[Statement]:
    """What a part gives back of sums to which it adds where it reaches."""
    found: list[Statement] = []
    for local, whole in part.shares.items():
        found.append(Assign(whole.name, Fresh("zeros", part.extents(whole.name))))
        found.append(Update(Subscript(Name(whole.name), whole.items), "=", Name(local)))
    return found


def _placed(
    part: PartOf, lowered: Lowered, taken: set[str]
) -> tuple[tuple[Statement, ...], list[Statement], tuple[str, ...]]:
    """The body of a part, which writes to arrays that others read, the statements that make these, and why."""
    statements = tuple(map_arrays(s, part.to_stop) for s in lowered.statements)
    body, reasons = reuse(part.program, share(statements, taken), part.results, True, frozenset(part.outer))
    before: list[Statement] = []
    for local, whole in part.outer.items():
        kind, begun = _kind(part, local, whole.name, body), _begun(body, local)
        before.append(Assign(whole.name, Fresh(begun or "empty", part.extents(whole.name), dtype=kind)))
        body = _written(
            body, local, Name(whole.name), whole.items, kind, begun is not None, part.program.extents(local)
        )
    for local, whole in part.shares.items() if part.block else ():
        before.append(Assign(whole.name, Fresh("zeros", part.extents(whole.name))))
        body = _added(body, local, Subscript(Name(whole.name), whole.items) if whole.items else Name(whole.name))
    read = {n for s in body for n in uses(s)}
    views = (Assign(local, Subscript(Name(tensor), items)) for local, tensor, items in part.views if local in read)
    body = (*views, *body)
    taken |= {n for s in walk(body) for n in defines(s)}
    return body, before, (*lowered.reasons, *reasons)


# --- what others read ------------------------------------------------------------------------------------------------


def _kind(part: PartOf, local: str, name: str, body: tuple[Statement, ...]) -> str | Poly:
    """What the whole array holds: what its part does, where that is small integers."""
    for statement in body:
        match statement:
            case Assign(made, Fresh(dtype=Poly() as dtype)) if made == local:
                return dtype
    return "int" if part.is_integer(name) else "float"


def _begun(body: tuple[Statement, ...], local: str) -> str | None:
    """How an array is made that is then filled in: empty, or zeros if blocks add to it; None if it is computed."""
    makers = [s for s in body if local in defines(s)]
    match makers[0]:
        case Assign(array=Fresh("empty") | Helper("_emptied", (Fresh("empty"), *_))):
            return "empty"
        case Assign(array=Fresh("zeros")) if any(isinstance(s, Blocks) for s in makers):
            return "zeros"
    return None


def _added(body: tuple[Statement, ...], local: str, target: Array) -> tuple[Statement, ...]:
    """The statements, adding what they compute as ``local`` to its place."""
    places = [p for p, s in enumerate(body) if local in defines(s)]
    last = body[places[-1]]
    read = any(local in uses(s) for s in (*body[: places[-1]], *body[places[-1] + 1 :]))
    if isinstance(last, Assign) and len(places) == 1 and not read:
        return (*body[: places[0]], Update(target, "+", bare(last.array), last.comment), *body[places[0] + 1 :])
    return (*body[: places[-1] + 1], Update(target, "+", Name(local)), *body[places[-1] + 1 :])


def _written(
    body: tuple[Statement, ...],
    local: str,
    outer: Name,
    items: tuple[Slice, ...],
    kind: str | Poly,
    begun: bool,
    shape: tuple[Poly, ...],
) -> tuple[Statement, ...]:
    """The statements, writing what they compute as ``local`` into its part of the whole array.

    ``begun``: that is what they begin with, and it is there already.
    """
    target: Subscript | Reshape = Subscript(outer, items)
    places = [p for p, s in enumerate(body) if local in defines(s)]
    last = body[places[-1]]
    first = body[places[0]]
    if begun and isinstance(first, Assign):
        rest = body[places[0] + 1 :]
        if isinstance(first.array, Fresh) and last == Assign(local, Reshape(Name(local), shape)):
            # Filled in with an axis taken apart: the place is as well, and need not be put together.
            target = Reshape(target, first.array.shape)
            rest = tuple(s for s in rest if s != last)
        made = Helper("_emptied", (target, *first.array.args[1:])) if isinstance(first.array, Helper) else target
        return (*body[: places[0]], replace(first, array=made), *rest)
    read = any(local in uses(s) for s in (*body[: places[-1]], *body[places[-1] + 1 :]))
    if isinstance(last, Assign) and last.name == local and not read:
        there = computed_in(target, last.array, last.comment) if kind == "float" else None
        done = there or Update(target, "=", bare(last.array), last.comment)
        return (*body[: places[-1]], done, *body[places[-1] + 1 :])
    if isinstance(first, Assign) and [s.name for s in walk(body) if isinstance(s, Assign)].count(local) == 1:
        there = computed_in(Name(local), first.array, first.comment) if kind == "float" else None
        if there is None and isinstance(first.array, Fresh | Helper) and bare(first.array) != first.array:
            there = Update(Subscript(Name(local), (FULL,)), "=", bare(first.array), first.comment)
        if there is not None:
            return (*body[: places[0]], Assign(local, target), there, *body[places[0] + 1 :])
    return (*body[: places[-1] + 1], Update(target, "=", Name(local)), *body[places[-1] + 1 :])
