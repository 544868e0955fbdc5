"""What to run a layer on: shapes and attributes as a person gives them, the rest typical sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symgrad.declare.evaluate import value_of
from symgrad.declare.solve import plan, solve_sizes
from symgrad.declare.typical import typical_sizes
from symgrad.errors import ArgumentError, DeclarationError

if TYPE_CHECKING:
    from symgrad import Layer

Attributes = dict[str, int | float]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Setting:
    """A layer's sizes, the shapes that follow from them, and the value of every attribute."""

    sizes: dict[str, int]
    shapes: Shapes
    attributes: Attributes


def setting_of(layer: Layer, shapes: Sequence[str] = (), values: Sequence[str] = ()) -> Setting:
    """Read ``x=16,64`` and ``stride=2``; sizes that no given shape determines are the layer's typical ones.

    Raises:
        ArgumentError: a text is not of that form, or names nothing of the layer.
        DeclarationError: ranks or extents do not agree with the declaration.
    """
    attributes = _attributes(layer, values)
    given = _shapes(layer, shapes)
    sizes = typical_sizes(layer.program) | {n: v for n, v in attributes.items() if isinstance(v, int)}
    sizes |= _solved(layer, given, attributes)
    all_shapes = {t.name: given.get(t.name) or _shape(layer, t.name, sizes) for t in layer.program.inputs}
    return Setting(layer.solve_sizes(all_shapes, attributes), all_shapes, attributes)


def _attributes(layer: Layer, values: Sequence[str]) -> Attributes:
    """Every attribute by name: given, or its default."""
    declared = {a.name: a for a in layer.program.attributes}
    found: Attributes = {name: a.default for name, a in declared.items()}
    for text in values:
        name, value = _pair(text, "stride=2")
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise ArgumentError(f"{layer.name} has no attribute {name}; its attributes: {known}")
        kind = int if declared[name].integer else float
        try:
            found[name] = kind(value)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise ArgumentError(f"{layer.name}: the attribute {name} is {wanted}, not {value!r}") from None
    return found


def _shapes(layer: Layer, shapes: Sequence[str]) -> Shapes:
    """Return the shapes that are given, by input."""
    names = [t.name for t in layer.inputs]
    found: Shapes = {}
    for text in shapes:
        name, extents = _pair(text, "x=16,64,32,32")
        if name not in names:
            raise ArgumentError(f"{layer.name} has no input {name}; its inputs: {', '.join(names)}")
        try:
            found[name] = tuple(int(extent) for extent in extents.split(",") if extent.strip())
        except ValueError:
            raise ArgumentError(f"the shape of {name} is {extents!r}; write {name}=16,64,32,32") from None
        if any(extent < 0 for extent in found[name]):
            raise ArgumentError(f"the shape of {name} is {extents!r}; an extent is at least 0")
    return found


def _pair(text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        raise ArgumentError(f"{text!r} does not say what it gives a value to; write {example}")
    return name.strip(), value.strip()


def _solved(layer: Layer, shapes: Shapes, attributes: Attributes) -> dict[str, int]:
    """Sizes that the given shapes determine."""
    inputs = tuple(t for t in layer.program.inputs if t.name in shapes)
    for t in inputs:
        if len(t.extents) != len(shapes[t.name]):
            wanted = ", ".join(map(str, t.extents)) or "no axes"
            found = ",".join(map(str, shapes[t.name]))
            raise ArgumentError(
                f"{layer.name}: {t.name} is declared with {len(t.extents)} axes [{wanted}], "
                f"but {t.name}={found} has {len(shapes[t.name])}"
            )
    try:
        steps = plan(inputs, frozenset(a.name for a in layer.program.attributes), layer.name)
    except DeclarationError:
        missing = ", ".join(t.name for t in layer.program.inputs if t.name not in shapes)
        raise ArgumentError(
            f"{layer.name}: the shapes of {', '.join(shapes)} alone leave sizes open; give those of {missing} as well"
        ) from None
    return solve_sizes(replace(layer.program, inputs=inputs), steps, shapes, attributes)


def _shape(layer: Layer, name: str, sizes: dict[str, int]) -> tuple[int, ...]:
    """Return the shape of an input that was not given one.

    Raises:
        ArgumentError: the sizes give an axis no whole extent.
    """
    tensor = next(t for t in layer.program.inputs if t.name == name)
    try:
        extents = tuple(value_of(extent, sizes) for extent in tensor.extents)
    except (KeyError, ZeroDivisionError):
        extents = (-1,)
    if min(extents, default=0) < 0:
        wanted = ", ".join(map(str, tensor.extents))
        raise ArgumentError(f"{layer.name}: no shape of {name}[{wanted}] fits the sizes given; give --shape {name}=...")
    return extents
