"""Arrays that are not made: expressions computed in place, and in the memory of what nobody reads any more."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Max, Sum, exp, sqrt, symbols

from symgrad import CompiledLayer, Layer, compile_layer, layers

N, M = symbols("N M", integer=True, positive=True)
x, y, z, w, c, s = (IndexedBase(name) for name in "xyzwcs")
n, m, k = Idx("n", N), Idx("m", M), Idx("k", M)
SCHEDULES = ("readable", "fast")
ROWS, COLUMNS = 300, 400


def compiled(body: Expr, schedule: str) -> CompiledLayer:
    inputs = [x[N, M], w[M], c[N]]
    return compile_layer(Layer("made", inputs=inputs, equations=[Eq(y[n, m], body)]), schedule=schedule)


def arrays(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=COLUMNS) + 9, rng.uniform(1, 2, size=ROWS)]


def most_arrays(function: Callable[[], Any]) -> float:
    """The most memory that a call needs at once, in arrays of the size of x."""
    function()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / (8 * ROWS * COLUMNS)
    finally:
        tracemalloc.stop()


Forward = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
CASES: dict[str, tuple[Expr, Forward, str]] = {
    "vectors one after the other": (
        x[n, m] * w[m] / c[n] + w[m],
        lambda x, w, c: x * w / c[:, None] + w,
        "y /= c[:, None]",
    ),
    "a function of a shifted matrix": (
        exp(x[n, m] - c[n]),
        lambda x, w, c: np.exp(x - c[:, None]),
        "np.exp(y, out=y)",
    ),
    "a vector before the matrix": (
        w[m] * (x[n, m] - c[n]),
        lambda x, w, c: w * (x - c[:, None]),
        "y *= w",
    ),
    "the larger of a vector and a matrix": (
        Max(x[n, m] * w[m] - c[n], w[m]) * c[n],
        lambda x, w, c: np.maximum(x * w - c[:, None], w) * c[:, None],
        "np.maximum(y, w, out=y)",
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", CASES)
def test_computed_in_the_result(name: str, schedule: str) -> None:
    body, expected, line = CASES[name]
    layer, given = compiled(body, schedule), arrays(np.random.default_rng(0))
    before = [a.copy() for a in given]
    found, _ = layer.forward(*given)
    np.testing.assert_allclose(found, expected(*given), rtol=1e-13)
    for array, old in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, old)
    if schedule == "readable":
        assert line in layer.source
        assert most_arrays(lambda: layer.forward(*given)) < 1.2


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_backward_leaves_its_arguments_alone_and_can_run_again(schedule: str) -> None:
    layer = compile_layer(layers.layer_norm, schedule=schedule)
    rng = np.random.default_rng(1)
    given = [rng.normal(size=shape) for shape in ((ROWS, COLUMNS), (COLUMNS,), (COLUMNS,))]
    _, residuals = layer.forward(*given)
    grad_y = rng.normal(size=(ROWS, COLUMNS))
    kept = [np.copy(r) for r in residuals], grad_y.copy()
    first = layer.backward(residuals, grad_y)
    for now, old in zip((*residuals, grad_y), (*kept[0], kept[1]), strict=True):
        np.testing.assert_array_equal(now, old)
    for wrt in (("x",), ("gamma",), ("gamma", "x"), ("beta",)):
        again = layer.backward(residuals, grad_y, wrt=wrt)
        for name in wrt:
            np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


def test_what_is_read_for_the_last_time_is_written_over() -> None:
    """The shifted exponentials of a softmax become its result."""
    layer = compile_layer(layers.softmax)
    given = np.random.default_rng(2).normal(size=(ROWS, COLUMNS))
    assert most_arrays(lambda: layer.forward(given)) < 1.2


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_what_is_a_result_or_is_read_later_stays(schedule: str) -> None:
    equations = [
        Eq(z[n, m], exp(x[n, m] - c[n]) * w[m]),
        Eq(s[n], Sum(z[n, k], k)),
        Eq(y[n, m], z[n, m] / s[n]),
    ]
    layer = Layer("kept", inputs=[x[N, M], w[M], c[N]], equations=equations, outputs=["y", "z"])
    made, given = compile_layer(layer, schedule=schedule), arrays(np.random.default_rng(3))
    (found, beside), _ = made.forward(*given)
    want = np.exp(given[0] - given[2][:, None]) * given[1]
    np.testing.assert_allclose(beside, want, rtol=1e-13)
    np.testing.assert_allclose(found, want / want.sum(axis=1, keepdims=True), rtol=1e-12)
    assert not np.shares_memory(found, beside)


def test_small_arrays_read_as_they_are_written() -> None:
    """A vector is not worth a second line."""
    body = sqrt(c[n] + 1) * exp(c[n])
    source = compile_layer(Layer("short", inputs=[c[N]], equations=[Eq(s[n], body)])).source
    assert "out=" not in source
