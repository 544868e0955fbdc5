"""Forward values put in place of the expressions that define them: what makes sigmoid's slope ``y (1 - y)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import overload

from symgrad.declare.algebra import multiply, power
from symgrad.declare.integers import Index, Poly, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import Condition, Mul, Node, Number, Power, Read, Reduce, Scalar, Stopped, walk
from symgrad.declare.segments import Segment, segments
from symgrad.derive.terms import rename
from symgrad.simplify.patterns import Binding, instance, matches


@dataclass(frozen=True, slots=True)
class Definition:
    """``target[at] = body`` for all values of ``indices``."""

    target: str
    indices: tuple[Index, ...]
    at: tuple[Poly, ...]
    body: Scalar

    @staticmethod
    def of(equation: Equation) -> Definition:
        """What an equation defines."""
        return Definition(equation.target, equation.indices, tuple(map(as_poly, equation.indices)), equation.body)

    def read(self, binding: Binding) -> Scalar:
        """The element that is defined where the indices have these values."""
        return rename(Read(self.target, self.at), binding)


def usable(equations: Sequence[Equation]) -> tuple[Definition, ...]:
    """Definitions worth recognising: pointwise, and more than a copy.

    Inside a recurrence an equation defines each range of steps by itself.
    """
    recurrent = recurrent_axes(equations)
    return tuple(
        d
        for e in equations
        if not e.integer
        for d in _ranges(e, recurrent.get(e.target, ()))
        if not isinstance(d.body, Read | Number | Stopped) and not any(isinstance(p, Reduce) for p in walk(d.body))
    )


def _ranges(equation: Equation, axes: tuple[int, ...]) -> list[Definition]:
    whole = Definition.of(equation)
    found = [whole]
    for axis in axes:
        index = equation.indices[axis]
        found += [_range(whole, index, s) for s in segments(index, equation.body) if s.body != equation.body]
    return found


def _range(whole: Definition, index: Index, segment: Segment) -> Definition:
    here = Index(index.name, segment.stop - segment.first)
    table = {index: as_poly(here) + segment.first}
    indices = tuple(here if i == index else i for i in whole.indices)
    at = tuple(as_poly(here) + segment.first if p.atom == index else p for p in whole.at)
    return Definition(whole.target, indices, at, rename(segment.body, table))


@overload
def recognise(node: Scalar, definitions: Sequence[Definition]) -> Scalar: ...
@overload
def recognise(node: Condition, definitions: Sequence[Definition]) -> Condition: ...
def recognise(node: Node, definitions: Sequence[Definition]) -> Node:
    """Replace instances of definitions, whole subexpressions first, then parts of products."""
    node = map_children(node, lambda child: recognise(child, definitions))
    for definition in definitions:
        free = frozenset(definition.indices)
        binding = instance(definition.body, node, free)
        if binding is not None and set(binding) >= free:
            return definition.read(binding)
    if isinstance(node, Mul):
        for definition in definitions:
            if isinstance(definition.body, Mul):
                found = _part_of_product(node, definition)
                if found is not None:
                    return recognise(found, definitions)
    return node


def _part_of_product(node: Mul, definition: Definition) -> Scalar | None:
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
    return multiply(scale, definition.read(binding), *rest)


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
