"""Losses between numbers, and penalties. Targets are data and get no gradient."""

from collections.abc import Callable, Mapping

from sympy import Expr, Idx, Piecewise, Sum, Symbol, exp, log, pi, symbols

from symgrad import Layer
from symgrad.layers.equation import Abs, Eq, Max
from symgrad.layers.symbols import M, N, m, n, tensors, w

prediction, target, variance = tensors("prediction target variance")
loss = Symbol("loss")
delta, beta, strength = symbols("delta beta strength", real=True, positive=True)
quantile = symbols("quantile", real=True)
i = Idx("i", N)
BATCH = {N: 256, M: 1024}


def averaged(
    name: str, function: Callable[[Expr, Expr], Expr], about: str, attributes: Mapping[Symbol, float] | None = None
) -> Layer:
    """Declare the mean of ``function`` of prediction and target over samples and outputs."""
    return Layer(
        name,
        inputs=[prediction[N, M], target[N, M]],
        equations=[Eq(loss, Sum(function(prediction[n, m], target[n, m]), n, m) / (N * M))],
        attributes=dict(attributes or {}),
        constants=[target],
        typical=BATCH,
        doc=about.replace("SHAPES", "prediction (N, M), target (N, M); loss is a scalar."),
    )


def huber_of(error: Expr) -> Expr:
    """Return half the square of a small error, and the line that goes on from it."""
    return Piecewise((error**2 / 2, Abs(error) <= delta), (delta * (Abs(error) - delta / 2), True))


def smooth_of(error: Expr) -> Expr:
    """Return the same, scaled to end in a slope of 1."""
    return Piecewise((error**2 / (2 * beta), Abs(error) < beta), (Abs(error) - beta / 2, True))


absolute_error = averaged(
    "absolute_error",
    lambda a, y: Abs(a - y),
    """Mean absolute error over samples and outputs.

SHAPES
The derivative where both are equal is 0.
Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.2.1.2.""",
)

huber = averaged(
    "huber",
    lambda a, y: huber_of(a - y),
    """Huber loss: half the squared error where that is small, linear elsewhere, averaged.

SHAPES
delta: the error from which the loss is linear, above 0.
Source: Huber, Robust estimation of a location parameter.""",
    attributes={delta: 1.0},
)

smooth_l1 = averaged(
    "smooth_l1",
    lambda a, y: smooth_of(a - y),
    """Smooth absolute error: squared where small, of slope 1 elsewhere, averaged.

SHAPES
beta: the error from which the loss is linear, above 0; it is the Huber loss over beta.
Source: Girshick, Fast R-CNN, equation 3.""",
    attributes={beta: 1.0},
)

log_cosh = averaged(
    "log_cosh",
    lambda a, y: (a - y) + log(1 + exp(-2 * (a - y))) - log(2),
    """Logarithm of the hyperbolic cosine of the error, averaged.

SHAPES
log(cosh(e)) is written e + log(1 + exp(-2 e)) - log(2), which no error overflows.
Source: Green, Bayesian reconstructions from emission tomography data using a modified EM algorithm.""",
)

quantile_loss = averaged(
    "quantile_loss",
    lambda a, y: Max(quantile * (y - a), (quantile - 1) * (y - a)),
    """Quantile (pinball) loss: errors below and above the target weigh differently, averaged.

SHAPES
quantile: which quantile the best prediction is, between 0 and 1; 1/2 is half the absolute error.
Source: Koenker and Bassett, Regression quantiles.""",
    attributes={quantile: 0.5},
)

poisson_loss = averaged(
    "poisson_loss",
    lambda a, y: exp(a) - y * a,
    """Negative log-likelihood of Poisson counts, up to a constant, averaged.

SHAPES
The predictions are logarithms of rates.
Source: torch.nn.functional.poisson_nll_loss.""",
)

gaussian_loss = Layer(
    "gaussian_loss",
    inputs=[prediction[N, M], variance[N, M], target[N, M]],
    equations=[
        Eq(
            loss,
            Sum(
                (log(2 * pi * variance[n, m]) + (prediction[n, m] - target[n, m]) ** 2 / variance[n, m]) / 2,
                n,
                m,
            )
            / (N * M),
        )
    ],
    constants=[target],
    typical=BATCH,
    doc="""
    Negative log-likelihood of a normal distribution whose variance is predicted as well, averaged.

    prediction (N, M), variance (N, M) positive, target (N, M); loss is a scalar.
    Source: Nix and Weigend, Estimating the mean and variance of the target probability distribution, equation 2.
    """,
)

l1_penalty = Layer(
    "l1_penalty",
    inputs=[w[N]],
    equations=[Eq(loss, strength * Sum(Abs(w[i]), i))],
    attributes={strength: 1e-4},
    typical={N: 1_000_000},
    doc="""
    Penalty on the absolute values of parameters.

    w (N,): parameters of any shape go in as w.reshape(-1); loss is a scalar. The derivative at 0 is 0. strength: its
    weight.
    Source: Nielsen, Neural Networks and Deep Learning, chapter 3, L1 regularization, with sgn(0) = 0.
    """,
)

l2_penalty = Layer(
    "l2_penalty",
    inputs=[w[N]],
    equations=[Eq(loss, strength / 2 * Sum(w[i] ** 2, i))],
    attributes={strength: 1e-4},
    typical={N: 1_000_000},
    doc="""
    Penalty on the squares of parameters: weight decay.

    w (N,): parameters of any shape go in as w.reshape(-1); loss is a scalar. strength: twice its weight.
    Source: Nielsen, Neural Networks and Deep Learning, chapter 3, L2 regularization.
    """,
)
