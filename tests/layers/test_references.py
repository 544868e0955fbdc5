"""What the references of the document say beyond single layers: systems, worked examples and conventions, by name."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, symbols

import symgrad
from symgrad import Layer, compile_layer

from .chains import Stage, backward, forward

N = symbols("N", integer=True, positive=True)
x, y = IndexedBase("x"), IndexedBase("y")


def through(compiled, stages, x, delta):
    """What the stages give, and the gradients: of ``x``, then of the further inputs."""
    value, kept = forward(compiled, stages, x)
    return value, backward(compiled, stages, kept, delta)


# --- Nielsen, Neural Networks and Deep Learning ---------------------------------------------------------------------


def test_nielsen_bp1_to_bp4(compiled, rng):
    """Source: Nielsen, chapter 2, BP1 to BP4: two sigmoid layers under the quadratic cost, in his own matrices."""
    a, target = rng.normal(size=(1, 4)), rng.normal(size=(1, 2))
    w2, b2, w3, b3 = (rng.normal(size=s) for s in [(3, 4), (3,), (2, 3), (2,)])
    stages = [Stage("dense", [w2, b2]), Stage("sigmoid"), Stage("dense", [w3, b3]), Stage("sigmoid")]
    output, _ = forward(compiled, stages, a)
    cost, residuals = compiled("quadratic_cost").forward(output, target)
    nabla = compiled("quadratic_cost").backward(residuals, np.ones_like(cost)).prediction
    _, (_, grad_w2, grad_b2, grad_w3, grad_b3) = through(compiled, stages, a, nabla)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    z2 = w2 @ a[0] + b2
    z3 = w3 @ sigmoid(z2) + b3
    delta3 = (sigmoid(z3) - target[0]) * sigmoid(z3) * (1 - sigmoid(z3))  # BP1
    delta2 = (w3.T @ delta3) * sigmoid(z2) * (1 - sigmoid(z2))  # BP2
    np.testing.assert_allclose(grad_b3, delta3, rtol=1e-11)  # BP3
    np.testing.assert_allclose(grad_b2, delta2, rtol=1e-11)
    np.testing.assert_allclose(grad_w3, np.outer(delta3, sigmoid(z2)), rtol=1e-11)  # BP4
    np.testing.assert_allclose(grad_w2, np.outer(delta2, a[0]), rtol=1e-11)


def test_nielsen_penalties(compiled):
    """Source: Nielsen, chapter 3: dR/dw is lambda w, and lambda sgn(w) with sgn(0) = 0."""
    w = np.array([-2.0, 0.0, 0.5])
    for name, want in (("l2_penalty", 0.3 * w), ("l1_penalty", 0.3 * np.array([-1, 0, 1]))):
        loss, residuals = compiled(name).forward(w, strength=0.3)
        np.testing.assert_allclose(compiled(name).backward(residuals, np.ones_like(loss)).w, want, rtol=1e-12)


def test_nielsen_convolutional_unit(compiled, rng):
    """Source: Nielsen, chapter 6, equation 125: sigma(b + sum_l sum_m w_lm a_{j+l,k+m}), a 5x5 field on 28x28."""
    a, w, b = rng.uniform(size=(28, 28)), rng.normal(size=(5, 5)), rng.normal()
    stages = [Stage("conv2d", [w[None, None], np.array([b])]), Stage("sigmoid2d")]
    got, _ = forward(compiled, stages, a[None, None])
    assert got.shape == (1, 1, 24, 24)
    for j, k in [(0, 0), (3, 17), (23, 23)]:
        z = b + sum(w[l, m] * a[j + l, k + m] for l in range(5) for m in range(5))
        assert got[0, 0, j, k] == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-12)


def test_nielsen_l2_pooling(compiled, rng):
    """Source: Nielsen, chapter 6: the square root of the sum of the squares of the activations in a 2x2 region."""
    a = rng.normal(size=(1, 1, 4, 6))
    got, _ = compiled("lp_pool2d").forward(a)
    want = np.sqrt((a.reshape(2, 2, 3, 2) ** 2).sum(axis=(1, 3)))
    np.testing.assert_allclose(got[0, 0], want, rtol=1e-12)


def test_nielsen_activation_before_or_after_pooling(compiled, rng):
    """Source: Nielsen, chapter 6: an increasing activation may go before or after max pooling."""
    a, delta = rng.normal(size=(1, 2, 4, 4)), rng.normal(size=(1, 2, 2, 2))
    both = [Stage("sigmoid2d"), Stage("max_pool2d")]
    before, first = through(compiled, both, a, delta)
    after, second = through(compiled, both[::-1], a, delta)
    np.testing.assert_allclose(before, after, rtol=1e-14)
    np.testing.assert_allclose(first[0], second[0], rtol=1e-13)


def test_nielsen_max_pooling(compiled, rng):
    """Source: Nielsen, chapter 6: 24x24 units in regions of 2x2 become 12x12, each the largest activation."""
    a, delta = rng.normal(size=(1, 3, 24, 24)), rng.normal(size=(1, 3, 12, 12))
    got, residuals = compiled("max_pool2d").forward(a)
    regions = a.reshape(1, 3, 12, 2, 12, 2)
    np.testing.assert_array_equal(got, regions.max(axis=(3, 5)))
    largest = regions == regions.max(axis=(3, 5), keepdims=True)
    want = (largest * delta[:, :, :, None, :, None]).reshape(a.shape)
    np.testing.assert_array_equal(compiled("max_pool2d").backward(residuals, delta).x, want)


def test_nielsen_rectified_linear_units_and_tanh(compiled, rng):
    """Source: Nielsen, chapter 3: max(0, w x + b), which does not learn at a negative input; tanh(z) is
    2 sigma(2 z) - 1.
    """
    z = rng.normal(size=(2, 5))
    got, residuals = compiled("relu").forward(z)
    np.testing.assert_array_equal(got, np.maximum(0, z))
    np.testing.assert_array_equal(compiled("relu").backward(residuals, np.ones_like(z)).x, z > 0)
    by_sigmoid = 2 * compiled("sigmoid").forward(2 * z)[0] - 1
    np.testing.assert_allclose(compiled("tanh").forward(z)[0], by_sigmoid, rtol=1e-12, atol=1e-15)


def test_nielsen_dropout(compiled, rng):
    """Source: Nielsen, chapter 3: with half of the hidden neurons away, weights into them and out of them stay."""
    x, mask = rng.normal(size=(3, 4)), np.array([[1.0, 0, 1, 0]] * 3)
    w, b, out, c = (rng.normal(size=s) for s in [(4, 4), (4,), (2, 4), (2,)])
    stages = [Stage("dense", [w, b]), Stage("sigmoid"), Stage("dropout", [mask]), Stage("dense", [out, c])]
    _, (_, grad_w, grad_b, grad_out, _) = through(compiled, stages, x, rng.normal(size=(3, 2)))
    gone = mask[0] == 0
    assert not grad_w[gone].any() and not grad_b[gone].any() and not grad_out[:, gone].any()
    assert grad_w[~gone].all() and grad_out[:, ~gone].all()


# --- Goodfellow, Bengio and Courville, Deep Learning ----------------------------------------------------------------


def test_goodfellow_adjoints_of_a_product(compiled, rng):
    """Source: Deep Learning, section 6.5.6: G B^T and A^T G."""
    a, b, g = rng.normal(size=(1, 2, 3)), rng.normal(size=(1, 3, 5)), rng.normal(size=(1, 2, 5))
    found = compiled("batch_matmul").backward(compiled("batch_matmul").forward(a, b)[1], g)
    np.testing.assert_allclose(found.left[0], g[0] @ b[0].T, rtol=1e-12)
    np.testing.assert_allclose(found.right[0], a[0].T @ g[0], rtol=1e-12)


def test_goodfellow_a_shared_input_accumulates(rng):
    """Source: Deep Learning, section 6.5.6: the product of a variable with itself has gradient 2 x, not x."""
    i = Idx("i", N)
    module = compile_layer(Layer("squares", [x[N]], [Eq(symbols("s"), Sum(x[i] * x[i], i))]))
    v = rng.normal(size=5)
    s, residuals = module.forward(v)
    np.testing.assert_allclose(module.backward(residuals, np.ones_like(s)).x, 2 * v, rtol=1e-14)


def test_goodfellow_strided_convolution_and_its_two_gradients(compiled, rng):
    """Source: Deep Learning, equations 9.8, 9.11 (g, for the kernel) and 9.12, 9.13 (h, for the input), written out."""
    v, kernel, s = rng.normal(size=(2, 7, 8)), rng.normal(size=(3, 2, 3, 2)), 2
    module = compiled("conv2d")
    z, residuals = module.forward(v[None], kernel, np.zeros(3), stride=s)
    rows, columns = z.shape[2:]
    want = np.zeros_like(z[0])
    for i, j, k, l, m, n in product(range(3), range(rows), range(columns), range(2), range(3), range(2)):
        want[i, j, k] += v[l, j * s + m, k * s + n] * kernel[i, l, m, n]
    np.testing.assert_allclose(z[0], want, rtol=1e-11)

    g = rng.normal(size=z.shape)
    found = module.backward(residuals, g)
    to_kernel, to_input = np.zeros_like(kernel), np.zeros_like(v)
    for i, m, n, l, j, k in product(range(3), range(rows), range(columns), range(2), range(3), range(2)):
        to_kernel[i, l, j, k] += g[0, i, m, n] * v[l, m * s + j, n * s + k]  # 9.11, the indices of 9.8
    for l, m, q in product(range(2), range(3), range(2)):
        for p, o, i in product(range(rows), range(columns), range(3)):
            to_input[l, p * s + m, o * s + q] += kernel[i, l, m, q] * g[0, i, p, o]  # 9.13
    np.testing.assert_allclose(found.w, to_kernel, rtol=1e-10)
    np.testing.assert_allclose(found.x[0], to_input, rtol=1e-10, atol=1e-13)


def test_goodfellow_convolutional_autoencoder(compiled, rng):
    """Source: Deep Learning, section 9.5: R = h(K, H, s); dE/dK is g(H, E, s) and dE/dH is c(K, E, s)."""
    h, kernel, s = rng.normal(size=(1, 3, 3, 4)), rng.normal(size=(3, 2, 3, 2)), 2
    module = compiled("transposed_conv2d")
    r, residuals = module.forward(h, kernel, np.zeros(2), stride=s)
    e = rng.normal(size=r.shape)
    found = module.backward(residuals, e)
    conv = compiled("conv2d")
    by_c, kept = conv.forward(e, kernel, np.zeros(3), stride=s)
    np.testing.assert_allclose(found.x, by_c, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.w, conv.backward(kept, h).w, rtol=1e-11)
    np.testing.assert_allclose(conv.backward(kept, h).x, r, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("padding", "extent"), [(0, 5), (1, 7), (2, 9)], ids=["valid", "same", "full"])
def test_goodfellow_valid_same_full(compiled, rng, padding, extent):
    """Source: Deep Learning, section 9.5: the three settings of zero padding, for a kernel of 3 on 7 pixels."""
    image, kernel = rng.normal(size=(1, 1, 7)), rng.normal(size=(1, 1, 3))
    got, _ = compiled("true_conv1d").forward(image, kernel, np.zeros(1), padding=padding)
    mode = {5: "valid", 7: "same", 9: "full"}[extent]
    np.testing.assert_allclose(got[0, 0], np.convolve(image[0, 0], kernel[0, 0], mode), rtol=1e-11, atol=1e-13)


def test_goodfellow_tiled_with_one_tile_and_with_as_many_as_windows(compiled, rng):
    """Source: Deep Learning, section 9.5, figure 9.16: t = 1 is a convolution, t = the output is a local layer."""
    image, w, b = rng.normal(size=(1, 2, 5, 4)), rng.normal(size=(3, 3, 3, 2, 3, 2)), rng.normal(size=3)
    one, _ = compiled("tiled_conv2d").forward(image, w[:, :1, :1], b)
    np.testing.assert_allclose(one, compiled("conv2d").forward(image, w[:, 0, 0], b)[0], rtol=1e-11, atol=1e-12)
    local, _ = compiled("locally_connected2d").forward(image, w, np.broadcast_to(b[:, None, None], (3, 3, 3)).copy())
    np.testing.assert_allclose(compiled("tiled_conv2d").forward(image, w, b)[0], local, rtol=1e-11, atol=1e-12)


# --- cs231n, UFLDL --------------------------------------------------------------------------------------------------


def test_cs231n_im2col_by_a_layer(compiled, rng):
    """Source: cs231n, implementation as matrix multiplication: unfold, one product, and back by fold."""
    image, w = rng.normal(size=(1, 3, 7, 8)), rng.normal(size=(4, 3, 3, 3))
    columns, residuals = compiled("unfold2d").forward(image, K=3, stride=2, padding=1)
    product_, kept = compiled("batch_matmul").forward(w.reshape(1, 4, 27), columns)
    want, conv = compiled("conv2d").forward(image, w, np.zeros(4), stride=2, padding=1)
    np.testing.assert_allclose(product_.reshape(want.shape), want, rtol=1e-11, atol=1e-12)
    delta = rng.normal(size=want.shape)
    back = compiled("batch_matmul").backward(kept, delta.reshape(product_.shape))
    grad = compiled("unfold2d").backward(residuals, back.right).x
    np.testing.assert_allclose(grad, compiled("conv2d").backward(conv, delta).x, rtol=1e-11, atol=1e-12)


def test_cs231n_one_by_one_and_local(compiled, rng):
    """Source: cs231n: 1x1 convolutions; a locally connected layer whose kernels are all one is a convolution."""
    image, w, b = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(4, 3)), rng.normal(size=4)
    got, _ = compiled("pointwise_conv2d").forward(image, w, b)
    np.testing.assert_allclose(got, compiled("conv2d").forward(image, w[:, :, None, None], b)[0], rtol=1e-11)
    kernel = rng.normal(size=(4, 3, 3, 2))
    local = np.broadcast_to(kernel[:, None, None], (4, 3, 3, 3, 3, 2)).copy()
    got, _ = compiled("locally_connected2d").forward(image, local, np.zeros((4, 3, 3)))
    np.testing.assert_allclose(got, compiled("conv2d").forward(image, kernel, np.zeros(4))[0], rtol=1e-11, atol=1e-12)


def test_cs231n_dilation(compiled, rng):
    """Source: cs231n: a filter of 3 at dilation 1 (here 2, counted as a step) reads w0 x0 + w1 x2 + w2 x4; two 3x3
    layers, the second dilated, see 7x7.
    """
    x, w = rng.normal(size=(1, 1, 7)), rng.normal(size=(1, 1, 3))
    got, _ = compiled("conv1d").forward(x, w, np.zeros(1), dilation=2)
    np.testing.assert_allclose(got[0, 0], [w[0, 0] @ x[0, 0, i : i + 5 : 2] for i in range(3)], rtol=1e-12)
    kernel, none, image = np.ones((1, 1, 3, 3)), np.zeros(1), rng.normal(size=(1, 1, 9, 9))
    stages = [Stage("conv2d", [kernel, none]), Stage("conv2d", [kernel, none], {"dilation": 2})]
    delta = np.zeros((1, 1, 3, 3))
    delta[0, 0, 0, 0] = 1
    seen = through(compiled, stages, image, delta)[1][0][0, 0] != 0
    assert seen[:7, :7].all() and seen.sum() == 49


def test_dumoulin_and_visin_groups(compiled, rng):
    """Source: Dumoulin and Visin, grouped convolution: groups side by side; as many as channels are depthwise."""
    x, w, b = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(4, 2, 3, 2)), rng.normal(size=4)
    got, _ = compiled("grouped_conv2d").forward(x, w, b, groups=2)
    parts = [compiled("conv2d").forward(x[:, s], w[s], b[s])[0] for s in (slice(0, 2), slice(2, 4))]
    np.testing.assert_allclose(got, np.concatenate(parts, 1), rtol=1e-11, atol=1e-12)
    single = rng.normal(size=(4, 1, 3, 2))
    got, _ = compiled("grouped_conv2d").forward(x, single, b, groups=4)
    want, _ = compiled("depthwise_conv2d").forward(x, single[:, 0], b)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["dense", "conv1d", "softmax_cross_entropy", "max_pool1d", "rms_norm"])
def test_cs231n_and_ufldl_gradient_checks(name):
    """Source: cs231n, gradient checks (relative error over the maximum, in double precision, kinks left out), UFLDL,
    gradient checking (eps = 1e-4, four digits), Deep Learning, section 11.5 (complex step, random projections)."""
    report = symgrad.check_layer(symgrad.layers.get(name), cases=2)
    assert report.ok, str(report)
    text = str(report)
    for said in ("gradient by central difference", "gradient by complex step", "adjoint identity"):
        assert said in text


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "layer_norm", "log_softmax"])
def test_ufldl_differences_agree_to_four_digits(compiled, rng, name):
    """Source: UFLDL, gradient checking: (J(t + eps) - J(t - eps)) / 2 eps per coordinate, eps = 1e-4."""
    module, point = compiled(name), rng.normal(size=(2, 3))
    further = [np.ones(3), np.zeros(3)] if name == "layer_norm" else []
    y, residuals = module.forward(point, *further)
    weights = rng.normal(size=y.shape)
    gradient = module.backward(residuals, weights).x
    for place in np.ndindex(*point.shape):
        step = np.zeros_like(point)
        step[place] = 1e-4
        up, down = (float((weights * module.forward(point + s * step, *further)[0]).sum()) for s in (1, -1))
        assert (up - down) / 2e-4 == pytest.approx(gradient[place], rel=1e-4, abs=1e-9)


def test_ufldl_delta_through_mean_pooling(compiled, rng):
    """Source: UFLDL, convolutional network: delta = upsample(W^T delta) * f', then valid convolution."""
    image, w, wd = rng.normal(size=(1, 1, 6, 6)), rng.normal(size=(1, 1, 3, 3)), rng.normal(size=(2, 4))
    convolution = [Stage("conv2d", [w, np.zeros(1)]), Stage("sigmoid2d"), Stage("average_pool2d")]
    stages = [*convolution, Stage("flatten"), Stage("dense", [wd, np.zeros(2)])]
    delta = rng.normal(size=(1, 2))
    _, (grad_x, grad_w, _, grad_wd, _) = through(compiled, stages, image, delta)
    z, _ = compiled("conv2d").forward(image, w, np.zeros(1))
    a = 1 / (1 + np.exp(-z[0, 0]))
    inner = np.kron((wd.T @ delta[0]).reshape(2, 2), np.ones((2, 2))) / 4 * a * (1 - a)
    want = np.array([[np.sum(inner * image[0, 0, p : p + 4, q : q + 4]) for q in range(3)] for p in range(3)])
    np.testing.assert_allclose(grad_w[0, 0], want, rtol=1e-10)
    np.testing.assert_allclose(grad_wd, np.outer(delta[0], a.reshape(2, 2, 2, 2).mean(axis=(1, 3)).ravel()), rtol=1e-10)
    padded = np.pad(inner, 2)
    full = np.array([[np.sum(w[0, 0, ::-1, ::-1] * padded[p : p + 3, q : q + 3]) for q in range(6)] for p in range(6)])
    np.testing.assert_allclose(grad_x[0, 0], full, rtol=1e-10, atol=1e-14)


