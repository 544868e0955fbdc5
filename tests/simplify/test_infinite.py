"""Rows without a finite exponent: a mask that leaves nothing, sums over nothing, states that are -inf."""

import warnings
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Ne, Piecewise, Sum, exp, log, oo, symbols

import symgrad
from symgrad import Layer, LogSumExp, Padded
from symgrad.check.steps import check_steps
from symgrad.compiler import run

N, M = symbols("N M", integer=True, positive=True)
x, y, s, mask, state = (IndexedBase(name) for name in ("x", "y", "s", "mask", "state"))
n, m, j = Idx("n", N), Idx("m", M), Idx("j", M)
MASK = np.array([[0, 0, 0], [1, 0, 1], [0, 1, 1]], np.float32)
X = np.array([[1e4, 0, 3], [-1e4, 2, 1e4], [1, 2, 3]], np.float32)
scores = Eq(s[n, m], Piecewise((x[n, m], mask[n, m] > 0), (-oo, True)))
share = exp(s[n, m]) / Sum(exp(s[n, j]), j)
guarded = Piecewise((share, Sum(mask[n, j], j) > 0), (0, True))


def layer(*equations: Any) -> Layer:
    return Layer("rows", [x[N, M], mask[N, M]], list(equations), constants=[mask], outputs=[y])


def softmax(scores: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        e = np.exp(scores - scores.max(1, keepdims=True))
        return np.nan_to_num(e / e.sum(1, keepdims=True))


def quiet(declared: Layer, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and gradient of the sum; a warning is an error."""
    compiled = symgrad.compile_layer(declared)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, residuals = compiled.forward(*arrays)
        return value, compiled.backward(residuals, np.ones_like(value)).x


def test_a_softmax_that_is_guarded_where_the_mask_leaves_nothing() -> None:
    value, gradient = quiet(layer(scores, Eq(y[n, m], guarded)), X, MASK)
    np.testing.assert_allclose(value, softmax(np.where(MASK > 0, X, -np.inf)), rtol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_exponentials_under_a_mask_that_are_guarded_where_it_leaves_nothing() -> None:
    weight = Piecewise((exp(x[n, m]), mask[n, m] > 0), (0, True))
    total = Sum(Piecewise((exp(x[n, j]), mask[n, j] > 0), (0, True)), j)
    right = Piecewise((weight / total, Sum(mask[n, j], j) > 0), (0, True))
    value, gradient = quiet(layer(Eq(y[n, m], right)), X, MASK)
    np.testing.assert_allclose(value, softmax(np.where(MASK > 0, X, -np.inf)), rtol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


@pytest.mark.parametrize("named", [True, False])
def test_a_log_sum_exp_of_nothing_is_minus_infinity(named: bool) -> None:
    inner = s[n, j] if named else Piecewise((x[n, j], mask[n, j] > 0), (-oo, True))
    declared = layer(*([scores] if named else []), Eq(y[n], LogSumExp(inner, j)))
    compiled = symgrad.compile_layer(declared)
    with np.errstate(divide="ignore"):  # the logarithm of 0
        value, _ = compiled.forward(X, MASK)
    assert value[0] == -np.inf
    np.testing.assert_allclose(value[1:], [1e4, 3 + np.log1p(np.exp(-1))], rtol=1e-6)


def test_states_that_are_minus_infinity() -> None:
    """Paths that have not begun: the sum of two of them is one that has not."""
    t, k = Idx("t", N), Idx("k", M)
    before = Padded(state, value=-oo)
    start = Piecewise((0, Eq(k, 0)), (-oo, True))
    step = log(exp(before[t - 1, k]) + exp(before[t - 1, k - 1])) + x[t, k]
    declared = Layer("paths", [x[N, M]], [Eq(state[t, k], Piecewise((start, Eq(t, 0)), (step, True)))])
    compiled = symgrad.compile_layer(declared)
    given = np.random.default_rng(0).normal(size=(3, 4))
    want = np.full((3, 4), -np.inf)
    want[0, 0] = 0
    with np.errstate(divide="ignore"):
        value, _ = compiled.forward(given)
        for p in range(1, 3):
            for q in range(4):
                terms = [want[p - 1, q], want[p - 1, q - 1] if q else -np.inf]
                want[p, q] = np.log(np.exp(terms).sum()) + given[p, q]
    np.testing.assert_allclose(value, want, rtol=1e-12)


BEFORE = Piecewise((x[n, j], j <= m), (-oo, True))
WINDOW = Piecewise((x[n, j], (j <= m) & (j > m - 2)), (-oo, True))
OTHERS = Piecewise((x[n, j], Ne(j, m)), (-oo, True))


@pytest.mark.parametrize(
    ("exponent", "guarded"),
    [(x[n, j], False), (BEFORE, False), (WINDOW, False), (OTHERS, True), (x[n, j] + log(mask[n, j]), True)],
    ids=str,
)
def test_only_what_may_be_infinite_is_guarded(exponent: Any, guarded: bool) -> None:
    """A first, a last or an equal index shows that something finite is there."""
    text = symgrad.compile_layer(layer(Eq(y[n, m], LogSumExp(exponent, j)))).source
    assert ("shift_" in text) == guarded


def test_the_largest_of_the_terms_before_is_one() -> None:
    right = Sum(exp(x[n, j]) * x[n, j], (j, 0, m)) / Sum(exp(x[n, j]), (j, 0, m))
    assert "shift_" not in symgrad.compile_layer(layer(Eq(y[n, m], right))).source
    value, gradient = quiet(layer(Eq(y[n, m], right)), X, MASK)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


def test_every_step_holds() -> None:
    assert check_steps(run(layer(scores, Eq(y[n], LogSumExp(s[n, j], j))))) == []
