"""The naive evaluator over dual numbers: derivatives with the declared rules at kinks.

A dual number is a value and its derivative along every direction asked for. At a kink the rules of the language hold:
an extreme has the derivative of the argument that wins, a tie included; ``ties="split"`` the mean of those of all
winners; Abs, sign and a root of what is flat at 0 have 0 there, rounding 0 everywhere; a Piecewise has the derivative
of the arm that is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import Any

import numpy as np
import numpy.typing as npt

from symgrad.check import scalar
from symgrad.check.arithmetic import Arithmetic
from symgrad.check.evaluator import Arrays, Evaluator, Numbers, Stored, as_array, stored
from symgrad.check.scalar import FUNCTIONS, Unary
from symgrad.declare.layer import Layer

Slope = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Dual:
    """A value, its derivatives (one per direction), and which directions it hangs on at all (a bit for each)."""

    value: float
    slope: Slope
    reach: int
    __array_ufunc__ = None  # an array of NumPy's on the left leaves the operation to this class

    @property
    def real(self) -> float:
        """The value, for comparisons."""
        return self.value

    def chain(self, value: float, factor: float) -> Dual:
        """Return ``value``, which changes by ``factor`` as this number does.

        An infinite factor leaves the directions alone on which this number does not hang; a derivative that happens to
        be 0 becomes nan.
        """
        slope = self.slope * factor
        if not math.isfinite(factor):
            hangs = [bool(self.reach >> place & 1) for place in range(slope.size)]
            slope = np.where(hangs, slope, 0.0)
        return Dual(value, slope, self.reach)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope, self.reach)

    def __add__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slope + other.slope, self.reach | other.reach)
        return Dual(self.value + float(other), self.slope, self.reach)

    def __sub__(self, other: Any) -> Dual:
        return self.__add__(-other)

    def __mul__(self, other: Any) -> Dual:
        value = self.value * float(other.real)
        moved = self.chain(value, float(other.real))
        if not isinstance(other, Dual):
            return moved
        return Dual(value, moved.slope + other.chain(value, self.value).slope, self.reach | other.reach)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Dual:
        return (-self).__add__(other)


# d f(x), as a function of x and of y = f(x); textbook derivatives
DERIVATIVES: Mapping[str, Callable[[float, float], float]] = {
    "exp": lambda x, y: y,
    "log": lambda x, y: 1 / x,
    "sqrt": lambda x, y: 1 / (2 * y),
    "sin": lambda x, y: math.cos(x),
    "cos": lambda x, y: -math.sin(x),
    "tan": lambda x, y: 1 + y * y,
    "asin": lambda x, y: 1 / math.sqrt(1 - x * x),
    "acos": lambda x, y: -1 / math.sqrt(1 - x * x),
    "atan": lambda x, y: 1 / (1 + x * x),
    "sinh": lambda x, y: math.cosh(x),
    "cosh": lambda x, y: math.sinh(x),
    "tanh": lambda x, y: 1 - y * y,
    "asinh": lambda x, y: 1 / math.sqrt(x * x + 1),
    "acosh": lambda x, y: 1 / math.sqrt(x * x - 1),
    "atanh": lambda x, y: 1 / (1 - x * x),
    "sec": lambda x, y: y * math.tan(x),
    "csc": lambda x, y: -y / math.tan(x),
    "cot": lambda x, y: -1 - y * y,
    "sech": lambda x, y: -y * math.tanh(x),
    "csch": lambda x, y: -y / math.tanh(x),
    "coth": lambda x, y: 1 - y * y,
    "erf": lambda x, y: 2 / math.sqrt(math.pi) * math.exp(-x * x),
    "erfc": lambda x, y: -2 / math.sqrt(math.pi) * math.exp(-x * x),
    "gamma": lambda x, y: y * scalar.polygamma(0, x),
    "loggamma": lambda x, y: scalar.polygamma(0, x),
    "Abs": lambda x, y: scalar.sign(x),
}


class TangentArithmetic(Arithmetic):
    """Dual numbers among plain ones. ``narrow`` counts the near ties that rounding may have decided."""

    def __init__(self) -> None:
        self.narrow = 0

    def function(self, name: str) -> Unary | None:
        """Apply the chain rule to a dual number."""
        plain, derivative = FUNCTIONS.get(name), DERIVATIVES.get(name)
        return None if plain is None else partial(self._apply, plain, derivative)

    def _apply(self, plain: Unary, derivative: Callable[[float, float], float] | None, x: Any) -> Any:
        if not isinstance(x, Dual):
            return plain(x)
        value = plain(x.value)
        if derivative is None:  # sign and rounding: constant between their jumps
            self._look(x, FUNCTIONS["floor"](x.value), FUNCTIONS["ceiling"](x.value))
            return value
        return x.chain(value, _finite(derivative, x.value, value))

    def power(self, base: Any, exponent: Any) -> Any:
        """Differentiate by the base where it is dual, by the exponent where that is."""
        a, b = base.real, exponent.real
        value = scalar.power(a, b)
        parts = []
        if isinstance(base, Dual):
            flat = b == 0 or (a == 0 and not base.slope.any())  # a root of a sum of squares has slope 0 where it is 0
            parts.append(base.chain(float(value), 0.0 if flat else float(b * scalar.power(a, b - 1))))
        if isinstance(exponent, Dual):
            parts.append(exponent.chain(float(value), float(value * FUNCTIONS["log"](a))))
        return _joined(parts) if parts else value

    def modulo(self, x: Any, y: Any) -> Any:
        """Differentiate ``x - y*floor(x/y)``, the quotient constant."""
        value = scalar.modulo(x.real, y.real)
        if not isinstance(x, Dual) and not isinstance(y, Dual):
            return value
        self._look(value, 0, y.real)
        quotient = round((x.real - value) / y.real) if math.isfinite(value) else math.nan
        return (x - y * quotient).chain(float(value), 1.0)

    def atan2(self, y: Any, x: Any) -> Any:
        """Differentiate the angle: ``(x dy - y dx) / (x^2 + y^2)``."""
        value = scalar.atan2(y.real, x.real)
        if not isinstance(x, Dual) and not isinstance(y, Dual):
            return value
        moved: Dual = y * x.real - x * y.real
        return moved.chain(value, float(scalar.power(x.real**2 + y.real**2, -1)))

    def polygamma(self, order: Any, x: Any) -> Any:
        """The derivative of one order is the next."""
        value = scalar.polygamma(order, x.real)
        return x.chain(value, scalar.polygamma(order + 1, x.value)) if isinstance(x, Dual) else value

    def compare(self, relation: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
        """Compare the values."""
        self._look(left, right)
        return super().compare(relation, left, right)

    def extreme(self, values: Sequence[Any], largest: bool) -> int:
        """Compare the values; the winner keeps its derivatives."""
        winner = super().extreme(values, largest)
        self._look(values[winner], *(v for v in values if v is not values[winner]))
        return winner

    def share(self, values: Sequence[Any], winner: int) -> Any:
        """Give each of the equal values an equal part."""
        winners = [v for v in values if v.real == values[winner].real]
        duals = [v for v in winners if isinstance(v, Dual)]
        return _joined(duals).chain(values[winner].real, 1 / len(winners)) if duals else values[winner]

    def _look(self, value: Any, *others: Any) -> None:
        """Count a value that is close to another and not equal: exact arithmetic might have made it equal."""
        for other in others:
            gap = abs(value.real - other.real)
            self.narrow += 0 < gap < 1e-9 * max(1.0, abs(value.real))


def _joined(parts: Sequence[Dual]) -> Dual:
    """Return the first value, with the derivatives of all."""
    slope = sum([p.slope for p in parts[1:]], parts[0].slope)
    return Dual(parts[0].value, slope, reduce(or_, [p.reach for p in parts]))


def _finite(derivative: Callable[[float, float], float], x: float, y: float) -> float:
    try:
        return derivative(x, y)
    except ZeroDivisionError:
        return math.inf
    except (ValueError, OverflowError):
        return math.nan


@dataclass(frozen=True)
class Linearised:
    """Left sides at a point, and their derivatives.

    Attributes:
        values: every left side by name, of shape ``shape``.
        jacobian: by left side and input, of shape ``shape + input's shape``.
        certain: no near tie was met, so the branches taken do not hang on rounding.
    """

    values: Mapping[str, npt.NDArray[Any]]
    jacobian: Mapping[str, Mapping[str, Slope]]
    certain: bool

    def pull_back(self, cotangents: Mapping[str, npt.NDArray[Any]]) -> dict[str, Slope]:
        """Return the gradient of every real input: the sum over outputs of cotangent times derivative."""
        gradients: dict[str, Slope] = {}
        with np.errstate(all="ignore"):
            for output, cotangent in cotangents.items():
                for name, jacobian in self.jacobian[output].items():
                    part = np.tensordot(cotangent, jacobian, axes=cotangent.ndim)
                    gradients[name] = gradients.get(name, 0) + part
        return gradients


def linearise(layer: Layer, arrays: Arrays, attributes: Numbers) -> Linearised:
    """Evaluate a layer and the derivative of every left side by every input that gets a gradient.

    Raises:
        CheckError: as ``evaluate``.
    """
    arithmetic = TangentArithmetic()
    seeded = {t.name: np.asarray(arrays[t.name]) for t in layer.inputs if not t.integer and not t.constant}
    total = sum(a.size for a in seeded.values())
    inputs = {t.name: stored(arrays[t.name], t.integer) for t in layer.inputs}
    place = 0
    for name, array in seeded.items():
        inputs[name] = Stored(array.shape, _seeds(inputs[name].elements, place, total))
        place += array.size
    with np.errstate(all="ignore"):
        lefts = {
            name: (left.shape, left.elements())
            for name, left in Evaluator(layer, arithmetic).run(inputs, attributes).items()
        }
    values = {name: as_array([e.real for e in elements], shape) for name, (shape, elements) in lefts.items()}
    jacobians = {name: _split(elements, shape, seeded, total) for name, (shape, elements) in lefts.items()}
    return Linearised(values, jacobians, arithmetic.narrow == 0)


def _seeds(elements: Sequence[float], first: int, total: int) -> list[Dual]:
    """Return the elements, each moving along a direction of its own."""
    identity = np.eye(len(elements), total, first)
    rows = enumerate(zip(elements, identity, strict=True), start=first)
    return [Dual(float(e), row, 1 << place) for place, (e, row) in rows]


def _split(elements: Sequence[Any], shape: tuple[int, ...], seeded: Arrays, total: int) -> dict[str, Slope]:
    """Return the derivatives of a left side by every input, out of the directions one after the other."""
    slopes = np.array([e.slope if isinstance(e, Dual) else np.zeros(total) for e in elements]).reshape(
        len(elements), total
    )
    parts, place = {}, 0
    for name, array in seeded.items():
        parts[name] = slopes[:, place : place + array.size].reshape(shape + array.shape)
        place += array.size
    return parts
