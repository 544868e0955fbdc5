"""Helper functions that emitted modules carry when they need them, as text."""

from __future__ import annotations

import re
from functools import cache

from symgrad.emit.helpers_bands import BAND_HELPERS
from symgrad.emit.helpers_differences import DIFFERENCES
from symgrad.emit.helpers_entry import ENTRY
from symgrad.emit.helpers_functions import FUNCTIONS
from symgrad.emit.helpers_pairs import PAIRS
from symgrad.emit.helpers_parts import PARTS
from symgrad.emit.helpers_products import PRODUCTS
from symgrad.emit.helpers_steps import CARRY
from symgrad.emit.helpers_tails import TAILS
from symgrad.emit.helpers_tiles import TILE_HELPERS

HELPERS: dict[str, str] = (
    ENTRY
    | FUNCTIONS
    | TAILS
    | {
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
        "_window_sums": '''
def _window_sums(windows, w):
    """Return the sum over u.. of ``windows[.., j, c, u..] * w[u.., c]``.

    Where j and c lie side by side they are one axis: NumPy then goes along it, and once for all u...
    """
    axes = windows.ndim - w.ndim + 1
    shape, strides = windows.shape, windows.strides
    columns, channels = shape[axes - 2 : axes]
    if strides[axes - 2] == channels * strides[axes - 1]:
        joined = (*shape[: axes - 2], columns * channels, *shape[axes:])
        rows = as_strided(windows, joined, strides[: axes - 2] + strides[axes - 1 :], writeable=False)
        return _products_added(rows, np.tile(w, columns)).reshape(shape[:axes])
    total = np.zeros(shape[:axes], windows.dtype)
    for offset in np.ndindex(shape[axes + 1 :]):
        total += _products_added(windows[(..., slice(None), *offset)], w[(slice(None), *offset)])
    return total
''',
        "_products_added": '''
def _products_added(windows, w):
    """Return the sum over u.. of ``windows[.., c, u..] * w[u.., c]``."""
    last = windows.ndim - w.ndim
    every = range(windows.ndim)
    return np.einsum(windows, every, w, [*every[last + 1 :], last], every[: last + 1])
''',
        "_last_dots": '''
def _last_dots(a, b):
    """Return the sum of ``a * b`` over all axes but the last, a short one: along others too that lie beside it."""
    length = a.shape[-1]
    while a.ndim > 2 and all(v.strides[-2] == v.shape[-1] * v.strides[-1] for v in (a, b)):
        shape = (*a.shape[:-2], a.shape[-2] * a.shape[-1])
        if shape[-1] > 2048:  # where the sums would leave the closest cache
            break
        a, b = (as_strided(v, shape, (*v.strides[:-2], v.strides[-1]), writeable=False) for v in (a, b))
    every = range(a.ndim)
    sums = np.einsum(a, every, b, every, every[-1:])
    return sums if sums.size == length else sums.reshape(-1, length).sum(axis=0)
''',
        "_sheared": '''
def _sheared(array, row, column, slope=1):
    """View an array such that diagonals are slices: (p, s) of the two axes is the element (p, s - slope * p).

    Where s - slope * p is outside of the axis there is nothing to be read.
    """
    shape, strides = list(array.shape), list(array.strides)
    shape[column] += slope * max(shape[row] - 1, 0)
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
        "_writeable": '''
def _writeable(array):
    """The array, or a copy where it is a view of what belongs to somebody else."""
    return array if array.flags.writeable else array.copy()
''',
        "_emptied": '''
def _emptied(array, windows):
    """Zeros where windows assign nothing: behind the last one of an axis, everywhere if there are gaps between them.

    ``windows`` are axes with the end of the last step, the extent of a window and the step.
    """
    for axis, end, extent, step in windows:
        array[(slice(None),) * axis + (slice(end if extent >= step else 0, None),)] = 0
    return array
''',
        "_repeat_border": '''
def _repeat_border(array, widths, mode):
    """Pad with elements of the array itself; where it has none, nobody reads the border."""
    return np.pad(array, widths, mode=mode) if array.size else np.pad(array, np.maximum(widths, 0))
''',
        "_fold_border": '''
def _fold_border(array, axis, widths, mode):
    """Add a border back to the elements that it repeats, and drop it: the adjoint of _repeat_border."""
    rows = np.moveaxis(array, axis, 0)
    before, after = widths = np.maximum(widths, 0)  # below 0 where the axis is empty
    extent = len(rows) - before - after
    inner = rows[before : before + extent].copy(order="K")
    if extent > 0:
        repeated = np.pad(np.arange(extent), widths, mode=mode)
        _add_at(inner, repeated[:before], rows[:before])
        _add_at(inner, repeated[before + extent :], rows[before + extent :])
    return np.moveaxis(inner, 0, axis)
''',
        "_sums": '''
def _sums(array, axes):
    """Sum over axes: over the last ones and over the first ones by products with ones, faster if there are many."""
    if array.size < 16384:
        return array.sum(axis=axes)
    rest, last = array.shape, array.ndim
    while last - 1 in axes:
        last -= 1
    if last < array.ndim:
        ones = np.ones(math.prod(rest[last:]), array.dtype)
        array = array.reshape(*rest[:last], ones.size)
        array = array.dot(ones) if array.ndim == 2 else _vecdot(array, ones)
    first = 0
    while first in axes and first < last:
        first += 1
    if first:
        ones = np.ones(math.prod(rest[:first]), array.dtype)
        array = ones.dot(array.reshape(ones.size, math.prod(rest[first:last]))).reshape(rest[first:last])
    between = tuple(axis - first for axis in axes if first <= axis < last)
    return array.sum(axis=between) if between else array
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
        "_sum_of_products": '''
def _sum_of_products(left, right, matmul=np.matmul):
    """Return the sum of ``left[n] @ right[n]`` over n: one product, if copies for it are less than all products are."""
    count, *stack, rows, inner = left.shape
    columns = right.shape[-1]
    if count > 1 and 2 * inner * (rows + columns) < rows * columns:
        left = np.moveaxis(left, 0, -2).reshape(*stack, rows, count * inner)
        return matmul(left, np.moveaxis(right, 0, -3).reshape(*stack, count * inner, columns))
    return matmul(left, right).sum(axis=0)
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
        "_first_equal": '''
def _first_equal(array):
    """For every element of the last axis the first position that holds the same."""
    order = array.argsort(axis=-1, kind="stable")
    ordered = np.take_along_axis(array, order, axis=-1)
    begins = np.diff(ordered, axis=-1, prepend=ordered[..., :1]) != 0
    begin = np.maximum.accumulate(np.where(begins, np.arange(array.shape[-1]), 0), axis=-1)
    first = np.empty_like(order)
    np.put_along_axis(first, order, np.take_along_axis(order, begin, axis=-1), axis=-1)
    return first
''',
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
        "_taken": '''
def _taken(source, first, *positions, out=None):
    """``source[positions]`` where ``first`` axes stay in front, into ``out``, if any: rows are copied as a whole."""
    last = first + len(positions)
    if not source.flags.c_contiguous:
        found = source[(slice(None),) * first + positions]
        return found if out is None else np.copyto(out, found)
    flat = np.asarray(positions[0], np.intp)
    for extent, position in zip(source.shape[first + 1 : last], positions[1:], strict=True):
        flat = flat * extent + position
    rows = source.reshape(*source.shape[:first], math.prod(source.shape[first:last]), *source.shape[last:])
    return rows.take(flat, axis=first, out=out, mode="clip")
''',
        "_add_groups": '''
def _add_groups(target, places, rows, order, starts, stops, zeros):
    """Add rows to ``target`` at their places, perhaps to ``zeros``; those of a group have one place."""
    while starts.size > (stops - starts).max(initial=0):  # in rounds: one row for each group that has rows left
        now = order[starts]
        here = tuple(p[now] for p in places)
        picked = rows.take(now, axis=0) if rows.flags.c_contiguous else rows[now]  # else all would be copied first
        target[here] = picked if zeros else target[here] + picked
        zeros = False
        starts = starts + 1
        left = starts < stops
        starts, stops = starts[left], stops[left]
    for start, stop in zip(starts, stops, strict=True):  # few groups, many rows: one group after the other
        now = order[start:stop]
        target[tuple(p[now[0]] for p in places)] += rows[now].sum(axis=0)
''',
        "_add_at": '''
def _add_at(target, *positions_and_values, zeros=False, add=_add_groups):
    """Add rows to ``target``, perhaps one of ``zeros``, at positions along its first axes; repeated ones add up."""
    *positions, values = map(np.asarray, positions_and_values)
    lead = len(positions)
    shape = np.broadcast_shapes(*(p.shape for p in positions))
    if 0 in shape or not target.size:
        return
    if target.ndim > lead and not target.flags.c_contiguous and 4 * values.size >= target.size:
        sums = np.zeros(target.shape, target.dtype)  # with rows side by side
        _add_at(sums, *positions_and_values, zeros=True, add=add)
        target += sums
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
    add(target, places, rows, order, starts, stops, zeros)
''',
    }
    | PAIRS
    | PARTS
    | PRODUCTS
    | TILE_HELPERS
    | BAND_HELPERS
    | DIFFERENCES
)


_WORD = re.compile(r"\w+")


@cache
def _called(name: str) -> frozenset[str]:
    """The helpers that one calls, itself among them."""
    return frozenset(HELPERS.keys() & _WORD.findall(HELPERS[name]))


def helper_text(names: set[str], layer: str) -> str:
    """The helpers asked for and those that they call, in the table's order, with the layer's name in messages."""
    wanted = waiting = names & HELPERS.keys()
    while waiting:
        waiting = set().union(*map(_called, waiting)) - wanted
        wanted = wanted | waiting
    found = [text.replace("{LAYER}", layer).strip("\n") for name, text in HELPERS.items() if name in wanted]
    return "\n\n\n".join(found)
