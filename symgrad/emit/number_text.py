"""Numbers as Python text."""

from __future__ import annotations

from fractions import Fraction

from symgrad.emit.integer_text import CALL, PRODUCT, UNARY


def number_text(value: Fraction | float) -> tuple[str, int]:
    """A number, and how tightly it binds."""
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator), CALL if value >= 0 else UNARY
        if value.denominator & (value.denominator - 1) == 0:
            return repr(float(value)), CALL if value >= 0 else UNARY
        return f"{value.numerator} / {value.denominator}", PRODUCT
    return float_text(value), CALL if value >= 0 else UNARY


def float_text(value: float) -> str:
    """A float, as short as it can be."""
    if value == float("inf"):
        return "np.inf"
    if value == float("-inf"):
        return "-np.inf"
    # 1e30, as formatters write it.
    return repr(int(value)) if value == int(value) and abs(value) < 1e6 else repr(value).replace("e+", "e")
