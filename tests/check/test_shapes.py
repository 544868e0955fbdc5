"""Drawn sizes are valid, awkward where the style says so, and the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, floor, symbols

from symgrad import Layer, Padded
from symgrad.check.shapes import STYLES, WORK, Geometry, Sizes, draw_sizes, without_elements
from symgrad.errors import CheckError

N, C, L, K, R, G, A, B, D, E, F = symbols("N C L K R G A B D E F", integer=True, positive=True)
stride, padding, dilation = symbols("stride padding dilation", integer=True, nonnegative=True)
epsilon = symbols("epsilon", real=True, positive=True)
x, w, y = (IndexedBase(name) for name in ("x", "w", "y"))
n, c, u, j = Idx("n", N), Idx("c", C), Idx("u", R), Idx("j", L)
WINDOW = Idx("i", floor((L + 2 * padding - dilation * (R - 1) - 1) / stride) + 1)


def convolution() -> Layer:
    read = Padded(x)[n, c, stride * WINDOW + dilation * u - padding]
    return Layer(
        "convolution",
        inputs=[x[N, C, L], w[C, R]],
        equations=[Eq(y[n, WINDOW], Sum(read * w[c, u], c, u) + epsilon)],
        attributes={stride: 1, padding: 0, dilation: 1, epsilon: 1e-5},
    )


def drawn(layer: Layer, style: str, many: int = 12) -> list[Sizes]:
    geometry, rng = Geometry(layer), np.random.default_rng(5)
    return [draw_sizes(geometry, rng, style) for _ in range(many)]


@pytest.mark.parametrize("style", STYLES)
def test_every_extent_is_at_least_one(style: str) -> None:
    for sizes in drawn(convolution(), style):
        d, a = sizes.dimensions, sizes.attributes
        reach = d["L"] + 2 * a["padding"] - a["dilation"] * (d["R"] - 1) - 1
        assert reach >= 0
        assert a["stride"] >= 1
        assert a["dilation"] >= 1
        assert min(d.values()) >= 1
        assert 0 < a["epsilon"] < 1


def test_styles_reach_what_they_are_for() -> None:
    def attributes(style: str) -> dict[str, set[Any]]:
        sizes = drawn(convolution(), style, 8)
        return {name: {s.attributes[name] for s in sizes} for name in sizes[0].attributes}

    plain, varied = attributes("plain"), attributes("varied")
    assert plain["stride"] == {1}
    assert plain["epsilon"] == {1e-5}
    assert {2, 3} & varied["stride"]
    assert {1, 2} & varied["padding"]
    assert {2, 3} & varied["dilation"]
    assert any(1 in s.dimensions.values() for s in drawn(convolution(), "ones"))
    assert any(s.dimensions["L"] == s.dimensions["R"] > 1 for s in drawn(convolution(), "equal"))
    left_over = [
        (s.dimensions["L"] + 2 * s.attributes["padding"] - s.attributes["dilation"] * (s.dimensions["R"] - 1) - 1)
        % s.attributes["stride"]
        for s in drawn(convolution(), "varied", 8)
    ]
    assert any(left_over)


def test_extents_differ_where_they_may() -> None:
    dense = Layer(
        "dense", inputs=[x[N, C], w[K, C]], equations=[Eq(y[n, Idx("k", K)], Sum(x[n, c] * w[Idx("k", K), c], c))]
    )
    assert all(len(set(s.dimensions.values())) == 3 for s in drawn(dense, "plain"))


def test_extents_that_must_divide_do() -> None:
    group, member = Idx("g", C / G), Idx("k", G)
    total = Eq(y[n, group], Sum(x[n, group * G + member], member))
    layer = Layer("grouped", inputs=[x[N, C]], equations=[total], attributes={G: 2})
    for sizes in drawn(layer, "varied"):
        assert sizes.dimensions["C"] % sizes.attributes["G"] == 0


def test_an_evaluation_stays_affordable() -> None:
    axes = [Idx(name.lower(), size) for name, size in zip("ABDEF", (A, B, D, E, F), strict=True)]
    others = [Idx("p", A), Idx("q", B), Idx("r", D)]
    outer = Layer("outer", inputs=[x[A, B, D, E, F]], equations=[Eq(y[*axes], Sum(x[*others, *axes[3:]], *others))])
    geometry = Geometry(outer)
    for sizes in drawn(outer, "plain", 3):
        assert geometry.work(sizes) <= WORK
        assert geometry.richness(sizes) > 0.5


def test_work_counts_elements_times_terms() -> None:
    layer = Layer("sums", inputs=[x[N, C]], equations=[Eq(y[n], Sum(x[n, c] ** 2, c))])
    geometry = Geometry(layer)
    few, many = (geometry.work(Sizes({"N": 2, "C": size}, {})) for size in (3, 300))
    assert 80 * few < many < 120 * few


def test_sizes_that_never_fit_are_an_error() -> None:
    layer = Layer("never", inputs=[x[N], w[L]], equations=[Eq(y[Idx("i", N - 100)], x[Idx("i", N - 100)])])
    with pytest.raises(CheckError, match=r"never: none of \d+ small sizes for L, N"):
        drawn(layer, "plain", 1)


def test_the_same_seed_gives_the_same_sizes() -> None:
    assert [str(s) for s in drawn(convolution(), "varied")] == [str(s) for s in drawn(convolution(), "varied")]


def test_one_dimension_without_elements() -> None:
    geometry, rng = Geometry(convolution()), np.random.default_rng(0)
    sizes = Sizes({"N": 2, "C": 3, "L": 5, "R": 2}, {"stride": 1, "padding": 0, "dilation": 1, "epsilon": 0.5})
    empties = [without_elements(geometry, rng, sizes) for _ in range(20)]
    assert {name for s in empties if s for name, extent in s.dimensions.items() if extent == 0} >= {"N", "C"}
    assert all(s is None or s.dimensions["L"] > 0 for s in empties)  # L = 0 leaves no window, not zero windows
