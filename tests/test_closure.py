"""Derivatives of layers as layers: against the layer itself, differences of it, and torch's second derivatives."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, Symbol, exp, floor, log, symbols

import symgrad
from symgrad import CompiledLayer, Layer, Padded, compile_layer
from symgrad.declare.scalars import Apply, Reduce, Stopped, walk
from symgrad.errors import DerivationError

from . import points
from .agreement import as_tuple
from .points import point

STEP = 1e-5
NAMES = [n for n in points.NAMES if n in symgrad.catalogue() and point(n).wanted]
NAMES += ["squared_distances", "circulant_product", "segment_totals", "spatial_softmax", "soft_window_maxima"]
NAMES += ["laplacian_reflect", "heat_step"]


@cache
def compiled(name: str) -> CompiledLayer:
    return compile_layer(point(name).layer)


def normal_like(arrays: Any, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=np.shape(a))) for a in arrays]


def moved(name: str, tangents: dict[str, np.ndarray], step: float) -> list[np.ndarray]:
    """The layer's arrays, a step along the tangents."""
    return [a + step * tangents[k] if k in tangents else a for k, a in point(name).arrays.items()]


def close(got: float, want: float, tolerance: float) -> None:
    assert abs(got - want) <= tolerance * (1 + abs(want)), f"{got}, expected {want}"


def dot(left: Any, right: Any) -> float:
    return float(sum((a * b).sum() for a, b in zip(left, right, strict=True)))


@pytest.mark.parametrize("name", NAMES)
def test_the_vjp_is_a_layer_with_derivatives(name: str) -> None:
    here = point(name)
    outputs, residuals = compiled(name).forward(*here.arrays.values(), **here.attributes)
    cotangents = normal_like(as_tuple(outputs), 1)
    want = compiled(name).backward(residuals, *cotangents)
    pulled = compile_layer(symgrad.vjp(here.layer))
    got, kept = pulled.forward(*here.arrays.values(), *cotangents, **here.attributes)
    for gradient, expected in zip(as_tuple(got), want, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-11)

    tangents = dict(zip(here.wanted, normal_like([here.arrays[k] for k in here.wanted], 2), strict=True))
    sides = []
    for step in (STEP, -STEP):
        _, residuals = compiled(name).forward(*moved(name, tangents, step), **here.attributes)
        sides.append(compiled(name).backward(residuals, *cotangents))
    weights = normal_like(as_tuple(got), 3)
    numeric = dot(weights, [(up - down) / (2 * STEP) for up, down in zip(*sides, strict=True)])
    second = pulled.backward(kept, *weights)._asdict()
    names = [t.name for t in pulled.layer.inputs if not t.integer and not t.constant]
    by_input = dict(zip(names, second.values(), strict=True))
    close(dot([by_input[k] for k in tangents], tangents.values()), numeric, 1e-5)
    # The backward pass is linear in the cotangents.
    names = [t.name for t in pulled.layer.inputs][len(here.arrays) :]
    close(dot([by_input[k] for k in names], cotangents), dot(weights, as_tuple(got)), 1e-8)


def stops(name: str) -> bool:
    """Whether a gradient is declared not to be the slope."""
    return any(isinstance(p, Stopped) for e in point(name).layer.program.equations for p in walk(e.body))


@pytest.mark.parametrize("name", [name for name in NAMES if not stops(name)])
def test_the_jvp_is_the_slope_along_the_tangents(name: str) -> None:
    here = point(name)
    tangents = dict(zip(here.wanted, normal_like([here.arrays[k] for k in here.wanted], 2), strict=True))
    pushed = compile_layer(symgrad.jvp(here.layer))
    got, _ = pushed.forward(*here.arrays.values(), *tangents.values(), **here.attributes)
    up, down = (
        as_tuple(compiled(name).forward(*moved(name, tangents, step), **here.attributes)[0]) for step in (STEP, -STEP)
    )
    for tangent, above, below in zip(as_tuple(got), up, down, strict=True):
        np.testing.assert_allclose(tangent, (above - below) / (2 * STEP), rtol=1e-5, atol=1e-6)


PRODUCTS = ["softmax_cross_entropy", "layer_norm", "gelu", "conv1d", "mean_squared_error"]
PRODUCTS += ["connectionist_loss", "soft_dtw", "crf_log_partition"]


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_hessian_vector_product(name: str) -> None:
    """``jvp(vjp(f))`` at a constant cotangent is the Hessian of ``sum(cotangent * f)`` times the tangent."""
    here = point(name)
    outputs, _ = compiled(name).forward(*here.arrays.values(), **here.attributes)
    cotangents = normal_like(as_tuple(outputs), 1)
    twice = compile_layer(symgrad.jvp(symgrad.vjp(here.layer)))
    tangents = dict(zip(here.wanted, normal_like([here.arrays[k] for k in here.wanted], 2), strict=True))
    still = [np.zeros_like(c) for c in cotangents]
    got, _ = twice.forward(*here.arrays.values(), *cotangents, *tangents.values(), *still, **here.attributes)
    sides = []
    for step in (STEP, -STEP):
        _, residuals = compiled(name).forward(*moved(name, tangents, step), **here.attributes)
        sides.append(compiled(name).backward(residuals, *cotangents))
    for product, up, down in zip(as_tuple(got), *sides, strict=True):
        np.testing.assert_allclose(product, (up - down) / (2 * STEP), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["connectionist_loss", "soft_dtw", "softmax_cross_entropy", "log_softmax"])
