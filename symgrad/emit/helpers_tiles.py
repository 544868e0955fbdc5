"""Helper functions for correlations in tiles, as text; the table of matrices is printed from their derivation."""

from __future__ import annotations

from fractions import Fraction

from symgrad.emit.printer import WIDTH
from symgrad.lower.tiles import CHANNELS, COPY, KERNELS, KERNELS_EACH, LONG, PRODUCTS, TILES, WINDOW
from symgrad.lower.toom_cook import POINTS, Matrix, transforms


def _matrix(matrix: Matrix) -> list[str]:
    """A matrix as formatters write it: on one line if it fits, else a row a line."""
    rows = [f"({', '.join(map(_number, row))})" for row in matrix]
    line = f"        ({', '.join(rows)}),"
    return [line] if len(line) <= WIDTH else ["        (", *(f"            {row}," for row in rows), "        ),"]


def _number(value: Fraction) -> str:
    """A quotient where binary digits do not end."""
    if value.denominator == 1:
        return str(value.numerator)
    if value.denominator & (value.denominator - 1) == 0:
        return repr(float(value))
    return f"{value.numerator} / {value.denominator}"


def _table() -> str:
    """The entries of ``_TILES``."""
    lines: list[str] = []
    for f in (transforms(m, r) for r, several in TILES.items() for m in several):
        matrices = (line for matrix in (f.at, f.bt, f.g) for line in _matrix(matrix))
        lines += [f"    ({f.m}, {f.r}): (", *matrices, "    ),"]
    return "\n".join(lines)


_POINTS = ", ".join(map(str, POINTS[: max(m + r - 2 for r, several in TILES.items() for m in several)]))

