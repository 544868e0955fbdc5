"""Rows that a condition on labels leaves out may hold anything: their gradient is 0, and that of others what it was."""

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Ne, Piecewise, Sum, exp, log, symbols

from symgrad import Layer, compile_layer, layers

from ..agreement import SCHEDULES

N, M, K = symbols("N M K", integer=True, positive=True)
x, w, y, labels = (IndexedBase(name) for name in ("x", "w", "y", "labels"))
n, m, k = Idx("n", N), Idx("m", M), Idx("k", K)
LABELS = np.array([0, 9, 2, 1, 9])
WEIGHTS = np.array([1, 2, 0.5])
KEPT = Ne(labels[n], 9)
LAYERS: dict[str, Layer] = {
    name: getattr(layers, name)
    for name in (
        "masked_cross_entropy",
        "masked_weighted_cross_entropy",
        "masked_weighted_cross_entropy_each",
        "masked_weighted_cross_entropy_sum",
    )
} | {
    "norms": Layer(
        "norms",
        [x[N, M], labels[N]],
        [Eq(y[n], Piecewise((log(Sum(x[n, m] ** 2, m)) * labels[n], KEPT), (0, True)))],
        integers=[labels],
    ),
    "two sums": Layer(
        "sums",
        [x[N, M], labels[N]],
        [Eq(y[n], Piecewise((Sum(x[n, m], m) / log(1 + Sum(exp(x[n, m]), m)) + labels[n], KEPT), (0, True)))],
        integers=[labels],
    ),
}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", LAYERS)
def test_rows_left_out_have_gradient_0(name: str, schedule: str, bad: float) -> None:
    compiled = compile_layer(LAYERS[name], schedule=schedule)
    given: dict[str, Any] = {"labels": LABELS, "class_weight": WEIGHTS}
    options = {} if name in ("norms", "two sums") else {"ignored": 9}
    rows = np.random.default_rng(0).normal(size=(5, 3))
    spoilt = rows.copy()
    spoilt[LABELS == 9] = [bad, 1, bad]
    found = []
    for values in (rows, spoilt):
        arrays = [given.get(tensor.name, values) for tensor in LAYERS[name].inputs]
        with np.errstate(all="ignore"):
            value, residuals = compiled.forward(*arrays, **options)
            found.append((value, compiled.backward(residuals, np.ones_like(value))[0]))
    (want, slopes), (got, gradients) = found
    np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_allclose(gradients, slopes, rtol=1e-12)
    np.testing.assert_array_equal(gradients[LABELS == 9], 0)
