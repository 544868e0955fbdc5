"""The benchmarks run, and say what they measured; how fast anything is, is not a test."""

import ast
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


EVERY_WORKLOAD = """
import sys
sys.path[:0] = [{benchmarks!r}, {root!r}]
from compare import Task, compare
from workloads import WORKLOADS

for name, workload in WORKLOADS.items():
    modules = {{schedule: workload.modules(schedule) for schedule in ("fast", "readable")}}
    found = compare(Task(name, workload.problem(True), modules, {rival!r}, 0.0, 1))
    print(name, found.get("skipped") or max(found["errors"].values()), sep=": ")
"""


def errors_beside(rival: str) -> dict[str, str]:
    """What comes of every workload at a tiny size, by name, in one process."""
    script = EVERY_WORKLOAD.format(benchmarks=str(BENCHMARKS), root=str(BENCHMARKS.parent), rival=rival)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@needs_torch
def test_every_workload_agrees_with_torch():
    found = errors_beside("torch")
    assert {"dense", "conv2d", "conv2d_last", "max_pool2d_last", "causal_attention", "lstm", "mnist_10"} <= set(found)
    assert {name: error for name, error in found.items() if not float(error) < 1e-5} == {}


def test_every_layer_agrees_with_naive_numpy():
    found = errors_beside("naive")
    networks = {name for name, error in found.items() if error == "NotImplementedError: not written by hand"}
    assert networks == {"mnist_10", "mnist_128"}
    assert {n: e for n, e in found.items() if n not in networks and not float(e) < 1e-5} == {}


def test_the_suite_says_what_it_measured(tmp_path):
    out, page, plot = (tmp_path / name for name in ("out.json", "out.md", "out.svg"))
    chosen = ["conv2d", "conv2d_last", "mlp", "mnist_10"]
    files = ["--json", str(out), "--markdown", str(page), "--svg", str(plot)]
    printed = run("suite.py", "--smoke", "--only", *chosen, "--rivals", "autograd", "naive", *files).stdout
    record = json.loads(out.read_text())
    assert [result["name"] for result in record["results"]] == chosen
    for result in record["results"]:
        assert result["name"] in printed
        assert f"| {result['name']} | {result['size']} | " in page.read_text()
        assert result["floor"]["seconds"] > 0
        assert result["floor"]["operations"] > 0
    convolution, _, mlp, _ = record["results"]
    assert "windows" in convolution["comparisons"]["autograd"]["skipped"]
    assert "without autograd: NotImplementedError" in printed
    assert 0 <= mlp["error"] < 1e-5
    timings = mlp["comparisons"]["naive"]["timings"]
    assert all(0 < timing["minimum"] <= timing["median"] for timing in timings.values())
    assert mlp["ratios"]["naive"] == timings["fast"]["median"] / timings["naive"]["median"]
    assert {"fast", "readable", "autograd"} <= set(mlp["comparisons"]["autograd"]["timings"])
    for when in ("before", "after"):
        assert all(found["sgemm_gflops"] > 0 and found["threads"] == 1 for found in record["machine"][when])
    verdicts = {goal["name"]: goal["verdict"] for goal in record["goals"]}
    assert verdicts["fast over jax, geometric mean"] == "not measured"
    assert verdicts["fast over naive NumPy, geometric mean"] in ("met", "MISSED")
    assert plot.read_text().lstrip().startswith("<?xml")


PROFILED = """
import numpy as np

def forward(a, b):
    p = helped(a @ b)
    for k in range(2):
        q = a.reshape(-1).copy()
    return p, 3 * np.exp(a)

def helped(x):
    return x
"""


def test_a_profile_tells_products_from_copies_and_arithmetic():
    script = f"""
import sys
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS.parent)!r}]
import ast, json
import _measure
import numpy as np
from problems import emitted
from profiles import kind_of, profiled, told

text = {PROFILED!r}
module, a = emitted(text, "fast"), np.ones((300, 300), np.float32)
found = profiled(lambda: module.forward(a, a), {{"<fast>": text}})
statements = ["y[1:] = a @ b", "x = np.full(3, 0)", "x[:2] = y", "t += u", "f = g(a)", "x = a[i + 1].copy()"]
statements += ["x = -y * z", "return np.einsum('i,i', a, b)", "for u in range(R + 1): pass"]
kinds = [kind_of(ast.parse(s).body[0]) for s in statements]
print(json.dumps([found.record(), kinds, told(found.record()), sys.gettrace() is None]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    profile, kinds, sentence, untraced = json.loads(done.stdout)
    assert untraced
    assert sum(profile["shares"].values()) == pytest.approx(1)
    assert list(profile["shares"].values()) == sorted(profile["shares"].values(), reverse=True)
    assert {"products", "copies", "element by element", "Python"} == set(profile["shares"])
    texts = [text for _, text in profile["dearest"]]
    assert set(texts) == {"p = helped(a @ b)", "q = a.reshape(-1).copy()", "return (p, 3 * np.exp(a))"}
    assert f"`{texts[0]}` " in sentence
    each, copies = "element by element", "copies"
    assert kinds == ["products", copies, copies, each, "Python", copies, each, "products", "Python"]


def test_why_a_goal_is_missed_stands_beside_the_number():
    script = f"""
import sys
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS.parent)!r}]
import _measure
from report import Floor, Row, markdown, means, missed

