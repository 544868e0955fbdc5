"""Comparisons find the worst coordinate; a report says it in a table, in full, and as JSON."""

from __future__ import annotations

import json
import math

import numpy as np

from symgrad.check.report import CheckReport, Entry, compare


def test_the_worst_coordinate_is_found() -> None:
    want = np.array([[1.0, 2.0], [3.0, 4.0]])
    got = want.copy()
    got[1, 0] = 3.3
    entry = compare("forward", "y", "N=2", got, want, 1e-6)
    assert not entry.ok
    assert entry.coordinate == (1, 0)
    assert (entry.analytic, entry.expected) == (3.3, 3.0)
    assert math.isclose(entry.error, 0.3 / 3.3)
    assert entry.compared == 4


def test_small_numbers_are_measured_against_large_ones() -> None:
    want = np.array([1000.0, 1e-12])
    assert compare("c", "s", "", want + [0.0, 1e-12], want, 1e-9).ok
    assert not compare("c", "s", "", want + [0.0, 1e-8], want, 1e-9).ok
    assert compare("c", "s", "", want + [0.0, 1e-8], want, 1e-9, scale=1e8).ok


def test_nan_is_skipped_where_expected_and_wrong_where_not() -> None:
    skipped = compare("c", "s", "", [1.0, 7.0], [1.0, np.nan], 1e-9)
    assert (skipped.ok, skipped.compared, skipped.skipped) == (True, 1, 1)
    assert not compare("c", "s", "", [1.0, np.nan], [1.0, 2.0], 1e-9).ok
    assert compare("c", "s", "", [np.nan], [np.nan], 1e-9).compared == 0


def test_infinities_have_to_match() -> None:
    assert compare("c", "s", "", [np.inf, 1.0], [np.inf, 1.0], 1e-9).ok
    assert not compare("c", "s", "", [np.inf], [-np.inf], 1e-9).ok
    assert not compare("c", "s", "", [1.0], [-np.inf], 1e-9).ok
    assert not compare("c", "s", "", [np.inf], [1.0], 1e-9).ok


def test_shapes_have_to_match() -> None:
    entry = compare("forward", "y", "N=2", np.ones((2, 1)), np.ones((1, 2)), 1e-9)
    assert not entry.ok
    assert entry.note == "the shape is (2, 1), it should be (1, 2)"


GOOD = compare("forward", "y", "N=2 C=3", [1.0], [1.0], 1e-9)
BAD = compare("gradient by complex step", "w", "N=2 C=3", [1.0, 2.5], [1.0, 2.0], 1e-9)


def test_a_report_prints_a_table_and_the_failures() -> None:
    text = str(CheckReport("dense", (GOOD, GOOD, BAD)))
    lines = text.splitlines()
    assert lines[0] == "check of dense: 1 of 3 comparisons FAILED"
    assert any(line.startswith("forward") and line.endswith("ok") for line in lines)
    assert any(line.startswith("gradient by complex step") and line.endswith("FAILED in 1") for line in lines)
    assert text.endswith(
        "gradient by complex step: w[1]\n  at N=2 C=3\n  module    2.5\n  expected  2    relative error 2.00e-01"
    )
    assert max(map(len, lines)) < 100


def test_a_report_is_ok_only_if_something_was_compared() -> None:
    assert CheckReport("dense", (GOOD,)).ok
    assert not CheckReport("dense", (GOOD, BAD)).ok
    assert CheckReport("dense", (GOOD, BAD)).failures == (BAD,)
    assert not CheckReport("dense", ()).ok
    assert not CheckReport("dense", (Entry("forward", "y", "", True),)).ok
    assert "nothing was compared" in str(CheckReport("dense", ()))


def test_a_report_is_json() -> None:
    broken = Entry("runs without an error", "", "N=1", False, math.inf, note="ValueError: no")
    read = json.loads(CheckReport("dense", (GOOD, broken)).to_json())
    assert (read["layer"], read["ok"]) == ("dense", False)
    assert read["entries"][1]["error"] == "inf"
    assert read["entries"][1]["note"] == "ValueError: no"
    assert read["entries"][0]["coordinate"] == [0]
