"""Wires of a graph, and what a layer's inputs and attributes are given when it is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sympy

from symgrad.declare.arguments import fits, is_finite, is_number
from symgrad.declare.expressions import shown
from symgrad.declare.integers import Poly
from symgrad.declare.layer import Layer
from symgrad.declare.program import Tensor
from symgrad.declare.write import poly_to_sympy
from symgrad.errors import DeclarationError

if TYPE_CHECKING:
    from symgrad.compose import Graph


@dataclass(frozen=True, slots=True)
class Wire:
    """A tensor inside a graph: an input of it, or an output of one of its layers."""

    tensor: str
    extents: tuple[Poly, ...]
    graph: Graph = field(repr=False)
    integer: bool = False

    @property
    def shape(self) -> tuple[Any, ...]:
        """The extents as SymPy expressions."""
        return tuple(map(poly_to_sympy, self.extents))

    def __repr__(self) -> str:
        """Name and shape."""
        return f"{self.tensor}[{', '.join(map(str, self.extents))}]"


def expect_wire(graph: Graph, given: Any, what: str) -> Wire:
    """A wire of this graph; ``what`` says where it is given.

    Raises:
        DeclarationError: it is no wire, or one of another graph.
    """
    if not isinstance(given, Wire):
        raise DeclarationError(
            f"{graph.name}: {what} is {shown(given)}, which is no wire; give what graph.input(name, shape) or "
            f"graph(layer, ...) returned"
        )
    if given.graph is not graph:
        other = "another graph of that name" if given.graph.name == graph.name else f"the graph {given.graph.name}"
        raise DeclarationError(
            f"{graph.name}: {what} is the wire {given} of {other}; a wire belongs to the graph that returned it, so "
            f"build both parts in one graph, or use {given.graph.name}.layer(...) as a layer of {graph.name}"
        )
    return given


def connections(
    graph: Graph, layer: Layer, label: str, wires: Sequence[Any], given: Iterable[tuple[Any, Any]]
) -> tuple[dict[str, Wire], dict[str, int | float]]:
    """Wires by input and numbers by attribute, of one use of a layer.

    Raises:
        DeclarationError: a keyword names nothing of the layer, or an input or attribute cannot take what it is given.
    """
    inputs = {t.name: t for t in layer.program.inputs}
    attributes = {a.name: a for a in layer.program.attributes}
    if len(wires) > len(inputs):
        raise DeclarationError(f"{graph.name}: {label} has {len(inputs)} inputs, {len(wires)} wires were given")
    pairs: list[tuple[Any, Any]] = [*zip(inputs, wires, strict=False), *given]
    connected: dict[str, Wire] = {}
    fixed: dict[str, int | float] = {}
    for key, value in pairs:
        name = key.name if isinstance(key, sympy.Symbol) else key
        what = f"{name if isinstance(name, str) else shown(name)} of {label}"
        if name in attributes and not isinstance(value, Wire):
            fixed[name] = _number(graph, what, value, attributes[name].integer, attributes[name].minimum)
        elif name in inputs and name not in connected:
            connected[name] = _fitting(graph, label, inputs[name], expect_wire(graph, value, what))
        else:
            known = ", ".join([*inputs, *sorted(attributes)])
            raise DeclarationError(
                f"{graph.name}: {what}: give a wire for an input (once), a number for an attribute; {label} has {known}"
            )
    return connected, fixed


def _number(graph: Graph, what: str, value: Any, whole: bool, minimum: int | None) -> int | float:
    """A number that an attribute can have."""
    least = "" if minimum is None else f" of at least {minimum}"
    finite = not is_number(value) or is_finite(value)
    wanted = f"{'an' if finite else 'a finite'} integer{least}" if whole else "a finite number"
    good = is_number(value) and finite and not (whole and int(value) != value)
    if good and whole and not fits(value):
        raise DeclarationError(f"{graph.name}: {what} is an integer of 64 bits, not {shown(value)}")
    if not good or (minimum is not None and value < minimum):
        raise DeclarationError(f"{graph.name}: {what} is {wanted}, not {shown(value)}")
    return int(value) if whole else float(value)


def _fitting(graph: Graph, label: str, tensor: Tensor, wire: Wire) -> Wire:
    """The wire, of the rank and the kind that the input has."""
    if len(wire.extents) != len(tensor.extents):
        shape = ", ".join(map(str, tensor.extents))
        raise DeclarationError(
            f"{graph.name}: {label} takes {tensor.name}[{shape}], but {wire} has {len(wire.extents)} axes"
        )
    if wire.integer != tensor.integer:
        kinds = ("integers", "real numbers") if tensor.integer else ("real numbers", "integers")
        raise DeclarationError(
            f"{graph.name}: {tensor.name} of {label} holds {kinds[0]}, but the wire {wire} holds {kinds[1]}"
        )
    return wire
