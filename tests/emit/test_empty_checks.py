"""Extrema of nothing, and borders of nothing: one clear error of the module, in whatever form they are computed."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, oo, symbols

from symgrad import ArgMax, Layer, Padded, ReduceMax, ReduceMin, compile_layer, layers

K, M, N, R = symbols("K M N R", integer=True, positive=True)
at, ids, lengths, w, x, y = (IndexedBase(name) for name in ("at", "ids", "lengths", "w", "x", "y"))
i, j, k, m, n, u = Idx("i", M), Idx("j", N), Idx("k", K), Idx("m", M), Idx("n", N), Idx("u", R)
i_o = Idx("i", N - R + 1)
by_data = ReduceMax(Piecewise((x[m], Eq(ids[m], k)), (-oo, True)), m)
ROWS, NONE = np.zeros((2, 0)), np.zeros(0)
CASES = {
    "repeated": (
        Layer("repeated", [x[N], w[K]], [Eq(y[k], Padded(x, mode="replicate")[k - 1] * w[k])]),
        [NONE, np.ones(2)],
        "axis 0 of x has nothing to repeat .* N is 0",
    ),
    "a ring": (
        Layer("ring", [x[N], w[K]], [Eq(y[k], x[k % N] * w[k])]),
        [NONE, np.ones(2)],
        "axis 0 of x has nothing to repeat .* N is 0",
    ),
    "rows": (Layer("rows", [x[N, M]], [Eq(y[n], ReduceMax(x[n, m], m))]), [ROWS], "over m .* M is 0"),
    "split": (
        Layer("even", [x[N, M]], [Eq(y[n], ReduceMin(x[n, m], m, ties="split"))]),
        [ROWS],
        "minimum over m .* M is 0",
    ),
    "positions": (
        Layer("positions", [x[N, M]], [Eq(at[n], ArgMax(x[n, m], m)), Eq(y[n], x[n, at[n]])]),
        [ROWS],
        "over m .* M is 0",
    ),
    "window": (
        Layer("window", [x[N], w[R]], [Eq(y[n], ReduceMax(Padded(x)[n + u] + w[u], u))]),
        [np.zeros(3), NONE],
        "over u .* R is 0",
    ),
    "a size of rows too": (
        Layer("square", [x[N, N]], [Eq(y[n], ReduceMax(x[n, j], j))]),
        [np.zeros((0, 0))],
        "over j .* N is 0",
    ),
    "a size of windows too": (
        Layer("sums", [x[N], w[R]], [Eq(y[i_o], ReduceMax(x[i_o + u] + w[u], u))]),
        [np.zeros(3), NONE],
        "over u .* R is 0",
    ),
    "behind a condition": (
        Layer("later", [x[N, M]], [Eq(y[n], Piecewise((ReduceMax(x[n, m], m), n > 0), (0, True)))]),
        [ROWS],
        "over m .* M is 0",
    ),
    "placed by data": (
        Layer("groups", [x[M], ids[M]], [Eq(y[k], by_data)], attributes={K: 3}),
        [NONE, np.zeros(0, int)],
        "over m .* M is 0",
    ),
    "ranges from data": (
        Layer(
            "ragged", [x[N, M], lengths[N]], [Eq(y[n], ReduceMax(x[n, m], (m, 0, lengths[n] - 1)))], integers=[lengths]
        ),
        [np.zeros((2, 3)), np.array([2, 0])],
        "over m has no values to choose from",
    ),
    "the end of a triangle": (
        Layer("after", [x[M]], [Eq(y[i], ReduceMax(x[m], (m, i + 1, M - 1)))]),
        [np.zeros(3)],
        "over m has no values to choose from",
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_nothing_to_choose_from_is_an_error(kind):
    layer, arrays, message = CASES[kind]
    with pytest.raises(ValueError, match=f"{layer.name}: .*{message}"):
        compile_layer(layer).forward(*arrays)


def test_what_a_condition_leaves_out_of_a_range_is_minus_infinity():
    layer, _, _ = CASES["placed by data"]
    np.testing.assert_array_equal(compile_layer(layer).forward(np.ones(2), np.array([0, 2]))[0], [1, -np.inf, 1])


def test_a_triangle_that_is_not_asked_for_its_end():
    body = Piecewise((ReduceMax(x[m], (m, i + 1, M - 1)), i < M - 1), (0, True))
    got, _ = compile_layer(Layer("before", [x[M]], [Eq(y[i], body)])).forward(np.array([3.0, 1.0, 2.0]))
    np.testing.assert_array_equal(got, [2, 2, 0])


@pytest.mark.parametrize("name", ["adaptive_max_pool1d", "max_pool2d", "softmax", "gumbel_softmax"])
def test_what_is_never_empty_is_not_asked(name):
    source = compile_layer(layers.get(name)).source
    assert "np.all(" not in source
    assert ("no values" in source) == (name == "adaptive_max_pool1d")
