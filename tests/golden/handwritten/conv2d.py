"""conv2d: cross-correlation of the images x with the kernels w, plus a bias.

Declaration, x zero outside its shape
    y[n, k, i, j] = sum_{c, u, v} x[n, c, stride i + u - padding, stride j + v - padding] w[k, c, u, v] + b[k]

Gradients, for the cotangent grad_y of y
    grad_x[n, c, s, t] = sum_{k, i, j, u, v} grad_y[n, k, i, j] w[k, c, u, v]
                         over stride i + u - padding = s and stride j + v - padding = t
    grad_w[k, c, u, v] = sum_{n, i, j} grad_y[n, k, i, j] x[n, c, stride i + u - padding, stride j + v - padding]
    grad_b[k] = sum_{n, i, j} grad_y[n, k, i, j]

Shapes, all float32 or all float64
    x (N, C, H, W), w (K, C, R, S), b (K,), y (N, K, n_i, n_j)
    with n_i = floor((H + 2 padding - R) / stride) + 1 and n_j = floor((W + 2 padding - S) / stride) + 1
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided


class Residuals(NamedTuple):
    """What forward keeps for backward."""

    windows: np.ndarray
    w: np.ndarray
    H: int
    W: int
    stride: int
    padding: int


class Gradients(NamedTuple):
    """The gradient of every input; None where it was not asked for."""

    x: np.ndarray | None
    w: np.ndarray | None
    b: np.ndarray | None


def forward(x, w, b, *, stride=1, padding=0):
    """Return y (N, K, n_i, n_j) and the residuals, for x (N, C, H, W), w (K, C, R, S) and b (K,)."""
    x, w, b = np.asarray(x), np.asarray(w), np.asarray(b)
    N, C, H, W, K, R, S = _extents(x=(x, "N C H W"), w=(w, "K C R S"), b=(b, "K"))
    if stride < 1 or int(stride) != stride:
        raise ValueError(f"conv2d: stride must be an integer of at least 1, not {stride}")
    if padding < 0 or int(padding) != padding:
        raise ValueError(f"conv2d: padding must be an integer of at least 0, not {padding}")
    n_i = (H + 2 * padding - R) // stride + 1
    n_j = (W + 2 * padding - S) // stride + 1
    if n_i < 0 or n_j < 0:
        raise ValueError(f"conv2d: a kernel of {R} x {S} does not fit {H} x {W} with padding {padding}")

    # padded[n, c, s, t] = x[n, c, s - padding, t - padding], 0 outside
    padded = x
    if padding:
        padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
        padded[:, :, padding : padding + H, padding : padding + W] = x
    # windows[n, c, i, j, u, v] = padded[n, c, stride i + u, stride j + v], a view
    sn, sc, sh, sw = padded.strides
    windows = as_strided(padded, (N, C, n_i, n_j, R, S), (sn, sc, stride * sh, stride * sw, sh, sw), writeable=False)
    # y[n, k, i, j] = sum_{c, u, v} w[k, c, u, v] windows[n, c, i, j, u, v] + b[k]
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(C * R * S, N * n_i * n_j)
    y = w.reshape(K, C * R * S) @ columns
    y += b[:, None]
    y = y.reshape(K, N, n_i, n_j).swapaxes(0, 1)
    return y, Residuals(windows, w, H, W, stride, padding)


def backward(residuals, grad_y, wrt=None):
    """Pull grad_y (N, K, n_i, n_j) back to x, w and b, or to those of them that wrt names."""
    windows, w, H, W, stride, padding = residuals
    N, C, n_i, n_j, R, S = windows.shape
    K = len(w)
    grad_y = _cotangent(grad_y, (N, K, n_i, n_j), w.dtype)
    wrt = _wanted(wrt)
    grad_x = grad_w = grad_b = None

    # rows[k, (n, i, j)] = grad_y[n, k, i, j]
    rows = grad_y.swapaxes(0, 1).reshape(K, N * n_i * n_j)
    if "x" in wrt:
        # terms[c, u, v, n, i, j] = sum_k w[k, c, u, v] grad_y[n, k, i, j]
        terms = (w.reshape(K, C * R * S).T @ rows).reshape(C, R, S, N, n_i, n_j)
        # padded[c, n, stride i + u, stride j + v] += terms[c, u, v, n, i, j]
        padded = np.zeros((C, N, H + 2 * padding, W + 2 * padding), w.dtype)
        for u in range(R):
            for v in range(S):
                padded[:, :, u : u + stride * n_i : stride, v : v + stride * n_j : stride] += terms[:, u, v]
        del terms
        # grad_x[n, c, s, t] = padded[c, n, s + padding, t + padding]
        grad_x = padded[:, :, padding : padding + H, padding : padding + W].swapaxes(0, 1)
    if "w" in wrt:
        # grad_w[k, c, u, v] = sum_{n, i, j} grad_y[n, k, i, j] windows[n, c, i, j, u, v]
        columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(C * R * S, N * n_i * n_j)
        grad_w = (rows @ columns.T).reshape(K, C, R, S)
    if "b" in wrt:
        # grad_b[k] = sum_{n, i, j} grad_y[n, k, i, j]
        grad_b = rows.sum(axis=1)
    return Gradients(grad_x, grad_w, grad_b)


def _extents(**tensors):
    """Return the extent of every axis in order of first mention; refuse an array unlike its name=(array, axes)."""
    extents = {}
    dtype = next(iter(tensors.values()))[0].dtype
    for name, (array, axes) in tensors.items():
        if array.dtype != dtype or dtype.char not in "fd":
            raise TypeError(f"conv2d: {name} is {array.dtype}; all inputs must be float32, or all float64")
        if array.ndim != len(axes.split()):
            raise ValueError(f"conv2d: {name} must have the axes ({axes}), not the shape {array.shape}")
        for axis, extent in zip(axes.split(), array.shape, strict=True):
            if extents.setdefault(axis, extent) != extent:
                raise ValueError(f"conv2d: axis {axis} is {extent} in {name} but {extents[axis]} elsewhere")
    return extents.values()


def _cotangent(grad_y, shape, dtype):
    """Return grad_y as an array of dtype; refuse a shape other than that of y."""
    grad_y = np.asarray(grad_y, dtype)
    if grad_y.shape != shape:
        raise ValueError(f"conv2d: grad_y must have the shape of y, {shape}, not {grad_y.shape}")
    return grad_y


def _wanted(wrt):
    """Return the names of the gradients to compute; None stands for all of them."""
    unknown = set(wrt or ()).difference(Gradients._fields)
    if unknown:
        raise ValueError(f"conv2d: wrt names {sorted(unknown)}; gradients exist for {list(Gradients._fields)}")
    return Gradients._fields if wrt is None else wrt
