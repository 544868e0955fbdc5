"""Forward values put in place of the expressions that define them: what makes sigmoid's slope ``y (1 - y)``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import overload

from symgrad.declare.algebra import multiply, power
from symgrad.declare.integers import Index
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import Condition, Mul, Node, Number, Power, Read, Reduce, Scalar, Stopped, walk
from symgrad.simplify.patterns import Binding, instance, matches


def usable(equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """Definitions worth recognising: pointwise, and more than a copy."""
    return tuple(
        e
        for e in equations
        if not e.integer
        and not isinstance(e.body, Read | Number | Stopped)
        and not any(isinstance(p, Reduce) for p in walk(e.body))
    )


@overload
def recognise(node: Scalar, definitions: Sequence[Equation]) -> Scalar: ...
@overload
def recognise(node: Condition, definitions: Sequence[Equation]) -> Condition: ...
def recognise(node: Node, definitions: Sequence[Equation]) -> Node:
    """Replace instances of definitions, whole subexpressions first, then parts of products."""
    node = map_children(node, lambda child: recognise(child, definitions))
    for definition in definitions:
        free = frozenset(definition.indices)
        binding = instance(definition.body, node, free)
        if binding is not None and set(binding) >= free:
            return Read(definition.target, tuple(binding[i] for i in definition.indices))
    if isinstance(node, Mul):
        for definition in definitions:
            if isinstance(definition.body, Mul):
                found = _part_of_product(node, definition)
                if found is not None:
                    return recognise(found, definitions)
    return node


def _part_of_product(node: Mul, definition: Equation) -> Scalar | None:
    """``a b c`` with ``y = a b`` is ``y c``."""
    body = definition.body
    assert isinstance(body, Mul)
    wanted, available = _expanded(body.args), _expanded(node.args)
    if len(wanted) > len(available):
        return None
    binding: Binding = {}
    rest = _take(wanted, available, frozenset(definition.indices), binding)
    if rest is None or set(binding) < set(definition.indices):
        return None
    scale = Number(Fraction(node.coefficient) / Fraction(body.coefficient))
    return multiply(scale, Read(definition.target, tuple(binding[i] for i in definition.indices)), *rest)


def _expanded(factors: Sequence[Scalar]) -> list[Scalar]:
    """Integer powers written out, so that part of a power can be taken."""
    found: list[Scalar] = []
    for factor in factors:
        match factor:
            case Power(base, Number(n)) if isinstance(n, Fraction) and n.denominator == 1 and 1 < abs(n) <= 4:
                found += [power(base, Number(Fraction(1 if n > 0 else -1)))] * abs(int(n))
            case _:
                found.append(factor)
    return found


def _take(
    wanted: list[Scalar], available: list[Scalar], free: frozenset[Index], binding: Binding
) -> list[Scalar] | None:
    """Match every wanted factor with a different available one; what is left over, or None."""
    if not wanted:
        return available
    first, *others = wanted
    for p, candidate in enumerate(available):
        trial = dict(binding)
        if matches(first, candidate, free, trial):
            rest = _take(others, available[:p] + available[p + 1 :], free, trial)
            if rest is not None:
                binding.update(trial)
                return rest
    return None
