"""Products with windows in tiles of F(m, r): the same numbers as the direct form, whatever the order of axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Sum, floor, symbols

import symgrad
from symgrad import Layer, Padded, layers
from symgrad.compiler import CompiledLayer, show_stage
from symgrad.lower import tiles

A, N, C, H, W, K, R, S = symbols("A N C H W K R S", integer=True, positive=True)
stride, step = symbols("stride step", integer=True, positive=True)
x, z, w, b, y = (IndexedBase(name) for name in "xzwby")
a, n, c, k, u, v = Idx("a", A), Idx("n", N), Idx("c", C), Idx("k", K), Idx("u", R), Idx("v", S)
i, j, h = Idx("i", H - R + 1), Idx("j", W - S + 1), Idx("h", H)
o = Idx("o", H + R - 1)
p = Idx("p", floor((H - R) / stride) + 1)
t, m = Idx("t", R), Idx("m", H - R + 1)
ROWS, IMAGES = {"R": 3}, {"R": 3, "S": 3}


def layer(name: str, inputs: list[Any], left: Any, right: Any, typical: dict[str, int], **options: Any) -> Layer:
    return Layer(name, inputs, [Eq(left, right)], typical=typical, **options)


IN_TILES = [
    layer("rows", [x[N, C, H], w[K, C, R]], y[n, k, i], Sum(x[n, c, i + u] * w[k, c, u], c, u), ROWS),
    layer(
        "channels_last",
        [x[N, H, W, C], w[R, S, C, K]],
        y[n, i, j, k],
        Sum(x[n, i + u, j + v, c] * w[u, v, c, k], c, u, v),
        IMAGES,
    ),
    layer(
        "batch_last",
        [x[C, W, H, N], w[S, K, R, C]],
        y[k, j, n, i],
        Sum(x[c, j + v, i + u, n] * w[v, k, u, c], c, u, v),
        IMAGES,
    ),
    layer(
        "volumes",
        [x[N, C, H, W, H], w[K, C, R, S, R]],
        y[n, k, i, j, m],
        Sum(x[n, c, i + u, j + v, m + t] * w[k, c, u, v, t], c, u, v, t),
        IMAGES,
    ),
    layer("causal", [x[N, C, H], w[K, C, R]], y[n, k, h], Sum(Padded(x)[n, c, h + u - R + 1] * w[k, c, u], c, u), ROWS),
    layer("ahead", [x[N, C, H], w[K, C, R]], y[n, k, h], Sum(Padded(x)[n, c, h + u] * w[k, c, u], c, u), ROWS),
    layer("ones", [x[N, C, H], w[K, C, R]], y[n, k, h], Sum(Padded(x, 1)[n, c, h + u - 1] * w[k, c, u], c, u), ROWS),
    layer("flipped", [x[N, C, H], w[K, C, R]], y[n, k, i], Sum(x[n, c, i + R - 1 - u] * w[k, c, u], c, u), ROWS),
    layer("holes", [x[N, C, H], w[K, C, R]], y[n, k, h], Sum(Padded(x)[n, c, h + 2 * u] * w[k, c, u], c, u), ROWS),
    layer(
        "holes_behind",
        [x[N, C, H], w[K, C, R]],
        y[n, k, h],
        Sum(Padded(x)[n, c, h - step * u] * w[k, c, u], c, u),
        ROWS,
        attributes={step: 3},
    ),
    layer(
        "full",
        [x[N, C, H], w[C, K, R]],
        y[n, k, o],
        Sum(x[n, c, h] * w[c, k, u] * KroneckerDelta(h + u, o), c, h, u),
        ROWS,
    ),
    layer(
        "steps",
        [x[N, C, H], w[K, C, R], b[K]],
        y[n, k, p],
        2 * Sum(x[n, c, stride * p + u] * w[k, c, u], c, u) - b[k],
        ROWS,
        attributes={stride: 1},
    ),
    layer(
        "steps_of_few",
        [x[N, C, H], w[K, C, R]],
        y[n, k, p],
        Sum(x[n, c, stride * p + u] * w[k, c, u], c, u),
        {"R": 3, "H": 7},
        attributes={stride: 1},
    ),
    layer(
        "twice",
        [x[N, C, H], z[N, C, H], w[K, C, R]],
        y[n, k, i],
        Sum(x[n, c, i + u] * w[k, c, u], c, u) - Sum(z[n, c, i + u] * w[k, c, u], c, u),
        ROWS,
    ),
]
DIRECT = [
    layer("batches", [x[A, N, C, H], w[K, C, R]], y[a, n, k, i], Sum(x[a, n, c, i + u] * w[k, c, u], c, u), ROWS),
    layer("digits", [x[N, C, R * H], w[K, C, H]], y[n, k, u], Sum(x[n, c, H * u + h] * w[k, c, h], c, h), ROWS),
    layer("each_alone", [x[N, C, H], w[C, R]], y[n, c, i], Sum(x[n, c, i + u] * w[c, u], u), ROWS),
    layer("groups", [x[A, N, C, H], w[A, K, C, R]], y[a, n, k, i], Sum(x[a, n, c, i + u] * w[a, k, c, u], c, u), ROWS),
]
ALONE = layer("alone", [x[H, C], w[R, C, K]], y[i, k], Sum(x[i + u, c] * w[u, c, k], c, u), ROWS)
SHAPES = [
    {"A": 2, "N": 3, "C": 2, "H": 9, "W": 7, "K": 4, "R": 3, "S": 3},
    {"A": 1, "N": 1, "C": 1, "H": 3, "W": 3, "K": 1, "R": 3, "S": 3},
    {"A": 2, "N": 2, "C": 5, "H": 8, "W": 13, "K": 3, "R": 5, "S": 2},
    {"A": 1, "N": 2, "C": 3, "H": 4, "W": 5, "K": 2, "R": 4, "S": 5},
    {"A": 2, "N": 2, "C": 3, "H": 21, "W": 9, "K": 2, "R": 2, "S": 4},
    {"A": 1, "N": 2, "C": 2, "H": 15, "W": 11, "K": 3, "R": 7, "S": 6},
]
EMPTY = [{**SHAPES[0], name: 0} for name in ("N", "C", "K")] + [{**SHAPES[0], "H": 2, "W": 2}]


@pytest.fixture(autouse=True)
def _at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the compiler take tiles for kernels of any number of elements."""
    monkeypatch.setattr(tiles, "ELEMENTS", 1)


