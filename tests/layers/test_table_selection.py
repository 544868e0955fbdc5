"""Reductions over an axis, selections, updates by number and alignments against torch: a row a layer."""

from __future__ import annotations

import numpy as np
import pytest

from .rows import Row, every, given, normal, uniform, whole

torch = pytest.importorskip("torch")
f = torch.nn.functional
CUBE, ROWS_OF = [normal(3, 5, 2)], [normal(4, 6)]
NUMBERS = given([[0, 2, 2], [5, 5, 5], [1, 0, 4], [3, 2, 1]])
ONCE = given([[0, 2, 5], [5, 1, 3], [1, 0, 4], [3, 2, 1]])
ALIGNED = [given([[1, 2, 2], [3, 3, 1], [4, 1, 2], [1, 1, 1]]), given([9, 7, 8, 9]), given([3, 2, 1, 0])]


def aligned(blank):
    def oracle(logits, labels, steps, lengths):
        scores = logits.log_softmax(-1).transpose(0, 1)
        return f.ctc_loss(scores, labels, steps, lengths, blank, reduction="none")

    return oracle


def depth_to_space(x, b=2):
    n, c, h, w = x.shape
    return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


def space_to_depth(x, b=2):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def mean_variance(x):
    centred = x - x.mean((0, 2, 3), keepdim=True)
    return centred / (centred.pow(2).mean((0, 2, 3), keepdim=True).sqrt() + 1e-9)


def shrunk(x):
    return torch.where(x < -0.4, x + 0.3, torch.where(x > 0.4, x - 0.3, 0 * x))


ROWS = [
    Row("sum_axis", CUBE, lambda x: x.sum(1)),
    Row("mean_axis", CUBE, lambda x: x.mean(1)),
    Row("product_axis", CUBE, lambda x: x.prod(1)),
    Row("product_axis", [given([[[2.0, 0], [0, 3], [5, 7]]])], lambda x: x.prod(1)),
    Row("max_axis", CUBE, lambda x: x.max(1).values),
    Row("min_axis", CUBE, lambda x: x.min(1).values),
    Row("l1_axis", CUBE, lambda x: x.abs().sum(1)),
    Row("l2_axis", CUBE, lambda x: x.norm(dim=1)),
    Row("l2_axis", [given([[[0.0, 1], [0, 2]]])], lambda x: x.norm(dim=1)),
    Row("sum_square_axis", CUBE, lambda x: x.square().sum(1)),
    Row("log_sum_axis", [uniform(0.1, 2, 3, 5, 2)], lambda x: x.sum(1).log()),
    Row("log_sum_exp_axis", CUBE, lambda x: x.logsumexp(1), large="x"),
    Row("hardmax", ROWS_OF, lambda x: f.one_hot(x.argmax(1), 6).double() + 0 * x),
    Row("top_1", ROWS_OF, lambda x: x.topk(1).values[:, 0]),
    Row("scatter_add", [*ROWS_OF, NUMBERS, normal(4, 3)], lambda x, p, u: x.scatter_add(1, p, u)),
    Row("scatter_along", [*ROWS_OF, ONCE, normal(4, 3)], lambda x, p, u: x.scatter(1, p, u)),
    *(Row("lower_triangle", [normal(2, 4, 5)], lambda x, d=d: x.tril(d), {"diagonal": d}) for d in (0, -2, 1, 9)),
    *(Row("upper_triangle", [normal(2, 4, 5)], lambda x, d=d: x.triu(d), {"diagonal": d}) for d in (0, -2, 1, 9)),
    Row("depth_to_space", [normal(2, 12, 3, 4)], depth_to_space),
    Row("space_to_depth", [normal(2, 3, 6, 4)], space_to_depth),
    Row("clip", ROWS_OF, lambda x: x.clamp(-0.6, 0.7), {"low": -0.6, "high": 0.7}, large="x"),
    Row("shrink", ROWS_OF, shrunk, {"reach": 0.4, "bias": 0.3}, large="x"),
    Row("mean_variance_norm2d", [normal(2, 3, 4, 5)], mean_variance),
    Row("l1_normalise", ROWS_OF, lambda x: f.normalize(x, 1), large="x"),
    Row("connectionist_loss", [normal(4, 9, 5), *ALIGNED], aligned(0)),
    Row("connectionist_loss", [normal(4, 9, 5), given([[1, 2, 2], [0, 0, 1], [4, 1, 2], [1, 1, 1]]), *ALIGNED[1:]],
        aligned(3), {"blank": 3}),
    Row("connectionist_loss", [normal(2, 60, 4, scale=30), whole(3, 2, 9), given([60, 60]), given([9, 8])], aligned(3),
        {"blank": 3}),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


@every([row for row in ROWS if row.large])
def test_large_numbers_in_single_precision(agree_in_single, rng, row):
    agree_in_single(row, rng)


def test_a_one_hot_code(compiled):
    y, _ = compiled("one_hot").forward(np.array([2, 0, 7, -1]), R=3, off=-1.0, on=4.0)
    np.testing.assert_array_equal(y, [[-1, -1, 4], [4, -1, -1], [-1] * 3, [-1] * 3])


def test_labels_that_no_alignment_has_cost_a_great_deal(compiled):
    """Two equal labels need a blank between them, so three steps."""
    y, residuals = compiled("connectionist_loss").forward(
        np.zeros((1, 2, 3)), np.array([[1, 1]]), np.array([2]), np.array([2])
    )
    assert y[0] > 1e29
    assert np.isfinite(compiled("connectionist_loss").backward(residuals, np.ones(1)).logits).all()
