"""Rows at computed positions: taken as a whole, and added in parts that no two threads share, in the fast schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, symbols

import symgrad
from symgrad import Layer, layers

N, M, V, D, E = symbols("N M V D E", integer=True, positive=True)
n, v, d, e = (Idx(*i) for i in (("n", N), ("v", V), ("d", D), ("e", E)))


def fast(layer: Layer) -> Any:
    return symgrad.compile_layer(layer, schedule="fast").module


POSITIONS = {
    "rows": (0, (np.array([[3, 0], [1, 1]]),)),
    "small integers": (0, (np.array([4, 0, 4], np.uint8), np.array([5, 0, 3], np.uint8))),
    "in the middle": (1, (np.array([5, 5, 0]),)),
    "at the end": (1, (np.array([[5], [0]]), np.array([2, 0, 1]))),
    "none": (1, (np.array([], np.intp),)),
}


@pytest.mark.parametrize("turned", [False, True], ids=["contiguous", "turned"])
@pytest.mark.parametrize("name", POSITIONS)
def test_rows_taken_are_those_at_the_positions(name: str, turned: bool) -> None:
    module = fast(layers.embedding)
    first, positions = POSITIONS[name]
    source = np.random.default_rng(0).normal(size=(5, 6, 4))
    source = source if not turned else np.asfortranarray(source)
    want = source[(slice(None),) * first + positions]
    np.testing.assert_array_equal(module._taken(source, first, *positions), want)
    out = np.full((2, *want.shape), np.nan)
    module._taken(source, first, *positions, out=out[1])
    np.testing.assert_array_equal(out[1], want)
    assert np.isnan(out[0]).all()


def test_rows_are_taken_into_the_result_and_elements_are_not() -> None:
    x, y = IndexedBase("x"), IndexedBase("y")
    ids = IndexedBase("ids", integer=True)
    rows = Layer("rows", [x[V, D], ids[N]], [Eq(y[n, d], x[ids[n], d])])
    points = Layer("points", [x[V, D], ids[N]], [Eq(y[n], x[ids[n], ids[n]])])
    sources = [symgrad.compile_layer(layer, schedule="fast").source for layer in (rows, points)]
    assert "_taken(x, 0, ids[start:stop], out=y[start:stop])" in sources[0]
    assert "_taken" not in sources[1]
    assert "_taken" not in symgrad.compile_layer(rows).source


@pytest.mark.parametrize("count, places, width", [(0, 5, 3), (1, 5, 3), (200, 7, 3), (200, 300, 5), (50, 1, 4)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_added_in_parts_are_added_once(count: int, places: int, width: int, threads: int) -> None:
    module = fast(layers.embedding)
    module._PART = 16
    rng = np.random.default_rng(0)
    ids, rows = rng.integers(0, places, count), rng.integers(-9, 9, (count, width)).astype(float)
    parts: list[tuple[int, int]] = []
    run = module._side_by_side

    def counted(function: Any, extent: int, *rest: Any) -> None:
        run(lambda a, b: parts.append((a, b)) or function(a, b), extent, *rest)

    module._side_by_side = counted
    for zeros in (True, False):
        want = np.zeros((places, width)) if zeros else rng.integers(-9, 9, (places, width)).astype(float)
        found = want.copy()
        np.add.at(want, ids, rows)
        module._add_at(found, ids, rows, zeros=zeros, add=module._groups_on(threads))
        np.testing.assert_array_equal(found, want)
    assert count < 200 or len(parts) > 4


def test_gradients_of_rows_are_the_same_on_threads() -> None:
    w, x, y = (IndexedBase(name) for name in "wxy")
    source, target = (IndexedBase(name, integer=True) for name in ("source", "target"))
    layer = Layer("edges", [w[V, D], x[V], source[E], target[E]], [Eq(y[e, d], w[source[e], d] * x[target[e]])])
    readable, module = symgrad.compile_layer(layer).module, fast(layer)
    module._PART = 32
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(9, 4)), rng.normal(size=9), *rng.integers(0, 9, (2, 400))]
    for threads in (1, 2):
        y_, residuals = module.forward(*arrays, threads=threads)
        want, kept = readable.forward(*arrays)
        np.testing.assert_allclose(y_, want, rtol=1e-14)
        grad_y = rng.normal(size=want.shape)
        found = module.backward(residuals, grad_y, threads=threads)
        for got, whole in zip(found, readable.backward(kept, grad_y), strict=True):
            np.testing.assert_allclose(got, whole, rtol=1e-11, atol=1e-12)
