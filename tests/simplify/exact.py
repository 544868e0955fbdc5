"""Declared expressions and their slopes in high precision: exponents without bounds, as many digits as asked for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import mpmath
import numpy as np

import symgrad
from symgrad import Layer

from ..data_evaluator import EXACT, World, integer, points, scalar, sizes_of

Arrays = Mapping[str, np.ndarray]
Given = Mapping[str, float]
TINY: dict[type, float] = {np.float32: 1e-37, np.float64: 1e-300}
"""Below the smallest normal number digits are lost."""


class _Table:
    """An array of high-precision numbers; not an ndarray, so that reads are not converted."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape = array, array.shape

    def __getitem__(self, place: tuple[int, ...]) -> Any:
        return self.array[place]


def _precise(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    return np.vectorize(mpmath.mpf, otypes=[object])(array.astype(float))


def _run(declared: Layer, arrays: Arrays, sizes: Mapping[str, int], given: Given) -> np.ndarray:
    """The first output, in high precision."""
    tensors: dict[str, Any] = {name: _Table(a) for name, a in arrays.items()}
    tensors |= {name: _Table(np.array(mpmath.mpf(v), dtype=object)) for name, v in given.items()}
    world = World(dict(sizes), tensors, EXACT)
    for equation in declared.program.equations:
        shape = [integer(i.extent, world) for i in equation.indices]
        found = [scalar(equation.body, here) for here in points(equation.indices, world)]
        tensors[equation.target] = _Table(np.array(found, dtype=object).reshape(shape))
    return tensors[declared.outputs[0]].array


def exact(declared: Layer, arrays: Arrays, given: Given | None = None) -> np.ndarray:
    """The first output, by loops over the declared equations."""
    precise = {name: _precise(a) for name, a in arrays.items()}
    return _run(declared, precise, sizes_of(declared.program, arrays, given), given or {}).astype(float)


def exact_gradients(declared: Layer, arrays: Arrays, given: Given | None = None) -> dict[str, np.ndarray]:
    """The gradients of the sum of the first output: differences over a step that is small among that many digits."""
    sizes = sizes_of(declared.program, arrays, given)
    step = mpmath.mpf(10) ** (-mpmath.mp.dps // 3)
    found: dict[str, np.ndarray] = {}
    for tensor in declared.program.inputs:
        if tensor.constant or tensor.integer:
            continue
        slopes = np.empty(arrays[tensor.name].shape)
        for place in np.ndindex(slopes.shape):
            ends = []
            for sign in (1, -1):
                moved = {name: _precise(a) for name, a in arrays.items()}
                moved[tensor.name][place] += sign * step
                ends.append(sum(_run(declared, moved, sizes, given or {}).ravel().tolist()))
            slopes[place] = float((ends[0] - ends[1]) / (2 * step))
        found[tensor.name] = slopes
    return found


def quiet(declared: Layer, arrays: Arrays, given: Given | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What the module gives, and the gradients of the sum of it; a warning is an error."""
    compiled = symgrad.compile_layer(declared)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, residuals = compiled.forward(*arrays.values(), **(given or {}))
        gradients = compiled.backward(residuals, np.ones_like(value))
    return value, gradients._asdict()


def finite_and_right(declared: Layer, arrays: Arrays, digits: int = 60) -> None:
    """float32, no warning, finite gradients, and the values of an evaluation without rounding or overflow."""
    got, gradients = quiet(declared, arrays)
    with mpmath.workdps(digits):
        want = exact(declared, arrays)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-30)
    for name, gradient in gradients.items():
        assert gradient.dtype == np.float32
        assert np.isfinite(gradient).all(), f"gradient of {name}: {gradient}"


def right_everywhere(declared: Layer, arrays: Arrays, digits: int = 60, slack: float = 1) -> None:
    """Values and gradients in float32 and in float64, without a warning: values to the last digits of each.

    Gradients to the last digits of themselves or of the largest. ``slack`` is for what
    the condition of the expression itself makes of rounded inputs.
    """
    for dtype in (np.float32, np.float64):
        given = {name: a.astype(dtype) if a.dtype.kind == "f" else a for name, a in arrays.items()}
        value, gradients = quiet(declared, given)
        assert value.dtype == dtype
        with mpmath.workdps(digits):
            want, slopes = exact(declared, given), exact_gradients(declared, given)
        close = 60 * float(np.finfo(dtype).eps) * slack
        np.testing.assert_allclose(value, want, rtol=close, atol=TINY[dtype])
        for name, slope in slopes.items():
            assert gradients[name].dtype == dtype
            beside = max(TINY[dtype], float(np.finfo(dtype).eps) * np.abs(slope).max(initial=0))
            np.testing.assert_allclose(gradients[name], slope, rtol=close, atol=beside, err_msg=f"slope of {name}")