def arrays_for(layer: Layer, sizes: dict[str, int], dtype: type = np.float64) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = [
        tuple(int(extent.subs({s: sizes[s.name] for s in extent.free_symbols})) for extent in tensor.shape)
        for tensor in layer.inputs
    ]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def everywhere(compiled: CompiledLayer, pick: Callable[[list[int]], int] = max) -> Counter[str]:
    """Let the module take tiles at any size, of the extents that are picked, and count its calls of them."""
    module, calls = compiled.module, Counter[str]()
    if hasattr(module, "_tiling"):
        options = {r: [m for m, other in module._TILES if other == r] for _, r in module._TILES}

        def tiling(
            kernel: tuple[int, ...], channels: tuple[int, ...], _: int, count: int, windows: tuple[int, ...]
        ) -> tuple[int, ...] | None:
            given = all(r in options for r in kernel) and all((*channels, count, *windows))
            return tuple(pick(options[r]) for r in kernel) if given else None

        module._tiling = tiling
    for name in ("_correlate", "_correlate_transposed"):
        if hasattr(module, name):
            setattr(module, name, counted(getattr(module, name), calls))
    return calls


def counted(function: Callable[..., None], calls: Counter[str]) -> Callable[..., None]:
    name = function.__name__

    def call(*arrays: np.ndarray) -> None:
        calls[name] += 1
        function(*arrays)

    return call


def results(compiled: CompiledLayer, arrays: list[np.ndarray], **attributes: int) -> list[np.ndarray]:
    """Outputs and gradients."""
    output, residuals = compiled.forward(*arrays, **attributes)
    cotangent = np.random.default_rng(4).normal(size=output.shape).astype(output.dtype)
    return [output, *compiled.backward(residuals, cotangent)]


def same(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float) -> None:
    for got, want in zip(found, expected, strict=True):
        assert (got.shape, got.dtype, got.flags.c_contiguous) == (want.shape, want.dtype, want.flags.c_contiguous)
        scale = max(1.0, float(np.abs(want).max(initial=0.0)))
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)


def both(layer: Layer, pick: Callable[[list[int]], int] = max) -> tuple[CompiledLayer, CompiledLayer, Counter[str]]:
    fast = symgrad.compile_layer(layer, schedule="fast")
    return fast, symgrad.compile_layer(layer), everywhere(fast, pick)


