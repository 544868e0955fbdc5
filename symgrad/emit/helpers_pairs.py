"""Helper functions for reductions over ragged ranges, a row for each pair of a range and a position in it, as text."""

from __future__ import annotations

PAIRS: dict[str, str] = {
    "_ranges": '''
def _ranges(first, last, extent):
    """All k and p with first[k] <= p < last[k] on an axis, ordered by k, then p: an array (2, pairs)."""
    first, last = np.clip(first, 0, extent), np.clip(last, 0, extent)
    lengths = np.maximum(last - first, 0)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    return np.stack([owners, np.arange(len(owners)) + np.repeat(first + lengths - lengths.cumsum(), lengths)])
''',
    "_fold_pairs": '''
def _fold_pairs(fold, rows, owners, extent, nothing):
    """Reduce the rows of each owner, which stand together; one without rows gets ``nothing``."""
    folded = np.full((extent, *rows.shape[1:]), nothing, rows.dtype)
    if _are_long(rows, owners):
        begins = _begins(owners)
        folded[owners[begins]] = fold.reduceat(rows, begins)
        return folded
    for some, now in _rounds(owners):
        if len(some) == extent:
            fold(folded, rows[now], out=folded)
        else:
            folded[some] = fold(folded[some], rows[now])
    return folded
''',
    "_first_of_pairs": '''
def _first_of_pairs(rows, best, owners, positions):
    """For each owner the position of its first row that is ``best``, or no number; 0 without rows."""
    first = np.zeros(best.shape, positions.dtype)
    if _are_long(rows, owners):
        begins = _begins(owners)
        numbers = np.arange(len(rows)).reshape(-1, *[1] * (rows.ndim - 1))
        wins = (rows == best[owners]) | (rows != rows)
        first[owners[begins]] = positions[np.minimum.reduceat(np.where(wins, numbers, len(rows)), begins)]
        return first
    lost = np.ones(best.shape, bool)  # whether no row so far is the best
    before = np.zeros(best.shape, np.min_scalar_type(len(rows)))
    for some, now in _rounds(owners):
        found = rows[now]
        lost[some] &= (found != best[some]) & (found == found)
        before[some] += lost[some]
    begins = _begins(owners)
    first[owners[begins]] = positions[begins].reshape(-1, *[1] * (rows.ndim - 1)) + before[owners[begins]]
    return first
''',
    "_rounds": '''
def _begins(owners):
    """Return where the rows of each owner begin that has some."""
    return np.flatnonzero(np.diff(owners, prepend=-1))


def _rounds(owners):
    """Yield, for the first row of each owner, then the second .., which owners have one and where it is."""
    begins = _begins(owners)
    lengths = np.diff(begins, append=len(owners))
    for place in range(lengths.max(initial=0)):
        now = begins[lengths > place] + place
        yield owners[now], now


def _are_long(rows, owners):
    """Whether an owner has so many rows that few numbers are left for each of as many rounds."""
    return len(owners) > 0 and np.bincount(owners).max() * 1024 > rows.size
''',
    "_add_pairs": '''
def _add_pairs(rows, positions, extent):
    """Add up the rows of each position of an axis."""
    added = np.zeros((extent, *rows.shape[1:]), rows.dtype)
    if (np.diff(positions) > 0).all():
        added[positions] = rows
    else:
        _add_at(added, positions, rows)
    return added
''',
    "_others_in_pairs": '''
def _others_in_pairs(rows, owners):
    """For each row the product of the other rows of its owner: those before it times those after it."""
    return _before_in_pairs(rows, owners) * _before_in_pairs(rows[::-1], owners[::-1])[::-1]
''',
    "_before_in_pairs": '''
def _before_in_pairs(rows, owners):
    """For each row the product of those of its owner before it: of 1, 2, 4, .. of them in turn."""
    products = np.ones_like(rows)
    same = owners[1:] == owners[:-1]
    products[1:][same] = rows[:-1][same]
    step = 1
    while same.any():
        products[step:][same] *= products[:-step][same]
        step *= 2
        same = owners[step:] == owners[:-step]
    return products
''',
}
