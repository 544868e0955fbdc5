"""A layer against its formula written out in NumPy, whose gradient comes by a complex step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def complex_step(
    function: Callable[..., Any], arrays: Sequence[np.ndarray], which: int, delta: np.ndarray
) -> np.ndarray:
    """Gradient of ``delta . function``: Deep Learning, section 11.5, a step along the imaginary axis."""
    found = np.zeros_like(arrays[which])
    for place in np.ndindex(*found.shape):
        moved = [a.astype(complex) for a in arrays]
        moved[which][place] += 1e-150j
        found[place] = (delta * function(*moved)).sum().imag / 1e-150
    return found


def sigmoid(z: Any) -> Any:
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


def confirmed(
    module: Any, arrays: Sequence[np.ndarray], reference: Callable[..., Any], rng: np.random.Generator, **options: Any
) -> None:
    """Values are those of the reference, gradients those of its complex step."""
    outputs, residuals = module.forward(*arrays, **options)
    value = outputs[0] if isinstance(outputs, tuple) else outputs
    np.testing.assert_allclose(value, reference(*arrays), rtol=1e-12, atol=1e-13)
    delta = rng.normal(size=value.shape)
    cotangents = [delta, *(np.zeros_like(y) for y in outputs[1:])] if isinstance(outputs, tuple) else [delta]
    for which, got in enumerate(module.backward(residuals, *cotangents)):
        want = complex_step(reference, arrays, which, delta)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12, err_msg=f"input {which}")
