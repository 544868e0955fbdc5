"""Dimension symbols from shapes: what goes in comes out, and what does not fit is said."""

import itertools
from typing import Any

import pytest
from sympy import Eq, Idx, IndexedBase, Sum, Symbol, floor, symbols

from symgrad import Layer
from symgrad.errors import DeclarationError

N, M, K, G, C = symbols("N M K G C", integer=True, positive=True)
groups = Symbol("groups", integer=True, positive=True)
padding = Symbol("padding", integer=True, nonnegative=True)
x, w, y, g = (IndexedBase(name) for name in "xwyg")


def layer(*inputs: Any, **options: Any) -> Layer:
    """A layer that adds up its inputs: only the shapes matter."""
    total = 0
    for read in inputs:
        axes = [Idx(f"a{p}_{read.base.label}", e) for p, e in enumerate(read.indices)]
        total += Sum(read.base[tuple(axes)], *axes)
    return Layer("sized", inputs=list(inputs), equations=[Eq(Symbol("t"), total)], **options)


# Declarations whose shapes determine every symbol.
DETERMINED = {
    "plain": (x[N, M], w[M, K]),
    "doubled": (x[2 * N], w[N, M]),
    "sum": (x[N + M - 1], w[M]),
    "product": (g[G], x[N, G * C]),
    "product first": (x[N, G * C], g[G]),
    "difference": (x[N - M], w[M, K]),
    "chain": (x[N], w[N + M], y[M + K]),
    "square": (x[N, N],),
    "coefficient of a size": (x[M], w[N * M + M, 2]),
    "affine of a product": (x[G], w[2 * G * C + 3]),
}


def extents(read: Any, sizes: dict[Any, int]) -> tuple[int, ...]:
    return tuple(int(e.subs(sizes)) if hasattr(e, "subs") else int(e) for e in read.indices)


@pytest.mark.parametrize("name", DETERMINED)
def test_sizes_come_back_from_shapes(name: str) -> None:
    inputs = DETERMINED[name]
    declared = layer(*inputs)
    symbols_ = sorted({s for read in inputs for e in read.indices for s in e.free_symbols}, key=str)
    tried = 0
    for values in itertools.product((1, 2, 3, 5), repeat=len(symbols_)):
        sizes = dict(zip(symbols_, values, strict=True))
        shapes = {str(read.base.label): extents(read, sizes) for read in inputs}
        if min(e for shape in shapes.values() for e in shape) < 0:
            continue
        tried += 1
        assert declared.solve_sizes(shapes) == {s.name: v for s, v in sizes.items()}
    assert tried > 3


@pytest.mark.parametrize("name", DETERMINED)
def test_shapes_that_fit_no_sizes_are_refused(name: str) -> None:
    """Every shape near a valid one either solves back to itself or is refused."""
    inputs = DETERMINED[name]
    declared = layer(*inputs)
    symbols_ = sorted({s for read in inputs for e in read.indices for s in e.free_symbols}, key=str)
    base = dict(zip(symbols_, (2, 3, 5), strict=False))
    shapes = {str(read.base.label): extents(read, base) for read in inputs}
    refused = 0
    for tensor, shape in shapes.items():
        for axis, step in itertools.product(range(len(shape)), (-1, 1, 2)):
            moved = list(shape)
            moved[axis] += step
            if moved[axis] < 0:
                continue
            changed = {**shapes, tensor: tuple(moved)}
            try:
                found = declared.solve_sizes(changed)
            except DeclarationError as error:
                refused += 1
                assert "sized: axis" in str(error)
                continue
            again = {s: found[s.name] for s in symbols_}
            assert {str(r.base.label): extents(r, again) for r in inputs} == changed
    assert refused or name in ("plain", "sum", "difference", "chain")


def test_zero_is_an_extent() -> None:
    assert layer(x[N, M], w[M]).solve_sizes({"x": (0, 3), "w": (3,)}) == {"N": 0, "M": 3}
    assert layer(x[2 * N]).solve_sizes({"x": (0,)}) == {"N": 0}


def test_attributes_take_part() -> None:
    declared = layer(x[N * groups], w[N + padding], attributes={groups: 1, padding: 0})
    assert declared.solve_sizes({"x": (6,), "w": (5,)}, {"groups": 2, "padding": 2}) == {
        "N": 3,
        "groups": 2,
        "padding": 2,
    }
    with pytest.raises(DeclarationError, match=r"axis 0 of x has extent 7, which is not .*groups.* \* N"):
        declared.solve_sizes({"x": (7,), "w": (5,)}, {"groups": 2, "padding": 2})


def test_a_floor_is_compared_not_solved() -> None:
    declared = layer(x[N], w[floor(N / 2)])
    assert declared.solve_sizes({"x": (7,), "w": (3,)}) == {"N": 7}
    with pytest.raises(DeclarationError, match=r"axis 0 of w has extent 4, but N // 2 = 3"):
        declared.solve_sizes({"x": (7,), "w": (4,)})


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"x": (3,), "w": (4, 5)}, ["sized: x has shape (3,)", "declared [N, M]"]),
        ({"x": (3, 4), "w": (5, 5)}, ["sized: axis 0 of w has extent 5", "M = 4"]),
        ({"x": (3, 4, 1), "w": (4, 5)}, ["x has shape (3, 4, 1)"]),
    ],
)
def test_messages_name_tensor_axis_and_extents(shapes: dict[str, tuple[int, ...]], words: list[str]) -> None:
    with pytest.raises(DeclarationError) as error:
        layer(x[N, M], w[M, K]).solve_sizes(shapes)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((x[N + M],), ["no shape determines M, N", "axis 0 of x", "M + N", "attributes={"]),
        ((x[N * M],), ["no shape determines M, N", "M * N"]),
        ((x[N * N],), ["axis 0 of x has extent N * N", "cannot be solved for N", "attributes={N: value}"]),
        ((x[floor(N / 2)],), ["axis 0 of x has extent N // 2", "cannot be solved for N"]),
    ],
    ids=str,
)
def test_what_no_shape_determines_is_an_attribute(inputs: tuple[Any, ...], words: list[str]) -> None:
    with pytest.raises(DeclarationError) as error:
        layer(*inputs)
    for word in ["sized:", *words]:
        assert word in str(error.value)


def test_a_size_that_only_an_index_has_is_asked_for() -> None:
    with pytest.raises(DeclarationError, match="K"):
        Layer("sized", inputs=[x[N]], equations=[Eq(y[Idx("k", K)], x[0])])
    kept = Layer("sized", inputs=[x[N]], equations=[Eq(y[Idx("k", K)], x[0])], attributes={K: 3})
    assert kept.solve_sizes({"x": (2,)}) == {"N": 2, "K": 3}
