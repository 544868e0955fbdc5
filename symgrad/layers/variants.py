"""Further convolutions and windows: over other numbers of axes, in groups, dilated, at places chosen at random."""

from sympy import Expr, Idx, KroneckerDelta, Sum, oo, symbols

from symgrad import Layer, Padded, ReduceMax
from symgrad.layers.convolution import ABOUT_OPTIONS, OPTIONS, at, flipped, windows
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
    tensors,
    u,
    v,
    w,
    x,
    y,
)

P, Q = symbols("P Q", integer=True, positive=True)
depthwise, pointwise, inner, row, column = tensors("depthwise pointwise inner row column")
VOLUMES = {N: 4, C: 8, D: 8, H: 8, W: 8, T: 3, R: 3, S: 3}
h, i, j = Idx("h", windows(D, T)), Idx("i", windows(H, R)), Idx("j", windows(W, S))

true_conv3d = Layer(
    "true_conv3d",
    inputs=[x[N, C, D, H, W], w[K, C, T, R, S], b[K]],
    equations=[
        Eq(
            y[n, k, h, i, j],
            Sum(
                Padded(x)[n, c, flipped(h, t, T), flipped(i, u, R), flipped(j, v, S)] * w[k, c, t, u, v],
                *(c, t, u, v),
            )
            + b[k],
        )
    ],
    attributes={stride: 1, padding: 0},
    typical=VOLUMES | {K: 8},
    doc="""
    True convolution over volumes: the kernel is read backwards along every axis.

    x (N, C, D, H, W), w (K, C, T, R, S) kernels, b (K,) biases; y (N, K, windows along D, H and W).
    stride: step from one window to the next; padding: zeros on either side of every axis of space.
    Source: Goodfellow, Bengio and Courville, Deep Learning, equation 9.4, with one axis more.
    """,
)

f, g, e = Idx("h", windows(D, T, dilation)), Idx("i", windows(H, R, dilation)), Idx("j", windows(W, S, dilation))

depthwise_conv3d = Layer(
    "depthwise_conv3d",
    inputs=[x[N, C, D, H, W], w[C, T, R, S], b[C]],
    equations=[
        Eq(
            y[n, c, f, g, e],
            Sum(Padded(x)[n, c, at(f, t), at(g, u), at(e, v)] * w[c, t, u, v], t, u, v) + b[c],
        )
    ],
    attributes=OPTIONS,
    typical=VOLUMES,
    doc=f"""
    Depthwise convolution over volumes: every channel has one kernel, without mixing.

    x (N, C, D, H, W), w (C, T, R, S) kernels, b (C,) biases; y (N, C, windows along D, H and W).
    {ABOUT_OPTIONS}
    Source: Chollet, Xception, with one axis more.
    """,
)

l, q = Idx("l", L), Idx("i", windows(L, R, dilation))  # noqa: E741

pointwise_conv1d = Layer(
    "pointwise_conv1d",
    inputs=[x[N, C, L], w[K, C], b[K]],
    equations=[Eq(y[n, k, l], Sum(w[k, c] * x[n, c, l], c) + b[k])],
    typical={N: 16, C: 64, K: 64, L: 1024},
    doc="""
    Convolution of extent 1 over sequences: a mixture of channels at every position.

    x (N, C, L), w (K, C) weights, b (K,) biases; y (N, K, L).
    Source: Lin, Chen and Yan, Network in network, section 3.
    """,
)

separable_conv1d = Layer(
    "separable_conv1d",
    inputs=[x[N, C, L], depthwise[C, R], pointwise[K, C], b[K]],
    equations=[
        Eq(inner[n, c, q], Sum(Padded(x)[n, c, at(q, u)] * depthwise[c, u], u)),
        Eq(y[n, k, q], Sum(pointwise[k, c] * inner[n, c, q], c) + b[k]),
    ],
    attributes=OPTIONS,
    typical={N: 16, C: 64, K: 64, L: 1024, R: 3},
    doc=f"""
    Depthwise separable convolution over sequences: a kernel a channel, then a mixture of channels.

    x (N, C, L), depthwise (C, R), pointwise (K, C), b (K,) biases; y (N, K, windows).
    {ABOUT_OPTIONS}
    Source: Chollet, Xception: deep learning with depthwise separable convolutions, section 2.
    """,
)


