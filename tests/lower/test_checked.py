"""Integers that forward has checked: what the checks cost, and what backward then need not check again."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Min, Mod, Piecewise, Sum, floor, symbols

from symgrad import Layer, compile_layer

B, D, T, V = symbols("B D T V", integer=True, positive=True)
rows, y = IndexedBase("rows"), IndexedBase("y")
ids, offsets, lengths = IndexedBase("ids"), IndexedBase("offsets"), IndexedBase("lengths")
b, d, m, t = Idx("b", B), Idx("d", D), Idx("m", T), Idx("t")
BAGS = Layer(
    "bags",
    [rows[V, D], ids[T], offsets[B + 1]],
    [Eq(y[b, d], Sum(rows[ids[t], d], (t, offsets[b], offsets[b + 1] - 1)))],
)
PADDED = Layer(
    "padded",
    [rows[V, D], ids[B, T], lengths[B]],
    [Eq(y[b, d], Sum(Piecewise((rows[ids[b, m], d], m < lengths[b]), (0, True)), m))],
    integers=[lengths],
)


def test_what_lies_in_no_bag_may_be_anything():
    table, offset = np.arange(8.0).reshape(4, 2), np.array([1, 3, 3, 5])
    module = compile_layer(BAGS)
    summed, residuals = module.forward(table, np.array([77, 1, 3, 3, 0, -9]), offset)
    np.testing.assert_array_equal(summed, [table[1] + table[3], [0, 0], table[3] + table[0]])
    found = module.backward(residuals, np.array([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]])).rows
    np.testing.assert_array_equal(found, [[16, 32], [1, 2], [0, 0], [17, 34]])


@pytest.mark.parametrize("wrong", [4, -1])
def test_what_lies_in_a_bag_is_checked(wrong):
    with pytest.raises(IndexError, match="ids"):
        compile_layer(BAGS).forward(np.ones((4, 2)), np.array([0, wrong, 3]), np.array([0, 0, 2]))


def test_overlapping_and_reversed_bags_are_checked_where_they_reach():
    table, every = np.ones((4, 2)), np.array([0, 3, 99, 1])
    forward = compile_layer(BAGS).forward
    np.testing.assert_array_equal(forward(table, every, np.array([0, 2, 1, 2]))[0][:, 0], [2, 0, 1])
    with pytest.raises(IndexError, match="ids"):
        forward(table, every, np.array([2, 1, 3]))


def test_the_check_of_bags_costs_no_more_than_the_bags():
    rng, bags, entries = np.random.default_rng(0), 2000, 20000
    offset = np.sort(rng.integers(0, entries + 1, bags + 1))
    arrays = np.ones((50, 4), np.float32), rng.integers(0, 50, entries), offset
    module = compile_layer(BAGS)
    module.forward(*arrays)
    tracemalloc.start()
    module.forward(*arrays)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6  # a mask of bags times entries alone takes 40 MB


def test_numbers_behind_a_condition_are_dropped_where_it_fails():
    table = np.arange(6.0).reshape(3, 2)
    module = compile_layer(PADDED)
    summed, residuals = module.forward(table, np.array([[2, -5, 99], [1, 2, 0]]), np.array([1, 2]))
    np.testing.assert_array_equal(summed, [table[2], table[1] + table[2]])
    found = module.backward(residuals, np.array([[1.0, 2.0], [4.0, 8.0]])).rows
    np.testing.assert_array_equal(found, [[0, 0], [4, 8], [5, 10]])


def test_the_adjoint_of_accumulated_rows_picks_rows():
    """The cotangent of an edge is a row of the nodes' one, not a product with a mask of edges times nodes."""
    edges, nodes = symbols("edges nodes", integer=True, positive=True)
    source, sink, x, count = IndexedBase("source"), IndexedBase("sink"), IndexedBase("x"), IndexedBase("count")
    node, edge = Idx("node", nodes), Idx("edge", edges)
    meets = KroneckerDelta(node, sink[edge])
    body = Sum(meets * x[source[edge], d], edge) / (1 + count[node])
    layer = Layer(
        "mean",
        [x[nodes, D], source[edges], sink[edges]],
        [Eq(count[node], Sum(meets, edge)), Eq(y[node, d], body)],
        outputs=[y],
    )
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3000, 2))
    ends = rng.integers(0, 3000, 5000), rng.integers(-5, 3005, 5000)  # a sink that is no node takes nothing
    adjacency = np.zeros((3000, 3000))
    valid = (ends[1] >= 0) & (ends[1] < 3000)
    np.add.at(adjacency, (ends[1][valid], ends[0][valid]), 1)
    mean = adjacency / (1 + adjacency.sum(axis=1, keepdims=True))
    cotangent = rng.standard_normal((3000, 2))
    module = compile_layer(layer)
    output, residuals = module.forward(values, *ends)
    np.testing.assert_allclose(output, mean @ values)
    tracemalloc.start()
    found = module.backward(residuals, cotangent).x
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_allclose(found, mean.T @ cotangent)
    assert peak < 5e6


def test_an_index_checked_in_any_case_is_not_cut_off_behind_another_condition():
    """Every source is checked, the targets are not: only these are cut off in backward."""
    source, target = IndexedBase("source"), IndexedBase("target")
    received = Sum(rows[source[m], d] * KroneckerDelta(target[m], b), m)
    layer = Layer("edges", [rows[B, D], source[T], target[T]], [Eq(y[b, d], received)], integers=[source, target])
    module = compile_layer(layer)
    backward = module.source[module.source.index("def backward") :]
    assert "source <" not in backward and "clip(source" not in backward
    assert "clip(target" in backward
    arrays = np.arange(6.0).reshape(3, 2), np.array([0, 2, 2, 1]), np.array([1, 1, 7, -1])
    summed, residuals = module.forward(*arrays)
    np.testing.assert_array_equal(summed, [[0, 0], [4, 6], [0, 0]])
    np.testing.assert_array_equal(module.backward(residuals, np.ones((3, 2))).rows, [[1, 1], [0, 0], [1, 1]])
    with pytest.raises(IndexError, match="source"):
        module.forward(arrays[0], np.array([0, 3, 2, 1]), arrays[2])


def test_an_index_checked_where_it_counts_lands_without_a_mask():
    """Every other position reads a label; what the positions between would read lands nowhere."""
    p = Idx("p", 2 * T + 1)
    chosen = Piecewise((rows[ids[Min(floor(p / 2), T - 1)], d], Eq(Mod(p, 2), 1)), (0, True))
    layer = Layer("every_other", [rows[V, D], ids[T]], [Eq(y[p, d], chosen)], integers=[ids])
    module = compile_layer(layer)
    backward = module.source[module.source.index("def backward") : module.source.index("# --- helpers")]
    assert "< V" not in backward and ">= 0" not in backward
    _, residuals = module.forward(np.ones((3, 2)), np.array([1, 2, 1]))
    gradient = module.backward(residuals, np.ones((7, 2))).rows
    np.testing.assert_array_equal(gradient, [[0, 0], [2, 2], [1, 1]])
    with pytest.raises(IndexError, match="ids"):
        module.forward(np.ones((3, 2)), np.array([1, 3, 1]))
