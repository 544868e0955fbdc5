"""The arguments of ``Layer`` looked at before anything is read from them: lists, mappings, numbers."""

from __future__ import annotations

import math
import numbers
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import sympy

from symgrad.declare.expressions import shown
from symgrad.declare.integers import Size
from symgrad.errors import About, ArgumentError, DeclarationError


def listed(layer: str, role: str, given: Any) -> tuple[Any, ...]:
    """The elements of a list or another finite collection with an order of its own.

    Raises:
        DeclarationError: ``given`` is one thing that stands alone (a tensor can be iterated, without end), or no list.
    """
    if isinstance(given, list | tuple | sympy.Tuple):
        return tuple(given)
    alone = given is None or isinstance(given, str | bytes | sympy.Basic | Mapping | set | frozenset)
    if alone or not isinstance(given, Iterable):
        inside = given if isinstance(given, sympy.Basic) else "..."
        raise DeclarationError(f"{layer}: {role} is {shown(given)}, which is no list; write {role}=[{inside}]")
    return tuple(given)


def mapped(layer: str, role: str, given: Any, value: str) -> dict[Any, Any]:
    """A mapping as a dict; ``value`` says what it maps to.

    Raises:
        DeclarationError: it is no mapping.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    raise DeclarationError(f"{layer}: {role} is {shown(given)}, which is no dict; write {role}={{symbol: {value}}}")


def worded(layer: str, given: Any) -> str:
    """The text of ``doc``.

    Raises:
        DeclarationError: it is no text, or has a character that no file of text has.
    """
    if isinstance(given, str):
        for place, character in enumerate(given):
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
                raise DeclarationError(f"{layer}: doc has {character!r} at position {place}, which is no text; drop it")
        return given
    raise DeclarationError(f"{layer}: doc is {shown(given)}, which is no text; write doc='...' or leave it out")


def required(layer: str, given: Any) -> tuple[Any, str]:
    """A relation of ``requires`` and what to say where it does not hold.

    Raises:
        DeclarationError: it is a tuple, but not of a relation and a text.
    """
    if not isinstance(given, tuple):
        return given, f"{given} must hold"
    if len(given) != 2 or not isinstance(given[1], str) or not given[1].isprintable():
        raise DeclarationError(
            f"{layer}: requires has {shown(given)}; write a relation, or (relation, 'what is wrong')"
        )
    return given


def default_of(layer: str, name: str, given: Any, whole: bool) -> int | float:
    """The default of an attribute, an int where ``whole``.

    Raises:
        DeclarationError: it is no finite number, or no integer where one is wanted.
    """
    about = About(parts=(name,))
    if not is_number(given):
        raise DeclarationError(f"{layer}: the default {shown(given)} of attribute {name} is not a number", about)
    if not is_finite(given):
        text = f"{layer}: the default of attribute {name} is {shown(given)}, which is not a finite number"
        raise DeclarationError(text, about)
    if not whole:
        return float(given)
    if int(given) != given:
        raise DeclarationError(f"{layer}: attribute {name} is an integer, its default {given} is not", about)
    if not fits(given):
        text = f"{layer}: the default of attribute {name} is {shown(given)}, which is no integer of 64 bits"
        raise DeclarationError(text, about)
    return int(given)


def is_finite(number: Any) -> bool:
    """Whether a number is no infinity and none beyond what a float can be."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def fits(number: Any) -> bool:
    """Whether an integer has 64 bits, as those of arrays have."""
    return -(2**63) <= int(number) < 2**63


def typical_sizes(layer: str, given: Mapping[Any, Any], sizes: Mapping[str, Size]) -> tuple[tuple[str, int], ...]:
    """The sizes to optimise for, by name.

    Raises:
        DeclarationError: one is no size of the layer, or has a value that it cannot take.
    """
    found: dict[str, int] = {}
    for symbol, value in given.items():
        name = str(symbol)
        if name not in sizes:
            known = ", ".join(sorted(sizes)) or "none"
            raise DeclarationError(f"{layer}: typical names {name}, which is no size of the layer (known: {known})")
        least = sizes[name].minimum
        if not is_number(value) or not is_finite(value) or int(value) != value or (least is not None and value < least):
            wanted = "an integer" if least is None else f"an integer of at least {least}"
            beyond = ", which is no finite number" if is_number(value) and not is_finite(value) else ""
            raise DeclarationError(f"{layer}: typical says {name} = {shown(value)}{beyond}; write {wanted}")
        found[name] = int(value)
    return tuple(sorted(found.items()))


def expect_layer(given: Any, function: str) -> None:
    """Check what a public function got as its layer.

    Raises:
        ArgumentError: it is no Layer; the message says how to get one.
    """
    if hasattr(given, "equations") and hasattr(given, "program"):
        return
    if callable(getattr(given, "layer", None)):
        raise ArgumentError(
            f"{function} takes a Layer, not {type(given).__name__}; write {function}(graph.layer(wire))"
        )
    if hasattr(given, "layer"):
        raise ArgumentError(f"{function} takes a Layer, not {type(given).__name__}; write {function}(compiled.layer)")
    named = isinstance(given, str) and given.isidentifier()
    write = f"symgrad.layers.{given}" if named else "symgrad.Layer(...) or one of symgrad.layers"
    raise ArgumentError(f"{function} takes a Layer, not {shown(given)}; write {function}({write})")


def is_number(given: Any) -> bool:
    """Whether it is a real number, of Python, NumPy or SymPy."""
    return isinstance(given, numbers.Real | sympy.Number)
