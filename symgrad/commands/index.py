"""The page that lists the catalogue: what every layer computes, and where its module and its derivation are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from symgrad import Layer, __version__, layers
from symgrad.commands.study import attributes_of, equations_of
from symgrad.emit.files import MARKDOWN_HEADER

HEAD = f"""{MARKDOWN_HEADER} {__version__} from the catalogue; do not edit. -->

# The catalogue

"""
ABOUT = """layers, by theme. A name leads to the derivation of the gradients, `py` to the module. Each is derived and
emitted from the equations shown; `symgrad check NAME` compares its module with them and with numeric gradients.
"""


def index_of(names: Sequence[str]) -> str:
    """Return the page, Markdown, over the layers called ``names``."""
    by_theme = sorted(names, key=lambda name: (*layers.theme(name), name))
    sections = [
        f"\n## {submodule.capitalize()}\n\n{about}\n\n{_table(list(group))}"
        for (submodule, about), group in groupby(by_theme, key=layers.theme)
    ]
    return f"{HEAD}{len(names)} {ABOUT}{''.join(sections)}"


def _table(names: Sequence[str]) -> str:
    """Return one row for every layer."""
    rows = ["| layer | | equations | attributes | gradients |", "|---|---|---|---|---|"]
    rows += [_row(layers.get(name)) for name in names]
    return "\n".join(rows) + "\n"


def _row(layer: Layer) -> str:
    """Return links, summary, equations, attributes and the inputs that get a gradient."""
    summary = layer.doc.split("\n", 1)[0]
    equations = "<br>".join(f"`{_safe(equation)}`" for equation in equations_of(layer))
    attributes = f"`{attributes_of(layer)}`" if layer.attributes else ""
    wanted = ", ".join(t.name for t in layer.inputs if not (t.integer or t.constant))
    links = f"[{layer.name}]({layer.name}.md) [py](../numpy/{layer.name}.py)"
    return f"| {links} | {_safe(summary)} | {equations} | {attributes} | {wanted or 'none: data alone'} |"


def _safe(text: str) -> str:
    """Return ``text`` for a cell of a table."""
    return text.replace("|", "\\|")
