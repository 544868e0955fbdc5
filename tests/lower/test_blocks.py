"""Tables of pairs exist for a block at a time in the fast schedule, and only as far as conditions let it reach."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import sympy as sp
from sympy import And, Eq, Idx, IndexedBase, Piecewise, Sum, exp, oo, symbols

import symgrad
from symgrad import Layer

N, T, S, D = symbols("N T S D", integer=True, positive=True)
width = symbols("width", integer=True, positive=True)
q, k, v, y, a, w, total = (IndexedBase(name) for name in ("q", "k", "v", "y", "a", "w", "total"))
n, t, s, r, d, e = (Idx(*i) for i in (("n", N), ("t", T), ("s", S), ("r", S), ("d", D), ("e", D)))
past, j = Idx("s", T), sp.Symbol("j", integer=True)
INPUTS = [q[N, T, D], k[N, S, D], v[N, S, D]]
SIZES = {N: 16, T: 256, S: 256, D: 16}
SCORES = Sum(q[n, t, d] * k[n, s, d], d)


def _softmax(condition, scores=SCORES, **options):
    """Values mixed by the softmax of scores where the condition holds."""
    masked = scores if condition is True else Piecewise((scores, condition), (-oo, True))
    equations = [
        Eq(a[n, t, s], masked),
        Eq(w[n, t, s], exp(a[n, t, s]) / Sum(exp(a[n, t, r]), r)),
        Eq(y[n, t, e], Sum(w[n, t, s] * v[n, s, e], s)),
    ]
    return Layer("mixed", INPUTS, equations, typical=SIZES, **options)


LAYERS = {
    "everywhere": _softmax(True),
    "past": _softmax(s <= t),
    "past, scaled": _softmax(s <= t, SCORES / sp.sqrt(D)),
    "future": _softmax(s >= t),
    "band": _softmax(And(s <= t, s > t - width), attributes={width: 3}),
    "band on both sides": _softmax(And(s <= t + 1, s >= t - width), SCORES / 2, attributes={width: 2}),
    "twice as fast": _softmax(s <= 2 * t),
    "half as fast": _softmax(2 * s <= t),
    "from the other end": _softmax(s <= T - 1 - t),
    "never fewer than three": _softmax(s <= sp.Max(t, 2)),
    "with distances": _softmax(s <= t, SCORES - (t - s) / D),
    "kernel": Layer(
        "kernel",
        INPUTS,
        [
            Eq(a[n, t, s], exp(-Sum((q[n, t, d] - k[n, s, d]) ** 2, d))),
            Eq(y[n, t, e], Sum(Piecewise((a[n, t, s] * v[n, s, e], s < t), (0, True)), s)),
        ],
        typical=SIZES,
    ),
    "limits": Layer(
        "limits",
        [q[N, T, D], k[N, T, D], v[N, T, D]],
        [
            Eq(a[n, t, past], Sum(q[n, t, d] * k[n, past, d], d) ** 2),
            Eq(y[n, t, e], Sum(a[n, t, j] * v[n, j, e], (j, 0, t))),
        ],
        typical={N: 16, T: 256, D: 16},
    ),
}


def _alone(condition):
    """The same without an axis of samples: the table has no other axis than those of its pairs."""
    scores = Sum(q[t, d] * k[s, d], d) / 2
    equations = [
        Eq(a[t, s], scores if condition is True else Piecewise((scores, condition), (-oo, True))),
        Eq(w[t, s], exp(a[t, s]) / Sum(exp(a[t, r]), r)),
        Eq(y[t, e], Sum(w[t, s] * v[s, e], s)),
    ]
    return Layer("alone", [q[T, D], k[S, D], v[S, D]], equations, typical={T: 256, S: 256, D: 16})


ALONE = {
    "everywhere": _alone(True),
    "past": _alone(s <= t),
    "future": _alone(s >= t),
    "band": _alone(And(s <= t + 1, s > t - 3)),
    "from the other end": _alone(s <= T - 1 - t),
}


def _compiled(layer):
    return symgrad.compile_layer(layer), symgrad.compile_layer(layer, schedule="fast")


def _inputs(layer, rows, columns, depth=3, count=3):
    rng = np.random.default_rng(0)
    columns = rows if layer is LAYERS["limits"] else columns
    return [rng.normal(size=(count, length, depth)) for length in (rows, columns, columns)]


def _all(compiled, arrays, wrt=None, **options):
    y, residuals = compiled.forward(*arrays, **options)
    grad_y = np.random.default_rng(1).normal(size=y.shape)
    return y, *compiled.backward(residuals, grad_y, wrt=wrt, **options)


@pytest.mark.parametrize("name", LAYERS)
def test_blocks_give_what_the_whole_gives(name):
    layer = LAYERS[name]
    readable, fast = _compiled(layer)
    assert "for first in range(0, T, rows)" in fast.source
    square = name in ("from the other end",)
    for rows, columns in ((7, 7), (1, 1), *(() if square else ((9, 5), (6, 11)))):
        arrays = _inputs(layer, rows, columns)
        if name in ("future", "band", "band on both sides") and rows > columns:
            continue  # some row has nothing to look at: 0/0
        want = _all(readable, arrays)
        for part in (1, 40, 2**14, 2**15, 2**18):
            fast.module._PART = part
            for threads in (1, 2, 3):
                for got, whole in zip(_all(fast, arrays, threads=threads), want, strict=True):
                    np.testing.assert_allclose(got, whole, rtol=1e-9, atol=1e-11, err_msg=f"{part}, {threads}")


@pytest.mark.parametrize("name", ALONE)
def test_parts_reach_as_far_as_blocks(name):
    """Without another index the parts themselves are cut along the first one of the pairs."""
    layer = ALONE[name]
    readable, fast = _compiled(layer)
    assert "_in_parts(part, T, S, threads)" in fast.source
    for rows in (1, 8):
        arrays = [x[0] for x in _inputs(layer, rows, rows)]
        want = _all(readable, arrays)
        for part in (1, 20, 40, 2**18):
            fast.module._PART = part
            for threads in (1, 2, 3):
                for got, whole in zip(_all(fast, arrays, threads=threads), want, strict=True):
                    np.testing.assert_allclose(got, whole, rtol=1e-9, atol=1e-11, err_msg=f"{part}, {threads}")
        _, *want = want
        for wanted in ("q", "k", "v"):
            _, *grads = _all(fast, arrays, wrt=(wanted,))
            for key, grad, whole in zip("qkv", grads, want, strict=True):
                assert (grad is None) == (key != wanted)
                if grad is not None:
                    np.testing.assert_allclose(grad, whole, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_that_nobody_asked_for_cost_nothing_in_blocks(name):
    layer = LAYERS[name]
    _, fast = _compiled(layer)
    fast.module._PART = 40
    arrays = _inputs(layer, 6, 6)
    _, *want = _all(fast, arrays)
    for wanted in ("q", "k", "v"):
        _, *grads = _all(fast, arrays, wrt=(wanted,))
        for key, grad, whole in zip("qkv", grads, want, strict=True):
            if key == wanted:
                np.testing.assert_allclose(grad, whole, rtol=1e-12, atol=1e-12)
            else:
                assert grad is None


def test_a_row_with_nothing_to_look_at_is_not_a_number_and_disturbs_no_other():
    _, fast = _compiled(LAYERS["future"])
    arrays = _inputs(LAYERS["future"], 9, 5)
    with np.errstate(invalid="ignore"):
        y, residuals = fast.forward(*arrays)
        grads = fast.backward(residuals, np.where(np.arange(9)[:, None] < 5, np.ones_like(y), 0))
    assert np.isfinite(y[:, :5]).all() and np.isnan(y[:, 5:]).all()
    assert np.isfinite(grads.q[:, :5]).all()


def test_an_axis_without_positions():
    for layer in LAYERS.values():
        _, fast = _compiled(layer)
        arrays = _inputs(layer, 0, 0)
        for result in _all(fast, arrays):
            assert result.shape == (3, 0, 3)


MEASURED = [*(LAYERS[name] for name in ("everywhere", "past", "band", "limits")), *ALONE.values()]


def _peak(fast, layer, length, threads):
    """The most memory that forward and backward take, the arrays that go in left out."""
    arrays = [x.astype(np.float32) for x in _inputs(layer, length, length, 4, 1)]
    arrays = [x[0] for x in arrays] if layer in ALONE.values() else arrays
    tracemalloc.start()
    try:
        _all(fast, arrays, threads=threads)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layer", MEASURED)
def test_memory_grows_with_the_axis_not_with_its_square(layer):
    _, fast = _compiled(layer)
    fast.module._PART = 2**15
    peak = _peak(fast, layer, 1500, 1)
    assert peak < 1500 * 1500 * 4 / 8
    assert _peak(fast, layer, 3000, 1) < 2.5 * peak
    assert _peak(fast, layer, 1500, 2) < 2.5 * peak  # each thread holds a part


def test_what_a_block_cannot_reach_is_not_computed():
    """Keys beyond the block are not read: they may be anything."""
    _, fast = _compiled(LAYERS["past"])
    q, k, v = _inputs(LAYERS["past"], 128, 128)
    want, _ = fast.forward(q, k, v)
    k[:, 64:], v[:, 64:] = np.nan, np.nan
    got, _ = fast.forward(q, k, v)
    np.testing.assert_array_equal(got[:, :64], want[:, :64])


def test_reasons_say_what_is_computed_in_blocks():
    shown = symgrad.compiler.show_stage(LAYERS["band"], "lower", schedule="fast")
    assert "in blocks along t, so that no table is ever there as a whole" in shown
    assert "r, s, s_2: only as far as the conditions on it let a block reach" in shown
    assert "a: the mask is applied where it may fail, not all over a block" in shown


def test_what_backward_keeps_is_no_table():
    stages = symgrad.compiler.run(LAYERS["past"], schedule="fast")
    extents = {name: stages.derived.program.extents(name) for name in stages.plan.residuals}
    assert all(len(e) < 3 for name, e in extents.items() if name not in "qkv")
    stored = symgrad.compiler.run(LAYERS["past"], schedule="fast", residuals="store")
    assert "w" in stored.plan.residuals


@pytest.mark.parametrize("residuals", ["store", "recompute"])
def test_every_policy_gives_the_same_gradients(residuals):
    layer = LAYERS["band"]
    want = _all(symgrad.compile_layer(layer), _inputs(layer, 9, 9))
    fast = symgrad.compile_layer(layer, residuals=residuals, schedule="fast")
    fast.module._PART = 20
    for got, whole in zip(_all(fast, _inputs(layer, 9, 9)), want, strict=True):
        np.testing.assert_allclose(got, whole, rtol=1e-10, atol=1e-12)
