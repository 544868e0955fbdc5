"""How exact products in tiles are: float32 against the direct form in float64, beside the direct form in float32.

    python benchmarks/winograd_error.py
    python benchmarks/winograd_error.py --seeds 20 --json out.json

An error is that of an output or gradient of ``conv2d`` or ``conv3d`` with normal numbers, largest and root mean square,
in units of the largest and of the root mean square value of that array. In float64 tiles are compared with the direct
form.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import symgrad  # noqa: E402
from symgrad.compiler import CompiledLayer  # noqa: E402
from symgrad.lower.tiles import PRODUCTS, TILES  # noqa: E402

SIZES = {2: [(2, 64, 32), (2, 256, 14), (4, 16, 32)], 3: [(2, 32, 12), (1, 16, 20)]}
"""By the number of axes: images, channels in and out, extents of an image."""
SMOKE = {2: [(1, 16, 12)], 3: [(1, 16, 7)]}
RESULTS = ("y", "grad_x", "grad_w")


@dataclass(frozen=True)
class Error:
    """The worst of all draws of one result."""

    axes: int
    kernel: int
    tile: int
    size: tuple[int, int, int]
    result: str
    form: str
    dtype: str
    largest: float
    mean: float


def results(compiled: CompiledLayer, arrays: Sequence[np.ndarray], cotangent: np.ndarray) -> list[np.ndarray]:
    """The output and the gradients of data and kernels."""
    kernel = arrays[1].shape[-1]
    y, residuals = compiled.forward(*arrays, padding=(kernel - 1) // 2)
    grads = compiled.backward(residuals, cotangent[tuple(map(slice, y.shape))].astype(y.dtype))
    return [y, grads.x, grads.w]


def measured(sizes: Mapping[int, Sequence[tuple[int, int, int]]], seeds: int) -> Iterator[Error]:
    """The errors of both forms in both dtypes, of all tiles that modules may take."""
    for axes in sizes:
        layer = symgrad.layers.get(f"conv{axes}d")
        direct, tiled = symgrad.compile_layer(layer), symgrad.compile_layer(layer, schedule="fast")
        for kernel, tile in ((kernel, tile) for kernel, several in TILES.items() for tile in several):
            if (tile + kernel - 1) ** axes <= PRODUCTS:
                # whether or not they would be taken at this size
                tiled.module._tiling = lambda *_, tile=tile, axes=axes: (tile,) * axes
                yield from _of_tile(direct, tiled, axes, kernel, tile, sizes[axes], seeds)


def _of_tile(
    direct: CompiledLayer,
    tiled: CompiledLayer,
    axes: int,
    kernel: int,
    tile: int,
    sizes: Sequence[tuple[int, int, int]],
    seeds: int,
) -> Iterator[Error]:
    for size in sizes:
        found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        for seed in range(seeds):
            images, channels, extent = size
            rng = np.random.default_rng(seed)
            shapes = ((images, channels, *[extent] * axes), (channels, channels, *[kernel] * axes), (channels,))
            single = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
            cotangent = rng.normal(size=shapes[0]).astype(np.float32)
            double = [array.astype(np.float64) for array in single]
            exact = results(direct, double, cotangent)
            for form, compiled, arrays in (
                ("tiles", tiled, single),
                ("direct", direct, single),
                ("tiles", tiled, double),
            ):
                for name, got, want in zip(RESULTS, results(compiled, arrays, cotangent), exact, strict=True):
                    error = np.abs(got - want)
                    pair = error.max() / np.abs(want).max(), np.sqrt(np.mean(error**2) / np.mean(want**2))
                    found.setdefault((name, form, str(got.dtype)), []).append(pair)
        for (name, form, dtype), pairs in found.items():
            largest, mean = np.max(pairs, axis=0)
            yield Error(axes, kernel, tile, size, name, form, dtype, float(largest), float(mean))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="draws for each size (default 5)")
    parser.add_argument("--smoke", action="store_true", help="one small size, one draw")
    parser.add_argument("--json", type=Path, help="write the errors to this file as well")
    options = parser.parse_args()
    errors = list(measured(SMOKE, 1) if options.smoke else measured(SIZES, options.seeds))
    table = Table("kernel", "tile", "size", "result", "form", "dtype", "largest", "mean")
    for e in errors:
        numbers = f"{e.largest:.1e}", f"{e.mean:.1e}"
        table.add_row(
            " x ".join([str(e.kernel)] * e.axes),
            " x ".join([str(e.tile)] * e.axes),
            " x ".join(map(str, e.size)),
            e.result,
            e.form,
            e.dtype,
            *numbers,
        )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(e) for e in errors], indent=2) + "\n")


if __name__ == "__main__":
    main()
