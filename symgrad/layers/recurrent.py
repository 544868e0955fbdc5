"""Layers that go on from their own state: recurrent networks, linear recurrences, sums over paths.

A sequence x has T steps, h is the state after each; where there is a state before the first step, it is an input.
"""

from typing import Any

from sympy import And, Idx, IndexedBase, Or, Piecewise, Sum, Symbol, exp, log, oo, symbols, tanh

from symgrad import Layer, LogSumExp, Padded
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import C, K, M, N, T, c, m, n, tensors

x, y, h, w, r, b, z = tensors("x y h w r b z")
first, first_cell, cell = IndexedBase("h0"), IndexedBase("c0"), IndexedBase("cell")
t, i, j, k = Idx("t", T), Idx("i", M), Idx("j", K), Idx("k", K)
SEQUENCE = {N: 32, T: 128, C: 128, M: 128}


def logistic(value: Any) -> Any:
    """1 / (1 + exp(-value))."""
    return 1 / (1 + exp(-value))


def before(state: Any, index: Any, start: Any) -> Any:
    """The state one step earlier; before the first step, the one that is given."""
    return Piecewise((start[n, index], Eq(t, 0)), (state[n, t - 1, index], True))


rnn = Layer(
    "rnn",
    inputs=[x[N, T, C], first[N, M], w[M, C], r[M, M], b[M]],
    equations=[Eq(h[n, t, m], tanh(Sum(w[m, c] * x[n, t, c], c) + Sum(r[m, i] * before(h, i, first), i) + b[m]))],
    typical=SEQUENCE,
    doc="""
    Simple recurrent network: the new state is tanh of the input and of the state before.

    x (N, T, C), h0 (N, M): the state before the first step, w (M, C), r (M, M), b (M); h (N, T, M): all states.
    Source: Elman, Finding structure in time, 1990; Goodfellow, Bengio and Courville, Deep Learning, section 10.2.
    """,
)


def gate(number: Any, state: Any, start: Any) -> Any:
    """The argument of one gate: input, state before and bias."""
    return Sum(w[number, m, c] * x[n, t, c], c) + Sum(r[number, m, i] * before(state, i, start), i) + b[number, m]


g = Idx("g", 4)
lstm = Layer(
    "lstm",
    inputs=[x[N, T, C], first[N, M], first_cell[N, M], w[4, M, C], r[4, M, M], b[4, M]],
    equations=[
        Eq(z[n, t, g, m], gate(g, h, first)),
        Eq(
            cell[n, t, m],
            logistic(z[n, t, 1, m]) * before(cell, m, first_cell) + logistic(z[n, t, 0, m]) * tanh(z[n, t, 2, m]),
        ),
        Eq(h[n, t, m], logistic(z[n, t, 3, m]) * tanh(cell[n, t, m])),
    ],
    outputs=[h, cell],
    typical=SEQUENCE,
    doc="""
    Long short-term memory: gates decide what a cell forgets, takes in and shows.

    x (N, T, C), h0 (N, M) and c0 (N, M): state and cell before the first step, w (4, M, C), r (4, M, M), b (4, M),
    the gates in the order input, forget, new value, output; h (N, T, M) and cell (N, T, M): all states and cells.
    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers, Schmidhuber and Cummins, 2000.
    """,
)

reset, update, new = tensors("reset update new")
s = IndexedBase("s")
gru = Layer(
    "gru",
    inputs=[x[N, T, C], first[N, M], w[3, M, C], r[3, M, M], b[3, M], s[3, M]],
    equations=[
        Eq(reset[n, t, m], logistic(gate(0, h, first) + s[0, m])),
        Eq(update[n, t, m], logistic(gate(1, h, first) + s[1, m])),
        Eq(
            new[n, t, m],
            tanh(
                Sum(w[2, m, c] * x[n, t, c], c)
                + b[2, m]
                + reset[n, t, m] * (Sum(r[2, m, i] * before(h, i, first), i) + s[2, m])
            ),
        ),
        Eq(h[n, t, m], (1 - update[n, t, m]) * new[n, t, m] + update[n, t, m] * before(h, m, first)),
    ],
    typical=SEQUENCE,
    doc="""
    Gated recurrent unit, the reset gate after the product with the state.

    x (N, T, C), h0 (N, M): the state before the first step, w (3, M, C), r (3, M, M), b (3, M) and s (3, M): the biases
    of the input and of the state, the gates in the order reset, update, new value; h (N, T, M): all states.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, in the variant of cuDNN.
    """,
)

gru_reset_first = Layer(
    "gru_reset_first",
    inputs=[x[N, T, C], first[N, M], w[3, M, C], r[3, M, M], b[3, M]],
    equations=[
        Eq(reset[n, t, m], logistic(gate(0, h, first))),
        Eq(update[n, t, m], logistic(gate(1, h, first))),
        Eq(
            new[n, t, m],
            tanh(Sum(w[2, m, c] * x[n, t, c], c) + Sum(r[2, m, i] * reset[n, t, i] * before(h, i, first), i) + b[2, m]),
        ),
        Eq(h[n, t, m], (1 - update[n, t, m]) * new[n, t, m] + update[n, t, m] * before(h, m, first)),
    ],
    typical=SEQUENCE,
    doc="""
    Gated recurrent unit, the reset gate before the product with the state.

    x (N, T, C), h0 (N, M): the state before the first step, w (3, M, C), r (3, M, M), b (3, M): the gates in the order
    reset, update, new value; h (N, T, M): all states.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, equations 5 to 8, with biases;
    the operator GRU of ONNX, where linear_before_reset is 0.
    """,
)

