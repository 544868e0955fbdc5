"""The door: SymPy expressions in, frozen data out. Past it, SymPy is used for printing only."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import ITE, And, BooleanFalse, BooleanTrue, Not, Or
from sympy.tensor.indexed import Idx, Indexed, IndexedBase

from symgrad.declare import notation
from symgrad.declare.algebra import (
    add,
    apply,
    from_integer,
    is_long,
    multiply,
    number,
    power,
    select,
    sloped,
    stopped,
)
from symgrad.declare.conditions import all_of, any_of, at_least, compare, negation, relation
from symgrad.declare.door_integers import integer_symbol, is_whole, read_indices, to_poly
from symgrad.declare.door_reductions import reduction
from symgrad.declare.functions import FUNCTIONS, REDUCTIONS
from symgrad.declare.scalars import (
    Condition,
    Extension,
    Named,
    Number,
    Read,
    Scalar,
    Truth,
    free_indices,
    tensors_of,
)
from symgrad.declare.scope import Scope, counted, label, printed

LARGEST_BITS = 1023
"""Integers of more bits may be larger than any float."""

# --- scalars -------------------------------------------------------------------------------------------------


def to_scalar(expr: Any, scope: Scope) -> Scalar:
    """A real expression."""
    if not isinstance(expr, sympy.Basic):
        expr = sympy.sympify(expr, strict=True) if isinstance(expr, int | float) else expr
    if isinstance(expr, sympy.Basic) and is_whole(expr, scope) and not expr.is_number:
        if isinstance(expr, sympy.Mul) and all(is_whole(factor, scope) for factor in expr.args):
            factors = [to_poly(factor, scope) for factor in expr.args]
            if is_long(factors):
                return multiply(*map(from_integer, factors))
        return from_integer(to_poly(expr, scope))
    match expr:
        case sympy.Rational():
            return Number(_within_floats(expr, scope))
        case sympy.Float():
            return Number(exact(float(expr)))
        case sympy.core.numbers.Pi():
            return Named("pi")
        case sympy.core.numbers.Exp1():
            return Named("e")
        case sympy.core.numbers.Infinity():
            return Number(float("inf"))
        case sympy.core.numbers.NegativeInfinity():
            return Number(float("-inf"))
        case sympy.core.numbers.NaN() | sympy.core.numbers.ComplexInfinity() | sympy.core.numbers.ImaginaryUnit():
            raise scope.fail(f"the value {expr} has no meaning in a layer", expr)
        case Idx() | sympy.Symbol() | IndexedBase():
            return _real_symbol(expr, scope)
        case sympy.core.relational.Relational() | sympy.logic.boolalg.Boolean() | bool():
            test = "condition" if isinstance(expr, sympy.logic.boolalg.BooleanAtom | bool) else expr
            raise scope.fail(f"{expr} is a condition, not a number; write Piecewise((1, {test}), (0, True))", expr)
        case Indexed():
            return Read(printed(expr.base.label), read_indices(expr, scope))
        case notation.ExtendedRead():
            return _extended(expr, scope)
        case sympy.Add():
            return add(*(to_scalar(a, scope) for a in expr.args))
        case sympy.Mul():
            return multiply(*(to_scalar(a, scope) for a in expr.args))
        case sympy.Pow():
            if expr.base.is_number and expr.base.is_negative and not is_whole(expr.exp, scope):
                raise scope.fail(
                    f"{expr} has no real value: its base is negative, and its exponent is no integer", expr
                )
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
            return stopped(to_scalar(expr.args[0], scope))
        case notation.CustomGradient():
            value, pairs, _ = expr.args
            parts = [sloped(to_scalar(v, scope), to_scalar(slope, scope)) for v, slope in pairs]
            return add(stopped(to_scalar(value, scope)), *parts)
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
    known = ", ".join(
        sorted({f.__name__ for f in (*FUNCTIONS, *REDUCTIONS)} | {"Piecewise", "KroneckerDelta", "Padded"})
    )
    text = f"symgrad has no meaning for {what} in {expr}; besides sums, products and powers it knows {known}"
    raise scope.fail(text, expr)


def _extended(expr: Any, scope: Scope) -> Scalar:
    """A read beyond the border; a value that attributes give is a case of its own."""
    tensor, indices = printed(expr.read.base.label), read_indices(expr.read, scope)
    value = to_scalar(expr.value, scope) if expr.mode == "constant" else number(0)
    if isinstance(value, Number):
        return Read(tensor, indices, Extension(expr.mode, float(value.value)))
    what, extents = f"Padded({expr.read.base}, {expr.value})", scope.extents(tensor)
    if free_indices(value) or not set(tensors_of(value)) <= scope.reals:
        raise scope.fail(f"{what}: the value outside must be a number or an expression of attributes and sizes", expr)
    if extents is None:
        text = f"{what}: {tensor} is defined here; write Piecewise((value, i < 1), ({tensor}[i - 1], True))"
        raise scope.fail(text, expr)
    inside = [at_least(i, 0) for i in indices] + [at_least(e - 1, i) for i, e in zip(indices, extents, strict=True)]
    return select(all_of(*inside), Read(tensor, indices), value)


def _exp_of(expr: Any, scope: Scope) -> Scalar:
    return apply("exp", to_scalar(expr.function, scope))


def _within_floats(number: Any, scope: Scope) -> Fraction:
    """A quotient of integers, neither of them beyond what a float can be."""
    if max(int(abs(number.p)).bit_length(), int(number.q).bit_length()) > LARGEST_BITS:
        what = f"a number of {len(str(number))} characters"
        raise scope.fail(f"{what} is beyond what a float can be; write a shorter one", number)
    return Fraction(int(number.p), int(number.q))


def exact(value: float) -> Fraction | float:
    """A short decimal as the fraction it was written as, so that 0.5 and 1/2 are one number."""
    if value != value or value in (float("inf"), float("-inf")):
        return value
    short = Fraction(repr(value))
    return short if short.denominator <= 64 and abs(value) < 2**53 else value


def _real_symbol(symbol: Any, scope: Scope) -> Scalar:
    name = label(symbol)
    if name in scope.reals or (name in scope.ranks and scope.ranks[name] == 0 and name not in scope.integers):
        return Read(name, ())
    if name in scope.ranks and scope.ranks[name] > 0:
        axes = counted(scope.ranks[name], "axis", "axes")
        raise scope.fail(f"{name} has {axes} and is used without indices; write {name}[...]", symbol)
    if isinstance(symbol, IndexedBase):
        raise scope.fail(
            f"{name} is neither an input nor a left side (known: {', '.join(sorted(scope.ranks))})", symbol
        )
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
        raise scope.fail(f"{expr} says nothing for the case that no condition holds; end it with (value, True)", expr)
    conditions = [to_condition(arm.cond, scope) for arm in arms[:-1]]
    refused = [negation(c) for c in conditions]
    with scope.under(*refused):
        value = to_scalar(arms[-1].expr, scope)
    for k in reversed(range(len(conditions))):
        with scope.under(*refused[:k], conditions[k]):
            value = select(conditions[k], to_scalar(arms[k].expr, scope), value)
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
    raise scope.fail(f"{expr} is not a condition; write a relation such as i >= 1 or Eq(i, 0)", expr)


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
