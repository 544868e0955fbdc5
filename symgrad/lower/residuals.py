"""What forward keeps for backward, and what backward computes again: bytes against work.

A value that backward reads is kept, or computed again from what is kept. Policy ``store`` keeps everything,
``recompute`` only inputs and outputs, ``auto`` all but what costs about as much to compute as to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import (
    Add,
    Apply,
    Mul,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    tensors_of,
    walk,
)

POLICIES = ("auto", "store", "recompute")
CHEAP = 2
"""Operations an element that are as cheap as reading the element."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The tensors that forward keeps, and the forward equations that backward evaluates again, both in order."""

    names: tuple[str, ...]
    again: tuple[Equation, ...]


def choose(
    program: Program, forward: Sequence[Equation], backward: Iterable[Equation], given: set[str], policy: str
) -> Kept:
    """Decide for every value that backward reads.

    Args:
        program: the layer, for its inputs and outputs.
        forward: the forward equations, in order.
        backward: the backward equations.
        given: names that backward has anyway: cotangents and its own results.
        policy: one of ``POLICIES``.
    """
    order = [t.name for t in program.inputs] + [e.target for e in forward]
    read = {t for e in backward for t in tensors_of(e.body)} - given
    free = {t.name for t in program.inputs} | set(program.outputs)
    by_name = {e.target: e for e in forward}
    again: set[str] = set()
    members = {e.target: {m.target for m in g} for g in groups(tuple(forward)) if is_recurrent(g) for e in g}
    if policy == "recompute":
        pending = [t for t in read if t in by_name and t not in free]
        while pending:
            name = pending.pop()
            if name in again:
                continue
            # The members of a recurrence are computed together, outputs among them.
            together = members.get(name, {name})
            again |= together
            needs = {t for m in together for t in tensors_of(by_name[m].body)} - together
            read |= {t for t in needs if t in free}
            pending += [t for t in needs if t in by_name and t not in free]
    elif policy == "auto":
        # The members of a recurrence are filled in together; its states cost nothing to keep.
        for equation in forward:
            target = equation.target
            if target in read - free - set(members) and _is_cheap(equation.body):
                sources = {t for t in tensors_of(equation.body) if t in order}
                if sources <= read - again:
                    again.add(target)
    names = tuple(t for t in order if t in read - again)
    return Kept(names, tuple(e for e in forward if e.target in again))


def _is_cheap(body: Scalar) -> bool:
    """Whether a pointwise expression takes few additions, products and comparisons."""
    work = 0
    for part in walk(body):
        match part:
            case Add(args) | Mul(_, args):
                work += len(args) - 1
            case Apply("max" | "min" | "abs", args):
                work += max(len(args) - 1, 1)
            case Power(_, Number(n)) if n == 2:
                work += 1
            case Select() | Relation():
                work += 1
            case Apply() | Power() | Reduce():
                return False
            case Read():
                pass
    return work <= CHEAP
