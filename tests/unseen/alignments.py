"""Recurrences over pairs of positions with several states, infinite borders, bands, and lags that are attributes."""

from __future__ import annotations

import numpy as np
from sympy import (
    Abs,
    And,
    Eq,
    Expr,
    Idx,
    IndexedBase,
    Max,
    Mod,
    Ne,
    Piecewise,
    Product,
    Sum,
    exp,
    floor,
    log,
    oo,
    symbols,
)

from symgrad import Layer, LogSumExp, Padded

from .registry import Case, case, case_of_logits, normals, tensors

B, L, M, N, T, V = symbols("B L M N T V", integer=True, positive=True)
p, r, s, x, y = tensors("p r s x y")
b, i, j, t = Idx("b", B), Idx("i", N), Idx("j", M), Idx("t", T)
corner = And(Eq(i, 0), Eq(j, 0))


def log_sum(*values: Expr) -> Expr:
    """As a paper writes it."""
    return log(sum(exp(value) for value in values))


@case_of_logits("s")
def gaps_that_open_and_extend() -> Case:
    """Three states on a grid, two of them along one axis each, that begin from a constant outside."""
    opening, extending = symbols("opening extending", positive=True)
    low = -30
    paired, down, right = tensors("paired down right")
    M_, D_, R_ = (Padded(state, value=low) for state in (paired, down, right))
    before = log_sum(*(state[b, i - 1, j - 1] for state in (M_, D_, R_)))
    layer = Layer(
        "gaps_that_open_and_extend",
        inputs=[s[B, N, M]],
        equations=[
            Eq(paired[b, i, j], s[b, i, j] + Piecewise((0, corner), (before, True))),
            Eq(down[b, i, j], log_sum(M_[b, i - 1, j] - opening, D_[b, i - 1, j] - extending)),
            Eq(right[b, i, j], log_sum(M_[b, i, j - 1] - opening, R_[b, i, j - 1] - extending)),
            Eq(y[b], log_sum(*(state[b, N - 1, M - 1] for state in (paired, down, right)))),
        ],
        attributes={opening: 1.0, extending: 0.2},
    )

    def reference(s, opening, extending):
        batch, rows, columns = s.shape
        states = np.full((3, batch, rows + 1, columns + 1), float(low))
        for n, m in np.ndindex(rows, columns):
            before = 0 if n == m == 0 else np.logaddexp.reduce(states[:, :, n, m])
            states[0, :, n + 1, m + 1] = s[:, n, m] + before
            paired, down, _ = states[:, :, n, m + 1]
            states[1, :, n + 1, m + 1] = np.logaddexp(paired - opening, down - extending)
            paired, _, right = states[:, :, n + 1, m]
            states[2, :, n + 1, m + 1] = np.logaddexp(paired - opening, right - extending)
        return np.logaddexp.reduce(states[:, :, -1, -1])

    attributes = {"opening": 1.0, "extending": 0.2}
    also = ((normals(s=(1, 1, 3)), attributes), (normals(s=(1, 3, 1)), attributes))
    return Case(layer, normals(s=(2, 3, 4)), reference, attributes, also=also)


@case
def alignments_in_a_band() -> Case:
    band = symbols("band", integer=True, nonnegative=True)
    far = 1000
    R = Padded(r, value=far)
    before = -log_sum(-R[b, i - 1, j], -R[b, i, j - 1], -R[b, i - 1, j - 1])
    inside = x[b, i, j] + Piecewise((0, corner), (before, True))
    layer = Layer(
        "alignments_in_a_band",
        inputs=[x[B, N, M]],
        equations=[
            Eq(r[b, i, j], Piecewise((inside, Abs(i - j) <= band), (far, True))),
            Eq(y[b], r[b, N - 1, M - 1]),
        ],
        attributes={band: 1},
    )

    def reference(x, band):
        batch, rows, columns = x.shape
        r = np.full((batch, rows + 1, columns + 1), float(far))
        for n, m in np.ndindex(rows, columns):
            if abs(n - m) <= band:
                before = np.array([r[:, n, m + 1], r[:, n + 1, m], r[:, n, m]])
                r[:, n + 1, m + 1] = x[:, n, m] + (0 if n == m == 0 else -np.logaddexp.reduce(-before))
        return r[:, -1, -1]

    return Case(layer, normals(x=(2, 4, 4)), reference, {"band": 1}, also=((normals(x=(1, 3, 4)), {"band": 2}),))


