"""Activations: elementwise functions, softmax and log-softmax.

The plain names take a batch of features (N, M), those that end in 2d a batch of images (N, C, H, W).
"""

from collections.abc import Callable, Mapping

import sympy
from sympy import Expr, Float, Idx, Piecewise, Sum, Symbol, erf, exp, log, pi, sqrt, symbols

from symgrad import Layer
from symgrad.layers.equation import Abs, Eq, Max
from symgrad.layers.symbols import C, H, M, N, W, c, m, n, x, y

i, j = Idx("i", H), Idx("j", W)
FEATURES, IMAGES = (n, m), (n, c, i, j)
EXTENTS = {FEATURES: (N, M), IMAGES: (N, C, H, W)}
TYPICAL = {FEATURES: {N: 256, M: 1024}, IMAGES: {N: 16, C: 64, H: 32, W: 32}}


def elementwise(
    name: str,
    function: Callable[[Expr], Expr],
    about: str,
    attributes: Mapping[Symbol, float] | None = None,
    axes: tuple[Idx, ...] = FEATURES,
) -> Layer:
    """Declare ``function`` of every value of a batch of features, or of images."""
    extents = EXTENTS[axes]
    return Layer(
        name,
        inputs=[x[extents]],
        equations=[Eq(y[axes], function(x[axes]))],
        attributes=dict(attributes or {}),
        typical=TYPICAL[axes],
        doc=f"{about}\n\nx {extents}; y {extents}.",
    )


slope, alpha = symbols("slope alpha", real=True)


def logistic(z: Expr) -> Expr:
    """Return the logistic sigmoid of ``z``."""
    return 1 / (1 + exp(-z))


def rectified(z: Expr) -> Expr:
    """Return the larger of ``z`` and 0."""
    return Max(z, 0)


SIGMOID = "Logistic sigmoid: 1 / (1 + exp(-x)).\n\nSource: Nielsen, Neural Networks and Deep Learning, chapter 1."
TANH = "Hyperbolic tangent.\n\nSource: Nielsen, Neural Networks and Deep Learning, chapter 3."
RELU = """Rectified linear unit: the larger of x and 0.

The derivative at 0 is 0.
Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines."""

sigmoid = elementwise("sigmoid", logistic, SIGMOID)
sigmoid2d = elementwise("sigmoid2d", logistic, SIGMOID, axes=IMAGES)
tanh = elementwise("tanh", sympy.tanh, TANH)
tanh2d = elementwise("tanh2d", sympy.tanh, TANH, axes=IMAGES)
relu = elementwise("relu", rectified, RELU)
relu2d = elementwise("relu2d", rectified, RELU, axes=IMAGES)

leaky_relu = elementwise(
    "leaky_relu",
    lambda z: Piecewise((z, z > 0), (slope * z, True)),
    """Leaky rectified linear unit: x where positive, slope x elsewhere.

The derivative at 0 is slope.
Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models.""",
    attributes={slope: 0.01},
)

elu = elementwise(
    "elu",
    lambda z: Piecewise((z, z > 0), (alpha * (exp(z) - 1), True)),
    """Exponential linear unit: x where positive, alpha (exp(x) - 1) elsewhere.

The derivative at 0 is alpha.
Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential linear units.""",
    attributes={alpha: 1.0},
)

softplus = elementwise(
    "softplus",
    lambda z: log(1 + exp(z)),
    """Softplus: log(1 + exp(x)), a smooth rectifier.

Source: Goodfellow, Bengio and Courville, Deep Learning, section 3.10.""",
)

gelu = elementwise(
    "gelu",
    lambda z: z / 2 * (1 + erf(z / sqrt(2))),
    """Gaussian error linear unit: x times the normal distribution function of x.

Source: Hendrycks and Gimpel, Gaussian error linear units, section 2.""",
)

gelu_tanh = elementwise(
    "gelu_tanh",
    lambda z: z / 2 * (1 + sympy.tanh(sqrt(2 / pi) * (z + Float("0.044715") * z**3))),
    """Gaussian error linear unit, by a hyperbolic tangent in place of the normal distribution function.

Source: Hendrycks and Gimpel, Gaussian error linear units, section 2, first approximation.""",
)

silu = elementwise(
    "silu",
    lambda z: z / (1 + exp(-z)),
    """Sigmoid linear unit (swish): x times its logistic sigmoid.

Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function approximation.""",
)

absolute = elementwise(
    "absolute",
    Abs,
    """Absolute value.

The derivative at 0 is 0.
Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.3.1.""",
)

row, other = Idx("i", M), Idx("j", M)
SOFTMAX_SOURCE = "Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.2.2.3."

softmax = Layer(
    "softmax",
    inputs=[x[N, M]],
    equations=[Eq(y[n, row], exp(x[n, row]) / Sum(exp(x[n, other]), other))],
    typical={N: 4096, M: 1000},
    doc=f"""
    Softmax of every row: positive numbers that add up to 1.

    x (N, M) logits; y (N, M) probabilities.
    {SOFTMAX_SOURCE}
    """,
)

log_softmax = Layer(
    "log_softmax",
    inputs=[x[N, M]],
    equations=[Eq(y[n, row], x[n, row] - log(Sum(exp(x[n, other]), other)))],
    typical={N: 4096, M: 1000},
    doc=f"""
    Logarithm of the softmax of every row.

    x (N, M) logits; y (N, M) logarithms of probabilities.
    {SOFTMAX_SOURCE}
    """,
)
