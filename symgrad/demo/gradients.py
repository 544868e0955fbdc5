"""A whole network's gradient against central differences, in random directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from symgrad.demo.modules import Array
from symgrad.demo.networks import Network

# A kink (of a ReLU, of a maximum) between the two points spoils a difference over one step, hardly over all of them;
# a wrong gradient agrees with none.
STEPS = (1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-5
# Derivatives below this count as 0: a bias before batch normalisation has none, and differences leave rounding.
FLOOR = 1e-6


@dataclass(frozen=True)
class Direction:
    """The loss's derivative along one direction, by the emitted gradients and by differences."""

    name: str
    size: int
    analytic: float
    numeric: float

    @property
    def error(self) -> float:
        """The relative error."""
        return abs(self.analytic - self.numeric) / max(abs(self.analytic), abs(self.numeric), FLOOR)

    @property
    def ok(self) -> bool:
        """Whether both agree."""
        return self.error <= TOLERANCE


def check_gradient(network: Network, images: Array, labels: Array, seed: int) -> list[Direction]:
    """Compare the gradient of the loss in training with central differences, in float64.

    One direction for every parameter, random in all of its components, and one through all parameters at once.
    What training draws (dropout's masks) is drawn alike for every evaluation.

    Args:
        network: of any dtype; a copy is checked, the network stays as it is.
        images: (N, 1, H, W).
        labels: (N,).
        seed: of the directions and of what training draws.
    """
    double, images = network.astype(np.float64), images.astype(np.float64)
    _, gradients = double.gradients(images, labels, np.random.default_rng(seed))
    start = double.parameters()
    rng = np.random.default_rng(seed)
    towards = {name: _unit(rng.standard_normal(value.shape)) for name, value in start.items()}

    def loss(step: float, names: Mapping[str, Array]) -> float:
        double.assign({name: start[name] + step * towards[name] for name in names})
        found = double.loss(images, labels, np.random.default_rng(seed))
        double.assign(start)
        return found

    def compare(label: str, names: Mapping[str, Array]) -> Direction:
        analytic = float(sum(np.vdot(gradients[name], towards[name]) for name in names))
        numeric = [(loss(step, names) - loss(-step, names)) / (2 * step) for step in STEPS]
        best = min(numeric, key=lambda found: abs(found - analytic))
        return Direction(label, sum(value.size for value in names.values()), analytic, best)

    each = [compare(name, {name: value}) for name, value in start.items()]
    return [*each, compare("all together", start)]


def _unit(direction: Array) -> Array:
    """Scale a direction to length 1, so that a step is as long in a large parameter as in a small one."""
    unit: Array = direction / np.linalg.norm(direction)
    return unit
