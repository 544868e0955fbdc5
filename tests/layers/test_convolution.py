"""Convolutions against torch and SciPy, and the equations of the document and of UFLDL."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import convolve, convolve2d, correlate2d

GEOMETRIES = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"padding": 2, "stride": 2},
    {"stride": 3, "padding": 1},
    {"dilation": 2, "padding": 1},
    {"stride": 2, "padding": 3, "dilation": 2},
]


def describe(options: dict[str, int]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items()) or "plain"


def geometry(*options: dict[str, int]):
    return pytest.mark.parametrize("options", options or GEOMETRIES, ids=describe)


@geometry()
def test_conv1d_is_torch_conv1d(agree, rng, options):
    """Source: torch.nn.functional.conv1d."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 3, 8)), rng.normal(size=(5, 3, 3)), rng.normal(size=5)]
    agree("conv1d", arrays, lambda x, w, b: torch.nn.functional.conv1d(x, w, b, **options), **options)


@geometry()
def test_conv2d_is_torch_conv2d(agree, rng, options):
    """Source: torch.nn.functional.conv2d."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)]
    agree("conv2d", arrays, lambda x, w, b: torch.nn.functional.conv2d(x, w, b, **options), **options)


@geometry({}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2, "stride": 2})
def test_conv3d_is_torch_conv3d(agree, rng, options):
    """Source: torch.nn.functional.conv3d."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(1, 2, 3, 4, 5)), rng.normal(size=(2, 2, 2, 1, 3)), rng.normal(size=2)]
    agree("conv3d", arrays, lambda x, w, b: torch.nn.functional.conv3d(x, w, b, **options), **options)


@geometry({}, {"groups": 2}, {"groups": 3, "stride": 2, "padding": 1}, {"groups": 6, "dilation": 2, "padding": 2})
def test_grouped_conv1d_is_torch_conv1d_with_groups(agree, rng, options):
    """Source: torch.nn.functional.conv1d, groups."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 6, 7)), rng.normal(size=(12, 6 // options.get("groups", 1), 3)), rng.normal(size=12)]
    agree("grouped_conv1d", arrays, lambda x, w, b: torch.nn.functional.conv1d(x, w, b, **options), **options)


@geometry({}, {"groups": 2}, {"groups": 2, "stride": 2, "padding": 1}, {"groups": 4, "dilation": 2, "padding": 2})
def test_grouped_conv2d_is_torch_conv2d_with_groups(agree, rng, options):
    """Source: torch.nn.functional.conv2d, groups."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(8, 4 // options.get("groups", 1), 3, 2))]
    arrays.append(rng.normal(size=8))
    agree("grouped_conv2d", arrays, lambda x, w, b: torch.nn.functional.conv2d(x, w, b, **options), **options)


@geometry({"groups": 2}, {"groups": 2, "stride": 2, "padding": 1, "dilation": 2})
def test_grouped_conv3d_is_torch_conv3d_with_groups(agree, rng, options):
    """Source: torch.nn.functional.conv3d, groups."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(1, 4, 3, 4, 5)), rng.normal(size=(2, 2, 2, 1, 3)), rng.normal(size=2)]
    agree("grouped_conv3d", arrays, lambda x, w, b: torch.nn.functional.conv3d(x, w, b, **options), **options)


@geometry()
def test_depthwise_conv2d_is_torch_conv2d_with_a_group_for_every_channel(agree, rng, options):
    """Source: torch.nn.functional.conv2d, groups = channels."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(3, 3, 2)), rng.normal(size=3)]
    agree(
        "depthwise_conv2d",
        arrays,
        lambda x, w, b: torch.nn.functional.conv2d(x, w[:, None], b, groups=3, **options),
        **options,
    )


def test_separable_convolution_is_depthwise_and_then_one_by_one(compiled, rng):
    """Source: Dumoulin and Visin, depthwise separable: a kernel that is an outer product of the two."""
    x, depthwise, pointwise = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(3, 3, 2)), rng.normal(size=(4, 3))
    inner, _ = compiled("depthwise_conv2d").forward(x, depthwise, np.zeros(3), padding=1)
    got, _ = compiled("conv2d").forward(inner, pointwise[:, :, None, None], np.zeros(4))
    kernel = pointwise[:, :, None, None] * depthwise
    np.testing.assert_allclose(got, compiled("conv2d").forward(x, kernel, np.zeros(4), padding=1)[0], rtol=1e-11)


@geometry({}, {"stride": 2}, {"padding": 2, "stride": 3}, {"padding": 1})
def test_true_conv1d_is_torch_conv1d_with_the_kernel_flipped(agree, rng, options):
    """Source: torch.nn.functional.conv1d with w.flip."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 3, 8)), rng.normal(size=(5, 3, 3)), rng.normal(size=5)]
    agree("true_conv1d", arrays, lambda x, w, b: torch.nn.functional.conv1d(x, w.flip(2), b, **options), **options)


@geometry({}, {"stride": 2}, {"padding": 2, "stride": 3}, {"padding": 1})
def test_true_conv2d_is_torch_conv2d_with_the_kernel_flipped(agree, rng, options):
    """Source: torch.nn.functional.conv2d with w.flip."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)]
    agree("true_conv2d", arrays, lambda x, w, b: torch.nn.functional.conv2d(x, w.flip(2, 3), b, **options), **options)


