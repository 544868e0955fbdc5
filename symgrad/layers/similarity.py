"""Losses between vectors: pairs, triplets, ranks and batches that tell their own pairs apart."""

from sympy import Idx, Piecewise, Sum, Symbol, exp, log, sqrt, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq, Max
from symgrad.layers.symbols import D, N, n, tensors

anchor, positive, negative, left, right, same = tensors("anchor positive negative left right same")
near, far, distance, similarity, mean, log_variance = tensors("near far distance similarity mean log_variance")
loss = Symbol("loss")
margin, epsilon = symbols("margin epsilon", real=True, nonnegative=True)
temperature = symbols("temperature", real=True, positive=True)
d, e, j, k = Idx("d", D), Idx("e", D), Idx("j", N), Idx("k", N)
PAIRS = {N: 512, D: 128}

triplet = Layer(
    "triplet",
    inputs=[anchor[N, D], positive[N, D], negative[N, D]],
    equations=[
        Eq(near[n], sqrt(Sum((anchor[n, d] - positive[n, d] + epsilon) ** 2, d))),
        Eq(far[n], sqrt(Sum((anchor[n, d] - negative[n, d] + epsilon) ** 2, d))),
        Eq(loss, Sum(Max(near[n] - far[n] + margin, 0), n) / N),
    ],
    attributes={margin: 1.0, epsilon: 1e-6},
    typical=PAIRS,
    doc="""
    Triplet loss: an anchor should be nearer to its own kind than to another, by a margin; averaged.

    anchor (N, D), positive (N, D), negative (N, D); loss is a scalar. margin: by how much nearer; epsilon: added to
    every difference, so that no distance is 0.
    Source: Balntas, Riba, Ponsa and Mikolajczyk, Learning local feature descriptors with triplets, section 2.2.
    """,
)

contrastive = Layer(
    "contrastive",
    inputs=[left[N, D], right[N, D], same[N]],
    equations=[
        Eq(distance[n], sqrt(Sum((left[n, d] - right[n, d]) ** 2, d) + epsilon)),
        Eq(
            loss,
            Sum(same[n] * distance[n] ** 2 + (1 - same[n]) * Max(margin - distance[n], 0) ** 2, n) / (2 * N),
        ),
    ],
    attributes={margin: 1.0, epsilon: 1e-12},
    constants=[same],
    typical=PAIRS,
    doc="""
    Contrastive loss: pairs of a kind come together, other pairs go apart as far as a margin; averaged.

    left (N, D), right (N, D), same (N,) 1 for a pair of a kind and 0 for another, no gradient; loss is a scalar.
    margin: how far; epsilon: added to the squared distance, so that its root has a derivative.
    Source: Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping, equation 4.
    """,
)

info_nce = Layer(
    "info_nce",
    inputs=[left[N, D], right[N, D]],
    equations=[
        Eq(similarity[n, j], Sum(left[n, d] * right[j, d], d) / temperature),
        Eq(loss, Sum(log(Sum(exp(similarity[n, j]), j)) - similarity[n, n], n) / N),
    ],
    attributes={temperature: 0.1},
    typical=PAIRS,
    doc="""
    InfoNCE: every row of one batch has to find its partner among all rows of the other; averaged.

    left (N, D), right (N, D), row n of both being partners, of length 1 where cosines are meant; loss is a scalar.
    temperature: what the products are divided by.
    Source: van den Oord, Li and Vinyals, Representation learning with contrastive predictive coding, equation 4.
    """,
)

clip_loss = Layer(
    "clip_loss",
    inputs=[left[N, D], right[N, D]],
    equations=[
        Eq(similarity[n, j], Sum(left[n, d] * right[j, d], d) / temperature),
        Eq(
            loss,
            Sum(
                log(Sum(exp(similarity[n, j]), j)) + log(Sum(exp(similarity[k, n]), k)) - 2 * similarity[n, n],
                n,
            )
            / (2 * N),
        ),
    ],
    attributes={temperature: 0.07},
    typical=PAIRS,
    doc="""
    Symmetric InfoNCE: rows find their partners in both directions; averaged.

    left (N, D), right (N, D), row n of both being partners; loss is a scalar. temperature: what the products are
    divided by.
    Source: Radford et al., Learning transferable visual models from natural language supervision, figure 3.
    """,
)

cosine_embedding = Layer(
    "cosine_embedding",
    inputs=[left[N, D], right[N, D], same[N]],
    equations=[
        Eq(
            similarity[n],
            Sum(left[n, d] * right[n, d], d)
            / sqrt((Sum(left[n, d] ** 2, d) + epsilon) * (Sum(right[n, e] ** 2, e) + epsilon)),
        ),
        Eq(
            loss,
            Sum(Piecewise((1 - similarity[n], same[n] > 0), (Max(similarity[n] - margin, 0), True)), n) / N,
        ),
    ],
    attributes={margin: 0.0, epsilon: 1e-12},
    constants=[same],
    typical=PAIRS,
    doc="""
    Cosine embedding loss: pairs of a kind turn to one another, other pairs away; averaged.

    left (N, D), right (N, D), same (N,) 1 for a pair of a kind and -1 for another, no gradient; loss is a scalar.
    margin: the cosine that other pairs may have; epsilon: added to the squared lengths.
    Source: torch.nn.functional.cosine_embedding_loss.
    """,
)

margin_ranking = Layer(
    "margin_ranking",
    inputs=[left[N], right[N], same[N]],
    equations=[Eq(loss, Sum(Max(margin - same[n] * (left[n] - right[n]), 0), n) / N)],
    attributes={margin: 0.0},
    constants=[same],
    typical={N: 100_000},
    doc="""
    Ranking loss: of two scores, the one that should be larger has to lead by a margin; averaged.

    left (N,), right (N,), same (N,) 1 where left should be the larger and -1 where right should, no gradient; loss is
    a scalar. margin: by how much.
    Source: Herbrich, Graepel and Obermayer, Large margin rank boundaries for ordinal regression.
    """,
)

normal_divergence = Layer(
    "normal_divergence",
    inputs=[mean[N, D], log_variance[N, D]],
    equations=[
        Eq(loss, Sum(exp(log_variance[n, d]) + mean[n, d] ** 2 - 1 - log_variance[n, d], n, d) / (2 * N)),
    ],
    typical=PAIRS,
    doc="""
    Kullback-Leibler divergence of normal distributions from the standard one, averaged.

    mean (N, D), log_variance (N, D); loss is a scalar.
    Source: Kingma and Welling, Auto-encoding variational Bayes, appendix B.
    """,
)