@pytest.mark.parametrize("pick", [min, max])
@pytest.mark.parametrize("layer", IN_TILES, ids=lambda layer: layer.name)
def test_tiles_are_the_direct_form(layer: Layer, pick: Callable[[list[int]], int]) -> None:
    fast, plain, calls = both(layer, pick)
    for sizes in SHAPES:
        for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
            if layer.name == "volumes" and dtype is np.float32 and sizes["R"] > 3:
                continue  # modules do not take tiles of so many products, for their errors
            arrays = arrays_for(layer, sizes, dtype)
            same(results(fast, arrays), results(plain, arrays), tolerance)
    runs = 2 * len(SHAPES) - sum(layer.name == "volumes" and sizes["R"] > 3 for sizes in SHAPES)
    assert calls["_correlate"] >= 2 * runs, "forward and the gradient of the data"
    assert calls["_correlate_transposed"] >= runs, "the gradient of kernels"


@pytest.mark.parametrize("layer", [*IN_TILES, *DIRECT, ALONE], ids=lambda layer: layer.name)
def test_empty_extents(layer: Layer) -> None:
    fast, plain, _ = both(layer)
    for sizes in EMPTY:
        arrays = arrays_for(layer, sizes)
        same(results(fast, arrays), results(plain, arrays), 1e-12)


@pytest.mark.parametrize("layer", DIRECT, ids=lambda layer: layer.name)
def test_other_products_keep_the_direct_form(layer: Layer) -> None:
    fast, plain, _ = both(layer)
    assert "_correlate(" not in fast.source
    for sizes in SHAPES:
        arrays = arrays_for(layer, sizes)
        same(results(fast, arrays), results(plain, arrays), 1e-12)


def test_one_example_alone() -> None:
    """Tiles, or parts along channels."""
    fast, plain, _ = both(ALONE)
    for sizes in SHAPES:
        arrays = arrays_for(ALONE, sizes)
        same(results(fast, arrays), results(plain, arrays), 1e-12)


def test_steps_and_long_kernels_take_the_direct_form() -> None:
    layer = next(l for l in IN_TILES if l.name == "steps")
    fast, plain, calls = both(layer)
    for extent, step in ((3, 2), (8, 1), (1, 1)):
        arrays = arrays_for(layer, {**SHAPES[0], "R": extent})
        same(results(fast, arrays, stride=step), results(plain, arrays, stride=step), 1e-12)
    assert not calls


def test_tiles_are_those_that_take_the_least_work() -> None:
    tiling = symgrad.compile_layer(layers.conv2d, schedule="fast").module._tiling
    assert tiling((3, 3), (64, 64), 64, 16, (32, 32)) == (4, 4)
    assert tiling((3, 3), (512, 512), 512, 4, (14, 14)) == (2, 2), "kernels weigh more than data"
    assert tiling((3, 3), (256, 256), 256, 1, (14, 14)) is None, "too few windows for so many kernels"
    assert tiling((3, 3), (3, 64), 3, 16, (32, 32)) is None, "few channels: transforms weigh more than products"
    assert tiling((7, 7), (64, 64), 64, 16, (32, 32)) == (2, 2)
    assert tiling((8, 8), (64, 64), 64, 16, (32, 32)) is None, "no tiles for such kernels"
    assert tiling((3, 3), (64, 64), 64, 0, (32, 32)) is None
    assert tiling((3, 3, 3), (64, 64), 64, 16, (12, 12, 12)) == (4, 4, 4)
    assert tiling((5, 5, 5), (64, 64), 64, 16, (12, 12, 12)) is None, "errors would be felt"
    assert tiling((3, 5), (64, 64), 64, 16, (2, 32)) == (2, 4), "chosen along each axis"
    assert tiling((3, 3), (64, 24), 64, 128, (13, 13)) == (4, 4)
    assert tiling((3, 3), (64, 24), 24, 128, (13, 13)) is None, "the direct form copies products instead of data"


def test_parts_of_tiles_are_larger_than_those_of_windows() -> None:
    """Windows are not copied: what fills the cache is the image. More is done to it, so a thread is woken for less."""
    source = symgrad.compile_layer(layers.conv2d, schedule="fast").source
    assert "_in_parts(part, N, C * H * W if tile else C * I * J * R * S, threads, least=1 if tile else 3)" in source
    assert "if tile and tile_2 else" in source


