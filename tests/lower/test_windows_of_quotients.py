"""Extrema of windows that lie between quotients: separable, and no tables of all windows and positions."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Product, Sum, Symbol, ceiling, erf, exp, floor, symbols

from symgrad import Layer, LogSumExp, ReduceMax, ReduceMin, compile_layer

N, C, H, W, P, Q = symbols("N C H W P Q", integer=True, positive=True)
x, y = map(IndexedBase, "xy")
n, c, a, b = Idx("n", N), Idx("c", C), Idx("a", P), Idx("b", Q)
u, v = symbols("u v", integer=True)


def bins(index: Idx, over: Symbol, parts: Symbol) -> tuple[Expr, Expr]:
    """The ends of an adaptive window."""
    return floor(over * index / parts), ceiling(over * (index + 1) / parts) - 1


def windows_layer(reduce: Callable[..., Expr]) -> Layer:
    """The largest or smallest number of each window; the windows of two axes overlap or not, as sizes have it."""
    body = reduce(x[n, c, u, v], (u, *bins(a, H, P)), (v, *bins(b, W, Q)))
    return Layer("windows", [x[N, C, H, W]], [Eq(y[n, c, a, b], body)], attributes={P: 2, Q: 2})


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize(("reduce", "pick"), [(ReduceMax, np.argmax), (ReduceMin, np.argmin)])
@pytest.mark.parametrize("sizes", [(7, 5, 3, 2), (4, 6, 4, 6), (3, 2, 5, 4), (9, 8, 1, 8), (5, 5, 2, 3)])
def test_windows_between_quotients_agree_with_loops(
    sizes: tuple[int, ...], reduce: Callable[..., Expr], pick: Callable[..., int], schedule: str
) -> None:
    """Of equal candidates the first in the order of rows wins, as it does without windows."""
    height, width, rows, columns = sizes
    rng = np.random.default_rng(sum(sizes))
    values = rng.integers(3, size=(2, 3, height, width)).astype(float)
    values[0, 0, 0, 0] = np.nan
    expected, gradient = np.empty((2, 3, rows, columns)), np.zeros_like(values)
    cotangent = rng.normal(size=expected.shape)
    for place in np.ndindex(expected.shape):
        (top, bottom), (left, right) = (
            (size * i // parts, -(-size * (i + 1) // parts))
            for size, i, parts in zip(sizes[:2], place[2:], sizes[2:], strict=True)
        )
        window = values[place[:2]][top:bottom, left:right]
        best = np.unravel_index(pick(window), window.shape)
        expected[place] = window[best]
        gradient[(*place[:2], top + best[0], left + best[1])] += cotangent[place]
    compiled = compile_layer(windows_layer(reduce), schedule=schedule)
    result, residuals = compiled.forward(values, P=rows, Q=columns)
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_allclose(compiled.backward(residuals, cotangent).x, gradient, rtol=1e-12)


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_memory_of_windows_between_quotients(schedule: str) -> None:
    """No table of all windows and positions."""
    module = compile_layer(windows_layer(ReduceMax), schedule=schedule).module
    values = np.random.default_rng(0).normal(size=(2, 4, 96, 80))

    tracemalloc.start()
    try:
        result, residuals = module.forward(values, P=32, Q=40)
        module.backward(residuals, np.ones_like(result))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * values.nbytes  # a table of candidates would be 1280 times it


def test_a_range_that_other_positions_decide_stays_whole() -> None:
    """Of a triangle no axis can go first by itself."""
    body = ReduceMax(x[n, c, u, v], (v, floor(W * a / P), floor(u * W / H)), (u, 0, H - 1))
    layer = Layer("triangles", [x[N, C, H, W]], [Eq(y[n, c, a], body)], attributes={P: 2})
    values = np.random.default_rng(0).normal(size=(2, 3, 6, 4))
    found = compile_layer(layer).forward(values, P=2)[0]
    for place in np.ndindex(2, 3, 2):
        first = 4 * place[2] // 2
        inside = [values[(*place[:2], row, k)] for row in range(6) for k in range(first, row * 4 // 6 + 1)]
        assert found[place] == max(inside)


BIN = (u, *bins(a, H, P))
w = IndexedBase("w")
OWN = {
    "product": (Layer("products", [x[N, H]], [Eq(y[n, a], Product(x[n, u], BIN))], attributes={P: 2}), {"P": 300}),
    "exponential": (Layer("exponentials", [x[N, H], w[P]], [Eq(y[n, a], ReduceMax(exp(x[n, u] * w[a]), BIN))]), {}),
    "shifted": (
        Layer("gates", [x[N, H], w[P]], [Eq(y[n, a], Sum(x[n, u] * (erf(x[n, u] * w[a]) + 1) / 2, BIN))]),
        {},
    ),
    "sum": (Layer("sums", [x[N, H], w[P]], [Eq(y[n, a], Sum(exp(x[n, u] * w[a]), BIN))]), {}),
    "soft": (Layer("soft", [x[N, H], w[P]], [Eq(y[n, a], LogSumExp(x[n, u] * w[a], BIN))]), {}),
}


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("name", OWN)
def test_what_needs_a_window_and_a_position_in_it_is_no_table(name: str, schedule: str) -> None:
    layer, attributes = OWN[name]
    module = compile_layer(layer, schedule=schedule).module
    rng = np.random.default_rng(0)
    arrays = [1 + 0.1 * rng.normal(size=(3, 1000)), rng.normal(size=300)][: len(layer.inputs)]
    tracemalloc.start()
    try:
        result, residuals = module.forward(*arrays, **attributes)
        gradients = module.backward(residuals, np.ones_like(result))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * arrays[0].nbytes  # a table would be 300 times it
    expected = np.zeros_like(arrays[0])
    for place in range(300):
        inside = slice(1000 * place // 300, -(-1000 * (place + 1) // 300))
        window = arrays[0][:, inside]
        if name == "product":
            expected[:, inside] += window.prod(axis=1, keepdims=True) / window
            continue
        if name == "shifted":
            u = window * arrays[1][place]
            expected[:, inside] += (np.vectorize(math.erf)(u) + 1) / 2 + u * np.exp(-(u**2)) / math.sqrt(math.pi)
            continue
        values = np.exp(window * arrays[1][place])
        if name == "exponential":
            values *= values == values.max(axis=1, keepdims=True)
        elif name == "soft":
            values /= values.sum(axis=1, keepdims=True)
        expected[:, inside] += values * arrays[1][place]
    np.testing.assert_allclose(gradients.x, expected, rtol=1e-10)
