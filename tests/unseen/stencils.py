"""Neighbours in space and time, with every way of going on beyond the border."""

from __future__ import annotations

import numpy as np
from sympy import Abs, Eq, Idx, Piecewise, Sum, Symbol, exp, floor, sqrt, symbols, tanh

from symgrad import Layer, Padded

from .registry import Case, case, normals, tensors

B, C, D, H, K, L, N, T, W = symbols("B C D H K L N T W", integer=True, positive=True)
f, g, gx, gy, mix, w, x, y, z = tensors("f g gx gy mix w x y z")
NUMPY_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "wrap": "wrap"}


def _laplacian(mode: str) -> Case:
    n, i, j = Idx("n", N), Idx("i", H), Idx("j", W)
    p = Padded(x, mode=mode)
    around = p[n, i - 1, j] + p[n, i + 1, j] + p[n, i, j - 1] + p[n, i, j + 1]
    layer = Layer(f"laplacian_{mode}", inputs=[x[N, H, W]], equations=[Eq(y[n, i, j], around - 4 * x[n, i, j])])

    def reference(x):
        p = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode=NUMPY_MODES[mode])
        return p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:] - 4 * x

    return Case(layer, normals(x=(2, 3, 4)), reference, also=((normals(x=(1, 2, 2)), {}),))


@case
def laplacian_constant() -> Case:
    return _laplacian("constant")


@case
def laplacian_reflect() -> Case:
    return _laplacian("reflect")


@case
def laplacian_replicate() -> Case:
    return _laplacian("replicate")


@case
def laplacian_wrap() -> Case:
    return _laplacian("wrap")


@case
def reflected_filter() -> Case:
    """A kernel from an input over a reflected border, the reach being half its size."""
    b, i, u = Idx("b", B), Idx("i", L), Idx("u", 2 * K + 1)
    layer = Layer(
        "reflected_filter",
        inputs=[x[B, L], w[2 * K + 1]],
        equations=[Eq(y[b, i], Sum(Padded(x, mode="reflect")[b, i + u - K] * w[u], u))],
    )

    def reference(x, w):
        reach = len(w) // 2
        p = np.pad(x, ((0, 0), (reach, reach)), mode="reflect")
        return np.array([[p[b, i : i + len(w)] @ w for i in range(x.shape[1])] for b in range(len(x))])

    return Case(layer, normals(x=(2, 5), w=(5,)), reference)


@case
def replicated_strides() -> Case:
    """Every other window over a replicated border, several border cells of the same value in one window."""
    b, i, u = Idx("b", B), Idx("i", floor((L + 1) / 2)), Idx("u", K)
    layer = Layer(
        "replicated_strides",
        inputs=[x[B, L], w[K]],
        equations=[Eq(y[b, i], Sum(Padded(x, mode="replicate")[b, 2 * i + u - 3] ** 2 * w[u], u))],
    )

    def reference(x, w):
        L = x.shape[1]
        out = np.zeros((len(x), (L + 1) // 2))
        for b, i in np.ndindex(*out.shape):
            out[b, i] = sum(x[b, min(max(2 * i + u - 3, 0), L - 1)] ** 2 * w[u] for u in range(len(w)))
        return out

    return Case(layer, normals(x=(2, 5), w=(6,)), reference)


@case
def bordered_by_seven() -> Case:
    b, i = Idx("b", B), Idx("i", L + 2)
    layer = Layer("bordered_by_seven", inputs=[x[B, L]], equations=[Eq(y[b, i], Padded(x, 7)[b, i - 1] ** 2)])

    def reference(x):
        return np.pad(x, ((0, 0), (1, 1)), constant_values=7) ** 2

    return Case(layer, normals(x=(2, 4)), reference)


@case
def total_variation() -> Case:
    n, i, j = Idx("n", N), Idx("i", H - 1), Idx("j", W - 1)
    p, q = Idx("p", H), Idx("q", W)
    layer = Layer(
        "total_variation",
        inputs=[x[N, H, W]],
        equations=[Eq(y[n], Sum(Abs(x[n, i + 1, q] - x[n, i, q]), i, q) + Sum(Abs(x[n, p, j + 1] - x[n, p, j]), p, j))],
    )

    def reference(x):
        return np.abs(np.diff(x, axis=1)).sum(axis=(1, 2)) + np.abs(np.diff(x, axis=2)).sum(axis=(1, 2))

    return Case(layer, normals(x=(2, 3, 4)), reference)


@case
def edge_strength() -> Case:
    """Two filtered images, each used in two outputs."""
    n, i, j, u, v = Idx("n", N), Idx("i", H - 2), Idx("j", W - 2), Idx("u", 3), Idx("v", 3)
    layer = Layer(
        "edge_strength",
        inputs=[x[N, H, W], f[3, 3]],
        equations=[
            Eq(gx[n, i, j], Sum(x[n, i + u, j + v] * f[u, v], u, v)),
            Eq(gy[n, i, j], Sum(x[n, i + u, j + v] * f[v, u], u, v)),
            Eq(y[n, i, j], sqrt(gx[n, i, j] ** 2 + gy[n, i, j] ** 2 + 1)),
            Eq(z[n, i, j], gx[n, i, j] * gy[n, i, j]),
        ],
        outputs=[y, z],
    )

    def reference(x, f):
        N, H, W = x.shape
        across, down = np.zeros((2, N, H - 2, W - 2))
        for n, i, j in np.ndindex(*across.shape):
            patch = x[n, i : i + 3, j : j + 3]
            across[n, i, j], down[n, i, j] = (patch * f).sum(), (patch * f.T).sum()
        return np.sqrt(across**2 + down**2 + 1), across * down

    return Case(layer, normals(x=(1, 4, 5), f=(3, 3)), reference)


@case
def heat_step() -> Case:
    """The border keeps its value; the coefficient is a scalar input."""
    rate = Symbol("rate")
    b, i = Idx("b", B), Idx("i", L)
    inner = x[b, i] + rate * (x[b, i - 1] - 2 * x[b, i] + x[b, i + 1])
    layer = Layer(
        "heat_step",
        inputs=[x[B, L], rate],
        equations=[Eq(y[b, i], Piecewise((inner, (i > 0) & (i < L - 1)), (x[b, i], True)))],
    )

    def reference(x, rate):
        out = x.copy()
        for i in range(1, x.shape[1] - 1):
            out[:, i] = x[:, i] + rate * (x[:, i - 1] - 2 * x[:, i] + x[:, i + 1])
        return out

    return Case(layer, normals(x=(2, 5)) | {"rate": np.array(0.3)}, reference)


@case
def shifted_tokens() -> Case:
    b, t, d = Idx("b", B), Idx("t", T), Idx("d", D)
    layer = Layer(
        "shifted_tokens",
        inputs=[x[B, T, D], mix[D]],
        equations=[Eq(y[b, t, d], mix[d] * x[b, t, d] + (1 - mix[d]) * Padded(x)[b, t - 1, d])],
    )

    def reference(x, mix):
        earlier = np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], axis=1)
        return mix * x + (1 - mix) * earlier

    return Case(layer, normals(x=(2, 4, 3), mix=(3,)), reference)


