"""Arrays that hold one element of each row, at a place that data give, are not made where the element alone will do."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Sum, exp, log, symbols

from symgrad import Layer, ReduceMax, ReduceMin, compile_layer

from ..agreement import SCHEDULES, as_declared, normals

D, K, M, N, P = symbols("D K M N P", integer=True, positive=True)
b, c, h, w, x, y, labels, loss = (IndexedBase(name) for name in ("b", "c", "h", "w", "x", "y", "labels", "loss"))
d, k, i, j, p, j2 = Idx("d", D), Idx("k", K), Idx("i", M), Idx("j", N), Idx("p", P), Idx("j2", N)

LAYERS = {
    "nearest": Layer("nearest", [x[M, D], c[N, D]], [Eq(y[i], ReduceMin(Sum((x[i, d] - c[j, d]) ** 2, d), j))]),
    "weighted": Layer("weighted", [x[M, D], c[N, D], w[N]], [Eq(y[i], ReduceMax(w[j] * Sum(x[i, d] * c[j, d], d), j))]),
    "shares": Layer(
        "shares",
        [x[M, N], labels[M]],
        [Eq(y[i, j], log(exp(x[i, j]) / Sum(exp(x[i, j2]), j2))), Eq(loss[i], y[i, labels[i]] * 3)],
        integers=[labels],
        outputs=[loss],
    ),
    "unread": Layer(
        "unread",
        [x[M, N], labels[M]],
        [Eq(y[i, j], exp(x[i, j])), Eq(loss[i], Sum(y[i, j] * KroneckerDelta(labels[i], j), j))],
        integers=[labels],
        outputs=[loss],
    ),
    "pieces": Layer(
        "pieces",
        [x[M, D], w[K, P, D], b[K, P]],
        [Eq(h[i, k, p], Sum(w[k, p, d] * x[i, d], d) + b[k, p]), Eq(y[i, k], ReduceMax(h[i, k, p], p))],
        outputs=[y],
    ),
}
SIZES = [
    {"M": 4, "N": 3, "D": 2, "K": 3, "P": 2},
    {"M": 1, "N": 1, "D": 1, "K": 1, "P": 1},
    {"M": 0, "N": 2, "D": 2, "K": 2, "P": 2},
]


def arrays_of(layer: Layer, sizes: dict[str, int], outside: int = 0) -> dict[str, np.ndarray]:
    shapes = {t.name: tuple(sizes[str(e)] for e in t.shape) for t in layer.inputs}
    found = normals(**{n: s for n, s in shapes.items() if n != "labels"})
    if "labels" in shapes:
        found["labels"] = np.arange(shapes["labels"][0]) * 2 % (sizes["N"] + outside)
    return {t.name: found[t.name] for t in layer.inputs}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_numbers(name: str, sizes: dict[str, int]) -> None:
    layer = LAYERS[name]
    assert as_declared(layer, arrays_of(layer, sizes), schedules=SCHEDULES)


def test_labels_that_nothing_reads_at_may_lie_outside() -> None:
    layer = LAYERS["unread"]
    given = arrays_of(layer, SIZES[0], outside=3)
    assert given["labels"].max() >= SIZES[0]["N"]
    assert as_declared(layer, given, schedules=SCHEDULES)


@pytest.mark.parametrize("name", ["nearest", "shares"])
def test_no_array_is_made_of_what_is_read_at_a_place(name: str) -> None:
    written = {e.target for e in compile_layer(LAYERS[name]).stages.derived.program.equations}
    assert not {t for t in written if t.startswith("grad_")} - {f"grad_{t.name}" for t in LAYERS[name].inputs}


def test_a_product_of_matrices_keeps_its_array() -> None:
    """The rows that one product reads would be as many as the elements of a product of three extents."""
    source = compile_layer(LAYERS["pieces"]).source
    assert "# grad_x[i, d] = sum_{k, p} grad_h[i, k, p] * w[k, p, d]" in source
    assert "# grad_b[k, p] = sum_{i} grad_h[i, k, p]" in source


def test_positions_that_forward_found_are_read_there_without_an_array() -> None:
    """The gradient of a factor inside a maximum: rows are picked, not compared with every position."""
    source = compile_layer(LAYERS["weighted"]).source
    backward = source.partition("def backward")[2].partition("# --- helpers")[0]
    assert "np.where" not in backward
    steps = compile_layer(LAYERS["nearest"]).derivation.steps
    assert any("where n = d, f(n) = f(d)" in str(step) for step in steps)


def test_offsets_of_windows_go_on_placing_slices() -> None:
    k = Idx("k", (M - P) // 2 + 1)
    windows = Layer(
        "windows", [x[M], w[P]], [Eq(y[k, p], w[p] * x[2 * k + p]), Eq(loss[k], ReduceMax(y[k, p], p))], outputs=[loss]
    )
    backward = compile_layer(windows).source.partition("def backward")[2].partition("# --- helpers")[0]
    assert "for p in range(P):" in backward and "_add_at" not in backward
