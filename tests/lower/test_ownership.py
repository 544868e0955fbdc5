"""Results have memory of their own: they may be written to, and writing changes nothing that was given."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, exp, floor, symbols, tanh

from symgrad import Layer, Padded, ReduceMax, check_layer, compile_layer, layers

from ..agreement import SCHEDULES, as_tuple

M, N, R = symbols("M N R", integer=True, positive=True)
pad = symbols("pad", integer=True, nonnegative=True)
x, y, w = (IndexedBase(name) for name in "xyw")
i, n, u, flat = Idx("i", N - R + 1), Idx("n", N), Idx("u", R), Idx("flat", (N - R + 1) * R)
k = Idx("k", N + 2 * pad - R + 1)

LAYERS = [
    Layer("windows", [x[N], w[R]], [Eq(y[i, u], x[i + u])]),
    Layer("bordered_windows", [x[N], w[R]], [Eq(y[k, u], Padded(x)[k + u - pad])], attributes={pad: 0}),
    Layer("flattened", [x[N], w[R]], [Eq(y[flat], x[floor(flat / R) + flat % R])]),
    Layer("bordered", [x[N]], [Eq(y[n], Padded(x)[n - pad])], attributes={pad: 0}),
    Layer("same", [x[N]], [Eq(y[n], x[n])]),
    Layer("turned", [x[N]], [Eq(y[n], x[N - 1 - n])]),
]


def no_views(results: tuple[np.ndarray | None, ...], given: list[np.ndarray]) -> None:
    for result in results:
        if result is not None and np.ndim(result):
            assert result.flags.writeable
            assert not any(np.shares_memory(result, array) for array in given)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_no_view_of_an_argument(layer: Layer, width: int, schedule: str) -> None:
    compiled = compile_layer(layer, schedule=schedule)
    given = [np.arange(6.0), np.ones(width)][: len(layer.inputs)]
    outputs, residuals = compiled.forward(*given)
    no_views(as_tuple(outputs), given)
    cotangents = [np.ones_like(output) for output in as_tuple(outputs)]
    no_views(tuple(compiled.backward(residuals, *cotangents)), [*given, *cotangents])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sizes", [{"K": 1, "stride": 1, "padding": 0}, {"K": 2, "stride": 2, "padding": 0}], ids=str)
def test_no_view_where_windows_are_flattened(sizes: dict[str, int], schedule: str) -> None:
    given = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
    columns, _residuals = compile_layer(layers.unfold2d, schedule=schedule).forward(given, **sizes)
    no_views((columns,), [given])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_what_is_added_to_is_no_view_of_what_is_read_later(schedule: str) -> None:
    """A sum of cotangents that two terms read, one of them by adding to it."""
    m, j, u, p = Idx("m", M), Idx("j", M), Idx("u", M), IndexedBase("p")
    label, chosen, running = (IndexedBase(name) for name in ("label", "chosen", "running"))
    layer = Layer(
        "picked_and_running",
        [x[N, M], label[N]],
        [
            Eq(p[n, m], exp(x[n, m]) / Sum(exp(x[n, j]), j)),
            Eq(chosen[n], p[n, label[n]]),
            Eq(running[n, m], Sum(p[n, u], (u, 0, m))),
        ],
        outputs=[chosen, running],
    )
    report = check_layer(layer, schedule=schedule)
    assert report.ok, report


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_equal_gradients_are_two_arrays(schedule: str) -> None:
    layer = Layer("joined", [x[N], w[N]], [Eq(y[n], tanh(x[n] + w[n]))])
    compiled = compile_layer(layer, schedule=schedule)
    _, residuals = compiled.forward(np.ones(3), np.ones(3))
    gradients = compiled.backward(residuals, np.ones(3))
    assert not np.shares_memory(gradients.x, gradients.w)


def test_an_expression_that_is_added_to_keeps_its_other_readers() -> None:
    """The slope of an activation, read by the gradient of weights and added to for the input."""
    p, t, d, k = IndexedBase("p"), Idx("t", N), Idx("d", M), Idx("k", R)
    state, one = Padded(p), Piecewise((1, d < 1), (tanh(Padded(p)[t + 1, d] + x[t, d]), True))
    best = ReduceMax(state[t + 3, k] + w[d, k], k)
    layer = Layer(
        "slopes_of_one_kind",
        [x[N, M], w[M, R]],
        [Eq(y[t, d], tanh(state[t + 1, M - d - 1] + x[t, d] + best)), Eq(p[t, d], one)],
        outputs=[y],
    )
    report = check_layer(layer)
    assert report.ok, report