# --- Intel DAAL, neural-network layers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_pool2d_zero_padding", "average_pool2d_zero_padding"])
def test_daal_pooling_sizes(compiled, name):
    """Source: Intel DAAL: ceil((n + 2 p - k) / s) + 1."""
    for n, k, s, p in product((4, 5, 7), (2, 3), (1, 2, 3), (0, 1)):
        out, _ = compiled(name).forward(np.ones((1, 1, n, n)), K=k, stride=s, padding=p)
        assert out.shape[2] == -(-(n + 2 * p - k) // s) + 1


def test_daal_maximum_pads_with_zeros_and_the_first_wins(compiled):
    """Source: Intel DAAL: a window of negative numbers at the border has the maximum 0; of equal values the first."""
    image = np.array([[[[-1.0, -2], [-3, -4]]]])
    module = compiled("max_pool2d_zero_padding")
    out, residuals = module.forward(image, K=2, stride=2, padding=1)
    np.testing.assert_array_equal(out, np.zeros((1, 1, 2, 2)))
    np.testing.assert_array_equal(module.backward(residuals, np.ones((1, 1, 2, 2))).x, np.zeros((1, 1, 2, 2)))
    out, residuals = module.forward(np.full((1, 1, 2, 2), 5.0), K=2, stride=2)
    np.testing.assert_array_equal(module.backward(residuals, np.ones((1, 1, 1, 1))).x, [[[[1, 0], [0, 0]]]])


def test_daal_average_always_divides_by_the_window(compiled):
    """Source: Intel DAAL: the divisor is k1 k2, with padding and with a window cut short."""
    out, _ = compiled("average_pool2d_zero_padding").forward(np.ones((1, 1, 3, 3)), K=2, stride=2, padding=0)
    np.testing.assert_array_equal(out[0, 0], [[1, 0.5], [0.5, 0.25]])


@pytest.mark.parametrize("size", [4, 5])
def test_daal_lrn_window(compiled, rng, size):
    """Source: Intel DAAL: channels c - (n - floor(n/2) - 1) .. c + floor(n/2); backward the window is mirrored."""
    image, delta = rng.normal(size=(1, 7, 1, 1)), rng.normal(size=(1, 7, 1, 1))
    module, options = compiled("local_response_norm2d"), {"alpha": 0.3, "beta": 0.75, "kappa": 2.0, "size": size}
    out, residuals = module.forward(image, **options)
    below, above = size - size // 2 - 1, size // 2
    v, g = image[0, :, 0, 0], delta[0, :, 0, 0]
    near = [[k for k in range(c - below, c + above + 1) if 0 <= k < 7] for c in range(7)]
    level = np.array([2 + 0.3 * sum(v[k] ** 2 for k in ks) for ks in near])
    np.testing.assert_allclose(out[0, :, 0, 0], v * level**-0.75, rtol=1e-12)
    mirrored = [[k for k in range(c - above, c + below + 1) if 0 <= k < 7] for c in range(7)]
    want = [
        g[c] * level[c] ** -0.75 - 2 * 0.3 * 0.75 * v[c] * sum(g[k] * v[k] * level[k] ** -1.75 for k in ks)
        for c, ks in enumerate(mirrored)
    ]
    np.testing.assert_allclose(module.backward(residuals, delta).x[0, :, 0, 0], want, rtol=1e-10)


def test_daal_batch_normalisation_divides_by_one_less(compiled, rng):
    """Source: Intel DAAL: the variance of the batch over M - 1."""
    batch = rng.normal(size=(5, 2))
    out, _ = compiled("batch_norm_unbiased").forward(batch, np.ones(2), np.zeros(2), epsilon=0.0)
    np.testing.assert_allclose(out.var(axis=0, ddof=1), 1, rtol=1e-12)


def test_daal_split_adds_up_the_gradients_of_its_copies(rng):
    """Source: Intel DAAL, split layer: every output is the input, its gradient the sum of theirs."""
    i, a, b = Idx("i", N), IndexedBase("a"), IndexedBase("b")
    module = compile_layer(Layer("copies", [x[N]], [Eq(a[i], x[i]), Eq(b[i], x[i])], outputs=[a, b]))
    first, second = rng.normal(size=(2, 4))
    _, residuals = module.forward(np.zeros(4))
    np.testing.assert_allclose(module.backward(residuals, first, second).x, first + second, rtol=1e-15)


def test_daal_smooth_relu_and_logistic_cross(compiled, rng):
    """Source: Intel DAAL: smoothrelu log(1 + exp(x)); loss logistic_cross on probabilities from logits."""
    z, t = rng.normal(size=(3, 1)), rng.integers(0, 2, size=(3, 1)).astype(float)
    np.testing.assert_allclose(compiled("softplus").forward(z)[0], np.log1p(np.exp(z)), rtol=1e-12)
    p = 1 / (1 + np.exp(-z))
    want = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert compiled("sigmoid_cross_entropy").forward(z, t)[0] == pytest.approx(want, rel=1e-12)
