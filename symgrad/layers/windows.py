"""Pooling beyond maximum and average over equal windows: powers, adaptive and rounded-up windows, choices, undoing."""

from collections.abc import Callable

from sympy import Expr, Idx, KroneckerDelta, Mod, Sum, ceiling, exp, floor, log, oo, symbols

from symgrad import Layer, Padded, ReduceMax
from symgrad.layers.equation import Abs, Eq, Min
from symgrad.layers.pooling import at, inside, windows
from symgrad.layers.symbols import C, H, K, L, N, W, c, n, padding, stride, tensors, x, y

P, Q = symbols("P Q", integer=True, positive=True)
power, sharpness = symbols("power sharpness", real=True, positive=True)
choice, positions, whole, halves, quarters, window = tensors("choice positions whole halves quarters window")
i, j, l = Idx("i", windows(H)), Idx("j", windows(W)), Idx("i", windows(L))  # noqa: E741
u, v, row, column = Idx("u", K), Idx("v", K), Idx("u", H), Idx("v", W)
IMAGES = {N: 16, C: 64, H: 64, W: 64, K: 2}
OPTIONS = {K: 2, stride: 2, padding: 0}
ABOUT_OPTIONS = """K: extent of the window along every axis of space; stride: step from one window to the next;
    padding: positions added on either side."""
SHAPES = "x (N, C, H, W) images; y (N, C, windows down, windows across)."


# ---- powers

lp_pool1d = Layer(
    "lp_pool1d",
    inputs=[x[N, C, L]],
    equations=[Eq(y[n, c, l], Sum(Abs(Padded(x)[n, c, at(l, u)]) ** power, u) ** (1 / power))],
    attributes={**OPTIONS, power: 2.0},
    requires=[padding < K],
    typical={N: 16, C: 64, L: 1024, K: 2},
    doc=f"""
    Power pooling over sequences: the p-norm of every window.

    x (N, C, L) sequences; y (N, C, windows).
    {ABOUT_OPTIONS}
    power: p; 2 is L2 pooling, a large one comes near the maximum. The gradient of a window of zeros is 0.
    Source: Nielsen, Neural Networks and Deep Learning, chapter 6 (L2 pooling); Sermanet, Chintala and LeCun,
    Convolutional neural networks applied to house numbers digit classification, section 2.2.
    """,
)

lp_pool2d = Layer(
    "lp_pool2d",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, i, j], Sum(Abs(Padded(x)[n, c, at(i, u), at(j, v)]) ** power, u, v) ** (1 / power))],
    attributes={**OPTIONS, power: 2.0},
    requires=[padding < K],
    typical=IMAGES,
    doc=f"""
    Power pooling over images: the p-norm of every window.

    {SHAPES}
    {ABOUT_OPTIONS}
    power: p; 2 is L2 pooling, a large one comes near the maximum. The gradient of a window of zeros is 0.
    Source: Nielsen, Neural Networks and Deep Learning, chapter 6 (L2 pooling); Sermanet, Chintala and LeCun,
    Convolutional neural networks applied to house numbers digit classification, section 2.2.
    """,
)

log_sum_exp_pool2d = Layer(
    "log_sum_exp_pool2d",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(y[n, c], log(Sum(exp(sharpness * x[n, c, row, column]), row, column) / (H * W)) / sharpness),
    ],
    attributes={sharpness: 1.0},
    typical={N: 16, C: 64, H: 32, W: 32},
    doc="""
    Smooth global maximum: the logarithm of the mean exponential of every channel.

    x (N, C, H, W) images; y (N, C). sharpness: a large one comes near the maximum, a small one near the mean.
    Source: Pinheiro and Collobert, From image-level to pixel-level labeling with convolutional networks, equation 3.
    """,
)

global_max_pool2d = Layer(
    "global_max_pool2d",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c], ReduceMax(x[n, c, row, column], row, column))],
    typical={N: 16, C: 64, H: 32, W: 32},
    doc="""
    Global maximum pooling: the largest value of every channel of every image.

    x (N, C, H, W) images; y (N, C). The first of equal values gets the gradient.
    Source: Oquab, Bottou, Laptev and Sivic, Is object localization for free, section 3.
    """,
)

# ---- windows that follow from how many there shall be


def begin(window: Expr, extent: Expr, count: Expr | int) -> Expr:
    """Return where window number ``window`` of ``count`` begins."""
    return floor(window * extent / count)


def end(window: Expr, extent: Expr, count: Expr | int) -> Expr:
    """Return the position behind window number ``window`` of ``count``."""
    return ceiling((window + 1) * extent / count)


