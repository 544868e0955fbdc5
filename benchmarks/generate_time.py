"""Time of ``symgrad generate`` for the whole catalogue, into a temporary folder, on two cores; and of every layer.

    python benchmarks/generate_time.py
    python benchmarks/generate_time.py conv2d softmax --json out.json

The total is what a user waits for: a fresh interpreter, imports included, nothing read back from the cache. Modules and
studies are then rendered one by one in this process, in the order of the catalogue, with processor time; the first ones
pay for SymPy's caches, and the first of a submodule for declaring all of its layers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import _measure  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import symgrad  # noqa: E402
from symgrad.commands.generate import render  # noqa: E402

GOAL = 10.0  # seconds for the catalogue
CORES = 2
SMOKE = ("relu", "dense")
COMMAND = "from symgrad.cli import main; main()"


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock and of processor time."""

    name: str
    clock: float
    processor: float


def generate(names: Sequence[str]) -> float:
    """Seconds that the command takes in a process of its own; no name stands for the whole catalogue.

    Raises:
        subprocess.CalledProcessError: the command failed; its messages are on standard error.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", COMMAND, "generate", "--afresh", "--out", folder, *names]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - start


def render_each(names: Sequence[str]) -> list[Spent]:
    """Render module and study of each layer in this process."""
    spent = []
    for name in names:
        processor, start = time.process_time(), time.perf_counter()
        render(getattr(symgrad.layers, name))
        spent.append(Spent(name, time.perf_counter() - start, time.process_time() - processor))
    return spent


def show(total: float, layers: list[Spent], whole: bool) -> None:
    """Print the layers, longest first, and the total against the goal."""
    table = Table(title="seconds", title_justify="left")
    table.add_column("layer")
    table.add_column("clock", justify="right")
    table.add_column("processor", justify="right")
    for spent in sorted(layers, key=lambda spent: -spent.clock):
        table.add_row(spent.name, f"{spent.clock:.2f}", f"{spent.processor:.2f}")
    table.add_section()
    clock, processor = sum(spent.clock for spent in layers), sum(spent.processor for spent in layers)
    table.add_row(f"all {len(layers)}", f"{clock:.2f}", f"{processor:.2f}")
    console = Console()
    console.print(table)
    verdict = f"; goal {GOAL:.0f} s {'met' if total < GOAL else 'MISSED'}" if whole else ""
    console.print(f"symgrad generate: {total:.2f} s on the clock{verdict}", soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="layers of the catalogue (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements there")
    parser.add_argument("--smoke", action="store_true", help=f"only {' and '.join(SMOKE)}: does it run?")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(symgrad.catalogue()))
    if unknown:
        parser.error(f"not in the catalogue: {', '.join(unknown)}")
    _measure.keep_to_cores(CORES)
    chosen = options.names or (SMOKE if options.smoke else ())

    machine = _measure.measure_machine(**({"side": 64, "megabytes": 1} if options.smoke else {}))
    print(f"machine: {machine}", flush=True)
    try:
        total = generate(chosen)
    except subprocess.CalledProcessError as failure:
        sys.exit(f"symgrad generate failed with exit code {failure.returncode}")
    layers = render_each(chosen or symgrad.catalogue())
    show(total, layers, whole=not chosen)
    if options.json:
        record = {
            "machine": machine.record(),
            "goal": None if chosen else GOAL,
            "total": total,
            "layers": [asdict(spent) for spent in layers],
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
