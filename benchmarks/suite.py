"""Emitted modules, readable and fast, beside PyTorch, JAX, autograd and naive NumPy: forward and backward, float32.

    python benchmarks/suite.py                                  all workloads and rivals, about an hour
    python benchmarks/suite.py --quick                          the modules and eager PyTorch, less than two minutes
    python benchmarks/suite.py --only conv2d mnist_128 --rivals torch jax
    python benchmarks/suite.py --json out.json --markdown out.md --svg out.svg
    BENCH_THREADS=1 python benchmarks/suite.py --quick          one thread each: what to use beside other work

Every comparison of a workload with a rival is a process of its own, in which modules and rival take turns in blocks;
medians and minima are of all runs. All gradients are computed; both sides get as many threads. Results are compared
before anything is timed. PyTorch runs eagerly on contiguous tensors and, for images, on channels_last ones: the faster
of the two is the rival of ratio and goal. The floor is the longer of two times: that of a workload's arithmetic at the
rate of the best matrix product, and that of its memory traffic at the rate of a copy, both measured in the same run.
``busy`` is processor time over clock time of the fast module: below 1, others are using the machine, and the ratio of
processor times (``of cpu``) says more than that of the clock.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATHS = [str(ROOT), str(ROOT / "benchmarks")]
sys.path[:0] = PATHS

import _measure  # noqa: E402  # isort: skip  (before NumPy: it fixes the number of threads)

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from typing import Any  # noqa: E402

from compare import RIVALS, TOLERANCE, Task, compare  # noqa: E402
from processes import in_own_process, server  # noqa: E402
from report import Floor, Row, goals, markdown, save_plot, show  # noqa: E402
from rich.console import Console  # noqa: E402
from workloads import TRAINING_IMAGES, WORKLOADS, Step  # noqa: E402

SCHEDULES = ("fast", "readable")
QUICK = ("torch",)
DEAR = ["_measure", "compare", "report", "rich.console", "workloads"]
LIBRARIES = ("symgrad", "numpy", "torch", "jax", "autograd", "scipy")


def machine(threads: int, arguments: Sequence[str]) -> dict[str, Any]:
    """Rates of the machine with so many threads, measured by a process of its own."""
    command = [sys.executable, str(ROOT / "benchmarks" / "_measure.py"), *arguments]
    environment = os.environ | {"BENCH_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def floor(name: str, tiny: bool, rates: Sequence[dict[str, Any]]) -> Floor:
    """What the workload cannot do without, at the best rates that were seen."""
    workload = WORKLOADS[name]
    operations, traffic = workload.amounts(tiny)
    gflops, gbytes = (max(found[key] for found in rates) for key in ("sgemm_gflops", "copy_gb_per_second"))
    seconds = max(operations / gflops, traffic / gbytes) / 1e9
    return Floor(operations, traffic, str(workload.operations), str(workload.traffic), seconds)


def measure(name: str, options: argparse.Namespace, context: Any) -> dict[str, dict[str, Any]]:
    """Compare a workload with every rival: the readable module until it has been timed once, the fast one always."""
    workload, tiny = WORKLOADS[name], options.smoke
    seconds, rounds = (0.0, 1) if tiny else (0.8, 3) if options.quick else (6.0, 6)
    problem, found = workload.problem(tiny), {}
    for rival in options.rivals:
        timed = any(SCHEDULES[-1] in comparison.get("timings", {}) for comparison in found.values())
        modules = {schedule: workload.modules(schedule) for schedule in SCHEDULES[: 1 if timed else 2]}
        found[rival] = in_own_process(context, compare, Task(name, problem, modules, rival, seconds, rounds))
    return found


def row_of(name: str, tiny: bool, comparisons: dict[str, dict[str, Any]], rates: Sequence[dict[str, Any]]) -> Row:
    """What was found of a workload, beside its floor."""
    workload = WORKLOADS[name]
    size = "x".join(map(str, next(iter(workload.problem(tiny).shapes.values()))))
    steps = TRAINING_IMAGES // workload.batch if isinstance(workload, Step) else None
    return Row(name, size, floor(name, tiny, rates), comparisons, workload.goal, workload.small, steps)


def versions() -> dict[str, str]:
    """Versions of what is installed of the libraries."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def told(rates: dict[str, Any]) -> str:
    """The machine in one line."""
    keys = ("sgemm_gflops", "copy_gb_per_second", "core_share", "load_average")
    return str(_measure.Machine(**{key: rates[key] for key in keys}, threads=rates["threads"]))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[*WORKLOADS], help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rivals", nargs="+", choices=[*RIVALS], metavar="RIVAL", help=f"of {', '.join(RIVALS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="plot ratios there; needs matplotlib")
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--quick", action="store_true", help=f"fewer runs; only {', '.join(QUICK)} unless named")
    speed.add_argument("--smoke", action="store_true", help="tiny sizes: does it run? The times mean nothing")
    options = parser.parse_args()
    unknown = sorted(set(options.only) - set(WORKLOADS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    chosen = options.rivals or (QUICK if options.quick else RIVALS)
    options.rivals = [rival for rival in RIVALS if rival in chosen]  # PyTorch first: its times are those shown
    return options


def main() -> None:
    options = parsed()
    progress, console = Console(stderr=True), Console(width=None if sys.stdout.isatty() else 200)
    eager = ["rival_torch"] if {"torch", "torch.compile"} & set(options.rivals) else []
    context, small = server(PATHS, [*DEAR, *eager]), ["64", "1"] if options.smoke else []
    counts = sorted({1, _measure.THREADS})
    before = [machine(threads, small) for threads in counts]
    for one in before:
        console.print(f"before: {told(one)}", soft_wrap=True)
    found = {}
    for number, name in enumerate(options.only, start=1):
        progress.print(f"[{number}/{len(options.only)}] measuring {name}", style="dim", markup=False)
        found[name] = measure(name, options, context)
    after = [machine(threads, small) for threads in counts]
    rates = (before[-1], after[-1])
    rows = [row_of(name, options.smoke, comparisons, rates) for name, comparisons in found.items()]
    lines = [f"{when}: {told(one)}" for when, several in (("before", before), ("after", after)) for one in several]
    if any(one["loaded"] for one in rates):
        lines.append("others used the machine meanwhile: times and verdicts are no statement about the modules")
    show(rows, console)
    for line in lines[len(before) :]:
        console.print(line, soft_wrap=True)

    if options.json:
        record = {
            "machine": {"before": before, "after": after},
            "versions": versions(),
            "goals": [vars(goal) | {"verdict": goal.verdict} for goal in goals(rows)],
            "results": [row.record() for row in rows],
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    if options.markdown:
        libraries = ", ".join(f"{name} {number}" for name, number in versions().items())
        options.markdown.write_text(markdown(rows, [libraries, *lines], " ".join(__doc__.split("\n\n")[-1].split())))
    if options.svg:
        save_plot(options.svg, rows)
    wrong = [row.name for row in rows if row.wrong]
    if wrong:
        sys.exit(f"wrong by more than {TOLERANCE:g}, and not timed: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
