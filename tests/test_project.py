"""The project as a whole: its stages, its wheel, its generated files, the size and the words of its modules."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sympy

import symgrad
from symgrad.commands.generate import render

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "symgrad"
MODULES = sorted(PACKAGE.rglob("*.py"))
PIPELINE = ["declare", "derive", "simplify", "lower", "emit"]
LONGEST_MODULE = 350


def name_of(module: Path) -> str:
    return str(module.relative_to(ROOT))


def stage_of(module: Path) -> str:
    inside = module.relative_to(PACKAGE).parts
    return inside[0] if len(inside) > 1 else ""


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of what a module imports from symgrad, the lazily exported names at their homes."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] == "symgrad")
            case ast.ImportFrom(module="symgrad", names=names):
                yield from (symgrad._HOMES.get(alias.name, f"symgrad.{alias.name}") for alias in names)
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "symgrad":
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom(level=level):
                assert level == 0, "relative imports would escape this test"


def stages_imported(tree: ast.AST) -> set[str]:
    return {name.split(".")[1] for name in imports(tree) if name.count(".")}


def outside_functions(tree: ast.Module) -> ast.Module:
    """The module without the bodies of its functions: what runs when it is imported."""
    body = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return ast.Module(body=[node for node in body if not _for_types_only(node)], type_ignores=[])


def _for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_imports_follow_the_pipeline():
    outer = {"check", "layers", "compiler", "cli", "commands", "loading", "demo"}
    wrong = []
    for module in MODULES:
        stage = stage_of(module)
        if stage in PIPELINE:
            later = {*PIPELINE[PIPELINE.index(stage) + 1 :], *outer}
            found = stages_imported(ast.parse(module.read_text())) & later
            wrong += [f"{name_of(module)} imports {other}" for other in sorted(found)]
    assert wrong == []


def test_check_knows_declarations_and_emitted_modules_only():
    wrong = []
    for module in MODULES:
        if stage_of(module) == "check":
            tree = ast.parse(module.read_text())
            found = stages_imported(outside_functions(tree)) & {*PIPELINE[1:], "compiler"}
            found |= stages_imported(tree) & set(PIPELINE[1:])
            wrong += [f"{name_of(module)} imports {other}" for other in sorted(found)]
    assert wrong == []


def test_layers_are_notation_only():
    allowed = {"declare", "layers", "errors"}
    trees = {module: ast.parse(module.read_text()) for module in MODULES if stage_of(module) == "layers"}
    assert {name_of(m): stages_imported(t) - allowed for m, t in trees.items() if stages_imported(t) - allowed} == {}


def words_of_code(tree: ast.AST) -> Iterator[str]:
    """Identifiers and the words of strings, docstrings left out."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.arg(arg=word) | ast.keyword(arg=str(word)):
                yield word
            case ast.FunctionDef(name=word) | ast.ClassDef(name=word) | ast.alias(name=word):
                yield word
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield from re.findall(r"\w+", text)


def test_the_compiler_names_no_layer():
    functions = {name for name in symgrad.catalogue() if hasattr(np, name) or hasattr(sympy, name)}
    layers = set(symgrad.catalogue()) - functions - {"sigmoid", "sine", "softplus"}  # of one number, as log and tanh
    family = re.compile(
        r"conv(?=\d|ol)|pool(?=\d|ing)|softmax|relu|attention|lstm|batch_?norm|layer_?norm", re.IGNORECASE
    )
    assert family.search("max_pool2d")
    wrong = []
    for module in MODULES:
        if stage_of(module) in {*PIPELINE, "check"} or name_of(module) == "symgrad/compiler.py":
            words = set(words_of_code(ast.parse(module.read_text())))
            found = {word for word in words if word in layers or family.search(word)}
            wrong += [f"{name_of(module)}: {word}" for word in sorted(found)]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_module_is_too_long(module):
    lines = module.read_text().count("\n")
    assert lines <= LONGEST_MODULE


def test_nothing_in_the_project_depends_on_the_machine_it_was_written_on():
    files = [p for folder in ("symgrad", "templates", "generated", "benchmarks") for p in (ROOT / folder).rglob("*")]
    texts = {path: path.read_text() for path in files if path.is_file() and path.suffix in {".py", ".md", ".jinja"}}
    home = re.compile(r"(?<![\w.])/(home|root|Users|tmp|work)/")
    assert [name_of(path) for path, text in texts.items() if home.search(text)] == []


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == symgrad.__version__


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_generated_files_are_what_the_compiler_emits(seed):
    command = [sys.executable, "-c", "from symgrad.cli import main; main(['generate', '--check', '--afresh'])"]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built by way of the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_package_templates_and_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    templates = {f"symgrad/{p.relative_to(ROOT)}" for p in (ROOT / "templates").rglob("*") if p.is_file()}
    assert templates
    assert templates | {name_of(module) for module in MODULES} | {"symgrad/py.typed"} <= held
    assert {name.split("/")[0] for name in held} == {"symgrad", f"symgrad-{symgrad.__version__}.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_wheel_generates_outside_the_checkout(wheel, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True)
    environment = os.environ | {"PYTHONPATH": str(target)}
    where = [sys.executable, "-c", "import symgrad; print(symgrad.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(target / "symgrad/__init__.py")
    command = [sys.executable, str(target / "bin/symgrad"), "generate", "dense", "conv2d", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*.*")}
    assert written == render(symgrad.layers.dense) | render(symgrad.layers.conv2d)
