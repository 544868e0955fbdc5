"""Accumulation where nothing is yet: what an offset is the first to meet is assigned, as are terms that land apart."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, symbols, tanh

from symgrad import CompiledLayer, Layer, compile_layer, layers
from symgrad.compiler import show_stage

from ..agreement import SCHEDULES, as_declared, normals

K, M = symbols("K M", integer=True, positive=True)
gates, mixed = IndexedBase("gates"), IndexedBase("mixed")
m, k = Idx("m", M), Idx("k", K)


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


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("value", "added"),
    [
        (gates[0, m] * gates[1, m] + tanh(gates[2, m]), 0),
        (gates[0, m] * gates[1, m] + gates[0, m] ** 2, 1),  # two terms for gate 0
        (gates[0, m] * gates[k, m], 1),  # gate k may be gate 0
    ],
    ids=["apart", "twice", "overlapping"],
)
def test_terms_that_land_apart_are_assigned(value, added, schedule):
    indices = [i for i in (k, m) if value.has(i)]
    layer = Layer("gated", [gates[K, M]], [Eq(mixed[tuple(indices)], value)], typical={"K": 3})
    assert as_declared(layer, normals(gates=(3, 4)), schedules=SCHEDULES)
    backward = compile_layer(layer, schedule=schedule).source.partition("def backward")[2].partition("# --- helpers")[0]
    assert (backward.count("+=") > 0) == bool(added)
