"""Attention, positions and lookups against torch: one row a layer. Source: the functions that a row calls."""

from __future__ import annotations

import pytest

from .rows import Row, chosen, every, given, normal, uniform, whole

torch = pytest.importorskip("torch")
f = torch.nn.functional
attention = f.scaled_dot_product_attention

SHARED = [normal(2, 3, 5), normal(2, 4, 5), normal(2, 4, 2)]
SELF = [normal(2, 4, 3), normal(2, 4, 3), normal(2, 4, 5)]


def lags(extent):
    """How far behind position t position s lies."""
    return torch.arange(extent)[:, None] - torch.arange(extent)


def windowed(q, k, v):
    near = (lags(4) >= 0) & (lags(4) < 2)
    return attention(q, k, v, attn_mask=near)


def masked(q, k, v, mask):
    return torch.nan_to_num(attention(q, k, v, attn_mask=mask > 0)) * (mask.sum(2, keepdim=True) > 0)


def alibi(q, k, v):
    slopes = 2.0 ** (-8 * torch.arange(1, 4, dtype=torch.float64) / 3)
    bias = -slopes[:, None, None] * lags(4)
    return attention(q, k, v, attn_mask=bias.masked_fill(lags(4) < 0, -torch.inf))


def grouped(q, k, v):
    n, g, r, t, d = q.shape
    return attention(q.reshape(n, g * r, t, d), k, v, enable_gqa=True).reshape(n, g, r, t, -1)


def multi_head(x, w_query, w_key, w_value, w_out):
    m = x.shape[2]
    (weights := [w.reshape(-1, m) for w in (w_query, w_key, w_value)])
    got, _ = f.multi_head_attention_forward(
        x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1), m, w_query.shape[0], torch.cat(weights), None, None,
        None, False, 0.0, w_out.reshape(m, -1), None,
    )  # fmt: skip
    return got.transpose(0, 1)


def additive(q, k, v, w_query, w_key, score):
    hidden = torch.tanh((q @ w_query.T)[:, :, None] + (k @ w_key.T)[:, None])
    return torch.softmax(hidden @ score, 2) @ v


def linear(q, k, v):
    weights = (f.elu(q) + 1) @ (f.elu(k) + 1).transpose(1, 2)
    return weights / weights.sum(2, keepdim=True) @ v


def causal_linear(q, k, v):
    weights = ((f.elu(q) + 1) @ (f.elu(k) + 1).transpose(1, 2)).tril()
    return weights / weights.sum(2, keepdim=True) @ v


def turned(pairs, base):
    """Complex numbers (N, T, D), turned by their position."""
    d = pairs.shape[2]
    angle = torch.arange(pairs.shape[1])[:, None] * base ** (-torch.arange(d, dtype=torch.float64) / d)
    return pairs * torch.polar(torch.ones_like(angle), angle)


def rotary(x, base=10000.0):
    return torch.view_as_real(turned(torch.view_as_complex(x.unflatten(2, (-1, 2)).contiguous()), base)).flatten(2)


def rotary_halves(x):
    out = turned(torch.complex(*x.chunk(2, 2)), 10000.0)
    return torch.cat([out.real, out.imag], 2)


