"""Losses without a mean, running totals, three operands, states of attention, chances: one row a layer, by torch."""

from __future__ import annotations

import numpy as np
import pytest

from .rows import Row, every, given, normal, probabilities, uniform, whole

torch = pytest.importorskip("torch")
f = torch.nn.functional

PAIR = [normal(4, 5), normal(4, 5)]
LABELLED = [normal(6, 4, scale=3), whole(4, 6)]
WEIGHTED = [normal(6, 4), given([2, -1, 0, 3, -1, 1]), uniform(0.5, 2, 4)]
ALL_IGNORED = [normal(2, 4), given([-1, -1]), uniform(0.5, 2, 4)]
REDUCED = {"each": "none", "sum": "sum"}


def unreduced(name, draws, loss, **options):
    """The two rows of a loss that torch reduces on demand."""
    return [
        Row(
            f"{name}_{ours}",
            draws,
            lambda *given, theirs=theirs: loss(*given, reduction=theirs, **options),
            {key: value for key, value in options.items() if key in ("delta", "beta")},
        )
        for ours, theirs in REDUCED.items()
    ]


def ignoring(name, loss):
    """The three rows of a loss with weights and a label that does not count."""
    return [
        Row(
            f"{name}{ending}",
            WEIGHTED,
            lambda z, y, weight, theirs=theirs: loss(z, y, weight, ignore_index=-1, reduction=theirs),
            {"ignored": -1},
        )
        for ending, theirs in {"": "mean", "_each": "none", "_sum": "sum"}.items()
    ]


def shifted(scan, start):
    """A running total that leaves the element itself out."""
    return lambda x: torch.cat([torch.full_like(x[:, :1], start), scan(x)[:, :-1]], 1)


def backwards(function):
    return lambda x: function(x.flip(1)).flip(1)


def add_up(x):
    return x.cumsum(1)


def multiply(x):
    return x.cumprod(1)


TOTALS = {
    "cumulative_sum_exclusive": shifted(add_up, 0.0),
    "cumulative_sum_reversed": backwards(add_up),
    "cumulative_sum_exclusive_reversed": backwards(shifted(add_up, 0.0)),
    "cumulative_product_exclusive": shifted(multiply, 1.0),
    "cumulative_product_reversed": backwards(multiply),
    "cumulative_product_exclusive_reversed": backwards(shifted(multiply, 1.0)),
}
ZEROS = given([[2.0, 0, 3, 0, 5], [1.0, 2, 3, 4, 0]])


def gru_cell(x, h0, w, r, b):
    """The equations of Cho et al. step by step: the reset gate before the product."""
    states, h = [], h0
    for step in x.unbind(1):
        reset, update = (torch.sigmoid(step @ w[g].T + h @ r[g].T + b[g]) for g in (0, 1))
        new = torch.tanh(step @ w[2].T + (reset * h) @ r[2].T + b[2])
        h = (1 - update) * new + update * h
        states.append(h)
    return torch.stack(states, 1)


def remembered(query, key, value, decay, strength, state):
    """A matrix of state, step by step, by torch.einsum."""
    out, states = [], []
    for t in range(query.shape[1]):
        state = state * decay[:, t, :, None].exp()
        new = value[:, t]
        if strength is not None:
            new = strength[:, t, None] * (new - torch.einsum("nd,nde->ne", key[:, t], state))
        state = state + torch.einsum("nd,ne->nde", key[:, t], new)
        out.append(torch.einsum("nd,nde->ne", query[:, t], state))
        states.append(state)
    return torch.stack(out, 1), torch.stack(states, 1)


def turned(x, cosine, sine, positions):
    """Pairs as complex numbers, times those of the tables."""
    angle = torch.complex(cosine[positions], sine[positions])[:, None]
    return x * angle


def rotary(x, cosine, sine, positions):
    pairs = torch.view_as_complex(x.unflatten(3, (-1, 2)).contiguous())
    return torch.view_as_real(turned(pairs, cosine, sine, positions)).flatten(3)


def rotary_halves(x, cosine, sine, positions):
    out = turned(torch.complex(*x.chunk(2, 3)), cosine, sine, positions)
    return torch.cat([out.real, out.imag], 3)


def mean_by_chance(pool, x):
    """What is drawn with chances x / sum x, on average."""
    return torch.nan_to_num(pool(x * x) / pool(x))


def by_chance(x):
    return mean_by_chance(lambda v: f.avg_pool2d(v, 3, 2), x)


def pyramid_by_chance(x):
    return tuple(mean_by_chance(lambda v, n=n: f.adaptive_avg_pool2d(v, n), x) for n in (1, 2, 4))


