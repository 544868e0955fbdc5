"""Reductions over a band of a fixed width: through a window, and not over pairs of positions."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Max, Min, Piecewise, Product, Sum, exp, symbols

from symgrad import Layer, LogSumExp, ReduceMax, ReduceMin, compile_layer

from ..agreement import as_declared

D, T = symbols("D T", integer=True, positive=True)
width = symbols("width", integer=True, nonnegative=True)
k, m, q, v, w, x, y = (IndexedBase(name) for name in ("k", "m", "q", "v", "w", "x", "y"))
d, e, f, i, j, l = Idx("d", D), Idx("e", D), Idx("f", D), Idx("i", T), Idx("j", T), Idx("l", T)
PAST = (j, Max(0, i - 2), i)
NEAR = Abs(i - j) <= 2


def layer(body, *inputs, **options) -> Layer:
    return Layer("banded", [x[T], *inputs], [Eq(y[i], body)], **options)


LAYERS = {
    "squares": layer(Sum(x[j] ** 2, PAST)),
    "products": layer(Sum(Piecewise((x[j] * w[j], NEAR), (0, True)), j), w[T]),
    "weighted": layer(w[i] * Sum(x[j] * w[i], (j, Max(0, i - 1), Min(T - 1, i + 1))), w[T]),
    "exponentials": layer(Sum(exp(x[j]) * w[j], PAST), w[T]),
    "shifted": layer(LogSumExp(x[j], PAST)),
    "maximum": layer(ReduceMax(x[j], PAST)),
    "minimum": layer(ReduceMin(x[j] * w[i], PAST), w[T]),
    "product": layer(Product(x[j] + 2, PAST)),
    "of_an_attribute": layer(Sum(x[j] * w[j], (j, Max(0, i - width), i)), w[T], attributes={width: 1}),
    "around": layer(Sum(Piecewise((x[j], Abs(i - j) <= width), (0, True)), j), attributes={width: 2}),
    "without_itself": layer(Sum(x[j], (j, Max(0, i - 3), i - 1))),
    "numbers": layer(Sum((i - j + 1) * x[j], PAST)),
    "masked": layer(Sum(Piecewise((x[j], (NEAR) & (w[j] > 0)), (0, True)), j), w[T], constants=[w]),
    "attention": Layer(
        "attention",
        [q[T, D], k[T, D], v[T, D]],
        [
            Eq(
                y[i, d],
                Sum(exp(Sum(q[i, e] * k[j, e], e)) * v[j, d], PAST)
                / Sum(exp(Sum(q[i, f] * k[l, f], f)), (l, Max(0, i - 2), i)),
            )
        ],
    ),
    "a_table": Layer("a_table", [m[T, T], x[T]], [Eq(y[i], Sum(m[i, j] * x[j], PAST))]),
}
PAIRS = {"a_table", "without_itself"}
"""A table of pairs is there anyway; a band that its middle lies outside of stays."""


@pytest.mark.parametrize("extent", [0, 1, 2, 6])
@pytest.mark.parametrize("name", LAYERS)
def test_a_band_means_what_was_declared(name: str, extent: int) -> None:
    rng = np.random.default_rng(extent)
    sizes = {T: extent, D: 2}
    shapes = {t.name: tuple(int(s.subs(sizes)) for s in t.shape) for t in LAYERS[name].inputs}
    arrays = {name: np.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}
    if extent or name not in ("maximum", "minimum", "shifted"):
        assert as_declared(LAYERS[name], arrays)


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - PAIRS))
def test_no_table_of_pairs(name: str) -> None:
    source = compile_layer(LAYERS[name]).source
    functions = source[source.index("def forward") : source.index("# --- helpers")]
    assert "np.arange(T)[:, None] >= np.arange(T)" not in functions
    assert "np.arange(T) - np.arange(T)" not in functions


@pytest.mark.parametrize("settings", [0, 1, 4, 9])
def test_a_width_given_by_an_attribute(settings: int) -> None:
    values = np.random.default_rng(0).normal(size=5)
    assert as_declared(LAYERS["around"], {"x": values}, {"width": settings})


@pytest.mark.parametrize("name", ["squares", "maximum", "products"])
def test_borders_are_read_without_a_mask(name: str) -> None:
    source = compile_layer(LAYERS[name]).source
    forward = source[source.index("def forward") : source.index("def backward")]
    assert "np.where" not in forward
    assert "np.pad(x" in forward
