"""Emitted modules of unseen layers beside NumPy written by hand: time and extra memory, forward and backward.

Run from the project's root:  python benchmarks/unseen.py [NAME ...] [--runs 9]

Float32 at sizes that people use; logits reach 1e4. Runs alternate, the median counts. The goal is a ratio of at most 2.
"""

import argparse
import gc
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import unseen_by_hand  # noqa: E402
import unseen_softmax_by_hand  # noqa: E402

import symgrad  # noqa: E402
from tests.unseen.declarations import CASES  # noqa: E402

GOAL = 2.0
TOLERANCE = 2e-3  # of the largest value, between two float32 computations
rng = np.random.default_rng(0)


@dataclass(frozen=True)
class Trial:
    """A layer at a realistic size."""

    arrays: dict[str, np.ndarray]
    attributes: dict[str, Any] = field(default_factory=dict)


def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
    return np.asarray(rng.normal(size=shape) * scale, dtype=np.float32)


def integers(high: int, *shape: int, low: int = 0) -> np.ndarray:
    return rng.integers(low, high, size=shape)


def near_one(*shape: int) -> np.ndarray:
    """Factors whose products stay in range, a few of them zero."""
    factors = np.exp(normal(*shape, scale=0.1))
    factors[rng.random(shape) < 0.3 / shape[-1]] = 0
    return factors


