"""The comparisons of a check, one function each. Each yields entries and leaves errors to its caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from symgrad.check.evaluator import evaluate
from symgrad.check.numeric import STEP, Direction, Numeric, along, coordinates, moved, random_direction
from symgrad.check.report import Entry, compare
from symgrad.check.subject import Subject
from symgrad.check.tangent import linearise
from symgrad.check.values import Case, has_stops

Array = npt.NDArray[Any]

FORWARD, EXACT, CENTRAL, ADJOINT, SINGLE = 1e-9, 1e-8, 1e-5, 1e-6, 2e-3
"""Tolerances: of forward; of derivatives without truncation; of central differences; through forward; of float32."""


@dataclass(frozen=True)
class Point:
    """A case at which the module has run: what it gave, and what the declaration says it should."""

    subject: Subject
    case: Case
    cotangents: dict[str, Array]
    gradients: dict[str, Array]
    expected: dict[str, Array]
    residuals: Any
    certain: bool

    @property
    def scale(self) -> float:
        """The largest number among the gradients, at least 1."""
        finite = [np.abs(g[np.isfinite(g)]).max(initial=0.0) for g in self.expected.values()]
        return max([1.0, *map(float, finite)])


def forward(subject: Subject, case: Case) -> Iterator[Entry]:
    """Compare forward with the naive evaluation: shape, dtype, values."""
    expected = evaluate(subject.layer, case.arrays, case.attributes)
    outputs, _ = subject.forward(case.arrays, case.attributes)
    for name, output in outputs.items():
        real = expected[name].dtype.kind == "f"
        yield _of_dtype(
            compare("forward", name, str(case), output, expected[name], FORWARD),
            output,
            np.dtype(np.float64) if real and output.size else output.dtype,
        )


def at(subject: Subject, case: Case, rng: np.random.Generator) -> Point:
    """Run forward and backward with random cotangents, and the naive evaluator over dual numbers."""
    outputs, residuals = subject.forward(case.arrays, case.attributes)
    cotangents = {name: np.asarray(rng.normal(size=outputs[name].shape)) for name in subject.layer.program.real_outputs}
    gradients = subject.backward(residuals, cotangents)
    reference = linearise(subject.layer, case.arrays, case.attributes)
    expected = reference.pull_back(cotangents)
    return Point(subject, case, cotangents, gradients, expected, residuals, reference.certain)


def gradients(point: Point, check: str) -> Iterator[Entry]:
    """Compare every gradient with that of the naive evaluator over dual numbers, every coordinate."""
    for name, gradient in point.gradients.items():
        finite = np.isfinite(point.expected[name])  # an infinite slope, as of a root at 0, is nobody's to reproduce
        expected = np.where(finite, point.expected[name], np.nan)
        entry = compare(check, name, str(point.case), gradient, expected, EXACT, point.scale)
        yield _of_dtype(entry, gradient, point.case.arrays[name].dtype)


def numerically(point: Point, probes: int, rng: np.random.Generator) -> Iterator[Entry]:
    """Compare with central differences and the complex step: some coordinates of every input, a random direction."""
    if not point.subject.gradients:
        return
    numeric = Numeric(point.subject.layer, point.case, point.cotangents)
    frozen = has_stops(point.subject.layer)  # a difference sees through StopGradient; the complex step does not
    ways: list[tuple[str, Callable[[Direction], float | None], float]] = [
        *([] if frozen else [("gradient by central difference", numeric.central, CENTRAL)]),
        ("gradient by complex step", numeric.complex_step, EXACT),
    ]
    arrays, names = point.case.arrays, point.subject.gradients
    chosen = list(coordinates(arrays, names, max(2, probes // max(len(names), 1)), rng))
    everywhere = random_direction(arrays, names, rng)
    for check, derivative, tolerance in ways:
        settled = numeric.settled if derivative == numeric.central else derivative
        for name in names:
            here = [c for c in chosen if c.tensor == name]
            pairs = [(along(point.gradients, d), d) for d in (c.direction(arrays) for c in here)]
            entry = _probed(check, name, point, pairs, derivative, settled, tolerance)
            yield replace(entry, coordinate=here[entry.coordinate[0]].position) if entry.coordinate else entry
        pairs = [(along(point.gradients, everywhere), everywhere)]
        entry = _probed(check, "random direction", point, pairs, derivative, settled, tolerance)
        yield replace(entry, coordinate=None)


def _probed(
    check: str,
    subject: str,
    point: Point,
    pairs: Sequence[tuple[float, Direction]],
    derivative: Callable[[Direction], float | None],
    settled: Callable[[Direction], float | None],
    tolerance: float,
) -> Entry:
    """Compare directional derivatives; one that differs counts only if a smaller step says the same."""
    found = []
    for analytic, direction in pairs:
        value = derivative(direction)
        if value is not None and not compare("", "", "", analytic, value, tolerance, point.scale).ok:
            value = settled(direction)
        found.append(math.nan if value is None else value)
    return compare(check, subject, str(point.case), [a for a, _ in pairs], found, tolerance, point.scale)


def adjoint(point: Point, rng: np.random.Generator) -> Iterator[Entry]:
    """Compare <u, J v> with <J^T u, v>: v through the module's own forward, u through its backward."""
    subject, case = point.subject, point.case
    if has_stops(subject.layer) or not subject.gradients:
        return
    direction = random_direction(case.arrays, subject.gradients, rng)
    smooth = Numeric(subject.layer, case, point.cotangents).settled(direction) is not None
    ends = [subject.forward(moved(case.arrays, direction, h), case.attributes)[0] for h in (STEP / 4, -STEP / 4)]
    terms = [u * (ends[0][name] - ends[1][name]) / (STEP / 2) for name, u in point.cotangents.items()]
    pushed = sum(float(t.sum()) for t in terms) if smooth else math.nan
    scale = max([point.scale, *(float(np.abs(t).sum()) for t in terms)])
    pulled = along(point.gradients, direction)
    yield replace(compare("adjoint identity", "", str(case), pulled, pushed, ADJOINT, scale), coordinate=None)


