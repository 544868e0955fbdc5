"""What an unseen layer is: a declaration, arrays, and a NumPy forward that owes nothing to the compiler."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sympy import IndexedBase

from symgrad import Layer

Arrays = dict[str, np.ndarray]
Attributes = dict[str, int | float]


@dataclass(frozen=True)
class Case:
    """A declaration and what it has to compute."""

    layer: Layer
    arrays: Arrays  # in the order of the layer's inputs
    reference: Callable[..., Any]  # reference(*arrays, **attributes): an array, or a tuple of them
    attributes: Attributes = field(default_factory=dict)
    gradients: Callable[..., Arrays] | None = None  # (arrays, *cotangents), where differences cannot judge: ties, stops
    also: tuple[tuple[Arrays, Attributes], ...] = ()  # further shapes and attribute values for the same module


CASES: dict[str, Callable[[], Case]] = {}
LOGITS: dict[str, str] = {}  # the input of a case that may be as large as 1e4 without harm


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    """Register a case under its function's name."""
    assert make.__name__ not in CASES, make.__name__
    CASES[make.__name__] = make
    return make


def case_of_logits(tensor: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Register a case whose input ``tensor`` holds logits."""

    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        LOGITS[make.__name__] = tensor
        return case(make)

    return register


def tensors(names: str) -> tuple[IndexedBase, ...]:
    """Tensors by name, separated by spaces, as SymPy's ``symbols`` takes them."""
    return tuple(IndexedBase(name) for name in names.split())


def normals(**shapes: tuple[int, ...]) -> Arrays:
    """Standard normal arrays of the given shapes; the shapes are the seed."""
    generator = np.random.default_rng(zlib.crc32(repr(shapes).encode()))
    return {name: np.asarray(generator.normal(size=shape)) for name, shape in shapes.items()}


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax of a vector, entries of -inf allowed."""
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()
