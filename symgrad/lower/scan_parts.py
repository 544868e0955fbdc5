"""What a recurrence is lowered from: equations at fixed positions, ranges of steps, what needs an array."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, conjuncts, negation
from symgrad.declare.formula import text
from symgrad.declare.integers import ZERO, Atom, Extreme, Index, Poly, Size, affine_in, as_poly, atoms, indices_of, show
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Scan, scans
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    Add,
    Apply,
    Compare,
    Condition,
    Node,
    Read,
    Reduce,
    Scalar,
    Truth,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.declare.segments import at_or_after, at_or_before, simplified_sum
from symgrad.declare.steps import group_reads
from symgrad.declare.substitution import substitute
from symgrad.derive.terms import rename
from symgrad.lower.arrays import At, Item


@dataclass(frozen=True, slots=True)
class Task:
    """An equation at fixed positions of some axes.

    Attributes:
        target: its left side.
        equation: over the indices that are left; loop variables stand in its body.
        items: how the left side is subscripted for what the equation gives.
        shown: the body as a reader of the module knows it.
        at: the position on each axis of the left side.
        adds: whether the value is added to what is there.
        when: conditions on loop variables under which it is computed.
        name: of the left side, where ``target`` is a view of it.
    """

    target: str
    equation: Equation
    items: tuple[Item, ...]
    shown: Scalar
    at: tuple[Poly, ...]
    adds: bool = False
    when: tuple[Condition, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        """The formula."""
        name = self.name or self.target
        left = f"{name}[{', '.join(map(show, self.at))}]" if self.at else name
        return f"{left} {'+=' if self.adds else '='} {text(self.shown)}"

    def of(self, body: Scalar, shown: Scalar) -> Task:
        """The task with another body."""
        return replace(self, equation=replace(self.equation, body=body), shown=shown)

    def along(self, index: Index, item: Item, value: Poly, keep: Index | None = None) -> Task:
        """The task where an index has a value, at an item of its axis; ``keep`` is the index in the value."""
        free = [p for p, i in enumerate(self.items) if not isinstance(i, At)]
        place = free[self.equation.indices.index(index)]
        indices: tuple[Index, ...] = ()
        for i in self.equation.indices:
            indices += (i,) if i != index else () if keep is None else (keep,)
        table = {index: value}
        return replace(
            self,
            equation=replace(self.equation, indices=indices, body=rename(self.equation.body, table)),
            items=(*self.items[:place], item, *self.items[place + 1 :]),
            shown=rename(self.shown, table),
            at=tuple(substitute(p, {index: value}) for p in self.at),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What is done for one equation in the steps ``first .. stop - 1``."""

    task: Task
    index: Index
    first: Poly
    stop: Poly
    shift: Poly

    @property
    def ends(self) -> tuple[tuple[Poly, Poly], ...]:
        """The first step and the one after the last; each as it is, and inside the range of the index."""
        last = self.index.extent - self.shift
        return (self.first, at_or_before(self.first, last)), (self.stop, at_or_after(self.stop, -self.shift))


def open_test(body: Scalar, loops: frozenset[Index]) -> Compare | None:
    """A condition on sizes and loop variables alone, if a body has one."""
    for part in walk(body):
        if isinstance(part, Compare) and free_indices(part) and free_indices(part) <= loops and not tensors_of(part):
            return part
    return None


def assuming(body: Scalar, condition: Condition) -> Scalar:
    """The body where a condition holds."""
    opposite = negation(condition)

    def change(node: Node) -> Node:
        if node in (condition, opposite):
            return Truth(node == condition)
        return simplified_sum(map_children(node, change))

    return changed(body, change)


def within_limits(body: Scalar, loops: frozenset[Index]) -> Scalar:
    """A body whose sums run over the range that conditions on a summed index and the step leave, without a mask."""

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if not isinstance(node, Reduce) or node.kind not in ("sum", "max", "min"):
            return node
        if node.kind != "sum" and node.ties != "none":
            return node  # an extremum of nothing is an error, and stays one
        for condition in conjuncts(node.condition):
            for index in node.indices:
                found = _range_of(condition, index, loops)
                if found is not None:
                    return change(_over_range(node, condition, index, *found))
        return node

    return changed(body, change)


def _range_of(condition: Condition, index: Index, loops: frozenset[Index]) -> tuple[Poly, Poly] | None:
    """First value and number of values that the step leaves to an index; None if the condition is no such bound."""
    if not isinstance(condition, Compare) or condition.relation != ">=":
        return None
    split = affine_in(condition.poly, index)
    if split is None or split[0].constant not in (1, -1) or not indices_of(split[1]) & loops:
        return None
    if not all(isinstance(a, Size) or a in loops for a in atoms(split[1])):
        return None
    if split[0].constant == -1:
        return ZERO, at_or_after(at_or_before(split[1] + 1, index.extent), ZERO)
    first = at_or_after(-split[1], ZERO)
    return first, at_or_after(index.extent - first, ZERO)


def _over_range(node: Reduce, condition: Condition, index: Index, first: Poly, extent: Poly) -> Reduce:
    """A reduction whose index runs over a part of its range, in which a condition holds."""
    shorter = Index(index.name, extent)
    table = {index: as_poly(shorter) + first}
    rest = all_of(*(c for c in conjuncts(node.condition) if c != condition))
    indices = tuple(shorter if i == index else i for i in node.indices)
    return Reduce(node.kind, indices, rename(rest, table), rename(node.body, table), node.ties)


