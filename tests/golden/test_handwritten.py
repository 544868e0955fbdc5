"""The emitted modules compute what the modules written by hand compute: same values, same gradients, same dtypes."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import symgrad

HERE = Path(__file__).parent / "handwritten"
SHAPES = {
    "dense": ("dense", [(5, 3), (2, 3), (2,)], [{}]),
    "conv2d": (
        "conv2d",
        [(2, 3, 8, 7), (4, 3, 3, 2), (4,)],
        [{}, {"stride": 2, "padding": 1}, {"stride": 3}, {"padding": 2}],
    ),
    "max_pool2d": (
        "max_pool2d",
        [(2, 3, 7, 8)],
        [{"K": 2, "stride": 2, "padding": 0}, {"K": 3, "stride": 2, "padding": 1}, {"K": 3, "stride": 1, "padding": 0}],
    ),
    "softmax": ("softmax", [(4, 6)], [{}]),
    "batch_norm": ("batch_norm2d", [(3, 4, 5, 2), (4,), (4,)], [{}]),
}


def handwritten(name):
    """Load a module written by hand."""
    spec = importlib.util.spec_from_file_location(f"handwritten_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_emitted_equals_handwritten(name, dtype):
    layer, shapes, settings = SHAPES[name]
    emitted, golden = symgrad.compile_layer(symgrad.layers.get(layer)), handwritten(name)
    rng = np.random.default_rng(0)
    tolerance = {"rtol": 2e-5, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-12}
    for attributes in settings:
        arrays = [rng.normal(size=s).astype(dtype) for s in shapes]
        got, kept = emitted.forward(*arrays, **attributes)
        want, saved = golden.forward(*arrays, **attributes)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, **tolerance)
        cotangent = rng.normal(size=got.shape).astype(dtype)
        for mine, theirs in zip(emitted.backward(kept, cotangent), golden.backward(saved, cotangent), strict=True):
            assert mine.dtype == dtype
            np.testing.assert_allclose(mine, theirs, **tolerance)


def test_tied_maxima_go_to_the_same_element():
    x = np.zeros((1, 1, 6, 6))
    emitted, golden = symgrad.compile_layer(symgrad.layers.max_pool2d), handwritten("max_pool2d")
    y, kept = emitted.forward(x, K=3, stride=2)
    z, saved = golden.forward(x, K=3, stride=2)
    g = np.arange(1.0, 1 + y.size).reshape(y.shape)
    np.testing.assert_array_equal(emitted.backward(kept, g).x, golden.backward(saved, g).x)
    np.testing.assert_array_equal(y, z)
