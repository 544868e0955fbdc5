"""Losses over classes: soft, smoothed and ignored labels, divergences, margins, overlap. Targets get no gradient."""

from sympy import Idx, Ne, Piecewise, Sum, Symbol, exp, log, symbols

from symgrad import Layer
from symgrad.layers.activation import logistic
from symgrad.layers.equation import Eq, Max
from symgrad.layers.symbols import M, N, m, n, tensors

logits, labels, target, log_probability = tensors("logits labels target log_probability")
probability, log_softmax, score, class_weight = tensors("probability log_softmax score class_weight")
loss, count = Symbol("loss"), Symbol("count")
smoothing, gamma, alpha, margin, smooth = symbols("smoothing gamma alpha margin smooth", real=True, nonnegative=True)
ignored = symbols("ignored", integer=True)
j, k = Idx("j", M), Idx("k", M)
LABELLED, BATCH = {N: 4096, M: 1000}, {N: 256, M: 1024}

LOG_SOFTMAX = Eq(log_softmax[n, m], logits[n, m] - log(Sum(exp(logits[n, j]), j)))

soft_cross_entropy = Layer(
    "soft_cross_entropy",
    inputs=[logits[N, M], target[N, M]],
    equations=[LOG_SOFTMAX, Eq(loss, -Sum(target[n, m] * log_softmax[n, m], n, m) / N)],
    constants=[target],
    typical=LABELLED,
    doc="""
    Cross-entropy of the softmax of the logits against probabilities, averaged over the samples.

    logits (N, M), target (N, M) probabilities, which add up to 1 in every row; loss is a scalar.
    Source: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, section 2.
    """,
)

smoothed_cross_entropy = Layer(
    "smoothed_cross_entropy",
    inputs=[logits[N, M], labels[N]],
    equations=[
        LOG_SOFTMAX,
        Eq(
            loss,
            -Sum((1 - smoothing) * log_softmax[n, labels[n]] + smoothing / M * Sum(log_softmax[n, k], k), n) / N,
        ),
    ],
    attributes={smoothing: 0.1},
    typical=LABELLED,
    doc="""
    Cross-entropy of the softmax of the logits against smoothed labels, averaged over the samples.

    logits (N, M), labels (N,) whole numbers from 0 to M - 1; loss is a scalar. smoothing: the share of every label
    that is spread evenly over all classes.
    Source: Szegedy et al., Rethinking the inception architecture for computer vision, section 7.
    """,
)

masked_cross_entropy = Layer(
    "masked_cross_entropy",
    inputs=[logits[N, M], labels[N]],
    equations=[
        Eq(count, Sum(Piecewise((1, Ne(labels[n], ignored)), (0, True)), n)),
        Eq(
            loss,
            Sum(
                Piecewise(
                    (log(Sum(exp(logits[n, j]), j)) - logits[n, labels[n]], Ne(labels[n], ignored)),
                    (0, True),
                ),
                n,
            )
            / Max(count, 1),
        ),
    ],
    attributes={ignored: -100},
    outputs=[loss],
    typical=LABELLED,
    doc="""
    Cross-entropy of the softmax of the logits, averaged over the samples with a label.

    logits (N, M), labels (N,) whole numbers from 0 to M - 1, or ignored; loss is a scalar, 0 where all are ignored.
    ignored: the label of samples that do not count.
    Source: torch.nn.functional.cross_entropy, ignore_index; the rule for a batch that is ignored wholly is ours.
    """,
)

weighted_cross_entropy = Layer(
    "weighted_cross_entropy",
    inputs=[logits[N, M], labels[N], class_weight[M]],
    equations=[
        LOG_SOFTMAX,
        Eq(
            loss,
            -Sum(class_weight[labels[n]] * log_softmax[n, labels[n]], n) / Sum(class_weight[labels[n]], n),
        ),
    ],
    constants=[class_weight],
    typical=LABELLED,
    doc="""
    Cross-entropy of the softmax of the logits, averaged with a weight for every class.

    logits (N, M), labels (N,) whole numbers from 0 to M - 1, class_weight (M,), no gradient; loss is a scalar.
    Source: torch.nn.functional.cross_entropy, weight.
    """,
)

nll = Layer(
    "nll",
    inputs=[log_probability[N, M], labels[N]],
    equations=[Eq(loss, -Sum(log_probability[n, labels[n]], n) / N)],
    typical=LABELLED,
    doc="""
    Negative log-likelihood of labels, averaged over the samples.

    log_probability (N, M), what `log_softmax` gives, labels (N,) whole numbers from 0 to M - 1; loss is a scalar.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 5.5.
    """,
)

