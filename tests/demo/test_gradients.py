import numpy as np
import pytest

from symgrad.demo.gradients import Direction, check_gradient
from symgrad.demo.networks import Network


@pytest.mark.parametrize("which", ["tiny_conv", "tiny_dense"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_whole_gradient_agrees_with_differences(request, bars, which, seed):
    network = request.getfixturevalue(which)
    found = check_gradient(network, bars.train_images[:6], bars.train_labels[:6], seed)
    assert [d.name for d in found] == [*network.parameters(), "all together"]
    assert found[-1].size == network.count()
    assert max(d.error for d in found) < 1e-6
    assert max(abs(d.analytic) for d in found) > 1e-3


@pytest.mark.parametrize("wrong", ["conv1.w", "conv2.b", "dense1.w", "dense2.b"])
def test_a_wrong_gradient_is_found_and_named(monkeypatch, tiny_conv, bars, wrong):
    right = Network.gradients

    def one_percent_off(self, *arguments):
        loss, gradients = right(self, *arguments)
        return loss, gradients | {wrong: gradients[wrong] * 1.01}

    monkeypatch.setattr(Network, "gradients", one_percent_off)
    found = check_gradient(tiny_conv, bars.train_images[:6], bars.train_labels[:6], seed=0)
    assert [d.name for d in found if not d.ok] == [wrong, "all together"]


def test_the_check_leaves_the_network_as_it_was(tiny_dense, bars):
    before = {name: value.copy() for name, value in tiny_dense.parameters().items()}
    check_gradient(tiny_dense, bars.train_images[:6], bars.train_labels[:6], seed=0)
    assert {value.dtype for value in tiny_dense.parameters().values()} == {np.dtype(np.float32)}
    for name, value in tiny_dense.parameters().items():
        np.testing.assert_array_equal(value, before[name])


def test_derivatives_of_rounding_count_as_zero():
    assert Direction("b", 3, 4e-18, 2e-12).ok
    assert not Direction("b", 3, 0.0, 1e-3).ok
    assert Direction("b", 3, -2.0, -2.00001).error == pytest.approx(5e-6, rel=1e-3)
