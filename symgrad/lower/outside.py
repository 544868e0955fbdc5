"""What tensors hold outside of a region of positions: one number wherever a condition on their indices fails.

``exp`` of minus infinity is 0, and 0 times anything counts as 0: so the mask of scores is known of their weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, inf, isinf, isnan, prod

from symgrad.declare.algebra import multiply
from symgrad.declare.conditions import conjuncts
from symgrad.declare.program import Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    Add,
    Apply,
    Compare,
    Condition,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    children,
    free_indices,
)
from symgrad.derive.terms import rename

IDENTITIES = {"sum": 0.0, "max": -inf, "min": inf}
"""What a reduction need not look at."""


class Outside:
    """For each tensor of a program the conditions on its indices outside of which it is one number."""

    def __init__(self, program: Program) -> None:
        self._definitions = {e.target: e for e in program.equations}
        self._known: dict[str, dict[Condition, float]] = {}

    def of(self, tensor: str) -> Mapping[Condition, float]:
        """The conditions over the indices of the tensor's equation, with the number where each of them fails."""
        if tensor not in self._known:
            self._known[tensor] = {}  # what a recurrence says of itself is not known
            definition = self._definitions.get(tensor)
            if definition is not None and not definition.integer:
                found = {c: self.value(definition.body, c) for c in self.conditions(definition.body)}
                own = set(definition.indices)
                known = {c: v for c, v in found.items() if v is not None and free_indices(c) <= own}
                self._known[tensor] = known
        return self._known[tensor]

    def conditions(self, node: Node) -> tuple[Condition, ...]:
        """Conditions on positions that may decide what a value is."""
        found: dict[Condition, None] = {}
        match node:
            case Read():
                found |= dict.fromkeys(self._read(node))
            case Select(condition, _, _) | Reduce(_, _, condition, _, _):
                found |= dict.fromkeys(c for c in conjuncts(condition) if isinstance(c, Compare) and c.relation == ">=")
        for child in children(node):
            if isinstance(child, Scalar):
                found |= dict.fromkeys(self.conditions(child))
        return tuple(found)

    def _read(self, read: Read) -> dict[Condition, float]:
        definition = self._definitions.get(read.tensor)
        if definition is None or read.extension is not None or len(definition.indices) != len(read.indices):
            return {}
        table = dict(zip(definition.indices, read.indices, strict=True))
        return {rename(c, table): value for c, value in self.of(read.tensor).items()}

    def value(self, node: Scalar, condition: Condition) -> float | None:
        """The number that a value is wherever the condition fails; None if that is not known."""
        match node:
            case Number(value):
                return float(value)
            case Stopped(inner):
                return self.value(inner, condition)
            case Read():
                return self._read(node).get(condition)
            case Select(test, then, otherwise):
                second = self.value(otherwise, condition)
                decided = condition in conjuncts(test) or second == self.value(then, condition)
                return second if decided else None
            case Add(args):
                return _total([self.value(a, condition) for a in args])
            case Mul(coefficient, args):
                return _product([float(coefficient), *(self.value(a, condition) for a in args)])
            case Power(base, Number(n)) if n > 0:
                return 0.0 if self.value(base, condition) == 0 else None
            case Apply("exp", (exponent,)):
                power = self.value(exponent, condition)
                return None if power is None or power > 0 else exp(power)
            case Reduce(kind, bound, test, body, _) if kind in IDENTITIES and not set(bound) & free_indices(condition):
                nothing = condition in conjuncts(test) or self.value(body, condition) == IDENTITIES[kind]
                return IDENTITIES[kind] if nothing else None
        return None

    def is_left_out(self, reduce: Reduce, condition: Condition) -> bool:
        """Whether a reduction need not look where the condition fails."""
        if condition in conjuncts(reduce.condition):
            return True
        nothing = IDENTITIES.get(reduce.kind)
        return nothing is not None and self.value(reduce.body, condition) == nothing

    def without_masks(self, body: Scalar) -> Scalar:
        """The body without conditions beside factors that are 0 where those fail."""

        def change(node: Node) -> Node:
            node = map_children(node, change)
            if not isinstance(node, Mul):
                return node
            args = list(node.args)
            for place, factor in enumerate(args):
                others = [a for a in args if a is not factor]
                if isinstance(factor, Select) and factor.otherwise == NOUGHT and self._are_nought(factor, others):
                    args[place] = factor.then
            return node if tuple(args) == node.args else multiply(Number(node.coefficient), *args)

        return changed(body, change)

    def _are_nought(self, factor: Select, others: list[Scalar]) -> bool:
        parts = conjuncts(factor.condition)
        return bool(parts) and all(any(self.value(o, c) == 0 for o in others) for c in parts)


def _total(values: list[float | None]) -> float | None:
    """A sum, infinite if one of its terms is known to be."""
    endless = {v for v in values if v is not None and isinf(v)}
    if len(endless) == 1:
        return endless.pop()
    known = [v for v in values if v is not None]
    return sum(known) if len(known) == len(values) and not endless else None


def _product(values: list[float | None]) -> float | None:
    """A product, 0 if one of its factors is known to be and none to be infinite."""
    known = [v for v in values if v is not None]
    if 0 in known and not any(map(isinf, known)):
        return 0.0
    found = prod(known)
    return found if len(known) == len(values) and not isnan(found) else None
