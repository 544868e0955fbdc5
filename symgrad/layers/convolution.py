"""Convolutions: plain, in groups (`groups` is an attribute of grouped_conv1d/2d/3d), depthwise, true and transposed.

What deep learning calls a convolution is a cross-correlation; the true one reads the kernel flipped. Those without
``groups`` keep the plain formula, and the code that follows from it.
"""

from sympy import Expr, Idx, KroneckerDelta, Sum

from symgrad import Layer, Padded
from symgrad.layers.equation import Eq, floor
from symgrad.layers.symbols import (
    C,
    D,
    H,
    K,
    L,
    M,
    N,
    R,
    S,
    T,
    W,
    b,
    c,
    dilation,
    groups,
    k,
    n,
    output_padding,
    padding,
    stride,
    t,
    u,
    v,
    w,
    x,
    y,
)


def windows(extent: Expr, kernel: Expr, dilation: Expr | int = 1) -> Expr:
    """Return how many windows fit along an axis: Dumoulin and Visin, relationships 6 and 15."""
    return floor((extent + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1


def at(window: Expr, offset: Expr) -> Expr:
    """Return the position that a dilated window reads at ``offset``."""
    return stride * window + dilation * offset - padding


def flipped(window: Expr, offset: Expr, kernel: Expr) -> Expr:
    """Return the position that a window reads at ``offset`` from its far end."""
    return stride * window + kernel - 1 - offset - padding


OPTIONS = {stride: 1, padding: 0, dilation: 1}
ABOUT_OPTIONS = """stride: step from one window to the next; padding: zeros added on either side of every axis of
    space; dilation: step inside a window, 1 for a dense one. What is left over at the far end is not read.
    Extents out: floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1, and likewise along the other axes;
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, relationship 15."""
ABOUT_GROUPS = """Output channels come in `groups` groups of equal size (M each), and so do input channels (C each);
    every group is a convolution of its own. With C = 1 it is depthwise, with M kernels for each channel."""
SOURCE = "Goodfellow, Bengio and Courville, Deep Learning, equations 9.6 and 9.8"

l = Idx("i", windows(L, R, dilation))  # noqa: E741
h, i, j = Idx("h", windows(D, T, dilation)), Idx("i", windows(H, R, dilation)), Idx("j", windows(W, S, dilation))

conv1d = Layer(
    "conv1d",
    inputs=[x[N, C, L], w[K, C, R], b[K]],
    equations=[Eq(y[n, k, l], Sum(Padded(x)[n, c, at(l, u)] * w[k, c, u], c, u) + b[k])],
    attributes=OPTIONS,
    typical={N: 16, C: 64, K: 64, L: 1024, R: 3},
    doc=f"""
    Convolution over sequences: every window, weighted by every kernel, plus a bias.

    x (N, C, L), w (K, C, R) kernels, b (K,) biases; y (N, K, windows).
    {ABOUT_OPTIONS}
    Source: {SOURCE}, with one axis of space.
    """,
)

conv2d = Layer(
    "conv2d",
    inputs=[x[N, C, H, W], w[K, C, R, S], b[K]],
    equations=[Eq(y[n, k, i, j], Sum(Padded(x)[n, c, at(i, u), at(j, v)] * w[k, c, u, v], c, u, v) + b[k])],
    attributes=OPTIONS,
    typical={N: 16, C: 64, K: 64, H: 32, W: 32, R: 3, S: 3},
    doc=f"""
    Convolution over images: every window, weighted by every kernel, plus a bias.

    x (N, C, H, W), w (K, C, R, S) kernels, b (K,) biases; y (N, K, windows down, windows across).
    {ABOUT_OPTIONS}
    Source: {SOURCE}.
    """,
)

conv3d = Layer(
    "conv3d",
    inputs=[x[N, C, D, H, W], w[K, C, T, R, S], b[K]],
    equations=[
        Eq(
            y[n, k, h, i, j],
            Sum(Padded(x)[n, c, at(h, t), at(i, u), at(j, v)] * w[k, c, t, u, v], c, t, u, v) + b[k],
        )
    ],
    attributes=OPTIONS,
    typical={N: 4, C: 16, K: 16, D: 16, H: 16, W: 16, T: 3, R: 3, S: 3},
    doc=f"""
    Convolution over volumes: every window, weighted by every kernel, plus a bias.

    x (N, C, D, H, W), w (K, C, T, R, S) kernels, b (K,) biases; y (N, K, windows along D, H and W).
    {ABOUT_OPTIONS}
    Source: {SOURCE}, with three axes of space.
    """,
)

# ---- groups: kernel q belongs to group floor(q / M), which reads C channels of its own

GROUPED_OPTIONS = {stride: 1, padding: 0, dilation: 1, groups: 1}
q = Idx("k", groups * M)
channel = C * floor(q / M) + c

grouped_conv1d = Layer(
    "grouped_conv1d",
    inputs=[x[N, groups * C, L], w[groups * M, C, R], b[groups * M]],
    equations=[Eq(y[n, q, l], Sum(Padded(x)[n, channel, at(l, u)] * w[q, c, u], c, u) + b[q])],
    attributes=GROUPED_OPTIONS,
    typical={N: 16, C: 16, M: 16, L: 1024, R: 3},
    doc=f"""
    Convolution over sequences in groups of channels.

    x (N, groups C, L), w (groups M, C, R) kernels, b (groups M,) biases; y (N, groups M, windows).
    {ABOUT_GROUPS}
    {ABOUT_OPTIONS}
    Source: {SOURCE},
    with one axis of space and a group for every kernel.
    """,
)

grouped_conv2d = Layer(
    "grouped_conv2d",
    inputs=[x[N, groups * C, H, W], w[groups * M, C, R, S], b[groups * M]],
    equations=[Eq(y[n, q, i, j], Sum(Padded(x)[n, channel, at(i, u), at(j, v)] * w[q, c, u, v], c, u, v) + b[q])],
    attributes=GROUPED_OPTIONS,
    typical={N: 16, C: 16, M: 16, H: 32, W: 32, R: 3, S: 3},
    doc=f"""
    Convolution over images in groups of channels.

    x (N, groups C, H, W), w (groups M, C, R, S) kernels, b (groups M,) biases; y (N, groups M, windows down, across).
    {ABOUT_GROUPS}
    {ABOUT_OPTIONS}
    Source: {SOURCE}, with a group for every kernel.
    """,
)

grouped_conv3d = Layer(
    "grouped_conv3d",
    inputs=[x[N, groups * C, D, H, W], w[groups * M, C, T, R, S], b[groups * M]],
    equations=[
        Eq(
            y[n, q, h, i, j],
            Sum(Padded(x)[n, channel, at(h, t), at(i, u), at(j, v)] * w[q, c, t, u, v], c, t, u, v) + b[q],
        )
    ],
    attributes=GROUPED_OPTIONS,
    typical={N: 4, C: 8, M: 8, D: 16, H: 16, W: 16, T: 3, R: 3, S: 3},
    doc=f"""
    Convolution over volumes in groups of channels.

    x (N, groups C, D, H, W), w (groups M, C, T, R, S) kernels, b (groups M,); y (N, groups M, windows along D, H, W).
    {ABOUT_GROUPS}
    {ABOUT_OPTIONS}
    Source: {SOURCE},
    with three axes of space and a group for every kernel.
    """,
)

depthwise_conv2d = Layer(
    "depthwise_conv2d",
    inputs=[x[N, C, H, W], w[C, R, S], b[C]],
    equations=[Eq(y[n, c, i, j], Sum(Padded(x)[n, c, at(i, u), at(j, v)] * w[c, u, v], u, v) + b[c])],
    attributes=OPTIONS,
    typical={N: 16, C: 64, H: 32, W: 32, R: 3, S: 3},
    doc=f"""
    Depthwise convolution over images: every channel has one kernel and is not mixed with the others.

    x (N, C, H, W), w (C, R, S) kernels, b (C,) biases; y (N, C, windows down, windows across).
    {ABOUT_OPTIONS}
    Source: Chollet, Xception; several kernels for a channel are `grouped_conv2d` with groups = C.
    """,
)

# ---- the kernel flipped, and the convolution transposed

f = Idx("i", windows(L, R))
d, e = Idx("i", windows(H, R)), Idx("j", windows(W, S))
ABOUT_FLIPPED = """stride: step from one window to the next; padding: zeros added on either side of every axis of
    space. R - 1 of them give the full convolution sum_u x[i - u] w[u], none give its part without any border."""

true_conv1d = Layer(
    "true_conv1d",
    inputs=[x[N, C, L], w[K, C, R], b[K]],
    equations=[Eq(y[n, k, f], Sum(Padded(x)[n, c, flipped(f, u, R)] * w[k, c, u], c, u) + b[k])],
    attributes={stride: 1, padding: 0},
    typical={N: 16, C: 64, K: 64, L: 1024, R: 3},
    doc=f"""
    True convolution over sequences: the kernel is read backwards.

    x (N, C, L), w (K, C, R) kernels, b (K,) biases; y (N, K, floor((L + 2 padding - R) / stride) + 1).
    {ABOUT_FLIPPED}
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 9.1, over a finite kernel.
    """,
)

true_conv2d = Layer(
    "true_conv2d",
    inputs=[x[N, C, H, W], w[K, C, R, S], b[K]],
    equations=[
        Eq(
            y[n, k, d, e],
            Sum(Padded(x)[n, c, flipped(d, u, R), flipped(e, v, S)] * w[k, c, u, v], c, u, v) + b[k],
        )
    ],
    attributes={stride: 1, padding: 0},
    typical={N: 16, C: 64, K: 64, H: 32, W: 32, R: 3, S: 3},
    doc=f"""
    True convolution over images: the kernel is read backwards along both axes.

    x (N, C, H, W), w (K, C, R, S) kernels, b (K,) biases; y (N, K, floor((H + 2 padding - R) / stride) + 1, ...).
    {ABOUT_FLIPPED}
    Source: Goodfellow, Bengio and Courville, Deep Learning, equations 9.4 and 9.5.
    """,
)


def reach(extent: Expr, kernel: Expr) -> Expr:
    """Return the extent that a transposed convolution fills: Dumoulin and Visin, relationship 14."""
    return stride * (extent - 1) + kernel - 2 * padding + output_padding


o = Idx("o", reach(L, R))
p, s = Idx("o", reach(H, R)), Idx("p", reach(W, S))
a, i, j = Idx("i", L), Idx("i", H), Idx("j", W)
TRANSPOSED_OPTIONS = {stride: 1, padding: 0, output_padding: 0}
ABOUT_TRANSPOSED = """The adjoint of a convolution's read: position i of x adds its kernel to the positions
    stride i + u - padding of y.
    stride, padding: of the convolution that is transposed; output_padding: positions added at the far end, less
    than stride, to reach the sizes that this convolution would round off."""

transposed_conv1d = Layer(
    "transposed_conv1d",
    inputs=[x[N, C, L], w[C, K, R], b[K]],
    equations=[
        Eq(
            y[n, k, o],
            Sum(x[n, c, a] * w[c, k, u] * KroneckerDelta(stride * a + u - padding, o), c, a, u) + b[k],
        )
    ],
    attributes=TRANSPOSED_OPTIONS,
    requires=[output_padding < stride],
    typical={N: 16, C: 64, K: 64, L: 512, R: 4},
    doc=f"""
    Transposed convolution over sequences.

    x (N, C, L), w (C, K, R) kernels, b (K,) biases; y (N, K, stride (L - 1) + R - 2 padding + output_padding).
    {ABOUT_TRANSPOSED}
    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, relationships 8 to 14.
    """,
)

transposed_conv2d = Layer(
    "transposed_conv2d",
    inputs=[x[N, C, H, W], w[C, K, R, S], b[K]],
    equations=[
        Eq(
            y[n, k, p, s],
            Sum(
                x[n, c, i, j]
                * w[c, k, u, v]
                * KroneckerDelta(stride * i + u - padding, p)
                * KroneckerDelta(stride * j + v - padding, s),
                *(c, i, j, u, v),
            )
            + b[k],
        )
    ],
    attributes=TRANSPOSED_OPTIONS,
    requires=[output_padding < stride],
    typical={N: 16, C: 64, K: 64, H: 16, W: 16, R: 4, S: 4},
    doc=f"""
    Transposed convolution over images.

    x (N, C, H, W), w (C, K, R, S) kernels, b (K,); y (N, K, stride (H - 1) + R - 2 padding + output_padding, ...).
    {ABOUT_TRANSPOSED}
    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, relationships 8 to 14.
    """,
)
