"""Choices that SymPy moved out of an inner sum, moved back in.

``Sum(w[k]*Sum(Piecewise((x[j], j <= k), (0, True)), j), k)`` becomes, as soon as it is written, a sum over k of a
Piecewise with a condition on j around two sums over j: outside of them j means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.tensor.indexed import Idx

from symgrad.declare import notation
from symgrad.declare.scope import label
from symgrad.errors import DeclarationError

_BINDERS = (sympy.Sum, sympy.Product, notation.Reduction)


def unfolded(equation: Any, layer: str = "") -> Any:
    """The equation with every choice inside the sum whose index its conditions read.

    Raises:
        DeclarationError: what SymPy made of it cannot be told from other declarations.
    """
    if not isinstance(equation, sympy.Eq):
        return equation
    known = _labels(equation.lhs)
    right = _visit(equation.rhs, known, layer)
    return equation if right is equation.rhs else sympy.Basic.__new__(sympy.Eq, equation.lhs, right)


def _visit(expr: Any, known: frozenset[str], layer: str) -> Any:
    if not isinstance(expr, sympy.Basic) or not expr.args or not expr.has(sympy.Piecewise):
        return expr
    if isinstance(expr, _BINDERS):
        known = known | _bound(expr)
    if isinstance(expr, sympy.Piecewise):
        arms = [a for a in expr.args if isinstance(a, ExprCondPair)]
        inside = frozenset().union(*(_bound(b) for a in arms for b in a.expr.atoms(*_BINDERS)))
        stray = frozenset().union(*(_labels(a.cond) for a in arms)) & inside - known
        if stray:
            merged = _merged([a.expr for a in arms], [a.cond for a in arms], stray, layer)
            return _visit(merged, known, layer)
    args = [_visit(a, known, layer) for a in expr.args]
    return expr if all(a is b for a, b in zip(args, expr.args, strict=True)) else _rebuilt(expr, args)


def _labels(expr: Any) -> frozenset[str]:
    """Names of indices and symbols that nothing in the expression binds."""
    if isinstance(expr, Idx):
        return frozenset((label(expr),))
    if isinstance(expr, sympy.Symbol):
        return frozenset((str(expr),))
    inner = frozenset().union(*map(_labels, expr.args))
    return inner - _bound(expr) if isinstance(expr, _BINDERS) else inner


def _bound(expr: Any) -> frozenset[str]:
    return frozenset(label(limit[0]) for limit in expr.limits)


def _rebuilt(expr: Any, args: Sequence[Any]) -> Any:
    """The node with other arguments; a sum without SymPy's look at what is in it."""
    if not isinstance(expr, _BINDERS):
        return expr.func(*args)
    made: Any = sympy.Basic.__new__(type(expr), *args)
    if isinstance(expr, sympy.Sum | sympy.Product):
        made.is_commutative = True  # SymPy's constructor says so, which is passed by
    return made


def _merged(values: list[Any], conditions: list[Any], stray: frozenset[str], layer: str) -> Any:
    """The one expression that becomes the values when the choice inside its sum is moved out."""
    first = values[0]
    if all(v == first for v in values):
        return first
    if all(type(v) is type(first) and len(v.args) == len(first.args) for v in values):
        if isinstance(first, _BINDERS) and all(v.args[1:] == first.args[1:] for v in values):
            functions = [v.args[0] for v in values]
            if stray <= _bound(first):
                inner: Any = sympy.Piecewise(*zip(functions, conditions, strict=True))
            else:
                inner = _merged(functions, conditions, stray - _bound(first), layer)
            return _rebuilt(first, (inner, *first.args[1:]))
        if isinstance(first, sympy.Add | sympy.Mul):
            common = [a for a in first.args if all(a in v.args for v in values)]
            rest = [[a for a in v.args if a not in common] for v in values]
            if all(len(r) == 1 for r in rest):
                return first.func(*common, _merged([r[0] for r in rest], conditions, stray, layer))
        elif first.args and not isinstance(first, _BINDERS):
            columns = zip(*(v.args for v in values), strict=True)
            return first.func(*(_merged(list(c), conditions, stray, layer) for c in columns))
    names = ", ".join(sorted(stray))
    raise DeclarationError(
        f"{layer}: SymPy moved a Piecewise out of the sum over {names}, where a condition on {names} means nothing; "
        f"give that sum an equation of its own, or put the condition into its limits"
    )
