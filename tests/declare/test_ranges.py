"""Ranges that nobody wrote: the largest for which every plain read stays inside, found by trying."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, Symbol, exp, symbols

from symgrad import Layer, LogSumExp, Padded, ReduceMax
from symgrad.check.evaluator import evaluate
from symgrad.errors import DeclarationError

from ..agreement import agrees, normals

N, M, K = symbols("N M K", integer=True, positive=True)
stride = Symbol("stride", integer=True, positive=True)
x, y, w, z = (IndexedBase(name) for name in ("x", "y", "w", "z"))
i, j, k = Idx("i"), Idx("j"), Idx("k")
u, p = Idx("u", K), Symbol("p", integer=True)
Inside = Callable[[int, dict[str, int]], bool]


def layer(right, left=y[i], inputs=(x[N],), **options) -> Layer:
    return Layer("ranged", inputs=list(inputs), equations=[Eq(left, right)], **options)


# (right side, inputs, attributes, whether every read is inside for a value of i)
CASES: dict[str, tuple[object, tuple, dict, Inside]] = {
    "itself": (x[i], (x[N],), {}, lambda i, s: i < s["N"]),
    "next": (x[i + 1] - x[i], (x[N],), {}, lambda i, s: i + 1 < s["N"]),
    "two tensors": (x[i] + w[i], (x[N], w[N]), {}, lambda i, s: i < s["N"]),
    "strided": (x[2 * i + 1], (x[N],), {}, lambda i, s: 2 * i + 1 < s["N"]),
    "by an attribute": (x[stride * i], (x[N],), {stride: 2}, lambda i, s: s["stride"] * i < s["N"]),
    "backwards": (x[N - 1 - i], (x[N],), {}, lambda i, s: s["N"] - 1 - i >= 0),
    "window": (Sum(x[i + u] * w[u], u), (x[N], w[K]), {}, lambda i, s: i + s["K"] - 1 < s["N"]),
    "strided window": (
        Sum(x[stride * i + u] * w[u], u),
        (x[N], w[K]),
        {stride: 2},
        lambda i, s: s["stride"] * i + s["K"] - 1 < s["N"],
    ),
    "backward window": (
        Sum(x[N - 1 - 2 * i - u] * w[u], u),
        (x[N], w[K]),
        {},
        lambda i, s: s["N"] - 1 - 2 * i - (s["K"] - 1) >= 0,
    ),
    "beside a padded read": (x[i] * Padded(x)[i + 3], (x[N],), {}, lambda i, s: i < s["N"]),
    "beside a guarded read": (
        x[i] + Piecewise((x[i + 1], i < N - 1), (0, True)),
        (x[N],),
        {},
        lambda i, s: i < s["N"],
    ),
    "under a function": (exp(x[3 * i]), (x[N],), {}, lambda i, s: 3 * i < s["N"]),
}


@pytest.mark.parametrize("name", CASES)
def test_inferred_extent_is_the_largest_that_fits(name: str) -> None:
    right, inputs, attributes, inside = CASES[name]
    declared = layer(right, inputs=inputs, attributes=attributes)
    tried = 0
    for extent, kernel, step in itertools.product(range(1, 8), range(1, 4), range(1, 4)):
        sizes = {"N": extent, "K": kernel, "stride": step}
        count = next(value for value in itertools.count() if not inside(value, sizes))
        if not count:
            continue
        tried += 1
        shapes = {"x": (extent,), "w": (extent if name == "two tensors" else kernel,)}
        arrays = {t.name: np.ones(shapes[t.name]) for t in declared.inputs}
        given = {"stride": step} if attributes else {}
        assert evaluate(declared, arrays, given)["y"].shape == (count,), sizes
    assert tried >= 7


def test_inferred_ranges_are_reported() -> None:
    declared = layer(x[i + 1] - x[i])
    assert declared.ranges == {"i": (0, N - 2)}


def test_a_summed_index_gets_its_range_from_its_reads() -> None:
    """SymPy's Sum asks for limits itself; symgrad's own reductions take an index without a range."""
    declared = Layer("r", inputs=[x[N, M]], equations=[Eq(y[i], ReduceMax(x[i, j], j))])
    agrees(declared, normals(x=(3, 4)), lambda x: x.max(1))


def test_a_summed_index_of_a_log_sum_exp() -> None:
    t = Idx("t", N - K + 1)
    shifted = Layer("r", inputs=[x[N], w[K]], equations=[Eq(y[t], LogSumExp(x[t + k] + w[k], k))])
    agrees(shifted, normals(x=(6,), w=(3,)), lambda x, w: np.log(np.correlate(np.exp(x), np.exp(w), "valid")))


def test_a_summed_index_of_a_window() -> None:
    t = Idx("t", N - K + 1)
    shifted = Layer("r", inputs=[x[N], w[K]], equations=[Eq(y[t], ReduceMax(x[t + k] + w[k], k))])
    windows = np.lib.stride_tricks.sliding_window_view
    agrees(shifted, normals(x=(6,), w=(3,)), lambda x, w: (windows(x, 3) + w).max(1))


def test_one_index_is_found_after_the_other() -> None:
    """i + j says nothing about i until w[j] has said what j is."""
    declared = Layer("r", inputs=[x[N], w[K]], equations=[Eq(y[i, j], x[i + j] * w[j])])
    agrees(declared, normals(x=(6,), w=(3,)), lambda x, w: x[np.arange(4)[:, None] + np.arange(3)] * w)


def test_an_intermediate_gives_a_range_too() -> None:
    declared = Layer("r", inputs=[x[N]], equations=[Eq(z[i], x[i] * x[i + 1]), Eq(y[j], z[2 * j])])
    agrees(declared, normals(x=(8,)), lambda x: (x[:-1] * x[1:])[::2])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layer(Padded(x)[i + 1]), ["index i", "no range", "Idx('i', extent)"]),
        (
            lambda: layer(x[i] * w[i], inputs=(x[N], w[M])),
            ["last value of index i", "N - 1", "M - 1", "Idx('i', extent)"],
        ),
        (lambda: layer(x[i - 2]), ["index i", "2 .. N + 1", "axes begin at 0"]),
        (lambda: layer(x[i * i]), ["index i", "no range"]),
        (lambda: layer(Sum(x[p], (p, 0, i))), ["index i", "no range"]),
        (lambda: layer(i + 1), ["index i", "no range"]),
    ],
)
def test_what_cannot_be_inferred_is_asked_for(make: Callable[[], Layer], words: list[str]) -> None:
    with pytest.raises(DeclarationError) as error:
        make()
    for word in ["ranged, equation of y", *words]:
        assert word in str(error.value)
