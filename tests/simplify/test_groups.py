"""Reductions over all elements with the same integer: through groups, whatever the integers are, and not over pairs."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, LessThan, Piecewise, Sum, exp, oo, symbols

from symgrad import ArgMax, Layer, ReduceMax, ReduceMin, compile_layer, jvp, vjp

from ..agreement import as_declared

B, D, E, V = symbols("B D E V", integer=True, positive=True)
a, h, q, w, x, y, dst, src = (IndexedBase(name) for name in ("a", "h", "q", "w", "x", "y", "dst", "src"))
b, d, e, e2, e3 = Idx("b", B), Idx("d", D), Idx("e", E), Idx("e2", E), Idx("e3", E)
SAME = KroneckerDelta(dst[e2], dst[e])


def chosen(value, other):
    return Piecewise((value, Eq(dst[e2], dst[e])), (other, True))


LAYERS = {
    "sum": Layer("total", [x[E], dst[E]], [Eq(y[e], Sum(x[e2] ** 2 * SAME, e2))], integers=[dst]),
    "softmax": Layer("softmax", [x[E], dst[E]], [Eq(y[e], exp(x[e]) / Sum(exp(x[e2]) * SAME, e2))], integers=[dst]),
    "features": Layer(
        "features",
        [x[E, D], w[E], dst[E]],
        [Eq(y[e, d], w[e] * Sum(x[e2, d] * w[e2] * SAME, e2) + x[e, d])],
        integers=[dst],
    ),
    "batch": Layer(
        "batch",
        [x[B, E], dst[B, E]],
        [Eq(y[b, e], x[b, e] - Sum(x[b, e2] * KroneckerDelta(dst[b, e2], dst[b, e]), e2))],
        integers=[dst],
    ),
    "maximum": Layer("maximum", [x[E], dst[E]], [Eq(y[e], ReduceMax(chosen(x[e2], -oo), e2) * x[e])], integers=[dst]),
    "later": Layer(
        "later",
        [x[E], dst[E]],
        [Eq(y[e], Sum(Piecewise((x[e2], Eq(dst[e2], dst[e]) & LessThan(e2, e)), (0, True)), e2))],
        integers=[dst],
    ),
    "positive": Layer(
        "positive",
        [x[E], w[E], dst[E]],
        [Eq(y[e], Sum(Piecewise((w[e2], Eq(dst[e2], dst[e]) & (x[e2] > 0)), (0, True)), e2))],
        integers=[dst],
        constants=[x],
    ),
    "attention": Layer(
        "attention",
        [h[V, D], a[D], q[D], src[E], dst[E]],
        [
            Eq(x[e], Sum(h[src[e], d] * a[d], d) + Sum(h[dst[e], d] * q[d], d)),
            Eq(w[e], exp(x[e]) / Sum(exp(x[e2]) * SAME, e2)),
            Eq(y[e, d], w[e] * h[src[e], d]),
        ],
        outputs=[y],
    ),
    "two": Layer(
        "two",
        [x[E], dst[E], src[E]],
        [Eq(y[e], Sum(x[e2] * SAME, e2) * Sum(x[e3] * KroneckerDelta(src[e3], src[e]), e3))],
        integers=[dst, src],
    ),
}
PAIRS = {"later"}
"""What is reduced depends on the pair: that stays."""


def drawn(name: str, extent: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(len(name) + extent)
    sizes = {B: 2, D: 3, E: extent, V: 4}
    arrays = {}
    for tensor in LAYERS[name].inputs:
        shape = tuple(int(s.subs(sizes)) for s in tensor.shape)
        low = 0 if name == "attention" else -3
        arrays[tensor.name] = rng.integers(low, 4, shape) if tensor.integer else rng.normal(size=shape)
    return arrays


@pytest.mark.parametrize("extent", [0, 1, 7])
@pytest.mark.parametrize("name", LAYERS)
def test_groups_mean_what_was_declared(name: str, extent: int) -> None:
    if name == "maximum" and not extent:
        pytest.skip("a maximum over an axis of nothing is refused")
    assert as_declared(LAYERS[name], drawn(name, extent))


@pytest.mark.parametrize("name", sorted(set(LAYERS) - PAIRS))
def test_no_table_of_pairs(name: str) -> None:
    source = compile_layer(LAYERS[name]).source
    assert "_first_equal(" in source
    assert "[:, None] ==" not in source
    assert "== dst[:, None]" not in source


def test_derivatives_are_layers() -> None:
    given = drawn("features", 5)
    for layer in (vjp(LAYERS["features"]), jvp(LAYERS["features"])):
        rng = np.random.default_rng(0)
        arrays = {t.name: given[t.name] if t.name in given else rng.normal(size=extents(t)) for t in layer.inputs}
        assert as_declared(layer, arrays)


def test_the_derivative_of_softmax_differentiated_again() -> None:
    """Against finite differences of the gradient: groups without elements have no largest exponent to compare."""
    layer, given = LAYERS["softmax"], drawn("softmax", 5)
    values, groups, cotangent = *given.values(), np.random.default_rng(0).normal(size=5)
    first, again = compile_layer(layer), compile_layer(vjp(layer))

    def gradient(at: np.ndarray) -> np.ndarray:
        return first.backward(first.forward(at, groups)[1], cotangent).x

    output, residuals = again.forward(values, groups, cotangent)
    np.testing.assert_allclose(output, gradient(values), rtol=1e-12)
    direction = np.random.default_rng(1).normal(size=5)
    slope = again.backward(residuals, direction).x
    steps = 1e-6 * np.eye(5)
    want = [(gradient(values + s) - gradient(values - s)) @ direction / 2e-6 for s in steps]
    np.testing.assert_allclose(slope, want, atol=1e-8)


def extents(tensor) -> tuple[int, ...]:
    return tuple(int(s.subs({D: 3, E: 5})) for s in tensor.shape)


def test_softmax_over_groups_does_not_overflow() -> None:
    values, groups = np.array([1000.0, 999.0, -1000.0, 3.0]), np.array([-5, -5, 2**40, 2**40])
    output, residuals = compile_layer(LAYERS["softmax"]).forward(values, groups)
    share = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(output, [share, 1 - share, 0, 1], rtol=1e-12)
    gradient = compile_layer(LAYERS["softmax"]).backward(residuals, np.array([1.0, 0, 0, 1])).x
    np.testing.assert_allclose(gradient, share * (1 - share) * np.array([1, -1, 0, 0]), atol=1e-12)


@pytest.mark.parametrize("kind", [ReduceMax, ReduceMin])
@pytest.mark.parametrize("ties", ["first", "split"])
def test_ties_within_a_group(kind, ties: str) -> None:
    fill = -oo if kind is ReduceMax else oo
    body = kind(chosen(x[e2], fill), e2, ties=ties)
    layer = Layer("tied", [x[E], dst[E]], [Eq(y[e], body)], integers=[dst])
    output, residuals = compile_layer(layer).forward(np.array([1.0, 2, 2, 0, 0]), np.array([7, 7, 7, -1, -1]))
    gradient = compile_layer(layer).backward(residuals, np.ones(5)).x
    if kind is ReduceMax:
        np.testing.assert_array_equal(output, [2, 2, 2, 0, 0])
        want = [0, 3, 0, 2, 0] if ties == "first" else [0, 1.5, 1.5, 1, 1]
    else:
        want = [3, 0, 0, 2, 0] if ties == "first" else [3, 0, 0, 1, 1]
    np.testing.assert_array_equal(gradient, want)


def test_a_row_at_the_position_of_the_largest_of_all() -> None:
    """The integer that places it has no index."""
    equations = [Eq(a[e, d], h[e, d] * 2), Eq(y[e], a[e, ArgMax(a[e2, 0], e2)])]
    layer = Layer("largest", [h[E, E]], [eq.subs(d, Idx("d", E)) for eq in equations], outputs=[y])
    assert as_declared(layer, {"h": np.random.default_rng(0).normal(size=(3, 3))})
