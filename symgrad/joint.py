"""One use of a layer inside a graph: renamed apart, its sizes expressed in those of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING, Any

import sympy

from symgrad.declare import solve
from symgrad.declare.arguments import required
from symgrad.declare.conditions import compare
from symgrad.declare.division import quotient, remainder, with_remainders
from symgrad.declare.door import exact
from symgrad.declare.formula import condition_text
from symgrad.declare.integers import Atom, Entry, Index, Poly, RealFloor, Size, as_poly
from symgrad.declare.program import Attribute, Equation, Program, Tensor
from symgrad.declare.rewriting import changed, map_children, map_polynomials
from symgrad.declare.scalars import FALSE, TRUE, Node, Number, Read, Scalar, Stopped, tensors_of
from symgrad.declare.substitution import rebuild
from symgrad.declare.write import condition_to_sympy, poly_to_sympy, scalar_to_sympy
from symgrad.errors import DeclarationError
from symgrad.naming import base_of, fresh
from symgrad.wires import Wire

if TYPE_CHECKING:
    from symgrad.compose import Graph

LETTERS = "ijklmnpq"
SHORT, LONG = 32, 60
"""Characters of an extent and of a condition up to which a message shows them."""


class Joint:
    """One use of a layer, renamed apart and with its sizes expressed in those of the graph.

    Attributes:
        inputs, attributes: those that the graph gets from this use.
        tensors: names in the graph of the layer's tensors and real attributes.
        flows: for each left side of this use, the tensors of the graph that a gradient goes back to.
        held: names of left sides, each the constant copy of a wire, by the wire's tensor.
    """

    def __init__(
        self,
        graph: Graph,
        program: Program,
        label: str,
        connected: Mapping[str, Wire],
        fixed: Mapping[str, int | float],
        kept: Sequence[str] = (),
    ) -> None:
        """Name everything; the inputs in ``kept`` keep their names."""
        self.graph, self.program, self.label, self.connected = graph, program, label, connected
        self.sizes: dict[str, Poly] = {}
        self.sources: dict[str, str] = {}
        self.numbers: dict[str, Number] = {}
        self.agreements: list[tuple[Any, str]] = []
        self.tensors: dict[str, str] = {name: self._fresh(name) for name in kept}
        self.attributes: list[Attribute] = []
        self.inputs: list[Tensor] = []
        self.held: dict[str, str] = {}
        for attribute in program.attributes:
            self._attribute(attribute, fixed.get(attribute.name))
        self._solve()
        for tensor in program.inputs:
            if tensor.name in connected:
                self._connect(tensor, connected[tensor.name])
            else:
                self._parameter(tensor)
        for equation in program.equations:
            self.tensors[equation.target] = self._fresh(f"{label}_{equation.target}")
        self.flows = {
            self.tensors[e.target]: {self.tensors[t] for t in tensors_of(e.body) if t in self.tensors}
            for e in program.equations
        }

    def _fresh(self, base: str) -> str:
        name = fresh(base, self.graph.taken)
        self.graph.taken.add(name)
        return name

    def _attribute(self, attribute: Attribute, value: int | float | None) -> None:
        if value is not None:
            if attribute.integer:
                self.sizes[attribute.name] = as_poly(int(value))
            else:
                self.numbers[attribute.name] = Number(exact(value))
            return
        name = self._fresh(f"{self.label}_{attribute.name}")
        self.attributes.append(replace(attribute, name=name))
        self.tensors[attribute.name] = name
        if attribute.integer:
            self.sizes[attribute.name] = as_poly(Size(name, attribute.minimum))

    def _solve(self) -> None:
        """Express the layer's sizes by the extents of what it is connected to, else as new sizes."""
        known = frozenset(a.name for a in self.program.attributes)
        inputs = sorted(self.program.inputs, key=lambda t: t.name not in self.connected)
        typical = dict(self.program.typical)
        for step in solve.plan(inputs, known, self.graph.name):
            wire = self.connected.get(step.tensor)
            match step:
                case solve.Solution(size, _, _, _, _) if wire is None:
                    name = self._fresh(size)
                    self.sizes[size] = as_poly(Size(name, 1))
                    if size in typical:
                        self.graph.typical[name] = typical[size]
                case solve.Solution() if wire is not None:
                    self._solution(step, wire)
                case solve.Agreement(key, axis, extent) if wire is not None:
                    self._agree(self.poly(extent), wire.extents[axis], key, axis)

    def _solution(self, step: solve.Solution, wire: Wire) -> None:
        found = wire.extents[step.axis]
        top, bottom = found - self.poly(step.rest), self.poly(step.coefficient)
        size = self.sizes[step.size] = quotient(top, bottom, exact=True)
        self.sources[step.size] = f"axis {step.axis} of {step.tensor} (the wire {wire.tensor})"
        gap, least = (size * bottom - top).constant, size.constant
        if (gap is not None and gap != 0) or (least is not None and least < 0):
            declared = step.coefficient * as_poly(Size(step.size)) + step.rest
            raise DeclarationError(
                f"{self.graph.name}: axis {step.axis} of {step.tensor} of {self.label} is {declared}, which is not "
                f"{found} for any {step.size}; it is given the wire {wire.tensor}"
            )
        self._divides(step, top, bottom)

    def _divides(self, step: solve.Solution, top: Poly, bottom: Poly) -> None:
        """The extent of a wire must leave a size that is an integer."""
        condition = compare("==", remainder(top, bottom))
        if condition != TRUE:
            wire = self.connected[step.tensor].tensor
            place = f"axis {step.axis} of {step.tensor} of {self.label} (the wire {wire})"
            message = f"{place} does not fit: {top} must be a multiple of {bottom}"
            self.agreements.append((condition_to_sympy(condition), message))

    def _agree(self, wanted: Poly, found: Poly, key: str, axis: int) -> None:
        """Two extents must be the same: known now, or required of the sizes."""
        gap = with_remainders(wanted - found)
        condition = compare("==", gap)
        if condition == TRUE:
            return
        declared = next(t for t in self.program.inputs if t.name == key).extents[axis]
        source = self.sources.get(declared.atom.name, "") if isinstance(declared.atom, Size) else ""
        text, other, must = str(wanted), str(found), condition_text(condition)
        want = f"extent {text}" if len(text) <= SHORT else "the same extent" if source else "another extent"
        want += f" as {source}" if source else ""
        want += f", not {other}" if len(other) <= SHORT else ""
        message = f"axis {axis} of {key} of {self.label} must have {want}; its wire is {self.connected[key].tensor}"
        if condition == FALSE:
            raise DeclarationError(f"{self.graph.name}: {message}")
        said = gap == wanted - found and max(len(text), len(other)) <= SHORT
        message += f", and {must} must hold" if len(must) <= LONG and not said else ""
        self.agreements.append((condition_to_sympy(condition), message))

    def _connect(self, tensor: Tensor, wire: Wire) -> None:
        """A wire; an input that gets no gradient reads a copy that is constant for differentiation."""
        self.tensors[tensor.name] = wire.tensor
        if tensor.constant and not tensor.integer:
            self.tensors[tensor.name] = self._fresh(f"{self.label}_{tensor.name}")
            self.held[self.tensors[tensor.name]] = wire.tensor

    def _parameter(self, tensor: Tensor) -> None:
        # Data, such as labels or a mask, keep their name where it is free; parameters tell whose they are.
        data = (tensor.integer or tensor.constant) and tensor.name not in self.graph.taken
        if tensor.name not in self.tensors:
            self.tensors[tensor.name] = self._fresh(tensor.name if data else f"{self.label}_{tensor.name}")
        extents = tuple(map(self.poly, tensor.extents))
        self.inputs.append(replace(tensor, name=self.tensors[tensor.name], extents=extents))

    def poly(self, poly: Poly) -> Poly:
        """An integer expression of the layer in the graph's sizes and tensors."""

        def change(atom: Atom) -> Poly | None:
            match atom:
                case Size(name):
                    return self.sizes.get(name)
                case Index(name, extent):
                    return as_poly(self._index(name, self.poly(extent)))
                case Entry(tensor, indices, guarded):
                    return as_poly(Entry(self.tensors[tensor], tuple(map(self.poly, indices)), guarded))
                case RealFloor(value):
                    real = self.scalar(value)
                    return as_poly(floor(real.value) if isinstance(real, Number) else RealFloor(real))
            return None

        return rebuild(poly, change)

    def _index(self, name: str, extent: Poly) -> Index:
        """An index of a layer: one letter has one range in the whole graph."""
        letters = self.graph.letters
        if (name, extent) not in letters:
            own = name if name not in self.graph.taken else f"{name}_"
            used = {*letters.values(), *(base_of(n) for n in letters.values())}
            other = next((letter for letter in LETTERS if letter not in {*used, *self.graph.taken}), own)
            letters[name, extent] = own if own not in used else fresh(other, used)
        return Index(letters[name, extent], extent)

    def scalar(self, node: Scalar) -> Scalar:
        """A real expression of the layer in the graph's sizes and tensors, with the numbers that are fixed."""

        def change(part: Node) -> Node:
            if isinstance(part, Read):
                return self.numbers.get(part.tensor) or replace(part, tensor=self.tensors[part.tensor])
            return map_children(part, change)

        return changed(map_polynomials(node, self.poly), change)

    def equations(self) -> list[Equation]:
        """The constant copies of wires, and the layer's equations in the graph's names."""
        found = []
        for name, tensor in self.held.items():
            indices = self._indices(next(w.extents for w in self.connected.values() if w.tensor == tensor))
            found.append(Equation(name, indices, Stopped(Read(tensor, tuple(map(as_poly, indices))))))
        for equation in self.program.equations:
            atoms = [self.poly(as_poly(i)).atom for i in equation.indices]
            indices = tuple(a for a in atoms if isinstance(a, Index))
            target = self.tensors[equation.target]
            found.append(replace(equation, target=target, indices=indices, body=self.scalar(equation.body)))
        return found

    def _indices(self, extents: Sequence[Poly]) -> tuple[Index, ...]:
        """Indices over the axes, of names that nothing has."""
        names: list[str] = []
        for axis in range(len(extents)):
            names.append(fresh(LETTERS[axis % len(LETTERS)], {*self.graph.taken, *names}))
        return tuple(map(Index, names, extents))

    def requires(self, declared: Sequence[Any]) -> list[Any]:
        """Relations that the layer requires, and extents that must agree, in SymPy, with what to say about each."""
        found = list(self.agreements)
        for relation, message in (required(self.label, each) for each in declared):
            changed = relation.xreplace(self._table(relation)) if isinstance(relation, sympy.Basic) else relation
            if changed in (False, sympy.false):
                raise DeclarationError(f"{self.graph.name}: {self.label} does not fit what it is given: {message}")
            if changed not in (True, sympy.true):
                said = self._said(relation, changed, message)
                found.append((changed, said) if said else changed)
        return found

    def _table(self, relation: Any) -> dict[Any, Any]:
        """Symbols of a layer's relation in the graph's sizes, attributes and numbers."""
        table = {}
        for symbol in relation.free_symbols:
            if symbol.name in self.sizes:
                table[symbol] = poly_to_sympy(self.sizes[symbol.name])
            elif symbol.name in self.numbers:
                table[symbol] = scalar_to_sympy(self.numbers[symbol.name])
            elif symbol.name in self.tensors:
                table[symbol] = sympy.Symbol(self.tensors[symbol.name])
        return table

    def _said(self, relation: Any, changed: Any, message: str) -> str:
        """What to say where a relation does not hold; nothing where the relation itself says it."""
        if message == f"{relation} must hold" and len(str(changed)) <= LONG:
            return ""
        return f"{self.label}: {message}"
