"""Texts with clauses and files of text: what they say of a layer, and what the command line makes of them."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import symgrad
from symgrad.cli import main
from symgrad.declare.textform import parse_layer
from symgrad.declare.textwrite import text_of
from symgrad.errors import DeclarationError, UnknownLayerError
from symgrad.loading import find_layer

SOFT = """
# softmax with a temperature: \u6e29\u5ea6
    constants: mask     # no gradient
temperature = 1.0
  e[n,i] = mask[n,i]*exp(x[n,i]/temperature)
y[n,i] = (e[n,i]
          /sum(e[n,j], j))
"""


def run(*arguments: str, code: int = 0, stdin: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder as current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- clauses ---------------------------------------------------------------------------------------------------------


def test_clauses_say_what_equations_do_not():
    layer = parse_layer(
        """
        layer: picked
        constants: w, mask
        integers: label
        outputs: y, s
        requires: stride <= J, stride*2 > 1
        stride = 2
        s[i] = x[stride*i]*sum(w[j]*mask[j], j)
        y[i] = s[i]*sum(label[j], j)
        other[i] = y[i]
        """
    )
    assert layer.name == "picked"
    assert {t.name: (t.integer, t.constant) for t in layer.inputs} == {
        "x": (False, False),
        "w": (False, True),
        "mask": (False, True),
        "label": (True, True),
    }
    assert layer.outputs == ("y", "s")
    assert [str(r) for r in layer.requires] == ["stride <= J", "2*stride > 1"]


def test_a_clause_may_stand_anywhere_and_its_word_is_no_reserved_name():
    layer = parse_layer("layer[i] = constants[i]; layer: named; y[i] = layer[i]*outputs; constants: outputs")
    assert (layer.name, layer.outputs) == ("named", ("y",))
    assert {t.name: t.constant for t in layer.inputs} == {"constants": False, "outputs": True}


def test_what_is_required_is_checked_at_run_time():
    compiled = symgrad.compile_layer(parse_layer("requires: I > 2; y[i] = x[i]**2"))
    compiled.forward(np.ones(3))
    with pytest.raises(ValueError, match="I > 2"):
        compiled.forward(np.ones(2))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("constants: v; y[i] = x[i]", "column 12", "v is none of the inputs, x"),
        ("outputs: x; y[i] = x[i]", "column 10", "x is none of the left sides, y"),
        ("outputs: y, y; y[i] = x[i]", "column 13", "y is named twice"),
        ("layer: ; y[i] = x[i]", "column 1", "layer: says nothing"),
        ("y[i] = x[i]\n  constants:  # none", "line 2, column 3", "constants: says nothing"),
        ("layer: a\nlayer: b\ny[i] = x[i]", "line 2, column 8", "one layer"),
        ("layer: print; y[i] = x[i]", "column 8", "is a name of Python's own"),
        ("layer: a = 3; y[i] = x[i]", "column 8", "takes no equation"),
        ("constants: x[i]; y[i] = x[i]", "column 12", "takes names"),
        ("constant: x; y[i] = x[i]", "column 1", "constant: is no clause; there are layer: inputs: constants:"),
        ("requires: I < 9, x[0] > 1; y[i] = x[i]", "column 18", "x is a tensor; requires: is about extents"),
        ("requires: I; y[i] = x[i]", "column 11", "expected a condition"),
        ("inputs: x, v; y[i] = x[i]", "column 12", "no equation reads v"),
        ("inputs: x, x[N]; y[i] = x[i]", "column 12", "x is named twice"),
        ("inputs: x + 1; y[i] = x[i]", "column 9", "expected an input"),
        ("inputs: i[N]; y[i] = x[i]", "column 9", "i is an index, and no input"),
        ("inputs: y[N]; y[i] = x[i]", "column 9", "y is a left side, and no input"),
        ("inputs: s; s = 2; y[i] = s*x[i]", "column 9", "s is an attribute, and no input"),
        ("inputs: x[i]; y[i] = x[i]", "column 11", "i is an index; an axis has an extent such as I"),
        ("inputs: x[x]; y[i] = x[i]", "column 11", "x is a tensor; an axis has an extent such as X_0"),
        ("inputs: x[N, M]; y[i] = x[i]", "column 25", "x has 1 axis here and 2 elsewhere"),
        ("inputs: x[-2]; y[i] = x[i]", "column 11", "the extent of an axis of x is -2, which is negative"),
        ("inputs: x[1.5]; y[i] = x[i]", "column 11", "is an integer, which 3/2 is not"),
        ("inputs: x[N:M]; y[i] = x[i]", "column 11", "this cannot stand in an equation"),
    ],
)
def test_a_clause_that_is_wrong_is_shown(text, place, message):
    with pytest.raises(DeclarationError, match=f"^text equation, {place}: .*{message}"):
        parse_layer(text)


def test_a_clause_gives_inputs_their_order_and_their_shapes():
    layer = parse_layer("inputs: w, x[N, 2*C], s, m[N]; y[n,c] = s*x[n,c]*x[n,c + C]*sum(w[k]*v[k], k)")
    assert {t.name: str(t.shape) for t in layer.inputs} == {
        "w": "(K,)",
        "x": "(N, 2*C)",
        "s": "()",
        "m": "(N,)",
        "v": "(K,)",
    }
    square = symgrad.compile_layer(parse_layer("inputs: a[N, N]; y[i] = sum(a[i,j]*x[j], j) + a[i,i]"))
    a, x = np.arange(4.0).reshape(2, 2), np.array([1.0, 2.0])
    np.testing.assert_allclose(square.forward(a, x)[0], a @ x + np.diag(a))
    with pytest.raises(ValueError, match="a"):
        square.forward(np.ones((2, 3)), np.ones(3))


def test_a_requirement_tells_the_kind_of_an_attribute():
    layer = parse_layer("requires: p >= 0, 0 < q; p = 0; q = 2; y[i:X0] = pad(x)[i - p] + q")
    assert [(a.name, a.minimum) for a in layer.program.attributes] == [("p", 0), ("q", 1)]
    assert layer.program.requirements == ()


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_of_text_is_a_layer_with_the_name_of_the_file(here, ends, encoding):
    (here / "soft.sg").write_bytes(SOFT.replace("\n", ends).encode(encoding))
    layer = find_layer("soft.sg")
    assert (layer.name, layer.outputs) == ("soft", ("y",))
    assert [(t.name, t.constant) for t in layer.inputs] == [("mask", True), ("x", False)]
    (here / "other name.sg").write_text("layer: named\ny[i] = x[i]")
    assert find_layer(str(here / "other name.sg")).name == "named"


def test_every_command_takes_a_file_of_text(here):
    Path("soft.sg").write_text(SOFT)
    assert run("derive", "soft.sg").output.startswith("soft: derivation")
    assert "for n < N, i < I" in run("show", "soft.sg", "--stage", "declare").output
    assert "check of soft: ok" in run("check", "soft.sg").output
    assert "soft(" in run("bench", "soft.sg", "--seconds", "0", "--shape", "x=3,4").output
    run("generate", "soft.sg", "layer: square; y[i] = x[i]**2", "layer: cube; y[i] = x[i]**3", "--out", "out")
    assert sorted(p.name for p in (here / "out/numpy").iterdir()) == ["cube.py", "soft.py", "square.py"]
    run("generate", "soft.sg", "--check", "--out", "out")


def test_a_dash_reads_standard_input(here):
    assert run("derive", "-", stdin="layer: square\ny[i] = x[i]**2").output.startswith("square: derivation")
    error = run("show", "-", stdin="y[i] = f(x[i])", code=2).stderr
    assert error.startswith("Error: standard input, line 1, column 8: unknown function f")


@pytest.mark.parametrize(
    ("name", "content", "place", "message"),
    [
        ("a.sg", b"y[i] = x[i]\n\tz[i] = f(y[i])", "line 2, column 9", "unknown function f"),
        ("a.sg", b"\xef\xbb\xbfy[i] = f(x[i])", "line 1, column 8", "unknown function f"),
        ("a.sg", b"y[i] = x[i]\r\nz[i] = y[-1]", "line 2, column 3", "index i has no range"),
        ("a.sg", b"y[i] = x[i]  # caf\xe9", "line 1, column 19", "0xe9 is no text in UTF-8"),
        ("a.sg", "y[i] = x[i]".encode("utf-16"), "line 1, column 1", "is no text in UTF-8"),
        ("a.sg", b"y[i] = x[i]*\x00", "line 1, column 13", "is no ASCII letter"),
        ("a.sg", b"", "line 1, column 1", "there is no equation"),
        ("a.sg", b"# only this\n\n", "line 1, column 1", "there is no equation"),
        ("a.sg", b"y[i] = x[i]\n" + b"#" * 30_000, "line 2, column 19989", "at most 20000 are read"),
        ("a-b.sg", b"y[i] = x[i]", "line 1, column 1", "'a-b' is not an identifier.*layer: NAME"),
        ("print.sg", b"y[i] = x[i]", "line 1, column 1", "is a name of Python's own"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_line_and_column(here, name, content, place, message):
    (here / name).write_bytes(content)
    with pytest.raises(DeclarationError, match=f"^{name}, {place}: .*{message}") as caught:
        find_layer(name)
    assert str(caught.value).splitlines()[-1].strip(" \t^") == ""
    assert run("derive", name, code=2).stderr.startswith(f"Error: {name}, {place}")


def test_what_is_no_file_of_text(here):
    (here / "folder.sg").mkdir()
    (here / "notes.txt").write_text("y[i] = x[i]")
    for reference, message in (
        ("none.sg", "there is no file none.sg"),
        ("folder.sg", "folder.sg cannot be read: Is a directory"),
        ("\0.sg", "cannot be read"),
        ("notes.txt", r"is neither Python, FILE.py, nor equations as text, FILE.sg"),
        ("none.sg:soft", "a file of text holds one layer; write none.sg"),
    ):
        with pytest.raises(UnknownLayerError, match=message):
            find_layer(reference)


def test_two_texts_without_a_name_are_told_how_to_give_one(here):
    assert "layer: NAME" in run("generate", "y[i] = x[i]**2", "y[i] = x[i]**3", code=2).stderr


# --- functions of the catalogue --------------------------------------------------------------------------------------


ACTIVATIONS = [
    "relu",
    "elu",
    "gelu",
    "gelu_tanh",
    "leaky_relu",
    "softmax",
    "silu",
    "softplus",
    "hard_tanh",
    "mish",
    "selu",
    "prelu",
    "log_softmax",
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_layer_used_as_a_function_is_shown_as_text_that_means_the_same(name):
    layer = symgrad.layers.get(name)
    text = text_of(layer, "; ", named=False)
    if name != "softplus":  # which has a short form of its own
        with pytest.raises(DeclarationError, match="column 8: unknown function") as caught:
            find_layer(f"y[i] = {name}(x[i])")
        assert text in str(caught.value)
    again = parse_layer(text)
    rng = np.random.default_rng(0)
    given = {t.name: rng.normal(size=(4, 3, 5)[-len(t.shape) :] if t.name == "x" else 3) for t in layer.inputs}
    here, there = (symgrad.compile_layer(each) for each in (layer, again))
    want, _ = here.forward(*(given[t.name] for t in layer.inputs))
    got, _ = there.forward(*(given[t.name] for t in again.inputs))
    np.testing.assert_allclose(got, want, rtol=1e-12)
