"""The door: SymPy expressions in, frozen data out. Past it, SymPy is used for printing only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import ITE, And, BooleanFalse, BooleanTrue, Not, Or
from sympy.tensor.indexed import Idx, Indexed

from symgrad.declare import notation
from symgrad.declare.algebra import (
    add,
    all_of,
    any_of,
    apply,
    at_least,
    compare,
    from_integer,
    multiply,
    negation,
    number,
    power,
    relation,
    select,
)
from symgrad.declare.bounds import lower_end, nonnegative, upper_end
from symgrad.declare.integers import (
    Entry,
    Index,
    Poly,
    RealFloor,
    Size,
    as_poly,
    depends_on_data,
    extreme,
    quotient,
    remainder,
)
from symgrad.declare.program import Requirement
from symgrad.declare.scalars import (
    Condition,
    Extension,
    Named,
    Number,
    Read,
    Reduce,
    Scalar,
    Stopped,
    Truth,
)
from symgrad.errors import DeclarationError
from symgrad.naming import base_of, fresh

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


@dataclass
class Scope:
    """What names mean while one layer is converted."""

    ranks: Mapping[str, int]
    integers: frozenset[str]
    sizes: Mapping[str, Size]
    reals: frozenset[str]
    extents: Callable[[str], tuple[Poly, ...] | None]
    where: str = ""
    names: set[str] = field(default_factory=set)
    bound_now: dict[str, Poly] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)

    def fail(self, text: str) -> DeclarationError:
        """An error that says in which equation."""
        return DeclarationError(f"{self.where}: {text}")


def label(index: Any) -> str:
    """The name of an Idx or a Symbol."""
    return str(index.label if isinstance(index, Idx) else index)


# --- integers ------------------------------------------------------------------------------------------------


def to_poly(expr: Any, scope: Scope) -> Poly:
    """An integer expression, for an index, an extent or a limit."""
    match expr:
        case sympy.Integer() | int():
            return as_poly(int(expr))
        case Idx() | sympy.Symbol():
            return _integer_symbol(expr, scope)
        case sympy.Add() | sympy.Mul() | sympy.Rational() if (fraction := sympy.fraction(sympy.together(expr)))[1] != 1:
            top, bottom = (to_poly(part, scope) for part in fraction)
            scope.requirements.append(
                Requirement(compare("==", remainder(top, bottom)), f"{top} must be a multiple of {bottom}")
            )
            return quotient(top, bottom, exact=True)
        case sympy.Add():
            return sum((to_poly(a, scope) for a in expr.args), as_poly(0))
        case sympy.Mul():
            product = as_poly(1)
            for a in expr.args:
                product = product * to_poly(a, scope)
            return product
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
            name = str(expr.base.label)
            if name not in scope.integers:
                raise scope.fail(
                    f"the real tensor {name} stands in the integer expression {expr}; write floor({expr}), "
                    f"or name it in integers=[{name}]"
                )
            return as_poly(Entry(name, read_indices(expr, scope)))
    raise scope.fail(f"{expr} is not an integer expression of indices, sizes and integer tensors")


def _integer_symbol(symbol: Any, scope: Scope) -> Poly:
    name = label(symbol)
    if name in scope.bound_now:
        return scope.bound_now[name]
    if name in scope.sizes:
        return as_poly(scope.sizes[name])
    if name in scope.integers and scope.ranks.get(name) == 0:
        return as_poly(Entry(name, ()))
    if name in scope.reals:
        raise scope.fail(f"the attribute {name} is real and cannot stand in an index; declare it with integer=True")
    known = ", ".join(sorted({*scope.bound_now, *scope.sizes})) or "none"
    raise scope.fail(f"{name} is neither an index in scope nor a size (known: {known}); bind it, or correct its name")


def _divisor(bottom: Poly, expr: Any, scope: Scope) -> Poly:
    if bottom.constant is not None and bottom.constant <= 0:
        raise scope.fail(f"{expr} divides by {bottom}; a divisor of an index must be positive")
    return bottom


def _rounded(expr: Any, scope: Scope) -> Poly:
    argument = expr.args[0]
    up = isinstance(expr, sympy.ceiling)
    if not _integral(argument, scope):
        value = to_scalar(argument, scope)
        if up:
            return -as_poly(RealFloor(multiply(number(-1), value)))
        return as_poly(RealFloor(value))
    top, bottom = (to_poly(part, scope) for part in sympy.fraction(sympy.together(argument)))
    if bottom.constant is not None and bottom.constant < 0:
        top, bottom = -top, -bottom
    bottom = _divisor(bottom, expr, scope)
    return -quotient(-top, bottom) if up else quotient(top, bottom)


def _integral(expr: Any, scope: Scope) -> bool:
    """Whether an expression is built from integers by ring operations, division and rounding."""
    match expr:
        case Indexed():
            return str(expr.base.label) in scope.integers
        case Idx():
            return True
        case sympy.Symbol():
            name = str(expr)
            return name in scope.bound_now or name in scope.sizes or name in scope.integers
        case sympy.Rational():
            return True
        case sympy.Pow():
            return _integral(expr.base, scope) and bool(expr.exp.is_Integer)
        case sympy.Add() | sympy.Mul() | sympy.floor() | sympy.ceiling() | sympy.Mod() | sympy.Max() | sympy.Min():
            return all(_integral(a, scope) for a in expr.args)
    return False


def _is_whole(expr: Any, scope: Scope) -> bool:
    """Whether an expression is an integer whatever its symbols: no division outside a rounding."""
    return _integral(expr, scope) and (
        isinstance(expr, sympy.floor | sympy.ceiling | sympy.Integer | Idx | sympy.Symbol | Indexed)
        or (not isinstance(expr, sympy.Pow | sympy.Rational) and all(_is_whole(a, scope) for a in expr.args))
        or (isinstance(expr, sympy.Pow) and expr.exp > 0 and _is_whole(expr.base, scope))
    )


def read_indices(expr: Indexed, scope: Scope) -> tuple[Poly, ...]:
    """The index expressions of a read, its rank checked."""
    name = str(expr.base.label)
    if name not in scope.ranks:
        known = ", ".join(sorted(scope.ranks))
        raise scope.fail(f"{expr} reads {name}, which is neither an input nor a left side (known: {known})")
    rank = scope.ranks[name]
    if len(expr.indices) != rank:
        raise scope.fail(f"{expr} reads {name} with {len(expr.indices)} indices, but {name} has {rank} axes")
    return tuple(to_poly(i, scope) for i in expr.indices)


# --- scalars -------------------------------------------------------------------------------------------------


def to_scalar(expr: Any, scope: Scope) -> Scalar:
    """A real expression."""
    if not isinstance(expr, sympy.Basic):
        expr = sympy.sympify(expr) if isinstance(expr, int | float) else expr
    if isinstance(expr, sympy.Basic) and not expr.is_number and _is_whole(expr, scope):
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
            total = reduction("sum", sympy.exp(sympy.Dummy()), expr.limits, "first", scope, lambda: _exp_of(expr, scope))
            return apply("log", total)
    if type(expr) in REDUCTIONS:
        ties = getattr(expr, "ties", "first")
        return reduction(REDUCTIONS[type(expr)], expr.function, expr.limits, ties, scope)
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
    return from_integer(_integer_symbol(symbol, scope))


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
    if _is_whole(left, scope) and _is_whole(right, scope):
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
    if _is_whole(left, scope) and _is_whole(right, scope):
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


# --- reductions ----------------------------------------------------------------------------------------------


def reduction(
    kind: str, function: Any, limits: Any, ties: str, scope: Scope, body: Callable[[], Scalar] | None = None
) -> Scalar:
    """A reduction; limits that depend on outer indices or data become a hull and a condition."""
    indices: list[Index] = []
    conditions: list[Condition] = []
    outer = dict(scope.bound_now)
    # SymPy nests limits inside out: a later one is outside an earlier one and may be used by it.
    for limit in reversed(limits):
        index, shift, condition = _limit(limit, function, scope)
        name = label(limit[0])
        if name in scope.bound_now:
            raise scope.fail(f"index {name} is bound twice: it is already in scope where {limit} binds it; rename one")
        if name in scope.sizes:
            raise scope.fail(f"index {name} is also a size; rename one")
        scope.bound_now[name] = as_poly(index) + shift
        indices.append(index)
        conditions.append(condition())
    value = body() if body else to_scalar(function, scope)
    scope.bound_now.clear()
    scope.bound_now.update(outer)
    # In order of the limits as written: the first limit varies slowest in ArgMax and ties.
    return Reduce(kind, tuple(reversed(indices)), all_of(*conditions), value, ties)


def _limit(limit: Any, function: Any, scope: Scope) -> tuple[Index, Poly, Callable[[], Condition]]:
    name = label(limit[0])
    if len(limit) == 3:
        first, last = to_poly(limit[1], scope), to_poly(limit[2], scope)
        low, high = lower_end(first), upper_end(last)
    else:
        first = last = None
        low = high = None
    if low is None or high is None:
        from symgrad.declare.ranges import range_from_reads

        inferred = range_from_reads(name, function, scope)
        low, high = (low if low is not None else inferred[0]), (high if high is not None else inferred[1])
    index = Index(fresh(base_of(name), scope.names), high - low + 1)
    scope.names.add(index.name)
    here = as_poly(index) + low
    for end, hull, sense in ((first, low, 1), (last, high, -1)):
        if end is not None and depends_on_data(end) and not nonnegative((end - hull) * sense):
            text = f"the limit {end} of {name} leaves the range {low} .. {high} that its reads allow"
            scope.requirements.append(Requirement(at_least((end - hull) * sense, 0), text))

    def condition() -> Condition:
        parts = []
        if first is not None and first != low:
            parts.append(at_least(here, first))
        if last is not None and last != high:
            parts.append(at_least(last, here))
        return all_of(*parts)

    return index, low, condition