@case
def soft_alignment_of_parts() -> Case:
    """The best alignment of any part of one with any part of the other, soft, over both ends."""
    gamma, gap = symbols("gamma gap", positive=True)
    H = Padded(r)
    score, ends = tensors("score ends")
    n, m = Idx("n", N), Idx("m", M)
    moves = exp((H[b, i - 1, j] - gap) / gamma) + exp((H[b, i, j - 1] - gap) / gamma)
    layer = Layer(
        "soft_alignment_of_parts",
        inputs=[score[B, N, M]],
        equations=[
            Eq(r[b, i, j], gamma * log(1 + exp((H[b, i - 1, j - 1] + score[b, i, j]) / gamma) + moves)),
            Eq(ends[b], gamma * LogSumExp(r[b, n, m] / gamma, n, m)),
        ],
        outputs=[ends],
        attributes={gamma: 1.0, gap: 0.5},
    )

    def reference(score, gamma, gap):
        batch, rows, columns = score.shape
        r = np.zeros((batch, rows + 1, columns + 1))
        for n, m in np.ndindex(rows, columns):
            moves = [0 * r[:, 0, 0], r[:, n, m] + score[:, n, m], r[:, n, m + 1] - gap, r[:, n + 1, m] - gap]
            r[:, n + 1, m + 1] = gamma * np.logaddexp.reduce(np.array(moves) / gamma)
        return gamma * np.logaddexp.reduce(r[:, 1:, 1:].reshape(batch, -1) / gamma, axis=1)

    return Case(layer, normals(score=(2, 3, 4)), reference, {"gamma": 0.7, "gap": 0.3})


@case_of_logits("logp")
def labellings_with_blanks() -> Case:
    """Connectionist temporal classification with borders of -oo: most states cannot be reached at first."""
    a, logp = tensors("a logp")
    labels = IndexedBase("labels", integer=True)
    place = Idx("place", 2 * L + 1)
    A = Padded(a, value=-oo)
    label = labels[b, floor(place / 2)]
    is_label = Eq(Mod(place, 2), 1)
    another = And(is_label, place > 1, Ne(label, labels[b, Max(floor(place / 2) - 1, 0)]))
    skip = Piecewise((exp(A[b, t - 1, place - 2]), another), (0, True))
    moves = log(exp(A[b, t - 1, place]) + exp(A[b, t - 1, place - 1]) + skip)
    start = Piecewise((0, place < 2), (-oo, True))
    emitted = Piecewise((logp[b, t, label], is_label), (logp[b, t, 0], True))
    layer = Layer(
        "labellings_with_blanks",
        inputs=[logp[B, T, V], labels[B, L]],
        integers=[labels],
        equations=[
            Eq(a[b, t, place], emitted + Piecewise((start, Eq(t, 0)), (moves, True))),
            Eq(y[b], -log_sum(a[b, T - 1, 2 * L], a[b, T - 1, 2 * L - 1])),
        ],
    )

    def reference(logp, labels):
        found = []
        for scores, word in zip(logp, labels, strict=True):
            path = [0]
            for letter in word:
                path += [letter, 0]
            state = np.full(len(path), -np.inf)
            state[:2] = scores[0, path[:2]]
            for step in scores[1:]:
                before = np.concatenate([[-np.inf, -np.inf], state])
                skips = [k > 1 and path[k] not in (0, path[k - 2]) for k in range(len(path))]
                moves = np.array([before[2:], before[1:-1], np.where(skips, before[:-2], -np.inf)])
                state = np.logaddexp.reduce(moves) + step[path]
            found.append(-np.logaddexp(state[-1], state[-2]))
        return np.array(found)

    words = {"labels": np.array([[1, 1], [3, 2]])}
    also = ((normals(logp=(1, 3, 3)) | {"labels": np.array([[2]])}, {}),)
    return Case(layer, normals(logp=(2, 6, 4)) | words, reference, also=also)


