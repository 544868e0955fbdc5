"""Fully connected: torch, the document's equations, and the parameters of the cs231n example."""

from __future__ import annotations

import numpy as np
import pytest


def test_dense_is_torch_linear(agree, rng):
    """Source: torch.nn.functional.linear."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)]
    agree("dense", arrays, torch.nn.functional.linear)


def test_gradients_are_the_documents_equations(compiled, rng):
    """Source: the document, fully connected, (1) delta x^T, (2) delta, (3) W^T delta."""
    x, w, b, delta = rng.normal(size=(1, 3)), rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=(1, 2))
    module = compiled("dense")
    gradients = module.backward(module.forward(x, w, b)[1], delta)
    np.testing.assert_allclose(gradients.w, np.outer(delta[0], x[0]), rtol=1e-12)
    np.testing.assert_allclose(gradients.b, delta[0], rtol=1e-12)
    np.testing.assert_allclose(gradients.x[0], w.T @ delta[0], rtol=1e-12)


def test_a_batch_adds_up_over_its_samples(compiled, rng):
    """Source: Nielsen, chapter 2, the whole mini-batch as matrices."""
    x, w, b, delta = rng.normal(size=(4, 3)), rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=(4, 2))
    module = compiled("dense")
    whole = module.backward(module.forward(x, w, b)[1], delta)
    parts = [module.backward(module.forward(x[i : i + 1], w, b)[1], delta[i : i + 1]) for i in range(4)]
    np.testing.assert_allclose(whole.w, sum(p.w for p in parts), rtol=1e-12)
    np.testing.assert_allclose(whole.b, sum(p.b for p in parts), rtol=1e-12)
    np.testing.assert_allclose(whole.x, np.concatenate([p.x for p in parts]), rtol=1e-12)


def test_dense_is_a_convolution_whose_kernel_covers_the_input(compiled, rng):
    """Source: cs231n, converting fully connected layers to convolutional layers."""
    x, w, b = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(7, 3, 4, 5)), rng.normal(size=7)
    by_dense, _ = compiled("dense").forward(x.reshape(2, -1), w.reshape(7, -1), b)
    by_conv, _ = compiled("conv2d").forward(x, w, b)
    np.testing.assert_allclose(by_conv[:, :, 0, 0], by_dense, rtol=1e-12, atol=1e-12)
