"""Recurrences made ready for splitting: the first value of a state beside the others, arguments under a name.

What a step needs of the state is told apart from what it does not need it for, so that the latter can be computed for
all steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least, compare, conjuncts, negation
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import ZERO, Index, Poly, as_poly, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    PLAIN,
    Add,
    Apply,
    Condition,
    Extension,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    free_indices,
    tensors_of,
    walk,
)
from symgrad.declare.segments import interval
from symgrad.derive.terms import alpha_form, rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh

LIFT = "f(a) if c else f(b) = f(a if c else b)"
STATES = "the first value of a state stands before the others"
NAME = "name the argument that a step adds to"


def prepare(program: Program, trace: Trace) -> Program:
    """Rewrite the equations of every recurrence; others stay as they are."""
    equations: list[Equation] = []
    taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
    taken |= {a.name for a in program.attributes}
    for group in groups(program.equations):
        if is_recurrent(group):
            group = _Group(program, group, taken, trace).prepared()
        equations += group
    return replace(program, equations=tuple(equations))


@dataclass
class _Group:
    """One recurrence; ``taken`` and ``trace`` are shared with the others."""

    program: Program
    equations: tuple[Equation, ...]
    taken: set[str]
    trace: Trace

    def prepared(self) -> tuple[Equation, ...]:
        self.equations = tuple(self._step("zeros outside written out", e, self._inside(e)) for e in self.equations)
        self.equations = tuple(self._step(LIFT, e, replace(e, body=_lifted(e.body))) for e in self.equations)
        for target in [e.target for e in self.equations]:
            self._with_first_value(target)
        return tuple(made for e in self.equations for made in self._named(e))

    @property
    def names(self) -> set[str]:
        return {e.target for e in self.equations}

    def _step(self, rule: str, before: Equation, after: Equation) -> Equation:
        self.trace.record(rule, before, after)
        return after

    def _name(self, base: str) -> str:
        name = fresh(base, self.taken)
        self.taken.add(name)
        return name

    # --- reads outside ---------------------------------------------------------------------------------------------

    def _inside(self, equation: Equation) -> Equation:
        """A padded read of a state: the value outside by a condition on the recurrent index."""
        axes = recurrent_axes(self.equations)
        extents = {e.target: tuple(i.extent for i in e.indices) for e in self.equations}

        def change(node: Node) -> Node:
            node = map_children(node, change)
            if not isinstance(node, Read) or node.tensor not in extents or node.extension in PLAIN:
                return node
            assert node.extension is not None
            shape, value = extents[node.tensor], _exact(node.extension.value)
            along = axes[node.tensor]
            pairs = [(node.indices[a], shape[a]) for a in along]
            inside = all_of(*(c for p, n in pairs for c in (at_least(p, 0), at_least(n - 1, p))))
            rest = [(p, n) for a, (p, n) in enumerate(zip(node.indices, shape, strict=True)) if a not in along]
            plain = all(nonnegative(p) and nonnegative(n - 1 - p) for p, n in rest)
            kept = Extension("guarded") if plain else node.extension
            return select(inside, Read(node.tensor, node.indices, kept), value)

        return replace(equation, body=changed(equation.body, change))

    # --- states with their first value -----------------------------------------------------------------------------

    def _with_first_value(self, target: str) -> None:
        """A state that is read one step back, with another value before the first, stands beside that value."""
        equation = next(e for e in self.equations if e.target == target)
        found = _FirstValue.of(equation, self.equations)
        if found is None:
            return
        states = found.states(self._name(f"{target}_states"))
        self.trace.record(STATES, None, states)
        others = [self._step(STATES, e, replace(e, body=found.reading(e.body, states.target))) for e in self.equations]
        self.equations = (*others, states)

    # --- arguments -------------------------------------------------------------------------------------------------

    def _named(self, equation: Equation) -> tuple[Equation, ...]:
        """An argument of a function to which the state contributes a sum, and others contribute too, gets a name."""
        made: list[Equation] = []

        def visit(node: Scalar, behind: tuple[Condition, ...]) -> Scalar:
            match node:
                case Select(condition, then, otherwise):
                    return select(
                        condition,
                        visit(then, (*behind, *conjuncts(condition))),
                        visit(otherwise, (*behind, *conjuncts(negation(condition)))),
                    )
                case Apply(function, (Add() as argument,)) if self._is_mixed(argument):
                    return apply(function, self._name_argument(argument, equation, behind, made))
                case Power(Add() as base, exponent) if self._is_mixed(base):
                    return Power(self._name_argument(base, equation, behind, made), exponent)
                case Reduce():
                    return node
            return map_children(node, lambda child: inside(child, behind))

        def inside(node: Node, behind: tuple[Condition, ...]) -> Node:
            return node if isinstance(node, Condition) else visit(node, behind)

        after = self._step(NAME, equation, replace(equation, body=visit(equation.body, ())))
        return (*made, after)

    def _is_mixed(self, node: Add) -> bool:
        """Whether a sum has sums over the state and more than a single read beside them."""
        state = [a for a in node.args if set(tensors_of(a)) & self.names]
        free = [a for a in node.args if a not in state]
        reduced = any(isinstance(p, Reduce) for a in state for p in walk(a))
        return reduced and (len(free) > 1 or any(isinstance(p, Reduce) for a in free for p in walk(a)))

    def _name_argument(
        self, argument: Scalar, equation: Equation, behind: tuple[Condition, ...], made: list[Equation]
    ) -> Scalar:
        used = free_indices(argument)
        indices = (*(i for i in equation.indices if i in used), *sorted(used - set(equation.indices), key=str))
        table: dict[Index, Poly] = {}
        outside: dict[Index, Poly] = {}
        for axis in recurrent_axes(self.equations).get(equation.target, ()):
            found = range_where(equation.indices[axis], behind)
            if found is not None:
                index = equation.indices[axis]
                table[index] = as_poly(Index(index.name, found[1])) + found[0]
                outside[index] = as_poly(index) - found[0]
        own = tuple(Index(i.name, range_where(i, behind)[1]) if i in table else i for i in indices)  # type: ignore[index]
        new = Equation(self._name(f"pre_{equation.target}"), own, rename(argument, table))
        self.trace.record(NAME, None, new)
        made.append(new)
        place = tuple(outside.get(i, as_poly(i)) for i in indices)
        return Read(new.target, place, Extension("guarded") if outside else None)


def _exact(value: float) -> Number:
    return Number(Fraction(value) if value.is_integer() else value)


def range_where(index: Index, behind: Sequence[Condition]) -> tuple[Poly, Poly] | None:
    """First value and extent of the range of an index in which the conditions on it alone hold; None if everywhere."""
    where = all_of(*(c for c in behind if free_indices(c) == {index} and not tensors_of(c)))
    found = interval(where, index)
    return None if found is None or found == (ZERO, index.extent) else found


# --- lifting -------------------------------------------------------------------------------------------------------


def _lifted(node: Scalar) -> Scalar:
    """Choices between values of one function, or between sums with common terms, inside it."""

    def change(part: Node) -> Node:
        part = map_children(part, change)
        return lift(part) if isinstance(part, Select) else part

    return changed(node, change)


def lift(node: Select) -> Scalar:
    """``f(a) if c else f(b)`` as ``f(a if c else b)``, and common terms outside."""
    condition = node.condition
    if tensors_of(condition):
        return node
    match node.then, node.otherwise:
        case Apply(f, (a,)), Apply(g, (b,)) if f == g:
            return apply(f, _lifted_choice(condition, a, b))
    product = _common_factors(condition, node.then, node.otherwise)
    if product is not None:
        return product
    first = node.then.args if isinstance(node.then, Add) else (node.then,)
    second = node.otherwise.args if isinstance(node.otherwise, Add) else (node.otherwise,)
    same = {alpha_form(a): a for a in second}
    common = [a for a in first if alpha_form(a) in same]
    if not common:
        return node
    known = {alpha_form(a) for a in common}
    rest = [add(*(a for a in args if alpha_form(a) not in known)) for args in (first, second)]
    return add(*common, _lifted_choice(condition, rest[0], rest[1]))


def _common_factors(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar | None:
    """``a b if c else a d`` as ``a (b if c else d)``."""
    if not (isinstance(then, Mul) or isinstance(otherwise, Mul)):
        return None
    (p, first), (q, second) = (
        (a.coefficient, a.args) if isinstance(a, Mul) else (Fraction(1), (a,)) for a in (then, otherwise)
    )
    common = [a for a in first if a in second]
    if not common:
        return None
    rest = (multiply(Number(c), *(a for a in args if a not in common)) for c, args in ((p, first), (q, second)))
    return multiply(*common, _lifted_choice(condition, *rest))


def _lifted_choice(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar:
    made = select(condition, then, otherwise)
    return lift(made) if isinstance(made, Select) else made


# --- first values --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _FirstValue:
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
    def of(equation: Equation, group: Sequence[Equation]) -> _FirstValue | None:
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
        return _FirstValue(equation, axes[equation.target][0], value, back)

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
