"""dense: an affine map of the rows of x.

Declaration
    y[b, i] = sum_j x[b, j] w[i, j] + c[i]

Gradients, for the cotangent grad_y of y
    grad_x[b, j] = sum_i grad_y[b, i] w[i, j]
    grad_w[i, j] = sum_b grad_y[b, i] x[b, j]
    grad_c[i] = sum_b grad_y[b, i]

Shapes, all float32 or all float64
    x (B, J), w (I, J), c (I,), y (B, I)
"""

from typing import NamedTuple

import numpy as np


class Residuals(NamedTuple):
    """What forward keeps for backward."""

    x: np.ndarray
    w: np.ndarray


class Gradients(NamedTuple):
    """The gradient of every input; None where it was not asked for."""

    x: np.ndarray | None
    w: np.ndarray | None
    c: np.ndarray | None


def forward(x, w, c):
    """Return y (B, I) and the residuals, for x (B, J), w (I, J) and c (I,)."""
    x, w, c = np.asarray(x), np.asarray(w), np.asarray(c)
    _extents(x=(x, "B J"), w=(w, "I J"), c=(c, "I"))

    # y[b, i] = sum_j x[b, j] w[i, j] + c[i]
    y = x @ w.T
    y += c
    return y, Residuals(x, w)


def backward(residuals, grad_y, wrt=None):
    """Pull grad_y (B, I) back to x, w and c, or to those of them that wrt names."""
    x, w = residuals
    grad_y = _cotangent(grad_y, (len(x), len(w)), x.dtype)
    wrt = _wanted(wrt)
    grad_x = grad_w = grad_c = None

    if "x" in wrt:
        # grad_x[b, j] = sum_i grad_y[b, i] w[i, j]
        grad_x = grad_y @ w
    if "w" in wrt:
        # grad_w[i, j] = sum_b grad_y[b, i] x[b, j]
        grad_w = grad_y.T @ x
    if "c" in wrt:
        # grad_c[i] = sum_b grad_y[b, i]
        grad_c = grad_y.sum(axis=0)
    return Gradients(grad_x, grad_w, grad_c)


def _extents(**tensors):
    """Return the extent of every axis in order of first mention; refuse an array unlike its name=(array, axes)."""
    extents = {}
    dtype = next(iter(tensors.values()))[0].dtype
    for name, (array, axes) in tensors.items():
        if array.dtype != dtype or dtype.char not in "fd":
            raise TypeError(f"dense: {name} is {array.dtype}; all inputs must be float32, or all float64")
        if array.ndim != len(axes.split()):
            raise ValueError(f"dense: {name} must have the axes ({axes}), not the shape {array.shape}")
        for axis, extent in zip(axes.split(), array.shape, strict=True):
            if extents.setdefault(axis, extent) != extent:
                raise ValueError(f"dense: axis {axis} is {extent} in {name} but {extents[axis]} elsewhere")
    return extents.values()


def _cotangent(grad_y, shape, dtype):
    """Return grad_y as an array of dtype; refuse a shape other than that of y."""
    grad_y = np.asarray(grad_y, dtype)
    if grad_y.shape != shape:
        raise ValueError(f"dense: grad_y must have the shape of y, {shape}, not {grad_y.shape}")
    return grad_y


def _wanted(wrt):
    """Return the names of the gradients to compute; None stands for all of them."""
    unknown = set(wrt or ()).difference(Gradients._fields)
    if unknown:
        raise ValueError(f"dense: wrt names {sorted(unknown)}; gradients exist for {list(Gradients._fields)}")
    return Gradients._fields if wrt is None else wrt
