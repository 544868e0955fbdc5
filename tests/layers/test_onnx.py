"""Test cases that ONNX publishes for its operators, through layers of the catalogue in the place of the operators."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from . import onnx_arrays, onnx_sequences  # noqa: F401 (they enter their operators)
from .onnx_operators import OPERATORS, Uncovered, only, running
from .status import confirm

onnx = pytest.importorskip("onnx")


NEVER = {"Adam", "TopK", "Upsample"}
"""Operators whose cases all need what the layer does not have: a step 0, more than the largest, two factors."""
DOMAINS = ("", "ai.onnx.preview", "ai.onnx.preview.training")


@dataclass(frozen=True)
class Case:
    """A node, its inputs in order (None where one is left out), and its outputs by position."""

    name: str
    operator: str
    settings: dict[str, Any]
    inputs: tuple[np.ndarray | None, ...]
    outputs: dict[int, np.ndarray]


@cache
def cases() -> dict[str, Case]:
    """The published cases of the operators, one node each."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        published = collect_testcases(None)
    found = {}
    for case in published:
        nodes = case.model.graph.node if case.model is not None else []
        plain = len(nodes) == 1 and nodes[0].op_type in OPERATORS and nodes[0].domain in DOMAINS
        if not plain or "_expanded" in case.name:
            continue
        node, (inputs, outputs) = nodes[0], case.data_sets[0]
        given, made = iter(inputs), iter(outputs)
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        settings |= {"op": node.op_type, "outputs": len(node.output)}
        found[case.name.removeprefix("test_")] = Case(
            case.name,
            node.op_type,
            settings,
            tuple(next(given) if name else None for name in node.input),
            {k: next(made) for k, name in enumerate(node.output) if name},
        )
    return found


def tolerances(expected: np.ndarray) -> tuple[float, float]:
    """Relative and absolute; some outputs were published with four digits behind the point, some in half precision."""
    if expected.dtype == np.float16:
        return 4e-3, 2e-3
    return 2e-5, 1e-4 if np.array_equal(expected, np.round(expected, 4).astype(expected.dtype)) else 2e-6


def outputs(case: Case) -> tuple[Any, ...]:
    """What the layers give for a case."""
    only(all(x is None or x.dtype.name != "bfloat16" for x in case.inputs), "no real numbers of NumPy's own: bfloat16")
    return OPERATORS[case.operator](case.settings, *case.inputs)


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("name", sorted(cases()))
def test_the_outputs_are_those_published(name: str, schedule: str) -> None:
    case = cases()[name]
    with np.errstate(all="ignore"), running(schedule):
        try:
            found = outputs(case)
        except Uncovered as reason:
            pytest.skip(f"{case.operator}: {reason}")
    for position, expected in case.outputs.items():
        if position < len(found) and found[position] is not None:
            assert np.shape(found[position]) == np.shape(expected)
            if expected.dtype == bool:
                np.testing.assert_array_equal(found[position], expected)
                continue
            assert np.asarray(found[position]).dtype == expected.dtype
            rtol, atol = tolerances(expected)
            np.testing.assert_allclose(found[position], expected, rtol=rtol, atol=atol)
    assert any(position < len(found) and found[position] is not None for position in case.outputs)


@cache
def runs() -> tuple[dict[str, frozenset[str]], Counter[str]]:
    """What every layer is run for: the operators. And how many cases are left out, by reason."""
    used: dict[str, set[str]] = {}
    left: Counter[str] = Counter()
    for case in cases().values():
        with np.errstate(all="ignore"), running("readable") as layers:
            try:
                outputs(case)
            except Uncovered as reason:
                left[f"{case.operator}: {reason}"] += 1
                continue
        assert layers, f"{case.name} runs no layer"
        for layer in layers:
            used.setdefault(layer, set()).add(case.operator)
    return {layer: frozenset(operators) for layer, operators in used.items()}, left


def test_every_operator_has_a_case_that_runs() -> None:
    """An operator none of whose cases runs says nothing of any layer."""
    assert set(OPERATORS) - set().union(*runs()[0].values()) == NEVER


def test_most_cases_run() -> None:
    left = {reason: count for reason, count in runs()[1].items() if "no real numbers" not in reason}
    assert sum(left.values()) < len(cases()) / 5, left


def test_the_catalogues_page_names_the_operators(update: bool) -> None:
    confirm("ONNX", {layer: sorted(operators) for layer, operators in runs()[0].items()}, update)
