"""Losses that are not averaged: of every sample or output alone, and their sum. Targets get no gradient.

A name that ends in ``each`` is the loss of every output, or of every sample where there are labels; ``sum`` adds up.
"""

from collections.abc import Callable, Mapping

from sympy import Expr, Idx, Ne, Piecewise, Sum, Symbol, exp, log, symbols

from symgrad import Layer
from symgrad.layers.equation import Abs, Eq
from symgrad.layers.regression import beta, delta, huber_of, smooth_of
from symgrad.layers.symbols import M, N, m, n, tensors

prediction, target, logits, labels, class_weight = tensors("prediction target logits labels class_weight")
log_probability, each = tensors("log_probability each")
loss, total = symbols("loss total")
ignored = symbols("ignored", integer=True)
j = Idx("j", M)
BATCH, LABELLED = {N: 256, M: 1024}, {N: 4096, M: 1000}

Pair = Callable[[Expr, Expr], Expr]


def of_pairs(
    name: str, value: Pair, what: str, source: str, options: Mapping[Symbol, float] | None = None, first: str = ""
) -> tuple[Layer, Layer]:
    """Declare ``value`` of prediction and target: for every output, and added up."""
    given = tensors(first or "prediction")[0]
    about = "; ".join(f"{option}: the error from which the loss is linear, above 0" for option in options or ())
    of = " logarithms of the predicted probabilities" if first == "log_probability" else ""
    layers = []
    for suffix, ending, shape in (
        ("each", "of every output", "loss (N, M)"),
        ("sum", "added up over samples and outputs", "loss is a scalar"),
    ):
        body = value(given[n, m], target[n, m])
        equation = Eq(each[n, m], body) if suffix == "each" else Eq(loss, Sum(body, n, m))
        layers.append(
            Layer(
                f"{name}_{suffix}",
                inputs=[given[N, M], target[N, M]],
                equations=[equation],
                attributes=dict(options or {}),
                constants=[target],
                typical=BATCH,
                doc=f"""
    {what}, {ending}.

    {given} (N, M){of}, target (N, M); {shape.replace("loss (", "each (")}. {about + "." if about else ""}
    Source: {source}.
    """,
            )
        )
    return layers[0], layers[1]


def divergence(a: Expr, y: Expr) -> Expr:
    """Return y (log y - a), which is 0 where y is."""
    return Piecewise((y * (log(y) - a), y > 0), (0, True))


TORCH = "torch.nn.functional"
squared_error_each, squared_error_sum = of_pairs(
    "squared_error", lambda a, y: (a - y) ** 2, "Squared error", f"{TORCH}.mse_loss with a reduction"
)
absolute_error_each, absolute_error_sum = of_pairs(
    "absolute_error", lambda a, y: Abs(a - y), "Absolute error", f"{TORCH}.l1_loss with a reduction"
)
huber_each, huber_sum = of_pairs(
    "huber", lambda a, y: huber_of(a - y), "Huber loss", f"{TORCH}.huber_loss with a reduction", {delta: 1.0}
)
smooth_l1_each, smooth_l1_sum = of_pairs(
    "smooth_l1",
    lambda a, y: smooth_of(a - y),
    "Smooth absolute error",
    f"{TORCH}.smooth_l1_loss with a reduction",
    {beta: 1.0},
)
sigmoid_cross_entropy_each, sigmoid_cross_entropy_sum = of_pairs(
    "sigmoid_cross_entropy",
    lambda z, y: log(1 + exp(z)) - y * z,
    "Cross-entropy of the sigmoid of the logits",
    f"{TORCH}.binary_cross_entropy_with_logits with a reduction",
    first="logits",
)
kl_divergence_each, kl_divergence_sum = of_pairs(
    "kl_divergence",
    divergence,
    "Kullback-Leibler divergence of the target from the prediction",
    f"{TORCH}.kl_div with a reduction",
    first="log_probability",
)

# ---- labels

REDUCTIONS = {
    "each": "of every sample",
    "sum": "added up over the samples",
    "": "averaged with the weights of the samples",
}
SHAPE = {"each": "each (N,)", "sum": "loss is a scalar", "": "loss is a scalar"}
FUNCTION = {logits: "cross_entropy", log_probability: "nll_loss"}
ABOUT = {
    logits: "Cross-entropy of the softmax of the logits",
    log_probability: "Negative log-likelihood of labels",
}


def of_label(scores: Expr) -> Expr:
    """Return minus the logarithm of the label's probability."""
    if scores == logits:
        value: Expr = log(Sum(exp(logits[n, j]), j)) - logits[n, labels[n]]
        return value
    return -log_probability[n, labels[n]]


def of_labels(name: str, scores: Expr, reduction: str) -> Layer:
    """Declare the loss of labels, not weighted."""
    body = of_label(scores)
    return Layer(
        f"{name}_{reduction}",
        inputs=[scores[N, M], labels[N]],
        equations=[Eq(each[n], body) if reduction == "each" else Eq(loss, Sum(body, n))],
        typical=LABELLED,
        doc=f"""
    {ABOUT[scores]}, {REDUCTIONS[reduction]}.

    {scores} (N, M), labels (N,) whole numbers from 0 to M - 1; {SHAPE[reduction]}.
    Source: {TORCH}.{FUNCTION[scores]}, reduction {reduction.replace("each", "none")}.
    """,
    )


def of_weighted_labels(name: str, scores: Expr, reduction: str) -> Layer:
    """Declare the loss of labels with a weight for every class, of which one may not count."""
    counts = Ne(labels[n], ignored)
    body = Piecewise((class_weight[labels[n]] * of_label(scores), counts), (0, True))
    mass = Piecewise((class_weight[labels[n]], counts), (0, True))
    equations = {
        "each": [Eq(each[n], body)],
        "sum": [Eq(loss, Sum(body, n))],
        "": [Eq(total, Sum(mass, n)), Eq(loss, Piecewise((Sum(body, n) / total, total > 0), (0, True)))],
    }[reduction]
    return Layer(
        f"{name}_{reduction}".rstrip("_"),
        inputs=[scores[N, M], labels[N], class_weight[M]],
        equations=equations,
        outputs=[each if reduction == "each" else loss],
        attributes={ignored: -100},
        constants=[class_weight],
        typical=LABELLED,
        doc=f"""
    {ABOUT[scores]}, weighted by class, {REDUCTIONS[reduction].split(" with")[0]}.

    {scores} (N, M), labels (N,) whole numbers from 0 to M - 1, or ignored, class_weight (M,), not negative, no
    gradient; {SHAPE[reduction]}. ignored: the label of samples that do not count.
    {"The average is over the weights; it is 0 where they add up to 0." if not reduction else "They are 0."}
    Source: {TORCH}.{FUNCTION[scores]} with weight and ignore_index.
    """,
    )


softmax_cross_entropy_each, softmax_cross_entropy_sum = (
    of_labels("softmax_cross_entropy", logits, reduction) for reduction in ("each", "sum")
)
nll_each, nll_sum = (of_labels("nll", log_probability, reduction) for reduction in ("each", "sum"))
masked_weighted_cross_entropy, masked_weighted_cross_entropy_each, masked_weighted_cross_entropy_sum = (
    of_weighted_labels("masked_weighted_cross_entropy", logits, reduction) for reduction in ("", "each", "sum")
)
masked_weighted_nll, masked_weighted_nll_each, masked_weighted_nll_sum = (
    of_weighted_labels("masked_weighted_nll", log_probability, reduction) for reduction in ("", "each", "sum")
)
