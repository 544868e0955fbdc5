"""Products with windows: the same numbers in both schedules, and in the fast one no matrix of all windows."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Sum, symbols

import symgrad
from symgrad import Layer, Padded
from symgrad.compiler import CompiledLayer, run
from symgrad.lower.schedules import SCHEDULES

N, C, H, K, R = symbols("N C H K R", integer=True, positive=True)
stride = symbols("stride", integer=True, positive=True)
x, w, b, y = (IndexedBase(name) for name in "xwby")
n, c, k, u, h = Idx("n", N), Idx("c", C), Idx("k", K), Idx("u", R), Idx("h", H)
i, o = Idx("i", H - R + 1), Idx("o", stride * (H - 1) + R)


def layer(name: str, inputs: list[Any], left: Any, right: Any, **options: Any) -> Layer:
    return Layer(name, inputs, [Eq(left, right)], typical={"R": 3}, **options)


LAYERS = [
    layer("rows", [x[N, C, H], w[K, C, R], b[K]], y[n, k, i], Sum(x[n, c, i + u] * w[k, c, u], c, u) + b[k]),
    layer("channels_last", [x[N, H, C], w[R, C, K]], y[n, i, k], Sum(x[n, i + u, c] * w[u, c, k], c, u)),
    layer("batch_last", [x[C, H, N], w[K, R, C]], y[k, i, n], Sum(x[c, i + u, n] * w[k, u, c], c, u)),
    layer("causal", [x[N, C, H], w[K, C, R]], y[n, k, h], Sum(Padded(x)[n, c, h + u - R + 1] * w[k, c, u], c, u)),
    layer("twice", [x[N, C, H], w[K, C, R]], y[n, k, i], Sum(x[n, c, i + u] * x[n, c, i] * w[k, c, u], c, u)),
    layer(
        "spread",
        [x[N, C, H], w[C, K, R]],
        y[n, k, o],
        Sum(x[n, c, h] * w[c, k, u] * KroneckerDelta(stride * h + u, o), c, h, u),
        attributes={stride: 2},
    ),
]
SIZES = [{"N": 7, "C": 3, "H": 8, "K": 2, "R": 3}, {"N": 1, "C": 1, "H": 3, "K": 1, "R": 3}] + [
    {"N": 2, "C": 3, "H": 8, "K": 2, "R": 3, name: 0} for name in ("N", "C", "K")
]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_numbers_are_those_of_the_general_form(layer: Layer, schedule: str) -> None:
    compiled, general = symgrad.compile_layer(layer, schedule=schedule), CompiledLayer(run(layer, general=True))
    assert "_windows(" in compiled.source
    rng = np.random.default_rng(0)
    for sizes in SIZES:
        arrays = [rng.normal(size=tuple(sizes[str(extent)] for extent in t.shape)) for t in layer.inputs]
        found = []
        for module in (compiled.module, general.module):
            output, residuals = module.forward(*arrays)
            found.append((output, *module.backward(residuals, np.cos(np.arange(output.size)).reshape(output.shape))))
        for got, want in zip(*found, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_the_readable_form_has_no_loop_but_over_the_kernel(layer: Layer) -> None:
    functions = symgrad.compile_layer(layer).source.partition("# --- helpers ---")[0]
    assert {
        line.strip() for line in functions.splitlines() if "for " in line.split("#")[0] and " in range" in line
    } <= {"for u in range(R):"}


def test_memory_of_the_fast_form_is_bounded() -> None:
    compiled = symgrad.compile_layer(LAYERS[0], schedule="fast")
    shapes = ((512, 32, 130), (32, 32, 3), (32,))
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    output, residuals = compiled.forward(*arrays)
    tracemalloc.start()
    compiled.forward(*arrays)
    compiled.backward(residuals, np.ones_like(output))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    windows = 512 * 32 * 128 * 3 * 4
    results = 512 * 32 * (128 + 130) * 4
    assert peak < results + windows / 2


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_kernels_as_large_as_the_data_make_no_stack_of_products(schedule: str) -> None:
    """The gradient of kernels is one product then, not one for every example of which each is as large as they are."""
    module = symgrad.compile_layer(symgrad.layers.conv2d, schedule=schedule).module
    rng = np.random.default_rng(0)
    for extents in ((40, 3, 6, 6), (40, 3, 8, 7)):
        x, w, b = rng.normal(size=extents), rng.normal(size=(30, 3, 6, 6)), rng.normal(size=30)
        y, residuals = module.forward(x, w, b)
        grad_y = rng.normal(size=y.shape)
        tracemalloc.start()
        try:
            grad_w = module.backward(residuals, grad_y, wrt=("w",)).w
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        windows = np.lib.stride_tricks.sliding_window_view(x, (6, 6), axis=(2, 3))
        np.testing.assert_allclose(grad_w, np.einsum("nkij,ncijuv->kcuv", grad_y, windows), rtol=1e-12, atol=1e-13)
        assert peak < 3 * windows.nbytes + 4 * w.nbytes < 40 * w.nbytes


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_large_kernels_of_groups_make_no_stack_of_products(schedule: str) -> None:
    module = symgrad.compile_layer(symgrad.layers.grouped_conv2d, schedule=schedule).module
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(40, 6, 6, 6)), rng.normal(size=(60, 3, 6, 5)), rng.normal(size=60)
    y, residuals = module.forward(x, w, b, groups=2)
    grad_y = rng.normal(size=y.shape)
    grad_w = module.backward(residuals, grad_y, wrt=("w",)).w
    windows = np.lib.stride_tricks.sliding_window_view(x.reshape(40, 2, 3, 6, 6), (6, 5), axis=(3, 4))
    expected = np.einsum("ngkij,ngcijuv->gkcuv", grad_y.reshape(40, 2, 30, 1, 2), windows)
    np.testing.assert_allclose(grad_w, expected.reshape(w.shape), rtol=1e-12, atol=1e-13)
    assert "_sum_of_products(" in symgrad.compile_layer(symgrad.layers.grouped_conv2d, schedule=schedule).source
