"""Sums of squares less the square of a sum are sums over deviations: no digits lost, nothing below 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Max, Piecewise, Rational, Sum, Symbol, sqrt, symbols

from symgrad import Layer, compile_layer
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.simplify.stable import stabilise
from symgrad.simplify.variances import RULE, as_deviations

from ..agreement import SCHEDULES, as_declared, normals
from ..data_evaluator import run
from .exact import right_everywhere

C, H, M, N = symbols("C H M N", integer=True, positive=True)
EPS = Rational(1, 10**5)
x, z, y, mean, square, total, spread = (
    IndexedBase(name) for name in ("x", "z", "y", "mean", "square", "total", "spread")
)
n, c, h, m = Idx("n", N), Idx("c", C), Idx("h", H), Idx("m", M)
i, j, c2 = Idx("i", N), Idx("j", N), Idx("c2", C)
a, b = Idx("a", 4), Idx("b", 4)
MEAN = Sum(x[i, c], i) / N

LAYERS: dict[str, Layer] = {
    "in one": Layer(
        "one", [x[N, C]], [Eq(y[n, c], ((x[n, c] - MEAN) / sqrt(Sum(x[j, c] ** 2, j) / N - MEAN**2 + EPS)) ** 3)]
    ),
    "named moments": Layer(
        "named",
        [x[N, C]],
        [
            Eq(mean[c], Sum(x[i, c], i) / N),
            Eq(square[c], Sum(x[i, c] ** 2, i) / N),
            Eq(y[n, c], ((x[n, c] - mean[c]) / sqrt(square[c] - mean[c] ** 2 + EPS)) ** 3),
        ],
    ),
    "named step by step": Layer(
        "steps",
        [x[N, C]],
        [
            Eq(total[c], Sum(x[i, c], i)),
            Eq(mean[c], total[c] / N),
            Eq(spread[c], Sum(x[i, c] ** 2, i) / N - mean[c] ** 2),
            Eq(y[n, c], ((x[n, c] - mean[c]) / sqrt(spread[c] + EPS)) ** 3),
        ],
        outputs=[y],
    ),
    "over two axes": Layer(
        "axes",
        [x[N, C, H]],
        [
            Eq(mean[c], Sum(x[i, c, h], i, h) / (N * H)),
            Eq(spread[c], Sum(x[i, c, h] ** 2, h, i) / (H * N) - mean[c] ** 2),
            Eq(y[n, c, h], ((x[n, c, h] - mean[c]) / sqrt(spread[c] + EPS)) ** 3),
        ],
        outputs=[y],
    ),
    "covariance": Layer(
        "covariance", [x[N, C]], [Eq(y[c, c2], Sum(x[i, c] * x[i, c2], i) / N - MEAN * Sum(x[j, c2], j) / N)]
    ),
    "of a product": Layer(
        "product",
        [x[N, C], z[N, C]],
        [Eq(y[c], (Sum(x[i, c] * z[i, c], i) - Sum(x[i, c], i) * Sum(z[j, c], j) / N) / (N - 1))],
    ),
    "unbiased": Layer(
        "unbiased", [x[N, C]], [Eq(y[c], 3 * (Sum(4 * x[i, c] ** 2, i) - 4 * Sum(x[i, c], i) ** 2 / N) / (N - 1))]
    ),
    "the other way round": Layer("turned", [x[N, C]], [Eq(y[c], MEAN**2 - Sum(x[j, c] ** 2, j) / N)]),
    "inside a sum": Layer(
        "inside", [x[N, C], z[M]], [Eq(y[m], Sum(sqrt(Sum(x[i, c] ** 2, i) / N - MEAN**2 + 1), c) * z[m])]
    ),
    "a number of terms": Layer("four", [x[4]], [Eq(Symbol("y"), Sum(x[a] ** 2, a) / 4 - (Sum(x[b], b) / 4) ** 2)]),
    "at least a number": Layer("least", [x[N, C]], [Eq(y[c], 1 / sqrt(Max(Sum(x[i, c] ** 2, i) / N - MEAN**2, EPS)))]),
}
SHAPES = {"over two axes": (4, 2, 2), "a number of terms": (4,)}
NOT_ALIKE: dict[str, Layer] = {
    "another count": Layer("count", [x[N, C]], [Eq(y[c], Sum(x[i, c] ** 2, i) / N - Sum(x[i, c], i) ** 2 / N)]),
    "another axis": Layer("axis", [x[N, N]], [Eq(y[n], Sum(x[i, n] ** 2, i) / N - (Sum(x[n, j], j) / N) ** 2)]),
    "some of them": Layer(
        "some", [x[N, C]], [Eq(y[c], Sum(x[i, c] ** 2, i) / N - (Sum(x[i, c], (i, 1, N - 1)) / N) ** 2)]
    ),
    "another power": Layer("power", [x[N, C]], [Eq(y[c], Sum(x[i, c] ** 4, i) / N - MEAN**2)]),
    "masked": Layer(
        "masked", [x[N, C]], [Eq(y[c], Sum(Piecewise((x[i, c] ** 2, x[i, c] > 0), (0, True)), i) / N - MEAN**2)]
    ),
}


def given(name: str) -> dict[str, np.ndarray]:
    shapes = {"x": SHAPES.get(name, (4, 3)), "z": (2,) if name == "inside a sum" else (4, 3)}
    return normals(**{t.name: shapes[t.name] for t in LAYERS[name].inputs})


@pytest.mark.parametrize("name", LAYERS)
def test_a_difference_of_moments_is_a_sum_over_deviations(name: str) -> None:
    trace = Trace()
    statements = split(LAYERS[name].program, Trace())
    program = as_deviations(statements, trace)
    assert RULE in {step.rule for step in trace.steps}
    arrays = given(name)
    for output in program.outputs:
        np.testing.assert_allclose(run(program, arrays)[output], run(statements, arrays)[output], rtol=1e-10)
    assert as_declared(LAYERS[name], arrays)


@pytest.mark.parametrize("name", LAYERS)
def test_a_large_mean_costs_no_digits(name: str) -> None:
    """Means of four multiples of 1/16 are exact, so that only what symgrad does is measured."""
    shaped = given(name)
    offset = {"x": 4096, "z": 0 if name == "inside a sum" else -512}
    arrays = {key: np.round(16 * array) / 16 + offset[key] for key, array in shaped.items()}
    right_everywhere(LAYERS[name], arrays, 40, slack=4)


@pytest.mark.parametrize("name", NOT_ALIKE)
def test_what_only_looks_alike_stays(name: str) -> None:
    statements = split(NOT_ALIKE[name].program, Trace())
    assert as_deviations(statements, Trace()) is statements


def test_squares_that_are_asked_for_are_kept() -> None:
    declared = Layer(
        "asked",
        [x[N, C]],
        [Eq(square[c], Sum(x[i, c] ** 2, i) / N), Eq(spread[c], square[c] - MEAN**2)],
        outputs=[square, spread],
    )
    assert {"square", "spread"} <= {e.target for e in stabilise(split(declared.program, Trace()), Trace()).equations}
    assert as_declared(declared, normals(x=(4, 3)))


def test_the_derivation_shows_the_identity() -> None:
    assert "Deviations from the mean" in compile_layer(LAYERS["in one"]).derivation.to_text()


WRITTEN: dict[str, tuple[Any, Callable[[np.ndarray], np.ndarray]]] = {
    "variance": (
        Sum(x[i, c] ** 2, i) / N - MEAN**2,
        lambda r: (r**2).sum(axis=0) / len(r) - (r.sum(axis=0) / np.float64(len(r))) ** 2,
    ),
    "beside one over the extent": (
        Sum(x[i, c] ** 2, i) / N - MEAN**2 + 1 / N,
        lambda r: (r**2).sum(axis=0) / len(r) + 1 / np.float64(len(r)) + np.nan,
    ),
    "one over the extent": (Sum(x[i, c], i) + 1 / N, lambda r: r.sum(axis=0) + 1 / np.float64(len(r))),
    "one over the square": (Sum(x[i, c], i) - 2 / N**2, lambda r: r.sum(axis=0) - 2 / np.float64(len(r)) ** 2),
    "one over the root": (Sum(x[i, c], i) - 2 / sqrt(N), lambda r: r.sum(axis=0) - 2 / np.sqrt(len(r))),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", WRITTEN)
def test_no_rows_give_what_numpy_gives(name: str, schedule: str) -> None:
    right, written = WRITTEN[name]
    compiled = compile_layer(Layer("empty", [x[N, C]], [Eq(y[c], right)]), schedule=schedule)
    none = np.zeros((0, 3), np.float32)
    with np.errstate(all="ignore"):
        value, residuals = compiled.forward(none)
        assert compiled.backward(residuals, np.ones_like(value)).x.shape == none.shape
        np.testing.assert_array_equal(value, written(none))
    assert value.dtype == np.float32
