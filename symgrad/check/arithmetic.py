"""What the operations of an equation do to numbers: plainly, or recording every decision on the way.

The naive evaluator is written once over this interface; ``tangent.py`` runs it over numbers that carry derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgrad.check import scalar
from symgrad.check.scalar import FUNCTIONS, Unary

DECIDING = frozenset({"Abs", "sign", "floor", "ceiling"})
"""Functions that decide: they are smooth only between the points where what they decide changes."""


class Arithmetic:
    """Plain numbers."""

    def function(self, name: str) -> Unary | None:
        """Return the function that SymPy calls ``name``, None where there is none."""
        return FUNCTIONS.get(name)

    def power(self, base: Any, exponent: Any) -> Any:
        """Return ``base**exponent``."""
        return scalar.power(base, exponent)

    def modulo(self, x: Any, y: Any) -> Any:
        """Return ``x - y*floor(x/y)``."""
        return scalar.modulo(x, y)

    def atan2(self, y: Any, x: Any) -> Any:
        """Return the angle of the point ``(x, y)``."""
        return scalar.atan2(y, x)

    def polygamma(self, order: Any, x: Any) -> Any:
        """Return the derivative of digamma of the given order."""
        return scalar.polygamma(order, x)

    def compare(self, relation: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
        """Return whether the relation holds, of the real parts."""
        return relation(left.real, right.real)

    def extreme(self, values: Sequence[Any], largest: bool) -> int:
        """Return the position of the first largest (or smallest) value; of the first nan if there is one."""
        best = 0
        for k, value in enumerate(values):
            if value.real != value.real:
                return k
            if value.real > values[best].real if largest else value.real < values[best].real:
                best = k
        return best

    def share(self, values: Sequence[Any], winner: int) -> Any:
        """Return the mean of the values equal to the winner: each has an equal part in what becomes of it."""
        if not isinstance(values[winner], complex):
            return values[winner]
        winners = [v for v in values if v.real == values[winner].real]
        return sum(winners) / len(winners)

    def stop(self, x: Any) -> Any:
        """Return the value, constant for differentiation."""
        return x.real


class Recording(Arithmetic):
    """Plain numbers; ``decisions`` lists the branch taken by every comparison, extreme, sign and rounding of reals.

    Two runs with the same decisions evaluate one smooth function: no kink lies between their inputs.
    """

    def __init__(self) -> None:
        self.decisions: list[Any] = []

    def function(self, name: str) -> Unary | None:
        """Record what the function decides, where it decides."""
        plain = super().function(name)
        if plain is None or name not in DECIDING:
            return plain
        decide = scalar.sign if name in ("Abs", "sign") else plain

        def recorded(x: Any) -> Any:
            self._record(decide(x), x)
            return plain(x)

        return recorded

    def modulo(self, x: Any, y: Any) -> Any:
        """Record the quotient."""
        remainder = super().modulo(x, y)
        if remainder.real == remainder.real:
            self._record(round((x.real - remainder.real) / y.real), x)
        return remainder

    def compare(self, relation: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
        """Record the answer."""
        answer = super().compare(relation, left, right)
        self._record(answer, left, right)
        return answer

    def extreme(self, values: Sequence[Any], largest: bool) -> int:
        """Record the winner, and whether it won alone."""
        winner = super().extreme(values, largest)
        self._record((winner, [v.real for v in values].count(values[winner].real)), *values)
        return winner

    def _record(self, decision: Any, *values: Any) -> None:
        if any(isinstance(v, float | complex) for v in values):
            self.decisions.append(decision)
