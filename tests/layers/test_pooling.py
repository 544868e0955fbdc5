"""Pooling against torch, the rules for ties, padding, and two errors that a library really made."""

from __future__ import annotations

import numpy as np
import pytest

RANKS = {1: (2, 3, 9), 2: (2, 2, 7, 6), 3: (1, 2, 4, 5, 3)}
WINDOWS = [
    {},
    {"K": 3},
    {"K": 3, "stride": 1},
    {"K": 3, "stride": 2, "padding": 1},
    {"K": 3, "stride": 1, "padding": 2},
    {"K": 2, "stride": 3, "padding": 1},
]


def describe(window: dict[str, int]) -> str:
    return " ".join(f"{name}={value}" for name, value in window.items()) or "plain"


every_window = pytest.mark.parametrize("window", WINDOWS, ids=describe)
every_rank = pytest.mark.parametrize("rank", RANKS)


def padded(x, rank, value=0.0, *, padding=0, **_):
    """``x`` with ``padding`` on either side of its axes of space (torch.nn.functional.pad)."""
    torch = pytest.importorskip("torch")
    return torch.nn.functional.pad(x, (padding, padding) * rank, value=value)


def unfolded(x, rank, *, K=2, stride=2, **_):
    """Every window of ``x``, its positions last (torch.Tensor.unfold)."""
    for axis in range(2, 2 + rank):
        x = x.unfold(axis, K, stride)
    return x.flatten(2 + rank)


@every_window
@every_rank
def test_max_pool_is_torch_max_pool(agree, rng, rank, window):
    """Source: torch.nn.functional.max_pool1d, 2d, 3d."""
    torch = pytest.importorskip("torch")
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")

    def oracle(x):
        return pool(padded(x, rank, -torch.inf, **window), window.get("K", 2), window.get("stride", 2))

    agree(f"max_pool{rank}d", [rng.normal(size=RANKS[rank])], oracle, **window)


@every_window
@every_rank
def test_max_pool_gives_ties_to_the_first(agree, rng, rank, window):
    """Source: torch.nn.functional.max_pool1d, 2d, 3d, which keeps the first maximum, on values from 0 to 2."""
    torch = pytest.importorskip("torch")
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")

    def oracle(x):
        return pool(padded(x, rank, -torch.inf, **window), window.get("K", 2), window.get("stride", 2))

    agree(f"max_pool{rank}d", [rng.integers(0, 3, size=RANKS[rank]).astype(float)], oracle, **window)


@every_window
@every_rank
def test_max_pool_split_shares_ties_evenly(agree, rng, rank, window):
    """Source: torch.Tensor.amax, which distributes the gradient evenly, over unfolded windows of values from 0 to 2."""
    torch = pytest.importorskip("torch")

    def oracle(x):
        return unfolded(padded(x, rank, -torch.inf, **window), rank, **window).amax(-1)

    agree(f"max_pool{rank}d_split", [rng.integers(0, 3, size=RANKS[rank]).astype(float)], oracle, **window)


@every_window
@every_rank
def test_average_pool_counts_the_padding(agree, rng, rank, window):
    """Source: torch.Tensor.unfold over zero padding, mean of every window."""
    agree(
        f"average_pool{rank}d",
        [rng.normal(size=RANKS[rank])],
        lambda x: unfolded(padded(x, rank, **window), rank, **window).mean(-1),
        **window,
    )


@every_window
@every_rank
def test_average_pool_exclude_padding_counts_what_lies_inside(agree, rng, rank, window):
    """Source: torch.Tensor.unfold over zero padding, sum of every window over the sum of a window of ones."""
    torch = pytest.importorskip("torch")

    def oracle(x):
        total = unfolded(padded(x, rank, **window), rank, **window).sum(-1)
        return total / unfolded(padded(torch.ones_like(x), rank, **window), rank, **window).sum(-1)

    agree(f"average_pool{rank}d_exclude_padding", [rng.normal(size=RANKS[rank])], oracle, **window)


@pytest.mark.parametrize("name", ["average_pool2d", "average_pool2d_exclude_padding"])
def test_both_divisors_are_torchs(agree, rng, name):
    """Source: torch.nn.functional.avg_pool2d, count_include_pad."""
    torch = pytest.importorskip("torch")
    counted = name == "average_pool2d"

    def oracle(x):
        return torch.nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=counted)

    agree(name, [rng.normal(size=(2, 3, 7, 6))], oracle, K=3, stride=2, padding=1)


def test_global_average_pool2d_is_torch_mean(agree, rng):
    """Source: torch.nn.functional.adaptive_avg_pool2d to one position."""
    torch = pytest.importorskip("torch")
    pool = torch.nn.functional.adaptive_avg_pool2d
    agree("global_average_pool2d", [rng.normal(size=(2, 3, 5, 4))], lambda x: pool(x, 1)[:, :, 0, 0])


