"""Attention: scaled dot products, with masks, biases, windows and heads, and its linear and additive kin.

One axis of samples (heads go into it as well, where they share nothing): queries (N, T, D), keys (N, S, D), values
(N, S, E). The layers with heads of their own say so in their shapes.
"""

from sympy import And, Equality, Expr, Idx, Piecewise, Sum, Symbol, exp, oo, sqrt, symbols, tanh

from symgrad import Layer
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import C, D, H, M, N, S, T, n, tensors, x, y

E, G, R = symbols("E G R", integer=True, positive=True)
window = symbols("window", integer=True, positive=True)
query, key, value, bias, mask, count, scores, weights, mixed = tensors(
    "query key value bias mask count scores weights mixed"
)
w_query, w_key, w_value, w_out, v = tensors("w_query w_key w_value w_out v")
q, k = tensors("q k")

d, e, t, s, r = Idx("d", D), Idx("e", E), Idx("t", T), Idx("s", S), Idx("r", S)
c, g, h, m, o = Idx("c", C), Idx("g", G), Idx("h", H), Idx("m", M), Idx("o", M)
past, other, earlier = Idx("s", T), Idx("r", T), Symbol("s", integer=True)

INPUTS = [query[N, T, D], key[N, S, D], value[N, S, E]]
SELF_INPUTS = [query[N, T, D], key[N, T, D], value[N, T, E]]
SIZES = {N: 64, T: 256, S: 256, D: 64, E: 64}
SELF_SIZES = {N: 64, T: 256, D: 64, E: 64}
SOURCE = "Source: Vaswani et al., Attention is all you need, section 3.2"


def product(position: Idx) -> Expr:
    """Return the scaled product of the query at t and the key at ``position``."""
    return Sum(query[n, t, d] * key[n, position, d], d) / sqrt(D)


def softmax(at: Idx, other: Idx) -> Equality:
    """Return the equation of the weights: the softmax of the scores over the keys."""
    return Eq(weights[n, t, at], exp(scores[n, t, at]) / Sum(exp(scores[n, t, other]), other))


def mix(at: Idx) -> Equality:
    """Return the equation of the output: the values, weighted."""
    return Eq(y[n, t, e], Sum(weights[n, t, at] * value[n, at, e], at))


dot_product_attention = Layer(
    "dot_product_attention",
    inputs=INPUTS,
    equations=[Eq(scores[n, t, s], product(s)), softmax(s, r), mix(s)],
    typical=SIZES,
    doc=f"""
    Scaled dot-product attention: every query mixes the values by how well it fits their keys.

    query (N, T, D), key (N, S, D), value (N, S, E); y (N, T, E).
    {SOURCE}.1.
    """,
)

causal_attention = Layer(
    "causal_attention",
    inputs=SELF_INPUTS,
    equations=[
        Eq(scores[n, t, past], Piecewise((product(past), past <= t), (-oo, True))),
        softmax(past, other),
        mix(past),
    ],
    typical=SELF_SIZES,
    doc=f"""
    Causal attention: every position attends to itself and those before it.

    query (N, T, D), key (N, T, D), value (N, T, E); y (N, T, E).
    {SOURCE}.3, masking out illegal connections.
    """,
)

sliding_window_attention = Layer(
    "sliding_window_attention",
    inputs=SELF_INPUTS,
    equations=[
        Eq(scores[n, t, past], Piecewise((product(past), And(past <= t, past > t - window)), (-oo, True))),
        softmax(past, other),
        mix(past),
    ],
    attributes={window: 128},
    typical=SELF_SIZES,
    doc="""
    Sliding-window attention: every position attends to the last few positions, its own among them.

    query (N, T, D), key (N, T, D), value (N, T, E); y (N, T, E). window: how many positions, at least 1.
    Source: Beltagy, Peters and Cohan, Longformer, section 3.1, for positions in the past alone (Jiang et al.,
    Mistral 7B, section 2).
    """,
)

