"""What a derivation says of a fast module: its forms, why, and the matrices of its tiles."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import pytest
from click.testing import CliRunner

import symgrad
from symgrad import layers
from symgrad.cli import main
from symgrad.emit.study import Derivation

HEADING = "The fast module"


@pytest.fixture(scope="module")
def derivation() -> Derivation:
    return symgrad.compile_layer(layers.conv2d, schedule="fast").derivation


def matrices(text: str) -> list[tuple[int, int, dict[str, list[list[Fraction]]]]]:
    """Every tile that a text sets out: m, r and its matrices."""
    found = []
    for m, r, rest in re.findall(r"F\((\d+), (\d+)\) takes [^:]*:(.*?)(?=F\(|\Z)", text, re.DOTALL):
        shown = re.findall(r"\b(AT|BT|G) = \[(.*?)\]\s*\]", rest, re.DOTALL)
        rows = {name: re.findall(r"\[([^\[\]]*)", inside) for name, inside in shown}
        found.append(
            (int(m), int(r), {n: [[Fraction(e) for e in row.split(",")] for row in v] for n, v in rows.items()})
        )
    return found


def test_the_matrices_that_are_shown_are_correlations(derivation: Derivation) -> None:
    shown = matrices(derivation.to_text().split("Tiles")[-1])
    assert [(m, r) for m, r, _ in shown] == [(2, 3), (4, 3)]
    for m, r, f in shown:
        count = m + r - 1
        assert [(len(f[n]), len(f[n][0])) for n in ("AT", "BT", "G")] == [(m, count), (count, count), (count, r)]
        for i, p, q in product(range(m), range(count), range(r)):
            terms = (f["AT"][i][k] * f["BT"][k][p] * f["G"][k][q] for k in range(count))
            assert sum(terms) == (p == i + q)


def test_every_form_has_its_reason_in_all_formats(derivation: Derivation) -> None:
    plan = symgrad.compile_layer(layers.conv2d, schedule="fast").stages.plan
    for text in (derivation.to_text(), derivation.to_markdown(), derivation.to_latex(), derivation.to_html()):
        words = " ".join(re.sub(r"<[^>]*>|\\|\|", " ", text).split())
        assert HEADING in words
        for reason in (*plan.forward.reasons, *plan.backward.reasons):
            assert reason.split(": ")[-1].split(";")[0].split(" = ")[0].split("w_t")[0].strip() in words
    assert derivation.to_latex().count(r"\begin{pmatrix}") == derivation.to_markdown().count(r"\begin{pmatrix}") == 6
    assert "AT[(G g)" in derivation.to_text()


def test_without_tiles_there_are_forms_alone() -> None:
    text = symgrad.compile_layer(layers.gelu, schedule="fast").derivation.to_text()
    assert "in parts along n" in text.split(HEADING)[1]
    assert "Tiles" not in text


def test_a_readable_module_needs_no_section() -> None:
    assert HEADING not in symgrad.compile_layer(layers.conv2d).derivation.to_text()


def test_the_command_line_takes_the_schedule() -> None:
    for schedule, shown in (("readable", False), ("fast", True)):
        done = CliRunner().invoke(main, ["derive", "conv2d", "--schedule", schedule])
        assert done.exit_code == 0
        assert (HEADING in done.output) == shown
