"""What is kept between runs of the command line: read back only while nothing it was made from has changed."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import symgrad
from symgrad.cli import main
from symgrad.commands import cache, generate
from symgrad.commands.cache import Cache, folder


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """An empty cache, and an empty folder to work in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "symgrad"


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A copy of the package, to change."""
    copy = tmp_path / "copy" / "symgrad"
    shutil.copytree(cache.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(cache.template_root(), copy.parent / "templates", dirs_exist_ok=True)
    monkeypatch.setattr(cache, "PACKAGE", copy)
    monkeypatch.setattr(cache, "LAYERS", copy / "layers")
    monkeypatch.setattr(cache, "template_root", lambda: copy.parent / "templates")
    return copy


def change(file: Path) -> None:
    assert file.is_file()
    file.write_text(file.read_text() + "\n# changed\n")


def test_what_was_kept_comes_back():
    Cache("generate", "auto").keep("affine", {"dense": ["text", 1]})
    assert Cache("generate", "auto").recall("affine") == {"dense": ["text", 1]}
    assert Cache("generate", "auto").recall("loss") is None
    assert Cache("generate", "store").recall("affine") is None


OWN = ["layers/gate.py", "layers/activation.py", "layers/symbols.py"]  # gate imports a function from activation
COMPILER = ["layers/__init__.py", "lower/scan.py", "compiler.py"]


@pytest.mark.parametrize("changed", [*OWN, *COMPILER])
def test_a_change_to_what_a_submodule_is_made_of(package, changed):
    Cache().keep("gate", "text")
    assert Cache().recall("gate") == "text"
    change(package / changed)
    assert Cache().recall("gate") is None


def test_a_change_to_a_template(package):
    Cache().keep("gate", "text")
    change(package.parent / "templates" / "numpy" / "module.py.j2")
    assert Cache().recall("gate") is None


def test_a_change_to_another_submodule(package):
    Cache().keep("gate", "text")
    change(package / "layers" / "pooling.py")
    assert Cache().recall("gate") == "text"


def test_another_version_of_a_library(monkeypatch):
    Cache().keep("gate", "text")
    monkeypatch.setattr(cache, "_version", lambda library: "0.0" if library == "sympy" else "")
    assert Cache().recall("gate") is None


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"key": 1}', "\0"])
def test_a_damaged_file_is_no_file(kept, damage):
    Cache().keep("gate", "text")
    (file,) = kept.iterdir()
    file.write_text(damage)
    assert Cache().recall("gate") is None


def test_a_cache_that_cannot_be_written(kept):
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("a file where the folder should be")
    Cache().keep("gate", "text")
    assert Cache().recall("gate") is None
    assert folder().read_text() == "a file where the folder should be"


def test_generate_compiles_only_what_changed(kept, monkeypatch):
    monkeypatch.setattr(symgrad, "catalogue", lambda: ("dense", "sgd_step"), raising=False)
    compiled: list[list[str]] = []

    def here(work, names, doing):
        compiled.append(list(names))
        return [work(name) for name in names]

    monkeypatch.setattr(generate, "over_catalogue", here)

    def run(*arguments: str) -> list[list[str]]:
        compiled.clear()
        result = CliRunner().invoke(main, ["generate", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return list(compiled)

    assert run() == [["dense", "sgd_step"]]
    first = {path: path.read_bytes() for path in Path("generated").rglob("*.*")}
    assert len(first) == 5
    assert run("--check") == []
    assert run("--out", "elsewhere") == []
    assert {path: Path("elsewhere", *path.parts[1:]).read_bytes() for path in first} == first
    assert run("--check", "--afresh") == [["dense", "sgd_step"]]
    assert run("--residuals", "store", "--out", "stored") == [["dense", "sgd_step"]]
    damaged = kept / "affine-generate-auto-readable.json"
    assert "dense" in json.loads(damaged.read_text())["value"]
    damaged.unlink()
    assert run("--check") == [["dense"]]


def test_what_was_kept_of_other_layers_is_made_again(monkeypatch):
    monkeypatch.setattr(symgrad, "catalogue", lambda: ["relu"])
    assert CliRunner().invoke(main, ["generate", "--out", "few"]).exit_code == 0
    monkeypatch.setattr(symgrad, "catalogue", lambda: ["relu", "tanh"])
    assert CliRunner().invoke(main, ["generate", "--out", "more"]).exit_code == 0
    assert sorted(p.name for p in Path("more/numpy").iterdir() if p.name != "__init__.py") == ["relu.py", "tanh.py"]
