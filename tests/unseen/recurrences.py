"""Recurrences: filters, decoders, alignments, triangular systems, automata."""

from __future__ import annotations

import numpy as np
from sympy import And, Eq, Idx, Min, Or, Piecewise, Sum, Symbol, exp, log, sin, symbols, tanh

from symgrad import Layer, LogSumExp, Padded, ReduceMax, StopGradient

from .registry import Case, case, case_of_logits, normals, tensors

B, D, K, M, N, P, Q, S, T, W = symbols("B D K M N P Q S T W", integer=True, positive=True)
a, e, h, p, q, r, s, w, x, y, z = tensors("a e h p q r s w x y z")
b, d, i, j, k, t = Idx("b", B), Idx("d", D), Idx("i", D), Idx("j", D), Idx("k", K), Idx("t", T)


@case
def filter_with_feedback() -> Case:
    tap, lag = Idx("tap", Q), Idx("lag", P)
    feedback = Sum(a[lag] * Padded(y)[b, t - 1 - lag], lag)
    layer = Layer(
        "filter_with_feedback",
        inputs=[x[B, T], a[P], w[Q]],
        equations=[Eq(y[b, t], Sum(w[tap] * Padded(x)[b, t - tap], tap) - feedback)],
    )

    def reference(x, a, w):
        y = np.zeros(x.shape)
        for t in range(x.shape[1]):
            y[:, t] = sum(w[k] * x[:, t - k] for k in range(len(w)) if k <= t)
            y[:, t] -= sum(a[k] * y[:, t - 1 - k] for k in range(len(a)) if k < t)
        return y

    return Case(layer, normals(x=(2, 6), a=(3,), w=(2,)), reference)


@case
def two_states_that_drive_each_other() -> Case:
    layer = Layer(
        "two_states_that_drive_each_other",
        inputs=[x[T, D], z[T, D]],
        equations=[
            Eq(p[t, i], sin(x[t, i]) * Padded(q)[t - 1, i] + x[t, i]),
            Eq(q[t, i], tanh(z[t, i] + p[t, i] * Padded(q, value=1)[t - 2, i])),
        ],
        outputs=[p, q],
    )

    def reference(x, z):
        p, q = np.zeros(x.shape), np.zeros(x.shape)
        for t in range(len(x)):
            p[t] = np.sin(x[t]) * (q[t - 1] if t else 0) + x[t]
            q[t] = np.tanh(z[t] + p[t] * (q[t - 2] if t > 1 else 1))
        return p, q

    arrays = normals(x=(5, 2), z=(5, 2))
    return Case(layer, arrays, reference, also=((normals(x=(1, 2), z=(1, 2)), {}),))


@case
def backwards_from_a_last_value() -> Case:
    later = Piecewise((s[j], Eq(t, T - 1)), (h[b, t + 1, j], True))
    layer = Layer(
        "backwards_from_a_last_value",
        inputs=[x[B, T, D], w[D, D], s[D]],
        equations=[Eq(h[b, t, i], tanh(x[b, t, i] + Sum(w[i, j] * later, j)))],
    )

    def reference(x, w, s):
        h, state = np.zeros(x.shape), np.broadcast_to(s, x[:, 0].shape)
        for t in reversed(range(x.shape[1])):
            state = h[:, t] = np.tanh(x[:, t] + state @ w.T)
        return h

    return Case(layer, normals(x=(2, 4, 3), w=(3, 3), s=(3,)), reference)


@case
def steps_of_two() -> Case:
    body = tanh(x[t, i] * h[t - 1, i] + Sum(w[i, j] * h[t - 2, j], j))
    layer = Layer(
        "steps_of_two",
        inputs=[x[T, D], w[D, D]],
        equations=[Eq(h[t, i], Piecewise((x[t, i], t < 2), (body, True)))],
    )

    def reference(x, w):
        h = x.copy()
        for t in range(2, len(x)):
            h[t] = np.tanh(x[t] * h[t - 1] + w @ h[t - 2])
        return h

    also = tuple((normals(x=(steps, 2), w=(2, 2)), {}) for steps in (1, 2, 3))
    return Case(layer, normals(x=(6, 2), w=(2, 2)), reference, also=also)


