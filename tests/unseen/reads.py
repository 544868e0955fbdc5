"""Index maps of reads: diagonals, reversed and wrapping windows, Hankel, Toeplitz, circulant, inferred ranges."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, KroneckerDelta, Mod, Sum, Symbol, floor, symbols

from symgrad import Layer

from .registry import Case, case, normals, tensors

B, K, L, M, N = symbols("B K L M N", integer=True, positive=True)
c, h, v, w, x, y = tensors("c h v w x y")


@case
def diagonal_weighted() -> Case:
    i = Idx("i", N)
    layer = Layer("diagonal_weighted", inputs=[x[N, N], w[N]], equations=[Eq(y[i], x[i, i] * w[i])])

    def reference(x, w):
        return np.array([x[i, i] * w[i] for i in range(len(w))])

    return Case(layer, normals(x=(4, 4), w=(4,)), reference, also=((normals(x=(1, 1), w=(1,)), {}),))


@case
def superdiagonal_squares() -> Case:
    i = Idx("i", N - 1)
    layer = Layer("superdiagonal_squares", inputs=[x[N, N]], equations=[Eq(y[i], x[i, i + 1] ** 2)])

    def reference(x):
        return np.array([x[i, i + 1] ** 2 for i in range(len(x) - 1)])

    return Case(layer, normals(x=(5, 5)), reference, also=((normals(x=(1, 1)), {}),))


@case
def diagonal_of_a_batch() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "diagonal_of_a_batch",
        inputs=[x[B, N, N]],
        equations=[Eq(y[b, i], x[b, i, i] * Sum(x[b, i, j] * x[b, j, i], j))],
    )

    def reference(x):
        out = np.zeros(x.shape[:2])
        for b, i in np.ndindex(*out.shape):
            out[b, i] = x[b, i, i] * sum(x[b, i, j] * x[b, j, i] for j in range(x.shape[1]))
        return out

    return Case(layer, normals(x=(2, 3, 3)), reference)


@case
def antidiagonal_scores() -> Case:
    i = Idx("i", N)
    layer = Layer("antidiagonal_scores", inputs=[x[N, N]], equations=[Eq(y[i], x[i, N - 1 - i] * (i + 1))])

    def reference(x):
        return np.array([x[i, len(x) - 1 - i] * (i + 1) for i in range(len(x))])

    return Case(layer, normals(x=(4, 4)), reference)


@case
def backward_windows() -> Case:
    b, i, u = Idx("b", B), Idx("i", floor((L - K) / 2) + 1), Idx("u", K)
    layer = Layer(
        "backward_windows",
        inputs=[x[B, L], w[K]],
        equations=[Eq(y[b, i], Sum(x[b, L - 1 - 2 * i - u] * w[u], u))],
    )

    def reference(x, w):
        B, L = x.shape
        out = np.zeros((B, (L - len(w)) // 2 + 1))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = sum(x[b, L - 1 - 2 * i - u] * w[u] for u in range(len(w)))
        return out

    return Case(layer, normals(x=(2, 10), w=(3,)), reference, also=((normals(x=(3, 9), w=(2,)), {}),))


@case
def hankel_product() -> Case:
    i, j = Idx("i", N), Idx("j", M)
    layer = Layer("hankel_product", inputs=[h[N + M - 1], v[M]], equations=[Eq(y[i], Sum(h[i + j] * v[j], j))])

    def reference(h, v):
        rows = len(h) - len(v) + 1
        return np.array([sum(h[i + j] * v[j] for j in range(len(v))) for i in range(rows)])

    return Case(layer, normals(h=(7,), v=(3,)), reference, also=((normals(h=(4,), v=(4,)), {}),))


@case
def hankel_matrix() -> Case:
    i, j = Idx("i", N), Idx("j", M)
    layer = Layer("hankel_matrix", inputs=[h[N + M - 1], w[N, M]], equations=[Eq(y[i, j], w[i, j] * h[i + j] ** 2)])

    def reference(h, w):
        out = np.zeros(w.shape)
        for i, j in np.ndindex(*w.shape):
            out[i, j] = w[i, j] * h[i + j] ** 2
        return out

    return Case(layer, normals(h=(6,), w=(4, 3)), reference)


@case
def toeplitz_product() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", M)
    layer = Layer(
        "toeplitz_product",
        inputs=[h[N + M - 1], x[B, M]],
        equations=[Eq(y[b, i], Sum(h[i - j + M - 1] * x[b, j], j))],
    )

    def reference(h, x):
        B, M = x.shape
        out = np.zeros((B, len(h) - M + 1))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = sum(h[i - j + M - 1] * x[b, j] for j in range(M))
        return out

    return Case(layer, normals(h=(8,), x=(2, 4)), reference)


@case
def circulant_product() -> Case:
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "circulant_product", inputs=[c[N], x[B, N]], equations=[Eq(y[b, i], Sum(c[Mod(i - j, N)] * x[b, j], j))]
    )

    def reference(c, x):
        out = np.zeros(x.shape)
        for b, i in np.ndindex(*out.shape):
            out[b, i] = sum(c[(i - j) % len(c)] * x[b, j] for j in range(len(c)))
        return out

    return Case(layer, normals(c=(5,), x=(2, 5)), reference)


@case
def wrapping_correlation() -> Case:
    """The kernel may be longer than the signal: it wraps more than once."""
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", K)
    layer = Layer(
        "wrapping_correlation", inputs=[x[B, N], w[K]], equations=[Eq(y[b, i], Sum(x[b, Mod(i + j, N)] * w[j], j))]
    )

    def reference(x, w):
        out = np.zeros(x.shape)
        for b, i in np.ndindex(*out.shape):
            out[b, i] = sum(x[b, (i + j) % x.shape[1]] * w[j] for j in range(len(w)))
        return out

    return Case(layer, normals(x=(2, 5), w=(3,)), reference, also=((normals(x=(2, 3), w=(8,)), {}),))


@case
def transposed_product() -> Case:
    i, j = Idx("i", N), Idx("j", N)
    layer = Layer("transposed_product", inputs=[x[N, N]], equations=[Eq(y[i, j], x[i, j] * x[j, i] + 3 * x[j, i])])

    def reference(x):
        out = np.zeros(x.shape)
        for i, j in np.ndindex(*x.shape):
            out[i, j] = x[i, j] * x[j, i] + 3 * x[j, i]
        return out

    return Case(layer, normals(x=(4, 4)), reference)


@case
def flip_and_roll() -> Case:
    shift = Symbol("shift", integer=True, nonnegative=True)
    i, j = Idx("i", N), Idx("j", M)
    layer = Layer(
        "flip_and_roll",
        inputs=[x[N, M], w[N, M]],
        equations=[Eq(y[i, j], x[N - 1 - i, Mod(j + shift, M)] * w[i, j])],
        attributes={shift: 1},
    )

    def reference(x, w, shift):
        out = np.zeros(x.shape)
        for i, j in np.ndindex(*x.shape):
            out[i, j] = x[len(x) - 1 - i, (j + shift) % x.shape[1]] * w[i, j]
        return out

    arrays = normals(x=(3, 4), w=(3, 4))
    return Case(layer, arrays, reference, {"shift": 2}, also=((arrays, {"shift": 0}), (arrays, {"shift": 9})))


@case
def rolled_by_input() -> Case:
    """The shift is data: an integer scalar input inside an index."""
    shift = Symbol("shift", integer=True)
    i = Idx("i", N)
    layer = Layer("rolled_by_input", inputs=[x[N], shift], equations=[Eq(y[i], x[Mod(i + shift, N)] ** 2 - x[i])])

    def reference(x, shift):
        return np.array([x[(i + int(shift)) % len(x)] ** 2 - x[i] for i in range(len(x))])

    arrays = normals(x=(5,))
    return Case(layer, arrays | {"shift": np.array(2)}, reference, also=((arrays | {"shift": np.array(-4)}, {}),))


@case
def dilated_differences() -> Case:
    dilation = Symbol("dilation", integer=True, positive=True)
    b, i, u = Idx("b", B), Idx("i", L - dilation * (K - 1)), Idx("u", K)
    layer = Layer(
        "dilated_differences",
        inputs=[x[B, L], w[K]],
        equations=[Eq(y[b, i], Sum((x[b, i + dilation * u] - x[b, i]) * w[u], u))],
        attributes={dilation: 1},
    )

    def reference(x, w, dilation):
        K = len(w)
        out = np.zeros((len(x), x.shape[1] - dilation * (K - 1)))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = sum((x[b, i + dilation * u] - x[b, i]) * w[u] for u in range(K))
        return out

    arrays = normals(x=(2, 9), w=(3,))
    return Case(layer, arrays, reference, {"dilation": 3}, also=((arrays, {"dilation": 1}),))


@case
def forward_differences() -> Case:
    """No range is given: the largest that keeps both reads in bounds is 0..N-2."""
    i = Idx("i")
    layer = Layer("forward_differences", inputs=[x[N]], equations=[Eq(y[i], (x[i + 1] - x[i]) ** 2)])

    def reference(x):
        return np.array([(x[i + 1] - x[i]) ** 2 for i in range(len(x) - 1)])

    return Case(layer, normals(x=(6,)), reference)


@case
def inferred_windows() -> Case:
    b, i, u = Idx("b"), Idx("i"), Idx("u", K)
    layer = Layer("inferred_windows", inputs=[x[B, L], w[K]], equations=[Eq(y[b, i], Sum(x[b, i + u] * w[u], u))])

    def reference(x, w):
        out = np.zeros((len(x), x.shape[1] - len(w) + 1))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = sum(x[b, i + u] * w[u] for u in range(len(w)))
        return out

    return Case(layer, normals(x=(2, 7), w=(3,)), reference, also=((normals(x=(1, 3), w=(3,)), {}),))


@case
def spread_by_stride() -> Case:
    """A scatter written with a Kronecker delta between indices: what a transposed convolution does."""
    stride = Symbol("stride", integer=True, positive=True)
    b, i, j, u = Idx("b", B), Idx("i", stride * (N - 1) + K), Idx("j", N), Idx("u", K)
    layer = Layer(
        "spread_by_stride",
        inputs=[x[B, N], w[K]],
        equations=[Eq(y[b, i], Sum(x[b, j] * w[u] * KroneckerDelta(stride * j + u, i), j, u))],
        attributes={stride: 1},
    )

    def reference(x, w, stride):
        out = np.zeros((len(x), stride * (x.shape[1] - 1) + len(w)))
        for b, j in np.ndindex(*x.shape):
            for u in range(len(w)):
                out[b, stride * j + u] += x[b, j] * w[u]
        return out

    arrays = normals(x=(2, 4), w=(3,))
    return Case(layer, arrays, reference, {"stride": 2}, also=((arrays, {"stride": 4}), (arrays, {"stride": 1})))
