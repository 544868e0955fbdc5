"""Our expressions among SymPy's: real where their parts are, and left alone."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Eq, Idx, IndexedBase, Integer, Max, Min, Piecewise, Rational, Sum, exp, log
from sympy import symbols as sizes

from symgrad import ArgMax, Layer, LogSumExp, Padded, ReduceMax, ReduceMin, StopGradient

from ..agreement import as_declared, normals

M, N = sizes("M N", integer=True, positive=True)
u, v, i = Idx("u"), Idx("v"), Idx("i", N)
x, y = IndexedBase("x"), IndexedBase("y")
real = IndexedBase("x", real=True)


def ours(tensor: Any) -> list[Any]:
    reductions = [kind(tensor[u], (u, 0, 2)) for kind in (ReduceMax, ReduceMin, LogSumExp, ArgMax)]
    return [Padded(tensor)[i - 1], Padded(tensor, mode="wrap")[i + 1], StopGradient(tensor[i]), *reductions]


@pytest.mark.parametrize("expression", ours(x), ids=str)
def test_sums_with_them_are_compared(expression: Any) -> None:
    assert (x[i] - expression > 0) == (x[i] - expression > 0)
    assert expression.is_commutative


@pytest.mark.parametrize("expression", ours(real), ids=str)
def test_they_are_as_real_as_their_parts(expression: Any) -> None:
    assert expression.is_extended_real
    assert Max(Rational(3, 10), Min(1, log(1 + exp(expression)))).has(type(expression))


def test_a_number_is_constant_already() -> None:
    assert StopGradient(2) == 2
    assert Max(StopGradient(Integer(2)) / 2, 0) == 1


@pytest.mark.parametrize("kind", [ReduceMax, ReduceMin, LogSumExp])
def test_a_choice_stays_inside_the_reduction_that_binds_its_index(kind: Any) -> None:
    """SymPy folds a Piecewise out of what a Sum holds, past the limits of what it does not know."""
    inner = kind(Piecewise((x[v], v > u), (0, True)), (v, 0, M - 1))
    assert Sum(inner, (u, 0, N - 1)).function == inner
    layer = Layer("inside", [x[M], y[N]], [Eq(IndexedBase("r")[i], y[i] * Sum(inner, (u, 0, N - 1)))])
    assert as_declared(layer, normals(x=(4,), y=(3,)))


def test_other_patterns_are_found() -> None:
    inner = ReduceMax(Piecewise((x[v], v > 1), (0, True)), (v, 0, M - 1))
    assert inner.has(x[v]) and inner.has(Piecewise, x[v])
    assert (inner + 1).has(Piecewise)