@case
def bilateral_smoothing() -> Case:
    """Weights depend on the values read: the window and its middle are the same tensor."""
    b, i, u, t = Idx("b", B), Idx("i", L - 2), Idx("u", 3), Idx("t", 3)
    near = exp(-((x[b, i + u] - x[b, i + 1]) ** 2))
    other = exp(-((x[b, i + t] - x[b, i + 1]) ** 2))
    layer = Layer(
        "bilateral_smoothing",
        inputs=[x[B, L]],
        equations=[Eq(y[b, i], Sum(near * x[b, i + u], u) / Sum(other, t))],
    )

    def reference(x):
        out = np.zeros((len(x), x.shape[1] - 2))
        for b, i in np.ndindex(*out.shape):
            window = x[b, i : i + 3]
            weights = np.exp(-((window - window[1]) ** 2))
            out[b, i] = weights @ window / weights.sum()
        return out

    return Case(layer, normals(x=(2, 6)), reference)


def _automaton(mode: str) -> Case:
    """Cells that go on from their neighbours; what repeats them is the axis that no step runs along."""
    n, t, i, u = Idx("n", N), Idx("t", T), Idx("i", D), Idx("u", 3)
    around = Sum(w[u] * Padded(y, mode=mode)[n, t - 1, i + u - 1], u)
    body = Piecewise((x[n, i], Eq(t, 0)), (tanh(around + g[i]), True))
    layer = Layer(
        f"automaton_{mode}", inputs=[x[N, D], w[3], g[D]], equations=[Eq(y[n, t, i], body)], attributes={T: 4}
    )

    def reference(x, w, g, T):
        states = [x]
        for _ in range(T - 1):
            p = np.pad(states[-1], ((0, 0), (1, 1)), mode=NUMPY_MODES[mode])
            states.append(np.tanh(w[0] * p[:, :-2] + w[1] * p[:, 1:-1] + w[2] * p[:, 2:] + g))
        return np.stack(states, axis=1)

    arrays = normals(x=(2, 5), w=(3,), g=(5,))
    small = normals(x=(1, 2), w=(3,), g=(2,))
    return Case(layer, arrays, reference, {"T": 4}, also=((small, {"T": 1}), (small, {"T": 6})))


@case
def automaton_on_a_ring() -> Case:
    return _automaton("wrap")


@case
def automaton_between_walls() -> Case:
    return _automaton("reflect")


@case
def automaton_with_free_ends() -> Case:
    return _automaton("replicate")
