"""Emitted modules of the catalogue's layers, each derived and emitted once a run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Emitted(Protocol):
    """What the demo uses of a compiled layer; what it computes with is the emitted module's text, executed."""

    @property
    def source(self) -> str:
        """The emitted module."""
        ...

    def forward(self, *arrays: Array, **attributes: float) -> tuple[Any, Any]:
        """Return the outputs and the residuals for ``backward``."""
        ...

    def backward(self, residuals: Any, *cotangents: Any, wrt: Sequence[str] | None = None) -> Any:
        """Return the gradients named in ``wrt``, by input name."""
        ...


@cache
def emitted(name: str) -> Emitted:
    """Derive and emit the catalogue's layer ``name``.

    Raises:
        SymgradError: the layer is unknown or does not compile.
    """
    from symgrad import compile_layer, layers  # SymPy loads here: not before a layer is asked for

    return cast(Emitted, compile_layer(layers.get(name)))


def elementwise_step(name: str, arrays: Sequence[Array], **attributes: float) -> list[Array]:
    """Run the emitted step ``name`` over arrays of one shape; each output has that shape.

    Steps of the catalogue take one row of values, so the arrays go in and come out reshaped.
    """
    outputs, _ = emitted(name).forward(*(a.reshape(-1) for a in arrays), **attributes)
    rows = outputs if isinstance(outputs, tuple) else (outputs,)
    return [np.asarray(row).reshape(arrays[0].shape) for row in rows]
