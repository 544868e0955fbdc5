"""Names: which ones may reach emitted code, and how fresh ones are made."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

from symgrad.errors import About, DeclarationError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE_NAMES = frozenset({"np", "numpy", "forward", "backward", "wrt", "residuals", "NamedTuple", "Gradients"})
_MODULE_NAMES |= {"Residuals", "Outputs", "math", "as_strided"}
LONGEST = 64


def check_name(name: str, what: str) -> str:
    """Return ``name`` if it may stand in emitted code.

    Raises:
        DeclarationError: it is no string, no ASCII identifier, a keyword, a builtin, too long, begins with an
            underscore, or is used by emitted modules.
    """
    if not isinstance(name, str):
        raise DeclarationError(f"{what} is {name!r}, which is no string; write it in quotes")
    wrong = _what_is_wrong(name)
    if wrong:
        shown = repr(name if len(name) <= LONGEST else name[:LONGEST] + "...")
        raise DeclarationError(f"{what} {shown} {wrong}", About(parts=(name,)))
    return name


def _what_is_wrong(name: str) -> str:
    """Why a name cannot stand in emitted code, and what to write instead; nothing if it can."""
    if len(name) > LONGEST:
        return f"is longer than {LONGEST} characters; use a shorter name"
    if not _IDENTIFIER.fullmatch(name):
        return "is not an identifier; use ASCII letters, digits and _"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name) or name.startswith("__"):
        return f"is a name of Python's own; use another, such as {name.strip('_')}_"
    if name.startswith("_"):
        return "begins with _, as helpers of emitted modules do; drop the underscore"
    if name in _MODULE_NAMES:
        return f"is used by every emitted module; use another, such as {name}_"
    return ""


def fresh(base: str, taken: Iterable[str]) -> str:
    """``base``, or ``base_2``, ``base_3``, ... whichever is not taken yet."""
    used = set(taken)
    name, number = base, 1
    while name in used or keyword.iskeyword(name):
        number += 1
        name = f"{base}_{number}"
    return name


def base_of(name: str) -> str:
    """The name without the number that ``fresh`` appended."""
    return re.sub(r"_\d+$", "", name)
