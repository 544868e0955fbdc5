"""Reductions over a band around an outer index, as windows: ``sum_{j : i - a <= j <= i + b} f(j)`` has a + b + 1 terms.

What lies outside the axis is left out by a condition, or is read through a border of zeros where it then adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least, compare, conjuncts
from symgrad.declare.integers import ZERO, Extreme, Index, Poly, Size, affine_in, as_poly, atoms, indices_of
from symgrad.declare.program import Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    PLAIN,
    TRUE,
    Compare,
    Condition,
    Extension,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    contains,
    free_indices,
    reads_of,
)
from symgrad.derive.invert import guarded
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.groups import conditional

RULE = "sum over a band as a window"
_OUTSIDE = {"sum": 0.0, "max": float("-inf"), "min": float("inf")}
WIDEST = 64
"""Positions of a band up to which a window is worth it where its width is a number."""


def bands_as_windows(program: Program, trace: Trace) -> Program:
    """Give every reduction over a band of a width that no axis sets as one over a window."""
    taken = program.names()
    attributes = frozenset(a.name for a in program.attributes)

    def change(node: Node) -> Node:
        if not contains(node, Reduce):
            return node
        node = map_children(node, change)
        match node:
            case Reduce("sum" | "product" | "max" | "min") if node.ties != "none":
                node = conditional(node)
                for index in node.indices:
                    band = _band(node, index, attributes)
                    if band is not None:
                        return band.window(node, taken)
        return node

    equations = []
    for equation in program.equations:
        after = equation.with_body(changed(equation.body, change))
        trace.record(RULE, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


@dataclass(frozen=True, slots=True)
class _Band:
    """``outer - before <= inner <= outer + after`` and what else is required."""

    inner: Index
    outer: Index
    before: Poly
    after: Poly
    rest: tuple[Condition, ...]

    def window(self, node: Reduce, taken: set[str]) -> Scalar:
        """The reduction over the offset in the band."""
        offset = Index(fresh("u", taken), self.before + self.after + 1)
        taken.add(offset.name)
        place = as_poly(self.outer) - self.before + as_poly(offset)
        table = {self.inner: place}
        indices = tuple(offset if i == self.inner else i for i in node.indices)
        rest = tuple(guarded(rename(c, table)) for c in self.rest)
        body = rename(node.body, table)
        padded = None if rest else _padded(node.kind, body, offset)
        if padded is not None:
            return replace(node, indices=indices, condition=all_of(), body=padded)
        inside = (at_least(place, ZERO), at_least(self.inner.extent - 1, place))
        return replace(node, indices=indices, condition=all_of(*inside, *rest), body=guarded(body))


def _band(node: Reduce, inner: Index, attributes: frozenset[str]) -> _Band | None:
    """The band that the conditions make of an index, if they bound it on both sides by one outer index."""
    low: dict[Index, Poly] = {}
    high: dict[Index, Poly] = {}
    rest: list[Condition] = []
    for part in _split(node.condition):
        found = _end(part, inner, attributes)
        if found is None or found[1] in node.indices or found[1] in (high if found[0] else low):
            rest.append(part)
            continue
        above, outer, width = found
        (high if above else low)[outer] = width
    pairs = [frozenset().union(*map(indices_of, r.indices)) for r in reads_of(node.body)]
    for outer in sorted(low.keys() & high.keys(), key=lambda i: i.name):
        if any({inner, outer} <= p for p in pairs):
            continue  # a table of pairs is there anyway
        width = low[outer] + high[outer] + 1
        small = width.constant is None or width.constant <= WIDEST
        alike = nonnegative(outer.extent - inner.extent) and nonnegative(inner.extent - outer.extent)
        if alike and small and nonnegative(low[outer]) and nonnegative(high[outer]):
            others = [*_ends(low, inner, outer, False), *_ends(high, inner, outer, True)]
            return _Band(inner, outer, low[outer], high[outer], (*rest, *others))
    return None


def _ends(found: dict[Index, Poly], inner: Index, outer: Index, above: bool) -> Iterator[Condition]:
    """The bounds by other indices, as they were."""
    for other, width in found.items():
        if other != outer:
            ahead = as_poly(other) - as_poly(inner) if above else as_poly(inner) - as_poly(other)
            yield at_least(ahead + width, ZERO)


def _split(condition: Condition) -> Iterator[Condition]:
    """The conditions, those on the larger or smaller of several integers one by one."""
    for part in conjuncts(condition):
        match part:
            case Compare(">=", poly):
                yield from _each(poly)
            case _:
                yield part


def _each(poly: Poly) -> Iterator[Condition]:
    for monomial, c in poly.terms:
        match monomial:
            case (Extreme(kind, args),) if (c < 0) == (kind == "max"):
                for arg in args:
                    yield from _each(poly - Poly(((monomial, c),)) + arg * c)
                return
    if (left := compare(">=", poly)) != TRUE:
        yield left


def _end(part: Condition, inner: Index, attributes: frozenset[str]) -> tuple[bool, Index, Poly] | None:
    """Whether the index is bounded above, by which other one, and how far off."""
    if not isinstance(part, Compare) or part.relation != ">=":
        return None
    split = affine_in(part.poly, inner)
    others = indices_of(part.poly) - {inner}
    if split is None or split[0].constant not in (1, -1) or len(others) != 1:
        return None
    (outer,) = others
    beside = affine_in(split[1], outer)
    if beside is None or beside[0] != -split[0] or not _is_set(beside[1], attributes):
        return None
    return split[0].constant == -1, outer, beside[1]


def _is_set(width: Poly, attributes: frozenset[str]) -> bool:
    """Whether a width is a number or given by attributes alone: the extents of axes are long."""
    return all(isinstance(a, Size) and a.name in attributes for a in atoms(width))


def _padded(kind: str, body: Scalar, offset: Index) -> Scalar | None:
    """The body with reads that add nothing outside; None where there are no such reads."""
    factors = body.args if isinstance(body, Mul) and kind == "sum" else (body,)
    if kind not in _OUTSIDE or not any(offset in free_indices(f) for f in factors):
        return None
    if not all(_vanishes(f, offset) for f in factors) or (kind != "sum" and not isinstance(body, Read)):
        return None

    def change(node: Node) -> Node:
        if isinstance(node, Read) and any(offset in indices_of(p) for p in node.indices):
            return replace(node, extension=Extension("constant", _OUTSIDE[kind]))
        return map_children(node, change)

    return changed(body, change)


def _vanishes(factor: Scalar, offset: Index) -> bool:
    """Whether a factor stays as it is, or is a read that may be 0."""
    match factor:
        case Read(_, indices, extension) if extension in PLAIN:
            return all(offset not in indices_of(p) or not _is_looked_up(p) for p in indices)
        case Power(Read() as read, Number(n)) if n > 0 and n == int(n):
            return _vanishes(read, offset)
    return offset not in free_indices(factor)


def _is_looked_up(poly: Poly) -> bool:
    return any(not isinstance(a, Index | Size) for a in atoms(poly))
