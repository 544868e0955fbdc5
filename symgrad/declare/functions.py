"""The functions and reductions that a layer may use: SymPy classes and the names they go by as data."""

from __future__ import annotations

from typing import Any

import sympy

from symgrad.declare import notation

FUNCTIONS: dict[Any, str] = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.asin: "arcsin",
    sympy.acos: "arccos",
    sympy.atan: "arctan",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.tanh: "tanh",
    sympy.asinh: "arcsinh",
    sympy.acosh: "arccosh",
    sympy.atanh: "arctanh",
    sympy.erf: "erf",
    sympy.erfc: "erfc",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    sympy.floor: "floor",
    sympy.ceiling: "ceil",
    sympy.Mod: "mod",
    sympy.atan2: "arctan2",
    sympy.Max: "max",
    sympy.Min: "min",
}
REDUCTIONS: dict[Any, str] = {
    sympy.Sum: "sum",
    sympy.Product: "product",
    notation.ReduceMax: "max",
    notation.ReduceMin: "min",
    notation.ArgMax: "argmax",
    notation.ArgMin: "argmin",
}
