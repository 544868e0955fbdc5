"""Steps of SGD and Adam against torch.optim, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest


def test_sgd_step_is_torchs(agree, compiled, rng):
    """Source: torch.optim.SGD for the step, autograd of its formula for the derivatives."""
    torch = pytest.importorskip("torch")
    w, gradient = rng.normal(size=7), rng.normal(size=7)
    parameter = torch.nn.Parameter(torch.tensor(w))
    parameter.grad = torch.tensor(gradient)
    torch.optim.SGD([parameter], lr=0.3).step()
    new_w, _ = compiled("sgd_step").forward(w, gradient, learning_rate=0.3)
    np.testing.assert_allclose(new_w, parameter.detach().numpy(), rtol=1e-12)
    agree("sgd_step", [w, gradient], lambda w, g: w - 0.3 * g, learning_rate=0.3)


@pytest.mark.parametrize(
    ("options", "torchs"),
    [
        ({}, {}),
        (
            {"learning_rate": 0.1, "beta1": 0.7, "beta2": 0.9, "epsilon": 1e-3},
            {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3},
        ),
    ],
    ids=["default", "all options"],
)
def test_adam_steps_are_torchs(compiled, rng, options, torchs):
    """Source: torch.optim.Adam, five steps with a new gradient each."""
    torch = pytest.importorskip("torch")
    w, m, v = rng.normal(size=7), np.zeros(7), np.zeros(7)
    parameter = torch.nn.Parameter(torch.tensor(w))
    optimiser = torch.optim.Adam([parameter], **torchs)
    for step in range(1, 6):
        gradient = rng.normal(size=7)
        parameter.grad = torch.tensor(gradient)
        optimiser.step()
        (w, m, v), _ = compiled("adam_step").forward(w, gradient, m, v, step=step, **options)
        np.testing.assert_allclose(w, parameter.detach().numpy(), rtol=1e-11)
        np.testing.assert_allclose(m, optimiser.state[parameter]["exp_avg"].numpy(), rtol=1e-11)
        np.testing.assert_allclose(v, optimiser.state[parameter]["exp_avg_sq"].numpy(), rtol=1e-11)


def test_adam_steps_derivatives(agree, rng):
    """Source: Kingma and Ba, algorithm 1, written in torch line by line."""
    pytest.importorskip("torch")
    arrays = [rng.normal(size=5), rng.normal(size=5), rng.normal(size=5), rng.uniform(0.1, 1, size=5)]

    def oracle(w, gradient, m, v):
        new_m = 0.9 * m + 0.1 * gradient
        new_v = 0.99 * v + 0.01 * gradient**2
        m_hat, v_hat = new_m / (1 - 0.9**3), new_v / (1 - 0.99**3)
        return w - 0.05 * m_hat / (v_hat.sqrt() + 1e-6), new_m, new_v

    agree("adam_step", arrays, oracle, step=3, learning_rate=0.05, beta2=0.99, epsilon=1e-6)
