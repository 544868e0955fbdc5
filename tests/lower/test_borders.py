"""Borders whose value is an attribute, or an expression of attributes: as numbers are, and against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, floor, symbols

from symgrad import Layer, Padded, ReduceMax, check_layer, compile_layer
from symgrad.declare.textform import parse_layer

M, N, R = symbols("M N R", integer=True, positive=True)
padding = symbols("padding", integer=True, nonnegative=True)
fill = symbols("fill", real=True)
ids, s, w, x, y = (IndexedBase(name) for name in ("ids", "s", "w", "x", "y"))
i, j, n, u = Idx("i", M + 2 * padding), Idx("j", M - R + 1 + 2 * padding), Idx("n", N), Idx("u", R)
FILLED = Padded(x, fill)
SETTINGS = {fill: 0.5, padding: 1}

LAYERS = {
    "border": Layer("border", [x[M]], [Eq(y[i], FILLED[i - padding])], attributes=SETTINGS),
    "convolution": Layer(
        "convolution", [x[M], w[R]], [Eq(y[j], Sum(FILLED[j + u - padding] * w[u], u))], attributes=SETTINGS
    ),
    "maximum": Layer(
        "maximum",
        [x[M]],
        [Eq(y[j], ReduceMax(Padded(x, 2 * fill + 1)[j + u - padding], u))],
        attributes={**SETTINGS, R: 3},
    ),
    "at_data": Layer("at_data", [x[M], ids[N]], [Eq(y[n], FILLED[ids[n]])], attributes={fill: 0.5}),
    "of_a_size": Layer("of_a_size", [x[M]], [Eq(y[i], Padded(x, M)[i - padding])], attributes={padding: 1}),
    "squared": Layer("squared", [x[M]], [Eq(y[i], Padded(x, fill - 1)[i - padding] ** 2)], attributes=SETTINGS),
    "text": parse_layer("y[i:X0] = pad(x, fill)[i - 1] * w[i]; fill = 0.5"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_module_means_what_the_evaluator_says(name: str) -> None:
    report = check_layer(LAYERS[name])
    assert report.ok, str(report)


def run(name: str, *arrays: np.ndarray, **options: Any) -> Any:
    return compile_layer(LAYERS[name]).forward(*arrays, **options)[0]


def test_the_border_holds_the_value() -> None:
    values = np.arange(4.0)
    np.testing.assert_array_equal(run("border", values, padding=2, fill=-3.0), [-3, -3, *values, -3, -3])
    np.testing.assert_array_equal(run("at_data", values, np.array([-1, 2, 4, 0]), fill=7.0), [7, 2, 7, 0])
    np.testing.assert_array_equal(run("maximum", -values, padding=1, fill=4.0), [9, 0, -1, 9])


@pytest.mark.parametrize("name", ["border", "convolution", "maximum"])
def test_the_tensor_is_padded_and_no_choice_is_made(name: str) -> None:
    source = compile_layer(LAYERS[name]).source
    forward = source[source.index("def forward") : source.index("def backward")]
    assert "_bordered(" in forward and "np.where" not in forward


def test_single_precision_stays() -> None:
    got = run("convolution", np.ones(5, np.float32), np.ones(3, np.float32), fill=0.1)
    assert got.dtype == np.float32


def test_a_position_that_is_data_and_real() -> None:
    layer = Layer("sampled", [x[M], s[N]], [Eq(y[n], FILLED[floor(s[n])])], attributes={fill: 0.5})
    got, _ = compile_layer(layer).forward(np.arange(3.0), np.array([-0.5, 1.5, 3.0]), fill=9.0)
    np.testing.assert_array_equal(got, [9, 1, 9])


@pytest.mark.parametrize("mode", ["reflect", "replicate", "wrap"])
def test_an_empty_axis_cannot_be_continued(mode: str) -> None:
    row, wide = Idx("row", M), Idx("wide", N + 2)
    module = compile_layer(Layer("bordered", [x[N]], [Eq(y[wide], Padded(x, mode=mode)[wide - 1])]))
    with pytest.raises(ValueError, match="bordered: axis 0 of x has nothing to repeat beyond its ends: N is 0"):
        module.forward(np.zeros(0))
    both = Layer("both", [x[M, N]], [Eq(y[row, wide], Padded(x, mode=mode)[row, wide - 1])])
    assert compile_layer(both).forward(np.zeros((0, 3)))[0].shape == (0, 5)
