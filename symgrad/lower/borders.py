"""Borders around tensors that are read outside their extents."""

from __future__ import annotations

from symgrad.declare.bounds import lower_end, nonnegative, relaxed_upper, tighten, upper_end
from symgrad.declare.facts import may_be_negative, surely_nonnegative
from symgrad.declare.integers import ZERO, Poly, extreme
from symgrad.declare.program import Program
from symgrad.declare.scalars import Extension, Scalar, reads_of
from symgrad.lower.arrays import Array, Name, Pad
from symgrad.lower.builder import Builder
from symgrad.lower.walks import Along, along

Widths = tuple[tuple[Poly, Poly], ...]
Borders = dict[tuple[str, float | Name, int], Widths]
"""By tensor, fill value and rank: inside a step of a recurrence a tensor has lost the axes of the steps."""


def survey_borders(program: Program, nodes: list[Scalar], known: tuple[Poly, ...] = ()) -> Borders:
    """One border per tensor and fill value, wide enough for every read of it, given that ``known`` are at least 0."""
    found: Borders = {}
    for r in dict.fromkeys(r for node in nodes for r in reads_of(node)):
        if r.extension is None:
            continue
        walks = [along(tighten(p), frozenset()) for p in r.indices]
        if any(w is None for w in walks):
            continue
        extents = program.extents(r.tensor)
        pairs = [reach(program, w, e, known) for w, e in zip(walks, extents, strict=True) if w is not None]
        widen(program, found, (r.tensor, fill_of(r.extension), len(pairs)), tuple(pairs))
    return found


def fill_of(extension: Extension) -> float | Name:
    """What lies outside: a number, or the variable that holds it."""
    return Name(extension.name) if extension.name else extension.value


def widen(program: Program, borders: Borders, key: tuple[str, float | Name, int], widths: Widths) -> Widths:
    """Make a border at least this wide."""

    def larger(a: Poly, c: Poly) -> Poly:
        if surely_nonnegative(program, a - c):
            return a
        return c if surely_nonnegative(program, c - a) else extreme("max", [a, c])

    known = borders.get(key, widths)
    borders[key] = tuple((larger(a, c), larger(d, e)) for (a, d), (c, e) in zip(known, widths, strict=True))
    return borders[key]


def padded(
    b: Builder,
    source: Array,
    extents: tuple[Poly, ...],
    walks: list[Along],
    extension: Extension,
    base: str,
) -> tuple[Array, tuple[Poly, ...], list[Along]]:
    """A border wide enough for every position read, where it cannot be shown that none is needed.

    Where it may turn out below 0, that much is cut off.
    """
    fill = fill_of(extension)
    widths = [reach(b.program, walk, extent, b.facts) for walk, extent in zip(walks, extents, strict=True)]
    if not any(w.terms for pair in widths for w in pair):
        return source, extents, walks
    widths = list(widen(b.program, b.borders, (base, fill, len(widths)), tuple(widths)))
    crops = any(may_be_negative(b.program, w, b.facts) for pair in widths for w in pair)
    kept = b.keep(Pad(source, tuple(widths), fill, read_only=True, crops=crops), f"{base}_padded")
    extents = tuple(e + w[0] + w[1] for e, w in zip(extents, widths, strict=True))
    walks = [Along(k.start + w[0], k.steps, k.flipped) for k, w in zip(walks, widths, strict=True)]
    return kept, extents, walks


def border(program: Program, walk: Along, extent: Poly, known: tuple[Poly, ...] = ()) -> tuple[Poly, Poly]:
    """How far an axis is read before its beginning and after its end, at most, given that ``known`` are at least 0."""
    before, after = reach(program, walk, extent, known)
    return _at_least_zero(before, known), _at_least_zero(after, known)


def reach(program: Program, walk: Along, extent: Poly, known: tuple[Poly, ...] = ()) -> tuple[Poly, Poly]:
    """The same; below 0, where that cannot be excluded, it is how much of either end is not read."""
    last = walk.start + walk.span - 1
    before, after = ZERO, ZERO
    if not surely_nonnegative(program, walk.start, known):
        low = lower_end(walk.start)
        before = -(walk.start if low is None else low)
    if not surely_nonnegative(program, extent - 1 - last, known):
        high = upper_end(relaxed_upper(last))
        after = (last if high is None else high) - extent + 1
    return _known(program, before, known), _known(program, after, known)


def _known(program: Program, width: Poly, known: tuple[Poly, ...]) -> Poly:
    return ZERO if surely_nonnegative(program, -width, known) else width


def _at_least_zero(width: Poly, known: tuple[Poly, ...]) -> Poly:
    return width if nonnegative(width, known) else extreme("max", [width, ZERO])
