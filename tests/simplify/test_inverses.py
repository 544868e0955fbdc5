"""An exponential less 1 below the line: neither overflow nor a warning where it is large."""

from typing import Any

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Rational, exp, symbols

from symgrad import Layer, compile_layer

from .exact import right_everywhere

N = symbols("N", integer=True, positive=True)
x, y, n = IndexedBase("x"), IndexedBase("y"), Idx("n", N)
p = x[n]
POINTS = np.array([-1e3, -60, -1.5, -0.5, 0.5, 1.5, 89, 1e3])
FORMS: dict[str, Any] = {
    "inverse": 1 / (exp(p) - 1),
    "mean energy": p / (exp(p) - 1),
    "spectral density": p**3 / (exp(p) - 1),
    "mirrored": p / (1 - exp(-p)),
    "scaled exponent": p / (3 * exp(2 * p) - 3),
    "heat": p**2 * exp(p) / (exp(p) - 1) ** 2,
    "distance": 1 / (1 + Abs(exp(p) - 1)),
    "mirrored distance": p / (3 + 2 * Abs(1 - exp(-p))) ** 2,
}


@pytest.mark.parametrize("name", FORMS)
def test_an_exponential_less_one_below_the_line(name: str) -> None:
    layer = Layer("below", [x[N]], [Eq(y[n], FORMS[name])])
    right_everywhere(layer, {"x": POINTS}, 3000)


NEAR = np.array([-1, -0.25, -1e-3, -1e-5, -1e-6, -1e-7, 1e-7, 1e-6, 1e-5, 1e-3, 0.25, 0.9, 1.1, 90, 1e3])


@pytest.mark.parametrize("power", [-1, -2, Rational(-1, 2)])
def test_a_small_number_beside_the_distance(power: Any) -> None:
    layer = Layer("beside", [x[N]], [Eq(y[n], (Rational(1, 10**6) + Abs(exp(p) - 1)) ** power)])
    right_everywhere(layer, {"x": NEAR}, 100)


@pytest.mark.parametrize("name", ["inverse", "cube", "square"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_the_pole_as_numpy_has_it(name: str, dtype: Any) -> None:
    exponent = {"inverse": 1, "square": 2, "cube": 3}[name]
    compiled = compile_layer(Layer("pole", [x[N]], [Eq(y[n], 1 / (exp(p) - 1) ** exponent)]))
    poles = np.array([0.0, -0.0], dtype)
    with np.errstate(divide="ignore", invalid="raise"):
        np.testing.assert_array_equal(compiled.forward(poles)[0], 1 / (np.exp(poles) - 1) ** exponent)
