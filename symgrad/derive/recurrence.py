"""Recurrences made ready for splitting: the first value of a state beside the others, arguments under a name.

What a step needs of the state is told apart from what it does not need it for, so that the latter can be computed for
all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.algebra import add, apply, negate, select
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, at_least, conjuncts, negation
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import ZERO, Entry, Index, Poly, as_poly, atoms, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import axes_together, recurrent_axes
from symgrad.declare.repeats import folded
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    PLAIN,
    TRUE,
    Add,
    Apply,
    Condition,
    Extension,
    Mul,
    Node,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    free_indices,
    polynomials,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.derive.known import KNOWN, known_elements
from symgrad.derive.lift import lifted
from symgrad.derive.states import Border, FirstValue, exact, range_where
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh

LIFT = "f(a) if c else f(b) = f(a if c else b)"
STATES = "the first value of a state stands before the others"
OUTSIDE = "a read outside is a constant"
NAME = "name what a step goes on from"


def prepare(program: Program, trace: Trace) -> Program:
    """Rewrite the equations of every recurrence; others stay as they are."""
    equations: list[Equation] = []
    taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
    taken |= {a.name for a in program.attributes}
    for group in groups(_with_known(program, trace)):
        if is_recurrent(group):
            group = _Group(program, group, taken, trace).prepared()
        equations += group
    return replace(program, equations=tuple(equations))


def _with_known(program: Program, trace: Trace) -> tuple[Equation, ...]:
    """The equations; elements of recurrences that need no step are what their equation says."""
    found: dict[str, Equation] = {}
    for group in (g for g in groups(program.equations) if is_recurrent(g)):
        for equation in group:
            found[equation.target] = known_elements(group, equation)
            trace.record(KNOWN, equation, found[equation.target])
    return tuple(found.get(e.target, e) for e in program.equations)


@dataclass
class _Group:
    """One recurrence; ``taken`` and ``trace`` are shared with the others."""

    program: Program
    equations: tuple[Equation, ...]
    taken: set[str]
    trace: Trace

    def prepared(self) -> tuple[Equation, ...]:
        for target in [e.target for e in self.equations]:
            self._with_border(target)
        self.equations = tuple(self._step(OUTSIDE, e, self._inside(e)) for e in self.equations)
        self.equations = tuple(self._step(LIFT, e, e.with_body(lifted(e.body))) for e in self.equations)
        for target in [e.target for e in self.equations]:
            self._with_first_value(target)
        self.equations = tuple(made for e in self.equations for made in self._arms(e))
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
        """A padded read of a state: the value outside by a condition, along its recurrent axes and the reader's."""
        axes = axes_together(self.equations)
        steps = {equation.indices[a] for a in axes.get(equation.target, ())}
        extents = {e.target: tuple(i.extent for i in e.indices) for e in self.equations}

        def change(node: Node) -> Node:
            node = map_children(node, change)
            if not isinstance(node, Read) or node.tensor not in extents or node.extension in PLAIN:
                return node
            assert node.extension is not None
            if node.extension.mode != "constant":
                # Along a recurrent axis it is known to be inside: declare/recurrence.py asks for that.
                own, mode = recurrent_axes(self.equations)[node.tensor], node.extension.mode
                places = zip(node.indices, extents[node.tensor], strict=True)
                at = (p if axis in own else folded(mode, p, e) for axis, (p, e) in enumerate(places))
                return Read(node.tensor, tuple(at), Extension("guarded"))
            shape, value = extents[node.tensor], exact(node.extension.value)
            along = {*axes[node.tensor], *(a for a, p in enumerate(node.indices) if steps & set(indices_of(p)))}
            pairs = [(node.indices[a], shape[a]) for a in sorted(along)]
            inside = all_of(*(c for p, n in pairs for c in (at_least(p, 0), at_least(n - 1, p))))
            rest = [(p, n) for a, (p, n) in enumerate(zip(node.indices, shape, strict=True)) if a not in along]
            plain = all(nonnegative(p) and nonnegative(n - 1 - p) for p, n in rest)
            kept = Extension("guarded") if plain else node.extension
            return select(inside, Read(node.tensor, node.indices, kept), value)

        return equation.with_body(changed(equation.body, change))

    # --- states with their first value -----------------------------------------------------------------------------

    def _with_border(self, target: str) -> None:
        """A state that is read as a constant before its first step stands beside that constant."""
        equation = self._equation(target)
        found = Border.of(equation, self.equations)
        if found is not None:
            self._beside(found, target)

    def _with_first_value(self, target: str) -> None:
        """A state that is read one step back, with another value before the first, stands beside that value."""
        found = FirstValue.of(self._equation(target), self.equations)
        if found is not None:
            self._beside(found, target)

    def _equation(self, target: str) -> Equation:
        return next(e for e in self.equations if e.target == target)

    def _beside(self, found: Border | FirstValue, target: str) -> None:
        states = found.states(self._name(f"{target}_states"))
        self.trace.record(STATES, None, states)
        others = [self._step(STATES, e, e.with_body(found.reading(e.body, states.target))) for e in self.equations]
        self.equations = (*others, states)

    # --- arms ------------------------------------------------------------------------------------------------------

    def _arms(self, equation: Equation) -> tuple[Equation, ...]:
        """The arm of a choice that goes on from the state gets a name, over the steps at which it is taken."""
        made: list[Equation] = []

        def visit(node: Scalar, behind: tuple[Condition, ...]) -> Scalar:
            if isinstance(node, Select):
                return select(
                    node.condition,
                    visit(node.then, (*behind, *conjuncts(node.condition))),
                    visit(node.otherwise, (*behind, *conjuncts(negation(node.condition)))),
                )
            if not behind or not self._is_work(node, equation):
                return node
            return self._name_part(f"new_{equation.target}", node, equation, behind, made) or node

        after = self._step(NAME, equation, equation.with_body(visit(equation.body, ())))
        return (*made, after)

    def _is_work(self, node: Scalar, equation: Equation) -> bool:
        """Whether a part goes on from the state by more than a sum of multiples, or along several indices."""
        several = len(recurrent_axes(self.equations).get(equation.target, ())) > 1
        bent = [p for p in walk(node) if isinstance(p, Apply | Power) and set(tensors_of(p)) & self.names]
        return not isinstance(node, Read) and bool(bent or (several and set(tensors_of(node)) & self.names))

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
                case Apply("log", (Add() as sums,)) if behind and self._is_mixed(sums) and _is_of_exponentials(sums):
                    # As a whole: its largest exponent has to meet it. It may be computed where nobody asks for it.
                    plain = all(r.extension is None for r in reads_of(node)) and not _asks_data(node)
                    name = f"new_{equation.target}"
                    found = self._name_part(name, node, equation, behind, made)
                    if found is None and plain:
                        found = self._name_part(name, node, equation, (), made)
                    return found or node
                case Apply("exp", (Add(terms),)) if any(map(_is_subtracted, terms)):
                    return node  # the largest exponent has been taken out, which a name would hide
                case Apply(function, (Add() as argument,)) if self._is_mixed(argument):
                    return apply(function, self._name_argument(argument, equation, behind, made))
                case Power(Add() as base, exponent) if self._is_mixed(base):
                    return Power(self._name_argument(base, equation, behind, made), exponent)
                case Reduce():
                    return node
            return map_children(node, lambda child: inside(child, behind))

        def inside(node: Node, behind: tuple[Condition, ...]) -> Node:
            return node if isinstance(node, Condition) else visit(node, behind)

        after = self._step(NAME, equation, equation.with_body(visit(equation.body, ())))
        return (*made, after)

    def _is_mixed(self, node: Add) -> bool:
        """Whether the state comes in by several reads, or by a sum that stands beside more than a single read."""
        state = [a for a in node.args if set(tensors_of(a)) & self.names]
        free = [a for a in node.args if a not in state]
        reads = {r for a in state for r in reads_of(a) if r.tensor in self.names}
        reduced = any(isinstance(p, Reduce) for a in state for p in walk(a))
        more = len(free) > 1 or any(isinstance(p, Reduce) for a in free for p in walk(a))
        return len(reads) > 1 or (reduced and more)

    def _name_argument(
        self, argument: Scalar, equation: Equation, behind: tuple[Condition, ...], made: list[Equation]
    ) -> Scalar:
        name = f"pre_{equation.target}"
        if isinstance(argument, Add) and all(isinstance(a, Mul) and a.coefficient < 0 for a in argument.args):
            found = self._name_part(name, add(*map(negate, argument.args)), equation, behind, made)
            return argument if found is None else negate(found)
        return self._name_part(name, argument, equation, behind, made) or argument

    def _name_part(
        self, name: str, part: Scalar, equation: Equation, behind: tuple[Condition, ...], made: list[Equation]
    ) -> Scalar | None:
        """A read of a part under a name, over the steps at which the conditions hold; None if that is no range."""
        behind = conjuncts(all_of(*behind))
        used = free_indices(part)
        indices = (*(i for i in equation.indices if i in used), *sorted(used - set(equation.indices), key=str))
        inner: dict[Index, Index] = {}
        first: dict[Index, Poly] = {}
        for index in (i for i in equation.indices if i in used):
            found = range_where(index, behind)
            if found is not None:
                first[index], inner[index] = found[0], Index(index.name, found[1])
        table = {i: as_poly(inner[i]) + first[i] for i in inner}
        if any(rename(c, table) != TRUE for c in behind):
            return None
        new = Equation(self._name(name), tuple(inner.get(i, i) for i in indices), rename(part, table))
        self.trace.record(NAME, None, new)
        made.append(new)
        place = tuple(as_poly(i) - first.get(i, ZERO) for i in indices)
        return Read(new.target, place, Extension("guarded") if first else None)


def _is_subtracted(term: Scalar) -> bool:
    """Whether a term is a value that is constant for differentiation, subtracted."""
    return isinstance(term, Mul) and term.coefficient == -1 and isinstance(term.args[0], Stopped)


def _asks_data(node: Scalar) -> bool:
    """Whether a place or a condition in a value depends on integer data, which may lie outside where nobody asks."""
    return any(isinstance(a, Entry) for p in polynomials(node) for a in atoms(p))


def _is_of_exponentials(node: Add) -> bool:
    """Whether every term of a sum is an exponential, times others perhaps."""
    return all(any(isinstance(p, Apply) and p.function == "exp" for p in walk(a)) for a in node.args)
