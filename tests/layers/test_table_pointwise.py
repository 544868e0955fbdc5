"""Activations, gates and softmaxes against torch: one row a layer. Source: the functions that a row calls."""

from __future__ import annotations

import pytest

from .rows import Row, chosen, every, normal, uniform

torch = pytest.importorskip("torch")
f = torch.nn.functional
X = [normal(4, 6, scale=3)]


def halves(x):
    return x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]


def gumbel(x, noise):
    return torch.softmax((x - torch.log(-torch.log(noise))) / 0.5, 1)


def masked_softmax(x, mask):
    return torch.nan_to_num(torch.softmax(x.masked_fill(mask == 0, -torch.inf), 1))


def highway(x, w, b, w_gate, b_gate):
    gate = torch.sigmoid(f.linear(x, w_gate, b_gate))
    return gate * torch.relu(f.linear(x, w, b)) + (1 - gate) * x


HIGHWAY = [normal(4, 3), normal(3, 3), normal(3), normal(3, 3), normal(3)]
HALF = {"low": -0.5, "high": 2.0}

ROWS = [
    Row("hard_tanh", X, f.hardtanh, large="x"),
    Row("hard_tanh", X, lambda x: f.hardtanh(x, -0.5, 2.0), HALF),
    Row("relu6", [normal(4, 6, scale=6)], f.relu6, large="x"),
    Row("hard_sigmoid", X, lambda x: f.relu6(x + 3) / 6, large="x"),
    Row("hard_swish", X, f.hardswish, large="x"),
    Row("threshold", X, lambda x: f.threshold(x, 0.5, -2.0), {"threshold": 0.5, "value": -2.0}),
    Row("soft_sign", X, f.softsign, large="x"),
    Row("soft_shrink", X, f.softshrink, large="x"),
    Row("soft_shrink", X, lambda x: f.softshrink(x, 1.5), {"reach": 1.5}),
    Row("hard_shrink", X, f.hardshrink, large="x"),
    Row("tanh_shrink", X, f.tanhshrink, large="x"),
    Row("selu", X, f.selu, large="x"),
    Row("celu", X, lambda x: f.celu(x, 0.5), {"alpha": 0.5}, large="x"),
    Row("mish", X, f.mish, large="x"),
    Row("log_sigmoid", X, f.logsigmoid, large="x"),
    Row("swish", X, f.silu, large="x"),
    Row("swish", X, lambda x: x * torch.sigmoid(1.7 * x), {"beta": 1.7}),
    Row("scaled_tanh", X, lambda x: 1.7159 * torch.tanh(2 / 3 * x), large="x"),
    Row("squareplus", X, lambda x: (x + torch.sqrt(x * x + 4)) / 2),
    Row("sine", X, lambda x: torch.sin(2 * x), {"frequency": 2.0}),
    Row("gaussian", X, lambda x: torch.exp(-x * x), large="x"),
    Row("glu", [normal(4, 6)], f.glu, large="x"),
    Row("reglu", [normal(4, 6)], lambda x: torch.relu(halves(x)[0]) * halves(x)[1]),
    Row("geglu", [normal(4, 6)], lambda x: f.gelu(halves(x)[0]) * halves(x)[1]),
    Row("swiglu", [normal(4, 6)], lambda x: f.silu(halves(x)[0]) * halves(x)[1]),
    Row("bilinear_glu", [normal(4, 6)], lambda x: halves(x)[0] * halves(x)[1]),
    Row("prelu", [normal(2, 3, 5), normal(3)], f.prelu),
    Row("maxout", [normal(4, 3), normal(5, 2, 3), normal(5, 2)],
        lambda x, w, b: (torch.einsum("nd,kmd->nkm", x, w) + b).amax(2)),
    Row("highway", HIGHWAY, highway),
    Row("softmax_axis", [normal(2, 5, 3)], lambda x: torch.softmax(x, 1), large="x"),
    Row("log_softmax_axis", [normal(2, 5, 3)], lambda x: torch.log_softmax(x, 1), large="x"),
    Row("softmin", X, lambda x: f.softmin(x, 1), large="x"),
    Row("temperature_softmax", X, lambda x: torch.softmax(x / 2.5, 1), {"temperature": 2.5}, large="x"),
    Row("gumbel_softmax", [normal(4, 6), uniform(0.1, 0.9, 4, 6)], gumbel, {"temperature": 0.5}),
    Row("masked_softmax", [normal(4, 6), chosen([0, 1], 4, 6)], masked_softmax, large="x"),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


@every([row for row in ROWS if row.large])
def test_numbers_of_ten_thousand_in_float32(agree_in_single, rng, row):
    agree_in_single(row, rng)
