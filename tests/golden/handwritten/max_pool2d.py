"""max_pool2d: the largest value of every K x K window; the first of equals, row by row, gets the gradient.

Declaration, x minus infinity outside its shape
    y[n, c, i, j] = max_{u, v} x[n, c, stride i + u - padding, stride j + v - padding]

Forward takes the maximum along the rows, then down the columns; p is x padded
    row_max[n, c, s, j] = max_v p[n, c, s, stride j + v]            first attained at v = row_winner[n, c, s, j]
    y[n, c, i, j] = max_u row_max[n, c, stride i + u, j]            first attained at u = winner[n, c, i, j]

Gradient, for the cotangent grad_y of y
    grad_row_max[n, c, s, j] = sum_{i, u: stride i + u = s} grad_y[n, c, i, j] [winner[n, c, i, j] = u]
    grad_p[n, c, s, t] = sum_{j, v: stride j + v = t} grad_row_max[n, c, s, j] [row_winner[n, c, s, j] = v]
    grad_x[n, c, s, t] = grad_p[n, c, s + padding, t + padding]

Shapes, float32 or float64
    x (N, C, H, W), y (N, C, n_i, n_j)
    with n_i = floor((H + 2 padding - K) / stride) + 1 and n_j = floor((W + 2 padding - K) / stride) + 1
"""

from typing import NamedTuple

import numpy as np


class Residuals(NamedTuple):
    """What forward keeps for backward."""

    row_winner: np.ndarray
    winner: np.ndarray
    dtype: np.dtype
    H: int
    W: int
    K: int
    stride: int
    padding: int


class Gradients(NamedTuple):
    """The gradient of every input; None where it was not asked for."""

    x: np.ndarray | None


def forward(x, *, K=2, stride=2, padding=0):
    """Return y (N, C, n_i, n_j) and the residuals, for x (N, C, H, W)."""
    x = np.asarray(x)
    N, C, H, W = _extents(x=(x, "N C H W"))
    if K < 1 or int(K) != K:
        raise ValueError(f"max_pool2d: K must be an integer of at least 1, not {K}")
    if stride < 1 or int(stride) != stride:
        raise ValueError(f"max_pool2d: stride must be an integer of at least 1, not {stride}")
    if not 0 <= padding < K or int(padding) != padding:
        raise ValueError(f"max_pool2d: padding must be an integer from 0 to K - 1, not {padding}")
    n_i = (H + 2 * padding - K) // stride + 1
    n_j = (W + 2 * padding - K) // stride + 1
    if n_i < 0 or n_j < 0:
        raise ValueError(f"max_pool2d: a window of {K} x {K} does not fit {H} x {W} with padding {padding}")

    # p[n, c, s, t] = x[n, c, s - padding, t - padding], -inf outside
    p = x
    if padding:
        p = np.full((N, C, H + 2 * padding, W + 2 * padding), -np.inf, x.dtype)
        p[:, :, padding : padding + H, padding : padding + W] = x
    position = np.min_scalar_type(K - 1).type
    # row_max[n, c, s, j] = max_v p[n, c, s, stride j + v]; row_winner: the first v that attains it
    row_max = p[..., : stride * n_j : stride]
    row_winner = np.zeros(row_max.shape, position)
    for v in range(1, K):
        candidate = p[..., v : v + stride * n_j : stride]
        row_winner = np.maximum(row_winner, (candidate > row_max) * position(v))
        row_max = np.maximum(row_max, candidate)
    # y[n, c, i, j] = max_u row_max[n, c, stride i + u, j]; winner: the first u that attains it
    y = row_max[:, :, : stride * n_i : stride].copy()
    winner = np.zeros(y.shape, position)
    for u in range(1, K):
        candidate = row_max[:, :, u : u + stride * n_i : stride]
        winner = np.maximum(winner, (candidate > y) * position(u))
        y = np.maximum(y, candidate)
    return y, Residuals(row_winner, winner, x.dtype, H, W, K, stride, padding)


def backward(residuals, grad_y, wrt=None):
    """Pull grad_y (N, C, n_i, n_j) back to x (N, C, H, W)."""
    row_winner, winner, dtype, H, W, K, stride, padding = residuals
    N, C, n_i, n_j = winner.shape
    grad_y = _cotangent(grad_y, winner.shape, dtype)
    if "x" not in _wanted(wrt):
        return Gradients(None)

    # grad_row_max[n, c, stride i + u, j] += grad_y[n, c, i, j] [winner[n, c, i, j] = u]
    grad_row_max = np.zeros(row_winner.shape, dtype)
    for u in range(K):
        grad_row_max[:, :, u : u + stride * n_i : stride] += grad_y * (winner == u)
    # grad_p[n, c, s, stride j + v] += grad_row_max[n, c, s, j] [row_winner[n, c, s, j] = v]
    grad_p = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype)
    for v in range(K):
        grad_p[..., v : v + stride * n_j : stride] += grad_row_max * (row_winner == v)
    # grad_x[n, c, s, t] = grad_p[n, c, s + padding, t + padding]
    return Gradients(grad_p[:, :, padding : padding + H, padding : padding + W])


def _extents(**tensors):
    """Return the extent of every axis in order of first mention; refuse an array unlike its name=(array, axes)."""
    extents = {}
    dtype = next(iter(tensors.values()))[0].dtype
    for name, (array, axes) in tensors.items():
        if array.dtype != dtype or dtype.char not in "fd":
            raise TypeError(f"max_pool2d: {name} is {array.dtype}; all inputs must be float32, or all float64")
        if array.ndim != len(axes.split()):
            raise ValueError(f"max_pool2d: {name} must have the axes ({axes}), not the shape {array.shape}")
        for axis, extent in zip(axes.split(), array.shape, strict=True):
            if extents.setdefault(axis, extent) != extent:
                raise ValueError(f"max_pool2d: axis {axis} is {extent} in {name} but {extents[axis]} elsewhere")
    return extents.values()


def _cotangent(grad_y, shape, dtype):
    """Return grad_y as an array of dtype; refuse a shape other than that of y."""
    grad_y = np.asarray(grad_y, dtype)
    if grad_y.shape != shape:
        raise ValueError(f"max_pool2d: grad_y must have the shape of y, {shape}, not {grad_y.shape}")
    return grad_y


def _wanted(wrt):
    """Return the names of the gradients to compute; None stands for all of them."""
    unknown = set(wrt or ()).difference(Gradients._fields)
    if unknown:
        raise ValueError(f"max_pool2d: wrt names {sorted(unknown)}; gradients exist for {list(Gradients._fields)}")
    return Gradients._fields if wrt is None else wrt
