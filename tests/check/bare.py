"""Declarations without validation: what the naive evaluator takes, also where a Layer refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sympy import IndexedBase, symbols
from sympy.tensor.indexed import Indexed

X, W, Y, Z, IDS, H = (IndexedBase(name) for name in ("x", "w", "y", "z", "ids", "h"))
N, M, K, B, T = symbols("N M K B T", integer=True, positive=True)


@dataclass(frozen=True)
class Input:
    name: str
    shape: tuple[Any, ...]
    integer: bool = False
    constant: bool = False


@dataclass(frozen=True)
class Bare:
    """What ``Layer`` shows to the checker; sizes are the symbols that are an axis of their own."""

    inputs: tuple[Input, ...]
    equations: tuple[Any, ...]
    attributes: Mapping[Any, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("y",)
    ranges: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    name: str = "bare"

    def solve_sizes(self, shapes: Mapping[str, tuple[int, ...]], attributes: Mapping[str, Any]) -> dict[str, int]:
        axes = [(e, k) for t in self.inputs for e, k in zip(t.shape, shapes[t.name], strict=True)]
        return {e.name: k for e, k in axes if e.is_Symbol}


def bare(
    inputs: Sequence[Any], *equations: Any, integers: Sequence[Any] = (), constants: Sequence[Any] = (), **rest: Any
) -> Any:
    names = {str(getattr(t, "label", t)) for t in integers}, {str(getattr(t, "label", t)) for t in constants}
    declared = []
    for tensor in inputs:
        name = str(tensor.base.label) if isinstance(tensor, Indexed) else str(tensor)
        shape = tuple(tensor.indices) if isinstance(tensor, Indexed) else ()
        declared.append(Input(name, shape, name in names[0], name in names[1]))
    return Bare(tuple(declared), equations, **rest)
