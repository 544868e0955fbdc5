"""Windows along the last axis as products with band matrices, or in one fused pass: the numbers of the direct form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, floor, symbols

import symgrad
from symgrad import Layer, Padded, layers

N, C, H, W, R, S = symbols("N C H W R S", integer=True, positive=True)
stride, dilation = symbols("stride dilation", integer=True, positive=True)
x, w, y = (IndexedBase(name) for name in "xwy")
n, c, u, v = Idx("n", N), Idx("c", C), Idx("u", R), Idx("v", S)
i, j, t = Idx("i", H - R + 1), Idx("j", W - S + 1), Idx("t", W)
p = Idx("p", floor((W - dilation * (S - 1) - 1) / stride) + 1)
q, r = Idx("q", floor((W + 2 - R) / stride) + 1), Idx("r", floor((W + 2 - S) / stride) + 1)


def layer(name: str, inputs: list[Any], right: Any, left: Any, **options: Any) -> Layer:
    sizes = {str(extent) for read in inputs for extent in read.indices}
    typical = {name: 3 for name in ("R", "S") if name in sizes}
    return Layer(name, inputs, [Eq(left, right)], typical=typical, **options)


IMAGES = [x[N, C, H, W], w[C, R, S]]
BANDS = [
    layer("images", IMAGES, Sum(x[n, c, i + u, j + v] * w[c, u, v], u, v), y[n, c, i, j]),
    layer("flipped", IMAGES, Sum(x[n, c, i + u, j + S - 1 - v] * w[c, u, v], u, v), y[n, c, i, j]),
    layer("turned", IMAGES, Sum(x[n, c, i + u, j + v] * w[c, u, v], u, v), y[j, c, n, i]),
    layer("same_kernel", [x[N, C, W], w[S]], Sum(x[n, c, j + v] * w[v], v), y[n, c, j]),
    layer("border", [x[N, C, W], w[C, S]], Sum(Padded(x, 2)[n, c, t + v - 1] * w[c, v], v), y[n, c, t]),
    layer(
        "steps",
        [x[N, C, W], w[C, S]],
        3 * Sum(x[n, c, stride * p + dilation * v] * w[c, v], v),
        y[n, c, p],
        attributes={stride: 1, dilation: 1},
    ),
]
FUSED = [
    layer("last", [x[N, H, W, C], w[R, S, C]], Sum(x[n, i + u, j + v, c] * w[u, v, c], u, v), y[n, i, j, c]),
    layer(
        "last_in_steps",
        [x[N, W, W, C], w[R, S, C]],
        Sum(Padded(x)[n, stride * q + u - 1, stride * r + v - 1, c] * w[u, v, c], u, v),
        y[n, q, r, c],
        attributes={stride: 1},
    ),
]


def compared(declared: Layer, extents: dict[str, int], spoil: bool = False, **attributes: int) -> None:
    """Both schedules on random arrays; ``spoil`` puts values in that are not finite."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=[extents[str(e)] for e in t.shape]) for t in declared.inputs]
    if spoil:
        arrays[0].flat[[3, -5]] = np.inf, np.nan
    readable, fast = (symgrad.compile_layer(declared, schedule=s) for s in ("readable", "fast"))
    with np.errstate(invalid="ignore"):
        wanted, residuals = readable.forward(*arrays, **attributes)
        found, kept = fast.forward(*arrays, **attributes, **options(fast.module.forward))
        grad_y = rng.normal(size=wanted.shape)
        gradients = readable.backward(residuals, grad_y)
        others = fast.backward(kept, grad_y)
    for name, one, other in zip(("y", *gradients._fields), (wanted, *gradients), (found, *others), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-11, atol=1e-11, err_msg=name)


def options(function: Any) -> dict[str, int]:
    return {"threads": 1} if "threads" in function.__code__.co_varnames else {}


@pytest.mark.parametrize("declared", BANDS, ids=lambda d: d.name)
@pytest.mark.parametrize("width", [3, 9, 32, 71])
def test_band_matrices_give_what_offsets_give(declared, width):
    assert "_bands" in symgrad.compile_layer(declared, schedule="fast").source
    compared(declared, {"N": 2, "C": 3, "H": 5, "W": width, "R": 2, "S": 3})


@pytest.mark.parametrize("attributes", [{"stride": 2}, {"stride": 3, "dilation": 2}, {"stride": 5, "dilation": 4}])
def test_steps_of_any_length(attributes):
    compared(BANDS[-1], {"N": 2, "C": 3, "W": 83, "S": 4}, **attributes)


def test_offsets_go_one_by_one_where_bands_would_be_zeros_mostly_or_rows_are_long():
    module = symgrad.compile_layer(BANDS[-1], schedule="fast").module
    kernel = np.ones((2, 3))
    assert module._bands(kernel, 1, 1, 40).shape == (2, 34, 32)
    for step, dilation, windows in ((1, 500, 4000), (60, 1, 4000), (1, 1, 4000)):
        assert module._bands(kernel, step, dilation, windows).shape == (2, 2 * dilation + 1, 1)


@pytest.mark.parametrize("spoil", [False, True])
@pytest.mark.parametrize("attributes", [{}, {"stride": 30}, {"dilation": 40}, {"stride": 41, "dilation": 50}])
def test_long_rows_and_long_steps(attributes, spoil):
    compared(BANDS[-1], {"N": 2, "C": 3, "W": 700, "S": 3}, spoil, **attributes)


def test_long_rows_of_images_and_of_one_kernel():
    compared(BANDS[0], {"N": 2, "C": 3, "H": 5, "W": 500, "R": 2, "S": 3})
    compared(BANDS[2], {"N": 2, "C": 3, "H": 5, "W": 500, "R": 2, "S": 3})
    compared(BANDS[3], {"N": 2, "C": 3, "W": 500, "S": 3})


@pytest.mark.parametrize("declared", BANDS, ids=lambda d: d.name)
def test_what_is_not_finite_stays_in_its_windows(declared):
    compared(declared, {"N": 2, "C": 3, "H": 6, "W": 40, "R": 2, "S": 3}, spoil=True)


def test_gradients_of_images():
    report = symgrad.check_layer(layers.depthwise_conv2d, schedule="fast")
    assert report.ok, report


@pytest.mark.parametrize("declared", FUSED, ids=lambda d: d.name)
def test_fused_offsets_give_what_offsets_give(declared):
    source = symgrad.compile_layer(declared, schedule="fast").source
    assert "cu->" in source or "_window_sums(" in source
    compared(declared, {"N": 2, "C": 3, "H": 6, "W": 7, "R": 2, "S": 3})
    compared(declared, {"N": 2, "C": 3, "H": 6, "W": 7, "R": 2, "S": 3}, spoil=True)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_fused_offsets_where_steps_are_1(step):
    source = symgrad.compile_layer(FUSED[1], schedule="fast").source
    assert "if stride == 1:" in source.partition("def backward")[2]
    compared(FUSED[1], {"N": 2, "C": 3, "W": 9, "R": 3, "S": 2}, stride=step)


def test_readable_modules_have_neither():
    source = symgrad.compile_layer(layers.depthwise_conv2d).source
    assert "_bands" not in source and "einsum" in source
