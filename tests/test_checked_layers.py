"""What the page of the catalogue says of every layer: its module is compared with its equations and differences."""

from __future__ import annotations

import pytest

import symgrad

from .points import NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name in symgrad.catalogue()])
def test_the_module_is_its_equations(name: str) -> None:
    report = symgrad.check_layer(symgrad.layers.get(name), cases=1)
    assert report.ok, str(report)
    assert "forward" in str(report)
    if any(not (t.integer or t.constant) for t in symgrad.layers.get(name).inputs):
        assert "gradient by" in str(report)
