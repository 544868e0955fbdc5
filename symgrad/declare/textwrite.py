"""Equations in SymPy as text that ``parse_layer`` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sympy.printing.str import StrPrinter

from symgrad.declare import textwords

_CALLS = {
    function.__name__: name
    for name, function in (textwords.UNARY | textwords.PAIRED | textwords.EXTREMA | textwords.REDUCERS).items()
}


class _Writer(StrPrinter):  # type: ignore[misc]
    """Prints as SymPy does where that is how the text form writes it."""

    def _print_Piecewise(self, expr: Any) -> str:
        *arms, (last, _) = expr.args
        text = str(self._print(last))
        for value, condition in reversed(arms):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Sum(self, expr: Any) -> str:
        # An index with a range of its own runs over all of it, as one does in the text form that reads an axis alone.
        limits = [self._print(k[0]) if k[0].args[1:] else f"({self.stringify(k, ', ')})" for k in expr.limits]
        return f"{_CALLS[type(expr).__name__]}({', '.join([self._print(expr.function), *limits])})"

    _print_Product = _print_Sum

    def _print_Function(self, expr: Any) -> str:
        return f"{_CALLS.get(expr.func.__name__, expr.func.__name__)}({self.stringify(expr.args, ', ')})"

    _print_LatticeOp = _print_Abs = _print_KroneckerDelta = _print_Function

    def _print_Relational(self, expr: Any) -> str:
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_And(self, expr: Any) -> str:
        return " and ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Or(self, expr: Any) -> str:
        return " or ".join(f"({self._print(a)})" for a in expr.args)


def text_of(equations: Sequence[Any], attributes: Mapping[Any, Any]) -> str:
    """A declaration as text. What the text form has no word for is printed as SymPy prints it."""
    writer = _Writer()
    defaults = [f"{symbol} = {default}" for symbol, default in attributes.items()]
    return "; ".join([*defaults, *(f"{writer.doprint(e.lhs)} = {writer.doprint(e.rhs)}" for e in equations)])
