"""Integers at the door: SymPy expressions of indices, sizes and integer tensors as polynomials."""

from __future__ import annotations

import difflib
from functools import partial
from typing import Any

import sympy
from sympy.tensor.indexed import Idx, Indexed

from symgrad.declare.algebra import multiply, number
from symgrad.declare.conditions import compare
from symgrad.declare.division import quotient, remainder, with_remainders
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Entry, Index, Poly, RealFloor, Size, as_poly, extreme, indices_of
from symgrad.declare.program import Requirement
from symgrad.declare.scope import Scope, counted, label, printed

HIGHEST_POWER = 256
"""Powers of indices and sizes are written out as products."""


def to_poly(expr: Any, scope: Scope) -> Poly:
    """An integer expression, for an index, an extent or a limit."""
    match expr:
        case sympy.Integer() | int():
            return as_poly(int(expr))
        case Idx() | sympy.Symbol():
            return integer_symbol(expr, scope)
        case sympy.Add() | sympy.Mul() | sympy.Rational() if _divides(expr) and (fraction := _fraction(expr))[1] != 1:
            top, bottom = (to_poly(part, scope) for part in fraction)
            left = remainder(top, bottom)
            if left.constant not in (None, 0):
                raise scope.fail(f"{expr} is no integer; write floor({expr}) for the integer below it", expr)
            if varying := sorted(i.name for i in indices_of(left) if _takes_several(i)):
                if (apart := _sizes_divided(expr, scope)) is not None:
                    return apart
                names = " and ".join(varying)
                raise scope.fail(
                    f"{expr} is no integer for every {names}; write floor({expr}) for the integer below it", expr
                )
            scope.requirements.append(Requirement(compare("==", left), f"{top} must be a multiple of {bottom}"))
            return quotient(top, bottom, exact=True)
        case sympy.Add():
            return with_remainders(sum((to_poly(a, scope) for a in expr.args), as_poly(0)))
        case sympy.Mul():
            product = as_poly(1)
            for a in expr.args:
                product = product * to_poly(a, scope)
            return product
        case sympy.Pow() if expr.exp.is_Integer and expr.exp > HIGHEST_POWER:
            raise scope.fail(f"{expr} is a power of integers beyond the {HIGHEST_POWER}th; write a lower one", expr)
        case sympy.Pow() if expr.exp.is_Integer and expr.exp > 0:
            base = product = to_poly(expr.base, scope)
            for _ in range(int(expr.exp) - 1):
                product = product * base
            return product
        case sympy.floor() | sympy.ceiling():
            return _rounded(expr, scope)
        case sympy.Mod():
            top, bottom = (to_poly(a, scope) for a in expr.args)
            return remainder(top, _divisor(bottom, expr, scope))
        case sympy.Max() | sympy.Min():
            return extreme("max" if isinstance(expr, sympy.Max) else "min", [to_poly(a, scope) for a in expr.args])
        case sympy.Abs():
            inner = to_poly(expr.args[0], scope)
            return extreme("max", [inner, -inner])
        case Indexed():
            name = printed(expr.base.label)
            if name not in scope.integers:
                raise scope.fail(
                    f"the real tensor {name} stands in the integer expression {expr}; write floor({expr}), "
                    f"or name it in integers=[{name}]",
                    expr,
                )
            return as_poly(Entry(name, read_indices(expr, scope)))
    raise scope.fail(f"{expr} is not an integer expression of indices, sizes and integer tensors", expr)


def _sizes_divided(expr: Any, scope: Scope) -> Poly | None:
    """``K*g/G + c`` as ``(K/G)*g + c``, an integer for every g where G divides K; None where that is not its form."""
    before = len(scope.requirements)
    total = as_poly(0)
    for term in sympy.Add.make_args(expr):
        factors = sympy.Mul.make_args(term)
        sizes = sympy.Mul(*(f for f in factors if not f.free_symbols & _indices(term, scope)))
        others = sympy.Mul(*(f for f in factors if f.free_symbols & _indices(term, scope)))
        if _divides(others) or (sizes.is_Rational and not sizes.is_Integer):
            del scope.requirements[before:]
            return None
        total = total + to_poly(sizes, scope) * to_poly(others, scope)
    return total


def _indices(expr: Any, scope: Scope) -> set[Any]:
    """The symbols that stand for indices in scope."""
    return {s for s in expr.free_symbols if label(s) in scope.bound_now}


def _takes_several(index: Index) -> bool:
    """Whether an index takes more than one value in all but special sizes."""
    return isinstance(index.extent.atom, Size) or (index.extent.constant or 0) > 1


def _divides(expr: Any) -> bool:
    """Whether an integer expression divides anywhere outside a rounding; ``together`` is slow."""
    match expr:
        case sympy.Rational():
            return bool(expr.q != 1)
        case sympy.Pow():
            return not (expr.exp.is_Integer and expr.exp > 0) or _divides(expr.base)
        case sympy.Add() | sympy.Mul():
            return any(map(_divides, expr.args))
    return False


@remember
def _fraction(expr: Any) -> tuple[Any, Any]:
    """Numerator and denominator."""
    top, bottom = sympy.fraction(sympy.together(expr))
    return top, bottom