def separately(point: Point) -> Iterator[Entry]:
    """Compare each gradient asked for alone with the same one among all; the residuals serve twice."""
    for name in point.subject.gradients:
        alone = point.subject.backward(point.residuals, point.cotangents, wrt=(name,))[name]
        yield compare("gradient alone (wrt)", name, str(point.case), alone, point.gradients[name], 1e-12)


def repeatably(point: Point) -> Iterator[Entry]:
    """Run twice: the same bits, and no argument written to."""
    subject, case, sizes = point.subject, point.case, str(point.case)
    arrays = {name: a.copy() for name, a in case.arrays.items()}
    cotangents = {name: c.copy() for name, c in point.cotangents.items()}
    outputs, residuals = subject.forward(arrays, case.attributes, keep=True)
    first = subject.backward(residuals, cotangents, keep=True)
    again, residuals = subject.forward(case.arrays, case.attributes)
    second = subject.backward(residuals, point.cotangents)
    for name in subject.layer.outputs:
        yield _same("second run", name, sizes, again[name], outputs[name], "forward is not the same when run again")
    for name in subject.gradients:
        yield _same("second run", name, sizes, second[name], first[name], "backward is not the same when run again")
    for name, original in case.arrays.items():
        yield _same("arguments untouched", name, sizes, arrays[name], original, f"{name} was written to")
    for name, original in point.cotangents.items():
        what = f"cotangent of {name}"
        yield _same("arguments untouched", what, sizes, cotangents[name], original, f"{what} was written to")


def in_single_precision(point: Point) -> Iterator[Entry]:
    """Run in float32: every real result is float32, and close to that of float64 at the same numbers.

    Where nothing real goes in, there is no precision to keep.
    """
    subject, case, sizes = point.subject, point.case, str(point.case)
    if not any(a.dtype == np.float64 for a in case.arrays.values()):
        return
    single = {n: a.astype(np.float32) if a.dtype == np.float64 else a for n, a in case.arrays.items()}
    double = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in single.items()}
    seeds = {n: c.astype(np.float32) for n, c in point.cotangents.items()}
    outputs, residuals = subject.forward(single, case.attributes)
    expected, wide = subject.forward(double, case.attributes)
    for name, output in outputs.items():
        dtype = np.dtype(np.float32) if expected[name].dtype == np.float64 else expected[name].dtype
        yield _coarse(name, sizes, output, expected[name], dtype)
    found = subject.backward(residuals, seeds)
    wanted = subject.backward(wide, {n: c.astype(np.float64) for n, c in seeds.items()})
    for name in subject.gradients:
        yield _coarse(f"gradient of {name}", sizes, found[name], wanted[name], np.dtype(np.float32))


def _coarse(name: str, sizes: str, single: Array, double: Array, dtype: np.dtype[Any]) -> Entry:
    finite = np.abs(double[np.isfinite(double)]).max(initial=1.0)
    entry = compare("float32", name, sizes, single, double, SINGLE, 1000 * float(finite))
    return _of_dtype(entry, single, dtype)


def _of_dtype(entry: Entry, array: Array, dtype: np.dtype[Any]) -> Entry:
    if array.dtype == dtype:
        return entry
    note = f"the dtype is {array.dtype}, it should be {dtype}"
    return replace(entry, ok=False, error=math.inf, note=f"{entry.note}; {note}" if entry.note else note)


def _same(check: str, name: str, sizes: str, now: Array, before: Array, note: str) -> Entry:
    same = now.dtype == before.dtype and now.shape == before.shape and now.tobytes() == before.tobytes()
    return Entry(check, name, sizes, same, 0.0 if same else math.inf, compared=before.size, note="" if same else note)
