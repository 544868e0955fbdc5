"""Convolutions that are more, or less, than one kernel everywhere: local, tiled, separable, dynamic, deformable."""

from sympy import Expr, Idx, KroneckerDelta, Mod, Sum, symbols

from symgrad import Layer, Padded
from symgrad.layers.convolution import ABOUT_OPTIONS, ABOUT_TRANSPOSED, OPTIONS, TRANSPOSED_OPTIONS, at, reach, windows
from symgrad.layers.equation import Eq, floor
from symgrad.layers.symbols import (
    C,
    D,
    H,
    K,
    L,
    N,
    R,
    S,
    T,
    W,
    b,
    c,
    dilation,
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

depthwise, pointwise, inner, kernel, offset, row, column = tensors("depthwise pointwise inner kernel offset row column")
A, B = symbols("A B", integer=True, positive=True)
i, j = Idx("i", windows(H, R, dilation)), Idx("j", windows(W, S, dilation))
l, f, g = Idx("i", windows(L, R, dilation)), Idx("i", windows(H, R)), Idx("j", windows(W, S))  # noqa: E741
STRIDES = {stride: 1, padding: 0}
ABOUT_STRIDES = """stride: step from one window to the next; padding: zeros added on either side of every axis of
    space."""
GOODFELLOW = "Goodfellow, Bengio and Courville, Deep Learning, equation"

pointwise_conv2d = Layer(
    "pointwise_conv2d",
    inputs=[x[N, C, H, W], w[K, C], b[K]],
    equations=[Eq(y[n, k, Idx("i", H), Idx("j", W)], Sum(x[n, c, Idx("i", H), Idx("j", W)] * w[k, c], c) + b[k])],
    typical={N: 16, C: 64, K: 64, H: 32, W: 32},
    doc="""
    Convolution by kernels of one pixel: a fully connected layer at every pixel.

    x (N, C, H, W), w (K, C), b (K,) biases; y (N, K, H, W).
    Source: Lin, Chen and Yan, Network in network, section 3.1.
    """,
)

depthwise_conv1d = Layer(
    "depthwise_conv1d",
    inputs=[x[N, C, L], w[C, R], b[C]],
    equations=[Eq(y[n, c, l], Sum(Padded(x)[n, c, at(l, u)] * w[c, u], u) + b[c])],
    attributes=OPTIONS,
    typical={N: 16, C: 64, L: 1024, R: 3},
    doc=f"""
    Depthwise convolution over sequences: every channel has one kernel, without mixing.

    x (N, C, L), w (C, R) kernels, b (C,) biases; y (N, C, windows).
    {ABOUT_OPTIONS}
    Source: Chollet, Xception, with one axis of space.
    """,
)

causal_conv1d = Layer(
    "causal_conv1d",
    inputs=[x[N, C, L], w[K, C, R], b[K]],
    equations=[
        Eq(
            y[n, k, Idx("i", L)],
            Sum(Padded(x)[n, c, Idx("i", L) - dilation * (R - 1 - u)] * w[k, c, u], c, u) + b[k],
        )
    ],
    attributes={dilation: 1},
    typical={N: 16, C: 64, K: 64, L: 1024, R: 3},
    doc="""
    Causal convolution over sequences: no position sees a later one.

    x (N, C, L), w (K, C, R) kernels, the last entry for the present, b (K,) biases; y (N, K, L).
    dilation: step from one entry of the kernel to the next. Before the sequence there are zeros.
    Source: van den Oord et al., WaveNet, section 2.1.
    """,
)

separable_conv2d = Layer(
    "separable_conv2d",
    inputs=[x[N, C, H, W], depthwise[C, R, S], pointwise[K, C], b[K]],
    equations=[
        Eq(inner[n, c, i, j], Sum(Padded(x)[n, c, at(i, u), at(j, v)] * depthwise[c, u, v], u, v)),
        Eq(y[n, k, i, j], Sum(pointwise[k, c] * inner[n, c, i, j], c) + b[k]),
    ],
    attributes=OPTIONS,
    typical={N: 16, C: 64, K: 64, H: 32, W: 32, R: 3, S: 3},
    doc=f"""
    Depthwise separable convolution: a kernel for every channel, then a mixture of channels.

    x (N, C, H, W), depthwise (C, R, S), pointwise (K, C), b (K,) biases; y (N, K, windows down, windows across).
    {ABOUT_OPTIONS}
    Source: Chollet, Xception: deep learning with depthwise separable convolutions, section 2.
    """,
)

locally_connected1d = Layer(
    "locally_connected1d",
    inputs=[x[N, C, L], w[K, windows(L, R), C, R], b[K, windows(L, R)]],
    equations=[
        Eq(
            y[n, k, Idx("i", windows(L, R))],
            Sum(
                Padded(x)[n, c, stride * Idx("i", windows(L, R)) + u - padding] * w[k, Idx("i", windows(L, R)), c, u],
                *(c, u),
            )
            + b[k, Idx("i", windows(L, R))],
        )
    ],
    attributes=STRIDES,
    typical={N: 16, C: 16, K: 16, L: 256, R: 3},
    doc=f"""
    Locally connected layer over sequences: a convolution with kernels of its own at every window.

    x (N, C, L), w (K, windows, C, R), b (K, windows); y (N, K, windows).
    {ABOUT_STRIDES}
    Source: {GOODFELLOW} 9.9, with one axis of space.
    """,
)


def near(window: Expr, offset: Expr) -> Expr:
    """Return the position that a window reads at ``offset``."""
    return stride * window + offset - padding


locally_connected2d = Layer(
    "locally_connected2d",
    inputs=[x[N, C, H, W], w[K, windows(H, R), windows(W, S), C, R, S], b[K, windows(H, R), windows(W, S)]],
    equations=[
        Eq(y[n, k, f, g], Sum(Padded(x)[n, c, near(f, u), near(g, v)] * w[k, f, g, c, u, v], c, u, v) + b[k, f, g]),
    ],
    attributes=STRIDES,
    typical={N: 16, C: 8, K: 8, H: 16, W: 16, R: 3, S: 3},
    doc=f"""
    Locally connected layer over images: a convolution with kernels of its own at every window.

    x (N, C, H, W), w (K, windows down, windows across, C, R, S), b (K, windows down, windows across);
    y (N, K, windows down, windows across).
    {ABOUT_STRIDES}
    Source: {GOODFELLOW} 9.9.
    """,
)

tiled_conv2d = Layer(
    "tiled_conv2d",
    inputs=[x[N, C, H, W], w[K, A, B, C, R, S], b[K]],
    equations=[
        Eq(
            y[n, k, f, g],
            Sum(Padded(x)[n, c, near(f, u), near(g, v)] * w[k, Mod(f, A), Mod(g, B), c, u, v], c, u, v) + b[k],
        ),
    ],
    attributes=STRIDES,
    typical={N: 16, C: 8, K: 8, H: 16, W: 16, R: 3, S: 3, A: 2, B: 2},
    doc=f"""
    Tiled convolution: A by B kernels take turns from window to window.

    x (N, C, H, W), w (K, A, B, C, R, S), b (K,) biases; y (N, K, windows down, windows across).
    {ABOUT_STRIDES}
    Source: {GOODFELLOW} 9.10.
    """,
)

dynamic_conv2d = Layer(
    "dynamic_conv2d",
    inputs=[x[N, C, H, W], kernel[N, 2 * R + 1, 2 * S + 1, H, W]],
    equations=[
        Eq(
            y[n, c, Idx("i", H), Idx("j", W)],
            Sum(
                Padded(x)[n, c, Idx("i", H) + Idx("u", 2 * R + 1) - R, Idx("j", W) + Idx("v", 2 * S + 1) - S]
                * kernel[n, Idx("u", 2 * R + 1), Idx("v", 2 * S + 1), Idx("i", H), Idx("j", W)],
                *(Idx("u", 2 * R + 1), Idx("v", 2 * S + 1)),
            ),
        ),
    ],
    typical={N: 4, C: 16, H: 32, W: 32, R: 1, S: 1},
    doc="""
    Dynamic filters: every pixel is a sum over its surroundings, with weights of its own.

    x (N, C, H, W), kernel (N, 2 R + 1, 2 S + 1, H, W) that another network gives, the same for all
    channels; y as x. Beyond the border are zeros.
    Source: Jia, De Brabandere, Tuytelaars and Van Gool, Dynamic filter networks, section 3.2.
    """,
)

a, d = Idx("a", 2), Idx("d", 2)


def share(corner: Idx, position: Expr) -> Expr:
    """Return the bilinear weight of the corner 0 or 1 below or above ``position``."""
    return 1 - corner - (position - floor(position)) * (1 - 2 * corner)


deformable_conv2d = Layer(
    "deformable_conv2d",
    inputs=[
        x[N, C, H, W],
        offset[N, R, S, 2, windows(H, R, dilation), windows(W, S, dilation)],
        w[K, C, R, S],
        b[K],
    ],
    equations=[
        Eq(row[n, u, v, i, j], at(i, u) + offset[n, u, v, 0, i, j]),
        Eq(column[n, u, v, i, j], at(j, v) + offset[n, u, v, 1, i, j]),
        Eq(
            inner[n, c, u, v, i, j],
            Sum(
                Padded(x)[n, c, floor(row[n, u, v, i, j]) + a, floor(column[n, u, v, i, j]) + d]
                * share(a, row[n, u, v, i, j])
                * share(d, column[n, u, v, i, j]),
                *(a, d),
            ),
        ),
        Eq(y[n, k, i, j], Sum(w[k, c, u, v] * inner[n, c, u, v, i, j], c, u, v) + b[k]),
    ],
    attributes=OPTIONS,
    outputs=[y],
    typical={N: 4, C: 16, K: 16, H: 16, W: 16, R: 3, S: 3},
    doc=f"""
    Deformable convolution: every entry of the kernel reads where its offset says.

    x (N, C, H, W), offset (N, R, S, 2, windows down, windows across), down and across, w (K, C, R, S) kernels, b (K,)
    biases; y (N, K, windows down, windows across). Beyond the border are zeros. Offsets have a gradient; on a pixel it
    is that to the right and down.
    {ABOUT_OPTIONS}
    Source: Dai et al., Deformable convolutional networks, section 2.1, equations 2 to 4.
    """,
)

o, p, q = Idx("o", reach(D, T)), Idx("p", reach(H, R)), Idx("q", reach(W, S))
e, r, s = Idx("h", D), Idx("i", H), Idx("j", W)

transposed_conv3d = Layer(
    "transposed_conv3d",
    inputs=[x[N, C, D, H, W], w[C, K, T, R, S], b[K]],
    equations=[
        Eq(
            y[n, k, o, p, q],
            Sum(
                x[n, c, e, r, s]
                * w[c, k, t, u, v]
                * KroneckerDelta(stride * e + t - padding, o)
                * KroneckerDelta(stride * r + u - padding, p)
                * KroneckerDelta(stride * s + v - padding, q),
                *(c, e, r, s, t, u, v),
            )
            + b[k],
        )
    ],
    attributes=TRANSPOSED_OPTIONS,
    requires=[output_padding < stride],
    typical={N: 4, C: 8, K: 8, D: 8, H: 8, W: 8, T: 4, R: 4, S: 4},
    doc=f"""
    Transposed convolution over volumes.

    x (N, C, D, H, W), w (C, K, T, R, S) kernels, b (K,); y (N, K, ...), with extents of
    stride (D - 1) + T - 2 padding + output_padding, and likewise along H and W.
    {ABOUT_TRANSPOSED}
    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, relationships 8 to 14.
    """,
)