def gradient(compiled, name, x, delta, **window):
    module = compiled(name)
    return module.backward(module.forward(x, **window)[1], delta).x


def test_average_gradient_is_the_documents_equation(compiled, rng):
    """Source: the document, average pooling, window 2, stride 1: delta_u = (delta_{u-1} + delta_u) / 2."""
    delta = rng.normal(size=6)
    got = gradient(compiled, "average_pool1d", rng.normal(size=(1, 1, 7)), delta[None, None], K=2, stride=1)
    np.testing.assert_allclose(got[0, 0], (np.append(0, delta) + np.append(delta, 0)) / 2, rtol=1e-12)


def test_max_gradient_is_the_documents_equation(compiled, rng):
    """Source: the document, maximum pooling, window 2, stride 1: delta_u sums the windows whose maximum came from u."""
    x, delta = rng.permutation(7).astype(float), rng.normal(size=6)
    want = np.zeros(7)
    for i in range(6):
        want[i + int(x[i + 1] > x[i])] += delta[i]
    for name in ("max_pool1d", "max_pool1d_split"):
        got = gradient(compiled, name, x[None, None], delta[None, None], K=2, stride=1)
        np.testing.assert_allclose(got[0, 0], want, rtol=1e-12)


def test_average_gradient_is_a_kronecker_product(compiled, rng):
    """Source: UFLDL, convolutional network: kron(delta, ones(K, K)) / K^2."""
    delta = rng.normal(size=(2, 3))
    got = gradient(compiled, "average_pool2d", rng.normal(size=(1, 1, 6, 9)), delta[None, None], K=3, stride=3)
    np.testing.assert_allclose(got[0, 0], np.kron(delta, np.ones((3, 3))) / 9, rtol=1e-12)


@pytest.mark.parametrize("ties", ["", "_split"])
def test_windows_of_negative_numbers_have_a_maximum_and_a_gradient(compiled, ties):
    """Source: the document's library, whose maximum starts from the smallest positive float."""
    x = -1.0 - np.arange(16.0).reshape(1, 1, 4, 4)
    y, _ = compiled(f"max_pool2d{ties}").forward(x, padding=1)
    np.testing.assert_array_equal(y[0, 0], [[-1, -2, -4], [-5, -6, -8], [-13, -14, -16]])
    got = gradient(compiled, f"max_pool2d{ties}", x, np.arange(1.0, 5).reshape(1, 1, 2, 2))
    np.testing.assert_array_equal(got[0, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("ties", ["", "_split"])
def test_a_past_winner_gets_nothing_from_a_window_it_lost(compiled, ties):
    """Source: the document's library, which credits a past winner from every window that holds it."""
    x = np.array([[[3.0, 5, 9, 1]]])  # 5 wins the first window, 9 the second and third
    got = gradient(compiled, f"max_pool1d{ties}", x, np.array([[[1.0, 10, 100]]]), K=2, stride=1)
    np.testing.assert_array_equal(got, [[[0, 1, 110, 0]]])


def test_equal_values_follow_the_declared_rule(compiled):
    """Source: the declaration: first in row-major order, or equal parts."""
    x, delta = np.zeros((1, 1, 2, 2)), np.full((1, 1, 1, 1), 8.0)
    np.testing.assert_array_equal(gradient(compiled, "max_pool2d", x, delta)[0, 0], [[8, 0], [0, 0]])
    np.testing.assert_array_equal(gradient(compiled, "max_pool2d_split", x, delta)[0, 0], [[2, 2], [2, 2]])


def test_what_is_left_over_at_the_far_end_gets_exactly_zero(compiled, rng):
    """Source: Dumoulin and Visin, relationship 7: (7 - 3) / 3 leaves one position."""
    for name in ("max_pool1d", "max_pool1d_split", "average_pool1d", "average_pool1d_exclude_padding"):
        got = gradient(compiled, name, rng.normal(size=(1, 1, 7)), np.ones((1, 1, 2)), K=3, stride=3)
        assert got[0, 0, 6] == 0
        assert got.sum() == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("wrong", [-1, 4])
def test_a_choice_outside_of_its_window_is_refused(compiled, wrong):
    choice = np.array([[[[0, 1], [2, 3]]]])
    y, _ = compiled("stochastic_pool2d").forward(np.arange(16.0).reshape(1, 1, 4, 4), choice)
    assert y.ravel().tolist() == [0.0, 3.0, 12.0, 15.0]
    choice[0, 0, 0, 1] = wrong
    with pytest.raises(IndexError, match=f"choice holds {wrong}, but axis 4 of window has extent 4"):
        compiled("stochastic_pool2d").forward(np.ones((1, 1, 4, 4)), choice)