def limits(window: Expr, extent: Expr, count: Expr | int, offset: Idx) -> tuple[Idx, Expr, Expr]:
    """Return the limits of a reduction over that window."""
    return (offset, begin(window, extent, count), end(window, extent, count) - 1)


p, q = Idx("i", P), Idx("j", Q)
r, s = symbols("u v", integer=True)
ABOUT_ADAPTIVE = """Window i of P reads the positions from floor(i H / P) to ceil((i + 1) H / P) - 1; neighbours may
    overlap by one. P, Q: how many windows down and across."""

adaptive_average_pool2d = Layer(
    "adaptive_average_pool2d",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(
            y[n, c, p, q],
            Sum(x[n, c, r, s], limits(p, H, P, r), limits(q, W, Q, s))
            / ((end(p, H, P) - begin(p, H, P)) * (end(q, W, Q) - begin(q, W, Q))),
        )
    ],
    attributes={P: 2, Q: 2},
    typical={N: 16, C: 64, H: 32, W: 32},
    doc=f"""
    Adaptive average pooling: as many windows as asked for.

    x (N, C, H, W) images; y (N, C, P, Q).
    {ABOUT_ADAPTIVE}
    Source: torch.nn.functional.adaptive_avg_pool2d.
    """,
)

adaptive_max_pool2d = Layer(
    "adaptive_max_pool2d",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, p, q], ReduceMax(x[n, c, r, s], limits(p, H, P, r), limits(q, W, Q, s)))],
    attributes={P: 2, Q: 2},
    typical={N: 16, C: 64, H: 32, W: 32},
    doc=f"""
    Adaptive maximum pooling: as many windows as asked for; the first of equal values wins.

    x (N, C, H, W) images; y (N, C, P, Q).
    {ABOUT_ADAPTIVE}
    Source: torch.nn.functional.adaptive_max_pool2d.
    """,
)


def pyramid(name: str, adjective: str, level: Callable[[int], Expr]) -> Layer:
    """Declare pooling over 1, 4 and 16 windows; ``level`` gives the value of window i, j of so many down and across."""
    outputs = {whole: 1, halves: 2, quarters: 4}
    return Layer(
        name,
        inputs=[x[N, C, H, W]],
        equations=[Eq(out[n, c, Idx("i", count), Idx("j", count)], level(count)) for out, count in outputs.items()],
        outputs=list(outputs),
        typical={N: 16, C: 64, H: 13, W: 13},
        doc=f"""
    Spatial pyramid pooling: {adjective} over 1, 4 and 16 windows, whatever the size of the image.

    x (N, C, H, W) images; whole (N, C, 1, 1), halves (N, C, 2, 2), quarters (N, C, 4, 4). Window i of P reads the
    positions from floor(i H / P) to ceil((i + 1) H / P) - 1.
    Source: He, Zhang, Ren and Sun, Spatial pyramid pooling in deep convolutional networks, section 2.2.
    """,
    )


def largest(count: int) -> Expr:
    """Return the maximum of window i, j."""
    a, b = Idx("i", count), Idx("j", count)
    return ReduceMax(x[n, c, r, s], limits(a, H, count, r), limits(b, W, count, s))


def averaged(count: int) -> Expr:
    """Return the mean of window i, j."""
    a, b = Idx("i", count), Idx("j", count)
    size = (end(a, H, count) - begin(a, H, count)) * (end(b, W, count) - begin(b, W, count))
    return Sum(x[n, c, r, s], limits(a, H, count, r), limits(b, W, count, s)) / size


spatial_pyramid_pool2d = pyramid("spatial_pyramid_pool2d", "maxima", largest)
spatial_pyramid_average_pool2d = pyramid("spatial_pyramid_average_pool2d", "means", averaged)

# ---- rounding up, padding with zeros


def rounded_up(extent: Expr) -> Expr:
    """Return how many windows begin in the input or in the padding before it, the last one cut short if need be."""
    return Min(ceiling((extent + 2 * padding - K) / stride), floor((extent + padding - 1) / stride)) + 1


a, b = Idx("i", rounded_up(H)), Idx("j", rounded_up(W))
ABOUT_ROUNDING = "Extents out: ceil((H + 2 padding - K) / stride) + 1, less a window that would begin behind the input."

