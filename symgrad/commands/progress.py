"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def track(names: Sequence[str], doing: str) -> Iterator[str]:
    """Yield ``names`` one after the other and show which one is at work."""
    console = Console(stderr=True)
    if not console.is_terminal:
        for number, name in enumerate(names, start=1):
            click.echo(f"[{number}/{len(names)}] {doing} {name}", err=True)
            yield name
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(doing, total=len(names))
        for name in names:
            bar.update(task, description=f"{doing} {name}")
            yield name
            bar.advance(task)


def announce(line: str) -> None:
    """Write one line to standard error."""
    click.echo(line, err=True)