@pytest.mark.parametrize(("mode", "padding"), [("valid", 0), ("full", 2)])
def test_true_convolution_is_scipys(compiled, rng, mode, padding):
    """Source: scipy.signal.convolve and convolve2d, modes valid and full."""
    x, w = rng.normal(size=(1, 1, 6, 7)), rng.normal(size=(1, 1, 3, 3))
    got, _ = compiled("true_conv2d").forward(x, w, np.zeros(1), padding=padding)
    np.testing.assert_allclose(got[0, 0], convolve2d(x[0, 0], w[0, 0], mode), rtol=1e-11, atol=1e-12)
    got, _ = compiled("true_conv1d").forward(x[:, :, 0], w[:, :, 0], np.zeros(1), padding=padding)
    np.testing.assert_allclose(got[0, 0], convolve(x[0, 0, 0], w[0, 0, 0], mode), rtol=1e-11, atol=1e-12)


TRANSPOSED = [
    {},
    {"padding": 1},
    {"stride": 2},
    {"stride": 2, "output_padding": 1},
    {"stride": 3, "padding": 1, "output_padding": 2},
]


@geometry(*TRANSPOSED)
def test_transposed_conv1d_is_torch_conv_transpose1d(agree, rng, options):
    """Source: torch.nn.functional.conv_transpose1d."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 2, 3)), rng.normal(size=2)]
    agree(
        "transposed_conv1d", arrays, lambda x, w, b: torch.nn.functional.conv_transpose1d(x, w, b, **options), **options
    )


@geometry(*TRANSPOSED)
def test_transposed_conv2d_is_torch_conv_transpose2d(agree, rng, options):
    """Source: torch.nn.functional.conv_transpose2d."""
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(1, 2, 3, 4)), rng.normal(size=(2, 3, 3, 2)), rng.normal(size=3)]
    agree(
        "transposed_conv2d", arrays, lambda x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, **options), **options
    )


def test_the_transposed_convolution_is_the_transposed_matrix(compiled, rng):
    """Source: Dumoulin and Visin, convolution as a matrix C, and its transpose."""
    w = rng.normal(size=(2, 1, 3))  # one channel in, two out; the same array with the channels' roles exchanged
    options = {"stride": 2, "padding": 1}
    basis = np.eye(6)[:, None]
    matrix = compiled("conv1d").forward(basis, w, np.zeros(2), **options)[0].reshape(6, -1).T
    extent = matrix.shape[0] // 2
    basis = np.eye(2 * extent).reshape(2 * extent, 2, extent)
    transposed, _ = compiled("transposed_conv1d").forward(basis, w, np.zeros(1), output_padding=1, **options)
    np.testing.assert_allclose(transposed[:, 0].T, matrix.T, rtol=1e-12, atol=1e-14)


def test_gradients_are_the_documents_equations(compiled, rng):
    """Source: the document, convolution, (1) full correlation with the flipped kernel, (2) X_c * delta_k, (3) sums."""
    x, w, b, delta = (rng.normal(size=s) for s in [(1, 2, 6, 5), (3, 2, 3, 2), (3,), (1, 3, 4, 4)])
    module = compiled("conv2d")
    gradients = module.backward(module.forward(x, w, b)[1], delta)
    for c in range(2):
        full = sum(correlate2d(delta[0, k], np.flipud(np.fliplr(w[k, c])), "full") for k in range(3))
        np.testing.assert_allclose(gradients.x[0, c], full, rtol=1e-11, atol=1e-12)
        for k in range(3):
            np.testing.assert_allclose(gradients.w[k, c], correlate2d(x[0, c], delta[0, k], "valid"), rtol=1e-11)
    np.testing.assert_allclose(gradients.b, delta.sum(axis=(0, 2, 3)), rtol=1e-12)


def test_gradients_are_ufldls_to_its_own_measure(compiled, rng):
    """Source: UFLDL, convolutional network: conv2 with rot90 kernels, ||n - g|| / ||n + g|| < 1e-9."""
    x, w, delta = rng.normal(size=(1, 1, 6, 6)), rng.normal(size=(1, 1, 3, 3)), rng.normal(size=(1, 1, 4, 4))
    module = compiled("conv2d")
    gradients = module.backward(module.forward(x, w, np.zeros(1))[1], delta)
    kernel = convolve2d(x[0, 0], np.rot90(delta[0, 0], 2), "valid")
    image = convolve2d(delta[0, 0], w[0, 0], "full")
    for got, want in [(gradients.w[0, 0], kernel), (gradients.x[0, 0], image)]:
        assert np.linalg.norm(want - got) / np.linalg.norm(want + got) < 1e-9


def test_inputs_that_no_window_reads_get_exactly_zero(compiled, rng):
    """Source: cs231n lecture 5, 7x7 with a 3x3 kernel at stride 3 does not fit: the last row and column are left."""
    module = compiled("conv2d")
    y, residuals = module.forward(rng.normal(size=(1, 1, 7, 7)), rng.normal(size=(1, 1, 3, 3)), np.zeros(1), stride=3)
    gradients = module.backward(residuals, rng.normal(size=y.shape))
    assert y.shape == (1, 1, 2, 2)
    assert not gradients.x[0, 0, 6].any() and not gradients.x[0, 0, :, 6].any()
    assert gradients.x[0, 0, :6, :6].all()


@pytest.mark.parametrize("name", ["grouped_conv1d", "grouped_conv2d", "grouped_conv3d"])
def test_groups_that_do_not_divide_the_channels_are_refused(compiled, name):
    """Source: the declaration: the weights' first extent is groups times a whole number."""
    rank = int(name[-2])
    arrays = [np.ones((1, 6) + (4,) * rank), np.ones((5, 3) + (2,) * rank), np.ones(5)]
    with pytest.raises(ValueError, match="w"):
        compiled(name).forward(*arrays, groups=2)
