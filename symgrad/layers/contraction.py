"""Sums of products: bilinear forms, matrix products, factored weights, experts, gates over channels."""

from sympy import Idx, Sum, exp, symbols

from symgrad import ArgMax, Layer
from symgrad.layers.activation import logistic
from symgrad.layers.equation import Eq, Max
from symgrad.layers.symbols import C, D, H, K, M, N, R, S, W, b, c, k, m, n, tensors, w, x, y

E, A, B = symbols("E A B", integer=True, positive=True)
left, right, inner, core, first, second, third = tensors("left right inner core first second third")
gate, gates, expert, chosen, pooled, hidden = tensors("gate gates expert chosen pooled hidden")
w_gate, w_down, b_down, w_up, b_up, linear, factors = tensors("w_gate w_down b_down w_up b_up linear factors")
centres, spread, scale, shift = tensors("centres spread scale shift")
d, e, r, g = Idx("d", D), Idx("e", E), Idx("r", R), Idx("g", E)
i, j, q = Idx("i", H), Idx("j", W), Idx("q", M)
a, o, s = Idx("a", A), Idx("o", B), Idx("s", S)

bilinear = Layer(
    "bilinear",
    inputs=[left[N, D], right[N, M], w[K, D, M], b[K]],
    equations=[Eq(y[n, k], Sum(left[n, d] * w[k, d, m] * right[n, m], d, m) + b[k])],
    typical={N: 256, D: 64, M: 64, K: 64},
    doc="""
    Bilinear layer: every unit is a weighted sum of the products of two inputs' features, plus a bias.

    left (N, D), right (N, M), w (K, D, M) weights, b (K,) biases; y (N, K).
    Source: torch.nn.functional.bilinear; Tenenbaum and Freeman, Separating style and content with bilinear models.
    """,
)

batch_matmul = Layer(
    "batch_matmul",
    inputs=[left[N, D, M], right[N, M, K]],
    equations=[Eq(y[n, d, k], Sum(left[n, d, m] * right[n, m, k], m))],
    typical={N: 64, D: 128, M: 128, K: 128},
    doc="""
    Products of matrices, pair by pair.

    left (N, D, M), right (N, M, K); y (N, D, K).
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.5.6, with gradients G B^T and A^T G.
    """,
)

low_rank_dense = Layer(
    "low_rank_dense",
    inputs=[x[N, M], w_down[R, M], w_up[K, R], b[K]],
    equations=[
        Eq(inner[n, r], Sum(x[n, m] * w_down[r, m], m)),
        Eq(y[n, k], Sum(inner[n, r] * w_up[k, r], r) + b[k]),
    ],
    typical={N: 256, M: 1024, K: 1024, R: 16},
    doc="""
    Fully connected layer whose weights are a product of two thin matrices.

    x (N, M), w_down (R, M), w_up (K, R), b (K,) biases; y (N, K).
    Source: Hu et al., LoRA: low-rank adaptation of large language models, section 4.1.
    """,
)

cp_contraction = Layer(
    "cp_contraction",
    inputs=[x[N, D, M], first[R, D], second[R, M], third[K, R]],
    equations=[Eq(y[n, k], Sum(x[n, d, m] * first[r, d] * second[r, m] * third[k, r], d, m, r))],
    typical={N: 256, D: 32, M: 32, K: 64, R: 8},
    doc="""
    Matrices times a tensor of weights that is a sum of R outer products (canonical polyadic form).

    x (N, D, M), first (R, D), second (R, M), third (K, R); y (N, K).
    Source: Kolda and Bader, Tensor decompositions and applications, section 3.
    """,
)

tucker_contraction = Layer(
    "tucker_contraction",
    inputs=[x[N, D, M], core[A, B, S], first[A, D], second[B, M], third[K, S]],
    equations=[
        Eq(y[n, k], Sum(x[n, d, m] * core[a, o, s] * first[a, d] * second[o, m] * third[k, s], d, m, a, o, s)),
    ],
    typical={N: 256, D: 32, M: 32, K: 64, A: 8, B: 8, S: 8},
    doc="""
    Matrices times a tensor of weights that is a small core, multiplied along every axis (Tucker form).

    x (N, D, M), core (A, B, S), first (A, D), second (B, M), third (K, S); y (N, K).
    Source: Kolda and Bader, Tensor decompositions and applications, section 4.
    """,
)

factorization_machine = Layer(
    "factorization_machine",
    inputs=[x[N, M], linear[M], factors[M, D]],
    equations=[
        Eq(inner[n, d], Sum(x[n, m] * factors[m, d], m)),
        Eq(
            y[n],
            Sum(x[n, m] * linear[m], m) + (Sum(inner[n, d] ** 2, d) - Sum(x[n, q] ** 2 * factors[q, d] ** 2, q, d)) / 2,
        ),
    ],
    outputs=[y],
    typical={N: 256, M: 512, D: 16},
    doc="""
    Factorization machine: a weighted sum of features and of their products.

    x (N, M), linear (M,) weights, factors (M, D), whose inner products are the weights of pairs; y (N,).
    Source: Rendle, Factorization machines, equation 1 and lemma 3.1.
    """,
)

