"""Entropies of shares of which some are 0, because their logits are -oo: 0 log(0) is 0, and has slope 0."""

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, exp, log, symbols

from symgrad import Layer, compile_layer

from .exact import quiet

M, N = symbols("M N", integer=True, positive=True)
x, z, p, q, y, t = (IndexedBase(name) for name in "xzpqyt")
m, n, i, j = Idx("m", M), Idx("n", N), Idx("i", N), Idx("j", N)
h = symbols("h")


def shares(logits: Any, here: Any, bound: Any) -> Any:
    return exp(logits[here]) / Sum(exp(logits[bound]), bound)


FORMS: dict[str, list[Any]] = {
    "named": [Eq(p[n], shares(x, n, i)), Eq(h, -Sum(p[n] * log(p[n]), n))],
    "written out": [Eq(h, -Sum(shares(x, n, i) * log(shares(x, n, j)), n))],
    "of named logarithms": [Eq(t[n], x[n] - log(Sum(exp(x[i]), i))), Eq(h, -Sum(exp(t[n]) * t[n], n))],
    "divergence": [
        Eq(p[n], shares(x, n, i)),
        Eq(q[n], shares(z, n, i)),
        Eq(h, Sum(p[n] * log(p[n] / q[n]), n)),
    ],
    "divergence from a mean": [
        Eq(p[n], shares(x, n, i)),
        Eq(q[n], shares(z, n, i)),
        Eq(h, Sum(p[n] * log(2 * p[n] / (p[n] + q[n])), n)),
    ],
    "divergence by a difference": [
        Eq(p[n], shares(x, n, i)),
        Eq(q[n], shares(z, n, i)),
        Eq(h, Sum(p[n] * (log(p[n]) - log(q[n])), n)),
    ],
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_minus_infinity_are_as_if_they_were_not_there(name: str, dtype: Any) -> None:
    inputs = [x[N], z[N]] if name.startswith("divergence") else [x[N]]
    layer = Layer("entropy", inputs, FORMS[name], outputs=["h"])
    whole = {"x": np.array([1.0, 2, 0.25, -3], dtype), "z": np.array([0.5, -1, 2, 1], dtype)}
    given = {tensor.name: whole[tensor.name] for tensor in layer.inputs}
    far = {"x": -np.inf, "z": -1e4}  # a share of the other that is 0 too
    masked = {key: np.insert(a, [1, 4], far[key]) for key, a in given.items()}
    (want, slopes), (got, gradients) = quiet(layer, given), quiet(layer, masked)
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps)
    for key, slope in slopes.items():
        np.testing.assert_allclose(np.delete(gradients[key], [1, 5]), slope, rtol=0, atol=8 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(gradients[key][[1, 5]], 0)


def test_powers_of_the_logarithm_and_of_the_share_beside_it() -> None:
    share = exp(x[n] - 1)
    layer = Layer("made", [x[N]], [Eq(p[n], share), Eq(y[n], p[n] * (3 + p[n] - log(2 * p[n] ** 2)) ** 2)], outputs=[y])
    value, gradients = quiet(layer, {"x": np.array([-np.inf, 1.0])})
    np.testing.assert_allclose(value, [0, (4 - np.log(2)) ** 2])
    assert gradients["x"][0] == 0


@pytest.mark.parametrize(
    ("right", "written"),
    [
        (p[n] * (1 / p[n] + log(p[n])), lambda s: s * (1 / s + np.log(s))),
        (p[n] * log(1 / p[n] + exp(1 / p[n])), lambda s: s * np.log(1 / s + np.exp(1 / s))),
    ],
    ids=["quotient", "steep exponent"],
)
def test_what_grows_beside_a_share_stays_as_it_is_written(right: Any, written: Any) -> None:
    compiled = compile_layer(Layer("made", [x[N]], [Eq(p[n], exp(x[n])), Eq(y[n], right)], outputs=[y]))
    points = np.array([-np.inf, -1.0, 0])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(compiled.forward(points)[0], written(np.exp(points)))


def test_an_ordinary_logarithm_of_0_stays_one() -> None:
    compiled = compile_layer(Layer("plain", [x[N]], [Eq(y[n], x[n] * log(x[n]))]))
    points = np.array([0, 0.5, 2])
    with np.errstate(all="ignore"):
        value, residuals = compiled.forward(points)
        np.testing.assert_allclose(value, points * np.log(points))
        np.testing.assert_allclose(compiled.backward(residuals, np.ones(3)).x, 1 + np.log(points))
