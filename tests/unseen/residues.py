"""Reads at quotients where the remainder is right: upsampling filters, in one and two axes, at other remainders."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, Mod, Piecewise, Sum, floor, symbols

from symgrad import Layer, Padded

from .registry import Case, case, normals, tensors

B, H, N, R, S, W = symbols("B H N R S W", integer=True, positive=True)
factor = symbols("factor", integer=True, positive=True)
w, x, y = tensors("w x y")
b, h, i, j, u, v = Idx("b", B), Idx("h", H), Idx("i", factor * N), Idx("j", 2 * W), Idx("u", R), Idx("v", S)


@case
def upsampling_filter() -> Case:
    """Zeros between the elements, then a filter: only every so many taps meet an element."""
    tap = Piecewise((w[u] * Padded(x)[b, floor((i + u) / factor)], Eq(Mod(i + u, factor), 0)), (0, True))
    layer = Layer("upsampling_filter", [x[B, N], w[R]], [Eq(y[b, i], Sum(tap, u))], attributes={factor: 2})

    def reference(x, w, factor):
        wide = np.zeros((len(x), factor * x.shape[1] + len(w)))
        wide[:, : factor * x.shape[1] : factor] = x
        taps = range(factor * x.shape[1])
        return np.stack([wide[:, i : i + len(w)] @ w for i in taps], axis=1)

    also = ((normals(x=(1, 3), w=(5,)), {"factor": 3}), (normals(x=(2, 1), w=(2,)), {"factor": 1}))
    return Case(layer, normals(x=(2, 4), w=(3,)), reference, {"factor": 2}, also=also)


@case
def every_second_column_from_the_other_side() -> Case:
    """Along one axis the taps run backwards and meet the odd remainders; the other axis is a plain window."""
    here = Eq(Mod(j - v, 2), 1)
    element = Padded(x)[h + u, floor((j - v) / 2)]
    layer = Layer(
        "every_second_column_from_the_other_side",
        [x[H, W], w[R, S]],
        [Eq(y[h, j], Sum(Piecewise((w[u, v] * element, here), (0, True)), u, v))],
    )

    def reference(x, w):
        y = np.zeros((x.shape[0], 2 * x.shape[1]))
        for i, j, u, v in np.ndindex(*y.shape, *w.shape):
            if (j - v) % 2 == 1 and i + u < len(x) and 0 <= (j - v) // 2 < x.shape[1]:
                y[i, j] += w[u, v] * x[i + u, (j - v) // 2]
        return y

    return Case(layer, normals(x=(3, 4), w=(2, 3)), reference)
