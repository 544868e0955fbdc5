"""Runs emitted modules in a process of its own and measures them: time, memory, what is kept.

A program: it reads a job as JSON from standard input and writes what it found to standard output. Numbers of threads
are fixed by the environment before NumPy loads, and NumPy is all that it loads.
"""

from __future__ import annotations

import inspect
import json
import statistics
import sys
import time
import tracemalloc
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

ROUNDS = 5  # candidates take turns this often, so that a disturbance meets all of them
Array = np.ndarray[Any, Any]
Sample = tuple[float, float]

RECIPES: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], Any]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape) * _scale(shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2.0, shape),
    "unit": lambda rng, shape: rng.uniform(0.1, 0.9, shape),
    "above one": lambda rng, shape: rng.uniform(1.1, 3.0, shape),
}


def _scale(shape: tuple[int, ...]) -> float:
    """What keeps sums of products of their size, from step to step of a recurrence too; vectors need none."""
    return float(max(1, shape[-1])) ** -0.5 if len(shape) > 1 else 1.0


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run every module of the job on the same arrays.

    Args:
        job: ``modules`` by name, as text; ``inputs``, each with ``shape`` and either a ``recipe`` or, for integers,
            ``most``, how many values it may have; ``attributes``; ``dtype``; ``threads`` or None; ``seconds``.

    Returns:
        ``modules`` by name: times, memory and residuals; ``apart``, the largest difference between their results.
    """
    modules = {name: _loaded(name, text, job["threads"]) for name, text in job["modules"].items()}
    arrays = _drawn(job, next(iter(modules.values())))
    y, _ = next(iter(modules.values()))[0](*arrays, **job["attributes"])
    outputs = y if isinstance(y, tuple) else (y,)
    cotangents = _cotangents(outputs)
    runs = {name: _run(*pair, arrays, job["attributes"], cotangents) for name, pair in modules.items()}
    results = [run()[1] for run in runs.values()]
    samples = _alternated(runs, job["seconds"])
    found = {name: _summary(samples[name]) | _memory(run, arrays, outputs) for name, run in runs.items()}
    return {
        "modules": found,
        "apart": max(
            (_apart(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True)), default=0
        ),
        "bytes": {"inputs": sum(a.nbytes for a in arrays), "outputs": sum(np.asarray(o).nbytes for o in outputs)},
        "backward": cotangents is not None,
        "numpy": np.__version__,
    }


def _loaded(name: str, text: str, threads: int | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return forward and backward; those that take a number of threads are told how many."""
    module = types.ModuleType(name)
    exec(compile(text, f"<symgrad {name}>", "exec"), module.__dict__)
    return _threaded(module.forward, threads), _threaded(module.backward, threads)


def _threaded(function: Callable[..., Any], threads: int | None) -> Callable[..., Any]:
    if threads is None or "threads" not in inspect.signature(function).parameters:
        return function
    return lambda *arrays, **options: function(*arrays, threads=threads, **options)


def _drawn(job: Mapping[str, Any], module: tuple[Callable[..., Any], Callable[..., Any]]) -> list[Array]:
    """Draw inputs; integers whose range no axis tells get fewer values until the module takes them."""
    most = max([2, *(extent for given in job["inputs"].values() for extent in given["shape"])])
    while True:
        arrays = [_array(np.random.default_rng(0), given, job["dtype"], most) for given in job["inputs"].values()]
        try:
            module[0](*arrays, **job["attributes"])
        except (IndexError, ValueError):
            if most == 1 or all(given.get("most", 1) is not None for given in job["inputs"].values()):
                raise
            most //= 2
        else:
            return arrays


def _array(rng: np.random.Generator, given: Mapping[str, Any], dtype: str, most: int) -> Array:
    shape = tuple(given["shape"])
    if "most" in given:
        return rng.integers(0, max(1, given["most"] or most), shape)
    return np.asarray(RECIPES[given["recipe"]](rng, shape), dtype)


def _cotangents(outputs: tuple[Any, ...]) -> list[Array] | None:
    """Return a cotangent for each output; None where one holds integers, which nothing can be pulled back from."""
    arrays = [np.asarray(output) for output in outputs]
    if any(array.dtype.kind != "f" for array in arrays):
        return None
    rng = np.random.default_rng(1)
    return [np.asarray(rng.standard_normal(array.shape), array.dtype) for array in arrays]


def _run(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    arrays: list[Array],
    attributes: Mapping[str, Any],
    cotangents: list[Array] | None,
) -> Callable[[], tuple[Sample, list[Any], Any]]:
    """Return a function that runs both passes: seconds of each, the results, the residuals."""

    def run() -> tuple[Sample, list[Any], Any]:
        start = time.perf_counter()
        y, residuals = forward(*arrays, **attributes)
        between = time.perf_counter()
        gradients = () if cotangents is None else backward(residuals, *cotangents)
        end = time.perf_counter()
        return (between - start, end - between), [*(y if isinstance(y, tuple) else (y,)), *gradients], residuals

    return run


def _alternated(runs: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, list[Sample]]:
    """Time in blocks that take turns; the first run of a block only brings its data into the cache."""
    samples: dict[str, list[Sample]] = {name: [] for name in runs}
    rounds = ROUNDS if seconds else 1
    share = seconds / rounds / len(runs)
    counts = {name: max(1, min(200, int(share / max(sum(run()[0]), 1e-7)) - 1)) for name, run in runs.items()}
    for _ in range(rounds):
        for name, run in runs.items():
            run()
            samples[name] += [run()[0] for _ in range(counts[name])]
    return samples


def _summary(samples: list[Sample]) -> dict[str, Any]:
    times = {
        "forward": [f for f, _ in samples],
        "backward": [b for _, b in samples],
        "both": [f + b for f, b in samples],
    }
    found: dict[str, Any] = {n: {"median": statistics.median(t), "minimum": min(t)} for n, t in times.items()}
    return found | {"runs": len(samples)}


def _memory(run: Callable[[], Any], arrays: list[Array], outputs: tuple[Any, ...]) -> dict[str, int]:
    """Bytes at the worst moment, results included, inputs not; and of the residuals, all and those of their own."""
    tracemalloc.start()
    _, results, residuals = run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = list(_arrays(residuals))
    others = [*arrays, *(np.asarray(r) for r in results[: len(outputs)])]
    own = [a for a in kept if not any(np.may_share_memory(a, other) for other in others)]
    return {"peak": peak, "residuals": sum(a.nbytes for a in kept), "own_residuals": sum(a.nbytes for a in own)}


def _arrays(value: Any) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item)


def _apart(one: Any, other: Any) -> float:
    """Largest difference over the largest magnitude; where one is not finite, the other is the same."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    finite = np.isfinite(a)
    if a.shape != b.shape or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf")
    return float(np.abs(a[finite] - b[finite]).max(initial=0) / (np.abs(a[finite]).max(initial=0) or 1))


def main() -> None:
    """Read a job, write what was found; an error of the module's is told as ``{"error": ...}``."""
    warnings.simplefilter("ignore")  # random numbers may well overflow
    job = json.load(sys.stdin)
    try:
        found = measure(job)
    except (ValueError, TypeError, IndexError, MemoryError) as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