def reach(extent: Expr, kernel: Expr) -> Expr:
    """Return the extent that a dilated transposed convolution fills."""
    return stride * (extent - 1) + dilation * (kernel - 1) + 1 - 2 * padding + output_padding


down, across = Idx("o", reach(H, R)), Idx("p", reach(W, S))
rows, columns, out, m = Idx("i", H), Idx("j", W), Idx("k", groups * M), Idx("m", C)
source = C * floor(out / M) + m

grouped_transposed_conv2d = Layer(
    "grouped_transposed_conv2d",
    inputs=[x[N, groups * C, H, W], w[groups * C, M, R, S], b[groups * M]],
    equations=[
        Eq(
            y[n, out, down, across],
            Sum(
                x[n, source, rows, columns]
                * w[source, out - M * floor(out / M), u, v]
                * KroneckerDelta(at(rows, u), down)
                * KroneckerDelta(at(columns, v), across),
                *(m, rows, columns, u, v),
            )
            + b[out],
        )
    ],
    attributes={stride: 1, padding: 0, output_padding: 0, dilation: 1, groups: 1},
    requires=[output_padding < stride],
    typical={N: 16, C: 16, M: 16, H: 16, W: 16, R: 4, S: 4},
    doc="""
    Transposed convolution over images, in groups and dilated.

    x (N, groups C, H, W), w (groups C, M, R, S) kernels, b (groups M,) biases; y (N, groups M, ...), with extents of
    stride (H - 1) + dilation (R - 1) + 1 - 2 padding + output_padding. stride, padding, dilation, groups: of the
    convolution that is transposed; output_padding: positions added at the far end, less than stride.
    Source: torch.nn.functional.conv_transpose2d.
    """,
)


def dilated(extent: Expr) -> Expr:
    """Return how many dilated windows of extent K fit along an axis."""
    return floor((extent + 2 * padding - dilation * (K - 1) - 1) / stride) + 1


a, d, r, s = Idx("i", dilated(H)), Idx("j", dilated(W)), Idx("u", K), Idx("v", K)

max_pool2d_dilated = Layer(
    "max_pool2d_dilated",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, a, d], ReduceMax(Padded(x, value=-oo)[n, c, at(a, r), at(d, s)], r, s))],
    attributes={K: 2, stride: 2, padding: 0, dilation: 1},
    requires=[2 * padding <= dilation * (K - 1)],
    typical={N: 16, C: 64, H: 64, W: 64, K: 2},
    doc=f"""
    Maximum pooling over dilated windows; the first of equal values wins.

    x (N, C, H, W) images; y (N, C, windows down, windows across). K: extent of the window.
    {ABOUT_OPTIONS}
    Source: torch.nn.functional.max_pool2d with a dilation.
    """,
)

fractional_max_pool2d = Layer(
    "fractional_max_pool2d",
    inputs=[x[N, C, H, W], row[N, C, P], column[N, C, Q]],
    equations=[
        Eq(
            y[n, c, Idx("i", P), Idx("j", Q)],
            ReduceMax(x[n, c, row[n, c, Idx("i", P)] + r, column[n, c, Idx("j", Q)] + s], r, s),
        )
    ],
    attributes={K: 2},
    requires=[K <= H, K <= W],
    typical={N: 16, C: 64, H: 64, W: 64, P: 45, Q: 45, K: 2},
    doc="""
    Fractional maximum pooling: windows that begin where the caller has drawn, about 1.5 apart.

    x (N, C, H, W) images, row (N, C, P) and column (N, C, Q) where windows begin; y (N, C, P, Q). K: extent of the
    window; the first of equal values wins.
    Source: Graham, Fractional max-pooling, section 2;
    torch.nn.functional.fractional_max_pool2d.
    """,
)
