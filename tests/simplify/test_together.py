"""The difference of two sums of one cotangent is one sum of differences, as accurate as these."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, Symbol, log, symbols

from symgrad import Layer, LogSumExp, compile_layer
from symgrad.declare.formula import equation_text
from symgrad.declare.program import Equation

from ..agreement import SCHEDULES, as_declared, normals

D, K, N = symbols("D K N", integer=True, positive=True)
c, w, x, y = (IndexedBase(name) for name in "cwxy")
beta, mu = Symbol("beta", positive=True), Symbol("mu")
d, j, i, k = Idx("d", D), Idx("j", D), Idx("i", N), Idx("k", K)

LAYERS = {
    "soft_maximum": Layer("soft_maximum", [x[N, D], beta], [Eq(y[i], LogSumExp(beta * x[i, d], d) / beta)]),
    "mean_of_powers": Layer("mean_of_powers", [x[N, D], beta], [Eq(y[i], log(Sum(x[i, d] ** (2 * beta), d)) / beta)]),
    "swapped": Layer("swapped", [x[N, D], beta], [Eq(y[d, i], LogSumExp(beta * x[i, d] * x[i, j], j) / beta)]),
    "products": Layer("products", [x[N, D], c[K, D], mu], [Eq(y[i, k], Sum(x[i, d] * c[k, d] * mu, d) - c[k, 0] * mu)]),
    "scores": Layer(
        "scores", [x[N, D], c[K, D], w[D]], [Eq(y[i, k], Sum(x[i, d] * w[d], d) - 2 * Sum(c[k, d] * w[d], d))]
    ),
}


@pytest.mark.parametrize(
    "sizes", [{"N": 4, "D": 3, "K": 2}, {"N": 1, "D": 1, "K": 1}, {"N": 0, "D": 2, "K": 2}], ids=str
)
@pytest.mark.parametrize("name", LAYERS)
def test_numbers(name: str, sizes: dict[str, int]) -> None:
    layer = LAYERS[name]
    given = normals(**{t.name: tuple(sizes[str(e)] for e in t.shape) for t in layer.inputs})
    given = {n: np.abs(a) + 0.5 for n, a in given.items()}
    assert as_declared(layer, given, schedules=SCHEDULES)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_digits_of_large_logits(schedule: str) -> None:
    """At 1e4 each of the two sums is about 1e6, their difference about 1."""
    compiled = compile_layer(LAYERS["soft_maximum"], schedule=schedule)
    values = (1e4 * normals(x=(20000, 3))["x"]).astype(np.float32)
    g = normals(1, g=(20000,))["g"].astype(np.float32)
    found = []
    for kind in (np.float32, np.float64):
        _, residuals = compiled.forward(values.astype(kind), kind(1.5))
        found.append(float(compiled.backward(residuals, g.astype(kind)).beta))
    assert abs(found[0] - found[1]) < 0.5


def test_the_rule_is_shown() -> None:
    steps = compile_layer(LAYERS["soft_maximum"]).derivation.steps
    assert any("sums of one cotangent in one" in str(step) for step in steps)


def test_only_what_is_no_larger_than_the_cotangent_is_summed_in_one() -> None:
    equations = {e.target: e.body for e in compile_layer(LAYERS["products"]).stages.derived.program.equations}
    assert equation_text(Equation("", (), equations["grad_mu"])).count("grad_y") == 1
    equations = {e.target: e.body for e in compile_layer(LAYERS["scores"]).stages.derived.program.equations}
    assert equation_text(Equation("", (), equations["grad_w"])).count("grad_y") == 2
