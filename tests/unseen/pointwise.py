"""Piecewise on values, inactive branches, scalars, constants, several outputs, names that could clash."""

from __future__ import annotations

import numpy as np
from sympy import Abs, Eq, Idx, IndexedBase, Max, Min, Ne, Piecewise, Sum, Symbol, exp, floor, log, sin, sqrt, symbols

from symgrad import Layer, StopGradient

from .registry import Case, case, normals, tensors

B, C, D, L, N = symbols("B C D L N", integer=True, positive=True)
G = Symbol("G", integer=True, positive=True)
a, e, g, gain, mean, mu, spread, t, var, w, x, y, z = tensors("a e g gain mean mu spread t var w x y z")


@case
def huber_loss() -> Case:
    delta = Symbol("delta", positive=True)
    n = Idx("n", N)
    gap = x[n] - t[n]
    layer = Layer(
        "huber_loss",
        inputs=[x[N], t[N]],
        equations=[Eq(y[n], Piecewise((gap**2 / 2, Abs(gap) <= delta), (delta * (Abs(gap) - delta / 2), True)))],
        attributes={delta: 1.0},
    )

    def reference(x, t, delta):
        gap = x - t
        return np.where(np.abs(gap) <= delta, gap**2 / 2, delta * (np.abs(gap) - delta / 2))

    return Case(layer, normals(x=(8,), t=(8,)), reference, {"delta": 0.7})


@case
def guarded_root() -> Case:
    """Negative values take the other branch: their root must not be seen, forward or backward."""
    n = Idx("n", N)
    layer = Layer(
        "guarded_root",
        inputs=[x[N], w[N]],
        equations=[Eq(y[n], w[n] * Piecewise((sqrt(x[n]) + log(x[n]), x[n] > 0), (x[n] / 2, True)))],
    )

    def reference(x, w):
        return np.array([b * (np.sqrt(a) + np.log(a) if a > 0 else a / 2) for a, b in zip(x, w, strict=True)])

    arrays = {"x": np.array([1.5, -2.0, 0.25, -0.5, 3.0]), "w": np.array([1.0, 2.0, -1.0, 0.5, 0.3])}
    return Case(layer, arrays, reference)


@case
def entropy_terms() -> Case:
    """``x log x`` is 0 at 0, and so is the gradient of that branch."""
    b, i = Idx("b", B), Idx("i", N)
    layer = Layer(
        "entropy_terms",
        inputs=[x[B, N]],
        equations=[Eq(y[b], -Sum(Piecewise((x[b, i] * log(x[b, i]), x[b, i] > 0), (0, True)), i))],
    )

    def reference(x):
        return np.array([-sum(p * np.log(p) for p in row if p > 0) for row in x])

    def gradients(arrays, grad_y):
        x = arrays["x"]
        slope = np.array([[np.log(p) + 1 if p > 0 else 0.0 for p in row] for row in x])
        return {"x": -slope * grad_y[:, None]}

    return Case(layer, {"x": np.array([[0.5, 0.5, 0.0], [0.2, 0.0, 0.8]])}, reference, gradients=gradients)


@case
def sinc_values() -> Case:
    n = Idx("n", N)
    layer = Layer(
        "sinc_values", inputs=[x[N]], equations=[Eq(y[n], Piecewise((sin(x[n]) / x[n], Ne(x[n], 0)), (1, True)))]
    )
    return Case(layer, {"x": np.array([0.0, 1.0, -2.5, 0.3])}, lambda x: np.sinc(x / np.pi))


@case
def clipped_and_squared() -> Case:
    low, high = symbols("low high")
    n = Idx("n", N)
    layer = Layer(
        "clipped_and_squared",
        inputs=[x[N]],
        equations=[Eq(y[n], Min(Max(x[n], low), high) ** 2)],
        attributes={low: -1, high: 1},
    )
    return Case(layer, normals(x=(9,)), lambda x, low, high: np.clip(x, low, high) ** 2, {"low": -0.5, "high": 0.75})


@case
def cubic_of_two() -> Case:
    i, j = Idx("i", N), Idx("j", D)
    layer = Layer(
        "cubic_of_two",
        inputs=[x[N], z[D]],
        equations=[Eq(y[i, j], 3 * x[i] ** 3 - 2 * x[i] * z[j] ** 2 + x[i] ** 2 / 4 + (x[i] + z[j]) ** 2 - 5)],
    )

    def reference(x, z):
        x, z = x[:, None], z[None, :]
        return 3 * x**3 - 2 * x * z**2 + x**2 / 4 + (x + z) ** 2 - 5

    return Case(layer, normals(x=(3,), z=(4,)), reference)


@case
def affine_of_scalars() -> Case:
    """Two scalar inputs, a named scalar, a scalar output beside an array."""
    slope, shift, level, energy = symbols("slope shift level energy")
    n = Idx("n", N)
    layer = Layer(
        "affine_of_scalars",
        inputs=[x[N], slope, shift],
        equations=[
            Eq(energy, Sum(y[n] ** 2, n) + level),
            Eq(y[n], slope * x[n] + level),
            Eq(level, shift * slope),
        ],
        outputs=[y, energy],
    )

    def reference(x, slope, shift):
        y = slope * x + shift * slope
        return y, np.array((y**2).sum() + shift * slope)

    return Case(layer, normals(x=(4,), slope=(), shift=()), reference)


