"""Softmax wherever it stands: masks, triangles, windows, heads, both axes, contrast."""

from __future__ import annotations

import numpy as np
from sympy import Abs, And, Eq, Idx, IndexedBase, Max, Mod, Piecewise, Sum, Symbol, exp, floor, log, oo, sqrt, symbols

from symgrad import Layer, LogSumExp, Padded

from .registry import Case, case, case_of_logits, normals, softmax, tensors

B, D, E, H, N, T, W = symbols("B D E H N T W", integer=True, positive=True)
radius = Symbol("radius", integer=True, nonnegative=True)
a, bias, k, mask, q, s, v, x, y, z = tensors("a bias k mask q s v x y z")
b, d, e, i, j, m = Idx("b", B), Idx("d", D), Idx("e", E), Idx("i", T), Idx("j", T), Idx("m", T)


def _causal(q, k, v):
    out = np.zeros((*q.shape[:2], v.shape[2]))
    for b, i in np.ndindex(*q.shape[:2]):
        out[b, i] = softmax(k[b, : i + 1] @ q[b, i] / np.sqrt(q.shape[2])) @ v[b, : i + 1]
    return out


@case
def causal_by_condition() -> Case:
    score = Sum(q[b, i, d] * k[b, j, d], d) / sqrt(D)
    layer = Layer(
        "causal_by_condition",
        inputs=[q[B, T, D], k[B, T, D], v[B, T, E]],
        equations=[
            Eq(s[b, i, j], Piecewise((score, j <= i), (-oo, True))),
            Eq(a[b, i, j], exp(s[b, i, j]) / Sum(exp(s[b, i, m]), m)),
            Eq(y[b, i, e], Sum(a[b, i, j] * v[b, j, e], j)),
        ],
    )
    return Case(layer, normals(q=(2, 3, 2), k=(2, 3, 2), v=(2, 3, 3)), _causal)


@case
def causal_by_limits() -> Case:
    layer = Layer(
        "causal_by_limits",
        inputs=[q[B, T, D], k[B, T, D], v[B, T, E]],
        equations=[
            Eq(s[b, i, j], Sum(q[b, i, d] * k[b, j, d], d) / sqrt(D)),
            Eq(y[b, i, e], Sum(exp(s[b, i, j]) * v[b, j, e], (j, 0, i)) / Sum(exp(s[b, i, m]), (m, 0, i))),
        ],
    )
    return Case(layer, normals(q=(2, 3, 2), k=(2, 3, 2), v=(2, 3, 3)), _causal)


@case
def attention_in_one_equation() -> Case:
    """Nothing named: scores, weights and mixing in a single right side."""
    score_j, score_m = Sum(q[b, i, d] * k[b, j, d], d), Sum(q[b, i, d] * k[b, m, d], d)
    layer = Layer(
        "attention_in_one_equation",
        inputs=[q[B, T, D], k[B, T, D], v[B, T, E]],
        equations=[Eq(y[b, i, e], Sum(exp(score_j) * v[b, j, e], j) / Sum(exp(score_m), m))],
    )

    def reference(q, k, v):
        out = np.zeros((*q.shape[:2], v.shape[2]))
        for b, i in np.ndindex(*q.shape[:2]):
            out[b, i] = softmax(k[b] @ q[b, i]) @ v[b]
        return out

    return Case(layer, normals(q=(2, 3, 2), k=(2, 3, 2), v=(2, 3, 2)), reference)


@case_of_logits("x")
def local_softmax_pooling() -> Case:
    """Weights from a window of logits; beyond the border the logit is minus infinity."""
    u, t = Idx("u", 2 * radius + 1), Idx("t", 2 * radius + 1)
    weights = exp(Padded(x, -oo)[b, i + u - radius])
    layer = Layer(
        "local_softmax_pooling",
        inputs=[x[B, T], z[B, T]],
        equations=[
            Eq(
                y[b, i], Sum(weights * Padded(z)[b, i + u - radius], u) / Sum(exp(Padded(x, -oo)[b, i + t - radius]), t)
            ),
        ],
        attributes={radius: 1},
    )

    def reference(x, z, radius):
        out = np.zeros(x.shape)
        for b, i in np.ndindex(*x.shape):
            near = slice(max(0, i - radius), i + radius + 1)
            out[b, i] = softmax(x[b, near]) @ z[b, near]
        return out

    arrays = normals(x=(2, 6), z=(2, 6))
    return Case(layer, arrays, reference, {"radius": 2}, also=((arrays, {"radius": 0}),))


