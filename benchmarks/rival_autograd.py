"""The workloads in HIPS autograd: NumPy formulas, differentiated by taping their operations."""

from collections.abc import Callable, Mapping
from typing import Any

import autograd
import autograd.numpy
import numpy as np
from autograd.scipy.special import erf
from rival_formulas import formulas

LAYERS = formulas(autograd.numpy, erf)


def passes(
    kind: str, attributes: Mapping[str, Any], arrays: list[np.ndarray], cotangent: np.ndarray
) -> dict[str, Callable[[], list[Any]]]:
    """The pass by its name.

    Raises:
        NotImplementedError: autograd has nothing to write the layer with.
    """
    if kind not in LAYERS:
        raise NotImplementedError("its NumPy has no windows over images")
    layer = LAYERS[kind]
    wanted = tuple(number for number, array in enumerate(arrays) if array.dtype.kind == "f")

    def run() -> list[Any]:
        pull, y = autograd.make_vjp(lambda given: layer(*_with(arrays, wanted, given)))(
            tuple(arrays[number] for number in wanted)
        )
        return [y, *pull(cotangent)]

    return {"autograd": run}


def _with(arrays: list[np.ndarray], places: tuple[int, ...], given: tuple[Any, ...]) -> list[Any]:
    whole: list[Any] = list(arrays)
    for place, value in zip(places, given, strict=True):
        whole[place] = value
    return whole
