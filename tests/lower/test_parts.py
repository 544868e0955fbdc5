"""The fast schedule: parts of an axis, on threads, give what the whole gives."""

from __future__ import annotations

import numpy as np
import pytest

from symgrad.compiler import CompiledLayer, run

from ..agreement import as_tuple
from ..points import NAMES, cotangents, point, stages


def _results(compiled, case, **options):
    outputs, residuals = compiled.forward(*case.arrays.values(), **case.attributes, **options)
    values = dict(zip(case.layer.outputs, as_tuple(outputs), strict=True))
    grads = compiled.backward(residuals, *cotangents(values, case.layer), **options)
    return values | {f"grad_{name}": g for name, g in zip(grads._fields, grads, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_fast_modules_agree_with_readable_ones(name):
    case = point(name)
    whole = _results(CompiledLayer(stages(name)), case)
    fast = CompiledLayer(run(case.layer, schedule="fast"))
    options = [{}]
    if hasattr(fast.module, "_PART"):
        fast.module._PART = 5
        options += [{"threads": 1}, {"threads": 2}, {"threads": 3}]
    for option in options:
        parts = _results(fast, case, **option)
        assert parts.keys() == whole.keys()
        for key, value in whole.items():
            assert np.asarray(parts[key]).dtype == np.asarray(value).dtype, key
            np.testing.assert_allclose(parts[key], value, rtol=1e-9, atol=1e-11, err_msg=f"{key} with {option}")
