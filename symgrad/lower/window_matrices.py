"""Products with windows: the matrices of all windows that they need."""

from __future__ import annotations

from collections.abc import Iterator

from symgrad.declare.integers import Index, indices_of
from symgrad.declare.scalars import Scalar, free_indices, reads_of
from symgrad.derive.terms import Term
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder
from symgrad.lower.placement import (
    as_scatter,
    factors_of,
    loop_indices,
    makes_matrices,
    prefers_solved,
    solve_rest,
    solved_form,
)
from symgrad.lower.sums import is_product_of_matrices, window_indices
from symgrad.lower.walks import along


def matrices_of_windows(b: Builder, term: Term, free: Axes) -> Iterator[tuple[Axes, Axes]]:
    """The indices of each matrix of windows in a term, and those of what it is a copy of."""
    job = as_scatter(term, free)
    solved = solved_form(b, term) if job is not None else None
    if job is not None and solved is not None and prefers_solved(b, job, solved):
        term, job = Term(term.scale, solved.bound, solved.condition, solved.body), None
    if job is None:
        term = solve_rest(b, term)
    factors = factors_of(term.body)
    if job is None:
        looped = window_indices(b, term.body, term.bound)
        if not makes_matrices(factors, term.bound) or (
            looped and not is_product_of_matrices(list(factors), term.bound, looped)
        ):
            return
        for factor in factors:
            offsets = _offsets(b, factor)
            read = [i for r in reads_of(factor) for p in r.indices for i in indices_of(p)]
            whole = tuple(dict.fromkeys(i for i in read if i in (*free, *term.bound)))
            if offsets:
                yield whole, tuple(i for i in whole if i not in offsets)
        return
    loops = loop_indices(b, job)
    placed = {i for p in job.places if p is not None for i in indices_of(p)}
    inner = tuple(i for i in term.bound if i not in placed)
    if loops and inner and makes_matrices(factors, inner):
        axes = (*(i for i, p in zip(free, job.places, strict=True) if p is None), *term.bound)
        whole = tuple(i for i in axes if i not in inner and i in free_indices(term.body))
        yield whole, tuple(i for i in whole if i not in loops)


def _offsets(b: Builder, factor: Scalar) -> frozenset[Index]:
    """The short indices that share an axis with a longer one."""
    found: set[Index] = set()
    for poly in (p for r in reads_of(factor) for p in r.indices):
        walk = along(poly, b.loops)
        steps = sorted((i for i, _ in walk.steps), key=lambda i: b.typical(i.extent)) if walk else []
        found |= {i for i in steps[:-1] if b.small(i)}
    return frozenset(found)
