"""Maxima, minima and products: windows, pairs, ties, positions, zeros among the factors."""

from __future__ import annotations

import numpy as np
from sympy import Abs, Eq, Idx, Max, Min, Piecewise, Product, Sum, Symbol, floor, oo, symbols

from symgrad import ArgMax, ArgMin, Layer, LogSumExp, Padded, ReduceMax, ReduceMin

from .registry import Case, case, case_of_logits, normals, tensors

B, C, D, H, K, L, M, N, P, Q, W = symbols("B C D H K L M N P Q W", integer=True, positive=True)
a, c, dist, hi, lo, top, v, w, x, y = tensors("a c dist hi lo top v w x y")


def small_integers(*shape: int) -> np.ndarray:
    """Few different values, so that ties are everywhere."""
    return np.random.default_rng(5).integers(0, 3, size=shape).astype(float)


@case
def row_products() -> Case:
    """Rows without a zero, with one, with two: the gradient never divides."""
    b, j = Idx("b", B), Idx("j", N)
    layer = Layer("row_products", inputs=[x[B, N]], equations=[Eq(y[b], Product(x[b, j], j))])
    arrays = normals(x=(3, 4))
    arrays["x"][1, 2] = arrays["x"][2, 0] = arrays["x"][2, 3] = 0
    return Case(layer, arrays, lambda x: np.array([row.prod() for row in x]))


@case
def window_products() -> Case:
    b, i, u = Idx("b", B), Idx("i", floor((L - K) / 2) + 1), Idx("u", K)
    layer = Layer(
        "window_products",
        inputs=[x[B, L]],
        equations=[Eq(y[b, i], Product(1 - x[b, 2 * i + u], u))],
        attributes={K: 2},
    )

    def reference(x, K):
        starts = range(0, x.shape[1] - K + 1, 2)
        return np.array([[(1 - row[s : s + K]).prod() for s in starts] for row in x])

    arrays = normals(x=(2, 8))
    arrays["x"][0, 2] = arrays["x"][1, 3] = arrays["x"][1, 4] = 1
    return Case(layer, arrays, reference, {"K": 3}, also=((arrays, {"K": 2}), (arrays, {"K": 8})))


@case
def products_of_the_others() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "products_of_the_others",
        inputs=[x[B, N]],
        equations=[Eq(y[b, i], Product(Piecewise((1, Eq(j, i)), (x[b, j], True)), j))],
    )

    def reference(x):
        return np.array([[np.delete(row, i).prod() for i in range(len(row))] for row in x])

    arrays = normals(x=(3, 4))
    arrays["x"][1, 1] = arrays["x"][2, 0] = arrays["x"][2, 2] = 0
    return Case(layer, arrays, reference)


@case
def nearest_centre() -> Case:
    i, j, d = Idx("i", M), Idx("j", N), Idx("d", D)
    layer = Layer(
        "nearest_centre",
        inputs=[x[M, D], c[N, D]],
        equations=[Eq(y[i], ReduceMin(Sum((x[i, d] - c[j, d]) ** 2, d), j))],
    )

    def reference(x, c):
        return np.array([min(((row - centre) ** 2).sum() for centre in c) for row in x])

    return Case(layer, normals(x=(4, 2), c=(3, 2)), reference)


@case
def chamfer_distance() -> Case:
    """A named matrix, minimised along either axis."""
    i, j, d, out = Idx("i", M), Idx("j", N), Idx("d", D), Symbol("out")
    layer = Layer(
        "chamfer_distance",
        inputs=[x[M, D], c[N, D]],
        equations=[
            Eq(dist[i, j], Sum((x[i, d] - c[j, d]) ** 2, d)),
            Eq(out, Sum(ReduceMin(dist[i, j], j), i) / M + Sum(ReduceMin(dist[i, j], i), j) / N),
        ],
    )

    def reference(x, c):
        dist = np.array([[((row - centre) ** 2).sum() for centre in c] for row in x])
        return np.array(dist.min(axis=1).mean() + dist.min(axis=0).mean())

    return Case(layer, normals(x=(4, 2), c=(3, 2)), reference)


@case
def smallest_pair_gap() -> Case:
    """Over ordered pairs: a triangle under a minimum."""
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "smallest_pair_gap",
        inputs=[x[B, N]],
        equations=[Eq(y[b], ReduceMin(Abs(x[b, i] - x[b, j]), (j, i + 1, N - 1), (i, 0, N - 2)))],
    )

    def reference(x):
        N = x.shape[1]
        return np.array([min(abs(row[i] - row[j]) for i in range(N) for j in range(i + 1, N)) for row in x])

    return Case(layer, normals(x=(3, 4)), reference)


