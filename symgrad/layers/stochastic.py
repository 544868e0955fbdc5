"""Stochastic pooling in training, from numbers drawn by the caller, and in prediction, by the mean that it aims at.

The chance of a position of a window is its share of the window's sum; values are not negative.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sympy import Expr, Idx, Mod, Piecewise, Sum, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq, floor
from symgrad.layers.symbols import C, H, K, N, W, c, n, stride, tensors, x, y
from symgrad.layers.windows import begin, end

choice, total, whole, halves, quarters = tensors("choice total whole halves quarters")
totals = tensors("whole_total halves_total quarters_total")
choices = tensors("choose_whole choose_halves choose_quarters")
down, across = floor((H - K) / stride) + 1, floor((W - K) / stride) + 1
i, j, u, v = Idx("i", down), Idx("j", across), Idx("u", K), Idx("v", K)
read = x[n, c, stride * i + u, stride * j + v]
r, s = symbols("u v", integer=True)
LEVELS = (1, 2, 4)
ZEILER = "Source: Zeiler and Fergus, Stochastic pooling for regularization of deep convolutional neural networks,"


def share(squares: Expr, weight: Expr) -> Expr:
    """Return the mean weighted by the values themselves, 0 where all of them are."""
    return Piecewise((squares / weight, weight > 0), (0, True))


stochastic_pool2d_mean = Layer(
    "stochastic_pool2d_mean",
    inputs=[x[N, C, H, W]],
    equations=[Eq(total[n, c, i, j], Sum(read, u, v)), Eq(y[n, c, i, j], share(Sum(read**2, u, v), total[n, c, i, j]))],
    outputs=[y],
    attributes={K: 2, stride: 2},
    typical={N: 16, C: 64, H: 64, W: 64, K: 2},
    doc=f"""
    Stochastic pooling in prediction: the mean of every window, weighted by the chance of each value.

    x (N, C, H, W) images, not negative; y (N, C, windows down, windows across). The chance of a value is its share of
    the window's sum; a window of zeros gives 0. K: extent of the window; stride: step from one window to the next.
    {ZEILER}
    section 3.1, equation 6.
    """,
)


def pyramid(name: str, inputs: Sequence[Any], equations: Sequence[Any], integers: Sequence[Any], doc: str) -> Layer:
    """Declare pooling over 1, 4 and 16 windows."""
    return Layer(
        name,
        inputs=[x[N, C, H, W], *inputs],
        equations=equations,
        outputs=[whole, halves, quarters],
        integers=integers,
        typical={N: 16, C: 64, H: 13, W: 13},
        doc=doc,
    )


def window(count: int) -> tuple[Idx, Idx]:
    """Return the indices of the windows of one level."""
    return Idx("i", count), Idx("j", count)


def over(count: int, body: Callable[[Expr], Expr]) -> Expr:
    """Return the sum of ``body`` over window i, j of so many down and across."""
    a, b = window(count)
    rows = (r, begin(a, H, count), end(a, H, count) - 1)
    return Sum(body(x[n, c, r, s]), rows, (s, begin(b, W, count), end(b, W, count) - 1))


def drawn(position: Expr) -> Expr:
    """Return the pixel with this number, row by row."""
    return x[n, c, floor(position / W), Mod(position, W)]


SHAPES = "whole (N, C, 1, 1), halves (N, C, 2, 2), quarters (N, C, 4, 4)"
WINDOWS = """Window i of P reads the positions from
    floor(i H / P) to ceil((i + 1) H / P) - 1."""
outputs = (whole, halves, quarters)

spatial_pyramid_stochastic_pool2d = pyramid(
    "spatial_pyramid_stochastic_pool2d",
    [place[N, C, count, count] for place, count in zip(choices, LEVELS, strict=True)],
    [
        Eq(out[(n, c, *window(count))], drawn(place[(n, c, *window(count))]))
        for out, place, count in zip(outputs, choices, LEVELS, strict=True)
    ],
    choices,
    f"""
    Stochastic spatial pyramid pooling: a value of each of 1, 4 and 16 windows, chosen by the caller.

    x (N, C, H, W) images, choose_whole (N, C, 1, 1), choose_halves (N, C, 2, 2), choose_quarters (N, C, 4, 4) whole
    numbers from 0 to H W - 1, the pixels drawn from the windows, counted row by row over the image;
    {SHAPES}. {WINDOWS}
    {ZEILER}
    section 3;
    Intel DAAL, 2D spatial pooling layers, stochastic; He, Zhang, Ren and Sun, Spatial pyramid pooling, section 2.2.
    """,
)

spatial_pyramid_stochastic_mean2d = pyramid(
    "spatial_pyramid_stochastic_mean2d",
    [],
    [
        *(
            Eq(weight[(n, c, *window(count))], over(count, lambda value: value))
            for weight, count in zip(totals, LEVELS, strict=True)
        ),
        *(
            Eq(
                out[(n, c, *window(count))],
                share(over(count, lambda value: value**2), weight[(n, c, *window(count))]),
            )
            for out, weight, count in zip(outputs, totals, LEVELS, strict=True)
        ),
    ],
    [],
    f"""
    Stochastic spatial pyramid pooling in prediction: means of 1, 4 and 16 windows, by chance.

    x (N, C, H, W) images, not negative; {SHAPES}.
    The chance of a value is its share of the window's sum; a window of zeros gives 0.
    {WINDOWS}
    {ZEILER}
    section 3.1, equation 6;
    Intel DAAL, 2D spatial pooling layers, stochastic; He, Zhang, Ren and Sun, Spatial pyramid pooling, section 2.2.
    """,
)
