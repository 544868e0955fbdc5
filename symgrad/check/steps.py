"""Every step of a derivation evaluated at random small sizes: what stands before and after it gives the same numbers.

The steps are replayed from the declaration on. A step that rewrites one equation is judged by itself; one that changes
what a name means (and says so in the equations that read the name) is judged together with the steps that make it good.
Where the replay ends, every equation of the derived program is compared, and the gradients with those that the naive
evaluator takes over dual numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from symgrad.check.evaluator import Evaluator, evaluate
from symgrad.check.scope import label
from symgrad.check.tangent import linearise
from symgrad.check.values import Case, Sampler
from symgrad.declare.algebra import select
from symgrad.declare.integers import Size, atoms
from symgrad.declare.layer import DeclaredTensor, Layer
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import NOUGHT, Reduce, map_children, polynomials, tensors_of
from symgrad.declare.write import declaration
from symgrad.errors import CheckError, DeclarationError

Array = npt.NDArray[Any]
TOLERANCE = 1e-8
"""Largest error of a side, relative to the largest number of the other (at least 1)."""


class Step(Protocol):
    """A rewrite: ``before`` is None where a definition is introduced."""

    @property
    def rule(self) -> str:
        """What the rewrite is called."""

    @property
    def before(self) -> Equation | None:
        """The equation that is rewritten."""

    @property
    def after(self) -> Equation:
        """What it becomes."""


class Steps(Protocol):
    """The steps of a run, in order."""

    @property
    def steps(self) -> Sequence[Step]:
        """All of them."""


class Derived(Protocol):
    """A derived backward pass."""

    @property
    def program(self) -> Program:
        """Forward and backward equations; its outputs are the gradients."""

    @property
    def cotangents(self) -> tuple[str, ...]:
        """The cotangent of every output of the layer."""


class Derivable(Protocol):
    """One run of the compiler, as far as a check of its steps looks into it."""

    @property
    def layer(self) -> Layer:
        """The declaration."""

    @property
    def derived(self) -> Derived:
        """The derived backward pass."""

    @property
    def trace(self) -> Steps:
        """How it was reached."""


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A rule whose two sides differ, the left side of the equation it rewrote, and by how much or why."""

    rule: str
    target: str
    note: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.rule}: {self.target}: {self.note}"


def check_steps(
    stages: Derivable, seed: int = 0, steps: Sequence[Step] | None = None, fixed: Mapping[str, int] | None = None
) -> list[StepFailure]:
    """Evaluate every step of a run; the failures, none if all is well.

    Args:
        stages: what the compiler made of a layer.
        seed: of the random sizes and values.
        steps: the steps to check; by default those of the trace, and then what they lead to as well.
        fixed: attributes that have to have these values, where steps hold for them only.

    Raises:
        CheckError: the layer itself cannot be evaluated at any small size.
    """
    replay = _Replay(stages, _case(stages.layer, seed, fixed or {}), seed)
    for step in stages.trace.steps if steps is None else steps:
        replay.take(step)
    replay.settle_accounts()
    if steps is None and not replay.failures:
        replay.compare()
    return replay.failures


def _case(layer: Layer, seed: int, fixed: Mapping[str, int]) -> Case:
    """Draw sizes at which the fixed attributes fit."""
    sampler = Sampler(layer, seed)
    for _ in range(20):
        case = sampler.case("varied")
        sizes = replace(case.sizes, attributes={**case.sizes.attributes, **fixed})
        if sampler.geometry.fits(sizes):
            return replace(case, sizes=sizes)
    raise CheckError(f"{layer.name}: no small sizes were found with {dict(fixed)}")


class _Alone(Layer):
    """One equation as a layer of its own: every tensor that it reads is an input of known shape.

    An equation of the declaration is taken as the user wrote it: SymPy cannot hold every nested one written back.
    """

    def __init__(self, layer: Layer, program: Program, equation: Equation, sizes: Mapping[str, int]) -> None:
        self.name = f"{program.name}, {equation.target}"
        self.attributes, self.ranges = {}, layer.ranges
        if equation in layer.program.equations:
            self.equations = tuple(e for e in layer.equations if _target(e) == equation.target)
        else:
            plain = replace(equation, body=_without_empty_lists(equation.body))
            written = declaration(replace(program, inputs=(), equations=(plain,), outputs=(equation.target,)))
            self.equations = tuple(written["equations"])
        integers = {e.target for e in program.equations if e.integer} | {t.name for t in program.inputs if t.integer}
        read = sorted({*tensors_of(equation.body)} - {equation.target, *(a.name for a in program.attributes)})
        self.inputs = tuple(DeclaredTensor(name, (), name in integers, True) for name in read)
        self.sizes = dict(sizes)

    def solve_sizes(self, shapes: Any, attributes: Any = None) -> dict[str, int]:
        """Return the sizes, which are known."""
        return self.sizes


