"""Normalisation of groups, instances, windows, rows and weights.

Batch and layer normalisation are in `normalisation`.
"""

from sympy import Idx, Sum, Symbol, sqrt, symbols

from symgrad import Layer, Padded
from symgrad.layers.equation import Eq, Max, floor
from symgrad.layers.symbols import C, H, K, M, N, R, S, W, b, c, k, m, n, tensors, w, x, y

G, L = symbols("G L", integer=True, positive=True)
size = symbols("size", integer=True, positive=True)
epsilon, alpha, beta_, kappa = symbols("epsilon alpha beta kappa", real=True, nonnegative=True)
gamma, beta, mean, variance, deviation = tensors("gamma beta mean variance deviation")
centred, level, norm, left, right = tensors("centred level norm left right")
direction, length, kernel, scale, shift = tensors("direction length kernel scale shift")
i, j, l, g, p, q, j_ = Idx("i", H), Idx("j", W), Idx("l", L), Idx("g", G), Idx("p", H), Idx("q", W), Idx("j", M)  # noqa: E741
sigma = Symbol("sigma")
o = Idx("k", G * C)
ABOUT_EPSILON = "epsilon: added to the variance."

group_norm = Layer(
    "group_norm",
    inputs=[x[N, G * C, L], gamma[G * C], beta[G * C]],
    equations=[
        Eq(mean[n, g], Sum(x[n, g * C + c, l], c, l) / (C * L)),
        Eq(variance[n, g], Sum((x[n, g * C + c, l] - mean[n, g]) ** 2, c, l) / (C * L)),
        Eq(
            y[n, o, l],
            gamma[o] * (x[n, o, l] - mean[n, floor(o / C)]) / sqrt(variance[n, floor(o / C)] + epsilon) + beta[o],
        ),
    ],
    attributes={G: 1, epsilon: 1e-5},
    typical={N: 16, C: 16, L: 1024, G: 4},
    doc=f"""
    Group normalisation: groups of channels of every sample, each by its own mean and variance.

    x (N, G C, L): images go in as x.reshape(N, G * C, -1); gamma (G C,) scales, beta (G C,) shifts; y as x.
    G: how many groups; 1 is layer normalisation over everything.
    {ABOUT_EPSILON}
    Source: Wu and He, Group normalization, section 3.1.
    """,
)

instance_norm2d = Layer(
    "instance_norm2d",
    inputs=[x[N, C, H, W], gamma[C], beta[C]],
    equations=[
        Eq(mean[n, c], Sum(x[n, c, i, j], i, j) / (H * W)),
        Eq(variance[n, c], Sum((x[n, c, i, j] - mean[n, c]) ** 2, i, j) / (H * W)),
        Eq(y[n, c, i, j], gamma[c] * (x[n, c, i, j] - mean[n, c]) / sqrt(variance[n, c] + epsilon) + beta[c]),
    ],
    attributes={epsilon: 1e-5},
    typical={N: 16, C: 64, H: 32, W: 32},
    doc=f"""
    Instance normalisation: every channel of every image by its own mean and variance.

    x (N, C, H, W), gamma (C,) scales, beta (C,) shifts; y as x.
    {ABOUT_EPSILON}
    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, section 2.
    """,
)

adaptive_instance_norm2d = Layer(
    "adaptive_instance_norm2d",
    inputs=[x[N, C, H, W], scale[N, C], shift[N, C]],
    equations=[
        Eq(mean[n, c], Sum(x[n, c, i, j], i, j) / (H * W)),
        Eq(variance[n, c], Sum((x[n, c, i, j] - mean[n, c]) ** 2, i, j) / (H * W)),
        Eq(
            y[n, c, i, j],
            scale[n, c] * (x[n, c, i, j] - mean[n, c]) / sqrt(variance[n, c] + epsilon) + shift[n, c],
        ),
    ],
    attributes={epsilon: 1e-5},
    typical={N: 16, C: 64, H: 32, W: 32},
    doc=f"""
    Adaptive instance normalisation: mean and deviation of every channel come from a style.

    x (N, C, H, W), scale (N, C) and shift (N, C) of the style; y as x.
    {ABOUT_EPSILON}
    Source: Huang and Belongie, Arbitrary style transfer in real-time with adaptive instance normalization, equation 8.
    """,
)

rms_norm = Layer(
    "rms_norm",
    inputs=[x[N, M], gamma[M]],
    equations=[Eq(y[n, m], gamma[m] * x[n, m] / sqrt(Sum(x[n, j_] ** 2, j_) / M + epsilon))],
    attributes={epsilon: 1e-6},
    typical={N: 4096, M: 768},
    doc="""
    Root-mean-square normalisation: every sample by the root of the mean square of its features.

    x (N, M), gamma (M,) scales; y (N, M). epsilon: added to the mean square.
    Source: Zhang and Sennrich, Root mean square layer normalization, equation 4.
    """,
)

l2_normalise = Layer(
    "l2_normalise",
    inputs=[x[N, M]],
    equations=[Eq(y[n, m], x[n, m] / Max(sqrt(Sum(x[n, j_] ** 2, j_)), epsilon))],
    attributes={epsilon: 1e-12},
    typical={N: 4096, M: 768},
    doc="""
    Rows of length 1.

    x (N, M); y (N, M). epsilon: the least length that is divided by, so that a row of zeros stays one, with a gradient.
    Source: torch.nn.functional.normalize.
    """,
)

