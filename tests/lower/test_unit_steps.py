"""Accumulated windows, and the product that they are where steps are 1: the same gradients, whatever the attributes."""

from __future__ import annotations

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Sum, floor, symbols

import symgrad
from symgrad import Layer, Padded
from symgrad.compiler import CompiledLayer, run
from symgrad.declare.textform import parse_layer

B, C, H, K, R, W, S = symbols("B C H K R W S", integer=True, positive=True)
stride, dilation = symbols("stride dilation", integer=True, positive=True)
padding = symbols("padding", integer=True, nonnegative=True)
x, w, y = IndexedBase("x"), IndexedBase("w"), IndexedBase("y")
b, c, k, u, v, h = Idx("b", B), Idx("c", C), Idx("k", K), Idx("u", R), Idx("v", S), Idx("h", H)
i = Idx("i", floor((H + 2 * padding - dilation * (R - 1) - 1) / stride) + 1)
j = Idx("j", floor((W - S) / stride) + 1)
o = Idx("o", stride * (H - 1) + R)
SETTINGS = {stride: 1, dilation: 1, padding: 0}

LAYERS = [
    Layer(
        "rows",
        [x[B, C, H], w[K, C, R]],
        [Eq(y[b, k, i], Sum(Padded(x)[b, c, stride * i + dilation * u - padding] * w[k, c, u], c, u))],
        attributes=SETTINGS,
    ),
    Layer(
        "planes_channels_last",
        [x[B, H, W, C], w[R, S, C, K]],
        [
            Eq(
                y[b, i, j, k],
                Sum(
                    Padded(x)[b, stride * i + dilation * u - padding, stride * j + v, c] * w[u, v, c, k],
                    c,
                    u,
                    v,
                ),
            )
        ],
        attributes=SETTINGS,
    ),
    Layer(
        "spread",
        [x[B, C, H], w[C, K, R]],
        [Eq(y[b, k, o], Sum(x[b, c, h] * w[c, k, u] * KroneckerDelta(stride * h + u, o), c, h, u))],
        attributes={stride: 2},
    ),
    Layer(
        "kept_beside",
        [x[B, C, H], w[K, C, R]],
        [
            Eq(
                y[b, k, i],
                Sum(Padded(x)[b, c, stride * i + dilation * u - padding] * w[k, c, u], c, u)
                + Sum(x[b, c, stride * i] ** 2, c),
            )
        ],
        attributes=SETTINGS,
    ),
]
SIZES = [
    {"B": 2, "C": 3, "H": 9, "K": 2, "R": 3, "W": 7, "S": 2},
    {"B": 1, "C": 1, "H": 9, "K": 5, "R": 1, "W": 5, "S": 3},
    {"B": 2, "C": 3, "H": 9, "K": 2, "R": 0, "W": 6, "S": 2},
    {"B": 0, "C": 3, "H": 9, "K": 2, "R": 3, "W": 6, "S": 2},
]


def attributes(layer: Layer) -> list[dict[str, int]]:
    """Steps of 1 and more, paddings narrower and wider than the kernel."""
    names = [str(a) for a in layer.attributes]
    choices = {"stride": (1, 2, 3), "dilation": (1, 2), "padding": (0, 1, 4)}
    return [dict(zip(names, values, strict=True)) for values in product(*(choices[n] for n in names))]


def results(module: Any, arrays: list[np.ndarray], **options: int) -> list[np.ndarray]:
    output, residuals = module.forward(*arrays, **options)
    return [output, *module.backward(residuals, np.cos(np.arange(output.size)).reshape(output.shape))]


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_both_forms_are_the_definition(layer: Layer, schedule: str) -> None:
    compiled, general = symgrad.compile_layer(layer, schedule=schedule), CompiledLayer(run(layer, general=True)).module
    rng = np.random.default_rng(0)
    compared = 0
    for sizes in SIZES:
        arrays = [rng.normal(size=tuple(sizes[str(extent)] for extent in t.shape)) for t in layer.inputs]
        for options in attributes(layer):
            try:
                wanted = results(general, arrays, **options)
            except ValueError:
                continue  # a window longer than what it reads
            for got, want in zip(results(compiled, arrays, **options), wanted, strict=True):
                assert got.shape == want.shape
                np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
            compared += 1
    assert compared > len(SIZES)


@pytest.mark.parametrize("layer", LAYERS[:2], ids=lambda layer: layer.name)
def test_steps_decide_when_the_module_runs(layer: Layer) -> None:
    source = symgrad.compile_layer(layer).source
    assert "if stride == 1 and K <= C and " in source[source.index("def backward") :]


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_few_windows_are_accumulated(schedule: str) -> None:
    """A kernel as large as the data meets them once: windows of a border that wide would be rows of zeros."""
    module = symgrad.compile_layer(symgrad.layers.conv1d, schedule=schedule).module
    rng = np.random.default_rng(0)
    data, kernels = rng.normal(size=(4, 8, 64)), rng.normal(size=(8, 8, 64))
    y, residuals = module.forward(data, kernels, np.zeros(8))
    grad_y = rng.normal(size=y.shape)
    tracemalloc.start()
    try:
        grad_x = module.backward(residuals, grad_y, wrt=("x",)).x
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(grad_x, np.einsum("nk,kcu->ncu", grad_y[:, :, 0], kernels), rtol=1e-12)
    assert peak < 8 * data.nbytes  # windows would be 64 times them


def test_a_known_step_needs_no_choice() -> None:
    body = Sum(Padded(x)[b, c, h + u - 1] * w[k, c, u], c, u)
    source = symgrad.compile_layer(Layer("plain", [x[B, C, H], w[K, C, R]], [Eq(y[b, k, h], body)])).source
    assert "if " not in source[source.index('if "x" in wrt:') + 16 : source.index('if "w" in wrt:')]


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize(
    "text", ["s = 2; y[i] = x[i]*x[s*i]", "s = 2; y[i] = x[i] + x[s*i]", "s = 2; y[n,i] = x[n,s*i] - x[n,i]"]
)
def test_two_terms_that_are_one_where_steps_are_1(text: str, schedule: str) -> None:
    assert symgrad.check_layer(parse_layer(text), schedule=schedule).ok
