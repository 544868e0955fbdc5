"""Stages of networks: one emitted layer each, with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from symgrad.demo.modules import Array, emitted


@dataclass
class Stage:
    """One emitted layer, with the parameters it takes after its data ``x``, by input name."""

    name: str
    layer: str
    parameters: dict[str, Array] = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)

    def modules(self) -> tuple[str, ...]:
        """Return the names of the emitted layers that the stage runs."""
        return (self.layer,)

    def forward(self, x: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Return the output and the residuals; ``rng`` draws what training draws, None means evaluation."""
        y, residuals = emitted(self.layer).forward(x, *self.parameters.values(), **self.options)
        return y, residuals

    def backward(self, residuals: Any, grad_y: Array, to_x: bool) -> Any:
        """Return the gradients of the parameters, and of the data where ``to_x`` says so."""
        wrt = ("x", *self.parameters) if to_x else tuple(self.parameters)
        return emitted(self.layer).backward(residuals, grad_y, wrt=wrt)

    def astype(self, dtype: type[np.floating[Any]]) -> Self:
        """Return a copy that computes in ``dtype``."""
        return replace(self, parameters={key: value.astype(dtype) for key, value in self.parameters.items()})


@dataclass
class Dropout(Stage):
    """Values dropped at random in training, all kept in evaluation."""

    def forward(self, x: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Draw a mask and apply it; evaluation passes ``x`` on."""
        if rng is None:
            return x, None
        mask = (rng.random(x.shape, dtype=np.float32) >= self.options["rate"]).astype(x.dtype)
        y, residuals = emitted(self.layer).forward(x, mask, **self.options)
        return y, residuals


@dataclass
class BatchNorm(Stage):
    """Batch normalisation: the batch's statistics in training, running ones (C,) in evaluation."""

    mean: Array = field(default_factory=lambda: np.zeros(0))
    variance: Array = field(default_factory=lambda: np.ones(0))

    def modules(self) -> tuple[str, ...]:
        """Return the layers for training, for the running statistics and for evaluation."""
        return (self.layer, "batch_norm_running_step", "batch_norm_eval")

    def forward(self, x: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Normalise a batch; training moves the running statistics."""
        if rng is None:
            return emitted("batch_norm_eval").forward(x, *self.parameters.values(), self.mean, self.variance)
        (self.mean, self.variance), _ = emitted("batch_norm_running_step").forward(x, self.mean, self.variance)
        return super().forward(x, rng)

    def astype(self, dtype: type[np.floating[Any]]) -> Self:
        """Return a copy that computes in ``dtype``, running statistics included."""
        return replace(super().astype(dtype), mean=self.mean.astype(dtype), variance=self.variance.astype(dtype))