@case
def seasons_and_trend() -> Case:
    """Three states, one of them read a season before, which is an attribute and may be longer than the series."""
    rate, turn, swing = symbols("rate turn swing", positive=True)
    season = symbols("season", integer=True, positive=True)
    level, trend, cycle, fit = tensors("level trend cycle fit")
    last = Padded(level)[b, t - 1] + Padded(trend)[b, t - 1]
    year = Padded(cycle)[b, t - season]
    layer = Layer(
        "seasons_and_trend",
        inputs=[x[B, T]],
        equations=[
            Eq(level[b, t], rate * (x[b, t] - year) + (1 - rate) * last),
            Eq(trend[b, t], turn * (level[b, t] - Padded(level)[b, t - 1]) + (1 - turn) * Padded(trend)[b, t - 1]),
            Eq(cycle[b, t], swing * (x[b, t] - level[b, t]) + (1 - swing) * year),
            Eq(fit[b, t], last + year),
        ],
        outputs=[fit, cycle],
        attributes={rate: 0.5, turn: 0.1, swing: 0.2, season: 4},
    )

    def reference(x, rate, turn, swing, season):
        level, trend = np.zeros((2, x.shape[1] + 1, len(x)))
        cycle, fit = np.zeros((season + x.shape[1], len(x))), np.zeros(x.shape)
        for t in range(x.shape[1]):
            fit[:, t] = level[t] + trend[t] + cycle[t]
            level[t + 1] = rate * (x[:, t] - cycle[t]) + (1 - rate) * (level[t] + trend[t])
            trend[t + 1] = turn * (level[t + 1] - level[t]) + (1 - turn) * trend[t]
            cycle[t + season] = swing * (x[:, t] - level[t + 1]) + (1 - swing) * cycle[t]
        return fit, cycle[season:].T

    rates = {"rate": 0.5, "turn": 0.1, "swing": 0.2}
    also = ((normals(x=(1, 4)), {**rates, "season": 6}),)
    return Case(layer, normals(x=(2, 7)), reference, {**rates, "season": 3}, also=also)


@case
def attention_that_moves_on() -> Case:
    """Monotonic attention: a product of what is passed over, inside a sum, inside a recurrence."""
    row, column, first, passed = Idx("row", N), Idx("column", M), *symbols("first passed", integer=True)
    d, a = Idx("d", V), tensors("a")[0]
    start = Piecewise((1, Eq(first, 0)), (0, True))
    before = Piecewise((start, Eq(row, 0)), (a[b, row - 1, first], True))
    path = Sum(before * Product(1 - p[b, row, passed], (passed, first, column - 1)), (first, 0, column))
    layer = Layer(
        "attention_that_moves_on",
        inputs=[p[B, N, M], x[B, M, V]],
        equations=[
            Eq(a[b, row, column], p[b, row, column] * path),
            Eq(y[b, row, d], Sum(a[b, row, j] * x[b, j, d], j)),
        ],
        outputs=[y],
    )

    def reference(p, x):
        a = np.zeros(p.shape)
        for k, n, m in np.ndindex(*p.shape):
            before = np.eye(p.shape[2])[0] if n == 0 else a[k, n - 1]
            a[k, n, m] = p[k, n, m] * sum(before[f] * np.prod(1 - p[k, n, f:m]) for f in range(m + 1))
        return a @ x

    arrays = normals(p=(2, 3, 4), x=(2, 4, 2))
    return Case(layer, arrays | {"p": 1 / (1 + np.exp(-arrays["p"]))}, reference)
