"""Pairs of positions under heads: tables in blocks, products of many rows, nothing kept twice for backward."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, cos, exp, floor, oo, sin, sqrt, symbols

import symgrad
from symgrad import Layer, layers

N, T, D, G, R, H = symbols("N T D G R H", integer=True, positive=True)
q, k, v, slope, y, a, w, turned, other = (IndexedBase(i) for i in ("q", "k", "v", "slope", "y", "a", "w", "qr", "kr"))
n, t, s, r, d, e, c = (Idx(*i) for i in (("n", N), ("t", T), ("s", T), ("r", T), ("d", D), ("e", D), ("c", D)))
SIZES = {N: 8, T: 256, G: 2, R: 4, D: 64}


def _grouped(order: str, split: bool = True, **options: object) -> Layer:
    """Causal attention with slopes: heads h read the keys of group ``h // R``; heads before or after positions."""
    h = Idx("h", G * R)
    heads = order == "heads first"

    def at(tensor, head, position, feature):
        return tensor[n, head, position, feature] if heads else tensor[n, position, head, feature]

    def scores(position, feature):
        products = Sum(at(q, h, t, feature) * at(k, floor(h / R), position, feature), feature) / sqrt(D)
        return Piecewise((products - slope[h] * (t - position), position <= t), (-oo, True))

    shapes = ((N, G * R, T, D), (N, G, T, D)) if heads else ((N, T, G * R, D), (N, T, G, D))
    inputs = [q[shapes[0]], k[shapes[1]], v[shapes[1]], slope[G * R]]
    values = at(v, floor(h / R), s, e)
    if split:
        equations = [
            Eq(a[n, h, t, s], scores(s, d)),
            Eq(w[n, h, t, s], exp(a[n, h, t, s]) / Sum(exp(a[n, h, t, r]), r)),
            Eq(at(y, h, t, e), Sum(w[n, h, t, s] * values, s)),
        ]
    else:
        mixed = Sum(exp(scores(s, d)) * values, s)
        equations = [Eq(at(y, h, t, e), mixed / Sum(exp(scores(r, c)), r))]
    return Layer("grouped", inputs, equations, **options)


def _rotary() -> Layer:
    """Causal attention of heads whose queries and keys are turned by their positions."""
    h, i = Idx("h", H), Idx("i", 2 * D)

    def turn(tensor, position):
        low = tensor[n, h, position, i] * cos(position) - tensor[n, h, position, i + D] * sin(position)
        high = tensor[n, h, position, i] * cos(position) + tensor[n, h, position, i - D] * sin(position)
        return Piecewise((low, i < D), (high, True))

    b = Idx("b", 2 * D)
    products = Sum(turned[n, h, t, b] * other[n, h, s, b], b)
    equations = [
        Eq(turned[n, h, t, i], turn(q, t)),
        Eq(other[n, h, s, i], turn(k, s)),
        Eq(a[n, h, t, s], Piecewise((products, s <= t), (-oo, True))),
        Eq(w[n, h, t, s], exp(a[n, h, t, s]) / Sum(exp(a[n, h, t, r]), r)),
        Eq(y[n, h, t, e], Sum(w[n, h, t, s] * v[n, h, s, e], s)),
    ]
    inputs = [q[N, H, T, 2 * D], k[N, H, T, 2 * D], v[N, H, T, D]]
    return Layer("rotary", inputs, equations, outputs=[y])


def _grouped_shapes(order):
    heads = order == "heads first"
    return lambda t: [*((1, h, t, 8) if heads else (1, t, h, 8) for h in (4, 2, 2)), (4,)]


ORDERS = ("heads first", "positions first")
CASES = {
    "grouped queries": (layers.grouped_query_attention, lambda t: [(1, 2, 2, t, 8), (1, 2, t, 8), (1, 2, t, 8)]),
    "linear biases": (layers.alibi_attention, lambda t: [(1, 2, t, 8)] * 3),
    "many heads": (layers.multi_head_attention, lambda t: [(1, t, 16), *[(2, 8, 16)] * 3, (16, 2, 8)]),
    "rotary": (_rotary(), lambda t: [(1, 2, t, 8), (1, 2, t, 8), (1, 2, t, 4)]),
    **{f"quotients, {o}": (_grouped(o), _grouped_shapes(o)) for o in ORDERS},
    **{f"quotients, {o}, in one": (_grouped(o, split=False), _grouped_shapes(o)) for o in ORDERS},
    **{f"quotients, {o}, sizes": (_grouped(o, typical=SIZES), _grouped_shapes(o)) for o in ORDERS},
}


def _arrays(shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) / 2 for shape in shapes]


def _all(compiled, arrays, **options):
    y, residuals = compiled.forward(*arrays, **options)
    grad_y = np.random.default_rng(1).normal(size=y.shape)
    return y, *compiled.backward(residuals, grad_y, **options)