@case
def states_up_to_a_length() -> Case:
    length = tensors("length")[0]
    new = tanh(x[b, t, i] + Sum(w[i, j] * Padded(h)[b, t - 1, j], j))
    layer = Layer(
        "states_up_to_a_length",
        inputs=[x[B, T, D], w[D, D], length[B]],
        integers=[length],
        equations=[Eq(h[b, t, i], Piecewise((new, t < length[b]), (Padded(h)[b, t - 1, i], True)))],
    )

    def reference(x, w, length):
        h, state = np.zeros(x.shape), np.zeros(x[:, 0].shape)
        for t in range(x.shape[1]):
            state = np.where((t < length)[:, None], np.tanh(x[:, t] + state @ w.T), state)
            h[:, t] = state
        return h

    return Case(layer, normals(x=(3, 4, 2), w=(2, 2)) | {"length": np.array([4, 0, 2])}, reference)


@case
def best_path() -> Case:
    before = Piecewise((0, Eq(t, 0)), (ReduceMax(s[b, t - 1, i] + w[i, j], i), True))
    layer = Layer(
        "best_path",
        inputs=[e[B, T, D], w[D, D]],
        equations=[Eq(s[b, t, j], e[b, t, j] + before), Eq(y[b], ReduceMax(s[b, T - 1, d], d))],
    )

    def reference(e, w):
        s = e[:, 0]
        for t in range(1, e.shape[1]):
            s = e[:, t] + (s[:, :, None] + w).max(axis=1)
        return s.max(axis=1)

    return Case(layer, normals(e=(2, 5, 3), w=(3, 3)), reference)


@case_of_logits("e")
def all_paths() -> Case:
    before = Piecewise((0, Eq(t, 0)), (LogSumExp(s[b, t - 1, i] + w[i, j], i), True))
    layer = Layer(
        "all_paths",
        inputs=[e[B, T, D], w[D, D]],
        equations=[Eq(s[b, t, j], e[b, t, j] + before), Eq(y[b], LogSumExp(s[b, T - 1, d], d))],
    )

    def reference(e, w):
        s = e[:, 0]
        for t in range(1, e.shape[1]):
            s = e[:, t] + np.logaddexp.reduce(s[:, :, None] + w, axis=1)
        return np.logaddexp.reduce(s, axis=1)

    return Case(layer, normals(e=(2, 5, 3), w=(3, 3)), reference)


@case
def alignments_with_skips() -> Case:
    """The forward recursion of connectionist temporal classification."""
    place, back = Idx("place", S), Idx("back", 3)
    skip = tensors("skip")[0]
    low = -50
    moves = LogSumExp(
        Padded(s, value=low)[b, t - 1, place - back] + Piecewise((skip[b, place], Eq(back, 2)), (0, True)), back
    )
    start = Piecewise((0, place < 2), (low, True))
    layer = Layer(
        "alignments_with_skips",
        inputs=[e[B, T, S], skip[B, S]],
        constants=[skip],
        equations=[
            Eq(s[b, t, place], e[b, t, place] + Piecewise((start, Eq(t, 0)), (moves, True))),
            Eq(y[b], s[b, T - 1, S - 1]),
        ],
    )

    def reference(e, skip):
        batch, steps, places = e.shape
        s = np.full((batch, places), float(low))
        s[:, :2] = 0
        s = s + e[:, 0]
        for t in range(1, steps):
            before = np.concatenate([np.full((batch, 2), float(low)), s], axis=1)
            moved = np.stack([before[:, 2:], before[:, 1:-1], before[:, :-2] + skip])
            s = e[:, t] + np.logaddexp.reduce(moved, axis=0)
        return s[:, -1]

    skips = np.where(np.array([[0, 0, 1, 0, 1], [0, 0, 0, 0, 1]]), 0.0, low)
    return Case(layer, normals(e=(2, 4, 5)) | {"skip": skips}, reference)


@case
def cheapest_alignment() -> Case:
    row, column = Idx("row", N), Idx("column", M)
    R = Padded(r, value=1000)
    best = Min(R[b, row - 1, column], R[b, row, column - 1], R[b, row - 1, column - 1])
    layer = Layer(
        "cheapest_alignment",
        inputs=[x[B, N, M]],
        equations=[
            Eq(
                r[b, row, column],
                x[b, row, column] + Piecewise((0, And(Eq(row, 0), Eq(column, 0))), (best, True)),
            ),
            Eq(y[b], r[b, N - 1, M - 1]),
        ],
    )

    def reference(x):
        r = np.full((x.shape[0], x.shape[1] + 1, x.shape[2] + 1), 1000.0)
        r[:, 0, 0] = 0
        for n in range(x.shape[1]):
            for m in range(x.shape[2]):
                r[:, n + 1, m + 1] = x[:, n, m] + np.minimum(np.minimum(r[:, n, m + 1], r[:, n + 1, m]), r[:, n, m])
        return r[:, -1, -1]

    return Case(layer, normals(x=(2, 3, 4)), reference)