def integer_symbol(symbol: Any, scope: Scope) -> Poly:
    """An index in scope, a size or an integer without axes.

    Raises:
        DeclarationError: the name is none of these.
    """
    name = label(symbol)
    if name in scope.bound_now:
        _check_range(symbol, name, scope)
        return scope.bound_now[name]
    if name in scope.sizes:
        return as_poly(scope.sizes[name])
    if name in scope.integers and scope.ranks.get(name) == 0:
        return as_poly(Entry(name, ()))
    if name in scope.reals:
        raise scope.fail(
            f"the attribute {name} is real and cannot stand in an index; declare it with integer=True", symbol
        )
    known = sorted({*scope.bound_now, *scope.sizes})
    if name in scope.bound_anywhere:
        raise scope.fail(
            f"{name} stands outside the reduction that binds it: bring it inside; if you wrote it inside, SymPy folded "
            f"a Piecewise out of it, so give that reduction an equation of its own",
            symbol,
        )
    text = f"{name} is neither an index in scope nor a size (known: {', '.join(known) or 'none'})"
    near = difflib.get_close_matches(name, known, n=1)
    text += f", did you mean {near[0]}? Bind it, or correct its name" if near else "; bind it, or correct its name"
    if not isinstance(symbol, Idx):
        text += f"; if it is meant as a size, no shape determines {name}: declare it, attributes={{{name}: value}}"
    raise scope.fail(text, symbol)


def _check_range(symbol: Any, name: str, scope: Scope) -> None:
    """An index with a range of its own means that range wherever it stands."""
    binder = scope.binders.get(name)
    if not isinstance(symbol, Idx) or not isinstance(binder, Idx) or None in (symbol.upper, binder.upper):
        return
    if symbol.args != binder.args and any(
        to_poly(here, scope) != to_poly(there, scope)  # SymPy may have written one end differently
        for here, there in ((symbol.lower, binder.lower), (symbol.upper, binder.upper))
    ):
        here, there = f"{symbol.lower} .. {symbol.upper}", f"{binder.lower} .. {binder.upper}"
        text = f"index {name} has the range {here} here and {there} where it is bound; rename one of the two"
        raise scope.fail(text, symbol)


def _divisor(bottom: Poly, expr: Any, scope: Scope) -> Poly:
    if bottom.constant is not None and bottom.constant <= 0:
        raise scope.fail(f"{expr} divides by {bottom}; a divisor of an index must be positive", expr)
    return bottom


def _rounded(expr: Any, scope: Scope) -> Poly:
    argument = expr.args[0]
    up = isinstance(expr, sympy.ceiling)
    if not _integral(argument, scope):
        from symgrad.declare.door import to_scalar  # the real door needs this one

        value = to_scalar(argument, scope)
        if up:
            return -as_poly(RealFloor(multiply(number(-1), value)))
        return as_poly(RealFloor(value))
    top, bottom = (to_poly(part, scope) for part in (_fraction(argument) if _divides(argument) else (argument, 1)))
    if bottom.constant is not None and bottom.constant < 0:
        top, bottom = -top, -bottom
    bottom = _divisor(bottom, expr, scope)
    return quotient(top + bottom - 1 if up else top, bottom)


def _integral(expr: Any, scope: Scope) -> bool:
    """Whether an expression is built from integers by ring operations, division and rounding."""
    match expr:
        case Indexed():
            return printed(expr.base.label) in scope.integers
        case Idx():
            return True
        case sympy.Symbol():
            name = printed(expr)
            return name in scope.bound_now or name in scope.sizes or name in scope.integers
        case sympy.Rational():
            return True
        case sympy.Pow():
            return _integral(expr.base, scope) and bool(expr.exp.is_Integer)
        case sympy.Add() | sympy.Mul() | sympy.Max() | sympy.Min() | sympy.Abs():
            return all(_integral(a, scope) for a in expr.args)
        case sympy.floor() | sympy.ceiling() | sympy.Mod():
            return all(_integral(a, scope) for a in expr.args)
    return False


def is_whole(expr: Any, scope: Scope) -> bool:
    """Whether an expression is an integer whatever its symbols: no division outside a rounding."""
    match expr:
        case sympy.floor() | sympy.ceiling() | sympy.Integer() | Idx() | sympy.Symbol() | Indexed():
            return _integral(expr, scope)
        case sympy.Pow():
            return _integral(expr, scope) and bool(expr.exp > 0) and is_whole(expr.base, scope)
        case sympy.Add() | sympy.Mul() | sympy.Max() | sympy.Min() | sympy.Abs() | sympy.Mod():
            return all(is_whole(a, scope) for a in expr.args)
    return False


def _axis_of(axis: int, expr: Any) -> str:
    return f"axis {axis} of {expr}"


def read_indices(expr: Indexed, scope: Scope) -> tuple[Poly, ...]:
    """The index expressions of a read, its rank checked."""
    name = printed(expr.base.label)
    if name not in scope.ranks:
        known = ", ".join(sorted(scope.ranks))
        raise scope.fail(f"{expr} reads {name}, which is neither an input nor a left side (known: {known})", expr)
    rank = scope.ranks[name]
    if len(expr.indices) != rank:
        given, axes = counted(len(expr.indices), "index", "indices"), counted(rank, "axis", "axes")
        text = f"{expr} reads {name} with {given}, but {name} has {axes}: it is {scope.declared(name)}"
        raise scope.fail(text, expr)
    found = []
    for axis, index in enumerate(expr.indices):
        with scope.inside(partial(_axis_of, axis, expr), expr):
            found.append(to_poly(index, scope))
    scope.written.setdefault((scope.target, name, tuple(found)), expr)
    return tuple(found)
