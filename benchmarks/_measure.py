"""What the benchmarks share: threads fixed before NumPy loads, interleaved timing, and the machine measured beside it.

Import this module before NumPy: a linear algebra library reads its number of threads once, when it is loaded.
Run as a program, it measures the machine and prints JSON.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
if "numpy" in sys.modules:
    raise ImportError("import _measure before numpy: the number of threads is fixed when numpy loads")
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(THREADS))

import numpy as np  # noqa: E402

LOADED = 0.9  # threads that get less of a core than this share it with somebody else
SPINNING = 0.3  # seconds that threads of a library may look for more work, at most, before they sleep
WARMING = 0.02  # seconds of runs that bring a candidate's data into the cache and wake its threads


@dataclass(frozen=True)
class Timing:
    """Seconds of one candidate over all its runs, on the clock and on the processor."""

    median: float
    minimum: float
    processor: float
    runs: int

    @property
    def busy(self) -> float:
        """Processor time over clock time of a run: up to the number of threads; low on a machine that others use."""
        return self.processor / self.median


@dataclass(frozen=True)
class Machine:
    """Rates of this machine now, the best of several tries, and how much of a core each busy thread gets."""

    sgemm_gflops: float
    copy_gb_per_second: float
    core_share: float
    load_average: float | None
    threads: int = THREADS

    @property
    def loaded(self) -> bool:
        """Whether other programs take processor time from this one."""
        return self.core_share < LOADED

    def __str__(self) -> str:
        """One line for people."""
        load = "" if self.load_average is None else f", load average {self.load_average:.1f}"
        verdict = "LOADED: compare processor time, distrust ratios" if self.loaded else "quiet"
        return (
            f"threads {self.threads}: sgemm {self.sgemm_gflops:.0f} Gflop/s, copy {self.copy_gb_per_second:.1f} GB/s, "
            f"a busy one gets {self.core_share:.2f} of a core{load}: {verdict}"
        )

    def record(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self) | {"loaded": self.loaded}


def alternate(candidates: Mapping[str, Callable[[], Any]], seconds: float, rounds: int = 5) -> dict[str, Timing]:
    """Time candidates in blocks that take turns, so that a disturbance meets all of them.

    A block begins when the threads of the candidate before have gone to sleep: they would take a core from this one.
    Its first runs are not counted: they bring the candidate's data into the cache and wake its threads.

    Args:
        candidates: what to run, by name.
        seconds: about how long to take in all; every candidate is timed at least ``rounds`` times.
        rounds: blocks of each candidate.
    """
    share = seconds / rounds / len(candidates)
    # The blocks are as long as the first runs promise; those runs also warm everything up.
    counts = {name: max(1, min(100, int(share / _clock(run)[0]) - 1)) for name, run in candidates.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            _wait_for_threads()
            end = time.perf_counter() + WARMING
            run()
            while time.perf_counter() < end:
                run()
            samples[name] += [_clock(run) for _ in range(counts[name])]
    return {name: _summary(found) for name, found in samples.items()}


def _wait_for_threads() -> None:
    """Sleep until no thread of this process is at work: those of BLAS and OpenMP look for more for a while."""
    end = time.perf_counter() + SPINNING
    while time.perf_counter() < end:
        used, start = time.process_time(), time.perf_counter()
        time.sleep(0.005)
        if time.process_time() - used < 0.2 * (time.perf_counter() - start):
            return


def _clock(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of one run: on the clock, and of processor time over all threads."""
    processor, start = time.process_time(), time.perf_counter()
    run()
    return time.perf_counter() - start, time.process_time() - processor


def _summary(samples: list[tuple[float, float]]) -> Timing:
    clock = [seconds for seconds, _ in samples]
    processor = statistics.median(used for _, used in samples)
    return Timing(statistics.median(clock), min(clock), processor, len(samples))


def measure_machine(side: int = 1536, megabytes: int = 64, tries: int = 9) -> Machine:
    """Measure the rates that bound every layer: products of matrices, and copies from memory to memory.

    Args:
        side: extent of the square float32 matrices that are multiplied.
        megabytes: size of the array that is copied; each byte is read once and written once.
        tries: the best of so many counts for a rate, all of them for the share of a core.
    """
    matrix = np.ones((side, side), dtype=np.float32)
    source = np.ones((THREADS, megabytes * 2**18 // THREADS), dtype=np.float32)
    target = np.zeros_like(source)
    products = [_clock(lambda: matrix @ matrix) for _ in range(tries)]
    time.sleep(0.1)  # threads of the product that still spin would count as processor time of the copies
    with ThreadPoolExecutor(THREADS) as pool:
        copies = [_clock(lambda: list(pool.map(np.copyto, target, source))) for _ in range(tries)]
    return Machine(
        sgemm_gflops=2 * side**3 / min(products)[0] / 1e9,
        copy_gb_per_second=2 * source.nbytes / min(copies)[0] / 1e9,
        core_share=min(1.0, _share(products, THREADS), _share(copies, THREADS)),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _share(samples: list[tuple[float, float]], threads: int) -> float:
    """Processor time that each of the threads got, over clock time."""
    return sum(processor for _, processor in samples) / sum(clock for clock, _ in samples) / threads


def keep_to_cores(cores: int) -> None:
    """Leave this process, and those it starts, no more cores than that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def relative_error(found: Any, expected: Any) -> float:
    """Largest difference over the largest expected magnitude; infinite where a value is not finite.

    Raises:
        ValueError: the shapes differ.
    """
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if found.shape != expected.shape:
        raise ValueError(f"shape {found.shape}, expected {expected.shape}")
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    largest = np.abs(expected).max(initial=0.0)
    return float(np.abs(found - expected).max(initial=0.0) / (largest or 1.0))


if __name__ == "__main__":
    print(json.dumps(measure_machine(*map(int, sys.argv[1:])).record()))
