"""Losses: one number for a batch. Targets and labels are data and get no gradient."""

from sympy import Idx, Sum, Symbol, exp, log

from symgrad import Layer
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import M, N, m, n, tensors

prediction, target, logits, probability, labels = tensors("prediction target logits probability labels")
loss = Symbol("loss")
j = Idx("j", M)
a, z, y = prediction[n, m], logits[n, m], target[n, m]
BATCH, LABELLED_BATCH = {N: 256, M: 1024}, {N: 4096, M: 1000}

mean_squared_error = Layer(
    "mean_squared_error",
    inputs=[prediction[N, M], target[N, M]],
    equations=[Eq(loss, Sum((a - y) ** 2, n, m) / (N * M))],
    constants=[target],
    typical=BATCH,
    doc="""
    Mean squared error over samples and outputs.

    prediction (N, M), target (N, M); loss is a scalar.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 5.1.4, averaged over the outputs as well.
    """,
)

quadratic_cost = Layer(
    "quadratic_cost",
    inputs=[prediction[N, M], target[N, M]],
    equations=[Eq(loss, Sum((a - y) ** 2, n, m) / (2 * N))],
    constants=[target],
    typical=BATCH,
    doc="""
    Quadratic cost: half the squared distance to the target, averaged over the samples.

    prediction (N, M), target (N, M); loss is a scalar.
    Source: Nielsen, Neural Networks and Deep Learning, chapter 1.
    """,
)

cross_entropy = Layer(
    "cross_entropy",
    inputs=[prediction[N, M], target[N, M]],
    equations=[Eq(loss, -Sum(y * log(a) + (1 - y) * log(1 - a), n, m) / N)],
    constants=[target],
    typical=BATCH,
    doc="""
    Cross-entropy of independent outputs: added over the outputs, averaged over the samples.

    prediction (N, M) strictly between 0 and 1, target (N, M) from 0 to 1; loss is a scalar. Where the predictions
    come from a sigmoid, `sigmoid_cross_entropy` takes what goes into it and is exact for every number.
    Source: Nielsen, Neural Networks and Deep Learning, chapter 3.
    """,
)

sigmoid_cross_entropy = Layer(
    "sigmoid_cross_entropy",
    inputs=[logits[N, M], target[N, M]],
    equations=[Eq(loss, Sum(log(1 + exp(z)) - y * z, n, m) / (N * M))],
    constants=[target],
    typical=BATCH,
    doc="""
    Cross-entropy of the sigmoid of the logits, averaged over samples and outputs.

    logits (N, M), target (N, M) from 0 to 1; loss is a scalar. The formula is
    -y log(s) - (1 - y) log(1 - s) with s = 1 / (1 + exp(-z)), written out.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.2.2.2.
    """,
)

softmax_cross_entropy = Layer(
    "softmax_cross_entropy",
    inputs=[logits[N, M], labels[N]],
    equations=[Eq(loss, Sum(log(Sum(exp(logits[n, j]), j)) - logits[n, labels[n]], n) / N)],
    typical=LABELLED_BATCH,
    doc="""
    Cross-entropy of the softmax of the logits, averaged over the samples.

    logits (N, M), labels (N,) whole numbers from 0 to M - 1; loss is a scalar.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.2.2.3.
    """,
)

log_likelihood = Layer(
    "log_likelihood",
    inputs=[probability[N, M], labels[N]],
    equations=[Eq(loss, -Sum(log(probability[n, labels[n]]), n) / N)],
    typical=LABELLED_BATCH,
    doc="""
    Log-likelihood cost: minus the logarithm of the label's probability, averaged over the samples.

    probability (N, M) positive, labels (N,) whole numbers from 0 to M - 1; loss is a scalar. Where the probabilities
    come from a softmax, `softmax_cross_entropy` takes what goes into it and is exact for every number.
    Source: Nielsen, Neural Networks and Deep Learning, chapter 3.
    """,
)
