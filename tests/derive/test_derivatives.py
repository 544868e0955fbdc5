"""Every row of the tables of derivatives against numerical ones in high precision; kinks by the declared rule."""

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import symgrad
from symgrad.declare.algebra import add, apply, divide, from_integer, multiply, number, power, select
from symgrad.declare.conditions import relation
from symgrad.declare.integers import Index, Size, as_poly
from symgrad.declare.scalars import NOUGHT, UNIT, Apply, Number, Power, Read, Reduce, Scalar, Stopped
from symgrad.declare.textform import parse_layer
from symgrad.derive.derivatives import BINARY, UNARY, derivative
from symgrad.errors import DerivationError

from ..data_evaluator import EXACT, World, scalar

u, v, w = (Read(name, ()) for name in "uvw")
i = Index("i", as_poly(Size("N")))
ANYWHERE = ("-2.3", "-0.71", "-0.04", "0.33", "1.9")
DOMAINS = {
    "log": ("0.02", "0.7", "5.3"),
    "log1p": ("-0.9", "-0.2", "3.1"),
    "log1mexp": ("-2.9", "-0.7", "-0.02"),
    "arcsin": ("-0.9", "-0.3", "0.6"),
    "arccos": ("-0.9", "-0.3", "0.6"),
    "arctanh": ("-0.9", "-0.3", "0.6"),
    "arccosh": ("1.1", "2.7"),
}


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(30):
        yield


def at(node: Scalar, **values: Any) -> Any:
    tensors = {name: {(): mpmath.mpf(value)} for name, value in values.items() if name in "uvw"}
    integers = {name: int(value) for name, value in values.items() if name not in "uvw"}
    return scalar(node, World(integers, tensors, EXACT))


def numerical(node: Scalar, by: str, **values: Any) -> Any:
    return mpmath.diff(lambda x: at(node, **{**values, by: x}), mpmath.mpf(values[by]))


def close(got: Any, want: Any) -> bool:
    return bool(mpmath.almosteq(got, want, rel_eps=mpmath.mpf(10) ** -12, abs_eps=mpmath.mpf(10) ** -12))


# --- the tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", UNARY)
def test_functions_of_one_argument(function: str) -> None:
    node = Apply(function, (u,))
    slope = derivative(node, u)
    for point in DOMAINS.get(function, ANYWHERE):
        assert close(at(slope, u=point), numerical(node, "u", u=point)), f"{function} at {point}: {slope}"


@pytest.mark.parametrize("function", UNARY)
def test_the_chain_rule(function: str) -> None:
    inner = divide(u, number(3)) if function != "arccosh" else add(power(u, number(2)), number(2))
    if function in ("log", "log1p"):
        inner = add(power(u, number(2)), Number(Fraction(1, 7)))
    node = multiply(v, Apply(function, (inner,)))
    for point in ("-1.3", "0.9"):
        assert close(at(derivative(node, u), u=point, v="1.7"), numerical(node, "u", u=point, v="1.7")), function
        assert close(at(derivative(node, v), u=point, v="1.7"), numerical(node, "v", u=point, v="1.7")), function


@pytest.mark.parametrize("function", BINARY)
def test_functions_of_two_arguments(function: str) -> None:
    node = Apply(function, (u, v))
    for a, b in (("1.3", "0.7"), ("-1.1", "2.3"), ("0.4", "-1.7"), ("-2.2", "-0.6")):
        for read, by in ((u, "u"), (v, "v")):
            slope = derivative(node, read)
            assert close(at(slope, u=a, v=b), numerical(node, by, u=a, v=b)), f"{function}({a}, {b}) by {by}: {slope}"


@pytest.mark.parametrize(
    ("exponent", "points"),
    [
        (number(2), ANYWHERE),
        (number(-3), ANYWHERE),
        (Number(Fraction(1, 2)), ("0.3", "4.2")),
        (Number(Fraction(-3, 2)), ("0.3", "4.2")),
        (Number(0.3), ("0.3", "4.2")),
        (from_integer(as_poly(i)), ANYWHERE),
        (v, ("0.3", "4.2")),
        (multiply(u, v), ("0.3", "4.2")),
    ],
    ids=str,
)
def test_powers(exponent: Scalar, points: tuple[str, ...]) -> None:
    node = Power(u, exponent)
    for point in points:
        for place in (0, 1, 4):
            values = {"u": point, "v": "1.3", "i": place, "N": 5}
            assert close(at(derivative(node, u), **values), numerical(node, "u", **values)), f"{node} at {values}"
            assert close(at(derivative(node, v), **values), numerical(node, "v", **values))


