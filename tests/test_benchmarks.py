"""The benchmarks run, and say what they measured; how fast anything is, is not a test."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import symgrad

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ONE_THREAD = os.environ | {"BENCH_THREADS": "1"}
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")


def run(script: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A benchmark in a process of its own: it fixes numbers of threads before NumPy loads."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments], capture_output=True, text=True, env=ONE_THREAD
    )
    assert done.returncode == code, done.stderr
    return done


@needs_torch
def test_every_workload_agrees_with_torch_and_is_timed(tmp_path):
    out = tmp_path / "out.json"
    printed = run("against_torch.py", "--smoke", "--json", str(out)).stdout
    record = json.loads(out.read_text())
    names = [result["name"] for result in record["results"]]
    assert {"dense", "conv2d", "max_pool2d", "average_pool2d", "softmax_cross_entropy", "gelu"} <= set(names)
    for result in record["results"]:
        assert result["name"] in printed
        assert result["error"] < 1e-5
        timings = result["timings"]
        assert {"symgrad", "torch"} <= set(timings)
        assert ("torch channels_last" in timings) == (len(result["shapes"][0]) == 4)
        assert all(0 < timing["minimum"] <= timing["median"] for timing in timings.values())
        assert result["ratio"] == timings["symgrad"]["median"] / min(
            timing["median"] for name, timing in timings.items() if name != "symgrad"
        )
    assert record["machine"]["before"]["sgemm_gflops"] > 0
    assert record["machine"]["after"]["copy_gb_per_second"] > 0


@needs_torch
def test_workloads_are_chosen_by_name(tmp_path):
    out = tmp_path / "out.json"
    run("against_torch.py", "relu", "--smoke", "--json", str(out))
    assert [result["name"] for result in json.loads(out.read_text())["results"]] == ["relu"]
    assert "unknown: rlu" in run("against_torch.py", "rlu", code=2).stderr


@needs_torch
def test_a_wrong_result_is_reported_and_not_timed(tmp_path):
    """The same script, with an emitted ReLU that is not one."""
    script = f"""
import sys
sys.path.insert(0, {str(BENCHMARKS)!r})
import against_torch, symgrad
symgrad.layers.relu = symgrad.layers.tanh
sys.argv[1:] = ["relu", "sigmoid", "--smoke", "--json", "out.json"]
against_torch.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=ONE_THREAD)
    assert done.returncode == 1
    assert "WRONG" in done.stdout
    relu, sigmoid = json.loads((tmp_path / "out.json").read_text())["results"]
    assert not relu["right"] and not relu["timings"]
    assert sigmoid["right"] and sigmoid["timings"]


def test_generation_is_timed_as_a_whole_and_per_layer(tmp_path):
    out = tmp_path / "out.json"
    printed = run("generate_time.py", "--smoke", "--json", str(out)).stdout
    record = json.loads(out.read_text())
    assert [layer["name"] for layer in record["layers"]] == ["relu", "dense"]
    assert all(layer["clock"] > 0 for layer in record["layers"])
    assert record["total"]["clock"] > 0
    assert "symgrad generate:" in printed


def test_generation_of_an_unknown_layer_is_refused():
    assert not set(symgrad.catalogue()) & {"relo"}
    assert "not in the catalogue: relo" in run("generate_time.py", "relo", code=2).stderr


def test_accuracy_is_tabled_for_outputs_and_gradients(tmp_path):
    out, page = tmp_path / "out.json", tmp_path / "out.md"
    printed = run("accuracy.py", "--smoke", "--json", str(out), "--markdown", str(page)).stdout
    found = json.loads(out.read_text())
    assert {e["inputs"] for e in found} == {"ordinary", "small", "large"}
    assert {e["result"] for e in found if e["layer"] == "dense"} == {"y", *(f"gradient of {n}" for n in "xwb")}
    for error in found:
        assert error["layer"] in printed
        assert 0 <= error["ulps"] < 20
        assert error["overflows"] == 0
        assert not error["warns"]
        assert f"| {error['layer']} | {error['result']} | " in page.read_text()


def test_accuracy_of_an_unknown_layer():
    assert "unknown: densely" in run("accuracy.py", "densely", code=2).stderr


def test_errors_of_tiles_are_as_stated(tmp_path):
    out = tmp_path / "out.json"
    run("winograd_error.py", "--smoke", "--json", str(out))
    errors = json.loads(out.read_text())
    assert {(e["form"], e["dtype"]) for e in errors} == {
        ("tiles", "float32"),
        ("direct", "float32"),
        ("tiles", "float64"),
    }
    for error in errors:
        bound = 3e-14 if error["dtype"] == "float64" else 6e-6 if error["kernel"] < 4 else 2e-5
        assert error["largest"] <= bound
