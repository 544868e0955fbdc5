"""Check a layer: its module against the naive evaluator and against numerical and declared derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from symgrad.check import comparisons, origins
from symgrad.check.report import CheckReport, Entry
from symgrad.check.shapes import STYLES
from symgrad.check.subject import Module, Subject
from symgrad.check.values import Case, Sampler, divides
from symgrad.declare.arguments import expect_layer
from symgrad.declare.layer import Layer
from symgrad.errors import CheckError, DeclarationError, SymgradError

VISITS = 200_000
"""Nodes of the equations that the numerical derivatives of one case may visit."""


def check_layer(
    layer: Layer, compiled: Module | None = None, seed: int = 0, cases: int = 6, schedule: str = "readable"
) -> CheckReport:
    """Compare a layer's module with what its declaration means, at random small sizes, attributes and values.

    Forward is compared with the naive evaluator; every gradient with the naive evaluator over dual numbers and, at some
    coordinates and along random directions, with central differences and the complex step, away from kinks; at kinks
    with the declared rule. A derived layer and its gradients are compared with differences of the layer that it was
    derived from. Also: the adjoint identity, gradients asked for alone, float32, repeatability, arguments that are not
    written to, and an axis of extent 0.

    Args:
        layer: the declaration.
        compiled: anything with ``forward`` and ``backward``; by default the compiled layer.
        seed: of the random sizes and values; the same seed gives the same report.
        cases: how many sizes to try.
        schedule: of the module, where ``compiled`` gives none.

    Returns:
        The report: what fails, in the module or before it runs, is an entry of it.

    Raises:
        ArgumentError: ``layer`` is no Layer.
    """
    expect_layer(layer, "check_layer")
    entries: list[Entry] = []
    try:
        module = _compiled(layer, schedule) if compiled is None else compiled
        subject, sampler = Subject(layer, module), Sampler(layer, seed)
    except Exception as error:  # a report has to survive any error on the way to it
        entries.append(_failure("compile", "", error))
        return CheckReport(layer.name, tuple(entries))
    rng = np.random.default_rng([seed, 1])
    for number in range(cases):
        style = STYLES[number % len(STYLES)]
        case = _drawn(entries, style, partial(sampler.case, style))
        if case is None:
            continue
        _collect(entries, case, _at_random(subject, case, sampler, rng))
        if number < len(STYLES):
            for draw, compared in SPECIAL:
                special = _drawn(entries, str(case), partial(draw, sampler, case))
                if special is not None:
                    _collect(entries, special, compared(subject, special, sampler, rng))
    return CheckReport(layer.name, tuple(entries))


def _compiled(layer: Layer, schedule: str) -> Module:
    from symgrad.compiler import compile_layer

    compiled: Module = compile_layer(layer, schedule=schedule)
    return compiled


def _drawn(entries: list[Entry], sizes: str, draw: Callable[[], Case | None]) -> Case | None:
    try:
        return draw()
    except Exception as error:
        entries.append(_failure("sizes", sizes, error))
        return None


def _collect(entries: list[Entry], case: Case, found: Iterator[Entry]) -> None:
    """Append what is found; an error on the way, of whatever kind, is found too."""
    try:
        for entry in found:
            entries.append(entry)
    except Exception as error:
        entries.append(_failure("runs without an error", str(case), error))


def _failure(check: str, sizes: str, error: Exception) -> Entry:
    return Entry(check, "", sizes, False, math.inf, note=f"{type(error).__name__}: {error}")


def _at_random(subject: Subject, case: Case, sampler: Sampler, rng: np.random.Generator) -> Iterator[Entry]:
    subject.warned.clear()
    yield from comparisons.forward(subject, case)
    point = comparisons.at(subject, case, rng)
    yield from _by_dual_numbers(point, "gradient by dual numbers")
    if point.certain:
        probes = VISITS // (3 * max(1, sampler.geometry.work(case.sizes)))
        yield from comparisons.numerically(point, min(max(probes, 4), 64), rng)
        yield from origins.of_original(point, rng)
    yield from comparisons.adjoint(point, rng)
    yield from comparisons.separately(point)
    yield from comparisons.repeatably(point)
    yield from comparisons.in_single_precision(point)
    warned = sorted(set(subject.warned))
    yield Entry("no warnings", "", str(case), not warned, math.inf if warned else 0.0, 1, note="; ".join(warned))


def _at_kinks(subject: Subject, case: Case, sampler: Sampler, rng: np.random.Generator) -> Iterator[Entry]:
    yield from comparisons.forward(subject, case)
    point = comparisons.at(subject, case, rng)
    yield from _by_dual_numbers(point, "gradient at kinks by the declared rule")


def _by_dual_numbers(point: comparisons.Point, check: str) -> Iterator[Entry]:
    if point.certain:
        yield from comparisons.gradients(point, check)
    else:
        yield Entry(check, "", str(point.case), True, skipped=1, note="rounding decides some ties")


def _astray(subject: Subject, case: Case, sampler: Sampler, rng: np.random.Generator) -> Iterator[Entry]:
    """A negative integer that the equations give a meaning: the same meaning, or a clear refusal."""
    try:
        subject.forward(case.arrays, case.attributes)
    except (ValueError, IndexError, SymgradError):
        return
    yield from comparisons.forward(subject, case)


def _emptied(subject: Subject, case: Case, sampler: Sampler, rng: np.random.Generator) -> Iterator[Entry]:
    """An axis without elements: empty results where the equations give them a meaning, an error where they do not.

    Where a result is empty, what every element of it would read may be asked for: a clear refusal is as good.
    """
    try:
        values = sampler.evaluator(case.arrays, case.attributes)
    except (CheckError, DeclarationError) as reason:
        yield _refused(subject, case, str(reason))
        return
    if not all(values[name].size for name in subject.layer.outputs):
        try:
            subject.forward(case.arrays, case.attributes)
        except ValueError as error:
            if str(error).startswith(f"{subject.layer.name}: "):
                yield Entry("refuses an empty axis", "", str(case), True, compared=1, note=str(error))
                return
    yield from comparisons.forward(subject, case)
    point = comparisons.at(subject, case, rng)
    for name, gradient in point.gradients.items():
        expected = point.expected[name]
        if divides(subject.layer) and gradient.shape == expected.shape:
            # a mean of nothing, hoisted out of an empty sum, may reach any gradient
            point.expected[name] = np.where(np.isnan(gradient), np.nan, expected)
    yield from comparisons.gradients(point, "gradient with an empty axis")


def _refused(subject: Subject, case: Case, reason: str) -> Entry:
    try:
        subject.forward(case.arrays, case.attributes)
    except (ValueError, IndexError, SymgradError) as error:
        return Entry("refuses an empty axis", "", str(case), True, compared=1, note=str(error))
    return Entry("refuses an empty axis", "", str(case), False, math.inf, note=f"no error, but {reason}")


SPECIAL: tuple[tuple[Callable[[Sampler, Case], Case | None], Callable[..., Iterator[Entry]]], ...] = (
    (Sampler.kink_case, _at_kinks),
    (Sampler.stray_case, _astray),
    (Sampler.empty_case, _emptied),
)
"""Cases made from a random one, and what is compared at them."""
