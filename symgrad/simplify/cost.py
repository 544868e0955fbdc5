"""A rough cost of evaluating an expression once as arrays: elements touched, weighted by operation."""

from __future__ import annotations

from collections.abc import Mapping

from symgrad.declare.conditions import conjuncts
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Entry, Index, depends_on_data, indices_of, set_equal
from symgrad.declare.scalars import (
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
    Relation,
    Scalar,
    Select,
    children,
    free_indices,
    reads_of,
)
from symgrad.declare.typical import volume

_WEIGHT = {
    "abs": 1,
    "max": 1,
    "min": 1,
    "sign": 2,
    "sigmoid": 12,
    "softplus": 20,
    "logcosh": 40,
    "log1mexp": 40,
    "erf": 40,
    "erfcx": 40,
    "ierfcx": 40,
    "logerfc": 60,
    "loghalferfc": 60,
}

GATHERED = 128
"""Cost of an element that is read or added at a place that data give: products and sums pass as many in the time."""


def cost(node: Node, sizes: Mapping[str, int], seen: set[Node] | None = None) -> int:
    """Elements times weight, every distinct subexpression once."""
    seen = set() if seen is None else seen
    if node in seen:
        return 0
    seen.add(node)
    inner = sum(cost(c, sizes, seen) for c in children(node))

    def here() -> int:
        return volume(free_indices(node), sizes)

    match node:
        case Add(args):
            return inner + _combined(args, sizes)
        case Mul(coefficient, args):
            scaling = min(volume(free_indices(a), sizes) for a in args) if abs(coefficient) != 1 else 0
            return inner + _combined(args, sizes) + scaling
        case Power(_, Number(n)) if n == -1:
            return inner
        case Power():
            return inner + 3 * here()
        case Apply(function, _):
            return inner + _WEIGHT.get(function, 8) * here()
        case Select() | Relation():
            return inner + 2 * here()
        case Reduce(_, indices, condition, body, _):
            return inner + _reduced(indices, condition, body, sizes)
        case Read():
            return inner + here() // 4
    return inner


def _reduced(indices: tuple[Index, ...], condition: Condition, body: Scalar, sizes: Mapping[str, int]) -> int:
    """Cost of a reduction; what data place is not looked for, but costs more by the element."""
    joint, placed = free_indices(body) | set(indices), placed_by_data(condition)
    if not indices:
        return volume(joint | placed, sizes)
    gathers = any(depends_on_data(p) for r in reads_of(body) for p in r.indices)
    return volume(joint - placed, sizes) * (GATHERED if placed or gathers else 1)


def placed_by_data(condition: Condition) -> set[Index]:
    """The indices that the condition sets equal to an entry of an integer tensor, one for each equality."""
    found: set[Index] = set()
    for part in conjuncts(condition):
        if isinstance(part, Compare) and part.relation == "==":
            for index in sorted(indices_of(part.poly), key=str):
                position = set_equal(part.poly, index)
                if position is not None and isinstance(position.atom, Entry):
                    found.add(index)
                    break
    return found


def _combined(args: tuple[Node, ...], sizes: Mapping[str, int]) -> int:
    """Factors or terms over the same indices are combined first, then the groups from small to large."""
    groups: dict[frozenset[Index], int] = {}
    for a in args:
        axes = free_indices(a)
        groups[axes] = groups.get(axes, 0) + 1
    total = 0
    covered: frozenset[Index] = frozenset()
    for axes, count in sorted(groups.items(), key=lambda g: _order(g[0])):
        total += (count - 1) * volume(axes, sizes)
        first = not covered and not total
        covered |= axes
        if not first:
            total += volume(covered, sizes)
    return total


@remember
def _order(axes: frozenset[Index]) -> tuple[int, str]:
    """An order of sets of indices from small to large that no hash seed changes."""
    return len(axes), str(sorted(map(str, axes)))
