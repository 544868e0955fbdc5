"""Errors: one base class, one subclass per stage of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

TOO_DEEP = "an expression is nested too deeply; write it as several equations"


class SymgradError(Exception):
    """Base class of every error that symgrad raises on purpose."""


class ArgumentError(SymgradError, ValueError):
    """An argument of a public function is not what the function takes: no layer, an unknown target or stage."""


class DeclarationError(SymgradError):
    """A layer's declaration does not say what it means: rank, index, extent, name or range."""


class DerivationError(SymgradError):
    """A declared expression has no derivative that symgrad knows."""


class LoweringError(SymgradError):
    """A statement has no array program."""


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
