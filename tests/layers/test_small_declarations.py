"""Small declarations that were once done wrong, met on the way to the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Min, Piecewise, Sum, cos, symbols

from symgrad import Layer, compile_layer

K, M, N = symbols("K M N", integer=True, positive=True)
epsilon = symbols("epsilon", real=True, positive=True)
p, t, w, x, y = (IndexedBase(name) for name in "ptwxy")
ids, lengths = IndexedBase("ids"), IndexedBase("lengths")
i, j, k, m, c = Idx("i", N), Idx("j", N), Idx("k", 2 * K), Idx("m", M), Idx("c", 2)
norm = symbols("norm")


def run(layer, *arrays, **options):
    """Outputs and gradients at a cotangent of ones."""
    module = compile_layer(layer)
    outputs, residuals = module.forward(*arrays, **options)
    return outputs, module.backward(residuals, np.ones_like(outputs))


def test_a_condition_on_a_scalar_keeps_float32():
    """A Python float times np.bool_ is float64, and that wins over float32."""
    equations = [Eq(norm, Sum(x[j] ** 2, j)), Eq(y[i], x[i] * Min(epsilon / (norm + 1), 1))]
    layer = Layer("clipped", [x[N]], equations, outputs=[y], attributes={epsilon: 1.0})
    assert run(layer, np.ones(3, np.float32))[1].x.dtype == np.float32


def test_the_derivation_of_a_branch_that_reads_less_than_its_index():
    layer = Layer("ending", [p[K]], [Eq(y[k], Piecewise((cos(p[k]), k < K), (0, True)))])
    assert "cos" in compile_layer(layer).derivation.to_markdown()


def test_numbers_of_rows_are_checked_under_a_condition_too():
    """A wrong number that counts is pulled back into the table in silence, forward, and dropped, backward."""
    body = Sum(Piecewise((t[ids[i, m]], m < lengths[i]), (0, True)), m)
    layer = Layer("bag", [t[K], ids[N, M], lengths[N]], [Eq(y[i], body)], integers=[lengths])
    with pytest.raises((ValueError, IndexError), match="ids"):
        compile_layer(layer).forward(np.arange(3.0), np.array([[7]]), np.array([1]))


def test_a_gradient_alone_leaves_the_others_out():
    body = p[ids[i]] * (Sum(w[ids[i], m] * x[i, m], m) + t[ids[i]])
    layer = Layer("picked", [x[N, M], p[K], w[K, M], t[K], ids[N]], [Eq(y[i], body)])
    module = compile_layer(layer)
    arrays = [np.ones((2, 3)), np.ones(4), np.ones((4, 3)), np.ones(4), np.array([1, 3])]
    _, residuals = module.forward(*arrays)
    assert module.backward(residuals, np.ones(2), wrt=("t",)).w is None


def test_minus_a_sum_over_nothing_is_of_the_layers_dtype():
    layer = Layer("none", [x[N]], [Eq(y[i], -Sum(KroneckerDelta(3 * c, 1) * x[i], c))])
    outputs, gradients = run(layer, np.ones(4, np.float32))
    for found in (outputs, gradients.x):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.zeros(4))
