"""Rearrangements: shuffles, concatenation and splitting, upsampling, pairs of neighbours, sizes under floor and Mod."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, Mod, Piecewise, Symbol, cos, floor, sin, sqrt, symbols

from symgrad import Layer

from .registry import Case, case, normals, tensors

B, C, H, K, L, M, N, P, Q, T, W = symbols("B C H K L M N P Q T W", integer=True, positive=True)
G, r = symbols("G r", integer=True, positive=True)
a, d, w, x, y, z = tensors("a d w x y z")


@case
def shuffled_channels() -> Case:
    b, c = Idx("b", B), Idx("c", G * K)
    layer = Layer(
        "shuffled_channels",
        inputs=[x[B, G * K], w[G * K]],
        equations=[Eq(y[b, c], x[b, Mod(c, G) * K + floor(c / G)] * w[c])],
        attributes={G: 2},
    )

    def reference(x, w, G):
        out, K = np.zeros(x.shape), x.shape[1] // G
        for b, c in np.ndindex(*x.shape):
            out[b, c] = x[b, (c % G) * K + c // G] * w[c]
        return out

    return Case(layer, normals(x=(2, 12), w=(12,)), reference, {"G": 3}, also=((normals(x=(1, 8), w=(8,)), {"G": 2}),))


@case
def shuffled_pixels_scaled() -> Case:
    n, c, i, j = Idx("n", N), Idx("c", C), Idx("i", H * r), Idx("j", W * r)
    layer = Layer(
        "shuffled_pixels_scaled",
        inputs=[x[N, C * r**2, H, W], z[C]],
        equations=[
            Eq(y[n, c, i, j], x[n, c * r**2 + Mod(i, r) * r + Mod(j, r), floor(i / r), floor(j / r)] * z[c]),
        ],
        attributes={r: 2},
    )

    def reference(x, z, r):
        N, channels, H, W = x.shape
        out = np.zeros((N, channels // r**2, H * r, W * r))
        for n, c, i, j in np.ndindex(*out.shape):
            out[n, c, i, j] = x[n, c * r**2 + (i % r) * r + j % r, i // r, j // r] * z[c]
        return out

    arrays = normals(x=(1, 8, 2, 3), z=(2,))
    return Case(layer, arrays, reference, {"r": 2}, also=((normals(x=(1, 9, 1, 2), z=(1,)), {"r": 3}),))


@case
def space_to_depth() -> Case:
    n, k, i, j = Idx("n", N), Idx("k", C * r**2), Idx("i", H), Idx("j", W)
    layer = Layer(
        "space_to_depth",
        inputs=[x[N, C, H * r, W * r]],
        equations=[
            Eq(y[n, k, i, j], x[n, floor(k / r**2), r * i + floor(Mod(k, r**2) / r), r * j + Mod(k, r)] ** 2),
        ],
        attributes={r: 2},
    )

    def reference(x, r):
        N, C, height, width = x.shape
        out = np.zeros((N, C * r**2, height // r, width // r))
        for n, k, i, j in np.ndindex(*out.shape):
            out[n, k, i, j] = x[n, k // r**2, r * i + (k % r**2) // r, r * j + k % r] ** 2
        return out

    return Case(layer, normals(x=(1, 2, 4, 6)), reference, {"r": 2}, also=((normals(x=(1, 1, 3, 6)), {"r": 3}),))


@case
def nearest_upsampling() -> Case:
    n, i, j = Idx("n", N), Idx("i", 2 * H), Idx("j", 3 * W)
    layer = Layer(
        "nearest_upsampling",
        inputs=[x[N, H, W], w[2 * H, 3 * W]],
        equations=[Eq(y[n, i, j], x[n, floor(i / 2), floor(j / 3)] * w[i, j])],
    )

    def reference(x, w):
        out = np.zeros((len(x), *w.shape))
        for n, i, j in np.ndindex(*out.shape):
            out[n, i, j] = x[n, i // 2, j // 3] * w[i, j]
        return out

    return Case(layer, normals(x=(2, 2, 3), w=(4, 9)), reference)


@case
def linear_upsampling() -> Case:
    b, i = Idx("b", B), Idx("i", 2 * N - 1)
    even = x[b, floor(i / 2)]
    layer = Layer(
        "linear_upsampling",
        inputs=[x[B, N]],
        equations=[Eq(y[b, i], even * (1 - Mod(i, 2) / 2) + x[b, floor((i + 1) / 2)] * Mod(i, 2) / 2)],
    )

    def reference(x):
        out = np.zeros((len(x), 2 * x.shape[1] - 1))
        for b, i in np.ndindex(*out.shape):
            share = (i % 2) / 2
            out[b, i] = x[b, i // 2] * (1 - share) + x[b, (i + 1) // 2] * share
        return out

    return Case(layer, normals(x=(2, 4)), reference, also=((normals(x=(3, 1)), {}),))


@case
def every_third_column() -> Case:
    i, j = Idx("i", N), Idx("j", M)
    layer = Layer("every_third_column", inputs=[x[N, 3 * M]], equations=[Eq(y[i, j], x[i, 3 * j + 1] * x[i, 3 * j])])

    def reference(x):
        out = np.zeros((len(x), x.shape[1] // 3))
        for i, j in np.ndindex(*out.shape):
            out[i, j] = x[i, 3 * j + 1] * x[i, 3 * j]
        return out

    return Case(layer, normals(x=(2, 9)), reference)


@case
def folded_in_half() -> Case:
    """Sizes under floor and Mod: the middle element counts when there is one."""
    b, i = Idx("b", B), Idx("i", floor(N / 2))
    layer = Layer(
        "folded_in_half",
        inputs=[x[B, N]],
        equations=[Eq(y[b, i], x[b, i] * x[b, N - 1 - i] + Mod(N, 2) * x[b, floor(N / 2)])],
    )

    def reference(x):
        N = x.shape[1]
        out = np.zeros((len(x), N // 2))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = x[b, i] * x[b, N - 1 - i] + (x[b, N // 2] if N % 2 else 0)
        return out

    return Case(layer, normals(x=(2, 7)), reference, also=((normals(x=(2, 6)), {}),))


@case
def concatenation() -> Case:
    b, i = Idx("b", B), Idx("i", P + Q)
    layer = Layer(
        "concatenation",
        inputs=[x[B, P], z[B, Q], w[P + Q]],
        equations=[Eq(y[b, i], Piecewise((x[b, i], i < P), (z[b, i - P], True)) * w[i])],
    )

    def reference(x, z, w):
        out = np.zeros((len(x), len(w)))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = (x[b, i] if i < x.shape[1] else z[b, i - x.shape[1]]) * w[i]
        return out

    return Case(layer, normals(x=(2, 3), z=(2, 4), w=(7,)), reference)


@case
def split_in_two() -> Case:
    """The size of the first part is an attribute; the second part is what is left."""
    b, i, j = Idx("b", B), Idx("i", P), Idx("j", N - P)
    layer = Layer(
        "split_in_two",
        inputs=[x[B, N]],
        equations=[Eq(a[b, i], x[b, i] ** 2), Eq(d[b, j], 3 * x[b, P + j])],
        outputs=[a, d],
        attributes={P: 2},
    )

    def reference(x, P):
        first = np.array([[value**2 for value in row[:P]] for row in x])
        return first, np.array([[3 * value for value in row[P:]] for row in x]).reshape(len(x), -1)

    arrays = normals(x=(2, 5))
    return Case(layer, arrays, reference, {"P": 3}, also=((arrays, {"P": 1}), (arrays, {"P": 5})))


@case
def interleaved() -> Case:
    b, i = Idx("b", B), Idx("i", 2 * N)
    layer = Layer(
        "interleaved",
        inputs=[x[B, N], z[B, N]],
        equations=[Eq(y[b, i], Piecewise((x[b, floor(i / 2)], Eq(Mod(i, 2), 0)), (2 * z[b, floor(i / 2)], True)))],
    )

    def reference(x, z):
        out = np.zeros((len(x), 2 * x.shape[1]))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = 2 * z[b, i // 2] if i % 2 else x[b, i // 2]
        return out

    return Case(layer, normals(x=(2, 3), z=(2, 3)), reference)


@case
def haar_pairs() -> Case:
    b, i = Idx("b", B), Idx("i", N)
    layer = Layer(
        "haar_pairs",
        inputs=[x[B, 2 * N]],
        equations=[
            Eq(a[b, i], (x[b, 2 * i] + x[b, 2 * i + 1]) / sqrt(2)),
            Eq(d[b, i], (x[b, 2 * i] - x[b, 2 * i + 1]) / sqrt(2)),
        ],
        outputs=[a, d],
    )

    def reference(x):
        low, high = np.zeros((2, len(x), x.shape[1] // 2))
        for b, i in np.ndindex(*low.shape):
            low[b, i] = (x[b, 2 * i] + x[b, 2 * i + 1]) / np.sqrt(2)
            high[b, i] = (x[b, 2 * i] - x[b, 2 * i + 1]) / np.sqrt(2)
        return low, high

    return Case(layer, normals(x=(2, 8)), reference)


@case
def rotated_pairs() -> Case:
    """Rotary positions: the partner of an even column is the next one, of an odd column the one before."""
    base = Symbol("base", positive=True)
    t, i = Idx("t", T), Idx("i", 2 * H)
    angle = t / base ** (floor(i / 2) / H)
    even = x[t, i] * cos(angle) - x[t, i + 1] * sin(angle)
    odd = x[t, i] * cos(angle) + x[t, i - 1] * sin(angle)
    layer = Layer(
        "rotated_pairs",
        inputs=[x[T, 2 * H]],
        equations=[Eq(y[t, i], Piecewise((even, Eq(Mod(i, 2), 0)), (odd, True)))],
        attributes={base: 10000},
    )

    def reference(x, base):
        out = np.zeros(x.shape)
        half = x.shape[1] // 2
        for t, i in np.ndindex(*x.shape):
            angle = t / base ** ((i // 2) / half)
            partner = x[t, i - 1] if i % 2 else -x[t, i + 1]
            out[t, i] = x[t, i] * np.cos(angle) + partner * np.sin(angle)
        return out

    return Case(layer, normals(x=(3, 6)), reference, {"base": 100.0})