TILE_HELPERS: dict[str, str] = {
    "_tiling": f'''
def _tiling(kernel, channels, copied, count, windows):
    """Return the extents of the tiles in which a correlation takes the least work; None if the direct form does.

    Work is counted in multiplications of tiles, for each pair of channels; the long products of the direct form take
    {LONG} of one. Copying or transforming a number takes {COPY}; copying one to where windows have it {WINDOW}, and
    the direct form does that with ``copied`` channels. Making and reading kernels takes as long as {KERNELS} rows of
    data once, in the direct form as {KERNELS_EACH} rows for every example.
    """
    inner, outer = channels
    if min(channels) < {CHANNELS}:
        return None
    least = math.prod(windows) * ({LONG} + {WINDOW} * copied / (inner * outer)) + {KERNELS_EACH}
    least, best = least * math.prod(kernel) * count, None
    for tile in itertools.product(*([m for m, r in _TILES if r == extent] for extent in kernel)):
        rows = count * math.prod(_counts(windows, tile))
        products = math.prod(m + r - 1 for m, r in zip(tile, kernel, strict=True))
        copies = rows * (products / outer + (products + math.prod(tile)) / inner)
        work = products * (rows + {KERNELS}) + {COPY} * copies
        if work < least and products <= {PRODUCTS}:  # with more, errors are felt
            least, best = work, tile
    return best


def _counts(windows, tile):
    """Return how many tiles there are along each axis."""
    return tuple(-(-extent // m) for extent, m in zip(windows, tile, strict=True))
''',
    "_factors": '''
def _factors(w, tile):
    """Return kernels w[u.., c, k] with their transforms for tiles of such extents, for _correlate."""
    *kernel, channels, columns = w.shape
    if w.strides[-1] > w.strides[-2] and channels * columns > 2**17:  # to turn so many takes longer than it saves
        _, turned, factors = _factors(w.swapaxes(-1, -2), tile)
        return tile, turned.swapaxes(-1, -2), factors.swapaxes(-1, -2)
    factors = w.reshape(*kernel, channels * columns)
    with _one_thread_each(), np.errstate(all="ignore"):
        for axis, (_, _, g) in enumerate(_matrices(tile, tuple(kernel), w.dtype)):
            factors = _along(factors, axis, g)
    return tile, w, factors.reshape(-1, channels, columns)
''',
    "_correlate": '''
def _correlate(out, x, kernels, before, steps=None):
    """Write out[n, i.., k] = sum over u.., c of x[n, i - before + u.., c] * w[u.., c, k], in tiles along each axis i.

    The kernels are what _factors returns; with ``steps`` u takes so many; beyond its ends x is 0. What is not finite
    would spoil its tile, so it goes by offsets.
    """
    tile, w, factors = kernels
    kernel, channels, columns = w.shape[:-2], *w.shape[-2:]
    at, bt, _ = zip(*_matrices(tile, kernel, x.dtype), strict=True)
    for part, result, first in _chunks(x, out, tile, kernel, factors, before, steps):
        counts = _counts(result.shape[1:-1], tile)
        with np.errstate(all="ignore"):
            data = _into_tiles(part, bt, tile, counts, first).reshape(len(factors), -1, channels)
            products = _matmul(data, factors).reshape(*map(len, bt), len(part), *counts, columns)
            finite = _from_tiles(result, products, at)
        if not finite:
            result[...] = 0
            for u, shifted in _offsets(part, kernel, result.shape[1:-1], first):
                result += shifted @ w[u]
''',
    "_correlate_transposed": '''
def _correlate_transposed(out, x, y, tile, before, steps=None):
    """Write out[u.., c, k] = sum over n, i.. of x[n, i - before + u.., c] * y[n, i.., k], in tiles along each axis i.

    The matrices are those of _correlate, transposed. With ``steps`` u takes so many. What is not finite would spoil its
    tile, so it goes by offsets.
    """
    *kernel, channels, columns = out.shape
    at, bt, g = zip(*_matrices(tile, tuple(kernel), y.dtype), strict=True)
    spreads, widths = [m.T for m in at], tuple(map(len, bt))
    sums = np.zeros((math.prod(widths), channels, columns), y.dtype)
    with np.errstate(all="ignore"):
        for part, met, first in _chunks(x, y, tile, kernel, sums, before, steps):
            counts = _counts(met.shape[1:-1], tile)
            data = _into_tiles(part, bt, tile, counts, first).reshape(len(sums), -1, channels)
            spread = _into_tiles(met, spreads, tile, counts, (0,) * len(tile)).reshape(len(sums), -1, columns)
            sums += _matmul(data.swapaxes(-1, -2), spread)
    if np.isfinite(np.vdot(sums, sums)):
        found = sums.reshape(*widths, channels * columns)
        for axis, matrix in enumerate(g):
            found = _along(found, axis, matrix.T)
        # A power of two apart, positions in a kernel share few places of a cache.
        room = np.empty((math.prod(kernel), channels * columns + 16), y.dtype)[:, :-16]
        room[...] = found.reshape(room.shape)
        out[...] = room.reshape(out.shape)
        return
    out[...], places = 0, range(y.ndim - 1)
    for part, met, first in _phases(x, y, before, steps):
        for u, shifted in _offsets(part, kernel, met.shape[1:-1], first):
            out[u] += np.tensordot(shifted, met, (places, places))
''',
    "_offsets": '''
def _offsets(x, kernel, windows, before):
    """Yield every position u.. in a kernel, and of x[n, i - before.., c] what all windows have there."""
    x = _beside(x, before, [window + r - 1 for window, r in zip(windows, kernel, strict=True)])
    for u in np.ndindex(*kernel):
        places = (slice(start, start + extent) for start, extent in zip(u, windows, strict=True))
        yield u, x[(slice(None), *places)]
''',
    "_along": '''
def _along(x, axis, matrix):
    """Multiply x along an axis by a matrix."""
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    product = _matmul(matrix, x.reshape(math.prod(before), x.shape[axis], math.prod(after)))
    return product.reshape(*before, len(matrix), *after)
''',
    "_into_tiles": '''
def _chunks(x, y, tile, kernel, factors, before, steps):
    """Yield parts of x[n, i.., c] and of y[n, i.., k], to which its windows belong: as much as stays in cache.

    That is some examples, or of one some rows of tiles; where factors fill the cache, as much as they do. The third
    is where x begins, as ``before``.
    """
    size, channels, _ = factors.shape
    for x, y, before in _phases(x, y, before, steps):
        rows, *others = _counts(y.shape[1:-1], tile)
        most = max(524288, factors.size) // max(1, size * channels * math.prod(others))
        examples, rows = max(1, most // max(rows, 1)), max(1, min(most, rows))
        step = rows * tile[0]
        for n in range(0, len(x), examples):
            for i in range(0, y.shape[1], step):
                start = i - before[0]
                first = max(start, 0)
                part = x[n : n + examples, first : max(start + step + kernel[0] - 1, first)]
                yield part, y[n : n + examples, i : i + step], (first - start, *before[1:])


def _phases(x, y, before, steps):
    """Yield the elements of x[n, i.., c] and y[n, i.., k] that windows with ``steps`` share; all without steps.

    The third is where x begins, as ``before``.
    """
    for first in np.ndindex(*steps or (1,) * len(before)):
        ends = [(f - b, s) for f, b, s in zip(first, before, steps or (1,) * len(before), strict=True)]
        of_x = (slice(place % s, None, s) for place, s in ends)
        of_y = (slice(f, None, s) for f, (_, s) in zip(first, ends, strict=True))
        met = y[(slice(None), *of_y)]
        if met.size:
            yield x[(slice(None), *of_x)], met, tuple(-(place // s) for place, s in ends)


def _into_tiles(x, matrices, tile, counts, before):
    """Return the matrices times what tiles read along each axis i of x[n, i - before.., c], 0 beyond its ends.

    The result has p.. first, rows of the matrices, then n, the tiles along each axis, and c.
    """
    widths = (matrix.shape[1] for matrix in matrices)
    x = _beside(x, before, [m * (count - 1) + width for m, count, width in zip(tile, counts, widths, strict=True)])
    out = np.empty((*map(len, matrices), len(x), *counts, x.shape[-1]), x.dtype)
    last = len(tile) - 1
    for axis, (matrix, m, count) in enumerate(zip(matrices, tile, counts, strict=True)):
        at = 1 + 2 * axis  # behind n, and tiles and rows of the axes before
        lead, step, rest = x.shape[:at], x.strides[at], x.shape[at + 1 :]
        shape = (*lead, count, matrix.shape[1], math.prod(rest))
        windows = np.ndarray(shape, x.dtype, x, 0, (*x.strides[:at], m * step, step, x.itemsize))
        if axis < last:
            x = (matrix @ windows).reshape(*lead, count, len(matrix), *rest)
    order = (last + 1, *(place for a in range(last + 1) for place in (last + 2 + a, a)), 2 * last + 3)
    np.matmul(matrix, windows, out=out.transpose(order))
    return out


def _beside(x, before, extents):
    """Return x[n, i - before.., c] for so many i with elements side by side in this order, 0 beyond the ends of x."""
    last = x.ndim - 1
    if x.strides[-1] > x.itemsize:  # read in the order of memory first, and turned in the cache
        turned = x.transpose(0, last, *range(1, last))
        apart = x.strides[-1] % 1024 == 0  # channels so far apart share few places of it
        room = np.empty((*turned.shape[:-1], turned.shape[-1] + apart), x.dtype)[..., : turned.shape[-1]]
        room[...] = turned
        x = room.transpose(0, *range(2, last + 1), 1)
    inside = x.shape[1:-1]
    if inside == tuple(extents) and not any(before):
        return np.ascontiguousarray(x)
    taken = (slice(max(-b, 0), max(e - b, 0)) for b, e in zip(before, extents, strict=True))
    given = (slice(max(b, 0), max(b + extent, 0)) for b, extent in zip(before, inside, strict=True))
    out = np.zeros((len(x), *extents, x.shape[-1]), x.dtype)
    out[(slice(None), *given)] = x[(slice(None), *taken)]
    return out


def _from_tiles(out, tiles, matrices):
    """Write the matrices times tiles[p.., n, tile.., k] to out[n, i.., k] and return whether all of it is finite.

    What is beyond the ends is left out.
    """
    place = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    extents, columns = out.shape[1:-1], out.shape[-1]
    for axis in reversed(range(1, len(matrices))):
        order = (*range(axis), *range(axis + 1, 2 * axis + 3), axis, 2 * axis + 3)
        tiles = matrices[axis] @ tiles.transpose(order)
        columns *= extents[axis]
        tiles = tiles.reshape(*tiles.shape[:-3], math.prod(tiles.shape[-3:]))[..., :columns]
    matrix, tiles = matrices[0], tiles.transpose(1, 2, 0, 3)
    whole, rest = divmod(extents[0], len(matrix))
    rows = place.reshape(len(out), extents[0], columns)
    np.matmul(matrix, tiles[:, :whole], out=rows[:, : extents[0] - rest].reshape(len(out), whole, len(matrix), columns))
    if rest:
        np.matmul(matrix[:rest], tiles[:, whole], out=rows[:, extents[0] - rest :])
    if place is not out:
        out[...] = place
    return np.isfinite(np.vdot(place, place))
''',
    "_matrices": f'''
# By m and r the matrices of F(m, r) after Toom, Cook and Winograd. The m outputs of the correlation of m + r - 1
# data d with r coefficients g are AT @ ((G @ g) * (BT @ d)), by m + r - 1 products for m r:
# an identity of polynomials, from values at infinity and the first of {_POINTS}.
# Errors in float32 are at most 6e-6 of the largest value for r of 2 or 3, along three axes 1e-5, 2e-5 for r of 4 to 6
# and 3e-5 for 7; in float64 5e-14.
_TILES = {{
{_table()}
}}


@functools.cache
def _matrices(tile, kernel, dtype):
    """Return AT, BT and G for each axis of a tile."""
    return [[np.array(matrix, dtype) for matrix in _TILES[f]] for f in zip(tile, kernel, strict=True)]
''',
}
