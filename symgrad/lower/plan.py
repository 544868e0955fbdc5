"""From an adjoint to the two functions of a module, and to what the first keeps for the second."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.graph import needed
from symgrad.declare.integers import Entry, Size, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import Node, polynomials, tensors_of
from symgrad.derive.adjoint import Adjoint
from symgrad.lower.function import Lowered, lower_equations
from symgrad.lower.share import share


@dataclass(frozen=True, slots=True)
class ModulePlan:
    """The array programs of a module's two functions."""

    program: Program
    adjoint: Adjoint
    forward: Lowered
    backward: Lowered
    residuals: tuple[str, ...]
    attributes: tuple[str, ...]


def plan_module(program: Program, adjoint: Adjoint, general: bool = False) -> ModulePlan:
    """Lower forward and backward.

    Args:
        program: the layer as declared, for its inputs, outputs and attributes.
        adjoint: its forward equations (split, stable) and its backward equations.
        general: leave every optimisation out, for tests.
    """
    whole = adjoint.program
    backward = tuple(e for e in whole.equations if e.target in adjoint.backward)
    forward = tuple(e for e in whole.equations if e.target not in adjoint.backward)
    forward = needed(forward, {*program.outputs, *(t for e in backward for t in tensors_of(e.body))})
    taken = {t.name for t in whole.inputs} | {e.target for e in whole.equations}
    taken |= {a.name for a in program.attributes} | _symbols(whole)
    made = {e.target for e in backward}
    # The adjoint's inputs and the forward results are what backward can keep.
    read = sorted({t for e in backward for t in tensors_of(e.body)} - made - set(adjoint.cotangents))
    order = [t.name for t in program.inputs] + [e.target for e in forward]
    names = {a.name for a in program.attributes}
    first = lower_equations(whole, forward, taken, general, frozenset({*program.outputs, *read}))
    second = lower_equations(whole, backward, taken, general, frozenset(adjoint.gradients))
    return ModulePlan(
        program,
        adjoint,
        Lowered(share(first.statements, set(taken)), first.reasons),
        Lowered(share(second.statements, set(taken)), second.reasons),
        tuple(t for t in order if t in read),
        tuple(a.name for a in program.attributes if a.name in read or a.name in names & _sizes_used(backward)),
    )


def _symbols(program: Program) -> set[str]:
    names = {a.name for t in program.inputs for e in t.extents for a in atoms(e) if isinstance(a, Size)}
    for equation in program.equations:
        names |= {i.name for i in equation.indices}
        names |= {
            a.name
            for p in polynomials(equation.body)
            for a in atoms(p)
            if not isinstance(a, Entry) and hasattr(a, "name")
        }
    return names


def _sizes_used(equations: tuple[Equation, ...]) -> set[str]:
    found: set[str] = set()
    for equation in equations:
        nodes: list[Node] = [equation.body]
        found |= {a.name for n in nodes for p in polynomials(n) for a in atoms(p) if isinstance(a, Size)}
    return found
