"""A layer against a NumPy function and its central differences, or against the naive evaluator and its derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import symgrad
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import linearise
from symgrad.compiler import CompiledLayer, run

Arrays = Mapping[str, np.ndarray]
STEP = 1e-6
SCHEDULES = ("readable", "fast")
SMALL_PART = 8
"""Elements of a part of a fast module: few, so that there are several parts."""
LARGEST = 1e5
"""Beyond it, rounding of intermediate values would have to be told apart from mistakes."""


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


# --- the naive evaluator ---------------------------------------------------------------------------------------------


def close(got: Any, want: npt.NDArray[Any], what: str, tolerance: float = 1e-9) -> None:
    """The same shape and, relative to the largest element, the same numbers."""
    assert np.shape(got) == want.shape, f"{what} has shape {np.shape(got)}, not {want.shape}"
    scale = max(1.0, float(np.abs(want).max(initial=0.0)))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def tame(*arrays: npt.NDArray[Any]) -> bool:
    return all(bool((np.abs(a) < LARGEST).all()) for a in arrays)


def as_declared(
    layer: symgrad.Layer,
    given: Arrays,
    attributes: Mapping[str, Any] | None = None,
    schedules: tuple[str, ...] = ("readable",),
) -> bool:
    """Compile the layer with these schedules; compare with what it means, float32 and single gradients too.

    False where rounding decides what the equations mean, or their values are too large to compare.
    """
    settings = dict(attributes or {})
    reference = linearise(layer, given, settings)
    if not reference.certain or not tame(*reference.values.values()):
        return False
    expected = evaluate(layer, given, settings)
    rng = np.random.default_rng(0)
    cotangents = {name: np.asarray(rng.normal(size=expected[name].shape)) for name in layer.program.real_outputs}
    slopes = reference.pull_back(cotangents)
    for schedule in schedules:
        compiled = symgrad.compile_layer(layer, schedule=schedule)
        if hasattr(compiled.module, "_PART"):
            compiled.module._PART = SMALL_PART
        if not _agrees_with(compiled, given, settings, expected, cotangents, slopes):
            return False
    return True


def _agrees_with(
    compiled: symgrad.CompiledLayer,
    given: Arrays,
    settings: Mapping[str, Any],
    expected: Arrays,
    cotangents: Arrays,
    slopes: Arrays,
) -> bool:
    arrays = {name: a.copy() for name, a in given.items()}
    outputs, residuals = compiled.forward(*arrays.values(), **settings)
    for name, got in zip(compiled.layer.outputs, as_tuple(outputs), strict=True):
        close(got, expected[name], name)
    if not tame(*slopes.values()):
        return False
    gradients = compiled.backward(residuals, *cotangents.values())
    for name, slope in slopes.items():
        close(getattr(gradients, name), slope, f"gradient of {name}", 1e-8)
        alone = compiled.backward(residuals, *cotangents.values(), wrt=(name,))
        close(getattr(alone, name), getattr(gradients, name), f"gradient of {name} alone", 1e-12)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, given[name], err_msg=f"{name} was written to")
    in_single(compiled, given, settings, expected, cotangents, tuple(slopes))
    return True


def in_single(
    compiled: symgrad.CompiledLayer,
    given: Arrays,
    settings: Mapping[str, Any],
    expected: Arrays,
    cotangents: Arrays,
    inputs: tuple[str, ...],
) -> None:
    """float32 in, float32 out; what is an integer stays one."""
    if not any(a.dtype.kind == "f" for a in given.values()):
        return
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in given.values()]
    outputs, residuals = compiled.forward(*arrays, **settings)
    for name, got in zip(compiled.layer.outputs, as_tuple(outputs), strict=True):
        assert np.asarray(got).dtype in (np.float32, expected[name].dtype), f"{name} is {np.asarray(got).dtype}"
        assert np.asarray(got).dtype != np.float64, f"{name} is float64"
    gradients = compiled.backward(residuals, *(c.astype(np.float32) for c in cotangents.values()))
    for name in inputs:
        assert getattr(gradients, name).dtype == np.float32, f"gradient of {name} is {getattr(gradients, name).dtype}"
