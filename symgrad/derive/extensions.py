"""Extensions other than constants: reflect, replicate and wrap as index maps."""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.bounds import nonnegative
from symgrad.declare.division import remainder
from symgrad.declare.integers import Poly, as_poly, extreme
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Node, Read


def explicit_extensions(program: Program, equation: Equation) -> Equation:
    """Write reflect, replicate and wrap as index maps: they are reads of elements that exist."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.extension and node.extension.mode not in ("constant", "guarded"):
            extents = program.extents(node.tensor)
            mode = node.extension.mode
            return Read(node.tensor, tuple(_fold(mode, i, e) for i, e in zip(node.indices, extents, strict=True)))
        return map_children(node, change)

    return replace(equation, body=changed(equation.body, change))


def _fold(mode: str, index: Poly, extent: Poly) -> Poly:
    """Where inside the tensor an index outside is read."""
    if nonnegative(index) and nonnegative(extent - 1 - index):
        return index
    match mode:
        case "wrap":
            return remainder(index, extent)
        case "replicate":
            return extreme("min", [extreme("max", [index, as_poly(0)]), extent - 1])
    period = extreme("max", [2 * extent - 2, as_poly(1)])
    there = remainder(index, period)
    return extreme("min", [there, 2 * extent - 2 - there])
