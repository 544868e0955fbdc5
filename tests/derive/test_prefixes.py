"""Products over triangles: a recurrence each, whose adjoint has no table of pairs of positions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Product, Sum, symbols

from symgrad import Layer, compile_layer

N, T = symbols("N T", integer=True, positive=True)
g, w, x, y = (IndexedBase(name) for name in "gwxy")
n, r, s, t = Idx("n", N), Idx("r", T), Idx("s", T), Idx("t", T)
PRODUCTS = {
    "up to": Product(g[n, r], (r, 0, t)),
    "before": Product(g[n, r], (r, 0, t - 1)),
    "from": Product(g[n, r], (r, t, T - 1)),
    "after": Product(1 - g[n, r], (r, t + 1, T - 1)),
    "of a sum": Sum(w[s] * Product(g[n, r], (r, 0, s)), s) + 0 * x[n, t],
}


def compiled(right):
    return compile_layer(Layer("running", [g[N, T], x[N, T], w[T]], [Eq(y[n, t], x[n, t] * right)]))


@pytest.mark.parametrize("kind", PRODUCTS)
def test_memory_grows_as_the_arguments_do(kind):
    module = compiled(PRODUCTS[kind])
    arrays = [np.random.default_rng(0).uniform(0.9, 1.1, size) for size in ((2, 3000), (2, 3000), (3000,))]
    tracemalloc.start()
    outputs, residuals = module.forward(*arrays)
    module.backward(residuals, outputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6  # a table of pairs would be 144 MB


def test_equal_products_are_formed_once():
    product = PRODUCTS["before"]
    layer = Layer("twice", [g[N, T], x[N, T]], [Eq(y[n, t], x[n, t] * product / (1 + product**2))])
    assert compile_layer(layer).source.split("def backward")[0].count("np.cumprod(") == 1


def test_zeros_keep_their_slope():
    grads = []
    for zeros in ((), (1,), (1, 3)):
        factors = np.array([[2.0, 3.0, 5.0, 7.0]])
        factors[0, list(zeros)] = 0
        module = compile_layer(Layer("whole", [g[N, T]], [Eq(y[n, t], PRODUCTS["up to"])]))
        _, residuals = module.forward(factors)
        grads.append(module.backward(residuals, np.array([[0.0, 0.0, 0.0, 1.0]])).g[0].tolist())
    assert grads == [[105, 70, 42, 30], [0, 70, 0, 0], [0, 0, 0, 0]]