def test_parts_stay_small_where_a_term_beside_the_tiles_has_windows() -> None:
    """Of two terms with windows one goes in tiles: the other is copied into windows all the same."""
    layer = next(l for l in IN_TILES if l.name == "twice")
    forward = symgrad.compile_layer(layer, schedule="fast").source.split("def backward")[0]
    assert "_correlate(" in forward
    assert " if tile else " not in next(line for line in forward.split("\n") if "_in_parts(part" in line)


def test_windows_along_one_axis_take_tiles_where_channels_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tiling = symgrad.compile_layer(layers.conv1d, schedule="fast").module._tiling
    assert tiling((3,), (256, 256), 256, 4, (256,)) == (4,)
    assert tiling((3,), (64, 64), 64, 16, (256,)) is None, "products are short beside what is copied"
    assert tiling((5,), (128, 128), 128, 16, (256,)) == (4,)


def test_readable_modules_have_no_tiles() -> None:
    assert "_correlate(" not in symgrad.compile_layer(layers.conv2d).source


def test_the_reason_names_the_tiles_and_what_they_save() -> None:
    text = show_stage(layers.conv2d, "lower", schedule="fast")
    assert "F(4, 3) along i" in text
    assert "16 multiplications for 36 or 36 multiplications for 144" in text
    assert "is proved" in text


def test_the_reason_names_the_steps_of_windows() -> None:
    text = show_stage(layers.conv2d, "lower", schedule="fast")
    assert "along j, in steps of dilation:" in text
    assert ", transposed, in steps of dilation:" in text


CONVOLUTIONS: list[tuple[str, dict[str, int], tuple[tuple[int, ...], ...]]] = [
    ("conv1d", {"padding": 1}, ((2, 5, 19), (4, 5, 3), (4,))),
    ("conv2d", {"padding": 1}, ((2, 5, 11, 8), (4, 5, 3, 3), (4,))),
    ("conv2d", {"padding": 4}, ((2, 5, 6, 8), (4, 5, 3, 2), (4,))),
    ("conv2d", {"padding": 1, "stride": 2}, ((2, 5, 11, 8), (4, 5, 3, 3), (4,))),
    ("conv2d", {"padding": 1, "dilation": 2}, ((2, 5, 11, 8), (4, 5, 3, 3), (4,))),
    ("conv1d", {"padding": 7, "dilation": 3}, ((2, 5, 19), (4, 5, 5), (4,))),
    ("conv3d", {"padding": 2, "dilation": 2}, ((2, 5, 5, 6, 7), (4, 5, 3, 3, 3), (4,))),
    ("transposed_conv1d", {"padding": 1}, ((2, 5, 19), (5, 4, 3), (4,))),
    ("transposed_conv2d", {"padding": 0}, ((2, 5, 9, 6), (5, 4, 3, 5), (4,))),
    ("transposed_conv2d", {"padding": 1, "stride": 2, "output_padding": 1}, ((2, 5, 9, 6), (5, 4, 3, 3), (4,))),
]


@pytest.mark.parametrize(("name", "options", "shapes"), CONVOLUTIONS, ids=lambda value: str(value))
def test_the_catalogue_against_torch(name: str, options: dict[str, int], shapes: tuple[tuple[int, ...], ...]) -> None:
    torch = pytest.importorskip("torch")
    compiled = symgrad.compile_layer(getattr(layers, name), schedule="fast")
    calls = everywhere(compiled)
    rng = np.random.default_rng(5)
    arrays = [rng.normal(size=shape) for shape in shapes]
    found = results(compiled, arrays, **options)
    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
    function = name.replace("transposed_conv", "conv_transpose")
    output = getattr(torch.nn.functional, function)(*tensors, **options)
    output.backward(torch.from_numpy(np.random.default_rng(4).normal(size=tuple(output.shape))))
    for got, want in zip(found, (output.detach(), *(t.grad for t in tensors)), strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-11, atol=1e-11)
    assert bool(calls) == (options.get("stride", 1) == 1)


@pytest.mark.parametrize("name", ["true_conv1d", "true_conv2d"])
def test_kernels_read_backwards(name: str) -> None:
    fast, plain, calls = both(getattr(layers, name))
    shapes = ((3, 4, 12), (2, 4, 3), (2,)) if name == "true_conv1d" else ((3, 4, 12, 9), (2, 4, 3, 5), (2,))
    arrays = [np.random.default_rng(6).normal(size=shape) for shape in shapes]
    same(results(fast, arrays, padding=1), results(plain, arrays, padding=1), 1e-12)
    assert calls["_correlate"] == 2
    assert calls["_correlate_transposed"] == 1


