"""``symgrad generate``: modules and studies as files, or whether those on disk are current."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import symgrad
from symgrad.commands.cache import Cache
from symgrad.commands.index import index_of, row_of, status_of
from symgrad.commands.progress import announce, over_catalogue, track
from symgrad.emit.files import MARKDOWN_HEADER, State, compare, has_header, left_over, resolve, write_files
from symgrad.errors import DeclarationError
from symgrad.layers import by_submodule, theme
from symgrad.loading import find_layer

if TYPE_CHECKING:
    from symgrad import Layer

FOLDERS = ("numpy", "study")
INDEX = "study/index.md"


def generate(
    references: Sequence[str],
    out: Path,
    check: bool,
    as_json: bool,
    residuals: str = "auto",
    schedule: str = "readable",
    afresh: bool = False,
) -> bool:
    """Write ``numpy/NAME.py`` and ``study/NAME.md`` below ``out``, or compare them with ``check``.

    For the whole catalogue ``study/index.md`` as well, which lists it. ``residuals`` and ``schedule`` as in
    ``compile_layer``. ``afresh`` compiles the catalogue without reading back what was compiled before.

    Returns:
        Whether all is well: False when ``check`` found a file that is not current.
    """
    files = _named(references, residuals, schedule) if references else _catalogue(residuals, schedule, afresh)
    targets = {path: resolve(path, out) for path in files}
    states = {path: compare(target, files[path]).value for path, target in targets.items()}
    if not references:
        states |= dict.fromkeys(_left_over(out, files), "left over")
    if not check:
        write_files(files, out)
    if as_json:
        click.echo(json.dumps({"out": str(out), "check": check, "files": states}, indent=2))
    else:
        _print(states, out, check)
    return not check or all(state == State.CURRENT.value for state in states.values())


def render(layer: Layer, residuals: str = "auto", schedule: str = "readable") -> dict[str, str]:
    """Return the files of one layer: path below the output folder -> text."""
    compiled = symgrad.compile_layer(layer, residuals=residuals, schedule=schedule)
    study = compiled.derivation.to_markdown().strip() + "\n"
    header = f"{MARKDOWN_HEADER} {symgrad.__version__} from the layer {layer.name}; do not edit. -->\n\n"
    return {
        f"numpy/{layer.name}.py": compiled.source,
        f"study/{layer.name}.md": study if has_header(study) else header + study,
    }


def _named(references: Sequence[str], residuals: str, schedule: str) -> dict[str, str]:
    found: dict[str, Layer] = {}
    for reference in references:
        layer = find_layer(reference, announce)
        if layer.name in found:
            raise DeclarationError(
                f"two layers are called {layer.name}; give one of them another name; in a text that "
                f"is a line of its own, layer: NAME"
            )
        found[layer.name] = layer
    rendered = (render(found[name], residuals, schedule) for name in track(tuple(found), "compiling"))
    return {path: text for files in rendered for path, text in files.items()}


def _catalogue(residuals: str, schedule: str, afresh: bool) -> dict[str, str]:
    """Return the files of all layers and of the index. Submodules that did not change are not compiled again."""
    groups = by_submodule(symgrad.catalogue())
    cache = Cache("generate", residuals, schedule)
    # submodule -> layer -> what _from_catalogue returns
    made: dict[str, dict[str, Any]] = {} if afresh else {name: cache.recall(name) or {} for name in groups}
    # What was kept may be of other layers than are asked for.
    missing = [submodule for submodule, group in groups.items() if set(group) != set(made.get(submodule, ()))]
    names = sorted(name for submodule in missing for name in groups[submodule])
    if names:
        compiled = over_catalogue(partial(_from_catalogue, residuals, schedule), names, "compiling")
        results = dict(zip(names, compiled, strict=True))
        for submodule in missing:
            made[submodule] = {name: results[name] for name in groups[submodule]}
            cache.keep(submodule, made[submodule])
    entries = {name: entry for submodule in groups for name, entry in made[submodule].items()}
    files = {path: text for name in sorted(entries) for path, text in entries[name]["files"].items()}
    rows = {
        submodule: [entries[name]["row"] + status_of(name) for name in group] for submodule, group in groups.items()
    }
    themes = {submodule: entries[group[0]]["theme"] for submodule, group in groups.items()}
    return files | {INDEX: index_of(rows, themes)}


def _from_catalogue(residuals: str, schedule: str, name: str) -> dict[str, Any]:
    """Return what is kept of a layer: its files, and its row and heading in the index."""
    layer = symgrad.layers.get(name)
    (submodule,) = by_submodule([name])
    return {"files": render(layer, residuals, schedule), "row": row_of(layer), "theme": theme(submodule)}


def _left_over(out: Path, files: dict[str, str]) -> list[str]:
    """Return the generated files of layers that are no longer in the catalogue."""
    return [
        f"{folder}/{path.name}"
        for folder in FOLDERS
        for path in left_over(out / folder, frozenset(Path(name).name for name in files if name.startswith(folder)))
    ]


def _print(states: dict[str, str], out: Path, check: bool) -> None:
    """Print a line for each file that is or was not current, and a count."""
    for path, state in states.items():
        if state == "left over":
            click.echo(f"left over: {out / path} (no layer of the catalogue; remove it)")
        elif state != State.CURRENT.value:
            click.echo(f"{state}: {out / path}" if check else f"wrote {out / path}")
    current = sum(state == State.CURRENT.value for state in states.values())
    if check and current != len(states):
        click.echo(f"{len(states) - current} of {len(states)} files are not current; run `symgrad generate`")
    else:
        click.echo(f"{len(states)} files in {out}, {current} of them current already")
