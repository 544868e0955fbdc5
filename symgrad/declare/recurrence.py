"""Recurrences: equations that need themselves, and the order of steps along an index in which they can be computed.

Every read inside a group is at a fixed distance along one index of each equation, or provably earlier; all of them
point the same way. What is read at the same step is ordered inside the step, if need be along a further index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of
from symgrad.declare.frozen import remember
from symgrad.declare.graph import components, groups, is_recurrent
from symgrad.declare.integers import ZERO, Index, Poly, affine_in, as_poly, indices_of, show
from symgrad.declare.program import Equation
from symgrad.declare.scalars import Read, free_indices, walk
from symgrad.declare.segments import interval
from symgrad.declare.steps import GroupRead, axes_of, group_reads, is_earlier, shifts_of
from symgrad.errors import About, DeclarationError


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
    """A group of equations that no order of steps computes; the text says why, ``about`` which reads are in the way."""

    def __init__(self, text: str, about: About | None = None) -> None:
        super().__init__(text)
        self.about = about


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
        DeclarationError: one cannot be computed step by step, or what it repeats beyond a border may not be there yet;
            the message names equation, index and read.
    """
    try:
        schedule(equations)
    except NoOrderError as error:
        raise DeclarationError(f"{name}: {error}", error.about) from None
    for group in (g for g in groups(equations) if is_recurrent(g)):
        axes, extents = recurrent_axes(group), {e.target: tuple(i.extent for i in e.indices) for e in group}
        for equation in group:
            repeats = {
                (part.tensor, part.indices): part.extension.mode
                for part in walk(equation.body)
                if isinstance(part, Read) and part.tensor in axes and part.extension is not None
            }
            for read in (r for r in group_reads(group) if r.reader == equation.target):
                mode = repeats.get((read.tensor, read.indices), "constant")
                if mode not in ("constant", "guarded"):
                    for axis in axes[read.tensor]:
                        _check_inside(name, read, mode, axis, extents[read.tensor][axis])


def _check_inside(name: str, read: GroupRead, mode: str, axis: int, extent: Poly) -> None:
    """Whether a read that repeats its tensor beyond the border stays inside along a recurrent axis."""
    position = read.indices[axis]
    least, most = position, position
    for index in indices_of(position):
        found = interval(all_of(*(c for c in read.behind if free_indices(c) == {index})), index)
        first, count = (ZERO, index.extent) if found is None else found
        split = affine_in(position, index)
        if split is not None and split[0].constant == 1 and len(indices_of(position)) == 1:
            least, most = split[1] + first, split[1] + first + count - 1
    if not (nonnegative(least) and nonnegative(extent - 1 - most)):
        raise DeclarationError(
            f"{name}, equation of {read.reader}: Padded({read.tensor}, mode='{mode}') reads {read.tensor} at "
            f"{show(position)} on axis {axis}, along which the recurrence runs, perhaps before the first step; put the "
            f"read in a Piecewise that keeps it inside, or write a constant outside, Padded({read.tensor}, value=0)",
            About(read.reader, ((read.tensor, read.indices),)),
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


def axes_together(equations: Sequence[Equation]) -> dict[str, tuple[int, ...]]:
    """The recurrent indices; of members with one only, the one that goes along with the second of others as well."""
    found = recurrent_axes(equations)
    if not found or max(map(len, found.values())) != 2:
        return found
    members = tuple(e for e in equations if e.target in found)
    rows = {name: axes[0] for name, axes in found.items()}
    columns = columns_beside(members, rows, {name: axes[1] for name, axes in found.items() if len(axes) == 2})
    return found if columns is None else {name: (row, columns[name]) for name, row in rows.items()}


def columns_beside(
    members: Sequence[Equation], rows: Mapping[str, int], columns: Mapping[str, int]
) -> dict[str, int] | None:
    """A second axis of every member, known of some: those that reads relate at a fixed distance; None if not all."""
    by_name, found, reads = {e.target: e for e in members}, dict(columns), group_reads(members)
    while len(found) < len(by_name):
        more = next((f for r in reads if (f := _beside(r, by_name, rows, found)) is not None), None)
        if more is None:
            return None
        found[more[0]] = more[1]
    return found


def _beside(
    read: GroupRead, by_name: Mapping[str, Equation], rows: Mapping[str, int], columns: Mapping[str, int]
) -> tuple[str, int] | None:
    """The column of a member that reads one whose column is known, or that such a one reads."""
    reader = by_name[read.reader]
    if (read.reader in columns) == (read.tensor in columns):
        return None
    if read.reader in columns:
        own = reader.indices[columns[read.reader]]
        pairs = [(axis, p) for axis, p in enumerate(read.indices) if axis != rows[read.tensor]]
        where = [axis for axis, p in pairs if (p - as_poly(own)).constant is not None]
        return (read.tensor, where[0]) if where else None
    position = read.indices[columns[read.tensor]]
    where = [
        axis
        for axis, i in enumerate(reader.indices)
        if axis != rows[read.reader] and (position - as_poly(i)).constant is not None
    ]
    return (read.reader, where[0]) if where else None


# --- one group ---------------------------------------------------------------------------------------------------


@remember
def scan_of(
    group: tuple[Equation, ...],
    dropped: frozenset[GroupRead] = frozenset(),
    used: frozenset[tuple[str, int]] = frozenset(),
) -> Scan:
    """The order of steps of a group of equations that need each other.

    ``dropped`` are reads that an outer scan has put in order already, ``used`` the axes that it runs along.

    Raises:
        NoOrderError: there is none.
    """
    reads = [r for r in group_reads(group) if r not in dropped]
    for axes in axes_of(group, reads, used):
        found = scan_along(group, axes, dropped, used)
        if found is not None:
            return found
    worst = [(r.tensor, r.indices) for r in reads if r.reader == group[0].target]
    raise NoOrderError(_complaint(group, reads), About(group[0].target, tuple(worst)))


def scan_along(
    group: tuple[Equation, ...],
    axes: tuple[int, ...],
    dropped: frozenset[GroupRead] = frozenset(),
    used: frozenset[tuple[str, int]] = frozenset(),
) -> Scan | None:
    """The order of steps along one axis of each member; None if there is none."""
    along = used | {(e.target, axis) for e, axis in zip(group, axes, strict=True)}
    reads = [r for r in group_reads(group) if r not in dropped]
    for shifts in shifts_of(group, axes, reads):
        for reverse in (False, True):
            earlier = {r: is_earlier(r, group, axes, shifts, -1 if reverse else 1) for r in reads}
            if None in earlier.values():
                continue
            late = frozenset(r for r, found in earlier.items() if found)
            try:
                body = _within_step(group, reads, dropped | late, along)
            except NoOrderError:
                continue
            if late:
                return Scan(tuple(group), axes, shifts, reverse, body)
    return None


def _within_step(
    group: Sequence[Equation], reads: Sequence[GroupRead], late: frozenset[GroupRead], along: frozenset[tuple[str, int]]
) -> tuple[Item, ...]:
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
        items.append(scan_of(members, late, along) if again else members[0])
    return tuple(items)


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