@case
def window_attention() -> Case:
    u, t = Idx("u", 2 * radius + 1), Idx("t", 2 * radius + 1)
    near = i + u - radius
    score = Sum(q[b, i, d] * Padded(k)[b, near, d], d) / sqrt(D)
    layer = Layer(
        "window_attention",
        inputs=[q[B, T, D], k[B, T, D], v[B, T, E]],
        equations=[
            Eq(s[b, i, u], Piecewise((score, And(near >= 0, near < T)), (-oo, True))),
            Eq(a[b, i, u], exp(s[b, i, u]) / Sum(exp(s[b, i, t]), t)),
            Eq(y[b, i, e], Sum(a[b, i, u] * Padded(v)[b, near, e], u)),
        ],
        attributes={radius: 1},
    )

    def reference(q, k, v, radius):
        out = np.zeros((*q.shape[:2], v.shape[2]))
        for b, i in np.ndindex(*q.shape[:2]):
            near = slice(max(0, i - radius), i + radius + 1)
            out[b, i] = softmax(k[b, near] @ q[b, i] / np.sqrt(q.shape[2])) @ v[b, near]
        return out

    arrays = normals(q=(1, 5, 2), k=(1, 5, 2), v=(1, 5, 2))
    return Case(layer, arrays, reference, {"radius": 1}, also=((arrays, {"radius": 7}),))


@case
def heads_in_columns() -> Case:
    """Heads are read out of the columns, and come back into them through floor and Mod."""
    h, g = Idx("h", H), Idx("g", H * D)
    layer = Layer(
        "heads_in_columns",
        inputs=[q[B, T, H * D], k[B, T, H * D], v[B, T, H * D]],
        equations=[
            Eq(s[b, h, i, j], Sum(q[b, i, h * D + d] * k[b, j, h * D + d], d) / sqrt(D)),
            Eq(a[b, h, i, j], exp(s[b, h, i, j]) / Sum(exp(s[b, h, i, m]), m)),
            Eq(z[b, h, i, d], Sum(a[b, h, i, j] * v[b, j, h * D + d], j)),
            Eq(y[b, i, g], z[b, floor(g / D), i, Mod(g, D)]),
        ],
        attributes={H: 2},
    )

    def reference(q, k, v, H):
        out, D = np.zeros(q.shape), q.shape[2] // H
        for b, h, i in np.ndindex(len(q), H, q.shape[1]):
            part = slice(h * D, (h + 1) * D)
            out[b, i, part] = softmax(k[b, :, part] @ q[b, i, part] / np.sqrt(D)) @ v[b, :, part]
        return out

    return Case(layer, normals(q=(1, 3, 4), k=(1, 3, 4), v=(1, 3, 4)), reference, {"H": 2})


@case
def relative_positions() -> Case:
    """A learnt bias per distance, read by the difference of two positions."""
    layer = Layer(
        "relative_positions",
        inputs=[q[B, T, D], k[B, T, D], bias[2 * T - 1]],
        equations=[
            Eq(s[b, i, j], Sum(q[b, i, d] * k[b, j, d], d) + bias[j - i + T - 1]),
            Eq(y[b, i, j], exp(s[b, i, j]) / Sum(exp(s[b, i, m]), m)),
        ],
    )

    def reference(q, k, bias):
        T = q.shape[1]
        out = np.zeros((len(q), T, T))
        for b, i in np.ndindex(len(q), T):
            out[b, i] = softmax(k[b] @ q[b, i] + bias[T - 1 - i : 2 * T - 1 - i])
        return out

    return Case(layer, normals(q=(2, 3, 2), k=(2, 3, 2), bias=(5,)), reference)


@case
def exponential_features_of_the_past() -> Case:
    """No softmax: positive features, summed over the past twice."""
    features = (exp(q[b, i, d]), exp(k[b, j, d]), exp(k[b, m, d]))
    layer = Layer(
        "exponential_features_of_the_past",
        inputs=[q[B, T, D], k[B, T, D], v[B, T, E]],
        equations=[
            Eq(
                y[b, i, e],
                Sum(features[0] * features[1] * v[b, j, e], d, (j, 0, i))
                / Sum(features[0] * features[2], d, (m, 0, i)),
            )
        ],
    )

    def reference(q, k, v):
        out = np.zeros((*q.shape[:2], v.shape[2]))
        for b, i in np.ndindex(*q.shape[:2]):
            weights = np.exp(k[b, : i + 1]) @ np.exp(q[b, i])
            out[b, i] = weights @ v[b, : i + 1] / weights.sum()
        return out

    return Case(layer, normals(q=(2, 3, 2), k=(2, 3, 2), v=(2, 3, 2)), reference)


