"""Recurrent layers against torch's modules, and against loops written with torch where it has none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

N, T, C, M = 2, 5, 3, 4


def shaped(rng, *shapes):
    return [rng.normal(size=shape) for shape in shapes]


def through(torch, module, x, state, weights):
    """Run a module of torch with its weights replaced, differentiably; batch first."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return torch.func.functional_call(module, dict(zip(names, weights, strict=True)), (x, state))


def test_rnn_is_torchs(agree, rng):
    """Source: torch.nn.RNN."""
    torch = pytest.importorskip("torch")
    module = torch.nn.RNN(C, M, batch_first=True, dtype=torch.float64)

    def oracle(x, h0, w, r, b):
        return through(torch, module, x, h0[None], (w, r, b, torch.zeros(M, dtype=torch.float64)))[0]

    agree("rnn", shaped(rng, (N, T, C), (N, M), (M, C), (M, M), (M,)), oracle)


def test_lstm_is_torchs(agree, rng):
    """Source: torch.nn.LSTM; torch gives the last cell only, which is compared by running every beginning."""
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(C, M, batch_first=True, dtype=torch.float64)

    def oracle(x, h0, c0, w, r, b):
        weights = (w.reshape(4 * M, C), r.reshape(4 * M, M), b.reshape(4 * M), torch.zeros(4 * M, dtype=torch.float64))
        state = (h0[None], c0[None])
        runs = [through(torch, module, x[:, : t + 1], state, weights) for t in range(T)]
        return runs[-1][0], torch.stack([cell[0] for _, (_, cell) in runs], dim=1)

    agree("lstm", shaped(rng, (N, T, C), (N, M), (N, M), (4, M, C), (4, M, M), (4, M)), oracle)


def test_gru_is_torchs(agree, rng):
    """Source: torch.nn.GRU."""
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(C, M, batch_first=True, dtype=torch.float64)

    def oracle(x, h0, w, r, b, s):
        weights = (w.reshape(3 * M, C), r.reshape(3 * M, M), b.reshape(3 * M), s.reshape(3 * M))
        return through(torch, module, x, h0[None], weights)[0]

    agree("gru", shaped(rng, (N, T, C), (N, M), (3, M, C), (3, M, M), (3, M), (3, M)), oracle)


def test_linear_recurrence_is_its_closed_form(agree, rng):
    """Source: h_t = prod decay h0 + sum over s of (product of the decays after s) x_s."""
    torch = pytest.importorskip("torch")

    def oracle(x, decay, h0):
        states = []
        for t in range(T):
            kept = [torch.prod(decay[:, s + 1 : t + 1], dim=1) * x[:, s] for s in range(t + 1)]
            states.append(torch.prod(decay[:, : t + 1], dim=1) * h0 + sum(kept))
        return torch.stack(states, dim=1)

    agree("linear_recurrence", shaped(rng, (N, T, C), (N, T, C), (N, C)), oracle)


@pytest.mark.parametrize("weight", [0.9, 0.25])
def test_exponential_moving_average_is_a_weighted_sum(agree, rng, weight):
    """Source: y_t = weight^t x_0 + (1 - weight) sum over s > 0 of weight^(t - s) x_s."""
    torch = pytest.importorskip("torch")

    def oracle(x):
        powers = torch.tensor([[weight ** (t - s) * (s <= t) for s in range(T)] for t in range(T)], dtype=x.dtype)
        scale = torch.tensor([1.0] + [1 - weight] * (T - 1), dtype=x.dtype)
        return x @ (powers * scale).T

    agree("exponential_moving_average", shaped(rng, (N, T)), oracle, weight=weight)


def test_state_space_scan_is_its_loop(agree, rng):
    torch = pytest.importorskip("torch")
    K = 2

    def oracle(x, step, A, B, U, gain):
        state, found = torch.zeros(N, C, K, dtype=x.dtype), []
        for t in range(T):
            state = torch.exp(step[:, t, :, None] * A) * state + (step[:, t] * x[:, t])[:, :, None] * B[:, t, None]
            found.append((state * U[:, t, None]).sum(dim=2) + gain * x[:, t])
        return torch.stack(found, dim=1)

    agree("state_space_scan", shaped(rng, (N, T, C), (N, T, C), (C, K), (N, T, K), (N, T, K), (C,)), oracle)


def test_crf_log_partition_is_a_sum_over_all_paths(agree, rng):
    """Source: Lafferty et al., section 3: every path is written out."""
    torch = pytest.importorskip("torch")
    steps, labels = 4, 3

    def oracle(score, transition):
        paths = list(itertools.product(range(labels), repeat=steps))
        found = [
            sum(score[:, t, p[t]] for t in range(steps)) + sum(transition[a, b] for a, b in itertools.pairwise(p))
            for p in paths
        ]
        return torch.logsumexp(torch.stack(found), dim=0)

    agree("crf_log_partition", shaped(rng, (N, steps, labels), (labels, labels)), oracle)


@pytest.mark.parametrize("gamma", [1.0, 0.1])
def test_soft_dtw_is_a_soft_minimum_over_all_alignments(agree, rng, gamma):
    """Source: Cuturi and Blondel, equation 3: every alignment is written out."""
    torch = pytest.importorskip("torch")

    def alignments(p, q):
        if (p, q) == (0, 0):
            yield [(0, 0)]
            return
        for before in ((p - 1, q), (p, q - 1), (p - 1, q - 1)):
            if min(before) >= 0:
                for path in alignments(*before):
                    yield [*path, (p, q)]

    def oracle(cost):
        costs = torch.stack([sum(cost[:, p, q] for p, q in path) for path in alignments(2, 3)])
        return -gamma * torch.logsumexp(-costs / gamma, dim=0)

    agree("soft_dtw", [np.abs(a) for a in shaped(rng, (N, 3, 4))], oracle, gamma=gamma)