masked_attention = Layer(
    "masked_attention",
    inputs=[*INPUTS, mask[N, T, S]],
    equations=[
        Eq(count[n, t], Sum(mask[n, t, s], s)),
        Eq(scores[n, t, s], Piecewise((product(s), mask[n, t, s] > 0), (-oo, count[n, t] > 0), (0, True))),
        softmax(s, r),
        Eq(y[n, t, e], Piecewise((Sum(weights[n, t, s] * value[n, s, e], s), count[n, t] > 0), (0, True))),
    ],
    constants=[mask],
    outputs=[y],
    typical=SIZES,
    doc=f"""
    Attention under a mask: a query attends to the keys that its row of the mask allows.

    query (N, T, D), key (N, S, D), value (N, S, E), mask (N, T, S) of ones, and zeros where a key is left out, no
    gradient; y (N, T, E), 0 for a query that may attend to nothing.
    {SOURCE}.3; the rule for queries without a key is ours.
    """,
)

biased_attention = Layer(
    "biased_attention",
    inputs=[*INPUTS, bias[T, S]],
    equations=[Eq(scores[n, t, s], product(s) + bias[t, s]), softmax(s, r), mix(s)],
    typical=SIZES,
    doc="""
    Attention with a learnt bias for every pair of positions.

    query (N, T, D), key (N, S, D), value (N, S, E), bias (T, S) added to the scores; y (N, T, E).
    Source: Raffel et al., Exploring the limits of transfer learning with a unified text-to-text transformer,
    section 2.1 (relative position biases, without sharing by buckets).
    """,
)

alibi_attention = Layer(
    "alibi_attention",
    inputs=[query[N, H, T, D], key[N, H, T, D], value[N, H, T, E]],
    equations=[
        Eq(
            scores[n, h, t, past],
            Piecewise(
                (
                    Sum(query[n, h, t, d] * key[n, h, past, d], d) / sqrt(D) - 2 ** (-8 * (h + 1) / H) * (t - past),
                    past <= t,
                ),
                (-oo, True),
            ),
        ),
        Eq(weights[n, h, t, past], exp(scores[n, h, t, past]) / Sum(exp(scores[n, h, t, other]), other)),
        Eq(y[n, h, t, e], Sum(weights[n, h, t, past] * value[n, h, past, e], past)),
    ],
    typical={N: 8, H: 8, T: 256, D: 64, E: 64},
    doc="""
    Causal attention with linear biases: scores fall with the distance, faster in some heads.

    query (N, H, T, D), key (N, H, T, D), value (N, H, T, E), for H heads; y (N, H, T, E). The slope of head h, from 0,
    is 2^(-8 (h + 1) / H).
    Source: Press, Smith and Lewis, Train short, test long: attention with linear biases, section 3.
    """,
)

grouped_query_attention = Layer(
    "grouped_query_attention",
    inputs=[query[N, G, R, T, D], key[N, G, S, D], value[N, G, S, E]],
    equations=[
        Eq(
            scores[n, g, Idx("h", R), t, s],
            Sum(query[n, g, Idx("h", R), t, d] * key[n, g, s, d], d) / sqrt(D),
        ),
        Eq(
            weights[n, g, Idx("h", R), t, s],
            exp(scores[n, g, Idx("h", R), t, s]) / Sum(exp(scores[n, g, Idx("h", R), t, r]), r),
        ),
        Eq(y[n, g, Idx("h", R), t, e], Sum(weights[n, g, Idx("h", R), t, s] * value[n, g, s, e], s)),
    ],
    typical={N: 8, G: 2, R: 4, T: 256, S: 256, D: 64, E: 64},
    doc="""
    Grouped-query attention: the R query heads of each of G groups share one head of keys and values.

    query (N, G, R, T, D), key (N, G, S, D), value (N, G, S, E); y (N, G, R, T, E). G = 1 is multi-query attention.
    Source: Ainslie et al., GQA: training generalized multi-query transformer models, section 2.2.
    """,
)

multi_head_attention = Layer(
    "multi_head_attention",
    inputs=[x[N, T, M], w_query[H, D, M], w_key[H, D, M], w_value[H, E, M], w_out[M, H, E]],
    equations=[
        Eq(q[n, h, t, d], Sum(w_query[h, d, m] * x[n, t, m], m)),
        Eq(k[n, h, past, d], Sum(w_key[h, d, m] * x[n, past, m], m)),
        Eq(v[n, h, past, e], Sum(w_value[h, e, m] * x[n, past, m], m)),
        Eq(scores[n, h, t, past], Sum(q[n, h, t, d] * k[n, h, past, d], d) / sqrt(D)),
        Eq(weights[n, h, t, past], exp(scores[n, h, t, past]) / Sum(exp(scores[n, h, t, other]), other)),
        Eq(mixed[n, h, t, e], Sum(weights[n, h, t, past] * v[n, h, past, e], past)),
        Eq(y[n, t, o], Sum(w_out[o, h, e] * mixed[n, h, t, e], h, e)),
    ],
    typical={N: 8, T: 256, M: 512, H: 8, D: 64, E: 64},
    doc=f"""
    Multi-head self-attention: projections, attention in every head, and a projection back.

    x (N, T, M), w_query (H, D, M), w_key (H, D, M), w_value (H, E, M) and w_out (M, H, E) for H heads; y (N, T, M).
    {SOURCE}.2.
    """,
)

