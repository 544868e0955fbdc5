"""``symgrad check``: emitted modules against the naive evaluation of their equations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

import symgrad
from symgrad.commands.progress import announce, track
from symgrad.errors import SymgradError
from symgrad.loading import find_layer


def check(references: Sequence[str], as_json: bool) -> bool:
    """Check the layers, all of the catalogue when none is named; print a report for each.

    Returns:
        Whether every check passed.
    """
    found = {reference: find_layer(reference, announce) for reference in references or symgrad.catalogue()}
    results: list[dict[str, Any]] = []
    for reference in track(tuple(found), "checking"):
        layer = found[reference]
        try:
            report = symgrad.check_layer(layer)
        except SymgradError as error:
            text, result = f"check of {layer.name}: {error}", {"layer": layer.name, "ok": False, "error": str(error)}
        else:
            text, result = str(report), json.loads(report.to_json())
        results.append(result)
        if not as_json:
            click.echo(f"{text}\n")
    passed: int = sum(result["ok"] for result in results)
    if as_json:
        click.echo(json.dumps(results, indent=2))
    elif len(results) > 1:
        failed = ", ".join(result["layer"] for result in results if not result["ok"])
        click.echo(f"{passed} of {len(results)} layers passed" + (f"; failed: {failed}" if failed else ""))
    return passed == len(results)
