"""Values between samples: polynomials through points, positions that are data, windows multiplied and shuffled."""

from __future__ import annotations

import numpy as np
from sympy import Abs, Eq, Expr, Idx, Max, Mod, Piecewise, Product, Sum, floor, symbols

from symgrad import Layer, Padded

from .registry import Case, case, normals, tensors

B, C, D, F, G, H, K, N, Q, R, T, V, W = symbols("B C D F G H K N Q R T V W", integer=True, positive=True)
at, e, f, first, flow, g, ids, length, p, w, x, y, z = tensors("at e f first flow g ids length p w x y z")
b, c, d, k, q, t = Idx("b", B), Idx("c", C), Idx("d", D), Idx("k", K), Idx("q", Q), Idx("t", T)


@case
def polynomial_through_points() -> Case:
    """Lagrange's form: the factor of a point itself would divide by 0."""
    j = Idx("j", K)
    factor = Piecewise((1, Eq(j, k)), ((at[q] - p[j]) / (p[k] - p[j]), True))
    layer = Layer(
        "polynomial_through_points",
        inputs=[f[B, K], p[K], at[Q]],
        equations=[Eq(y[b, q], Sum(f[b, k] * Product(factor, j), k))],
    )

    def reference(f, p, at):
        weights = np.ones((len(at), len(p)))
        for k, j in np.ndindex(len(p), len(p)):
            if j != k:
                weights[:, k] *= (at - p[j]) / (p[k] - p[j])
        return f @ weights.T

    points = {"p": np.array([-1.5, 0.5, 2.0, -0.25])}
    return Case(layer, normals(f=(2, 4), p=(4,), at=(5,)) | points, reference)


@case
def windows_multiplied() -> Case:
    """Products over strided windows, some of them with one zero, some with two."""
    o, u = Idx("o", floor((T - R) / 2) + 1), Idx("u", R)
    layer = Layer(
        "windows_multiplied", inputs=[x[B, T], z[R]], equations=[Eq(y[b, o], Product(x[b, 2 * o + u] + z[u], u))]
    )

    def reference(x, z):
        starts = range(0, x.shape[1] - len(z) + 1, 2)
        return np.array([[np.prod(row[s : s + len(z)] + z) for s in starts] for row in x])

    arrays = normals(x=(2, 9), z=(3,))
    arrays["x"][0, 2:4] = -arrays["z"][:2]
    arrays["x"][1, 4] = -arrays["z"][2]
    return Case(layer, arrays, reference, also=tuple((normals(x=(1, 4), z=(width,)), {}) for width in (1, 4, 0)))


@case
def signal_at_positions() -> Case:
    """Linear interpolation at positions that are data, the signal reflected beyond its ends."""
    X = Padded(x, mode="reflect")
    part = at[b, q] - floor(at[b, q])
    body = (1 - part) * X[b, c, floor(at[b, q])] + part * X[b, c, floor(at[b, q]) + 1]
    layer = Layer("signal_at_positions", inputs=[x[B, C, T], at[B, Q]], equations=[Eq(y[b, c, q], body)])

    def reference(x, at):
        y = np.zeros((*x.shape[:2], at.shape[1]))
        for k, o in np.ndindex(*at.shape):
            wide = np.pad(x[k], ((0, 0), (40, 40)), mode="reflect")
            low = int(np.floor(at[k, o]))
            y[k, :, o] = (1 - at[k, o] + low) * wide[:, low + 40] + (at[k, o] - low) * wide[:, low + 41]
        return y

    arrays = normals(x=(2, 2, 5), at=(2, 6))
    return Case(layer, arrays | {"at": 6 * arrays["at"]}, reference)


@case
def picture_moved_by_a_flow() -> Case:
    row, column, down, right = Idx("row", H), Idx("column", W), Idx("down", 2), Idx("right", 2)
    above, left = row + flow[b, 0, row, column], column + flow[b, 1, row, column]

    def share(place: Expr, step: Idx) -> Expr:
        return Max(0, 1 - Abs(place - floor(place) - step))

    corner = Padded(x)[b, c, floor(above) + down, floor(left) + right]
    layer = Layer(
        "picture_moved_by_a_flow",
        inputs=[x[B, C, H, W], flow[B, 2, H, W]],
        equations=[Eq(y[b, c, row, column], Sum(share(above, down) * share(left, right) * corner, down, right))],
    )

    def reference(x, flow):
        y, wide = np.zeros(x.shape), np.pad(x, ((0, 0), (0, 0), (20, 20), (20, 20)))
        for k, n, m in np.ndindex(len(x), *x.shape[2:]):
            above, left = n + flow[k, 0, n, m], m + flow[k, 1, n, m]
            for i in (int(np.floor(above)), int(np.floor(above)) + 1):
                for j in (int(np.floor(left)), int(np.floor(left)) + 1):
                    share = (1 - abs(above - i)) * (1 - abs(left - j))
                    y[k, :, n, m] += share * wide[k, :, i + 20, j + 20]
        return y

    return Case(layer, normals(x=(1, 2, 3, 4), flow=(1, 2, 3, 4)), reference)


@case
def shuffled_mean_of_a_length() -> Case:
    """Channels shuffled between groups while positions up to a length are averaged."""
    to = Idx("to", G * C)
    taken = x[b, t, G * Mod(to, C) + floor(to / C)]
    layer = Layer(
        "shuffled_mean_of_a_length",
        inputs=[x[B, T, G * C], length[B], g[G]],
        integers=[length],
        equations=[
            Eq(y[b, to], g[floor(to / C)] * Sum(Piecewise((taken, t < length[b]), (0, True)), t) / length[b]),
        ],
    )

    def reference(x, length, g):
        shuffled = x.reshape(*x.shape[:2], -1, len(g)).swapaxes(2, 3).reshape(x.shape)
        means = np.array([rows[:n].sum(axis=0) / n for rows, n in zip(shuffled, length, strict=True)])
        return np.repeat(g, x.shape[2] // len(g)) * means

    arrays = normals(x=(3, 4, 6), g=(2,))
    return Case(layer, {"x": arrays["x"], "length": np.array([4, 1, 3]), "g": arrays["g"]}, reference)


@case
def fields_of_one_table() -> Case:
    """Rows of one table for several fields, each with an offset of its own; interactions by squares."""
    field = Idx("field", F)
    row = e[ids[b, field] + first[field], d] * w[field]
    layer = Layer(
        "fields_of_one_table",
        inputs=[e[V, D], ids[B, F], first[F], w[F]],
        integers=[ids, first],
        equations=[Eq(y[b, d], Sum(row, field) ** 2 - Sum(row**2, field))],
    )

    def reference(e, ids, first, w):
        rows = e[ids + first] * w[:, None]
        return rows.sum(axis=1) ** 2 - (rows**2).sum(axis=1)

    arrays = normals(e=(7, 3), w=(3,))
    numbers = {"ids": np.array([[0, 1, 2], [2, 0, 1]]), "first": np.array([0, 3, 4])}
    return Case(layer, {"e": arrays["e"], **numbers, "w": arrays["w"]}, reference)
