"""Networks made of emitted modules alone: stages in a row, residuals kept by the network.

Shapes: images (N, 1, H, W), labels (N,), logits (N, 10). A parameter is called ``stage.input``, as ``conv1.w``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np

from symgrad.demo.modules import Array, emitted
from symgrad.demo.stages import BatchNorm, Dropout, Stage

CLASSES = 10
FULL_SIDE = 28
FULL_PARAMETERS = 1_668_490  # of the convolutional network on images of that side


@dataclass
class Network:
    """Stages in a row, from images to logits, under the cross-entropy of their softmax."""

    name: str
    stages: list[Stage]

    LOSS = "softmax_cross_entropy"

    def modules(self) -> tuple[str, ...]:
        """Return the names of all emitted layers, in order of first use."""
        names = [module for stage in self.stages for module in stage.modules()]
        return tuple(dict.fromkeys([*names, self.LOSS]))

    def parameters(self) -> dict[str, Array]:
        """Return every parameter by its name."""
        return {f"{s.name}.{key}": value for s in self.stages for key, value in s.parameters.items()}

    def assign(self, values: Mapping[str, Array]) -> None:
        """Replace the parameters named in ``values``."""
        for stage in self.stages:
            stage.parameters = {key: values.get(f"{stage.name}.{key}", old) for key, old in stage.parameters.items()}

    def count(self) -> int:
        """Return the number of parameters."""
        return sum(value.size for value in self.parameters().values())

    def astype(self, dtype: type[np.floating[Any]]) -> Network:
        """Return a copy that computes in ``dtype``."""
        return Network(self.name, [stage.astype(dtype) for stage in self.stages])

    def logits(self, images: Array) -> Array:
        """Return the logits in evaluation."""
        x = images
        for stage in self.stages:
            x, _ = stage.forward(x, None)
        return x

    def loss(self, images: Array, labels: Array, rng: np.random.Generator) -> float:
        """Return the loss in training, averaged over the batch."""
        return self._forward(images, labels, rng)[0]

    def gradients(self, images: Array, labels: Array, rng: np.random.Generator) -> tuple[float, dict[str, Array]]:
        """Return the loss and its gradient by parameter.

        The walk back ends at the first stage with parameters, and that one is not asked for the images' gradient.
        """
        loss, tape, loss_residuals = self._forward(images, labels, rng)
        grad = emitted(self.LOSS).backward(loss_residuals, np.ones((), images.dtype), wrt=("logits",)).logits
        first = next(number for number, stage in enumerate(self.stages) if stage.parameters)
        found: dict[str, Array] = {}
        for number in range(len(self.stages) - 1, first - 1, -1):
            stage, residuals = self.stages[number], tape[number]
            gradients = stage.backward(residuals, grad, to_x=number > first)
            found |= {f"{stage.name}.{key}": getattr(gradients, key) for key in stage.parameters}
            grad = gradients.x
        return loss, found

    def _forward(self, images: Array, labels: Array, rng: np.random.Generator) -> tuple[float, list[Any], Any]:
        x, tape = images, []
        for stage in self.stages:
            x, residuals = stage.forward(x, rng)
            tape.append(residuals)
        loss, loss_residuals = emitted(self.LOSS).forward(x, labels)
        return float(loss), tape, loss_residuals


@dataclass(frozen=True)
class Initialiser:
    """Draws parameters: weights after He, N(0, 2 / fan-in), and constant biases."""

    rng: np.random.Generator
    dtype: type[np.floating[Any]] = np.float32
    bias: float = 0.1

    def affine(self, *shape: int) -> dict[str, Array]:
        """Return w of ``shape``, its first axis the outputs, and b."""
        w = self.rng.standard_normal(shape) * sqrt(2 / prod(shape[1:]))
        return {"w": w.astype(self.dtype), "b": np.full(shape[0], self.bias, self.dtype)}

    def batch_norm(self, name: str, channels: int) -> BatchNorm:
        """Return batch normalisation that starts as the identity on normalised features."""
        zeros, ones = np.zeros(channels, self.dtype), np.ones(channels, self.dtype)
        return BatchNorm(name, "batch_norm", {"gamma": ones, "beta": zeros}, mean=zeros, variance=ones)


@dataclass(frozen=True)
class ConvSizes:
    """Sizes of the convolutional network: kernels of both convolutions, hidden units, padding and dropout rate."""

    kernels: tuple[int, int] = (32, 64)
    units: int = 1024
    padding: int = 0
    dropout: float = 0.5

    def features(self, side: int) -> int:
        """Return how many features reach the fully connected layers from images of ``side`` pixels."""
        for _ in self.kernels:
            side = (side + 2 * self.padding - 2) // 2
        return self.kernels[1] * side * side


# 8 x 8 pixels shrink to 1 x 1 after the second convolution, and nothing is left to pool: on digits every convolution
# is padded by 1 instead, and the hidden layer shrinks with the image. Layers and their order are the same.
FULL_CONV, SMALL_CONV = ConvSizes(), ConvSizes(units=256, padding=1, dropout=0.25)
DENSE_UNITS = (100, 30)


def conv_network(side: int, sizes: ConvSizes, draw: Initialiser) -> Network:
    """Build conv 3x3, ReLU, max 2x2, twice, then fully connected, ReLU, dropout and a fully connected layer to 10."""
    (k1, k2), geometry = sizes.kernels, {"stride": 1, "padding": sizes.padding}
    stages = [
        Stage("conv1", "conv2d", draw.affine(k1, 1, 3, 3), geometry),
        Stage("relu1", "relu2d"),
        Stage("pool1", "max_pool2d", options={"K": 2, "stride": 2}),
        Stage("conv2", "conv2d", draw.affine(k2, k1, 3, 3), geometry),
        Stage("relu2", "relu2d"),
        Stage("pool2", "max_pool2d", options={"K": 2, "stride": 2}),
        Stage("flatten", "flatten"),
        Stage("dense1", "dense", draw.affine(sizes.units, sizes.features(side))),
        Stage("relu3", "relu"),
        Dropout("dropout", "dropout", options={"rate": sizes.dropout}),
        Stage("dense2", "dense", draw.affine(CLASSES, sizes.units)),
    ]
    return Network("conv", stages)


def dense_network(side: int, units: tuple[int, ...], draw: Initialiser) -> Network:
    """Build fully connected layers of ``units``, each with batch normalisation and ReLU, and one to 10."""
    stages, width = [Stage("flatten", "flatten")], side * side
    for number, size in enumerate(units, start=1):
        stages += [
            Stage(f"dense{number}", "dense", draw.affine(size, width)),
            draw.batch_norm(f"norm{number}", size),
            Stage(f"relu{number}", "relu"),
        ]
        width = size
    return Network("dense", [*stages, Stage(f"dense{len(units) + 1}", "dense", draw.affine(CLASSES, width))])


def build(name: str, side: int, seed: int) -> Network:
    """Build the network ``name`` for images of ``side`` pixels, its parameters drawn by ``seed``."""
    draw = Initialiser(np.random.default_rng(seed))
    if name == "dense":
        return dense_network(side, DENSE_UNITS, draw)
    return conv_network(side, FULL_CONV if side >= FULL_SIDE else SMALL_CONV, draw)


def full_parameters() -> int:
    """Count the parameters of the convolutional network on 28 x 28 images.

    Raises:
        AssertionError: there are not as many as the sizes of its layers make.
    """
    found = build("conv", FULL_SIDE, seed=0).count()
    if found != FULL_PARAMETERS:
        raise AssertionError(f"the convolutional network has {found:,} parameters, not {FULL_PARAMETERS:,}")
    return found