max_pool2d_ceil = Layer(
    "max_pool2d_ceil",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, a, b], ReduceMax(Padded(x, value=-oo)[n, c, at(a, u), at(b, v)], u, v))],
    attributes=OPTIONS,
    requires=[padding < K],
    typical=IMAGES,
    doc=f"""
    Maximum pooling that also reads what is left over at the far end.

    {SHAPES}
    {ABOUT_OPTIONS}
    {ABOUT_ROUNDING}
    Source: torch.nn.functional.max_pool2d, ceil_mode.
    """,
)

average_pool2d_ceil = Layer(
    "average_pool2d_ceil",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(y[n, c, a, b], Sum(Padded(x)[n, c, at(a, u), at(b, v)], u, v) / (inside(a, H) * inside(b, W))),
    ],
    attributes=OPTIONS,
    requires=[padding < K],
    typical=IMAGES,
    doc=f"""
    Average pooling that also reads what is left over at the far end, padding not counted.

    {SHAPES}
    {ABOUT_OPTIONS}
    {ABOUT_ROUNDING}
    Source: torch.nn.functional.avg_pool2d, ceil_mode, without count_include_pad.
    """,
)

f, g = Idx("i", ceiling((H + 2 * padding - K) / stride) + 1), Idx("j", ceiling((W + 2 * padding - K) / stride) + 1)

max_pool2d_zero_padding = Layer(
    "max_pool2d_zero_padding",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(
            y[n, c, f, g],
            ReduceMax(
                Padded(x)[
                    n,
                    c,
                    at(f, u),
                    at(g, v),
                ],
                u,
                v,
            ),
        )
    ],
    attributes=OPTIONS,
    typical=IMAGES,
    doc=f"""
    Maximum pooling over an image padded with zeros, which win over negative values.

    {SHAPES}
    {ABOUT_OPTIONS}
    Extents out: ceil((H + 2 padding - K) / stride) + 1.
    Source: Intel DAAL, 2D maximum pooling layer.
    """,
)

average_pool2d_zero_padding = Layer(
    "average_pool2d_zero_padding",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, f, g], Sum(Padded(x)[n, c, at(f, u), at(g, v)], u, v) / K**2)],
    attributes=OPTIONS,
    typical=IMAGES,
    doc=f"""
    Average pooling that also reads what is left over at the far end, zeros counted wherever they are.

    {SHAPES}
    {ABOUT_OPTIONS}
    Extents out: ceil((H + 2 padding - K) / stride) + 1. The divisor is always K^2.
    Source: Intel DAAL, 2D average pooling layer.
    """,
)

# ---- choices that are data

DOWN, ACROSS = floor((H - K) / stride) + 1, floor((W - K) / stride) + 1
h, k = Idx("i", DOWN), Idx("j", ACROSS)

position = Idx("p", K**2)

stochastic_pool2d = Layer(
    "stochastic_pool2d",
    inputs=[x[N, C, H, W], choice[N, C, DOWN, ACROSS]],
    equations=[
        Eq(
            window[n, c, h, k, position],
            x[n, c, stride * h + floor(position / K), stride * k + Mod(position, K)],
        ),
        Eq(y[n, c, h, k], window[n, c, h, k, choice[n, c, h, k]]),
    ],
    outputs=[y],
    attributes={K: 2, stride: 2},
    typical=IMAGES,
    doc="""
    Stochastic pooling: one value of every window, chosen at random by the caller.

    x (N, C, H, W) images, choice (N, C, windows down, windows across) whole numbers from 0 to K^2 - 1, row by row in
    the window, drawn in proportion to the values; y as choice. K: extent of the window; stride: step from one window
    to the next.
    Source: Zeiler and Fergus, Stochastic pooling for regularization of deep convolutional neural networks, section 3.
    """,
)

max_unpool2d = Layer(
    "max_unpool2d",
    inputs=[x[N, C, H, W], positions[N, C, H, W]],
    equations=[
        Eq(
            y[n, c, p, q],
            Sum(x[n, c, row, column] * KroneckerDelta(positions[n, c, row, column], p * Q + q), row, column),
        )
    ],
    attributes={P: 4, Q: 4},
    integers=[positions],
    typical={N: 16, C: 16, H: 16, W: 16, P: 32, Q: 32},
    doc="""
    Unpooling: every value goes back to where a maximum was found, all else is 0.

    x (N, C, H, W) values, positions (N, C, H, W) whole numbers from 0 to P Q - 1, row by row; y (N, C, P, Q). P, Q:
    extents of y. Values with one position add up.
    Source: Zeiler, Taylor and Fergus, Adaptive deconvolutional networks for mid and high level feature learning, 2.1.
    """,
)
