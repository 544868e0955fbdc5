"""Integers that a recurrence follows: pointers and counters, and what is refused."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Piecewise, Sum, floor, symbols

from symgrad import ArgMax, Layer, ReduceMax, check_layer, compile_layer
from symgrad.errors import DeclarationError

T, B, D = symbols("T B D", integer=True, positive=True)
t, b, d, i = Idx("t", T), Idx("b", B), Idx("d", D), Idx("i", D)
path, back, last, here, count = (IndexedBase(name) for name in ["path", "back", "last", "here", "count"])
e, y, x, s = (IndexedBase(name) for name in "eyxs")


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_followed_pointers(schedule: str) -> None:
    pointer = Piecewise((last[b], Eq(t, T - 1)), (back[t + 1, b, path[t + 1, b]], True))
    layer = Layer("follow", [back[T, B, D], last[B]], [Eq(path[t, b], pointer)], integers=[back, last])
    rng = np.random.default_rng(0)
    pointers, start = rng.integers(0, 3, (5, 2, 3)), rng.integers(0, 3, 2)
    found, _ = compile_layer(layer, schedule=schedule).forward(pointers, start)
    wanted = [start]
    for place in range(4, 0, -1):
        wanted.insert(0, pointers[place, np.arange(2), wanted[0]])
    np.testing.assert_array_equal(found, np.stack(wanted))


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_the_best_path_as_papers_write_it(schedule: str) -> None:
    """Viterbi: scores forward, pointers beside them, the path back from the best end."""
    score, w, j = IndexedBase("score"), IndexedBase("w"), Idx("j", D)
    before = score[t - 1, b, j] + w[j, i]
    layer = Layer(
        "best_path",
        [e[T, B, D], w[D, D]],
        [
            Eq(score[t, b, i], e[t, b, i] + Piecewise((0, Eq(t, 0)), (ReduceMax(before, j), True))),
            Eq(back[t, b, i], Piecewise((0, Eq(t, 0)), (ArgMax(before, j), True))),
            Eq(
                path[t, b],
                Piecewise((ArgMax(score[T - 1, b, j], j), Eq(t, T - 1)), (back[t + 1, b, path[t + 1, b]], True)),
            ),
        ],
        outputs=["path", "score"],
    )
    rng = np.random.default_rng(0)
    emitted, weights = rng.normal(size=(4, 2, 3)), rng.normal(size=(3, 3))
    (found, _), _ = compile_layer(layer, schedule=schedule).forward(emitted, weights)
    for n in range(2):
        ways = list(product(range(3), repeat=4))
        totals = [
            sum(emitted[s, n, d] for s, d in enumerate(way)) + sum(weights[c, d] for c, d in pairwise(way))
            for way in ways
        ]
        assert tuple(found[:, n]) == ways[int(np.argmax(totals))]
    assert check_layer(layer, schedule=schedule).ok


def test_followed_pointers_as_rows() -> None:
    step = Sum(here[t + 1, b, i] * KroneckerDelta(back[t + 1, b, i], d), i)
    layer = Layer(
        "follow",
        [e[T, B, D], back[T, B, D], last[B]],
        [
            Eq(here[t, b, d], Piecewise((KroneckerDelta(last[b], d), Eq(t, T - 1)), (step, True))),
            Eq(path[t, b], ArgMax(here[t, b, d], d)),
            Eq(y[b], Sum(e[t, b, path[t, b]], t)),
        ],
        integers=[back, last],
        outputs=["y", "path"],
    )
    rng = np.random.default_rng(0)
    scores, pointers, start = rng.normal(size=(5, 2, 3)), rng.integers(0, 3, (5, 2, 3)), rng.integers(0, 3, 2)
    (_, found), _ = compile_layer(layer).forward(scores, pointers, start)
    wanted = [start]
    for place in range(4, 0, -1):
        wanted.insert(0, pointers[place, np.arange(2), wanted[0]])
    np.testing.assert_array_equal(found, np.stack(wanted))
    report = check_layer(layer)
    assert report.ok, report


def counting(index) -> Layer:
    going = Piecewise((s[t, b], Eq(t, 0)), (count[t - 1, b] + s[t, b], True))
    return Layer("counted", [s[T, B], x[D]], [Eq(count[t, b], going), Eq(y[t, b], x[index(count[t, b])])])


def test_a_counter_is_real_and_rounded_where_it_is_an_index() -> None:
    with pytest.raises(DeclarationError, match=r"Let a counter be real and use floor\(count\[\.\.\]\)"):
        counting(lambda position: position)
    compiled = compile_layer(counting(floor))
    values, residuals = compiled.forward(np.array([[0.0], [1], [0], [1]]), np.array([5.0, 6, 7]))
    np.testing.assert_array_equal(values, [[5], [6], [6], [7]])
    np.testing.assert_array_equal(compiled.backward(residuals, np.ones((4, 1))).x, [1, 2, 1])
