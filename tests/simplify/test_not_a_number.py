"""Inputs that are no number: no form turns them into numbers where NumPy, as it is written, would not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Piecewise, Sum, erf, erfc, exp, log, sqrt, symbols, tanh

from symgrad import Layer, compile_layer

from ..agreement import SCHEDULES

N, M = symbols("N M", integer=True, positive=True)
x, p, y = IndexedBase("x"), IndexedBase("p"), IndexedBase("y")
n, m, k = Idx("n", N), Idx("m", M), Idx("k", M)
u = x[n, m]
SHARE = exp(u) / Sum(exp(x[n, k]), k)
Rows = Callable[[np.ndarray], np.ndarray]


def shares(rows: np.ndarray) -> np.ndarray:
    return np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)


FORMS: dict[str, tuple[Any, Rows]] = {
    "one less a share": (log(1 - SHARE), lambda r: np.log(1 - shares(r))),
    "share": (SHARE, shares),
    "behind a condition": (Piecewise((log(-u), u < 0), (sqrt(u), True)), lambda r: np.where(r < 0, 1, np.sqrt(r))),
    "0 behind a condition": (Piecewise((0, u < 0), (u**2, True)), lambda r: np.where(r < 0, 0, r)),
    "a power behind a condition": (Piecewise((1, u > 0), (1 / u, True)), lambda r: np.where(r > 0, 1, 1 / r)),
    "an exponential less 1": (1 / (exp(u) - 1), lambda r: 1 / (np.exp(r) - 1)),
    "a distance": (1 / (2 + Abs(exp(u) - 1)), lambda r: 1 / (2 + np.abs(np.exp(r) - 1))),
    "tail": (log(erfc(u)), lambda r: r),
    "distribution": (log(1 + erf(u)), lambda r: r),
    "quotient by a tail": (exp(-(u**2)) / erfc(u), lambda r: r),
    "softplus": (log(1 + exp(u)), lambda r: np.log(1 + np.exp(r))),
    "difference": (log(exp(u**2 + u + 1) - exp(u)), lambda r: r),
    "ceiling": (tanh(exp(u)), lambda r: np.tanh(np.exp(r))),
    "norm": (u / sqrt(Sum(x[n, k] ** 2, k)), lambda r: r / np.sqrt((r**2).sum(axis=1, keepdims=True))),
}
SUMS: dict[str, tuple[Any, Rows]] = {
    "log of a sum": (log(Sum(exp(x[n, k]), k)), lambda r: np.log(np.exp(r).sum(axis=1))),
    "log of a masked sum": (
        log(Sum(Piecewise((exp(x[n, k]), k >= 1), (0, True)), k)),
        lambda r: np.log(np.exp(r[:, 1:]).sum(axis=1)),
    ),
    "what is negative counts as 0": (
        Sum(Piecewise((0, x[n, k] < 0), (sqrt(x[n, k]), True)), k),
        lambda r: np.where(r < 0, 0, np.sqrt(r)).sum(axis=1),
    ),
    "entropy": (-Sum(p[n, k] * log(p[n, k]), k), lambda r: (shares(r) * np.log(shares(r))).sum(axis=1)),
}
X = np.array([[1.0, np.nan, 2], [1, 2, 3], [np.nan, 0.5, 1], [0.25, 1.5, -1]])


def agrees(layer: Layer, written: Rows, schedule: str) -> None:
    compiled = compile_layer(layer, schedule=schedule)
    with np.errstate(all="ignore"):
        value, residuals = compiled.forward(X)
        gradient = compiled.backward(residuals, np.ones_like(value)).x
        want = np.isnan(written(X))
    np.testing.assert_array_equal(np.isnan(value), want)
    spoilt = np.isnan(X)
    wanted = want if want.ndim == 2 else want[:, None] & spoilt
    np.testing.assert_array_equal(np.isnan(gradient[spoilt]), wanted[spoilt])
    assert np.isfinite(gradient[[1, 3]]).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", FORMS)
def test_elements(name: str, schedule: str) -> None:
    right, written = FORMS[name]
    agrees(Layer("made", [x[N, M]], [Eq(y[n, m], right)]), written, schedule)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", SUMS)
def test_sums(name: str, schedule: str) -> None:
    right, written = SUMS[name]
    named = [Eq(p[n, m], SHARE)] if name == "entropy" else []
    agrees(Layer("made", [x[N, M]], [*named, Eq(y[n], right)], outputs=[y]), written, schedule)