cosine_similarity = Layer(
    "cosine_similarity",
    inputs=[left[N, M], right[N, M]],
    equations=[
        Eq(
            y[n],
            Sum(left[n, m] * right[n, m], m)
            / (Max(sqrt(Sum(left[n, m] ** 2, m)), epsilon) * Max(sqrt(Sum(right[n, m] ** 2, m)), epsilon)),
        )
    ],
    attributes={epsilon: 1e-8},
    typical={N: 4096, M: 768},
    doc="""
    Cosine of the angle between rows.

    left (N, M), right (N, M); y (N,). epsilon: the least length that is divided by.
    Source: torch.nn.functional.cosine_similarity.
    """,
)

weight_norm_dense = Layer(
    "weight_norm_dense",
    inputs=[x[N, M], direction[K, M], length[K], b[K]],
    equations=[
        Eq(norm[k], sqrt(Sum(direction[k, m] ** 2, m))),
        Eq(y[n, k], length[k] * Sum(x[n, m] * direction[k, m], m) / norm[k] + b[k]),
    ],
    outputs=[y],
    typical={N: 256, M: 1024, K: 1024},
    doc="""
    Fully connected layer whose weights are a length times a direction.

    x (N, M), direction (K, M), of any length but 0, length (K,), b (K,) biases; y (N, K).
    Source: Salimans and Kingma, Weight normalization, equation 2.
    """,
)

spectral_norm_dense = Layer(
    "spectral_norm_dense",
    inputs=[x[N, M], w[K, M], left[K], right[M]],
    equations=[
        Eq(sigma, Sum(left[k] * w[k, m] * right[m], k, m)),
        Eq(y[n, k], Sum(x[n, m] * w[k, m], m) / sigma),
    ],
    constants=[left, right],
    outputs=[y],
    typical={N: 256, M: 1024, K: 1024},
    doc="""
    Fully connected layer whose weights are divided by their largest singular value.

    x (N, M), w (K, M) weights, left (K,) and right (M,) their first singular vectors, as the caller's power iteration
    finds them, no gradient; y (N, K). The gradient of w goes through the singular value.
    Source: Miyato, Kataoka, Koyama and Yoshida, Spectral normalization for generative adversarial networks, equation 8.
    """,
)


local_response_norm2d = Layer(
    "local_response_norm2d",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(
            level[n, c, i, j],
            kappa
            + alpha * Sum(Padded(x)[n, c + Idx("u", size) - (size - floor(size / 2) - 1), i, j] ** 2, Idx("u", size)),
        ),
        Eq(y[n, c, i, j], x[n, c, i, j] * level[n, c, i, j] ** (-beta_)),
    ],
    attributes={size: 5, kappa: 2.0, alpha: 1e-4, beta_: 0.75},
    outputs=[y],
    typical={N: 16, C: 64, H: 32, W: 32},
    doc="""
    Local response normalisation: every value over a power of what nearby channels hold.

    x (N, C, H, W); y as x. size: how many channels, from c - (size - floor(size / 2) - 1) to c + floor(size / 2);
    kappa: added to alpha times the sum of squares, above 0; alpha is not divided by size; beta: the power.
    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, section
    3.3, with the window of Intel DAAL's lrn layer for an even size.
    """,
)

k, u, v = Idx("k", C), Idx("u", 2 * R + 1), Idx("v", 2 * S + 1)

local_contrast_norm2d = Layer(
    "local_contrast_norm2d",
    inputs=[x[N, C, H, W], kernel[C, 2 * R + 1, 2 * S + 1]],
    equations=[
        Eq(
            centred[n, c, i, j],
            x[n, c, i, j] - Sum(kernel[k, u, v] * Padded(x)[n, k, i + u - R, j + v - S], k, u, v),
        ),
        Eq(
            deviation[n, i, j],
            sqrt(Sum(kernel[k, u, v] * Padded(centred)[n, k, i + u - R, j + v - S] ** 2, k, u, v)),
        ),
        Eq(mean[n], Sum(deviation[n, p, q], p, q) / (H * W)),
        Eq(y[n, c, i, j], centred[n, c, i, j] / Max(deviation[n, i, j], mean[n])),
    ],
    constants=[kernel],
    outputs=[y],
    typical={N: 16, C: 3, H: 32, W: 32, R: 2, S: 2},
    doc="""
    Local contrast normalisation: values less the mean around them, over the deviation around them.

    x (N, C, H, W), kernel (C, 2 R + 1, 2 S + 1) positive weights that add up to 1, no gradient; y as x. Beyond the
    border there are zeros. A deviation below the mean deviation of its image counts as that.
    Source: Jarrett, Kavukcuoglu, Ranzato and LeCun, What is the best multi-stage architecture for object recognition,
    section 3.1; Intel DAAL's lcn layer.
    """,
)

batch_norm_unbiased = Layer(
    "batch_norm_unbiased",
    inputs=[x[N, C], gamma[C], beta[C]],
    equations=[
        Eq(mean[c], Sum(x[n, c], n) / N),
        Eq(variance[c], Sum((x[n, c] - mean[c]) ** 2, n) / (N - 1)),
        Eq(y[n, c], gamma[c] * (x[n, c] - mean[c]) / sqrt(variance[c] + epsilon) + beta[c]),
    ],
    attributes={epsilon: 1e-5},
    requires=[N > 1],
    typical={N: 256, C: 1024},
    doc=f"""
    Batch normalisation in training, with the unbiased variance, which divides by N - 1.

    x (N, C), gamma (C,) scales, beta (C,) shifts; y as x. The gradient goes through mean and variance.
    {ABOUT_EPSILON}
    Source: Intel DAAL, batch normalization layer.
    """,
)
