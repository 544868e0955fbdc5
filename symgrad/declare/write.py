"""From data back to SymPy: for printing, for documents, and for layers that the compiler makes."""

from __future__ import annotations

from fractions import Fraction
from math import inf, isfinite
from typing import Any

import sympy
from sympy.tensor.indexed import Idx, IndexedBase

from symgrad.declare import notation
from symgrad.declare.functions import FUNCTIONS, REDUCTIONS
from symgrad.declare.integers import (
    Atom,
    Entry,
    Extreme,
    Index,
    Poly,
    Quotient,
    RealFloor,
    Remainder,
    Size,
)
from symgrad.declare.program import Program
from symgrad.declare.scalars import (
    Add,
    All,
    AnyOf,
    Apply,
    Compare,
    Condition,
    Extension,
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

_FUNCTION_CLASSES = {name: cls for cls, name in FUNCTIONS.items()}
_REDUCTION_CLASSES = {name: cls for cls, name in REDUCTIONS.items()}


def size_symbol(name: str, minimum: int | None) -> Any:
    """The SymPy symbol of a size."""
    if minimum is None:
        return sympy.Symbol(name, integer=True)
    return sympy.Symbol(name, integer=True, **({"positive": True} if minimum else {"nonnegative": True}))


def poly_to_sympy(poly: Poly) -> Any:
    """An integer expression in SymPy."""
    return sympy.Add(*(c * sympy.Mul(*(_atom(a) for a in m)) for m, c in poly.terms))


def _atom(atom: Atom) -> Any:
    match atom:
        case Size(name, minimum):
            return size_symbol(name, minimum)
        case Index(name, extent):
            return Idx(name, (0, poly_to_sympy(extent) - 1))
        case Quotient(a, b, exact):
            ratio = poly_to_sympy(a) / poly_to_sympy(b)
            return ratio if exact else sympy.floor(ratio)
        case Remainder(a, b):
            return sympy.Mod(poly_to_sympy(a), poly_to_sympy(b), evaluate=False)
        case Extreme(kind, args):
            return (sympy.Max if kind == "max" else sympy.Min)(*map(poly_to_sympy, args))
        case Entry(tensor, (), _):
            return sympy.Symbol(tensor, integer=True)
        case Entry(tensor, args, _):
            return IndexedBase(tensor, integer=True)[tuple(map(poly_to_sympy, args))]
        case RealFloor(value):
            return sympy.floor(scalar_to_sympy(value))
    raise TypeError(atom)


def scalar_to_sympy(node: Scalar) -> Any:
    """A real expression in SymPy."""
    match node:
        case Number(Fraction() as value):
            return sympy.Rational(value.numerator, value.denominator)
        case Number(value):
            return sympy.Float(value) if abs(value) != float("inf") else sympy.oo * (1 if value > 0 else -1)
        case Named(name):
            return {"pi": sympy.pi, "e": sympy.E}[name]
        case FromInteger(poly):
            return poly_to_sympy(poly)
        case Read(tensor, (), _):
            return sympy.Symbol(tensor)
        case Read(tensor, indices, Extension(mode, outside)) if mode != "guarded":
            fill = sympy.nsimplify(outside) if isfinite(outside) else sympy.oo * (1 if outside > 0 else -1)
            return notation.Padded(IndexedBase(tensor), fill, mode)[tuple(map(poly_to_sympy, indices))]
        case Read(tensor, indices):
            return IndexedBase(tensor)[tuple(map(poly_to_sympy, indices))]
        case Add(args):
            return sympy.Add(*map(scalar_to_sympy, args))
        case Mul(coefficient, args):
            return sympy.Mul(scalar_to_sympy(Number(coefficient)), *map(scalar_to_sympy, args))
        case Power(base, exponent):
            return sympy.Pow(scalar_to_sympy(base), scalar_to_sympy(exponent))
        case Apply("sigmoid", (argument,)):
            return 1 / (1 + sympy.exp(-scalar_to_sympy(argument)))
        case Apply("softplus", (argument,)):
            return sympy.log(1 + sympy.exp(scalar_to_sympy(argument)))
        case Apply("log1p", (argument,)):
            return sympy.log(1 + scalar_to_sympy(argument))
        case Apply("logcosh", (argument,)):
            return sympy.log(sympy.cosh(scalar_to_sympy(argument)))
        case Apply("log1mexp", (argument,)):
            return sympy.log(1 - sympy.exp(scalar_to_sympy(argument)))
        case Apply("erfcx", (argument,)):
            u = scalar_to_sympy(argument)
            return sympy.exp(u**2) * sympy.erfc(u)
        case Apply("ierfcx", (argument,)):
            u = scalar_to_sympy(argument)
            return 1 / sympy.sqrt(sympy.pi) - u * sympy.exp(u**2) * sympy.erfc(u)
        case Apply("logerfc", (argument,)):
            return sympy.log(sympy.erfc(scalar_to_sympy(argument)))
        case Apply("loghalferfc", (argument,)):
            return sympy.log(sympy.erfc(scalar_to_sympy(argument)) / 2)
        case Apply("expm1", (argument,)):
            return sympy.exp(scalar_to_sympy(argument)) - 1
        case Apply(function, args):
            return _FUNCTION_CLASSES[function](*map(scalar_to_sympy, args))
        case Select(condition, then, otherwise):
            test = condition_to_sympy(condition)
            return sympy.Piecewise((scalar_to_sympy(then), test), (scalar_to_sympy(otherwise), True))
        case Reduce(kind, indices, condition, body, ties):
            return _reduction(kind, indices, condition, body, ties)
        case Stopped(value):
            return notation.StopGradient(scalar_to_sympy(value))
        case Sloped(variable, slope):
            return notation.CustomGradient(0, {scalar_to_sympy(variable): scalar_to_sympy(slope)}, check=False)
    raise TypeError(node)


_IDENTITY = {"sum": 0, "product": 1, "max": -sympy.oo, "min": sympy.oo, "argmax": -sympy.oo, "argmin": sympy.oo}


def _reduction(kind: str, indices: tuple[Index, ...], condition: Condition, body: Scalar, ties: str) -> Any:
    inner = scalar_to_sympy(body)
    if condition != Truth(True):
        inner = sympy.Piecewise((inner, condition_to_sympy(condition)), (_IDENTITY[kind], True))
    if not indices:
        # What only a condition is left of.
        return inner
    limits = [(_atom(i), 0, poly_to_sympy(i.extent) - 1) for i in indices]
    if kind in ("max", "min"):
        return _REDUCTION_CLASSES[kind](inner, *limits, ties="split" if ties == "split" else "first")
    if kind in ("sum", "product"):
        # Sum's own constructor moves a Piecewise out of an inner sum although its condition holds a bound index.
        made = sympy.Expr.__new__(_REDUCTION_CLASSES[kind], inner, *(sympy.Tuple(*limit) for limit in limits))
        made.is_commutative = True
        return made
    return _REDUCTION_CLASSES[kind](inner, *limits)


def condition_to_sympy(condition: Condition) -> Any:
    """A condition in SymPy, never evaluated away."""
    match condition:
        case Truth(value):
            return sympy.true if value else sympy.false
        case Compare(relation, poly):
            positive = Poly(tuple(t for t in poly.terms if t[1] > 0))
            negative = -Poly(tuple(t for t in poly.terms if t[1] < 0))
            left, right = poly_to_sympy(positive), poly_to_sympy(negative)
            cls = {">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}[relation]
            return cls(left, right, evaluate=False)
        case Relation("<", Apply("abs") as a, Number(value)) if value == inf:
            return sympy.Ne(scalar_to_sympy(a), sympy.oo, evaluate=False)  # SymPy takes every value to be finite
        case Relation("<=", Number(value), Apply("abs") as a) if value == inf:
            return sympy.Eq(scalar_to_sympy(a), sympy.oo, evaluate=False)
        case Relation(relation, a, b):
            classes = {"<": sympy.Lt, "<=": sympy.Le, "==": sympy.Eq, "!=": sympy.Ne}
            return classes[relation](scalar_to_sympy(a), scalar_to_sympy(b), evaluate=False)
        case All(args):
            return sympy.And(*map(condition_to_sympy, args), evaluate=False)
        case AnyOf(args):
            return sympy.Or(*map(condition_to_sympy, args), evaluate=False)
    raise TypeError(condition)


def declaration(program: Program) -> dict[str, Any]:
    """Arguments of ``Layer`` that declare the program again."""

    def tensor(name: str, extents: tuple[Poly, ...]) -> Any:
        return IndexedBase(name)[tuple(map(poly_to_sympy, extents))] if extents else sympy.Symbol(name)

    equations = [
        sympy.Eq(
            IndexedBase(e.target)[tuple(_atom(i) for i in e.indices)] if e.indices else sympy.Symbol(e.target),
            scalar_to_sympy(e.body),
            evaluate=False,
        )
        for e in program.equations
    ]
    attributes = {
        (size_symbol(a.name, a.minimum) if a.integer else sympy.Symbol(a.name)): a.default for a in program.attributes
    }
    return {
        "name": program.name,
        "inputs": [tensor(t.name, t.extents) for t in program.inputs],
        "equations": equations,
        "attributes": attributes,
        "constants": [t.name for t in program.inputs if t.constant and not t.integer],
        "integers": [t.name for t in program.inputs if t.integer],
        "outputs": list(program.outputs),
        "typical": {size_symbol(n, 1): v for n, v in program.typical},
        "doc": program.doc,
    }
