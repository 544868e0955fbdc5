"""softmax: every row of x as positive numbers that sum to 1.

Declaration
    y[n, i] = exp(x[n, i]) / sum_j exp(x[n, j])

Forward subtracts row_max[n] = max_j x[n, j], which cancels in the quotient and keeps exp from overflowing.

Gradient, for the cotangent grad_y of y
    grad_x[n, i] = (grad_y[n, i] - sum_j grad_y[n, j] y[n, j]) y[n, i]

Shapes, float32 or float64
    x (N, M), y (N, M)
"""

from typing import NamedTuple

import numpy as np


class Residuals(NamedTuple):
    """What forward keeps for backward."""

    y: np.ndarray


class Gradients(NamedTuple):
    """The gradient of every input; None where it was not asked for."""

    x: np.ndarray | None


def forward(x):
    """Return y (N, M) and the residuals, for x (N, M)."""
    x = np.asarray(x)
    _extents(x=(x, "N M"))

    # row_max[n] = max_j x[n, j]
    row_max = x.max(axis=1, keepdims=True, initial=-np.inf)
    # y[n, i] = exp(x[n, i] - row_max[n]) / sum_j exp(x[n, j] - row_max[n])
    y = np.exp(x - row_max)
    y /= y.sum(axis=1, keepdims=True)
    return y, Residuals(y)


def backward(residuals, grad_y, wrt=None):
    """Pull grad_y (N, M) back to x (N, M)."""
    (y,) = residuals
    grad_y = _cotangent(grad_y, y.shape, y.dtype)
    if "x" not in _wanted(wrt):
        return Gradients(None)

    # row_dot[n] = sum_j grad_y[n, j] y[n, j]
    row_dot = np.einsum("nj,nj->n", grad_y, y)
    # grad_x[n, i] = (grad_y[n, i] - row_dot[n]) y[n, i]
    grad_x = grad_y - row_dot[:, None]
    grad_x *= y
    return Gradients(grad_x)


def _extents(**tensors):
    """Return the extent of every axis in order of first mention; refuse an array unlike its name=(array, axes)."""
    extents = {}
    dtype = next(iter(tensors.values()))[0].dtype
    for name, (array, axes) in tensors.items():
        if array.dtype != dtype or dtype.char not in "fd":
            raise TypeError(f"softmax: {name} is {array.dtype}; all inputs must be float32, or all float64")
        if array.ndim != len(axes.split()):
            raise ValueError(f"softmax: {name} must have the axes ({axes}), not the shape {array.shape}")
        for axis, extent in zip(axes.split(), array.shape, strict=True):
            if extents.setdefault(axis, extent) != extent:
                raise ValueError(f"softmax: axis {axis} is {extent} in {name} but {extents[axis]} elsewhere")
    return extents.values()


def _cotangent(grad_y, shape, dtype):
    """Return grad_y as an array of dtype; refuse a shape other than that of y."""
    grad_y = np.asarray(grad_y, dtype)
    if grad_y.shape != shape:
        raise ValueError(f"softmax: grad_y must have the shape of y, {shape}, not {grad_y.shape}")
    return grad_y


def _wanted(wrt):
    """Return the names of the gradients to compute; None stands for all of them."""
    unknown = set(wrt or ()).difference(Gradients._fields)
    if unknown:
        raise ValueError(f"softmax: wrt names {sorted(unknown)}; gradients exist for {list(Gradients._fields)}")
    return Gradients._fields if wrt is None else wrt
