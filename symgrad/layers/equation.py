"""Equations and extrema as they are written: SymPy takes long to find nothing to simplify in them."""

from __future__ import annotations

from typing import Any

import sympy


def Eq(left: Any, right: Any) -> sympy.Equality:
    """``sympy.Eq`` that does not try to prove the two sides equal first: half the time of loading the catalogue."""
    return sympy.Eq(left, right, evaluate=False)


def Max(*values: Any) -> sympy.Expr:
    """``sympy.Max`` that does not try to prove which value is the largest."""
    largest: sympy.Expr = sympy.Max(*values, evaluate=False)
    return largest


def Min(*values: Any) -> sympy.Expr:
    """``sympy.Min`` that does not try to prove which value is the smallest."""
    smallest: sympy.Expr = sympy.Min(*values, evaluate=False)
    return smallest
