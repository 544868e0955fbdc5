"""Data-dependent reads and accumulations: tables, edges, segments, labels."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Max, Mod, Piecewise, Sum, Symbol, exp, floor, log, symbols

from symgrad import Layer, LogSumExp

from .registry import Case, case, case_of_logits, normals, tensors

C, D, E, K, L, M, N, R, V = symbols("C D E K L M N R V", integer=True, positive=True)
e, t, w, x, y = tensors("e t w x y")
count, total = IndexedBase("count"), IndexedBase("total")
ids, labels, rows, cols, source, target, start, order = tensors("ids labels rows cols source target start order")
loss = Symbol("loss")


@case
def scaled_rows() -> Case:
    n, d = Idx("n", N), Idx("d", D)
    layer = Layer("scaled_rows", inputs=[e[V, D], ids[N], w[N]], equations=[Eq(y[n, d], e[ids[n], d] * w[n])])

    def reference(e, ids, w):
        return np.array([e[row] * scale for row, scale in zip(ids, w, strict=True)])

    arrays = normals(e=(4, 3), w=(5,))
    return Case(layer, {"e": arrays["e"], "ids": np.array([2, 0, 2, 3, 2]), "w": arrays["w"]}, reference)


@case
def picked_entries() -> Case:
    n = Idx("n", N)
    layer = Layer("picked_entries", inputs=[t[R, C], rows[N], cols[N]], equations=[Eq(y[n], t[rows[n], cols[n]] ** 2)])

    def reference(t, rows, cols):
        return np.array([t[r, c] ** 2 for r, c in zip(rows, cols, strict=True)])

    numbers = {"rows": np.array([0, 2, 0, 2, 1]), "cols": np.array([1, 1, 1, 0, 1])}
    return Case(layer, normals(t=(3, 2)) | numbers, reference)


@case
def rows_through_an_order() -> Case:
    n, d = Idx("n", N), Idx("d", D)
    layer = Layer(
        "rows_through_an_order",
        inputs=[e[V, D], ids[M], order[N]],
        equations=[Eq(y[n, d], e[ids[order[n]], d] * (n + 1))],
    )

    def reference(e, ids, order):
        return np.array([e[ids[order[n]]] * (n + 1) for n in range(len(order))])

    numbers = {"ids": np.array([3, 1, 1]), "order": np.array([2, 0, 2, 1])}
    return Case(layer, normals(e=(4, 2)) | numbers, reference)


@case
def crops() -> Case:
    """Windows that start where the data says."""
    n, u = Idx("n", N), Idx("u", K)
    layer = Layer("crops", inputs=[x[L], start[N], w[K]], equations=[Eq(y[n, u], x[start[n] + u] * w[u])])

    def reference(x, start, w):
        return np.array([[x[s + u] * w[u] for u in range(len(w))] for s in start])

    arrays = normals(x=(7,), w=(3,))
    return Case(layer, {"x": arrays["x"], "start": np.array([0, 4, 2, 4]), "w": arrays["w"]}, reference)


@case
def segment_totals() -> Case:
    """No shape holds the number of segments: an attribute."""
    n, d, r = Idx("n", N), Idx("d", D), Idx("r", R)
    layer = Layer(
        "segment_totals",
        inputs=[x[N, D], ids[N]],
        equations=[Eq(y[r, d], Sum(x[n, d] * KroneckerDelta(ids[n], r), n))],
        attributes={R: 2},
    )

    def reference(x, ids, R):
        out = np.zeros((R, x.shape[1]))
        for row, r in zip(x, ids, strict=True):
            out[r] += row
        return out

    return Case(layer, normals(x=(6, 2)) | {"ids": np.array([3, 0, 3, 1, 0, 3])}, reference, {"R": 4})


@case
def segment_means() -> Case:
    n, d, r = Idx("n", N), Idx("d", D), Idx("r", R)
    layer = Layer(
        "segment_means",
        inputs=[x[N, D], ids[N]],
        equations=[
            Eq(y[r, d], total[r, d] / Max(count[r], 1)),
            Eq(count[r], Sum(KroneckerDelta(ids[n], r), n)),
            Eq(total[r, d], Sum(x[n, d] ** 2 * KroneckerDelta(ids[n], r), n)),
        ],
        outputs=[y],
        integers=[ids],
        attributes={R: 2},
    )

    def reference(x, ids, R):
        out = np.zeros((R, x.shape[1]))
        for r in range(R):
            members = x[ids == r] ** 2
            out[r] = members.sum(axis=0) / max(len(members), 1)
        return out

    return Case(layer, normals(x=(5, 2)) | {"ids": np.array([2, 0, 2, 2, 0])}, reference, {"R": 4})


@case
def edge_messages() -> Case:
    """Gather at the source of an edge, weigh, accumulate at its target."""
    g, d, r = Idx("g", E), Idx("d", D), Idx("r", R)
    layer = Layer(
        "edge_messages",
        inputs=[x[R, D], w[E], source[E], target[E]],
        equations=[Eq(y[r, d], x[r, d] + Sum(x[source[g], d] * w[g] * KroneckerDelta(target[g], r), g))],
        integers=[source, target],
    )

    def reference(x, w, source, target):
        out = x.copy()
        for weight, i, j in zip(w, source, target, strict=True):
            out[j] = out[j] + x[i] * weight
        return out

    numbers = {"source": np.array([0, 1, 2, 2, 0]), "target": np.array([1, 1, 0, 3, 1])}
    return Case(layer, normals(x=(4, 2), w=(5,)) | numbers, reference)


@case
def edge_differences() -> Case:
    g, d = Idx("g", E), Idx("d", D)
    layer = Layer(
        "edge_differences",
        inputs=[x[R, D], source[E], target[E]],
        equations=[Eq(y[g], Sum((x[source[g], d] - x[target[g], d]) ** 2, d))],
    )

    def reference(x, source, target):
        return np.array([((x[i] - x[j]) ** 2).sum() for i, j in zip(source, target, strict=True)])

    numbers = {"source": np.array([0, 1, 2, 0]), "target": np.array([1, 3, 0, 1])}
    return Case(layer, normals(x=(4, 2)) | numbers, reference)


@case_of_logits("x")
def one_hot_loss() -> Case:
    n, c, k = Idx("n", N), Idx("c", C), Idx("k", C)
    layer = Layer(
        "one_hot_loss",
        inputs=[x[N, C], labels[N]],
        equations=[
            Eq(loss, Sum(log(Sum(exp(x[n, k]), k)) - Sum(x[n, c] * KroneckerDelta(labels[n], c), c), n) / N),
        ],
        integers=[labels],
    )

    def reference(x, labels):
        rows = [np.log(np.exp(row - row.max()).sum()) + row.max() - row[c] for row, c in zip(x, labels, strict=True)]
        return np.array(sum(rows) / len(x))

    return Case(layer, normals(x=(3, 4)) | {"labels": np.array([3, 0, 2])}, reference)


@case_of_logits("x")
def smoothed_loss() -> Case:
    smoothing = Symbol("smoothing", nonnegative=True)
    n, c, k = Idx("n", N), Idx("c", C), Idx("k", C)
    goal = (1 - smoothing) * KroneckerDelta(labels[n], c) + smoothing / C
    layer = Layer(
        "smoothed_loss",
        inputs=[x[N, C], labels[N]],
        equations=[Eq(y[n], Sum(goal * (LogSumExp(x[n, k], k) - x[n, c]), c))],
        integers=[labels],
        attributes={smoothing: 0.1},
    )

    def reference(x, labels, smoothing):
        out = np.zeros(len(x))
        for n, row in enumerate(x):
            goal = np.full(len(row), smoothing / len(row))
            goal[labels[n]] += 1 - smoothing
            out[n] = goal @ (np.log(np.exp(row - row.max()).sum()) + row.max() - row)
        return out

    arrays = normals(x=(3, 4)) | {"labels": np.array([1, 1, 3])}
    return Case(layer, arrays, reference, {"smoothing": 0.3})


@case
def margin_loss() -> Case:
    """Every wrong class against the right one, which is itself a gathered read."""
    n, c = Idx("n", N), Idx("c", C)
    hinge = Max(0, 1 + x[n, c] - x[n, labels[n]])
    layer = Layer(
        "margin_loss",
        inputs=[x[N, C], labels[N]],
        equations=[Eq(y[n], Sum(Piecewise((0, Eq(c, labels[n])), (hinge, True)), c))],
    )

    def reference(x, labels):
        out = np.zeros(len(x))
        for n, right in enumerate(labels):
            out[n] = sum(max(0.0, 1 + x[n, c] - x[n, right]) for c in range(x.shape[1]) if c != right)
        return out

    return Case(layer, normals(x=(4, 3)) | {"labels": np.array([2, 0, 2, 1])}, reference)


@case
def hashed_grid() -> Case:
    """Features at the corners around a point, hashed into one table, weighted by products of choices."""
    place = IndexedBase("place")
    finest = Symbol("finest", integer=True, positive=True)
    n, d, a, b = Idx("n", N), Idx("d", D), Idx("a", 2), Idx("b", 2)
    i, j = finest * place[n, 0], finest * place[n, 1]
    right, down = i - floor(i), j - floor(j)
    row, column = Piecewise((1 - right, Eq(a, 0)), (right, True)), Piecewise((1 - down, Eq(b, 0)), (down, True))
    layer = Layer(
        "hashed_grid",
        inputs=[place[N, 2], t[V, D]],
        equations=[Eq(y[n, d], Sum(row * column * t[Mod(floor(i) + a + 73 * (floor(j) + b), V), d], a, b))],
        attributes={finest: 16},
    )

    def reference(place, t, finest=16):
        y = np.zeros((len(place), t.shape[1]))
        for n, point in enumerate(place * finest):
            corner = np.floor(point).astype(int)
            for a, b in np.ndindex(2, 2):
                weight = np.abs(1 - a - point[0] + corner[0]) * np.abs(1 - b - point[1] + corner[1])
                y[n] += weight * t[(corner[0] + a + 73 * (corner[1] + b)) % len(t)]
        return y

    return Case(layer, normals(place=(4, 2), t=(7, 2)), reference, {"finest": 3})
