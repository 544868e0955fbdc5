"""Values of integer expressions at given sizes; plain Python integers."""

from __future__ import annotations

from collections.abc import Mapping

from symgrad.declare.integers import Entry, Extreme, Index, Poly, Quotient, RealFloor, Remainder, Size
from symgrad.declare.scalars import All, AnyOf, Compare, Condition, Truth


def value_of(poly: Poly, values: Mapping[str, int]) -> int:
    """The value with every size and index looked up by name.

    Raises:
        KeyError: a name has no value, or the value depends on data.
    """
    total = 0
    for monomial, product in poly.terms:
        for atom in monomial:
            product *= values[atom.name] if isinstance(atom, Size | Index) else _atom_value(atom, values)
        total += product
    return total


def _atom_value(atom: Quotient | Remainder | Extreme | Entry | RealFloor, values: Mapping[str, int]) -> int:
    match atom:
        case Quotient(a, b):
            return value_of(a, values) // value_of(b, values)
        case Remainder(a, b):
            return value_of(a, values) % value_of(b, values)
        case Extreme(kind, args):
            return (max if kind == "max" else min)(value_of(a, values) for a in args)
        case Entry(tensor):
            raise KeyError(tensor)
    raise KeyError("a real value")


def holds(condition: Condition, values: Mapping[str, int]) -> bool:
    """Whether an integer condition holds at the given values.

    Raises:
        KeyError: the condition depends on data.
    """
    match condition:
        case Truth(value):
            return value
        case Compare(relation, poly):
            number = value_of(poly, values)
            return {">=": number >= 0, "==": number == 0, "!=": number != 0}[relation]
        case All(args):
            return all(holds(a, values) for a in args)
        case AnyOf(args):
            return any(holds(a, values) for a in args)
    raise KeyError("a real value")
