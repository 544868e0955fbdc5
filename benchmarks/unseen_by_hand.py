"""Forward and backward of some unseen layers as a careful person writes them in NumPy.

Every function takes the layer's arrays, then the cotangents, then the attributes by name,
and returns the outputs and the gradients by name. They are what the emitted modules are measured against.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def segment_sum(rows, ids, segments):
    """Sum rows that share an id: sort once, then reduce runs."""
    out = np.zeros((segments, *rows.shape[1:]), rows.dtype)
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    out[ordered[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return out


def skewed_sum(grad):
    """Sum ``grad[r, j]`` over all ``r + j = t``."""
    rows, cols = grad.shape
    buffer = np.zeros((rows, rows + cols), grad.dtype)
    buffer[:, :cols] = grad
    return buffer.ravel()[: rows * (rows + cols - 1)].reshape(rows, -1).sum(axis=0)


def circulant_product(c, x, g):
    N = len(c)
    doubled = np.roll(np.tile(c[::-1], 2), 1)[1:]
    matrix = np.ascontiguousarray(sliding_window_view(doubled, N)[::-1])
    y = x @ matrix.T
    grad_doubled = np.r_[np.zeros(1, c.dtype), skewed_sum((g.T @ x)[::-1])]
    grad_c = np.roll(grad_doubled[:N] + grad_doubled[N:], -1)[::-1]
    return (y,), {"c": grad_c, "x": g @ matrix}


def toeplitz_product(h, x, g):
    matrix = np.ascontiguousarray(sliding_window_view(h, x.shape[1])[:, ::-1])
    return (x @ matrix.T,), {"h": skewed_sum((g.T @ x)[:, ::-1]), "x": g @ matrix}


def backward_windows(x, w, g):
    flipped, outputs = x[:, ::-1], (x.shape[1] - len(w)) // 2 + 1
    reads = [flipped[:, u : u + 2 * outputs - 1 : 2] for u in range(len(w))]
    y = reads[0] * w[0]
    grad_x = np.zeros_like(x)
    grad_flipped = grad_x[:, ::-1]
    grad_w = np.empty_like(w)
    for u, read in enumerate(reads):
        if u:
            y += read * w[u]
        grad_w[u] = np.einsum("bi,bi->", g, read)
        grad_flipped[:, u : u + 2 * outputs - 1 : 2] += g * w[u]
    return (y,), {"x": grad_x, "w": grad_w}


def remaining_weighted(x, w, g):
    rest = np.cumsum((x * w)[:, ::-1], axis=1)[:, ::-1]
    past = np.cumsum(g * x, axis=1)
    return (rest * x,), {"x": g * rest + past * w, "w": np.einsum("bi,bi->i", past, x)}


def lower_triangular_product(a, x, g):
    lower = np.tril(a)
    return (x @ lower.T,), {"a": np.tril(g.T @ x), "x": g @ lower}


def segment_totals(x, ids, g, R):
    return (segment_sum(x, ids, R),), {"x": g[ids]}


def scaled_rows(e, ids, w, g):
    rows = e[ids]
    grad_e = segment_sum(g * w[:, None], ids, len(e))
    return (rows * w[:, None],), {"e": grad_e, "w": np.einsum("nd,nd->n", g, rows)}


def bags_by_offsets(e, ids, offsets, g):
    counts = np.diff(offsets)
    y = np.zeros((len(counts), e.shape[1]), e.dtype)
    filled = counts > 0
    y[filled] = np.add.reduceat(e[ids], offsets[:-1][filled], axis=0)
    return (y,), {"e": segment_sum(np.repeat(g, counts, axis=0), ids, len(e))}


def shuffled_channels(x, w, g, G):
    shuffled = x.reshape(len(x), G, -1).transpose(0, 2, 1).reshape(x.shape)
    grad_x = (g * w).reshape(len(x), -1, G).transpose(0, 2, 1).reshape(x.shape)
    return (shuffled * w,), {"x": grad_x, "w": np.einsum("bc,bc->c", g, shuffled)}


def shuffled_pixels_scaled(x, z, g, r):
    N, _, H, W = x.shape
    blocks = x.reshape(N, -1, r, r, H, W).transpose(0, 1, 4, 2, 5, 3)
    y = (blocks * z[:, None, None, None, None]).reshape(N, -1, H * r, W * r)
    parts = g.reshape(N, -1, H, r, W, r)
    grad_x = (parts * z[:, None, None, None, None]).transpose(0, 1, 3, 5, 2, 4).reshape(x.shape)
    return (y,), {"x": grad_x, "z": np.einsum("nchpwq,nchpwq->c", parts, blocks)}


def ragged_mean(x, length, g):
    share = (np.arange(x.shape[1]) < length[:, None]) / length[:, None].astype(x.dtype)
    share = share.astype(x.dtype)
    return ((share[:, None] @ x)[:, 0],), {"x": share[:, :, None] * g[:, None, :]}


def bilinear_form(x, w, z, g):
    halves = np.tensordot(x, w, axes=(1, 1))
    y = np.matmul(halves, z[:, :, None])[..., 0]
    grad_z = np.matmul(g[:, None], halves)[:, 0]
    mixed = g @ w.reshape(len(w), -1)
    grad_x = np.matmul(mixed.reshape(len(x), x.shape[1], -1), z[:, :, None])[..., 0]
    outer = (x[:, :, None] * z[:, None]).reshape(len(x), -1)
    return (y,), {"x": grad_x, "w": (g.T @ outer).reshape(w.shape), "z": grad_z}


def gaps(x, c):
    """Squared distances through one matrix product."""
    y = x @ c.T
    y *= -2
    y += np.einsum("id,id->i", x, x)[:, None]
    y += np.einsum("jd,jd->j", c, c)
    return np.maximum(y, 0, out=y)


def gaps_pullback(x, c, g):
    grad_x = x * g.sum(axis=1)[:, None] - g @ c
    grad_c = c * g.sum(axis=0)[:, None] - g.T @ x
    grad_x *= 2
    grad_c *= 2
    return grad_x, grad_c


def squared_distances(x, c, g):
    grad_x, grad_c = gaps_pullback(x, c, g)
    return (gaps(x, c),), {"x": grad_x, "c": grad_c}


def gaussian_kernels(x, c, w, width, g):
    squares = gaps(x, c)
    kernel = np.exp(squares * (-1 / (2 * width**2)))
    grad_w = g @ kernel
    y = kernel @ w
    kernel *= g[:, None] * w
    grad_width = np.einsum("ij,ij->", kernel, squares) / width**3
    kernel *= -1 / (2 * width**2)
    grad_x, grad_c = gaps_pullback(x, c, kernel)
    return (y,), {"x": grad_x, "c": grad_c, "w": grad_w, "width": grad_width}


def nearest_centre(x, c, g):
    squares = gaps(x, c)
    best = squares.argmin(axis=1)
    grad_x = (x - c[best]) * (2 * g[:, None])
    return (squares[np.arange(len(x)), best],), {"x": grad_x, "c": -segment_sum(grad_x, best, len(c))}


def row_products(x, g):
    before, after = np.ones_like(x), np.ones_like(x)
    np.cumprod(x[:, :-1], axis=1, out=before[:, 1:])
    np.cumprod(x[:, :0:-1], axis=1, out=after[:, -2::-1])
    y = before[:, -1] * x[:, -1]
    before *= after
    before *= g[:, None]
    return (y,), {"x": before}


def largest_of_pieces(x, w, c, g):
    K, M, N = w.shape
    pieces = (x @ w.reshape(-1, N).T).reshape(-1, K, M)
    pieces += c
    best = pieces.argmax(axis=-1)[..., None]
    y = np.take_along_axis(pieces, best, axis=-1)[..., 0]
    pieces[:] = 0
    np.put_along_axis(pieces, best, g[..., None], axis=-1)
    flat = pieces.reshape(len(x), -1)
    grad_w = (flat.T @ x).reshape(w.shape)
    return (y,), {"x": flat @ w.reshape(-1, N), "w": grad_w, "c": pieces.sum(axis=0)}


def laplacian_replicate(x, g):
    p = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    y = p[:, :-2, 1:-1] + p[:, 2:, 1:-1]
    y += p[:, 1:-1, :-2]
    y += p[:, 1:-1, 2:]
    y -= 4 * x
    grad_x = -4 * g
    grad_x[:, :-1] += g[:, 1:]
    grad_x[:, 1:] += g[:, :-1]
    grad_x[:, :, :-1] += g[:, :, 1:]
    grad_x[:, :, 1:] += g[:, :, :-1]
    grad_x[:, 0] += g[:, 0]
    grad_x[:, -1] += g[:, -1]
    grad_x[:, :, 0] += g[:, :, 0]
    grad_x[:, :, -1] += g[:, :, -1]
    return (y,), {"x": grad_x}


def fourier_parts(x, g_real, g_imag):
    steps = np.arange(x.shape[1])
    angle = 2 * np.pi / x.shape[1] * (np.outer(steps, steps) % x.shape[1])
    cosines, sines = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    return (x @ cosines, -(x @ sines)), {"x": g_real @ cosines - g_imag @ sines}


def separable_convolution(x, f, p, g):
    N, C, H, W = x.shape
    border = ((0, 0), (0, 0), (1, 1), (1, 1))
    padded = np.pad(x, border)
    middle = np.zeros_like(x)
    for u, m in np.ndindex(3, 3):
        middle += padded[:, :, u : u + H, m : m + W] * f[:, u, m, None, None]
    flat, flat_g = middle.reshape(N, C, -1), g.reshape(N, len(p), -1)
    y = (p @ flat).reshape(g.shape)
    grad_p = np.matmul(flat_g, flat.transpose(0, 2, 1)).sum(axis=0)
    grad_middle = (p.T @ flat_g).reshape(x.shape)
    grad_padded, grad_f = np.zeros_like(padded), np.empty_like(f)
    for u, m in np.ndindex(3, 3):
        window = (slice(None), slice(None), slice(u, u + H), slice(m, m + W))
        grad_f[:, u, m] = np.einsum("ncij,ncij->c", grad_middle, padded[window])
        grad_padded[window] += grad_middle * f[:, u, m, None, None]
    return (y,), {"x": grad_padded[:, :, 1:-1, 1:-1], "f": grad_f, "p": grad_p}


def group_standardised(x, gain, g, eps):
    members = x.reshape(len(x), len(gain), -1)
    centred = members - members.mean(axis=2, keepdims=True)
    inverse = 1 / np.sqrt(np.einsum("ngm,ngm->ng", centred, centred)[..., None] / centred.shape[2] + x.dtype.type(eps))
    centred *= inverse
    y = (centred * gain[:, None]).reshape(x.shape)
    grad = g.reshape(members.shape)
    along = np.einsum("ngm,ngm->ng", grad, centred)
    grad_x = grad - grad.mean(axis=2, keepdims=True)
    centred *= along[..., None] / centred.shape[2]
    grad_x -= centred
    grad_x *= inverse * gain[:, None]
    return (y,), {"x": grad_x.reshape(x.shape), "gain": along.sum(axis=0)}
