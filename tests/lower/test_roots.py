"""In the fast schedule what many elements are divided by, a root, is divided by once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, sqrt, symbols

import symgrad
from symgrad import Layer, check_layer, layers
from symgrad.compiler import show_stage

N, M = symbols("N M", integer=True, positive=True)
n, m = Idx("n", N), Idx("m", M)
x, g, s, y = (IndexedBase(name) for name in "xgsy")


def source(layer, schedule="fast"):
    return symgrad.compile_layer(layer, schedule=schedule).source.split("# --- helpers ---")[0]


def test_rows_are_multiplied_by_the_reciprocal_of_a_root():
    fast, readable = source(layers.layer_norm), source(layers.layer_norm, "readable")
    assert "y_part *= (1 / np.sqrt(variance_part + epsilon))[:, None]" in fast
    assert "grad_x_part /= " not in fast
    assert "1 / np.sqrt" not in readable
    assert "one division for each root" in show_stage(layers.layer_norm, "lower", schedule="fast")


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        (x[n, m] / sqrt(s[n, m]), (x[N, M], s[N, M])),  # as many roots as elements
        (g[n] / sqrt(s[n]) * x[n, m], (g[N], s[N], x[N, M])),  # divided by before it is spread
        (x[n, m] / s[n], (x[N, M], s[N])),  # no root: its reciprocal may overflow
        (x[n, m] / (sqrt(s[n]) + 1), (x[N, M], s[N])),
    ],
)
def test_other_divisions_stay(body, inputs):
    forward = source(Layer("divided", inputs=list(inputs), equations=[Eq(y[n, m], body)])).split("def forward")[1]
    assert "1 / " not in forward.split("def backward")[0]


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "l2_normalise", "batch_norm2d", "group_norm"])
def test_results_hold_at_every_size_of_a_root(name):
    """At the smallest and the largest squares, at 0, and where a row is not finite."""
    assert check_layer(layers.get(name), schedule="fast", cases=2).ok
    layer = Layer("scaled", inputs=[x[N, M], s[N]], equations=[Eq(y[n, m], x[n, m] / sqrt(s[n]))])
    modules = [symgrad.compile_layer(layer, schedule=k) for k in ("readable", "fast")]
    for dtype in (np.float32, np.float64):
        tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
        roots = np.array([tiny, np.finfo(dtype).tiny, 1, huge, 0, np.inf, np.nan, -1], dtype)
        rows = np.array([0, tiny, 1, -2, np.inf, np.nan], dtype) * np.ones((len(roots), 1), dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one, other = (module.forward(rows, roots)[0] for module in modules)
        np.testing.assert_allclose(other, one, rtol=4 * np.finfo(dtype).eps)
