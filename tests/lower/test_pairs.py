"""Reductions over ragged ranges: cost and memory of the pairs in them, not of all pairs; against loops."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sympy import (
    Eq,
    Expr,
    Idx,
    IndexedBase,
    Piecewise,
    Product,
    Sum,
    Symbol,
    exp,
    symbols,
)

from symgrad import ArgMax, ArgMin, Layer, LogSumExp, ReduceMax, ReduceMin, check_layer, compile_layer

N, D, R, K, E = symbols("N D R K E", integer=True, positive=True)
x, y, w, start, stop, val, col = map(IndexedBase, ("x", "y", "w", "start", "stop", "val", "col"))
r, i, k = Idx("r", R), Idx("i", D), Idx("k", K)
q = symbols("q", integer=True)
RANGE = (q, start[r], start[r + 1] - 1)
ENDS = (q, start[r], stop[r] - 1)


@pytest.fixture
def rng() -> np.random.Generator:
    """Numbers that are the same in every run."""
    return np.random.default_rng(0)


Row = Callable[[np.ndarray], np.ndarray]
FOLDS: dict[str, tuple[Callable[[tuple[Symbol, Expr, Expr]], Expr], Row]] = {
    "max": (lambda over: ReduceMax(x[q, i] ** 2, over), lambda rows: (rows**2).max(axis=0)),
    "min": (lambda over: ReduceMin(exp(x[q, i]), over), lambda rows: np.exp(rows).min(axis=0)),
    "product": (lambda over: Product(x[q, i], over), lambda rows: rows.prod(axis=0)),
    "logsumexp": (lambda over: LogSumExp(x[q, i], over), lambda rows: np.log(np.exp(rows).sum(axis=0))),
    "own": (lambda over: Sum(exp(x[q, i] * w[r, i]), over), lambda rows: np.exp(rows).sum(axis=0)),
}
STARTS = {
    "empty segments": [0, 0, 3, 3, 3, 7, 9, 9],
    "one segment": [0, 9],
    "gaps at the ends": [2, 4, 5, 8],
    "one each": list(range(10)),
    "all in the last": [0, 0, 0, 9],
    "nothing at all": [4, 4, 4],
}


def segment_layer(name: str) -> Layer:
    """A fold of every segment, -1 where it is empty."""
    fold = FOLDS[name][0](RANGE)
    inputs = [x[N, D], w[R, D], start[R + 1]] if name == "own" else [x[N, D], start[R + 1]]
    body = Piecewise((fold, start[r + 1] > start[r]), (-1, True))
    return Layer(f"ragged_{name}", inputs, [Eq(y[r, i], body)], integers=[start])


def ends_layer(name: str) -> Layer:
    """A fold of ranges whose ends are given apart: they may overlap."""
    fold = FOLDS[name][0](ENDS)
    body = Piecewise((fold, stop[r] > start[r]), (-1, True))
    return Layer(f"ends_{name}", [x[N, D], start[R], stop[R]], [Eq(y[r, i], body)], integers=[start, stop])


def rows_of(values: np.ndarray, first: np.ndarray, last: np.ndarray, row: Row) -> np.ndarray:
    """The fold of every range by a loop."""
    folded = [row(values[a:b]) if b > a else np.full(values.shape[1:], -1.0) for a, b in zip(first, last, strict=True)]
    return np.array(folded).reshape(len(first), *values.shape[1:])


def agree_with_differences(forward: Callable[[np.ndarray], np.ndarray], at: np.ndarray, found: np.ndarray) -> None:
    """The gradient of a sum weighted by 1, 2, .. against central differences."""
    step, gradient = 1e-6, np.zeros_like(at)
    for place in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[place] = step
        change = forward(at + moved) - forward(at - moved)
        gradient[place] = (change * weights(change.shape)).sum() / (2 * step)
    np.testing.assert_allclose(found, gradient, rtol=1e-6, atol=1e-7)


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """Cotangents that differ."""
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape)


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("name", FOLDS)
def test_segments_agree_with_loops(name: str, schedule: str, rng: np.random.Generator) -> None:
    compiled = compile_layer(segment_layer(name), schedule=schedule)
    for begins in map(np.array, STARTS.values()):
        values = rng.normal(size=(9, 2))
        beside = [np.ones((len(begins) - 1, 2))] if name == "own" else []

        def forward(values: np.ndarray, begins: np.ndarray = begins, beside: list[Any] = beside) -> np.ndarray:
            return np.asarray(compiled.forward(values, *beside, begins)[0])

        np.testing.assert_allclose(forward(values), rows_of(values, begins[:-1], begins[1:], FOLDS[name][1]))
        result, residuals = compiled.forward(values, *beside, begins)
        grads = compiled.backward(residuals, weights(result.shape))
        agree_with_differences(forward, values, grads.x)
        single, kept = compiled.forward(values.astype(np.float32), *(a.astype(np.float32) for a in beside), begins)
        assert single.dtype == np.float32
        assert compiled.backward(kept, np.ones_like(single)).x.dtype == np.float32
        np.testing.assert_allclose(single, result, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in FOLDS if n != "own"])
def test_ranges_may_overlap_and_leave_gaps(name: str, rng: np.random.Generator) -> None:
    compiled = compile_layer(ends_layer(name))
    values, first, last = rng.normal(size=(8, 2)), np.array([1, 0, 4, 5, 6]), np.array([4, 3, 4, 6, 2])

    def forward(values: np.ndarray) -> np.ndarray:
        return np.asarray(compiled.forward(values, first, last)[0])

    np.testing.assert_allclose(forward(values), rows_of(values, first, last, FOLDS[name][1]))
    result, residuals = compiled.forward(values, first, last)
    agree_with_differences(forward, values, compiled.backward(residuals, weights(result.shape)).x)


@pytest.mark.parametrize("arg", [ArgMax, ArgMin])
def test_positions_of_the_winners(arg: Any, rng: np.random.Generator) -> None:
    layer = Layer("winners", [x[N, D], start[R + 1]], [Eq(y[r, i], arg(x[q, i], RANGE))], integers=[start])
    values, begins = np.round(rng.normal(size=(20, 3))), np.array([0, 4, 5, 12, 20])
    found = np.asarray(compile_layer(layer).forward(values, begins)[0])
    loop = np.argmax if arg is ArgMax else np.argmin
    wanted = [loop(values[a:b], axis=0) for a, b in pairwise(begins)]
    np.testing.assert_array_equal(found, wanted)


def test_numbers_that_are_none_win() -> None:
    layer = Layer("worst", [x[N, D], start[R + 1]], [Eq(y[r, i], ReduceMax(x[q, i], RANGE))], integers=[start])
    compiled = compile_layer(layer)
    values = np.array([[1.0], [np.nan], [2.0], [-np.inf], [-np.inf]])
    found, residuals = compiled.forward(values, np.array([0, 3, 5]))
    np.testing.assert_array_equal(found, [[np.nan], [-np.inf]])
    np.testing.assert_array_equal(compiled.backward(residuals, np.ones((2, 1))).x.ravel(), [0, 1, 0, 1, 0])


def test_ties_split() -> None:
    fold = ReduceMax(x[q, i], RANGE, ties="split")
    compiled = compile_layer(Layer("tied", [x[N, D], start[R + 1]], [Eq(y[r, i], fold)], integers=[start]))
    values = np.array([[1.0], [1.0], [0.0], [3.0]])
    _, residuals = compiled.forward(values, np.array([0, 3, 4]))
    np.testing.assert_allclose(compiled.backward(residuals, np.ones((2, 1))).x.ravel(), [0.5, 0.5, 0, 1])


def test_reductions_over_more_than_the_range(rng: np.random.Generator) -> None:
    fold = ReduceMax(x[q, i] * w[r, i], RANGE, (i, 0, D - 1))
    layer = Layer("wide", [x[N, D], w[R, D], start[R + 1]], [Eq(y[r], fold)], integers=[start])
    compiled = compile_layer(layer)
    values, factors, begins = rng.normal(size=(7, 3)), rng.normal(size=(2, 3)), np.array([0, 3, 7])
    found, residuals = compiled.forward(values, factors, begins)
    np.testing.assert_allclose(found, [(values[:3] * factors[0]).max(), (values[3:] * factors[1]).max()])
    grads = compiled.backward(residuals, weights((2,)))
    agree_with_differences(lambda v: np.asarray(compiled.forward(v, factors, begins)[0]), values, grads.x)
    agree_with_differences(lambda v: np.asarray(compiled.forward(values, v, begins)[0]), factors, grads.w)


def sparse_product() -> Layer:
    """Rows of a sparse matrix, as their numbers, columns and offsets, times a dense one."""
    body = Sum(val[q] * x[col[q], i], RANGE)
    return Layer("sparse", [val[E], col[E], start[R + 1], x[N, D]], [Eq(y[r, i], body)], integers=[start, col])


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_gradients_of_a_sparse_product(schedule: str, rng: np.random.Generator) -> None:
    compiled = compile_layer(sparse_product(), schedule=schedule)
    numbers, columns, begins = rng.normal(size=11), rng.integers(0, 5, 11), np.array([0, 4, 4, 7, 11])
    values, grad_y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    grads = compiled.backward(compiled.forward(numbers, columns, begins, values)[1], grad_y)
    rows = np.repeat(grad_y, np.diff(begins), axis=0)
    np.testing.assert_allclose(grads.val, (values[columns] * rows).sum(axis=1))
    wanted = np.zeros_like(values)
    np.add.at(wanted, columns, numbers[:, None] * rows)
    np.testing.assert_allclose(grads.x, wanted)


def peak_of(call: Callable[[], Any]) -> int:
    """Bytes at most in use while a call runs."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("name", [n for n in FOLDS if n != "own"])
