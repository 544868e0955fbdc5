"""Equations as one line of plain text: what stands in comments, docstrings and the terminal."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, multiply, negate, power
from symgrad.declare.conditions import conjuncts
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Poly, Quotient, Remainder, show
from symgrad.declare.program import Equation
from symgrad.declare.scalars import (
    PLAIN,
    Add,
    All,
    AnyOf,
    Apply,
    Compare,
    Condition,
    FromInteger,
    Mul,
    Named,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    Sloped,
    Stopped,
    Truth,
)

_SUM, _PRODUCT, _POWER, _ATOM = 1, 2, 3, 4


def equation_text(equation: Equation) -> str:
    """``y[b, i] = c[i] + sum_{j} w[i, j] * x[b, j]``."""
    left = equation.target
    if equation.indices:
        left += f"[{', '.join(i.name for i in equation.indices)}]"
    return f"{left} = {text(equation.body)}"


def text(node: Scalar, level: int = 0) -> str:
    """An expression; in parentheses if it binds less tightly than ``level``."""
    rendered, mine = _render(node)
    return f"({rendered})" if mine < level else rendered


@remember
def _render(node: Scalar) -> tuple[str, int]:
    match node:
        case Number(Fraction() as value):
            return (str(value), _ATOM if value.denominator == 1 and value >= 0 else _PRODUCT if value > 0 else _SUM)
        case Number(value):
            return repr(value), _ATOM if value >= 0 else _SUM
        case Named(name):
            return name, _ATOM
        case FromInteger(poly):
            return show(poly), _poly_level(poly)
        case Read(tensor, indices, extension):
            return _read(tensor, indices, extension), _ATOM
        case Add(args):
            return _sum(args), _SUM
        case Mul(coefficient, args):
            return _product(coefficient, args)
        case Power(base, Number(Fraction(numerator=1, denominator=2))):
            return f"sqrt({text(base)})", _ATOM
        case Power(_, Number(n)) if n < 0:
            return _product(Fraction(1), (node,))
        case Power(base, exponent):
            return f"{text(base, _ATOM)}^{text(exponent, _ATOM)}", _POWER
        case Apply(function, args):
            return f"{function}({', '.join(map(text, args))})", _ATOM
        case Select(condition, then, otherwise):
            return _select(condition, then, otherwise)
        case Reduce("sum", (), condition, body, _):
            return f"[{condition_text(condition)}] * {text(body, _POWER)}", _PRODUCT
        case Reduce(kind, indices, condition, body, ties):
            names = ", ".join(i.name for i in indices)
            where = f" : {condition_text(condition)}" if conjuncts(condition) else ""
            split = " (ties split)" if ties == "split" else ""
            return f"{kind}_{{{names}{where}}} {text(body, _PRODUCT)}{split}", _PRODUCT
        case Stopped(value):
            return _render(value)
        case Sloped(variable, slope):
            return _render(multiply(slope, add(variable, negate(Stopped(variable)))))
    raise TypeError(node)


def _poly_level(poly: Poly) -> int:
    if len(poly.terms) > 1:
        return _SUM
    return _ATOM if poly.atom is not None and not isinstance(poly.atom, Quotient | Remainder) else _PRODUCT


def _read(tensor: str, indices: tuple[Poly, ...], extension: object) -> str:
    name = tensor
    if extension not in PLAIN:
        value = getattr(extension, "value", 0.0)
        name = f"pad({tensor})" if not value else f"pad({tensor}, {value:g})"
    return f"{name}[{', '.join(map(show, indices))}]" if indices else name


def _select(condition: Condition, then: Scalar, otherwise: Scalar) -> tuple[str, int]:
    match then, otherwise:
        case Number(a), Number(c) if a == 1 and c == 0:
            return f"[{condition_text(condition)}]", _ATOM
    return f"({text(then)} if {condition_text(condition)} else {text(otherwise)})", _ATOM


def _sum(args: tuple[Scalar, ...]) -> str:
    result = ""
    ordered = sorted(args, key=lambda a: isinstance(a, Mul) and a.coefficient < 0)
    for arg in ordered:
        negative = False
        match arg:
            case Mul(c, factors) if c < 0:
                negative, piece = True, _product(-c, factors)[0]
            case Number(v) if v < 0:
                negative, piece = True, text(Number(-v))
            case _:
                piece = text(arg, _SUM)
        result += ("-" if negative else "") + piece if not result else (" - " if negative else " + ") + piece
    return result


def _product(coefficient: Fraction | float, args: tuple[Scalar, ...]) -> tuple[str, int]:
    above: list[str] = []
    below: list[str] = []
    negative = coefficient < 0
    number = abs(coefficient)
    if isinstance(number, Fraction):
        if number.numerator != 1:
            above.append(str(number.numerator))
        if number.denominator != 1:
            below.append(str(number.denominator))
    elif number != 1:
        above.append(repr(number))
    # Reductions last: what stands before them is outside.
    for arg in sorted(args, key=lambda a: (isinstance(a, Reduce), isinstance(a, Select))):
        match arg:
            case Power(base, Number(n)) if n < 0:
                below.append(text(power(base, Number(-n)), _POWER))
            case _:
                above.append(text(arg, _POWER if not isinstance(arg, Reduce) else _PRODUCT))
    line = " * ".join(above) or "1"
    if below:
        line += " / " + (below[0] if len(below) == 1 else f"({' * '.join(below)})")
    return ("-" + line, _SUM) if negative else (line, _PRODUCT)


def condition_text(condition: Condition) -> str:
    """A condition as text."""
    match condition:
        case Truth(value):
            return str(value)
        case Compare(relation, poly):
            left = Poly(tuple(t for t in poly.terms if t[1] > 0))
            right = -Poly(tuple(t for t in poly.terms if t[1] < 0))
            return f"{show(left)} {relation} {show(right)}"
        case Relation(relation, a, c):
            return f"{text(a, _SUM)} {relation} {text(c, _SUM)}"
        case All(args):
            return ", ".join(map(condition_text, args))
        case AnyOf(args):
            return " or ".join(map(condition_text, args))
    raise TypeError(condition)
