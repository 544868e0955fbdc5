"""Sums with a short last axis go along the axis before it as well, where both lie side by side: the fast schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sympy import Eq, Idx, IndexedBase, Sum, floor, symbols

import symgrad
from symgrad import Layer

N, H, W, C, R, S, T, stride = symbols("N H W C R S T stride", integer=True, positive=True)
x, w, y = (IndexedBase(name) for name in "xwy")
n, c, u, v, t = (Idx(*i) for i in (("n", N), ("c", C), ("u", R), ("v", S), ("t", T - R + 1)))
i, j = Idx("i", floor((H - R) / stride) + 1), Idx("j", floor((W - S) / stride) + 1)
IMAGES = Layer(
    "images",
    [x[N, H, W, C], w[R, S, C]],
    [Eq(y[n, i, j, c], Sum(x[n, stride * i + u, stride * j + v, c] * w[u, v, c], u, v))],
    attributes={stride: 1},
    typical={N: 16, H: 32, W: 32, C: 64, R: 3, S: 3},
)
STEPS = Layer(
    "steps",
    [x[N, T, C], w[R, C]],
    [Eq(y[n, t, c], Sum(x[n, t + u, c] * w[u, c], u))],
    typical={N: 16, T: 256, C: 64, R: 4},
)


def fast(layer: Layer) -> Any:
    return symgrad.compile_layer(layer, schedule="fast").module


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("turned", [False, True], ids=["contiguous", "turned"])
def test_images_are_gone_along_in_rows(step: int, turned: bool) -> None:
    module = fast(IMAGES)
    assert "_window_sums(" in symgrad.compile_layer(IMAGES, schedule="fast").source
    rng = np.random.default_rng(0)
    data, kernel = rng.normal(size=(5, 7, 8, 3)), rng.normal(size=(3, 2, 3))
    data = np.asfortranarray(data) if turned else data
    windows = sliding_window_view(data, (3, 2), axis=(1, 2))[:, ::step, ::step]
    want = np.einsum("nijcuv,uvc->nijc", windows, kernel)
    grad_y = rng.normal(size=want.shape)
    grad_x = np.zeros(data.shape)
    for p in range(3):
        for q in range(2):
            rows, columns = (
                slice(o, o + step * (e - 1) + 1, step) for o, e in zip((p, q), want.shape[1:3], strict=True)
            )
            grad_x[:, rows, columns] += grad_y * kernel[p, q]
    for part in (2**19, 40):
        module._PART = part
        for threads in (1, 2):
            found, residuals = module.forward(data, kernel, stride=step, threads=threads)
            np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-13)
            gradients = module.backward(residuals, grad_y, threads=threads)
            np.testing.assert_allclose(gradients.x, grad_x, rtol=1e-12, atol=1e-13)
            want_w = np.einsum("nijcuv,nijc->uvc", windows, grad_y)
            np.testing.assert_allclose(gradients.w, want_w, rtol=1e-11, atol=1e-12)


def test_steps_are_gone_along_in_rows() -> None:
    module = fast(STEPS)
    rng = np.random.default_rng(0)
    data, kernel = rng.normal(size=(4, 9, 5)), rng.normal(size=(3, 5))
    windows = sliding_window_view(data, 3, axis=1)
    found, residuals = module.forward(data, kernel)
    np.testing.assert_allclose(found, np.einsum("ntcu,uc->ntc", windows, kernel), rtol=1e-12, atol=1e-13)
    gradients = module.backward(residuals, np.ones_like(found))
    np.testing.assert_allclose(gradients.w, windows.sum(axis=(0, 1)).T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradients.x[:, 2:-2], np.broadcast_to(kernel.sum(axis=0), (4, 5, 5)), rtol=1e-12)


SHAPES = [(3, 4, 5, 6), (2, 3, 700, 4), (3, 1, 2), (2, 2500), (0, 3, 4), (2, 0, 3), (2, 3, 0), (2, 2, 2, 2, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["contiguous", "turned", "every second", "different"])
def test_products_are_summed_for_each_position_of_the_last_axis(shape: tuple[int, ...], kind: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, *shape))
    if kind == "turned":
        a = np.asfortranarray(a)
    elif kind == "every second":
        a = rng.normal(size=(*shape[:-1], 2 * shape[-1]))[..., ::2]
    elif kind == "different":
        b = rng.normal(size=(*shape[:-2], shape[-2] + 2, shape[-1]))[..., 1:-1, :]
    want = (a * b).sum(axis=tuple(range(len(shape) - 1)))
    np.testing.assert_allclose(fast(IMAGES)._last_dots(a, b), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length, called", [(8, False), (64, True)])
def test_long_rows_are_multiplied_by_blas(length: int, called: bool) -> None:
    rows = Layer("rows", [x[N, C], w[N, C]], [Eq(y[n], Sum(x[n, c] * w[n, c], c))], typical={N: 9, C: length})
    for schedule in ("readable", "fast"):
        compiled = symgrad.compile_layer(rows, schedule=schedule)
        assert ("np.vecdot(" in compiled.source) == called
        for extent in (0, 1, 7, 100):
            a, b = np.random.default_rng(0).normal(size=(2, 5, extent))
            found, _ = compiled.forward(a, b)
            np.testing.assert_allclose(found, (a * b).sum(axis=1), rtol=1e-12, atol=1e-13)


def test_rows_over_several_axes_are_put_together_in_the_fast_schedule() -> None:
    p, q = Idx("p", H), Idx("q", W)
    squares = Sum((x[n, p, q, c] - w[n]) ** 2, p, q, c)
    layer = Layer("spread", [x[N, H, W, C], w[N]], [Eq(y[n], squares)], typical={N: 8, H: 16, W: 16, C: 4})
    assert "np.vecdot(" in symgrad.compile_layer(layer, schedule="fast").source
    assert "np.einsum(" in symgrad.compile_layer(layer).source
    a, b = np.random.default_rng(0).normal(size=(3, 4, 5, 2)), np.arange(3.0)
    found, _ = fast(layer).forward(np.asfortranarray(a), b)
    np.testing.assert_allclose(found, ((a - b[:, None, None, None]) ** 2).sum(axis=(1, 2, 3)), rtol=1e-12)
