"""Equations evaluated by themselves: every other tensor that they read has a known value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from symgrad.check.evaluator import Arrays, Evaluator, Numbers
from symgrad.check.scope import label
from symgrad.declare.algebra import select
from symgrad.declare.layer import DeclaredTensor, Layer
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import NOUGHT, Reduce, tensors_of
from symgrad.declare.write import declaration


def evaluate_alone(
    layer: Layer, program: Program, equation: Equation, arrays: Arrays, sizes: Mapping[str, int], attributes: Numbers
) -> npt.NDArray[Any]:
    """Return the left side of an equation; see ``evaluate_together``."""
    return evaluate_together(layer, program, [equation], arrays, sizes, attributes)[equation.target]


def evaluate_together(
    layer: Layer,
    program: Program,
    equations: Sequence[Equation],
    arrays: Arrays,
    sizes: Mapping[str, int],
    attributes: Numbers,
) -> dict[str, npt.NDArray[Any]]:
    """Return the left sides of equations, which may need each other.

    Args:
        layer: the declaration that the equations belong to or were derived from.
        program: names and kinds of the tensors they may read.
        equations: what to evaluate.
        arrays: a value for every other tensor that they read.
        sizes: dimension symbols by name.
        attributes: attributes by name.

    Raises:
        CheckError: an equation cannot be evaluated there.
    """
    return Evaluator(_Alone(layer, program, equations, sizes))(arrays, attributes)


class _Alone(Layer):
    """Equations as a layer of their own: every other tensor that they read is an input of known shape.

    An equation of the declaration is taken as the user wrote it: SymPy cannot hold every nested one written back.
    """

    def __init__(self, layer: Layer, program: Program, equations: Sequence[Equation], sizes: Mapping[str, int]) -> None:
        targets = tuple(e.target for e in equations)
        self.name = f"{program.name}, {', '.join(targets)}"
        self.attributes, self.ranges = {}, layer.ranges
        self.equations = tuple(_written(layer, program, e) for e in equations)
        integers = {e.target for e in program.equations if e.integer} | {t.name for t in program.inputs if t.integer}
        known = {*targets, *(a.name for a in program.attributes)}
        read = sorted({t for e in equations for t in tensors_of(e.body)} - known)
        self.inputs = tuple(DeclaredTensor(name, (), name in integers, True) for name in read)
        self.sizes = dict(sizes)

    def solve_sizes(self, shapes: Any, attributes: Any = None) -> dict[str, int]:
        """Return the sizes, which are known."""
        return self.sizes


def _written(layer: Layer, program: Program, equation: Equation) -> Any:
    """Return an equation in SymPy."""
    if equation in layer.program.equations:
        return next(e for e in layer.equations if _target(e) == equation.target)
    plain = equation.with_body(_writable(equation.body))
    return declaration(replace(program, inputs=(), equations=(plain,), outputs=(equation.target,)))["equations"][0]


def _writable(node: Any) -> Any:
    """Write a sum over no index as its body where the condition holds, and leave open who wins a tie by its value.

    SymPy has no sum over no index; the notation has no maximum that is never differentiated.
    """
    node = map_children(node, _writable)
    if isinstance(node, Reduce) and not node.indices:
        return select(node.condition, node.body, NOUGHT)
    return replace(node, ties="first") if isinstance(node, Reduce) else node


def _target(equation: Any) -> str:
    """Return the name on the left side of an equation as the user wrote it."""
    left = equation.lhs
    return label(left.base if hasattr(left, "base") else left)
