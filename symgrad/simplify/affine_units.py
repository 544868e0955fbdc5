"""Costly values that nothing reads but one affine function of them: ``(erf(u) + 1)/2`` is what gets a name then.

The slope of the value has to do without it: whoever keeps an affine function needs no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symgrad.declare.algebra import multiply
from symgrad.declare.scalars import Add, Apply, Mul, Node, Number, Reduce, Scalar, children
from symgrad.derive.terms import alpha_form
from symgrad.simplify.costly import SLOPE_WITHOUT_VALUE, is_costly


@dataclass(frozen=True, slots=True)
class Parted:
    """A product as an affine function of a value and its other factors."""

    value: Apply
    unit: Scalar
    others: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class Units:
    """The affine functions that are the only readers of their values, by how they read up to renaming."""

    keys: frozenset[str]

    def part(self, node: Node) -> Parted | None:
        """The node as one of these beside other factors, None if it is none."""
        parted = _parted(node) if self.keys else None
        return parted if parted is not None and _key(parted.unit) in self.keys else None


def affine_units(bodies: Iterable[Scalar]) -> Units:
    """Find the values that occur in one affine function alone."""
    readers: dict[str, set[str]] = {}

    def visit(node: Node) -> None:
        parted = _parted(node)
        if parted is not None:
            readers.setdefault(_key(parted.value), set()).add(_key(parted.unit))
            inside: tuple[Node, ...] = parted.others
        elif isinstance(node, Reduce) and isinstance(node.body, Mul):
            inside = (node.condition, *node.body.args)  # a number before a sum stays there
        else:
            if is_costly(node):
                readers.setdefault(_key(node), set()).add("")
            inside = children(node)
        for part in inside:
            visit(part)

    for body in bodies:
        visit(body)
    return Units(frozenset(key for found in readers.values() if len(found) == 1 for key in found if key))


def _parted(node: Node) -> Parted | None:
    """``c*(f + n)*g`` as ``c*(f + n)`` and ``g``, for a value f and numbers c and n."""
    match node:
        case Add() if (value := _shifted(node)) is not None:
            return Parted(value, node)
        case Mul(coefficient, args):
            found = [(value, a) for a in args if (value := _shifted(a)) is not None]
            if len(found) == 1:
                ((value, shifted),) = found
                others = tuple(a for a in args if a is not shifted)
                return Parted(value, multiply(Number(coefficient), shifted), others)
    return None


def _shifted(node: Node) -> Apply | None:
    """The value f of ``f + n`` or ``c*f + n``."""
    match node:
        case Add((Number(), term) | (term, Number())):
            value = term.args[0] if isinstance(term, Mul) and len(term.args) == 1 else term
            if is_costly(value) and value.function in SLOPE_WITHOUT_VALUE:
                return value
    return None


def _key(node: Scalar) -> str:
    return alpha_form(node)[0]
