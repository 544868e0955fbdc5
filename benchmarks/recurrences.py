"""Emitted recurrences beside NumPy written by hand: time and extra memory, forward and backward.

Run from the project's root:  python benchmarks/recurrences.py [NAME ...] [--runs 9]

Float32, 32 sequences of 128 steps unless said otherwise. Runs alternate, the median counts. The goal is a ratio of
at most 2.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import _measure  # noqa: E402, F401  (before NumPy: it fixes the number of threads)
import numpy as np  # noqa: E402
import recurrences_by_hand  # noqa: E402
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, exp, log, symbols, tanh  # noqa: E402
from unseen import GOAL, TOLERANCE, alternate, as_tuple, difference, extra_memory, normal  # noqa: E402

import symgrad  # noqa: E402
from symgrad import Layer, Padded  # noqa: E402
from tests.unseen import recurrences as unseen  # noqa: E402

B, T, P, Q, M = symbols("B T P Q M", integer=True, positive=True)
b, t, p, q, i, j = Idx("b", B), Idx("t", T), Idx("p", P), Idx("q", Q), Idx("i", M), Idx("j", M)
x, y, h, w, u = (IndexedBase(name) for name in "xyhwu")
rng = np.random.default_rng(0)


def running_log_sum_exp() -> Layer:
    """The logarithm of a running sum of exponentials."""
    going = log(exp(y[b, t - 1]) + exp(x[b, t]))
    body = Piecewise((x[b, t], Eq(t, 0)), (going, True))
    return Layer("running_log_sum_exp", inputs=[x[B, T]], equations=[Eq(y[b, t], body)])


def running_product() -> Layer:
    """A running product."""
    body = Piecewise((x[b, t], Eq(t, 0)), (y[b, t - 1] * x[b, t], True))
    return Layer("running_product", inputs=[x[B, T]], equations=[Eq(y[b, t], body)])


def grid_of_states() -> Layer:
    """A recurrent network over a grid: a state from the one above and the one to the left."""
    above = Sum(w[i, j] * Padded(h)[b, p - 1, q, j], j)
    left = Sum(u[i, j] * Padded(h)[b, p, q - 1, j], j)
    return Layer(
        "grid_of_states",
        inputs=[x[B, P, Q, M], w[M, M], u[M, M]],
        equations=[Eq(h[b, p, q, i], tanh(x[b, p, q, i] + above + left))],
        typical={B: 8, P: 32, Q: 32, M: 32},
    )


def weights(*shape: int) -> np.ndarray:
    """Weights that keep a state of its size."""
    return normal(*shape, scale=shape[-1] ** -0.5)


def shares(*shape: int) -> np.ndarray:
    """Numbers between 0 and 1."""
    return rng.random(shape).astype(np.float32)


def skips(batch: int, places: int) -> np.ndarray:
    """Blanks and repeated labels may not be skipped."""
    return np.where(rng.random((batch, places)) < 0.4, 0, -50).astype(np.float32)


Trial = tuple[Callable[[], Layer], Callable[[], dict[str, np.ndarray]]]
N, S, C = 32, 128, 64  # sequences, steps, width


def of_catalogue(name: str) -> Callable[[], Layer]:
    """A layer of the catalogue."""
    return lambda: symgrad.layers.get(name)


def cells(gates: int) -> dict[str, np.ndarray]:
    """The inputs that recurrent networks have in common."""
    shapes = {"x": (N, S, C), "h0": (N, C)} | ({"c0": (N, C)} if gates == 4 else {})
    arrays = {name: normal(*shape) for name, shape in shapes.items()}
    head = (gates,) if gates > 1 else ()
    arrays |= {"w": weights(*head, C, C), "r": weights(*head, C, C), "b": normal(*head, C)}
    return arrays | ({"s": normal(3, C)} if gates == 3 else {})


def state_space(batch: int, steps: int, width: int, states: int) -> dict[str, np.ndarray]:
    """Channels whose rates of decay are negative."""
    return {
        "x": normal(batch, steps, width),
        "step": shares(batch, steps, width),
        "A": -shares(width, states),
        "B": normal(batch, steps, states),
        "U": normal(batch, steps, states),
        "gain": normal(width),
    }


TRIALS: dict[str, Trial] = {
    "rnn": (of_catalogue("rnn"), lambda: cells(1)),
    "lstm": (of_catalogue("lstm"), lambda: cells(4)),
    "gru": (of_catalogue("gru"), lambda: cells(3)),
    "exponential_moving_average": (of_catalogue("exponential_moving_average"), lambda: {"x": normal(N, 1024)}),
    "linear_recurrence": (
        of_catalogue("linear_recurrence"),
        lambda: {"x": normal(N, S, C), "decay": shares(N, S, C), "h0": normal(N, C)},
    ),
    "state_space_scan": (of_catalogue("state_space_scan"), lambda: state_space(4, 256, 64, 16)),
    "crf_log_partition": (
        of_catalogue("crf_log_partition"),
        lambda: {"score": normal(N, S, 32), "transition": normal(32, 32)},
    ),
    "best_path": (lambda: unseen.best_path().layer, lambda: {"e": normal(N, S, 32), "w": normal(32, 32)}),
    "alignments_with_skips": (
        lambda: unseen.alignments_with_skips().layer,
        lambda: {"e": normal(N, S, 41), "skip": skips(N, 41)},
    ),
    "soft_dtw": (of_catalogue("soft_dtw"), lambda: {"cost": normal(N, S, S) ** 2}),
    "grid_of_states": (
        grid_of_states,
        lambda: {"x": normal(8, 32, 32, 32), "w": weights(32, 32), "u": weights(32, 32)},
    ),
    "running_log_sum_exp": (running_log_sum_exp, lambda: {"x": normal(N, 1024)}),
    "running_product": (running_product, lambda: {"x": np.exp(normal(N, 1024, scale=0.1))}),
}


def measure(name: str, runs: int) -> str:
    """One line of the table."""
    make, arrays_of = TRIALS[name]
    compiled, arrays = symgrad.compile_layer(make()), list(arrays_of().values())
    written = getattr(recurrences_by_hand, name)
    outputs, _ = compiled.forward(*arrays)
    cotangents = [np.asarray(rng.normal(size=np.shape(o)), dtype=np.float32) for o in as_tuple(outputs)]

    def emitted() -> Any:
        outputs, residuals = compiled.forward(*arrays)
        return outputs, compiled.backward(residuals, *cotangents)

    def handwritten() -> Any:
        return written(*arrays, *cotangents)

    (got, gradients), (want, wanted) = emitted(), handwritten()
    pairs = [*zip(as_tuple(got), want, strict=True), *((getattr(gradients, k), v) for k, v in wanted.items())]
    apart = max(difference(a, c) for a, c in pairs)
    times = alternate(runs, emitted, handwritten)
    memory = extra_memory(emitted), extra_memory(handwritten)
    ratios = times[0] / times[1], memory[0] / memory[1]
    remarks = {"slow": ratios[0] > GOAL, "large": ratios[1] > GOAL, "WRONG": not apart <= TOLERANCE}
    said = " ".join(word for word, holds in remarks.items() if holds)
    return (
        f"{name:27} {times[0] * 1e3:8.2f} {times[1] * 1e3:8.2f} {ratios[0]:7.2f} "
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
    print(f"{'layer':27} {'ms':>8} {'by hand':>8} {'ratio':>7} {'MiB':>9} {'by hand':>9} {'ratio':>7} {'apart':>9}")
    for name in options.names or TRIALS:
        print(measure(name, options.runs), flush=True)


if __name__ == "__main__":
    main()
