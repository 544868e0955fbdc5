"""Reductions over triangles: a recurrence each, whose adjoint has no table of pairs of positions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Product, Sum, exp, log, symbols

from symgrad import Layer, LogSumExp, ReduceMax, ReduceMin, compile_layer

N, T = symbols("N T", integer=True, positive=True)
g, w, x, y = (IndexedBase(name) for name in "gwxy")
n, r, s, t = Idx("n", N), Idx("r", T), Idx("s", T), Idx("t", T)
RUNNING = {
    "up to": Product(g[n, r], (r, 0, t)),
    "before": Product(g[n, r], (r, 0, t - 1)),
    "from": Product(g[n, r], (r, t, T - 1)),
    "after": Product(1 - g[n, r], (r, t + 1, T - 1)),
    "of a sum": Sum(w[s] * Product(g[n, r], (r, 0, s)), s) + 0 * x[n, t],
    "largest so far": ReduceMax(x[n, r], (r, 0, t)),
    "smallest from here": ReduceMin(g[n, r], (r, t, T - 1)),
    "log-sum-exp": LogSumExp(x[n, r], (r, 0, t)),
    "log-sum-exp from here": log(Sum(exp(x[n, r]), (r, t, T - 1))),
    "softmax of the past": Sum(exp(x[n, r]) * g[n, r], (r, 0, t)) / Sum(exp(x[n, s]), (s, 0, t)),
}


def compiled(right):
    return compile_layer(Layer("running", [g[N, T], x[N, T], w[T]], [Eq(y[n, t], x[n, t] * right)]))


@pytest.mark.parametrize("kind", RUNNING)
def test_memory_grows_as_the_arguments_do(kind):
    module = compiled(RUNNING[kind])
    arrays = [np.random.default_rng(0).uniform(0.9, 1.1, size) for size in ((2, 3000), (2, 3000), (3000,))]
    tracemalloc.start()
    outputs, residuals = module.forward(*arrays)
    module.backward(residuals, outputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6  # a table of pairs would be 144 MB


def test_equal_products_are_formed_once():
    product = RUNNING["before"]
    layer = Layer("twice", [g[N, T], x[N, T]], [Eq(y[n, t], x[n, t] * product / (1 + product**2))])
    assert compile_layer(layer).source.split("def backward")[0].count("np.cumprod(") == 1


@pytest.mark.parametrize(("right", "slope"), [((r, 0, t), [4, 0, 0, 0]), ((r, t, T - 1), [1, 0, 2, 1])])
def test_the_first_of_equal_ones_has_the_slope(right, slope):
    module = compile_layer(Layer("largest", [g[N, T]], [Eq(y[n, t], ReduceMax(g[n, r], right))]))
    _, residuals = module.forward(np.array([[1.0, 0.0, 1.0, 1.0]]))
    assert module.backward(residuals, np.ones((1, 4))).g[0].tolist() == slope


def test_zeros_keep_their_slope():
    grads = []
    for zeros in ((), (1,), (1, 3)):
        factors = np.array([[2.0, 3.0, 5.0, 7.0]])
        factors[0, list(zeros)] = 0
        module = compile_layer(Layer("whole", [g[N, T]], [Eq(y[n, t], RUNNING["up to"])]))
        _, residuals = module.forward(factors)
        grads.append(module.backward(residuals, np.array([[0.0, 0.0, 0.0, 1.0]])).g[0].tolist())
    assert grads == [[105, 70, 42, 30], [0, 70, 0, 0], [0, 0, 0, 0]]
