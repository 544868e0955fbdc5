"""Every unseen layer against its own reference: values, all gradients, float32, one gradient alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgrad

from .declarations import CASES, LOGITS
from .registry import Arrays, Attributes, Case

STEP = 1e-6
SCHEDULES = ("readable", "fast")
SMALL_PART = 8
"""Elements of a part of a fast module: few, so that there are several parts."""


def as_tuple(outputs: Any) -> tuple[np.ndarray, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def cotangents_of(outputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [np.asarray(generator.normal(size=np.shape(y))) for y in outputs]


def expected_gradients(case: Case, arrays: Arrays, attributes: Attributes, cotangents: list[np.ndarray]) -> Arrays:
    """Gradients of ``sum(y * cotangent)`` by central differences of the reference, unless the case states them."""
    if case.gradients is not None:
        return case.gradients(arrays, *cotangents)
    constants = {tensor.name for tensor in case.layer.inputs if tensor.constant}
    gradients = {}
    for name, array in arrays.items():
        if array.dtype.kind != "f" or name in constants:
            continue
        gradients[name] = np.zeros(array.shape)
        for place in np.ndindex(*array.shape):
            low, high = array.copy(), array.copy()
            low[place] -= STEP
            high[place] += STEP
            sides = [as_tuple(case.reference(*(arrays | {name: end}).values(), **attributes)) for end in (low, high)]
            slope = sum(((up - down) * g).sum() for down, up, g in zip(*sides, cotangents, strict=True))
            gradients[name][place] = slope / (2 * STEP)
    return gradients


def in_single(arrays: Arrays) -> Arrays:
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def close_in_single(got: np.ndarray, want: np.ndarray, what: str) -> None:
    assert np.asarray(got).dtype == np.float32, f"{what}: {np.asarray(got).dtype}, not float32"
    scale = np.abs(want).max(initial=0) + 1e-3
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-4 * scale, err_msg=f"{what} in float32")


def compare(case: Case, compiled: Any, arrays: Arrays, attributes: Attributes) -> None:
    """The compiled layer against the reference at these arrays, in float64, in float32, and one gradient alone."""
    want = tuple(np.asarray(y) for y in as_tuple(case.reference(*arrays.values(), **attributes)))
    outputs, residuals = compiled.forward(*arrays.values(), **attributes)
    for got, expected in zip(as_tuple(outputs), want, strict=True):
        assert np.shape(got) == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11, err_msg="forward")

    cotangents = cotangents_of(want)
    gradients = compiled.backward(residuals, *cotangents)
    slopes = expected_gradients(case, arrays, attributes, cotangents)
    for name, slope in slopes.items():
        got = getattr(gradients, name)
        assert np.shape(got) == slope.shape, f"gradient of {name}"
        np.testing.assert_allclose(got, slope, rtol=1e-6, atol=1e-7, err_msg=f"gradient of {name}")

    alone = sorted(slopes)[-1]
    lonely = getattr(compiled.backward(residuals, *cotangents, wrt=(alone,)), alone)
    np.testing.assert_allclose(lonely, getattr(gradients, alone), rtol=1e-12, atol=1e-14, err_msg=f"wrt {alone}")

    outputs, residuals = compiled.forward(*in_single(arrays).values(), **attributes)
    for number, (got, expected) in enumerate(zip(as_tuple(outputs), want, strict=True)):
        close_in_single(got, expected, f"output {number}")
    single = compiled.backward(residuals, *(g.astype(np.float32) for g in cotangents))
    for name, slope in slopes.items():
        close_in_single(getattr(single, name), slope, f"gradient of {name}")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", CASES)
def test_layer_against_its_reference(name: str, schedule: str) -> None:
    case = CASES[name]()
    compiled = symgrad.compile_layer(case.layer, schedule=schedule)
    if hasattr(compiled.module, "_PART"):
        compiled.module._PART = SMALL_PART
    for arrays, attributes in ((case.arrays, case.attributes), *case.also):
        compare(case, compiled, arrays, attributes)


@pytest.mark.parametrize("name", LOGITS)
def test_logits_of_ten_thousand_in_float32(name: str) -> None:
    case = CASES[name]()
    arrays = in_single(case.arrays | {LOGITS[name]: case.arrays[LOGITS[name]] * 1e4})
    compiled = symgrad.compile_layer(case.layer)
    outputs, residuals = compiled.forward(*arrays.values(), **case.attributes)
    exact = {key: value.astype(np.float64) if value.dtype.kind == "f" else value for key, value in arrays.items()}
    want = as_tuple(case.reference(*exact.values(), **case.attributes))
    for got, expected in zip(as_tuple(outputs), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    gradients = compiled.backward(residuals, *(g.astype(np.float32) for g in cotangents_of(want)))
    for key in case.arrays:
        gradient = getattr(gradients, key, None)
        assert gradient is None or np.isfinite(gradient).all(), f"gradient of {key}"
