"""Products with windows in chunks of an axis that they leave alone: the same numbers, and no matrix of all windows."""

from __future__ import annotations

import tracemalloc
import types
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Sum, symbols

import symgrad
from symgrad import Layer, Padded
from symgrad.compiler import CompiledLayer, run
from symgrad.emit.printer import CHUNK

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


def with_small_chunks(compiled: CompiledLayer) -> types.ModuleType:
    """The module with chunks of a few elements, so that there are many and the last is shorter."""
    assert f"// max(1, {CHUNK}" in compiled.source or f"max(1, {CHUNK} //" in compiled.source
    module = types.ModuleType("chunked")
    exec(compiled.source.replace(str(CHUNK), "150"), module.__dict__)
    return module


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_chunks_are_the_whole(layer: Layer) -> None:
    chunked, general = with_small_chunks(symgrad.compile_layer(layer)), CompiledLayer(run(layer, general=True)).module
    rng = np.random.default_rng(0)
    for sizes in SIZES:
        arrays = [rng.normal(size=tuple(sizes[str(extent)] for extent in t.shape)) for t in layer.inputs]
        found = []
        for module in (chunked, general):
            output, residuals = module.forward(*arrays)
            found.append((output, *module.backward(residuals, np.cos(np.arange(output.size)).reshape(output.shape))))
        for got, want in zip(*found, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


def test_memory_is_bounded() -> None:
    compiled = symgrad.compile_layer(LAYERS[0])
    shapes = ((64, 32, 130), (32, 32, 3), (32,))
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    output, residuals = compiled.forward(*arrays)
    tracemalloc.start()
    compiled.forward(*arrays)
    compiled.backward(residuals, np.ones_like(output))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    windows = 64 * 32 * 128 * 3 * 4
    results = 64 * 32 * (128 + 130) * 4
    assert peak < results + 4 * CHUNK * 4
    assert 2 * windows > 4 * CHUNK * 4


def test_the_axis_is_one_that_windows_leave_alone() -> None:
    for layer, axis in ((LAYERS[0], "N"), (LAYERS[1], "N")):
        assert f"for start in range(0, {axis}, rows):" in symgrad.compile_layer(layer).source
