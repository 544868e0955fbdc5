"""One equation evaluated by itself: every tensor that it reads has a known value."""

from __future__ import annotations

from collections.abc import Mapping
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
    """Return the left side of an equation.

    Args:
        layer: the declaration that the equation belongs to or was derived from.
        program: names and kinds of the tensors it may read.
        equation: what to evaluate.
        arrays: a value for every tensor that it reads.
        sizes: dimension symbols by name.
        attributes: attributes by name.

    Raises:
        CheckError: the equation cannot be evaluated there.
    """
    return Evaluator(_Alone(layer, program, equation, sizes))(arrays, attributes)[equation.target]


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
            plain = replace(equation, body=_writable(equation.body))
            written = declaration(replace(program, inputs=(), equations=(plain,), outputs=(equation.target,)))
            self.equations = tuple(written["equations"])
        integers = {e.target for e in program.equations if e.integer} | {t.name for t in program.inputs if t.integer}
        read = sorted({*tensors_of(equation.body)} - {equation.target, *(a.name for a in program.attributes)})
        self.inputs = tuple(DeclaredTensor(name, (), name in integers, True) for name in read)
        self.sizes = dict(sizes)

    def solve_sizes(self, shapes: Any, attributes: Any = None) -> dict[str, int]:
        """Return the sizes, which are known."""
        return self.sizes


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
