"""Measurements in processes of their own, forked from one that has imported what is dear and run nothing."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 900  # seconds for one measurement; a compiler may need some of them


def server(paths: Sequence[str], dear: Sequence[str]) -> Any:
    """Where processes are forked from.

    Args:
        paths: where modules are found.
        dear: modules to import once, for all processes.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(dear))
    return context


def in_own_process(context: Any, function: Callable[[Any], dict[str, Any]], argument: Any) -> dict[str, Any]:
    """What a function returns there; ``{"skipped": why}`` where it does not return."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(function, argument, there))
    process.start()
    there.close()
    try:
        found: dict[str, Any] = here.recv() if here.poll(PATIENCE) else {"skipped": f"not done in {PATIENCE} s"}
    except EOFError:
        process.join()
        found = {"skipped": f"its process ended with exit code {process.exitcode}"}
    process.join(1)
    if process.is_alive():  # a compiler's helpers may outlive its work
        process.kill()
        process.join()
    return found


def _answer(function: Callable[[Any], dict[str, Any]], argument: Any, pipe: Connection) -> None:
    pipe.send(function(argument))
    pipe.close()