def stored_in(scan: Scan, kept: frozenset[str], general: bool) -> frozenset[str]:
    """Left sides that are arrays over all steps: read at another step, or after the loop, or computed before it."""
    names = {e.target for e in scan.members}
    found = {t for t in names if t in kept}
    found |= {e.target for inner in scans(scan.body) for e in inner.members}
    found |= {e.target for e in scan.members if e.integer or (not general and bulk_terms(e, names))}
    for r in group_reads(scan.members):
        gap = r.indices[scan.axis(r.tensor)] - as_poly(scan.index(r.reader))
        if (gap + scan.shift(r.reader) - scan.shift(r.tensor)).terms:
            found.add(r.tensor)
    return frozenset(found)


def terms_in(body: Scalar) -> tuple[Scalar, ...]:
    """The terms of a body."""
    return body.args if isinstance(body, Add) else (body,)


def bulk_terms(equation: Equation, names: set[str]) -> tuple[Scalar, ...]:
    """The terms of a sum that need nothing of the recurrence, if they are more than a read or two."""
    free = tuple(a for a in terms_in(equation.body) if not set(tensors_of(a)) & names)
    heavy = len(free) > 1 or any(isinstance(p, Reduce | Apply) for a in free for p in walk(a))
    return free if heavy and len(free) < len(terms_in(equation.body)) else ()


def left_over(equation: Equation, scan: Scan) -> tuple[Index, ...]:
    """The indices of a left side that has no array over the steps."""
    axis = scan.axis(equation.target)
    return equation.indices[:axis] + equation.indices[axis + 1 :]


def without_axis(equation: Equation, local: set[str], scan: Scan) -> Equation:
    """Reads of what is there for one step only, without the index of the step."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.tensor in local:
            axis = scan.axis(node.tensor)
            return Read(node.tensor, node.indices[:axis] + node.indices[axis + 1 :], node.extension)
        return map_children(node, change)

    return equation.with_body(changed(equation.body, change))


def from_nought(parts: list[Part]) -> list[Part]:
    """The parts with their steps counted such that none is negative."""
    least = ZERO
    for part in parts:
        least = part.first if nonnegative(least - part.first) else least
    return [replace(p, first=p.first - least, stop=p.stop - least, shift=p.shift + least) for p in parts]


def cuts_of(parts: list[Part]) -> list[tuple[Poly, Poly]] | None:
    """The steps at which a range begins or ends, in order; each as it is, and inside the range of its index.

    None if it is not known which of two comes first.
    """
    ends: dict[Poly, Poly] = {}
    for part in parts:
        for value, inside in part.ends:
            ends.setdefault(inside, value)
    if not all(nonnegative(a - c) or nonnegative(c - a) for a in ends for c in ends):
        return None
    found = sorted(ends, key=lambda e: sum(e != other and nonnegative(e - other) for other in ends))
    return [(ends[e], e) for e in found]


def without_steps(scan: Scan, spans: Iterable[tuple[Poly, Poly]]) -> tuple[Condition, ...]:
    """What has to hold for steps to be taken, if some would be taken along an axis of extent 0."""
    extents = dict.fromkeys(scan.index(e.target).extent for e in scan.members)
    spans = tuple(spans)
    found = []
    for extent in (e for e in extents if isinstance(e.atom, Size)):
        nothing: dict[Atom, Poly] = dict.fromkeys(atoms(extent), ZERO)
        counts = (substitute(stop - first, nothing) for first, stop in spans)
        if not all(nonnegative(-count) for count in counts):
            found.append(Compare(">=", extent - 1))
    return tuple(found)


def outside(scan: Scan, part: Part, first: Poly, stop: Poly, stored: Set[str]) -> bool:
    """Whether what a part reads of its recurrence in the steps ``first .. stop - 1`` is of other steps than those."""
    names = {e.target for e in scan.members}
    reads = [r for r in reads_of(part.task.equation.body) if r.tensor in names]
    if not {r.tensor for r in reads} <= stored:
        return False  # what is there for one step only is of this one
    entries = {t for t in tensors_of(part.task.equation.body) if t in names} - {r.tensor for r in reads}
    steps = (r.indices[scan.axis(r.tensor)] - scan.shift(r.tensor) for r in reads)
    return not entries and all(
        part.index not in indices_of(s) and (nonnegative(first - 1 - s) or nonnegative(s - stop)) for s in steps
    )


def looks_ahead(body: Scalar, index: Index) -> bool:
    """Whether elements may be read that no step has computed yet, because a condition or a 0 beside them hides them."""
    tests = any(isinstance(p, Compare) and index in free_indices(p) for p in walk(body))
    return tests or any(r.extension is not None for r in reads_of(body))


def lower_bounds(poly: Poly) -> tuple[Poly, ...]:
    """What a value is at least, apart from 0."""
    return tuple(a for a in poly.atom.args if a.terms) if isinstance(poly.atom, Extreme) else (poly,)


def positions_first(items: tuple[Equation | Scan, ...]) -> list[Equation | Scan]:
    """What a step does, the position of an extremum before the extremum, which then need not be searched again."""
    order = list(items)
    for item in items:
        if not isinstance(item, Equation) or not isinstance(item.body, Reduce) or item.body.kind not in ("max", "min"):
            continue
        wanted = replace(item.body, kind=f"arg{item.body.kind}")
        for other in order[order.index(item) + 1 :]:
            if isinstance(other, Equation) and other.body == wanted and other.indices == item.indices:
                order.remove(other)
                order.insert(order.index(item), other)
                break
    return order
