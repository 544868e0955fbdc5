"""Normalisation against torch, with the gradient through the statistics."""

from __future__ import annotations

import numpy as np
import pytest

SHAPES = {"batch_norm": (6, 3), "batch_norm2d": (2, 3, 4, 5)}
every_shape = pytest.mark.parametrize("name", SHAPES)
every_epsilon = pytest.mark.parametrize("options", [{}, {"epsilon": 0.3}], ids=["default", "epsilon=0.3"])


@every_epsilon
@every_shape
def test_batch_norm_is_torchs_in_training(agree, rng, name, options):
    """Source: torch.nn.functional.batch_norm, training."""
    torch = pytest.importorskip("torch")
    arrays = [2 + 3 * rng.normal(size=SHAPES[name]), rng.normal(size=3), rng.normal(size=3)]

    def oracle(x, gamma, beta):
        eps = options.get("epsilon", 1e-5)
        return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)

    agree(name, arrays, oracle, **options)


@every_epsilon
@every_shape
def test_batch_norm_eval_is_torchs_in_evaluation(agree, rng, name, options):
    """Source: torch.nn.functional.batch_norm, evaluation."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=SHAPES[name]), rng.normal(size=3), rng.normal(size=3), rng.normal(size=3)]
    arrays.append(rng.uniform(0.5, 2, size=3))

    def oracle(x, gamma, beta, mean, variance):
        return torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, eps=options.get("epsilon", 1e-5))

    agree(f"{name}_eval", arrays, oracle, **options)


@pytest.mark.parametrize("momentum", [0.1, 0.6])
@every_shape
def test_running_statistics_are_torchs(agree, rng, name, momentum):
    """Source: torch.nn.functional.batch_norm, which updates running_mean and running_var in training."""
    torch = pytest.importorskip("torch")
    arrays = [2 + 3 * rng.normal(size=SHAPES[name]), rng.normal(size=3), rng.uniform(0.5, 2, size=3)]

    def oracle(x, mean, variance):
        mean, variance = mean.clone(), variance.clone()
        torch.nn.functional.batch_norm(x, mean, variance, training=True, momentum=momentum)
        return mean, variance

    agree(f"{name}_running_step", arrays, oracle, momentum=momentum)


@every_shape
def test_the_gradient_goes_through_mean_and_variance(compiled, rng, name):
    """Source: Ioffe and Szegedy: shifting or scaling a channel changes nothing: the gradient is orthogonal to both."""
    x, delta = rng.normal(size=SHAPES[name]), rng.normal(size=SHAPES[name])
    module = compiled(name)
    _, residuals = module.forward(x, np.ones(3), np.zeros(3), epsilon=0.0)
    grad_x = module.backward(residuals, delta).x
    batch = tuple(axis for axis in range(x.ndim) if axis != 1)
    np.testing.assert_allclose(grad_x.sum(axis=batch), 0, atol=1e-12)
    np.testing.assert_allclose((grad_x * x).sum(axis=batch), 0, atol=1e-12)
    assert np.abs(grad_x).max() > 0.01


@every_epsilon
def test_layer_norm_is_torchs(agree, rng, options):
    """Source: torch.nn.functional.layer_norm."""
    torch = pytest.importorskip("torch")
    arrays = [2 + 3 * rng.normal(size=(4, 7)), rng.normal(size=7), rng.normal(size=7)]
    agree(
        "layer_norm",
        arrays,
        lambda x, gamma, beta: torch.nn.functional.layer_norm(x, (7,), gamma, beta, options.get("epsilon", 1e-5)),
        **options,
    )


def test_constant_channels_are_harmless(compiled):
    """Source: the formula: a variance of 0 leaves beta, and epsilon keeps the gradient finite."""
    x = np.full((4, 2), 7.0)
    for name in ("batch_norm", "layer_norm"):
        module = compiled(name)
        y, residuals = module.forward(x, np.ones(2), np.array([0.5, -0.5]))
        np.testing.assert_array_equal(y, np.broadcast_to([0.5, -0.5], (4, 2)))
        assert np.isfinite(module.backward(residuals, np.ones((4, 2))).x).all()
