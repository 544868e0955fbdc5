"""Emitted modules beside PyTorch on the processor: forward and backward with all gradients, float32, two threads each.

    python benchmarks/against_torch.py                     every workload, about five minutes
    python benchmarks/against_torch.py --quick             the same in less than two
    python benchmarks/against_torch.py conv2d softmax --json out.json
    BENCH_THREADS=1 python benchmarks/against_torch.py     one thread each: what to use beside other work

Both run in one process, in blocks that take turns; medians and minima are of all runs. PyTorch runs eagerly, on
contiguous tensors and, for images, on channels_last ones as well: the faster of the two is the rival. Results are
compared before anything is timed. ``busy`` is processor time over clock time, of symgrad and of the rival: below 1,
others are using the machine, and the ratio of processor times (``of cpu``) says more than the ratio of the clock.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import _measure  # noqa: E402
import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import symgrad  # noqa: E402

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit("against_torch needs PyTorch: pip install torch")

TOLERANCE = 1e-4  # of the largest value, between two float32 computations
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Workload:
    """A layer at a size that people use, and at a tiny one.

    Attributes:
        layer: name in the catalogue.
        shapes: of every input; an input that holds integers gets labels of the first input's last axis.
        tiny: the same for a smoke test.
        rival: the layer in PyTorch.
        attributes: of the layer.
        goal: the largest ratio aimed at, where there is one.
    """

    layer: str
    shapes: Shapes
    tiny: Shapes
    rival: Callable[..., Any]
    attributes: dict[str, Any] = field(default_factory=dict)
    goal: float | None = None


def convolution(x: tuple[int, ...], w: tuple[int, ...], stride: int = 1, padding: int = 0) -> Workload:
    def run(x: Any, w: Any, b: Any) -> Any:
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    tiny = ((2, 3, 7, 7), (4, 3, *w[2:]), (4,))
    return Workload("conv2d", (x, w, w[:1]), tiny, run, {"stride": stride, "padding": padding}, goal=3.0)


def pooling(layer: str, rival: Callable[..., Any], K: int) -> Workload:
    def run(x: Any) -> Any:
        return rival(x, K, 2)

    return Workload(layer, ((16, 64, 64, 64),), ((2, 3, 7, 7),), run, {"K": K, "stride": 2}, goal=1.5)


def activation(layer: str, rival: Callable[..., Any]) -> Workload:
    return Workload(layer, ((4096, 1024),), ((3, 5),), rival)


WORKLOADS = {
    "dense": Workload("dense", ((256, 1024), (1024, 1024), (1024,)), ((3, 5), (4, 5), (4,)), F.linear, goal=1.5),
    "conv2d": convolution((16, 64, 32, 32), (64, 64, 3, 3), padding=1),
    "conv2d_rgb": convolution((16, 3, 32, 32), (64, 3, 3, 3), padding=1),
    "conv2d_deep": convolution((8, 256, 14, 14), (256, 256, 3, 3), padding=1),
    "conv2d_1x1": convolution((16, 256, 14, 14), (256, 256, 1, 1)),
    "conv2d_stride2": convolution((16, 64, 32, 32), (64, 64, 3, 3), padding=1, stride=2),
    "max_pool2d": pooling("max_pool2d", F.max_pool2d, 2),
    "max_pool2d_3x3": pooling("max_pool2d", F.max_pool2d, 3),
    "average_pool2d": pooling("average_pool2d", F.avg_pool2d, 2),
    "batch_norm2d": Workload(
        "batch_norm2d",
        ((16, 64, 32, 32), (64,), (64,)),
        ((2, 3, 4, 4), (3,), (3,)),
        lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True),
    ),
    "layer_norm": Workload(
        "layer_norm",
        ((4096, 768), (768,), (768,)),
        ((3, 5), (5,), (5,)),
        lambda x, gamma, beta: F.layer_norm(x, gamma.shape, gamma, beta),
    ),
    "softmax": Workload("softmax", ((4096, 1000),), ((3, 5),), lambda x: F.softmax(x, 1)),
    "softmax_cross_entropy": Workload(
        "softmax_cross_entropy", ((4096, 1000), (4096,)), ((3, 5), (3,)), F.cross_entropy
    ),
    "relu": activation("relu", torch.relu),
    "sigmoid": activation("sigmoid", torch.sigmoid),
    "gelu": activation("gelu", F.gelu),
    "gelu_tanh": activation("gelu_tanh", lambda x: F.gelu(x, approximate="tanh")),
}


@dataclass(frozen=True)
class Result:
    """One workload, measured; seconds. ``ratio`` is emitted over rival, of medians."""

    name: str
    shapes: Shapes
    error: float
    timings: dict[str, _measure.Timing]
    goal: float | None

    @property
    def right(self) -> bool:
        return self.error <= TOLERANCE

    @property
    def rival(self) -> str:
        return min((name for name in self.timings if name != "symgrad"), key=lambda name: self.timings[name].median)

    @property
    def ratio(self) -> float:
        return self.timings["symgrad"].median / self.timings[self.rival].median

    @property
    def minimum_ratio(self) -> float:
        return self.timings["symgrad"].minimum / self.timings[self.rival].minimum

    @property
    def met(self) -> bool | None:
        return None if self.goal is None or not self.timings else self.right and self.ratio <= self.goal

    def record(self) -> dict[str, Any]:
        """For programs."""
        record = {"name": self.name, "shapes": self.shapes, "error": self.error, "right": self.right}
        record |= {"goal": self.goal, "met": self.met}
        if self.timings:
            record |= {"rival": self.rival, "ratio": self.ratio, "minimum_ratio": self.minimum_ratio}
        return record | {"timings": {name: asdict(timing) for name, timing in self.timings.items()}}


def draw(layer: symgrad.Layer, shapes: Shapes) -> list[np.ndarray]:
    """Inputs: normal numbers, and labels where the layer reads integers."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(shapes[0][-1], size=shape) if tensor.integer else rng.normal(size=shape).astype(np.float32)
        for tensor, shape in zip(layer.inputs, shapes, strict=True)
    ]


