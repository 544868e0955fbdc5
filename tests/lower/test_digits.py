"""Positions written by digits over extents that are products of sums: reshapes, windows and slices, not gathers."""

from __future__ import annotations

import pytest
from sympy import Eq, Idx, IndexedBase, Mod, Sum, floor, symbols

from symgrad import Layer, Padded, compile_layer, layers
from symgrad.declare.division import divide
from symgrad.declare.integers import Size, as_poly

from ..agreement import as_declared, normals

A, B, K, M, N = symbols("A B K M N", integer=True, positive=True)
w, x, y = IndexedBase("w"), IndexedBase("x"), IndexedBase("y")
i, j, m = Idx("i", A + 1), Idx("j", B + 2), Idx("m", (A + 1) * (B + 2))
a, b, u = Idx("a", A), Idx("b", B + K), Idx("u", K)
POSITION = (B + 2) * i + j

LAYERS = {
    "flattened": (
        Layer("flattened", [x[A + 1, B + 2]], [Eq(y[m], x[floor(m / (B + 2)), Mod(m, B + 2)])]),
        {"x": (3, 5)},
    ),
    "unflattened": (
        Layer("unflattened", [x[(A + 1) * (B + 2)]], [Eq(y[i, j], x[POSITION] ** 2)], attributes={B: 2}),
        {"x": (12,)},
    ),
    "windows": (
        Layer(
            "windows",
            [x[A, B + K - 1]],
            [
                Eq(
                    y[Idx("l", A * (B + 1)), u],
                    Padded(x)[floor(Idx("l", A * (B + 1)) / (B + 1)), Mod(Idx("l", A * (B + 1)), B + 1) + u - 1],
                )
            ],
            attributes={K: 3},
        ),
        {"x": (3, 6)},
    ),
    "summed": (
        Layer("summed", [x[A * (B + K)], w[B + K, K]], [Eq(y[a, u], Sum(x[(B + K) * a + b] * w[b, u], b))]),
        {"x": (10,), "w": (5, 2)},
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_digits_mean_what_was_declared(name: str) -> None:
    layer, shapes = LAYERS[name]
    assert as_declared(layer, normals(**shapes))


@pytest.mark.parametrize("name", LAYERS)
def test_no_positions_are_computed(name: str) -> None:
    source = compile_layer(LAYERS[name][0]).source
    lines = source[source.index("def forward") : source.index("# --- helpers")].splitlines()
    functions = "\n".join(line for line in lines if "_within(" not in line)
    assert "np.arange" not in functions
    assert "_add_at" not in functions


@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"K": 2, "stride": 3}])
def test_columns_of_an_image(settings: dict[str, int]) -> None:
    assert as_declared(layers.unfold2d, normals(x=(2, 2, 5, 6)), settings)
    columns = compile_layer(layers.unfold2d).forward(*normals(x=(2, 2, 5, 6)).values(), **settings)[0]
    assert as_declared(layers.fold2d, {"x": columns}, {"H": 5, "W": 6, **settings})
    for layer in (layers.unfold2d, layers.fold2d):
        assert "_add_at(" not in compile_layer(layer).source


def test_a_polynomial_over_another() -> None:
    p, q = as_poly(Size("p")), as_poly(Size("q"))
    assert divide((p + 1) * (q + 2) * 3, q + 2) == 3 * p + 3
    assert divide((p + q) * (p - q), p + q) == p - q
    assert divide(p * p + 1, p + 1) is None
    assert divide(p + 1, q + 1) is None
    assert divide(3 * p + 3, 2 * p + 2) is None
