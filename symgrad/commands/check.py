"""``symgrad check``: emitted modules against the naive evaluation of their equations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import click

import symgrad
from symgrad import Layer
from symgrad.commands.progress import announce, over_catalogue, track
from symgrad.errors import SymgradError
from symgrad.loading import find_layer


def check(references: Sequence[str], as_json: bool, schedule: str = "readable") -> bool:
    """Check the layers, all of the catalogue when none is named; print a report for each.

    ``schedule`` as in ``compile_layer``.

    Returns:
        Whether every check passed.
    """
    results: list[dict[str, Any]] = []
    report = partial(_report, schedule)
    catalogue = () if references else over_catalogue(report, symgrad.catalogue(), "checking")
    for text, result in _of(references, schedule) if references else catalogue:
        results.append(result)
        if not as_json:
            click.echo(f"{text}\n")
    failed = [str(result["layer"]) for result in results if not result["ok"]]
    if as_json:
        click.echo(json.dumps(results, indent=2))
    elif len(results) > 1:
        tail = f"; failed: {', '.join(failed)}" if failed else ""
        click.echo(f"{len(results) - len(failed)} of {len(results)} layers passed{tail}")
    return not failed


def _of(references: Sequence[str], schedule: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find every layer before the first is checked: a misspelt name is told at once."""
    found = {reference: find_layer(reference, announce) for reference in references}
    return (_checked(found[reference], schedule) for reference in track(tuple(found), "checking"))


def _report(schedule: str, name: str) -> tuple[str, dict[str, Any]]:
    return _checked(symgrad.layers.get(name), schedule)


def _checked(layer: Layer, schedule: str) -> tuple[str, dict[str, Any]]:
    """Return a report to read and one for programs; a layer that cannot be checked has failed."""
    try:
        report = symgrad.check_layer(layer, schedule=schedule)
    except SymgradError as error:
        return f"check of {layer.name}: {error}", {"layer": layer.name, "ok": False, "error": str(error)}
    return str(report), json.loads(report.to_json())
