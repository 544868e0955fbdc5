"""Elementary functions of one number: int, Fraction, float or complex.

What is exact stays exact (indices and extents are integers, and fractions of them); what is real follows IEEE, so that
nothing raises: log(0) is -inf, the root of a negative number is nan. A complex number is a complex step, Squire and
Trapp, Using complex variables to estimate derivatives of real functions: it takes the branch of its real part.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np

Unary = Callable[[Any], Any]


def _function(real: Unary, complexed: Unary, edge: Unary) -> Unary:
    """Combine the function of a real and of a complex number with what it is where Python raises."""

    def function(x: Any) -> Any:
        try:
            return complexed(x) if isinstance(x, complex) else real(x)
        except (OverflowError, ValueError, ZeroDivisionError):
            return edge(x)

    return function


def _ieee(ufunc: Callable[..., Any]) -> Unary:
    def edge(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return ufunc(x if isinstance(x, complex) else float(x)).item()

    return edge


def _mpmath(function: Callable[..., Any]) -> Unary:
    return lambda x: complex(function(x))


def absolute(x: Any) -> Any:
    """Return the absolute value; of a complex step, the value on the side of its real part."""
    return -x if x.real < 0 else x


def sign(x: Any) -> Any:
    """Return -1, 0 or 1; nan of nan."""
    return math.nan if x.real != x.real else (x.real > 0) - (x.real < 0)


def floor(x: Any) -> Any:
    """Return the largest integer that is not larger, as an int; infinities and nan as they are."""
    return math.floor(x.real) if math.isfinite(x.real) else x.real


def ceiling(x: Any) -> Any:
    """Return the smallest integer that is not smaller, as an int; infinities and nan as they are."""
    return -floor(-x)


def modulo(x: Any, y: Any) -> Any:
    """Return ``x - y*floor(x/y)``, which has the sign of ``y``; nan where there is no quotient."""
    if not (math.isfinite(x.real) and math.isfinite(y.real)) or y.real == 0:
        return math.nan
    if isinstance(x, complex) or isinstance(y, complex):
        return x - y * math.floor(x.real / y.real)
    return x % y


def power(base: Any, exponent: Any) -> Any:
    """Return ``base**exponent``: exact for an integer power of a rational, nan for a root of a negative number."""
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        exponent = exponent.numerator
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        return base**exponent
    if isinstance(base, int | Fraction) and isinstance(exponent, int) and (base != 0 or exponent >= 0):
        exact = Fraction(base) ** exponent
        return exact.numerator if exact.denominator == 1 else exact
    if isinstance(base, complex) or isinstance(exponent, complex):
        return _complex_power(base, exponent)
    if exponent == Fraction(1, 2):
        return FUNCTIONS["sqrt"](base)
    base, exponent = float(base), float(exponent)
    if base < 0 and math.isfinite(exponent) and exponent != math.floor(exponent):
        return math.nan
    try:
        return base**exponent
    except (OverflowError, ZeroDivisionError):
        with np.errstate(all="ignore"):
            return float(np.power(base, exponent))


def _complex_power(base: Any, exponent: Any) -> Any:
    try:
        return base ** (float(exponent) if isinstance(exponent, Fraction) else exponent)
    except (OverflowError, ZeroDivisionError):
        return complex(math.nan)


def polygamma(order: Any, x: Any) -> Any:
    """Return the derivative of digamma of the given order."""
    return complex(mpmath.psi(order, x)) if isinstance(x, complex) else float(mpmath.psi(order, float(x)))


def atan2(y: Any, x: Any) -> Any:
    """Return the angle of the point ``(x, y)``; a complex step moves it by ``(x dy - y dx) / (x^2 + y^2)``."""
    angle = math.atan2(y.real, x.real)
    if not isinstance(x, complex) and not isinstance(y, complex):
        return angle
    return complex(angle, (x.real * y.imag - y.real * x.imag) / (x.real**2 + y.real**2))


def _reciprocal(name: str) -> Unary:
    return lambda x: power(FUNCTIONS[name](x), -1)


_LIBRARY = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}
_RECIPROCALS = {"sec": "cos", "csc": "sin", "cot": "tan", "sech": "cosh", "csch": "sinh", "coth": "tanh"}

FUNCTIONS: Mapping[str, Unary] = {
    **{name: _function(getattr(math, name), getattr(cmath, name), _ieee(u)) for name, u in _LIBRARY.items()},
    **{name: _reciprocal(of) for name, of in _RECIPROCALS.items()},
    "erf": _function(math.erf, _mpmath(mpmath.erf), lambda x: math.nan),
    "erfc": _function(math.erfc, _mpmath(mpmath.erfc), lambda x: math.nan),
    "gamma": _function(math.gamma, _mpmath(mpmath.gamma), lambda x: math.inf if x.real > 0 else math.nan),
    "loggamma": _function(math.lgamma, _mpmath(mpmath.loggamma), lambda x: math.inf),
    "Abs": absolute,
    "sign": sign,
    "floor": floor,
    "ceiling": ceiling,
}
"""Functions of one argument by the name of their class in SymPy."""
