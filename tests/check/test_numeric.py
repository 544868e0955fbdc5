"""Numerical derivatives: right where the layer is smooth, silent where a kink is near."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, Max, Mod, Piecewise, Sum, exp, sin, symbols

from symgrad import ReduceMax
from symgrad.check.numeric import Coordinate, Numeric, along, coordinates, moved
from symgrad.check.shapes import Sizes
from symgrad.check.values import Case

from .bare import N, X, Y, bare

i, j = symbols("i j", integer=True)
I_N, J_N = Idx("i", N), Idx("j", N)


def numeric(expression: Any, x: Any, cotangent: Any) -> Numeric:
    arrays = {"x": np.asarray(x, dtype=float)}
    return Numeric(bare([X[N]], Eq(Y[I_N], expression)), Case(Sizes({}, {}), arrays), {"y": np.asarray(cotangent)})


def test_derivatives_along_coordinates_and_directions() -> None:
    x, cotangent, direction = np.array([0.3, -1.2, 2.0]), np.array([1.0, -2.0, 0.5]), np.array([0.1, 1.0, -1.0])
    found = numeric(sin(X[i]) * Sum(exp(X[j]), J_N), x, cotangent)
    gradient = cotangent * np.cos(x) * np.exp(x).sum() + np.exp(x) * (cotangent * np.sin(x)).sum()
    for place in range(3):
        unit = Coordinate("x", (place,)).direction({"x": x})
        assert found.central(unit) == pytest.approx(gradient[place], rel=1e-8)
        assert found.complex_step(unit) == pytest.approx(gradient[place], rel=1e-14)
    assert found.settled({"x": direction}) == pytest.approx(gradient @ direction, rel=1e-8)
    assert found.complex_step({"x": direction}) == pytest.approx(gradient @ direction, rel=1e-14)
    assert along({"x": gradient}, {"x": direction}) == pytest.approx(gradient @ direction)


@pytest.mark.parametrize(
    "expression",
    [
        Max(X[i], 0),
        Abs(X[i]),
        Piecewise((X[i] ** 2, X[i] > 0), (X[i], True)),
        Mod(X[i] + 1, 1),
        ReduceMax(X[j], (j, 0, 1)),
    ],
)
def test_a_kink_in_the_way_is_noticed(expression: Any) -> None:
    at_kink, away = numeric(expression, [0.0, 0.0], [1.0, 1.0]), numeric(expression, [0.25, 0.5], [1.0, 1.0])
    unit = {"x": np.array([1.0, 0.0])}
    assert at_kink.central(unit) is None
    assert at_kink.settled(unit) is None
    assert away.central(unit) is not None


def test_a_kink_elsewhere_is_not_in_the_way() -> None:
    found = numeric(Max(X[i], 0), [0.0, 2.0], [1.0, 3.0])
    assert found.central({"x": np.array([0.0, 1.0])}) == pytest.approx(3.0)


def test_what_bends_too_much_is_not_settled() -> None:
    found = numeric(sin(1e5 * X[i]), [0.3], [1.0])
    assert found.central({"x": np.array([1.0])}) is not None
    assert found.settled({"x": np.array([1.0])}) is None


def test_what_is_not_finite_is_unknown() -> None:
    found = numeric(1 / X[i], [0.0], [1.0])
    assert found.central({"x": np.array([1.0])}) is None or found.settled({"x": np.array([1.0])}) is None


def test_coordinates_are_distinct_and_in_shape() -> None:
    arrays = {"x": np.zeros((3, 4)), "w": np.zeros(()), "empty": np.zeros((0, 2))}
    chosen = list(coordinates(arrays, ("x", "w", "empty"), 5, np.random.default_rng(0)))
    assert len(set(chosen)) == 6
    assert [c for c in chosen if c.tensor == "w"] == [Coordinate("w", ())]
    assert all(0 <= r < 3 and 0 <= s < 4 for r, s in (c.position for c in chosen if c.tensor == "x"))


def test_moving_leaves_the_arrays_alone() -> None:
    arrays = {"x": np.ones(2), "ids": np.arange(2)}
    there = moved(arrays, {"x": np.array([1.0, 0.0])}, 0.5)
    assert there["x"].tolist() == [1.5, 1.0]
    assert there["ids"].dtype == arrays["ids"].dtype
    assert arrays["x"].tolist() == [1.0, 1.0]
