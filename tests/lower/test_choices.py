"""Values chosen by data: bits in the fast schedule, with every special value where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Piecewise, exp, symbols

from symgrad import Layer, compile_layer

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
