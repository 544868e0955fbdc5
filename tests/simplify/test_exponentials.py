"""Sums of exponentials with factors that may be 0: what is masked out neither overflows nor decides the shift."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Min, Sum, exp, log, symbols

from symgrad import Layer, compile_layer

from ..agreement import SCHEDULES, as_declared

M, N = symbols("M N", integer=True, positive=True)
a, b, c, y = symbols("a b c y")
mask, s, v, w, z = (IndexedBase(name) for name in ("mask", "s", "v", "w", "z"))
i, j = Idx("i", N), Idx("j", N)
FAR_ABOVE = np.array([60.0, -60, -61])
MASK = np.array([0.0, 1, 1])


def masked(weight: Expr) -> Layer:
    share = weight.subs(j, i) * exp(s[i]) / Sum(weight * exp(s[j]), j)
    return Layer("masked", [s[N], mask[N]], [Eq(z[i], share)], constants=[mask])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [mask[j], mask[j] ** 2, 3 * mask[j], Min(j, 1)], ids=str)
def test_a_mask_that_is_a_factor(weight: Expr, dtype: type, schedule: str) -> None:
    """exp(-120) is 0 in single precision, exp(60) and exp(-60) are not."""
    compiled = compile_layer(masked(weight), schedule=schedule)
    shares, residuals = compiled.forward(FAR_ABOVE.astype(dtype), MASK.astype(dtype))
    want = np.array([0, 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
    np.testing.assert_allclose(shares, want, rtol=1e-5)
    cotangent = np.array([1, 2, 3], dtype)
    slope = want * (cotangent - (cotangent * want).sum())
    np.testing.assert_allclose(compiled.backward(residuals, cotangent).s, slope, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_a_mask_of_nought() -> None:
    """What is 0 has a slope all the same: the exponential beside it is not cut off."""
    layer = Layer("masked", [s[N], mask[N]], [Eq(z[i], mask[i] * exp(s[i]) / Sum(mask[j] * exp(s[j]), j))])
    assert as_declared(layer, {"s": np.array([3.0, -1, 0.5]), "mask": np.array([0.0, 0.5, 2])}, schedules=SCHEDULES)
    logarithm = Layer("logarithm", [s[N], mask[N]], [Eq(y, log(Sum(mask[j] * exp(s[j]), j)))])
    assert as_declared(logarithm, {"s": np.array([3.0, -1, 0.5]), "mask": np.array([0.0, 0.5, 2])})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_term_of_nought(dtype: type) -> None:
    point = [np.array(value, dtype) for value in (50, -60, 0)]
    for right, want, slopes in (
        (log(c * exp(a) + exp(b)), -60, (0, 1)),
        (exp(b) / (c * exp(a) + exp(b)), 1, (0, 0)),
    ):
        compiled = compile_layer(Layer("term", [a, b, c], [Eq(y, right)]))
        value, residuals = compiled.forward(*point)
        np.testing.assert_allclose(value, want, rtol=1e-6)
        gradients = compiled.backward(residuals, np.array(1, dtype), wrt=("a", "b"))
        np.testing.assert_allclose([gradients.a, gradients.b], slopes, atol=1e-6)
        assert as_declared(compiled.layer, {"a": np.array(0.4), "b": np.array(-0.2), "c": np.array(0.0)})


@pytest.mark.parametrize(
    "right",
    [
        Sum(exp(s[j]) * v[j], j) / Sum(exp(s[j]), j),
        log(Sum(exp(s[j]), j)),
        log(Sum(exp(s[j]) * exp(v[j]), j)),
        log(Sum(3 * exp(s[j]), j) + 1),
        exp(s[0]) / (1 + Sum(exp(s[j]), j)),
        exp(v[0]) / ((s[0] ** 2 + 1) * exp(v[0]) + exp(v[1]) / 2),
        Sum(exp(s[j]) * mask[j], j) / Sum(exp(s[j]) * v[j] ** 2, j),
    ],
    ids=str,
)
def test_nothing_is_asked_of_factors_that_are_not_0_or_not_in_all_sums(right: Expr) -> None:
    tensors = [t[N] for t in (s, v, mask) if right.has(t)]
    layer = Layer("plain", tensors, [Eq(y, right)])
    assert "!= 0" not in compile_layer(layer).source
    rng = np.random.default_rng(0)
    assert as_declared(layer, {str(t.base.label): rng.uniform(0.5, 1.5, 3) for t in tensors})


def test_a_row_of_factors_for_all_sums_keeps_one_shift() -> None:
    """One shift for all rows, not one for each: the exponentials are as many as there are columns."""
    m = Idx("m", M)
    share = Sum(w[m, j] * exp(s[j]) * v[j], j) / Sum(w[m, j] * exp(s[j]), j)
    layer = Layer("rows", [w[M, N], s[N], v[N]], [Eq(z[m], share)])
    assert "!= 0" not in compile_layer(layer).source
    rng = np.random.default_rng(0)
    assert as_declared(layer, {"w": rng.uniform(0.5, 1, (2, 3)), "s": rng.normal(size=3), "v": rng.normal(size=3)})


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("weight", [mask[j], mask[j] ** 2, 3 * mask[j]], ids=str)
def test_a_mask_without_a_gradient_leaves_out_what_is_larger_by_far(weight: Expr, schedule: str) -> None:
    compiled = compile_layer(masked(weight), schedule=schedule)
    shares, residuals = compiled.forward(np.array([1e4, -1e4, -1e4 - 1], np.float32), MASK.astype(np.float32))
    want = np.array([0, 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
    np.testing.assert_allclose(shares, want, rtol=1e-5)
    cotangent = np.array([1, 2, 3], np.float32)
    slope = want * (cotangent - (cotangent * want).sum())
    np.testing.assert_allclose(compiled.backward(residuals, cotangent).s, slope, rtol=1e-4, atol=1e-6)


def test_masks_without_a_gradient_against_the_declaration() -> None:
    weights = {"s": np.array([3.0, -1, 0.5, 2]), "mask": np.array([0.0, 0.5, 2, 0])}
    logarithm = Layer("logarithm", [s[N], mask[N]], [Eq(y, log(Sum(mask[j] * exp(s[j]), j)))], constants=[mask])
    mean = Layer(
        "mean",
        [s[N], mask[N], v[N]],
        [Eq(y, Sum(mask[j] * exp(s[j]) * v[j], j) / Sum(mask[j] * exp(s[j]), j))],
        constants=[mask],
    )
    for layer, given in ((logarithm, weights), (mean, weights | {"v": np.array([1.0, -2, 0.3, 5])})):
        assert as_declared(layer, given, schedules=SCHEDULES)
    compiled = compile_layer(logarithm)
    value, residuals = compiled.forward(np.array([1e4, -1e4], np.float32), np.array([0, 2], np.float32))
    np.testing.assert_allclose(value, -1e4 + np.log(2), rtol=1e-6)
    np.testing.assert_allclose(compiled.backward(residuals, np.ones((), np.float32)).s, [0, 1], atol=1e-6)
