"""Uses of layers in graphs: sizes, attributes, positions and floors in the names of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, floor, symbols

from symgrad import ArgMax, Graph, Layer, chain, check_layer, compile_layer, layers
from symgrad.errors import DeclarationError

from .agreement import normals

N, C, H, W, K, M = symbols("N C H W K M", integer=True, positive=True)
A, B, D, E = symbols("A B D E", integer=True, positive=True)
a, b, p, x, y, z = (IndexedBase(name) for name in "abpxyz")
n, j, k = Idx("n", N), Idx("j", M), Idx("k", K)
i = symbols("i0:4", cls=Idx)
ADD = Layer("add", [a[A, B, D, E], b[A, B, D, E]], [Eq(y[i], a[i] + b[i])])
CUBE = Layer("cube", [a[A, B, D]], [Eq(y[i[:3]], a[i[:3]] ** 3)])

FIRST: dict[str, tuple[str, dict[str, int], dict[str, tuple[int, ...]]]] = {
    "pixel_unshuffle": ("pixel_unshuffle", {"scale": 2}, {"x": (2, 3, 4, 6)}),
    "pixel_shuffle": ("pixel_shuffle", {"scale": 2}, {"x": (2, 8, 2, 3)}),
    "grouped_conv2d": ("grouped_conv2d", {"groups": 2}, {"x": (2, 4, 4, 3), "w": (6, 2, 2, 2), "b": (6,)}),
    "group_norm": ("group_norm", {"G": 2}, {"x": (2, 6, 3), "gamma": (6,), "beta": (6,)}),
    "channel_shuffle": ("channel_shuffle", {"G": 2}, {"x": (2, 6, 2, 3)}),
    "unflatten": ("unflatten", {"H": 2, "W": 3}, {"x": (2, 12)}),
    "fold2d": ("fold2d", {"H": 4, "W": 4, "K": 2}, {"x": (2, 8, 9)}),
    "space_to_depth": ("space_to_depth", {"scale": 2}, {"x": (2, 3, 4, 6)}),
    "transposed": (
        "grouped_transposed_conv2d",
        {"groups": 2},
        {"x": (2, 4, 3, 3), "w": (4, 3, 2, 2), "b": (6,)},
    ),
}


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "open"])
@pytest.mark.parametrize("case", FIRST.values(), ids=FIRST)
def test_a_first_layer_whose_extents_hold_its_attributes(case: tuple[str, Any, Any], fixed: bool) -> None:
    name, attributes, shapes = case
    first = getattr(layers, name)
    after = {3: CUBE, 4: layers.sigmoid2d}[len(first.program.extents(first.outputs[0]))]
    whole = chain((first, attributes if fixed else {}), after)
    given = {} if fixed else {f"{name}_{key}": value for key, value in attributes.items()}
    assert {f"{name}_{key}" for key in attributes}.isdisjoint(map(str, whole.attributes)) == fixed
    arrays = normals(**shapes)
    got, residuals = compile_layer(whole).forward(*arrays.values(), **given)
    h, early = compile_layer(first).forward(*arrays.values(), **attributes)
    want, late = compile_layer(after).forward(h)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
    cotangent = normals(g=want.shape)["g"]
    gradients = compile_layer(first).backward(early, compile_layer(after).backward(late, cotangent)[0])
    for one, other in zip(compile_layer(whole).backward(residuals, cotangent), gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "open"])
@pytest.mark.parametrize("case", FIRST.values(), ids=FIRST)
def test_it_checks_alone_in_a_chain(case: tuple[str, Any, Any], fixed: bool) -> None:
    name, attributes, _ = case
    report = check_layer(chain((getattr(layers, name), attributes if fixed else {})))
    assert report.ok, str(report)


AFTER: dict[str, tuple[Any, Any, dict[str, int]]] = {
    "group_norm": (layers.conv1d, layers.group_norm, {"G": 2}),
    "group_norm open": (layers.conv1d, layers.group_norm, {}),
    "pixel_shuffle": (layers.conv2d, layers.pixel_shuffle, {"scale": 2}),
    "grouped_conv2d": (layers.conv2d, layers.grouped_conv2d, {"groups": 2}),
    "channel_shuffle": (layers.conv2d, layers.channel_shuffle, {"G": 2}),
    "unflatten": (layers.dense, layers.unflatten, {"H": 2, "W": 2}),
}


@pytest.mark.parametrize("case", AFTER.values(), ids=AFTER)
def test_a_later_layer_whose_extents_hold_its_attributes(case: tuple[Any, Any, Any]) -> None:
    before, layer, attributes = case
    report = check_layer(chain(before, (layer, attributes)))
    assert report.ok, str(report)


def test_channels_that_groups_do_not_divide() -> None:
    whole = chain((layers.conv1d, {"stride": 1, "padding": 0, "dilation": 1}), (layers.group_norm, {"G": 2}))
    arrays = normals(x=(2, 3, 5), w=(5, 3, 2), b=(5,), gamma=(5,), beta=(5,))
    message = r"axis 1 of x of group_norm \(the wire conv1d_y\) does not fit: K must be a multiple of 2 \(K = 5\)"
    with pytest.raises(ValueError, match=message):
        compile_layer(whole).forward(*arrays.values())


def net(size: int | None = None) -> Layer:
    """Down and up again, added to where it began."""
    graph = Graph("net")
    image = graph.input("x", (N, C, H, W) if size is None else (N, C, size, size))
    start = graph(layers.sigmoid2d, image, name="start")
    down = graph(layers.max_pool2d, start, name="down", K=2, stride=2, padding=0)
    return graph.layer(y=graph(ADD, start, graph(layers.upsample_nearest2d, down, name="up", scale=2)))


def test_extents_that_never_fit_are_named_when_the_graph_is_built() -> None:
    message = r"net: axis 2 of b of add must have extent 7 as axis 2 of a \(the wire start_y\), not 6; its wire is up_y"
    with pytest.raises(DeclarationError, match=message):
        net(7)


def test_extents_that_do_not_fit_are_named_when_it_runs() -> None:
    compiled = compile_layer(net())
    assert compiled.forward(np.ones((1, 2, 6, 8)))[0].shape == (1, 2, 6, 8)
    with pytest.raises(ValueError) as found:
        compiled.forward(np.ones((1, 2, 7, 8)))
    message = str(found.value)
    assert "axis 2 of b of add must have extent H as axis 2 of a (the wire start_y)" in message
    assert "its wire is up_y, and H % 2 == 0 must hold (H = 7)" in message
    assert len(message) < 200


def test_long_extents_are_left_out() -> None:
    graph = Graph("net")
    start = graph(layers.conv2d, graph.input("x", (N, C, H, W)), name="start")
    up = graph(layers.upsample_nearest2d, graph(layers.max_pool2d, start, name="down"), name="up")
    with pytest.raises(ValueError) as found:
        compile_layer(graph.layer(graph(ADD, start, up))).forward(
            *normals(x=(1, 2, 9, 9), w=(2, 2, 3, 3), b=(2,)).values()
        )
    message = str(found.value)
    assert "axis 2 of b of add must have the same extent as axis 2 of a (the wire start_y); its wire is up_y" in message
    assert "floor" not in message and "//" not in message


def test_a_requirement_of_a_part_is_said_in_the_names_of_the_whole() -> None:
    wanting = Layer("wanting", [x[N, M]], [Eq(y[n], x[n, 2])], requires=[(M > 2, "there are three columns")])
    whole = chain(layers.dense, wanting)
    with pytest.raises(ValueError, match=r"wanting: there are three columns \(K = 2\)"):
        compile_layer(whole).forward(*normals(x=(2, 3), w=(2, 3), b=(2,)).values())


PICK = Layer("pick", [x[N, M]], [Eq(p[n], ArgMax(x[n, j], j))])
LOOK = Layer("look", [z[K], p[N]], [Eq(y[n], z[p[n]])])


def test_positions_are_wired_to_positions() -> None:
    graph = Graph("picking")
    found = graph(PICK, graph.input("x", (N, M)))
    layer = graph.layer(y=graph(LOOK, p=found), where=found)
    outputs, residuals = compile_layer(layer).forward(np.array([[0, 3, 1.0], [4, 2, 2]]), np.array([10.0, 20, 30]))
    np.testing.assert_array_equal(outputs.y, [20, 10])
    np.testing.assert_array_equal(outputs.where, [1, 0])
    np.testing.assert_array_equal(compile_layer(layer).backward(residuals, np.ones(2)).look_z, [1, 1, 0])
    assert check_layer(layer).ok


def test_positions_are_no_real_numbers() -> None:
    graph = Graph("g")
    found, real = graph(PICK, graph.input("x", (N, M))), graph.input("r", (N,))
    square = Layer("square", [x[N]], [Eq(y[n], x[n] ** 2)])
    with pytest.raises(
        DeclarationError, match=r"x of square holds real numbers, but the wire pick_p\[N\] holds integers"
    ):
        graph(square, found)
    with pytest.raises(DeclarationError, match=r"p of look holds integers, but the wire r\[N\] holds real numbers"):
        graph(LOOK, p=real)


def test_one_wire_is_returned_under_several_names() -> None:
    graph = Graph("several")
    h = graph(layers.dense, graph.input("x", (N, M)))
    found = graph(PICK, h)
    layer = graph.layer(h, n=h, again=h, first=found, second=found)
    assert layer.outputs == ("dense_y", "n", "again", "first", "second")
    assert check_layer(layer).ok
    arrays = normals(x=(4, 3), w=(2, 3), b=(2,))
    outputs, residuals = compile_layer(layer).forward(*arrays.values())
    np.testing.assert_array_equal(outputs.n, outputs.dense_y)
    np.testing.assert_array_equal(outputs.first, outputs.second)
    gradients = compile_layer(layer).backward(residuals, *(np.full((4, 2), v) for v in (1.0, 2.0, 4.0)))
    np.testing.assert_allclose(gradients.dense_b, [28, 28])


def test_what_a_floor_reads_is_renamed() -> None:
    shifted = Layer("shifted", [x[N], z[N]], [Eq(y[n], x[floor(z[n])])], requires=[N > 0])
    graph = Graph("other_names")
    values, places = graph.input("z", (N,)), graph.input("x", (N,))  # each has the other's name
    compiled = compile_layer(graph.layer(graph(shifted, values, places)))
    got, _ = compiled.forward(np.array([1.0, 2, 4]), np.array([2.5, 0.5, 1.0]))
    np.testing.assert_array_equal(got, [4, 1, 2])


def test_typical_sizes_of_the_first_layer_are_kept() -> None:
    sized = Layer("sized", [x[N, M]], [Eq(y[n, j], x[n, j] * 2)], typical={M: 64})
    assert dict(chain(sized, layers.dense).program.typical)["M"] == 64
