"""One use of a layer inside a graph: renamed apart, its sizes expressed in those of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sympy

from symgrad.declare import solve
from symgrad.declare.division import quotient
from symgrad.declare.integers import Atom, Entry, Index, Poly, Size, as_poly
from symgrad.declare.program import Attribute, Equation, Program, Tensor
from symgrad.declare.rewriting import changed, map_children, map_polynomials
from symgrad.declare.scalars import Node, Read
from symgrad.declare.substitution import rebuild
from symgrad.declare.write import poly_to_sympy
from symgrad.errors import DeclarationError
from symgrad.naming import fresh

if TYPE_CHECKING:
    from symgrad.compose import Graph


@dataclass(frozen=True, slots=True)
class Wire:
    """A tensor inside a graph: an input of it, or an output of one of its layers."""

    tensor: str
    extents: tuple[Poly, ...]
    integer: bool = False

    @property
    def shape(self) -> tuple[Any, ...]:
        """The extents as SymPy expressions."""
        return tuple(map(poly_to_sympy, self.extents))

    def __repr__(self) -> str:
        """Name and shape."""
        return f"{self.tensor}[{', '.join(map(str, self.extents))}]"


class Joint:
    """One use of a layer, renamed apart and with its sizes expressed in those of the graph."""

    def __init__(
        self, graph: Graph, program: Program, label: str, connected: Mapping[str, Wire], fixed: Mapping[str, Any]
    ) -> None:
        self.graph, self.program, self.label = graph, program, label
        self.sizes: dict[str, Poly] = {}
        self.equalities: list[tuple[Poly, Poly]] = []
        self.tensors: dict[str, str] = {}
        self.attributes: list[Attribute] = []
        self.inputs: list[Tensor] = []
        for attribute in program.attributes:
            self._attribute(attribute, fixed.get(attribute.name))
        for key, wire in connected.items():
            self.tensors[key] = wire.tensor
        self._solve(connected)
        for tensor in program.inputs:
            if tensor.name not in connected:
                self._parameter(tensor)
        for equation in program.equations:
            self.tensors[equation.target] = self._fresh(f"{label}_{equation.target}")

    def _fresh(self, base: str) -> str:
        name = fresh(base, self.graph.taken)
        self.graph.taken.add(name)
        return name

    def _attribute(self, attribute: Attribute, value: Any) -> None:
        if value is not None and attribute.integer:
            if int(value) != value or (attribute.minimum is not None and value < attribute.minimum):
                least = "" if attribute.minimum is None else f" of at least {attribute.minimum}"
                raise DeclarationError(
                    f"{self.graph.name}: {attribute.name} of {self.label} is an integer{least}, not {value}"
                )
            self.sizes[attribute.name] = as_poly(int(value))
            return
        name = self._fresh(f"{self.label}_{attribute.name}")
        default = attribute.default if value is None else float(value)
        self.attributes.append(replace(attribute, name=name, default=default))
        self.tensors[attribute.name] = name
        if attribute.integer:
            self.sizes[attribute.name] = as_poly(Size(name, attribute.minimum))

    def _solve(self, connected: Mapping[str, Wire]) -> None:
        """Express the layer's sizes by the extents of what it is connected to, else as new sizes."""
        known = frozenset(a.name for a in self.program.attributes)
        inputs = sorted(self.program.inputs, key=lambda t: t.name not in connected)
        typical = dict(self.program.typical)
        for step in solve.plan(inputs, known, self.graph.name):
            wire = connected.get(step.tensor)
            match step:
                case solve.Solution(size, _, _, _, _) if wire is None:
                    name = self._fresh(size)
                    self.sizes[size] = as_poly(Size(name, 1))
                    if size in typical:
                        self.graph.typical[name] = typical[size]
                case solve.Solution(size, _, axis, coefficient, rest) if wire is not None:
                    top, bottom = wire.extents[axis] - self.poly(rest), self.poly(coefficient)
                    self.sizes[size] = quotient(top, bottom, exact=True)
                    self._equal(self.sizes[size] * bottom, top, step.tensor, axis)
                case solve.Agreement(_, axis, extent) if wire is not None:
                    self._equal(self.poly(extent), wire.extents[axis], step.tensor, axis)

    def _equal(self, wanted: Poly, found: Poly, tensor: str, axis: int) -> None:
        """Two extents must be the same: known now, or required of the sizes."""
        gap = wanted - found
        if gap.constant == 0:
            return
        if gap.constant is not None:
            raise DeclarationError(
                f"{self.graph.name}: axis {axis} of {tensor} of {self.label} must have extent {wanted}, not {found}"
            )
        self.equalities.append((wanted, found))

    def _parameter(self, tensor: Tensor) -> None:
        # Data, such as labels or a mask, keep their name where it is free; parameters tell whose they are.
        data = (tensor.integer or tensor.constant) and tensor.name not in self.graph.taken
        name = self._fresh(tensor.name if data else f"{self.label}_{tensor.name}")
        self.tensors[tensor.name] = name
        made = replace(tensor, name=name, extents=tuple(map(self.poly, tensor.extents)))
        self.inputs.append(made)

    def poly(self, poly: Poly) -> Poly:
        """An integer expression of the layer in the graph's sizes and tensors."""

        def change(atom: Atom) -> Poly | None:
            match atom:
                case Size(name):
                    return self.sizes.get(name)
                case Index(name, extent):
                    return as_poly(Index(name if name not in self.graph.taken else f"{name}_", self.poly(extent)))
                case Entry(tensor, indices, guarded):
                    return as_poly(Entry(self.tensors[tensor], tuple(map(self.poly, indices)), guarded))
            return None

        return rebuild(poly, change)

    def equations(self) -> list[Equation]:
        """The layer's equations in the graph's names."""

        def change(node: Node) -> Node:
            if isinstance(node, Read):
                return replace(node, tensor=self.tensors[node.tensor])
            return map_children(node, change)

        found = []
        for equation in self.program.equations:
            indices = [self.poly(as_poly(i)).atom for i in equation.indices]
            body = changed(map_polynomials(equation.body, self.poly), change)
            target = self.tensors[equation.target]
            found.append(replace(equation, target=target, indices=_as_indices(indices), body=body))
        return found

    def requires(self, declared: Sequence[Any]) -> list[Any]:
        """Relations that the layer requires, and extents that must agree, in SymPy."""
        table = {}
        for relation in declared:
            for symbol in sympy.sympify(relation).free_symbols:
                if symbol.name in self.sizes:
                    table[symbol] = poly_to_sympy(self.sizes[symbol.name])
        found = [sympy.sympify(relation).xreplace(table) for relation in declared]
        found += [sympy.Eq(poly_to_sympy(a), poly_to_sympy(b)) for a, b in self.equalities]
        if any(r == sympy.false for r in found):
            raise DeclarationError(f"{self.graph.name}: {self.label} requires {', '.join(map(str, declared))}")
        return [r for r in found if r != sympy.true]


def _as_indices(atoms: Sequence[Atom | None]) -> tuple[Index, ...]:
    return tuple(a for a in atoms if isinstance(a, Index))