def test_chunks_of_images_are_the_whole() -> None:
    """More images than stay in cache at once."""
    layer = next(l for l in IN_TILES if l.name == "channels_last")
    fast, plain, calls = both(layer)
    arrays = arrays_for(layer, {**SHAPES[0], "N": 7, "C": 16, "K": 17, "H": 47, "W": 45}, np.float32)
    same(results(fast, arrays), results(plain, arrays), 2e-5)
    assert calls


def test_rows_of_tiles_of_an_image_too_large_for_the_cache_are_the_whole() -> None:
    layer = next(l for l in IN_TILES if l.name == "channels_last")
    fast, plain, calls = both(layer)
    chunks: list[tuple[int, ...]] = []
    into = fast.module._into_tiles

    def recorded(x: np.ndarray, *others: Any) -> np.ndarray:
        chunks.append(x.shape)
        return into(x, *others)

    fast.module._into_tiles = recorded
    arrays = arrays_for(layer, {**SHAPES[0], "N": 2, "C": 16, "K": 17, "H": 13, "W": 2401}, np.float64)
    same(results(fast, arrays), results(plain, arrays), 1e-12)
    assert calls
    assert max(shape[0] for shape in chunks) == 1
    assert max(shape[1] for shape in chunks) < 13


@pytest.mark.parametrize("layer", [l for l in IN_TILES if l.name != "batch_last"], ids=lambda layer: layer.name)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300], ids=str)
def test_what_is_not_finite_goes_where_the_formula_takes_it(layer: Layer, value: float) -> None:
    """Not to the rest of its tile; numbers too large for transforms alone are products all the same."""
    fast, plain, calls = both(layer)
    for place in range(2):
        arrays = arrays_for(layer, SHAPES[2])
        arrays[place].flat[arrays[place].size // 2] = value
        with np.errstate(all="ignore"):
            found, expected = results(fast, arrays), results(plain, arrays)
        kept = 1 if layer.inputs[place].name == "w" else None  # borders of gradients are zeros times kernels
        for got, want in zip(found[:kept], expected[:kept], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
    assert calls


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("side", [16, 32])
def test_images_whose_channels_are_a_power_of_two_apart(side: int, padding: int) -> None:
    fast, plain, calls = both(layers.conv2d)
    rng = np.random.default_rng(8)
    arrays = [rng.normal(size=shape) for shape in ((2, 16, side, side), (18, 16, 3, 3), (18,))]
    found, expected = (map(np.ascontiguousarray, results(c, arrays, padding=padding)) for c in (fast, plain))
    same([*found], [*expected], 1e-12)
    assert calls["_correlate"] == 2


def test_no_window_in_many_images_of_many_channels() -> None:
    """Not even where the costs of both forms say nothing."""
    arrays = [np.ones(shape) for shape in ((64, 16, 2, 2), (16, 16, 3, 3), (16,))]
    fast, plain = (symgrad.compile_layer(layers.conv2d, schedule=s) for s in ("fast", "readable"))
    assert fast.module._tiling((3, 3), (16, 16), 16, 64, (0, 0))
    same(results(fast, arrays), results(plain, arrays), 0)


@pytest.mark.parametrize("value", [1.0, np.nan])
@pytest.mark.parametrize("padding", [1, 2, 5])
def test_zeros_around_images_are_put_where_tiles_are_copied(padding: int, value: float) -> None:
    """More of them than a kernel reads too, of which the gradient of the data leaves some out."""
    fast, plain, calls = both(layers.conv2d)
    assert "_correlate(y_part.transpose(0, 2, 3, 1), x_part.transpose" in " ".join(fast.source.split()).replace(
        "( ", "("
    )
    rng = np.random.default_rng(9)
    arrays = [rng.normal(size=shape) for shape in ((3, 16, 9, 11), (17, 16, 3, 3), (17,))]
    arrays[0][1, 2, 3, 4] *= value
    found, expected = (results(c, arrays, padding=padding) for c in (fast, plain))
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
    assert calls["_correlate"] == 2


def test_borders_of_other_values_stay() -> None:
    layer = next(l for l in IN_TILES if l.name == "ones")
    assert "_extended(x_part, ((0, 0), (0, 0), (1, R - 2)), 1)" in symgrad.compile_layer(layer, schedule="fast").source
