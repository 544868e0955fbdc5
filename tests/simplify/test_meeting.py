"""Terms that cancel are brought together: the value stays, the digits too."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Sum, sqrt, symbols, tanh

from symgrad import Layer
from symgrad.check.steps import check_steps
from symgrad.compiler import run
from symgrad.declare.algebra import add, apply, multiply, negate, number, power, subtract
from symgrad.declare.scalars import Read, Scalar
from symgrad.simplify.meeting import met

from ..data_evaluator import EXACT, World, scalar
from .exact import exact_gradients, quiet

u, v, w = (Read(name, ()) for name in "uvw")
one, two = number(1), number(2)
size = apply("abs", u)
below = add(one, size)
MEETING: dict[str, tuple[Scalar, Scalar]] = {
    "brackets": (subtract(one, subtract(one, power(u, two))), power(u, two)),
    "brackets beside more": (add(v, one, negate(add(one, w))), subtract(v, w)),
    "softsign": (
        subtract(power(below, number(-1)), multiply(u, apply("sign", u), power(below, number(-2)))),
        power(below, number(-2)),
    ),
    "beside another term": (
        add(w, multiply(v, power(add(u, v), number(-1))), multiply(u, v, power(add(u, v), number(-1)))),
        add(w, multiply(v, power(add(u, v), number(-1))), multiply(u, v, power(add(u, v), number(-1)))),
    ),
    "share": (
        subtract(power(add(u, v), number(-1)), multiply(u, power(add(u, v), number(-2)))),
        multiply(v, power(add(u, v), number(-2))),
    ),
}


@pytest.mark.parametrize("name", MEETING)
def test_terms_meet(name: str) -> None:
    before, after = MEETING[name]
    assert met(before) == after
    rng = np.random.default_rng(0)
    for _ in range(4):
        tensors = {n: {(): mpmath.mpf(float(rng.normal()))} for n in "uvw"}
        values = [scalar(node, World({}, tensors, EXACT)) for node in (before, after)]
        assert mpmath.almosteq(*values, rel_eps=mpmath.mpf(10) ** -12)


@pytest.mark.parametrize(
    "node",
    [
        subtract(power(below, number(-1)), multiply(v, power(below, number(-2)))),
        subtract(power(add(one, power(u, two)), number(-1)), power(add(one, u), number(-2))),
        multiply(two, add(u, v)),
        subtract(w, multiply(two, add(u, v))),
    ],
    ids=str,
)
def test_nothing_is_written_out_where_nothing_cancels(node: Scalar) -> None:
    assert met(node) == node


N, M = symbols("N M", integer=True, positive=True)
x, y = IndexedBase("x"), IndexedBase("y")
n, m, j = Idx("n", N), Idx("m", M), Idx("j", M)
BODIES: dict[str, Any] = {
    "softsign": x[n, m] / (1 + Abs(x[n, m])),
    "tanh shrink": x[n, m] - tanh(x[n, m]),
    "root": x[n, m] / sqrt(1 + x[n, m] ** 2),
    "share of all": Abs(x[n, m]) / (1 + Sum(Abs(x[n, j]), j)),
}


@pytest.mark.parametrize("name", ["softsign", "tanh shrink"])
def test_slopes_keep_their_digits(name: str) -> None:
    """Small or large numbers, each slope to a few units in its own last place."""
    layer = Layer("slopes", [x[N, M]], [Eq(y[n, m], BODIES[name])])
    given = np.array([[1e4, -3e3], [1e-3, -2e-2], [0.5, -2]], np.float32)
    _, gradients = quiet(layer, {"x": given})
    with mpmath.workdps(80):
        want = exact_gradients(layer, {"x": given})["x"]
    np.testing.assert_allclose(gradients["x"], want, rtol=1e-6)


@pytest.mark.parametrize("name", BODIES)
def test_every_step_holds(name: str) -> None:
    assert check_steps(run(Layer("steps", [x[N, M]], [Eq(y[n, m], BODIES[name])]))) == []
