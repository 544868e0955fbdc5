"""Helper functions for windows along the last axis as products with band matrices, as text."""

from __future__ import annotations

BAND_HELPERS: dict[str, str] = {
    "_bands": '''
def _bands(w, step, dilation, windows):
    """Matrices with w[.., v] at [step * j + dilation * v, j], for so many windows j, or 32 where there are more.

    For one window where offsets one by one are faster: too much would be zeros, or rows are long.
    """
    size = w.shape[-1]
    count = max(1, min(windows, 32))
    if step * (count - 1) + dilation * (size - 1) >= 16 * size or windows > 128 * size:
        count = 1
    bands = np.zeros((*w.shape[:-1], max(step * (count - 1) + dilation * (size - 1) + 1, 0), count), w.dtype)
    for v in range(size):
        bands[..., step * np.arange(count) + dilation * v, np.arange(count)] = w[..., v, None]
    return bands
''',
    "_add_windows": '''
def _add_windows(out, x, bands, step, dilation):
    """Add the sum over v of x[.., step * j + dilation * v] * w[.., v] to out[.., j], by a product with the bands of w.

    What is not finite would spoil its neighbours, so it goes by offsets; so does all where bands are of one window.
    """
    span, count = bands.shape[-2:]
    reach = span - step * (count - 1)
    length = count if count > 1 else max(1, out.shape[-1])
    for first in range(0, out.shape[-1], length):
        part = out[..., first : first + length]
        some = part.shape[-1]
        data = x[..., step * first : step * (first + some - 1) + reach]
        if count > 1:
            with np.errstate(all="ignore"):
                product = data @ bands[..., : data.shape[-1], :some]
            if np.isfinite(np.vdot(product, product)):
                part += product
                continue
        for v in range(0, reach, dilation):
            part += data[..., v : v + step * some : step] * bands[..., v : v + 1, :1]
''',
    "_spread_windows": '''
def _spread_windows(out, y, bands, step, dilation):
    """Add y[.., j] * w[.., v] to out[.., step * j + dilation * v]; the bands of w are transposed."""
    count, span = bands.shape[-2:]
    reach = span - step * (count - 1)
    length = count if count > 1 else max(1, y.shape[-1])
    for first in range(0, y.shape[-1], length):
        data = y[..., first : first + length]
        some = data.shape[-1]
        part = out[..., step * first : step * (first + some - 1) + reach]
        if count > 1:
            with np.errstate(all="ignore"):
                product = data @ bands[..., :some, : part.shape[-1]]
            if np.isfinite(np.vdot(product, product)):
                part += product
                continue
        for v in range(0, reach, dilation):
            part[..., v : v + step * some : step] += data * bands[..., :1, v : v + 1]
''',
    "_window_products": '''
def _window_products(out, x, y, step, dilation, summed):
    """Write the sum over j of x[.., step * j + dilation * v] * y[.., j] to out[.., v], diagonals of a product.

    Both are summed over the first ``summed`` axes and over the last but one. Offsets go one by one where most of a
    product would be for nothing, or rows are long.
    """
    windows, size = y.shape[-1], out.shape[-1]
    if step * min(windows, 32) + dilation * (size - 1) >= 16 * size or windows > 32 * size:
        for v in range(size):
            data = x[..., dilation * v : dilation * v + step * windows : step]
            sums = np.einsum("...rj,...rj->...", data, y)
            out[..., v] = sums.sum(axis=tuple(range(summed)))
        return
    out[...] = 0
    for first in range(0, y.shape[-1], 32):
        part = y[..., first : first + 32]
        data = x[..., step * first : step * (first + part.shape[-1] - 1) + dilation * (out.shape[-1] - 1) + 1]
        with np.errstate(all="ignore"):
            products = data.swapaxes(-1, -2) @ part
        for _ in range(summed):
            products = products.sum(axis=0) if len(products) != 1 else products[0]
        for v in range(out.shape[-1]):
            out[..., v] += np.trace(products[..., dilation * v :: step, :], axis1=-2, axis2=-1)
''',
}
