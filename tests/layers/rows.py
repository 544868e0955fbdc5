"""What a row of the tables of layers is: a layer, inputs to draw, and the same thing said in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Row:
    """A layer of the catalogue against an oracle.

    ``draws`` give the inputs in order, ``oracle`` takes them as torch tensors and its source is what is called in it;
    ``large`` names the inputs that may hold +-1e4 in float32 without harm.
    """

    name: str
    draws: Sequence[Draw]
    oracle: Callable[..., Any]
    attributes: dict[str, int | float] = field(default_factory=dict)
    large: str = ""

    def arrays(self, rng: np.random.Generator) -> list[np.ndarray]:
        """The inputs."""
        return [np.asarray(draw(rng)) for draw in self.draws]

    def __str__(self) -> str:
        """The test's name."""
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.attributes.items())])


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Standard normal numbers."""
    return lambda rng: scale * rng.normal(size=shape)


def uniform(low: float, high: float, *shape: int) -> Draw:
    """Numbers between two others."""
    return lambda rng: rng.uniform(low, high, size=shape)


def whole(high: int, *shape: int) -> Draw:
    """Whole numbers from 0 to ``high`` - 1."""
    return lambda rng: rng.integers(high, size=shape)


def chosen(values: Sequence[float], *shape: int) -> Draw:
    """Some of the values."""
    return lambda rng: rng.choice(np.asarray(values, float), size=shape)


def probabilities(*shape: int) -> Draw:
    """Positive rows that add up to 1."""
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])


def given(values: Any) -> Draw:
    """These numbers."""
    return lambda _: np.array(values)


def every(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """A test for every row."""
    return pytest.mark.parametrize("row", rows, ids=str)
