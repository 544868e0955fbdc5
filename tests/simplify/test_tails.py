"""The normal distribution far out: its logarithm, and quotients by its tail."""

from typing import Any

import mpmath
import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Integer, cosh, erf, erfc, exp, log, pi, sqrt, symbols

from symgrad import Layer, compile_layer
from symgrad.emit.helpers import HELPERS

from .exact import right_everywhere

N = symbols("N", integer=True, positive=True)
x, f, g, y, n = IndexedBase("x"), IndexedBase("f"), IndexedBase("g"), IndexedBase("y"), Idx("n", N)
p = x[n]
POINTS = np.array([-30.0, -12, -6, -1.5, -0.25, 0, 0.5, 2, 6, 9, 12])
SLACK = 40
"""The rounding of x / sqrt(2) counts x^2 times in exp(-x^2 / 2), the only digits of what is nearly 0."""
FORMS: dict[str, Any] = {
    "log distribution": log((1 + erf(p / sqrt(2))) / 2),
    "log survival": log((1 - erf(p / sqrt(2))) / 2),
    "log tail": log(3 * erfc(p)),
    "hazard": exp(-(p**2) / 2) / (1 - erf(p / sqrt(2))),
    "inverse Mills ratio": sqrt(2 / pi) * exp(-(p**2) / 2) / (1 + erf(p / sqrt(2))),
    "density by tail": exp(-(p**2)) / erfc(p),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_tail_of_the_normal_distribution(name: str) -> None:
    layer = Layer("tail", [x[N]], [Eq(y[n], FORMS[name])])
    right_everywhere(layer, {"x": POINTS}, 500, slack=SLACK)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_logarithm_near_1_to_its_last_digits(sign: int) -> None:
    points = np.array([-3, -0.6, -0.45, -1e-3, -1e-5, -1e-9, 1e-9, 1e-5, 1e-3, 0.45, 0.55, 0.75, 3])
    for right in (log(1 + sign * erf(p)), log(exp(p) * (1 + sign * erf(p))) - p):
        right_everywhere(Layer("near", [x[N]], [Eq(y[n], right)]), {"x": points}, 100)


def test_a_named_distribution_in_a_logarithm() -> None:
    distribution = [Eq(f[n], (1 + erf(p / sqrt(2))) / 2), Eq(y[n], log(f[n]))]
    right_everywhere(Layer("named", [x[N]], distribution, outputs=["y"]), {"x": POINTS}, 500, slack=SLACK)


def test_without_a_logarithm_the_error_function_is_computed_as_it_stands() -> None:
    source = compile_layer(Layer("gelu", [x[N]], [Eq(y[n], p * (1 + erf(p / sqrt(2))) / 2)])).source
    assert "_erf(" in source and "erfc" not in source


def helper(name: str) -> Any:
    """A helper function as modules have it, with those that it calls."""
    space: dict[str, Any] = {"np": np}
    for needed in ("_polynomial", "_erf", "_erfcx", name):
        exec(HELPERS[needed], space)
    return space[name]


@pytest.mark.parametrize("name", ["_logerfc", "_loghalferfc"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_logarithms_to_their_last_digits(name: str, dtype: Any) -> None:
    """The rounding of x^2 counts x^2 times where exp(-x^2) is all that a value holds."""
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.uniform(0, 1, 300), rng.uniform(0, 5, 300), 10 ** rng.uniform(-8, 0.7, 300)])
    points = np.concatenate([-sizes, sizes, 10 ** rng.uniform(0.7, 2, 100)]).astype(dtype)
    with mpmath.workdps(60):
        for point, got in zip(points, helper(name)(points), strict=True):
            tail = mpmath.erfc(mpmath.mpf(float(point)))
            want = mpmath.log(tail if name == "_logerfc" else tail / 2)
            units = 6 + (float(point) ** 2 if name == "_loghalferfc" and point < 0 else 0)
            assert abs(float(got) / want - 1) <= units * float(np.finfo(dtype).eps), point


@pytest.mark.parametrize(("name", "eps"), [("_erfcx", 3), ("_ierfcx", 10)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_scaled_functions_to_their_last_digits(name: str, eps: float, dtype: Any) -> None:
    function = helper(name)
    rng = np.random.default_rng(0)
    points = np.concatenate([[0], rng.uniform(0, 1, 300), rng.uniform(0, 8, 300), 10 ** rng.uniform(-8, 2, 300)])
    points = points.astype(dtype)
    with mpmath.workdps(60):
        for point, got in zip(points, function(points), strict=True):
            u = mpmath.mpf(float(point))
            scaled = mpmath.exp(u * u) * mpmath.erfc(u)
            want = scaled if name == "_erfcx" else 1 / mpmath.sqrt(mpmath.pi) - u * scaled
            assert abs(float(got) / want - 1) <= eps * float(np.finfo(dtype).eps), point
    assert function(np.array([np.inf], dtype)) == [0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_an_attribute(dtype: Any) -> None:
    a = symbols("a", positive=True)
    forms = {
        log(erfc(a)): mpmath.log(mpmath.erfc(0.5)),
        log(erfc(a) / 2): mpmath.log(mpmath.erfc(0.5) / 2),
        exp(-(a**2)) / erfc(a): mpmath.exp(-0.25) / mpmath.erfc(0.5),
        log(1 - exp(-a)): mpmath.log(1 - mpmath.exp(-0.5)),
        log(exp(1 + p) - exp(p)) - p: mpmath.log(mpmath.e - 1),
    }
    points = np.array([1.5, -2], dtype)
    for right, want in forms.items():
        compiled = compile_layer(Layer("scaled", [x[N]], [Eq(y[n], p * right)], attributes={a: 0.5}))
        value, residuals = compiled.forward(points)
        assert value.dtype == dtype
        np.testing.assert_allclose(value, points * float(want), rtol=4 * np.finfo(dtype).eps)
        gradient = compiled.backward(residuals, np.ones_like(points)).x
        np.testing.assert_allclose(gradient, float(want), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_whole_numbers(dtype: Any) -> None:
    """What a helper is given need not be a float: a number, an attribute, positions."""
    k = symbols("k", integer=True, positive=True)
    forms = {
        log(1 + exp(Integer(-1))): mpmath.log(1 + mpmath.exp(-1)),
        log(1 + exp(k)): mpmath.log(1 + mpmath.exp(2)),
        1 / (1 + exp(-k)): 1 / (1 + mpmath.exp(-2)),
        log(cosh(k)): mpmath.log(mpmath.cosh(2)),
        log(1 - exp(-k)): mpmath.log(1 - mpmath.exp(-2)),
        erf(k): mpmath.erf(2),
        erfc(k): mpmath.erfc(2),
        log(erfc(k)): mpmath.log(mpmath.erfc(2)),
    }
    points = np.array([1.5, -2], dtype)
    for right, want in forms.items():
        compiled = compile_layer(Layer("scaled", [x[N]], [Eq(y[n], p * right)], attributes={k: 2}))
        value, residuals = compiled.forward(points)
        assert value.dtype == dtype
        np.testing.assert_allclose(value, points * float(want), rtol=4 * np.finfo(dtype).eps, err_msg=str(right))
        assert compiled.backward(residuals, np.ones_like(points)).x.dtype == dtype
    places = compile_layer(Layer("places", [x[N]], [Eq(y[n], p * log(1 + exp(n)) + 1 / (1 + exp(-n)))]))
    want = points * np.log1p(np.exp([0, 1])) + 1 / (1 + np.exp([0, -1]))
    np.testing.assert_allclose(places.forward(points)[0], want, rtol=1e-6)
