"""What a user gives as an expression, as SymPy has it. SymPy parses a string with ``eval``, so it never sees one."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import sympy

from symgrad.errors import DeclarationError


def expression(given: Any, what: str) -> Any:
    """A SymPy object as it is, a number as one of SymPy's.

    Args:
        given: what the user wrote.
        what: where it stands, for the message.

    Raises:
        DeclarationError: it is neither; SymPy would execute a string, and look for strings inside anything else.
    """
    if isinstance(given, sympy.Basic):
        return given
    if isinstance(given, numbers.Real):
        return sympy.sympify(given, strict=True)
    raise DeclarationError(f"{what} is {shown(given)}, {_advice(given)}")


def expressions(given: Any, what: str) -> Any:
    """Indices, one or several, as ``Padded(x)[n, i - 1]`` takes them.

    Raises:
        DeclarationError: one is no expression.
    """
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | sympy.Basic):
        return tuple(expression(each, what) for each in given)
    return expression(given, what)


def shown(given: Any) -> str:
    """A value as a person wrote it, on one line, short."""
    try:
        text = " ".join((str(given) if isinstance(given, sympy.Basic) else repr(given)).split())
    except ValueError:  # Python writes no integer of more than 4300 digits
        return f"a {type(given).__name__} that is too long to show"
    return text if len(text) <= 80 else text[:80] + "..."


def _advice(given: Any) -> str:
    if not isinstance(given, str):
        return "which is no SymPy expression; write a number, a Symbol, x[i] or what is made of them"
    name = given if given.isidentifier() else "name"
    return f"a string, which is never read as an expression; write a SymPy expression, such as Symbol({name!r})"
