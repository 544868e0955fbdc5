"""What may stand in a text equation: operators, relations, functions, constants."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import sympy

from symgrad.declare.notation import ArgMax, ArgMin, LogSumExp, ReduceMax, ReduceMin, StopGradient
from symgrad.declare.textnames import REDUCTIONS

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: sympy.floor(a / b),
    ast.Mod: sympy.Mod,
    ast.Pow: operator.pow,
}
RELATIONS: dict[type[ast.cmpop], Any] = {
    ast.Lt: sympy.Lt,
    ast.LtE: sympy.Le,
    ast.Gt: sympy.Gt,
    ast.GtE: sympy.Ge,
    ast.Eq: sympy.Eq,
    ast.NotEq: sympy.Ne,
}
REDUCERS: dict[str, Any] = dict(
    zip(REDUCTIONS, (sympy.Sum, sympy.Product, ReduceMax, ReduceMin, ArgMax, ArgMin, LogSumExp), strict=True)
)
ELEMENTARY = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "erf", "sign", "floor")
UNARY: dict[str, Any] = {name: getattr(sympy, name) for name in ELEMENTARY} | {
    "abs": sympy.Abs,
    "ceil": sympy.ceiling,
    "stop_gradient": StopGradient,
}
PAIRED: dict[str, Any] = {"mod": sympy.Mod, "delta": sympy.KroneckerDelta}
EXTREMA: dict[str, Any] = {"max": sympy.Max, "min": sympy.Min}
CALLABLE = (*UNARY, *PAIRED, *EXTREMA, *REDUCERS, "where", "pad")
CONSTANTS: dict[str, sympy.Expr] = {"pi": sympy.pi, "oo": sympy.oo, "inf": sympy.oo}
ROUNDING = ("floor", "ceil", "mod")