def in_torch(arrays: list[np.ndarray], memory_format: torch.memory_format) -> list[torch.Tensor]:
    """Tensors of their own memory that want gradients; the memory format is for those of four axes."""
    tensors = []
    for array in arrays:
        tensor = torch.tensor(array)
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=memory_format)
        tensors.append(tensor.requires_grad_(tensor.is_floating_point()))
    return tensors


def torch_pass(workload: Workload, arrays: list[np.ndarray], grad_y: np.ndarray, last: bool) -> Callable[[], Any]:
    """Forward and backward in PyTorch; the result is y and the gradients."""
    memory_format = torch.channels_last if last else torch.contiguous_format
    tensors = in_torch(arrays, memory_format)
    cotangent = in_torch([grad_y], memory_format)[0].detach()
    wanted = [tensor for tensor in tensors if tensor.requires_grad]

    def run() -> tuple[torch.Tensor, ...]:
        y = workload.rival(*tensors)
        return (y.detach(), *torch.autograd.grad(y, wanted, cotangent))

    return run


def symgrad_pass(workload: Workload, arrays: list[np.ndarray], grad_y: np.ndarray) -> Callable[[], Any]:
    """Forward and backward of the emitted module; the result is y and the gradients."""
    compiled = symgrad.compile_layer(getattr(symgrad.layers, workload.layer))

    def run() -> tuple[np.ndarray, ...]:
        y, residuals = compiled.forward(*arrays, **workload.attributes)
        return (y, *compiled.backward(residuals, grad_y))

    return run


