"""The command line: what it prints, where, and with which exit code."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import symgrad
from symgrad.cli import main
from symgrad.emit.files import PYTHON_HEADER

AFFINE = "y[b,i] = sum(x[b,j]*w[i,j], j) + c[i]"
FILE = """
from sympy import Eq, Idx, IndexedBase, Symbol
from symgrad import Layer

N = Symbol("N", integer=True, positive=True)
x, y = IndexedBase("x"), IndexedBase("y")
n = Idx("n", N)
double = Layer("double", inputs=[x[N]], equations=[Eq(y[n], 2*x[n])])
"""


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, "-c", "import sys; from symgrad.cli import main; main(sys.argv[1:])", *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
    )


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder as current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_help_does_not_wait_for_sympy_or_numpy():
    script = """
import sys
from symgrad.cli import main
for arguments in (["--help"], ["generate", "--help"], ["--version"]):
    main(arguments, standalone_mode=False)
print(sorted({"sympy", "numpy", "rich", "jinja2"} & set(sys.modules)))
"""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_has_help_with_an_example_that_names_it():
    assert set(main.commands) == {"list", "show", "new", "derive", "generate", "check", "bench", "demo"}
    for name in main.commands:
        help_text = run(name, "--help").output
        assert f"symgrad {name}" in help_text.split("Example:")[1]


def test_version():
    assert run("--version").output.split() == ["symgrad,", "version", symgrad.__version__]


def test_an_unknown_command_is_a_usage_error():
    assert "No such command 'generat'" in run("generat", code=2).stderr


def test_list_names_every_layer_on_a_line_of_its_own():
    lines = [line.split("\t") for line in run("list").output.splitlines()]
    assert [name for name, *_ in lines] == list(symgrad.catalogue())
    equation, attributes = next(rest for name, *rest in lines if name == "conv2d")
    assert equation.startswith("y[")
    assert "stride=1" in attributes


def test_list_as_json():
    layers = {layer["name"]: layer for layer in json.loads(run("list", "--json").output)}
    assert list(layers) == list(symgrad.catalogue())
    assert layers["dense"]["inputs"] == {"x": ["N", "M"], "w": ["K", "M"], "b": ["K"]}
    assert layers["dense"]["outputs"] == ["y"]


def test_show_prints_the_module_by_default():
    source = run("show", AFFINE).output
    functions = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert {"forward", "backward"} <= functions
    assert source == run("show", AFFINE, "--stage", "emit").output


def test_show_stops_after_any_stage():
    stages = ["graph", "declare", "derive", "simplify", "lower", "emit"]
    shown = [run("show", "y[n,i] = exp(x[n,i])/sum(exp(x[n,j]), j)", "--stage", stage).output for stage in stages]
    assert len(set(shown)) == len(stages)
    assert "Invalid value" in run("show", AFFINE, "--stage", "print", code=2).stderr


@pytest.mark.parametrize(("format_name", "mark"), [("latex", "\\"), ("markdown", "#"), ("html", "<")])
def test_derive_formats(format_name, mark):
    assert mark in run("derive", AFFINE, "--format", format_name).output


def test_derive_prints_text_by_default():
    assert run("derive", AFFINE).output == run("derive", AFFINE, "--format", "text").output


def test_new_writes_a_layer_that_works(here):
    assert "wrote leaky.py" in run("new", "leaky").output
    run("check", "leaky.py:leaky")
    run("derive", "leaky.py")
    run("generate", "leaky.py", "--out", "build")
    assert callable(load(here / "build/numpy/leaky.py").backward)


def test_new_never_overwrites(here):
    (here / "mine.py").write_text("value = 1\n")
    assert "mine.py exists already" in run("new", "mine", code=2).stderr
    assert (here / "mine.py").read_text() == "value = 1\n"


@pytest.mark.parametrize("name", ["two words", "../up", "class", "9lives", "a.py", "__init__", "numpy"])
def test_new_refuses_what_is_no_name(here, name):
    assert repr(name) in run("new", name, code=2).stderr
    assert list(here.iterdir()) == []


def test_show_draws_a_graph_in_either_form(here):
    (here / "net.py").write_text(
        "from symgrad import chain, layers\nnet = chain(layers.dense, layers.relu, name='net')\n"
    )
    assert "    t_dense_y --> t_y\n" in run("show", "net.py:net", "--stage", "graph").stdout
    assert '    "x" -> "y";\n' in run("show", AFFINE, "--stage", "graph", "--format", "dot").stdout
    assert "add --stage graph" in run("show", AFFINE, "--format", "dot", code=2).stderr


@pytest.mark.parametrize("policy", ["store", "recompute"])
def test_generate_takes_the_policy_of_residuals(here, policy):
    run("generate", "gelu", "--residuals", policy, "--out", ".")
    written = (here / "numpy/gelu.py").read_text()
    assert written == symgrad.compile_layer(symgrad.layers.gelu, residuals=policy).source
    assert written == run("show", "gelu", "--residuals", policy).stdout
    run("generate", "gelu", "--residuals", policy, "--out", ".", "--check")
    run(
        "generate",
        "gelu",
        "--residuals",
        "recompute" if policy == "store" else "store",
        "--out",
        ".",
        "--check",
        code=1,
    )


def test_generate_writes_module_and_study(here):
    output = run("generate", "dense", AFFINE).output
    assert sorted(str(p) for p in Path("generated").rglob("*.*")) == [
        "generated/numpy/dense.py",
        "generated/numpy/layer.py",
        "generated/study/dense.md",
        "generated/study/layer.md",
    ]
    assert "wrote generated/numpy/dense.py" in output
    assert Path("generated/numpy/layer.py").read_text() == run("show", AFFINE).output


def test_generate_check_lists_what_is_not_current(here):
    run("generate", "dense", "relu")
    assert "4 files" in run("generate", "dense", "relu", "--check").output
    Path("generated/numpy/dense.py").write_text(f"{PYTHON_HEADER}\n")
    Path("generated/study/relu.md").unlink()
    output = run("generate", "dense", "relu", "--check", code=1).output
    assert "stale: generated/numpy/dense.py" in output
    assert "missing: generated/study/relu.md" in output
    assert "2 of 4 files are not current" in output
    assert not Path("generated/study/relu.md").exists()
    run("generate", "dense", "relu")
    run("generate", "dense", "relu", "--check")


def test_generate_as_json(here):
    result = json.loads(run("generate", "dense", "--json").stdout)
    assert result["files"] == {"numpy/dense.py": "missing", "study/dense.md": "missing"}
    result = json.loads(run("generate", "dense", "--check", "--json").stdout)
    assert result["files"] == {"numpy/dense.py": "current", "study/dense.md": "current"}


def test_generate_leaves_foreign_files_alone(here):
    Path("generated/numpy").mkdir(parents=True)
    Path("generated/numpy/dense.py").write_text("print('mine')\n")
    message = run("generate", "relu", "dense", code=2).stderr
    assert "refused to overwrite" in message
    assert "dense.py" in message
    assert [p.name for p in Path("generated").rglob("*.*")] == ["dense.py"]


def test_generate_refuses_two_layers_of_one_name(here):
    assert "two layers are called dense" in run("generate", "dense", "dense", code=2).stderr
    assert list(here.iterdir()) == []


def test_generate_writes_nothing_when_a_layer_cannot_be_found(here):
    run("generate", "dense", "no_such_layer", code=2)
    assert list(here.iterdir()) == []


def test_generated_files_of_layers_that_are_gone_are_reported(here, monkeypatch):
    monkeypatch.setattr(symgrad.layers, "catalogue", lambda: ("dense", "relu"))
    run("generate")
    monkeypatch.setattr(symgrad.layers, "catalogue", lambda: ("dense",))
    assert "left over: generated/numpy/relu.py" in run("generate", "--check", code=1).output


def test_the_catalogue_comes_with_a_page_that_lists_it(here, monkeypatch):
    monkeypatch.setattr(symgrad.layers, "catalogue", lambda: ("dense", "relu", "batch_norm_running_step"))
    run("generate")
    page = Path("generated/study/index.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(rows) == 3
    assert "## Affine\n\nFully connected layers." in page
    (row,) = [row for row in rows if "[dense](dense.md) [py](../numpy/dense.py)" in row]
    assert "`y[n, k] = b[k] + Sum(w[k, m]*x[n, m], (m, 0, M - 1))`" in row
    assert "| x, w, b | equations, differences; torch" in row
    assert [row for row in rows if "| none: data alone |" in row]
    for link in re.findall(r"\]\((.*?)\)", page):
        assert Path("generated/study", link).exists()
    assert "left over" not in run("generate", "--check").output


def test_check_prints_a_report():
    assert "relu" in run("check", "relu").output
    report = json.loads(run("check", "relu", "--json").stdout)
    assert [(entry["layer"], entry["ok"]) for entry in report] == [("relu", True)]


def test_check_fails_with_exit_code_one(monkeypatch):
    def cannot(layer, schedule):
        raise symgrad.errors.CheckError("no shape satisfies the declaration")

    monkeypatch.setattr(symgrad, "check_layer", cannot, raising=False)
    result = run("check", "relu", "dense", code=1)
    assert "relu: no shape satisfies the declaration" in result.output
    assert "0 of 2 layers passed; failed: relu, dense" in result.output


def test_an_unknown_layer_suggests_a_close_one():
    result = run("show", "conv2", code=2)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "conv2d" in result.stderr


def test_a_layer_from_a_file_by_variable_or_alone(here):
    Path("double.py").write_text(FILE)
    first = run("show", "double.py:double")
    assert first.stdout == run("show", "double.py").stdout
    assert f"running {here / 'double.py'}" in first.stderr


def test_what_a_layer_file_prints_is_not_what_a_program_reads(here):
    Path("loud.py").write_text(FILE + "print('loud')\n")
    result = run("check", "loud.py:double", "--json")
    assert json.loads(result.stdout)[0]["ok"]
    assert "loud" in result.stderr


def test_a_layer_file_may_import_its_neighbours(here):
    Path("double.py").write_text(FILE)
    Path("again.py").write_text("from double import double\n")
    run("show", "again.py:double")
    assert str(here) not in sys.path


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere.py:double", "there is no file nowhere.py; `symgrad new nowhere`"),
        ("double.py:doubl", "doubl does not exist; the file holds double.py:double"),
        ("double.py:N", "N is of type Symbol, no Layer; the file holds double.py:double"),
        ("two.py", "holds several layers; name one of two.py:double, two.py:other"),
        ("none.py", "none.py holds no Layer"),
        ("broken.py", "broken.py, line 2: the file cannot be run: ZeroDivisionError: division by zero"),
        ("syntax.py", "the file cannot be run: "),
        ("leaves.py", "leaves.py, line 1: the file cannot be run: SystemExit: 3"),
        ("wrong.py", "wrong.py, line 8: "),
    ],
)
def test_a_file_that_gives_no_layer(here, reference, message):
    Path("double.py").write_text(FILE)
    Path("two.py").write_text(FILE + "other = Layer('other', inputs=[x[N]], equations=[Eq(y[n], x[n])])\n")
    Path("none.py").write_text("value = 1\n")
    Path("broken.py").write_text("value = 0\nvalue = 1/value\n")
    Path("syntax.py").write_text("value = = 1\n")
    Path("leaves.py").write_text("raise SystemExit(3)\n")
    Path("wrong.py").write_text(FILE.replace("Eq(y[n], 2*x[n])", "Eq(y[n], 2*x[n, n])"))
    result = run("show", reference, code=2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_text_that_is_no_equation_shows_the_place():
    stderr = run("derive", "y[i] = sum(x[i,j], k)", code=2).stderr
    assert "column" in stderr
    assert stderr.rstrip().endswith("^")


def test_errors_go_to_standard_error_without_a_traceback():
    done = program("derive", "y[i] = f(x[i])")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: text equation, column 8: unknown function f")
    assert "Traceback" not in done.stderr


def test_a_terminal_that_cannot_show_unicode_gets_ascii():
    done = program("derive", AFFINE, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_without_a_terminal_progress_is_plain_lines_on_standard_error():
    done = program("check", AFFINE, "relu")
    assert done.returncode == 0, done.stderr
    assert "[2/2] checking relu" in done.stderr.splitlines()
    assert "\x1b" not in done.stdout + done.stderr


def test_demo_tells_what_is_wrong_before_it_trains(here):
    assert "0 is not in the range" in run("demo", "--epochs", "0", code=2).stderr
    assert "nowhere" in run("demo", "--mnist", "nowhere", code=2).stderr


def test_a_check_that_fails_inside_a_command_exits_with_one(monkeypatch):
    def fail(**options):
        raise symgrad.errors.CheckError("the gradient disagrees")

    monkeypatch.setattr("symgrad.demo.run", fail)
    assert run("demo", code=1).stderr == "Error: the gradient disagrees\n"