def test_memory_is_that_of_the_pairs(name: str, schedule: str, rng: np.random.Generator) -> None:
    compiled = compile_layer(segment_layer(name), schedule=schedule)
    values, begins = rng.normal(size=(4000, 4)), np.arange(501) * 8
    module = compiled.module  # loaded before: importing it takes memory of its own

    def both() -> None:
        result, residuals = module.forward(values, begins)
        module.backward(residuals, np.ones_like(result))

    assert peak_of(both) < 30 * values.nbytes  # all pairs of a range and a position would be 500 times it


def test_memory_of_a_sparse_product(rng: np.random.Generator) -> None:
    compiled = compile_layer(sparse_product())
    begins = np.arange(501) * 8
    arrays = rng.normal(size=4000), rng.integers(0, 300, 4000), begins, rng.normal(size=(300, 4))

    def both() -> None:
        result, residuals = compiled.forward(*arrays)
        compiled.backward(residuals, np.ones_like(result))

    assert peak_of(both) < 30 * 4000 * 4 * 8


def test_what_a_range_adds_for_each_position() -> None:
    body = Sum(x[q] + w[r], RANGE)
    compiled = compile_layer(Layer("added", [x[N], w[R], start[R + 1]], [Eq(y[r], body)], integers=[start]))
    found, residuals = compiled.forward(np.ones(6), np.array([1.0, 2.0, 3.0]), np.array([0, 2, 2, 6]))
    np.testing.assert_array_equal(found, [4, 0, 16])
    np.testing.assert_array_equal(compiled.backward(residuals, np.ones(3)).w, [2, 0, 4])


