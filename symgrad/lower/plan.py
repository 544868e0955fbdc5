"""From an adjoint to the two functions of a module, and to what the first keeps for the second."""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.graph import needed
from symgrad.declare.integers import Size, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import Node, polynomials, tensors_of
from symgrad.derive.adjoint import Adjoint
from symgrad.lower.function import Lowered
from symgrad.lower.residuals import choose, when_read, with_formed, without_tables
from symgrad.lower.schedules import in_blocks, lower_function


@dataclass(frozen=True, slots=True)
class ModulePlan:
    """The array programs of a module's two functions.

    Attributes:
        program: the layer as declared.
        adjoint: its equations, forward and backward.
        forward: what forward does.
        backward: what backward does.
        residuals: what forward keeps.
        attributes: those that backward needs.
        again: what backward computes again.
        policy: the policy of the residuals.
        formed: equations among those computed again that backward writes out, element by element.
        schedule: one of ``SCHEDULES``.
    """

    program: Program
    adjoint: Adjoint
    forward: Lowered
    backward: Lowered
    residuals: tuple[str, ...]
    attributes: tuple[str, ...]
    again: tuple[str, ...] = ()
    policy: str = "auto"
    formed: tuple[Equation, ...] = ()
    schedule: str = "readable"


def plan_module(
    program: Program, adjoint: Adjoint, general: bool = False, residuals: str = "auto", schedule: str = "readable"
) -> ModulePlan:
    """Lower forward and backward.

    Args:
        program: the layer as declared, for its inputs, outputs and attributes.
        adjoint: its forward equations (split, stable) and its backward equations.
        general: leave every optimisation out, for tests.
        residuals: what forward keeps, one of ``residuals.POLICIES``.
        schedule: one of ``SCHEDULES``.
    """
    whole = adjoint.program
    backward = tuple(e for e in whole.equations if e.target in adjoint.backward)
    forward = tuple(e for e in whole.equations if e.target not in adjoint.backward)
    forward = needed(forward, {*program.outputs, *(t for e in backward for t in tensors_of(e.body))})
    taken = whole.names()
    made = {e.target for e in backward}
    kept = choose(program, forward, backward, made | set(adjoint.cotangents), residuals)
    evaluated = with_formed((*kept.again, *backward), kept.formed)
    if schedule == "fast" and residuals == "auto" and not general:
        other = without_tables(program, forward, kept)
        lazily = when_read(other.again, with_formed(backward, other.formed))
        tables = {e.target for e in other.again} - {e.target for e in kept.again}
        if tables and tables <= in_blocks(whole, lazily, frozenset(adjoint.gradients)):
            kept, evaluated = other, lazily
    read = {t for e in evaluated for t in tensors_of(e.body)}
    names = {a.name for a in program.attributes}
    results = frozenset({*program.outputs, *kept.names})
    checked = (program, replace(whole, equations=forward))
    wanted = needed(forward, results)  # not what backward alone reads and computes
    first = lower_function(whole, wanted, taken, results, checked, schedule, general)
    second = lower_function(whole, evaluated, taken, frozenset(adjoint.gradients), checked, schedule, general)
    return ModulePlan(
        program,
        adjoint,
        first,
        second,
        kept.names,
        tuple(a.name for a in program.attributes if a.name in read or a.name in names & _sizes_used(evaluated)),
        tuple(e.target for e in (*kept.again, *kept.formed)),
        residuals,
        kept.formed,
        schedule,
    )


def _sizes_used(equations: tuple[Equation, ...]) -> set[str]:
    found: set[str] = set()
    for equation in equations:
        nodes: list[Node] = [equation.body]
        found |= {a.name for n in nodes for p in polynomials(n) for a in atoms(p) if isinstance(a, Size)}
    return found
