"""The layers that tests of the stages run over, each with arrays and attributes, and what the stages make of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import symgrad
from symgrad import Layer
from symgrad.check.values import Sampler
from symgrad.compiler import Stages, run

from .unseen.declarations import CASES

EVERY_LAYER = [*symgrad.catalogue(), *CASES]
ALWAYS = {
    *(
        "adam_step",
        "batch_norm2d",
        "batch_norm2d_eval",
        "conv1d",
        "conv2d",
        "cross_entropy",
        "dense",
        "depthwise_conv2d",
    ),
    *("dropout", "gelu", "gru", "grouped_conv2d", "layer_norm", "log_softmax", "lstm", "max_pool1d", "max_pool2d"),
    *("max_pool2d_split", "average_pool2d_exclude_padding", "sigmoid", "sigmoid_cross_entropy", "softmax", "tanh"),
    *("softmax_cross_entropy", "softplus", "transposed_conv2d", "true_conv1d", "polynomial_values"),
}
SHARE = 1 if os.environ.get("SYMGRAD_EVERY_LAYER") else 3
NAMES = [name for p, name in enumerate(EVERY_LAYER) if p % SHARE == 0 or name in ALWAYS]
"""What tests of single stages run over: the usual layers and a third of all; SYMGRAD_EVERY_LAYER=1 takes them all."""


@dataclass(frozen=True)
class Point:
    """A layer and where to evaluate it."""

    layer: Layer
    arrays: dict[str, np.ndarray]
    attributes: dict[str, Any]

    @property
    def wanted(self) -> tuple[str, ...]:
        """Inputs that get a gradient."""
        return tuple(t.name for t in self.layer.inputs if not t.integer and not t.constant)


@cache
def point(name: str) -> Point:
    """A layer of the catalogue or of the unseen ones at a small point."""
    if name in CASES:
        case = CASES[name]()
        return Point(case.layer, case.arrays, case.attributes)
    layer = symgrad.layers.get(name)
    case = Sampler(layer).case("varied")
    return Point(layer, case.arrays, case.attributes)


@cache
def stages(name: str) -> Stages:
    """What each stage of the pipeline gave for a layer."""
    return run(point(name).layer)


def cotangents(values: dict[str, np.ndarray], layer: Layer) -> list[np.ndarray]:
    """Random cotangents of the outputs."""
    rng = np.random.default_rng(3)
    return [np.asarray(rng.normal(size=np.shape(values[name]))) for name in layer.program.real_outputs]
