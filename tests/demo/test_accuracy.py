"""The claim on the bundled digits, with the recipe that the demo uses."""

import io

import pytest
from rich.console import Console

from symgrad.demo import run
from symgrad.demo.report import Report


@pytest.mark.parametrize(("network", "least"), [("conv", 0.985), ("dense", 0.975)])
def test_digits_are_recognised(tmp_path, network, least):
    result = run(network=network, out=tmp_path, report=Report(Console(file=io.StringIO())))
    assert result.networks[0].accuracy >= least
