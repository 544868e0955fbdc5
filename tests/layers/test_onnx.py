"""Test cases that ONNX publishes for its operators, through layers of the catalogue in the place of the operators."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from .onnx_operators import OPERATORS, Uncovered

onnx = pytest.importorskip("onnx")


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
        plain = len(nodes) == 1 and nodes[0].op_type in OPERATORS and not nodes[0].domain
        if not plain or "_expanded" in case.name or "bfloat16" in case.name:
            continue
        node, (inputs, outputs) = nodes[0], case.data_sets[0]
        given, made = iter(inputs), iter(outputs)
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        found[case.name.removeprefix("test_")] = Case(
            case.name,
            node.op_type,
            settings,
            tuple(next(given) if name else None for name in node.input),
            {k: next(made) for k, name in enumerate(node.output) if name},
        )
    return found


def exactness(expected: np.ndarray) -> float:
    """Some outputs were published with four digits behind the point."""
    return 1e-4 if np.array_equal(expected, np.round(expected, 4).astype(expected.dtype)) else 2e-6


@pytest.mark.parametrize("name", sorted(cases()))
def test_the_outputs_are_those_published(name: str) -> None:
    case = cases()[name]
    with np.errstate(all="ignore"):
        try:
            found = OPERATORS[case.operator](case.settings | {"op": case.operator}, *case.inputs)
        except Uncovered as reason:
            pytest.skip(f"{case.operator}: {reason}")
    for position, expected in case.outputs.items():
        if position < len(found) and found[position] is not None:
            assert np.shape(found[position]) == np.shape(expected)
            np.testing.assert_allclose(found[position], expected, rtol=2e-5, atol=exactness(expected))


def test_most_cases_are_covered() -> None:
    """How many of the cases are left out, by operator: what is new here is an operator or a variant to look at."""
    left: dict[str, int] = {}
    for case in cases().values():
        try:
            with np.errstate(all="ignore"):
                OPERATORS[case.operator](case.settings | {"op": case.operator}, *case.inputs)
        except Uncovered:
            left[case.operator] = left.get(case.operator, 0) + 1
    assert sum(left.values()) < len(cases()) / 2, left