def _peak(compiled, shapes):
    """Bytes at most there beyond inputs, forward and backward together."""
    arrays = _arrays(shapes)
    compiled.forward(*arrays)
    tracemalloc.start()
    try:
        _all(compiled, arrays, threads=1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", CASES)
def test_memory_under_heads_grows_with_the_axis_not_with_its_square(name):
    layer, shapes = CASES[name]
    fast = symgrad.compile_layer(layer, schedule="fast")
    fast.module._PART = 2**15
    short, long = (_peak(fast, shapes(length)) for length in (300, 1200))
    assert long < 5 * short
    assert long < 2 * 1200 * 1200 * 8


@pytest.mark.parametrize("name", CASES)
def test_blocks_under_heads_give_what_the_whole_gives(name):
    layer, shapes = CASES[name]
    readable, fast = (symgrad.compile_layer(layer, schedule=s) for s in ("readable", "fast"))
    for length in (1, 9):
        arrays = _arrays(shapes(length))
        want = _all(readable, arrays)
        for part, threads in itertools.product((1, 40, 2**14, 2**18), (1, 2)):
            fast.module._PART = part
            for got, whole in zip(_all(fast, arrays, threads=threads), want, strict=True):
                np.testing.assert_allclose(got, whole, rtol=1e-9, atol=1e-11, err_msg=f"{part}, {threads}")


def _loops(q, k, v, slope, heads):
    """The grouped layer by loops; complex numbers carry a tangent."""
    q, k, v = (x if heads else x.swapaxes(1, 2) for x in (q, k, v))
    y = np.zeros(q.shape, complex)
    for n, h, t in np.ndindex(*q.shape[:3]):
        g = h // (q.shape[1] // k.shape[1])
        rows = [np.exp(q[n, h, t] @ k[n, g, s] / q.shape[3] ** 0.5 - slope[h] * (t - s)) for s in range(t + 1)]
        y[n, h, t] = sum(row * v[n, g, s] for s, row in enumerate(rows)) / sum(rows)
    return y if heads else y.swapaxes(1, 2)


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_grouped_queries_are_what_loops_say(order, split, schedule):
    compiled = symgrad.compile_layer(_grouped(order, split), schedule=schedule)
    arrays = _arrays(_grouped_shapes(order)(6))
    if schedule == "fast":
        compiled.module._PART = 2**13  # two rows at once
    y, *grads = _all(compiled, arrays)
    grad_y = np.random.default_rng(1).normal(size=y.shape)
    directions = [np.random.default_rng(2 + i).normal(size=x.shape) for i, x in enumerate(arrays)]
    for place, (direction, grad) in enumerate(zip(directions, grads, strict=True)):
        moved = [x + 1e-30j * direction if i == place else x for i, x in enumerate(arrays)]
        along = _loops(*moved, order == "heads first")
        np.testing.assert_allclose(y, along.real, rtol=1e-12, atol=1e-13)
        slope_of = (grad_y * along.imag).sum() / 1e-30
        np.testing.assert_allclose((grad * direction).sum(), slope_of, rtol=1e-11)


@pytest.mark.parametrize("order", ORDERS)
def test_a_value_chosen_by_positions_is_kept_once_and_not_computed_again(order):
    layer = _grouped(order, split=False)
    stages = symgrad.compiler.run(layer)
    tables = [t for t in stages.plan.residuals if len(stages.derived.program.extents(t)) == 4 and t not in "qkvy"]
    assert len(tables) == 1
    source = symgrad.compile_layer(layer).source
    assert "np.exp(" not in source[source.index("def backward") :]


def test_a_choice_by_positions_stays_where_a_factor_may_be_infinite_beside_it():
    """1/(t - s) is infinite where s = t, which the choice leaves out: 0 times that is no number."""
    body = Piecewise((exp(q[n, t, s] / (t - s)), s < t), (0, True))
    layer = Layer("slopes", [q[N, T, T]], [Eq(y[n, t, s], body)])
    compiled = symgrad.compile_layer(layer)
    x = np.random.default_rng(0).normal(size=(2, 4, 4))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        got, residuals = compiled.forward(x)
        grads = compiled.backward(residuals, np.ones_like(got))
    distance = np.arange(4)[:, None] - np.arange(4)
    below = distance > 0
    want = np.where(below, np.exp(x / np.where(below, distance, 1)) / np.where(below, distance, 1), 0)
    np.testing.assert_allclose(grads.q, want, rtol=1e-12)


@pytest.mark.parametrize("split", [True, False])
def test_positions_and_heads_of_a_group_are_rows_of_one_product(split):
    """Keys beside few rows, once for every position, would be turned as often."""
    source = symgrad.compile_layer(_grouped("positions first", split)).source
    forward = source[source.index("def forward") : source.index("return y, Residuals")]
    assert "@ k.transpose(0, 2, 3, 1)[:, None" not in forward.replace("\n", "")
    assert "reshape(N, G, R * T, D)" in forward


def test_gradients_written_through_views_inside_of_blocks_are_computed_alone_and_together():
    """What a block fills in is a view of what a part does, which is a view of what backward gives."""
    layer, shapes = CASES["rotary"]
    fast = symgrad.compile_layer(layer, schedule="fast")
    fast.module._PART = 40
    arrays = _arrays(shapes(7))
    y, *want = _all(symgrad.compile_layer(layer), arrays)
    _, residuals = fast.forward(*arrays)
    grad_y = np.random.default_rng(1).normal(size=y.shape)
    for name, whole in zip("qkv", want, strict=True):
        grads = fast.backward(residuals, grad_y, wrt=(name,))
        np.testing.assert_allclose(getattr(grads, name), whole, rtol=1e-9, atol=1e-11)
