"""Functions that take long for each element, and which of them need their value again."""

from __future__ import annotations

from typing import TypeGuard

from symgrad.declare.scalars import Apply, Node, Read, Reduce, reads_of, walk
from symgrad.derive.derivatives import UNARY

COSTLY = frozenset(
    {
        "exp",
        "expm1",
        "log",
        "log1p",
        "tanh",
        "sigmoid",
        "softplus",
        "logcosh",
        "log1mexp",
        "erf",
        "erfc",
        "erfcx",
        "ierfcx",
        "logerfc",
        "loghalferfc",
        "sin",
        "cos",
        "tan",
    }
)
# Functions whose slope, or whose product's slope, needs the value again.
OWN_SLOPE = frozenset({"exp", "tanh", "sigmoid", "erf"})

_VALUE, _ARGUMENT = Read("value", ()), Read("argument", ())
SLOPE_WITHOUT_VALUE = frozenset(f for f in COSTLY if _VALUE not in walk(UNARY[f](_VALUE, _ARGUMENT)))
"""Functions whose own slope does without the value."""


def is_costly(node: Node) -> TypeGuard[Apply]:
    """Whether a node is such a function of what varies, with no sum inside."""
    costly = isinstance(node, Apply) and node.function in COSTLY and bool(reads_of(node))
    return costly and not any(isinstance(p, Reduce) for p in walk(node))