@dataclass
class _Replay:
    """The state between two steps: what every name is defined as, and its value."""

    stages: Derivable
    case: Case
    seed: int
    values: dict[str, Array] = field(default_factory=dict)
    state: dict[str, Equation] = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)
    reference: dict[str, Array] = field(default_factory=dict)
    failures: list[StepFailure] = field(default_factory=list)

    def __post_init__(self) -> None:
        layer, rng = self.stages.layer, np.random.default_rng([self.seed, 2])
        lefts = evaluate(layer, self.case.arrays, self.case.attributes)
        seeds = zip(self.stages.derived.cotangents, layer.outputs, strict=True)
        self.cotangents = {o: np.asarray(rng.normal(size=lefts[o].shape)) for _, o in seeds}
        self.given = {**self.case.arrays}
        self.given |= dict(zip(self.stages.derived.cotangents, self.cotangents.values(), strict=True))
        self.values = {**self.given, **lefts}
        self.state = {e.target: e for e in layer.program.equations}
        self.sizes = layer.solve_sizes({n: a.shape for n, a in self.case.arrays.items()}, self.case.attributes)
        self.sizes |= {n: v for n, v in self.case.attributes.items() if isinstance(v, int)}
        self.outputs = {*layer.outputs, *self.stages.derived.program.outputs}

    # --- steps -------------------------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        """Judge one step."""
        target = step.after.target
        try:
            if step.before is None or self.pending:
                self.state[target] = step.after
                self.values.pop(target, None)
                if self.pending:
                    self._settle(step)
                else:
                    self.values[target] = self._alone(step.after)
                return
            difference = _difference(self._alone(step.before), self._alone(step.after))
            if difference:
                self._redefine(step)
            self.state[target] = step.after
            if difference:
                self._settle(None)
        except (CheckError, DeclarationError, ArithmeticError, TypeError) as error:
            self.failures.append(StepFailure(step.rule, target, str(error)))

    def settle_accounts(self) -> None:
        """Judge redefinitions that nothing made good."""
        if self.pending:
            first = self.pending[0]
            rules = dict.fromkeys(s.rule for s in self.pending[1:])
            after = f", and is not made good by: {'; '.join(rules)}" if rules else ""
            note = f"values are not what they were: {self._changed()}{after}"
            self.failures.append(StepFailure(first.rule, first.after.target, note))

    def compare(self) -> None:
        """Judge what the steps lead to: every equation of the derived program, and the gradients."""
        for equation in self.stages.derived.program.equations:
            try:
                difference = _difference(self._value(equation.target), self._alone(equation))
            except (CheckError, DeclarationError, ArithmeticError, TypeError) as error:
                difference = str(error)
            if difference:
                self.failures.append(StepFailure("what no step says", equation.target, difference))
        self._compare_gradients()

    def _compare_gradients(self) -> None:
        """Gradients are those of the declaration: the chain rule has no left side to compare it with."""
        layer = self.stages.layer
        wanted = [t.name for t in layer.program.inputs if not t.constant and not t.integer]
        reference = linearise(layer, self.case.arrays, self.case.attributes)
        expected = reference.pull_back(self.cotangents) if wanted else {}
        for name, gradient in zip(wanted, self.stages.derived.program.outputs, strict=True):
            finite = np.isfinite(expected[name])
            if not reference.certain:
                continue
            difference = _difference(np.where(finite, expected[name], 0), np.where(finite, self._value(gradient), 0))
            if difference:
                self.failures.append(StepFailure("chain rule", gradient, difference))

    # --- names that change their meaning -----------------------------------------------------------------------

    def _redefine(self, step: Step) -> None:
        """From here on, values are those of the new meaning; what they were is kept."""
        self.reference = dict(self.values)
        self.pending.append(step)

    def _settle(self, step: Step | None) -> None:
        """Evaluate anew; the names that were redefined may differ from what they were, nothing else may."""
        if step is not None and step.before is not None:
            self.pending.append(step)
        self.values = dict(self.given)
        free = {s.after.target for s in self.pending} - self.outputs
        if all(name in free or not self._differs(name) for name in self.reference):
            self.pending.clear()
            self.reference.clear()

    def _differs(self, name: str) -> str:
        return "" if name in self.given else _difference(self.reference[name], self._value(name))

    def _changed(self) -> str:
        return "; ".join(f"{n}: {d}" for n in self.reference if n in self.outputs and (d := self._differs(n)))

    # --- values ------------------------------------------------------------------------------------------------

    def _value(self, name: str) -> Array:
        """Return the value of a name as it is defined now."""
        if name not in self.values:
            definition = self.state.get(name) or self.stages.derived.program.equation(name)
            if definition is None:
                raise CheckError(f"{name} is read before any step defines it")
            self.values[name] = self._alone(definition)
        return self.values[name]

    def _alone(self, equation: Equation) -> Array:
        """Return the value of an equation where every other name has the value it has now."""
        program = self.stages.derived.program
        known = {a.name for a in program.attributes} | _sizes(equation)
        needed: Iterable[str] = sorted({*tensors_of(equation.body)} - {equation.target} - known)
        arrays = {name: self._value(name) for name in needed}
        layer = _Alone(self.stages.layer, program, equation, self.sizes)
        return Evaluator(layer)(arrays, self.case.attributes)[equation.target]


def _without_empty_lists(node: Any) -> Any:
    """Write a sum over no index as its body where the condition holds: SymPy has no such sum."""
    node = map_children(node, _without_empty_lists)
    if isinstance(node, Reduce) and not node.indices:
        return select(node.condition, node.body, NOUGHT)
    return node


def _target(equation: Any) -> str:
    """Return the name on the left side of an equation as the user wrote it."""
    left = equation.lhs
    return label(left.base if hasattr(left, "base") else left)


def _sizes(equation: Equation) -> set[str]:
    return {a.name for p in polynomials(equation.body) for a in atoms(p) if isinstance(a, Size)}


def _difference(left: Array, right: Array) -> str:
    """Return by how much two arrays differ, nothing if they do not."""
    if left.shape != right.shape:
        return f"shape {left.shape} against {right.shape}"
    a, b = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    scale = max(1.0, float(np.abs(a[np.isfinite(a)]).max(initial=0.0)))
    if np.allclose(a, b, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
        return ""
    with np.errstate(all="ignore"):
        return f"largest difference {np.nanmax(np.abs(a - b)):.3g}"
