"""Gradients of one's own: the expression going forward, the declared derivative going back."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, exp, floor, sign, symbols, tanh

import symgrad
from symgrad import CustomGradient, Layer, check_layer, compile_layer
from symgrad.errors import DeclarationError

from .agreement import normals

N, M = symbols("N M", integer=True, positive=True)
x, w, y, h = (IndexedBase(name) for name in "xwyh")
n, m = Idx("n", N), Idx("m", M)

STRAIGHT = Layer("straight", [x[N], w[N]], [Eq(y[n], w[n] * CustomGradient(sign(x[n]), {x[n]: 1}, check=False))])


def test_a_straight_through_estimator() -> None:
    arrays = normals(x=(6,), w=(6,))
    compiled = compile_layer(STRAIGHT)
    got, residuals = compiled.forward(**arrays)
    np.testing.assert_array_equal(got, arrays["w"] * np.sign(arrays["x"]))
    gradients = compiled.backward(residuals, 2 * np.ones(6))
    np.testing.assert_allclose(gradients.x, 2 * arrays["w"])
    np.testing.assert_allclose(gradients.w, 2 * np.sign(arrays["x"]))
    forward = compiled.source[compiled.source.index("def forward") : compiled.source.index("def backward")]
    assert "x - x" not in forward


def test_a_reversed_gradient() -> None:
    """Ganin and Lempitsky's layer: the identity forward, minus the gradient backward."""
    layer = Layer("reversal", [x[N]], [Eq(y[n], CustomGradient(x[n], {x[n]: -3}, check=False))])
    values = normals(x=(4,))["x"]
    got, residuals = compile_layer(layer).forward(values)
    np.testing.assert_array_equal(got, values)
    np.testing.assert_allclose(compile_layer(layer).backward(residuals, np.ones(4)).x, -3 * np.ones(4))


def test_an_input_that_is_not_named_gets_none() -> None:
    layer = Layer("half", [x[N], w[N]], [Eq(y[n], CustomGradient(x[n] * w[n], {x[n]: w[n]}, check=False))])
    arrays = normals(x=(4,), w=(4,))
    _, residuals = compile_layer(layer).forward(**arrays)
    gradients = compile_layer(layer).backward(residuals, np.ones(4))
    np.testing.assert_allclose(gradients.x, arrays["w"])
    np.testing.assert_array_equal(gradients.w, np.zeros(4))


def test_the_derivative_has_derivatives() -> None:
    layer = Layer("bent", [x[N]], [Eq(y[n], CustomGradient(floor(x[n]), {x[n]: 1 - tanh(x[n]) ** 2}, check=False))])
    values = normals(x=(5,))["x"]
    pulled = compile_layer(symgrad.vjp(layer))
    slope, residuals = pulled.forward(values, np.ones(5))
    np.testing.assert_allclose(slope, 1 - np.tanh(values) ** 2)
    second = pulled.backward(residuals, np.ones(5)).x
    np.testing.assert_allclose(second, -2 * np.tanh(values) * (1 - np.tanh(values) ** 2), rtol=1e-12)


RIGHT = CustomGradient(exp(x[n]) / (1 + exp(x[n])), {x[n]: exp(-x[n]) / (1 + exp(-x[n])) ** 2})
WRONG = CustomGradient(tanh(x[n]), {x[n]: 1 + tanh(x[n]) ** 2})


@pytest.mark.parametrize(("body", "ok"), [(RIGHT, True), (WRONG, False), (WRONG.func(*WRONG.args[:2], False), True)])
def test_the_check_compares_what_is_declared(body: CustomGradient, ok: bool) -> None:
    assert check_layer(Layer("declared", [x[N]], [Eq(y[n], body)])).ok == ok


def test_inside_a_sum_beside_other_reads() -> None:
    clipped = CustomGradient(Piecewise((x[n, m], x[n, m] > 0), (0, True)), {x[n, m]: 1}, check=False)
    layer = Layer("inside", [x[N, M], w[M]], [Eq(h[n], Sum(clipped * w[m] + x[n, m] ** 2, m)), Eq(y[n], h[n] ** 2)])
    arrays = normals(x=(3, 4), w=(4,))
    got, residuals = compile_layer(layer).forward(**arrays)
    inner = np.maximum(arrays["x"], 0) @ arrays["w"] + (arrays["x"] ** 2).sum(axis=1)
    np.testing.assert_allclose(got, inner**2)
    gradients = compile_layer(layer).backward(residuals, np.ones(3))
    np.testing.assert_allclose(gradients.x, 2 * inner[:, None] * (arrays["w"] + 2 * arrays["x"]))
    assert check_layer(layer).ok


def test_what_is_no_element_is_refused() -> None:
    with pytest.raises(DeclarationError, match="not an element of a tensor"):
        CustomGradient(x[n], {x[n] + 1: 1})