@case
def waves_over_a_grid() -> Case:
    row, column = Idx("row", N), Idx("column", M)
    first = Or(Eq(row, 0), Eq(column, 0))
    going = tanh(x[row, column] * h[row - 1, column] + a[column] * h[row, column - 1])
    layer = Layer(
        "waves_over_a_grid",
        inputs=[x[N, M], a[M]],
        equations=[Eq(h[row, column], Piecewise((x[row, column], first), (going, True)))],
    )

    def reference(x, a):
        h = x.copy()
        for n in range(1, x.shape[0]):
            for m in range(1, x.shape[1]):
                h[n, m] = np.tanh(x[n, m] * h[n - 1, m] + a[m] * h[n, m - 1])
        return h

    return Case(layer, normals(x=(4, 3), a=(3,)), reference, also=((normals(x=(1, 3), a=(3,)), {}),))


@case
def triangular_system() -> Case:
    row, col = Idx("row", N), symbols("col", integer=True)
    layer = Layer(
        "triangular_system",
        inputs=[w[N, N], x[N, K]],
        equations=[Eq(y[row, k], x[row, k] - Sum(w[row, col] * y[col, k], (col, 0, row - 1)))],
    )

    def reference(w, x):
        return np.linalg.solve(np.tril(w, -1) + np.eye(len(w)), x)

    return Case(layer, normals(w=(4, 4), x=(4, 2)), reference)


@case
def automaton() -> Case:
    cell, offset = Idx("cell", W), Idx("offset", 3)
    going = tanh(Sum(w[offset] * Padded(h)[t - 1, cell + offset - 1], offset))
    layer = Layer(
        "automaton",
        inputs=[x[W], w[3]],
        equations=[Eq(h[t, cell], Piecewise((x[cell], Eq(t, 0)), (going, True)))],
        attributes={T: 4},
    )

    def reference(x, w, T=4):
        h = [x]
        for _ in range(1, T):
            padded = np.pad(h[-1], 1)
            h.append(np.tanh(sum(w[k] * padded[k : k + len(x)] for k in range(3))))
        return np.array(h)

    return Case(layer, normals(x=(5,), w=(3,)), reference)


@case
def newton_steps() -> Case:
    """The square root by Newton's method: the steps are no axis of the input."""
    root = Symbol("root")
    layer = Layer(
        "newton_steps",
        inputs=[x[D]],
        equations=[Eq(h[t, i], Piecewise((1, Eq(t, 0)), ((h[t - 1, i] + (x[i] ** 2 + 1) / h[t - 1, i]) / 2, True)))]
        + [Eq(root, Sum(h[T - 1, d], d))],
        attributes={T: 6},
    )

    def reference(x, T=6):
        h = np.ones(x.shape)
        for _ in range(1, T):
            h = (h + (x**2 + 1) / h) / 2
        return np.asarray(h.sum())

    return Case(layer, normals(x=(3,)), reference)


@case
def states_on_a_grid() -> Case:
    """A recurrent network over a picture: cells that two neighbours feed."""
    row, column = Idx("row", N), Idx("column", M)
    inner = x[b, row, column, i] + Sum(w[i, j] * Padded(h)[b, row - 1, column, j], j) + Padded(h)[b, row, column - 1, i]
    kept = (Padded(s)[b, row - 1, column, i] + Padded(s)[b, row, column - 1, i]) / 2
    layer = Layer(
        "states_on_a_grid",
        inputs=[x[B, N, M, D], w[D, D]],
        equations=[
            Eq(z[b, row, column, i], inner),
            Eq(s[b, row, column, i], kept / (1 + exp(-z[b, row, column, i])) + tanh(z[b, row, column, i])),
            Eq(h[b, row, column, i], tanh(s[b, row, column, i])),
        ],
        outputs=[h],
    )

    def reference(x, w):
        batch, rows, columns, width = x.shape
        s, h = np.zeros((2, batch, rows + 1, columns + 1, width))
        for n in range(rows):
            for m in range(columns):
                z = x[:, n, m] + h[:, n, m + 1] @ w.T + h[:, n + 1, m]
                s[:, n + 1, m + 1] = (s[:, n, m + 1] + s[:, n + 1, m]) / 2 / (1 + np.exp(-z)) + np.tanh(z)
                h[:, n + 1, m + 1] = np.tanh(s[:, n + 1, m + 1])
        return h[:, 1:, 1:]

    also = ((normals(x=(1, 1, 4, 2), w=(2, 2)), {}), (normals(x=(1, 3, 1, 2), w=(2, 2)), {}))
    return Case(layer, normals(x=(2, 3, 4, 2), w=(2, 2)), reference, also=also)


