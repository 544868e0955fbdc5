"""Activations that weigh one value by others: gated units, maxout, softmax along any axis."""

from collections.abc import Callable

from sympy import Expr, Idx, Piecewise, Sum, erf, exp, log, oo, sqrt, symbols

from symgrad import Layer, ReduceMax
from symgrad.layers.activation import logistic
from symgrad.layers.equation import Eq, Max
from symgrad.layers.symbols import C, D, H, K, L, M, N, W, b, c, k, m, n, tensors, w, x, y

d, i, j = Idx("d", D), Idx("i", H), Idx("j", W)
a, count, h, gate, mask, slope, noise = tensors("a count h gate mask slope noise")
w_gate, b_gate = tensors("w_gate b_gate")
temperature = symbols("temperature", real=True, positive=True)

# ---- gated linear units: one half of the features weighs the other


def gated(name: str, function: Callable[[Expr, Expr], Expr], formula: str) -> Layer:
    """Declare ``function`` of the first and the second half of the features."""
    return Layer(
        name,
        inputs=[x[N, 2 * M]],
        equations=[Eq(y[n, m], function(x[n, m], x[n, M + m]))],
        typical={N: 256, M: 1024},
        doc=f"""
    Gated linear unit: {formula}, for a the first half of the features and b the second.

    x (N, 2 M): what two fully connected layers give, side by side; y (N, M).
    Source: Shazeer, GLU variants improve transformer, section 2.
    """,
    )


glu = gated("glu", lambda a, b: a * logistic(b), "a sigmoid(b)")
reglu = gated("reglu", lambda a, b: Max(a, 0) * b, "relu(a) b")
geglu = gated("geglu", lambda a, b: a / 2 * (1 + erf(a / sqrt(2))) * b, "gelu(a) b")
swiglu = gated("swiglu", lambda a, b: a * logistic(a) * b, "silu(a) b")
bilinear_glu = gated("bilinear_glu", lambda a, b: a * b, "a b")

prelu = Layer(
    "prelu",
    inputs=[x[N, C, L], slope[C]],
    equations=[
        Eq(
            y[n, c, Idx("i", L)],
            Piecewise((x[n, c, Idx("i", L)], x[n, c, Idx("i", L)] > 0), (slope[c] * x[n, c, Idx("i", L)], True)),
        )
    ],
    typical={N: 16, C: 64, L: 1024},
    doc="""
    Parametric rectified linear unit: x where positive, a learnt slope times x elsewhere.

    x (N, C, L): images go in as x.reshape(N, C, -1); slope (C,) of every channel; y (N, C, L).
    The derivative at 0 is slope.
    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, section 2.1.
    """,
)

maxout = Layer(
    "maxout",
    inputs=[x[N, D], w[K, M, D], b[K, M]],
    equations=[
        Eq(h[n, k, m], Sum(x[n, d] * w[k, m, d], d) + b[k, m]),
        Eq(y[n, k], ReduceMax(h[n, k, m], m)),
    ],
    typical={N: 256, D: 512, K: 256, M: 4},
    doc="""
    Maxout: every unit is the largest of M weighted sums; the first of them wins a tie.

    x (N, D), w (K, M, D) weights, b (K, M) biases; y (N, K).
    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, Maxout networks, section 3.
    """,
)

highway = Layer(
    "highway",
    inputs=[x[N, M], w[M, M], b[M], w_gate[M, M], b_gate[M]],
    equations=[
        Eq(gate[n, m], logistic(Sum(x[n, Idx("j", M)] * w_gate[m, Idx("j", M)], Idx("j", M)) + b_gate[m])),
        Eq(h[n, m], Max(Sum(x[n, Idx("j", M)] * w[m, Idx("j", M)], Idx("j", M)) + b[m], 0)),
        Eq(y[n, m], gate[n, m] * h[n, m] + (1 - gate[n, m]) * x[n, m]),
    ],
    typical={N: 256, M: 512},
    doc="""
    Highway layer: a gate that blends a rectified fully connected layer with its own input.

    x (N, M), w (M, M) and b (M,) of the layer, w_gate (M, M) and b_gate (M,) of the gate; y (N, M).
    Source: Srivastava, Greff and Schmidhuber, Highway networks, equation 3.
    """,
)

# ---- softmax: along an axis, over channels, with a temperature, with noise, with a mask

p, q, r = Idx("i", M), Idx("j", M), Idx("l", L)

softmax_axis = Layer(
    "softmax_axis",
    inputs=[x[N, M, L]],
    equations=[Eq(y[n, p, r], exp(x[n, p, r]) / Sum(exp(x[n, q, r]), q))],
    typical={N: 64, M: 100, L: 256},
    doc="""
    Softmax along the middle axis of three.

    x (N, M, L) logits; y (N, M, L). Any axis of any array: flatten those before it into N, those behind it into L.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.2.2.3.
    """,
)

log_softmax_axis = Layer(
    "log_softmax_axis",
    inputs=[x[N, M, L]],
    equations=[Eq(y[n, p, r], x[n, p, r] - log(Sum(exp(x[n, q, r]), q)))],
    typical={N: 64, M: 100, L: 256},
    doc="""
    Logarithm of the softmax along the middle axis of three.

    x (N, M, L) logits; y (N, M, L). Any axis of any array: flatten those before it into N, those behind it into L.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.2.2.3.
    """,
)

softmin = Layer(
    "softmin",
    inputs=[x[N, M]],
    equations=[Eq(y[n, p], exp(-x[n, p]) / Sum(exp(-x[n, q]), q))],
    typical={N: 4096, M: 1000},
    doc="""
    Softmin of every row: the softmax of -x.

    x (N, M); y (N, M) probabilities, the larger the smaller x is.
    Source: torch.nn.functional.softmin.
    """,
)

temperature_softmax = Layer(
    "temperature_softmax",
    inputs=[x[N, M]],
    equations=[Eq(y[n, p], exp(x[n, p] / temperature) / Sum(exp(x[n, q] / temperature), q))],
    attributes={temperature: 1.0},
    typical={N: 4096, M: 1000},
    doc="""
    Softmax of every row at a temperature.

    x (N, M) logits; y (N, M) probabilities. temperature: above 0; above 1 flattens, below 1 sharpens.
    Source: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, equation 1.
    """,
)

gumbel_softmax = Layer(
    "gumbel_softmax",
    inputs=[x[N, M], noise[N, M]],
    equations=[
        Eq(a[n, p], (x[n, p] - log(-log(noise[n, p]))) / temperature),
        Eq(y[n, p], exp(a[n, p]) / Sum(exp(a[n, q]), q)),
    ],
    attributes={temperature: 1.0},
    constants=[noise],
    typical={N: 4096, M: 100},
    doc="""
    Gumbel-softmax: a relaxed sample of one of M classes.

    x (N, M) logits, noise (N, M) uniform between 0 and 1, drawn by the caller, no gradient; y (N, M).
    temperature: above 0; towards 0 the rows become one-hot.
    Source: Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax, equations 1 and 2.
    """,
)

masked_softmax = Layer(
    "masked_softmax",
    inputs=[x[N, M], mask[N, M]],
    equations=[
        Eq(count[n], Sum(mask[n, q], q)),
        Eq(a[n, p], Piecewise((x[n, p], mask[n, p] > 0), (-oo, count[n] > 0), (0, True))),
        Eq(y[n, p], Piecewise((exp(a[n, p]) / Sum(exp(a[n, q]), q), count[n] > 0), (0, True))),
    ],
    constants=[mask],
    typical={N: 4096, M: 1000},
    doc="""
    Softmax over the unmasked values of every row; masked ones become 0.

    x (N, M) logits, mask (N, M) of ones, and of zeros where a value is left out, no gradient; y (N, M), 0
    all along a row that is masked wholly.
    Source: Vaswani et al., Attention is all you need, section 3.2.3; the rule for rows without a value is ours.
    """,
)
