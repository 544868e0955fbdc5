"""Names for expressions that have none: what they are made of, in a few words."""

from __future__ import annotations

from symgrad.declare.integers import show
from symgrad.lower.arrays import (
    Array,
    Cast,
    Collapse,
    Const,
    Einsum,
    Map,
    MatMul,
    Name,
    Pad,
    Reshape,
    Subscript,
    Transpose,
    Whole,
    Windows,
)
from symgrad.lower.traverse import names_in

_VERBS = {"add": "plus", "sub": "minus", "mul": "times", "div": "over", "square": "squared"}


def describe(array: Array) -> str:
    """A name for an expression: ``x_minus_mean``, ``exp_x``."""
    match array:
        case Name(text):
            return text.removeprefix("np.")
        case Const(value):
            return "one" if value == 1 else "number"
        case Whole() if names_in(array):
            return "positions"
        case Whole(poly, ()):
            return show(poly) if show(poly).isidentifier() else "count"
        case Map("pow" | "math.pow", (left, right)):
            return _short(f"{describe(left)}_pow_{describe(right)}", "power")
        case Map(function, (left, right)) if function in _VERBS:
            return _short(f"{describe(left)}_{_VERBS[function]}_{describe(right)}", function)
        case MatMul(left, right):
            return _short(f"{describe(left)}_by_{describe(right)}", "product")
        case Einsum():
            return "product"
        case Collapse(kind, source, _):
            return _short(f"{kind}_{describe(source)}", kind)
        case Map(function, (inner,)):
            word = _VERBS.get(function)
            plain = function.removeprefix("math.")
            return _short(f"{describe(inner)}_{word}" if word else f"{plain}_{describe(inner)}", plain)
        case Map(function, _):
            return {
                "where": "chosen",
                "chosen": "chosen",
                "lt": "mask",
                "gt": "mask",
                "le": "mask",
                "ge": "mask",
                "eq": "mask",
                "ne": "mask",
                "and": "mask",
            }.get(function, f"{function}_value")
        case Reshape(Subscript() | Transpose() as source, (_, _)):
            return f"{describe(source)}_matrix"
        case Subscript(source, _) | Transpose(source, _) | Reshape(source, _) | Cast(source, _):
            return describe(source)
        case Pad(source, _, _):
            return f"{describe(source)}_padded"
        case Windows(source, _, _):
            return f"{describe(source)}_windows"
    return "value"


def _short(name: str, function: str) -> str:
    """Long descriptions say nothing; the operation alone does."""
    words = {
        "product": "product",
        "add": "total",
        "sub": "difference",
        "mul": "scaled",
        "div": "ratio",
        "square": "square",
    }
    return name if name.count("_") <= 3 and len(name) <= 28 else words.get(function, f"{function}_value")
