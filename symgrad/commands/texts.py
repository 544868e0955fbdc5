"""Expressions as SymPy writes them, for many that have parts in common."""

from __future__ import annotations

from typing import Any

from sympy import Basic
from sympy.printing.str import StrPrinter

MOST_TEXTS = 1 << 14
_texts: dict[Basic, str] = {}


class Texts(StrPrinter):  # type: ignore[misc]
    """SymPy's own text of expressions, which prints a part once that stands in many."""

    def _print(self, expr: Any, **options: Any) -> str:
        text: str
        if options or not self._print_level or not isinstance(expr, Basic):  # a number alone has all its digits
            text = super()._print(expr, **options)
            return text
        found = _texts.get(expr)
        if found is None:
            if len(_texts) >= MOST_TEXTS:
                _texts.clear()
            found = _texts[expr] = super()._print(expr)
        return found