kl_divergence = Layer(
    "kl_divergence",
    inputs=[log_probability[N, M], target[N, M]],
    equations=[
        Eq(
            loss,
            Sum(
                Piecewise((target[n, m] * (log(target[n, m]) - log_probability[n, m]), target[n, m] > 0), (0, True)),
                n,
                m,
            )
            / N,
        )
    ],
    constants=[target],
    typical=BATCH,
    doc="""
    Kullback-Leibler divergence of the target from the prediction, averaged over the samples.

    log_probability (N, M) logarithms of the predicted probabilities, target (N, M) probabilities; loss is a scalar.
    A target of 0 adds 0.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 3.13, equation 3.50.
    """,
)

p = logistic(logits[n, m])

focal = Layer(
    "focal",
    inputs=[logits[N, M], target[N, M]],
    equations=[
        Eq(
            loss,
            -Sum(
                alpha * target[n, m] * (1 - p) ** gamma * log(p)
                + (1 - alpha) * (1 - target[n, m]) * p**gamma * log(1 - p),
                n,
                m,
            )
            / (N * M),
        ),
    ],
    attributes={gamma: 2.0, alpha: 0.25},
    constants=[target],
    typical=BATCH,
    doc="""
    Focal loss: cross-entropy of sigmoids that counts well-classified outputs less, averaged.

    logits (N, M), target (N, M) of zeros and ones; loss is a scalar. gamma: how fast they lose weight, alpha: the
    weight of the ones.
    Source: Lin, Goyal, Girshick, He and Dollar, Focal loss for dense object detection, equation 5.
    """,
)

hinge = Layer(
    "hinge",
    inputs=[score[N, M], target[N, M]],
    equations=[Eq(loss, Sum(Max(1 - target[n, m] * score[n, m], 0), n, m) / (N * M))],
    constants=[target],
    typical=BATCH,
    doc="""
    Hinge loss: what is missing to a margin of 1, averaged.

    score (N, M), target (N, M) of 1 and -1; loss is a scalar. The derivative at the margin is 0.
    Source: Cortes and Vapnik, Support-vector networks; Rosasco et al., Are loss functions all the same.
    """,
)

squared_hinge = Layer(
    "squared_hinge",
    inputs=[score[N, M], target[N, M]],
    equations=[Eq(loss, Sum(Max(1 - target[n, m] * score[n, m], 0) ** 2, n, m) / (N * M))],
    constants=[target],
    typical=BATCH,
    doc="""
    Squared hinge loss: the square of what is missing to a margin of 1, averaged.

    score (N, M), target (N, M) of 1 and -1; loss is a scalar.
    Source: Tang, Deep learning using linear support vector machines, equation 6.
    """,
)

multiclass_hinge = Layer(
    "multiclass_hinge",
    inputs=[score[N, M], labels[N]],
    equations=[
        Eq(
            loss,
            Sum(
                Piecewise((0, Eq(m, labels[n])), (Max(margin + score[n, m] - score[n, labels[n]], 0), True)),
                n,
                m,
            )
            / N,
        )
    ],
    attributes={margin: 1.0},
    typical=LABELLED,
    doc="""
    Multiclass hinge loss: how far wrong classes come above the right one less a margin.

    score (N, M), labels (N,) whole numbers from 0 to M - 1; loss is a scalar: added over the classes,
    averaged over the samples. margin: by how much the right class has to lead.
    Source: Weston and Watkins, Support vector machines for multi-class pattern recognition; cs231n, linear
    classification.
    """,
)

dice = Layer(
    "dice",
    inputs=[probability[N, M], target[N, M]],
    equations=[
        Eq(
            loss,
            1
            - Sum(
                (2 * Sum(probability[n, m] * target[n, m], m) + smooth)
                / (Sum(probability[n, j], j) + Sum(target[n, k], k) + smooth),
                n,
            )
            / N,
        )
    ],
    attributes={smooth: 1.0},
    constants=[target],
    typical={N: 16, M: 65_536},
    doc="""
    Dice loss: one minus the overlap of what is predicted and what is there, averaged over the samples.

    probability (N, M) of every pixel, target (N, M) of zeros and ones; loss is a scalar. smooth: added above and below
    the line, so that two empty sets agree.
    Source: Milletari, Navab and Ahmadi, V-Net, section 3, with plain sums in the denominator (Sudre et al.).
    """,
)
