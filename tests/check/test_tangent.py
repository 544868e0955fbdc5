"""Dual numbers: derivatives where the equations are smooth, and the declared rules at kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from sympy import Abs, Eq, Idx, Max, Min, Mod, Piecewise, Rational, Sum, exp, floor, sign, sqrt, symbols

from symgrad import ArgMax, LogSumExp, Padded, ReduceMax, ReduceMin, StopGradient
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import linearise

from .bare import IDS, K, M, N, W, X, Y, Z, bare

i, j = symbols("i j", integer=True)
I_N, J_M, J_N = Idx("i", N), Idx("j", M), Idx("j", N)


def slopes(expression: Any, x: Any, w: Any = None) -> tuple[list[float], list[float]]:
    """Derivatives of y[i] = expression by x[i] and by w[i]."""
    layer = bare([X[N], W[N]], Eq(Y[I_N], expression))
    x = np.asarray(x, dtype=float)
    w = np.zeros(x.shape) if w is None else np.asarray(w, dtype=float)
    jacobian = linearise(layer, {"x": x, "w": w}, {}).jacobian["y"]
    return tuple(np.diag(jacobian[name]).tolist() for name in "xw")  # type: ignore[return-value]


BELOW_ONE = [
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "asinh",
    "atanh",
]
ABOVE_ONE = ["acosh", "gamma", "loggamma", "digamma", "sec", "csc", "cot", "sech", "csch", "coth"]


@pytest.mark.parametrize("name", [*BELOW_ONE, "erf", "erfc"])
def test_each_function_has_the_derivative_that_sympy_gives(name: str) -> None:
    function, points = getattr(sympy, name), np.array([0.15, 0.4, 0.85])
    z = symbols("z")
    expected = [float(function(z).diff(z).subs(z, p)) for p in points]
    np.testing.assert_allclose(slopes(function(X[i]), points)[0], expected, rtol=1e-13)


@pytest.mark.parametrize("name", ABOVE_ONE)
def test_each_function_of_larger_numbers_too(name: str) -> None:
    function, points = getattr(sympy, name), np.array([1.2, 2.5])
    z = symbols("z", positive=True)
    expected = [float(sympy.N(function(z).diff(z).subs(z, p))) for p in points]
    np.testing.assert_allclose(slopes(function(X[i]), points)[0], expected, rtol=1e-12)


def test_functions_of_two_arguments() -> None:
    x, w = np.array([0.7, 1.3]), np.array([1.9, 0.4])
    by_x, by_w = slopes(X[i] ** W[i], x, w)
    np.testing.assert_allclose(by_x, w * x ** (w - 1))
    np.testing.assert_allclose(by_w, x**w * np.log(x))
    by_x, by_w = slopes(sympy.atan2(X[i], W[i]), x, w)
    np.testing.assert_allclose(by_x, w / (x**2 + w**2))
    np.testing.assert_allclose(by_w, -x / (x**2 + w**2))
    by_x, by_w = slopes(Mod(X[i], W[i]), x, w)
    np.testing.assert_allclose(by_x, [1, 1])
    np.testing.assert_allclose(by_w, -np.floor(x / w))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Max(X[i], 0), ([0, 0, 1], [0, 0, 0])),
        (Min(X[i], 0), ([1, 0, 0], [0, 0, 0])),
        (Max(Min(X[i], 2), 0), ([0, 0, 0], [0, 0, 0])),
        (Max(X[i], W[i]), ([0, 0, 1], [1, 1, 0])),
        (Min(X[i], W[i]), ([1, 0, 0], [0, 1, 1])),
        (Max(X[i], -X[i]), ([-1, -1, 1], [0, 0, 0])),
        (Abs(X[i]), ([-1, 0, 1], [0, 0, 0])),
        (sign(X[i]) + floor(X[i] / 2), ([0, 0, 0], [0, 0, 0])),
        (Piecewise((X[i] ** 2, X[i] > 0), (3 * X[i], True)), ([3, 3, 4], [0, 0, 0])),
        (Piecewise((X[i] ** 2, X[i] >= 0), (3 * X[i], True)), ([3, 0, 4], [0, 0, 0])),
        (Mod(X[i], Rational(1, 3)), ([1, 1, 1], [0, 0, 0])),
        (X[i] * StopGradient(X[i]), ([-2, 0, 2], [0, 0, 0])),
    ],
)
def test_kinks_follow_the_declared_rule(expression: Any, expected: tuple[list[float], list[float]]) -> None:
    # w is 0 as well: at x = 0 the printed order decides, Max(w[i], x[i]) has w first
    assert slopes(expression, [-2, 0, 2]) == expected


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        (ReduceMax(X[i, j], I_N, J_M), [[0, 1], [0, 0], [0, 0]]),
        (ReduceMax(X[i, j], J_M, I_N), [[0, 0], [1, 0], [0, 0]]),
        (ReduceMax(X[i, j], I_N, J_M, ties="split"), [[0, 1 / 3], [1 / 3, 0], [0, 1 / 3]]),
        (ReduceMin(X[i, j], I_N, J_M, ties="split"), [[0.5, 0], [0, 0], [0.5, 0]]),
        (ReduceMin(X[i, j], I_N, J_M), [[1, 0], [0, 0], [0, 0]]),
        (ReduceMax(Padded(X)[i, j + 1] ** 2, I_N, J_M), [[0, 10], [0, 0], [0, 0]]),
        (ReduceMax(0 * X[i, j] + 7, I_N, J_M, ties="split"), [[0, 0], [0, 0], [0, 0]]),
        (X[0, ArgMax(X[0, j], J_M)], [[0, 1], [0, 0], [0, 0]]),
    ],
)
def test_ties_of_reductions(reduction: Any, expected: list[list[float]]) -> None:
    x = np.array([[1.0, 5.0], [5.0, 2.0], [1.0, 5.0]])
    jacobian = linearise(bare([X[N, M]], Eq(symbols("y"), reduction)), {"x": x}, {}).jacobian["y"]["x"]
    np.testing.assert_allclose(jacobian, expected, rtol=1e-15)


def test_every_jacobian_of_several_equations() -> None:
    k = Idx("k", K)
    logits_of_x, loss = Sum(X[i, j] * W[k, j], J_M), LogSumExp(Z[i, k], k) - Z[i, IDS[i]]
    layer = bare([X[N, M], W[K, M], IDS[N]], Eq(Z[I_N, k], logits_of_x), Eq(Y[I_N], loss), integers=[IDS])
    rng = np.random.default_rng(0)
    x, w, ids = rng.normal(size=(3, 2)), rng.normal(size=(4, 2)), np.array([1, 3, 0])
    found = linearise(layer, {"x": x, "w": w, "ids": ids}, {})
    logits = x @ w.T
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p[np.arange(3), ids] -= 1
    cotangent = rng.normal(size=3)
    gradients = found.pull_back({"y": cotangent})
    assert sorted(gradients) == ["w", "x"]
    np.testing.assert_allclose(gradients["x"], cotangent[:, None] * p @ w, rtol=1e-12)
    np.testing.assert_allclose(gradients["w"], (cotangent[:, None] * p).T @ x, rtol=1e-12)
    np.testing.assert_allclose(found.values["z"], logits)
    np.testing.assert_allclose(found.values["y"], evaluate(layer, {"x": x, "w": w, "ids": ids}, {})["y"])


def test_constants_get_no_derivative() -> None:
    layer = bare([X[N], W[N]], Eq(Y[I_N], X[i] * W[i]), constants=[W])
    assert list(linearise(layer, {"x": np.ones(2), "w": np.ones(2)}, {}).jacobian["y"]) == ["x"]


def test_an_infinite_slope_stays_with_its_own_coordinate() -> None:
    layer = bare([X[N]], Eq(symbols("y"), Sum(sqrt(X[j]) * exp(X[j]), J_N)))
    gradient = linearise(layer, {"x": np.array([0.0, 1.0])}, {}).pull_back({"y": np.asarray(2.0)})["x"]
    assert np.isinf(gradient[0])
    np.testing.assert_allclose(gradient[1], 2 * np.exp(1) * 1.5)


def test_the_slope_of_a_root_counts_as_nought_where_it_has_none() -> None:
    length = sqrt(Sum(X[i, J_M] ** 2, J_M))
    found = linearise(bare([X[N, M]], Eq(Y[I_N], length)), {"x": np.array([[0.0, 0.0], [3.0, 4.0]])}, {})
    jacobian = found.jacobian["y"]["x"]
    np.testing.assert_array_equal(jacobian[0], np.zeros((2, 2)))
    np.testing.assert_allclose(jacobian[1], [[0, 0], [0.6, 0.8]])


def test_a_near_tie_is_not_certain() -> None:
    layer = bare([X[N]], Eq(symbols("y"), ReduceMax(X[j], J_N)))
    assert linearise(layer, {"x": np.array([1.0, 1.0, 0.0])}, {}).certain
    assert not linearise(layer, {"x": np.array([1.0, 1.0 + 1e-15, 0.0])}, {}).certain
