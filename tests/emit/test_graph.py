"""Graphs of layers as text: nodes, edges and groups, and that Graphviz's and Mermaid's own signs are escaped."""

from __future__ import annotations

import re

import pytest
from sympy import Eq, Idx, IndexedBase, Max, Piecewise, symbols

from symgrad import ArgMax, Layer, chain, compile_layer, layers
from symgrad.compiler import show_stage
from symgrad.emit.graph import drawing, graph_text
from symgrad.errors import ArgumentError

N, M = symbols("N M", integer=True, positive=True)
x, s, y, h = (IndexedBase(name) for name in ("x", "s", "y", "h"))
i, j, k = Idx("i", N), Idx("j", M), Idx("k", M)
PICKED = Layer("picked", [x[N, M], s[N, M]], [Eq(h[i], x[i, ArgMax(s[i, k], k)]), Eq(y[i], Max(h[i], 0))], outputs=[y])
NET = chain(layers.dense, layers.relu, layers.dense, layers.softmax_cross_entropy, name="net")


def edges(layer: Layer) -> set[tuple[str, str, bool]]:
    return {(e.source, e.target, e.gradient) for e in drawing(layer).edges}


def test_edges_are_reads_and_tell_where_a_gradient_flows() -> None:
    assert edges(PICKED) == {
        ("s", "argmax_s", False),
        ("argmax_s", "h", False),
        ("x", "h", True),
        ("h", "y", True),
    }


def test_a_recurrence_is_an_edge_back() -> None:
    layer = Layer("kept", [x[N]], [Eq(h[i], Piecewise((x[0], Eq(i, 0)), (h[i - 1] + x[i], True)))])
    assert ("h", "h", True) in edges(layer)


def test_the_uses_of_layers_stand_together() -> None:
    groups = dict(drawing(NET).groups)
    assert list(groups) == ["", "dense", "relu", "dense_2: dense", "softmax_cross_entropy"]
    assert [node.name for node in groups["dense_2: dense"]] == ["dense_2_y"]
    assert {node.name for node in groups[""]} == {t.name for t in NET.program.inputs}


def test_mermaid_text() -> None:
    text = graph_text(PICKED)
    assert text.startswith("flowchart TD\n")
    assert '    t_x(["x (N, M)"])\n' in text and "    t_s -.-> t_argmax_s\n" in text and "    t_h --> t_y\n" in text
    assert text == show_stage(PICKED, "graph")
    labels = re.findall(r'"([^"\n]*)"', graph_text(NET))
    assert labels and not any(sign in label for label in labels for sign in "<>&*")
    assert graph_text(NET).count("subgraph") == graph_text(NET).count("\n    end\n") == 4


def test_dot_text() -> None:
    text = graph_text(NET, "dot")
    assert text.startswith('digraph "net" {') and text.endswith("}\n")
    assert text.count("{") - text.count("sum_{") == text.count("}") - text.count("sum_{")
    assert '    "labels" -> "loss" [style=dashed];\n' in text and '    "relu_y" -> "dense_2_y";\n' in text
    quotes = [line.replace(r"\"", "").count('"') for line in text.splitlines()]
    assert all(count % 2 == 0 for count in quotes)


def test_long_equations_are_cut() -> None:
    net = chain(layers.conv2d, layers.max_pool2d, layers.flatten, layers.dense, name="images")
    assert max(map(len, graph_text(net).splitlines())) < 200


def test_the_derivation_of_a_chain_shows_it_where_it_can_be_drawn() -> None:
    derivation = compile_layer(chain(layers.dense, layers.relu)).derivation
    assert "```mermaid\nflowchart TD\n" in derivation.to_markdown()
    assert not any("flowchart" in text for text in (derivation.to_text(), derivation.to_latex(), derivation.to_html()))
    assert "mermaid" not in compile_layer(layers.dense).derivation.to_markdown()


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ArgumentError, match="known: mermaid, dot"):
        graph_text(PICKED, "svg")
