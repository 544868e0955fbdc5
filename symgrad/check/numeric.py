"""Numerical derivatives of a layer's naive evaluation, contracted with cotangents, along one direction at a time.

Central differences: anchored in Nielsen, Neural Networks and Deep Learning, chapter 2, and the gradient-check rules of
cs231n (double precision, relative error, beware of kinks). Complex step: Squire and Trapp, Using complex variables to
estimate derivatives of real functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symgrad.check.arithmetic import Recording
from symgrad.check.evaluator import Evaluator
from symgrad.check.values import Case
from symgrad.declare.layer import Layer

Array = npt.NDArray[Any]
Direction = Mapping[str, Array]

STEP = 1e-5
COMPLEX_STEP = 1e-20


@dataclass(frozen=True)
class Coordinate:
    """One element of one input."""

    tensor: str
    position: tuple[int, ...]

    def direction(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return the unit vector along this coordinate."""
        unit = np.zeros(arrays[self.tensor].shape)
        unit[self.position] = 1.0
        return {self.tensor: unit}


class Numeric:
    """Derivatives of ``sum(cotangent * output)`` at one point, from the naive evaluator."""

    def __init__(self, layer: Layer, case: Case, cotangents: Mapping[str, Array]) -> None:
        self.case, self.cotangents = case, cotangents
        self.recording = Recording()
        self.evaluator = Evaluator(layer, self.recording)
        self.decisions = self._run(case.arrays)[1]

    def central(self, direction: Direction, step: float = STEP) -> float | None:
        """Return the central difference along a direction; None where a kink lies in the way or a value is not finite.

        A kink lies in the way when the two ends and the middle do not take the same branches.
        """
        ends = [self._run(moved(self.case.arrays, direction, h)) for h in (step, -step)]
        if any(decisions != self.decisions for _, decisions in ends):
            return None
        (above, _), (below, _) = ends
        total = sum(float(np.sum(c * (above[name] - below[name]))) for name, c in self.cotangents.items())
        return _known(total / (2 * step))

    def settled(self, direction: Direction) -> float | None:
        """Return the central difference of a quarter of the step if it tells the same story as that of the step.

        Where the two differ, the function bends too much for either to be believed: None.
        """
        coarse, fine = self.central(direction), self.central(direction, STEP / 4)
        if coarse is None or fine is None or abs(coarse - fine) > 1e-6 * max(abs(coarse), abs(fine), 1e-3):
            return None
        return fine

    def complex_step(self, direction: Direction) -> float | None:
        """Return the imaginary part of a step along the imaginary axis; None where it is not finite."""
        outputs, _ = self._run(moved(self.case.arrays, direction, 1j * COMPLEX_STEP))
        total = sum(float(np.sum(c * outputs[name].imag)) for name, c in self.cotangents.items())
        return _known(total / COMPLEX_STEP)

    def _run(self, arrays: Mapping[str, Array]) -> tuple[dict[str, Array], list[Any]]:
        self.recording.decisions = []
        return self.evaluator(arrays, self.case.attributes), self.recording.decisions


def moved(arrays: Mapping[str, Array], direction: Direction, step: complex) -> dict[str, Array]:
    """Return the arrays, moved along a direction."""
    return {name: a + step * direction[name] if name in direction else a for name, a in arrays.items()}


def coordinates(
    arrays: Mapping[str, Array], names: tuple[str, ...], most: int, rng: np.random.Generator
) -> Iterator[Coordinate]:
    """Return elements of the named inputs, at most ``most`` of each, chosen at random."""
    for name in names:
        shape = arrays[name].shape
        size = math.prod(shape)
        for place in sorted(rng.permutation(size)[:most].tolist()):
            yield Coordinate(name, tuple(int(k) for k in np.unravel_index(place, shape)))


def random_direction(arrays: Mapping[str, Array], names: tuple[str, ...], rng: np.random.Generator) -> dict[str, Array]:
    """Return a direction that moves every named input."""
    return {name: np.asarray(rng.normal(size=arrays[name].shape)) for name in names}


def along(gradients: Mapping[str, Array], direction: Direction) -> float:
    """Return the derivative along a direction that the gradients imply."""
    return sum(float(np.sum(gradients[name] * v)) for name, v in direction.items())


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
