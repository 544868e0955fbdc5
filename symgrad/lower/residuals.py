"""What forward keeps for backward, and what backward computes again: bytes against work.

A value that backward reads is kept, or computed again from what is kept. Policy ``store`` keeps everything,
``recompute`` only inputs and outputs, ``auto`` all but what costs about as much to compute as to read, and what a
recurrence forms at each step out of much less: backward forms that again where it reads it, one step at a time. In the
fast schedule ``auto`` keeps no tables either that are large beside inputs and outputs and need only exist in blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, floor_of, map_children, map_polynomials
from symgrad.declare.scalars import (
    PLAIN,
    Add,
    Apply,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    own_polynomials,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.declare.substitution import rebuild
from symgrad.declare.typical import elements, typical_sizes, volume
from symgrad.derive.invert import guarded
from symgrad.derive.terms import rename
from symgrad.lower.blocks import is_large

Extents = Callable[[str], tuple[Poly, ...]]
POLICIES = ("auto", "store", "recompute")
CHEAP = 2
"""Operations an element that are as cheap as reading the element."""
SPREAD = 8
"""A step's candidates are this many times as many as the values that they are formed of, or they are kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The tensors that forward keeps, and the forward equations that backward evaluates again, both in order.

    Attributes:
        names: the tensors.
        again: what backward computes first.
        formed: what backward has no array of: its elements are computed where they are read.
    """

    names: tuple[str, ...]
    again: tuple[Equation, ...]
    formed: tuple[Equation, ...] = ()


def choose(
    program: Program, forward: Sequence[Equation], backward: Sequence[Equation], given: set[str], policy: str
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

    def extents(name: str) -> tuple[Poly, ...]:
        return tuple(i.extent for i in by_name[name].indices) if name in by_name else program.extents(name)

    again: set[str] = set()
    formed: tuple[Equation, ...] = ()
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
        formed = tuple(e for e in forward if e.target in read - free and e.target in members)
        formed = tuple(e for e in formed if _spreads(program, extents, e))
        formed = tuple(e for e in formed if not {f.target for f in formed} & set(tensors_of(e.body)))
        formed = tuple(_unguarded(e, extents) for e in formed if _is_read_plainly(e.target, backward))
        read = {t for e in formed for t in tensors_of(e.body)} | (read - {e.target for e in formed})
        for equation in forward:
            target = equation.target
            if target in read - free - set(members) and _is_cheap(equation.body):
                sources = {t for t in tensors_of(equation.body) if t in order}
                if sources <= read - again:
                    again.add(target)
    names = tuple(t for t in order if t in read - again)
    return Kept(names, tuple(e for e in forward if e.target in again), formed)


def without_tables(program: Program, forward: Sequence[Equation], kept: Kept) -> Kept:
    """What to keep if backward computes large tables again: those with many more elements than any input or output."""
    by_name = {e.target: e for e in forward}
    recurrent = {e.target for g in groups(tuple(forward)) if is_recurrent(g) for e in g}
    given = [program.extents(t.name) for t in program.inputs]
    given += [tuple(i.extent for i in by_name[t].indices) for t in program.outputs if t in by_name]

    def is_table(name: str) -> bool:
        equation = by_name.get(name)
        if equation is None or equation.integer or name in recurrent or name in program.outputs:
            return False
        return is_large(program, [i.extent for i in equation.indices], given)

    again = {e.target for e in kept.again}
    names = {t for t in kept.names if not is_table(t)}
    pending = [t for t in kept.names if is_table(t)]
    while pending:
        name = pending.pop()
        again.add(name)
        read = {t for t in tensors_of(by_name[name].body) if t not in again}
        pending += [t for t in sorted(read) if is_table(t)]
        names |= {t for t in read if not is_table(t)}
    order = [*(t.name for t in program.inputs), *(e.target for e in forward), *kept.names]
    ordered = dict.fromkeys(t for t in order if t in names - again)
    return Kept(tuple(ordered), tuple(e for e in forward if e.target in again), kept.formed)


def when_read(again: Iterable[Equation], equations: Iterable[Equation]) -> tuple[Equation, ...]:
    """The equations with those computed again right before the first that reads them."""
    waiting = {e.target: e for e in again}
    found: list[Equation] = []

    def place(equation: Equation) -> None:
        for tensor in tensors_of(equation.body):
            if tensor in waiting:
                place(waiting.pop(tensor))
        found.append(equation)

    for equation in equations:
        place(equation)
    return (*waiting.values(), *found)


def with_formed(equations: Iterable[Equation], formed: Iterable[Equation]) -> tuple[Equation, ...]:
    """The equations with the elements of some left sides written out where they are read."""
    by_name = {e.target: e for e in formed}
    if not by_name:
        return tuple(equations)

    def floors(poly: Poly) -> Poly:
        return rebuild(poly, lambda atom: floor_of(atom, change))

    def change(node: Node) -> Node:
        node = map_polynomials(node, floors) if own_polynomials(node) else map_children(node, change)
        if not isinstance(node, Read) or node.tensor not in by_name:
            return node
        made, extension = by_name[node.tensor], node.extension
        body = rename(made.body, dict(zip(made.indices, node.indices, strict=True)))
        return body if extension is None else guarded(body)

    return tuple(e.with_body(changed(e.body, change)) for e in equations)


def _spreads(program: Program, extents: Extents, equation: Equation) -> bool:
    """Whether a pointwise expression has many more elements than all that it reads."""
    reads = reads_of(equation.body)
    if equation.integer or not reads or any(r.extension not in PLAIN for r in reads):
        return False
    if any(isinstance(part, Reduce | Select) for part in walk(equation.body)):
        return False
    sizes = typical_sizes(program)
    sources = {r.tensor: elements(extents(r.tensor), sizes) for r in reads}
    return volume(equation.indices, sizes) >= SPREAD * sum(sources.values())


def _unguarded(equation: Equation, extents: Extents) -> Equation:
    """The equation without guards on reads that its ranges keep inside."""

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if not isinstance(node, Read) or node.extension not in PLAIN:
            return node
        pairs = zip(node.indices, extents(node.tensor), strict=True)
        inside = all(nonnegative(p) and nonnegative(extent - 1 - p) for p, extent in pairs)
        return replace(node, extension=None) if inside else node

    return equation.with_body(changed(equation.body, change))


def _is_read_plainly(name: str, equations: Iterable[Equation]) -> bool:
    """Whether every read of a tensor is of its elements, not of a border around them."""
    return all(r.extension in PLAIN for e in equations for r in reads_of(e.body) if r.tensor == name)


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
