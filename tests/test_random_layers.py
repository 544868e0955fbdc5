"""Random declarations through the whole pipeline, against the naive evaluator and its derivatives.

``SYMGRAD_EXAMPLES`` sets how many are drawn. One that fails is printed as a program.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, Phase, assume, given, note, settings

import symgrad
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import linearise

from .strategies import Case, declarations

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

EXAMPLES = int(os.environ.get("SYMGRAD_EXAMPLES", "60"))
LARGEST = 1e5
"""Beyond it, rounding of intermediate values would have to be told apart from mistakes."""


def close(got: Any, want: Array, what: str, tolerance: float = 1e-9) -> None:
    """The same shape and, relative to the largest element, the same numbers."""
    assert np.shape(got) == want.shape, f"{what} has shape {np.shape(got)}, not {want.shape}"
    scale = max(1.0, float(np.abs(want).max(initial=0.0)))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def as_tuple(outputs: Any) -> tuple[Any, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def tame(*arrays: Array) -> bool:
    return all(bool((np.abs(a) < LARGEST).all()) for a in arrays)


def compare(case: Case) -> bool:
    """Compile the declaration; compare values and gradients with what it means, float32 and single gradients too.

    False where rounding decides what the equations mean, or their values are too large to compare.
    """
    layer = case.layer()
    reference = linearise(layer, case.arrays, case.attributes)
    if not reference.certain or not tame(*reference.values.values()):
        return False
    compiled = symgrad.compile_layer(layer)

    arrays = {name: a.copy() for name, a in case.arrays.items()}
    outputs, residuals = compiled.forward(*arrays.values(), **case.attributes)
    expected = evaluate(layer, case.arrays, case.attributes)
    for name, got in zip(layer.outputs, as_tuple(outputs), strict=True):
        close(got, expected[name], name)

    rng = np.random.default_rng(0)
    cotangents = {name: np.asarray(rng.normal(size=expected[name].shape)) for name in layer.outputs}
    slopes = reference.pull_back(cotangents)
    if not tame(*slopes.values()):
        return False
    gradients = compiled.backward(residuals, *cotangents.values())
    for name, slope in slopes.items():
        close(getattr(gradients, name), slope, f"gradient of {name}", 1e-8)
        alone = compiled.backward(residuals, *cotangents.values(), wrt=(name,))
        close(getattr(alone, name), getattr(gradients, name), f"gradient of {name} alone", 1e-12)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, case.arrays[name], err_msg=f"{name} was written to")
    in_single(compiled, case, expected, cotangents, tuple(slopes))
    return True


def in_single(
    compiled: symgrad.CompiledLayer, case: Case, expected: Arrays, cotangents: Arrays, inputs: tuple[str, ...]
) -> None:
    """float32 in, float32 out; what is an integer stays one."""
    if not any(a.dtype.kind == "f" for a in case.arrays.values()):
        return
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in case.arrays.values()]
    outputs, residuals = compiled.forward(*arrays, **case.attributes)
    for name, got in zip(compiled.layer.outputs, as_tuple(outputs), strict=True):
        assert np.asarray(got).dtype in (np.float32, expected[name].dtype), f"{name} is {np.asarray(got).dtype}"
        assert np.asarray(got).dtype != np.float64, f"{name} is float64"
    gradients = compiled.backward(residuals, *(c.astype(np.float32) for c in cotangents.values()))
    for name in inputs:
        assert getattr(gradients, name).dtype == np.float32, f"gradient of {name} is {getattr(gradients, name).dtype}"


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SYMGRAD_EXAMPLES" not in os.environ,
    database=None,
    phases=(Phase.generate,),  # shrinking takes minutes, as every step of it is a compilation
    suppress_health_check=list(HealthCheck),
)
@given(declarations())
def test_random_layer_is_what_it_declares(case: Case) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            judged = compare(case)
    except Exception:
        note(case.script())
        raise
    assume(judged)
