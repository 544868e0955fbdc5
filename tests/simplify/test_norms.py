"""Norms, roots of sums of squares and powers with an exponent of their own: no gradient is nan where they are 0."""

import warnings
from typing import Any

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Max, Rational, Sum, Symbol, sqrt, symbols

import symgrad
from symgrad import Layer
from symgrad.check.steps import check_steps
from symgrad.check.tangent import linearise
from symgrad.compiler import run
from symgrad.declare.scalars import Select, walk

N, M = symbols("N M", integer=True, positive=True)
q, eps = symbols("q eps", real=True)
x, y, z = (IndexedBase(name) for name in "xyz")
n, m, j, k = Idx("n", N), Idx("m", M), Idx("j", M), Idx("k", N)
squares = Sum(x[n, j] ** 2, j)
powers = Sum(Abs(x[n, j]) ** q, j)
each = Idx("each", M)
mean = Sum(x[n, each], each) / M

# Right side, left side, attributes; gradients exist in the first row too, which is 0.
NORMS: dict[str, tuple[Any, Any, dict[Any, float]]] = {
    "norm": (sqrt(squares), y[n], {}),
    "norm of a whole tensor": (sqrt(Sum(x[n, j] ** 2, n, j)), Symbol("s"), {}),
    "sum of norms": (Sum(sqrt(squares), n), Symbol("s"), {}),
    "norm of order 3": (Sum(Abs(x[n, j]) ** 3, j) ** Rational(1, 3), y[n], {}),
    "norm of any order": (powers ** (1 / q), y[n], {q: 1.5}),
    "norm of order 1": (powers ** (1 / q), y[n], {q: 1.0}),
    "distances": (sqrt(Sum((x[n, j] - x[k, j]) ** 2, j)), z[n, k], {}),
    "deviation": (sqrt(Sum((x[n, j] - mean) ** 2, j) / M), y[n], {}),
    "hypotenuse": (sqrt(x[n, 0] ** 2 + x[n, 1] ** 2), y[n], {}),
    "root of the absolute value": (sqrt(Abs(x[n, m])), y[n, m], {}),
    "power of the absolute value": (Abs(x[n, m]) ** q, y[n, m], {q: 0.5}),
    "no power of the absolute value": (Abs(x[n, m]) ** q, y[n, m], {q: 0.0}),
    "no power": (x[n, m] ** q, y[n, m], {q: 0.0}),
    "whole power": (x[n, m] ** q, y[n, m], {q: 2.0}),
    "at least a little": (x[n, m] / Max(sqrt(squares), eps), y[n, m], {eps: 0.5}),
}
DIVIDED: dict[str, tuple[Any, Any, dict[Any, float]]] = {
    "direction": (x[n, m] / sqrt(squares), y[n, m], {}),
    "direction of any order": (x[n, m] / powers ** (1 / q), y[n, m], {q: 1.5}),
    "cosine": (Sum(x[n, j] * x[k, j], j) / sqrt(squares * Sum(x[k, j] ** 2, j)), z[n, k], {}),
    "deviations": ((x[n, m] - mean) / sqrt(Sum((x[n, j] - mean) ** 2, j) / M), y[n, m], {}),
}
X = np.array([[0, 0, 0], [3, 0, -4], [0.5, 2, -1]])


def layer(right: Any, left: Any, attributes: dict[Any, float]) -> Layer:
    return Layer("norm", inputs=[x[N, M]], equations=[Eq(left, right)], attributes=attributes)


def gradient(declared: Layer, array: np.ndarray, attributes: dict[Any, float]) -> tuple[np.ndarray, np.ndarray]:
    """Value and gradient of the sum of an output; a warning is an error."""
    compiled = symgrad.compile_layer(declared)
    given = {str(a): value for a, value in attributes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, residuals = compiled.forward(array, **given)
        return value, compiled.backward(residuals, np.ones_like(value)).x


@pytest.mark.parametrize("name", NORMS)
def test_slope_where_the_norm_is_nought(name: str) -> None:
    """The oracle runs over dual numbers with the rules for kinks."""
    right, left, attributes = NORMS[name]
    declared = layer(right, left, attributes)
    value, got = gradient(declared, X, attributes)
    given = {str(a): v for a, v in attributes.items()}
    reference = linearise(declared, {"x": X}, given)
    output = declared.outputs[0]
    np.testing.assert_allclose(value, reference.values[output], rtol=1e-12)
    want = reference.pull_back({output: np.ones_like(value)})["x"]
    assert np.isfinite(want).all()
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
    _, single = gradient(declared, X.astype(np.float32), attributes)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, want, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", DIVIDED)
def test_a_value_by_its_own_norm(name: str) -> None:
    """0 where the norm is 0, and so is the slope; elsewhere as declared."""
    right, left, attributes = DIVIDED[name]
    declared = layer(right, left, attributes)
    value, got = gradient(declared, X, attributes)
    assert np.isfinite(got).all()
    assert not value[0].any()
    assert not got[0].any()
    given = {str(a): v for a, v in attributes.items()}
    rest = linearise(declared, {"x": X[1:]}, given)
    output = declared.outputs[0]
    inner = value[1:, 1:] if name == "cosine" else value[1:]
    np.testing.assert_allclose(inner, rest.values[output], rtol=1e-12)
    want = rest.pull_back({output: np.ones_like(inner)})["x"]
    np.testing.assert_allclose(got[1:], want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", {**NORMS, **DIVIDED})
def test_every_step_holds(name: str) -> None:
    assert check_steps(run(layer(*{**NORMS, **DIVIDED}[name]))) == []


def test_a_value_by_another_norm_stays_infinite() -> None:
    """Only what vanishes with the norm is 0 where it is."""
    declared = layer(x[n, m] / sqrt(Sum(x[k, j] ** 2, j)), IndexedBase("t")[n, k, m], {})
    compiled = symgrad.compile_layer(declared)
    with np.errstate(all="ignore"):
        assert np.isinf(compiled.forward(X)[0][1, 0, 0])


@pytest.mark.parametrize(
    "right",
    [sqrt(squares / M + eps), x[n, 0] / sqrt(squares + Rational(1, 100)), 1 / sqrt(1 + squares), squares**2],
    ids=str,
)
def test_nothing_is_chosen_where_nothing_vanishes(right: Any) -> None:
    attributes = {eps: 1e-5} if right.has(eps) else {}
    made = run(layer(right, y[n], attributes))
    assert not any(isinstance(node, Select) for e in made.derived.program.equations for node in walk(e.body))


def test_the_document_says_so() -> None:
    text = symgrad.compile_layer(layer(*NORMS["norm"])).derivation.to_text()
    text = " ".join(text.split())
    assert "Convention: where" in text
    assert "counts as 0: no direction is better than another there" in text
    text = symgrad.compile_layer(layer(*DIVIDED["direction"])).derivation.to_text()
    text = " ".join(text.split())
    assert "the quotient has no value there, and counts as 0" in text