def sinusoidal(x):
    ones = torch.ones(1, x.shape[1], x.shape[2] // 2, dtype=torch.complex128)
    waves = turned(ones, 10000.0)
    return x + torch.stack([waves.imag, waves.real], 3).flatten(2)


def fourier(x, w):
    angle = 2 * torch.pi * x @ w.T
    return angle.cos(), angle.sin()


def bag(mode):
    def oracle(table, ids, lengths):
        parts = [f.embedding(row[:length], table) for row, length in zip(ids, lengths, strict=True)]
        return torch.stack([p.sum(0) / (max(len(p), 1) if mode == "mean" else 1) for p in parts])

    return oracle


def segments(x, ids):
    return torch.zeros(5, x.shape[1], dtype=x.dtype).index_add(0, ids, x)


def segment_means(x, ids):
    return segments(x, ids) / torch.bincount(ids, minlength=5).clamp(min=1)[:, None]


def graph(x, w, source, target):
    brought = torch.zeros(4, w.shape[0], dtype=x.dtype).index_add(0, target, (x @ w.T)[source])
    return brought / torch.bincount(target, minlength=4).clamp(min=1)[:, None]


def nearest(x, codebook):
    chosen = codebook[torch.cdist(x, codebook).argmin(1)]
    return x + (chosen - x).detach() + 0 * codebook.sum()


BAG = [normal(7, 3), whole(7, 4, 5), given([5, 0, 2, 3])]
EDGES = [given([0, 1, 2, 2, 0]), given([1, 1, 0, 3, 1])]

ROWS = [
    Row("dot_product_attention", SHARED, attention, large="value"),
    Row("causal_attention", SELF, lambda q, k, v: attention(q, k, v, is_causal=True)),
    Row("sliding_window_attention", SELF, windowed, {"window": 2}),
    Row("masked_attention", [*SHARED, chosen([0, 1, 1], 2, 3, 4)], masked),
    Row("masked_attention", [*SHARED, given([[[0.0] * 4, [1, 0, 1, 0], [0, 0, 0, 1]]] * 2)], masked),
    Row("biased_attention", [*SHARED, normal(3, 4)], lambda q, k, v, b: attention(q, k, v, attn_mask=b), large="bias"),
    Row("alibi_attention", [normal(2, 3, 4, 5), normal(2, 3, 4, 5), normal(2, 3, 4, 2)], alibi),
    Row("grouped_query_attention", [normal(2, 2, 3, 4, 5), normal(2, 2, 6, 5), normal(2, 2, 6, 7)], grouped),
    Row("multi_head_attention", [normal(2, 5, 6), *(normal(3, 2, 6) for _ in range(3)), normal(6, 3, 2)], multi_head),
    Row("additive_attention", [*SHARED[:2], SHARED[2], normal(3, 5), normal(3, 5), normal(3)], additive),
    Row("linear_attention", SHARED, linear),
    Row("causal_linear_attention", SELF, causal_linear),
    Row("attention_pooling", [normal(2, 5, 3), normal(3)],
        lambda x, v: (torch.softmax(x @ v, 1)[:, None] @ x)[:, 0]),
    Row("rotary_embedding", [normal(2, 5, 6)], rotary),
    Row("rotary_embedding", [normal(2, 5, 6)], lambda x: rotary(x, 100.0), {"base": 100.0}),
    Row("rotary_embedding_halves", [normal(2, 5, 6)], rotary_halves),
    Row("sinusoidal_positions", [normal(2, 5, 6)], sinusoidal),
    Row("learned_positions", [normal(2, 4, 3), normal(7, 3)], lambda x, table: x + table[:4]),
    Row("fourier_features", [normal(4, 2), normal(3, 2)], fourier),
    Row("embedding", [normal(7, 3), whole(7, 2, 5)], lambda table, ids: f.embedding(ids, table)),
    Row("embedding_bag", BAG, bag("sum")),
    Row("embedding_bag_mean", BAG, bag("mean")),
    Row("weighted_embedding_bag", [normal(7, 3), whole(7, 4, 5), normal(4, 5)],
        lambda table, ids, w: f.embedding_bag(ids, table, mode="sum", per_sample_weights=w)),
    Row("take_along", [normal(3, 5), whole(5, 3, 4)], lambda x, positions: x.gather(1, positions)),
    Row("segment_sum", [normal(6, 3), given([4, 0, 4, 1, 0, 4])], segments, {"R": 5}),
    Row("segment_mean", [normal(6, 3), given([4, 0, 4, 1, 0, 4])], segment_means, {"R": 5}),
    Row("graph_convolution", [normal(4, 2), normal(3, 2), *EDGES], graph),
    Row("vector_quantisation", [normal(5, 2), uniform(-1, 1, 3, 2)], nearest),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


@every([row for row in ROWS if row.large])
def test_numbers_of_ten_thousand_in_float32(agree_in_single, rng, row):
    agree_in_single(row, rng)
