"""Calls in parts that would keep the interpreter's lock, and bounds as rows: the same numbers by other calls."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from symgrad import compile_layer, layers
from symgrad.emit.helpers import helper_text

LOCKED = 500  # results for which a gufunc keeps the interpreter's lock


class Recorded:
    """NumPy that notes how many results its gufuncs are called for."""

    def __init__(self) -> None:
        self.results: list[int] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if name not in {"matmul", "vecdot"}:
            return function

        def noted(*args: Any, **options: Any) -> Any:
            found = function(*args, **options)
            self.results.append(np.size(found))
            return found

        return noted


def helpers(*names: str) -> tuple[dict[str, Any], Recorded]:
    """The helpers with BLAS's kernels for small matrices, in a module whose NumPy takes notes."""
    lines = ("import contextlib", "import ctypes", "import math", "import threading", "import numpy as np")
    found: dict[str, Any] = {}
    exec("\n".join((*lines, helper_text(set(names), "layer"))), found)
    recorded = Recorded()
    found["np"] = recorded
    return found, recorded


@pytest.mark.parametrize(
    "shape", [(3, 4000), (1, 100_001), (7, 3, 997), (499, 64), (500, 65), (501, 64), (0, 9)], ids=str
)
def test_rows_are_cut_where_results_are_few(shape: tuple[int, ...]) -> None:
    found, recorded = helpers("_vecdot")
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, *shape))
    np.testing.assert_allclose(found["_vecdot"](a, b), np.vecdot(a, b), rtol=1e-12, atol=1e-12)
    assert recorded.results[0] > LOCKED or a.size < 32 * (LOCKED + 1)


def test_rows_that_are_spread_over_other_rows_are_cut_as_well() -> None:
    found, _ = helpers("_vecdot")
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((4, 1, 3000)), rng.standard_normal((5, 3000))
    np.testing.assert_allclose(found["_vecdot"](a, b), np.vecdot(a, b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("left", "right"),
    [((20, 3000), (3000, 25)), ((1, 3000), (3000, 700)), ((900, 3000), (3000,)), ((300,), (300, 40)), ((30,), (30,))]
    + [((3000, 1), (1, 40)), ((0, 30), (30, 4)), ((4, 0), (0, 5))],
    ids=str,
)
@pytest.mark.parametrize("given", [False, True], ids=["made", "given"])
def test_products_with_few_results_are_no_gufunc(left: tuple[int, ...], right: tuple[int, ...], given: bool) -> None:
    found, recorded = helpers("_matmul")
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    want = a @ b
    out = np.full(want.shape, np.nan) if given and want.shape else None
    got = found["_matmul"](a, b, out=out)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    assert out is None or got is out
    assert all(results > LOCKED for results in recorded.results)


SHAPE = (16, 9, 11, 13)


@pytest.mark.parametrize("axes", [a for n in range(1, 5) for a in itertools.combinations(range(4), n)], ids=str)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "part"])
def test_sums_are_no_gufunc_with_few_results(axes: tuple[int, ...], cut: bool) -> None:
    found, recorded = helpers("_sums")
    array = np.random.default_rng(1).standard_normal(SHAPE)
    array = array[:, 1:8] if cut else array
    np.testing.assert_allclose(found["_sums"](array, axes), array.sum(axis=axes), rtol=1e-12, atol=1e-11)
    assert not recorded.results or recorded.results[0] > LOCKED


def test_long_sums_in_single_precision_are_added_up_in_pieces() -> None:
    """One running sum for each register is off by 6e-6 at this length."""
    found, _ = helpers("_sums")
    array = np.random.default_rng(1).random((2, 3, 400_000), np.float32)[:, :2]
    want = array.astype(np.float64).sum(axis=-1)
    np.testing.assert_allclose(found["_sums"](array, (2,)), want, rtol=5e-7)


@pytest.mark.parametrize("shape", [(40_000,), (300, 70), (20, 6, 30, 31), (5, 4000), (3, 2)], ids=str)
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("value", [0, 0.3, -np.inf])
def test_a_bound_as_a_row_is_the_bound(shape: tuple[int, ...], kind: type, value: float) -> None:
    found, _ = helpers("_row")
    array: np.ndarray = (10 * np.random.default_rng(1).standard_normal(shape)).astype(kind)
    row = found["_row"](value, array)
    got, want = np.maximum(array, row), np.maximum(array, value)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    assert np.size(row) == 1 or np.size(row) >= min(1024, array.size)


def test_parts_take_these_calls_and_the_plain_module_does_not() -> None:
    for name, call in (("batch_norm2d", "_vecdot("), ("relu", ", _row(0, ")):
        assert call in compile_layer(layers.get(name), schedule="fast").source
        assert call not in compile_layer(layers.get(name)).source


@pytest.mark.parametrize("name", ["lstm", "relu", "conv2d"])
def test_fast_modules_keep_the_memory_of_their_arrays(name: str) -> None:
    kept = "np.empty(2**25 - 2**16, np.uint8)"
    assert kept in compile_layer(layers.get(name), schedule="fast").source
    assert kept not in compile_layer(layers.get(name)).source