@case
def spread_errors() -> Case:
    """The error of a cell goes on to the next one and to three below: two columns a row back."""
    row, column = Idx("row", N), Idx("column", M)
    above = 3 * Padded(y)[row - 1, column + 1] + 5 * Padded(y)[row - 1, column] + Padded(y)[row - 1, column - 1]
    body = tanh(x[row, column] + (7 * Padded(y)[row, column - 1] + above) / 16)
    layer = Layer("spread_errors", inputs=[x[N, M]], equations=[Eq(y[row, column], body)])

    def reference(x):
        rows, columns = x.shape
        y = np.zeros((rows + 1, columns + 2))
        for n in range(rows):
            for m in range(columns):
                above = 3 * y[n, m + 2] + 5 * y[n, m + 1] + y[n, m]
                y[n + 1, m + 1] = np.tanh(x[n, m] + (7 * y[n + 1, m] + above) / 16)
        return y[1:, 1:-1]

    return Case(layer, normals(x=(4, 5)), reference, also=((normals(x=(3, 1)), {}), (normals(x=(1, 3)), {})))


@case
def soft_edit_distance() -> Case:
    row, column = Idx("row", N + 1), Idx("column", M + 1)
    moves = exp(-r[b, row - 1, column] - 1) + exp(-r[b, row, column - 1] - 1)
    going = -log(moves + exp(-r[b, row - 1, column - 1] - x[b, row - 1, column - 1]))
    edge = Or(Eq(row, 0), Eq(column, 0))
    layer = Layer(
        "soft_edit_distance",
        inputs=[x[B, N, M]],
        equations=[Eq(r[b, row, column], Piecewise((row + column, edge), (going, True))), Eq(y[b], r[b, N, M])],
    )

    def reference(x):
        batch, rows, columns = x.shape
        r = np.zeros((batch, rows + 1, columns + 1)) + np.arange(rows + 1)[:, None] + np.arange(columns + 1)
        for n in range(rows):
            for m in range(columns):
                moves = [r[:, n, m + 1] + 1, r[:, n + 1, m] + 1, r[:, n, m] + x[:, n, m]]
                r[:, n + 1, m + 1] = -np.logaddexp.reduce(-np.array(moves), axis=0)
        return r[:, -1, -1]

    return Case(layer, normals(x=(2, 3, 4)) | {}, reference, also=((normals(x=(1, 1, 1)), {}),))


@case
def neurons_that_fire() -> Case:
    """Leaky units that a spike resets; the reset has no gradient."""
    leaked = Padded(h)[b, t - 1, i] * (1 - StopGradient(Padded(s)[b, t - 1, i]))
    layer = Layer(
        "neurons_that_fire",
        inputs=[x[B, T, D]],
        equations=[
            Eq(h[b, t, i], x[b, t, i] + leaked / 2),
            Eq(s[b, t, i], 1 / (1 + exp(-5 * (h[b, t, i] - 1)))),
        ],
        outputs=[s],
    )

    def reference(x):
        s, h = np.zeros((2, len(x), x.shape[1] + 1, x.shape[2]))
        for t in range(x.shape[1]):
            h[:, t + 1] = x[:, t] + h[:, t] * (1 - s[:, t]) / 2
            s[:, t + 1] = 1 / (1 + np.exp(-5 * (h[:, t + 1] - 1)))
        return s[:, 1:]

    def gradients(arrays, g):
        s = reference(arrays["x"])
        slope, grad, carried = 5 * s * (1 - s), np.zeros(s.shape), 0.0
        for t in reversed(range(s.shape[1])):
            grad[:, t] = carried = g[:, t] * slope[:, t] + carried
            carried = carried * (1 - s[:, t - 1]) / 2 if t else 0.0
        return {"x": grad}

    return Case(layer, normals(x=(2, 5, 3)), reference, gradients=gradients)


