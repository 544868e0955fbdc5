"""Layers out of layers: a chain, or any acyclic graph, as one declaration with one forward and one backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy

from symgrad.declare.arguments import expect_layer
from symgrad.declare.door_integers import to_poly
from symgrad.declare.integers import Size
from symgrad.declare.layer import Layer
from symgrad.declare.program import Attribute, Equation, Part, Program, Tensor
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Node, Read
from symgrad.declare.scope import Scope
from symgrad.declare.write import poly_to_sympy
from symgrad.errors import DeclarationError
from symgrad.joint import Joint, Wire
from symgrad.naming import check_name, fresh


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
        self.parts: list[Part] = []
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
            ArgumentError: ``layer`` is no Layer.
            DeclarationError: a rank, an extent or a kind does not agree, or a keyword names nothing of the layer.
        """
        expect_layer(layer, "Graph")
        label = fresh(check_name(name or layer.name, f"{self.name}: the name"), self.uses)
        self.uses.add(label)
        connected, fixed = self._connected(layer, label, wires, given)
        joint = Joint(self, layer.program, label, connected, fixed)
        self.inputs += joint.inputs
        equations = joint.equations()
        self.equations += equations
        self.parts.append(Part(label, layer.name, tuple(e.target for e in equations)))
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
        layer = Layer.from_program(program, self.requires)
        layer.parts = tuple(replace(p, targets=tuple(names.get(t, t) for t in p.targets)) for p in self.parts)
        return layer


def _retargeted(equation: Equation, names: Mapping[str, str]) -> Equation:
    """The equation with left sides under other names."""

    def change(node: Node) -> Node:
        if isinstance(node, Read):
            return replace(node, tensor=names.get(node.tensor, node.tensor))
        return map_children(node, change)

    return replace(equation, target=names.get(equation.target, equation.target), body=changed(equation.body, change))


def chain(*layers: Layer | tuple[Layer, Mapping[str, Any]], name: str | None = None) -> Layer:
    """Layers one after the other as one Layer: the first output of each is the first input of the next.

    Args:
        *layers: layers, or pairs of a layer and its fixed attributes, as in ``(conv2d, {"stride": 2})``.
        name: the name of the whole; by default the layers' names joined.

    The first layer's first input and the last layer's output keep their names. Every other input that is not
    connected becomes an input of the whole, ``<layer>_<input>`` (data such as labels keep their name); attributes
    become ``<layer>_<attribute>``; a layer used again is ``<layer>_2``.

    Raises:
        ArgumentError: one is no Layer.
        DeclarationError: there are no layers, or the output of one does not fit the next.
    """
    pairs = [item if isinstance(item, tuple) else (item, {}) for item in layers]
    for layer, _ in pairs:
        expect_layer(layer, "chain")
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
