"""Integers that forward has checked to lie inside the axis they index, always or where a condition holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations

from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import Atom, Entry, Index, Poly, as_poly
from symgrad.declare.program import Program
from symgrad.declare.reads import places
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import Condition, Reduce, free_indices
from symgrad.declare.substitution import substitute


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
        """The condition in the indices of the other entry, its further indices in every way that extents allow."""
        pairs = {a.atom: b.atom for a, b in zip(self.entry.indices, entry.indices, strict=True)}
        table = {a: as_poly(b) for a, b in pairs.items() if isinstance(a, Index) and isinstance(b, Index)}
        if len(table) < len(entry.indices):
            return
        rest = sorted(free_indices(self.condition) - set(table), key=lambda i: i.name)
        there = sorted(free_indices(condition) - {i for p in table.values() if isinstance(i := p.atom, Index)}, key=str)
        for chosen in permutations(there, len(rest)):
            if all(a.extent == b.extent for a, b in zip(rest, chosen, strict=True)):
                pairs_too = zip((*table, *rest), (*table.values(), *map(as_poly, chosen)), strict=True)
                whole: dict[Atom, Poly] = dict(pairs_too)
                yield map_polynomials(self.condition, partial(substitute, table=whole))


def checked_entries(program: Program) -> tuple[Checked, ...]:
    """What the index checks of forward say of entries that are read as whole tensors; positions found are inside."""
    found: dict[Checked, None] = {}
    for equation in program.declared or program.equations:
        for tensor, indices, behind in places(equation.body):
            for axis, poly in enumerate(indices):
                if isinstance(entry := poly.atom, Entry) and _is_whole(program, entry):
                    found[Checked(entry, program.extents(tensor)[axis], all_of(*behind))] = None
    for equation in program.equations:
        match equation.body:
            case Reduce(kind, searched) if kind.startswith("arg"):
                whole, count = Entry(equation.target, tuple(map(as_poly, equation.indices))), as_poly(1)
                for index in searched:
                    count = count * index.extent
                found[Checked(whole, count, all_of())] = None
    return tuple(found)


def _is_whole(program: Program, entry: Entry) -> bool:
    """Whether the entry runs over all that its tensor holds."""
    extents = program.extents(entry.tensor)
    plain = [p.atom for p in entry.indices if isinstance(p.atom, Index)]
    return len(set(plain)) == len(extents) and all(i.extent == e for i, e in zip(plain, extents, strict=True))
