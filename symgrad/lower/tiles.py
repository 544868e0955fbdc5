"""Products with windows at stride 1 by fewer multiplications: tiles of F(m, r) along each axis of the windows.

``out[.., i, j, k] = sum over c, u, v of x[.., i + u, j + v, c] * w[u, v, c, k]`` in any order of axes, with any offset
and border, also with a step, ``i + d u``, and ``out[u, v, c, k] = sum over .., i, j of x[.., i + u, j + v, c] *
y[.., i, j, k]``, the same matrices transposed. Which of the two a term is follows from its index map alone; a gradient
solved for its summed indices is the first again, with kernels flipped. With steps every d-th position is a correlation
without.

The extents of kernels are known when a module runs, and so is whether strides are 1. So a module has the direct form as
well, behind a condition, and a table of matrices for the extents in ``TILES``; kernels of other extents take the direct
form.

Errors, in units of the largest value, as ``python benchmarks/winograd_error.py`` measures them: in float32 at most 6e-6
for kernels of extent 2 or 3 (along three axes 1e-5), 2e-5 for 4 to 6 and 3e-5 for 7, where the direct form has 1e-6; in
float64, against the direct form, 5e-14. So gradient checks in float64 need no other form.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from symgrad.declare.bounds import positive
from symgrad.declare.integers import ONE, Index, Poly, affine_in, as_poly, indices_of
from symgrad.declare.scalars import PLAIN, TRUE, Mul, Read, free_indices
from symgrad.derive.terms import Term, rename
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder
from symgrad.lower.placement import as_scatter, factors_of, solve_rest, solved_form
from symgrad.lower.prepare import eliminate
from symgrad.naming import fresh

TILES = {2: (3,), 3: (2, 4), 4: (4,), 5: (4,), 6: (3,), 7: (2,)}
"""Extents of kernels with the numbers of outputs that tiles have: more of them, and errors in float32 are felt."""

ELEMENTS = 3
"""How many elements a kernel needs: smaller windows take no longer in the direct form."""

PRODUCTS = 216
"""How many products a tile may have, as many as one of F(4, 3) along three axes: with more, errors are felt."""

CHANNELS = 16
"""How many channels a tile needs on either side, for products to outweigh transforms."""

COPY = 40
"""Products of tiles that take as long as it takes to copy a number, or to transform it.

This and the next four are a fit to what 30 products with windows took, in two orders of axes, forwards and backwards,
on two cores: what is chosen by them takes 3% longer than the best choice in the geometric mean.
"""

LONG = 0.7
"""The same for a multiplication of the long products in the direct form."""

WINDOW = 20
"""The same for copying a number to where windows have it, in the direct form."""

KERNELS = 80
"""Rows of data whose products take as long as it takes to make the factors of kernels and to read them."""

KERNELS_EACH = 50
"""Rows of data whose products take as long as it takes to read kernels, in the direct form for every example."""


@dataclass(frozen=True, slots=True)
class Tiled:
    """A term as a correlation.

    Attributes:
        data: the tensor that has windows, read along whole axes.
        other: kernels, or with ``transposed`` what the windows meet at each position.
        transposed: whether offsets in the window stay and positions are summed.
        batch: the indices that only the data have, or that both have.
        axes: along each axis of the windows the index of the whole axis, the one that stays, the one that is summed.
        steps: along each axis from one element of a window to the next.
        flipped: indices that stay and run backwards along the data.
        channel: the other index of the data.
        column: the other index of ``other``.
        solved: whether the term was a scatter, which can copy products to where they belong as well as data.
    """

    data: Read
    other: Read
    transposed: bool
    batch: Axes
    axes: tuple[tuple[Index, Index, Index], ...]
    steps: tuple[Poly, ...]
    flipped: frozenset[Index]
    channel: Index
    column: Index
    solved: bool

    @property
    def out(self) -> Axes:
        """The axes of the result, in the order in which helpers write it."""
        kept = tuple(stays for _, stays, _ in self.axes)
        return (*kept, self.channel, self.column) if self.transposed else (*self.batch, *kept, self.column)

    @property
    def kernel(self) -> Axes:
        """The offsets in a window."""
        return tuple(stays if self.transposed else summed for _, stays, summed in self.axes)

    @property
    def windows(self) -> Axes:
        """The positions of windows."""
        return tuple(summed if self.transposed else stays for _, stays, summed in self.axes)


def recognised(b: Builder, term: Term, free: Axes) -> Tiled | None:
    """The term as a correlation at every position over many channels; None if it is anything else."""
    term, solved = _solved(b, term, free)
    factors = factors_of(term.body)
    if term.condition != TRUE or len(factors) != 2 or (isinstance(term.body, Mul) and term.body.coefficient != 1):
        return None
    for data, other in (factors, factors[::-1]):
        if isinstance(data, Read) and isinstance(other, Read):
            axes = _window_axes(data, other, set(term.bound))
            if axes:
                return _correlation(b, data, other, axes, set(term.bound), solved)
    return None


def _solved(b: Builder, term: Term, free: Axes) -> tuple[Term, bool]:
    """The term without its equalities, where they determine summed indices, and whether it was a scatter."""
    term = eliminate(b, term)
    if as_scatter(term, free) is None:
        return solve_rest(b, term), False
    solved = solved_form(b, term)
    if solved is None:
        return term, True
    return Term(term.scale, solved.bound, solved.condition, solved.body), True


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis of the data at ``step * stays + step * summed + rest``, or at ``-`` instead of ``+``."""

    place: int
    stays: Index
    backwards: bool
    stays_step: Poly
    summed: Index
    summed_backwards: bool
    summed_step: Poly


