"""A SymPy expression as a nest of Python closures: what each kind of node means.

A closure takes the environment, the values of indices, sizes and attributes by name, and returns a number. Nothing is
rewritten, and nothing of SymPy's is evaluated; only the arm of a Piecewise that is taken is looked at.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import ITE, And, BooleanFalse, BooleanTrue, Not, Or
from sympy.tensor.indexed import Idx, Indexed

from symgrad.check.reads import bordered, element, positions, repeated
from symgrad.check.reductions import Limit, accumulation, reduction
from symgrad.check.scope import Environment, Node, Scope, label
from symgrad.declare.notation import CustomGradient, ExtendedRead, Reduction, StopGradient

RELATIONS: dict[Any, Callable[[Any, Any], bool]] = {
    sympy.Eq: operator.eq,
    sympy.Ne: operator.ne,
    sympy.Lt: operator.lt,
    sympy.Le: operator.le,
    sympy.Gt: operator.gt,
    sympy.Ge: operator.ge,
}


def compile_expression(expr: Any, scope: Scope) -> Node:
    """Return the closure that evaluates ``expr``.

    Raises:
        CheckError: at once for a node without a meaning; from the closure for a read out of bounds, an index that is
            no integer, a name without a value or the maximum of nothing.
    """
    match expr:
        case sympy.Integer() | int():
            return _constant(int(expr))
        case sympy.Rational():
            return _constant(Fraction(int(expr.p), int(expr.q)))
        case sympy.Float() | sympy.NumberSymbol() | float():
            return _constant(float(expr))
        case sympy.core.numbers.Infinity() | sympy.core.numbers.NegativeInfinity() | sympy.core.numbers.NaN():
            return _constant(float(expr))
        case Idx():
            return _variable(label(expr), scope)
        case sympy.Symbol():
            return _symbol(label(expr), scope)
        case Indexed() | ExtendedRead():
            return _read(expr, scope)
        case sympy.Add():
            return _fold([compile_expression(a, scope) for a in expr.args], operator.add)
        case sympy.Mul():
            return _fold([compile_expression(a, scope) for a in expr.args], operator.mul)
        case sympy.Sum():
            return accumulation(compile_expression(expr.function, scope), _limits(expr, scope), 0, operator.add, scope)
        case sympy.Product():
            return accumulation(compile_expression(expr.function, scope), _limits(expr, scope), 1, operator.mul, scope)
        case Reduction():
            return reduction(expr, compile_expression(expr.function, scope), _limits(expr, scope), scope)
        case sympy.Max() | sympy.Min():
            return _extreme(expr, scope)
        case sympy.Piecewise():
            return _piecewise([(a.expr, a.cond) for a in expr.args if isinstance(a, ExprCondPair)], expr, scope)
        case ITE():
            return _piecewise([(expr.args[1], expr.args[0]), (expr.args[2], sympy.true)], expr, scope)
        case sympy.KroneckerDelta():
            left, right = (compile_expression(a, scope) for a in expr.args[:2])
            return lambda env: int(left(env).real == right(env).real)
        case CustomGradient():
            return compile_expression(expr.expanded, scope)
        case sympy.re() | sympy.conjugate():  # SymPy writes them for Abs; everything here is real
            return compile_expression(expr.args[0], scope)
        case sympy.im():
            return _constant(0)
        case StopGradient():
            inner = compile_expression(expr.args[0], scope)
            return lambda env: scope.arithmetic.stop(inner(env))
    return _function(expr, scope)


def compile_condition(expr: Any, scope: Scope) -> Callable[[Environment], bool]:
    """Return the closure that decides ``expr``; of several conditions those without tensors are decided first."""
    match expr:
        case BooleanTrue() | BooleanFalse() | bool():
            return _constant(bool(expr))
        case Not():
            inner = compile_condition(expr.args[0], scope)
            return lambda env: not inner(env)
        case And():
            return _junction(expr, scope, until=False)
        case Or():
            return _junction(expr, scope, until=True)
        case ITE():
            condition, then, otherwise = (compile_condition(a, scope) for a in expr.args)
            return lambda env: then(env) if condition(env) else otherwise(env)
        case Relational() if type(expr) in RELATIONS:
            left, right = (compile_expression(a, scope) for a in expr.args)
            relation, compare = RELATIONS[type(expr)], scope.arithmetic.compare
            return lambda env: compare(relation, left(env), right(env))
    raise scope.fail(f"{expr} is not a condition that the naive evaluator knows")


def _constant(value: Any) -> Node:
    return lambda env: value


def _symbol(name: str, scope: Scope) -> Node:
    if name in scope.names:
        return element(name, positions((), (), name, scope), 0, name, scope)
    return _variable(name, scope)


def _variable(name: str, scope: Scope) -> Node:
    """An index, a size or an attribute, even where a tensor has the same name."""

    def look_up(env: Environment) -> Any:
        try:
            return env[name]
        except KeyError:
            text = f"{name} has no value: it is neither an index in scope, a size nor an attribute"
            raise scope.fail(text, env) from None

    return look_up


def _read(expr: Any, scope: Scope) -> Node:
    read = expr.read if isinstance(expr, ExtendedRead) else expr
    name, rank = label(read.base), len(read.indices)
    at = positions(read.indices, [compile_expression(i, scope) for i in read.indices], expr, scope)
    if not isinstance(expr, ExtendedRead):
        return element(name, at, rank, expr, scope)
    if expr.mode == "constant":
        return bordered(name, at, rank, compile_expression(expr.value, scope), expr, scope)
    return repeated(name, at, rank, expr.mode, expr, scope)


def _fold(parts: list[Node], combine: Callable[[Any, Any], Any]) -> Node:
    if len(parts) == 2:
        left, right = parts
        return lambda env: combine(left(env), right(env))
    first, *rest = parts

    def folded(env: Environment) -> Any:
        total = first(env)
        for part in rest:
            total = combine(total, part(env))
        return total

    return folded


def _limits(expr: Any, scope: Scope) -> list[Limit]:
    limits = []
    for limit in expr.limits:
        name = label(limit[0])
        if len(limit) != 3 and name not in scope.ranges:
            raise scope.fail(f"the index {name} of {expr} has no range")
        first, last = limit[1:] if len(limit) == 3 else scope.ranges[name]
        limits.append((name, compile_expression(first, scope), compile_expression(last, scope)))
    return limits


def _function(expr: Any, scope: Scope) -> Node:
    arithmetic, name = scope.arithmetic, type(expr).__name__
    function = arithmetic.function(name) if len(expr.args) == 1 else None
    if function is not None:
        (inner,) = (compile_expression(a, scope) for a in expr.args)
        return lambda env: function(inner(env))
    of_two = {
        sympy.Pow: arithmetic.power,
        sympy.Mod: arithmetic.modulo,
        sympy.atan2: arithmetic.atan2,
        sympy.polygamma: arithmetic.polygamma,
    }
    if type(expr) not in of_two:
        raise scope.fail(f"the naive evaluator has no meaning for {name} in {expr}")
    combine = of_two[type(expr)]
    left, right = (compile_expression(a, scope) for a in expr.args)
    return lambda env: combine(left(env), right(env))


def _extreme(expr: Any, scope: Scope) -> Node:
    """An argument without tensors wins a tie, else the first as printed."""
    ordered = sorted(expr.args, key=lambda a: (a.has(Indexed), sympy.default_sort_key(a)))
    parts = [compile_expression(a, scope) for a in ordered]
    largest, arithmetic = isinstance(expr, sympy.Max), scope.arithmetic

    def extreme(env: Environment) -> Any:
        values = [part(env) for part in parts]
        return values[arithmetic.extreme(values, largest)]

    return extreme


def _piecewise(arms: list[tuple[Any, Any]], expr: Any, scope: Scope) -> Node:
    compiled = [(compile_condition(c, scope), compile_expression(e, scope)) for e, c in arms]

    def taken(env: Environment) -> Any:
        for condition, value in compiled:
            if condition(env):
                return value(env)
        raise scope.fail(f"{expr} says nothing for this case", env)

    return taken


def _junction(expr: Any, scope: Scope, until: bool) -> Callable[[Environment], bool]:
    """Decide conditions in turn until one is ``until``: SymPy sorts them, so a guard is one that reads no tensor."""
    ordered = sorted(expr.args, key=lambda a: (a.has(Indexed), sympy.default_sort_key(a)))
    parts = [compile_condition(a, scope) for a in ordered]

    def decided(env: Environment) -> bool:
        for part in parts:
            if part(env) == until:
                return until
        return not until

    return decided
