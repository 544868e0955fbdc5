"""What forward checks on entry is known where borders and extents are decided."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Gt, Idx, IndexedBase, Mod, Piecewise, symbols

from symgrad import Layer, LogSumExp, compile_layer

B, M, T, P = symbols("B M T P", integer=True, positive=True)
blank = symbols("blank", integer=True, nonnegative=True)
x, y, w = (IndexedBase(name) for name in "xyw")
b, p, t, i, j = Idx("b", B), Idx("p", P), Idx("t", T), Idx("i", M), Idx("j", M)


def chosen(requires: list) -> Layer:
    """One column at every other position."""
    body = Piecewise((x[b, blank], Eq(Mod(p, 2), 0)), (0, True))
    return Layer(
        "chosen", [x[B, M]], [Eq(y[b, p], body)], attributes={blank: 0, P: 3}, outputs=["y"], requires=requires
    )


def functions(source: str) -> str:
    return source[source.index("def forward") : source.index("# --- helpers")]


def test_a_required_bound_needs_no_border() -> None:
    compiled = compile_layer(chosen([blank < M]))
    text = functions(compiled.source)
    assert "np.pad" not in text and "max(" not in text and "_within" not in text
    array = np.arange(6.0).reshape(2, 3)
    found, residuals = compiled.forward(array, blank=2)
    np.testing.assert_array_equal(found, [[2, 0, 2], [5, 0, 5]])
    np.testing.assert_array_equal(compiled.backward(residuals, np.ones((2, 3))).x, [[0, 0, 2], [0, 0, 2]])
    with pytest.raises(ValueError, match="blank < M must hold"):
        compiled.forward(array, blank=3)


def test_without_the_requirement_the_border_stays() -> None:
    assert "x_padded = _extended(x, " in functions(compile_layer(chosen([])).source)


def partition(requires: list) -> Layer:
    going = LogSumExp(y[b, t - 1, i] + w[i, j], i)
    equation = Eq(y[b, t, j], x[b, t, j] + Piecewise((0, Eq(t, 0)), (going, True)))
    return Layer("partition", [x[B, T, M], w[M, M]], [equation], requires=requires)


def test_an_extent_that_is_required_is_not_cut_off_at_zero() -> None:
    assert "max(T - 1, 0)" not in functions(compile_layer(partition([Gt(T, 0, evaluate=False)])).source)
    open_ = compile_layer(partition([]))
    assert "max(T - 1, 0)" in functions(open_.source)
    assert open_.forward(np.ones((2, 0, 3)), np.ones((3, 3)))[0].shape == (2, 0, 3)
    with pytest.raises(ValueError, match="T > 0 must hold"):
        compile_layer(partition([Gt(T, 0, evaluate=False)])).forward(np.ones((2, 0, 3)), np.ones((3, 3)))
