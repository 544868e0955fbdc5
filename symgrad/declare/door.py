"""The door: SymPy expressions in, frozen data out. Past it, SymPy is used for printing only."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import ITE, And, BooleanFalse, BooleanTrue, Not, Or
from sympy.tensor.indexed import Idx, Indexed

from symgrad.declare import notation
from symgrad.declare.algebra import add, apply, from_integer, multiply, number, power, select
from symgrad.declare.conditions import all_of, any_of, compare, negation, relation
from symgrad.declare.door_integers import integer_symbol, is_whole, read_indices, to_poly
from symgrad.declare.door_reductions import reduction
from symgrad.declare.functions import FUNCTIONS, REDUCTIONS
from symgrad.declare.scalars import Condition, Extension, Named, Number, Read, Scalar, Stopped, Truth
from symgrad.declare.scope import Scope, label

# --- scalars -------------------------------------------------------------------------------------------------


def to_scalar(expr: Any, scope: Scope) -> Scalar:
    """A real expression."""
    if not isinstance(expr, sympy.Basic):
        expr = sympy.sympify(expr) if isinstance(expr, int | float) else expr
    if isinstance(expr, sympy.Basic) and not expr.is_number and is_whole(expr, scope):
        return from_integer(to_poly(expr, scope))
    match expr:
        case sympy.Rational():
            return Number(Fraction(int(expr.p), int(expr.q)))
        case sympy.Float():
            return Number(_exact(float(expr)))
        case sympy.core.numbers.Pi():
            return Named("pi")
        case sympy.core.numbers.Exp1():
            return Named("e")
        case sympy.core.numbers.Infinity():
            return Number(float("inf"))
        case sympy.core.numbers.NegativeInfinity():
            return Number(float("-inf"))
        case sympy.core.numbers.NaN() | sympy.core.numbers.ComplexInfinity() | sympy.core.numbers.ImaginaryUnit():
            raise scope.fail(f"the value {expr} has no meaning in a layer")
        case Idx() | sympy.Symbol():
            return _real_symbol(expr, scope)
        case Indexed():
            return Read(str(expr.base.label), read_indices(expr, scope))
        case notation.ExtendedRead():
            value = to_scalar(expr.value, scope)
            if not isinstance(value, Number):
                raise scope.fail(f"Padded({expr.read.base}, {expr.value}): the value outside must be a number")
            fill = float(value.value) if expr.mode == "constant" else 0.0
            return Read(str(expr.read.base.label), read_indices(expr.read, scope), Extension(expr.mode, fill))
        case sympy.Add():
            return add(*(to_scalar(a, scope) for a in expr.args))
        case sympy.Mul():
            return multiply(*(to_scalar(a, scope) for a in expr.args))
        case sympy.Pow():
            return power(to_scalar(expr.base, scope), to_scalar(expr.exp, scope))
        case sympy.Max() | sympy.Min():
            return _extreme(expr, scope)
        case sympy.Piecewise():
            return _piecewise(expr, scope)
        case ITE():
            return select(*_pair(expr, scope))
        case sympy.KroneckerDelta():
            return _delta(expr, scope)
        case sympy.conjugate() | sympy.re():
            return to_scalar(expr.args[0], scope)  # everything here is real
        case sympy.im():
            return number(0)
        case notation.StopGradient():
            return Stopped(to_scalar(expr.args[0], scope))
        case notation.LogSumExp():
            total = reduction("sum", expr.function, expr.limits, "first", scope, lambda: _exp_of(expr, scope))
            return apply("log", total)
    if type(expr) in REDUCTIONS:
        ties = getattr(expr, "ties", "first")
        kind, function = REDUCTIONS[type(expr)], expr.function
        return reduction(kind, function, expr.limits, ties, scope, lambda: to_scalar(function, scope))
    if type(expr) in FUNCTIONS:
        return apply(FUNCTIONS[type(expr)], *(to_scalar(a, scope) for a in expr.args))
    if isinstance(expr, sympy.Basic) and expr.is_number and expr.is_real:
        return Number(float(expr))
    what = type(expr).__name__
    raise scope.fail(f"symgrad has no meaning for {what} in {expr}; see the README for what a layer may use")


def _exp_of(expr: Any, scope: Scope) -> Scalar:
    return apply("exp", to_scalar(expr.function, scope))


def _exact(value: float) -> Fraction | float:
    """A short decimal as the fraction it was written as, so that 0.5 and 1/2 are one number."""
    if value != value or value in (float("inf"), float("-inf")):
        return value
    short = Fraction(repr(value))
    return short if short.denominator <= 64 else value


def _real_symbol(symbol: Any, scope: Scope) -> Scalar:
    name = label(symbol)
    if name in scope.reals or (name in scope.ranks and scope.ranks[name] == 0 and name not in scope.integers):
        return Read(name, ())
    if name in scope.ranks and scope.ranks[name] > 0:
        raise scope.fail(f"{name} has {scope.ranks[name]} axes and is used without indices; write {name}[...]")
    return from_integer(integer_symbol(symbol, scope))


def _extreme(expr: Any, scope: Scope) -> Scalar:
    """Arguments without tensors first (they win ties), then in printed order."""
    ordered = sorted(expr.args, key=sympy.default_sort_key)
    plain = [a for a in ordered if not a.has(Indexed)]
    rest = [a for a in ordered if a.has(Indexed)]
    return apply(FUNCTIONS[type(expr)], *(to_scalar(a, scope) for a in plain + rest))


def _piecewise(expr: Any, scope: Scope) -> Scalar:
    arms = [arm for arm in expr.args if isinstance(arm, ExprCondPair)]
    if arms[-1].cond != sympy.true:
        raise scope.fail(f"{expr} says nothing for the case that no condition holds; end it with (value, True)")
    value = to_scalar(arms[-1].expr, scope)
    for arm in reversed(arms[:-1]):
        value = select(to_condition(arm.cond, scope), to_scalar(arm.expr, scope), value)
    return value


def _pair(expr: Any, scope: Scope) -> tuple[Condition, Scalar, Scalar]:
    condition, then, otherwise = expr.args
    return to_condition(condition, scope), to_scalar(then, scope), to_scalar(otherwise, scope)


def _delta(expr: Any, scope: Scope) -> Scalar:
    left, right = expr.args[:2]
    if is_whole(left, scope) and is_whole(right, scope):
        return select(compare("==", to_poly(left, scope) - to_poly(right, scope)), number(1), number(0))
    return select(relation("==", to_scalar(left, scope), to_scalar(right, scope)), number(1), number(0))


# --- conditions ----------------------------------------------------------------------------------------------


def to_condition(expr: Any, scope: Scope) -> Condition:
    """A Boolean expression."""
    match expr:
        case BooleanTrue() | BooleanFalse() | bool():
            return Truth(bool(expr))
        case And():
            return all_of(*(to_condition(a, scope) for a in sorted(expr.args, key=sympy.default_sort_key)))
        case Or():
            return any_of(*(to_condition(a, scope) for a in sorted(expr.args, key=sympy.default_sort_key)))
        case Not():
            return negation(to_condition(expr.args[0], scope))
        case ITE():
            condition, then, otherwise = (to_condition(a, scope) for a in expr.args)
            return any_of(all_of(condition, then), all_of(negation(condition), otherwise))
        case sympy.core.relational.Relational():
            return _relational(expr, scope)
    raise scope.fail(f"{expr} is not a condition; write a relation such as i >= 1 or Eq(i, 0)")


def _relational(expr: Any, scope: Scope) -> Condition:
    left, right = expr.lhs, expr.rhs
    if is_whole(left, scope) and is_whole(right, scope):
        gap = to_poly(left, scope) - to_poly(right, scope)
        match expr:
            case sympy.Ge():
                return compare(">=", gap)
            case sympy.Gt():
                return compare(">=", gap - 1)
            case sympy.Le():
                return compare(">=", -gap)
            case sympy.Lt():
                return compare(">=", -gap - 1)
            case sympy.Eq():
                return compare("==", gap)
            case sympy.Ne():
                return compare("!=", gap)
    a, b = to_scalar(left, scope), to_scalar(right, scope)
    match expr:
        case sympy.Ge():
            return relation("<=", b, a)
        case sympy.Gt():
            return relation("<", b, a)
        case sympy.Le():
            return relation("<=", a, b)
        case sympy.Lt():
            return relation("<", a, b)
        case sympy.Eq():
            return relation("==", a, b)
    return relation("!=", a, b)
