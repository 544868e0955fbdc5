"""Softmax, maxima and means over elements that data put together: edges by target, rows by graph, hits by bucket."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Max, Piecewise, S, Sum, Symbol, exp, oo, symbols

from symgrad import Layer, LogSumExp, ReduceMax, ReduceMin, StopGradient

from .registry import Case, case, case_of_logits, normals, softmax, tensors

B, D, E, F, M, N, V = symbols("B D E F M N V", integer=True, positive=True)
e, m, p, q, r, s, u, w, x, y, z = tensors("e m p q r s u w x y z")
den, high, low = IndexedBase("den"), IndexedBase("high"), IndexedBase("low")
source, target, group, row, column = tensors("source target group row column")


@case_of_logits("x")
def attention_over_edges() -> Case:
    """Graph attention with the maximum taken out by hand; node 2 has no edge."""
    n, k, k2, f, d = Idx("n", V), Idx("k", E), Idx("k2", E), Idx("f", F), Idx("d", D)
    left, right, slope = IndexedBase("left"), IndexedBase("right"), Symbol("slope")
    unshifted = e[k] - StopGradient(m[target[k]])
    layer = Layer(
        "attention_over_edges",
        inputs=[x[V, F], w[F, D], left[D], right[D], source[E], target[E]],
        integers=[source, target],
        equations=[
            Eq(z[n, d], Sum(x[n, f] * w[f, d], f)),
            Eq(u[k], Sum(z[source[k], d] * left[d] + z[target[k], d] * right[d], d)),
            Eq(e[k], Piecewise((u[k], u[k] > 0), (slope * u[k], True))),
            Eq(m[n], ReduceMax(Piecewise((e[k2], Eq(target[k2], n)), (-oo, True)), k2)),
            Eq(den[n], Sum(exp(unshifted) * KroneckerDelta(target[k], n), k)),
            Eq(p[k], exp(unshifted) / den[target[k]]),
            Eq(y[n, d], Sum(p[k] * z[source[k], d] * KroneckerDelta(target[k], n), k)),
        ],
        attributes={slope: 0.2},
    )

    def reference(x, w, left, right, source, target, slope=0.2):
        z = x @ w
        y = np.zeros_like(z)
        for n in range(len(x)):
            edges = [k for k in range(len(source)) if target[k] == n]
            if edges:
                scores = np.array([z[source[k]] @ left + z[n] @ right for k in edges])
                weights = softmax(np.where(scores > 0, scores, slope * scores))
                y[n] = sum(weight * z[source[k]] for weight, k in zip(weights, edges, strict=True))
        return y

    arrays = normals(x=(4, 3), w=(3, 2), left=(2,), right=(2,))
    numbers = {"source": np.array([0, 1, 2, 3, 0, 1]), "target": np.array([1, 0, 1, 3, 3, 1])}
    return Case(layer, arrays | numbers, reference, {"slope": 0.1})


@case_of_logits("s")
def pooled_by_group() -> Case:
    """The logarithm of a sum over a group that may be empty: -oo, and no warning."""
    n, k, d = Idx("n", N), Idx("k", E), Idx("d", D)
    layer = Layer(
        "pooled_by_group",
        inputs=[s[E], x[E, D], group[E]],
        integers=[group],
        equations=[
            Eq(z[n], LogSumExp(Piecewise((s[k], Eq(group[k], n)), (-oo, True)), k)),
            Eq(y[n, d], Sum(exp(s[k] - z[group[k]]) * x[k, d] * KroneckerDelta(n, group[k]), k)),
        ],
        attributes={N: 3},
    )

    def reference(s, x, group, N=3):
        y = np.zeros((N, x.shape[1]))
        for n in range(N):
            inside = group == n
            if inside.any():
                y[n] = softmax(s[inside]) @ x[inside]
        return y

    arrays = normals(s=(6,), x=(6, 2)) | {"group": np.array([3, 0, 3, 2, 0, 3])}
    single = normals(s=(1,), x=(1, 2)) | {"group": np.array([0])}
    nothing = normals(s=(0,), x=(0, 2)) | {"group": np.zeros(0, int)}
    return Case(layer, arrays, reference, {"N": 5}, also=((single, {"N": 1}), (nothing, {"N": 2})))


@case
def read_out_with_queries() -> Case:
    """One query per graph attends over the nodes of its graph."""
    n, b, d = Idx("n", N), Idx("b", B), Idx("d", D)
    layer = Layer(
        "read_out_with_queries",
        inputs=[x[N, D], q[B, D], group[N]],
        integers=[group],
        equations=[
            Eq(e[n], Sum(x[n, d] * q[group[n], d], d)),
            Eq(z[b], LogSumExp(Piecewise((e[n], Eq(group[n], b)), (-oo, True)), n)),
            Eq(r[b, d], Sum(Piecewise((exp(e[n] - z[b]) * x[n, d], Eq(group[n], b)), (0, True)), n)),
        ],
    )

    def reference(x, q, group):
        r = np.zeros_like(q)
        for b in range(len(q)):
            inside = group == b
            if inside.any():
                r[b] = softmax(x[inside] @ q[b]) @ x[inside]
        return r

    numbers = {"group": np.array([2, 0, 0, 2, 3])}
    return Case(layer, normals(x=(5, 2), q=(4, 2)) | numbers, reference)


@case
def range_of_groups() -> Case:
    """Largest and smallest of each group, channel by channel, as two outputs."""
    n, k, f = Idx("n", N), Idx("k", E), Idx("f", F)
    inside = Eq(group[k], n)
    layer = Layer(
        "range_of_groups",
        inputs=[x[E, F], group[E]],
        integers=[group],
        equations=[
            Eq(high[f, n], ReduceMax(Piecewise((x[k, f], inside), (-oo, True)), k)),
            Eq(low[f, n], ReduceMin(Piecewise((x[k, f] ** 2, inside), (oo, True)), k)),
            Eq(y[k, f], (high[f, group[k]] - x[k, f]) * (1 + low[f, group[k]])),
        ],
        outputs=[y],
        attributes={N: 3},
    )

    def reference(x, group, N=3):
        y = np.zeros_like(x)
        for k in range(len(x)):
            others = x[group == group[k]]
            y[k] = (others.max(axis=0) - x[k]) * (1 + (others**2).min(axis=0))
        return y

    arrays = normals(x=(6, 2)) | {"group": np.array([2, 0, 2, 0, 0, 3])}
    single = normals(x=(1, 1)) | {"group": np.array([0])}
    return Case(layer, arrays, reference, {"N": 4}, also=((single, {"N": 1}),))


@case
def largest_by_cell() -> Case:
    """Points dropped into the cells of an image, the largest per cell kept; 0 where there is none."""
    i, j, k, f = Idx("i", M), Idx("j", N), Idx("k", E), Idx("f", F)
    hit = Piecewise((x[k, f] * w[f], Eq(row[k], i) & Eq(column[k], j)), (-oo, True))
    layer = Layer(
        "largest_by_cell",
        inputs=[x[E, F], w[F], row[E], column[E]],
        integers=[row, column],
        equations=[
            Eq(m[i, j], ReduceMax(hit, k, f)),
            Eq(y[i, j], Piecewise((m[i, j], m[i, j] > -oo), (0, True))),
        ],
        attributes={M: 2, N: 3},
    )

    def reference(x, w, row, column, M=2, N=3):
        y = np.zeros((M, N))
        for i in range(M):
            for j in range(N):
                inside = (row == i) & (column == j)
                if inside.any():
                    y[i, j] = (x * w)[inside].max()
        return y

    numbers = {"row": np.array([0, 1, 1, 0, 1]), "column": np.array([2, 0, 0, 2, 1])}
    outside = {"row": np.array([7, 1, -1]), "column": np.array([2, 0, 1])}
    also = ((normals(x=(3, 2), w=(2,)) | outside, {}),)
    return Case(layer, normals(x=(5, 2), w=(2,)) | numbers, reference, also=also)


@case
def spread_of_groups() -> Case:
    """Mean and variance of each group, elements outside every group ignored."""
    n, k, k2, k3, d = Idx("n", N), Idx("k", E), Idx("k2", E), Idx("k3", E), Idx("d", D)
    count, mean = IndexedBase("count"), IndexedBase("mean")
    layer = Layer(
        "spread_of_groups",
        inputs=[x[E, D], group[E]],
        integers=[group],
        equations=[
            Eq(count[n], Max(1, Sum(KroneckerDelta(group[k3], n), k3))),
            Eq(mean[n, d], Sum(x[k, d] * KroneckerDelta(group[k], n), k) / count[n]),
            Eq(y[n, d], Sum((x[k2, d] - mean[n, d]) ** 2 * KroneckerDelta(group[k2], n), k2) / (count[n] + S.Half)),
        ],
        attributes={N: 3},
    )

    def reference(x, group, N=3):
        y = np.zeros((N, x.shape[1]))
        for n in range(N):
            inside = x[group == n]
            if len(inside):
                y[n] = ((inside - inside.mean(axis=0)) ** 2).sum(axis=0) / (len(inside) + 0.5)
        return y

    arrays = normals(x=(6, 2)) | {"group": np.array([2, 0, 2, -1, 0, 9])}
    return Case(layer, arrays, reference, {"N": 4})
