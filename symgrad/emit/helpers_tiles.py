"""Helper functions for correlations in tiles, as text; the table of matrices is printed from their derivation."""

from __future__ import annotations

from fractions import Fraction

from symgrad.emit.printer import WIDTH
from symgrad.lower.tiles import CHANNELS, COPY, KERNELS, KERNELS_EACH, LONG, TILES, WINDOW
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
        if work < least:
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
    if w.strides[-1] > w.strides[-2]:
        _, turned, factors = _factors(w.swapaxes(-1, -2), tile)
        return tile, turned.swapaxes(-1, -2), factors.swapaxes(-1, -2)
    g = _matrices(tile, tuple(kernel), w.dtype)[2]
    with _one_thread_each(), np.errstate(all="ignore"):
        return tile, w, (g @ w.reshape(-1, channels * columns)).reshape(-1, channels, columns)
''',
    "_correlate": '''
def _correlate(out, x, kernels):
    """Write out[n, i.., k] = sum over u.., c of x[n, i + u.., c] * w[u.., c, k], in tiles along each axis i.

    The kernels are what _factors returns. What is not finite would spoil its tile, so it goes by offsets.
    """
    tile, w, factors = kernels
    kernel, windows = w.shape[:-2], out.shape[1:-1]
    at, bt, _ = _matrices(tile, kernel, x.dtype)
    rows = _tile_rows(factors, _counts(windows, tile))
    for start in range(0, len(x), rows):
        part, result = x[start : start + rows], out[start : start + rows]
        with np.errstate(all="ignore"):
            data = (bt @ _cut(part, tile, kernel, windows)).reshape(len(bt), -1, w.shape[-2])
            tiles = at @ (data @ factors).reshape(len(bt), -1)
        if np.isfinite(np.vdot(tiles, tiles)):
            _put(result, tiles, tile)
            continue
        result[...] = 0
        for u, shifted in _offsets(part, kernel, windows):
            result += shifted @ w[u]
''',
    "_correlate_transposed": '''
def _correlate_transposed(out, x, y, tile):
    """Write out[u.., c, k] = sum over n, i.. of x[n, i + u.., c] * y[n, i.., k], in tiles along each axis i.

    The matrices are those of _correlate, transposed. What is not finite would spoil its tile, so it goes by offsets.
    """
    *kernel, channels, columns = out.shape
    windows = y.shape[1:-1]
    at, bt, g = _matrices(tile, tuple(kernel), y.dtype)
    sums = np.zeros((len(bt), channels, columns), y.dtype)
    rows = _tile_rows(sums, _counts(windows, tile))
    with np.errstate(all="ignore"):
        for start in range(0, len(x), rows):
            data = bt @ _cut(x[start : start + rows], tile, kernel, windows)
            spread = at.T @ _cut(y[start : start + rows], tile, (1,) * len(tile), windows)
            sums += data.reshape(len(bt), -1, channels).swapaxes(-1, -2) @ spread.reshape(len(bt), -1, columns)
    if np.isfinite(np.vdot(sums, sums)):
        out[...] = (g.T @ sums.reshape(len(bt), -1)).reshape(out.shape)
        return
    places = range(y.ndim - 1)
    for u, shifted in _offsets(x, kernel, windows):
        out[u] = np.tensordot(shifted, y, (places, places))
''',
    "_offsets": '''
def _offsets(x, kernel, windows):
    """Yield every position u.. in a kernel, and of x[n, i.., c] what all windows have there."""
    for u in np.ndindex(*kernel):
        places = (slice(start, start + extent) for start, extent in zip(u, windows, strict=True))
        yield u, x[(slice(None), *places)]
''',
    "_cut": '''
def _tile_rows(factors, counts):
    """Return how many examples stay in cache at once, or beside factors that do not."""
    size, channels, _ = factors.shape
    return max(1, max(262144, factors.size) // max(1, size * math.prod(counts) * channels))


def _cut(x, tile, kernel, windows):
    """Copy what tiles read of x[n, i.., c], a row for each position in a tile, with zeros beyond the ends."""
    width, counts = [m + r - 1 for m, r in zip(tile, kernel, strict=True)], _counts(windows, tile)
    extents = zip(tile, counts, width, x.shape[1:-1], strict=True)
    ends = [m * (count - 1) + wide - extent for m, count, wide, extent in extents]
    x = _bordered(x, ((0, 0), *((0, end) for end in ends), (0, 0)))
    first, *inner, last = x.strides
    shape = (*width, len(x), *counts, x.shape[-1])
    tiles = as_strided(x, shape, (*inner, first, *np.multiply(inner, tile), last), writeable=False)
    return tiles.reshape(math.prod(width), -1)


def _put(out, tiles, tile):
    """Write tiles, a row for each position in a tile, to out[n, i.., k]; what is beyond its ends is left out."""
    examples, *windows, columns = out.shape
    counts = _counts(windows, tile)
    extents = [m * count for m, count in zip(tile, counts, strict=True)]
    whole = out if extents == windows else np.empty((examples, *extents, columns), out.dtype)
    axes = range(1, 2 * len(tile) + 1)
    apart = whole.reshape(examples, *np.ravel(list(zip(counts, tile, strict=True))), columns)
    apart = apart.transpose(*axes[1::2], 0, *axes[::2], -1)
    apart[...] = tiles.reshape(apart.shape)
    if whole is not out:
        out[...] = whole[tuple(map(slice, out.shape))]
''',
    "_matrices": f'''
# By m and r the matrices of F(m, r) after Toom, Cook and Winograd. The m outputs of the correlation of m + r - 1
# data d with r coefficients g are AT @ ((G @ g) * (BT @ d)), by m + r - 1 products for m r:
# an identity of polynomials, from values at infinity and the first of {_POINTS}.
# Errors in float32 are at most 6e-6 of the largest value for r of 2 or 3, 2e-5 for 4 or 5; in float64 3e-14.
_TILES = {{
{_table()}
}}


@functools.cache
def _matrices(tile, kernel, dtype):
    """Return AT, BT and G for all axes of a tile together."""
    found = [np.ones((1, 1))] * 3
    for f in zip(tile, kernel, strict=True):
        found = [np.kron(left, right) for left, right in zip(found, _TILES[f], strict=True)]
    return [matrix.astype(dtype) for matrix in found]
''',
}
