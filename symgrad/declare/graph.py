"""Which equations need which: groups of equations that need each other, each group after those that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgrad.declare.frozen import remember
from symgrad.declare.program import Equation
from symgrad.declare.scalars import tensors_of


def components(needs: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Names that need each other, grouped; a group stands after the groups that it needs.

    Tarjan, Depth-first search and linear graph algorithms. Names keep their order inside a group, and groups the order
    in which they are first needed.
    """
    order = {name: place for place, name in enumerate(needs)}
    found: list[tuple[str, ...]] = []
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        open_.append(name)
        for other in needs[name]:
            if other not in number:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in open_:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            place = open_.index(name)
            found.append(tuple(sorted(open_[place:], key=order.__getitem__)))
            del open_[place:]

    for name in needs:
        if name not in number:
            visit(name)
    return tuple(found)


def reads_between(equations: Sequence[Equation]) -> dict[str, tuple[str, ...]]:
    """For each left side the left sides that its equation reads, itself included."""
    targets = [e.target for e in equations]
    known = set(targets)
    return {e.target: tuple(t for t in tensors_of(e.body) if t in known) for e in equations}


def groups(equations: Sequence[Equation]) -> tuple[tuple[Equation, ...], ...]:
    """Equations grouped with those that they need and that need them, in order."""
    return _groups(tuple(equations))


@remember
def _groups(equations: tuple[Equation, ...]) -> tuple[tuple[Equation, ...], ...]:
    by_name = {e.target: e for e in equations}
    return tuple(tuple(by_name[n] for n in group) for group in components(reads_between(equations)))


def is_recurrent(group: Sequence[Equation]) -> bool:
    """Whether the equations of a group need themselves."""
    return len(group) > 1 or group[0].target in tensors_of(group[0].body)


def needed(equations: Sequence[Equation], wanted: Iterable[str]) -> tuple[Equation, ...]:
    """The equations that the wanted names need, in the order given."""
    by_name = {e.target: e for e in equations}
    pending, kept = list(wanted), set[str]()
    while pending:
        name = pending.pop()
        if name in by_name and name not in kept:
            kept.add(name)
            pending += tensors_of(by_name[name].body)
    return tuple(e for e in equations if e.target in kept)
