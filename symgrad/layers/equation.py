"""Equations and functions as they are written: SymPy takes long to find nothing to simplify in them."""

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


def floor(value: Any) -> sympy.Expr:
    """``sympy.floor`` that does not look for whole terms to take out."""
    whole: sympy.Expr = sympy.floor(value, evaluate=False)
    return whole


def ceiling(value: Any) -> sympy.Expr:
    """``sympy.ceiling`` that does not look for whole terms to take out."""
    whole: sympy.Expr = sympy.ceiling(value, evaluate=False)
    return whole


def Abs(value: Any) -> sympy.Expr:
    """``sympy.Abs`` that does not look for a simpler form."""
    size: sympy.Expr = sympy.Abs(value, evaluate=False)
    return size
