"""Values chosen by data: bits in the fast schedule, with every special value where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Max, Mod, Piecewise, exp, floor, log, symbols, tanh

from symgrad import Layer, compile_layer

from ..agreement import SCHEDULES, as_declared

N, M = symbols("N M", integer=True, positive=True)
x, y, w = IndexedBase("x"), IndexedBase("y"), IndexedBase("w")
n, m = Idx("n", N), Idx("m", M)
BODIES: dict[str, Expr] = {
    "two numbers": Piecewise((2, x[n, m] > 1), (-3, True)),
    "a number and a vector": Piecewise((2, x[n, m] > w[m]), (w[m], True)),
    "two arrays": Piecewise((x[n, m] * w[m], x[n, m] > 0), (exp(x[n, m]), True)),
    "a mask of fewer axes": Piecewise((x[n, m], w[m] > 0), (w[m] - 1, True)),
}
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 1e-30, 3e4, -7.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BODIES)
def test_bits_are_chosen_as_values_are(name: str, dtype: type) -> None:
    layer = Layer("made", inputs=[x[N, M], w[M]], equations=[Eq(y[n, m], BODIES[name])])
    plain, fast = (compile_layer(layer, schedule=schedule) for schedule in ("readable", "fast"))
    assert "_where(" in fast.source
    given = np.resize(SPECIAL, (7, 9)).astype(dtype), np.resize(SPECIAL[::-1], 9).astype(dtype)
    with np.errstate(all="ignore"):
        found, want = (compiled.forward(*given)[0] for compiled in (fast, plain))
        np.testing.assert_array_equal(found, want)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(want))
        assert found.dtype == dtype
        seed = np.ones((7, 9), dtype)
        pairs = zip(*(c.backward(c.forward(*given)[1], seed) for c in (fast, plain)), strict=True)
        for got, expected in pairs:
            np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_values_of_integers_alone_are_chosen_as_float64() -> None:
    ids = IndexedBase("ids", integer=True)
    body = Piecewise((exp(ids[n]), exp(ids[n]) - exp(ids[m]) > 0), (exp(-ids[m]), True))
    layer = Layer("made", inputs=[ids[N]], equations=[Eq(y[n, m], body)], integers=[ids], attributes={M: 2})
    found = compile_layer(layer, schedule="fast").forward(np.array([2, 0, 1]))[0]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[np.exp(-2), np.exp(2)], [np.exp(-2), 1], [np.exp(-2), np.e]])


def test_the_largest_exponent_taken_out_needs_no_guard() -> None:
    """Nor is the same condition asked twice."""
    softest = -log(exp(-x[n, m]) + exp(-w[m]) + exp(-x[n, m] * w[m]))
    layer = Layer("made", inputs=[x[N, M], w[M]], equations=[Eq(y[n, m], Piecewise((softest, n > m), (1000, True)))])
    source = compile_layer(layer).source
    forward = source[source.index("def forward") : source.index("def backward")]
    assert forward.count("np.where(") == 1
    rooted = Piecewise((log(x[n, m] / exp(w[m] * x[n, m])), n > m), (0, True))
    source = compile_layer(Layer("made", inputs=[x[N, M], w[M]], equations=[Eq(y[n, m], rooted)])).source
    assert "np.where(mask, np.where(mask" not in source


def test_a_read_that_begins_before_its_axis_in_some_turn_of_a_loop() -> None:
    """It stands behind a condition, and is a slice of another length where that fails."""
    k = Idx("k", 3)
    body = w[n] * Max(x[m, n], Piecewise((tanh(x[m + 1 - k, n]), k <= 1), (0, True)))
    layer = Layer("made", inputs=[x[M + 1, N], w[N]], equations=[Eq(y[n, m, k], body)])
    given = np.random.default_rng(0).normal(size=(5, 3)), np.array([1.0, -2.0, 0.5])
    grad = np.random.default_rng(1).normal(size=(3, 4, 3))
    assert as_declared(layer, {"x": given[0], "w": given[1]}, schedules=SCHEDULES)
    for schedule in ("readable", "fast"):
        compiled = compile_layer(layer, schedule=schedule)
        assert np.isfinite(compiled.backward(compiled.forward(*given)[1], grad).x).all()


def test_reads_shorter_than_their_axis_behind_a_condition_on_both() -> None:
    h, e = IndexedBase("h"), IndexedBase("e")
    i, j = Idx("i", N + 2), Idx("j", 3)
    chosen = Piecewise((h[j] * x[Mod(j, 3), i], h[j] > -1), (3, True))
    body = Piecewise((Max(-1, x[0, 0]), i + j > 0), (chosen, True))
    layer = Layer("made", inputs=[x[3, N], h[floor(N / 2)]], equations=[Eq(e[i, j], body)])
    rng = np.random.default_rng(0)
    assert as_declared(layer, {"x": rng.normal(size=(3, 4)), "h": rng.normal(size=2)})
