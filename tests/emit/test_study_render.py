"""Rendering: line ends in text, escapes, aligned rows, MathML that browsers lay out."""

import pytest

from symgrad.emit.study_mathml import displayed, inline
from symgrad.emit.study_model import Formula, Inline, Listing, Row, Section, Sentence, formulas
from symgrad.emit.study_render import WIDTH, Html, Latex, Markdown, Text, boxed, broken

DOCUMENT = (
    Section(
        Sentence("cotangent of", (("tensor", Inline("a_b", r"\mathrm{a\_b}")),)),
        (
            Sentence("two", (("one", Sentence("slope one")), ("two", Sentence("plain", (("text", "1 < 2 & 3_4"),))))),
            Listing(("tensor", "role"), ((Inline("x", "x"), Sentence("input")), ("y", "of * kinds"))),
            Formula(("y = x",), (Row("y", "=", "x"),), 7),
            Formula(("z = x + y",), (Row("z", "=", "x"), Row("", "", r"\qquad + y")), None, True),
        ),
    ),
)


def test_text():
    assert Text().document(DOCUMENT) == (
        "1  Cotangent of a_b\n"
        "-------------------\n\n"
        "It enters as it stands: the slope is 1. 1 < 2 & 3_4\n\n"
        "  tensor  role\n"
        "  ------  ----\n"
        "  x       input\n"
        "  y       of * kinds\n\n"
        "(7)   y = x\n\n"
        "|     z = x + y\n"
    )


def test_markdown():
    text = Markdown().blocks(DOCUMENT)
    assert text.startswith("## Cotangent of $\\mathrm{a\\_b}$\n\n")
    assert r"1 \< 2 & 3\_4" in text
    assert "| tensor | role |\n|---|---|\n| $x$ | input |\n| y | of \\* kinds |" in text
    assert "$$\ny = x \\tag{7}\n$$" in text
    assert "$$\n\\boxed{\\begin{aligned}\nz &= x \\\\\n & \\qquad + y\n\\end{aligned}}\n$$" in text


def test_latex():
    text = Latex().blocks(DOCUMENT)
    assert "\\section{Cotangent of $\\mathrm{a\\_b}$}" in text
    assert r"1 \textless{} 2 \& 3\_4" in text
    assert "$x$ & input \\\\" in text
    assert "\\[\ny = x \\tag{7}\n\\]" in text


def test_a_formula_wider_than_a_page_is_made_smaller_on_paper_only():
    wide = Formula(("y",), (Row("y", "=", " + ".join(["x"] * 60)),))
    assert r"\resizebox" in Latex().formula(wide)
    assert r"\resizebox" not in boxed(wide) + Markdown().formula(wide)


def test_html():
    text = Html().blocks(DOCUMENT)
    assert '<h2><span class="number">1</span> Cotangent of <math' in text
    assert "1 &lt; 2 &amp; 3_4" in text
    assert "<th>tensor</th><th>role</th>" in text
    assert '<span class="tag">(7)</span>' in text
    assert 'class="formula boxed"' in text


def test_every_formula_of_a_document_is_found():
    found = list(formulas(DOCUMENT))
    assert [f.latex for f in found if isinstance(f, Inline)] == [r"\mathrm{a\_b}", "x"]
    assert sum(isinstance(f, Formula) for f in found) == 2


@pytest.mark.parametrize(
    "text",
    [
        "y[n] = " + " + ".join(f"a[{p}] * b[n, {p}]" for p in range(40)),
        "y[n] = f(" + ", ".join(f"long_name_{p}" for p in range(40)) + ")",
        "y[n] = sum_{i, j : " + ", ".join(f"i + {p} == j" for p in range(30)) + "} x[i]",
    ],
)
def test_long_lines_are_broken_before_operators_and_after_commas(text):
    lines = broken(text, "(1)   ", " " * 10)
    assert len(lines) > 1
    assert all(len(line) <= WIDTH for line in lines)
    assert " ".join(line.strip() for line in lines) == f"(1)   {text}"
    assert all(line.rstrip()[-1] not in "+-*/=" for line in lines[:-1])


def test_a_word_wider_than_the_page_stays_whole():
    word = "x" * (WIDTH + 20)
    assert broken(f"y = {word} + z", "", "    ")[-1].endswith("+ z")
    assert any(word in line for line in broken(f"y = {word} + z", "", "    "))


def test_mathml_puts_limits_below_and_names_upright():
    display = displayed((Row("y", "=", r"\max_{0 \le u < K} x_{u}"),))
    assert "<munder><mo>max</mo>" in display
    assert "<mi>row_max</mi>" in inline(r"\mathrm{row\_max}_{n}")
    assert "<mi>softplus</mi>" in inline(r"\operatorname{softplus}(x)")
    assert "columnalign" in inline(r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}")
    assert "text-align:left" in inline(r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}")


def test_mathml_draws_a_bar_as_wide_as_a_word():
    assert "border-top" in inline(r"\overline{\mathrm{sum\_exp}}_{n}")
    assert '<mover><mrow><mi>y</mi></mrow><mo stretchy="false">\u203e</mo></mover>' in inline(r"\bar{y}_{n}")


def test_mathml_aligns_rows_at_their_relations():
    rows = (Row("y", "=", "x"), Row("", r"\longrightarrow", "z"), Row("", r"\mathrel{+}=", "a"))
    display = displayed(rows)
    assert display.count("<mtr>") == 3
    assert "<mo>\u27f6</mo>" in display or "<mo>&#x27F6;</mo>" in display
    assert "<mo>+=</mo>" in display
