"""The graph of a layer's equations as text that is drawn elsewhere: Mermaid and DOT."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.formula import equation_text
from symgrad.declare.integers import Poly
from symgrad.declare.layer import Layer
from symgrad.declare.scalars import Stopped, tensors_of
from symgrad.errors import ArgumentError

WIDEST = 96
"""How much of an equation is shown."""

INPUT, BETWEEN, OUTPUT = "input", "between", "output"
_MERMAID = {INPUT: '(["{}"])', BETWEEN: '["{}"]', OUTPUT: '[["{}"]]'}
_DOT = {INPUT: "ellipse", BETWEEN: "box", OUTPUT: "doubleoctagon"}


@dataclass(frozen=True, slots=True)
class Node:
    """A tensor: its name, what is written into it, and what it is to the layer."""

    name: str
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Edge:
    """An equation of ``target`` reads ``source``; ``gradient`` tells whether one flows back along it."""

    source: str
    target: str
    gradient: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes by the layer that they belong to (``""``: the whole), and edges."""

    name: str
    groups: tuple[tuple[str, tuple[Node, ...]], ...]
    edges: tuple[Edge, ...]


def drawing(layer: Layer) -> Drawing:
    """The graph of a layer; in a composed one, the equations of each use of a layer stand together."""
    program = layer.program
    inside = {target: part.label for part in layer.parts for target in part.targets}
    titles = {p.label: p.label if p.label == p.layer else f"{p.label}: {p.layer}" for p in layer.parts}
    members: dict[str, list[Node]] = {"": [], **{title: [] for title in titles.values()}}
    still = {t.name for t in program.inputs if t.constant or t.integer}
    still |= {e.target for e in program.equations if e.integer or isinstance(e.body, Stopped)}
    known = {t.name for t in program.inputs} | {e.target for e in program.equations}
    for t in program.inputs:
        members[""].append(Node(t.name, _shaped(t.name, t.extents), INPUT))
    edges = []
    for e in program.equations:
        kind = OUTPUT if e.target in program.outputs else BETWEEN
        title = titles.get(inside.get(e.target, ""), "")
        members[title].append(Node(e.target, _cut(equation_text(e), WIDEST), kind))
        edges += [Edge(s, e.target, s not in still and e.target not in still) for s in tensors_of(e.body) if s in known]
    groups = tuple((title, tuple(nodes)) for title, nodes in members.items() if nodes)
    return Drawing(layer.name, groups, tuple(edges))


def _shaped(name: str, extents: tuple[Poly, ...]) -> str:
    shape = ", ".join(_cut(str(e), WIDEST // 4) for e in extents)
    return f"{name} ({shape})" if extents else name


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 4].rstrip()} ..."


def mermaid(graph: Drawing) -> str:
    """The graph as Mermaid text; what carries no gradient is dashed."""
    lines = ["flowchart TD"]
    for number, (title, nodes) in enumerate(graph.groups):
        depth = "    " if title else ""
        if title:
            lines.append(f'    subgraph layer{number}["{_mermaid_text(title)}"]')
        for node in nodes:
            lines.append(f"    {depth}{_id(node.name)}{_MERMAID[node.kind].format(_mermaid_text(node.text))}")
        if title:
            lines.append("    end")
    lines += [f"    {_id(e.source)} {'-->' if e.gradient else '-.->'} {_id(e.target)}" for e in graph.edges]
    return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    """A name that is no word of Mermaid's own, such as end."""
    return f"t_{name}"


def _mermaid_text(text: str) -> str:
    """Text inside quotes: Mermaid reads it as HTML, with # for &."""
    for sign, code in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("*", "#42;")):
        text = text.replace(sign, code)
    return text


def dot(graph: Drawing) -> str:
    """The graph as DOT text, for Graphviz; what carries no gradient is dashed."""
    lines = [f'digraph "{_dot_text(graph.name)}" {{', "    node [shape=box];"]
    for number, (title, nodes) in enumerate(graph.groups):
        depth = "    " if title else ""
        if title:
            lines += [f"    subgraph cluster_{number} {{", f'        label="{_dot_text(title)}";']
        for node in nodes:
            lines.append(f'    {depth}"{node.name}" [label="{_dot_text(node.text)}", shape={_DOT[node.kind]}];')
        if title:
            lines.append("    }")
    for edge in graph.edges:
        lines.append(f'    "{edge.source}" -> "{edge.target}"{"" if edge.gradient else " [style=dashed]"};')
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


FORMS = {"mermaid": mermaid, "dot": dot}


def graph_text(layer: Layer, form: str = "mermaid") -> str:
    """The graph of a layer as text.

    Args:
        layer: the declaration.
        form: ``mermaid`` or ``dot``.

    Raises:
        ArgumentError: the form is unknown.
    """
    if form not in FORMS:
        raise ArgumentError(f"unknown form {form!r} of a graph; known: {', '.join(FORMS)}")
    return FORMS[form](drawing(layer))
