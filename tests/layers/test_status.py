"""The status of a layer on the page of the catalogue says what tests compare it with, no more and no less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import symgrad
from symgrad.commands.index import status_of

from .status import confirm

RECORDER = """
import json, sys
import pytest

class Recorder:
    names = set()

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if "agree" in item.fixturenames]

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef, request):
        if fixturedef.argname != "agree":
            return None
        record = lambda name, *rest, **options: self.names.add(name)
        fixturedef.cached_result = (record, fixturedef.cache_key(request), None)
        return record

recorder = Recorder()
code = pytest.main([sys.argv[1], "-q", "-n", "0", "-p", "no:cacheprovider"], plugins=[recorder])
assert code == 0, code
print("\\n" + json.dumps(sorted(recorder.names)))
"""


def test_layers_compared_with_torch(update: bool) -> None:
    """The tests that compare with torch run here without comparing: only the names of the layers are kept."""
    pytest.importorskip("torch")
    command = [sys.executable, "-c", RECORDER, str(Path(__file__).parent)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    names = json.loads(done.stdout.splitlines()[-1])
    assert set(names) <= set(symgrad.catalogue())
    confirm("torch", {name: [] for name in names}, update)


def test_the_status_names_the_oracles() -> None:
    assert status_of("gru_reset_first") == " equations, differences; torch; ONNX GRU |"
    assert status_of("hardmax").startswith(" equations, differences; ")
    assert status_of("no_layer") == " equations, differences |"
