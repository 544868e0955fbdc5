"""Reductions over a joint space run in chunks: the same numbers as the whole space at once, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Piecewise, Sum, symbols, tanh

import symgrad
from symgrad import Layer, ReduceMax, ReduceMin
from symgrad.compiler import CompiledLayer, run

from ..agreement import as_tuple, normals

M, N, D = symbols("M N D", integer=True, positive=True)
x, y, c, w = (IndexedBase(name) for name in "xycw")
i, j, d, u = Idx("i", M), Idx("j", N), Idx("d", D), Idx("u", 3)
t = Idx("t", M - 2)

LAYERS = [
    Layer("city_block", [x[M, D], c[N, D]], [Eq(y[i, j], Sum(Abs(x[i, d] - c[j, d]), d))]),
    Layer("city_block_across", [x[M, D], c[N, D]], [Eq(y[j, i], Sum(Abs(x[i, d] - c[j, d]), d))]),
    Layer("additive", [x[M, D], c[N, D], w[D]], [Eq(y[i, j], Sum(w[d] * tanh(x[i, d] + c[j, d]), d))]),
    Layer("max_plus", [x[M, D], c[N, D]], [Eq(y[i, j], ReduceMax(x[i, d] + c[j, d], d))]),
    Layer("min_split", [x[M, D], c[N, D]], [Eq(y[i, j], ReduceMin(Abs(x[i, d] * c[j, d]), d, ties="split"))]),
    Layer("windows", [x[M, D], c[N, 3]], [Eq(y[t, d, j], Sum(Abs(x[t + u, d] - c[j, u]), u))]),
    Layer(
        "triangle",
        [x[M, D], c[N, D]],
        [Eq(y[i, j], Sum(Piecewise((Abs(x[i, d] - c[j, d]), d <= i), (0, True)), d))],
    ),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("shape", [(75, 70, 64), (3, 2, 4), (1, 700, 400), (700, 1, 400), (0, 3, 2), (3, 0, 2)])
def test_chunks_are_the_whole(layer: Layer, shape: tuple[int, int, int]) -> None:
    rows, columns, depth = shape
    if layer.name == "windows" and rows < 2:
        rows = 2
    shapes: dict[str, tuple[int, ...]] = {"x": (rows, depth), "c": (columns, depth), "w": (depth,)}
    if layer.name == "windows":
        shapes["c"] = (columns, 3)
    arrays = normals(**{tensor.name: shapes[tensor.name] for tensor in layer.inputs})
    found = []
    for general in (False, True):
        compiled = CompiledLayer(run(layer, general))
        outputs, residuals = compiled.forward(**arrays)
        cotangent = np.cos(np.arange(outputs.size)).reshape(outputs.shape)
        found.append((*as_tuple(outputs), *compiled.backward(residuals, cotangent)))
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layer", LAYERS[:4], ids=lambda layer: layer.name)
def test_memory_is_bounded(layer: Layer) -> None:
    shapes: dict[str, tuple[int, ...]] = {"x": (500, 64), "c": (400, 64), "w": (64,)}
    arrays = normals(**{tensor.name: shapes[tensor.name] for tensor in layer.inputs})
    compiled = symgrad.compile_layer(layer)
    outputs, residuals = compiled.forward(**arrays)
    tracemalloc.start()
    compiled.forward(**arrays)
    compiled.backward(residuals, np.ones_like(outputs))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    joint = 500 * 400 * 64 * 8
    assert peak < joint / 4