B = Symbol("B", integer=True, positive=True)
b = Idx("b", B)
INSIDE = (q, start[b, r], stop[b, r] - 1)
OF_TWO: dict[str, tuple[Any, Expr]] = {
    "shared": (x[N, D], Piecewise((ReduceMax(x[q, i] ** 2, INSIDE), stop[b, r] > start[b, r]), (0, True))),
    "batched": (x[B, N, D], Sum(exp(x[b, q, i]) * start[b, r], INSIDE)),
}


@pytest.mark.parametrize("name", OF_TWO)
def test_ranges_over_two_indices(name: str, rng: np.random.Generator) -> None:
    values, body = OF_TWO[name]
    inputs = [values, start[B, R], stop[B, R]]
    layer = Layer(f"{name}_ranges", inputs, [Eq(y[b, r, i], body)], integers=[start, stop])
    report = check_layer(layer)
    assert report.ok, report
    compiled = compile_layer(layer)
    first = rng.integers(0, 1990, (20, 15))
    at = rng.normal(size=(2000, 2) if name == "shared" else (20, 2000, 2))

    def both() -> None:
        result, residuals = compiled.forward(at, first, first + 8)
        compiled.backward(residuals, np.ones_like(result))

    assert peak_of(both) < 20 * 15 * 2000 * 2 * 8 / 2  # all triples would take more than twice that


def test_softmax_in_segments(rng: np.random.Generator) -> None:
    body = Sum(exp(x[q]) * val[q, i], RANGE) / Sum(exp(x[q]), RANGE)
    layer = Layer("segment_softmax", [x[N], val[N, D], start[R + 1]], [Eq(y[r, i], body)], integers=[start])
    report = check_layer(layer)
    assert report.ok, report
    compiled = compile_layer(layer)
    arrays = rng.normal(size=4000), rng.normal(size=(4000, 4)), np.arange(501) * 8

    def both() -> None:
        result, residuals = compiled.forward(*arrays)
        compiled.backward(residuals, np.ones_like(result))

    assert peak_of(both) < 30 * arrays[1].nbytes


def test_one_long_range_beside_short_ones(rng: np.random.Generator) -> None:
    """As many rounds as the longest has rows would take long."""
    for begins in (np.array([0, 5000, 5001, 5003]), np.arange(4) * 2):
        values = rng.integers(9, size=(int(begins[-1]), 2)).astype(float)
        for name in ("max", "product"):
            compiled = compile_layer(segment_layer(name))
            result = compiled.forward(np.where(values > 7, 1.5, 1.0) if name == "product" else values, begins)[0]
            shown = np.where(values > 7, 1.5, 1.0) if name == "product" else values
            expected = rows_of(shown, begins[:-1], begins[1:], FOLDS[name][1])
            np.testing.assert_allclose(result, expected, rtol=1e-9)
