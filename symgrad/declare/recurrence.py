"""Recurrences: equations that need themselves, and the order of steps along an index in which they can be computed.

Every read inside a group is at a fixed distance along one index of each equation, or provably earlier; all of them
point the same way. What is read at the same step is ordered inside the step, if need be along a further index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from symgrad.declare.bounds import lower_end, nonnegative, upper_end
from symgrad.declare.conditions import conjuncts, negation
from symgrad.declare.graph import components, groups, is_recurrent
from symgrad.declare.integers import ZERO, Entry, Index, Poly, as_poly, atoms, indices_of, show
from symgrad.declare.program import Equation
from symgrad.declare.scalars import (
    All,
    AnyOf,
    Compare,
    Condition,
    Node,
    Number,
    Read,
    Reduce,
    Scalar,
    Select,
    children,
    own_polynomials,
    walk,
)
from symgrad.declare.segments import segments
from symgrad.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class GroupRead:
    """A read of one member of a group in the equation of another (or its own), and the conditions around it."""

    reader: str
    tensor: str
    indices: tuple[Poly, ...]
    behind: tuple[Condition, ...]

    def __str__(self) -> str:
        """The read as written."""
        return f"{self.tensor}[{', '.join(map(show, self.indices))}]"


@dataclass(frozen=True, slots=True)
class Scan:
    """Equations computed together, step by step.

    Attributes:
        members: the equations.
        axes: for each of them the position of the recurrent index on its left side.
        shifts: at step ``s`` a member is computed at index ``s + shift``.
        reverse: whether the steps run from the last to the first.
        body: what happens in one step, in order.
    """

    members: tuple[Equation, ...]
    axes: tuple[int, ...]
    shifts: tuple[Poly, ...]
    reverse: bool
    body: tuple[Equation | Scan, ...]

    def index(self, target: str) -> Index:
        """The recurrent index of a member."""
        place = [e.target for e in self.members].index(target)
        return self.members[place].indices[self.axes[place]]

    def axis(self, target: str) -> int:
        """The position of the recurrent index of a member."""
        return self.axes[[e.target for e in self.members].index(target)]

    def shift(self, target: str) -> Poly:
        """How far the index of a member is ahead of the step."""
        return self.shifts[[e.target for e in self.members].index(target)]


Item = Equation | Scan


class NoOrderError(Exception):
    """A group of equations that no order of steps computes; the text says why."""


def schedule(equations: Sequence[Equation]) -> tuple[Item, ...]:
    """The equations in an order in which they can be computed, those that need each other as scans.

    Raises:
        NoOrderError: a group cannot be computed step by step.
    """
    return tuple(scan_of(g) if is_recurrent(g) else g[0] for g in groups(equations))


def in_steps(equations: Sequence[Equation]) -> Iterator[Equation]:
    """The equations in the order in which one step computes them."""
    pending = list(schedule(equations))
    while pending:
        item = pending.pop(0)
        if isinstance(item, Scan):
            pending[:0] = item.body
        else:
            yield item


def together(scan: Scan, companions: Sequence[tuple[Equation, Equation]]) -> Scan:
    """The scan with further equations in it, each done in the step of a member that it stands beside."""
    for made, beside in companions:
        if beside in scan.members:
            place = scan.members.index(beside)
            members = (*scan.members, made)
            axes, shifts = (*scan.axes, scan.axes[place]), (*scan.shifts, scan.shifts[place])
            scan = replace(scan, members=members, axes=axes, shifts=shifts, body=_after(scan.body, beside, made))
    return scan


def _after(body: tuple[Item, ...], beside: Equation, made: Equation) -> tuple[Item, ...]:
    found: list[Item] = []
    for item in body:
        if isinstance(item, Scan):
            item = together(item, [(made, beside)])
        found += [item, made] if item == beside else [item]
    return tuple(found)


def check(name: str, equations: Sequence[Equation]) -> None:
    """Judge every recurrence of a declaration.

    Raises:
        DeclarationError: one cannot be computed step by step; the message names equation, index and read.
    """
    for group in (g for g in groups(equations) if is_recurrent(g)):
        names = {e.target for e in group}
        for equation in group:
            for part in walk(equation.body):
                if isinstance(part, Read) and part.tensor in names and part.extension is not None:
                    _check_border(name, equation, part)
    try:
        schedule(equations)
    except NoOrderError as error:
        raise DeclarationError(f"{name}: {error}") from None


def _check_border(name: str, equation: Equation, read: Read) -> None:
    mode = read.extension.mode if read.extension is not None else "constant"
    if mode not in ("constant", "guarded"):
        raise DeclarationError(
            f"{name}, equation of {equation.target}: Padded({read.tensor}, mode='{mode}') reads {read.tensor} inside "
            f"the recurrence that computes it, perhaps too early; write a constant outside, "
            f"Padded({read.tensor}, value=0), or a Piecewise"
        )


def scans(items: Sequence[Item]) -> Iterator[Scan]:
    """Every scan, inner ones as well."""
    for item in items:
        if isinstance(item, Scan):
            yield item
            yield from scans(item.body)


def recurrent_axes(equations: Sequence[Equation]) -> dict[str, tuple[int, ...]]:
    """For every left side inside a recurrence the positions of its recurrent indices, outermost first."""
    found: dict[str, tuple[int, ...]] = {}
    for scan in scans(schedule(equations)):
        for member, axis in zip(scan.members, scan.axes, strict=True):
            found[member.target] = (*found.get(member.target, ()), axis)
    return found


# --- one group ---------------------------------------------------------------------------------------------------


@cache
def scan_of(group: tuple[Equation, ...], dropped: frozenset[GroupRead] = frozenset()) -> Scan:
    """The order of steps of a group of equations that need each other.

    ``dropped`` are reads that an outer scan has put in order already.

    Raises:
        NoOrderError: there is none.
    """
    reads = [r for r in group_reads(group) if r not in dropped]
    for axes in _axes(group, reads):
        for shifts in _shifts(group, axes, reads):
            for reverse in (False, True):
                earlier = {r: _is_earlier(r, group, axes, shifts, -1 if reverse else 1) for r in reads}
                if None in earlier.values():
                    continue
                late = frozenset(r for r, found in earlier.items() if found)
                try:
                    body = _within_step(group, reads, dropped | late)
                except NoOrderError:
                    continue
                if late:
                    return Scan(tuple(group), axes, shifts, reverse, body)
    raise NoOrderError(_complaint(group, reads))


def _within_step(group: Sequence[Equation], reads: Sequence[GroupRead], late: frozenset[GroupRead]) -> tuple[Item, ...]:
    """The members in an order in which each comes after what it reads at the same step."""
    now = [r for r in reads if r not in late]
    needs: Mapping[str, list[str]] = {e.target: [r.tensor for r in now if r.reader == e.target] for e in group}
    if any(set(g) == set(needs) for g in components(needs)) and len(now) == len(reads):
        raise NoOrderError("nothing is read at another step")
    by_name = {e.target: e for e in group}
    items: list[Item] = []
    for names in components(needs):
        again = len(names) > 1 or names[0] in needs[names[0]]
        members = tuple(by_name[n] for n in names)
        items.append(scan_of(members, late) if again else members[0])
    return tuple(items)


def group_reads(group: Sequence[Equation]) -> tuple[GroupRead, ...]:
    """Every read of one member by another, or by itself."""
    names = {e.target for e in group}
    return tuple(
        dict.fromkeys(
            GroupRead(e.target, t, i, behind) for e in group for t, i, behind in _reads(e.body, ()) if t in names
        )
    )


def _reads(node: Node, behind: tuple[Condition, ...]) -> Iterator[tuple[str, tuple[Poly, ...], tuple[Condition, ...]]]:
    """Every read, of integers and of extended tensors too, with the conditions that it stands behind."""
    match node:
        case Select(condition, then, otherwise):
            yield from _reads(condition, behind)
            yield from _reads(then, (*behind, *conjuncts(condition)))
            yield from _reads(otherwise, (*behind, *conjuncts(negation(condition))))
            return
        case All(args) | AnyOf(args):
            for p, arg in enumerate(args):
                others = [*args[:p], *args[p + 1 :]]
                known = others if isinstance(node, All) else [negation(o) for o in others]
                yield from _reads(arg, (*behind, *(c for o in known for c in conjuncts(o))))
            return
        case Reduce(_, _, condition, body, _):
            yield from _reads(condition, behind)
            yield from _reads(body, (*behind, *conjuncts(condition)))
            return
        case Read(tensor, indices, _):
            yield tensor, indices, behind
    for poly in own_polynomials(node):
        for atom in atoms(poly):
            if isinstance(atom, Entry):
                yield atom.tensor, atom.indices, behind
    for child in children(node):
        yield from _reads(child, behind)


def _axes(group: Sequence[Equation], reads: Sequence[GroupRead]) -> Iterator[tuple[int, ...]]:
    """One axis of each member such that every read is at a known distance along it."""
    names = [e.target for e in group]

    def extend(chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(chosen) == len(group):
            yield chosen
            return
        none = (ZERO,) * len(group)
        for axis in range(len(group[len(chosen)].indices)):
            trial = (*chosen, axis)
            known = [r for r in reads if names.index(r.reader) < len(trial) and names.index(r.tensor) < len(trial)]
            newest = [r for r in known if len(chosen) in (names.index(r.reader), names.index(r.tensor))]
            if all(_is_along(r, group, trial, none) for r in newest):
                yield from extend(trial)

    yield from extend(())


def _is_along(read: GroupRead, group: Sequence[Equation], axes: Sequence[int], none: Sequence[Poly]) -> bool:
    """Whether a read is at a distance that does not depend on the step, or is known to be earlier or later."""
    place = [e.target for e in group].index(read.reader)
    own = group[place].indices[axes[place]]
    fixed = own not in indices_of(_gap(read, group, axes, none))
    return fixed or any(_is_earlier(read, group, axes, none, sense) is not None for sense in (1, -1))


def _is_earlier(
    read: GroupRead, group: Sequence[Equation], axes: Sequence[int], shifts: Sequence[Poly], sense: int
) -> bool | None:
    """Whether a read is of an earlier step (later for sense -1); False if of the same, None if not known."""
    gap = _gap(read, group, axes, shifts) * -sense
    if gap.constant is not None:
        return None if gap.constant < 0 else gap.constant > 0
    facts = [c.poly for c in read.behind if isinstance(c, Compare) and c.relation == ">="]
    if nonnegative(gap - 1, facts):
        return True
    return False if nonnegative(gap, facts) else None


def _gap(read: GroupRead, group: Sequence[Equation], axes: Sequence[int], shifts: Sequence[Poly]) -> Poly:
    names = [e.target for e in group]
    reader, producer = names.index(read.reader), names.index(read.tensor)
    own = group[reader].indices[axes[reader]]
    return read.indices[axes[producer]] - as_poly(own) + shifts[reader] - shifts[producer]


def _shifts(group: Sequence[Equation], axes: tuple[int, ...], reads: Sequence[GroupRead]) -> Iterator[tuple[Poly, ...]]:
    """Shifts to try: steps that begin together where the recurrence begins, none, the least that put reads in order."""
    names = frozenset(e.target for e in group)
    main = [_main(e, e.indices[axis], names) for e, axis in zip(group, axes, strict=True)]
    first = main[0]
    if first is not None and all(m is not None and m[1] - m[0] == first[1] - first[0] for m in main):
        yield _centred([m[0] for m in main if m is not None], group)
    none = (ZERO,) * len(group)
    yield none
    for sense in (1, -1):
        found = _relaxed(group, axes, reads, sense)
        if found is not None and found != none:
            yield found


def _relaxed(
    group: Sequence[Equation], axes: tuple[int, ...], reads: Sequence[GroupRead], sense: int
) -> tuple[Poly, ...] | None:
    """Shifts after which no read is of a later step (of an earlier one for sense -1), as shortest paths."""
    names = [e.target for e in group]
    none = (ZERO,) * len(group)
    shifts = list(none)
    edges: list[tuple[int, int, Poly]] = []
    for read in reads:
        gap = _gap(read, group, axes, none)
        end = upper_end(gap) if sense > 0 else lower_end(gap)
        if end is None:
            return None
        edges.append((names.index(read.reader), names.index(read.tensor), end))
    for _ in range(len(group) + 1):
        before = list(shifts)
        for reader, producer, end in edges:
            wanted = shifts[reader] + end
            if not nonnegative((shifts[producer] - wanted) * sense):
                shifts[producer] = wanted
        if shifts == before:
            return _centred(shifts, group)
    return None


def _centred(shifts: Sequence[Poly], group: Sequence[Equation]) -> tuple[Poly, ...]:
    """Shifts against that of most members that compute something, among equals against the largest."""
    votes = [s for s, e in zip(shifts, group, strict=True) if not _is_store(e.body)] or list(shifts)
    usual = votes[0]
    for other in dict.fromkeys(votes):
        more = votes.count(other) - votes.count(usual)
        if more > 0 or (more == 0 and nonnegative(other - usual)):
            usual = other
    return tuple(s - usual for s in shifts)


def _is_store(body: Scalar) -> bool:
    """Whether an equation only chooses between elements and numbers."""
    if isinstance(body, Select):
        return _is_store(body.then) and _is_store(body.otherwise)
    return isinstance(body, Read | Number)


@cache
def _main(equation: Equation, index: Index, names: frozenset[str]) -> tuple[Poly, Poly] | None:
    """The range in which an equation reads its group."""
    reading = [s for s in segments(index, equation.body) if any(t in names for t, _, _ in _reads(s.body, ()))]
    return (reading[0].first, reading[-1].stop) if reading else None


def _complaint(group: Sequence[Equation], reads: Sequence[GroupRead]) -> str:
    """Why no order of steps computes a group."""
    first = group[0].target
    cycle = " -> ".join([*(e.target for e in group), first])
    by_name = {e.target: e for e in group}
    lines = []
    for read in reads:
        left = by_name[read.reader]
        lines.append(f"{left.target}[{', '.join(i.name for i in left.indices)}] reads {read}")
    return (
        f"{cycle} is a cycle, and no index puts its elements in order: {'; '.join(lines)}. In a recurrence every "
        f"equation has one index along which it reads the others at fixed distances, all of them earlier (such as "
        f"{first}[t - 1, ..]) or all of them later"
    )


__all__ = [
    "GroupRead",
    "Item",
    "NoOrderError",
    "Scan",
    "check",
    "group_reads",
    "recurrent_axes",
    "scan_of",
    "scans",
    "schedule",
]
