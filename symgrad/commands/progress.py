"""Work on many layers: on all cores, with a bar on a terminal and plain lines elsewhere, on standard error."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from symgrad.layers import by_submodule, length

Result = TypeVar("Result")


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


def over_catalogue(work: Callable[[str], Result], names: Sequence[str], doing: str) -> Iterator[Result]:
    """Yield ``work(name)`` for every name in order, computed by one process for each core: no layer needs another.

    One process takes all layers of a submodule, for loading a submodule declares every layer of it. Long submodules
    come first, so that no process works on alone in the end.
    """
    workers = min(len(names), os.cpu_count() or 1)
    # What a layer is made of is remembered for the next ones: looking for garbage finds none.
    with ProcessPoolExecutor(workers, _processes(), initializer=gc.disable) as pool:
        results: dict[str, tuple[Future[list[Result]], int]] = {}
        groups = by_submodule(names)
        for group in (groups[submodule] for submodule in sorted(groups, key=length, reverse=True)):
            future = pool.submit(_each, work, group)
            results |= {name: (future, place) for place, name in enumerate(group)}
        try:
            for name in track(names, doing):
                future, place = results[name]
                yield future.result()[place]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _processes() -> BaseContext:
    """Return how to start processes: as copies of one that has loaded the compiler, which end without tidying up.

    Loading it takes a second, and so does freeing, object by object, what was remembered of a hundred layers.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["symgrad.compiler"])
    return context


def _each(work: Callable[[str], Result], names: Sequence[str]) -> list[Result]:
    return [work(name) for name in names]


def announce(line: str) -> None:
    """Write one line to standard error."""
    click.echo(line, err=True)
