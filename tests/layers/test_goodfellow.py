"""Units, convolutions, recurrent networks and normalisation as Deep Learning writes them, with their gradients."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from .written_out import confirmed, sigmoid


def steps(cell, x, *states):
    """What the cell makes of a sequence: the first state after each step."""
    out = []
    for t in range(x.shape[1]):
        states = cell(x[:, t], *states)
        out.append(states[0])
    return np.stack(out, 1)


# --- chapter 6: units -----------------------------------------------------------------------------------------------


def test_maxout_units(compiled, rng):
    """Source: Deep Learning, equation 6.37: g(z)_i is the largest z_j of group i; the others get no gradient."""
    x, w, b = rng.normal(size=(3, 4)), rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5))
    y, residuals = compiled("maxout").forward(x, w, b)
    z = np.einsum("nd,kmd->nkm", x, w) + b
    np.testing.assert_allclose(y, z.max(2), rtol=1e-12)
    delta = rng.normal(size=y.shape)
    won = delta[..., None] * (z == z.max(2, keepdims=True))
    found = compiled("maxout").backward(residuals, delta)
    np.testing.assert_allclose(found.b, won.sum(0), rtol=1e-12)
    np.testing.assert_allclose(found.w, np.einsum("nkm,nd->kmd", won, x), rtol=1e-12)
    np.testing.assert_allclose(found.x, np.einsum("nkm,kmd->nd", won, w), rtol=1e-11)


@pytest.mark.parametrize(("name", "alpha"), [("absolute", -1.0), ("leaky_relu", 0.01)])
def test_generalised_rectifiers(compiled, rng, name, alpha):
    """Source: Deep Learning, section 6.3.1, equation 6.36: max(0, z) + alpha min(0, z); alpha -1 and 0.01."""
    z = rng.normal(size=(3, 4))
    y, residuals = compiled(name).forward(z)
    np.testing.assert_allclose(y, np.maximum(0, z) + alpha * np.minimum(0, z), rtol=1e-14)
    slope = compiled(name).backward(residuals, np.ones_like(y)).x
    np.testing.assert_allclose(slope, np.where(z > 0, 1, alpha), rtol=1e-14)


def test_parametric_rectifiers_learn_their_slope(compiled, rng):
    """Source: Deep Learning, section 6.3.1: PReLU treats alpha_i as a parameter, whose gradient is min(0, z_i)."""
    z, alpha, delta = rng.normal(size=(3, 4, 1)), rng.normal(size=4), rng.normal(size=(3, 4, 1))
    y, residuals = compiled("prelu").forward(z, alpha)
    np.testing.assert_allclose(y, np.maximum(0, z) + alpha[:, None] * np.minimum(0, z), rtol=1e-14)
    found = compiled("prelu").backward(residuals, delta)
    np.testing.assert_allclose(found.slope, (delta * np.minimum(0, z)).sum((0, 2)), rtol=1e-12)


def test_softplus_and_its_slope(compiled, rng):
    """Source: Deep Learning, section 6.3.3: zeta(a) = log(1 + exp(a)); section 3.10: its derivative is the sigmoid."""
    a = rng.normal(size=(3, 4))
    y, residuals = compiled("softplus").forward(a)
    np.testing.assert_allclose(y, np.log1p(np.exp(a)), rtol=1e-13)
    np.testing.assert_allclose(compiled("softplus").backward(residuals, np.ones_like(a)).x, sigmoid(a), rtol=1e-13)


def test_hard_tanh(compiled):
    """Source: Deep Learning, section 6.3.3: g(a) = max(-1, min(1, a))."""
    a = np.array([[-3.0, -0.5, 0.25, 2.0]])
    y, residuals = compiled("hard_tanh").forward(a)
    np.testing.assert_array_equal(y, np.maximum(-1, np.minimum(1, a)))
    np.testing.assert_array_equal(compiled("hard_tanh").backward(residuals, np.ones_like(a)).x, [[0, 1, 1, 0]])


def test_radial_basis_functions(compiled, rng):
    """Source: Deep Learning, section 6.3.3: h_i = exp(-||W_:,i - x||^2 / sigma_i^2)."""

    def reference(x, centres, spread):
        return np.exp(-((x[:, None] - centres) ** 2).sum(2) / spread**2)

    arrays = [rng.normal(size=(3, 2)), rng.normal(size=(4, 2)), rng.uniform(1, 2, size=4)]
    confirmed(compiled("radial_basis"), arrays, reference, rng)


# --- chapter 9: convolutions ----------------------------------------------------------------------------------------


def test_convolution_and_cross_correlation(compiled, rng):
    """Source: Deep Learning, equations 9.4 to 9.6: S(i, j) = sum I(m, n) K(i - m, j - n) is I(i - m, j - n) K(m, n)
    summed, and cross-correlation reads I(i + m, j + n); written out where the kernel lies inside.
    """
    image, kernel, none = rng.normal(size=(5, 6)), rng.normal(size=(3, 2)), np.zeros(1)
    true, _ = compiled("true_conv2d").forward(image[None, None], kernel[None, None], none)
    cross, _ = compiled("conv2d").forward(image[None, None], kernel[None, None], none)
    for i, j in product(range(3), range(5)):
        places = list(product(range(3), range(2)))
        want = sum(image[i + 2 - m, j + 1 - n] * kernel[m, n] for m, n in places)
        assert true[0, 0, i, j] == pytest.approx(want, rel=1e-12)
        want = sum(image[i + m, j + n] * kernel[m, n] for m, n in places)
        assert cross[0, 0, i, j] == pytest.approx(want, rel=1e-12)


def test_unshared_convolution(compiled, rng):
    """Source: Deep Learning, equation 9.9: Z_ijk = sum V_{l, j+m, k+n} w_{i, j, k, l, m, n}."""
    v, w = rng.normal(size=(2, 4, 5)), rng.normal(size=(3, 2, 4, 2, 3, 2))
    z, residuals = compiled("locally_connected2d").forward(v[None], w, np.zeros((3, 2, 4)))
    delta = rng.normal(size=z.shape)
    want, to_v, to_w = np.zeros_like(z[0]), np.zeros_like(v), np.zeros_like(w)
    for i, j, k, l, m, n in product(range(3), range(2), range(4), range(2), range(3), range(2)):
        want[i, j, k] += v[l, j + m, k + n] * w[i, j, k, l, m, n]
        to_v[l, j + m, k + n] += delta[0, i, j, k] * w[i, j, k, l, m, n]
        to_w[i, j, k, l, m, n] += delta[0, i, j, k] * v[l, j + m, k + n]
    found = compiled("locally_connected2d").backward(residuals, delta)
    np.testing.assert_allclose(z[0], want, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.x[0], to_v, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.w, to_w, rtol=1e-11, atol=1e-12)


def test_tiled_convolution(compiled, rng):
    """Source: Deep Learning, equation 9.10: Z_ijk = sum V_{l, j+m, k+n} K_{i, l, m, n, j mod t, k mod t}."""
    v, kernel, t = rng.normal(size=(2, 5, 6)), rng.normal(size=(3, 2, 2, 2, 3, 2)), 2
    z, residuals = compiled("tiled_conv2d").forward(v[None], kernel, np.zeros(3))
    delta = rng.normal(size=z.shape)
    want, to_kernel = np.zeros_like(z[0]), np.zeros_like(kernel)
    for i, j, k, l, m, n in product(range(3), range(3), range(5), range(2), range(3), range(2)):
        want[i, j, k] += v[l, j + m, k + n] * kernel[i, j % t, k % t, l, m, n]
        to_kernel[i, j % t, k % t, l, m, n] += delta[0, i, j, k] * v[l, j + m, k + n]
    np.testing.assert_allclose(z[0], want, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(compiled("tiled_conv2d").backward(residuals, delta).w, to_kernel, rtol=1e-11, atol=1e-12)


# --- chapter 8: batch normalisation ---------------------------------------------------------------------------------


def test_batch_normalisation_through_mean_and_deviation(compiled, rng):
    """Source: Deep Learning, section 8.7.1, equations 8.35 to 8.37: (H - mu) / sqrt(delta + mean (H - mu)^2)."""

    def reference(h, gamma, beta):
        mu = h.mean(0)
        return gamma * (h - mu) / np.sqrt(0.1 + ((h - mu) ** 2).mean(0)) + beta

    arrays = [rng.normal(size=(6, 3)), rng.normal(size=3), rng.normal(size=3)]
    confirmed(compiled("batch_norm"), arrays, reference, rng, epsilon=0.1)


def test_batch_normalisation_proposes_no_change_of_mean_or_deviation(compiled, rng):
    """Source: Deep Learning, section 8.7.1: the gradient never proposes an operation that acts simply to increase the
    standard deviation or mean of h_i.
    """
    h, ones, none = rng.normal(size=(6, 3)), np.ones(3), np.zeros(3)
    _, residuals = compiled("batch_norm").forward(h, ones, none, epsilon=0.0)
    g = compiled("batch_norm").backward(residuals, rng.normal(size=h.shape)).x
    np.testing.assert_allclose(g.sum(0), 0, atol=1e-13)
    np.testing.assert_allclose((g * (h - h.mean(0))).sum(0), 0, atol=1e-13)


# --- chapter 10: recurrent networks ---------------------------------------------------------------------------------


def test_gradients_through_time(compiled, rng):
    """Source: Deep Learning, section 10.2.2, equations 10.8, 10.9 and 10.20 to 10.28: with g the loss's own part,
    grad h(t) = W^T diag(1 - h(t+1)^2) grad h(t+1) + g(t), and the parameters' sums over t.
    """
    x, h0, u, w, b = (rng.normal(size=s) for s in [(1, 5, 3), (1, 4), (4, 3), (4, 4), (4,)])
    h, residuals = compiled("rnn").forward(x, h0, u, w, b)
    states, g = [h0[0]], rng.normal(size=h.shape)
    for t in range(5):
        states.append(np.tanh(b + w @ states[-1] + u @ x[0, t]))
    np.testing.assert_allclose(h[0], states[1:], rtol=1e-12)

    grad_b, grad_w, grad_u, grad_x, grad_h = np.zeros(4), np.zeros((4, 4)), np.zeros((4, 3)), np.zeros((5, 3)), 0.0
    for t in reversed(range(5)):
        grad_h = grad_h + g[0, t]
        grad_a = (1 - states[t + 1] ** 2) * grad_h
        grad_b += grad_a  # 10.23
        grad_w += np.outer(grad_a, states[t])  # 10.25, 10.26
        grad_u += np.outer(grad_a, x[0, t])  # 10.27, 10.28
        grad_x[t], grad_h = u.T @ grad_a, w.T @ grad_a
    found = compiled("rnn").backward(residuals, g)
    for got, want in zip(found, (grad_x[None], grad_h[None], grad_u, grad_w, grad_b), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


def test_lstm_through_time(compiled, rng):
    """Source: Deep Learning, section 10.10.1, equations 10.40 to 10.44: f, s = f s + g tanh(..), q, h = tanh(s) q,
    with the tanh of today's libraries where 10.41 has a sigmoid.
    """

    def reference(x, h0, s0, u, w, b):
        def cell(now, h, s):
            g, f, new, q = (now @ u[k].T + h @ w[k].T + b[k] for k in range(4))
            s = sigmoid(f) * s + sigmoid(g) * np.tanh(new)
            return np.tanh(s) * sigmoid(q), s

        return steps(cell, x, h0, s0)

    shapes = [(2, 4, 3), (2, 2), (2, 2), (4, 2, 3), (4, 2, 2), (4, 2)]
    confirmed(compiled("lstm"), [rng.normal(size=s) for s in shapes], reference, rng)


def test_gru_through_time(compiled, rng):
    """Source: Deep Learning, section 10.10.2, equations 10.45 to 10.47: h = u h + (1 - u) tanh(b + U x + W (r h)),
    with the tanh of Cho et al. where 10.45 has a sigmoid.
    """

    def reference(x, h0, u, w, b):
        def cell(now, h):
            r, z = (sigmoid(now @ u[k].T + h @ w[k].T + b[k]) for k in range(2))
            return (z * h + (1 - z) * np.tanh(b[2] + now @ u[2].T + (r * h) @ w[2].T),)

        return steps(cell, x, h0)

    shapes = [(2, 4, 3), (2, 2), (3, 2, 3), (3, 2, 2), (3, 2)]
    confirmed(compiled("gru_reset_first"), [rng.normal(size=s) for s in shapes], reference, rng)
