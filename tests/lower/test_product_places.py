"""Matrix products are written where they belong, unless that place would be a copy or is read by them."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, symbols

import symgrad
from symgrad import Layer, layers
from symgrad.declare.integers import Poly, Size, as_poly
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    At,
    Fresh,
    Helper,
    Item,
    Map,
    MatMul,
    Name,
    Reshape,
    Run,
    Slice,
    Statement,
    Subscript,
    Transpose,
    Update,
)
from symgrad.lower.product_places import products_in_place

N, M, D = symbols("N M D", integer=True, positive=True)
n, m, d = Idx("n", N), Idx("m", M), Idx("d", D)
x, w, b, y = (IndexedBase(name) for name in "xwby")
LAYER = Layer("dense", [x[N, D], w[D, M], b[M]], [Eq(y[n, m], b[m] + Sum(x[n, d] * w[d, m], d))])
EXTENT: dict[str, Poly] = {name: as_poly(Size(name)) for name in "NMDKIJ"}
ALL, SOME = FULL, Slice(as_poly(1), as_poly(3))


def extents(names: str) -> tuple[Poly, ...]:
    return tuple(EXTENT[name] for name in names)


def changed(made: Array, items: tuple[Item, ...], value: Array) -> tuple[Statement, ...]:
    """What becomes of ``z[items] = value``."""
    arrays = [Assign(t, Fresh("zeros", extents(s))) for t, s in (("left", "KD"), ("right", "NDJ"), ("added", "KJ"))]
    statements = (*arrays, Assign("z", made), Update(Subscript(Name("z"), items), "=", value))
    found, any_ = products_in_place(LAYER.program, statements)
    assert any_ == (found != statements)
    return found[len(arrays) + 1 :]


PRODUCT = MatMul(Name("left"), Name("right"))
ROWS = Fresh("empty", extents("NKJ"))
IMAGES = Fresh("empty", (*extents("NK"), *extents("IJ")))
LINES = MatMul(Name("left"), Reshape(Name("right"), (*extents("ND"), EXTENT["I"] * EXTENT["J"])))
AS_IMAGES = Reshape(LINES, (*extents("NK"), *extents("IJ")))


def into(place: Array, product: MatMul = PRODUCT) -> Run:
    return Run(Helper("np.matmul", (product.left, product.right, Helper("out=", (place,)))))


def test_a_product_fills_an_array() -> None:
    assert changed(ROWS, (ALL,), PRODUCT) == (into(Name("z")),)


def test_what_is_added_to_a_product_is_added_to_its_place() -> None:
    for terms in ((PRODUCT, Name("added")), (Name("added"), PRODUCT)):
        assert changed(ROWS, (ALL,), Map("add", terms)) == (into(Name("z")), Update(Name("z"), "+", Name("added")))


def test_a_place_that_has_an_axis_apart_is_put_together_where_that_is_a_view() -> None:
    shape = (*extents("NK"), EXTENT["I"] * EXTENT["J"])
    assert changed(IMAGES, (ALL,), AS_IMAGES) == (into(Reshape(Name("z"), shape), LINES),)


KEPT: dict[str, tuple[Array, tuple[Item, ...], Array]] = {
    "a copy would be filled": (Transpose(IMAGES, (0, 1, 3, 2)), (ALL,), AS_IMAGES),
    "runs of a later axis": (IMAGES, (ALL, SOME), AS_IMAGES),
    "another shape": (Fresh("empty", extents("MKJ")), (ALL,), PRODUCT),
    "spread over an axis": (Fresh("empty", extents("MNKJ")), (At(as_poly(0)), SOME), PRODUCT),
    "the place is added": (ROWS, (ALL,), Map("add", (PRODUCT, Name("z")))),
    "the place is a factor": (ROWS, (ALL,), MatMul(Name("left"), Name("z"))),
    "integers": (Fresh("empty", extents("NKJ"), dtype="int"), (ALL,), PRODUCT),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_product_stays_where_it_is(name: str) -> None:
    made, items, value = KEPT[name]
    assert changed(made, items, value) == (Update(Subscript(Name("z"), items), "=", value),)


def test_convolutions_write_products_to_their_results() -> None:
    compiled = symgrad.compile_layer(layers.conv2d, schedule="fast")
    assert "_matmul(w.reshape(K, C * R * S), columns, out=y_part.reshape(count, K, I * J))" in compiled.source
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((5, 2, 6, 7), (3, 2, 3, 2), (3,))]
    whole, _ = compiled.forward(*arrays, stride=2)
    compiled.module._PART = 40
    for threads in (1, 2):
        parts, _ = compiled.forward(*arrays, stride=2, threads=threads)
        np.testing.assert_allclose(parts, whole, rtol=1e-13, atol=1e-14)
    windows = np.lib.stride_tricks.sliding_window_view(arrays[0], (3, 2), axis=(2, 3))[:, :, ::2, ::2]
    want = np.einsum("kcuv,ncijuv->nkij", arrays[1], windows) + arrays[2][:, None, None]
    np.testing.assert_allclose(whole, want, rtol=1e-12, atol=1e-13)
