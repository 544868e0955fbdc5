"""The steps of a derivation replayed: what every name means after each of them, and the value it then has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from symgrad.check.alone import evaluate_together
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import linearise
from symgrad.check.values import Case
from symgrad.declare.graph import components
from symgrad.declare.integers import Size, atoms
from symgrad.declare.layer import Layer
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import polynomials, tensors_of
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


@dataclass
class Replay:
    """The state between two steps: what every name is defined as, and its value."""

    stages: Derivable
    case: Case
    seed: int
    whole: bool
    values: dict[str, Array] = field(default_factory=dict)
    state: dict[str, Equation] = field(default_factory=dict)
    latest: dict[str, Step] = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)
    reference: dict[str, Array] = field(default_factory=dict)
    failures: list[StepFailure] = field(default_factory=list)

    def __post_init__(self) -> None:
        layer, rng = self.stages.layer, np.random.default_rng([self.seed, 2])
        lefts = evaluate(layer, self.case.arrays, self.case.attributes)
        seeds = zip(self.stages.derived.cotangents, layer.program.real_outputs, strict=True)
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
            self._continue(step)
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
        finally:
            self.latest[target] = step

    def _continue(self, step: Step) -> None:
        """Judge whether a step begins where the one before it on the same left side ended."""
        target = step.after.target
        previous = self.latest.get(target)
        if not self.whole or step.before is None or previous is None or step.before == self.state.get(target):
            return
        difference = _difference(self._value(target), self._alone(step.before))
        if difference:
            note = f"the next step begins with something else: {difference}"
            self.failures.append(StepFailure(previous.rule, target, note))
            self.pending = [s for s in self.pending if s is not previous]
            self.state[target] = step.before
            self.values.pop(target, None)

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
        """Evaluate anew; names that were redefined, or are written out in the end, may differ; nothing else may."""
        if step is not None and step.before is not None:
            self.pending.append(step)
        self.values = dict(self.given)
        gone = {n for n in self.reference if self.stages.derived.program.equation(n) is None} - self.given.keys()
        free = ({s.after.target for s in self.pending} | gone) - self.outputs
        if all(name in free or not self._differs(name) for name in self.reference):
            first, last = self.pending[0], self.pending[-1]
            # A meaning that is changed on purpose is made good by another rule, or by changing another meaning too.
            if first is last or (first.rule == last.rule and not self._differs(last.after.target)):
                note = f"its value is another one: {self._differs(first.after.target)}"
                self.failures.append(StepFailure(first.rule, first.after.target, note))
            self.pending.clear()
            self.reference.clear()

    def _differs(self, name: str) -> str:
        return "" if name in self.given else _difference(self.reference[name], self._value(name))

    def _changed(self) -> str:
        return "; ".join(f"{n}: {d}" for n in self.reference if n in self.outputs and (d := self._differs(n)))

    # --- values ------------------------------------------------------------------------------------------------

    def _value(self, name: str) -> Array:
        """Return the value of a name as it is defined now; names that need each other are evaluated together."""
        if name not in self.values:
            needs: dict[str, list[str]] = {}
            pending = [name]
            while pending:
                found = pending.pop()
                if found not in needs:
                    needs[found] = [n for n in self._reads(self._definition(found)) if n not in self.values]
                    pending += needs[found]
            for group in components(needs):
                self.values |= self._together([self._definition(n) for n in group])
        return self.values[name]

    def _definition(self, name: str) -> Equation:
        definition = self.state.get(name) or self.stages.derived.program.equation(name)
        if definition is None:
            raise CheckError(f"{name} is read before any step defines it")
        return definition

    def _reads(self, equation: Equation) -> list[str]:
        """Return the names of the tensors that an equation reads, itself left out."""
        known = {a.name for a in self.stages.derived.program.attributes} | _sizes(equation)
        return sorted({*tensors_of(equation.body)} - {equation.target} - known)

    def _alone(self, equation: Equation) -> Array:
        """Return the value of an equation where every other name has the value it has now."""
        return self._together([equation])[equation.target]

    def _together(self, equations: Sequence[Equation]) -> dict[str, Array]:
        """Return the values of equations that may need each other, where every other name has the value it has now."""
        targets = {e.target for e in equations}
        needed = sorted({n for e in equations for n in self._reads(e)} - targets)
        arrays = {name: self._value(name) for name in needed}
        program, case = self.stages.derived.program, self.case
        return evaluate_together(self.stages.layer, program, equations, arrays, self.sizes, case.attributes)


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
