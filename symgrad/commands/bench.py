"""``symgrad bench``: how long a layer's module takes at given sizes, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

import symgrad
from symgrad.check.shapes import Geometry, Sizes
from symgrad.check.values import Sampler, integer_bounds, integer_partners
from symgrad.commands.count import operations
from symgrad.commands.progress import announce
from symgrad.commands.setting import Setting, setting_of
from symgrad.errors import ArgumentError, CheckError, SymgradError
from symgrad.loading import find_layer

if TYPE_CHECKING:
    from symgrad import Layer

LIBRARIES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PROGRAM = Path(__file__).with_name("measuring.py")
Record = dict[str, Any]


def bench(
    reference: str,
    shapes: Sequence[str],
    values: Sequence[str],
    dtype: str,
    schedules: Sequence[str],
    threads: int | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure the layer's modules, one for each schedule, and print what was found.

    Raises:
        ArgumentError: a shape or an attribute is not one of the layer's, or its module refuses them.
        SymgradError: the layer cannot be found or compiled.
    """
    layer = find_layer(reference, announce)
    setting = setting_of(layer, shapes, values)
    texts = {schedule: symgrad.compile_layer(layer, schedule=schedule).source for schedule in schedules}
    modules = {schedule: texts[schedule] for schedule in dict.fromkeys(_twins(texts).values())}
    job = {
        "modules": modules,
        "inputs": _inputs(layer, setting),
        "attributes": setting.attributes,
        "dtype": dtype,
        "threads": threads,
        "seconds": seconds,
    }
    found = _measured(layer, job)
    record = {
        "layer": layer.name,
        "dtype": dtype,
        "threads": threads,
        "shapes": {name: list(shape) for name, shape in setting.shapes.items()},
        "attributes": setting.attributes,
        "sizes": setting.sizes,
        "numpy": found["numpy"],
        "bytes": found["bytes"],
        "operations": _operations(layer, setting, found["backward"]),
        "difference": found["apart"] if len(modules) > 1 else None,
        "schedules": {s: found["modules"][twin] | {"same_as": twin} for s, twin in _twins(texts).items()},
    }
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        _show(record, Console())


def _twins(texts: Mapping[str, str]) -> dict[str, str]:
    """For each schedule the first that gives the same module: a module is measured once."""
    first: dict[str, str] = {}
    return {schedule: first.setdefault(text, schedule) for schedule, text in texts.items()}


def _inputs(layer: Layer, setting: Setting) -> dict[str, Record]:
    """Say how to draw each input: real numbers by a recipe, whole ones below a bound, None where no axis tells it."""
    bounds, partners = integer_bounds(layer), integer_partners(layer)
    geometry, sizes = Geometry(layer), Sizes(setting.sizes, setting.attributes)
    recipes = _recipes(layer)
    found: dict[str, Record] = {}
    for t in layer.inputs:
        found[t.name] = {"shape": setting.shapes[t.name]}
        if t.integer:
            extents = [setting.shapes[tensor][axis] for tensor, axis in bounds[t.name]]
            extents += [geometry.extent(index, sizes) for index in partners[t.name]]
            found[t.name]["most"] = min(extents, default=None)
        else:
            found[t.name]["recipe"] = recipes.get(t.name, "normal")
    return found


def _recipes(layer: Layer) -> dict[str, str]:
    """How each input has to be drawn for the equations to be finite, found at small sizes; else normal numbers."""
    try:
        sampler = Sampler(layer)
        sampler.case("plain")
    except SymgradError:
        return {}
    return sampler.recipes


def _operations(layer: Layer, setting: Setting, backward: bool) -> dict[str, int] | None:
    """Operations of each pass, where they can be counted."""
    counted = operations(layer, setting.sizes)
    if counted is None:
        return None
    return {"forward": counted[0], "backward": counted[1] if backward else 0}


def _measured(layer: Layer, job: Mapping[str, Any]) -> Record:
    """Measure in a process of its own: NumPy's number of threads is fixed when it loads.

    Raises:
        ArgumentError: the module refuses its inputs.
        CheckError: the process ended early.
    """
    threads = {} if job["threads"] is None else dict.fromkeys(LIBRARIES, str(job["threads"]))
    done = subprocess.run(
        [sys.executable, "-P", str(PROGRAM)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env=os.environ | threads,
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise CheckError(f"{layer.name}: the measurement ended early: {last}")
    found: Record = json.loads(done.stdout)
    if "error" in found:
        raise ArgumentError(f"the module refuses these inputs: {found['error']}")
    return found


def _show(record: Record, console: Console) -> None:
    """Print what was run, times and rates as a table, and memory."""
    shapes = ", ".join(f"{name}[{', '.join(map(str, shape))}]" for name, shape in record["shapes"].items())
    attributes = "".join(f", {name}={value}" for name, value in record["attributes"].items())
    threads = "threads as NumPy chooses" if record["threads"] is None else f"threads: {record['threads']}"
    console.print(
        f"{record['layer']}({shapes}{attributes}), {record['dtype']}, {threads}", markup=False, soft_wrap=True
    )
    rate = "GB/s" if record["operations"] is None else "Gflop/s"
    table = Table("schedule", "pass")
    for heading in ("median ms", "min ms", rate):
        table.add_column(heading, justify="right")
    for schedule, found in record["schedules"].items():
        if found["same_as"] != schedule:
            table.add_row(schedule, f"the same module as {found['same_as']}")
            continue
        for number, name in enumerate(_passes(record, found)):
            times = found[name]
            row = [f"{1e3 * times[kind]:.3f}" for kind in ("median", "minimum")]
            table.add_row("" if number else schedule, name, *row, f"{_rate(record, name, times['median']):.1f}")
    console.print(table)
    for schedule, found in record["schedules"].items():
        if found["same_as"] == schedule:
            console.print(f"{schedule}: {_memory(record, found)}", soft_wrap=True)
    if record["difference"] is not None:
        console.print(f"largest difference between the schedules: {record['difference']:.1e} of the largest value")


def _passes(record: Record, found: Record) -> tuple[str, ...]:
    return ("forward", "backward", "both") if found["backward"]["median"] > 0 else ("forward",)


def _rate(record: Record, name: str, seconds: float) -> float:
    """Return 1e9 operations a second as the equations state them, else bytes of inputs and outputs that pass by.

    Backward reads inputs and cotangents and writes gradients: about as much again as forward reads and writes.
    """
    counted: Mapping[str, int] | None = record["operations"]
    if counted is None:
        passed: int = sum(record["bytes"].values()) * (2 if name == "both" else 1)
        return passed / seconds / 1e9
    return (sum(counted.values()) if name == "both" else counted[name]) / seconds / 1e9


def _memory(record: Record, found: Record) -> str:
    """Return one line on memory."""
    inputs, outputs = (_size(record["bytes"][key]) for key in ("inputs", "outputs"))
    peak, kept, own = (_size(found[key]) for key in ("peak", "residuals", "own_residuals"))
    return (
        f"at most {peak} beside {inputs} of inputs, outputs of {outputs} included; "
        f"residuals {kept}, of them neither input nor output {own}"
    )


def _size(count: float) -> str:
    """Return bytes in a unit that keeps the number short."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"
