"""The pipeline as a table of contents: declaration in, derivation and module out of one run.

declare -> derive -> simplify -> lower -> emit
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symgrad.declare.arguments import expect_layer
from symgrad.declare.formula import condition_text, equation_text
from symgrad.declare.layer import Layer
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import NoOrderError
from symgrad.derive.adjoint import Adjoint, adjoint
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.emit.graph import graph_text
from symgrad.emit.module import module_text
from symgrad.emit.printer import Printer
from symgrad.emit.study import Derivation, derivation_of
from symgrad.errors import ArgumentError, DerivationError, nesting
from symgrad.lower.plan import ModulePlan, plan_module
from symgrad.lower.residuals import POLICIES
from symgrad.lower.schedules import SCHEDULES
from symgrad.simplify.backward import simplify_backward
from symgrad.simplify.bands import bands_as_windows
from symgrad.simplify.named import name_costly
from symgrad.simplify.running import running_forms
from symgrad.simplify.stable import stabilise


@dataclass(frozen=True)
class Stages:
    """What each stage of one run gave."""

    layer: Layer
    split: Program
    stable: Program
    chained: Adjoint
    derived: Adjoint
    plan: ModulePlan
    source: str
    trace: Trace


def run(layer: Layer, general: bool = False, residuals: str = "auto", schedule: str = "readable") -> Stages:
    """Compile a layer; every stage's input is the stage before it.

    ``general`` lowers without optimisations; ``residuals`` and ``schedule`` as in ``compile_layer``.
    """
    trace = Trace()
    try:
        # simplify: bands as windows; derive: equations -> statements with one reduction each
        statements = split(bands_as_windows(layer.program, trace), trace)
        # simplify: statements -> statements that neither overflow nor cancel
        stable = name_costly(running_forms(stabilise(statements, trace), trace), trace)
    except NoOrderError as error:
        raise DerivationError(f"{layer.name}: its statements cannot be computed step by step: {error}") from None
    try:
        # derive: statements -> statements of the backward pass, by the chain rule
        chained = adjoint(stable, trace)
        # simplify: forward values reused, invariant factors out of sums
        derived = simplify_backward(chained, trace)
        # lower: statements -> array programs of forward and backward
        plan = plan_module(layer.program, derived, general, residuals, schedule)
    except NoOrderError as error:
        raise DerivationError(f"{layer.name}: its backward pass cannot be computed step by step: {error}") from None
    # emit: array programs -> the text of a module
    source = module_text(layer, plan)
    return Stages(layer, statements, stable, chained, derived, plan, source, trace)


class CompiledLayer:
    """A layer's emitted module, loaded, with the derivation it came from.

    Attributes:
        layer: the declaration.
        source: the module's text, what ``symgrad generate`` writes.
    """

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        self.layer, self.source = stages.layer, stages.source

    @cached_property
    def module(self) -> types.ModuleType:
        """The emitted module."""
        module = types.ModuleType(self.layer.name)
        exec(compile(self.source, f"<symgrad {self.layer.name}>", "exec"), module.__dict__)
        return module

    def forward(self, /, *arrays: Any, **attributes: Any) -> tuple[Any, Any]:
        """Run the module's ``forward``; see its docstring."""
        result: tuple[Any, Any] = self.module.forward(*arrays, **attributes)
        return result

    def backward(self, residuals: Any, *cotangents: Any, wrt: tuple[str, ...] | None = None, **options: Any) -> Any:
        """Run the module's ``backward``; see its docstring."""
        return self.module.backward(residuals, *cotangents, wrt=wrt, **options)

    @cached_property
    def derivation(self) -> Derivation:
        """The derivation that the module came from: ``.steps``, ``.to_text()``, ``.to_latex()``, ``.to_html()``."""
        return derivation_of(self.stages)

    def __repr__(self) -> str:
        """Name of the layer."""
        return f"CompiledLayer({self.layer!r})"


def compile_layer(
    layer: Layer, target: str = "numpy", residuals: str = "auto", schedule: str = "readable"
) -> CompiledLayer:
    """Derive, lower and emit a layer.

    Args:
        layer: the declaration.
        target: ``numpy``.
        residuals: what forward keeps for backward: ``store`` everything that backward reads, ``recompute`` all but
            inputs and outputs there, ``auto`` what is dearer to compute than to read; in the fast schedule no tables
            that are large beside inputs and outputs, where blocks of them will do.
        schedule: ``readable`` is the plainest efficient code; ``fast`` works in parts that stay in cache, side by side
            on several threads, and takes forms that are worth their length.

    Raises:
        ArgumentError: ``layer`` is no Layer, or the target, the policy or the schedule is unknown.
        SymgradError: a stage cannot do what the declaration asks; the message says which and why.
    """
    expect_layer(layer, "compile_layer")
    if target != "numpy":
        raise ArgumentError(f"unknown target {target!r}; known: numpy")
    policy, schedule = _policy(residuals), _schedule(schedule)
    with nesting(layer.name, DerivationError):
        return CompiledLayer(run(layer, residuals=policy, schedule=schedule))


def _policy(residuals: str) -> str:
    if residuals not in POLICIES:
        raise ArgumentError(f"unknown policy {residuals!r} for residuals; known: {', '.join(POLICIES)}")
    return residuals


def _schedule(schedule: str) -> str:
    if schedule not in SCHEDULES:
        raise ArgumentError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")
    return schedule


STAGES = ("graph", "declare", "derive", "simplify", "lower", "emit")


def show_stage(layer: Layer, stage: str, residuals: str = "auto", schedule: str = "readable") -> str:
    """What a stage gives, as text; ``graph`` is the declaration drawn, as Mermaid text.

    ``residuals`` and ``schedule`` as in ``compile_layer``.

    Raises:
        ArgumentError: ``layer`` is no Layer, or the stage, the policy or the schedule is unknown.
    """
    expect_layer(layer, "show_stage")
    if stage not in STAGES:
        raise ArgumentError(f"unknown stage {stage!r}; the stages are {', '.join(STAGES)}")
    policy, schedule = _policy(residuals), _schedule(schedule)
    with nesting(layer.name, DerivationError):
        return _stage_text(layer, stage, policy, schedule)


def _stage_text(layer: Layer, stage: str, policy: str, schedule: str) -> str:
    if stage == "declare":
        return _shown(layer.program.equations, layer.program)
    if stage == "graph":
        return graph_text(layer)
    stages = run(layer, residuals=policy, schedule=schedule)
    match stage:
        case "derive":
            return _shown(stages.chained.program.equations, stages.chained.program)
        case "simplify":
            return _shown(stages.derived.program.equations, stages.derived.program)
        case "lower":
            return _lowered(stages.plan)
    return stages.source


def _lowered(plan: ModulePlan) -> str:
    """Why each form was chosen, then the statements of both functions."""
    lines = ["why these forms:", *(f"  {r}" for r in (*plan.forward.reasons, *plan.backward.reasons))]
    printer = Printer({}, "dtype")
    for name, function in (("forward", plan.forward), ("backward", plan.backward)):
        lines += ["", f"{name}:", *("  " + line for line in printer.lines(function.statements))]
    return "\n".join(lines)


def _shown(equations: tuple[Equation, ...], program: Program) -> str:
    """Equations with the ranges of their indices, then what is required."""
    lines = []
    for equation in equations:
        ranges = ", ".join(f"{i.name} < {i.extent}" for i in equation.indices)
        lines.append(equation_text(equation) + (f"    for {ranges}" if ranges else ""))
    lines += [f"requires {condition_text(r.condition)}: {r.message}" for r in program.requirements]
    return "\n".join(lines)
