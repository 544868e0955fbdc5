"""The page that lists the catalogue: what every layer computes, and where its module and its derivation are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from symgrad import __version__
from symgrad.commands.study import attributes_of, equations_of
from symgrad.emit.files import MARKDOWN_HEADER
from symgrad.layers import compared

if TYPE_CHECKING:
    from symgrad import Layer

HEAD = f"""{MARKDOWN_HEADER} {__version__} from the catalogue; do not edit. -->

# The catalogue

"""
ABOUT = """layers, by theme. A name leads to the derivation of the gradients, `py` to the module. Each is derived and
emitted from the equations shown. Status says what its module was compared with: always its own equations, evaluated
entry by entry, and differences of them, as `symgrad check NAME` does; torch, values and gradients, where a test has
the same layer in torch; operators of ONNX of which published cases run through it. Tests confirm that column.
"""


def index_of(rows: Mapping[str, Sequence[str]], themes: Mapping[str, str]) -> str:
    """Return the page, Markdown.

    Args:
        rows: a submodule of the catalogue -> the rows of its layers, as from ``row_of`` and ``status_of``.
        themes: a submodule of the catalogue -> what it is about.
    """
    sections = [
        f"\n## {submodule.capitalize()}\n\n{themes[submodule]}\n\n{_table(rows[submodule])}"
        for submodule in sorted(rows)
    ]
    return f"{HEAD}{sum(map(len, rows.values()))} {ABOUT}{''.join(sections)}"


def _table(rows: Sequence[str]) -> str:
    """Return one row for every layer below a head."""
    head = ["| layer | | equations | attributes | gradients | status |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def row_of(layer: Layer) -> str:
    """Return links, summary, equations, attributes and the inputs that get a gradient; the status comes behind."""
    summary = layer.doc.split("\n", 1)[0]
    equations = "<br>".join(f"`{_safe(equation)}`" for equation in equations_of(layer))
    attributes = f"`{attributes_of(layer)}`" if layer.attributes else ""
    wanted = ", ".join(t.name for t in layer.inputs if not (t.integer or t.constant))
    links = f"[{layer.name}]({layer.name}.md) [py](../numpy/{layer.name}.py)"
    return f"| {links} | {_safe(summary)} | {equations} | {attributes} | {wanted or 'none: data alone'} |"


def status_of(name: str) -> str:
    """Return the last cell of the row of a layer: what it was compared with."""
    oracles = compared(name)
    torch = ["torch"] if "torch" in oracles else []
    onnx = [f"ONNX {', '.join(oracles['ONNX'])}"] if "ONNX" in oracles else []
    return f" {'; '.join(['equations, differences', *torch, *onnx])} |"


def _safe(text: str) -> str:
    """Return ``text`` for a cell of a table."""
    return text.replace("|", "\\|")
