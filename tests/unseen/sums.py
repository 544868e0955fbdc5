"""Limits that depend on an outer index or on data: triangles, bands, ragged rows, bags."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, Max, Piecewise, Sum, Symbol, exp, symbols

from symgrad import Layer, ReduceMax

from .registry import Case, case, case_of_logits, normals, tensors

B, D, F, N, T, V = symbols("B D F N T V", integer=True, positive=True)
a, e, w, x, y = tensors("a e w x y")
ids, length, offsets = tensors("ids length offsets")


@case
def running_total() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer("running_total", inputs=[x[B, N]], equations=[Eq(y[b, i], Sum(x[b, j], (j, 0, i)))])

    def reference(x):
        return np.array([[sum(row[: i + 1]) for i in range(len(row))] for row in x])

    return Case(layer, normals(x=(2, 5)), reference)


@case
def remaining_weighted() -> Case:
    b, i = Idx("b", B), Idx("i", N)
    j = Symbol("j", integer=True)
    layer = Layer(
        "remaining_weighted",
        inputs=[x[B, N], w[N]],
        equations=[Eq(y[b, i], Sum(x[b, j] * w[j], (j, i, N - 1)) * x[b, i])],
    )

    def reference(x, w):
        out = np.zeros(x.shape)
        for b, i in np.ndindex(*x.shape):
            out[b, i] = x[b, i] * sum(x[b, j] * w[j] for j in range(i, len(w)))
        return out

    return Case(layer, normals(x=(2, 5), w=(5,)), reference)


@case
def strictly_earlier() -> Case:
    """The first row sums nothing."""
    i, j = Idx("i", N), Idx("j")
    layer = Layer("strictly_earlier", inputs=[x[N]], equations=[Eq(y[i], x[i] * Sum(x[j] ** 2, (j, 0, i - 1)))])

    def reference(x):
        return np.array([x[i] * sum(x[j] ** 2 for j in range(i)) for i in range(len(x))])

    return Case(layer, normals(x=(5,)), reference, also=((normals(x=(1,)), {}),))


@case
def lower_triangular_product() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "lower_triangular_product",
        inputs=[a[N, N], x[B, N]],
        equations=[Eq(y[b, i], Sum(a[i, j] * x[b, j], (j, 0, i)))],
    )

    def reference(a, x):
        out = np.zeros(x.shape)
        for b, i in np.ndindex(*x.shape):
            out[b, i] = sum(a[i, j] * x[b, j] for j in range(i + 1))
        return out

    return Case(layer, normals(a=(4, 4), x=(3, 4)), reference)


@case
def nested_running_sums() -> Case:
    i, j, k = Idx("i", N), Idx("j", N), Idx("k", N)
    layer = Layer(
        "nested_running_sums",
        inputs=[w[N, N], x[N]],
        equations=[Eq(y[i], Sum(w[i, j] * Sum(x[k], (k, 0, j)), (j, 0, i)))],
    )

    def reference(w, x):
        N = len(x)
        return np.array([sum(w[i, j] * sum(x[k] for k in range(j + 1)) for j in range(i + 1)) for i in range(N)])

    return Case(layer, normals(w=(4, 4), x=(4,)), reference)


@case
def triples_in_order() -> Case:
    """The third elementary symmetric polynomial of every row: the inner limits move with the outer indices."""
    b, i, j, k = Idx("b", B), Idx("i", N), Idx("j", N), Idx("k", N)
    layer = Layer(
        "triples_in_order",
        inputs=[x[B, N]],
        equations=[Eq(y[b], Sum(x[b, i] * x[b, j] * x[b, k], (k, j + 1, N - 1), (j, i + 1, N - 1), (i, 0, N - 1)))],
    )

    def reference(x):
        N = x.shape[1]
        triples = [(i, j, k) for i in range(N) for j in range(i + 1, N) for k in range(j + 1, N)]
        return np.array([sum(row[i] * row[j] * row[k] for i, j, k in triples) for row in x])

    return Case(layer, normals(x=(2, 6)), reference, also=((normals(x=(2, 3)), {}),))


@case
def field_interactions() -> Case:
    """Every unordered pair of fields once."""
    b, d, i, j = Idx("b", B), Idx("d", D), Idx("i", F), Idx("j", F)
    layer = Layer(
        "field_interactions",
        inputs=[x[B, F, D], w[F, F]],
        equations=[Eq(y[b], Sum(w[i, j] * x[b, i, d] * x[b, j, d], d, (j, i + 1, F - 1), (i, 0, F - 1)))],
    )

    def reference(x, w):
        B, F, _ = x.shape
        pairs = [(i, j) for i in range(F) for j in range(i + 1, F)]
        return np.array([sum(w[i, j] * (x[b, i] @ x[b, j]) for i, j in pairs) for b in range(B)])

    return Case(layer, normals(x=(2, 4, 2), w=(4, 4)), reference)


@case
def trailing_mean() -> Case:
    """A band: at most ``reach`` earlier values, fewer at the start."""
    reach = Symbol("reach", integer=True, nonnegative=True)
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    first = Max(0, i - reach)
    layer = Layer(
        "trailing_mean",
        inputs=[x[B, N]],
        equations=[Eq(y[b, i], Sum(x[b, j], (j, first, i)) / (i - first + 1))],
        attributes={reach: 2},
    )

    def reference(x, reach):
        out = np.zeros(x.shape)
        for b, i in np.ndindex(*x.shape):
            out[b, i] = np.mean(x[b, max(0, i - reach) : i + 1])
        return out

    arrays = normals(x=(2, 6))
    return Case(layer, arrays, reference, {"reach": 3}, also=((arrays, {"reach": 0}), (arrays, {"reach": 40})))


@case
def ragged_mean() -> Case:
    b, t, d = Idx("b", B), Idx("t", T), Idx("d", D)
    layer = Layer(
        "ragged_mean",
        inputs=[x[B, T, D], length[B]],
        equations=[Eq(y[b, d], Sum(x[b, t, d], (t, 0, length[b] - 1)) / length[b])],
        integers=[length],
    )

    def reference(x, length):
        return np.array([x[b, : length[b]].mean(axis=0) for b in range(len(x))])

    return Case(layer, normals(x=(3, 4, 2)) | {"length": np.array([1, 4, 2])}, reference)


@case
def ragged_mean_by_condition() -> Case:
    b, t, d = Idx("b", B), Idx("t", T), Idx("d", D)
    layer = Layer(
        "ragged_mean_by_condition",
        inputs=[x[B, T, D], length[B]],
        equations=[Eq(y[b, d], Sum(Piecewise((x[b, t, d], t < length[b]), (0, True)), t) / Max(length[b], 1))],
        integers=[length],
    )

    def reference(x, length):
        return np.array([x[b, : length[b]].sum(axis=0) / max(length[b], 1) for b in range(len(x))])

    return Case(layer, normals(x=(3, 4, 2)) | {"length": np.array([0, 4, 3])}, reference)


@case
def ragged_maximum() -> Case:
    b, t, d = Idx("b", B), Idx("t", T), Idx("d", D)
    layer = Layer(
        "ragged_maximum",
        inputs=[x[B, T, D], length[B]],
        equations=[Eq(y[b, d], ReduceMax(x[b, t, d], (t, 0, length[b] - 1)))],
        integers=[length],
    )

    def reference(x, length):
        return np.array([x[b, : length[b]].max(axis=0) for b in range(len(x))])

    return Case(layer, normals(x=(3, 4, 2)) | {"length": np.array([1, 4, 2])}, reference)


@case_of_logits("x")
def ragged_softmax_pooling() -> Case:
    b, t, s, d = Idx("b", B), Idx("t", T), Idx("s", T), Idx("d", D)
    layer = Layer(
        "ragged_softmax_pooling",
        inputs=[x[B, T], e[B, T, D], length[B]],
        equations=[
            Eq(
                y[b, d],
                Sum(exp(x[b, t]) * e[b, t, d], (t, 0, length[b] - 1)) / Sum(exp(x[b, s]), (s, 0, length[b] - 1)),
            )
        ],
        integers=[length],
    )

    def reference(x, e, length):
        out = np.zeros((len(x), e.shape[2]))
        for b, n in enumerate(length):
            weights = np.exp(x[b, :n] - x[b, :n].max())
            out[b] = (weights / weights.sum()) @ e[b, :n]
        return out

    arrays = normals(x=(3, 4), e=(3, 4, 2)) | {"length": np.array([2, 1, 4])}
    return Case(layer, arrays, reference)


@case
def bags_by_offsets() -> Case:
    """Both limits are data, some bags are empty, and the rows are gathered."""
    b, d, t = Idx("b", B), Idx("d", D), Idx("t", T)
    layer = Layer(
        "bags_by_offsets",
        inputs=[e[V, D], ids[T], offsets[B + 1]],
        equations=[Eq(y[b, d], Sum(e[ids[t], d], (t, offsets[b], offsets[b + 1] - 1)))],
        integers=[offsets],
    )

    def reference(e, ids, offsets):
        out = np.zeros((len(offsets) - 1, e.shape[1]))
        for b in range(len(out)):
            for t in range(offsets[b], offsets[b + 1]):
                out[b] += e[ids[t]]
        return out

    numbers = {"ids": np.array([3, 0, 3, 1, 1]), "offsets": np.array([0, 2, 2, 5])}
    return Case(layer, normals(e=(4, 2)) | numbers, reference)