def measure(name: str, seconds: float, rounds: int, tiny: bool) -> Result:
    """Compare the results of a workload and, where they agree, its times."""
    workload = WORKLOADS[name]
    shapes = workload.tiny if tiny else workload.shapes
    arrays = draw(getattr(symgrad.layers, workload.layer), shapes)
    y = workload.rival(*in_torch(arrays, torch.contiguous_format))
    grad_y = np.random.default_rng(1).normal(size=tuple(y.shape)).astype(np.float32)
    candidates = {
        "symgrad": symgrad_pass(workload, arrays, grad_y),
        "torch": torch_pass(workload, arrays, grad_y, last=False),
    }
    if len(shapes[0]) == 4:
        candidates["torch channels_last"] = torch_pass(workload, arrays, grad_y, last=True)
    pairs = zip(candidates["symgrad"](), candidates["torch"](), strict=True)
    error = max(_measure.relative_error(found, expected) for found, expected in pairs)
    timings = _measure.alternate(candidates, seconds, rounds) if error <= TOLERANCE else {}
    return Result(name, shapes, error, timings, workload.goal)


def row(result: Result) -> list[str]:
    """One line of the table: milliseconds as median (minimum)."""
    size = "x".join(map(str, result.shapes[0]))
    if not result.right:
        return [result.name, size, "[red]WRONG[/]", "", "", "", "", "", "", f"[red]{result.error:.0e}[/]"]
    timings = {name: f"{1e3 * t.median:.2f} ({1e3 * t.minimum:.2f})" for name, t in result.timings.items()}
    colour = {None: "default", True: "green", False: "red"}[result.met]
    ours, rival = result.timings["symgrad"], result.timings[result.rival]
    return [
        result.name,
        size,
        timings["symgrad"],
        timings["torch"],
        timings.get("torch channels_last", ""),
        f"[{colour}]{result.ratio:.2f}[/]",
        f"{result.minimum_ratio:.2f}",
        f"{ours.processor / rival.processor:.2f}",
        "" if result.goal is None else f"[{colour}]{result.goal:.1f}[/]",
        f"{ours.busy:.1f} {rival.busy:.1f}",
        f"{result.error:.0e}",
    ]


def show(results: list[Result], console: Console) -> None:
    """Print the table and a count of the goals."""
    table = Table(title="milliseconds, forward + backward: median (minimum)", title_justify="left")
    table.add_column("layer", no_wrap=True)
    for heading in ("x", "symgrad", "torch", "channels_last", "ratio", "of min", "of cpu", "goal", "busy", "error"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(*row(result))
    console.print(table)
    goals = [result.met for result in results if result.met is not None]
    console.print(f"{sum(goals)} of {len(goals)} goals met; ratio and goal: symgrad over the faster torch, of medians")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)} (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements there")
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--quick", action="store_true", help="less than two minutes for all")
    speed.add_argument("--smoke", action="store_true", help="tiny sizes: does it run? The times mean nothing")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(WORKLOADS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    torch.set_num_threads(_measure.THREADS)
    seconds, rounds = (0.0, 1) if options.smoke else (3.0, 4) if options.quick else (15.0, 8)
    rates = {"side": 64, "megabytes": 1} if options.smoke else {}
    progress, console = Console(stderr=True), Console(width=None if sys.stdout.isatty() else 160)

    before = _measure.measure_machine(**rates)
    console.print(f"before: {before}", soft_wrap=True)
    results = []
    for name in options.names or WORKLOADS:
        progress.print(f"measuring {name}", style="dim")
        results.append(measure(name, seconds, rounds, options.smoke))
    show(results, console)
    after = _measure.measure_machine(**rates)
    console.print(f"after: {after}", soft_wrap=True)
    if options.json:
        machine = {"before": before.record(), "after": after.record()}
        versions = {"symgrad": symgrad.__version__, "numpy": np.__version__, "torch": torch.__version__}
        record = {"machine": machine, "versions": versions, "results": [result.record() for result in results]}
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    if not all(result.right for result in results):
        sys.exit("some results are wrong; those were not timed")


if __name__ == "__main__":
    main()
