"""Activations against torch, at kinks against the rule, and in float32 where exp overflows."""

from __future__ import annotations

import numpy as np
import pytest


def oracles():
    """Each layer's attributes and its function in torch."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    return {
        "sigmoid": ({}, torch.sigmoid),
        "tanh": ({}, torch.tanh),
        "relu": ({}, torch.relu),
        "leaky_relu": ({"slope": 0.2}, lambda x: f.leaky_relu(x, 0.2)),
        "elu": ({"alpha": 1.7}, lambda x: f.elu(x, 1.7)),
        "softplus": ({}, f.softplus),
        "gelu": ({}, f.gelu),
        "gelu_tanh": ({}, lambda x: f.gelu(x, approximate="tanh")),
        "silu": ({}, f.silu),
        "absolute": ({}, torch.abs),
        "softmax": ({}, lambda x: torch.softmax(x, 1)),
        "log_softmax": ({}, lambda x: torch.log_softmax(x, 1)),
    }


NAMES = [
    *("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "gelu_tanh", "silu", "absolute"),
    *("softmax", "log_softmax"),
]
SMOOTH_AT_EXTREMES = np.array([[-1e4, -1e3, -90, -20, -1, 0.5], [1e4, 1e3, 90, 20, 1, -0.5]])


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_torchs(agree, rng, name):
    """Source: torch.nn.functional, the function of that name."""
    attributes, oracle = oracles()[name]
    agree(name, [3 * rng.normal(size=(4, 5))], oracle, **attributes)


@pytest.mark.parametrize("name", ["leaky_relu", "elu"])
def test_default_attributes_are_torchs(agree, rng, name):
    """Source: torch.nn.functional.leaky_relu (0.01) and elu (1)."""
    torch = pytest.importorskip("torch")
    agree(name, [rng.normal(size=(4, 5))], getattr(torch.nn.functional, name))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_activations_of_images_are_torchs(agree, rng, name):
    """Source: torch.nn.functional, the function of that name, over images."""
    agree(f"{name}2d", [3 * rng.normal(size=(2, 3, 4, 5))], oracles()[name][1])


@pytest.mark.parametrize("name", NAMES)
def test_large_numbers_in_float32(compiled, name):
    """Source: torch in float64 at the same numbers, up to +-1e4; a warning fails the test."""
    torch = pytest.importorskip("torch")
    attributes, oracle = oracles()[name]
    leaf = torch.tensor(SMOOTH_AT_EXTREMES, requires_grad=True)
    want = oracle(leaf)
    delta = np.linspace(-1, 2, 12).reshape(2, 6)
    (by_torch,) = torch.autograd.grad(want, leaf, torch.tensor(delta))

    y, residuals = compiled(name).forward(SMOOTH_AT_EXTREMES.astype(np.float32), **attributes)
    got = compiled(name).backward(residuals, delta.astype(np.float32)).x
    assert y.dtype == got.dtype == np.float32
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(got, by_torch.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "attributes", "slope"),
    [
        ("relu", {}, 0.0),
        ("absolute", {}, 0.0),
        ("leaky_relu", {"slope": 0.25}, 0.25),
        ("elu", {"alpha": 1.5}, 1.5),
    ],
)
def test_kinks_follow_the_declared_rule(compiled, name, attributes, slope):
    """Source: the language: an argument without tensors wins a tie, Abs has slope 0, Piecewise its branch."""
    module = compiled(name)
    y, residuals = module.forward(np.array([[0.0, -0.0]]), **attributes)
    np.testing.assert_array_equal(y, [[0, 0]])
    np.testing.assert_allclose(module.backward(residuals, np.array([[3.0, 5.0]])).x, [[3 * slope, 5 * slope]])


def test_softmax_gradient_is_its_jacobian(compiled, rng):
    """Source: Nielsen, chapter 3: da_j / dz_k = a_j (delta_jk - a_k)."""
    z, delta = rng.normal(size=(1, 5)), rng.normal(size=(1, 5))
    a, residuals = compiled("softmax").forward(z)
    jacobian = a[0][:, None] * (np.eye(5) - a[0])
    np.testing.assert_allclose(compiled("softmax").backward(residuals, delta).x[0], delta[0] @ jacobian, rtol=1e-10)


def test_sigmoid_and_tanh_have_the_short_derivatives(compiled, rng):
    """Source: Nielsen, sigma' = sigma (1 - sigma), tanh' = 1 - tanh^2."""
    x = rng.normal(size=(3, 4))
    for name, derivative in [("sigmoid", lambda y: y * (1 - y)), ("tanh", lambda y: 1 - y * y)]:
        y, residuals = compiled(name).forward(x)
        np.testing.assert_allclose(compiled(name).backward(residuals, np.ones_like(x)).x, derivative(y), rtol=1e-12)
