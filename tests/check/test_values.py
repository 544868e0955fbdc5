"""Drawn values lie in the domain of the equations; integers keep reads in bounds; kink points lie on kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import (
    Abs,
    Eq,
    Idx,
    IndexedBase,
    KroneckerDelta,
    Max,
    Min,
    Piecewise,
    Sum,
    exp,
    floor,
    log,
    oo,
    sqrt,
    symbols,
)

from symgrad import Layer, Padded, StopGradient, check_layer
from symgrad.check.shapes import STYLES
from symgrad.check.values import Sampler, has_kinks, has_stops, kink_values
from symgrad.declare.textform import parse_layer
from symgrad.errors import CheckError

N, M, T = symbols("N M T", integer=True, positive=True)
width = symbols("width", real=True, positive=True)
x, w, y, ids = (IndexedBase(name) for name in ("x", "w", "y", "ids"))
n, m, t = Idx("n", N), Idx("m", M), symbols("t", integer=True)


def layer(equation: Any, inputs: list[Any], **rest: Any) -> Layer:
    return Layer("tried", inputs=inputs, equations=[equation], **rest)


GATHER = layer(Eq(y[n, m], x[ids[n], m]), [x[T, M], ids[N]])
DELTA = layer(Eq(y[m], Sum(x[n] * KroneckerDelta(ids[n], m), n)), [x[N], w[M], ids[N]], integers=[ids])
RAGGED = layer(Eq(y[n], Sum(x[n, t], (t, 0, ids[n] - 1))), [x[N, T], ids[N]])
MASKED = layer(Eq(y[n], Piecewise((x[n, ids[n]], ids[n] >= 0), (0, True))), [x[N, T], ids[N]])
ROOTS = layer(Eq(y[n], x[n] / sqrt(w[n])), [x[N], w[N]])
LOGITS = layer(Eq(y[n], log(x[n]) + log(1 - x[n])), [x[N]])
CLIPPED = layer(
    Eq(y[n], Min(Max(x[n], -width), 6) + Piecewise((x[n], x[n] < 3), (0, True))), [x[N]], attributes={width: 1.5}
)


@pytest.mark.parametrize(
    ("declared", "size", "inclusive"), [(GATHER, "T", 0), (DELTA, "M", 0), (RAGGED, "T", 1), (MASKED, "T", 0)]
)
def test_integers_are_valid_for_what_they_index(declared: Layer, size: str, inclusive: int) -> None:
    sampler, seen = Sampler(declared, seed=1), set()
    for style in STYLES * 4:
        case = sampler.case(style)
        assert case.arrays["ids"].dtype.kind == "i"
        assert case.arrays["ids"].min() >= 0
        assert case.arrays["ids"].max() < case.sizes.dimensions[size] + inclusive
        seen |= set(case.arrays["ids"].ravel().tolist())
    assert len(seen) > 2


def test_no_integer_is_valid_for_an_axis_without_elements() -> None:
    sampler = Sampler(GATHER)
    case = sampler.case("plain")
    empties = [sampler.empty_case(case) for _ in range(20)]
    assert any(e is not None for e in empties)
    assert all(e is None or e.sizes.dimensions["T"] > 0 or e.arrays["ids"].size == 0 for e in empties)


def test_values_are_in_the_domain() -> None:
    case = Sampler(ROOTS).case("plain")
    assert case.arrays["w"].min() > 0
    assert Sampler(ROOTS).case("varied").arrays["w"].min() > 0
    logits = Sampler(LOGITS).case("plain").arrays["x"]
    assert logits.min() > 0
    assert logits.max() < 1


def test_a_domain_of_one_input_leaves_the_others_alone() -> None:
    sampler = Sampler(ROOTS)
    assert sampler.case("plain").arrays["x"].size > 0
    assert sampler.recipes == {"x": "normal", "w": "positive"}


def test_a_mask_of_minus_infinity_on_the_way_is_no_obstacle() -> None:
    score, weight = IndexedBase("score"), exp(IndexedBase("score")[n, m])
    masked = Piecewise((x[n, m], m <= n), (-oo, True))
    attention = Layer(
        "masked",
        inputs=[x[N, M]],
        equations=[Eq(score[n, m], masked), Eq(y[n], Sum(weight * m, m) / Sum(weight, m))],
    )
    assert Sampler(attention).case("plain").arrays["x"].size > 1


def test_no_values_at_all_is_an_error() -> None:
    with pytest.raises(CheckError, match="tried: no values were found at which every output is finite"):
        Sampler(layer(Eq(y[n], log(-exp(x[n]))), [x[N]])).case("plain")


def test_integers_that_never_fit_are_an_error_that_names_the_read() -> None:
    beyond = layer(Eq(y[n], x[ids[n] + 100]), [x[T], ids[N]])
    with pytest.raises(CheckError, match=r"x\[ids\[n\] \+ 100\] reads x at index"):
        Sampler(beyond).case("plain")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "text",
    [
        "m[r] = reduce_max(x[q], (q, first[r], last[r] - 1)); y[r] = m[r]*c[r]",
        "m[r] = reduce_max(x[q], (q, offset[r], offset[r + 1] - 1)); y[r] = m[r]*c[r]",
        "y[b] = reduce_max(x[i,j], (i, top[b], bottom[b] - 1), (j, left[b], right[b] - 1))",
        "p[r] = sum(exp(x[q]), (q, first[r], last[r] - 1)); y[q] = sum(exp(x[q])/p[of[q]]*w[q], (s, 1))",
    ],
)
def test_ranges_that_integers_give_are_not_empty(text: str, seed: int) -> None:
    report = check_layer(parse_layer(text), seed=seed)
    assert report.ok, str(report)


L, A = IndexedBase("L"), IndexedBase("A")
row, column, k = Idx("row", N), Idx("column", N), Idx("k")
ROOT = sqrt(A[row, row] - Sum(L[row, k] ** 2, (k, 0, row - 1)))
BELOW = (A[row, column] - Sum(L[row, k] * L[column, k], (k, 0, column - 1))) / L[column, column]
FACTOR = Eq(L[row, column], Piecewise((ROOT, Eq(row, column)), (BELOW, row > column), (0, True)))
NARROW = {
    "a positive definite matrix": Layer("cholesky", [A[N, N]], [FACTOR]),
    "its determinant": Layer("logdet", [A[N, N]], [FACTOR, Eq(y[Idx("o", 1)], Sum(log(L[row, row]), row))]),
    "inside a ball": layer(Eq(y[n], sqrt(1 - Sum(x[n, m] ** 2, m))), [x[N, M]]),
    "one above the other": layer(Eq(y[n], sqrt(x[n] - w[n])), [x[N], w[N]]),
    "far away": layer(Eq(y[n], log(x[n] - 10)), [x[N]]),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("declared", NARROW.values(), ids=NARROW)
def test_inputs_are_found_where_few_have_a_value(declared: Layer, seed: int) -> None:
    report = check_layer(declared, seed=seed)
    assert report.ok, str(report)
    assert sum(entry.compared for entry in report.entries if entry.check == "gradient by complex step") > 2


def test_a_layer_that_never_has_an_element_is_checked_without_any() -> None:
    for text in ("y[i:0] = x[i]", "inputs: x[0]; y[i] = x[i]"):
        report = check_layer(parse_layer(text), cases=2)
        assert report.ok, str(report)


def test_where_no_value_is_found_the_left_side_is_named() -> None:
    report = check_layer(layer(Eq(y[n], log(-exp(x[n]))), [x[N]]), cases=1)
    assert not report.ok
    assert "y is not at inputs that are normal, positive" in str(report)
    assert "sqrt(Max(u, 0))" in str(report)


def test_kink_points_lie_where_branches_meet() -> None:
    assert set(kink_values(CLIPPED, {"width": 1.5})) >= {-1.5, 1.5, 6.0, 3.0, 0.0}
    sampler = Sampler(CLIPPED)
    case = sampler.case("plain")
    kinks = sampler.kink_case(case)
    assert kinks is not None
    assert kinks.sizes == case.sizes
    assert set(kinks.arrays["x"].ravel()) <= set(kink_values(CLIPPED, case.attributes))


def test_which_layers_have_kinks_and_stops() -> None:
    assert has_kinks(CLIPPED)
    assert has_kinks(layer(Eq(y[n], Abs(x[n])), [x[N]]))
    assert not has_kinks(ROOTS)
    assert not has_kinks(layer(Eq(y[n], Piecewise((x[n], n > 0), (0, True))), [x[N]]))
    assert has_stops(layer(Eq(y[n], x[n] - StopGradient(x[n])), [x[N]]))
    assert not has_stops(CLIPPED)


def test_a_negative_integer_only_where_it_has_a_meaning() -> None:
    for declared, meaningful in ((DELTA, True), (MASKED, True), (GATHER, False)):
        sampler = Sampler(declared)
        stray = sampler.stray_case(sampler.case("plain"))
        assert (stray is not None) == meaningful
        assert stray is None or stray.arrays["ids"].min() == -1


def test_real_numbers_under_floor_stay_in_bounds() -> None:
    interpolated = layer(Eq(y[n], Padded(x)[floor(w[n])] * w[n]), [x[T], w[N]])
    assert Sampler(interpolated).case("plain").arrays["w"].dtype == np.float64
    between = x[floor(w[n])] * (1 - w[n] + floor(w[n])) + x[floor(w[n]) + 1] * (w[n] - floor(w[n]))
    sampler = Sampler(layer(Eq(y[n], between), [x[T], w[N]]))
    for _ in range(5):
        case = sampler.case("plain")
        assert (case.arrays["w"] >= 0).all() and (case.arrays["w"] < case.arrays["x"].size - 1).all()
