"""Training: batches drawn by seed, optimiser steps by emitted modules, accuracy after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import cos, pi
from typing import Protocol

import numpy as np

from symgrad.demo.data import Dataset, shifted
from symgrad.demo.modules import Array, elementwise_step
from symgrad.demo.networks import Network

EVALUATION_BATCH = 250
AVERAGE_EVERY = 8
EARLY_SPAN = 8

Values = dict[str, Array]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        optimiser: ``sgd`` or ``adam``.
        rate: learning rate at the start; it falls along half a cosine.
        final: learning rate at the end, as a share of ``rate``.
        epochs: passes over the training images.
        batch: images a step.
        average: share of the moving average that a step renews; 0 for no average. With one, the averaged parameters
            are what is tested and kept.
        reach: images are moved by up to so many pixels, at random.
    """

    optimiser: str
    rate: float
    final: float
    epochs: int
    batch: int
    average: float = 0.0
    reach: float = 0.0

    def modules(self) -> tuple[str, ...]:
        """Return the names of the emitted layers that the recipe runs."""
        return (OPTIMISERS[self.optimiser]().MODULE, *((Sgd.MODULE,) if self.average else ()))

    def rate_at(self, progress: float) -> float:
        """Return the learning rate after a share ``progress`` of all steps."""
        return self.rate * (self.final + (1 - self.final) * (1 + cos(pi * progress)) / 2)


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave; seconds are those of training alone."""

    number: int
    loss: float
    accuracy: float
    seconds: float


class Optimiser(Protocol):
    """Steps of all parameters at once."""

    MODULE: str

    def step(self, values: Values, gradients: Mapping[str, Array], rate: float) -> Values:
        """Return the parameters after one step."""
        ...


@dataclass
class Sgd:
    """Gradient descent by the emitted ``sgd_step``."""

    MODULE = "sgd_step"

    def step(self, values: Values, gradients: Mapping[str, Array], rate: float) -> Values:
        """Return the parameters after one step."""
        return {
            name: elementwise_step(self.MODULE, (value, gradients[name]), learning_rate=rate)[0]
            for name, value in values.items()
        }


@dataclass
class Adam:
    """Adam by the emitted ``adam_step``; its moments start at zero."""

    MODULE = "adam_step"

    steps: int = 0
    moments: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def step(self, values: Values, gradients: Mapping[str, Array], rate: float) -> Values:
        """Return the parameters after one step."""
        self.steps += 1
        moved = {}
        for name, value in values.items():
            m, v = self.moments.get(name) or (np.zeros_like(value), np.zeros_like(value))
            arrays = (value, gradients[name], m, v)
            moved[name], m, v = elementwise_step(self.MODULE, arrays, step=self.steps, learning_rate=rate)
            self.moments[name] = m, v
        return moved


OPTIMISERS: dict[str, Callable[[], Optimiser]] = {"sgd": Sgd, "adam": Adam}


@dataclass
class Average:
    """A moving average of the parameters, renewed every few steps.

    While few were seen it spans about the last eighth of them, so that it forgets the start.
    A step of gradient descent on half the squared distance to the parameters, whose gradient is average - value:
    the emitted ``sgd_step`` again.
    """

    share: float
    values: Values
    renewals: int = 0

    def renew(self, values: Values) -> None:
        """Move towards ``values``."""
        self.renewals += 1
        share = max(self.share, EARLY_SPAN / (self.renewals + EARLY_SPAN - 1))
        distances = {name: average - values[name] for name, average in self.values.items()}
        self.values = Sgd().step(self.values, distances, share)


def train(
    network: Network, data: Dataset, recipe: Recipe, seed: int, on_step: Callable[[float], None]
) -> Iterator[Epoch]:
    """Train ``network`` in place and yield every epoch as it ends.

    Args:
        network: for images as in ``data``.
        data: training and test images.
        recipe: how to train.
        seed: of the order of the images and of all that training draws.
        on_step: called after every step with the batch's loss.
    """
    rng = np.random.default_rng(seed)
    optimiser = OPTIMISERS[recipe.optimiser]()
    average = Average(min(1.0, recipe.average * AVERAGE_EVERY), network.parameters()) if recipe.average else None
    step, steps = 0, recipe.epochs * steps_per_epoch(data, recipe.batch)
    for number in range(1, recipe.epochs + 1):
        started, losses = time.perf_counter(), []
        for chosen in batches(len(data.train_images), recipe.batch, rng):
            images = shifted(data.train_images[chosen], recipe.reach, rng)
            loss, gradients = network.gradients(images, data.train_labels[chosen], rng)
            network.assign(optimiser.step(network.parameters(), gradients, recipe.rate_at(step / steps)))
            step += 1
            if average and step % AVERAGE_EVERY == 0:
                average.renew(network.parameters())
            losses.append(loss)
            on_step(loss)
        seconds = time.perf_counter() - started
        yield Epoch(number, float(np.mean(losses)), _tested(network, data, average), seconds)
    if average:
        network.assign(average.values)


def batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Array]:
    """Yield positions of images in random order, ``size`` at a time; a last batch that is not full waits."""
    order = rng.permutation(count)
    for start in range(0, count - size + 1, size):
        yield order[start : start + size]


def steps_per_epoch(data: Dataset, batch: int) -> int:
    """Return how many full batches there are."""
    return len(data.train_images) // batch


def accuracy(network: Network, images: Array, labels: Array) -> float:
    """Return the share of ``images`` (N, 1, H, W) whose largest logit is that of its label (N,)."""
    starts = range(0, len(images), EVALUATION_BATCH)
    right = sum(
        int(np.sum(network.logits(images[s : s + EVALUATION_BATCH]).argmax(axis=1) == labels[s : s + EVALUATION_BATCH]))
        for s in starts
    )
    return right / len(images)


def _tested(network: Network, data: Dataset, average: Average | None) -> float:
    """Return the accuracy on the test images, of the averaged parameters where there is an average."""
    if average is None:
        return accuracy(network, data.test_images, data.test_labels)
    current = network.parameters()
    network.assign(average.values)
    found = accuracy(network, data.test_images, data.test_labels)
    network.assign(current)
    return found
