import numpy as np
import pytest

from symgrad.demo import networks, stages
from symgrad.demo.modules import emitted
from symgrad.demo.networks import (
    FULL_CONV,
    SMALL_CONV,
    Initialiser,
    build,
    conv_network,
    dense_network,
    full_parameters,
)


def draw(dtype=np.float32):
    return Initialiser(np.random.default_rng(0), dtype)


def test_parameters_of_the_networks_are_counted():
    assert full_parameters() == build("conv", 28, seed=0).count() == 1_668_490
    assert conv_network(8, SMALL_CONV, draw()).count() == 32 * 10 + 64 * (32 * 9 + 1) + 256 * (256 + 1) + 10 * 257
    assert dense_network(28, (100, 30), draw()).count() == 100 * (784 + 3) + 30 * (100 + 3) + 10 * 31


def test_weights_have_the_deviation_of_he_and_biases_are_constant():
    parameters = conv_network(28, FULL_CONV, draw()).parameters()
    assert parameters["dense1.w"].shape == (1024, 1600)
    assert np.std(parameters["dense1.w"]) == pytest.approx(np.sqrt(2 / 1600), rel=0.01)
    assert np.std(parameters["conv2.w"]) == pytest.approx(np.sqrt(2 / 288), rel=0.02)
    assert np.unique(parameters["conv2.b"]) == np.float32(0.1)


def test_logits_are_those_of_loops(tiny_conv, bars):
    """The network in evaluation, written again as loops over images and windows."""
    network = tiny_conv.astype(np.float64)
    p = network.parameters()
    images = bars.test_images[:3].astype(np.float64)

    def conv(x, w, b):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        y = np.empty((len(w), *x.shape[1:]))
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                y[:, i, j] = (w * padded[:, i : i + 3, j : j + 3]).sum(axis=(1, 2, 3)) + b
        return np.maximum(y, 0)

    def pool(x):
        return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max(axis=(2, 4))

    for image, logits in zip(images, network.logits(images), strict=True):
        x = pool(conv(image, p["conv1.w"], p["conv1.b"]))
        x = pool(conv(x, p["conv2.w"], p["conv2.b"]))
        x = np.maximum(p["dense1.w"] @ x.reshape(-1) + p["dense1.b"], 0)
        np.testing.assert_allclose(logits, p["dense2.w"] @ x + p["dense2.b"], rtol=1e-12)


class Recorder:
    """An emitted module that writes down which gradients were asked for."""

    def __init__(self, name, asked):
        self.name, self.asked = name, asked

    def forward(self, *arrays, **attributes):
        return emitted(self.name).forward(*arrays, **attributes)

    def backward(self, residuals, *cotangents, wrt=None):
        self.asked.append((self.name, wrt))
        return emitted(self.name).backward(residuals, *cotangents, wrt=wrt)


@pytest.mark.parametrize("name", ["conv", "dense"])
def test_a_network_is_built_by_seed(name):
    first, again, other = (build(name, 8, seed).parameters() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["dense1.w"], again["dense1.w"])
    assert not np.array_equal(first["dense1.w"], other["dense1.w"])


@pytest.mark.parametrize(("which", "first"), [("tiny_conv", "conv2d"), ("tiny_dense", "dense")])
def test_the_gradient_of_the_images_is_never_asked_for(request, monkeypatch, bars, which, first):
    network, asked = request.getfixturevalue(which), []
    for home in (networks, stages):
        monkeypatch.setattr(home, "emitted", lambda name: Recorder(name, asked))
    _, gradients = network.gradients(bars.train_images[:4], bars.train_labels[:4], np.random.default_rng(0))
    assert asked[-1] == (first, ("w", "b"))
    assert all("x" in wrt for name, wrt in asked[1:-1])
    assert {name: g.shape for name, g in gradients.items()} == {n: p.shape for n, p in network.parameters().items()}
    assert {g.dtype for g in gradients.values()} == {np.dtype(np.float32)}


def test_only_emitted_modules_are_run(tiny_conv, tiny_dense, monkeypatch, bars):
    for network in (tiny_conv, tiny_dense):
        ran = []

        def watch(name, ran=ran):
            ran.append(name)
            return emitted(name)

        for home in (networks, stages):
            monkeypatch.setattr(home, "emitted", watch)
        network.gradients(bars.train_images[:4], bars.train_labels[:4], np.random.default_rng(0))
        network.logits(bars.test_images[:4])
        assert set(ran) == set(network.modules())


def test_dropout_draws_in_training_and_keeps_all_in_evaluation(tiny_conv, bars):
    images, labels = bars.train_images[:8], bars.train_labels[:8]
    losses = {tiny_conv.loss(images, labels, np.random.default_rng(seed)) for seed in (0, 0, 1, 2)}
    assert len(losses) == 3
    np.testing.assert_array_equal(tiny_conv.logits(images), tiny_conv.logits(images))


def test_running_statistics_approach_those_of_the_batch(tiny_dense, bars):
    images, labels = bars.train_images[:40], bars.train_labels[:40]
    parameters = tiny_dense.parameters()
    features = images.reshape(40, 64) @ parameters["dense1.w"].T + parameters["dense1.b"]
    for _ in range(300):
        tiny_dense.loss(images, labels, np.random.default_rng(0))
    norm = tiny_dense.stages[2]
    np.testing.assert_allclose(norm.mean, features.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.variance, features.var(axis=0, ddof=1), rtol=1e-4)
    before = norm.mean.copy()
    tiny_dense.logits(images)
    np.testing.assert_array_equal(norm.mean, before)


def test_a_copy_in_another_dtype_leaves_the_network_alone(tiny_dense, bars):
    double = tiny_dense.astype(np.float64)
    before = {name: value.copy() for name, value in tiny_dense.parameters().items()}
    images = bars.train_images[:4].astype(np.float64)
    double.loss(images, bars.train_labels[:4], np.random.default_rng(0))
    double.assign({name: value + 1 for name, value in double.parameters().items()})
    assert double.logits(images).dtype == np.float64
    for name, value in tiny_dense.parameters().items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(tiny_dense.stages[2].mean, np.zeros(6))
