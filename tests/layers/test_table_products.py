"""Norms, contractions and gates over channels against torch: a row a layer. Source: the functions it calls."""

from __future__ import annotations

import numpy as np
import pytest

from .rows import Row, every, normal, uniform

torch = pytest.importorskip("torch")
f = torch.nn.functional
IMAGES = [normal(2, 3, 5, 4)]


def group_norm(x, gamma, beta):
    return f.group_norm(x, 3, gamma, beta)


def adaptive(x, scale, shift):
    return scale[:, :, None, None] * f.instance_norm(x) + shift[:, :, None, None]


def spectral(x, w, left, right):
    return f.linear(x, w / (left @ w @ right))


def local_contrast(x, kernel):
    def mean(z):
        return f.conv2d(z, kernel[None], padding=(1, 2))

    centred = x - mean(x)
    deviation = mean(centred**2).sqrt()
    return centred / torch.maximum(deviation, deviation.mean((2, 3), keepdim=True))


def unbiased(x, gamma, beta):
    return gamma * (x - x.mean(0)) / torch.sqrt(x.var(0) + 1e-5) + beta


def weight_norm(x, direction, length, b):
    # Not by torch._weight_norm, whose second derivative is none.
    return f.linear(x, length[:, None] * f.normalize(direction), b)


def factorization(x, linear, factors):
    pairs = torch.triu(torch.einsum("nm,md,nq,qd->nmq", x, factors, x, factors), 1)
    return x @ linear + pairs.sum((1, 2))


def experts(x, w_gate, w, b):
    each = torch.einsum("ekm,nm->nek", w, x) + b
    return torch.einsum("ne,nek->nk", torch.softmax(x @ w_gate.T, 1), each)


def switch(x, w_gate, w, b):
    gates, chosen = torch.softmax(x @ w_gate.T, 1).max(1)
    return gates[:, None] * (torch.einsum("nkm,nm->nk", w[chosen], x) + b[chosen])


def squeeze_excite(x, w_down, b_down, w_up, b_up):
    gate = torch.sigmoid(f.linear(torch.relu(f.linear(x.mean((2, 3)), w_down, b_down)), w_up, b_up))
    return gate[:, :, None, None] * x


ROWS = [
    Row("group_norm", [normal(2, 6, 5), normal(6), normal(6)], group_norm, {"G": 3}),
    Row("instance_norm2d", [*IMAGES, normal(3), normal(3)], lambda x, g, b: f.instance_norm(x, weight=g, bias=b)),
    Row("adaptive_instance_norm2d", [*IMAGES, normal(2, 3), normal(2, 3)], adaptive),
    Row("rms_norm", [normal(4, 7), normal(7)], lambda x, g: f.rms_norm(x, (7,), g, 1e-6)),
    Row("l2_normalise", [normal(4, 7)], f.normalize),
    Row("cosine_similarity", [normal(4, 7), normal(4, 7)], f.cosine_similarity),
    Row("weight_norm_dense", [normal(4, 3), normal(5, 3), normal(5), normal(5)], weight_norm),
    Row("spectral_norm_dense", [normal(4, 3), normal(5, 3), normal(5), normal(3)], spectral),
    Row("local_response_norm2d", [normal(2, 7, 3, 4)],
        lambda x: f.local_response_norm(x, 5, alpha=5 * 0.3, beta=0.75, k=2.0), {"alpha": 0.3}),
    Row("local_contrast_norm2d", [*IMAGES, uniform(0.01, 0.1, 3, 3, 5)], local_contrast),
    Row("batch_norm_unbiased", [normal(6, 3), normal(3), normal(3)], unbiased),
    Row("bilinear", [normal(4, 3), normal(4, 2), normal(5, 3, 2), normal(5)], f.bilinear),
    Row("batch_matmul", [normal(2, 3, 4), normal(2, 4, 5)], torch.bmm),
    Row("low_rank_dense", [normal(4, 5), normal(2, 5), normal(3, 2), normal(3)],
        lambda x, down, up, b: f.linear(x, up @ down, b)),
    Row("cp_contraction", [normal(4, 3, 5), normal(2, 3), normal(2, 5), normal(7, 2)],
        lambda x, a, b, c: torch.einsum("ndm,rd,rm,kr->nk", x, a, b, c)),
    Row("tucker_contraction", [normal(4, 3, 5), normal(2, 3, 4), normal(2, 3), normal(3, 5), normal(7, 4)],
        lambda x, core, a, b, c: torch.einsum("ndm,abs,ad,bm,ks->nk", x, core, a, b, c)),
    Row("factorization_machine", [normal(4, 5), normal(5), normal(5, 3)], factorization),
    Row("pairwise_distance", [normal(4, 3), normal(5, 3)], lambda a, b: torch.cdist(a, b) ** 2),
    Row("radial_basis", [normal(4, 3), normal(5, 3), uniform(0.5, 2, 5)],
        lambda x, c, s: torch.exp(-((torch.cdist(x, c) / s) ** 2))),
    Row("mixture_of_experts", [normal(5, 3), normal(4, 3), normal(4, 2, 3), normal(4, 2)], experts),
    Row("switch_experts", [normal(5, 3), normal(4, 3), normal(4, 2, 3), normal(4, 2)], switch),
    Row("squeeze_excite2d", [*IMAGES, normal(2, 3), normal(2), normal(3, 2), normal(3)], squeeze_excite),
    Row("feature_modulation2d", [*IMAGES, normal(2, 3), normal(2, 3)],
        lambda x, scale, shift: scale[:, :, None, None] * x + shift[:, :, None, None]),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


@pytest.mark.parametrize("name", ["l2_normalise", "cosine_similarity"])
def test_a_vector_of_zeros_has_no_direction(compiled, name):
    """Source: part of every rule for norms: sqrt(0) must not reach the gradient as nan."""
    module = compiled(name)
    arrays = [np.zeros((2, 3))] if name == "l2_normalise" else [np.zeros((2, 3)), np.ones((2, 3))]
    y, residuals = module.forward(*arrays)
    np.testing.assert_array_equal(y, np.zeros_like(y))
    assert all(np.isfinite(g).all() for g in module.backward(residuals, np.ones_like(y)))
