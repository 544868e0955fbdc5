"""Recurrences that are affine in one state, element by element: ``y[t] = a[t] * y[t - 1] + b[t]``.

All ``b`` are put in place at once; then each step adds ``a`` times what the step before it left. The emitted helper
does that step by step, or in blocks of steps side by side where a step has so few elements that its calls cost most.
Without ``b`` the states are running products: all ``a`` are put in place, behind the state before the first step.
So are the elements of running maxima and minima.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symgrad.declare.algebra import add, multiply
from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import ZERO, Index, Poly, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import NoOrderError, Scan, scan_of
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    PLAIN,
    Apply,
    Compare,
    Mul,
    Node,
    Number,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.declare.segments import segments
from symgrad.derive.terms import rename
from symgrad.lower.arrays import FLIP, FULL, Array, Helper, Item, Name, Run, Slice, Whole
from symgrad.lower.axes import Axes, align, aligned_axes, subscript
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import value_of
from symgrad.lower.factors import FEW
from symgrad.lower.homes import Home, homes_of
from symgrad.lower.residuals import with_formed
from symgrad.lower.scan_parts import Part, Task, terms_in
from symgrad.lower.values import as_float

_ACCUMULATED = {
    "np.cumprod": "the products of these factors",
    "np.maximum.accumulate": "the largest of these so far",
    "np.minimum.accumulate": "the smallest of these so far",
}


@dataclass(frozen=True, slots=True)
class Affine:
    """A step ``factor * state + rest``; ``state`` is the read of what the step before left."""

    factor: Scalar
    state: Read
    rest: Scalar | None


def affine(body: Scalar, names: set[str]) -> Affine | None:
    """The parts of a pointwise expression that is affine in one read of the recurrence; None if it is not."""
    if any(isinstance(p, Reduce | Select | Compare | Relation) for p in walk(body)):
        return None
    if any(r.extension is not None for r in reads_of(body)):
        return None
    rest = [t for t in terms_in(body) if not set(tensors_of(t)) & names]
    inner = [t for t in terms_in(body) if t not in rest]
    if len(inner) != 1:
        return None
    factors = _factors(inner[0])
    states = [f for f in factors if set(tensors_of(f)) & names]
    if len(states) != 1 or not isinstance(states[0], Read):
        return None
    factor = multiply(*(f for f in factors if f not in states))
    return Affine(factor, states[0], add(*rest) if rest else None)


def _accumulated(body: Scalar, names: set[str]) -> tuple[str, Scalar, Read] | None:
    """The larger (or smaller) one of the state and something else: the function, that, and the state."""
    match body:
        case Apply("max" | "min" as function, args) if len(args) == 2:
            states = [a for a in args if isinstance(a, Read) and a.tensor in names and a.extension is None]
            others = [a for a in args if not set(tensors_of(a)) & names]
            if len(states) == len(others) == 1 and not any(isinstance(p, Select | Reduce) for p in walk(others[0])):
                return f"np.{function}imum.accumulate", others[0], states[0]
    return None


def _factors(term: Scalar) -> list[Scalar]:
    if not isinstance(term, Mul):
        return [term]
    found = [f for a in term.args for f in _factors(a)]
    return found if term.coefficient == 1 else [Number(term.coefficient), *found]


def one_state(b: Builder, scan: Scan, kept: frozenset[str]) -> tuple[Scan, tuple[Scan, ...]]:
    """The recurrence in one state, and what to compute after it along its axis, if that makes it affine.

    ``kept`` are names that are read elsewhere.
    """
    if b.general or len(scan.members) < 2 or len(scan.body) != len(scan.members):
        return scan, ()
    if homes_of(scan, {e.target for e in scan.members}):
        return scan, ()  # all of them are one array already
    pointwise = all(_is_pointwise(e) for e in scan.members)
    if not pointwise or any(r.extension not in PLAIN for e in scan.members for r in reads_of(e.body)):
        return scan, ()
    for state in scan.members:
        others = tuple(e for e in scan.members if e is not state)
        found = _alone(b, state, others, scan.index(state.target))
        if found is not None:
            after = _afterwards(others, kept)
            return found, tuple(Scan((e,), (scan.axis(e.target),), (ZERO,), False, (e,)) for e in after)
    return scan, ()


def _alone(b: Builder, state: Equation, others: tuple[Equation, ...], index: Index) -> Scan | None:
    """The recurrence of a state with all other members written out; None if it is not affine in its neighbour."""
    for _ in others:
        (state,) = with_formed((state,), others)
    if set(tensors_of(state.body)) & {e.target for e in others} or not _is_short(b, state, index):
        return None
    pieces = [s.body for s in segments(index, state.body) if state.target in tensors_of(s.body)]
    found = [affine(_unguarded(p), {state.target}) for p in pieces]
    axis = state.indices.index(index)
    if not found or not all(f and f.rest and _distance(f.state, state.indices, axis) in (1, -1) for f in found):
        return None
    try:
        return scan_of((state,))
    except NoOrderError:
        return None


def _unguarded(body: Scalar) -> Scalar:
    """The expression for a look at its form: what guards its reads is decided when it is lowered."""

    def change(node: Node) -> Node:
        node = map_children(node, change)
        return replace(node, extension=None) if isinstance(node, Read) and node.extension in PLAIN else node

    return changed(body, change)


def _is_pointwise(equation: Equation) -> bool:
    sums = [p for p in walk(equation.body) if isinstance(p, Reduce)]
    return not equation.integer and all(p.kind == "sum" and not p.indices for p in sums)


def _afterwards(others: Sequence[Equation], kept: frozenset[str]) -> tuple[Equation, ...]:
    """The equations that are wanted, each after what it reads."""
    wanted = {e.target for e in others} & kept
    for _ in others:
        wanted |= {t for e in others if e.target in wanted for t in tensors_of(e.body)}
    left = {e.target: e for e in others if e.target in wanted}
    done: list[Equation] = []
    while left:
        ready = next(n for n, e in left.items() if not set(tensors_of(e.body)) & set(left))
        done.append(left.pop(ready))
    return tuple(done)


def _is_short(b: Builder, equation: Equation, index: Index) -> bool:
    """Whether a step usually has few elements: else its calls cost little, and a loop says more."""
    return b.volume(i for i in equation.indices if i != index) <= FEW


def _distance(read: Read, indices: Axes, axis: int, behind: Poly = ZERO) -> int | None:
    """How far a read is from the element that is computed, along one axis; None if along another one too."""
    gaps = [p - as_poly(i) for i, p in zip(indices, read.indices, strict=True)]
    gaps[axis] = gaps[axis] - behind
    return gaps[axis].constant if all(not g.terms for k, g in enumerate(gaps) if k != axis) else None


@dataclass(frozen=True, slots=True)
class Carry:
    """Steps ``first .. stop - 1`` of an affine recurrence.

    Attributes:
        rest: what is put in place first, for all of them.
        running: the function that makes the states of what is put in place, where NumPy has one.
        states: the array from the state before the first step on, in the order of the steps.
        factor: by what each state goes into the next one.
        axis: the axis of the steps.
        along: their index.
        state: the tensor that the step before left, for the reader.
    """

    rest: Task | None
    states: Array
    factor: Scalar
    axis: int
    along: Index
    state: str
    running: str = ""

    @property
    def what(self) -> str:
        """What is done step by step, for the reader."""
        return _ACCUMULATED.get(self.running, f"the term with {self.state}")

    def emit(self, b: Builder, indices: Axes, reverse: bool) -> None:
        """Emit what takes each state into the next one."""
        if self.running:
            b.because(f"{self.state}: each step has one element more than the one before it, so they are accumulated")
            axis = Helper("axis=", (Whole(as_poly(self.axis)),))
            b.emit(Run(Helper(self.running, (self.states, axis, Helper("out=", (self.states,))))))
            return
        order = tuple(self.along if a == self.axis else i for a, i in enumerate(indices))
        value = as_float(value_of(b, self.factor, order))
        factor = align(value, order)
        if reverse and self.along in value.axes:
            own = order[len(order) - len(aligned_axes(value, order)) :]
            factor = subscript(factor, [FLIP if i == self.along else FULL for i in own])
        b.because(f"{self.state}: each step is affine in the one before it, so short steps go in blocks")
        b.emit(Run(Helper("_carry", (self.states, factor, Whole(as_poly(self.axis))))))


def carry_of(b: Builder, part: Part, first: Poly, stop: Poly, reverse: bool, homes: dict[str, Home]) -> Carry | None:
    """The steps of one range as a carry; None if they are no such thing."""
    task, index = part.task, part.index
    if b.general or b.loops or task.when or any(i != FULL for i in task.items):
        return None
    names = {task.target, *(h.whole for name, h in homes.items() if name == task.target)}
    made = _accumulated(task.equation.body, names)
    found = affine(task.equation.body, names) if made is None else Affine(made[1], made[2], None)
    if found is None or not _is_short(b, task.equation, index):
        return None
    running = "" if found.rest is not None or task.adds else "np.cumprod" if made is None else made[0]
    if (made is not None and task.adds) or (running and not _reads_all(found.factor, task.equation.indices)):
        return None
    axis = task.equation.indices.index(index)
    home = homes.get(task.target)
    inside = home is not None and found.state.tensor == home.whole
    ranges = dict(home.ranges) if home is not None and inside else {}
    behind = ranges[axis].first if axis in ranges else ZERO
    if set(ranges) - {axis} or _distance(found.state, task.equation.indices, axis, behind) != (1 if reverse else -1):
        return None
    low, high = first + part.shift, stop + part.shift
    own = Index(index.name, high - low)
    rest, value = None, found.factor if running else found.rest
    if value is not None:
        item = Slice(low if low.terms else None, None if high == index.extent else high)
        rest = task.of(value, task.shown if running else value).along(index, item, as_poly(own) + low, own)
    start, end = (low, high + 1) if reverse else (low - 1, high)
    start, end = start + behind, end + behind
    if not nonnegative(start):
        return None
    whole = b.program.extents(found.state.tensor)[axis]
    items: list[Item] = [FULL] * axis
    states = subscript(
        Name(found.state.tensor), [*items, Slice(start if start.terms else None, None if end == whole else end)]
    )
    states = subscript(states, [*items, FLIP]) if reverse else states
    factor = rename(found.factor, {index: as_poly(own) + low})
    return Carry(rest, states, factor, axis, own, found.state.tensor, running)


def _reads_all(factor: Scalar, indices: Axes) -> bool:
    """Whether a factor has every index: else a step is cheaper than the array of all factors."""
    return set(indices) <= free_indices(factor)