@case
def sampled_latent() -> Case:
    """The noise is a constant input; a sample and a penalty come out."""
    n, d = Idx("n", N), Idx("d", D)
    penalty = Symbol("penalty")
    layer = Layer(
        "sampled_latent",
        inputs=[mu[N, D], spread[N, D], e[N, D]],
        equations=[
            Eq(z[n, d], mu[n, d] + exp(spread[n, d] / 2) * e[n, d]),
            Eq(penalty, Sum(mu[n, d] ** 2 + exp(spread[n, d]) - spread[n, d] - 1, n, d) / (2 * N)),
        ],
        outputs=[z, penalty],
        constants=[e],
    )

    def reference(mu, spread, e):
        return mu + np.exp(spread / 2) * e, np.array((mu**2 + np.exp(spread) - spread - 1).sum() / (2 * len(mu)))

    return Case(layer, normals(mu=(2, 3), spread=(2, 3), e=(2, 3)), reference)


@case
def scaled_by_counts() -> Case:
    """Integers as numbers beside a small float: the float's type is what comes out."""
    counts = IndexedBase("counts")
    n, d = Idx("n", N), Idx("d", D)
    layer = Layer(
        "scaled_by_counts",
        inputs=[x[N, D], counts[N]],
        equations=[Eq(y[n, d], x[n, d] * counts[n] / (1 + d) + sqrt(counts[n]) * x[n, d] ** counts[n])],
        integers=[counts],
    )

    def reference(x, counts):
        out = np.zeros(x.shape)
        for n, d in np.ndindex(*x.shape):
            out[n, d] = x[n, d] * counts[n] / (1 + d) + np.sqrt(counts[n]) * x[n, d] ** int(counts[n])
        return out

    return Case(layer, normals(x=(3, 2)) | {"counts": np.array([3, 1, 2])}, reference)


@case
def straight_through() -> Case:
    """Rounded forward, the identity backward; the scale sees the rounded value."""
    n, scale = Idx("n", N), Symbol("scale")
    rounded = x[n] + StopGradient(floor(x[n] + 0.5) - x[n])
    layer = Layer("straight_through", inputs=[x[N], scale], equations=[Eq(y[n], scale * rounded)])

    def gradients(arrays, grad_y):
        return {"x": arrays["scale"] * grad_y, "scale": np.array((grad_y * np.floor(arrays["x"] + 0.5)).sum())}

    def reference(x, scale):
        return scale * np.floor(x + 0.5)

    return Case(layer, normals(x=(5,)) | {"scale": np.array(1.5)}, reference, gradients=gradients)


@case
def standardised_with_moments() -> Case:
    """Equations in any order, an intermediate in two places, all three as outputs."""
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "standardised_with_moments",
        inputs=[x[B, N]],
        equations=[
            Eq(z[b, i], (x[b, i] - mean[b]) / sqrt(var[b])),
            Eq(var[b], Sum((x[b, j] - mean[b]) ** 2, j) / N),
            Eq(mean[b], Sum(x[b, j], j) / N),
        ],
        outputs=[z, mean, var],
    )

    def reference(x):
        mean, var = x.mean(axis=1), x.var(axis=1)
        return (x - mean[:, None]) / np.sqrt(var)[:, None], mean, var

    return Case(layer, normals(x=(2, 5)), reference)


@case
def group_standardised() -> Case:
    """The number of groups is solved from the gain, the group of a channel is a floor."""
    n, h, c, k, i, j = Idx("n", N), Idx("h", G), Idx("c", C), Idx("k", G * C), Idx("i", L), Idx("j", L)
    eps, group = Symbol("eps", positive=True), floor(k / C)
    layer = Layer(
        "group_standardised",
        inputs=[x[N, G * C, L], gain[G]],
        equations=[
            Eq(mean[n, h], Sum(x[n, h * C + c, j], c, j) / (C * L)),
            Eq(var[n, h], Sum((x[n, h * C + c, j] - mean[n, h]) ** 2, c, j) / (C * L)),
            Eq(y[n, k, i], gain[group] * (x[n, k, i] - mean[n, group]) / sqrt(var[n, group] + eps)),
        ],
        attributes={eps: 1e-5},
    )

    def reference(x, gain, eps):
        out, size = np.zeros(x.shape), x.shape[1] // len(gain)
        for n, h in np.ndindex(len(x), len(gain)):
            part = slice(h * size, (h + 1) * size)
            members = x[n, part]
            out[n, part] = gain[h] * (members - members.mean()) / np.sqrt(members.var() + eps)
        return out

    return Case(layer, normals(x=(2, 6, 2), gain=(3,)), reference, {"eps": 0.01})


@case
def unit_rows() -> Case:
    eps = Symbol("eps", positive=True)
    b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
    layer = Layer(
        "unit_rows",
        inputs=[x[B, N]],
        equations=[Eq(y[b, i], x[b, i] / sqrt(Sum(x[b, j] ** 2, j) + eps))],
        attributes={eps: 1e-6},
    )

    def reference(x, eps):
        return x / np.sqrt((x**2).sum(axis=1, keepdims=True) + eps)

    return Case(layer, normals(x=(2, 4)), reference, {"eps": 0.1})


@case
def names_that_could_clash() -> Case:
    """Names an emitted module is likely to use for itself."""
    grad_y, shape, index, out, inner = tensors("grad_y shape index out inner")
    dtype = Symbol("dtype")
    axis, n = Idx("axis", N), Idx("n", N)
    layer = Layer(
        "names_that_could_clash",
        inputs=[grad_y[N], shape[N], index[N], dtype],
        equations=[
            Eq(inner[axis], grad_y[axis] * shape[axis] + dtype),
            Eq(out[axis], inner[axis] * index[axis]),
            Eq(y[axis], out[axis] * Sum(inner[n] ** 2, n)),
        ],
    )

    def reference(grad_y, shape, index, dtype):
        inner = grad_y * shape + dtype
        return inner * index * (inner**2).sum()

    return Case(layer, normals(grad_y=(3,), shape=(3,), index=(3,), dtype=()), reference)
