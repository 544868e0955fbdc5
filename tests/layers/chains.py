"""Emitted modules in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Stage:
    """A layer of the catalogue, its inputs beside the first, and its attributes."""

    name: str
    further: Sequence[np.ndarray] = ()
    options: dict[str, Any] = field(default_factory=dict)


def forward(compiled: Callable[[str], Any], stages: Sequence[Stage], value: np.ndarray) -> tuple[Any, list[Any]]:
    """Return what the last stage gives, and the residuals of all."""
    kept = []
    for stage in stages:
        value, residuals = compiled(stage.name).forward(value, *stage.further, **stage.options)
        kept.append(residuals)
    return value, kept


def backward(compiled: Callable[[str], Any], stages: Sequence[Stage], kept: Sequence[Any], delta: Any) -> list[Any]:
    """Pull ``delta`` back to the first input, and to the further inputs in order that have a gradient."""
    found: list[Any] = []
    for stage, residuals in zip(reversed(stages), reversed(kept), strict=True):
        delta, *further = compiled(stage.name).backward(residuals, delta)
        found = [*further, *found]
    return [delta, *found]
