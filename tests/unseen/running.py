"""Reductions up to a position or from it on: zeros among factors, other axes beside, inside further sums."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, IndexedBase, Piecewise, Product, Sum, exp, symbols

from symgrad import Layer, LogSumExp, ReduceMax, ReduceMin

from .registry import Case, case, case_of_logits, normals, softmax, tensors

B, C, T = symbols("B C T", integer=True, positive=True)
alpha, color, density, g, ray, x, y, z = tensors("alpha color density g ray x y z")
b, c, r, s, t = Idx("b", B), Idx("c", C), Idx("r", T), Idx("s", T), Idx("t", T)


def _with_zeros(array: np.ndarray, *places: tuple[int, ...]) -> np.ndarray:
    for place in places:
        array[place] = 0
    return array


@case
def product_of_what_follows() -> Case:
    layer = Layer("product_of_what_follows", [g[T], x[T]], [Eq(y[t], x[t] * Product(g[r], (r, t + 1, T - 1)))])

    def reference(g, x):
        return np.array([x[t] * np.prod(g[t + 1 :]) for t in range(len(x))])

    arrays = normals(g=(6,), x=(6,))
    arrays["g"] = _with_zeros(arrays["g"], (3,))
    two = {name: _with_zeros(a.copy(), (1,), (4,)) for name, a in arrays.items()}
    return Case(layer, arrays, reference, also=((two, {}), (normals(g=(1,), x=(1,)), {})))


@case
def product_up_to_here() -> Case:
    layer = Layer("product_up_to_here", [g[B, T]], [Eq(y[t, b], Product(1 - g[b, r], (r, 0, t)))])

    def reference(g):
        return np.array([[np.prod(1 - g[b, : t + 1]) for b in range(len(g))] for t in range(g.shape[1])])

    arrays = normals(g=(2, 5))
    arrays["g"][0, 2] = arrays["g"][1, 0] = arrays["g"][1, 4] = 1
    return Case(layer, arrays, reference)


@case
def products_two_steps_behind() -> Case:
    """The first products are empty; the factors sum over another axis."""
    inner = Sum(g[b, r, c] * z[c], c)
    layer = Layer(
        "products_two_steps_behind",
        [g[B, T, C], z[C]],
        [Eq(y[b, t], Product(inner, (r, 0, t - 2)))],
    )

    def reference(g, z):
        factors = g @ z
        return np.array([[np.prod(f[: max(t - 1, 0)]) for t in range(g.shape[1])] for f in factors])

    also = ((normals(g=(2, 1, 3), z=(3,)), {}), (normals(g=(1, 2, 2), z=(2,)), {}))
    return Case(layer, normals(g=(2, 5, 3), z=(3,)), reference, also=also)


@case
def light_along_a_ray() -> Case:
    """What passes all the points before adds its colour; the passed share is read twice."""
    passed = Product(1 - alpha[b, s], (s, 0, t - 1))
    layer = Layer(
        "light_along_a_ray",
        [density[B, T], color[B, T, C]],
        [
            Eq(alpha[b, t], 1 - exp(-density[b, t])),
            Eq(ray[b, c], Sum(passed * alpha[b, t] * color[b, t, c], t)),
            Eq(y[b], Sum(t * passed * alpha[b, t], t)),
        ],
        outputs=[ray, y],
    )

    def reference(density, color):
        share = 1 - np.exp(-density)
        passed = np.cumprod(np.concatenate([np.ones((len(share), 1)), 1 - share[:, :-1]], axis=1), axis=1)
        weights = passed * share
        return np.einsum("bt,btc->bc", weights, color), weights @ np.arange(share.shape[1])

    arrays = normals(density=(2, 4), color=(2, 4, 3))
    arrays["density"] = np.abs(arrays["density"])
    return Case(layer, arrays, reference)


@case
def product_of_a_triangle_in_a_product() -> Case:
    """Every position takes the products that end at it, each begun at another position: no running form."""
    p = IndexedBase("p")
    layer = Layer(
        "product_of_a_triangle_in_a_product",
        [g[T], x[T]],
        [
            Eq(p[s, t], Product(g[r], (r, s + 1, t))),
            Eq(y[t], Sum(x[s] * p[s, t], (s, 0, t))),
        ],
    )

    def reference(g, x):
        return np.array([sum(x[s] * np.prod(g[s + 1 : t + 1]) for s in range(t + 1)) for t in range(len(x))])

    arrays = normals(g=(5,), x=(5,))
    arrays["g"] = _with_zeros(arrays["g"], (2,))
    return Case(layer, arrays, reference)


@case
def range_so_far() -> Case:
    """The distance of the largest from the smallest up to here, and of the largest that is still to come."""
    ahead = ReduceMax(x[b, s] * z[c], (s, t + 1, T - 1))
    layer = Layer(
        "range_so_far",
        [x[B, T], z[C], g[B, T]],
        [
            Eq(y[b, t], ReduceMax(x[b, r], (r, 0, t)) - ReduceMin(g[b, r], (r, 0, t))),
            Eq(ray[t, b, c], Piecewise((ahead, t < T - 1), (0, True))),
        ],
        outputs=[y, ray],
    )

    def reference(x, z, g):
        later = np.zeros((x.shape[1], len(x), len(z)))
        for t, b, c in np.ndindex(x.shape[1] - 1, len(x), len(z)):
            later[t, b, c] = (x[b, t + 1 :] * z[c]).max()
        return np.maximum.accumulate(x, axis=1) - np.minimum.accumulate(g, axis=1), later

    return Case(layer, normals(x=(2, 6), z=(3,), g=(2, 6)), reference)


@case_of_logits("x")
def soft_average_of_the_past() -> Case:
    layer = Layer(
        "soft_average_of_the_past",
        [x[B, T], z[B, T, C]],
        [Eq(y[b, t, c], Sum(exp(x[b, r]) * z[b, r, c], (r, 0, t)) / Sum(exp(x[b, s]), (s, 0, t)))],
    )

    def reference(x, z):
        rows = [[softmax(x[b, : t + 1]) @ z[b, : t + 1] for t in range(x.shape[1])] for b in range(len(x))]
        return np.array(rows)

    return Case(layer, normals(x=(2, 5), z=(2, 5, 3)), reference)


@case_of_logits("x")
def log_sum_from_here() -> Case:
    layer = Layer("log_sum_from_here", [x[B, T]], [Eq(y[b, t], LogSumExp(x[b, r], (r, t, T - 1)))])

    def reference(x):
        return np.logaddexp.accumulate(x[:, ::-1], axis=1)[:, ::-1]

    return Case(layer, normals(x=(2, 5)), reference)
