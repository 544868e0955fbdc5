"""Ranges of indices that have none of their own: the largest range that keeps every read in bounds."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.tensor.indexed import Idx, Indexed

from symgrad.declare import notation
from symgrad.declare.bounds import lower_end, nonnegative, upper_end
from symgrad.declare.division import quotient
from symgrad.declare.door_integers import to_poly
from symgrad.declare.integers import Index, Poly, affine_in, as_poly
from symgrad.declare.scope import Scope, label, printed
from symgrad.declare.survey import nodes_of
from symgrad.errors import DeclarationError


def range_from_reads(name: str, expr: Any, scope: Scope) -> tuple[Poly, Poly]:
    """First and last value of index ``name`` such that every plain read in ``expr`` stays inside its tensor.

    Raises:
        DeclarationError: no read determines the range, or several do and none of them is the smallest.
    """
    limits = _limits(expr)
    found = [r for read in _plain_reads(expr, name) for r in _ranges(name, read, scope, limits)]
    if not found:
        circular = [printed(r.base.label) for r in _plain_reads(expr, name) if _is_open(printed(r.base.label), scope)]
        if circular:
            raise scope.fail(_circular(name, circular[0], scope.target), name)
        raise scope.fail(f"index {name} has no range and no read determines one; write Idx({name!r}, extent)", name)
    return (
        _tightest(name, [low for low, _ in found], scope, largest=True),
        _tightest(name, [high for _, high in found], scope, largest=False),
    )


def _is_open(tensor: str, scope: Scope) -> bool:
    """Whether a tensor is defined by an equation that is not read yet: one that needs the equation being read."""
    return tensor in scope.ranks and scope.extents(tensor) is None


def _circular(name: str, tensor: str, target: str) -> str:
    whom = f"{tensor} itself" if tensor == target else f"{tensor}, and {tensor} and {target} are a cycle"
    return (
        f"index {name} has no range: it only reads {whom}; a recurrence reads an earlier step, such as "
        f"{tensor}[.., {name} - 1, ..], has a first value, and an index with a range: write Idx({name!r}, extent)"
    )


def _plain_reads(expr: Any, name: str) -> list[Indexed]:
    """Reads that mention the index outside Padded; those behind a condition only if there are no others."""
    sure: list[Indexed] = []
    guarded: list[Indexed] = []

    def visit(node: Any, behind: bool) -> None:
        if isinstance(node, notation.ExtendedRead):
            for index in node.read.indices:
                visit(index, behind)
            return
        if isinstance(node, Indexed) and any(name in _labels(i) for i in node.indices):
            (guarded if behind else sure).append(node)
        for argument in getattr(node, "args", ()):
            visit(argument, behind or isinstance(node, sympy.Piecewise))

    visit(expr, False)
    return list(dict.fromkeys(sure or guarded))


def _labels(expr: Any) -> set[str]:
    return {printed(a.label) if isinstance(a, Idx) else str(a) for a in expr.atoms(sympy.Symbol) | expr.atoms(Idx)}


def bound_in(expr: Any) -> frozenset[str]:
    """Every index that some reduction inside binds."""
    reductions = (n for n in nodes_of(expr) if isinstance(n, sympy.Sum | sympy.Product | notation.Reduction))
    return frozenset(label(limit[0]) for node in reductions for limit in node.limits)


def _limits(expr: Any) -> dict[str, tuple[Any, Any]]:
    """First and last value of every index bound by a reduction inside."""
    found: dict[str, tuple[Any, Any]] = {}
    for node in sympy.preorder_traversal(expr):
        if isinstance(node, sympy.Sum | sympy.Product | notation.Reduction):
            for limit in node.limits:
                if len(limit) == 3:
                    found[label(limit[0])] = (limit[1], limit[2])
    return found


def _ranges(name: str, read: Indexed, scope: Scope, limits: dict[str, tuple[Any, Any]]) -> list[tuple[Poly, Poly]]:
    tensor = printed(read.base.label)
    extents = scope.extents(tensor)
    if extents is None or len(extents) != len(read.indices):
        return []
    probe = Index(name, as_poly(1))
    saved = dict(scope.bound_now)
    result = []
    for axis, index in zip(extents, read.indices, strict=True):
        if name not in _labels(index):
            continue
        if not _bind_ranged(index, name, scope, limits):
            scope.bound_now.clear()
            scope.bound_now.update(saved)
            continue
        scope.bound_now[name] = as_poly(probe)
        split = affine_in(to_poly(index, scope), probe)
        scope.bound_now.clear()
        scope.bound_now.update(saved)
        if split is not None:
            result.extend(_interval(*split, axis))
    return result


def _bind_ranged(index: Any, name: str, scope: Scope, limits: dict[str, tuple[Any, Any]]) -> bool:
    """Bring the other indices of a read into scope by their own ranges; False if one has none."""
    symbols = [s for s in index.atoms(sympy.Symbol) if str(s) in limits]
    for other in sorted([*index.atoms(Idx), *symbols], key=str):
        key = label(other)
        if key == name or key in scope.bound_now:
            continue
        ends = limits.get(key) or (getattr(other, "lower", None), getattr(other, "upper", None))
        if ends[0] is None or ends[1] is None:
            return False
        try:
            low, high = to_poly(ends[0], scope), to_poly(ends[1], scope)
        except DeclarationError:
            return False
        scope.bound_now[key] = as_poly(Index(key, high - low + 1)) + low
    unknown = {str(s) for s in index.atoms(sympy.Symbol)} - {name, *scope.bound_now, *scope.sizes, *scope.ranks}
    return not {u for u in unknown if u not in {label(o) for o in index.atoms(Idx)}}


def _interval(coefficient: Poly, rest: Poly, extent: Poly) -> list[tuple[Poly, Poly]]:
    """Solve ``0 <= coefficient * v + rest <= extent - 1`` for v, over all values of the other indices."""
    low, high = lower_end(rest), upper_end(rest)
    if low is None or high is None:
        return []
    if nonnegative(coefficient - 1):
        return [(-quotient(low, coefficient), quotient(extent - 1 - high, coefficient))]
    if nonnegative(-coefficient - 1):
        return [(-quotient(extent - 1 - high, -coefficient), quotient(low, -coefficient))]
    return []


def _tightest(name: str, ends: list[Poly], scope: Scope, largest: bool) -> Poly:
    distinct = list(dict.fromkeys(ends))
    for end in distinct:
        gaps = [(end - other) if largest else (other - end) for other in distinct]
        if all(nonnegative(gap) for gap in gaps):
            return end
    options = " or ".join(str(e) for e in distinct)
    which = "first" if largest else "last"
    raise scope.fail(
        f"the {which} value of index {name} could be {options}; write Idx({name!r}, extent) to say which", name
    )
