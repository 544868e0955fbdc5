"""Sums over windows of several axes, one axis after the other, and those that have to stay as they are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Piecewise, Sum, floor, symbols

from symgrad import Layer, Padded, check_layer, compile_layer

H, W, R, S = symbols("H W R S", integer=True, positive=True)
step, edge = symbols("step edge", integer=True, nonnegative=True)
x, y, w = IndexedBase("x"), IndexedBase("y"), IndexedBase("w")
u, v = Idx("u", 2), Idx("v", 3)
i = Idx("i", floor((H + 2 * edge - 2) / step) + 1)
j = Idx("j", floor((W + 2 * edge - 3) / step) + 1)
WINDOW = Padded(x)[step * i + u - edge, step * j + v - edge]


def boxes(body: Expr) -> Layer:
    return Layer("boxes", inputs=[x[H, W]], equations=[Eq(y[i, j], body)], attributes={step: 2, edge: 1})


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize(("stride", "border"), [(1, 0), (2, 1), (3, 2), (4, 0)])
def test_sums_of_sums(stride: int, border: int, schedule: str) -> None:
    compiled = compile_layer(boxes(Sum(WINDOW, u, v) / 6), schedule=schedule)
    given = np.random.default_rng(0).normal(size=(8, 11))
    found, residuals = compiled.forward(given, step=stride, edge=border)
    padded = np.pad(given, border)
    want = np.zeros_like(found)
    seed, grad = np.random.default_rng(1).normal(size=found.shape), np.zeros_like(padded)
    for p, q in product(*map(range, found.shape)):
        here = slice(p * stride, p * stride + 2), slice(q * stride, q * stride + 3)
        want[p, q] = padded[here].sum() / 6
        grad[here] += seed[p, q] / 6
    np.testing.assert_allclose(found, want, rtol=1e-13)
    inner = grad[border : border + 8, border : border + 11]
    np.testing.assert_allclose(compiled.backward(residuals, seed).x, inner, rtol=1e-13, atol=1e-15)


def test_one_axis_after_the_other() -> None:
    targets = [e.target for e in compile_layer(boxes(Sum(WINDOW, u, v))).stages.split.equations]
    assert targets == ["sum_u_y", "y"]


@pytest.mark.parametrize(
    "body",
    [
        Sum(WINDOW * (1 + u * v), u, v),
        Sum(Piecewise((WINDOW, u <= v), (0, True)), u, v),
        Sum(WINDOW**2, u, v),
        Sum(Padded(x, value=1)[step * i + u - edge, step * j + v - edge], u, v),
    ],
    ids=["weights", "a condition on both", "squares", "a border of ones"],
)
def test_what_has_to_stay_is_right(body: Expr) -> None:
    layer = boxes(body)
    assert [e.target for e in compile_layer(layer).stages.split.equations] == ["y"]
    report = check_layer(layer)
    assert report.ok, str(report)


def test_three_axes() -> None:
    D = symbols("D", integer=True, positive=True)
    t, d = Idx("t", 2), Idx("d", D - 1)
    a, b = Idx("a", H - 1), Idx("b", W - 2)
    equations = [Eq(y[d, a, b], Sum(x[d + t, a + u, b + v], t, u, v))]
    layer = Layer("cubes", inputs=[x[D, H, W]], equations=equations)
    assert len(compile_layer(layer).stages.split.equations) == 3
    report = check_layer(layer)
    assert report.ok, str(report)
