"""Helper functions for correlations in tiles, as text; the table of matrices is printed from their derivation."""

from __future__ import annotations

from fractions import Fraction

from symgrad.emit.printer import WIDTH
from symgrad.lower.tiles import CHANNELS, ELEMENTS, TILES, WINDOWS
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
    for r, m in TILES.items():
        f = transforms(m, r)
        matrices = (line for matrix in (f.at, f.bt, f.g) for line in _matrix(matrix))
        lines += [f"    {r}: (", f"        {m},", *matrices, "    ),"]
    return "\n".join(lines)


_POINTS = ", ".join(map(str, POINTS[: max(m + r - 2 for r, m in TILES.items())]))

TILE_HELPERS: dict[str, str] = {
    "_tiles_pay": f'''
def _tiles_pay(kernel, channels, windows):
    """Whether fewer products outweigh transforms: large kernels, many channels, and many windows beside them."""
    many = min(channels) >= {CHANNELS} and math.prod(windows) >= {WINDOWS} * max(channels)
    return many and math.prod(kernel) >= {ELEMENTS} and all(r in _TILES for r in kernel)
''',
    "_factors": '''
def _factors(w):
    """Return kernels w[u.., c, k] with their transforms, for _correlate."""
    channels, columns = w.shape[-2:]
    g = _matrices(w.shape[:-2], w.dtype)[2]
    with _one_thread_each(), np.errstate(all="ignore"):
        return w, (g @ w.reshape(-1, channels * columns)).reshape(-1, channels, columns)
''',
    "_correlate": '''
def _correlate(out, x, kernels):
    """Write out[n, i.., k] = sum over u.., c of x[n, i + u.., c] * w[u.., c, k], in tiles along each axis i.

    The kernels are w and their factors. What is not finite would spoil its tile, so it goes by offsets.
    """
    w, factors = kernels
    windows = out.shape[1:-1]
    tile, width, counts = _tiling(w.shape[:-2], windows)
    at, bt, _ = _matrices(w.shape[:-2], x.dtype)
    _, channels, columns = factors.shape
    axes = len(tile)
    order = (axes, *(p for a in range(axes) for p in (axes + 1 + a, a)), 2 * axes + 1)
    rows = max(1, max(262144, factors.size) // (len(bt) * math.prod(counts) * channels))  # what stays in cache
    for start in range(0, len(x), rows):
        part, result = x[start : start + rows], out[start : start + rows]
        with np.errstate(all="ignore"):
            data = (bt @ _cut(part, tile, width, counts)).reshape(len(bt), -1, channels)
            tiles = at @ (data @ factors).reshape(len(bt), -1)
        if not np.isfinite(np.vdot(tiles, tiles)):
            result[...] = 0
            for u, shifted in _offsets(part, w.shape[:-2], windows):
                result += shifted @ w[u]
            continue
        tiles = tiles.reshape(*tile, -1, *counts, columns).transpose(order)
        tiles = tiles.reshape(len(tiles), *np.multiply(counts, tile), columns)
        result[...] = tiles[tuple(map(slice, result.shape))]
''',
    "_correlate_transposed": '''
def _correlate_transposed(out, x, y):
    """Write out[u.., c, k] = sum over n, i.. of x[n, i + u.., c] * y[n, i.., k], in tiles along each axis i.

    The matrices are those of _correlate, transposed. What is not finite would spoil its tile, so it goes by offsets.
    """
    *kernel, channels, columns = out.shape
    windows = y.shape[1:-1]
    tile, width, counts = _tiling(kernel, windows)
    at, bt, g = _matrices(tuple(kernel), y.dtype)
    sums = np.zeros((len(bt), channels, columns), y.dtype)
    rows = max(1, max(262144, sums.size) // (len(bt) * math.prod(counts) * channels))  # what stays in cache
    with np.errstate(all="ignore"):
        for start in range(0, len(x), rows):
            data = bt @ _cut(x[start : start + rows], tile, width, counts)
            spread = at.T @ _cut(y[start : start + rows], tile, tile, counts)
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
def _cut(x, tile, width, counts):
    """Copy the tiles of x[n, i.., c], a row for each position in a tile, with zeros beyond the ends."""
    extents = zip(tile, counts, width, x.shape[1:-1], strict=True)
    ends = [m * (count - 1) + wide - extent for m, count, wide, extent in extents]
    if any(ends):
        x = np.pad(x, ((0, 0), *((0, end) for end in ends), (0, 0)))
    first, *inner, last = x.strides
    shape = (*width, len(x), *counts, x.shape[-1])
    tiles = as_strided(x, shape, (*inner, first, *np.multiply(inner, tile), last), writeable=False)
    return tiles.reshape(math.prod(width), -1)
''',
    "_tiling": f'''
# By the extent r of a kernel: m, and the matrices of F(m, r) after Toom, Cook and Winograd. The correlation of
# m + r - 1 data d with r coefficients g is AT @ ((G @ g) * (BT @ d)), by m + r - 1 products for m r:
# an identity of polynomials, from values at infinity and the first of {_POINTS}.
# Errors in float32 are at most 6e-6 of the largest value for r of 2 or 3, 2e-5 for 4 or 5; in float64 3e-14.
_TILES = {{
{_table()}
}}


def _tiling(kernel, windows):
    """Extents of a tile and of what it reads, and how many tiles there are along each axis."""
    tile = tuple(_TILES[r][0] for r in kernel)
    width = tuple(m + r - 1 for m, r in zip(tile, kernel, strict=True))
    return tile, width, tuple(-(-extent // m) for extent, m in zip(windows, tile, strict=True))


@functools.cache
def _matrices(kernel, dtype):
    """Return AT, BT and G for all axes of a kernel together."""
    found = [np.ones((1, 1))] * 3
    for r in kernel:
        found = [np.kron(left, right) for left, right in zip(found, _TILES[r][1:], strict=True)]
    return [matrix.astype(dtype) for matrix in found]
''',
}
