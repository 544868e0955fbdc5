"""``symgrad list``, ``show`` and ``derive``: layers and what becomes of them, to read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

import symgrad
from symgrad import layers
from symgrad.commands.progress import announce
from symgrad.loading import find_layer

if TYPE_CHECKING:
    from symgrad import Layer


def list_layers(as_json: bool) -> None:
    """Print the catalogue: name, equations, attributes."""
    found = [layers.get(name) for name in symgrad.catalogue()]
    if as_json:
        click.echo(json.dumps([describe(layer) for layer in found], indent=2))
        return
    rows = [(layer.name, equations_of(layer), attributes_of(layer)) for layer in found]
    console = Console()
    if not console.is_terminal:
        for name, equations, attributes in rows:
            click.echo("\t".join((name, "; ".join(equations), attributes)))
        return
    table = Table("layer", "equations", "attributes")
    for name, equations, attributes in rows:
        table.add_row(name, "\n".join(equations), attributes)
    console.print(table, markup=False)


def show(
    reference: str, stage: str, form: str = "mermaid", residuals: str = "auto", schedule: str = "readable"
) -> None:
    """Print the layer as it leaves ``stage``; ``form`` is that of a graph, the others as in ``compile_layer``."""
    from symgrad.compiler import show_stage
    from symgrad.emit.graph import graph_text

    layer = find_layer(reference, announce)
    text = graph_text(layer, form) if stage == "graph" else show_stage(layer, stage, residuals, schedule)
    click.echo(text.rstrip("\n"))


def derive(reference: str, format_name: str, schedule: str = "readable") -> None:
    """Print the derivation of the gradients as text, LaTeX, Markdown or HTML; of a fast module with its forms."""
    derivation = symgrad.compile_layer(find_layer(reference, announce), schedule=schedule).derivation
    match format_name:
        case "latex":
            text = derivation.to_latex()
        case "markdown":
            text = derivation.to_markdown()
        case "html":
            text = derivation.to_html()
        case _:
            text = derivation.to_text()
    click.echo(text.rstrip("\n"))


def equations_of(layer: Layer) -> list[str]:
    """Return the equations, one line each."""
    from symgrad.commands.texts import Texts

    text = Texts().doprint
    return [f"{text(equation.lhs)} = {text(equation.rhs)}" for equation in layer.equations]


def attributes_of(layer: Layer) -> str:
    """Return ``stride=1, padding=0``."""
    return ", ".join(f"{symbol}={default}" for symbol, default in layer.attributes.items())


def describe(layer: Layer) -> dict[str, Any]:
    """Return what a program may want to know about a layer."""
    return {
        "name": layer.name,
        "inputs": {tensor.name: [str(extent) for extent in tensor.shape] for tensor in layer.inputs},
        "equations": equations_of(layer),
        "outputs": list(layer.outputs),
        "attributes": {str(symbol): default for symbol, default in layer.attributes.items()},
        "doc": layer.doc,
    }
