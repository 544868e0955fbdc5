"""Reads judged: proved, refuted with a counterexample, or left to run time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import And, Eq, Idx, IndexedBase, Mod, Or, Piecewise, Product, Sum, ceiling, floor
from sympy import symbols as sizes

from symgrad import Layer, LogSumExp, Padded
from symgrad.declare.reads import undecided
from symgrad.errors import DeclarationError

from ..agreement import as_declared, normals

K, M, N = sizes("K M N", integer=True, positive=True)
h, w, x, y = (IndexedBase(name) for name in "hwxy")
i, j = Idx("i", N), Idx("j", M)


def unproved(layer: Layer) -> int:
    return sum(1 for e in layer.program.equations for _ in undecided(layer.program, e))


@pytest.mark.parametrize(
    "value", [x[i], x[N - 1 - i], x[Mod(i + 3, N)], x[floor(i / 2)], Piecewise((x[i - 1], i > 0), (0, True))], ids=str
)
def test_proved(value: Any) -> None:
    assert unproved(Layer("proved", [x[N]], [Eq(y[i], value)])) == 0


def test_refuted_under_a_condition_on_both_indices() -> None:
    with pytest.raises(DeclarationError, match="y reads x at i \\+ j"):
        Layer("refuted", [x[N], w[M]], [Eq(y[i, j], w[j] * Piecewise((x[i + j], Or(i > 0, j > 0)), (0, True)))])


def test_not_refuted_where_small_sizes_fit() -> None:
    """Only M = 1, or M = 2 beside a large K, keeps the read inside."""
    last = Idx("i", floor((M + 3 - K) / 2) + 1)
    layer = Layer("tight", [x[M + 1]], [Eq(y[last, j], x[2 * j + last])], attributes={K: 2})
    assert as_declared(layer, normals(x=(2,)), {"K": 4})


def test_a_condition_on_data_does_not_count_as_a_read() -> None:
    """Behind an alternative that data decides, nobody knows whether anything is read."""
    condition = Or(And(w[j] > 0, j < K), And(w[j] <= 0, j >= K))
    value = Piecewise((h[j, 1], condition), (0, True))
    equations = [Eq(h[j, Idx("k", N - K + 1)], w[j]), Eq(y[j], value)]
    layer = Layer("unknown", [w[M], x[N]], equations, attributes={K: 2})
    assert as_declared(layer, normals(w=(4,), x=(5,)), {"K": 2})


def test_ceilings_and_floors_of_the_same_are_one_extent() -> None:
    """Both reads end at the same index, so the range is no matter of choice."""
    at, z = Idx("at"), Idx("z", ceiling(N / 2))
    layer = Layer("halves", [x[N], w[N]], [Eq(h[z], w[2 * z]), Eq(y[at], x[2 * at] + h[at])])
    assert as_declared(layer, normals(x=(5,), w=(5,)))


def test_a_log_sum_exp_is_as_long_as_its_reads_allow() -> None:
    length, u = IndexedBase("length", integer=True), Idx("u")
    layer = Layer("ragged", [x[N, M], length[N]], [Eq(y[i], LogSumExp(x[i, u], (u, 0, length[i] - 1)))])
    assert as_declared(layer, normals(x=(3, 4)) | {"length": np.array([1, 4, 2])})


def test_what_sympy_folds_past_its_limits_is_put_back() -> None:
    u, v = Idx("u"), Idx("v")
    inner = Sum(Piecewise((h[u, v], v - i >= 0), (0, True)), (v, 0, 1))
    assert as_declared(Layer("folded", [h[N, N]], [Eq(y[i], Product(inner, (u, 0, 1)))]), normals(h=(2, 2)))
    with pytest.raises(DeclarationError, match=r"v stands outside the reduction that binds it: .* SymPy folded"):
        Layer("outside", [x[N]], [Eq(y[i], x[v] * Sum(x[v], (v, 0, 1)))])


def test_reads_under_a_floor_are_judged_too() -> None:
    with pytest.raises(DeclarationError, match=r"y reads x at i \+ 1 on axis 0, .*; for N = 3, i = 2 that is 3"):
        Layer("outside", [x[N], h[M, N]], [Eq(y[i], Padded(h)[floor(x[i + 1]), i])])
