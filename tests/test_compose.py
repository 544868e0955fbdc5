"""Chains and graphs of layers: the same numbers as their layers one by one, and as torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, symbols

import symgrad
from symgrad import Graph, Layer, chain, check_layer, compile_layer, layers
from symgrad.errors import DeclarationError

from .agreement import normals

N, C, H, W, K, M, A, B = symbols("N C H W K M A B", integer=True, positive=True)
a, b, y, x = (IndexedBase(name) for name in "abyx")
i, j = Idx("i", A), Idx("j", B)
ADD = Layer("add", [a[A, B], b[A, B]], [Eq(y[i, j], a[i, j] + b[i, j])])
PAIR = chain(layers.layer_norm, layers.gelu, name="pair")


def test_a_chain_is_its_layers_one_after_the_other() -> None:
    whole = chain(layers.dense, layers.tanh, layers.dense, layers.softmax_cross_entropy, name="mlp")
    assert [t.name for t in whole.inputs] == ["x", "dense_w", "dense_b", "dense_2_w", "dense_2_b", "labels"]
    arrays = normals(x=(5, 4), w=(6, 4), b=(6,), w_2=(3, 6), b_2=(3,))
    labels = np.array([0, 2, 1, 1, 0])
    loss, residuals = compile_layer(whole).forward(*arrays.values(), labels)
    gradients = compile_layer(whole).backward(residuals, 1.5)

    dense, tanh, entropy = (compile_layer(k) for k in (layers.dense, layers.tanh, layers.softmax_cross_entropy))
    h, first = dense.forward(arrays["x"], arrays["w"], arrays["b"])
    t, second = tanh.forward(h)
    logits, third = dense.forward(t, arrays["w_2"], arrays["b_2"])
    want, fourth = entropy.forward(logits, labels)
    np.testing.assert_allclose(loss, want)
    late = dense.backward(third, entropy.backward(fourth, 1.5)[0])
    early = dense.backward(first, tanh.backward(second, late.x)[0])
    for got, expected in zip(gradients, (early.x, early.w, early.b, late.w, late.b), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-14)


def test_a_network_of_convolutions_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    whole = chain(
        (layers.conv2d, {"padding": 1}),
        layers.relu2d,
        (layers.max_pool2d, {"K": 2, "stride": 2, "padding": 0}),
        (layers.conv2d, {"stride": 2, "padding": 0, "dilation": 1}),
        layers.sigmoid2d,
        name="network",
    )
    assert [str(s) for s in whole.attributes] == ["conv2d_stride", "conv2d_dilation"]
    arrays = normals(x=(2, 3, 9, 8), w=(4, 3, 3, 3), b=(4,), w_2=(5, 4, 2, 2), b_2=(5,))
    got, residuals = compile_layer(whole).forward(*arrays.values())
    tensors = [torch.tensor(v, requires_grad=True) for v in arrays.values()]
    h = functional.max_pool2d(functional.relu(functional.conv2d(*tensors[:3], padding=1)), 2)
    want = torch.sigmoid(functional.conv2d(h, *tensors[3:], stride=2))
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-10)
    cotangent = normals(g=got.shape)["g"]
    want.backward(torch.tensor(cotangent))
    for gradient, tensor in zip(compile_layer(whole).backward(residuals, cotangent), tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-8, atol=1e-12)


def residual() -> Layer:
    graph = Graph("residual")
    source = graph.input("x", (N, M))
    weights = graph.input("w", (M, M))
    bias = graph.input("b", (M,))
    h = graph(layers.dense, source, weights, bias, name="first")
    h = graph(layers.tanh, h)
    h = graph(layers.dense, h, w=weights, b=bias, name="second")
    return graph.layer(out=graph(ADD, h, source), hidden=h)


def test_a_graph_shares_inputs_and_returns_several_wires() -> None:
    layer = residual()
    assert layer.outputs == ("out", "hidden")
    arrays = normals(x=(3, 4), w=(4, 4), b=(4,))
    outputs, residuals = compile_layer(layer).forward(**arrays)
    hidden = np.tanh(arrays["x"] @ arrays["w"].T + arrays["b"]) @ arrays["w"].T + arrays["b"]
    np.testing.assert_allclose(outputs.hidden, hidden)
    np.testing.assert_allclose(outputs.out, hidden + arrays["x"])
    assert compile_layer(layer).backward(residuals, outputs.out, outputs.hidden)._fields == ("x", "w", "b")


@pytest.mark.parametrize("layer", [residual(), PAIR], ids=lambda k: k.name)
def test_a_composed_layer_checks(layer: Layer) -> None:
    report = check_layer(layer)
    assert report.ok, str(report)


def test_a_composed_layer_composes_and_differentiates_again() -> None:
    inner = chain(layers.dense, layers.tanh, name="cell")
    twice = chain(inner, inner, name="twice")
    assert [t.name for t in twice.inputs] == ["x", "cell_dense_w", "cell_dense_b", "cell_2_dense_w", "cell_2_dense_b"]
    assert symgrad.vjp(twice).outputs[0].startswith("grad_x")
    assert check_layer(twice).ok


def test_sizes_are_solved_and_compared() -> None:
    split = Layer("split", [x[N, 2 * K]], [Eq(y[Idx("n", N), Idx("k", K)], x[Idx("n", N), Idx("k", K) + K])])
    whole = chain((layers.dense, {}), split, name="half")
    arrays = normals(x=(2, 3), w=(6, 3), b=(6,))
    got, _ = compile_layer(whole).forward(*arrays.values())
    np.testing.assert_allclose(got, (arrays["x"] @ arrays["w"].T + arrays["b"])[:, 3:])
    odd = normals(x=(2, 3), w=(5, 3), b=(5,))
    with pytest.raises(ValueError, match="half"):
        compile_layer(whole).forward(*odd.values())


def misuse(**given: Any) -> Graph:
    graph = Graph("odd")
    wire = graph.input("x", (N, M))
    graph(layers.dense, wire, **given)
    return graph


three = Layer("three", [x[N, 3]], [Eq(y[Idx("n", N)], x[Idx("n", N), 2])])
four = Layer("four", [x[N]], [Eq(y[Idx("n", N), Idx("k", 4)], x[Idx("n", N)] * Idx("k", 4))])
ERRORS: dict[str, tuple[Any, str]] = {
    "rank": (lambda: chain(layers.dense, layers.relu2d), r"relu2d takes x\[N, C, H, W\].* 2 axes"),
    "extent": (lambda: chain(four, three), "axis 1 of x of three must have extent 3, not 4"),
    "keyword": (lambda: misuse(stride=2), r"stride of dense: .*dense has x, w, b"),
    "twice": (lambda: misuse(x=1), "x of dense"),
    "kind": (
        lambda: (g := Graph("g"))(layers.softmax_cross_entropy, g.input("i", (N, M), integer=True)),
        r"logits of softmax_cross_entropy holds real numbers, but the wire i\[N, M\] holds integers",
    ),
    "nothing": (chain, "at least one layer"),
    "an input returned": (lambda: (g := Graph("g")).layer(g.input("x", (N,))), "output of a layer inside"),
    "name": (lambda: Graph("g").input("for", (N,)), "Python"),
    "name taken": (lambda: [misuse().input("x", (N,))], "x is taken"),
    "attribute": (lambda: chain((layers.conv2d, {"stride": 0})), "stride of conv2d is an integer of at least 1"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: tuple[Any, str]) -> None:
    build, message = case
    with pytest.raises(DeclarationError, match=message):
        build()


def test_real_attributes_become_attributes_of_the_whole() -> None:
    whole = chain(layers.leaky_relu, layers.leaky_relu, name="leaks")
    values = normals(x=(2, 3))["x"]
    names = [str(s) for s in whole.attributes]
    assert len(names) == 2 and all(n.startswith("leaky_relu_") for n in names)
    got, _ = compile_layer(whole).forward(values, **{names[0]: 0.5, names[1]: 0.1})
    np.testing.assert_allclose(got, np.where(values > 0, values, 0.05 * values))