def sequences(batch: int, steps: int, width: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    return {"q": normal(batch, steps, width, scale=scale), "k": normal(batch, steps, width, scale=scale)} | {
        "v": normal(batch, steps, width)
    }


def scalar(value: float) -> np.ndarray:
    return np.asarray(value, dtype=np.float32)


TRIALS: dict[str, Callable[[], Trial]] = {
    "circulant_product": lambda: Trial({"c": normal(1024), "x": normal(256, 1024)}),
    "toeplitz_product": lambda: Trial({"h": normal(1535), "x": normal(256, 512)}),
    "backward_windows": lambda: Trial({"x": normal(64, 16384), "w": normal(9)}),
    "remaining_weighted": lambda: Trial({"x": normal(256, 4096), "w": normal(4096)}),
    "lower_triangular_product": lambda: Trial({"a": normal(1024, 1024), "x": normal(512, 1024)}),
    "segment_totals": lambda: Trial({"x": normal(50000, 64), "ids": integers(1000, 50000)}, {"R": 1000}),
    "scaled_rows": lambda: Trial({"e": normal(10000, 64), "ids": integers(10000, 50000), "w": normal(50000)}),
    "bags_by_offsets": lambda: Trial(
        {
            "e": normal(10000, 64),
            "ids": integers(10000, 50000),
            "offsets": np.r_[0, np.sort(integers(50001, 999)), 50000],
        }
    ),
    "causal_by_condition": lambda: Trial(sequences(16, 256, 64, scale=35)),
    "causal_by_limits": lambda: Trial(sequences(16, 256, 64, scale=35)),
    "window_attention": lambda: Trial(sequences(8, 1024, 64, scale=35), {"radius": 16}),
    "local_softmax_pooling": lambda: Trial({"x": normal(64, 8192, scale=1e4), "z": normal(64, 8192)}, {"radius": 4}),
    "shuffled_channels": lambda: Trial({"x": normal(2048, 1024), "w": normal(1024)}, {"G": 8}),
    "shuffled_pixels_scaled": lambda: Trial({"x": normal(16, 64, 64, 64), "z": normal(16)}, {"r": 2}),
    "ragged_mean": lambda: Trial({"x": normal(64, 512, 64), "length": integers(513, 64, low=1)}),
    "bilinear_form": lambda: Trial({"x": normal(256, 64), "w": normal(64, 64, 64), "z": normal(256, 64)}),
    "squared_distances": lambda: Trial({"x": normal(2048, 64), "c": normal(512, 64)}),
    "gaussian_kernels": lambda: Trial(
        {"x": normal(2048, 64), "c": normal(512, 64), "w": normal(512), "width": scalar(6)},
    ),
    "nearest_centre": lambda: Trial({"x": normal(2048, 64), "c": normal(512, 64)}),
    "row_products": lambda: Trial({"x": near_one(4096, 256)}),
    "soft_window_maxima": lambda: Trial({"x": normal(64, 16384, scale=1e4), "beta": scalar(1.5)}, {"K": 3}),
    "largest_of_pieces": lambda: Trial({"x": normal(512, 256), "w": normal(128, 4, 256), "c": normal(128, 4)}),
    "laplacian_replicate": lambda: Trial({"x": normal(16, 256, 256)}),
    "fourier_parts": lambda: Trial({"x": normal(256, 512)}),
    "separable_convolution": lambda: Trial({"x": normal(8, 32, 32, 32), "f": normal(32, 3, 3), "p": normal(64, 32)}),
    "contrastive_loss": lambda: Trial({"q": normal(512, 128), "k": normal(512, 128), "heat": scalar(0.002)}),
    "one_hot_loss": lambda: Trial({"x": normal(4096, 1000, scale=1e4), "labels": integers(1000, 4096)}),
    "spatial_softmax": lambda: Trial({"x": normal(256, 64, 64, scale=1e4)}),
    "group_standardised": lambda: Trial({"x": normal(16, 64, 1024), "gain": normal(8)}, {"eps": 1e-5}),
}


def as_tuple(outputs: Any) -> tuple[Any, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def difference(got: Any, want: Any) -> float:
    """Largest difference, relative to the largest value wanted."""
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    if not (np.isfinite(got).all() and np.isfinite(want).all()):
        return float("inf")
    return float(np.abs(got - want).max(initial=0) / (np.abs(want).max(initial=0) + 1e-30))


def extra_memory(run: Callable[[], Any]) -> int:
    """Bytes above the start, at the worst moment, results included."""
    gc.collect()
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def alternate(runs: int, *candidates: Callable[[], Any]) -> list[float]:
    """Median seconds of each candidate, run in turns."""
    seconds: list[list[float]] = [[] for _ in candidates]
    for _ in range(runs):
        for times, candidate in zip(seconds, candidates, strict=True):
            start = time.perf_counter()
            candidate()
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def measure(name: str, runs: int) -> str:
    """One line of the table."""
    trial, compiled = TRIALS[name](), symgrad.compile_layer(CASES[name]().layer)
    arrays, attributes = list(trial.arrays.values()), trial.attributes
    outputs, _ = compiled.forward(*arrays, **attributes)
    cotangents = [np.asarray(rng.normal(size=np.shape(y)), dtype=np.float32) for y in as_tuple(outputs)]

    def emitted() -> Any:
        y, residuals = compiled.forward(*arrays, **attributes)
        return y, compiled.backward(residuals, *cotangents)

    written = getattr(unseen_softmax_by_hand, name, None) or getattr(unseen_by_hand, name)

    def handwritten() -> Any:
        return written(*arrays, *cotangents, **attributes)

    (got, gradients), (want, wanted) = emitted(), handwritten()
    apart = max(difference(y, z) for y, z in zip(as_tuple(got), want, strict=True))
    apart = max([apart, *(difference(getattr(gradients, key), value) for key, value in wanted.items())])
    times = alternate(runs, emitted, handwritten)
    memory = extra_memory(emitted), extra_memory(handwritten)
    ratios = times[0] / times[1], memory[0] / memory[1]
    remarks = {"slow": ratios[0] > GOAL, "large": ratios[1] > GOAL, "WRONG": not apart <= TOLERANCE}
    said = " ".join(word for word, holds in remarks.items() if holds)
    return (
        f"{name:26} {times[0] * 1e3:9.1f} {times[1] * 1e3:9.1f} {ratios[0]:7.2f} "
        f"{memory[0] / 2**20:9.1f} {memory[1] / 2**20:9.1f} {ratios[1]:7.2f} {apart:9.1e}  {said}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TRIALS)}")
    parser.add_argument("--runs", type=int, default=9, help="timed runs of each (default 9)")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(TRIALS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    print(f"{'layer':26} {'ms':>9} {'by hand':>9} {'ratio':>7} {'MiB':>9} {'by hand':>9} {'ratio':>7} {'apart':>9}")
    for name in options.names or TRIALS:
        try:
            print(measure(name, options.runs), flush=True)
        except Exception as error:  # a measurement goes on to the next layer
            print(f"{name:26} {type(error).__name__}: {str(error).strip()[:200]}", flush=True)


if __name__ == "__main__":
    main()
