"""Helper functions for matrix products on one thread, as text."""

from __future__ import annotations

PRODUCTS: dict[str, str] = {
    "_LOCKED": """
_LOCKED = 500  # results for which matmul and vecdot keep the interpreter's lock, and all others waiting
""",
    "_vecdot": '''
def _vecdot(a, b):
    """Return the sum of a * b over their last axis, cut where results are few."""
    extent = a.shape[-1]
    cuts = _LOCKED // max(1, math.prod(a.shape[:-1])) + 1
    step = extent // cuts
    if cuts == 1 or step < 32:
        return np.vecdot(a, b)
    whole = step * cuts
    sums = np.vecdot(*(v[..., :whole].reshape(*v.shape[:-1], cuts, step) for v in (a, b))).sum(axis=-1)
    return sums + np.vecdot(a[..., whole:], b[..., whole:]) if whole < extent else sums
''',
    "_matmul": '''
_SMALL_KERNELS = _BLAS is not None and _BLAS[2] in {b"SkylakeX", b"Cooperlake", b"SapphireRapids"}


def _matmul(a, b, out=None):
    """Return ``a @ b``, in blocks where that is faster: with ``_one_thread_each``, and kernels for small matrices.

    They take matrices as they are, up to a million multiplications; else OpenBLAS copies both, into its own order.
    """
    if max(a.ndim, b.ndim) < 3 and (min(a.ndim, b.ndim, a.shape[-1]) < 2 or len(a) * b.shape[1] <= _LOCKED):
        if out is None:
            return a.dot(b)
        out[...] = a.dot(b)
        return out
    if not (_SMALL_KERNELS and _HELD) or min(a.ndim, b.ndim) < 2:
        return np.matmul(a, b, out=out)
    rows, inner, columns = *a.shape[-2:], b.shape[-1]
    a_turned, b_turned = (v.strides[-1] > v.strides[-2] for v in (a, b))
    most = 10**6 // max(inner, 1)  # elements of a block
    if b_turned and not a_turned and rows >= 96 and inner < 128 and most >= 8 * columns:  # saves more than it takes
        b, b_turned = np.ascontiguousarray(b), False
    step = _block(rows, inner, columns, most, a_turned, b_turned, b.ndim > 2)
    if not step:
        return np.matmul(a, b, out=out)
    if out is None:
        stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = np.empty((*stack, rows, columns), np.result_type(a, b))
    left, right, target = (a, b, out) if step > 0 else (v.swapaxes(-1, -2) for v in (b, a, out))
    count, rest = divmod(left.shape[-2], abs(step))
    whole = left.shape[-2] - rest

    def cut(v):
        return v[..., :whole, :].reshape(*v.shape[:-2], count, abs(step), v.shape[-1])

    np.matmul(cut(left), right[..., None, :, :], out=cut(target))
    if rest:
        np.matmul(left[..., whole:, :], right, out=target[..., whole:, :])
    return out


def _block(rows, inner, columns, most, a_turned, b_turned, stacked):
    """Return how many rows of ``a`` to multiply at once, below 0 columns of ``b``, 0 for all; as measured."""
    if rows * columns <= most or min(rows, inner, columns) < 2:
        return 0
    if b_turned and not a_turned and inner >= 256 and columns <= 100 and most >= 8 * columns:
        return 8
    if not b_turned and most // columns >= (24 if a_turned else 16 if stacked else 8):
        return min(most // columns // 8 * 8, 64)
    if not b_turned and stacked and most // rows >= 16 and columns <= 256:
        return -16
    if not b_turned and most // rows >= (16 if a_turned else 32):
        return -min(most // rows // 16 * 16, 512)
    return -16 if b_turned and most // rows >= 16 and (a_turned or inner >= 128 >= 2 * rows) else 0
''',
}