@pytest.mark.parametrize("place", range(4))
def test_integer_powers_at_zero(place: int) -> None:
    """0**0 is 1 and its slope 0: no negative power, and no logarithm, is left in the derivative."""
    slope = derivative(Power(u, from_integer(as_poly(i))), u)
    assert at(slope, u=0, i=place, N=5) == (1 if place == 1 else 0)
    assert at(derivative(Power(u, number(2)), u), u=0) == 0


def test_sums_products_and_choices() -> None:
    node = add(
        multiply(number(3), u, u, v),
        multiply(u, apply("sin", multiply(u, v))),
        select(relation("<", u, v), power(u, number(3)), apply("exp", multiply(u, v))),
    )
    for values in ({"u": "0.4", "v": "1.1"}, {"u": "1.4", "v": "-0.3"}):
        for read, by in ((u, "u"), (v, "v")):
            assert close(at(derivative(node, read), **values), numerical(node, by, **values))


# --- kinks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["abs", "sign", "floor", "ceil"])
def test_slopes_at_a_kink_are_zero(function: str) -> None:
    assert at(derivative(Apply(function, (u,)), u), u=0) == 0


def test_slopes_beside_a_kink() -> None:
    assert [at(derivative(apply("abs", u), u), u=x) for x in ("-0.1", "0.1")] == [-1, 1]
    assert [at(derivative(apply("mod", u, number(2)), u), u=x) for x in ("-0.1", 0, 2)] == [1, 1, 1]


@pytest.mark.parametrize("function", ["max", "min"])
@pytest.mark.parametrize("count", [2, 3])
def test_the_first_of_equal_arguments_wins(function: str, count: int) -> None:
    """Ties of every kind between two or three arguments: exactly one has the slope, the first that is extreme."""
    reads = (u, v, w)[:count]
    node = Apply(function, reads)
    best = {"max": max, "min": min}[function]
    for a in (0, 1):
        for b in (0, 1):
            for c in (0, 1):
                values = dict(zip("uvw", (a, b, c), strict=True))
                given = [values[name] for name in "uvw"[:count]]
                slopes = [at(derivative(node, read), **values) for read in reads]
                assert slopes == [int(p == given.index(best(given))) for p in range(count)], values


def test_a_number_first_wins_a_tie() -> None:
    """ReLU'(0) = 0: the door puts arguments without tensors first."""
    relu = Apply("max", (number(0), u))
    assert [at(derivative(relu, u), u=x) for x in (-1, 0, 1)] == [0, 0, 1]


def test_the_slope_of_a_choice_is_that_of_the_arm_taken() -> None:
    leaky = select(relation("<", number(0), u), u, multiply(number(3), u))
    assert [at(derivative(leaky, u), u=x) for x in (-1, 0, 1)] == [3, 3, 1]


# --- what has no slope -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", [number(3), v, Stopped(u), from_integer(as_poly(i))], ids=str)
def test_constants(node: Scalar) -> None:
    assert derivative(node, u) == NOUGHT
    assert derivative(multiply(u, node), u) == node or isinstance(node, Number)


def test_a_read_by_itself() -> None:
    assert derivative(u, u) == UNIT
    here, there = Read("x", (as_poly(i),)), Read("x", (as_poly(i) + 1,))
    assert derivative(multiply(here, there), here) == there


def test_a_reduction_is_no_pointwise_expression() -> None:
    """split names every reduction first; one that is met here is constant for the pointwise rules."""
    assert derivative(Reduce("sum", (i,), relation("<", u, v), u), u) == NOUGHT


def test_a_function_without_a_derivative_is_refused() -> None:
    with pytest.raises(DerivationError, match="gamma"):
        derivative(Apply("gamma", (u,)), u)


@pytest.mark.parametrize(
    "text, value, expected",
    [
        ("y = max(where(x >= 0, sqrt(x), 0), 1)", 0.0, 0.0),
        ("y = min(stop_gradient(exp(x))*x, 1)", 1000.0, 0.0),
        ("y = min(where(x > 0, x**-2, 3), 1)", 1e-200, 0.0),
        ("y = max(where(x > 0, sqrt(x), 0), 1)", 0.0, 0.0),
        ("y = max(where(x > 0, log(x), 0), -2)", 1e-300, 0.0),
    ],
)
def test_a_loser_with_an_infinite_slope_has_none(text: str, value: float, expected: float) -> None:
    module = symgrad.compile_layer(parse_layer(text))
    with np.errstate(all="ignore"):
        _, residuals = module.forward(np.array(value))
        gradient = module.backward(residuals, np.array(1.0)).x
    np.testing.assert_array_equal(gradient, expected)
