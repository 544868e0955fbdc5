"""Reductions over a joint space that no operand fills, in chunks of an axis that the result has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Index, Poly, Size, as_poly, atoms
from symgrad.declare.program import Equation
from symgrad.declare.scalars import Compare, Read, Reduce, Scalar, free_indices, reads_of
from symgrad.derive.terms import rename, terms_of
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    Chunks,
    Fresh,
    Item,
    Name,
    Pad,
    Slice,
    Statement,
    Subscript,
    Update,
)
from symgrad.lower.axes import Axes, joint_extent
from symgrad.lower.builder import Builder
from symgrad.lower.differences import LONG, is_of_differences
from symgrad.lower.pairs import found_in
from symgrad.lower.placement import factors_of
from symgrad.lower.traverse import polynomials_in

Lower = Callable[[Builder, Equation, str | None], None]


def joint_space(b: Builder, equation: Equation) -> Axes | None:
    """The indices of an expression inside a reduction that is much larger than its reads and the result.

    The first of them is on the result too: the axis to cut into chunks.
    """
    terms = terms_of(equation.body)
    if len(terms) != 1:
        return None
    bound, condition, body = terms[0].bound, terms[0].condition, terms[0].body
    factors: tuple[Scalar, ...] = factors_of(body)
    if isinstance(equation.body, Reduce) and equation.body.kind != "sum":
        bound, condition = equation.body.indices, equation.body.condition
        factors = (equation.body.body,)
    elif is_of_differences(b, factors, equation.indices, bound):
        return None
    windows = isinstance(equation.body, Reduce) and equation.body.kind != "sum"
    if not bound or found_in(b, condition, list(factors), windows) is not None:
        return None
    placed = {i for c in conjuncts(condition) if isinstance(c, Compare) and c.relation == "==" for i in free_indices(c)}
    for factor in sorted(factors, key=lambda f: -_elements(b, free_indices(f))):
        space = free_indices(factor)
        reads = [free_indices(r) for r in reads_of(factor)]
        if isinstance(factor, Read) or not reads or not space & set(bound):
            continue
        largest = max(_elements(b, s) for s in (*reads, frozenset(equation.indices)))
        lead = [i for i in equation.indices if i in space and i not in placed]
        if lead and _elements(b, space) >= LONG * largest:
            names = ", ".join(i.name for i in (*equation.indices, *bound) if i in space)
            b.because(f"{equation.target}: chunks along {lead[0].name}, because no operand has all of {names}")
            return (lead[0], *(i for i in (*equation.indices, *bound) if i in space and i != lead[0]))
    return None


def _elements(b: Builder, indices: Iterable[Index]) -> int:
    return b.volume(sorted(indices, key=lambda i: i.name))


def in_chunks(b: Builder, equation: Equation, winner: str | None, space: Axes, lower: Lower) -> None:
    """Emit the equation as a loop over runs of its axis ``space[0]``."""
    cut, others = space[0], space[1:]
    start, stop, rows = _bounds(b)
    run, places = _run(cut, start, stop)
    part = Equation(
        b.name(f"{equation.target}_part"),
        tuple(run if i == cut else i for i in equation.indices),
        rename(equation.body, places),
        equation.integer,
    )
    winner_part = b.name(f"{winner}_part") if winner else None
    body = _body(b, part, winner_part, cut, lower)
    axis = equation.indices.index(cut)
    items: list[Item] = [*[FULL] * axis, Slice(as_poly(Size(start, 0)), as_poly(Size(stop, 0)))]
    results = {part.target: equation.target} | ({winner_part: winner} if winner_part and winner else {})
    for name, result in results.items():
        target = Subscript(Name(result), tuple(items))
        last = body[-1 if len(results) == 1 or name == winner_part else -2]
        if isinstance(last, Assign) and last.name == name:
            body[body.index(last)] = Update(target, "=", last.array)
        else:
            body.append(Update(target, "=", Name(name)))
    for result in results.values():
        kind = "int" if result == winner or equation.integer else "float"
        b.emit(Assign(result, Fresh("empty", tuple(i.extent for i in equation.indices), dtype=kind)))
    b.emit(Chunks(start, stop, rows, cut.extent, joint_extent(others), tuple(body)))


def _bounds(b: Builder) -> tuple[str, str, str]:
    """Names for the first position of a run, the one behind it, and how many there are at most."""
    if b.chunk is None:
        b.chunk = (b.name("start"), b.name("stop"), b.name("rows"))
    return b.chunk


def _run(cut: Index, start: str, stop: str) -> tuple[Index, dict[Index, Poly]]:
    """An index along one run, and what it makes of the whole index."""
    run = Index(cut.name, as_poly(Size(stop, 0)) - as_poly(Size(start, 0)))
    return run, {cut: as_poly(Size(start, 0)) + as_poly(run)}


def _body(b: Builder, part: Equation, winner: str | None, cut: Index, lower: Lower) -> list[Statement]:
    """The statements for one run of an index; the border of a whole tensor is made before the loop."""
    # Borders that reach as far as a run are none for what comes after it.
    inner = replace(b, block=[], levels=[], known=dict(b.known), borders=dict(b.borders), chunked=True)
    start, stop, rows = _bounds(b)
    inner.facts = (*b.facts, as_poly(Size(stop, 0)) - as_poly(Size(start, 0)), cut.extent - as_poly(Size(stop, 0)))
    lower(inner, part, winner)
    bounds = {start, stop, rows}
    body: list[Statement] = []
    for statement in inner.block:
        match statement:
            case Assign(name, Pad(Name()) as array) if not bounds & _sizes_in(array):
                b.emit(statement)
                b.known[array] = name
            case _:
                body.append(statement)
    return body


def _sizes_in(array: Array) -> set[str]:
    return {a.name for p in polynomials_in(array) for a in atoms(p) if isinstance(a, Size)}
