"""The thing under test: anything with the ``forward`` and ``backward`` of an emitted module."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from symgrad.declare.layer import Layer
from symgrad.errors import CheckError

Array = npt.NDArray[Any]


class Module(Protocol):
    """A compiled layer, or an emitted module that was imported."""

    def forward(self, *arrays: Any, **attributes: Any) -> tuple[Any, Any]:
        """Return the output (a NamedTuple of several) and the residuals."""

    def backward(self, residuals: Any, *cotangents: Any, wrt: tuple[str, ...] | None = None) -> Any:
        """Return a NamedTuple of gradients, named as the inputs."""


class Subject:
    """A module with its arrays by name.

    ``warned`` collects what it warns of. It is given copies, so that one which writes to its arguments spoils nothing
    but, with ``keep``, what is meant to show it.
    """

    def __init__(self, layer: Layer, module: Module) -> None:
        self.layer, self.module = layer, module
        self.inputs = tuple(t.name for t in layer.inputs)
        self.gradients = tuple(t.name for t in layer.inputs if not t.integer and not t.constant)
        self.warned: list[str] = []

    def forward(
        self, arrays: Mapping[str, Array], attributes: Mapping[str, int | float], keep: bool = False
    ) -> tuple[dict[str, Array], Any]:
        """Return the outputs by name, and the residuals.

        Raises:
            CheckError: the number of outputs is not the declared one.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            given = [arrays[name] if keep else arrays[name].copy() for name in self.inputs]
            outputs, residuals = self.module.forward(*given, **attributes)
        self.warned += [str(w.message) for w in caught]
        parts = outputs if isinstance(outputs, tuple) else (outputs,)
        if len(parts) != len(self.layer.outputs):
            raise CheckError(f"forward gives {len(parts)} outputs; declared are {', '.join(self.layer.outputs)}")
        return {name: np.asarray(part) for name, part in zip(self.layer.outputs, parts, strict=True)}, residuals

    def backward(
        self,
        residuals: Any,
        cotangents: Mapping[str, Array],
        wrt: tuple[str, ...] | None = None,
        keep: bool = False,
    ) -> dict[str, Array]:
        """Return the gradients by name: of every input that gets one, or of those in ``wrt``.

        Raises:
            CheckError: one of them is missing, or one is there that ``wrt`` leaves out.
        """
        options = {} if wrt is None else {"wrt": wrt}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            given = [cotangents[name] if keep else cotangents[name].copy() for name in self.layer.program.real_outputs]
            found = self.module.backward(residuals, *given, **options)
        self.warned += [str(w.message) for w in caught]
        gradients = {}
        for name in wrt or self.gradients:
            gradient = getattr(found, name, None)
            if gradient is None:
                raise CheckError(f"backward gives no gradient of {name}")
            gradients[name] = np.asarray(gradient)
        for name in self.gradients:
            if name not in gradients and getattr(found, name, None) is not None:
                raise CheckError(f"backward gives the gradient of {name} too, which wrt={wrt!r} leaves out")
        return gradients