additive_attention = Layer(
    "additive_attention",
    inputs=[query[N, T, D], key[N, S, C], value[N, S, E], w_query[M, D], w_key[M, C], v[M]],
    equations=[
        Eq(q[n, t, m], Sum(w_query[m, d] * query[n, t, d], d)),
        Eq(k[n, s, m], Sum(w_key[m, c] * key[n, s, c], c)),
        Eq(scores[n, t, s], Sum(v[m] * tanh(q[n, t, m] + k[n, s, m]), m)),
        softmax(s, r),
        mix(s),
    ],
    typical={N: 16, T: 32, S: 32, D: 64, C: 64, E: 64, M: 64},
    doc="""
    Additive attention: scores by a small network in place of products.

    query (N, T, D), key (N, S, C), value (N, S, E), w_query (M, D), w_key (M, C), v (M,); y (N, T, E).
    Source: Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and translate, A.1.2.
    """,
)


def feature(z: Expr) -> Expr:
    """Return the positive feature of ``z``: its exponential linear unit plus 1."""
    return Piecewise((z + 1, z > 0), (exp(z), True))


linear_attention = Layer(
    "linear_attention",
    inputs=INPUTS,
    equations=[
        Eq(q[n, t, d], feature(query[n, t, d])),
        Eq(k[n, s, d], feature(key[n, s, d])),
        Eq(mixed[n, d, e], Sum(k[n, s, d] * value[n, s, e], s)),
        Eq(
            y[n, t, e],
            Sum(q[n, t, d] * mixed[n, d, e], d) / Sum(q[n, t, d] * Sum(k[n, s, d], s), d),
        ),
    ],
    typical=SIZES,
    doc="""
    Linear attention: positive features in place of the softmax, keys and values summed once.

    query (N, T, D), key (N, S, D), value (N, S, E); y (N, T, E). The feature of z is z + 1 where positive, exp(z)
    elsewhere.
    Source: Katharopoulos, Vyas, Pappas and Fleuret, Transformers are RNNs, section 3.2, equations 5 and 7.
    """,
)


causal_linear_attention = Layer(
    "causal_linear_attention",
    inputs=SELF_INPUTS,
    equations=[
        Eq(q[n, t, d], feature(query[n, t, d])),
        Eq(k[n, past, d], feature(key[n, past, d])),
        Eq(scores[n, t, past], Sum(q[n, t, d] * k[n, past, d], d)),
        Eq(
            y[n, t, e],
            Sum(scores[n, t, earlier] * value[n, earlier, e], (earlier, 0, t))
            / Sum(scores[n, t, earlier], (earlier, 0, t)),
        ),
    ],
    typical=SELF_SIZES,
    doc="""
    Causal linear attention: positive features in place of the softmax, over the past.

    query (N, T, D), key (N, T, D), value (N, T, E); y (N, T, E). The feature of z is z + 1 where positive, exp(z)
    elsewhere.
    Source: Katharopoulos, Vyas, Pappas and Fleuret, Transformers are RNNs, section 3.3, equation 9.
    """,
)

attention_pooling = Layer(
    "attention_pooling",
    inputs=[x[N, S, D], v[D]],
    equations=[
        Eq(scores[n, s], Sum(x[n, s, d] * v[d], d)),
        Eq(weights[n, s], exp(scores[n, s]) / Sum(exp(scores[n, r]), r)),
        Eq(y[n, d], Sum(weights[n, s] * x[n, s, d], s)),
    ],
    typical={N: 64, S: 128, D: 256},
    doc="""
    Attention pooling: a sequence as one vector, its positions weighed by a learnt query.

    x (N, S, D), v (D,) the query; y (N, D).
    Source: Lin et al., A structured self-attentive sentence embedding, equations 1 and 2, with scores linear in x.
    """,
)