pairwise_distance = Layer(
    "pairwise_distance",
    inputs=[left[N, D], right[M, D]],
    equations=[Eq(y[n, m], Sum((left[n, d] - right[m, d]) ** 2, d))],
    typical={N: 512, M: 512, D: 64},
    doc="""
    Squared distances between all rows of two arrays.

    left (N, D), right (M, D); y (N, M).
    Source: Bishop, Pattern recognition and machine learning, section 9.1.
    """,
)

radial_basis = Layer(
    "radial_basis",
    inputs=[x[N, D], centres[M, D], spread[M]],
    equations=[Eq(y[n, m], exp(-Sum((x[n, d] - centres[m, d]) ** 2, d) / spread[m] ** 2))],
    typical={N: 512, D: 16, M: 64},
    doc="""
    Radial basis functions: bumps around learnt centres.

    x (N, D), centres (M, D), spread (M,), not 0; y (N, M).
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.3.3.
    """,
)

# ---- experts

GATES = [
    Eq(gate[n, e], Sum(w_gate[e, m] * x[n, m], m)),
    Eq(gates[n, e], exp(gate[n, e]) / Sum(exp(gate[n, g]), g)),
]

mixture_of_experts = Layer(
    "mixture_of_experts",
    inputs=[x[N, M], w_gate[E, M], w[E, K, M], b[E, K]],
    equations=[
        *GATES,
        Eq(expert[n, e, k], Sum(w[e, k, m] * x[n, m], m) + b[e, k]),
        Eq(y[n, k], Sum(gates[n, e] * expert[n, e, k], e)),
    ],
    outputs=[y],
    typical={N: 256, M: 256, K: 256, E: 8},
    doc="""
    Mixture of experts: fully connected layers, weighted by a softmax gate for every sample.

    x (N, M), w_gate (E, M) of the gate, w (E, K, M) weights and b (E, K) biases of E experts; y (N, K).
    Source: Jacobs, Jordan, Nowlan and Hinton, Adaptive mixtures of local experts.
    """,
)

switch_experts = Layer(
    "switch_experts",
    inputs=[x[N, M], w_gate[E, M], w[E, K, M], b[E, K]],
    equations=[
        *GATES,
        Eq(chosen[n], ArgMax(gates[n, e], e)),
        Eq(y[n, k], gates[n, chosen[n]] * (Sum(w[chosen[n], k, m] * x[n, m], m) + b[chosen[n], k])),
    ],
    outputs=[y],
    typical={N: 256, M: 64, K: 64, E: 8},
    doc="""
    Switch layer: one expert for every sample, the one its gate favours, weighted by that gate.

    x (N, M), w_gate (E, M) of the gate, w (E, K, M) weights and b (E, K) biases of E experts; y (N, K). The choice
    itself has no gradient, the gate has.
    Source: Fedus, Zoph and Shazeer, Switch transformers, section 2.1.
    """,
)

# ---- channels weighed

squeeze_excite2d = Layer(
    "squeeze_excite2d",
    inputs=[x[N, C, H, W], w_down[R, C], b_down[R], w_up[C, R], b_up[C]],
    equations=[
        Eq(pooled[n, c], Sum(x[n, c, i, j], i, j) / (H * W)),
        Eq(hidden[n, r], Max(Sum(w_down[r, c] * pooled[n, c], c) + b_down[r], 0)),
        Eq(gate[n, c], logistic(Sum(w_up[c, r] * hidden[n, r], r) + b_up[c])),
        Eq(y[n, c, i, j], gate[n, c] * x[n, c, i, j]),
    ],
    outputs=[y],
    typical={N: 16, C: 64, H: 32, W: 32, R: 16},
    doc="""
    Squeeze and excitation: channels weighed by gates that see the mean of every channel.

    x (N, C, H, W), w_down (R, C) and b_down (R,) into R units, w_up (C, R) and b_up (C,) out of them; y as x.
    Source: Hu, Shen and Sun, Squeeze-and-excitation networks, section 3.
    """,
)

feature_modulation2d = Layer(
    "feature_modulation2d",
    inputs=[x[N, C, H, W], scale[N, C], shift[N, C]],
    equations=[Eq(y[n, c, i, j], scale[n, c] * x[n, c, i, j] + shift[n, c])],
    typical={N: 16, C: 64, H: 32, W: 32},
    doc="""
    Feature-wise linear modulation: channels scaled and shifted by what another network says.

    x (N, C, H, W), scale (N, C), shift (N, C); y as x.
    Source: Perez, Strub, de Vries, Dumoulin and Courville, FiLM, section 2.1.
    """,
)