@case_of_logits("x")
def soft_window_maxima() -> Case:
    beta = Symbol("beta", positive=True)
    b, i, u = Idx("b", B), Idx("i", floor((L - K) / 2) + 1), Idx("u", K)
    layer = Layer(
        "soft_window_maxima",
        inputs=[x[B, L], beta],
        equations=[Eq(y[b, i], LogSumExp(beta * x[b, 2 * i + u], u) / beta)],
        attributes={K: 2},
    )

    def reference(x, beta, K):
        out = np.zeros((len(x), (x.shape[1] - K) // 2 + 1))
        for b, i in np.ndindex(*out.shape):
            scaled = beta * x[b, 2 * i : 2 * i + K]
            out[b, i] = (scaled.max() + np.log(np.exp(scaled - scaled.max()).sum())) / beta
        return out

    return Case(layer, normals(x=(2, 8)) | {"beta": np.array(1.7)}, reference, {"K": 3})


@case
def power_mean_pooling() -> Case:
    power = Symbol("power", positive=True)
    b, i, u = Idx("b", B), Idx("i", floor(L / 2)), Idx("u", 2)
    layer = Layer(
        "power_mean_pooling",
        inputs=[x[B, L]],
        equations=[Eq(y[b, i], Sum(Abs(x[b, 2 * i + u]) ** power, u) ** (1 / power))],
        attributes={power: 2},
    )

    def reference(x, power):
        out = np.zeros((len(x), x.shape[1] // 2))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = (np.abs(x[b, 2 * i : 2 * i + 2]) ** power).sum() ** (1 / power)
        return out

    arrays = normals(x=(2, 7))
    return Case(layer, arrays, reference, {"power": 3.5}, also=((arrays, {"power": 2}),))


def _plane_maximum(name: str, ties: str, share) -> Case:
    n, k, i, j = Idx("n", N), Idx("k", C), Idx("i", H), Idx("j", W)
    layer = Layer(name, inputs=[x[N, C, H, W]], equations=[Eq(y[n, k], ReduceMax(x[n, k, i, j], i, j, ties=ties))])

    def gradients(arrays, grad_y):
        x = arrays["x"]
        grad_x = np.zeros(x.shape)
        for n, k in np.ndindex(*grad_y.shape):
            places = [place for place in np.ndindex(*x.shape[2:]) if x[n, k][place] == x[n, k].max()]
            for place in places[:1] if ties == "first" else places:
                grad_x[n, k][place] = grad_y[n, k] * share(len(places))
        return {"x": grad_x}

    return Case(layer, {"x": small_integers(2, 2, 3, 3)}, lambda x: x.max(axis=(2, 3)), gradients=gradients)


@case
def first_plane_maximum() -> Case:
    return _plane_maximum("first_plane_maximum", "first", lambda ties: 1)


@case
def shared_plane_maximum() -> Case:
    return _plane_maximum("shared_plane_maximum", "split", lambda ties: 1 / ties)


@case
def larger_of_two() -> Case:
    """At a tie the first argument as printed, ``v``, gets everything; against a number the number does."""
    i = Idx("i", N)
    layer = Layer("larger_of_two", inputs=[x[N], v[N]], equations=[Eq(y[i], Max(x[i], v[i], -1))])

    def gradients(arrays, grad_y):
        x, v = arrays["x"], arrays["v"]
        return {"x": grad_y * ((x > v) & (x > -1)), "v": grad_y * ((v >= x) & (v > -1))}

    arrays = {"x": np.array([1.0, 2.0, -1.0, -3.0, 0.5, -2.0]), "v": np.array([1.0, 0.0, -1.0, -1.0, 0.75, -2.5])}
    return Case(layer, arrays, lambda x, v: np.maximum(np.maximum(x, v), -1), gradients=gradients)


@case
def largest_of_pieces() -> Case:
    b, k, m, i = Idx("b", B), Idx("k", K), Idx("m", M), Idx("i", N)
    layer = Layer(
        "largest_of_pieces",
        inputs=[x[B, N], w[K, M, N], c[K, M]],
        equations=[Eq(y[b, k], ReduceMax(Sum(w[k, m, i] * x[b, i], i) + c[k, m], m))],
    )

    def reference(x, w, c):
        return np.array([(w @ row + c).max(axis=1) for row in x])

    return Case(layer, normals(x=(3, 3), w=(2, 3, 3), c=(2, 3)), reference)


@case
def min_max_scaling() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "min_max_scaling",
        inputs=[x[B, N]],
        equations=[
            Eq(lo[b], ReduceMin(x[b, j], j)),
            Eq(hi[b], ReduceMax(x[b, j], j)),
            Eq(y[b, i], (x[b, i] - lo[b]) / (hi[b] - lo[b])),
        ],
    )

    def reference(x):
        return np.array([(row - row.min()) / (row.max() - row.min()) for row in x])

    return Case(layer, normals(x=(2, 5)), reference)


@case
def second_largest() -> Case:
    b, j = Idx("b", B), Idx("j", N)
    layer = Layer(
        "second_largest",
        inputs=[x[B, N]],
        equations=[
            Eq(top[b], ArgMax(x[b, j], j)),
            Eq(y[b], ReduceMax(Piecewise((-oo, Eq(j, top[b])), (x[b, j], True)), j)),
        ],
    )
    return Case(layer, normals(x=(3, 4)), lambda x: np.array([sorted(row)[-2] for row in x]))


@case
def value_at_the_best() -> Case:
    """The position of a maximum as an index: the scores get no gradient."""
    b, j, d = Idx("b", B), Idx("j", N), Idx("d", D)
    layer = Layer(
        "value_at_the_best",
        inputs=[a[B, N], v[B, N, D]],
        equations=[Eq(top[b], ArgMax(a[b, j], j)), Eq(y[b, d], v[b, top[b], d] ** 2)],
    )

    def reference(a, v):
        return np.array([values[scores.argmax()] ** 2 for scores, values in zip(a, v, strict=True)])

    return Case(layer, normals(a=(3, 4), v=(3, 4, 2)), reference)


@case
def median_of_three() -> Case:
    b, i = Idx("b", B), Idx("i", L - 2)
    left, middle, right = x[b, i], x[b, i + 1], x[b, i + 2]
    layer = Layer(
        "median_of_three",
        inputs=[x[B, L]],
        equations=[Eq(y[b, i], Max(Min(left, middle), Min(Max(left, middle), right)))],
    )

    def reference(x):
        return np.array([[np.median(row[i : i + 3]) for i in range(len(row) - 2)] for row in x])

    return Case(layer, normals(x=(2, 7)), reference)


@case
def running_maximum() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer("running_maximum", inputs=[x[B, N]], equations=[Eq(y[b, i], ReduceMax(x[b, j], (j, 0, i)))])

    def reference(x):
        return np.array([[row[: i + 1].max() for i in range(len(row))] for row in x])

    return Case(layer, normals(x=(2, 6)), reference)


@case_of_logits("x")
def running_log_sum_exp() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer("running_log_sum_exp", inputs=[x[B, N]], equations=[Eq(y[b, i], LogSumExp(x[b, j], (j, 0, i)))])

    def reference(x):
        return np.array([np.logaddexp.accumulate(row) for row in x])

    return Case(layer, normals(x=(2, 5)), reference)


@case
def rounded_up_pooling() -> Case:
    """An odd size rounds up: the last window hangs over the edge."""
    b, i, u = Idx("b", B), Idx("i", floor((L + 1) / 2)), Idx("u", 2)
    layer = Layer(
        "rounded_up_pooling", inputs=[x[B, L]], equations=[Eq(y[b, i], ReduceMax(Padded(x, -oo)[b, 2 * i + u], u))]
    )

    def reference(x):
        return np.array([[row[s : s + 2].max() for s in range(0, len(row), 2)] for row in x])

    return Case(layer, normals(x=(2, 7)), reference, also=((normals(x=(2, 6)), {}), (normals(x=(2, 1)), {})))


@case
def largest_from_here_on() -> Case:
    """Positions count from the first value of their range: one for each row, one that data give."""
    b, t = Idx("b", B), Idx("t", L)
    own, given = ArgMax(x[b, t], (t, b, L - 1)), ArgMin(x[b, t], (t, lo[b], L - 1))
    layer = Layer(
        "largest_from_here_on",
        inputs=[x[B, L], w[L], lo[B]],
        equations=[Eq(y[b], x[b, own + b] * w[own] + w[given] * x[b, lo[b] + given])],
        integers=[lo],
    )

    def reference(x, w, lo):
        rows = range(len(x))
        own = [int(np.argmax(x[b, b:])) for b in rows]
        given = [int(np.argmin(x[b, lo[b] :])) for b in rows]
        return np.array([x[b, b:].max() * w[own[b]] + w[given[b]] * x[b, lo[b] :].min() for b in rows])

    return Case(layer, normals(x=(3, 5), w=(5,)) | {"lo": np.array([2, 0, 4])}, reference)