decay, gain = tensors("decay gain")
linear_recurrence = Layer(
    "linear_recurrence",
    inputs=[x[N, T, C], decay[N, T, C], first[N, C]],
    equations=[
        Eq(h[n, t, c], decay[n, t, c] * Piecewise((first[n, c], Eq(t, 0)), (h[n, t - 1, c], True)) + x[n, t, c])
    ],
    typical={N: 32, T: 128, C: 128},
    doc="""
    Linear recurrence of first order: each step keeps a share of the state and adds an input.

    x (N, T, C), decay (N, T, C): the share that is kept, h0 (N, C): the state before the first step; h (N, T, C).
    Source: Blelloch, Prefix sums and their applications, 1990, section 1.4.
    """,
)

weight = Symbol("weight")
exponential_moving_average = Layer(
    "exponential_moving_average",
    inputs=[x[N, T]],
    equations=[
        Eq(y[n, t], Piecewise((x[n, t], Eq(t, 0)), (weight * y[n, t - 1] + (1 - weight) * x[n, t], True))),
    ],
    attributes={weight: 0.9},
    typical={N: 32, T: 1024},
    doc="""
    Exponential moving average: a share of the average so far and the rest of the new value.

    x (N, T); y (N, T). weight is the share that the average so far keeps; the first average is the first value.
    Source: Roberts, Control chart tests based on geometric moving averages, 1959.
    """,
)

step, A, B, U = tensors("step A B U")
q = Idx("q", K)
state_space_scan = Layer(
    "state_space_scan",
    inputs=[x[N, T, C], step[N, T, C], A[C, K], B[N, T, K], U[N, T, K], gain[C]],
    equations=[
        Eq(
            h[n, t, c, k],
            exp(step[n, t, c] * A[c, k]) * Padded(h)[n, t - 1, c, k] + step[n, t, c] * B[n, t, k] * x[n, t, c],
        ),
        Eq(y[n, t, c], Sum(U[n, t, q] * h[n, t, c, q], q) + gain[c] * x[n, t, c]),
    ],
    typical={N: 4, T: 256, C: 64, K: 16},
    doc="""
    Selective state space: a diagonal linear recurrence whose weights depend on the data.

    x (N, T, C), step (N, T, C): how far each step goes, A (C, K): negative rates of decay, B (N, T, K) and U (N, T, K):
    how the input enters the K states of a channel and how they are read, gain (C): of the input itself; y (N, T, C).
    Source: Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces, 2023, section 3.2.
    """,
)

score, transition, path, total = tensors("score transition path total")
f, e = Idx("f", K), Idx("e", K)
crf_log_partition = Layer(
    "crf_log_partition",
    inputs=[score[N, T, K], transition[K, K]],
    equations=[
        Eq(
            path[n, t, j],
            score[n, t, j] + Piecewise((0, Eq(t, 0)), (LogSumExp(path[n, t - 1, f] + transition[f, j], f), True)),
        ),
        Eq(total[n], LogSumExp(path[n, T - 1, e], e)),
    ],
    typical={N: 32, T: 64, K: 32},
    doc="""
    Log-partition function of a linear-chain conditional random field: the forward algorithm.

    score (N, T, K): of a label at a step, transition (K, K): from a label to the next; total (N): the logarithm of
    the sum of exp(score of a path) over all paths. Its gradients are the marginal probabilities.
    Source: Lafferty, McCallum and Pereira, Conditional random fields, 2001, section 3.
    """,
)

P, Q = symbols("P Q", integer=True, positive=True)
cost, gamma = IndexedBase("cost"), Symbol("gamma", positive=True)
p, o = Idx("p", P + 1), Idx("o", Q + 1)
_earlier = (r[n, p - 1, o - 1], r[n, p - 1, o], r[n, p, o - 1])
soft_dtw = Layer(
    "soft_dtw",
    inputs=[cost[N, P, Q]],
    equations=[
        Eq(
            r[n, p, o],
            Piecewise(
                (0, And(Eq(p, 0), Eq(o, 0))),
                (oo, Or(Eq(p, 0), Eq(o, 0))),
                (cost[n, p - 1, o - 1] - gamma * log(sum(exp(-e / gamma) for e in _earlier)), True),
            ),
        ),
        Eq(y[n], r[n, P, Q]),
    ],
    attributes={gamma: 1.0},
    typical={N: 32, P: 32, Q: 32},
    doc="""
    Soft dynamic time warping: the soft minimum of the cost over all alignments of two sequences.

    cost (N, P, Q): of aligning a step of one sequence with a step of the other; y (N). gamma: how soft the minimum is.
    Source: Cuturi and Blondel, Soft-DTW: a differentiable loss function for time-series, 2017, equation 3.
    """,
)
