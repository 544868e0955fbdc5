"""Recurrences along two axes whose elements can be computed a diagonal at a time.

With rows p and columns o, a slope a and s = a * p + o, all elements with the same s form a diagonal. If every element
needs only those of earlier diagonals (or of its own, in an order), one step computes a diagonal at once: as many steps
as rows and columns together, in place of one for each pair. The slope is the least at which every read goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from symgrad.declare.integers import Entry, Index, Poly, as_poly, atoms
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Scan, columns_beside, scan_along, scans
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Node, Read, Scalar
from symgrad.declare.steps import GroupRead, group_reads
from symgrad.derive.terms import rename

SLOPES = (1, 2, 3)
WORTH = 4
"""Typical elements of a diagonal from which a step for each of them costs more than diagonals do."""


@dataclass(frozen=True, slots=True)
class Diagonals:
    """How the elements of a recurrence are put on diagonals.

    Attributes:
        axes: of each member the positions of row and column.
        slope: columns that a diagonal goes back from one row to the next.
        mirrored: whether columns are counted from the last one.
        scan: the recurrence with the diagonal in place of the column.
    """

    axes: Mapping[str, tuple[int, int]]
    slope: int
    mirrored: bool
    scan: Scan

    def column(self, position: Poly, extent: Poly) -> Poly:
        """A column as it is counted, and back again."""
        return extent - 1 - position if self.mirrored else position

    def number(self, row: Poly, column: Poly, extent: Poly) -> Poly:
        """The diagonal of an element."""
        return self.slope * row + self.column(column, extent)


def diagonals_of(scan: Scan, typical: Callable[[Poly], int]) -> Diagonals | None:
    """The diagonals of a recurrence along two axes; None if it has none, or if they would hold too few elements."""
    axes = _axes(scan)
    if axes is None or any(e.integer for e in scan.members):
        return None
    extents = [e.indices[axis].extent for e in scan.members for axis in axes[e.target]]
    if min(map(typical, extents)) < WORTH:
        return None
    for pairs in (axes, {name: (column, row) for name, (row, column) in axes.items()}):
        for slope in SLOPES:
            for mirrored in (False, True):
                found = _along(scan.members, Diagonals(pairs, slope, mirrored, scan))
                if found is not None:
                    return found
    return None


def _axes(scan: Scan) -> dict[str, tuple[int, int]] | None:
    """The two recurrent axes of each member; None if they are not known, or more than two."""
    inner = [s for s in scan.body if isinstance(s, Scan)]
    if not inner or any(True for s in inner for _ in scans(s.body)):
        return None
    rows = {e.target: scan.axis(e.target) for e in scan.members}
    columns = {e.target: axis for s in inner for e, axis in zip(s.members, s.axes, strict=True)}
    found = columns_beside(scan.members, rows, columns)
    return None if found is None else {name: (row, found[name]) for name, row in rows.items()}


def _along(members: tuple[Equation, ...], trial: Diagonals) -> Diagonals | None:
    """The order of the diagonals; None if some element needs one of a later diagonal."""
    extents = {e.target: tuple(i.extent for i in e.indices) for e in members}
    sheared: list[Equation] = []
    for equation in members:
        row, column = trial.axes[equation.target]
        p, o = equation.indices[row], equation.indices[column]
        if not all(_is_near(r, equation, trial) for r in group_reads(members) if r.reader == equation.target):
            return None
        number = Index(f"{o.name}_{p.name}", o.extent + trial.slope * (p.extent - 1))
        place = trial.column(as_poly(number) - trial.slope * as_poly(p), o.extent)
        indices = tuple(number if i == o else i for i in equation.indices)
        body = on_diagonals(rename(equation.body, {o: place}), trial, extents, {})
        sheared.append(replace(equation, indices=indices, body=body))
    found = scan_along(tuple(sheared), tuple(trial.axes[e.target][1] for e in members))
    if found is None or any(isinstance(item, Scan) for item in found.body):
        return None
    return replace(trial, scan=found)


def _is_near(read: GroupRead, reader: Equation, trial: Diagonals) -> bool:
    """Whether row and column of a read are at fixed distances from those of the reader."""
    own, theirs = trial.axes[reader.target], trial.axes[read.tensor]
    return all(
        (read.indices[theirs[k]] - as_poly(reader.indices[own[k]])).constant is not None for k in (0, 1)
    ) and not any(isinstance(a, Entry) for p in read.indices for a in atoms(p))


def on_diagonals(
    body: Scalar, diagonals: Diagonals, extents: Mapping[str, tuple[Poly, ...]], names: Mapping[str, str]
) -> Scalar:
    """A body whose reads of the recurrence give the diagonal in place of the column; ``names`` are those of views."""

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if not isinstance(node, Read) or node.tensor not in diagonals.axes:
            return node
        row, column = diagonals.axes[node.tensor]
        at = list(node.indices)
        at[column] = diagonals.number(at[row], at[column], extents[node.tensor][column])
        return Read(names.get(node.tensor, node.tensor), tuple(at), node.extension)

    return changed(body, change)