@case
def fast_weights() -> Case:
    """The delta rule: a matrix that is corrected at every step, and read."""
    cell, other = Idx("cell", K), Idx("other", K)
    error = z[b, t, i] - Sum(Padded(s)[b, t - 1, i, other] * q[b, t, other], other)
    layer = Layer(
        "fast_weights",
        inputs=[q[B, T, K], z[B, T, D], p[B, T, K], a[B, T]],
        equations=[
            Eq(s[b, t, i, cell], Padded(s)[b, t - 1, i, cell] + a[b, t] * error * q[b, t, cell]),
            Eq(y[b, t, i], Sum(s[b, t, i, k] * p[b, t, k], k)),
        ],
    )

    def reference(q, z, p, a):
        y, s = np.zeros(z.shape), np.zeros((len(q), z.shape[2], q.shape[2]))
        for t in range(q.shape[1]):
            error = z[:, t] - np.einsum("bik,bk->bi", s, q[:, t])
            s = s + a[:, t, None, None] * error[:, :, None] * q[:, t, None]
            y[:, t] = np.einsum("bik,bk->bi", s, p[:, t])
        return y

    return Case(layer, normals(q=(2, 4, 3), z=(2, 4, 2), p=(2, 4, 3), a=(2, 4)), reference)


@case_of_logits("x")
def soft_alignment_by_conditions() -> Case:
    """Soft dynamic time warping as a paper prints it: every border a condition, the soft minimum a logarithm."""
    m, n, gamma = Idx("m", M), Idx("n", N), Symbol("gamma", positive=True)
    before = (r[m - 1, n], r[m, n - 1], r[m - 1, n - 1])
    softest = -gamma * log(sum(exp(-value / gamma) for value in before))
    start = Piecewise((0, And(Eq(m, 0), Eq(n, 0))), (r[m, n - 1], Eq(m, 0)), (r[m - 1, n], Eq(n, 0)), (softest, True))
    layer = Layer(
        "soft_alignment_by_conditions",
        [x[M], z[N]],
        [Eq(r[m, n], (x[m] - z[n]) ** 2 + start), Eq(Symbol("loss"), r[M - 1, N - 1])],
        attributes={gamma: 0.5},
    )

    def reference(x, z, gamma):
        r = np.full((len(x) + 1, len(z) + 1), np.inf)
        r[0, 0] = 0
        for m, n in np.ndindex(len(x), len(z)):
            before = np.array([r[m, n + 1], r[m + 1, n], r[m, n]])
            r[m + 1, n + 1] = (x[m] - z[n]) ** 2 - gamma * np.logaddexp.reduce(-before / gamma)
        return np.asarray(r[-1, -1])

    arrays = normals(x=(4,), z=(3,))
    return Case(layer, arrays, reference, {"gamma": 0.5}, also=((normals(x=(1,), z=(4,)), {"gamma": 2.0}),))


def _rings(mode: str, earlier: bool) -> Case:
    """Steps that scale what a neighbour beyond the border held a step before: the steps' own axis is not extended."""
    t, k = Idx("t", T), Idx("k", K)
    first, step = (0, -1) if earlier else (T - 1, 1)
    before = Padded(h, mode=mode)[t + step, k + step]
    layer = Layer(
        f"{mode}_{'earlier' if earlier else 'later'}_neighbours",
        inputs=[x[T, K]],
        equations=[Eq(h[t, k], Piecewise((x[t, k], Eq(t, first)), (before * x[t, k], True)))],
    )

    def reference(x):
        h = np.empty_like(x)
        steps = range(len(x)) if earlier else range(len(x) - 1, -1, -1)
        border = {"wrap": "wrap", "replicate": "edge", "reflect": "reflect"}[mode]
        for n, at in enumerate(steps):
            neighbours = np.pad(h[at + step], 1, mode=border)[1 + step : 1 + step + x.shape[1]] if n else 1
            h[at] = x[at] * neighbours
        return h

    return Case(layer, normals(x=(4, 3)), reference, also=((normals(x=(2, 2)), {}), (normals(x=(1, 5)), {})))


@case
def wrapped_earlier_neighbours() -> Case:
    return _rings("wrap", earlier=True)


@case
def replicated_later_neighbours() -> Case:
    return _rings("replicate", earlier=False)


@case
def reflected_earlier_neighbours() -> Case:
    return _rings("reflect", earlier=True)