def _window_axes(data: Read, other: Read, bound: set[Index]) -> list[_Axis] | None:
    """The axes of the data along which ``other`` is moved; None if the two do not go together like that."""
    bordered = data.extension is not None and data.extension.mode == "constant"
    if not (bordered or data.extension in PLAIN) or other.extension not in PLAIN:
        return None
    plain = [p.atom for p in data.indices if isinstance(p.atom, Index)]
    beside = [i for p in other.indices for i in indices_of(p)]
    found: list[_Axis] = []
    for place, poly in enumerate(data.indices):
        if isinstance(poly.atom, Index):
            continue
        pair = [(i, *walk) for i in indices_of(poly) if (walk := _walk(poly, i)) is not None]
        if len(pair) != 2 or len(indices_of(poly)) != 2:
            return None
        summed, stays = sorted(pair, key=lambda p: p[0] not in bound)
        if summed[0] not in bound or stays[0] in bound:
            return None
        found.append(_Axis(place, *stays, *summed))
    own = [*plain, *(i for axis in found for i in (axis.stays, axis.summed))]
    distinct = len(own) == len(set(own)) and len(beside) == len(set(beside)) == len(other.indices)
    meet = all(a.summed in beside and a.stays not in beside for a in found)
    single = all((_walk(p, i) or (False, None))[1] == ONE for p, i in zip(other.indices, beside, strict=False))
    return found if distinct and meet and single else None


def _walk(poly: Poly, index: Index) -> tuple[bool, Poly] | None:
    """Whether an index runs backwards, and its step; None where that is no number or where its sign is not known."""
    split = affine_in(poly, index)
    if split is None or indices_of(split[0]):
        return None
    for backwards, step in enumerate((split[0], -split[0])):
        if positive(step):
            return bool(backwards), step
    return None


def _correlation(
    b: Builder, data: Read, other: Read, axes: list[_Axis], bound: set[Index], solved: bool
) -> Tiled | None:
    """The roles of all indices; None where there are not exactly one channel and one column, or too few of them."""
    longer = [b.typical(a.summed.extent) > b.typical(a.stays.extent) for a in axes]
    roles = [((a.summed, a.summed_step), (a.stays, a.stays_step)) for a in axes]
    roles = [(long, short) if far else (short, long) for far, (long, short) in zip(longer, roles, strict=True)]
    if any(longer) != all(longer) or any(every != ONE for (_, every), _ in roles):
        return None
    extents = [b.program.extents(data.tensor)[a.place] for a in axes]
    if any(step in (window.extent, extent) for ((window, _), (_, step)), extent in zip(roles, extents, strict=True)):
        return None  # digits of a position
    moved = {i for a in axes for i in (a.stays, a.summed)}
    left = [i for p in data.indices for i in indices_of(p) if i not in moved]
    right = [i for p in other.indices for i in indices_of(p) if i not in moved]
    shared = [i for i in left if i in right]
    alone, columns = [i for i in left if i not in right], [i for i in right if i not in left]
    if not set(shared) <= bound or (set(alone) | set(columns)) & bound:
        return None
    channels, batch = (alone, shared) if all(longer) else (shared, alone)
    if len(channels) != 1 or len(columns) != 1 or len(batch) > 1:
        return None
    data, other, whole = _forwards(data, other, axes)
    found = Tiled(
        data,
        other,
        all(longer),
        tuple(batch),
        tuple((t, a.stays, a.summed) for t, a in zip(whole, axes, strict=True)),
        tuple(step for _, (_, step) in roles),
        frozenset(a.stays for a in axes if a.backwards),
        channels[0],
        columns[0],
        solved,
    )
    kernel = [b.typical(i.extent) for i in found.kernel]
    many = min(b.typical(channels[0].extent), b.typical(columns[0].extent)) >= CHANNELS
    return found if many and prod(kernel) >= ELEMENTS and all(r in TILES for r in kernel) else None


def _forwards(data: Read, other: Read, axes: list[_Axis]) -> tuple[Read, Read, Axes]:
    """The data along whole axes, and ``other`` in the direction in which its windows run."""
    places = list(data.indices)
    turned: dict[Index, Poly] = {}
    whole: list[Index] = []
    names = {i.name for r in (data, other) for i in free_indices(r)}
    for axis in axes:
        steps = ((axis.stays, axis.backwards, axis.stays_step), (axis.summed, axis.summed_backwards, axis.summed_step))
        extent = as_poly(1)
        rest = places[axis.place]
        for i, backwards, step in steps:
            split = affine_in(rest, i)
            assert split is not None
            extent = extent + step * (i.extent - 1)
            rest = split[1] - step * (i.extent - 1) if backwards else split[1]
            if backwards and i == axis.summed:
                turned[i] = i.extent - 1 - as_poly(i)
        index = Index(fresh(axis.stays.name, names), extent)
        names.add(index.name)
        places[axis.place] = rest + as_poly(index)
        whole.append(index)
    flipped = rename(other, turned)
    assert isinstance(flipped, Read)
    return Read(data.tensor, tuple(places), data.extension), flipped, tuple(whole)
