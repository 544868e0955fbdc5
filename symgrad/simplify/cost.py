"""A rough cost of evaluating an expression once as arrays: elements touched, weighted by operation."""

from __future__ import annotations

from collections.abc import Mapping

from symgrad.declare.integers import Index
from symgrad.declare.scalars import (
    Add,
    Apply,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Select,
    children,
    free_indices,
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
}


def cost(node: Node, sizes: Mapping[str, int], seen: set[Node] | None = None) -> int:
    """Elements times weight, every distinct subexpression once."""
    seen = set() if seen is None else seen
    if node in seen:
        return 0
    seen.add(node)
    inner = sum(cost(c, sizes, seen) for c in children(node))
    here = volume(free_indices(node), sizes)
    match node:
        case Add(args):
            return inner + _combined(args, sizes)
        case Mul(coefficient, args):
            scaling = min(volume(free_indices(a), sizes) for a in args) if abs(coefficient) != 1 else 0
            return inner + _combined(args, sizes) + scaling
        case Power(_, Number(n)) if n == -1:
            return inner
        case Power():
            return inner + 3 * here
        case Apply(function, _):
            return inner + _WEIGHT.get(function, 8) * here
        case Select() | Relation():
            return inner + 2 * here
        case Reduce(_, indices, _, body, _):
            return inner + volume(free_indices(body) | set(indices), sizes)
        case Read():
            return inner + here // 4
    return inner


def _combined(args: tuple[Node, ...], sizes: Mapping[str, int]) -> int:
    """Factors or terms over the same indices are combined first, then the groups from small to large."""
    groups: dict[frozenset[Index], int] = {}
    for a in args:
        axes = free_indices(a)
        groups[axes] = groups.get(axes, 0) + 1
    total = 0
    covered: frozenset[Index] = frozenset()
    for axes, count in sorted(groups.items(), key=lambda g: (len(g[0]), str(sorted(map(str, g[0]))))):
        total += (count - 1) * volume(axes, sizes)
        first = not covered and not total
        covered |= axes
        if not first:
            total += volume(covered, sizes)
    return total
