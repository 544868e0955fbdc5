"""Rows by number: embeddings, bags, segments, neighbours in a graph, the nearest of a codebook."""

from sympy import Idx, KroneckerDelta, Piecewise, Sum, symbols

from symgrad import ArgMin, Layer, StopGradient
from symgrad.layers.equation import Eq, Max
from symgrad.layers.symbols import D, K, M, N, T, n, tensors, w, x, y

V, R, E = symbols("V R E", integer=True, positive=True)
table, ids, lengths, positions, segment, source, target = tensors("table ids lengths positions segment source target")
count, chosen, codebook, distance, message = tensors("count chosen codebook distance message")
d, t, r, e, k, m = Idx("d", D), Idx("t", T), Idx("r", R), Idx("e", E), Idx("k", K), Idx("m", M)

embedding = Layer(
    "embedding",
    inputs=[table[V, D], ids[N, T]],
    equations=[Eq(y[n, t, d], table[ids[n, t], d])],
    typical={V: 10_000, D: 256, N: 32, T: 128},
    doc="""
    Embedding: the row of a table for every number.

    table (V, D), ids (N, T) whole numbers from 0 to V - 1; y (N, T, D). Rows that occur several times add up their
    gradients, rows that do not occur get 0.
    Source: Bengio, Ducharme, Vincent and Jauvin, A neural probabilistic language model, section 2.
    """,
)

present = t < lengths[n]

embedding_bag = Layer(
    "embedding_bag",
    inputs=[table[V, D], ids[N, T], lengths[N]],
    equations=[Eq(y[n, d], Sum(Piecewise((table[ids[n, t], d], present), (0, True)), t))],
    integers=[lengths],
    typical={V: 10_000, D: 256, N: 256, T: 16},
    doc="""
    Embedding bag: the sum of the rows of a table that a bag of numbers names.

    table (V, D), ids (N, T) whole numbers from 0 to V - 1, lengths (N,) how many of each row of ids count;
    y (N, D). An empty bag is 0.
    Source: torch.nn.functional.embedding_bag, mode sum.
    """,
)

embedding_bag_mean = Layer(
    "embedding_bag_mean",
    inputs=[table[V, D], ids[N, T], lengths[N]],
    equations=[Eq(y[n, d], Sum(Piecewise((table[ids[n, t], d], present), (0, True)), t) / Max(lengths[n], 1))],
    integers=[lengths],
    typical={V: 10_000, D: 256, N: 256, T: 16},
    doc="""
    Embedding bag: the mean of the rows of a table that a bag of numbers names.

    table (V, D), ids (N, T) whole numbers from 0 to V - 1, lengths (N,) how many of each row of ids count;
    y (N, D). An empty bag is 0.
    Source: torch.nn.functional.embedding_bag, mode mean.
    """,
)

weighted_embedding_bag = Layer(
    "weighted_embedding_bag",
    inputs=[table[V, D], ids[N, T], w[N, T]],
    equations=[Eq(y[n, d], Sum(table[ids[n, t], d] * w[n, t], t))],
    typical={V: 10_000, D: 256, N: 256, T: 16},
    doc="""
    Embedding bag with weights: the weighted sum of the rows of a table that a bag of numbers names.

    table (V, D), ids (N, T) whole numbers from 0 to V - 1, w (N, T) weights; y (N, D).
    Source: torch.nn.functional.embedding_bag, per_sample_weights.
    """,
)

take_along = Layer(
    "take_along",
    inputs=[x[N, M], positions[N, K]],
    equations=[Eq(y[n, k], x[n, positions[n, k]])],
    typical={N: 4096, M: 1000, K: 8},
    doc="""
    Values of every row at given positions.

    x (N, M), positions (N, K) whole numbers from 0 to M - 1; y (N, K).
    Source: torch.gather along the last axis.
    """,
)

segment_sum = Layer(
    "segment_sum",
    inputs=[x[N, D], segment[N]],
    equations=[Eq(y[r, d], Sum(x[n, d] * KroneckerDelta(segment[n], r), n))],
    integers=[segment],
    attributes={R: 8},
    typical={N: 100_000, D: 32, R: 1000},
    doc="""
    Sum of the rows of every segment.

    x (N, D), segment (N,) the segment of every row, from 0 to R - 1, in any order; y (R, D). R: how many segments.
    Rows of a segment outside that range count nowhere.
    Source: jax.ops.segment_sum.
    """,
)

segment_mean = Layer(
    "segment_mean",
    inputs=[x[N, D], segment[N]],
    equations=[
        Eq(count[r], Sum(KroneckerDelta(segment[n], r), n)),
        Eq(y[r, d], Sum(x[n, d] * KroneckerDelta(segment[n], r), n) / Max(count[r], 1)),
    ],
    integers=[segment],
    attributes={R: 8},
    typical={N: 100_000, D: 32, R: 1000},
    doc="""
    Mean of the rows of every segment.

    x (N, D), segment (N,) the segment of every row, from 0 to R - 1, in any order; y (R, D), 0 for a segment without
    rows. R: how many segments.
    Source: Paszke et al., PyTorch, torch.Tensor.scatter_reduce with the mean.
    """,
)

graph_convolution = Layer(
    "graph_convolution",
    inputs=[x[R, D], w[K, D], source[E], target[E]],
    equations=[
        Eq(message[r, k], Sum(x[r, d] * w[k, d], d)),
        Eq(count[r], Sum(KroneckerDelta(target[e], r), e)),
        Eq(y[r, k], Sum(message[source[e], k] * KroneckerDelta(target[e], r), e) / Max(count[r], 1)),
    ],
    integers=[source, target],
    typical={R: 2000, D: 64, K: 64, E: 10_000},
    doc="""
    Graph convolution: every node is the mean of what its edges bring.

    x (R, D) nodes, w (K, D) weights, source (E,) and target (E,) the nodes of every edge, from 0 to R - 1; y (R, K),
    0 for a node without an edge into it.
    Source: Hamilton, Ying and Leskovec, Inductive representation learning on large graphs, section 3.3 (mean).
    """,
)

vector_quantisation = Layer(
    "vector_quantisation",
    inputs=[x[N, D], codebook[K, D]],
    equations=[
        Eq(distance[n, k], Sum((x[n, d] - codebook[k, d]) ** 2, d)),
        Eq(chosen[n], ArgMin(distance[n, k], k)),
        Eq(y[n, d], x[n, d] + StopGradient(codebook[chosen[n], d] - x[n, d])),
    ],
    outputs=[y],
    typical={N: 4096, D: 64, K: 512},
    doc="""
    Vector quantisation: every vector is replaced by the nearest of a codebook.

    x (N, D), codebook (K, D); y (N, D). The gradient of x is that of y; the codebook gets none here.
    Source: van den Oord, Vinyals and Kavukcuoglu, Neural discrete representation learning, section 3.1.
    """,
)
