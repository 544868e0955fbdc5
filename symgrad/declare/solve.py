"""Dimension symbols read off the shapes of the inputs, by solving one axis for one symbol at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symgrad.declare.evaluate import value_of
from symgrad.declare.integers import Atom, Poly, Size, atoms
from symgrad.declare.program import Program, Tensor
from symgrad.errors import About, DeclarationError


@dataclass(frozen=True, slots=True)
class Solution:
    """``size = (shape - rest) / coefficient`` from one axis of one input."""

    size: str
    tensor: str
    axis: int
    coefficient: Poly
    rest: Poly

    @property
    def plain(self) -> bool:
        """Whether the axis is the size itself."""
        return self.coefficient.constant == 1 and not self.rest.terms


@dataclass(frozen=True, slots=True)
class Agreement:
    """One axis of an input must have this extent."""

    tensor: str
    axis: int
    extent: Poly


Step = Solution | Agreement


def plan(inputs: Sequence[Tensor], known: frozenset[str], where: str) -> tuple[Step, ...]:
    """The order in which sizes are solved and axes compared.

    Raises:
        DeclarationError: no shape determines a dimension symbol.
    """
    steps: list[Step] = []
    open_axes = [(t.name, axis, e) for t in inputs for axis, e in enumerate(t.extents)]
    solved = set(known)
    while open_axes:
        ready = [(a, _unknown(a[2], solved)) for a in open_axes]
        axis, missing = min(ready, key=lambda am: (len(am[1]) > 1, len(am[1]) == 0, not _is_plain(am[0][2])))
        if len(missing) > 1:
            names = ", ".join(sorted(s.name for s in missing))
            raise DeclarationError(
                f"{where}: no shape determines {names} (axis {axis[1]} of {axis[0]} has extent {axis[2]}); "
                f"make all but one of them attributes, attributes={{{missing[0].name}: value}}",
                About(parts=(axis[0],)),
            )
        open_axes.remove(axis)
        if not missing:
            steps.append(Agreement(*axis))
            continue
        split = _linear(axis[2], missing[0])
        if split is None:
            raise DeclarationError(
                f"{where}: axis {axis[1]} of {axis[0]} has extent {axis[2]}, which cannot be solved for "
                f"{missing[0].name}; make it an attribute, attributes={{{missing[0].name}: value}}",
                About(parts=(axis[0],)),
            )
        steps.append(Solution(missing[0].name, axis[0], axis[1], *split))
        solved.add(missing[0].name)
    return tuple(steps)


def _is_plain(extent: Poly) -> bool:
    return isinstance(extent.atom, Size)


def _unknown(extent: Poly, solved: set[str]) -> list[Size]:
    return [a for a in atoms(extent) if isinstance(a, Size) and a.name not in solved]


def _linear(extent: Poly, size: Size) -> tuple[Poly, Poly] | None:
    coefficient, rest = Poly(), Poly()
    for monomial, c in extent.terms:
        others: list[Atom] = list(monomial)
        if size in others:
            others.remove(size)
            coefficient = coefficient + Poly(((tuple(others), c),))
        else:
            rest = rest + Poly(((monomial, c),))
    if size in atoms(coefficient) or size in atoms(rest):
        return None
    return coefficient, rest


def solve_sizes(
    program: Program,
    steps: Sequence[Step],
    shapes: Mapping[str, tuple[int, ...]],
    attributes: Mapping[str, int | float],
) -> dict[str, int]:
    """Values of the dimension symbols and integer attributes.

    Raises:
        DeclarationError: a rank or an extent does not agree with the declaration.
    """
    for t in program.inputs:
        if t.name not in shapes:
            given = ", ".join(sorted(shapes)) or "none"
            raise DeclarationError(f"{program.name}: no shape is given for {t.name} (shapes are given for: {given})")
        if len(shapes[t.name]) != len(t.extents):
            axes = ", ".join(map(str, t.extents))
            raise DeclarationError(f"{program.name}: {t.name} has shape {shapes[t.name]}, but it is declared [{axes}]")
    values = {a.name: int(attributes[a.name]) for a in program.attributes if a.integer}
    for step in steps:
        found = shapes[step.tensor][step.axis]
        match step:
            case Solution(size, tensor, axis, coefficient, rest):
                top, bottom = found - value_of(rest, values), value_of(coefficient, values)
                if bottom <= 0 or top % bottom or top < 0:
                    raise DeclarationError(
                        f"{program.name}: axis {axis} of {tensor} has extent {found}, which is not "
                        f"{coefficient} * {size} + {rest} for any {size} >= 0"
                    )
                values[size] = top // bottom
            case Agreement(tensor, axis, extent):
                wanted = value_of(extent, values)
                if wanted != found:
                    raise DeclarationError(
                        f"{program.name}: axis {axis} of {tensor} has extent {found}, but {extent} = {wanted}"
                    )
    return values
