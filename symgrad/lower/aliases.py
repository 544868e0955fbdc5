"""Equations that only give another array a second name are read through."""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.integers import as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Node, Read


def without_aliases(program: Program, equations: tuple[Equation, ...], results: frozenset[str]) -> tuple[Equation, ...]:
    """The equations without those that are another one of them, element by element; ``results`` keep their names."""
    targets = {e.target for e in equations}
    for equation in equations:
        read = equation.body
        if equation.target in results or not isinstance(read, Read) or read.extension is not None:
            continue
        extents = tuple(i.extent for i in equation.indices)
        plain = read.indices == tuple(map(as_poly, equation.indices))
        if plain and read.tensor in targets and program.extents(read.tensor) == extents and not equation.integer:
            left = tuple(_reading(e, equation.target, read.tensor) for e in equations if e is not equation)
            return without_aliases(program, left, results)
    return equations


def _reading(equation: Equation, old: str, new: str) -> Equation:
    def change(node: Node) -> Node:
        node = map_children(node, change)
        return replace(node, tensor=new) if isinstance(node, Read) and node.tensor == old else node

    return equation.with_body(changed(equation.body, change))
