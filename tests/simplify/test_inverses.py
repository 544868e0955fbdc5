"""An exponential less 1 below the line: neither overflow nor a warning where it is large."""

from typing import Any

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, exp, symbols

from symgrad import Layer

from .exact import right_everywhere

N = symbols("N", integer=True, positive=True)
x, y, n = IndexedBase("x"), IndexedBase("y"), Idx("n", N)
p = x[n]
POINTS = np.array([-1e4, -60, -1.5, -0.5, 0.5, 1.5, 89, 1e4])
FORMS: dict[str, Any] = {
    "inverse": 1 / (exp(p) - 1),
    "mean energy": p / (exp(p) - 1),
    "spectral density": p**3 / (exp(p) - 1),
    "mirrored": p / (1 - exp(-p)),
    "scaled exponent": p / (3 * exp(2 * p) - 3),
    "heat": p**2 * exp(p) / (exp(p) - 1) ** 2,
    "distance": 1 / (1 + Abs(exp(p) - 1)),
    "mirrored distance": p / (3 + 2 * Abs(1 - exp(-p))) ** 2,
}


@pytest.mark.parametrize("name", FORMS)
def test_an_exponential_less_one_below_the_line(name: str) -> None:
    layer = Layer("below", [x[N]], [Eq(y[n], FORMS[name])])
    right_everywhere(layer, {"x": POINTS}, 9000)
