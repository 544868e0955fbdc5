"""Attention as a recurrence: a matrix of state that keys write to and queries read.

The axis of samples holds heads as well: queries and keys (N, T, D), values (N, T, E), states (N, D, E).
"""

from typing import Any

from sympy import Expr, Idx, IndexedBase, Piecewise, Sum, exp, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import D, N, T, n, tensors

E = symbols("E", integer=True, positive=True)
query, key, value, decay, strength, y = tensors("query key value decay strength y")
state, kept, error, first = IndexedBase("state"), IndexedBase("kept"), IndexedBase("error"), IndexedBase("state0")
t, d, e, k = Idx("t", T), Idx("d", D), Idx("e", E), Idx("k", D)
INPUTS = [query[N, T, D], key[N, T, D], value[N, T, E], decay[N, T, D]]
SIZES = {N: 64, T: 128, D: 32, E: 32}
READ = Eq(y[n, t, e], Sum(query[n, t, d] * state[n, t, d, e], d))
SHAPES = """query (N, T, D), key (N, T, D), value (N, T, E), decay (N, T, D): logarithms of the share of the
    state that is kept, 0 for all of it"""


def before(row: Any) -> Expr:
    """Return the share of the state of the step before that is kept."""
    earlier = Piecewise((first[n, row, e], Eq(t, 0)), (state[n, t - 1, row, e], True))
    return exp(decay[n, t, row]) * earlier


gated_linear_attention = Layer(
    "gated_linear_attention",
    inputs=[*INPUTS, first[N, D, E]],
    equations=[Eq(state[n, t, d, e], before(d) + key[n, t, d] * value[n, t, e]), READ],
    outputs=[y, state],
    typical=SIZES,
    doc=f"""
    Gated linear attention: each step fades the state and adds the product of its key and value.

    {SHAPES}, state0 (N, D, E): the state before the first step;
    y (N, T, E), state (N, T, D, E): all states. Queries come scaled.
    Source: Yang, Wang, Shen, Panda and Kim, Gated linear attention transformers, section 4.1; with a decay of 0
    Katharopoulos et al., Transformers are RNNs, section 3.4, without features and divisor.
    """,
)

gated_delta_attention = Layer(
    "gated_delta_attention",
    inputs=[*INPUTS, strength[N, T], first[N, D, E]],
    equations=[
        Eq(kept[n, t, d, e], before(d)),
        Eq(error[n, t, e], value[n, t, e] - Sum(key[n, t, k] * kept[n, t, k, e], k)),
        Eq(state[n, t, d, e], kept[n, t, d, e] + strength[n, t] * key[n, t, d] * error[n, t, e]),
        READ,
    ],
    outputs=[y, state],
    typical=SIZES,
    doc=f"""
    Gated delta rule: each step fades the state and moves what its key reads towards its value.

    {SHAPES}, strength (N, T): how far it is moved, state0 (N, D, E): the
    state before the first step; y (N, T, E), state (N, T, D, E): all states. Queries come scaled.
    Source: Yang, Kautz and Hatamizadeh, Gated delta networks, equation 10; with a decay of 0 Schlag, Irie and
    Schmidhuber, Linear transformers are secretly fast weight programmers, section 4.2.
    """,
)
