"""batch_norm: every channel of x shifted and scaled to mean 0 and variance 1 over the batch, then to beta and gamma.

Declaration, M = N H W
    mean[c] = sum_{n, h, w} x[n, c, h, w] / M
    var[c] = sum_{n, h, w} (x[n, c, h, w] - mean[c])^2 / M
    y[n, c, h, w] = gamma[c] (x[n, c, h, w] - mean[c]) / sqrt(var[c] + eps) + beta[c]

Gradients, for the cotangent grad_y of y, with d = x - mean and r = 1 / sqrt(var + eps)
    grad_gamma[c] = r[c] sum_{n, h, w} grad_y[n, c, h, w] d[n, c, h, w]
    grad_beta[c] = sum_{n, h, w} grad_y[n, c, h, w]
    grad_x[n, c, h, w] = gamma[c] r[c] (grad_y[n, c, h, w] - grad_beta[c] / M - d[n, c, h, w] r[c] grad_gamma[c] / M)

Shapes, all float32 or all float64
    x (N, C, H, W), gamma (C,), beta (C,), y (N, C, H, W)
"""

from typing import NamedTuple

import numpy as np


class Residuals(NamedTuple):
    """What forward keeps for backward."""

    d: np.ndarray
    r: np.ndarray
    gamma: np.ndarray


class Gradients(NamedTuple):
    """The gradient of every input; None where it was not asked for."""

    x: np.ndarray | None
    gamma: np.ndarray | None
    beta: np.ndarray | None


def forward(x, gamma, beta, *, eps=1e-5):
    """Return y (N, C, H, W) and the residuals, for x (N, C, H, W), gamma (C,) and beta (C,)."""
    x, gamma, beta = np.asarray(x), np.asarray(gamma), np.asarray(beta)
    N, _, H, W = _extents(x=(x, "N C H W"), gamma=(gamma, "C"), beta=(beta, "C"))
    M = N * H * W
    if M == 0:
        raise ValueError(f"batch_norm: x of shape {x.shape} leaves nothing to average over")

    # d[n, c, h, w] = x[n, c, h, w] - mean[c]
    mean = x.mean(axis=(0, 2, 3))
    d = x - mean[:, None, None]
    # r[c] = 1 / sqrt(var[c] + eps), var[c] = sum_{n, h, w} d[n, c, h, w]^2 / M
    var = np.einsum("nchw,nchw->c", d, d) / M
    r = 1 / np.sqrt(var + float(eps))
    # y[n, c, h, w] = gamma[c] r[c] d[n, c, h, w] + beta[c]
    y = (gamma * r)[:, None, None] * d
    y += beta[:, None, None]
    return y, Residuals(d, r, gamma)


def backward(residuals, grad_y, wrt=None):
    """Pull grad_y (N, C, H, W) back to x, gamma and beta, or to those of them that wrt names."""
    d, r, gamma = residuals
    M = d.size // len(r)
    grad_y = _cotangent(grad_y, d.shape, d.dtype)
    wrt = _wanted(wrt)
    grad_x = grad_gamma = grad_beta = None

    if "x" in wrt or "gamma" in wrt:
        # grad_gamma[c] = r[c] sum_{n, h, w} grad_y[n, c, h, w] d[n, c, h, w]
        grad_gamma = r * np.einsum("nchw,nchw->c", grad_y, d)
    if "x" in wrt or "beta" in wrt:
        # grad_beta[c] = sum_{n, h, w} grad_y[n, c, h, w]
        grad_beta = grad_y.sum(axis=(0, 2, 3))
    if "x" in wrt:
        # grad_x[n, c, h, w] =
        #     gamma[c] r[c] (grad_y[n, c, h, w] - grad_beta[c] / M - d[n, c, h, w] r[c] grad_gamma[c] / M)
        grad_x = grad_y - (grad_beta / M)[:, None, None]
        grad_x -= d * (r * grad_gamma / M)[:, None, None]
        grad_x *= (gamma * r)[:, None, None]
    return Gradients(grad_x, grad_gamma if "gamma" in wrt else None, grad_beta if "beta" in wrt else None)


def _extents(**tensors):
    """Return the extent of every axis in order of first mention; refuse an array unlike its name=(array, axes)."""
    extents = {}
    dtype = next(iter(tensors.values()))[0].dtype
    for name, (array, axes) in tensors.items():
        if array.dtype != dtype or dtype.char not in "fd":
            raise TypeError(f"batch_norm: {name} is {array.dtype}; all inputs must be float32, or all float64")
        if array.ndim != len(axes.split()):
            raise ValueError(f"batch_norm: {name} must have the axes ({axes}), not the shape {array.shape}")
        for axis, extent in zip(axes.split(), array.shape, strict=True):
            if extents.setdefault(axis, extent) != extent:
                raise ValueError(f"batch_norm: axis {axis} is {extent} in {name} but {extents[axis]} elsewhere")
    return extents.values()


def _cotangent(grad_y, shape, dtype):
    """Return grad_y as an array of dtype; refuse a shape other than that of y."""
    grad_y = np.asarray(grad_y, dtype)
    if grad_y.shape != shape:
        raise ValueError(f"batch_norm: grad_y must have the shape of y, {shape}, not {grad_y.shape}")
    return grad_y


def _wanted(wrt):
    """Return the names of the gradients to compute; None stands for all of them."""
    unknown = set(wrt or ()).difference(Gradients._fields)
    if unknown:
        raise ValueError(f"batch_norm: wrt names {sorted(unknown)}; gradients exist for {list(Gradients._fields)}")
    return Gradients._fields if wrt is None else wrt
