"""The smallest declarations that the compiler does not do right yet, met on the way to the catalogue.

Each is expected to fail; one that passes is to become a test of the part that was repaired.
"""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Min, Piecewise, Sum, cos, exp, floor, log, oo, symbols

from symgrad import Layer, Padded, compile_layer

K, M, N, R = symbols("K M N R", integer=True, positive=True)
dilation = symbols("dilation", integer=True, positive=True)
epsilon = symbols("epsilon", real=True, positive=True)
mask, p, s, t, w, x, y = (IndexedBase(name) for name in ("mask", "p", "s", "t", "w", "x", "y"))
ids, lengths = IndexedBase("ids"), IndexedBase("lengths")
i, j, k, m, q, u = Idx("i", N), Idx("j", N), Idx("k", 2 * K), Idx("m", M), Idx("q", M), Idx("u", R)
norm = symbols("norm")
known = pytest.mark.xfail(
    strict=True, raises=(AssertionError, RuntimeWarning, IndexError, ValueError, pytest.fail.Exception)
)


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


@known
def test_a_read_at_data_beyond_an_empty_axis_is_zero():
    layer = Layer("sampled", [x[N], p[M]], [Eq(y[m], Padded(x)[floor(p[m])])])
    np.testing.assert_array_equal(run(layer, np.zeros(0), np.ones(2))[0], [0, 0])


@known
@pytest.mark.parametrize("mode", ["reflect", "replicate", "wrap"])
def test_an_empty_axis_cannot_be_continued(mode):
    layer = Layer("bordered", [x[N]], [Eq(y[Idx("i", N + 2)], Padded(x, mode=mode)[Idx("i", N + 2) - 1])])
    with pytest.raises(ValueError, match="x"):
        compile_layer(layer).forward(np.zeros(0))


@known
def test_a_kernel_without_entries_needs_no_border():
    """The border before the sequence is dilation (R - 1) wide, which is below 0 where R is 0."""
    body = Sum(Padded(x)[i - dilation * (R - 1 - u)] * w[u], u)
    layer = Layer("past", [x[N], w[R]], [Eq(y[i], body)], attributes={dilation: 1})
    np.testing.assert_array_equal(run(layer, np.ones(3), np.zeros(0))[0], [0, 0, 0])


WEIGHT = Piecewise((exp(x[i, m]), mask[i, m] > 0), (0, True))
OTHER = Piecewise((exp(x[i, q]), mask[i, q] > 0), (0, True))


@known
def test_masked_exponentials_are_made_stable():
    """The plain softmax is, and that of scores with -oo under the mask; exponentials under the mask are not."""
    layer = Layer("masked", [x[N, M], mask[N, M]], [Eq(y[i, m], WEIGHT / Sum(OTHER, q))], constants=[mask])
    np.testing.assert_allclose(run(layer, np.full((1, 2), 1e4), np.ones((1, 2)))[0], 0.5)


@known
def test_a_guarded_softmax_has_a_guarded_gradient():
    """The rule for a row that is masked wholly stands in forward, and nan in backward."""
    scores = Eq(s[i, m], Piecewise((x[i, m], mask[i, m] > 0), (-oo, True)))
    share = Piecewise((exp(s[i, m]) / Sum(exp(s[i, q]), q), Sum(mask[i, q], q) > 0), (0, True))
    layer = Layer("masked", [x[N, M], mask[N, M]], [scores, Eq(y[i, m], share)], constants=[mask], outputs=[y])
    np.testing.assert_array_equal(run(layer, np.ones((1, 2)), np.zeros((1, 2)))[1].x, 0)


@known
def test_a_named_sigmoid_keeps_its_logarithm_exact():
    """log(1 - sigmoid(x)) is a softplus in one equation, and -inf with the sigmoid in an equation of its own."""
    layer = Layer("named", [x[N]], [Eq(p[i], 1 / (1 + exp(-x[i]))), Eq(y[i], log(1 - p[i]))], outputs=[y])
    np.testing.assert_allclose(run(layer, np.array([50.0]))[0], [-50])


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
