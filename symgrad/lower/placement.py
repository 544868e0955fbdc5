"""Where the terms of an accumulation land, and whether solving for the summed indices beats accumulating."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.bounds import tighten
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import Index, Poly, affine_in, as_poly, depends_on_data, indices_of
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import PLAIN, Compare, Condition, Mul, Scalar, free_indices, polynomials, reads_of
from symgrad.derive.invert import Solved, absorb, solve
from symgrad.derive.ragged import has_moving_quotient
from symgrad.derive.terms import Term, rename
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder
from symgrad.lower.fused import fused_offsets
from symgrad.lower.walks import along
from symgrad.simplify.placed import guarded


@dataclass(frozen=True, slots=True)
class Scatter:
    """A term whose equalities place it: ``places[axis]`` is the position on that axis, None for a plain index."""

    term: Term
    free: Axes
    places: tuple[Poly | None, ...]
    condition: Condition


def as_scatter(term: Term, free: Axes) -> Scatter | None:
    """Equalities ``e = t`` with ``t`` on the left side and nowhere else; None if there are none."""
    places: list[Poly | None] = [None] * len(free)
    rest: list[Condition] = []
    for part in conjuncts(term.condition):
        found = _placed(part, free, places)
        if found is None:
            rest.append(part)
            continue
        axis, position = found
        places[axis] = position
    if all(p is None for p in places):
        return None
    placed = {free[a] for a, p in enumerate(places) if p is not None}
    rest = [_at_place(part, free, places) for part in rest]
    used = free_indices(term.scale) | free_indices(term.body) | {i for c in rest for i in free_indices(c)}
    used |= {i for p in places if p is not None for i in indices_of(p)}
    if used & placed:
        return None
    return Scatter(term, free, tuple(places), all_of(*rest))


def _at_place(part: Condition, free: Axes, places: list[Poly | None]) -> Condition:
    """A condition of data, or on quotients, on positions that data give, in terms of what decides those.

    So it is with the range that a winner is in.
    """
    if not any(depends_on_data(p) or has_moving_quotient(p) for p in polynomials(part)):
        return part
    for index, place in zip(free, places, strict=True):
        if place is not None and index in free_indices(part) and depends_on_data(place):
            part = guarded(map_polynomials(rename(part, {index: place}), tighten), place)
    return part


def land_apart(one: Scatter, other: Scatter) -> bool:
    """Whether two terms never land on one element: along some axis, each at a number of its own."""
    pairs = zip(one.places, other.places, strict=True)
    numbers = ((p.constant, q.constant) for p, q in pairs if p is not None and q is not None)
    return any(p is not None and q is not None and p != q for p, q in numbers)


def _placed(part: Condition, free: Axes, places: list[Poly | None]) -> tuple[int, Poly] | None:
    """The first axis without a place that an equality gives one, and the place."""
    if not isinstance(part, Compare) or part.relation != "==":
        return None
    for axis, index in enumerate(free):
        split = affine_in(part.poly, index)
        if places[axis] is None and split is not None and split[0].constant in (1, -1):
            return axis, tighten(-split[1] if split[0].constant == 1 else split[1])
    return None


def solved_form(b: Builder, term: Term) -> Solved | None:
    """The term without its equalities, if pivots +-1 suffice and no range condition is left over."""
    cotangents = tuple(i for i in term.bound if not b.small(i))
    solved = absorb(solve(term.bound, term.condition, term.body, cotangents, unit_only=True), b.program.extents)
    before = [c for c in conjuncts(term.condition) if not (isinstance(c, Compare) and c.relation == "==")]
    left_over = [c for c in conjuncts(solved.condition) if c not in before]
    if not solved.pivots or not solved.complete or left_over:
        return None
    return solved


def solve_rest(b: Builder, term: Term) -> Term:
    """Equalities between summed indices alone: solve them if a unit pivot is there, else they stay a mask."""
    if not any(isinstance(c, Compare) and c.relation == "==" for c in conjuncts(term.condition)):
        return term
    solved = absorb(solve(term.bound, term.condition, term.body, unit_only=True), b.program.extents)
    return Term(term.scale, solved.bound, solved.condition, solved.body)


def prefers_solved(b: Builder, scatter: Scatter, solved: Solved | None) -> bool:
    """Whether the solved form beats accumulation: a product of arrays, or nothing small to loop over."""
    if solved is None or b.general:
        return False
    loops = loop_indices(b, scatter)
    if loops is None:
        return True
    if not solved.bound:
        # A view, unless it is read outside: then what lies inside is added to its slice.
        return bool(loops) or not any(r.extension not in PLAIN for r in reads_of(solved.body))
    if b.volume(solved.bound) * b.volume(scatter_axes(scatter)) > 2 * b.volume(scatter.term.bound):
        return False
    if makes_matrices(factors_of(solved.body), solved.bound) or in_one_pass(b, solved):
        return True
    return bool(loops) and not all(b.small(i) for i in loops) and not is_skewed(b, scatter)


def in_one_pass(b: Builder, solved: Solved) -> bool:
    """Whether a solved form is a sum over windows, of which a pass multiplies and adds several offsets."""
    small = all(map(b.small, solved.bound))
    return small and bool(fused_offsets(b, solved.condition, factors_of(solved.body), solved.bound))


def factors_of(body: Scalar) -> tuple[Scalar, ...]:
    """The factors of a product, or the one expression."""
    return body.args if isinstance(body, Mul) else (body,)


def makes_matrices(factors: tuple[Scalar, ...], summed: Axes) -> bool:
    """Whether two factors share a summed index and each has another index of its own."""
    sets = [free_indices(f) for f in factors]
    return any(
        left & right & set(summed) and left - right and right - left
        for p, left in enumerate(sets)
        for right in sets[p + 1 :]
    )


def is_skewed(b: Builder, scatter: Scatter) -> bool:
    """Whether an array over two long indices is summed along its diagonals: ``t = i + j`` or ``t = i - j``."""
    placed = [p for p in scatter.places if p is not None]
    if b.general or len(placed) != 1 or set(indices_of(placed[0])) & set(scatter.free):
        return False
    walk = along(placed[0], b.loops)
    if walk is None or len(walk.steps) != 2 or any(step != as_poly(1) or b.small(i) for i, step in walk.steps):
        return False
    pair = {i for i, _ in walk.steps}
    return any(pair <= free_indices(f) for f in factors_of(scatter.term.body))


def scatter_axes(scatter: Scatter) -> Axes:
    """The left side's indices on placed axes: what a solved form runs over instead of summed indices."""
    return tuple(t for t, p in zip(scatter.free, scatter.places, strict=True) if p is not None)


def loop_indices(b: Builder, scatter: Scatter) -> Axes | None:
    """Indices to loop over so that every placed axis is a strided slice; None if positions must be computed."""
    if any(set(indices_of(p)) & set(scatter.free) for p in scatter.places if p is not None):
        return None
    walks = [None if p is None else along(p, b.loops) for p in scatter.places]
    if any(w is None and p is not None for w, p in zip(walks, scatter.places, strict=True)):
        return None
    on_axes: dict[Index, int] = {}
    for w in walks:
        for index, _ in w.steps if w else ():
            on_axes[index] = on_axes.get(index, 0) + 1
    loops: list[Index] = []
    for w in walks:
        if w is None:
            continue
        steps = sorted((i for i, _ in w.steps), key=lambda i: (on_axes[i] > 1, b.typical(i.extent) * -1, i.name))
        vectors = [i for i in steps[:1] if on_axes[i] == 1]
        loops += [i for i in steps if i not in vectors]
    return tuple(i for i in scatter.term.bound if i in loops)
