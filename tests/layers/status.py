"""The table of what every layer was compared with, which the catalogue's page shows: read, or written afresh."""

from __future__ import annotations

import json
from pathlib import Path

import symgrad.layers

TABLE = Path(symgrad.layers.__file__).with_name("compared.json")


def confirm(oracle: str, found: dict[str, list[str]], update: bool) -> None:
    """Assert that the table holds ``found`` (layer -> what of the oracle); with ``update`` write it there."""
    table = json.loads(TABLE.read_text())
    if update:
        table[oracle] = {name: sorted(what) for name, what in found.items()}
        TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    assert {name: sorted(what) for name, what in found.items()} == table[oracle], "--update writes what was found"
