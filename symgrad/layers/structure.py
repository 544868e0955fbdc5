"""Layers that rearrange or drop values."""

from sympy import Idx, Mod, Symbol

from symgrad import Layer
from symgrad.layers.equation import Eq, floor
from symgrad.layers.symbols import C, H, M, N, W, m, n, tensors, x, y

(mask,) = tensors("mask")
q = Idx("q", C * H * W)
rate = Symbol("rate", real=True, nonnegative=True)

flatten = Layer(
    "flatten",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, q], x[n, floor(q / (H * W)), Mod(floor(q / W), H), Mod(q, W)])],
    typical={N: 16, C: 64, H: 8, W: 8},
    doc="""
    Images laid out as rows of features, channel by channel and row by row.

    x (N, C, H, W) images; y (N, C H W). Position q holds channel floor(q / (H W)), row floor(q / W) mod H and
    column q mod W.
    Source: row-major order, the step from images to a fully connected layer in LeCun et al., Gradient-based learning
    applied to document recognition, section II.
    """,
)

dropout = Layer(
    "dropout",
    inputs=[x[N, M], mask[N, M]],
    equations=[Eq(y[n, m], x[n, m] * mask[n, m] / (1 - rate))],
    attributes={rate: 0.5},
    constants=[mask],
    typical={N: 256, M: 1024},
    doc="""
    Dropout: values that the mask leaves out are 0, the others grow so that the mean stays the same.

    x (N, M), mask (N, M) of zeros and ones, drawn by the caller, no gradient; y (N, M).
    rate: the chance with which the mask drops a value, less than 1.
    Source: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, section 10, which
    scales in training.
    """,
)
