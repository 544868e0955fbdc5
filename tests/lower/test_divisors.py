"""Divisions by extents: an array of nothing is divided by 0 where a number could not be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, Symbol, cos, pi, symbols

from symgrad import Layer, check_layer, compile_layer, layers

M, N = symbols("M N", integer=True, positive=True)
rate = Symbol("rate", real=True)
x, y = IndexedBase("x"), IndexedBase("y")
k, m, n = Idx("k", N), Idx("m", M), Idx("n", N)
LAYERS = [
    Layer("waves", [x[N]], [Eq(y[k], Sum(cos(2 * pi * k * n / N) * x[n], n))]),
    Layer("shares", [x[N, M]], [Eq(y[n, m], rate * x[n, m] / M)], attributes={rate: 0.1}),
    Layer("spread", [x[N, M]], [Eq(y[n, m], pi * x[n, m] / (M - 1))]),
]


@pytest.mark.parametrize("layer", LAYERS[:2], ids=lambda layer: layer.name)
def test_the_right_numbers_with_and_without_elements(layer: Any) -> None:
    assert check_layer(layer).ok


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("extent", [0, 1])
def test_no_error_of_pythons(layer: Any, schedule: str, extent: int) -> None:
    compiled = compile_layer(layer, schedule=schedule)
    array = np.ones((extent,) * len(layer.inputs[0].shape))
    with np.errstate(divide="ignore"):
        output, residuals = compiled.forward(array)
        (gradient,) = compiled.backward(residuals, output)
    assert gradient.shape == array.shape
    if layer.name == "spread" and extent == 1:
        assert np.isposinf(output).all()


def test_the_variance_of_one_sample_is_no_number() -> None:
    compiled = compile_layer(layers.batch_norm_running_step)
    with np.errstate(divide="ignore", invalid="ignore"):
        arrays = [np.zeros((1, 2)) if len(t.shape) == 2 else np.ones(2) for t in compiled.layer.inputs]
        output, _ = compiled.forward(*arrays)
    assert not np.isfinite(output.new_variance).any()
