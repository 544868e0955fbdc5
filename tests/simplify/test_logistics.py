"""Shares of logistic functions, and quotients of powers of sums of exponentials."""

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, exp, log, symbols

from symgrad import Layer, compile_layer

from .exact import right_everywhere

N = symbols("N", integer=True, positive=True)
x, v, s, t, y = (IndexedBase(name) for name in "xvsty")
h = symbols("h")
n, i, j = Idx("n", N), Idx("i", N), Idx("j", N)


def logistic(u: Any) -> Any:
    return 1 / (1 + exp(-u))


SHARES = {
    "shares": [Eq(y[n], logistic(x[n]) * v[n] / Sum(logistic(x[i]), i))],
    "shares of a named one": [Eq(s[n], logistic(x[n])), Eq(y[n], s[n] * v[n] / Sum(s[i], i))],
    "named sum": [Eq(s[n], logistic(x[n])), Eq(h, Sum(s[i], i)), Eq(y[n], s[n] * v[n] / h)],
    "mean": [Eq(h, Sum(logistic(x[i]) * v[i], i) / Sum(logistic(x[j]), j))],
    "of a power": [Eq(y[n], logistic(x[n]) ** 2 * v[n] / Sum(logistic(x[i]) ** 2, i))],
    "logarithm": [Eq(h, log(Sum(logistic(x[i]), i)))],
}


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("place", [-1e4, -100, 0])
def test_shares_of_logistic_functions(name: str, place: float) -> None:
    equations = SHARES[name]
    inputs = [x[N]] if name == "logarithm" else [x[N], v[N]]
    output = "h" if name in ("mean", "logarithm") else "y"
    arrays = {"x": place + np.array([0.0, -3, 2.5, 1]), "v": np.array([1.0, -2, 0.5, 3])}
    layer = Layer("shares", inputs, equations, outputs=[output])
    right_everywhere(layer, {key: arrays[key] for key in ("x", "v")[: len(inputs)]}, 60)


def test_a_sum_of_logistic_functions_beside_a_number_stays() -> None:
    layer = Layer("damped", [x[N]], [Eq(y[n], logistic(x[n]) / (1 + Sum(logistic(x[i]), i)))])
    assert "softplus" not in compile_layer(layer).source


def test_the_logarithm_of_a_difference() -> None:
    """A discretised logistic distribution."""
    layer = Layer("discretised", [x[N], v[N]], [Eq(y[n], log(logistic(x[n]) - logistic(v[n])))])
    above = np.array([-1e3, -100, -1.5, 0.5, 30, 100, 1e3])
    right_everywhere(layer, {"x": above, "v": above - np.array([1, 0.5, 0.25, 4, 0.5, 1, 2])}, 3000)


p = x[n]
POWERS: dict[str, Any] = {
    "mish as written": p * ((1 + exp(p)) ** 2 - 1) / ((1 + exp(p)) ** 2 + 1),
    "square": exp(2 * p) / ((1 + exp(p)) ** 2 + 3),
    "cube": (1 + (1 + 2 * exp(-p)) ** 3) / (5 + (1 + exp(-p)) ** 3),
}


@pytest.mark.parametrize("name", POWERS)
def test_quotients_of_powers_of_sums(name: str) -> None:
    layer = Layer("powers", [x[N]], [Eq(y[n], POWERS[name])])
    right_everywhere(layer, {"x": np.array([-1e3, -90, -1.5, -0.25, 0.5, 2, 45, 89, 1e3])}, 3000)
