"""A derived layer against the layer that it was derived from: first and second derivatives of that, numerically.

The equations of a derived layer are symgrad's own: that its module computes them says nothing about whether they are
right. For a layer ``f`` at ``x`` both kinds of derived layers give ``D(x) = sum c (J(x) u)``, J the Jacobian of f: for
a vjp c is an input and u weighs the outputs, for a jvp the other way round. D is a derivative of f by the complex step,
and the gradient of the derived layer is what central differences of D say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from symgrad.check.comparisons import CENTRAL, EXACT, Point
from symgrad.check.numeric import STEP, Direction, Numeric, along, moved, random_direction
from symgrad.check.report import Entry, compare
from symgrad.check.values import Case, has_stops
from symgrad.declare.layer import Layer
from symgrad.errors import CheckError


def of_original(point: Point, rng: np.random.Generator) -> Iterator[Entry]:
    """Compare what a derived layer gives, and its gradient along a random direction.

    Nothing is compared where the original holds values that are constant for differentiation, which a difference sees
    through, has kinks nearby, or has no meaning: the derived layer may go without a read that is out of bounds here.
    """
    subject, case = point.subject, point.case
    origin = subject.layer.origin
    if origin is None or has_stops(origin.layer):
        return
    original = _Original(point, origin.kind, origin.layer)
    outputs, _ = subject.forward(case.arrays, case.attributes)
    given = sum(float(np.sum(weight * outputs[name])) for name, weight in point.cotangents.items())
    scale = max([1.0, *(float(np.abs(w * outputs[name]).sum()) for name, w in point.cotangents.items())])
    here = original.at(original.case)
    yield _entry("derivative of the original", point, given, here, EXACT, scale)
    direction = random_direction(case.arrays, original.sources, rng)
    yield _entry(
        "second difference of the original",
        point,
        along(point.gradients, direction),
        original.settled(direction),
        CENTRAL,
        point.scale,
    )


class _Original:
    """``sum c (J(x) u)`` of a layer."""

    def __init__(self, point: Point, kind: str, layer: Layer) -> None:
        self.layer = layer
        derived, arrays, weights = point.subject.layer, point.case.arrays, tuple(point.cotangents.values())
        own = [t.name for t in layer.inputs]
        added = [arrays[t.name] for t in derived.inputs[len(own) :]]
        self.sources = tuple(t.name for t in layer.inputs if not t.constant and not t.integer)
        c, u = (added, weights) if kind == "vjp" else (weights, added)
        self.cotangents = dict(zip(layer.program.real_outputs, c, strict=True))
        self.tangents = dict(zip(self.sources, u, strict=True))
        self.case = replace(point.case, arrays={name: arrays[name] for name in own})

    def at(self, case: Case) -> float | None:
        """Return the value, by the complex step; None where the layer refuses the case."""
        try:
            return Numeric(self.layer, case, self.cotangents).complex_step(self.tangents)
        except CheckError:
            return None

    def settled(self, direction: Direction) -> float | None:
        """Return the central difference; None where two steps do not tell the same story or branches differ."""
        coarse, fine = self._difference(direction, STEP), self._difference(direction, STEP / 4)
        if coarse is None or fine is None or abs(coarse - fine) > 1e-6 * max(abs(coarse), abs(fine), 1e-3):
            return None
        return fine

    def _difference(self, direction: Direction, step: float) -> float | None:
        ends = [replace(self.case, arrays=moved(self.case.arrays, direction, h)) for h in (step, -step)]
        above, below = map(self.at, ends)
        if above is None or below is None:
            return None
        branches = [Numeric(self.layer, case, self.cotangents).decisions for case in (self.case, *ends)]
        if any(b != branches[0] for b in branches):
            return None
        return (above - below) / (2 * step)


def _entry(check: str, point: Point, given: float, expected: float | None, tolerance: float, scale: float) -> Entry:
    wanted = math.nan if expected is None else expected
    return replace(compare(check, "", str(point.case), given, wanted, tolerance, scale), coordinate=None)
