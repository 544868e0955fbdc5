"""Helper functions that emitted modules carry when they need them, as text."""

from __future__ import annotations

import re

from symgrad.emit.helpers_entry import ENTRY
from symgrad.emit.helpers_parts import PARTS
from symgrad.emit.helpers_steps import CARRY
from symgrad.emit.helpers_tiles import TILE_HELPERS

HELPERS: dict[str, str] = (
    ENTRY
    | {
        "_sigmoid": '''
def _sigmoid(x):
    """1 / (1 + exp(-x)); where exp overflows the quotient is 0, as it should be."""
    with np.errstate(over="ignore"):
        return _in_blocks(lambda x: 1 / (1 + np.exp(-x)), x)
''',
        "_softplus": '''
def _softplus(x):
    """log(1 + exp(x)) without overflow."""
    return _in_blocks(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), x)
''',
        "_logcosh": '''
def _logcosh(x):
    """log(cosh(x)) without overflow; near 0 by log1p, beyond 1 what that has to grow by."""
    return _in_blocks(_logcosh_of_block, x)


def _logcosh_of_block(x):
    size = np.abs(x)
    near = np.minimum(size, 1)
    value = np.log1p(2 * np.square(np.sinh(near / 2)))
    return value + (size - near) + (np.log1p(np.exp(-2 * size)) - np.log1p(np.exp(-2 * near)))
''',
        "_log1mexp": '''
def _log1mexp(x):
    """log(1 - exp(x)) for x < 0 by expm1 near 0 and by log1p elsewhere, as Maechler does."""
    return _in_blocks(_log1mexp_of_block, x)


def _log1mexp_of_block(x):
    near = x > -0.6931472
    value = np.where(near, -np.expm1(x), 1)
    return np.where(near, np.log(value), np.log1p(-np.exp(np.where(near, -1, x).astype(x.dtype))))
''',
        "_erf": '''
# erf(x) = tanh(x P(x^2) / Q(x^2)) to rounding: coefficients of P and Q by dtype, highest power first, and the x from
# which on erf(x) is 1.
_ERF = {
    "f": (
        4.2,
        (
            -8.774139838e-10,
            3.191248607e-08,
            -2.748286956e-07,
            -3.129442972e-06,
            7.991616359e-05,
            -0.0006082963085,
            -0.0001993696533,
            0.1027707379,
            1.12837922,
        ),
        (1.0,),
    ),
    "d": (
        6.0,
        (
            2.6988986301191233e-09,
            4.3413480746991514e-07,
            1.4566546415172292e-05,
            0.00025654193725072754,
            0.003018125931474377,
            0.023977909889541453,
            0.13725471498089145,
            0.48745939484491335,
            1.1283791670955123,
        ),
        (
            1.4359203472380257e-10,
            8.831337872950386e-08,
            5.417623601243983e-06,
            0.00011113591482590357,
            0.001576879287815484,
            0.01356843882190564,
            0.09077329501720388,
            0.34091979253139554,
            1.0,
        ),
    ),
}


def _erf(x):
    """The error function, within a few units in the last place."""
    with np.errstate(under="ignore"):  # the square of a tiny x
        return _in_blocks(_erf_of_block, x)


def _erf_of_block(x):
    limit, p, q = _ERF[x.dtype.char]
    x = np.clip(x, -limit, limit)
    square = x * x
    x *= _polynomial(p, square)
    if len(q) > 1:
        x /= _polynomial(q, square)
    return np.tanh(x)
''',
        "_erfc": '''
def _erfc(x):
    """1 - erf(x), element by element so that small values keep their digits."""
    return np.vectorize(math.erfc, otypes=[x.dtype])(x)
''',
        "_in_blocks": '''
def _in_blocks(function, x):
    """An elementwise function of x, block by block if x is long: what a block needs stays in cache."""
    if np.size(x) <= 65536:
        return function(x)
    y = np.empty(x.shape, x.dtype)
    source, target = x.reshape(-1), y.reshape(-1)
    for start in range(0, x.size, 65536):
        target[start : start + 65536] = function(source[start : start + 65536])
    return y
''',
        "_polynomial": '''
def _polynomial(coefficients, t):
    """Horner's rule, highest power first."""
    value = coefficients[0] * t
    for c in coefficients[1:-1]:
        value += c
        value *= t
    return value + coefficients[-1]
''',
        "_where": '''
def _where(mask, left, right, dtype):
    """np.where on the bits of floats, several times faster where the mask has no pattern to be guessed."""
    bits = f"i{np.dtype(dtype).itemsize}"
    left, right = (np.asarray(value, dtype).view(bits) for value in (left, right))
    return ((left ^ right) & -np.asarray(mask).astype(bits) ^ right).view(dtype)
''',
        "_windows": '''
def _windows(array, sizes, axes):
    """View every window of the given sizes along ``axes``; positions inside a window are new last axes."""
    shape, strides = list(array.shape), array.strides
    for size, axis in zip(sizes, axes, strict=True):
        shape[axis] = max(shape[axis] - size + 1, 0)
    inner = tuple(max(size, 0) for size in sizes)
    steps = tuple(strides[axis] for axis in axes)
    return as_strided(array, (*shape, *inner), strides + steps, writeable=False)
''',
        "_sheared": '''
def _sheared(array, row, column, slope=1):
    """View an array such that diagonals are slices: (p, s) of the two axes is the element (p, s - slope * p).

    Where s - slope * p is outside of the axis there is nothing to be read.
    """
    shape, strides = list(array.shape), list(array.strides)
    shape[column] = max(shape[column] + slope * (shape[row] - 1), 0)
    strides[row] -= slope * strides[column]
    return as_strided(array, shape, strides)
''',
        "_bordered": '''
def _bordered(array, widths, value=0):
    """Put a border of ``value`` around an array to be read; without any width it is the array itself."""
    if not any(map(any, widths)):
        return array
    sides = tuple(zip(array.shape, widths, strict=True))
    bordered = np.full([before + extent + after for extent, (before, after) in sides], value, array.dtype)
    bordered[tuple(slice(before, before + extent) for extent, (before, _) in sides)] = array
    return bordered
''',
        "_extended": '''
def _extended(array, widths, value=0):
    """Put a border of ``value`` around an array to be read; a width below 0 takes elements away instead."""
    array = _bordered(array, [(max(before, 0), max(after, 0)) for before, after in widths], value)
    stops = [max(extent + min(after, 0), 0) for extent, (_, after) in zip(array.shape, widths, strict=True)]
    return array[tuple(slice(max(-before, 0), stop) for (before, _), stop in zip(widths, stops, strict=True))]
''',
        "_nonempty": '''
def _nonempty(array, *axes):
    """The array with an element along each of ``axes``: one that is there for nothing but to be masked out."""
    missing = [(0, int(not extent and axis in axes)) for axis, extent in enumerate(array.shape)]
    return np.pad(array, missing) if np.any(missing) else array
''',
        "_repeat_border": '''
def _repeat_border(name, array, widths, mode):
    """Pad with elements of the array itself; a bordered axis has to have some."""
    if any(not extent and any(pair) for extent, pair in zip(array.shape, widths, strict=True)):
        raise ValueError(f"{LAYER}: {name} has shape {array.shape}, and an empty axis has nothing to border it with")
    return np.pad(array, widths, mode=mode) if array.size else np.pad(array, widths)
''',
        "_fold_border": '''
def _fold_border(array, axis, widths, mode):
    """Add a border back to the elements that it repeats, and drop it: the adjoint of _repeat_border."""
    rows = np.moveaxis(array, axis, 0)
    before, after = widths
    extent = len(rows) - before - after
    inner = rows[before : before + extent].copy(order="K")
    if extent > 0:
        repeated = np.pad(np.arange(extent), widths, mode=mode)
        _add_at(inner, repeated[:before], rows[:before])
        _add_at(inner, repeated[before + extent :], rows[before + extent :])
    return np.moveaxis(inner, 0, axis)
''',
        "_sum_diagonals": '''
def _sum_diagonals(array):
    """Sum array[..., i, j] over all i + j = t, for every t: rows shifted by one another, then added up."""
    *lead, rows, columns = array.shape
    if rows > columns:
        return _sum_diagonals(array.swapaxes(-1, -2))
    shifted = np.zeros((*lead, rows, rows + columns), array.dtype)
    shifted[..., :columns] = array
    diagonals = max(rows + columns - 1, 0)
    flat = shifted.reshape(*lead, rows * (rows + columns))
    return flat[..., : rows * diagonals].reshape(*lead, rows, diagonals).sum(axis=-2)
''',
        "_sum_ranges": '''
def _sum_ranges(rows, first, last):
    """Sum rows[first[k] : last[k]] for every k; ranges may be empty or overlap."""
    extent = len(rows)
    if not extent or not len(first):
        return np.zeros((len(first), *rows.shape[1:]), rows.dtype)
    first, last = np.clip(first, 0, extent), np.clip(last, 0, extent)
    ends = np.minimum(np.stack([first, last], axis=1).ravel(), extent - 1)
    sums = np.add.reduceat(rows, ends)[::2]
    sums[(last == extent) & (last - first > 1)] += rows[-1]  # reduceat cannot end behind the last row
    sums[last <= first] = 0
    return sums
''',
        "_spread_ranges": '''
def _spread_ranges(rows, first, last, extent):
    """Add rows[k] at all positions first[k] .. last[k] - 1 of an axis: the adjoint of _sum_ranges."""
    first, last = np.clip(first, 0, extent), np.clip(last, 0, extent)
    lengths = np.maximum(last - first, 0)
    owners = np.repeat(np.arange(len(rows)), lengths)
    positions = np.arange(len(owners)) + np.repeat(first + lengths - lengths.cumsum(), lengths)
    spread = np.zeros((extent, *rows.shape[1:]), rows.dtype)
    if (np.diff(positions) > 0).all():
        spread[positions] = rows[owners]
    else:
        _add_at(spread, positions, rows[owners])
    return spread
''',
        "_covered": '''
def _covered(first, last, extent):
    """Whether a position of an axis lies in one of the ranges first[k] .. last[k] - 1."""
    first, last = np.clip(first, 0, extent), np.clip(last, 0, extent)
    begun = np.bincount(first, minlength=extent + 1) - np.bincount(np.maximum(first, last), minlength=extent + 1)
    return begun.cumsum()[:extent] > 0
''',
        "_product_of_others": '''
def _product_of_others(x):
    """For each element of the last axis the product of all the others: those before it times those after it."""
    before = np.ones_like(x)
    np.cumprod(x[..., :-1], axis=-1, out=before[..., 1:])
    after = np.ones_like(x)
    np.cumprod(x[..., :0:-1], axis=-1, out=after[..., -2::-1])
    return before * after
''',
        "_carry": CARRY,
        "_first_at": '''
def _first_at(best, *positions_and_values):
    """Number of the first value that is as large as ``best`` at its position; 0 where no value has that position."""
    *positions, values = positions_and_values
    shape = np.broadcast_shapes(*(p.shape for p in positions))
    count = int(np.prod(shape))
    numbers = np.arange(count).reshape(*shape, *[1] * (values.ndim - len(shape)))
    first = np.full(best.shape, count)
    np.minimum.at(first, tuple(positions), np.where(values == best[tuple(positions)], numbers, count))
    first[first == count] = 0
    return first
''',
        "_add_at": '''
def _add_at(target, *positions_and_values):
    """Add rows to ``target`` at positions along its first axes, repeated positions adding up."""
    *positions, values = map(np.asarray, positions_and_values)
    lead = len(positions)
    shape = np.broadcast_shapes(*(p.shape for p in positions))
    if 0 in shape or not target.size:
        return
    flat = positions[0]
    for extent, position in zip(target.shape[1:lead], positions[1:], strict=True):
        flat = flat * extent + position
    flat = flat.ravel()
    if target.ndim == lead and 8 * flat.size >= target.size:  # else most sums would be of nothing
        sums = np.bincount(flat, np.broadcast_to(values, shape).ravel(), minlength=target.size)
        target += sums.reshape(target.shape).astype(target.dtype)
        return
    rows = np.broadcast_to(values, shape + target.shape[lead:]).reshape(flat.size, *target.shape[lead:])
    places = np.unravel_index(flat, target.shape[:lead])
    order = np.argsort(flat.astype(np.min_scalar_type(int(np.prod(target.shape[:lead])))), kind="stable")
    flat = flat[order]
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    stops = np.append(starts[1:], flat.size)
    while starts.size > (stops - starts).max(initial=0):  # in rounds: one row for each position that has rows left
        now = order[starts]
        target[tuple(p[now] for p in places)] += rows[now]
        starts += 1
        left = starts < stops
        starts, stops = starts[left], stops[left]
    for start, stop in zip(starts, stops, strict=True):  # few positions, many rows: one position after the other
        now = order[start:stop]
        target[tuple(p[now[0]] for p in places)] += rows[now].sum(axis=0)
''',
    }
    | PARTS
    | TILE_HELPERS
)


def helper_text(names: set[str], layer: str) -> str:
    """The helpers asked for and those that they call, in the table's order, with the layer's name in messages."""
    wanted = set(names)
    for name, text in HELPERS.items():
        # The table lists a helper after those that call it.
        if name in wanted:
            wanted |= {other for other in HELPERS if re.search(rf"\b{other}\b", text) and other != name}
    found = [text.replace("{LAYER}", layer).strip("\n") for name, text in HELPERS.items() if name in wanted]
    return "\n\n\n".join(found)
