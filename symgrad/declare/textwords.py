"""What may stand in a text equation: operators, relations, functions, constants."""

from __future__ import annotations

import ast
import operator
import re
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
_ROUND = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh")
ELEMENTARY = ("exp", "log", "sqrt", *_ROUND, "erf", "erfc", "sign", "floor")
UNARY: dict[str, Any] = {name: getattr(sympy, name) for name in ELEMENTARY} | {
    "abs": sympy.Abs,
    "ceil": sympy.ceiling,
    "stop_gradient": StopGradient,
}
PAIRED: dict[str, Any] = {"mod": sympy.Mod, "delta": sympy.KroneckerDelta, "atan2": sympy.atan2}
EXTREMA: dict[str, Any] = {"max": sympy.Max, "min": sympy.Min}
CALLABLE = (*UNARY, *PAIRED, *EXTREMA, *REDUCERS, "where", "pad")
CONSTANTS: dict[str, sympy.Expr] = {"pi": sympy.pi, "oo": sympy.oo, "inf": sympy.oo}
ROUNDING = ("floor", "ceil", "mod")
MOST_BITS = 4096
"""Integers of a text are no longer."""
INSTEAD: dict[str, str] = {
    "ln": "log(u)",
    "log2": "log(u)/log(2)",
    "log10": "log(u)/log(10)",
    "log1p": "log(1 + u)",
    "expm1": "exp(u) - 1",
    "exp2": "2**u",
    "pow": "u**p",
    "power": "u**p",
    "square": "u**2",
    "cbrt": "u**(1/3)",
    "rsqrt": "1/sqrt(u)",
    "reciprocal": "1/u",
    "sigmoid": "1/(1 + exp(-u))",
    "logistic": "1/(1 + exp(-u))",
    "softplus": "log(1 + exp(u))",
    "clamp": "min(max(u, lowest), highest)",
    "clip": "min(max(u, lowest), highest)",
    "maximum": "max(u, v)",
    "minimum": "min(u, v)",
    "amax": "reduce_max(x[i, j], j)",
    "amin": "reduce_min(x[i, j], j)",
    "mean": "sum(x[i, j], j)/J",
    "average": "sum(x[i, j], j)/J",
    "var": "the mean, m[i] = sum(x[i, j], j)/J, and sum((x[i, j] - m[i])**2, j)/J",
    "std": "the mean, m[i] = sum(x[i, j], j)/J, and sqrt(sum((x[i, j] - m[i])**2, j)/J)",
    "norm": "sqrt(sum(x[i, j]**2, j))",
    "dot": "sum(u[j]*v[j], j)",
    "matmul": "sum(a[i, k]*b[k, j], k)",
    "einsum": "sum(a[i, k]*b[k, j], k)",
    "cumsum": "y[n:J] = sum(x[j], (j, 0, n))",
    "step": "where(u > 0, 1, 0)",
    "heaviside": "where(u > 0, 1, 0)",
    "round": "floor(u + 1/2)",
    "if": "where(condition, u, v)",
    "select": "where(condition, u, v)",
    "piecewise": "where(condition, u, v)",
    "arctan": "atan(u)",
    "arcsin": "asin(u)",
    "arccos": "acos(u)",
    "arctan2": "atan2(u, v)",
    "arcsinh": "asinh(u)",
    "arccosh": "acosh(u)",
    "arctanh": "atanh(u)",
    "sec": "1/cos(u)",
    "csc": "1/sin(u)",
    "cot": "1/tan(u)",
    "int": "floor(u)",
    "real": "u",
    "detach": "stop_gradient(u)",
    "padded": "pad(x)[i - 1]",
    "kroneckerdelta": "delta(i, j)",
}
"""What people call functions that the language does not have, and how they are written."""

_WORDS = (
    (re.compile(r"write Idx\('(\w+)', extent\)"), r"write \1:extent on the left side"),
    (re.compile(r"\bPadded\("), "pad("),
    (re.compile(r"Piecewise\(\((.+?), (.+?)\), \((.+?), True\)\)"), r"where(\2, \1, \3)"),
    (re.compile(r"\ba Piecewise\b"), "where(condition, u, v)"),
    (re.compile(r"\bEq\((\w+), (\w+)\)"), r"\1 == \2"),
    (re.compile(r"attributes=\{(\w+): value\}"), r"\1 = 1; .."),
    (re.compile(r"(constants|integers|outputs)=\[(.*?)\]"), r"\1: \2"),
    (re.compile(r"declare it with integer=True"), "give it an integer as default"),
    (re.compile(r"use an Idx"), "use another letter"),
)


def in_words_of_the_text(message: str) -> str:
    """A message about a declaration in SymPy, what it advises in the notation of the text."""
    for pattern, words in _WORDS:
        message = pattern.sub(words, message)
    return message
