"""Positions inside an index, a limit or a comparison, against NumPy and against the layer with an equation more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Max, Piecewise, Sum, Symbol, floor, symbols

from symgrad import ArgMax, ArgMin, Layer, Padded, ReduceMax, check_layer, compile_layer
from symgrad.declare.textform import parse_layer

K, M, N, T = symbols("K M N T", integer=True, positive=True)
x, s, y, w, p, ids, jds = (IndexedBase(name) for name in ["x", "s", "y", "w", "p", "ids", "jds"])
i, m, j, k, q, r, t = Idx("i", N), Idx("m", N), Idx("j", M), Idx("k", M), Idx("q", K), Idx("r", M), Idx("t", T)
a, plain_i, plain_k = Symbol("a", integer=True), Symbol("i"), Symbol("k")
TWO = [x[N, M], s[N, M]]
BEST = ArgMax(s[i, k], k)

LAYERS = {
    "read": (TWO, Eq(y[i], x[i, BEST])),
    "top_1": ([x[N, M]], Eq(y[i], x[i, ArgMax(x[i, k], k)])),
    "affine": ([x[N, 2 * M + 1], s[N, M]], Eq(y[i], x[i, 2 * BEST + 1])),
    "halved": (TWO, Eq(y[i], x[i, floor(BEST / 2)])),
    "clipped": (TWO, Eq(y[i], x[i, Max(0, BEST - 1)])),
    "padded": (TWO, Eq(y[i], Padded(x)[i, BEST - 1])),
    "compared": (TWO, Eq(y[i, j], Piecewise((x[i, j], Eq(j, BEST)), (0, True)))),
    "ordered": (TWO, Eq(y[i, j], Piecewise((x[i, j], j <= BEST), (0, True)))),
    "delta": (TWO, Eq(y[i, j], x[i, j] * KroneckerDelta(j, BEST))),
    "limit": (TWO, Eq(y[i], Sum(x[i, j], (j, 0, BEST)))),
    "guarded": (TWO, Eq(y[i], Piecewise((x[i, ArgMax(s[i - 1, k], k)], i >= 1), (0, True)))),
    "second_arm": (TWO, Eq(y[i], Piecewise((0, i < 1), (x[i, ArgMin(s[i - 1, k], k)], True)))),
    "under_a_sum": ([x[N, M], s[N, T, M]], Eq(y[i], Sum(x[i, ArgMax(s[i, t, k], k)], t))),
    "under_a_triangle": (TWO, Eq(y[i], Sum(x[a, ArgMax(s[a, k], k)], (a, 0, i)))),
    "from_one": (TWO, Eq(y[i], Sum(x[a, ArgMax(s[a - 1, k], k)], (a, 1, N - 1)))),
    "without_ranges": (TWO, Eq(y[plain_i], x[plain_i, ArgMax(s[plain_i, plain_k], plain_k)])),
    "through_a_table": ([x[N, K], ids[M], s[N, M]], Eq(y[i], x[i, ids[BEST]])),
    "rank": ([x[N], s[N]], Eq(y[i], x[Sum(Piecewise((1, s[m] < s[i]), (0, True)), m)])),
    "last": ([x[K], ids[N, M]], Eq(y[i], x[ReduceMax(ids[i, k], k)])),
    "limit_of_counts": ([x[N, M], ids[N, T]], Eq(y[i], Sum(x[i, j], (j, 0, ReduceMax(ids[i, t], t))))),
    "gather_of_gather": ([x[N], ids[M], jds[K]], Eq(y[q], x[ids[jds[q]]])),
    "position_of_a_position": (
        [x[N, M], s[M, K]],
        Eq(y[i], s[ArgMax(x[i, k], k), ArgMin(s[ArgMax(x[i, r], r), q], q)]),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_position_inside_means_what_the_evaluator_says(name: str) -> None:
    inputs, equation = LAYERS[name]
    report = check_layer(Layer(name, inputs, [equation]))
    # Extents of 0 are left out: NumPy has no position in an empty row, not even for an empty result.
    failed = [e for e in report.entries if not e.ok and "one extent 0" not in str(e)]
    assert not failed, str(report)


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(5, 3)), rng.normal(size=(5, 3))


def run(layer: Layer, *arrays: np.ndarray) -> tuple[Any, Any]:
    module = compile_layer(layer)
    outputs, residuals = module.forward(*arrays)
    return outputs, module.backward(residuals, np.ones_like(outputs))


def test_the_position_has_an_equation_of_its_own_in_declaration_and_derivation() -> None:
    compiled = compile_layer(Layer("picked", TWO, [Eq(y[i], x[i, BEST])]))
    assert "argmax_s[i] = argmax_{k} s[i, k]" in compiled.source
    assert "argmax" in compiled.derivation.to_markdown()
    scores, values = rows()
    got, gradients = run(compiled.layer, values, scores)
    best = scores.argmax(1)
    np.testing.assert_array_equal(got, values[np.arange(5), best])
    np.testing.assert_array_equal(gradients.x, np.eye(3)[best])
    np.testing.assert_array_equal(gradients.s, 0)


def test_a_guard_goes_along() -> None:
    inputs, equation = LAYERS["guarded"]
    values, scores = rows(1)
    got, gradients = run(Layer("guarded", inputs, [equation]), values, scores)
    best = scores.argmax(1)[:-1]
    np.testing.assert_array_equal(got, [0, *values[np.arange(1, 5), best]])
    np.testing.assert_array_equal(gradients.x[1:], np.eye(3)[best])


def test_a_limit_is_data() -> None:
    inputs, equation = LAYERS["limit"]
    values, scores = rows(2)
    got, _ = run(Layer("limit", inputs, [equation]), values, scores)
    np.testing.assert_allclose(got, [v[: b + 1].sum() for v, b in zip(values, scores.argmax(1), strict=True)])


def test_equal_positions_share_an_equation_and_names_stay_apart() -> None:
    argmax_s = IndexedBase("argmax_s")
    body = x[i, BEST] * argmax_s[i] + s[i, BEST]
    layer = Layer("shared", [x[N, M], s[N, M], argmax_s[N]], [Eq(y[i], body)])
    assert [str(e.lhs) for e in layer.equations] == ["argmax_s_2[i]", "y[i]"]


def test_a_position_that_is_no_index_stays_where_it_is() -> None:
    layer = Layer("scaled", TWO, [Eq(y[i], x[i, 0] * BEST)])
    assert len(layer.equations) == 1
    assert check_layer(layer).ok


def test_a_number_of_smaller_ones_sorts() -> None:
    inputs, equation = LAYERS["rank"]
    rng = np.random.default_rng(6)
    values, scores = rng.normal(size=7), rng.permutation(7).astype(float)
    np.testing.assert_array_equal(run(Layer("rank", inputs, [equation]), values, scores)[0], values[scores.astype(int)])


def test_an_equation_used_as_an_index_may_hold_more_than_a_position() -> None:
    layer = Layer("moved", [x[N, M + 1], s[N, M]], [Eq(w[i], ArgMax(s[i, k], k) + 1), Eq(y[i], x[i, w[i]])])
    values, scores = np.arange(20.0).reshape(5, 4), rows(3)[1]
    np.testing.assert_array_equal(run(layer, values, scores)[0], values[np.arange(5), scores.argmax(1) + 1])


def test_a_path_through_a_trellis() -> None:
    """The position is taken of the state before, inside the recurrence."""
    step = p[t - 1, ArgMax(p[t - 1, k] + w[k, j], k)] + s[t, j]
    layer = Layer("best_path", [s[T, M], w[M, M]], [Eq(p[t, j], Piecewise((s[0, j], Eq(t, 0)), (step, True)))])
    rng = np.random.default_rng(4)
    scores, moves = rng.normal(size=(6, 4)), rng.normal(size=(4, 4))
    want = [scores[0]]
    for row in scores[1:]:
        want.append(want[-1][(want[-1][:, None] + moves).argmax(0)] + row)
    np.testing.assert_allclose(run(layer, scores, moves)[0], want)


def test_the_text_form_takes_a_position_as_an_index() -> None:
    values, scores = rows(5)
    got, _ = run(parse_layer("y[i] = x[i, argmax(s[i, k], k)]"), values, scores)
    np.testing.assert_array_equal(got, values[np.arange(5), scores.argmax(1)])
