"""Sums over all alignments of a sequence of inputs with a shorter sequence of labels."""

from sympy import And, Idx, Mod, Ne, Piecewise, Sum, Symbol, exp, log, symbols

from symgrad import Layer, LogSumExp, Padded
from symgrad.layers.equation import Eq, Max, Min, floor
from symgrad.layers.symbols import M, N, S, T, m, n, tensors

NEVER = -1e30
"""The logarithm of the probability of what cannot be: a number, so that differences of two of them are one."""

blank = symbols("blank", integer=True, nonnegative=True)
logits, labels, steps, lengths = tensors("logits labels steps lengths")
log_probability, emitted, path, jump, loss = tensors("log_probability emitted path jump loss")
p, j = Idx("p", 2 * S + 1), Idx("j", M)
label = labels[n, Min(floor(p / 2), S - 1)]
earlier = labels[n, Max(floor(p / 2) - 1, 0)]
t = Idx("t", T)

before, k = Padded(path, NEVER), Idx("k", 3)
may_jump = And(Eq(Mod(p, 2), 1), p >= 2, Ne(label, earlier))
come = before[n, t - 1, p - k] + Piecewise((jump[n, p], Eq(k, 2)), (0, True))

connectionist_loss = Layer(
    "connectionist_loss",
    inputs=[logits[N, T, M], labels[N, S], steps[N], lengths[N]],
    equations=[
        Eq(log_probability[n, t, m], logits[n, t, m] - log(Sum(exp(logits[n, t, j]), j))),
        Eq(
            emitted[n, t, p],
            Piecewise((log_probability[n, t, label], Eq(Mod(p, 2), 1)), (log_probability[n, t, blank], True)),
        ),
        Eq(jump[n, p], Piecewise((0, may_jump), (NEVER, True))),
        Eq(
            path[n, t, p],
            emitted[n, t, p] + Piecewise((0, And(Eq(t, 0), p <= 1)), (NEVER, Eq(t, 0)), (LogSumExp(come, k), True)),
        ),
        Eq(
            loss[n],
            -log(exp(before[n, steps[n] - 1, 2 * lengths[n]]) + exp(before[n, steps[n] - 1, 2 * lengths[n] - 1])),
        ),
    ],
    outputs=[loss],
    integers=[labels, steps, lengths],
    attributes={blank: 0},
    requires=[blank < M, *(Symbol(extent, integer=True) > 0 for extent in "ST")],
    typical={N: 16, T: 128, M: 32, S: 24},
    doc="""
    Connectionist temporal classification: minus the log-probability of labels, over all alignments.

    logits (N, T, M), labels (N, S) whole numbers, steps (N,) how many steps of each input count, lengths (N,) how many
    labels; loss (N,). blank: the class that stands between labels. Of the path, position p stands for label p / 2 if p
    is odd, else for a blank.
    Source: Graves, Fernandez, Gomez and Schmidhuber, Connectionist temporal classification, section 4.1, equations 5
    to 8; torch.nn.functional.ctc_loss.
    """,
)