@case_of_logits("x")
def masked_pooling() -> Case:
    """The mask is a constant input: no gradient."""
    score = Piecewise((x[b, i], mask[b, i] > 0), (-oo, True))
    other = Piecewise((x[b, m], mask[b, m] > 0), (-oo, True))
    layer = Layer(
        "masked_pooling",
        inputs=[x[B, T], mask[B, T], v[B, T, D]],
        equations=[Eq(y[b, d], Sum(exp(score) * v[b, i, d], i) / Sum(exp(other), m))],
        constants=[mask],
    )

    def reference(x, mask, v):
        out = np.zeros((len(x), v.shape[2]))
        for b in range(len(x)):
            kept = mask[b] > 0
            out[b] = softmax(x[b, kept]) @ v[b, kept]
        return out

    arrays = normals(x=(2, 4), mask=(2, 4), v=(2, 4, 2))
    arrays["mask"][:] = [[1, 0, 1, 1], [0, 0, 1, 0]]
    return Case(layer, arrays, reference)


@case_of_logits("x")
def spatial_softmax() -> Case:
    """Over two axes at once, then the expected coordinates: indices as numbers, several outputs."""
    row, col = IndexedBase("row"), IndexedBase("col")
    n, p, r, g, t = Idx("n", N), Idx("p", H), Idx("r", W), Idx("g", H), Idx("t", W)
    layer = Layer(
        "spatial_softmax",
        inputs=[x[N, H, W]],
        equations=[
            Eq(a[n, p, r], exp(x[n, p, r]) / Sum(exp(x[n, g, t]), g, t)),
            Eq(row[n], Sum(a[n, p, r] * p, p, r)),
            Eq(col[n], Sum(a[n, p, r] * r, p, r)),
        ],
        outputs=[row, col],
    )

    def reference(x):
        weights = np.array([softmax(plane.ravel()).reshape(plane.shape) for plane in x])
        rows, cols = np.indices(x.shape[1:])
        return (weights * rows).sum(axis=(1, 2)), (weights * cols).sum(axis=(1, 2))

    return Case(layer, normals(x=(2, 3, 4)), reference)


@case
def normalised_both_ways() -> Case:
    layer = Layer(
        "normalised_both_ways",
        inputs=[x[T, T]],
        equations=[Eq(a[i, j], exp(x[i, j]) / Sum(exp(x[i, m]), m)), Eq(y[i, j], a[i, j] / Sum(a[m, j], m))],
    )

    def reference(x):
        rows = np.array([softmax(row) for row in x])
        return rows / rows.sum(axis=0)

    return Case(layer, normals(x=(3, 3)), reference)


@case
def contrastive_loss() -> Case:
    """The diagonal of a named matrix against all of its row; the temperature is a scalar input."""
    loss, heat = Symbol("loss"), Symbol("heat", positive=True)
    layer = Layer(
        "contrastive_loss",
        inputs=[q[T, D], k[T, D], heat],
        equations=[
            Eq(s[i, j], Sum(q[i, d] * k[j, d], d) / heat),
            Eq(loss, Sum(LogSumExp(s[i, j], j) - s[i, i], i) / T),
        ],
    )

    def reference(q, k, heat):
        s = q @ k.T / heat
        return np.array(np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(s)]))

    return Case(layer, normals(q=(3, 2), k=(3, 2)) | {"heat": np.array(0.8)}, reference)


@case_of_logits("x")
def logistic_loss() -> Case:
    """Signs as a constant input; large logits must not overflow."""
    margin = mask[b, i] * x[b, i]
    layer = Layer(
        "logistic_loss",
        inputs=[x[B, T], mask[B, T]],
        equations=[Eq(y[b], Sum(Max(-margin, 0) + log(1 + exp(-Abs(margin))), i) / T)],
        constants=[mask],
    )

    def reference(x, mask):
        return np.logaddexp(0, -mask * x).mean(axis=1)

    arrays = normals(x=(2, 4), mask=(2, 4))
    arrays["mask"] = np.sign(arrays["mask"])
    return Case(layer, arrays, reference)
