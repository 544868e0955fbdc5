"""Costly values that nothing reads but one affine function of them: ``(erf(u) + 1)/2`` is what gets a name then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symgrad.declare.algebra import multiply
from symgrad.declare.scalars import Add, Apply, Mul, Node, Number, Reduce, Scalar, children, reads_of, walk
from symgrad.derive.terms import alpha_form

WITHIN = frozenset({"erf"})
"""Functions whose slope does without the value: whoever keeps an affine function of it needs no more."""


@dataclass(frozen=True, slots=True)
class Parted:
    """A product as the affine function and its other factors."""

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
    """Find the values of ``WITHIN`` that occur in one affine function alone."""
    readers: dict[str, set[str]] = {}

    def visit(node: Node) -> None:
        match _parted(node), node:
            case Parted(unit, others), _:
                value = next(p for p in walk(unit) if isinstance(p, Apply) and _is_value(p))
                readers.setdefault(_key(value), set()).add(_key(unit))
                for other in others:
                    visit(other)
                return
            case _, Reduce("sum", body=Mul(_, factors)):  # a number before a sum stays there
                for part in (node.condition, *factors):
                    visit(part)
                return
            case _, Apply() if _is_value(node):
                readers.setdefault(_key(node), set()).add("")
        for child in children(node):
            visit(child)

    for body in bodies:
        visit(body)
    return Units(frozenset(key for found in readers.values() if len(found) == 1 for key in found if key))


def _parted(node: Node) -> Parted | None:
    """``c*(f + n)*g`` as ``c*(f + n)`` and ``g``, for a value f and numbers c and n."""
    match node:
        case Add() if _is_shifted(node):
            return Parted(node)
        case Mul(coefficient, args):
            shifted = [a for a in args if _is_shifted(a)]
            if len(shifted) == 1:
                others = tuple(a for a in args if a is not shifted[0])
                return Parted(multiply(Number(coefficient), shifted[0]), others)
    return None


def _is_shifted(node: Node) -> bool:
    match node:
        case Add((Number(), value) | (value, Number())):
            return _is_value(value.args[0] if isinstance(value, Mul) and len(value.args) == 1 else value)
    return False


def _is_value(node: Node) -> bool:
    if not (isinstance(node, Apply) and node.function in WITHIN and reads_of(node)):
        return False
    return not any(isinstance(p, Reduce) for p in walk(node))


def _key(node: Scalar) -> str:
    return alpha_form(node)[0]
