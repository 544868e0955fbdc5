"""Sums of products of several reads: outer products, forms, chains, distances, transforms."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Sum, Symbol, cos, exp, pi, sin, sqrt, symbols

from symgrad import Layer, Padded

from .registry import Case, case, normals, tensors

B, C, D, H, K, L, M, N, P, Q, R, S, T, W = symbols("B C D H K L M N P Q R S T W", integer=True, positive=True)
a, c, f, g, p, v, w, x, y, z = tensors("a c f g p v w x y z")
real, imag = IndexedBase("real"), IndexedBase("imag")


@case
def batch_outer() -> Case:
    b, i, j = Idx("b", B), Idx("i", P), Idx("j", Q)
    layer = Layer("batch_outer", inputs=[x[B, P], z[B, Q]], equations=[Eq(y[b, i, j], x[b, i] * z[b, j])])

    def reference(x, z):
        return np.array([np.outer(left, right) for left, right in zip(x, z, strict=True)])

    return Case(layer, normals(x=(2, 3), z=(2, 4)), reference)


@case
def bilinear_form() -> Case:
    b, k, i, j = Idx("b", B), Idx("k", K), Idx("i", P), Idx("j", Q)
    layer = Layer(
        "bilinear_form",
        inputs=[x[B, P], w[K, P, Q], z[B, Q]],
        equations=[Eq(y[b, k], Sum(x[b, i] * w[k, i, j] * z[b, j], i, j))],
    )

    def reference(x, w, z):
        return np.array([[left @ kernel @ right for kernel in w] for left, right in zip(x, z, strict=True)])

    return Case(layer, normals(x=(2, 3), w=(2, 3, 2), z=(2, 2)), reference)


@case
def quadratic_form() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "quadratic_form", inputs=[x[B, N], a[N, N]], equations=[Eq(y[b], Sum(x[b, i] * a[i, j] * x[b, j], i, j))]
    )

    def reference(x, a):
        return np.array([row @ a @ row for row in x])

    return Case(layer, normals(x=(2, 3), a=(3, 3)), reference)


@case
def matrix_chain() -> Case:
    i, j, k, m = Idx("i", M), Idx("j", N), Idx("k", P), Idx("m", Q)
    layer = Layer(
        "matrix_chain",
        inputs=[a[M, N], c[N, P], f[P, Q]],
        equations=[Eq(y[i, m], Sum(a[i, j] * c[j, k] * f[k, m], j, k))],
    )
    return Case(layer, normals(a=(2, 3), c=(3, 4), f=(4, 2)), lambda a, c, f: a @ c @ f)


@case
def three_way_components() -> Case:
    i, j, k, r = Idx("i", M), Idx("j", N), Idx("k", P), Idx("r", R)
    layer = Layer(
        "three_way_components",
        inputs=[a[M, R], c[N, R], f[P, R]],
        equations=[Eq(y[i, j, k], Sum(a[i, r] * c[j, r] * f[k, r], r))],
    )

    def reference(a, c, f):
        return sum(np.multiply.outer(np.outer(a[:, r], c[:, r]), f[:, r]) for r in range(a.shape[1]))

    return Case(layer, normals(a=(2, 2), c=(3, 2), f=(2, 2)), reference)


@case
def gram_matrix() -> Case:
    n, i, j, d = Idx("n", N), Idx("i", M), Idx("j", M), Idx("d", D)
    layer = Layer("gram_matrix", inputs=[x[N, M, D]], equations=[Eq(y[n, i, j], Sum(x[n, i, d] * x[n, j, d], d) / D)])

    def reference(x):
        return np.array([rows @ rows.T / rows.shape[1] for rows in x])

    return Case(layer, normals(x=(2, 3, 2)), reference)


@case
def scaled_trace() -> Case:
    out, scale, i = Symbol("out"), Symbol("scale"), Idx("i", N)
    layer = Layer("scaled_trace", inputs=[x[N, N], scale], equations=[Eq(out, scale * Sum(x[i, i], i) + scale**2)])

    def reference(x, scale):
        return np.array(scale * sum(x[i, i] for i in range(len(x))) + scale**2)

    return Case(layer, normals(x=(4, 4), scale=()), reference)


@case
def cyclic_trace() -> Case:
    out, i, j, k = Symbol("out"), Idx("i", M), Idx("j", N), Idx("k", P)
    layer = Layer(
        "cyclic_trace",
        inputs=[a[M, N], c[N, P], f[P, M]],
        equations=[Eq(out, Sum(a[i, j] * c[j, k] * f[k, i], i, j, k))],
    )
    return Case(layer, normals(a=(2, 3), c=(3, 4), f=(4, 2)), lambda a, c, f: np.array(np.trace(a @ c @ f)))


@case
def squared_distances() -> Case:
    i, j, d = Idx("i", M), Idx("j", N), Idx("d", D)
    layer = Layer(
        "squared_distances", inputs=[x[M, D], c[N, D]], equations=[Eq(y[i, j], Sum((x[i, d] - c[j, d]) ** 2, d))]
    )

    def reference(x, c):
        return np.array([[((row - centre) ** 2).sum() for centre in c] for row in x])

    return Case(layer, normals(x=(3, 2), c=(4, 2)), reference)


@case
def distances() -> Case:
    i, j, d = Idx("i", M), Idx("j", N), Idx("d", D)
    layer = Layer(
        "distances", inputs=[x[M, D], c[N, D]], equations=[Eq(y[i, j], sqrt(Sum((x[i, d] - c[j, d]) ** 2, d)))]
    )

    def reference(x, c):
        return np.array([[np.linalg.norm(row - centre) for centre in c] for row in x])

    return Case(layer, normals(x=(3, 2), c=(4, 2)), reference)


@case
def gaussian_kernels() -> Case:
    """Width as a scalar input, one weight per centre, the kernel matrix never named."""
    width = Symbol("width", positive=True)
    i, j, d = Idx("i", M), Idx("j", N), Idx("d", D)
    layer = Layer(
        "gaussian_kernels",
        inputs=[x[M, D], c[N, D], w[N], width],
        equations=[Eq(y[i], Sum(w[j] * exp(-Sum((x[i, d] - c[j, d]) ** 2, d) / (2 * width**2)), j))],
    )

    def reference(x, c, w, width):
        rows = [[np.exp(-((row - centre) ** 2).sum() / (2 * width**2)) for centre in c] for row in x]
        return np.array(rows) @ w

    return Case(layer, normals(x=(3, 2), c=(4, 2), w=(4,)) | {"width": np.array(1.3)}, reference)


@case
def correlated_pairs() -> Case:
    """Cross-correlation of two inputs: every sample brings its own kernel."""
    b, ch, i, u = Idx("b", B), Idx("ch", C), Idx("i", L - K + 1), Idx("u", K)
    layer = Layer(
        "correlated_pairs",
        inputs=[x[B, C, L], z[B, C, K]],
        equations=[Eq(y[b, i], Sum(x[b, ch, i + u] * z[b, ch, u], ch, u))],
    )

    def reference(x, z):
        K = z.shape[2]
        return np.array(
            [[(s[:, i : i + K] * t).sum() for i in range(s.shape[1] - K + 1)] for s, t in zip(x, z, strict=True)]
        )

    return Case(layer, normals(x=(2, 2, 6), z=(2, 2, 3)), reference)


@case
def separable_convolution() -> Case:
    """A depthwise kernel and a pointwise mix in one equation."""
    n, k, q, i, j = Idx("n", N), Idx("k", K), Idx("q", C), Idx("i", H), Idx("j", W)
    u, m = Idx("u", 3), Idx("m", 3)
    depthwise = Sum(Padded(x)[n, q, i + u - 1, j + m - 1] * f[q, u, m], u, m)
    layer = Layer(
        "separable_convolution",
        inputs=[x[N, C, H, W], f[C, 3, 3], p[K, C]],
        equations=[Eq(y[n, k, i, j], Sum(p[k, q] * depthwise, q))],
    )

    def reference(x, f, p):
        H, W = x.shape[2:]
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        middle = np.zeros(x.shape)
        for i, j in np.ndindex(H, W):
            middle[:, :, i, j] = (padded[:, :, i : i + 3, j : j + 3] * f).sum(axis=(2, 3))
        return np.einsum("kq,nqij->nkij", p, middle)

    return Case(layer, normals(x=(1, 2, 3, 4), f=(2, 3, 3), p=(3, 2)), reference)


@case
def fourier_parts() -> Case:
    b, k, n = Idx("b", B), Idx("k", N), Idx("n", N)
    layer = Layer(
        "fourier_parts",
        inputs=[x[B, N]],
        equations=[
            Eq(real[b, k], Sum(x[b, n] * cos(2 * pi * k * n / N), n)),
            Eq(imag[b, k], -Sum(x[b, n] * sin(2 * pi * k * n / N), n)),
        ],
        outputs=[real, imag],
    )

    def reference(x):
        spectrum = np.fft.fft(x, axis=1)
        return spectrum.real, spectrum.imag

    return Case(layer, normals(x=(2, 5)), reference)


@case
def power_spectrum() -> Case:
    """Both parts are named and used twice."""
    b, k, n = Idx("b", B), Idx("k", N), Idx("n", N)
    layer = Layer(
        "power_spectrum",
        inputs=[x[B, N]],
        equations=[
            Eq(real[b, k], Sum(x[b, n] * cos(2 * pi * k * n / N), n)),
            Eq(imag[b, k], Sum(x[b, n] * sin(2 * pi * k * n / N), n)),
            Eq(y[b, k], (real[b, k] * real[b, k] + imag[b, k] * imag[b, k]) / N),
        ],
    )
    return Case(layer, normals(x=(2, 4)), lambda x: np.abs(np.fft.fft(x, axis=1)) ** 2 / x.shape[1])


@case
def positional_average() -> Case:
    b, t = Idx("b", B), Idx("t", T)
    layer = Layer(
        "positional_average", inputs=[x[B, T]], equations=[Eq(y[b], 2 * Sum(x[b, t] ** 2 * (t + 1), t) / (T * (T + 1)))]
    )

    def reference(x):
        T = x.shape[1]
        return np.array([2 * sum(row[t] ** 2 * (t + 1) for t in range(T)) / (T * (T + 1)) for row in x])

    return Case(layer, normals(x=(2, 5)), reference)


@case
def polynomial_values() -> Case:
    """An index as an exponent, at zero and below: the slope at 0 is the linear coefficient."""
    n, k = Idx("n", N), Idx("k", K)
    layer = Layer("polynomial_values", inputs=[c[K], x[N]], equations=[Eq(y[n], Sum(c[k] * x[n] ** k, k))])

    def reference(c, x):
        return np.array([sum(c[k] * value**k for k in range(len(c))) for value in x])

    return Case(layer, normals(c=(4,)) | {"x": np.array([0.0, -1.5, 0.7, 2.0])}, reference)


@case
def factorised_interactions() -> Case:
    b, i, j, k = Idx("b", B), Idx("i", N), Idx("j", N), Idx("k", K)
    squared_sum, sum_of_squares = Sum(x[b, i] * v[i, k], i) ** 2, Sum(x[b, j] ** 2 * v[j, k] ** 2, j)
    layer = Layer(
        "factorised_interactions",
        inputs=[x[B, N], v[N, K], w[N]],
        equations=[Eq(y[b], Sum(w[i] * x[b, i], i) + Sum(squared_sum - sum_of_squares, k) / 2)],
    )

    def reference(x, v, w):
        return x @ w + ((x @ v) ** 2 - x**2 @ v**2).sum(axis=1) / 2

    return Case(layer, normals(x=(2, 4), v=(4, 2), w=(4,)), reference)


@case
def cosine_similarities() -> Case:
    i, j, d = Idx("i", M), Idx("j", N), Idx("d", D)
    layer = Layer(
        "cosine_similarities",
        inputs=[x[M, D], z[N, D]],
        equations=[
            Eq(y[i, j], Sum(x[i, d] * z[j, d], d) / sqrt(Sum(x[i, d] ** 2, d) * Sum(z[j, d] ** 2, d))),
        ],
    )

    def reference(x, z):
        return np.array([[s @ t / (np.linalg.norm(s) * np.linalg.norm(t)) for t in z] for s in x])

    return Case(layer, normals(x=(3, 2), z=(2, 2)), reference)


@case
def normalised_weights() -> Case:
    """Weight normalisation: length and direction of every row apart."""
    b, i, j, k = Idx("b", B), Idx("i", P), Idx("j", Q), Idx("k", Q)
    layer = Layer(
        "normalised_weights",
        inputs=[x[B, Q], v[P, Q], g[P]],
        equations=[
            Eq(w[i, j], g[i] * v[i, j] / sqrt(Sum(v[i, k] ** 2, k))),
            Eq(y[b, i], Sum(x[b, j] * w[i, j], j)),
        ],
    )

    def reference(x, v, g):
        return x @ (g[:, None] * v / np.linalg.norm(v, axis=1, keepdims=True)).T

    return Case(layer, normals(x=(2, 3), v=(2, 3), g=(2,)), reference)


@case
def identity_plus_low_rank() -> Case:
    i, j, r = Idx("i", N), Idx("j", N), Idx("r", R)
    layer = Layer(
        "identity_plus_low_rank",
        inputs=[a[N, R], c[N, R], g[N]],
        equations=[Eq(y[i, j], g[i] * KroneckerDelta(i, j) + Sum(a[i, r] * c[j, r], r))],
    )
    return Case(layer, normals(a=(3, 2), c=(3, 2), g=(3,)), lambda a, c, g: np.diag(g) + a @ c.T)
