"""The steps of a recurrence: along which index the reads of a group are earlier, and which steps go together."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from symgrad.declare.bounds import lower_end, nonnegative, upper_end
from symgrad.declare.conditions import conjuncts, negation
from symgrad.declare.frozen import remember
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
)
from symgrad.declare.segments import segments
from symgrad.declare.substitution import substitute


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


def group_reads(group: Sequence[Equation]) -> tuple[GroupRead, ...]:
    """Every read of one member by another, or by itself."""
    names = {e.target for e in group}
    return tuple(
        dict.fromkeys(
            GroupRead(e.target, t, i, behind) for e in group for t, i, behind in reads_behind(e.body) if t in names
        )
    )


Place = tuple[str, tuple[Poly, ...], tuple[Condition, ...]]


def reads_behind(node: Node, behind: tuple[Condition, ...] = ()) -> Iterator[Place]:
    """Every read, of integers and of extended tensors too, with the conditions that it stands behind."""
    match node:
        case Select(condition, then, otherwise):
            yield from reads_behind(condition, behind)
            yield from reads_behind(then, (*behind, *conjuncts(condition)))
            yield from reads_behind(otherwise, (*behind, *conjuncts(negation(condition))))
            return
        case All(args) | AnyOf(args):
            for p, arg in enumerate(args):
                others = [*args[:p], *args[p + 1 :]]
                known = others if isinstance(node, All) else [negation(o) for o in others]
                yield from reads_behind(arg, (*behind, *(c for o in known for c in conjuncts(o))))
            return
        case Reduce(_, _, condition, body, _):
            yield from reads_behind(condition, behind)
            yield from reads_behind(body, (*behind, *conjuncts(condition)))
            return
        case Read(tensor, indices, _):
            yield tensor, indices, behind
    for poly in own_polynomials(node):
        for atom in atoms(poly):
            if isinstance(atom, Entry):
                yield atom.tensor, atom.indices, behind
    for child in children(node):
        yield from reads_behind(child, behind)


def axes_of(
    group: Sequence[Equation], reads: Sequence[GroupRead], used: Container[tuple[str, int]] = ()
) -> Iterator[tuple[int, ...]]:
    """One axis of each member, not used yet, such that every read is at a known distance along it."""
    names = [e.target for e in group]

    def extend(chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(chosen) == len(group):
            yield chosen
            return
        none = (ZERO,) * len(group)
        newest_name = names[len(chosen)]
        for axis in (a for a in range(len(group[len(chosen)].indices)) if (newest_name, a) not in used):
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
    return fixed or any(is_earlier(read, group, axes, none, sense) is not None for sense in (1, -1))


def is_earlier(
    read: GroupRead, group: Sequence[Equation], axes: Sequence[int], shifts: Sequence[Poly], sense: int
) -> bool | None:
    """Whether a read is of an earlier step (later for sense -1); False if of the same, None if not known."""
    gap = _gap(read, group, axes, shifts) * -sense
    if gap.constant is not None:
        return None if gap.constant < 0 else gap.constant > 0
    facts = _facts([c for c in read.behind if isinstance(c, Compare)])
    gaps = [gap, *_where_equal(gap, read.behind)]
    if any(nonnegative(g - 1, facts) for g in gaps):
        return True
    return False if any(nonnegative(g, facts) for g in gaps) else None


def _where_equal(gap: Poly, behind: Sequence[Condition]) -> Iterator[Poly]:
    """The gap with an index replaced by what a condition says it is equal to."""
    for condition in behind:
        if isinstance(condition, Compare) and condition.relation == "==":
            for index in sorted(indices_of(gap) & indices_of(condition.poly), key=str):
                for rest in (as_poly(index) - condition.poly, as_poly(index) + condition.poly):
                    if index not in indices_of(rest):
                        yield substitute(gap, {index: rest})


def _facts(conditions: Sequence[Compare]) -> list[Poly]:
    """What is at least 0 where comparisons hold; what is at least 0 and not 0 is at least 1."""
    facts = [p for c in conditions for p in _nonnegative_by(c)]
    unequal = [p for c in conditions if c.relation == "!=" for p in (c.poly, -c.poly)]
    return facts + [p - 1 for p in unequal if nonnegative(p, facts)]


def _nonnegative_by(condition: Compare) -> tuple[Poly, ...]:
    """What is at least 0 where a comparison holds."""
    return {">=": (condition.poly,), "==": (condition.poly, -condition.poly)}.get(condition.relation, ())


def _gap(read: GroupRead, group: Sequence[Equation], axes: Sequence[int], shifts: Sequence[Poly]) -> Poly:
    names = [e.target for e in group]
    reader, producer = names.index(read.reader), names.index(read.tensor)
    own = group[reader].indices[axes[reader]]
    return read.indices[axes[producer]] - as_poly(own) + shifts[reader] - shifts[producer]


def shifts_of(
    group: Sequence[Equation], axes: tuple[int, ...], reads: Sequence[GroupRead]
) -> Iterator[tuple[Poly, ...]]:
    """Shifts to try: steps that begin where the recurrence does, none, the least that put reads in order."""
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


@remember
def _main(equation: Equation, index: Index, names: frozenset[str]) -> tuple[Poly, Poly] | None:
    """The range in which an equation reads its group."""
    reading = [s for s in segments(index, equation.body) if any(t in names for t, _, _ in reads_behind(s.body))]
    return (reading[0].first, reading[-1].stop) if reading else None
