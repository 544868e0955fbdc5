"""The document's gradient-check networks, in every combination of its choices, out of emitted modules.

The gradient along a random direction of the input and all parameters is compared with central differences.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

import symgrad

from .chains import Stage, backward, forward

LABELS = np.array([1, 0, 2])
PROBABILITIES = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]])
DENSE = [
    ("sigmoid", "mean_squared_error"),
    ("sigmoid", "cross_entropy"),
    ("relu", "mean_squared_error"),
    ("softmax", "mean_squared_error"),
    ("softmax", "cross_entropy"),
    ("softmax", "log_likelihood"),
]
CONVOLUTIONAL = list(product(["sigmoid2d", "relu2d"], [1, 2], [0, 2], ["max", "average"], [2, 3]))
"""Activation, stride, padding, pooling and its window at stride 2: plain, then overlapping."""


def dense(rng: np.random.Generator, inputs: int, units: int) -> Stage:
    return Stage("dense", [rng.normal(size=(units, inputs)), 2 + rng.normal(size=units)])


def agrees(compiled: Any, stages: list[Stage], x: np.ndarray, rng: np.random.Generator) -> None:
    """The gradient along a random direction of everything that has one is the slope of the loss."""
    loss, kept = forward(compiled, stages, x)
    gradients = backward(compiled, stages, kept, np.ones_like(loss))
    learnt = [[not (t.constant or t.integer) for t in symgrad.layers.get(s.name).inputs[1:]] for s in stages]
    directions = [rng.normal(size=np.shape(g)) for g in gradients]

    def moved(step: float) -> float:
        ways = iter(directions[1:])
        there = [
            replace(s, further=[a + step * next(ways) if w else a for a, w in zip(s.further, wanted, strict=True)])
            for s, wanted in zip(stages, learnt, strict=True)
        ]
        return float(forward(compiled, there, x + step * directions[0])[0])

    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    assert (moved(1e-6) - moved(-1e-6)) / 2e-6 == pytest.approx(slope, rel=2e-6, abs=1e-8)
    assert abs(slope) > 1e-4


@pytest.mark.parametrize(("activation", "loss"), DENSE)
def test_fully_connected(compiled, rng, activation, loss):
    """Source: the document's library, gradient checks of fully connected networks."""
    target = LABELS if loss == "log_likelihood" else PROBABILITIES
    hidden = Stage("sigmoid" if activation == "softmax" else activation)
    stages = [dense(rng, 4, 5), hidden, dense(rng, 5, 3), Stage(activation), Stage(loss, [target])]
    agrees(compiled, stages, rng.normal(size=(3, 4)), rng)


@pytest.mark.parametrize(("activation", "stride", "padding", "pooling", "window"), CONVOLUTIONAL)
def test_convolutional(compiled, rng, activation, stride, padding, pooling, window):
    """Source: the document's library, gradient checks of convolutional networks; Nielsen, chapter 6, the exercise."""
    side = ((8 + 2 * padding - 3) // stride + 1 - window) // 2 + 1
    kernel = [rng.normal(size=(2, 2, 3, 3)), rng.normal(size=2)]
    stages = [
        Stage("conv2d", kernel, {"stride": stride, "padding": padding}),
        Stage(activation),
        Stage(f"{pooling}_pool2d", options={"K": window, "stride": 2}),
        Stage("flatten"),
        dense(rng, 2 * side**2, 3),
        Stage("softmax_cross_entropy", [LABELS]),
    ]
    agrees(compiled, stages, rng.normal(size=(3, 2, 8, 8)), rng)


@pytest.mark.parametrize("inner", ["dropout", "batch_norm"])
def test_dropout_with_the_mask_frozen_and_batch_normalisation(compiled, rng, inner):
    """Source: the document's library, gradient checks with either between two fully connected layers."""
    mask = (rng.uniform(size=(3, 5)) > 0.4).astype(float)
    further = [mask] if inner == "dropout" else [rng.normal(size=5), rng.normal(size=5)]
    stages = [
        dense(rng, 4, 5),
        Stage(inner, further),
        Stage("sigmoid"),
        dense(rng, 5, 3),
        Stage("softmax_cross_entropy", [LABELS]),
    ]
    agrees(compiled, stages, rng.normal(size=(3, 4)), rng)
