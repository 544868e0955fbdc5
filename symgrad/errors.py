"""Errors: one base class, one subclass per stage of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

TOO_DEEP = "an expression is nested too deeply; write it as several equations"


@dataclass(frozen=True, slots=True)
class About:
    """What in a declaration an error is about, so that it can be shown where a text says it.

    Attributes:
        equation: the left side's name, empty for none.
        parts: SymPy expressions and names of tensors, indices and attributes; the most exact first.
    """

    equation: str = ""
    parts: tuple[Any, ...] = ()


class SymgradError(Exception):
    """Base class of every error that symgrad raises on purpose."""


class ArgumentError(SymgradError, ValueError):
    """An argument of a public function is not what the function takes: no layer, an unknown target or stage."""


class DeclarationError(SymgradError):
    """A layer's declaration does not say what it means: rank, index, extent, name or range.

    Attributes:
        about: what in the declaration the message is about.
    """

    def __init__(self, message: str, about: About | None = None) -> None:
        super().__init__(message)
        self.about = about or About()


class DerivationError(SymgradError):
    """A declared expression has no derivative that symgrad knows."""


class EmissionError(SymgradError):
    """A module cannot be written: unsafe text, foreign file, refused path."""


class CheckError(SymgradError):
    """A check cannot be run, for example because no shape satisfies the declaration."""


class UnknownLayerError(SymgradError):
    """A layer's name is in no catalogue and no file."""


@contextmanager
def nesting(layer: str, error: type[SymgradError]) -> Iterator[None]:
    """Say in words that an expression is nested too deeply for what happens inside.

    Raises:
        SymgradError: it is; the class is ``error``.
    """
    try:
        yield
    except RecursionError:
        raise error(f"{layer}: {TOO_DEEP}") from None