def row(fast):
    seconds = (("fast", fast), ("readable", 3.0), ("torch", 1.0))
    times = {{name: dict(median=t, minimum=t, processor=t) for name, t in seconds}}
    profile = dict(seconds=2 * fast, shares={{"copies": 0.9, "Python": 0.1}}, dearest=[(0.7, "y = x.copy()")])
    found = {{"errors": {{"fast": 0.0}}, "timings": times, "profile": profile}}
    return Row("layer", "3x5", Floor(1, 1, "1", "1", 1.0), {{"torch": found}}, 1.5)

print([missed([row(2.0)]), missed([row(1.0)]), missed([row(2.0)])[0] in markdown([row(2.0)], [], "")])
print([means([row(2.0), row(0.5)]), means([])])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    (line,), none, shown = ast.literal_eval(first)
    assert ast.literal_eval(second) == [
        [
            "fast, one thread, the mean of 2 workloads: 90% copies, 10% Python",
            "fast on one thread, traced, over fast, geometric mean: 2.00 over 2 workloads",
            "readable over fast on one thread, traced, geometric mean: 1.50 over 2 workloads",
        ],
        [],
    ]
    assert line.startswith("layer, 2.00 for 1.5: 90% copies, 10% Python; most of it is copies to where")
    assert line.endswith("Dearest: `y = x.copy()` 70%")
    assert (none, shown) == ([], True)


def test_a_workload_that_is_unknown():
    assert "unknown: rlu" in run("suite.py", "--only", "rlu", code=2).stderr


def test_a_wrong_result_is_reported_and_not_timed():
    """A comparison of an emitted ReLU that is not one."""
    script = f"""
import sys
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS.parent)!r}]
import symgrad
from compare import Task, compare
from report import Floor, Row, cells
from workloads import WORKLOADS

wrong = symgrad.compile_layer(symgrad.layers.tanh).source
found = compare(Task("relu", WORKLOADS["relu"].problem(True), {{"fast": wrong}}, "naive", 0.0, 1))
row = Row("relu", "3x5", Floor(1, 1, "1", "1", 1.0), {{"naive": found}})
print(found["timings"], row.wrong, cells(row)[-1])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{} True WRONG")


def test_growth_is_told_for_time_and_memory(tmp_path):
    out, plot = tmp_path / "out.json", tmp_path / "out.svg"
    sweeps = ["causal_attention_steps", "lstm_steps"]
    printed = run("scaling.py", "--smoke", "--only", *sweeps, "--json", str(out), "--svg", str(plot)).stdout
    record = json.loads(out.read_text())["sweeps"]
    assert list(record) == sweeps
    for name, schedules in record.items():
        assert name in printed
        assert set(schedules) == {"readable", "fast"}
        for line in schedules.values():
            assert len(line["sizes"]) == len(line["times"]) == len(line["peaks"]) == 2
            assert min(*line["times"], *line["floors"], *line["needed"]) > 0
    attention = record["causal_attention_steps"]["readable"]
    assert attention["time_slope"][1] == pytest.approx(2, abs=0.05)
    assert attention["memory_slope"][0] > 1.5  # the readable module holds the scores of all pairs
    assert "memory" in attention["flags"]
    assert "memory" not in record["lstm_steps"]["readable"]["flags"]
    assert plot.read_text().lstrip().startswith("<?xml")


def test_a_sweep_that_is_unknown():
    assert "unknown: lstm_step" in run("scaling.py", "--only", "lstm_step", code=2).stderr


def test_generation_is_timed_as_a_whole_and_per_layer(tmp_path):
    out = tmp_path / "out.json"
    printed = run("generate_time.py", "--smoke", "--json", str(out)).stdout
    record = json.loads(out.read_text())
    assert [layer["name"] for layer in record["layers"]] == ["relu", "dense"]
    assert all(layer["clock"] > 0 for layer in record["layers"])
    assert record["total"] > 0
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
    assert {error["axes"] for error in errors} == {2, 3}
    for error in errors:
        bound = 3e-14 if error["dtype"] == "float64" else 6e-6 if error["kernel"] < 4 else 2e-5
        assert error["largest"] <= bound


def test_images_count_in_the_better_of_both_orders():
    script = f"""
import sys
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS.parent)!r}]
import _measure
from report import Floor, Row, better, goals, missed

def row(name, fast):
    times = {{n: dict(median=t, minimum=t, processor=t) for n, t in (("fast", fast), ("torch", 1.0))}}
    profile = dict(seconds=1.0, shares={{"copies": 1.0}}, dearest=[(1.0, "y = x.copy()")])
    timings = {{"timings": times, "profile": profile}} if fast else {{"skipped": "no torch"}}
    return Row(name, "3x5", Floor(1, 1, "1", "1", 1.0), {{"torch": timings}}, 1.5)

rows = [row("a", 4.0), row("b", 2.0), row("c", 0), row("a_last", 1.0), row("b_last", 8.0), row("c_last", 0.5)]
print([r.name for r in better(rows)], [r.name for r in better(rows[:3])])
print([round(goal.found, 3) for goal in goals(rows)[:2]])
print([line.partition(",")[0] for line in missed(rows)])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['a_last', 'b', 'c_last'] ['a', 'b', 'c']",
        f"[{round((4 * 2 * 1 * 8 * 0.5) ** 0.2, 3)}, 1.0]",
        "['b', 'b_last']",  # of the others one order meets the goal
    ]
