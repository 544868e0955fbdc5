"""Outputs have the dtype of the inputs, a gradient that of its input, whatever the dtype of the cotangent."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgrad
from symgrad.check.values import Case, Sampler

MODULES = Path(__file__).parents[2] / "generated" / "numpy"
HALF, SINGLE, DOUBLE = map(np.dtype, (np.float16, np.float32, np.float64))


@cache
def case_of(name: str) -> Case:
    return Sampler(symgrad.layers.get(name)).case("plain")


@pytest.mark.parametrize("name", symgrad.catalogue())
def test_dtype_in_is_dtype_out(name: str) -> None:
    layer, case = symgrad.layers.get(name), case_of(name)
    module: dict[str, Any] = {}
    exec(compile((MODULES / f"{name}.py").read_text(), name, "exec"), module)
    for given, cotangent in (*product((SINGLE, DOUBLE), repeat=2), (HALF, HALF)):
        arrays = [a.astype(given) if a.dtype.kind == "f" else a for a in case.arrays.values()]
        if not any(a.dtype.kind == "f" for a in arrays):
            return  # of integers alone
        with np.errstate(all="ignore"):  # float16 cannot hold much
            value, residuals = module["forward"](*arrays, **case.attributes)
        values = value if len(layer.outputs) > 1 else (value,)
        real = [v for v in values if np.asarray(v).dtype.kind == "f"]
        assert {np.asarray(v).dtype for v in real} <= {given}
        with np.errstate(all="ignore"):
            gradients = module["backward"](residuals, *(np.ones(np.shape(v), cotangent) for v in real))
        for field, gradient in gradients._asdict().items():
            assert np.asarray(gradient).dtype == given, f"{field} for a cotangent of {cotangent}"
            assert np.shape(gradient) == case.arrays[field].shape
