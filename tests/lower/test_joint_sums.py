"""Sums that would run over a joint space, over wrapped positions or over ranges that data give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Max, Min, Mod, Sum, exp, symbols

import symgrad
from symgrad import Layer, Padded

from ..agreement import Arrays, agrees, normals

M, N, D, T, B, K = symbols("M N D T B K", integer=True, positive=True)
x, y, c, w, g = (IndexedBase(name) for name in "xycwg")
ids, first, last = (IndexedBase(name) for name in ("ids", "first", "last"))
i, j, d, t, b, k = Idx("i", M), Idx("j", N), Idx("d", D), Idx("t", T), Idx("b", B), Idx("k", K)

DISTANCES = Layer("distances", [x[M, D], c[N, D]], [Eq(y[i, j], Sum((x[i, d] - c[j, d]) ** 2, d))])
WEIGHED = Layer("weighed", [x[M, D], c[N, D], w[D]], [Eq(y[i, j], Sum(w[d] * (3 * x[i, d] + c[j, d]) ** 2, d))])
PULLED = Layer("pulled", [x[M, D], c[N, D], g[M, N]], [Eq(y[i, d], Sum(g[i, j] * (x[i, d] - c[j, d]), j))])
KERNEL = Layer("kernel", [x[M, D], c[N, D]], [Eq(y[i], Sum(exp(-Sum((c[j, d] - x[i, d]) ** 2, d)), j))])


def every_pair(x: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.asarray(((x[:, None] - c) ** 2).sum(axis=2))


REFERENCES: dict[Layer, Any] = {
    DISTANCES: every_pair,
    WEIGHED: lambda x, c, w: ((3 * x[:, None] + c) ** 2) @ w,
    PULLED: lambda x, c, g: np.einsum("ij,ijd->id", g, x[:, None] - c),
    KERNEL: lambda x, c: np.exp(-every_pair(x, c)).sum(axis=1),
}


@pytest.mark.parametrize("layer", REFERENCES, ids=lambda layer: layer.name)
@pytest.mark.parametrize("general", [False, True])
def test_differences(layer: Layer, general: bool) -> None:
    shapes: dict[str, tuple[int, ...]] = {"x": (5, 4), "c": (3, 4), "w": (4,), "g": (5, 3)}
    arrays = normals(**{tensor.name: shapes[tensor.name] for tensor in layer.inputs})
    source = agrees(layer, arrays, REFERENCES[layer], general)
    assert general == ("@" not in source)


def test_a_common_offset_costs_no_digits() -> None:
    arrays = {name: (a + 1e4).astype(np.float32) for name, a in normals(x=(50, 16), c=(40, 16)).items()}
    wide = {name: a.astype(np.float64) for name, a in arrays.items()}
    compiled = symgrad.compile_layer(DISTANCES)
    got, residuals = compiled.forward(**arrays)
    np.testing.assert_allclose(got, every_pair(**wide), rtol=1e-4)
    cotangent = normals(g=(50, 40))["g"]
    gradients = compiled.backward(residuals, cotangent.astype(np.float32))
    want = 2 * np.einsum("ij,ijd->id", cotangent, wide["x"][:, None] - wide["c"])
    np.testing.assert_allclose(gradients.x, want, atol=1e-4 * np.abs(want).max())


def test_squared_distances_are_not_negative() -> None:
    arrays = {name: a.astype(np.float32) for name, a in normals(x=(30, 16)).items()}
    got, _ = symgrad.compile_layer(DISTANCES).forward(1e3 * arrays["x"], 1e3 * arrays["x"])
    assert (got >= 0).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.filterwarnings("error")
def test_differences_of_nothing(shape: tuple[int, int]) -> None:
    arrays = {"x": np.ones((shape[0], 4)), "c": np.ones((shape[1], 4))}
    compiled = symgrad.compile_layer(DISTANCES)
    got, residuals = compiled.forward(**arrays)
    assert got.shape == shape
    gradients = compiled.backward(residuals, np.zeros(shape))
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(gradients, name), np.zeros_like(array))


# --- positions that wrap -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("extent", [1, 2, 7])
def test_a_circulant_product(extent: int, general: bool) -> None:
    s = Idx("s", N)
    layer = Layer("circulant", [c[N], x[B, N]], [Eq(y[b, j], Sum(c[Mod(j - s, N)] * x[b, s], s))])

    def reference(c: np.ndarray, x: np.ndarray) -> np.ndarray:
        return x @ np.array([np.roll(c, s) for s in range(extent)])

    agrees(layer, normals(c=(extent,), x=(3, extent)), reference, general)


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_matrix_of_diagonals(sign: int, general: bool) -> None:
    """A long kernel read at ``i + j`` and at ``i - j``, with positions to spare at both ends."""
    layer = Layer(
        "diagonals",
        [c[M + N + 4], x[B, N]],
        [Eq(y[b, i], Sum(c[i + j + 2 if sign > 0 else i - j + N + 1] * x[b, j], j))],
    )

    def reference(c: np.ndarray, x: np.ndarray) -> np.ndarray:
        rows, columns = np.indices((len(c) - x.shape[1] - 4, x.shape[1]))
        return np.asarray(x @ c[rows + columns + 2 if sign > 0 else rows - columns + x.shape[1] + 1].T)

    agrees(layer, normals(c=(13,), x=(2, 4)), reference, general)


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("wrap", "wrap")])
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (6, 3)])
def test_borders_that_repeat(mode: str, numpy_mode: str, shape: tuple[int, int], general: bool) -> None:
    u, v = Idx("u", 5), Idx("v", 3)
    read = Padded(x, mode=mode)[b, i + u - 3, j + v]
    layer = Layer("bordered", [x[B, M, N], w[5, 3]], [Eq(y[b, i, j], Sum(w[u, v] * read, u, v) * x[b, i, j])])

    def reference(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        padded = np.pad(x, ((0, 0), (3, 1), (0, 2)), mode=numpy_mode)  # type: ignore[call-overload]
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 3), axis=(1, 2))
        return np.asarray(np.einsum("bijuv,uv->bij", windows, w) * x)

    agrees(layer, normals(x=(2, *shape), w=(5, 3)), reference, general)


def test_a_clipped_position_is_a_repeated_border() -> None:
    layer = Layer("clipped", [x[N]], [Eq(y[j], x[Max(0, Min(N - 1, j + 1))] - x[Min(Max(j - 2, 0), N - 1)])])

    def reference(x: np.ndarray) -> np.ndarray:
        padded = np.pad(x, (2, 1), mode="edge")
        return np.asarray(padded[3:] - padded[: len(x)])

    for extent in (1, 2, 6):
        source = agrees(layer, normals(x=(extent,)), reference)
    assert "np.minimum" not in source


# --- ranges and masks --------------------------------------------------------------------------------------------

BAGS = Layer(
    "bags",
    [x[T, D], first[B], last[B]],
    [Eq(y[b, d], Sum(x[t, d], (t, first[b], last[b])))],
    integers=["first", "last"],
)
RANGES = {
    "in order": ([0, 2, 5], [1, 4, 6]),
    "overlapping": ([0, 1, 0], [6, 3, 6]),
    "backwards, one empty": ([5, 3, 0], [6, 2, 1]),
    "one row": ([6], [6]),
    "all": ([0], [6]),
}


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_ranges_of_rows(ranges: tuple[list[int], list[int]], general: bool) -> None:
    def reference(x: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return np.array([x[a : z + 1].sum(axis=0) for a, z in zip(first, last, strict=True)])

    arrays: Arrays = {**normals(x=(7, 2)), "first": np.array(ranges[0]), "last": np.array(ranges[1])}
    agrees(BAGS, arrays, reference, general)


@pytest.mark.filterwarnings("error")
def test_what_a_length_excludes_is_not_looked_at() -> None:
    layer = Layer(
        "ragged", [x[B, T, D], ids[B]], [Eq(y[b, d], Sum(x[b, t, d], (t, 0, ids[b] - 1)) / ids[b])], integers=["ids"]
    )
    compiled = symgrad.compile_layer(layer)
    arrays = normals(x=(3, 4, 20))["x"]
    arrays[0, 2:] = np.nan
    arrays[2, 1:] = np.inf
    lengths = np.array([2, 4, 1])
    got, residuals = compiled.forward(arrays, lengths)
    np.testing.assert_allclose(got, [row[:n].mean(axis=0) for row, n in zip(arrays, lengths, strict=True)])
    gradient = compiled.backward(residuals, np.ones((3, 20))).x
    want = (np.arange(4) < lengths[:, None]) / lengths[:, None]
    np.testing.assert_allclose(gradient, np.repeat(want[:, :, None], 20, axis=2))
