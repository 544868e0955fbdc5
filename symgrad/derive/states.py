"""States beside the values that stand for them before the first step: one array for both, read without a condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symgrad.declare.algebra import select
from symgrad.declare.bounds import lower_end, nonnegative, upper_end
from symgrad.declare.conditions import all_of, at_least, compare, conjuncts, negation
from symgrad.declare.integers import ZERO, Index, Poly, as_poly, indices_of
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import axes_together, recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    PLAIN,
    Condition,
    Extension,
    Node,
    Number,
    Read,
    Scalar,
    Select,
    children,
    free_indices,
    tensors_of,
    walk,
)
from symgrad.declare.segments import interval
from symgrad.derive.terms import rename


def exact(value: float) -> Number:
    """A number, exact if it is an integer."""
    return Number(Fraction(value) if value.is_integer() else value)


@dataclass(frozen=True)
class Border:
    """A state that is read outside of its steps as a constant: the constant stands around the states.

    Attributes:
        equation: of the state.
        axes: its recurrent ones.
        before: how far it is read before its first step on each of them.
        after: how far it is read beyond its last step.
        value: the constant.
    """

    equation: Equation
    axes: tuple[int, ...]
    before: tuple[Poly, ...]
    after: tuple[Poly, ...]
    value: Number

    @staticmethod
    def of(equation: Equation, group: Sequence[Equation]) -> Border | None:
        """The border of a state; None if its reads do not agree on one."""
        axes = axes_together(group)
        own = axes.get(equation.target, ())
        before, after = [ZERO] * len(own), [ZERO] * len(own)
        fills: set[float] = set()
        for reader in (e for e in group if e.target in axes):
            for read, behind in reads_behind(reader.body):
                if read.tensor != equation.target:
                    continue
                if len(axes[reader.target]) != len(own):
                    return None
                for k, (axis, theirs) in enumerate(zip(own, axes[reader.target], strict=True)):
                    index, extent = reader.indices[theirs], equation.indices[axis].extent
                    gap = read.indices[axis] - as_poly(index)
                    low, high = lower_end(gap), upper_end(gap)
                    if low is None or high is None or None in (low.constant, high.constant):
                        return None
                    if index.extent != extent or range_where(index, behind):
                        return None
                    if (low.terms or high.terms) and read.extension in PLAIN:
                        return None
                    least, most = _larger(before[k], -low), _larger(after[k], high)
                    if least is None or most is None:
                        return None
                    before[k], after[k] = least, most
                if read.extension not in PLAIN:
                    if read.extension is None or read.extension.mode != "constant":
                        return None
                    fills.add(read.extension.value)
        if len(fills) != 1 or not any(p.terms for p in (*before, *after)):
            return None
        return Border(equation, own, tuple(before), tuple(after), exact(fills.pop()))

    def states(self, name: str) -> Equation:
        """The states and the constant around them."""
        longer: list[Index] = list(self.equation.indices)
        at: list[Poly] = [as_poly(i) for i in longer]
        inside = []
        for axis, before, after in zip(self.axes, self.before, self.after, strict=True):
            index = longer[axis]
            longer[axis] = Index(index.name, index.extent + before + after)
            at[axis] = as_poly(longer[axis]) - before
            inside += [at_least(at[axis], 0), at_least(index.extent - 1, at[axis])]
        plain = Read(self.equation.target, tuple(at), Extension("guarded"))
        return Equation(name, tuple(longer), select(all_of(*inside), plain, self.value))

    def reading(self, body: Scalar, name: str) -> Scalar:
        """A body that reads the states, with a border only along the other axes."""

        def change(node: Node) -> Node:
            if not isinstance(node, Read) or node.tensor != self.equation.target or node.extension in PLAIN:
                return map_children(node, change)
            at = list(node.indices)
            for axis, before in zip(self.axes, self.before, strict=True):
                at[axis] = at[axis] + before
            pairs = zip(at, self.equation.indices, strict=True)
            others = [(p, i) for a, (p, i) in enumerate(pairs) if a not in self.axes]
            inside = all(nonnegative(p) and nonnegative(i.extent - 1 - p) for p, i in others)
            return Read(name, tuple(at), None if inside else node.extension)

        return changed(body, change)


def reads_behind(node: Node, behind: tuple[Condition, ...] = ()) -> Iterator[tuple[Read, tuple[Condition, ...]]]:
    """Every real read with the conditions of the choices that it stands in."""
    match node:
        case Select(condition, then, otherwise):
            yield from reads_behind(condition, behind)
            yield from reads_behind(then, (*behind, *conjuncts(condition)))
            yield from reads_behind(otherwise, (*behind, *conjuncts(negation(condition))))
        case _:
            if isinstance(node, Read):
                yield node, behind
            for child in children(node):
                yield from reads_behind(child, behind)


def range_where(index: Index, behind: Sequence[Condition]) -> tuple[Poly, Poly] | None:
    """First value and extent of the range of an index in which the conditions on it alone hold; None if everywhere."""
    where = all_of(*(c for c in behind if free_indices(c) == {index} and not tensors_of(c)))
    found = interval(where, index)
    return None if found is None or found == (ZERO, index.extent) else found


def _larger(a: Poly, c: Poly) -> Poly | None:
    if nonnegative(a - c):
        return a
    return c if nonnegative(c - a) else None


@dataclass(frozen=True)
class FirstValue:
    """A state ``h`` that is read as ``(first if t == 0 else h[t - 1, ..])``, or the same from the other end.

    Attributes:
        equation: of the state.
        axis: its recurrent one.
        value: the first value, over the other indices of the state.
        back: -1 where the state is read one step earlier, 1 where it is read one step later.
    """

    equation: Equation
    axis: int
    value: Scalar
    back: int

    @staticmethod
    def of(equation: Equation, group: Sequence[Equation]) -> FirstValue | None:
        """The first value of a state; None if its reads do not agree on one."""
        axes = recurrent_axes(group)
        if equation.target not in axes:
            return None
        names = {e.target for e in group}
        found: set[tuple[Scalar, int]] = set()
        lagging = 0
        for reader in (e for e in group if e.target in axes):
            own = reader.indices[axes[reader.target][0]]
            for part in walk(reader.body):
                match part:
                    case Select():
                        first = _first_value(part, own, equation, axes[equation.target][0], names)
                        if first is not None:
                            found.add(first)
                            lagging -= 1
                    case Read(tensor, indices) if tensor == equation.target:
                        lagging += indices[axes[tensor][0]] != as_poly(own)
        if len(found) != 1 or lagging or len(axes[equation.target]) > 1:
            return None
        value, back = found.pop()
        return FirstValue(equation, axes[equation.target][0], value, back)

    @property
    def _offset(self) -> int:
        return 1 if self.back < 0 else 0

    @property
    def _index(self) -> Index:
        return self.equation.indices[self.axis]

    def _position(self, indices: tuple[Poly, ...]) -> tuple[Poly, ...]:
        """Where an element of the state stands among the states."""
        return tuple(p + self._offset if a == self.axis else p for a, p in enumerate(indices))

    def states(self, name: str) -> Equation:
        """The first value and all states."""
        index = self._index
        longer = Index(index.name, index.extent + 1)
        indices = tuple(longer if i == index else i for i in self.equation.indices)
        first = compare("==", as_poly(longer) - (ZERO if self.back < 0 else index.extent))
        before = tuple(as_poly(i) - (self._offset if i == longer else 0) for i in indices)
        return Equation(name, indices, select(first, self.value, Read(self.equation.target, before)))

    def reading(self, body: Scalar, name: str) -> Scalar:
        """A body that reads the states by their new name."""

        def change(node: Node) -> Node:
            match node:
                case Select(_, then, otherwise):
                    for arm, other in ((then, otherwise), (otherwise, then)):
                        if (
                            isinstance(arm, Read)
                            and arm.tensor == self.equation.target
                            and _reads_none(other, arm.tensor)
                        ):
                            return Read(name, self._position(arm.indices))
            return map_children(node, change)

        return changed(body, change)


def _reads_none(node: Scalar, tensor: str) -> bool:
    return tensor not in tensors_of(node)


def _first_value(node: Select, own: Index, state: Equation, axis: int, names: set[str]) -> tuple[Scalar, int] | None:
    """The value in place of a state before its first element, and the direction in which the state is read."""
    read, value, when = node.otherwise, node.then, node.condition
    if isinstance(node.then, Read) and node.then.tensor == state.target:
        read, value, when = node.then, node.otherwise, negation(node.condition)
    if not isinstance(read, Read) or read.tensor != state.target or set(tensors_of(value)) & names:
        return None
    step = (read.indices[axis] - as_poly(own)).constant
    if step not in (1, -1) or own.extent != state.indices[axis].extent:
        return None
    at = ZERO if step < 0 else own.extent - 1
    if interval(when, own) != (at, as_poly(1)) or free_indices(when) != {own}:
        return None
    table: dict[Index, Poly] = {own: at}
    for place, (poly, index) in enumerate(zip(read.indices, state.indices, strict=True)):
        if place == axis:
            continue
        if not isinstance(poly.atom, Index) or poly.atom.extent != index.extent or poly.atom in table:
            return None
        table[poly.atom] = as_poly(index)
    if not free_indices(value) <= set(table) or any(own in indices_of(p) for p in read.indices[:axis]):
        return None
    return rename(value, table), step
