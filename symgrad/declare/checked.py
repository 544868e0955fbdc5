"""Integers that forward has checked to lie inside the axis they index, always or where a condition holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations

from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Atom, Entry, Index, Poly, as_poly, indices_of
from symgrad.declare.program import Program
from symgrad.declare.reads import places
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import Condition, Reduce, free_indices, walk
from symgrad.declare.substitution import substitute

MOST = 6
"""Indices of an expression up to which every way to call them is tried."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An entry that lies in ``0 .. extent - 1`` where ``condition`` holds."""

    entry: Entry
    extent: Poly
    condition: Condition

    def holds(self, entry: Entry, extent: Poly, condition: Condition) -> bool:
        """Whether it says so of another entry behind ``condition``, whatever the indices are called."""
        if (entry.tensor, extent) != (self.entry.tensor, self.extent):
            return False
        given = set(conjuncts(condition))
        return any(set(conjuncts(c)) <= given for c in self._renamed(entry, condition))

    def _renamed(self, entry: Entry, condition: Condition) -> Iterator[Condition]:
        """The condition in the indices of the other entry, in every way that extents allow and that makes them one."""
        own = _indices(self.entry) | free_indices(self.condition)
        there = _indices(entry) | free_indices(condition)
        mine, others = (sorted(found, key=lambda i: (i.name, str(i.extent))) for found in (own, there))
        if len(others) > MOST:
            return
        for chosen in permutations(others, len(mine)):
            table: dict[Atom, Poly] = {a: as_poly(b) for a, b in zip(mine, chosen, strict=True)}
            alike = all(a.extent == b.extent for a, b in zip(mine, chosen, strict=True))
            if alike and tuple(substitute(p, table) for p in self.entry.indices) == entry.indices:
                yield map_polynomials(self.condition, partial(substitute, table=table))


def _indices(entry: Entry) -> set[Index]:
    return {i for p in entry.indices for i in indices_of(p)}


@remember
def checked_entries(program: Program) -> tuple[Checked, ...]:
    """What the index checks of forward say of entries; positions found are inside."""
    found: dict[Checked, None] = {}
    for equation in program.declared or program.equations:
        for tensor, indices, behind in places(equation.body):
            if any(isinstance(part, Reduce) for c in behind for part in walk(c)):
                continue
            for axis, poly in enumerate(indices):
                if isinstance(entry := poly.atom, Entry):
                    found[Checked(entry, program.extents(tensor)[axis], all_of(*behind))] = None
    for equation in program.equations:
        match equation.body:
            case Reduce(kind, searched) if kind.startswith("arg"):
                whole, count = Entry(equation.target, tuple(map(as_poly, equation.indices))), as_poly(1)
                for index in searched:
                    count = count * index.extent
                found[Checked(whole, count, all_of())] = None
    return tuple(found)
