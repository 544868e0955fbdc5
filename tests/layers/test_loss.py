"""Losses against torch, the short gradients of Nielsen, and logits of +-1e4 in float32."""

from __future__ import annotations

import numpy as np
import pytest

LABELS = np.array([2, 0, 4, 2])


def test_mean_squared_error_is_torchs(agree, rng):
    """Source: torch.nn.functional.mse_loss."""
    torch = pytest.importorskip("torch")
    agree("mean_squared_error", [rng.normal(size=(4, 5)), rng.normal(size=(4, 5))], torch.nn.functional.mse_loss)


def test_quadratic_cost_is_nielsens(agree, rng):
    """Source: Nielsen, chapter 1: half the mean of the squared norms (torch.linalg.vector_norm)."""
    torch = pytest.importorskip("torch")
    norm = torch.linalg.vector_norm
    arrays = [rng.normal(size=(4, 5)), rng.normal(size=(4, 5))]
    agree("quadratic_cost", arrays, lambda a, y: (norm(a - y, dim=1) ** 2).mean() / 2)


def test_cross_entropy_is_torchs(agree, rng):
    """Source: torch.nn.functional.binary_cross_entropy, added over the outputs."""
    torch = pytest.importorskip("torch")
    arrays = [rng.uniform(0.05, 0.95, size=(4, 5)), rng.uniform(size=(4, 5))]
    agree("cross_entropy", arrays, lambda a, y: torch.nn.functional.binary_cross_entropy(a, y) * 5)


def test_sigmoid_cross_entropy_is_torchs(agree, rng):
    """Source: torch.nn.functional.binary_cross_entropy_with_logits."""
    torch = pytest.importorskip("torch")
    arrays = [3 * rng.normal(size=(4, 5)), rng.uniform(size=(4, 5))]
    agree("sigmoid_cross_entropy", arrays, torch.nn.functional.binary_cross_entropy_with_logits)


def test_softmax_cross_entropy_is_torchs(agree, rng):
    """Source: torch.nn.functional.cross_entropy."""
    torch = pytest.importorskip("torch")
    agree("softmax_cross_entropy", [3 * rng.normal(size=(4, 5)), LABELS], torch.nn.functional.cross_entropy)


def test_log_likelihood_is_torchs(agree, rng):
    """Source: torch.nn.functional.nll_loss of the logarithms."""
    torch = pytest.importorskip("torch")
    arrays = [rng.uniform(0.05, 0.95, size=(4, 5)), LABELS]
    agree("log_likelihood", arrays, lambda p, y: torch.nn.functional.nll_loss(p.log(), y))


def gradient(compiled, name, *arrays):
    module = compiled(name)
    loss, residuals = module.forward(*arrays)
    return module.backward(residuals, np.ones_like(loss))[0]


def test_softmax_cross_entropy_has_gradient_p_minus_one_hot(compiled, rng):
    """Source: Nielsen, chapter 3: a - y, over the number of samples."""
    logits = rng.normal(size=(4, 5))
    a = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    want = (a - np.eye(5)[LABELS]) / 4
    np.testing.assert_allclose(gradient(compiled, "softmax_cross_entropy", logits, LABELS), want, rtol=1e-10)


def test_sigmoid_cross_entropy_has_gradient_a_minus_y(compiled, rng):
    """Source: Nielsen, chapter 3: a - y, over the number of samples and outputs."""
    logits, y = rng.normal(size=(4, 5)), rng.uniform(size=(4, 5))
    want = (1 / (1 + np.exp(-logits)) - y) / 20
    np.testing.assert_allclose(gradient(compiled, "sigmoid_cross_entropy", logits, y), want, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "loss", "activation"),
    [
        ("sigmoid_cross_entropy", "cross_entropy", "sigmoid"),
        ("softmax_cross_entropy", "log_likelihood", "softmax"),
    ],
)
def test_losses_from_logits_are_those_of_the_activation(compiled, rng, name, loss, activation):
    """Source: Nielsen, chapter 3: sigmoid with cross-entropy, softmax with log-likelihood, in two layers."""
    logits = rng.normal(size=(4, 5))
    target, scale = (LABELS, 1) if name == "softmax_cross_entropy" else (rng.uniform(size=(4, 5)), 5)
    a, inner = compiled(activation).forward(logits)
    value, outer = compiled(loss).forward(a, target)
    through = compiled(activation).backward(inner, compiled(loss).backward(outer, np.ones_like(value))[0]).x
    assert compiled(name).forward(logits, target)[0] == pytest.approx(float(value) / scale, rel=1e-12)
    np.testing.assert_allclose(gradient(compiled, name, logits, target), through / scale, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ["sigmoid_cross_entropy", "softmax_cross_entropy"])
def test_large_logits_in_float32(compiled, name):
    """Source: torch.nn.functional in float64 at logits of +-1e4; a warning fails the test."""
    torch = pytest.importorskip("torch")
    logits = np.array([[1e4, -1e4, 0, 5, 1], [-1e4, -1e4, -1e4, 1e4, 1e4]])
    if name == "softmax_cross_entropy":
        target, oracle = np.array([1, 3]), torch.nn.functional.cross_entropy
    else:
        target = np.array([[0, 1, 1, 0.5, 0], [1, 0, 0, 1, 0]], np.float32)
        oracle = torch.nn.functional.binary_cross_entropy_with_logits
    leaf = torch.tensor(logits, requires_grad=True)
    want = oracle(leaf, torch.tensor(target).to(torch.int64 if target.dtype.kind == "i" else torch.float64))
    want.backward()
    loss, _ = compiled(name).forward(logits.astype(np.float32), target)
    assert np.asarray(loss).dtype == np.float32
    np.testing.assert_allclose(loss, want.item(), rtol=1e-6)
    got = gradient(compiled, name, logits.astype(np.float32), target)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-5, atol=1e-7)
