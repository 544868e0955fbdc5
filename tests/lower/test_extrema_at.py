"""Extrema and logarithms of sums over what data put together: no mask over places and elements."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Piecewise, oo, symbols

from symgrad import Layer, LogSumExp, ReduceMax, compile_layer

E, V = symbols("E V", integer=True, positive=True)
x, y, m, place = (IndexedBase(name) for name in ("x", "y", "m", "place"))
e, k, n = Idx("e", E), Idx("k", E), Idx("n", V)
ELEMENTS, PLACES = 4000, 2000


def layer(reduced: Expr) -> Layer:
    equations = [Eq(m[n], reduced), Eq(y[e], x[e] - m[place[e]])]
    return Layer("below", [x[E], place[E]], equations, attributes={V: 4}, integers=[place])


INSIDE = Piecewise((x[k], Eq(place[k], n)), (-oo, True))
LARGEST, LOGARITHM = layer(ReduceMax(INSIDE, k)), layer(LogSumExp(INSIDE, k))


@pytest.mark.parametrize("declared", [LARGEST, LOGARITHM])
def test_memory_is_that_of_the_elements(declared: Layer) -> None:
    compiled = compile_layer(declared)
    generator = np.random.default_rng(0)
    arrays = generator.normal(size=ELEMENTS), generator.integers(0, PLACES, ELEMENTS)
    tracemalloc.start()
    outputs, residuals = compiled.forward(*arrays, V=PLACES)
    compiled.backward(residuals, np.ones_like(outputs))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 8 * ELEMENTS  # a mask has PLACES bytes for each element


def test_first_of_equal_elements_gets_the_gradient() -> None:
    compiled = compile_layer(LARGEST)
    values, places = np.array([1.0, 3.0, 3.0, 3.0, 2.0]), np.array([0, 2, 0, 2, 0])
    outputs, residuals = compiled.forward(values, places, V=4)
    np.testing.assert_array_equal(outputs, [-2.0, 0.0, 0.0, 0.0, -1.0])
    slopes = compiled.backward(residuals, np.array([1.0, 2.0, 4.0, 8.0, 16.0])).x
    np.testing.assert_array_equal(slopes, [1.0, 2.0 - 10.0, 4.0 - 21.0, 8.0, 16.0])


def test_no_checks_are_repeated_backward() -> None:
    backward = compile_layer(LOGARITHM).source.split("def backward")[1].split("# --- helpers")[0]
    assert "np.clip" not in backward
