"""Output sizes: relationships 1 to 15 of Dumoulin and Visin, and the worked examples of cs231n."""

from __future__ import annotations

from itertools import product
from math import floor

import numpy as np
import pytest

EXTENTS, KERNELS, STRIDES, PADDINGS = range(4, 10), range(1, 5), range(1, 4), range(4)


def convolved(compiled, i, k, **options):
    """Extent after a convolution of extent ``i`` with a kernel of extent ``k``."""
    return compiled("conv1d").forward(np.ones((1, 1, i)), np.ones((1, 1, k)), np.zeros(1), **options)[0].shape[2]


def transposed(compiled, i, k, **options):
    """Extent after a transposed convolution."""
    module = compiled("transposed_conv1d")
    return module.forward(np.ones((1, 1, i)), np.ones((1, 1, k)), np.zeros(1), **options)[0].shape[2]


@pytest.mark.parametrize("i", EXTENTS)
@pytest.mark.parametrize("k", KERNELS)
def test_relationships_1_to_4_unit_strides(compiled, i, k):
    """Source: Dumoulin and Visin, relationships 1 (no padding), 2 (padding), 3 (half, odd kernels), 4 (full)."""
    assert convolved(compiled, i, k) == i - k + 1
    for p in PADDINGS:
        assert convolved(compiled, i, k, padding=p) == (i - k) + 2 * p + 1
    if k % 2 == 1:
        assert convolved(compiled, i, k, padding=k // 2) == i
    assert convolved(compiled, i, k, padding=k - 1) == i + (k - 1)


@pytest.mark.parametrize("i", EXTENTS)
@pytest.mark.parametrize("k", KERNELS)
def test_relationships_5_and_6_strides(compiled, i, k):
    """Source: Dumoulin and Visin, relationships 5 (no padding) and 6 (padding), with every remainder."""
    for s in STRIDES:
        assert convolved(compiled, i, k, stride=s) == floor((i - k) / s) + 1
        for p in PADDINGS:
            assert convolved(compiled, i, k, stride=s, padding=p) == floor((i + 2 * p - k) / s) + 1


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool1d_split", "average_pool1d", "average_pool1d_exclude_padding"])
def test_relationship_7_pooling(compiled, name):
    """Source: Dumoulin and Visin, relationship 7."""
    for i, k, s in product(EXTENTS, KERNELS, STRIDES):
        y, _ = compiled(name).forward(np.ones((1, 1, i)), K=k, stride=s)
        assert y.shape == (1, 1, floor((i - k) / s) + 1)


@pytest.mark.parametrize("i", EXTENTS)
@pytest.mark.parametrize("k", KERNELS)
def test_relationships_8_to_11_transposed_unit_strides(compiled, i, k):
    """Source: Dumoulin and Visin, relationships 8 (no padding), 9 (padding), 10 (half), 11 (full), i is i'."""
    assert transposed(compiled, i, k) == i + (k - 1)
    for p in range(k):
        assert transposed(compiled, i, k, padding=p) == i + (k - 1) - 2 * p
    if k % 2 == 1:
        assert transposed(compiled, i, k, padding=k // 2) == i
    assert transposed(compiled, i, k, padding=k - 1) == i - (k - 1)


@pytest.mark.parametrize("i", EXTENTS)
@pytest.mark.parametrize("k", KERNELS)
def test_relationships_12_to_14_transposed_strides_restore_the_extent(compiled, i, k):
    """Source: Dumoulin and Visin, relationships 12 (s divides i - k), 13 (s divides i + 2p - k), 14 (a is the rest)."""
    for s, p in product(STRIDES, range(k)):
        out = convolved(compiled, i, k, stride=s, padding=p)
        a = (i + 2 * p - k) % s
        assert transposed(compiled, out, k, stride=s, padding=p) == s * (out - 1) + k - 2 * p
        assert transposed(compiled, out, k, stride=s, padding=p, output_padding=a) == s * (out - 1) + a + k - 2 * p == i


@pytest.mark.parametrize("i", EXTENTS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_relationship_15_dilation(compiled, i, d):
    """Source: Dumoulin and Visin, relationship 15."""
    for k, s, p in product(range(1, 3), STRIDES, PADDINGS):
        want = floor((i + 2 * p - k - (k - 1) * (d - 1)) / s) + 1
        assert convolved(compiled, i, k, stride=s, padding=p, dilation=d) == want


@pytest.mark.parametrize(
    ("i", "k", "options", "o"),
    [
        pytest.param(4, 3, {}, 2, id="relationship 1"),
        pytest.param(5, 4, {"padding": 2}, 6, id="relationship 2"),
        pytest.param(5, 3, {"padding": 1}, 5, id="relationship 3"),
        pytest.param(5, 3, {"padding": 2}, 7, id="relationship 4"),
        pytest.param(5, 3, {"stride": 2}, 2, id="relationship 5"),
        pytest.param(5, 3, {"stride": 2, "padding": 1}, 3, id="relationship 6, i = 5"),
        pytest.param(6, 3, {"stride": 2, "padding": 1}, 3, id="relationship 6, i = 6"),
        pytest.param(7, 3, {"dilation": 2}, 3, id="relationship 15"),
    ],
)
def test_the_guides_figures(compiled, i, k, options, o):
    """Source: Dumoulin and Visin, the figure of each relationship: i x i images, k x k kernels."""
    y, _ = compiled("conv2d").forward(np.ones((1, 1, i, i)), np.ones((1, 1, k, k)), np.zeros(1), **options)
    assert y.shape == (1, 1, o, o)


@pytest.mark.parametrize(
    ("i", "k", "options", "o"),
    [
        pytest.param(2, 3, {}, 4, id="relationship 8"),
        pytest.param(6, 4, {"padding": 2}, 5, id="relationship 9"),
        pytest.param(5, 3, {"padding": 1}, 5, id="relationship 10"),
        pytest.param(7, 3, {"padding": 2}, 5, id="relationship 11"),
        pytest.param(2, 3, {"stride": 2}, 5, id="relationship 12"),
        pytest.param(3, 3, {"stride": 2, "padding": 1}, 5, id="relationship 13"),
        pytest.param(3, 3, {"stride": 2, "padding": 1, "output_padding": 1}, 6, id="relationship 14"),
    ],
)
def test_the_guides_transposed_figures(compiled, i, k, options, o):
    """Source: Dumoulin and Visin, the figure of each transposed relationship."""
    module = compiled("transposed_conv2d")
    y, _ = module.forward(np.ones((1, 1, i, i)), np.ones((1, 1, k, k)), np.zeros(1), **options)
    assert y.shape == (1, 1, o, o)


def test_the_guides_pooling_figure(compiled):
    """Source: Dumoulin and Visin, 5x5 pooled by 3x3 at unit strides gives 3x3."""
    for name in ("max_pool2d", "average_pool2d"):
        assert compiled(name).forward(np.ones((1, 1, 5, 5)), K=3, stride=1)[0].shape == (1, 1, 3, 3)


def test_cs231n_the_example_in_numpy(compiled, rng):
    """Source: cs231n, convolutional networks: X of shape (11, 11, 4), F = 5, S = 2, V[i, j, k] written out."""
    x, w, b = rng.normal(size=(11, 11, 4)), rng.normal(size=(2, 5, 5, 4)), rng.normal(size=2)
    y, _ = compiled("conv2d").forward(x.transpose(2, 0, 1)[None], w.transpose(0, 3, 1, 2), b, stride=2)
    v = y[0].transpose(1, 2, 0)
    assert v.shape == (4, 4, 2)
    rows, columns = slice(None, 5), slice(None, 5)
    assert v[0, 0, 0] == pytest.approx(np.sum(x[rows, columns] * w[0]) + b[0])
    assert v[1, 0, 0] == pytest.approx(np.sum(x[2:7, columns] * w[0]) + b[0])
    assert v[2, 0, 0] == pytest.approx(np.sum(x[4:9, columns] * w[0]) + b[0])
    assert v[3, 0, 0] == pytest.approx(np.sum(x[6:11, columns] * w[0]) + b[0])
    assert v[0, 0, 1] == pytest.approx(np.sum(x[rows, columns] * w[1]) + b[1])
    assert v[0, 1, 1] == pytest.approx(np.sum(x[rows, 2:7] * w[1]) + b[1])
    assert v[2, 3, 1] == pytest.approx(np.sum(x[4:9, 6:11] * w[1]) + b[1])


def test_cs231n_the_demonstration(compiled):
    """Source: cs231n, convolutional networks: 5x5x3, K = 2, F = 3, S = 2, P = 1 gives 3x3x2."""
    y, _ = compiled("conv2d").forward(np.ones((1, 3, 5, 5)), np.ones((2, 3, 3, 3)), np.zeros(2), stride=2, padding=1)
    assert y.shape == (1, 2, 3, 3)


@pytest.mark.parametrize(
    ("options", "o"),
    [
        ({"stride": 1}, 5),
        ({"stride": 2}, 3),
        ({"stride": 3}, 2),  # (7 - 3) / 3 does not divide: the last row and column are not read
        ({"stride": 1, "padding": 1}, 7),
    ],
    ids=["stride 1", "stride 2", "stride 3, a misfit", "padding 1"],
)
def test_cs231n_seven_by_seven(compiled, options, o):
    """Source: cs231n, lecture 5: a 7x7 input, 3x3 kernels."""
    y, _ = compiled("conv2d").forward(np.ones((1, 1, 7, 7)), np.ones((1, 1, 3, 3)), np.zeros(1), **options)
    assert y.shape == (1, 1, o, o)


def test_cs231n_760_parameters(compiled, rng):
    """Source: cs231n, lecture 5: 32x32x3, ten 5x5 kernels, stride 1, padding 2: 32x32x10 and 760 parameters."""
    module = compiled("conv2d")
    y, residuals = module.forward(np.ones((1, 3, 32, 32)), rng.normal(size=(10, 3, 5, 5)), np.zeros(10), padding=2)
    assert y.shape == (1, 10, 32, 32)
    gradients = module.backward(residuals, np.ones_like(y))
    assert gradients.w.size + gradients.b.size == 760


@pytest.mark.parametrize("k", [2, 3], ids=["F = 2, S = 2", "F = 3, S = 2"])
def test_cs231n_pooling(compiled, k):
    """Source: cs231n, convolutional networks: (W - F) / S + 1, for the two common windows on 7x7 and 8x8."""
    for extent in (7, 8):
        y, _ = compiled("max_pool2d").forward(np.ones((1, 1, extent, extent)), K=k, stride=2)
        assert y.shape == (1, 1, *(2 * [floor((extent - k) / 2) + 1]))


def test_cs231n_im2col(compiled, rng):
    """Source: cs231n, convolution as one matrix product of stretched kernels and stretched windows."""
    x, w = rng.normal(size=(1, 3, 11, 11)), rng.normal(size=(4, 3, 5, 5))
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (5, 5), axis=(1, 2))[:, ::3, ::3]
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(75, 9)
    y, _ = compiled("conv2d").forward(x, w, np.zeros(4), stride=3)
    np.testing.assert_allclose(y[0].reshape(4, 9), w.reshape(4, 75) @ columns, rtol=1e-11, atol=1e-12)