def test_no_largest_exponent_is_taken_out_twice(name: str) -> None:
    """Derived layers grow by what is derived, not by stabilising again what is stable."""

    def maxima(layer: Layer) -> list[str]:
        return [e.target for e in layer.program.equations if any(map(is_maximum, walk(e.body)))]

    once = symgrad.vjp(point(name).layer)
    twice, pushed = symgrad.vjp(once), symgrad.jvp(once)
    assert maxima(once) == maxima(twice)
    assert set(maxima(pushed)) <= set(maxima(once))


def is_maximum(node: Any) -> bool:
    return isinstance(node, Apply | Reduce) and "max" in (getattr(node, "function", ""), getattr(node, "kind", ""))


def test_a_row_without_exponents_has_no_gradient() -> None:
    """All of them are -oo: the largest is not subtracted, in derived layers either."""
    n, m = symbols("N M", integer=True, positive=True)
    i, j = Idx("i", n), Idx("j", m)
    x, mask, y = IndexedBase("x"), IndexedBase("mask"), IndexedBase("y")
    body = log(Sum(exp(x[i, j] + log(mask[i, j])), j))
    layer = Layer("masked", [x[n, m], mask[n, m]], [Eq(y[i], body)], constants=[mask])
    arrays = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[1.0, 0.0], [0.0, 0.0]])
    pulled = compile_layer(symgrad.vjp(layer))
    gradient, residuals = pulled.forward(*arrays, np.ones(2))
    np.testing.assert_allclose(gradient, [[1, 0], [0, 0]], atol=1e-15)
    assert not np.isnan(pulled.backward(residuals, np.ones((2, 2))).x).any()
    tangent, _ = compile_layer(symgrad.jvp(layer)).forward(*arrays, np.ones((2, 2)))
    np.testing.assert_allclose(tangent, [1, 0], atol=1e-15)


def test_second_derivatives_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, w, b = (np.asarray(rng.normal(size=s)) for s in ((2, 3, 6, 6), (4, 3, 3, 3), (4,)))
    g = np.asarray(rng.normal(size=(2, 4, 3, 3)))
    pulled = compile_layer(symgrad.vjp(symgrad.layers.conv2d))
    gradients, residuals = pulled.forward(x, w, b, g, stride=2, padding=1)
    weights = normal_like(gradients, 5)
    second = pulled.backward(residuals, *weights)
    tx, tw, tb, tg = (torch.tensor(a, requires_grad=True) for a in (x, w, b, g))
    y = torch.nn.functional.conv2d(tx, tw, tb, stride=2, padding=1)
    first = torch.autograd.grad(y, (tx, tw, tb), tg, create_graph=True)
    total = sum((torch.tensor(v) * f).sum() for v, f in zip(weights, first, strict=True))
    want = torch.autograd.grad(total, (tx, tw, tb, tg), allow_unused=True)
    for got, expected in zip(second, want, strict=True):
        np.testing.assert_allclose(got, np.zeros_like(got) if expected is None else expected.numpy(), atol=1e-9)


@pytest.mark.parametrize("derivative", [symgrad.vjp, symgrad.jvp])
def test_a_layer_of_constants_has_none(derivative: Any) -> None:
    with pytest.raises(DerivationError, match="every input is constant"):
        derivative(symgrad.layers.batch_norm_running_step)


def test_the_second_derivative_of_a_power_of_padded_windows() -> None:
    """Two reads with borders of their own, of one tensor, along two axes."""
    extents = symbols("N M", integer=True, positive=True)
    stride, padding = Symbol("stride", integer=True, positive=True), Symbol("padding", integer=True, nonnegative=True)
    i, j = (Idx(name, floor((e + 2 * padding - 2) / stride) + 1) for name, e in zip("ij", extents, strict=True))
    u, v = Idx("u", 2), Idx("v", 2)
    x, y = IndexedBase("x"), IndexedBase("y")
    body = Sum(Padded(x)[stride * i + u - padding, stride * j + v - padding] ** 2, u, v) ** 2
    attributes = {stride: 2, padding: 0}
    layer = Layer("windows", [x[extents]], [Eq(y[i, j], body)], attributes=attributes, requires=[padding < 2])
    report = symgrad.check_layer(symgrad.vjp(layer), cases=2)
    assert report.ok, str(report)


def test_a_factor_of_a_step_stays_behind_the_condition_of_the_step():
    """gate[t] does not depend on the index of the sum, but there is no gate behind the last step."""
    M, T = symbols("M T", integer=True, positive=True)
    x, r, gate, h = (IndexedBase(name) for name in ("x", "r", "gate", "h"))
    t, m, i = Idx("t", T), Idx("m", M), Idx("i", M)
    past = Piecewise((0, Eq(t, 0)), (h[t - 1, i], True))
    layer = Layer("gated", [x[T, M], gate[T, M], r[M, M]], [Eq(h[t, m], x[t, m] + Sum(r[m, i] * gate[t, i] * past, i))])
    assert symgrad.check_layer(symgrad.vjp(layer), cases=2).ok
