"""What is measured, with its numbers: a layer, or a step of training a network, by emitted modules.

The modules come as text, so that a process that measures loads NumPy and what a rival needs.
"""

import _measure  # isort: skip  (before NumPy: it fixes the number of threads)

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from symgrad.demo.networks import Network, build

Pass = Callable[[], list[Any]]


@dataclass(frozen=True)
class Problem:
    """A layer with numbers, as every rival gets it.

    Attributes:
        kind: what the rivals call it.
        shapes: of the inputs, by name.
        integers: how many values an input of integers has.
        attributes: of the layer.
        last: whether channels are the last axis of images; rivals get them as the second.
        weights: inputs that are scaled down by the root of their last extent, so that states keep their size.
    """

    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    integers: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    last: bool = False
    weights: tuple[str, ...] = ()

    def arrays(self) -> list[np.ndarray]:
        """Normal numbers, and valid integers."""
        rng = np.random.default_rng(0)
        return [self._array(name, shape, rng) for name, shape in self.shapes.items()]

    def _array(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        if name in self.integers:
            return rng.integers(self.integers[name], size=shape)
        numbers = rng.standard_normal(shape, np.float32)
        return numbers / np.float32(shape[-1] ** 0.5) if name in self.weights else numbers


def emitted(text: str, name: str = "emitted") -> types.ModuleType:
    """The module of an emitted text, whose code has the file name ``<name>``."""
    module = types.ModuleType(name)
    exec(compile(text, f"<{name}>", "exec"), module.__dict__)
    return module


def threaded(function: Callable[..., Any], threads: int) -> dict[str, int]:
    """The option that tells a function its number of threads, where it takes one."""
    return {"threads": threads} if "threads" in inspect.signature(function).parameters else {}


def alone(modules: Iterable[types.ModuleType]) -> AbstractContextManager[None]:
    """Let matrix products take one thread each, where a module knows how to tell BLAS."""
    telling = (module._one_thread_each() for module in modules if hasattr(module, "_one_thread_each"))
    found: AbstractContextManager[None] = next(telling, nullcontext())
    return found


def emitted_pass(
    module: types.ModuleType,
    arrays: list[np.ndarray],
    grad_y: np.ndarray,
    attributes: Mapping[str, Any],
    threads: int = _measure.THREADS,
) -> Pass:
    """Forward and backward; the result is y and the gradients."""
    forward, backward = module.forward, module.backward
    options, back = dict(attributes) | threaded(forward, threads), threaded(backward, threads)

    def run() -> list[Any]:
        y, residuals = forward(*arrays, **options)
        return [y, *backward(residuals, grad_y, **back)]

    return run


@dataclass(frozen=True)
class Training(Problem):
    """One step of training the convolutional network of ``symgrad demo``; masks of dropout are drawn beforehand."""

    def arrays(self) -> list[np.ndarray]:
        """Images, labels, mask, then the parameters as the demo draws them."""
        rng = np.random.default_rng(0)
        batch, _, side, _ = self.shapes["images"]
        parameters = build("conv", side, seed=0).parameters()
        mask = rng.integers(2, size=(batch, parameters["dense1.b"].size)).astype(np.float32)
        images = rng.random(self.shapes["images"], np.float32)
        return [images, rng.integers(10, size=batch), mask, *parameters.values()]

    def step(
        self, modules: Mapping[str, types.ModuleType], arrays: list[np.ndarray], threads: int = _measure.THREADS
    ) -> Pass:
        """The step by emitted modules, stage by stage; the result is the loss and the new parameters."""
        forward = {n: partial(m.forward, **threaded(m.forward, threads)) for n, m in modules.items()}
        backward = {n: partial(m.backward, **threaded(m.backward, threads)) for n, m in modules.items()}
        images, labels, mask, *values = arrays
        stages = build("conv", images.shape[-1], seed=0).stages
        given = iter(values)
        inputs = [tuple(next(given) for _ in stage.parameters) for stage in stages]
        first = next(number for number, stage in enumerate(stages) if stage.parameters)

        def run() -> list[Any]:
            x, tape = images, []
            for stage, taken in zip(stages, inputs, strict=True):
                extra = (mask,) if stage.layer == "dropout" else ()
                x, residuals = forward[stage.layer](x, *taken, *extra, **stage.options)
                tape.append(residuals)
            loss, residuals = forward[Network.LOSS](x, labels)
            grad = backward[Network.LOSS](residuals, np.ones((), x.dtype), wrt=("logits",)).logits
            moved: list[Any] = []
            for number in range(len(stages) - 1, first - 1, -1):
                names = tuple(stages[number].parameters)
                wrt = (*(("x",) if number > first else ()), *names)
                gradients = backward[stages[number].layer](tape[number], grad, wrt=wrt)
                pairs = zip(inputs[number], (getattr(gradients, name) for name in names), strict=True)
                moved[:0] = [descended(forward["sgd_step"], p, g, self.attributes["rate"]) for p, g in pairs]
                grad = gradients.x
            return [loss, *moved]

        return run


def descended(step: Callable[..., Any], value: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
    """The parameter after a step of the emitted rule, which takes one row."""
    return step(value.reshape(-1), gradient.reshape(-1), learning_rate=rate)[0].reshape(value.shape)
