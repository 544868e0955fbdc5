"""Strided accumulation in the fast schedule: what an offset is the first to meet is assigned."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from symgrad import CompiledLayer, compile_layer, layers
from symgrad.compiler import show_stage


@cache
def compiled(name: str, schedule: str) -> CompiledLayer:
    return compile_layer(layers.get(name), schedule=schedule)


@pytest.mark.parametrize("name", ["max_pool2d", "average_pool2d", "max_pool1d", "average_pool1d_exclude_padding"])
@pytest.mark.parametrize(("K", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (1, 1, 0), (4, 1, 2), (2, 5, 1), (5, 3, 0)])
def test_the_same_numbers_for_every_window(name: str, K: int, stride: int, padding: int) -> None:
    rng, found = np.random.default_rng(0), []
    given = rng.integers(4, size=(2, 3, 11, 12)[: len(layers.get(name).program.inputs[0].extents)]).astype(float)
    seed = None
    for schedule in ("readable", "fast"):
        layer = compiled(name, schedule)
        value, residuals = layer.forward(given, K=K, stride=stride, padding=padding)
        seed = rng.normal(size=value.shape) if seed is None else seed
        found.append((value, layer.backward(residuals, seed).x))
    for plain, fast in zip(*found, strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-12)


def test_dilation() -> None:
    """Offsets that are multiples of the step meet the elements of offset 0 again."""
    given = np.random.default_rng(1).normal(size=(1, 2, 13, 14))
    found = []
    for schedule in ("readable", "fast"):
        layer = compiled("max_pool2d_dilated", schedule)
        value, residuals = layer.forward(given, K=3, stride=2, dilation=2)
        found.append(layer.backward(residuals, np.ones_like(value)).x)
    np.testing.assert_array_equal(*found)


def test_the_reason_is_given() -> None:
    text = show_stage(layers.max_pool2d, "lower", schedule="fast")
    assert "what an offset is the first to meet is assigned, not added" in text
    assert "if u < stride:" in compiled("max_pool2d", "fast").source
