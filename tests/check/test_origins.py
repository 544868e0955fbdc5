"""Derived layers are compared with what they were derived from, and a wrong one is found out."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Eq, Idx, IndexedBase, Max, Sum, Symbol, exp, log, symbols

import symgrad
from symgrad import Layer, StopGradient, check_layer, vjp
from symgrad.check.report import CheckReport
from symgrad.declare.layer import Origin
from symgrad.declare.textform import parse_layer

N = symbols("N", integer=True, positive=True)
x, y, grad_y, grad_x, tangent_x, tangent_y = map(IndexedBase, ["x", "y", "grad_y", "grad_x", "tangent_x", "tangent_y"])
n, i = Idx("n", N), Idx("i", N)
FIRST, SECOND = "derivative of the original", "second difference of the original"

SQUARE = Layer("square", [x[N]], [Eq(y[n], x[n] ** 2)])
SQUARED_LOG = Layer("squared_log", [x[N]], [Eq(Symbol("o"), log(Sum(exp(x[i]), i)) ** 2)])


def found(report: CheckReport, check: str) -> list[bool]:
    return [entry.ok for entry in report.entries if entry.check == check]


def derived(kind: str, body: Any) -> Layer:
    """A derivative of the square, written by hand."""
    given, result = (grad_y, grad_x) if kind == "vjp" else (tangent_x, tangent_y)
    layer = Layer(f"square_{kind}", [x[N], given[N]], [Eq(result[n], given[n] * body)])
    layer.origin = Origin(kind, SQUARE)
    return layer


@pytest.mark.parametrize("derivative", [symgrad.vjp, symgrad.jvp])
@pytest.mark.parametrize("layer", [SQUARE, SQUARED_LOG, symgrad.layers.gelu, symgrad.layers.conv1d])
def test_a_derived_layer_is_compared_with_its_original(layer: Layer, derivative: Any) -> None:
    made = derivative(layer)
    assert made.origin is not None
    assert made.origin.layer is layer
    report = check_layer(made, cases=2)
    assert report.ok, str(report)
    assert found(report, FIRST) == found(report, SECOND) == [True, True]


def test_an_original_that_refuses_what_its_derivative_takes_is_not_compared() -> None:
    """The gradient reads w past its end nowhere; the layer itself reads x where the data say."""
    layer = vjp(parse_layer("y[r] = sum(x[q]*w[r], (q, first[r], last[r] - 1))"))
    for seed in range(4):
        report = check_layer(layer, cases=4, seed=seed)
        assert report.ok, str(report)
    skipped = [entry.skipped for entry in report.entries if entry.check == FIRST]
    assert skipped
    assert 0 in skipped


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_a_wrong_derivative_is_found(kind: str) -> None:
    assert check_layer(derived(kind, 2 * x[n]), cases=1).ok
    assert False in found(check_layer(derived(kind, 3 * x[n]), cases=1), FIRST)


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_a_derivative_with_wrong_derivatives_is_found(kind: str) -> None:
    """Its own equations say that it is right."""
    report = check_layer(derived(kind, x[n] + StopGradient(x[n])), cases=1)
    assert found(report, FIRST) == [True]
    assert found(report, SECOND) == [False]
    assert found(report, "gradient by dual numbers") == [True, True]


def test_what_a_difference_sees_through_is_not_compared() -> None:
    layer = Layer("stopped", [x[N]], [Eq(y[n], x[n] * StopGradient(x[n]))])
    report = check_layer(symgrad.vjp(layer), cases=1)
    assert report.ok, str(report)
    assert not found(report, FIRST)
    assert not found(report, SECOND)


def test_a_declared_layer_has_no_original() -> None:
    assert SQUARE.origin is None
    assert not found(check_layer(SQUARE, cases=1), FIRST)


def test_kinks() -> None:
    layer = Layer("hinge", [x[N]], [Eq(y[n], Max(x[n], 0) ** 2)])
    report = check_layer(symgrad.vjp(layer), cases=2)
    assert report.ok, str(report)
