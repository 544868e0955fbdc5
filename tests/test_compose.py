"""Chains and graphs of layers: the same numbers as their layers one by one, and as torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Rational, symbols

import symgrad
from symgrad import Graph, Layer, chain, check_layer, compile_layer, layers
from symgrad.errors import SymgradError

from .agreement import normals

N, C, H, W, K, M, A, B = symbols("N C H W K M A B", integer=True, positive=True)
a, b, y, x = (IndexedBase(name) for name in "abyx")
i, j = Idx("i", A), Idx("j", B)
ADD = Layer("add", [a[A, B], b[A, B]], [Eq(y[i, j], a[i, j] + b[i, j])])
name, layer = IndexedBase("name"), IndexedBase("layer")
doc = symbols("doc", integer=True)
NAMED = Layer("named", [name[A], layer[A]], [Eq(y[i], name[i] + doc * layer[i])], {doc: 1})
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


def test_inputs_and_outputs_with_the_names_of_arguments_stand_in_a_dict() -> None:
    graph = Graph("g")
    source, other = graph.input("x", (N,)), graph.input("z", (N,))
    both = graph(NAMED, {"name": source, "layer": other}, name="first", doc=2)
    whole = graph.layer({"doc": both, "self": graph(NAMED, both, {"layer": source, "doc": 1})})
    assert [t.name for t in whole.inputs] == ["x", "z"]
    assert whole.outputs == ("doc", "self")
    first, second = compile_layer(whole).forward([1.0], [10.0])[0]
    np.testing.assert_array_equal([first[0], second[0]], [21.0, 22.0])


def test_one_letter_has_one_range_in_the_whole() -> None:
    whole = chain(layers.relu, layers.dense, layers.tanh, layers.dense, name="mlp")
    ranges = {(i.label, i.upper) for e in whole.equations for i in e.atoms(Idx) if i.upper is not None}
    assert len(ranges) == len({name for name, _ in ranges}) == 5
    table = compile_layer(whole).derivation.to_markdown().split("| index | values |")[1].split("\n\n")[0]
    letters = [letter for row in table.splitlines()[2:] for letter in row.split("|")[1].strip(" $").split(",\\, ")]
    assert len(letters) == len(set(letters)) >= 5


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


def used(*wires: Any, layer: Any = layers.dense, **given: Any) -> Any:
    return Graph("g")(layer, *wires, **given)


def stray(name: str = "other") -> Any:
    return Graph(name).input("x", (N, M))


def whole(**outputs: Any) -> Layer:
    return Graph("g").layer(**outputs)


def twice() -> Layer:
    graph = Graph("g")
    wire = graph(layers.relu, graph.input("x", (N, M)))
    return graph.layer(wire, wire)


def fixed(layer: Layer, **given: Any) -> Layer:
    return chain((layer, given))


three = Layer("three", [x[N, 3]], [Eq(y[Idx("n", N)], x[Idx("n", N), 2])])
four = Layer("four", [x[N]], [Eq(y[Idx("n", N), Idx("k", 4)], x[Idx("n", N)] * Idx("k", 4))])
odd = Layer("odd", [x[N, 3]], [Eq(y[Idx("n", N), Idx("k", 3)], x[Idx("n", N), Idx("k", 3)])])
pairs = Layer("pairs", [x[N, 2 * K]], [Eq(y[Idx("n", N), Idx("k", K)], x[Idx("n", N), 2 * Idx("k", K)])])
wanting = Layer("wanting", [x[N, M]], [Eq(y[Idx("n", N)], x[Idx("n", N), 0])], requires=[M > 3])
ERRORS: dict[str, tuple[Any, str]] = {
    "rank": (lambda: chain(layers.dense, layers.relu2d), r"relu2d takes x\[N, C, H, W\].* 2 axes"),
    "extent": (lambda: chain(four, three), "axis 1 of x of three must have extent 3, not 4; its wire is four_y"),
    "no such extent": (lambda: chain(odd, pairs), "axis 1 of x of pairs is 2 .* K, which is not 3 for any K; .* odd_y"),
    "requirement": (lambda: chain(odd, wanting), "wanting does not fit what it is given: M > 3 must hold"),
    "keyword": (lambda: misuse(stride=2), r"stride of dense: .*dense has x, w, b"),
    "twice": (lambda: misuse(x=1), "x of dense: give a wire for an input .once."),
    "twice a wire": (lambda: (g := Graph("g"))(ADD, g.input("x", (N, M)), a=g.input("z", (N, M))), "a of add: .*once"),
    "kind": (
        lambda: (g := Graph("g"))(layers.softmax_cross_entropy, g.input("i", (N, M), integer=True)),
        r"logits of softmax_cross_entropy holds real numbers, but the wire i\[N, M\] holds integers",
    ),
    "nothing": (chain, "at least one layer"),
    "an input returned": (lambda: (g := Graph("g")).layer(g.input("x", (N,))), "output of a layer inside"),
    "name": (lambda: Graph("g").input("for", (N,)), "Python"),
    "name taken": (lambda: [misuse().input("x", (N,))], "x is taken"),
    "attribute": (lambda: fixed(layers.conv2d, stride=0), "stride of conv2d is an integer of at least 1, not 0"),
    "attribute of text": (lambda: fixed(layers.conv2d, stride="a"), "an integer of at least 1, not 'a'"),
    "attribute of symbols": (lambda: fixed(layers.conv2d, stride=N), "an integer of at least 1, not N"),
    "attribute not finite": (lambda: fixed(layers.conv2d, stride=float("inf")), "at least 1, not inf"),
    "attribute huge": (lambda: fixed(layers.conv2d, stride=10**400), "finite integer of at least 1, not 1000"),
    "attribute of 65 bits": (lambda: fixed(layers.conv2d, stride=2**64), "stride of conv2d is an integer of 64 bits"),
    "real attribute huge": (lambda: fixed(layers.leaky_relu, slope=10**400), "finite number, not 1000"),
    "attribute too long": (lambda: fixed(layers.conv2d, stride=10**5000), "finite integer .* too long to show"),
    "input called name": (
        lambda: (g := Graph("g"))(NAMED, name=g.input("x", (N,))),
        'name= is what this use of named is called.*{"name": ...}',
    ),
    "output called doc": (
        lambda: (g := Graph("g")).layer(doc=g(NAMED, {"name": g.input("x", (N,))})),
        'doc= is the text about the layer; .*{"doc": wire}',
    ),
    "output named twice": (
        lambda: (g := Graph("g")).layer({"o": (h := g(NAMED, {"name": g.input("x", (N,))}))}, o=h),
        "output o is given twice",
    ),
    "attribute not a number": (lambda: fixed(layers.leaky_relu, slope=float("nan")), "finite number, not nan"),
    "attribute half": (lambda: fixed(layers.conv2d, stride=1.5), "an integer of at least 1, not 1.5"),
    "attribute a wire": (lambda: misuse(stride=stray()), "stride of dense: give a wire for an input"),
    "key": (lambda: chain((layers.conv2d, {3: 2})), "3 of conv2d: give a wire for an input"),
    "another graph": (lambda: used(stray("h")), r"g: x of dense is the wire x\[N, M\] of the graph h; .*one graph"),
    "another of that name": (lambda: used(stray("g")), "of another graph of that name"),
    "output of another graph": (lambda: whole(y=stray("h")), r"g: the output y is the wire x\[N, M\] of the graph h"),
    "an array": (lambda: used(np.zeros((2, 3))), r"g: x of dense is array\(.*\), which is no wire; .*graph.input"),
    "no output": (lambda: Graph("g").layer(None), "output 0 is None, which is no wire"),
    "output of text": (lambda: whole(y="x"), "the output y is 'x', which is no wire"),
    "returned twice": (twice, "relu_y is returned twice; give one of them a name"),
    "use of no text": (lambda: misuse(name=3), "the name is 3, which is no string"),
    "graph of no text": (lambda: Graph(3), "the graph's name is 3, which is no string"),
    "input of no text": (lambda: Graph("g").input(3), "the input is 3, which is no string"),
    "extent of text": (lambda: Graph("g").input("x", ("N", M)), r"axis 0 is 'N', a string.*Symbol\('N'\)"),
    "extent negative": (lambda: Graph("g").input("x", (N, -3)), "axis 1 has extent -3, which is negative"),
    "shape alone": (lambda: Graph("g").input("x", N), r"input x: shape is N, which is no list; write shape=\[N\]"),
    "pair of one": (lambda: chain((layers.dense,)), "a Layer or a pair of one and a dict"),
    "pair of lists": (lambda: chain((layers.dense, ["b"])), "a Layer or a pair of one and a dict"),
    "graph": (lambda: chain(Graph("g")), r"a Layer, not Graph; write chain\(graph.layer\(wire\)\)"),
    "graph in a graph": (lambda: used(layer=Graph("h")), "a Layer, not Graph"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: tuple[Any, str]) -> None:
    build, message = case
    with pytest.raises(SymgradError, match=message):
        build()


def test_real_attributes_become_attributes_of_the_whole() -> None:
    whole = chain(layers.leaky_relu, layers.leaky_relu, name="leaks")
    values = normals(x=(2, 3))["x"]
    names = [str(s) for s in whole.attributes]
    assert len(names) == 2 and all(n.startswith("leaky_relu_") for n in names)
    got, _ = compile_layer(whole).forward(values, **{names[0]: 0.5, names[1]: 0.1})
    np.testing.assert_allclose(got, np.where(values > 0, values, 0.05 * values))


def test_a_deep_network_is_as_long_as_its_layers() -> None:
    """Products of extents that borders and kernels make long are not multiplied out, from layer to layer."""
    convolution = (layers.conv2d, {"padding": 1, "stride": 1, "dilation": 1})

    def network(blocks: int) -> Layer:
        parts = [convolution, layers.batch_norm2d, layers.relu2d] * blocks
        return chain(*parts, layers.global_average_pool2d, name="network")

    short, long = (len(compile_layer(network(blocks)).source) for blocks in (2, 6))
    assert long < 6 * short
    assert check_layer(network(2), cases=1).ok


@pytest.mark.parametrize("slope", [0.25, np.float32(0.3), Rational(1, 4), 0, 2])
def test_a_fixed_real_attribute_is_a_number(slope: Any) -> None:
    whole = chain((layers.leaky_relu, {"slope": slope}), layers.dense)
    assert whole.attributes == {}
    arrays = normals(x=(5, 4), w=(3, 4), b=(3,))
    got, residuals = compile_layer(whole).forward(*arrays.values())
    h = np.where(arrays["x"] > 0, arrays["x"], float(slope) * arrays["x"])
    np.testing.assert_allclose(got, h @ arrays["w"].T + arrays["b"])
    gradients = compile_layer(whole).backward(residuals, np.ones_like(got))
    np.testing.assert_allclose(gradients.x, np.where(arrays["x"] > 0, 1, float(slope)) * arrays["w"].sum(axis=0))


def test_attributes_are_fixed_by_symbol_too() -> None:
    stride = next(s for s in layers.conv2d.attributes if str(s) == "stride")
    assert [str(s) for s in chain((layers.conv2d, {stride: 2})).attributes] == ["conv2d_padding", "conv2d_dilation"]
