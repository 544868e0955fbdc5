"""A layer against a NumPy function: values, and gradients by central differences of that function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import symgrad
from symgrad.compiler import CompiledLayer, run

Arrays = Mapping[str, np.ndarray]
STEP = 1e-6


def as_tuple(outputs: Any) -> tuple[np.ndarray, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def normals(seed: int = 0, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Normal numbers by name."""
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}


def differences(
    reference: Callable[..., Any], arrays: Arrays, wanted: tuple[str, ...], cotangents: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Gradients of ``sum(y * cotangent)``."""
    found = {}
    for name in wanted:
        gradient = np.zeros(np.shape(arrays[name]))
        for place in np.ndindex(*gradient.shape):
            sides = []
            for step in (STEP, -STEP):
                moved = np.array(arrays[name])
                moved[place] += step
                sides.append(as_tuple(reference(*{**arrays, name: moved}.values())))
            gradient[place] = sum(((up - down) * g).sum() for up, down, g in zip(*sides, cotangents, strict=True)) / (
                2 * STEP
            )
        found[name] = gradient
    return found


def agrees(
    layer: symgrad.Layer,
    arrays: Arrays,
    reference: Callable[..., Any],
    general: bool = False,
    gradients: Mapping[str, np.ndarray] | None = None,
    **attributes: Any,
) -> str:
    """Assert that the compiled layer is the reference, and return its source.

    ``reference`` takes the arrays in order; ``gradients`` (for a cotangent of ones) stands in for differences.
    """
    compiled = CompiledLayer(run(layer, general))
    outputs, residuals = compiled.forward(*arrays.values(), **attributes)
    want = [np.asarray(y) for y in as_tuple(reference(*arrays.values()))]
    for got, expected in zip(as_tuple(outputs), want, strict=True):
        assert np.shape(got) == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12, err_msg=f"{layer.name} forward")
    rng = np.random.default_rng(1)
    cotangents = [np.ones(y.shape) if gradients is not None else np.asarray(rng.normal(size=y.shape)) for y in want]
    found = compiled.backward(residuals, *cotangents)
    wanted = tuple(t.name for t in layer.inputs if not t.integer and not t.constant)
    assert found._fields == wanted
    expected_gradients = differences(reference, arrays, wanted, cotangents) if gradients is None else gradients
    for name, expected in expected_gradients.items():
        got = getattr(found, name)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=2e-8, err_msg=f"{layer.name} gradient of {name}")
    return compiled.source