def chosen_pixels(x, *positions):
    return tuple(x.flatten(2).gather(2, p.flatten(2)).reshape(p.shape) for p in positions)


STATE = [normal(2, 4, 3), normal(2, 4, 3), normal(2, 4, 5), uniform(-1, 0, 2, 4, 3)]
TURNS = [normal(2, 3, 4, 6), uniform(-1, 1, 7, 3), uniform(-1, 1, 7, 3), whole(7, 2, 4)]
SMALL = [uniform(0, 1, 2, 3, 7, 6)]
PIXELS = [normal(2, 3, 7, 6), whole(42, 2, 3, 1, 1), whole(42, 2, 3, 2, 2), whole(42, 2, 3, 4, 4)]

ROWS = [
    *unreduced("squared_error", PAIR, f.mse_loss),
    *unreduced("absolute_error", PAIR, f.l1_loss),
    *unreduced("huber", PAIR, f.huber_loss, delta=0.4),
    *unreduced("smooth_l1", PAIR, f.smooth_l1_loss, beta=0.4),
    *unreduced("sigmoid_cross_entropy", PAIR, f.binary_cross_entropy_with_logits),
    *unreduced("kl_divergence", [normal(6, 4), probabilities(6, 4)], f.kl_div),
    *unreduced("softmax_cross_entropy", LABELLED, f.cross_entropy),
    *unreduced("nll", LABELLED, f.nll_loss),
    *ignoring("masked_weighted_cross_entropy", f.cross_entropy),
    *ignoring("masked_weighted_nll", f.nll_loss),
    *(Row(name, draws, oracle) for name, oracle in TOTALS.items() for draws in ([normal(2, 7)], [ZEROS])),
    Row("concat3", [normal(2, 3), normal(2, 4), normal(2, 2)], lambda *parts: torch.cat(parts, 1)),
    Row("split3", [normal(2, 9)], lambda x: torch.split(x, [3, 4, 2], 1), {"P": 3, "Q": 4}),
    Row(
        "weighted_sum3",
        [normal(2, 3), normal(2, 3), normal(2, 3)],
        lambda a, b, c: 0.3 * a - 2 * b + c,
        {"first_scale": 0.3, "second_scale": -2.0},
    ),
    Row("gru_reset_first", [normal(2, 5, 3), normal(2, 4), normal(3, 4, 3), normal(3, 4, 4), normal(3, 4)], gru_cell),
    Row("gated_linear_attention", [*STATE, normal(2, 3, 5)], lambda q, k, v, g, s: remembered(q, k, v, g, None, s)),
    Row("gated_delta_attention", [*STATE, uniform(0, 1, 2, 4), normal(2, 3, 5)], remembered),
    Row("rotary_embedding_by_table", TURNS, rotary),
    Row("rotary_embedding_halves_by_table", TURNS, rotary_halves),
    Row("stochastic_pool2d_mean", SMALL, by_chance, {"K": 3, "stride": 2}),
    Row("spatial_pyramid_stochastic_mean2d", SMALL, pyramid_by_chance),
    Row("spatial_pyramid_stochastic_pool2d", PIXELS, chosen_pixels),
    Row("hard_sigmoid", [normal(4, 5)], lambda x: (0.4 * x + 0.3).clamp(0, 1), {"slope": 0.4, "offset": 0.3}),
    Row(
        "selu",
        [normal(4, 5)],
        lambda x: 3 * torch.where(x > 0, x, 2 * torch.expm1(x)),
        {"alpha": 2.0, "gamma": 3.0},
    ),
]


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


@pytest.mark.parametrize("name", ["masked_weighted_cross_entropy", "masked_weighted_nll"])
def test_a_batch_without_labels_costs_nothing(compiled, rng, name):
    """Source: the declaration; torch gives nan here."""
    arrays = [draw(rng) for draw in ALL_IGNORED]
    loss, residuals = compiled(name).forward(*arrays, ignored=-1)
    assert loss == 0
    np.testing.assert_array_equal(compiled(name).backward(residuals, np.ones_like(loss))[0], np.zeros((2, 4)))


def test_a_window_of_zeros_has_no_chances(compiled):
    """Source: the declaration; the mean by chance is 0/0 there."""
    for name in ("stochastic_pool2d_mean", "spatial_pyramid_stochastic_mean2d"):
        outputs, residuals = compiled(name).forward(np.zeros((1, 1, 4, 4)))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        assert not any(y.any() for y in outputs)
        gradient = compiled(name).backward(residuals, *(np.ones_like(y) for y in outputs)).x
        np.testing.assert_array_equal(gradient, np.zeros((1, 1, 4, 4)))
