"""Losses, penalties and steps of optimisers against torch: one row a layer. Source: the functions that a row calls."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from .rows import Row, chosen, every, given, normal, probabilities, uniform, whole

torch = pytest.importorskip("torch")
f = torch.nn.functional
PAIR = [normal(4, 5), normal(4, 5)]
LABELLED = [normal(6, 4, scale=3), whole(4, 6)]
SIGNS = [normal(4, 5), chosen([-1, 1], 4, 5)]
HALF_IGNORED = [normal(6, 4), given([2, -100, 0, 3, -100, 1])]
VECTORS = [normal(5, 3), normal(5, 3)]


def focal(z, y):
    p = torch.sigmoid(z)
    right, weight = p * y + (1 - p) * (1 - y), 0.25 * y + 0.75 * (1 - y)
    return (weight * (1 - right) ** 2 * f.binary_cross_entropy_with_logits(z, y, reduction="none")).mean()


def dice(p, y):
    return (1 - (2 * (p * y).sum(1) + 1) / (p.sum(1) + y.sum(1) + 1)).mean()


def smoothed(z, y):
    return f.cross_entropy(z, y, label_smoothing=0.1)


def contrastive(a, b, same):
    distance = f.pairwise_distance(a, b, eps=0)
    return (same * distance**2 + (1 - same) * torch.relu(1 - distance) ** 2).mean() / 2


def info_nce(a, b, temperature=0.5):
    return f.cross_entropy(a @ b.T / temperature, torch.arange(len(a)))


def clip(a, b):
    return (info_nce(a, b) + info_nce(b, a)) / 2


def standard_divergence(mean, log_variance):
    normal_of = torch.distributions.Normal
    each = torch.distributions.kl_divergence(normal_of(mean, (log_variance / 2).exp()), normal_of(0.0, 1.0))
    return each.sum(1).mean()


ROWS = [
    Row("absolute_error", PAIR, f.l1_loss, large="prediction target"),
    Row("huber", PAIR, f.huber_loss, large="prediction target"),
    Row("huber", PAIR, lambda a, y: f.huber_loss(a, y, delta=0.4), {"delta": 0.4}),
    Row("smooth_l1", PAIR, f.smooth_l1_loss, large="prediction target"),
    Row("smooth_l1", PAIR, lambda a, y: f.smooth_l1_loss(a, y, beta=0.4), {"beta": 0.4}),
    Row("log_cosh", PAIR, lambda a, y: torch.log(torch.cosh(a - y)).mean()),
    Row("log_cosh", PAIR, lambda a, y: (torch.logaddexp(a - y, y - a) - log(2)).mean(), large="prediction"),
    Row("quantile_loss", PAIR, lambda a, y: torch.maximum(0.3 * (y - a), -0.7 * (y - a)).mean(), {"quantile": 0.3}),
    Row("poisson_loss", PAIR, f.poisson_nll_loss),
    Row("gaussian_loss", [normal(4, 5), uniform(0.5, 2, 4, 5), normal(4, 5)],
        lambda a, s, y: f.gaussian_nll_loss(a, y, s, full=True)),
    Row("l1_penalty", [normal(7)], lambda w: 0.3 * w.abs().sum(), {"strength": 0.3}),
    Row("l2_penalty", [normal(7)], lambda w: 0.15 * w.square().sum(), {"strength": 0.3}),
    Row("soft_cross_entropy", [normal(6, 4), probabilities(6, 4)], f.cross_entropy, large="logits"),
    Row("smoothed_cross_entropy", LABELLED, smoothed, large="logits"),
    Row("masked_cross_entropy", HALF_IGNORED, f.cross_entropy, large="logits"),
    Row("weighted_cross_entropy", [*LABELLED, uniform(0.5, 2, 4)],
        lambda z, y, weight: f.cross_entropy(z, y, weight), large="logits"),
    Row("nll", [normal(6, 4), whole(4, 6)], f.nll_loss),
    Row("kl_divergence", [normal(6, 4), probabilities(6, 4)],
        lambda q, p: f.kl_div(q, p, reduction="batchmean")),
    Row("kl_divergence", [normal(2, 3), given([[0.0, 1, 0], [0.5, 0, 0.5]])],
        lambda q, p: f.kl_div(q, p, reduction="batchmean")),
    Row("focal", [normal(4, 5), chosen([0, 1], 4, 5)], focal, large="logits"),
    Row("hinge", SIGNS, lambda z, y: torch.relu(1 - y * z).mean(), large="score"),
    Row("squared_hinge", SIGNS, lambda z, y: (torch.relu(1 - y * z) ** 2).mean()),
    Row("multiclass_hinge", LABELLED, lambda z, y: f.multi_margin_loss(z, y) * 4),
    Row("dice", [uniform(0, 1, 3, 6), chosen([0, 1], 3, 6)], dice),
    Row("triplet", [normal(5, 3), normal(5, 3), normal(5, 3)], f.triplet_margin_loss),
    Row("contrastive", [*VECTORS, chosen([0, 1], 5)], contrastive),
    Row("info_nce", VECTORS, info_nce, {"temperature": 0.5}),
    Row("clip_loss", VECTORS, clip, {"temperature": 0.5}),
    Row("cosine_embedding", [*VECTORS, given([1.0, -1, 1, -1, -1])],
        lambda a, b, same: f.cosine_embedding_loss(a, b, same, margin=0.1), {"margin": 0.1}),
    Row("margin_ranking", [normal(9), normal(9), chosen([-1, 1], 9)],
        lambda a, b, same: f.margin_ranking_loss(a, b, same, margin=0.2), {"margin": 0.2}),
    Row("normal_divergence", VECTORS, standard_divergence),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


@every([row for row in ROWS if row.large])
def test_numbers_of_ten_thousand_in_float32(agree_in_single, rng, row):
    agree_in_single(row, rng)


def test_a_batch_without_labels_costs_nothing(compiled):
    """Source: the declaration of masked_cross_entropy; torch gives nan here."""
    module = compiled("masked_cross_entropy")
    loss, residuals = module.forward(np.ones((2, 3)), np.array([7, 7]), ignored=7)
    assert loss == 0
    np.testing.assert_array_equal(module.backward(residuals, np.ones_like(loss)).logits, 0)


O = torch.optim
RATE = {"learning_rate": 0.05}
STEPS = [
    ("momentum_step", ["velocity"], RATE | {"momentum": 0.8}, lambda p: O.SGD(p, 0.05, momentum=0.8)),
    ("nesterov_step", ["velocity"], RATE | {"momentum": 0.8}, lambda p: O.SGD(p, 0.05, momentum=0.8, nesterov=True)),
    ("adagrad_step", ["square"], RATE, lambda p: O.Adagrad(p, 0.05)),
    ("rmsprop_step", ["square"], RATE, lambda p: O.RMSprop(p, 0.05)),
    ("adadelta_step", ["square", "change"], {}, O.Adadelta),
    ("adamw_step", ["m", "v"], RATE | {"decay": 0.1}, lambda p: O.AdamW(p, 0.05, weight_decay=0.1)),
    ("adamax_step", ["m", "largest"], RATE, lambda p: O.Adamax(p, 0.05)),
]


@pytest.mark.parametrize(("name", "memory", "options", "make"), STEPS, ids=[name for name, *_ in STEPS])
def test_steps_are_torchs(compiled, rng, name, memory, options, make):
    """Source: torch.optim, five steps with a new gradient each."""
    w, kept = rng.normal(size=7), [np.zeros(7) for _ in memory]
    parameter = torch.nn.Parameter(torch.tensor(w))
    optimiser = make([parameter])
    for step in range(1, 6):
        gradient = rng.normal(size=7)
        parameter.grad = torch.tensor(gradient)
        optimiser.step()
        numbered = {"step": step} if name in ("adamw_step", "adamax_step") else {}
        (w, *kept), _ = compiled(name).forward(w, gradient, *kept, **numbered, **options)
        np.testing.assert_allclose(w, parameter.detach().numpy(), rtol=1e-9)


def test_lion_is_its_program(compiled, rng):
    """Source: Chen et al., program 1, written out."""
    w, gradient, m = rng.normal(size=(3, 6))
    (new_w, new_m), _ = compiled("lion_step").forward(w, gradient, m, learning_rate=0.1, decay=0.2)
    update = np.sign(0.9 * m + 0.1 * gradient)
    np.testing.assert_allclose(new_w, w - 0.1 * (update + 0.2 * w), rtol=1e-12)
    np.testing.assert_allclose(new_m, 0.99 * m + 0.01 * gradient, rtol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_clipping_is_torchs(compiled, rng, scale):
    """Source: torch.nn.utils.clip_grad_norm_."""
    gradient = scale * rng.normal(size=7)
    parameter = torch.nn.Parameter(torch.zeros(7, dtype=torch.float64))
    parameter.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_norm_([parameter], 1.5)
    got, _ = compiled("clip_by_norm").forward(gradient, largest_norm=1.5)
    np.testing.assert_allclose(got, parameter.grad.numpy(), rtol=1e-12)


def test_a_moving_average_is_torchs(compiled, rng):
    """Source: torch.Tensor.lerp."""
    average, w = rng.normal(size=(2, 5))
    got, _ = compiled("moving_average_step").forward(average, w, decay=0.75)
    np.testing.assert_allclose(got, torch.tensor(average).lerp(torch.tensor(w), 0.25).numpy(), rtol=1e-12)
