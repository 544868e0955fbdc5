"""Layers out of layers: a chain, or any acyclic graph, as one declaration with one forward and one backward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from symgrad.declare.arguments import expect_layer, listed
from symgrad.declare.bounds import nonnegative
from symgrad.declare.door_integers import to_poly
from symgrad.declare.expressions import expression, shown
from symgrad.declare.integers import Poly, Size, as_poly
from symgrad.declare.layer import Layer
from symgrad.declare.program import Attribute, Equation, Part, Program, Tensor
from symgrad.declare.rewriting import with_tensors
from symgrad.declare.scalars import Read
from symgrad.declare.scope import Scope
from symgrad.errors import ArgumentError, DeclarationError
from symgrad.flow import without_gradient
from symgrad.joint import Joint
from symgrad.naming import check_name, fresh
from symgrad.wires import Wire, connections, expect_wire


class Graph:
    """A layer made of layers.

    ``graph.input`` declares an input; ``graph(layer, wire, ...)`` uses a layer and returns the wire of its output (a
    tuple of wires for several); ``graph.layer(wire, ...)`` is the whole as a Layer. Inputs of a layer that are not
    connected become inputs of the whole under the name ``<use>_<input>``, attributes ``<use>_<attribute>``.

    A wire into one of a layer's ``constants`` is constant for differentiation, as through ``StopGradient``: the layers
    that it comes from get no gradient that way. Inputs of the whole that only such wires come from are constants of
    the whole.

    Example::

        net = Graph("residual")
        x = net.input("x", (N, C, H, W))
        h = net(conv2d, x, name="first", padding=1)
        h = net(relu2d, h)
        layer = net.layer(net(add, h, x))

    Raises:
        DeclarationError: the name is no identifier.
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
        self.flows: dict[str, set[str]] = {}
        self.held: dict[str, str] = {}
        self.letters: dict[tuple[str, Poly], str] = {}

    def input(self, name: str, shape: Sequence[Any] = (), *, integer: bool = False, constant: bool = False) -> Wire:
        """Declare an input of the whole.

        Args:
            name: its name.
            shape: its extents: SymPy symbols, integers or expressions of them; () for a scalar.
            integer: it holds integers.
            constant: it gets no gradient.

        Raises:
            DeclarationError: the name is taken or is no identifier, or the shape is no list of integer expressions.
        """
        check_name(name, f"{self.name}: the input")
        if name in self.taken:
            raise DeclarationError(f"{self.name}: the name {name} is taken; choose another for this input")
        where = f"{self.name}, input {name}"
        shape = listed(where, "shape", shape)
        extents = [expression(e, f"{where}: the extent of axis {axis}") for axis, e in enumerate(shape)]
        symbols = {s.name for e in extents for s in e.free_symbols}
        scope = Scope({}, frozenset(), {n: Size(n, 1) for n in symbols}, frozenset(), lambda _: None, where)
        tensor = Tensor(name, tuple(to_poly(e, scope) for e in extents), integer, constant)
        for axis, extent in enumerate(tensor.extents):
            if nonnegative(-extent - 1):
                raise DeclarationError(f"{where}: axis {axis} has extent {extent}, which is negative")
        self.taken |= {name, *symbols}
        self.inputs.append(tensor)
        return self._wire(tensor)

    def _wire(self, tensor: Tensor) -> Wire:
        return Wire(tensor.name, tensor.extents, self, tensor.integer)

    def __call__(self, layer: Layer, /, *wires: Wire | Mapping[str, Any], name: str | None = None, **given: Any) -> Any:
        """Use a layer.

        Args:
            layer: any Layer, itself a graph perhaps.
            *wires: its first inputs; then perhaps a dict of what ``given`` takes, ``graph(layer, {"name": wire})``
                where an input or an attribute is called ``name``.
            name: what to call this use; by default the layer's name.
            **given: further inputs as wires, or attributes as numbers, which are then fixed: the whole has no such
                attribute.

        Returns:
            The wire of its output, or a tuple of wires.

        Raises:
            ArgumentError: ``layer`` is no Layer.
            DeclarationError: a wire is none or belongs to another graph, a rank, an extent or a kind does not agree, an
                attribute cannot have its number, or a keyword names nothing of the layer.
        """
        expect_layer(layer, "Graph")
        first, more = _with_mapping(wires)
        called = {t.name for t in layer.program.inputs} | {a.name for a in layer.program.attributes}
        if name is not None and not isinstance(name, str) and "name" in called:
            raise DeclarationError(
                f"{self.name}: name= is what this use of {layer.name} is called, and takes a string; what {layer.name} "
                f'calls name itself is given in a dict, graph({layer.name}, ..., {{"name": ...}})'
            )
        pairs = [*more.items(), *given.items()]
        found = self._use(layer, first, pairs, layer.name if name is None else name)
        return found if len(found) > 1 else found[0]

    def _use(
        self,
        layer: Layer,
        wires: Sequence[Any],
        given: Iterable[tuple[Any, Any]],
        name: str,
        kept: Sequence[str] = (),
    ) -> tuple[Wire, ...]:
        """The wires of the outputs of a layer; the inputs in ``kept`` become inputs of the whole as they are called."""
        label = fresh(check_name(name, f"{self.name}: the name"), self.uses)
        connected, fixed = connections(self, layer, label, wires, given)
        joint = Joint(self, layer.program, label, connected, fixed, kept)
        requires, equations = joint.requires(layer.requires), joint.equations()
        self.uses.add(label)
        self.inputs += joint.inputs
        self.equations += equations
        self.parts.append(Part(label, layer.name, tuple(e.target for e in equations)))
        self.attributes += joint.attributes
        self.requires += requires
        self.flows |= joint.flows
        self.held |= joint.held
        integers = {e.target for e in layer.program.equations if e.integer}
        return tuple(
            Wire(joint.tensors[o], tuple(map(joint.poly, layer.program.extents(o))), self, o in integers)
            for o in layer.outputs
        )

    def layer(self, /, *outputs: Wire | Mapping[str, Wire], doc: str = "", **named: Wire) -> Layer:
        """The whole as a Layer.

        Args:
            *outputs: wires that it returns; then perhaps a dict of what ``named`` takes, ``layer({"doc": wire})`` where
                an output is called ``doc``.
            doc: a line about it.
            **named: further wires that it returns, under names of their own.

        Raises:
            DeclarationError: there is no output, one is no wire of this graph, an input as it is, or returned twice
                under one name; a name is taken; or the whole does not say what it means.
        """
        if isinstance(doc, Wire):
            raise DeclarationError(
                f"{self.name}: doc= is the text about the layer; an output called doc is given in a dict, "
                f'graph.layer({{"doc": wire}})'
            )
        wires, more = _with_mapping(outputs)
        if twice := sorted(more.keys() & named.keys()):
            raise DeclarationError(f"{self.name}: the output {twice[0]} is given twice")
        named = more | named
        if not (wires or named):
            raise DeclarationError(f"{self.name}: give the wires that are returned, each an output of a layer inside")
        plain = [self._output(wire, f"output {place}") for place, wire in enumerate(wires)]
        pairs = {name: self._output(wire, f"the output {name}") for name, wire in named.items()}
        for name in pairs:
            if check_name(name, f"{self.name}: the output") in self.taken:
                raise DeclarationError(f"{self.name}: the name {name} is taken; choose another for this output")
        for tensor in plain:
            if plain.count(tensor) > 1:
                raise DeclarationError(
                    f"{self.name}: {tensor} is returned twice; give one of them a name of its own, "
                    f"layer(..., again=wire)"
                )
        return self._returning(plain, pairs, doc)

    def _output(self, given: Any, what: str) -> str:
        """The left side that a wire stands for."""
        wire = expect_wire(self, given, what)
        if all(e.target != wire.tensor for e in self.equations):
            raise DeclarationError(f"{self.name}: {what} is the input {wire}; give an output of a layer inside")
        return wire.tensor

    def _returning(self, plain: Sequence[str], named: Mapping[str, str], doc: str) -> Layer:
        renamed: dict[str, str] = {}
        copies: dict[str, str] = {}
        for name, tensor in named.items():
            if tensor in plain or tensor in renamed:
                copies[name] = tensor
            else:
                renamed[tensor] = name
        still = without_gradient(
            (t.name for t in self.inputs), {*plain, *named.values()}, self.flows, {*self.held.values()}
        )
        # A copy of what is constant anyway is not needed.
        constants = still | {t.name for t in self.inputs if t.constant}
        names = renamed | {copy: tensor for copy, tensor in self.held.items() if tensor in constants}
        equations = [_retargeted(e, names) for e in self.equations if e.target not in names or e.target in renamed]
        made = {e.target: e for e in equations}
        equations += [_copied(made[renamed.get(tensor, tensor)], name) for name, tensor in copies.items()]
        program = Program(
            self.name,
            tuple(replace(t, constant=t.constant or t.name in still) for t in self.inputs),
            tuple(equations),
            (*plain, *named),
            tuple(self.attributes),
            (),
            tuple(sorted(self.typical.items())),
            doc,
        )
        layer = Layer.from_program(program, self.requires)
        targets = [tuple(renamed.get(t, t) for t in p.targets) for p in self.parts]
        layer.parts = tuple(
            replace(p, targets=tuple(t for t in own if t in made)) for p, own in zip(self.parts, targets, strict=True)
        )
        return layer


