"""How time and memory grow with the work: batch, channels, space, steps; emitted modules, readable and fast, float32.

    python benchmarks/scaling.py --svg scaling.svg
    python benchmarks/scaling.py --only causal_attention_steps lstm_steps --json out.json

Every size is measured in a process of its own, forward and backward with all gradients. Time is compared with its
floor: the longer of a size's arithmetic at the rate of the best matrix product and its memory traffic at the rate of a
copy. Memory is what is allocated beside the inputs at the worst moment, compared with what has to be there in the end:
outputs, gradients, and what forward keeps for backward. A slope is that of a straight line through the logarithms: 1
where twice the size takes twice as much. One that is steeper than 1 and than that of the floor, or of inputs and
outputs for memory, is flagged. Times are the least of all runs.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATHS = [str(ROOT), str(ROOT / "benchmarks")]
sys.path[:0] = PATHS

import _measure  # noqa: E402  # isort: skip  (before NumPy: it fixes the number of threads)

import argparse  # noqa: E402
import json  # noqa: E402
from collections.abc import Callable, Mapping, Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from math import prod  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import workloads  # noqa: E402
from processes import in_own_process, server  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from workloads import Workload  # noqa: E402

from symgrad.commands.measuring import measure  # noqa: E402

SCHEDULES = ("readable", "fast")
STEEPER = 0.25  # by so much a slope may exceed the one that it should have: caches end, and noise
DEAR = ["_measure", "workloads", "rich.table", "symgrad.commands.measuring"]


@dataclass(frozen=True)
class Sweep:
    """A workload at growing sizes.

    Attributes:
        grows: what the size is.
        sizes: over three octaves or more.
        at: the workload at a size.
    """

    grows: str
    sizes: Sequence[int]
    at: Callable[[int], Workload]


def octaves(first: int, count: int = 3) -> list[int]:
    """A size and its doubles."""
    return [first * 2**k for k in range(count + 1)]


SWEEPS = {
    "dense_batch": Sweep("samples", octaves(64), lambda n: workloads.dense(n, 1024, 1024)),
    "conv2d_batch": Sweep(
        "images", octaves(2), lambda n: workloads.convolution((n, 64, 32, 32), 64, 3, 1.0, padding=1)
    ),
    "conv2d_channels": Sweep(
        "channels in and out", octaves(16), lambda n: workloads.convolution((4, n, 32, 32), n, 3, 1.0, padding=1)
    ),
    "conv2d_space": Sweep(
        "pixels a side", octaves(16), lambda n: workloads.convolution((2, 32, n, n), 32, 3, 1.0, padding=1)
    ),
    "max_pool2d_space": Sweep(
        "pixels a side", octaves(32), lambda n: workloads.pooling("max_pool2d", 2, 1.0, x=(2, 32, n, n))
    ),
    "batch_norm2d_batch": Sweep("images", octaves(4), lambda n: workloads.batch_norm(1.0, x=(n, 64, 32, 32))),
    "layer_norm_rows": Sweep(
        "rows", octaves(512), lambda n: workloads.rows("layer_norm", 1.0, n, 768, ("gamma", "beta"))
    ),
    "softmax_cross_entropy_classes": Sweep("classes", octaves(1000), lambda n: workloads.cross_entropy(512, n, 1.0)),
    "gelu_rows": Sweep("rows", octaves(512), lambda n: workloads.rows("gelu", 1.0, n)),
    "causal_attention_steps": Sweep("steps", octaves(128), lambda n: workloads.attention(8, n, 64, 1.0)),
    "lstm_steps": Sweep("steps", octaves(16), lambda n: workloads.recurrent(32, n, 128, 128, 1.0)),
    "embedding_ids": Sweep("identifiers", octaves(4096), lambda n: workloads.embedding(4096, 256, n, 1.0)),
}


@dataclass(frozen=True)
class Line:
    """What one schedule of a sweep takes, size by size; seconds and bytes."""

    sizes: Sequence[int]
    times: Sequence[float]
    floors: Sequence[float]
    peaks: Sequence[int]
    needed: Sequence[int]
    given: Sequence[int]

    @property
    def time_slope(self) -> tuple[float, float]:
        """Of the time and of its floor."""
        return slope(self.sizes, self.times), slope(self.sizes, self.floors)

    @property
    def memory_slope(self) -> tuple[float, float]:
        """Of memory, and of inputs and outputs."""
        return slope(self.sizes, self.peaks), slope(self.sizes, self.given)

    @property
    def flags(self) -> list[str]:
        """What grows faster than it should."""
        slopes = {"time": self.time_slope, "memory": self.memory_slope}
        return [what for what, (found, wanted) in slopes.items() if found > max(1.0, wanted) + STEEPER]

    def record(self) -> dict[str, Any]:
        """For programs."""
        slopes = {"time_slope": self.time_slope, "memory_slope": self.memory_slope}
        return vars(self) | slopes | {"flags": self.flags}


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of the straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def job_of(workload: Workload, modules: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """What a process measures."""
    problem = workload.problem(False)
    inputs = {
        name: {"shape": shape}
        | ({"most": problem.integers[name]} if name in problem.integers else {"recipe": "normal"})
        for name, shape in problem.shapes.items()
    }
    return {
        "modules": modules,
        "inputs": inputs,
        "attributes": problem.attributes,
        "dtype": "float32",
        "threads": _measure.THREADS,
        "seconds": seconds,
    }


def follow(
    sweep: Sweep, sizes: Sequence[int], seconds: float, context: Any, machine: _measure.Machine
) -> dict[str, Line]:
    """The lines of a sweep, by schedule.

    Raises:
        RuntimeError: a process did not come to an end.
    """
    floors, found = [], []
    for size in sizes:
        workload = sweep.at(size)
        operations, traffic = workload.amounts(False)
        floors.append(max(operations / machine.sgemm_gflops, traffic / machine.copy_gb_per_second) / 1e9)
        modules = {schedule: workload.modules(schedule) for schedule in SCHEDULES}
        result = in_own_process(context, measure, job_of(workload, modules, seconds))
        if "skipped" in result:
            raise RuntimeError(f"size {size}: {result['skipped']}")
        gradients = sum(4 * prod(s) for n, s in workload.shapes.items() if n not in workload.integers)
        found.append(result | {"gradients": gradients})
    lines = {}
    for schedule in SCHEDULES:
        each = [result["modules"][schedule] for result in found]
        ends = [result["bytes"]["outputs"] + result["gradients"] for result in found]
        lines[schedule] = Line(
            sizes,
            [module["both"]["minimum"] for module in each],
            floors,
            [module["peak"] for module in each],
            [end + module["own_residuals"] for end, module in zip(ends, each, strict=True)],
            [sum(result["bytes"].values()) for result in found],
        )
    return lines


def show(found: Mapping[str, Mapping[str, Line]], console: Console) -> None:
    """Print a line for each schedule of each sweep."""
    table = Table(title="growth; time and memory at the largest size")
    headings = (
        "sweep",
        "sizes",
        "schedule",
        "ms",
        "of floor",
        "slope",
        "floor's",
        "MiB",
        "of needed",
        "slope",
        "linear",
        "",
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if 2 < number < 11 else "left", no_wrap=True)
    for name, lines in found.items():
        for schedule, line in lines.items():
            (time, floor), (memory, given) = line.time_slope, line.memory_slope
            flags = ", ".join(line.flags)
            table.add_row(
                name,
                f"{line.sizes[0]} to {line.sizes[-1]} {SWEEPS[name].grows}",
                schedule,
                f"{1e3 * line.times[-1]:.3g}",
                f"{line.times[-1] / line.floors[-1]:.1f}",
                f"{time:.2f}",
                f"{floor:.2f}",
                f"{line.peaks[-1] / 2**20:.1f}",
                f"{line.peaks[-1] / line.needed[-1]:.1f}",
                f"{memory:.2f}",
                f"{given:.2f}",
                f"[red]{flags} too steep[/]" if flags else "",
            )
    console.print(table)


def save_plot(path: Path, found: Mapping[str, Mapping[str, Line]]) -> None:
    """Plot times with their floor and memory with what is needed, a row for each sweep.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "symgrad"}):
        figure = Figure(figsize=(9, 2.6 * len(found)), layout="constrained")
        grid = figure.subplots(len(found), 2, squeeze=False)
        for (name, lines), (left, right) in zip(found.items(), grid, strict=True):
            for schedule, line in lines.items():
                colour = {"readable": "tab:blue", "fast": "tab:orange"}[schedule]
                left.plot(line.sizes, [1e3 * t for t in line.times], "o-", color=colour, label=schedule)
                right.plot(line.sizes, [p / 2**20 for p in line.peaks], "o-", color=colour, label=schedule)
                needed = [n / 2**20 for n in line.needed]
                right.plot(line.sizes, needed, ":", color=colour, label=f"needed, {schedule}")
            left.plot(line.sizes, [1e3 * f for f in line.floors], "--", color="0.5", label="floor")
            for axes, unit in ((left, "milliseconds"), (right, "MiB beside the inputs")):
                axes.set(xscale="log", yscale="log", title=name, xlabel=SWEEPS[name].grows, ylabel=unit)
                axes.set_xticks(line.sizes, [str(size) for size in line.sizes])
                axes.minorticks_off()
                axes.grid(alpha=0.3)
                axes.legend(fontsize="x-small")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[*SWEEPS], help=f"of {', '.join(SWEEPS)}")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each size (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="plot them there; needs matplotlib")
    parser.add_argument("--smoke", action="store_true", help="the two smallest sizes: does it run?")
    options = parser.parse_args()
    unknown = sorted(set(options.only) - set(SWEEPS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    progress, console = Console(stderr=True), Console(width=None if sys.stdout.isatty() else 170)
    machine = _measure.measure_machine(**({"side": 64, "megabytes": 1} if options.smoke else {}))
    console.print(str(machine), soft_wrap=True)
    context = server(PATHS, DEAR)
    found = {}
    for number, name in enumerate(options.only, start=1):
        progress.print(f"[{number}/{len(options.only)}] measuring {name}", style="dim", markup=False)
        sizes = SWEEPS[name].sizes[: 2 if options.smoke else None]
        found[name] = follow(SWEEPS[name], sizes, 0.0 if options.smoke else options.seconds, context, machine)
    show(found, console)
    if options.json:
        sweeps = {name: {s: line.record() for s, line in lines.items()} for name, lines in found.items()}
        options.json.write_text(json.dumps({"machine": machine.record(), "sweeps": sweeps}, indent=2) + "\n")
    if options.svg:
        save_plot(options.svg, found)


if __name__ == "__main__":
    main()
