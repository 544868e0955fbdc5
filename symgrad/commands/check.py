"""``symgrad check``: emitted modules against the naive evaluation of their equations."""

from __future__ import annotations

import dataclasses
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
            text, ok, details = f"{layer.name}: {error}", False, {}
        else:
            text, ok, details = str(report), report.ok, dataclasses.asdict(report)
        results.append({"layer": layer.name, "ok": ok, "report": text, **details})
        if not as_json:
            click.echo(text)
    passed = sum(result["ok"] for result in results)
    if as_json:
        click.echo(json.dumps(results, indent=2, default=str))
    elif len(results) > 1:
        click.echo(f"{passed} of {len(results)} layers passed")
    return passed == len(results)
