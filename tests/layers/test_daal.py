"""The neural-network layers of Intel DAAL, one by one: forward as its reference writes it, backward as well.

Conventions of pooling, of normalisation and of the split layer are in test_references.py.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from .written_out import confirmed, sigmoid

ACTIVATIONS = {
    "absolute": (np.abs, np.sign, "abs"),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x)), "elu"),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)), "logistic"),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, "relu"),
    "softplus": (lambda x: np.log1p(np.exp(x)), sigmoid, "smoothrelu"),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2, "tanh"),
}


@pytest.mark.parametrize("name", ACTIVATIONS, ids=[entry[2] for entry in ACTIVATIONS.values()])
def test_activations(compiled, rng, name):
    """Source: Intel DAAL, layers abs, elu, logistic, relu, smoothrelu and tanh: value and slope."""
    function, slope, _ = ACTIVATIONS[name]
    x, delta = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    y, residuals = compiled(name).forward(x)
    np.testing.assert_allclose(y, function(x), rtol=1e-13)
    np.testing.assert_allclose(compiled(name).backward(residuals, delta).x, delta * slope(x), rtol=1e-12)


def test_prelu(compiled, rng):
    """Source: Intel DAAL, layer prelu: x where above 0, w x elsewhere; the gradient of w is the sum of g x there."""
    x, w, delta = rng.normal(size=(2, 3, 4)), rng.normal(size=3), rng.normal(size=(2, 3, 4))
    y, residuals = compiled("prelu").forward(x, w)
    np.testing.assert_allclose(y, np.where(x > 0, x, w[:, None] * x), rtol=1e-14)
    found = compiled("prelu").backward(residuals, delta)
    np.testing.assert_allclose(found.x, delta * np.where(x > 0, 1, w[:, None]), rtol=1e-13)
    np.testing.assert_allclose(found.slope, (delta * x * (x <= 0)).sum((0, 2)), rtol=1e-12)


def test_softmax_over_any_dimension(compiled, rng):
    """Source: Intel DAAL, layer softmax: y = exp(x) / sum exp(x) over dimension k; z = y (g - sum g y)."""
    x, g = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    y, residuals = compiled("softmax_axis").forward(x)
    want = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    np.testing.assert_allclose(y, want, rtol=1e-13)
    back = want * (g - (g * want).sum(1, keepdims=True))
    np.testing.assert_allclose(compiled("softmax_axis").backward(residuals, g).x, back, rtol=1e-11, atol=1e-14)


def test_softmax_cross_entropy(compiled, rng):
    """Source: Intel DAAL, loss softmax_cross: E = -1/K sum log p_k, gradient (s - [label]) / K."""
    x, labels = rng.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    loss, residuals = compiled("softmax_cross_entropy").forward(x, labels)
    assert loss == pytest.approx(-np.log(p[np.arange(5), labels]).mean(), rel=1e-12)
    found = compiled("softmax_cross_entropy").backward(residuals, np.ones_like(loss)).logits
    np.testing.assert_allclose(found, (p - np.eye(4)[labels]) / 5, rtol=1e-11, atol=1e-14)


def test_fully_connected(compiled, rng):
    """Source: Intel DAAL, layer fullyconnected: y_ik = sum_j x_ij w_kj + b_k; gradients g w, g^T x and sums of g."""
    x, w, b, g = (rng.normal(size=s) for s in [(3, 4), (2, 4), (2,), (3, 2)])
    y, residuals = compiled("dense").forward(x, w, b)
    np.testing.assert_allclose(y, x @ w.T + b, rtol=1e-12)
    for got, want in zip(compiled("dense").backward(residuals, g), (g @ w, g.T @ x, g.sum(0)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_dropout_in_training_and_in_prediction(compiled, rng):
    """Source: Intel DAAL, layer dropout: x mask / r, r the share that stays, backward g mask / r; x in prediction."""
    x, g = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    mask = (rng.uniform(size=(3, 4)) < 0.6) * 1.0
    y, residuals = compiled("dropout").forward(x, mask, rate=0.4)
    np.testing.assert_allclose(y, x * mask / 0.6, rtol=1e-14)
    np.testing.assert_allclose(compiled("dropout").backward(residuals, g).x, g * mask / 0.6, rtol=1e-14)
    np.testing.assert_array_equal(compiled("dropout").forward(x, np.ones_like(x), rate=0.0)[0], x)


# --- structure ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(3, 2), (3, 2, 4)], ids=["two", "three"])
def test_concat(compiled, rng, sizes):
    """Source: Intel DAAL, layer concat: the inputs along one dimension; every one gets its part of the gradient."""
    parts = [rng.normal(size=(2, s)) for s in sizes]
    module = compiled("concat" if len(sizes) == 2 else "concat3")
    y, residuals = module.forward(*parts)
    np.testing.assert_array_equal(y, np.concatenate(parts, 1))
    g = rng.normal(size=y.shape)
    for got, want in zip(module.backward(residuals, g), np.split(g, np.cumsum(sizes)[:-1], axis=1), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("alpha", [(0.5, -2.0), (0.5, -2.0, 3.0)], ids=["two", "three"])
def test_eltwise_sum_with_coefficients(compiled, rng, alpha):
    """Source: Intel DAAL, layer eltwise_sum: y = sum alpha_k x_k, and alpha_k g goes back to x_k."""
    parts, g = [rng.normal(size=(2, 4)) for _ in alpha], rng.normal(size=(2, 4))
    module = compiled("weighted_sum" if len(alpha) == 2 else "weighted_sum3")
    scales = dict(zip(("first_scale", "second_scale", "third_scale"), alpha, strict=False))
    y, residuals = module.forward(*parts, **scales)
    np.testing.assert_allclose(y, sum(a * x for a, x in zip(alpha, parts, strict=True)), rtol=1e-13)
    for got, a in zip(module.backward(residuals, g), alpha, strict=True):
        np.testing.assert_allclose(got, a * g, rtol=1e-14)


def test_eltwise_sum_of_more_than_three_in_steps(compiled, rng):
    """Source: Intel DAAL, layer eltwise_sum, for five inputs: a sum of three, then of that and the two others."""
    parts, g = [rng.normal(size=(2, 4)) for _ in range(5)], rng.normal(size=(2, 4))
    module = compiled("weighted_sum3")
    some, inner = module.forward(*parts[:3], third_scale=2.0)
    y, outer = module.forward(some, *parts[3:], third_scale=-1.0)
    np.testing.assert_allclose(y, parts[0] + parts[1] + 2 * parts[2] + parts[3] - parts[4], rtol=1e-13)
    first, fourth, fifth = module.backward(outer, g)
    found = [*module.backward(inner, first), fourth, fifth]
    for got, scale in zip(found, (1, 1, 2, 1, -1), strict=True):
        np.testing.assert_allclose(got, scale * g, rtol=1e-14)


def test_reshape_there_and_back(compiled, rng):
    """Source: Intel DAAL, layer reshape: the same values in another shape, and the gradient in the first one."""
    x, g = rng.normal(size=(2, 60)), rng.normal(size=(2, 3, 5, 4))
    y, residuals = compiled("unflatten").forward(x, H=5, W=4)
    np.testing.assert_array_equal(y, x.reshape(2, 3, 5, 4))
    np.testing.assert_array_equal(compiled("unflatten").backward(residuals, g).x, g.reshape(2, 60))
    np.testing.assert_array_equal(compiled("flatten").forward(y)[0], x)


# --- convolutions ---------------------------------------------------------------------------------------------------


def test_convolution_in_groups(compiled, rng):
    """Source: Intel DAAL, layer convolution2d with nGroups: group q of the kernels reads channels of group q."""
    x, w, b = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(6, 2, 3, 2)), rng.normal(size=6)
    module = compiled("grouped_conv2d")
    y, residuals = module.forward(x, w, b, groups=2, stride=2, padding=1)
    g, padded = rng.normal(size=y.shape), np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    want, to_x, to_w = np.zeros_like(y), np.zeros_like(padded), np.zeros_like(w)
    for k, c, i, j, u, v in product(range(6), range(2), range(3), range(4), range(3), range(2)):
        read = (slice(None), 2 * (k // 3) + c, 2 * i + u, 2 * j + v)
        want[:, k, i, j] += padded[read] * w[k, c, u, v]
        to_x[read] += g[:, k, i, j] * w[k, c, u, v]
        to_w[k, c, u, v] += (g[:, k, i, j] * padded[read]).sum()
    np.testing.assert_allclose(y, want + b[:, None, None], rtol=1e-10, atol=1e-12)
    found = module.backward(residuals, g)
    np.testing.assert_allclose(found.x, to_x[:, :, 1:-1, 1:-1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.w, to_w, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.b, g.sum((0, 2, 3)), rtol=1e-11)


def test_locally_connected(compiled, rng):
    """Source: Intel DAAL, layer locallyconnected2d: a kernel for every window, here with stride 2 and padding 1."""
    x, w, b = rng.normal(size=(2, 2, 4, 5)), rng.normal(size=(3, 2, 3, 2, 3, 3)), rng.normal(size=(3, 2, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    module = compiled("locally_connected2d")
    y, residuals = module.forward(x, w, b, stride=2, padding=1)
    g, want, to_w = rng.normal(size=y.shape), np.zeros_like(y), np.zeros_like(w)
    for i, j in product(range(2), range(3)):
        window = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        want[:, :, i, j] = np.einsum("ncuv,kcuv->nk", window, w[:, i, j]) + b[:, i, j]
        to_w[:, i, j] = np.einsum("nk,ncuv->kcuv", g[:, :, i, j], window)
    np.testing.assert_allclose(y, want, rtol=1e-11, atol=1e-12)
    found = module.backward(residuals, g)
    np.testing.assert_allclose(found.w, to_w, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.b, g.sum(0), rtol=1e-12)


def test_transposed_convolution(compiled, rng):
    """Source: Intel DAAL, layer transposed_conv2d: every value spreads its kernel; backward is the convolution."""
    x, w = rng.normal(size=(1, 2, 3, 4)), rng.normal(size=(2, 3, 3, 2))
    module = compiled("transposed_conv2d")
    y, residuals = module.forward(x, w, np.zeros(3), stride=2)
    want, g = np.zeros_like(y), rng.normal(size=y.shape)
    for i, j in product(range(3), range(4)):
        want[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 2] += np.einsum("nc,ckuv->nkuv", x[:, :, i, j], w)
    np.testing.assert_allclose(y, want, rtol=1e-11, atol=1e-12)
    by_convolution, _ = compiled("conv2d").forward(g, w, np.zeros(2), stride=2)
    np.testing.assert_allclose(module.backward(residuals, g).x, by_convolution, rtol=1e-11, atol=1e-12)


# --- normalisation --------------------------------------------------------------------------------------------------


def test_local_contrast_normalisation(compiled, rng):
    """Source: Intel DAAL, layer lcn: x4 = x - w * x, sigma = sqrt(w * x4^2), c = mean sigma, y = x4 / max(sigma, c),
    the convolution over channels and zeros beyond the border; gradient by complex step.
    """
    kernel = rng.uniform(1, 2, size=(2, 3, 3))
    kernel /= kernel.sum()

    def around(x):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        places = product(range(3), range(3))
        return sum(np.einsum("c,ncij->nij", kernel[:, u, v], padded[:, :, u : u + 5, v : v + 4]) for u, v in places)

    def reference(x):
        centred = x - around(x)[:, None]
        sigma = np.sqrt(around(centred**2))
        mean = sigma.mean((1, 2), keepdims=True)
        return centred / np.where(sigma.real > mean.real, sigma, mean)[:, None]

    x = rng.normal(size=(2, 2, 5, 4))
    module = compiled("local_contrast_norm2d")
    y, residuals = module.forward(x, kernel)
    np.testing.assert_allclose(y, reference(x), rtol=1e-12, atol=1e-13)
    delta, want = rng.normal(size=y.shape), np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        moved = x.astype(complex)
        moved[place] += 1e-150j
        want[place] = (delta * reference(moved)).sum().imag / 1e-150
    np.testing.assert_allclose(module.backward(residuals, delta).x, want, rtol=1e-9, atol=1e-11)


def test_batch_normalisation(compiled, rng):
    """Source: Intel DAAL, layer batch_normalization: mean and variance over M - 1, through which the gradient goes."""

    def reference(x, gamma, beta):
        centred = x - x.mean(0)
        return gamma * centred / np.sqrt((centred**2).sum(0) / (len(x) - 1) + 1e-5) + beta

    arrays = [rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3)]
    confirmed(compiled("batch_norm_unbiased"), arrays, reference, rng)


# --- pooling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_pooling(compiled, rng, kind, rank):
    """Source: Intel DAAL, layers maximum_pooling and average_pooling 1d, 2d, 3d: zeros around, sizes rounded up, the
    first maximum wins, the divisor is the size of the kernel.
    """
    shape, K, s, p = (6, 5, 7)[:rank], 3, 2, 1
    x = rng.normal(size=(2, 2, *shape))
    module = compiled(f"{kind}_pool{rank}d_zero_padding")
    y, residuals = module.forward(x, K=K, stride=s, padding=p)
    assert y.shape[2:] == tuple(-(-(n + 2 * p - K) // s) + 1 for n in shape)
    g = rng.normal(size=y.shape)
    padded = np.pad(x, ((0, 0), (0, 0), *[(p, p + s)] * rank))
    back = np.zeros_like(padded)
    for place in np.ndindex(*y.shape):
        window = (*place[:2], *(slice(s * i, s * i + K) for i in place[2:]))
        if kind == "average":
            assert y[place] == pytest.approx(padded[window].sum() / K**rank, rel=1e-12)
            back[window] += g[place] / K**rank
        else:
            assert y[place] == padded[window].max()
            best = np.unravel_index(padded[window].argmax(), (K,) * rank)
            back[(*place[:2], *(s * i + o for i, o in zip(place[2:], best, strict=True)))] += g[place]
    inside = (slice(None), slice(None), *(slice(p, p + n) for n in shape))
    np.testing.assert_allclose(module.backward(residuals, g).x, back[inside], rtol=1e-12, atol=1e-14)


def drawn(x, u):
    """Positions in windows by probability: the first where the running share reaches the uniform number."""
    share = np.cumsum(x, -1) / x.sum(-1, keepdims=True)
    return np.minimum((share < u[..., None]).sum(-1), x.shape[-1] - 1)


def test_stochastic_pooling_in_training(compiled, rng):
    """Source: Intel DAAL, layer stochastic_pooling2d, training (Zeiler and Fergus): p_i = x_i / sum x, one position is
    drawn by p, forward copies its value and backward its gradient.
    """
    x, u = rng.uniform(size=(2, 3, 4, 6)), rng.uniform(size=(2, 3, 2, 3))
    windows = x.reshape(2, 3, 2, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5).reshape(2, 3, 2, 3, 4)
    choice = drawn(windows, u)
    y, residuals = compiled("stochastic_pool2d").forward(x, choice)
    np.testing.assert_array_equal(y, np.take_along_axis(windows, choice[..., None], -1)[..., 0])
    g, want = rng.normal(size=y.shape), np.zeros_like(x)
    for n, c, i, j in np.ndindex(*y.shape):
        want[n, c, 2 * i + choice[n, c, i, j] // 2, 2 * j + choice[n, c, i, j] % 2] = g[n, c, i, j]
    np.testing.assert_array_equal(compiled("stochastic_pool2d").backward(residuals, g).x, want)


def test_stochastic_pooling_in_prediction_is_the_mean_of_many_draws(compiled, rng):
    """Source: Intel DAAL, layer stochastic_pooling2d, prediction (Zeiler and Fergus, equation 6): sum p_i x_i; the mean
    over draws comes near it, and the gradient is (2 x_i - y) / sum x.
    """
    x = rng.uniform(size=(1, 1, 2, 2))
    y, residuals = compiled("stochastic_pool2d_mean").forward(x)
    assert y[0, 0, 0, 0] == pytest.approx((x**2).sum() / x.sum(), rel=1e-13)
    many = np.broadcast_to(x, (20000, 1, 2, 2)).copy()
    choice = drawn(many.reshape(20000, 1, 1, 1, 4), rng.uniform(size=(20000, 1, 1, 1)))
    assert compiled("stochastic_pool2d").forward(many, choice)[0].mean() == pytest.approx(y[0, 0, 0, 0], abs=0.01)
    found = compiled("stochastic_pool2d_mean").backward(residuals, np.ones_like(y)).x
    np.testing.assert_allclose(found, (2 * x - y) / x.sum(), rtol=1e-12)


LEVELS = {"whole": 1, "halves": 2, "quarters": 4}


def cells(extent, count):
    return [(i * extent // count, -(-(i + 1) * extent // count)) for i in range(count)]


def spatial(x, value):
    """``value`` of every window of every level."""
    n, c, h, w = x.shape
    outputs = []
    for count in LEVELS.values():
        out = np.zeros((n, c, count, count))
        for (i, rows), (j, columns) in product(enumerate(cells(h, count)), enumerate(cells(w, count))):
            out[:, :, i, j] = value(x[:, :, slice(*rows), slice(*columns)].reshape(n, c, -1))
        outputs.append(out)
    return outputs


SPATIAL = {
    "spatial_pyramid_pool2d": lambda v: v.max(-1),
    "spatial_pyramid_average_pool2d": lambda v: v.mean(-1),
    "spatial_pyramid_stochastic_mean2d": lambda v: (v**2).sum(-1) / v.sum(-1),
}


@pytest.mark.parametrize("name", SPATIAL)
def test_spatial_pooling(compiled, rng, name):
    """Source: Intel DAAL, layers spatial_maximum, spatial_average and spatial_stochastic_pooling2d (prediction)."""
    x = rng.uniform(size=(2, 3, 7, 6))
    outputs, _ = compiled(name).forward(x)
    for got, want in zip(outputs, spatial(x, SPATIAL[name]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_spatial_stochastic_pooling_in_training(compiled, rng):
    """Source: Intel DAAL, layer spatial_stochastic_pooling2d, training: a pixel of every window, drawn by probability;
    its gradient goes back to it, and windows that drew the same pixel add up.
    """
    x = rng.uniform(size=(2, 3, 7, 6))
    choices, want = [], []
    for count in LEVELS.values():
        choice = np.zeros((2, 3, count, count), int)
        for (i, (top, bottom)), (j, (left, right)) in product(enumerate(cells(7, count)), enumerate(cells(6, count))):
            places = drawn(x[:, :, top:bottom, left:right].reshape(2, 3, -1), rng.uniform(size=(2, 3)))
            choice[:, :, i, j] = (top + places // (right - left)) * 6 + left + places % (right - left)
        choices.append(choice)
        want.append(np.take_along_axis(x.reshape(2, 3, -1), choice.reshape(2, 3, -1), 2).reshape(choice.shape))
    module = compiled("spatial_pyramid_stochastic_pool2d")
    outputs, residuals = module.forward(x, *choices)
    back, deltas = np.zeros((6, 42)), [rng.normal(size=y.shape) for y in outputs]
    for got, value, choice, delta in zip(outputs, want, choices, deltas, strict=True):
        np.testing.assert_array_equal(got, value)
        np.add.at(back, (np.arange(6)[:, None], choice.reshape(6, -1)), delta.reshape(6, -1))
    np.testing.assert_allclose(module.backward(residuals, *deltas).x, back.reshape(x.shape), rtol=1e-12, atol=1e-15)
