"""The pipeline as a table of contents: declaration in, derivation and module out of one run.

    declare -> derive -> simplify -> lower -> emit
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symgrad.declare.layer import Layer
from symgrad.declare.program import Program
from symgrad.derive.adjoint import Adjoint, adjoint
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.emit.module import module_text
from symgrad.lower.plan import ModulePlan, plan_module
from symgrad.simplify.backward import simplify_backward
from symgrad.simplify.named import name_costly
from symgrad.simplify.stable import stabilise


@dataclass(frozen=True)
class Stages:
    """What each stage of one run gave."""

    layer: Layer
    split: Program
    stable: Program
    derived: Adjoint
    plan: ModulePlan
    source: str
    trace: Trace


def run(layer: Layer, general: bool = False) -> Stages:
    """Compile a layer; every stage's input is the stage before it. ``general`` lowers without optimisations."""
    trace = Trace()
    # derive: equations -> statements with one reduction each
    statements = split(layer.program, trace)
    # simplify: statements -> statements that neither overflow nor cancel
    stable = name_costly(stabilise(statements, trace), trace)
    # derive: statements -> statements of the backward pass, by the chain rule
    chained = adjoint(stable, trace)
    # simplify: forward values reused, invariant factors out of sums
    derived = simplify_backward(chained, trace)
    # lower: statements -> array programs of forward and backward
    plan = plan_module(layer.program, derived, general)
    # emit: array programs -> the text of a module
    source = module_text(layer, plan)
    return Stages(layer, statements, stable, derived, plan, source, trace)


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

    def forward(self, *arrays: Any, **attributes: Any) -> tuple[Any, Any]:
        """Run the module's ``forward``; see its docstring."""
        return self.module.forward(*arrays, **attributes)  # type: ignore[no-any-return]

    def backward(self, residuals: Any, *cotangents: Any, wrt: tuple[str, ...] | None = None) -> Any:
        """Run the module's ``backward``; see its docstring."""
        return self.module.backward(residuals, *cotangents, wrt=wrt)

    def __repr__(self) -> str:
        """Name of the layer."""
        return f"CompiledLayer({self.layer!r})"


def compile_layer(layer: Layer, target: str = "numpy") -> CompiledLayer:
    """Derive, lower and emit a layer.

    Args:
        layer: the declaration.
        target: ``numpy``.

    Raises:
        SymgradError: a stage cannot do what the declaration asks; the message says which and why.
    """
    if target != "numpy":
        raise ValueError(f"unknown target {target!r}; known: numpy")
    return CompiledLayer(run(layer))
