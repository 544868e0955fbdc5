"""Elementwise helpers of emitted modules: their digits, in one block and in many, and at the ends of their ranges."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Sum, erf, exp, log, symbols

from symgrad import Layer, compile_layer
from symgrad.emit.helpers import helper_text

N = symbols("N", integer=True, positive=True)
x, y = IndexedBase("x"), IndexedBase("y")
n = Idx("n", N)
MANY = 100_001
"""More than a block, and not a whole number of them."""

FUNCTIONS: dict[str, tuple[object, Callable[[float], float], float, float]] = {
    # What is declared, the same in double precision, and the units in the last place allowed in float32 and float64.
    "erf": (erf(x[n]), math.erf, 3, 5),
    "sigmoid": (1 / (1 + exp(-x[n])), lambda v: 1 / (1 + math.exp(-v)), 4, 4),
    "softplus": (log(1 + exp(x[n])), lambda v: max(v, 0) + math.log1p(math.exp(-abs(v))), 4, 4),
}


def evaluated(name: str, values: np.ndarray) -> np.ndarray:
    layer = Layer(name, inputs=[x[N]], equations=[Eq(y[n], FUNCTIONS[name][0])])
    found, _ = compile_layer(layer).forward(values)
    assert isinstance(found, np.ndarray)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_right_to_a_few_units_in_the_last_place(name: str, dtype: type) -> None:
    """Relative to each value, in the left tail as well."""
    _, exact, single, double = FUNCTIONS[name]
    values = np.concatenate([np.linspace(-9, 9, MANY), np.geomspace(1e-30, 1, 999), -np.geomspace(1e-30, 1, 999)])
    values = values.astype(dtype)
    want = np.array([exact(v) for v in values.tolist()])
    error = np.abs(evaluated(name, values).astype(np.float64) - want) / np.spacing(np.abs(want).astype(dtype))
    assert error.max() <= (single if dtype is np.float32 else double)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_blocks_change_nothing(name: str, dtype: type) -> None:
    values = np.random.default_rng(0).normal(size=MANY).astype(dtype)
    whole = evaluated(name, values)
    assert whole.dtype == dtype
    for part in (slice(0, 7), slice(65530, 65550), slice(MANY - 5, MANY), slice(None, None, 40)):
        np.testing.assert_array_equal(whole[part], evaluated(name, values[part]))
    np.testing.assert_array_equal(whole[::-1], evaluated(name, values[::-1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_error_function_ends_at_one(dtype: type) -> None:
    found = evaluated("erf", np.array([np.inf, -np.inf, 40, -40, 0.0, -0.0, np.nan], dtype))
    np.testing.assert_array_equal(found, np.array([1, -1, 1, -1, 0, 0, np.nan], dtype))
    assert np.signbit(found[5]) and not np.signbit(found[4])


# --- rows added up ---------------------------------------------------------------------------------------------------

K, D, V = symbols("K D V", integer=True, positive=True)
rows, ids, table = IndexedBase("rows"), IndexedBase("ids"), IndexedBase("table")
k, d, v = Idx("k", K), Idx("d", D), Idx("v", V)
ADDED = Layer(
    "added",
    inputs=[rows[K, D], ids[K], table[V, D]],
    equations=[Eq(y[v, d], table[v, d] + Sum(rows[k, d] * KroneckerDelta(ids[k], v), k))],
)
DRAWS: dict[str, Callable[[np.random.Generator], tuple[int, np.ndarray]]] = {
    "hardly any twice": lambda rng: (5000, rng.integers(5000, size=300)),
    "a few again and again": lambda rng: (3, rng.integers(3, size=500)),
    "one much more often": lambda rng: (900, np.where(rng.random(700) < 0.5, 7, rng.integers(900, size=700))),
    "all the same": lambda rng: (9, np.full(100, 4)),
    "more than 16 bits count": lambda rng: (70_000, rng.integers(69_990, 70_000, size=50)),
    "each once": lambda rng: (64, rng.permutation(64)),
    "none": lambda rng: (4, np.zeros(0, int)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_rows_are_added_at_their_positions(name: str) -> None:
    rng = np.random.default_rng(0)
    extent, positions = DRAWS[name](rng)
    given, base = rng.normal(size=(len(positions), 3)), rng.normal(size=(extent, 3))
    want = base.copy()
    np.add.at(want, positions, given)
    found, _ = compile_layer(ADDED).forward(given, positions, base)
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("elements", [3, 40, 400])
def test_numbers_added_at_positions_of_a_matrix(elements: int) -> None:
    """Few in a large matrix and many in a small one, repeated positions adding up."""
    rows, columns, count = symbols("A B K", integer=True, positive=True)
    a, b, k = Idx("a", rows), Idx("b", columns), Idx("k", count)
    i, j, v, t = (IndexedBase(name) for name in "ijvt")
    placed = Sum(v[k] * KroneckerDelta(i[k], a) * KroneckerDelta(j[k], b), k)
    inputs = [t[rows, columns], i[count], j[count], v[count]]
    layer = Layer("placed", inputs, [Eq(y[a, b], t[a, b] + placed)], integers=[i, j])
    rng = np.random.default_rng(0)
    at = rng.integers(0, 20, elements), rng.integers(0, 30, elements)
    values, base = rng.normal(size=elements), rng.normal(size=(20, 30))
    expected = base.copy()
    for p, q, value in zip(*at, values, strict=True):
        expected[p, q] += value
    found, _ = compile_layer(layer).forward(base, *at, values)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# --- one helper alone ------------------------------------------------------------------------------------------------


def helper(name: str) -> Callable[..., Any]:
    """A helper as modules carry it."""
    space: dict[str, Any] = {"np": np, "math": math}
    exec(helper_text({name}, "layer"), space)
    found: Callable[..., Any] = space[name]
    return found


@pytest.mark.parametrize("shape", [(30, 14, 5, 12), (2, 20000), (20000, 1, 2), (0, 3, 2), (3, 0), (6,), (30000,)])
def test_sums_over_any_axes(shape: tuple[int, ...]) -> None:
    sums, array = helper("_sums"), np.random.default_rng(0).normal(size=shape)
    for count in range(1, len(shape) + 1):
        for axes in combinations(range(len(shape)), count):
            np.testing.assert_allclose(sums(array, axes), array.sum(axis=axes), rtol=1e-11, atol=1e-11)
            turned = array.swapaxes(0, -1)
            np.testing.assert_allclose(sums(turned, axes), turned.sum(axis=axes), rtol=1e-11, atol=1e-11)


def test_sums_keep_dtype_and_what_is_not_finite_in_its_place() -> None:
    sums, array = helper("_sums"), np.ones((256, 128), np.float32)
    array[1, 2] = np.inf
    assert sums(array, (0,)).dtype == sums(array, (0, 1)).dtype == np.float32
    np.testing.assert_array_equal(sums(array, (0,)), np.where(np.arange(128) == 2, np.inf, 256))
    np.testing.assert_array_equal(sums(array, (1,)), np.where(np.arange(256) == 1, np.inf, 128))


@pytest.mark.parametrize("name", DRAWS)
def test_the_first_rows_at_positions_of_zeros_are_assigned(name: str) -> None:
    rng = np.random.default_rng(0)
    extent, positions = DRAWS[name](rng)
    given, add_at = rng.normal(size=(len(positions), 3)), helper("_add_at")
    added, assigned = np.zeros((2, extent, 3))
    add_at(added, positions, given)
    add_at(assigned, positions, given, zeros=True)
    np.testing.assert_array_equal(assigned, added)


@pytest.mark.parametrize("rows", [1, 40])
def test_rows_are_added_to_what_a_view_of_another_order_of_axes_holds(rows: int) -> None:
    """Few rows where they belong, many by way of an array that has rows side by side."""
    rng = np.random.default_rng(0)
    held, add_at = rng.normal(size=(3, 5, 4)), helper("_add_at")
    held[1, 2, 3] = np.inf
    places, values = (rng.integers(4, size=rows), rng.integers(5, size=rows)), rng.normal(size=(rows, 3))
    expected = held.copy()
    np.add.at(expected.transpose(2, 1, 0), places, values)
    add_at(held.transpose(2, 1, 0), *places, values)
    np.testing.assert_allclose(held, expected, rtol=1e-12)


@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.float32(3), np.array(3)])
def test_whole_numbers_of_any_type(value: object) -> None:
    found = helper("_whole")("K", value, 1)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("value", [2.5, math.inf, math.nan, True, "3", [3], None, 1j])
def test_what_is_no_whole_number_is_refused_without_a_warning(value: object) -> None:
    with warnings.catch_warnings(), pytest.raises(TypeError, match="layer: K must be an integer, got"):
        warnings.simplefilter("error")
        helper("_whole")("K", value, None)


def test_integers_outside_of_an_axis_are_named() -> None:
    within = helper("_within")
    within("ids", np.array([0, 4]), 5, "axis 0 of table")
    for bad in (-1, 5):
        with pytest.raises(IndexError, match=f"layer: ids holds {bad}, but axis 0 of table has extent 5"):
            within("ids", np.array([2, bad]), 5, "axis 0 of table")


def test_floats_of_another_byte_order_become_native() -> None:
    found = helper("_floats")("x", np.ones(2, ">f4"), 1)
    assert found.dtype.isnative and found.dtype == np.float32
    with pytest.raises(TypeError, match="must hold float32 or float64, not float16"):
        helper("_floats")("x", np.ones(2, np.float16), 1)
