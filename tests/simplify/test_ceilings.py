"""What an extremum or a choice leaves out is not computed where it is infinite, and has slope 0 there."""

from typing import Any

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Max, Min, Piecewise, Rational, exp, log, symbols

from symgrad import Layer, compile_layer

from .exact import quiet, right_everywhere

N = symbols("N", integer=True, positive=True)
x, e, y, n = IndexedBase("x"), IndexedBase("e"), IndexedBase("y"), Idx("n", N)
p = x[n]
POINTS = np.array([-1e3, -90, -1.5, -1e-3, 1e-3, 0.5, 60, 100, 1e3])


def pointwise(right: Any, *more: Any) -> Layer:
    return Layer("pointwise", [x[N]], [*more, Eq(y[n], right)], outputs=[y])


FORMS: dict[str, Any] = {
    "exponential linear": Max(p, 0) + Min(exp(p) - 1, 0),
    "scaled": Rational(21, 20) * (Max(p, 0) + Min(Rational(5, 3) * (exp(p) - 1), 0)),
    "continuous": Max(p, 0) + Min(3 * (exp(p / 3) - 1), 0),
    "mirrored": 3 * Max(1 - exp(p), 0),
    "below a number": Min(exp(p), 2),
    "above a number": Max(3 - 2 * exp(p), -5),
    "bounded exponential": 1 / (1 + Min(exp(-p), 7)),
}


@pytest.mark.parametrize("name", FORMS)
def test_extrema_of_exponentials(name: str) -> None:
    right_everywhere(pointwise(FORMS[name]), {"x": POINTS}, 3000)


def test_an_extremum_of_a_named_exponential() -> None:
    right_everywhere(pointwise(Min(e[n], 2) + Max(p, 0), Eq(e[n], exp(p))), {"x": POINTS}, 3000)


def test_the_number_still_wins_the_tie() -> None:
    _, gradients = quiet(pointwise(Min(exp(p) - 1, 0)), {"x": np.zeros(1)})
    assert gradients["x"] == [0]


@pytest.mark.parametrize(
    ("right", "place", "slope"),
    [
        (Min(p**4, 2), 1e15, 0),
        (Max(log(p), -5), 0, 0),
        (Min(1 / p, 3), 0, 0),
        (Max(-(p**3), -8), 1e20, 0),
    ],
    ids=str,
)
def test_an_infinite_slope_that_is_left_out_is_0(right: Any, place: float, slope: float) -> None:
    compiled = compile_layer(pointwise(right))
    with np.errstate(over="ignore", divide="ignore"):  # of the value that is left out
        _, residuals = compiled.forward(np.array([place], np.float32))
        assert compiled.backward(residuals, np.ones(1, np.float32)).x == [slope]


CHOICES: dict[str, Any] = {
    "Huber": Piecewise((p**2 / 2, Abs(p) < 1), (Abs(p) - Rational(1, 2), True)),
    "Tukey": Piecewise((p**2 / 2 - p**4 / 4 + p**6 / 24, Abs(p) < 2), (Rational(2, 3), True)),
    "smooth hinge": Piecewise((0, p >= 1), ((1 - p) ** 2 / 2, p > 0), (Rational(1, 2) - p, True)),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_branch_that_is_not_taken_does_not_overflow(name: str) -> None:
    large = np.array([-1e25, -1e10, -3, -0.75, 0.25, 0.75, 4, 1e10, 1e25])
    right_everywhere(pointwise(CHOICES[name]), {"x": large}, 120)
