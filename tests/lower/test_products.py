"""Matrix products inside of parts: blocks of rows or columns, whatever the order in memory, are the whole product."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from symgrad import compile_layer, layers
from symgrad.emit.helpers import helper_text

SHAPES = [
    # rows, summed, columns
    (36, 36, 4100),
    (16, 36, 3000),
    (257, 256, 200),
    (33, 300, 1040),
    (64, 27, 1024),
    (130, 300, 64),
    (300, 130, 64),
    (20, 1040, 100),
    (1, 5000, 900),
    (900, 5000, 1),
    (700, 1500, 800),
    (5, 0, 1_000_001),
    (0, 4, 7),
]


@pytest.fixture(scope="module")
def helpers() -> dict[str, Any]:
    """The helpers where BLAS has kernels for small matrices, and each product one thread."""
    lines = ("import contextlib", "import ctypes", "import threading", "import numpy as np")
    found: dict[str, Any] = {}
    exec("\n".join((*lines, helper_text({"_matmul"}, "layer"))), found)
    found["_SMALL_KERNELS"] = True
    found["_HELD"].append(1)
    return found


def matrix(rng: np.random.Generator, shape: tuple[int, ...], by_columns: bool) -> np.ndarray:
    if by_columns:
        return rng.standard_normal((*shape[:-2], shape[-1], shape[-2])).swapaxes(-1, -2)
    return rng.standard_normal(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("turned", list(itertools.product((False, True), repeat=2)), ids=str)
def test_blocks_are_the_product(
    helpers: dict[str, Any], shape: tuple[int, int, int], turned: tuple[bool, bool]
) -> None:
    rng = np.random.default_rng(1)
    rows, inner, columns = shape
    a, b = matrix(rng, (rows, inner), turned[0]), matrix(rng, (inner, columns), turned[1])
    want = a @ b
    np.testing.assert_allclose(helpers["_matmul"](a, b), want, rtol=1e-12, atol=1e-12)
    room = np.full((rows + 1, columns + 3), np.nan)
    out = room[:rows, 1 : columns + 1]
    assert helpers["_matmul"](a, b, out=out) is out
    np.testing.assert_allclose(out, want, rtol=1e-12, atol=1e-12)
    assert np.isnan(room[rows:]).all()
    assert np.isnan(room[:, 0]).all()
    assert np.isnan(room[:, columns + 1 :]).all()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 130, 200), (200, 70)),
        ((130, 200), (3, 200, 70)),
        ((2, 1, 40, 30), (3, 30, 900)),
        ((2, 3, 130, 200), (3, 200, 71)),
        ((300,), (300, 4000)),
        ((4000, 300), (300,)),
        ((0, 130, 200), (200, 70)),
    ],
    ids=str,
)
@pytest.mark.parametrize("turned", list(itertools.product((False, True), repeat=2)), ids=str)
def test_stacks_and_vectors(
    helpers: dict[str, Any], left: tuple[int, ...], right: tuple[int, ...], turned: tuple[bool, bool]
) -> None:
    rng = np.random.default_rng(2)
    a = matrix(rng, left, turned[0] and len(left) > 1).astype(np.float32)
    b = matrix(rng, right, turned[1] and len(right) > 1).astype(np.float32)
    found = helpers["_matmul"](a, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, a.astype(float) @ b.astype(float), rtol=0, atol=1e-4)


def test_blocks_are_small_and_few_products_have_none(helpers: dict[str, Any]) -> None:
    block = helpers["_block"]
    for (rows, inner, columns), a_turned, b_turned, stacked in itertools.product(SHAPES, *3 * [(False, True)]):
        step = block(rows, inner, columns, 10**6 // max(inner, 1), a_turned, b_turned, stacked)
        if rows * inner * columns <= 10**6 or min(rows, columns) < 2:
            assert step == 0
        if step:
            across = columns if step > 0 else rows
            assert abs(step) * inner * across <= 10**6
    assert block(36, 36, 4100, 10**6 // 36, False, False, False) < 0
    assert block(257, 256, 200, 10**6 // 256, False, False, False) > 0


def test_large_products_and_those_with_the_librarys_threads_are_left_to_it(helpers: dict[str, Any]) -> None:
    """Blocks have one thread."""

    def never(*_: object) -> int:
        raise AssertionError

    a, b = np.ones((36, 36)), np.ones((36, 4100))
    assert helpers["_block"](700, 1500, 800, 10**6 // 1500, False, False, False) == 0
    kept = dict(helpers)
    try:
        helpers["_block"] = never
        with pytest.raises(AssertionError):
            helpers["_matmul"](a, b)
        helpers["_HELD"] = []
        np.testing.assert_array_equal(helpers["_matmul"](a, b), a @ b)
    finally:
        helpers.update(kept)


def test_products_inside_of_parts_alone_are_cut() -> None:
    assert "_matmul(" in compile_layer(layers.conv2d, schedule="fast").source
    assert "_matmul(" not in compile_layer(layers.conv2d).source
    lstm = compile_layer(layers.lstm, schedule="fast").source
    assert "_matmul(" not in lstm[: lstm.index("# --- helpers")]
