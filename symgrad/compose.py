"""Layers out of layers: a chain, or any acyclic graph, as one declaration with one forward and one backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from symgrad.declare import solve
from symgrad.declare.division import quotient
from symgrad.declare.door_integers import to_poly
from symgrad.declare.integers import Atom, Entry, Index, Poly, Size, as_poly
from symgrad.declare.layer import Layer
from symgrad.declare.program import Attribute, Equation, Program, Tensor
from symgrad.declare.rewriting import changed, map_children, map_polynomials
from symgrad.declare.scalars import Node, Read
from symgrad.declare.scope import Scope
from symgrad.declare.substitution import rebuild
from symgrad.declare.write import poly_to_sympy
from symgrad.errors import DeclarationError
from symgrad.naming import check_name, fresh


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


class Graph:
    """A layer made of layers.

    ``graph.input`` declares an input; ``graph(layer, wire, ...)`` uses a layer and returns the wire of its output (a
    tuple of wires for several); ``graph.layer(wire, ...)`` is the whole as a Layer. Inputs of a layer that are not
    connected become inputs of the whole under the name ``<use>_<input>``, attributes ``<use>_<attribute>``.

    Example::

        net = Graph("residual")
        x = net.input("x", (N, C, H, W))
        h = net(conv2d, x, name="first", padding=1)
        h = net(relu2d, h)
        layer = net.layer(net(add, h, x))
    """

    def __init__(self, name: str) -> None:
        self.name = check_name(name, "the graph's name")
        self.inputs: list[Tensor] = []
        self.equations: list[Equation] = []
        self.attributes: list[Attribute] = []
        self.requires: list[Any] = []
        self.typical: dict[str, int] = {}
        self.uses: set[str] = set()
        self.taken: set[str] = set()

    def input(self, name: str, shape: Sequence[Any] = (), *, integer: bool = False, constant: bool = False) -> Wire:
        """Declare an input of the whole.

        Args:
            name: its name.
            shape: its extents: SymPy symbols, integers or expressions of them; () for a scalar.
            integer: it holds integers.
            constant: it gets no gradient.

        Raises:
            DeclarationError: the name is taken or is no identifier.
        """
        check_name(name, f"{self.name}: the input")
        if name in self.taken:
            raise DeclarationError(f"{self.name}: the name {name} is taken; choose another for this input")
        symbols = {s.name for e in shape for s in sympy.sympify(e).free_symbols}
        scope = Scope(
            {}, frozenset(), {n: Size(n, 1) for n in symbols}, frozenset(), lambda _: None, f"{self.name}, input {name}"
        )
        self.taken |= {name, *symbols}
        return self._new_input(Tensor(name, tuple(to_poly(sympy.sympify(e), scope) for e in shape), integer, constant))

    def _new_input(self, tensor: Tensor) -> Wire:
        self.inputs.append(tensor)
        return Wire(tensor.name, tensor.extents, tensor.integer)

    def __call__(self, layer: Layer, *wires: Wire, name: str | None = None, **given: Any) -> Any:
        """Use a layer.

        Args:
            layer: any Layer, itself a graph perhaps.
            *wires: its first inputs.
            name: what to call this use; by default the layer's name.
            **given: further inputs as wires, or attributes as numbers, which are then fixed.

        Returns:
            The wire of its output, or a tuple of wires.

        Raises:
            DeclarationError: a rank, an extent or a kind does not agree, or a keyword names nothing of the layer.
        """
        label = fresh(check_name(name or layer.name, f"{self.name}: the name"), self.uses)
        self.uses.add(label)
        connected, fixed = self._connected(layer, label, wires, given)
        joint = _Joint(self, layer.program, label, connected, fixed)
        self.inputs += joint.inputs
        self.equations += joint.equations()
        self.attributes += joint.attributes
        self.requires += joint.requires(layer.requires)
        outputs = {o: Wire(joint.tensors[o], tuple(map(joint.poly, layer.program.extents(o)))) for o in layer.outputs}
        found = tuple(outputs.values())
        return found if len(found) > 1 else found[0]

    def _connected(
        self, layer: Layer, label: str, wires: tuple[Wire, ...], given: Mapping[str, Any]
    ) -> tuple[dict[str, Wire], dict[str, Any]]:
        """Wires by input, numbers by attribute."""
        inputs = {t.name: t for t in layer.program.inputs}
        attributes = {a.name for a in layer.program.attributes}
        if len(wires) > len(inputs):
            raise DeclarationError(f"{self.name}: {label} has {len(inputs)} inputs, {len(wires)} wires were given")
        connected = dict(zip(inputs, wires, strict=False))
        fixed = {}
        for key, value in given.items():
            if key in attributes and not isinstance(value, Wire):
                fixed[key] = value
            elif key in inputs and key not in connected and isinstance(value, Wire):
                connected[key] = value
            else:
                known = ", ".join([*inputs, *sorted(attributes)])
                raise DeclarationError(
                    f"{self.name}: {key} of {label}: give a wire for an input (once), a number for an attribute; "
                    f"{label} has {known}"
                )
        for key, wire in connected.items():
            if len(wire.extents) != len(inputs[key].extents):
                shape = ", ".join(map(str, inputs[key].extents))
                raise DeclarationError(
                    f"{self.name}: {label} takes {key}[{shape}], but {wire} has {len(wire.extents)} axes"
                )
            if wire.integer != inputs[key].integer:
                kind = "integers" if inputs[key].integer else "real numbers"
                raise DeclarationError(f"{self.name}: {key} of {label} holds {kind}, which {wire} does not")
        return connected, fixed

    def layer(self, *outputs: Wire, doc: str = "", **named: Wire) -> Layer:
        """The whole as a Layer.

        Args:
            *outputs: wires that it returns.
            doc: a line about it.
            **named: further wires that it returns, under names of their own.

        Raises:
            DeclarationError: there is no output, one is an input as it is, or a name is taken.
        """
        made = {e.target for e in self.equations}
        if not (outputs or named) or any(o.tensor not in made for o in (*outputs, *named.values())):
            raise DeclarationError(f"{self.name}: give the wires that are returned, each an output of a layer inside")
        clash = sorted(set(named) & self.taken)
        if clash:
            raise DeclarationError(f"{self.name}: the name {clash[0]} is taken; choose another for this output")
        names = {wire.tensor: check_name(name, f"{self.name}: the output") for name, wire in named.items()}
        program = Program(
            self.name,
            tuple(self.inputs),
            tuple(_retargeted(e, names) for e in self.equations),
            tuple(dict.fromkeys([*(o.tensor for o in outputs), *named])),
            tuple(self.attributes),
            (),
            tuple(sorted(self.typical.items())),
            doc,
        )
        return Layer.from_program(program, self.requires)


def _retargeted(equation: Equation, names: Mapping[str, str]) -> Equation:
    """The equation with left sides under other names."""

    def change(node: Node) -> Node:
        if isinstance(node, Read):
            return replace(node, tensor=names.get(node.tensor, node.tensor))
        return map_children(node, change)

    return replace(equation, target=names.get(equation.target, equation.target), body=changed(equation.body, change))


class _Joint:
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


def chain(*layers: Layer | tuple[Layer, Mapping[str, Any]], name: str | None = None) -> Layer:
    """Layers one after the other as one Layer: the first output of each is the first input of the next.

    Args:
        *layers: layers, or pairs of a layer and its fixed attributes, as in ``(conv2d, {"stride": 2})``.
        name: the name of the whole; by default the layers' names joined.

    The first layer's first input and the last layer's output keep their names. Every other input that is not
    connected becomes an input of the whole, ``<layer>_<input>`` (data such as labels keep their name); attributes
    become ``<layer>_<attribute>``; a layer used again is ``<layer>_2``.

    Raises:
        DeclarationError: there are no layers, or the output of one does not fit the next.
    """
    pairs = [item if isinstance(item, tuple) else (item, {}) for item in layers]
    if not pairs:
        raise DeclarationError("a chain needs at least one layer")
    graph = Graph(name or "_".join(layer.name for layer, _ in pairs))
    first = pairs[0][0].program.inputs[0]
    shape = tuple(map(poly_to_sympy, first.extents))
    wire = graph.input(first.name, shape, integer=first.integer, constant=first.constant)
    for layer, attributes in pairs:
        found = graph(layer, wire, **attributes)
        wire = found[0] if isinstance(found, tuple) else found
    doc = f"{' -> '.join(layer.name for layer, _ in pairs)}."
    last = pairs[-1][0].outputs[0]
    return graph.layer(wire, doc=doc) if last in graph.taken else graph.layer(doc=doc, **{last: wire})
