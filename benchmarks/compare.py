"""One comparison of the suite, in a process of its own: emitted modules beside one rival, on the same arrays."""

import _measure  # isort: skip  (before NumPy: it fixes the number of threads)

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np
from problems import Pass, Problem, Training, alone, emitted, emitted_pass
from profiles import profiled

TOLERANCE = 1e-4  # of the largest value, between two float32 computations
RIVALS = {
    "torch": ("rival_torch", "eager"),
    "torch.compile": ("rival_torch", "compiled"),
    "jax": ("rival_jax", "passes"),
    "autograd": ("rival_autograd", "passes"),
    "naive": ("rival_naive", "passes"),
}


@dataclass(frozen=True)
class Task:
    """What one process measures beside a rival: modules by schedule, as text; of a network, those of its layers."""

    name: str
    problem: Problem
    modules: Mapping[str, Any]
    rival: str
    seconds: float
    rounds: int


def compare(task: Task) -> dict[str, Any]:
    """Compare results and, where they agree, times.

    Returns:
        ``errors``, those of each module against the rival; ``timings`` by name, none where a result is wrong; beside
        torch the ``profile`` of the fast module, on one thread. Or ``skipped``, why the rival does not run, with the
        ``timings`` of the modules where there are several.
    """
    warnings.simplefilter("ignore")
    if task.rival == "jax":
        _measure.keep_to_cores(_measure.THREADS)
    problem = task.problem
    arrays = problem.arrays()
    if isinstance(problem, Training):
        grad_y = np.ones((), np.float32)
        steps = {s: {n: emitted(t, f"{s} {n}") for n, t in texts.items()} for s, texts in task.modules.items()}
        own = {name: problem.step(modules, arrays) for name, modules in steps.items()}
    else:
        ours = {name: emitted(text, name) for name, text in task.modules.items()}
        y = np.asarray(next(iter(ours.values())).forward(*arrays, **problem.attributes)[0])
        grad_y = np.asarray(np.random.default_rng(1).standard_normal(y.shape), np.float32)
        own = {name: emitted_pass(module, arrays, grad_y, problem.attributes) for name, module in ours.items()}
    try:
        theirs = rival_passes(task, arrays, grad_y)
        expected = results_of(problem, next(iter(theirs.values())))
    except Exception as error:  # whatever keeps a rival from running is what the report says of it
        reason = str(error).strip().split("\n")[0][:200]
        timings = _measure.alternate(own, task.seconds, task.rounds) if len(own) > 1 else {}
        return {"skipped": f"{type(error).__name__}: {reason}", "timings": _records(timings)}
    errors = {name: error_of(run(), expected) for name, run in own.items()}
    right = max(errors.values()) <= TOLERANCE
    timings = _measure.alternate(own | theirs, task.seconds, task.rounds) if right else {}
    found = {"errors": errors, "timings": _records(timings)}
    if not right or task.rival != "torch":
        return found
    if isinstance(problem, Training):
        modules, sources = steps["fast"], {f"<fast {n}>": t for n, t in task.modules["fast"].items()}
        one = problem.step(modules, arrays, 1)
    else:
        modules, sources = {"fast": ours["fast"]}, {"<fast>": task.modules["fast"]}
        one = emitted_pass(ours["fast"], arrays, grad_y, problem.attributes, 1)
    with alone(modules.values()):
        return found | {"profile": profiled(one, sources).record()}


def _records(timings: Mapping[str, _measure.Timing]) -> dict[str, dict[str, Any]]:
    return {name: asdict(timing) for name, timing in timings.items()}


def rival_passes(task: Task, arrays: list[np.ndarray], grad_y: np.ndarray) -> dict[str, Pass]:
    """What the rival runs, by name: channels come second there."""
    module, function = RIVALS[task.rival]
    problem = task.problem
    if problem.last:
        arrays = [turned(array, name) for name, array in zip(problem.shapes, arrays, strict=True)]
        grad_y = turned(grad_y, "y")
    found: dict[str, Pass] = getattr(import_module(module), function)(problem.kind, problem.attributes, arrays, grad_y)
    return found


def results_of(problem: Problem, run: Pass) -> list[np.ndarray]:
    """What a rival computes, with axes in the order of the layer."""
    values = [np.asarray(value) for value in run()]
    names = ["y", *(name for name in problem.shapes if name not in problem.integers)]
    return [turned(v, n, back=True) for n, v in zip(names, values, strict=True)] if problem.last else values


def turned(array: np.ndarray, name: str, back: bool = False) -> np.ndarray:
    """Images and kernels that have channels last, with channels second; or back."""
    places = SECOND.get((name if name == "w" else "image", array.ndim))
    if places is None:
        return array
    return np.ascontiguousarray(array.transpose(np.argsort(places) if back else places))


SECOND = {("image", 4): (0, 3, 1, 2), ("w", 4): (3, 2, 0, 1), ("w", 3): (2, 0, 1)}


def error_of(found: list[Any], expected: list[np.ndarray]) -> float:
    """The largest error of an output or gradient, relative to its largest value."""
    return max(_measure.relative_error(a, b) for a, b in zip(found, expected, strict=True))