def _with_mapping(given: Sequence[Any]) -> tuple[Sequence[Any], dict[Any, Any]]:
    """What stands in order, and the dict that may come after it."""
    if given and isinstance(given[-1], Mapping):
        return given[:-1], dict(given[-1])
    return given, {}


def _retargeted(equation: Equation, names: Mapping[str, str]) -> Equation:
    """The equation with tensors under other names."""
    target = names.get(equation.target, equation.target)
    return replace(equation, target=target, body=with_tensors(equation.body, names))


def _copied(equation: Equation, name: str) -> Equation:
    """Another left side with the same elements; only its equation tells that one holds positions."""
    if equation.integer:
        return replace(equation, target=name)
    return replace(equation, target=name, body=Read(equation.target, tuple(map(as_poly, equation.indices))))


def chain(*layers: Layer | tuple[Layer, Mapping[str, Any]], name: str | None = None) -> Layer:
    """Layers one after the other as one Layer: the first output of each is the first input of the next.

    Args:
        *layers: layers, or pairs of a layer and its fixed attributes, as in ``(conv2d, {"stride": 2})``.
        name: the name of the whole; by default the layers' names joined.

    The first layer's first input and the last layer's output keep their names. Every other input that is not
    connected becomes an input of the whole, ``<layer>_<input>`` (data such as labels keep their name); attributes
    that are not fixed become ``<layer>_<attribute>``; a layer used again is ``<layer>_2``. An output that becomes one
    of the next layer's ``constants`` is constant for differentiation.

    Raises:
        ArgumentError: one is no Layer, or no pair of a Layer and its attributes.
        DeclarationError: there are no layers, the output of one does not fit the next, or an attribute cannot have its
            number.
    """
    pairs = [_pair(item) for item in layers]
    if not pairs:
        raise DeclarationError("a chain needs at least one layer")
    graph = Graph("_".join(layer.name for layer, _ in pairs) if name is None else name)
    (first, attributes), *others = pairs
    kept = [t.name for t in first.program.inputs[:1]]
    wire = graph._use(first, (), attributes.items(), first.name, kept)[0]
    for layer, attributes in others:
        wire = graph._use(layer, (wire,), attributes.items(), layer.name)[0]
    doc = f"{' -> '.join(layer.name for layer, _ in pairs)}."
    last = pairs[-1][0].outputs[0]
    return graph.layer(wire, doc=doc) if last in graph.taken else graph.layer(doc=doc, **{last: wire})


def _pair(item: Any) -> tuple[Layer, Mapping[Any, Any]]:
    """A layer and its fixed attributes."""
    if not isinstance(item, tuple):
        expect_layer(item, "chain")
        return item, {}
    if len(item) != 2 or not isinstance(item[1], Mapping):
        raise ArgumentError(
            f'chain takes a Layer or a pair of one and a dict, (layer, {{"attribute": 2}}), not {shown(item)}'
        )
    expect_layer(item[0], "chain")
    return item
