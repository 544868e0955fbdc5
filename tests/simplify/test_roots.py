"""Roots of logistic functions and of shares have finite slopes where they underflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Rational, Sum, exp, sqrt, symbols

from symgrad import Layer, compile_layer

from ..agreement import as_declared, normals
from .exact import finite_and_right, right_everywhere

C, N = symbols("C N", integer=True, positive=True)
x, z, p, q, y = (IndexedBase(name) for name in ("x", "z", "p", "q", "y"))
n, c, i, j, k = Idx("n", N), Idx("c", C), Idx("i", C), Idx("j", C), Idx("k", C)
LOGISTIC = 1 / (1 + exp(-x[n]))
POINTWISE: dict[str, Any] = {
    "root": sqrt(LOGISTIC),
    "root of the complement": sqrt(1 - LOGISTIC),
    "root of the variance": sqrt(LOGISTIC * (1 - LOGISTIC)),
    "another power": (1 - LOGISTIC) ** Rational(3, 2) * x[n],
}
SHARES = (
    Eq(p[n, c], exp(x[n, c]) / Sum(exp(x[n, i]), i)),
    Eq(q[n, c], exp(z[n, c]) / Sum(exp(z[n, j]), j)),
)
DISTANCES: dict[str, Any] = {
    "Bhattacharyya": 1 - Sum(sqrt(p[n, k] * q[n, k]), k),
    "Hellinger": Sum((sqrt(p[n, k]) - sqrt(q[n, k])) ** 2, k),
    "another power": Sum(p[n, k] ** Rational(1, 4) * q[n, k] ** Rational(3, 4), k),
}


def distance(name: str) -> Layer:
    return Layer("distance", [x[N, C], z[N, C]], [*SHARES, Eq(y[n], DISTANCES[name])], outputs=[y])


@pytest.mark.parametrize("name", POINTWISE)
def test_roots_of_the_logistic_function(name: str) -> None:
    declared = Layer("root", [x[N]], [Eq(y[n], POINTWISE[name])])
    right_everywhere(declared, {"x": np.array([-160, -30, -1, 0, 0.5, 20, 150])}, 300, slack=4)
    large = np.array([-1e4, -200, 200, 1e4], np.float32)
    nines = 8800 if "1 - " in str(POINTWISE[name]) else 0
    finite_and_right(declared, {"x": large}, 60 + nines)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_of_shares(name: str) -> None:
    X = np.array([[1e4, -1e4, 0], [3, 2, 1], [-1e4, -1e4, -1e4], [0, 200, 190]], np.float32)
    finite_and_right(distance(name), {"x": X, "z": X[[1, 2, 0, 2], ::-1].copy()})
    assert as_declared(distance(name), normals(x=(3, 4), z=(3, 4)))


@pytest.mark.parametrize("body", [-LOGISTIC, -2 * exp(x[n]), -LOGISTIC * exp(x[n])], ids=str)
def test_a_root_of_what_is_negative_is_no_number(body: Any) -> None:
    compiled = compile_layer(Layer("root", [x[N]], [Eq(y[n], sqrt(body, evaluate=False))]))
    with np.errstate(invalid="ignore"):
        assert np.isnan(compiled.forward(np.array([-1.0, 2]))[0]).all()
