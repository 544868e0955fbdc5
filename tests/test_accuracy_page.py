"""The page that says how exact every layer is in float32: it has all layers, and says what is measured."""

import subprocess
import sys
from pathlib import Path

import pytest

import symgrad

ROOT = Path(__file__).parents[1]
SCRIPT, PAGE = ROOT / "benchmarks" / "accuracy_page.py", ROOT / "generated" / "study" / "accuracy.md"
FACTOR = 4
"""Another linear algebra library adds in another order; below one unit in the last place nothing is compared."""
MEASURED = ("dense", "gru", "layer_norm", "log_softmax", "conv1d", "gelu", "huber", "causal_attention")


def rows(page: str) -> dict[str, list[str]]:
    """Layer -> cells of its row: sizes, outputs, gradients, the worst input, what rounding does, a remark."""
    lines = [line for line in page.splitlines() if line.startswith("| ")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({name for name, *_ in cells}) == len(cells)
    return {name: rest for name, *rest in cells}


def differ(stated: str, measured: str) -> bool:
    """Whether two errors are not of the same order."""
    if not stated or not measured:
        return stated != measured
    low, high = sorted(max(float(error), 1.0) for error in (stated, measured))
    return high > FACTOR * low


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


def test_every_layer_has_a_row():
    assert tuple(rows(PAGE.read_text())) == tuple(symgrad.catalogue())


def test_large_errors_are_remarked_on_and_none_is_a_module_s_own():
    for name, (_, outputs, gradients, *_, remark) in rows(PAGE.read_text()).items():
        large = [what for what, error in (("outputs", outputs), ("gradients", gradients)) if float(error or 0) > 64]
        assert remark == "; ".join(f"{what} ill-conditioned" for what in large), name


def test_layers_without_gradients_have_no_error_of_one():
    table = rows(PAGE.read_text())
    for name in symgrad.catalogue():
        layer = symgrad.layers.get(name)
        wanted = {t.name for t in layer.inputs if not (t.integer or t.constant)}
        assert bool(table[name][2]) == bool(wanted), name
        assert table[name][3] in (wanted or {""}), name


def test_what_the_page_says_is_what_is_measured(tmp_path):
    out = tmp_path / "page.md"
    done = run(*MEASURED, "--out", str(out))
    assert done.returncode == 0, done.stderr
    stated, measured = rows(PAGE.read_text()), rows(out.read_text())
    assert set(measured) == set(MEASURED)
    for name, (sizes, outputs, gradients, *_) in measured.items():
        assert sizes == stated[name][0], name
        assert not differ(stated[name][1], outputs), name
        assert not differ(stated[name][2], gradients), name


@pytest.mark.parametrize(
    ("stated", "measured", "wrong"), [("1.2", "0.3", False), ("0.5", "4.1", True), ("9", "2", True)]
)
def test_errors_of_another_order_differ(stated, measured, wrong):
    assert differ(stated, measured) == wrong


def test_the_page_is_of_the_whole_catalogue():
    assert "say --out FILE" in run("dense").stderr
    assert "unknown: densely" in run("densely").stderr
