"""The README is run: its Python, its commands with their output, and the code and formulas it shows."""

import ast
import doctest
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from symgrad import compile_layer
from symgrad.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"(?:^<!-- (?P<note>.+?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block with its language and the comment above it."""

    language: str
    note: str
    text: str


BLOCKS = [Block(m["language"], m["note"] or "", m["text"]) for m in BLOCK.finditer(README)]


def functions(source: str) -> dict[str, str]:
    """Text of every function of a module, decorators included."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: str(ast.get_source_segment(source, node)) for node in found}


def run_console(text: str) -> None:
    """Run the lines that start with ``$`` and compare what they print with the lines below them."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "symgrad"
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(expected, result.stdout, flags), f"{command}\n{result.stdout}"


def test_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace: dict[str, object] = {}
    for block in BLOCKS:
        if block.note.startswith("emitted"):
            shown = compile_layer(namespace["dense"])
            assert block.text.strip() == functions(shown.source)[block.note.split()[1]].strip()
        elif block.note == "derived":
            assert block.text.strip() in compile_layer(namespace["dense"]).derivation.to_markdown()
        elif block.language == "python":
            exec(compile(block.text, "README.md", "exec"), namespace)
        elif block.language == "console":
            run_console(block.text)
    assert {block.note for block in BLOCKS} >= {"emitted forward", "emitted backward", "derived"}
    assert {block.language for block in BLOCKS} >= {"python", "console", "sh"}


def test_the_commands_to_set_up_are_those_that_work():
    commands = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]
    assert commands == [
        "python -m pip install -e '.[demo]' && symgrad demo",
        "python -m pip install -e '.[test]' && python -m pytest",
    ]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"demo", "test"} <= set(extras)
    assert "-e '.[test]'" in (ROOT / ".ci/run").read_text()


def test_every_command_is_in_the_table():
    table = re.findall(r"^\| `symgrad (\w+)", README, flags=re.MULTILINE)
    assert sorted(table) == sorted(main.commands)


def test_links_lead_somewhere():
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []
