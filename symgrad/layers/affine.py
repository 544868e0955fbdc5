"""Fully connected layers."""

from sympy import Sum

from symgrad import Layer
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import K, M, N, b, k, m, n, w, x, y

dense = Layer(
    "dense",
    inputs=[x[N, M], w[K, M], b[K]],
    equations=[Eq(y[n, k], Sum(x[n, m] * w[k, m], m) + b[k])],
    typical={N: 256, M: 1024, K: 1024},
    doc="""
    Fully connected layer: every unit is a weighted sum of every feature, plus a bias.

    x (N, M) samples by features, w (K, M) weights, b (K,) biases; y (N, K).
    Source: z = W x + b for every row of x, Nielsen, Neural Networks and Deep Learning, chapter 2.
    """,
)
