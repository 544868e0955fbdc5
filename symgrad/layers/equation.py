"""An equation as it is written."""

from __future__ import annotations

from typing import Any

import sympy


def Eq(left: Any, right: Any) -> sympy.Equality:
    """``sympy.Eq`` that does not try to prove the two sides equal first: half the time of loading the catalogue."""
    return sympy.Eq(left, right, evaluate=False)
