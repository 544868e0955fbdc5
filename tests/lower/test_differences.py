"""Sums of differences keep the digits of the differences, whatever the rows have in common or stand beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, exp, sqrt, symbols

from symgrad import ArgMin, Layer, compile_layer

from ..agreement import SCHEDULES, as_declared, normals

B, D, E, M, N = symbols("B D E M N", integer=True, positive=True)
x, y, c, w, g = (IndexedBase(name) for name in "xycwg")
b, n, m, d, e = Idx("b", B), Idx("n", N), Idx("m", M), Idx("d", D), Idx("e", E)
SQUARE = (x[n, d] - c[m, d]) ** 2

SQUARES = Layer("squares", [x[N, D], c[M, D]], [Eq(y[n, m], Sum(SQUARE, d))])
WEIGHED = Layer("weighed", [x[N, D], c[M, D], w[D]], [Eq(y[n, m], Sum(w[d] * SQUARE, d))])
DISTANCES = Layer("distances", [x[N, D], c[M, D]], [Eq(y[n, m], sqrt(Sum(SQUARE, d)))])
KERNELS = Layer("kernels", [x[N, D], c[M, D]], [Eq(y[n], Sum(exp(-Sum(SQUARE, d)), m))])
ENERGY = Layer("energy", [x[N, D], c[M, D], g[N, M]], [Eq(y[n], Sum(g[n, m] * SQUARE, m, d))])
NEAREST = Layer("nearest", [x[N, D], c[M, D]], [Eq(y[n], ArgMin(Sum(SQUARE, d), m))])
STACKED = Layer(
    "stacked", [x[B, N, D, E], c[B, M, D, E]], [Eq(y[b, n, m], Sum((x[b, n, d, e] - c[b, m, d, e]) ** 2, d, e))]
)
OTHERS = Layer("others", [x[N, B, D], c[M, D]], [Eq(y[n, b, m], Sum((x[n, b, d] - c[m, d]) ** 2, d))])
LAYERS = (SQUARES, WEIGHED, DISTANCES, KERNELS, ENERGY)


def clusters(width: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows around a few places far from each other, most of them near others."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(3, width)) * 300
    rows, centres = (places[np.arange(count) % 3] + rng.normal(size=(count, width)) / 8 for count in (40, 30))
    return rows.astype(dtype), centres.astype(dtype)


def pulled_back(layer: Layer, arrays: dict[str, np.ndarray], schedule: str) -> tuple[np.ndarray, list[np.ndarray]]:
    compiled = compile_layer(layer, schedule=schedule)
    values, residuals = compiled.forward(**arrays)
    cotangent = np.random.default_rng(2).normal(size=values.shape).astype(values.dtype)
    return values, list(compiled.backward(residuals, cotangent))


def by_differences(layer: Layer, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Value and gradients in float64, from the differences themselves."""
    wide = {name: a.astype(np.float64) for name, a in arrays.items()}
    gap = wide["x"][:, None] - wide["c"]
    squares = np.square(gap).sum(axis=2)
    beside: list[np.ndarray] = []
    slope = np.ones_like(squares)
    match layer.name:
        case "squares":
            values = squares
        case "weighed":
            values = np.square(gap) @ wide["w"]
        case "distances":
            values, slope = np.sqrt(squares), 1 / (2 * np.sqrt(squares))
        case "kernels":
            values, slope = np.exp(-squares).sum(axis=1), -np.exp(-squares)
        case _:
            values, slope = (wide["g"] * squares).sum(axis=1), wide["g"]
    cotangent = np.random.default_rng(2).normal(size=values.shape).astype(arrays["x"].dtype).astype(np.float64)
    spread = cotangent if values.ndim == 2 else cotangent[:, None]
    pull = 2 * (spread * slope)[:, :, None] * gap
    if layer is WEIGHED:
        pull, beside = pull * wide["w"], [np.einsum("nm,nmd->d", cotangent, np.square(gap))]
    if layer is ENERGY:
        beside = [spread * squares]
    return values, [pull.sum(axis=1), -pull.sum(axis=0), *beside]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("width", [2, 12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.filterwarnings("error")
def test_the_digits_of_the_differences_are_kept(layer: Layer, dtype: Any, width: int, schedule: str) -> None:
    rows, centres = clusters(width, dtype)
    beside = normals(w=(width,), g=(40, 30))
    arrays = {"x": rows, "c": centres} | {
        tensor.name: beside[tensor.name].astype(dtype) for tensor in layer.inputs if tensor.name in beside
    }
    values, gradients = pulled_back(layer, arrays, schedule)
    want, wanted = by_differences(layer, arrays)
    eps = np.finfo(dtype).eps
    signed = layer in (WEIGHED, ENERGY)
    np.testing.assert_allclose(values, want, rtol=20 * eps, atol=40 * eps * np.abs(want).max() if signed else 0)
    for got, expected in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=60 * eps * np.abs(expected).max())


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("width", [2, 12])
def test_near_rows_far_from_the_others(width: int, schedule: str) -> None:
    rows = np.zeros((4, width), np.float32)
    rows[:, :2] = [[0, 0], [0.01, 0], [100, 0], [100, 0.01]]
    values, (left, right) = pulled_back(DISTANCES, {"x": rows, "c": rows[::-1].copy()}, schedule)
    assert values[0, 2] == values[1, 3] == values[2, 0] == np.float32(0.01)
    assert np.isfinite(left).all() and np.isfinite(right).all()
    assert (np.diag(values[:, ::-1]) == 0).all()
    compiled = compile_layer(DISTANCES, schedule=schedule)
    _, residuals = compiled.forward(rows, rows)
    cotangent = np.zeros((4, 4), np.float32)
    cotangent[2, 3] = 1
    np.testing.assert_allclose(compiled.backward(residuals, cotangent).x[2, :2], [0, -1], rtol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_spoils_its_own_distances_only(bad: float, schedule: str) -> None:
    arrays = normals(x=(5, 12), c=(4, 12))
    compiled = compile_layer(DISTANCES, schedule=schedule)
    want, _ = compiled.forward(**arrays)
    for name, axis in (("x", 0), ("c", 1)):
        spoilt = {key: a.copy() for key, a in arrays.items()}
        spoilt[name][1, 3] = bad
        got, _ = compiled.forward(**spoilt)
        np.testing.assert_allclose(np.delete(got, 1, axis), np.delete(want, 1, axis), rtol=1e-13)
        np.testing.assert_array_equal(np.take(got, 1, axis), bad)
    spoilt = {"x": arrays["x"].copy(), "c": arrays["c"]}
    spoilt["x"][1, 3] = bad
    cotangent = np.ones((5, 4))
    with np.errstate(invalid="ignore"):  # infinity times 0
        (rows, _), (clean, _) = (
            compiled.backward(compiled.forward(**given)[1], cotangent) for given in (spoilt, arrays)
        )
    np.testing.assert_allclose(np.delete(rows, 1, 0), np.delete(clean, 1, 0), rtol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_nearest_of_near_rows(schedule: str) -> None:
    compiled = compile_layer(NEAREST, schedule=schedule)
    for width in (2, 12):
        rows, centres = np.zeros((1, width), np.float32), np.zeros((3, width), np.float32)
        rows[:, :2], centres[:, :2] = [1000.24, 1000], [[1000, 1000], [1000.25, 1000], [-1e4, 5e3]]
        assert compiled.forward(rows, centres)[0] == [1]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("width", [2, 12])
def test_large_rows_do_not_overflow(width: int, schedule: str) -> None:
    rows = np.full((2, width), 1e25, np.float32)
    values, gradients = pulled_back(SQUARES, {"x": rows, "c": rows}, schedule)
    np.testing.assert_array_equal(values, 0)
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("shapes", [{"x": (2, 4, 3, 5), "c": (2, 3, 3, 5)}, {"x": (0, 4, 3, 5), "c": (0, 3, 3, 5)}])
def test_stacks_of_rows_with_two_axes(shapes: dict[str, tuple[int, ...]]) -> None:
    assert "_squared_gaps" in compile_layer(STACKED).source
    assert as_declared(STACKED, normals(**shapes))


@pytest.mark.parametrize("width", [3, 12])
def test_rows_along_two_axes(width: int) -> None:
    assert "_squared_gaps" in compile_layer(OTHERS).source
    assert as_declared(OTHERS, normals(x=(4, 2, width), c=(3, width)))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("width", [4, 12])
@pytest.mark.filterwarnings("error")
def test_infinite_gaps_beside_weights_of_both_signs(width: int, schedule: str) -> None:
    rng = np.random.default_rng(5)
    X, C, W = rng.normal(size=(40, width)), rng.normal(size=(30, width)), rng.normal(size=width)
    W[:2] = 0.5, -0.5
    X[3, 0] = X[4, 1] = np.inf
    values = compile_layer(WEIGHED, schedule=schedule).forward(X, C, W)[0]
    want = (np.square(X[:, None] - C) * W).sum(axis=2)
    assert (want[3] == np.inf).all() and (want[4] == -np.inf).all()
    np.testing.assert_allclose(values, want, atol=1e-12)
