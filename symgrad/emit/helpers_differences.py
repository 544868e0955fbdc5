"""Helpers for sums of differences of rows: products of matrices where those keep the digits, differences elsewhere.

The product form of a squared distance has the rounding error of the squared norms. Where the distance is at least an
eighth of those, three bits are lost at most, and everywhere else the differences themselves are taken.
"""

DIFFERENCES = {
    "_FEW": """
_FEW = 8  # up to so many coordinates no product of matrices is faster than the differences themselves
""",
    "_squared_gaps": '''
def _squared_gaps(left, right, *weights):
    """Sum (left[n, d] - right[m, d])^2, perhaps times weights[d], over d, to the digits of the differences.

    A product of matrices does it, but for what is small beside the squared norms.
    """
    if left.ndim > 2:
        return _stacked(_squared_gaps, left, right, *weights)
    below = weights[0] < 0 if weights else np.False_
    if below.any():
        parts = ((~below, weights[0]), (below, -weights[0]))
        positive, negative = (_squared_gaps(left[:, some], right[:, some], w[some]) for some, w in parts)
        return positive - negative
    (N, D), M = left.shape, len(right)
    if D <= _FEW:
        squares, columns = np.zeros((N, M), left.dtype), np.ascontiguousarray(right.T)
        rows = 32768 // max(M, 1) + 1
        for start in range(0, N, rows):
            for d in range(D):
                gap = left[start : start + rows, d, None] - columns[d]
                np.square(gap, out=gap)
                squares[start : start + rows] += gap * weights[0][d] if weights else gap
        return squares
    squares, count = np.empty((N, M), left.dtype), 131072 // D + 1
    rows, columns, norms = _gap_factors(left, right, *weights)
    step = 65536 // max(M, 1) + 1
    for start in range(0, N, step):
        part = squares[start : start + step]
        with np.errstate(over="ignore", invalid="ignore"):
            np.matmul(rows[start : start + step], columns, out=part)
            near = () if part.min(initial=1) > 0 else np.flatnonzero(~(part > 0))
            part += norms[0][start : start + step]
            part += norms[1]
        for first in range(0, len(near), count):
            n, m = np.divmod(near[first : first + count], M)
            gap = left[n + start] - right[m]
            part[n, m] = np.einsum("pd,pd->p", gap, gap * weights[0] if weights else gap)
    return squares
''',
    "_weighted_gaps": '''
def _weighted_gaps(weights, left, right, near):
    """Sum weights[n, m] * (left[n, d] - right[m, d]) over m: the ``near`` by differences, the others by a product."""
    if left.ndim > 2:
        return _stacked(_weighted_gaps, weights, left, right, near)
    N, D = left.shape
    if D <= _FEW:
        total, columns = np.empty_like(left, order="C"), np.ascontiguousarray(right.T)
        rows = 32768 // max(len(right), 1) + 1
        for start in range(0, N, rows):
            here = slice(start, start + rows)
            for d in range(D):
                total[here, d] = np.einsum("nm,nm->n", weights[here], left[here, d, None] - columns[d])
        return total
    some = near.any()
    far = np.where(near, 0, weights) if some else weights
    from_left, from_right = (np.nan_to_num(side, posinf=0, neginf=0) for side in _centred(left, right))
    total = far.sum(axis=1)[:, None] * from_left - far @ from_right
    for n, m in _pairs(near, D) if some else ():
        gap = (left[n] - right[m]) * weights[n, m, None]
        first = np.flatnonzero(np.diff(n, prepend=-1))
        total[n[first]] += np.add.reduceat(gap, first, axis=0)
    return total
''',
    "_near_pairs": '''
def _near_pairs(left, right):
    """Whether a product of matrices would lose the digits of left[n] - right[m], which are near each other."""
    if left.ndim > 2:
        return _stacked(_near_pairs, left, right)
    (N, D), M = left.shape, len(right)
    if D <= _FEW:  # then nobody asks
        return np.broadcast_to(True, (N, M))
    near, step = np.zeros((N, M), bool), 65536 // max(M, 1) + 1
    rows, columns, _ = _gap_factors(left, right)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, N, step):
            product = rows[start : start + step] @ columns
            if not product.min(initial=1) > 0:
                near[start : start + step] = ~(product > 0)
    return near
''',
    "_gap_factors": '''
def _gap_factors(left, right, *weights):
    """Matrices whose product is the squared distances less an eighth of the squared norms, and those eighths."""
    with np.errstate(over="ignore", invalid="ignore"):
        left, right = _centred(left, right)
        if weights:
            left, right = left * np.sqrt(weights[0]), right * np.sqrt(weights[0])
        lengths, widths = (np.einsum("nd,nd->n", side, side)[:, None] for side in (left, right))
        rows = np.hstack([left, lengths, np.ones_like(lengths)])
        columns = np.hstack([-2 * right, np.full_like(widths, 7 / 8), widths * (7 / 8)]).T
        return rows, columns, (lengths / 8, widths.T / 8)
''',
    "_centred": '''
def _centred(left, right):
    """Both without the mean of ``right``, which no difference between them has; 0 where it is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        centre = right.sum(axis=0) / max(len(right), 1)
        centre[~np.isfinite(centre)] = 0
        return left - centre, right - centre
''',
    "_pairs": '''
def _pairs(near, width):
    """Row and column of what holds in ``near``, as many at once as rows of ``width`` stay in cache."""
    rows, count = 65536 // max(near.shape[1], 1) + 1, 131072 // max(width, 1) + 1
    for start in range(0, len(near), rows):
        n, m = np.nonzero(near[start : start + rows])
        for first in range(0, len(n), count):
            yield n[first : first + count] + start, m[first : first + count]
''',
    "_stacked": '''
def _stacked(function, *stacks):
    """A function of matrices for each of the stacked ones."""
    lead = stacks[0].shape[:-2]
    results = [function(*(stack[place] for stack in stacks)) for place in np.ndindex(lead)]
    if not results:
        none = function(*(np.zeros(stack.shape[len(lead) :], stack.dtype) for stack in stacks))
        return np.zeros((*lead, *none.shape), none.dtype)
    return np.reshape(results, (*lead, *results[0].shape))
''',
}
