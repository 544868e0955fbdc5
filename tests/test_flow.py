"""Constants in graphs: what is wired to an input that gets no gradient is constant for differentiation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, exp, symbols

from symgrad import Graph, Layer, chain, check_layer, compile_layer, layers, vjp
from symgrad.compiler import show_stage
from symgrad.flow import without_gradient

from .agreement import normals

N, M = symbols("N M", integer=True, positive=True)
a, m, y = IndexedBase("a"), IndexedBase("m"), IndexedBase("y")
i, j = Idx("i", N), Idx("j", M)
BIASED = Layer("biased", [a[N, M], m[N, M]], [Eq(y[i, j], exp(a[i, j]) * m[i, j] + a[i, j])], constants=[m])


def gated() -> Layer:
    graph = Graph("gated")
    x = graph.input("x", (N, M))
    return graph.layer(y=graph(layers.dropout, x, mask=graph(layers.sigmoid, x), rate=0.5))


def distilled() -> Layer:
    graph = Graph("distilled")
    x = graph.input("x", (N, M))
    student = graph(layers.tanh, graph(layers.dense, x, name="student"))
    teacher = graph(layers.dense, x, name="teacher")
    return graph.layer(loss=graph(layers.mean_squared_error, student, target=teacher))


def test_no_gradient_goes_back_through_a_mask() -> None:
    torch = pytest.importorskip("torch")
    layer, arrays = gated(), normals(x=(4, 3), g=(4, 3))
    got, residuals = compile_layer(layer).forward(arrays["x"])
    x = torch.tensor(arrays["x"], requires_grad=True)
    want = x * torch.sigmoid(x).detach() / 0.5
    want.backward(torch.tensor(arrays["g"]))
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(compile_layer(layer).backward(residuals, arrays["g"]).x, x.grad.numpy(), rtol=1e-12)


def test_what_only_gives_a_target_gets_no_gradient() -> None:
    torch = pytest.importorskip("torch")
    layer = distilled()
    assert [t.name for t in layer.program.inputs if t.constant] == ["teacher_w", "teacher_b"]
    arrays = normals(x=(5, 4), w=(3, 4), b=(3,), tw=(3, 4), tb=(3,))
    loss, residuals = compile_layer(layer).forward(*arrays.values())
    gradients = compile_layer(layer).backward(residuals, 1.0)
    assert gradients._fields == ("x", "student_w", "student_b")
    x, w, b, tw, tb = (torch.tensor(v, requires_grad=True) for v in arrays.values())
    want = ((torch.tanh(x @ w.T + b) - (x @ tw.T + tb).detach()) ** 2).mean()
    want.backward()
    np.testing.assert_allclose(loss, want.item())
    for gradient, tensor in zip(gradients, (x, w, b), strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-9, atol=1e-14)


def composed() -> dict[str, Layer]:
    graph = Graph("twice")
    x = graph.input("x", (N, M))
    h = graph(layers.tanh, x)
    both = graph.layer(y=graph(BIASED, h, h), again=graph(BIASED, x, graph(layers.sigmoid, h)))
    return {
        "gated": gated(),
        "distilled": distilled(),
        "both": both,
        "nested": chain(layers.dense, both, name="nested"),
    }


@pytest.mark.parametrize("layer", composed().values(), ids=composed())
def test_layers_with_constant_wires_check(layer: Layer) -> None:
    report = check_layer(layer)
    assert report.ok, str(report)


def test_one_wire_is_constant_on_one_input_and_not_on_the_other() -> None:
    graph = Graph("same")
    h = graph(layers.tanh, graph.input("x", (N, M)))
    compiled = compile_layer(graph.layer(y=graph(BIASED, h, h)))
    x = normals(x=(2, 3))["x"]
    _, residuals = compiled.forward(x)
    slope = (1 + np.tanh(x) * np.exp(np.tanh(x))) / np.cosh(x) ** 2
    np.testing.assert_allclose(compiled.backward(residuals, np.ones_like(x)).x, slope, rtol=1e-12)


def test_inputs_that_feed_only_constants_are_constants() -> None:
    graph = Graph("direct")
    x, target = graph.input("x", (N, M)), graph.input("t", (N, M))
    layer = graph.layer(loss=graph(layers.mean_squared_error, x, target))
    assert [(t.name, t.constant) for t in layer.program.inputs] == [("x", False), ("t", True)]
    assert [e.target for e in layer.program.equations] == ["loss"]
    swapped = graph.layer(loss=graph(layers.mean_squared_error, target, x))
    assert [t.constant for t in swapped.program.inputs] == [False, False]


def test_the_derivative_of_the_whole_is_the_same() -> None:
    arrays = normals(x=(4, 3), g=(4, 3))
    outputs, _ = compile_layer(vjp(gated())).forward(arrays["x"], arrays["g"])
    _, residuals = compile_layer(gated()).forward(arrays["x"])
    np.testing.assert_allclose(outputs, compile_layer(gated()).backward(residuals, arrays["g"]).x)


def test_the_drawn_graph_dashes_a_constant_wire() -> None:
    text = show_stage(gated(), "graph")
    assert "t_sigmoid_y -.-> t_dropout_mask" in text and "t_x --> t_y" in text


FLOWS: dict[str, tuple[dict[str, set[str]], set[str], set[str]]] = {
    "through": ({"y": {"x"}}, set(), set()),
    "held": ({"y": {"copy"}, "copy": set()}, {"x"}, {"x"}),
    "behind one held": ({"h": {"x"}, "y": {"copy"}, "copy": set()}, {"h"}, {"x"}),
    "both ways": ({"h": {"x"}, "y": {"copy", "x"}, "copy": set()}, {"h"}, set()),
    "not returned": ({"h": {"x"}, "y": set()}, set(), set()),
    "not used": ({"y": set()}, set(), set()),
}


@pytest.mark.parametrize("case", FLOWS.values(), ids=FLOWS)
def test_inputs_without_gradient(case: tuple[Any, Any, Any]) -> None:
    flows, held, expected = case
    assert without_gradient(["x"], ["y"], flows, held) == expected
