"""Derivation documents of the catalogue: complete, checkable, well-formed in every format, the same every time."""

import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import FrozenInstanceError, replace
from functools import cache
from xml.etree import ElementTree as Tree

import pytest
from latex2mathml.converter import convert
from sympy import Eq, Idx, IndexedBase, Max, Sum, symbols

import symgrad
from symgrad import Layer
from symgrad.check.steps import check_steps
from symgrad.compiler import Stages, run
from symgrad.derive.trace import Step, Trace
from symgrad.emit.study import Derivation, derivation_of
from symgrad.emit.study_chain import chain_of
from symgrad.emit.study_model import Formula, Inline, Section, formulas

from ..points import NAMES

CATALOGUE = [n for n in NAMES if n in symgrad.catalogue()]
STUDIED = ["dense", "conv2d", "softmax", "max_pool2d", "max_pool1d_split", "layer_norm", "flatten", "grouped_conv1d"]


@cache
def stages_of(name: str) -> Stages:
    return run(symgrad.layers.get(name))


@cache
def derivation(name: str) -> Derivation:
    return derivation_of(stages_of(name))


def latex_of(formula: Formula | Inline) -> list[str]:
    if isinstance(formula, Inline):
        return [formula.latex]
    return [part for row in formula.rows for part in (row.left, row.right) if part]


def balanced(text: str) -> bool:
    depth = 0
    for character in re.sub(r"\\[{}]", "", text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


def titles(derivation: Derivation) -> list[str]:
    return [block.title.key for block in derivation.blocks if isinstance(block, Section)]


# --- every document -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_document_is_well_formed_in_every_format(name):
    document = derivation(name)
    found = list(formulas(document.blocks))
    assert found
    for formula in found:
        for latex in latex_of(formula):
            assert balanced(latex), latex
            assert latex.count(r"\left") == latex.count(r"\right"), latex
            convert(latex)
    assert [line for line in document.to_text().splitlines() if len(line) > 100] == []
    assert balanced(document.to_latex().replace(r"\{", "").replace(r"\}", ""))
    assert document.to_markdown().count("$$") == 2 * sum(isinstance(f, Formula) for f in found)
    page = Tree.fromstring(document.to_html())
    assert page.find(".//article") is not None


@pytest.mark.parametrize("name", STUDIED)
def test_what_is_said_of_single_reads_is_what_the_reverse_pass_does(name):
    stages = stages_of(name)
    assert chain_of(stages.stable).adjoint == stages.chained
    chained = [s.after for s in derivation(name).steps if s.rule == "chain rule"]
    assert [s.after for s in stages.trace.steps if s.rule == "chain rule"] == [
        e for e in chained if e.target in stages.chained.backward and e.target not in _auxiliary(stages)
    ]


def _auxiliary(stages: Stages) -> set[str]:
    return set(stages.chained.backward) - set(chain_of(stages.stable).bars)


@pytest.mark.parametrize("name", STUDIED)
def test_every_step_of_a_document_holds(name):
    stages, groups = stages_of(name), defaultdict(list)
    for step in derivation(name).steps:
        groups[step.assuming].append(step)
    failures = [f for assuming, steps in groups.items() for f in check_steps(stages, 3, steps, dict(assuming))]
    assert failures == []


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_documents_do_not_depend_on_the_hash_seed(seed):
    names = ["conv2d", "max_pool1d_split", "layer_norm", "flatten"]
    program = (
        "import symgrad; from symgrad.compiler import run; from symgrad.emit.study import derivation_of\n"
        f"for name in {names}:\n"
        "    d = derivation_of(run(symgrad.layers.get(name)))\n"
        "    print(d.to_text(), d.to_markdown(), d.to_latex(), d.to_html())"
    )
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = [(d.to_text(), d.to_markdown(), d.to_latex(), d.to_html()) for d in map(derivation, names)]
    assert done.stdout == "".join(" ".join(parts) + "\n" for parts in here)


# --- what a document says -------------------------------------------------------------------------------------------


def test_the_sections_are_in_order():
    assert titles(derivation("dense")) == ["declaration", "chain", "gradients", "residuals"]
    assert titles(derivation("softmax")) == [
        "declaration",
        "forward",
        "chain",
        "simplification",
        "gradients",
        "residuals",
    ]


@pytest.mark.parametrize("name", STUDIED)
def test_every_gradient_is_in_a_box(name):
    stages = stages_of(name)
    shown = [line for formula in derivation(name).gradients for line in formula.text]
    for gradient in stages.derived.gradients:
        assert any(line.startswith(f"{gradient}[") for line in shown), gradient


@pytest.mark.parametrize("name", [name for name in STUDIED if name != "flatten"])
def test_every_residual_is_listed_with_its_readers(name):
    stages = stages_of(name)
    section = derivation(name).blocks[-1]
    (listing,) = (block for block in section.blocks if hasattr(block, "rows"))
    assert [row[0].text for row in listing.rows] == list(stages.plan.residuals)
    assert all(row[2].text for row in listing.rows)


def test_a_backward_pass_that_needs_nothing_says_so():
    assert "Backward needs nothing but the cotangents of the outputs, and shapes." in derivation("flatten").to_text()


def test_the_index_map_is_inverted_with_every_condition():
    text = " ".join(derivation("conv2d").to_text().split())
    assert "h + padding == stride * i + dilation * u is solved for i: the pivot is stride" in text
    assert "only where (h + padding - dilation * u) % stride == 0" in text
    assert "0 <= (h + padding - dilation * u) // stride < I" in text
    assert "pad(grad_y) is grad_y, and 0 outside its shape" in text
    assert "With stride = 1 the divisibility condition always holds" in text
    assert "pad(grad_y)[n, k, h + padding - dilation * u, w_t + padding - dilation * v] * w[k, c, u, v]" in text
    assert "u, v run against the axes of grad_y: w is applied flipped along them." in text


def test_formulas_show_ranges_bars_and_brackets():
    latex = derivation("conv2d").to_latex()
    assert r"\bar{x}_{n,c,h,w'} = \sum_{k=0}^{K-1} \sum_{i=0}^{I-1} \sum_{j=0}^{J-1} \sum_{u=0}^{R-1}" in latex
    assert r"\bar{y}_{n,k,i,j}\, w_{k,c,u,v}\, [h + p = s\,i + d\,u]" in latex
    assert r"\bar{y}^{\circ}_{n,\, k,\, h+p-d\,u,\, w'+p-d\,v}\, w_{k,c,u,v}" in latex
    assert r"$I$ & $\left\lfloor \frac{H + d + 2\,p - R\,d - 1}{s} \right\rfloor + 1$" in latex


def test_conditions_that_keep_other_reads_inside_are_kept():
    """Beside a cotangent that is 0 outside, a count of ties would be read outside its shape."""
    text = " ".join(derivation("max_pool1d_split").to_text().split())
    assert "pad(grad_y)" not in text
    assert "(l + padding - u) // stride >= 0" in text


def test_digits_are_put_together_again():
    assert "grad_x[n, c, h, w] = grad_y[n, H * W * c + W * h + w]" in derivation("flatten").to_text()


def test_what_has_no_inverse_stays_a_condition():
    N = symbols("N", integer=True, positive=True)
    x, y, i = IndexedBase("x"), IndexedBase("y"), Idx("i", N)
    layer = Layer("squares", inputs=[x[N * N], IndexedBase("like")[N]], equations=[Eq(y[i], x[i * i])])
    text = derivation_of(run(layer)).to_text()
    assert "has no closed inverse over the integers; it stays a condition." in text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("relu", "are equal, 0 counts as the one taken, so the slope in x[n, m] there is 0."),
        ("absolute", "Convention: where x[n, m] = 0, the slope of abs(x[n, m]) is 0."),
        ("leaky_relu", "Convention: where the cases 0 < x[n, m] and its opposite meet, the slope is that of the case"),
        ("max_pool1d", "the first one in row-major order where several are equal"),
        ("max_pool1d_split", "each of the equal ones gets an equal part of the cotangent"),
    ],
)
def test_conventions_are_named_where_they_are_used(name, sentence):
    assert sentence in " ".join(derivation(name).to_text().split())


def test_a_value_that_is_subtracted_for_stability_is_said_to_be_constant():
    text = " ".join(derivation("softmax").to_text().split())
    assert "The result does not depend on m, so m counts as constant in the chain rule." in text
    assert r"\sum_{j} e^{a_{j}} = e^{m} \sum_{j} e^{a_{j} - m}" in derivation("softmax").to_latex()


def test_a_rule_is_shown_by_its_equation_in_every_format():
    document = derivation("softmax")
    assert "sum_{i} c * a[i] = c * sum_{i} a[i]" in document.to_text()
    assert "reuse forward values, take" not in document.to_text()
    assert r"\sum_{i} c\, a_{i} = c \sum_{i} a_{i}" in document.to_markdown()


def test_an_output_that_is_read_begins_with_what_is_given():
    text = derivation("adam_step").to_text()
    assert "new_m is an output and is read as well: what is given for it counts too." in text
    assert r"\bar{\mathrm{new\_m}}" not in derivation("adam_step").to_latex()
    assert r"\overline{\mathrm{new\_m}}^{\mathrm{out}}" in derivation("adam_step").to_latex()


def test_an_input_that_nothing_depends_on_has_gradient_nought():
    N = symbols("N", integer=True, positive=True)
    x, like, y, i = IndexedBase("x"), IndexedBase("like"), IndexedBase("y"), Idx("i", N)
    text = derivation_of(run(Layer("half", inputs=[x[N], like[N]], equations=[Eq(y[i], x[i] / 2)]))).to_text()
    assert "No equation lets a change of like through: its gradient is 0." in text


def test_a_layer_without_gradients_says_so():
    assert "No input gets a gradient." in derivation("batch_norm_running_step").to_text()


def test_a_rule_without_words_speaks_for_itself():
    stages = stages_of("softmax")
    first, *rest = stages.trace.steps
    unknown = replace(stages, trace=Trace([Step("swap sides {now}", first.before, first.after, "a note"), *rest]))
    text = derivation_of(unknown).to_text()
    assert "Swap sides {now}" in text
    assert "a note" in text


def test_attributes_that_clash_keep_their_names():
    N, s, stride = symbols("N s stride", integer=True, positive=True)
    x, y, i = IndexedBase("x"), IndexedBase("y"), Idx("i", N)
    j = Idx("j", s)
    z = IndexedBase("z")
    equation = Eq(z[i], Sum(x[stride * i + j] * y[j], j))
    layer = Layer("steps", inputs=[x[N * stride + s], y[s]], equations=[equation], attributes={stride: 2})
    latex = derivation_of(run(layer)).to_latex()
    assert r"\mathrm{stride}\,i" in latex


# --- the object -----------------------------------------------------------------------------------------------------


def test_a_derivation_prints_as_text_and_shows_in_notebooks():
    document = derivation("dense")
    assert str(document) == document.to_text()
    assert repr(document) == f"Derivation(dense, {len(document.steps)} steps)"
    assert document._repr_markdown_() == document.to_markdown()
    assert "<math" in document._repr_html_()
    assert "<html" not in document._repr_html_()
    assert document._repr_latex_().startswith("$$\n\\boxed{")
    assert r"\bar{w}_{k,m} &= \sum_{n=0}^{N-1}" in document._repr_latex_()


def test_a_derivation_is_frozen_and_its_steps_are_data():
    document = derivation("dense")
    with pytest.raises(FrozenInstanceError):
        document.name = "other"
    step = next(s for s in document.steps if s.after.target == "grad_w" and s.rule == "chain rule")
    assert step.before is None
    assert step.after == stages_of("dense").derived.program.equation("grad_w")
    with pytest.raises(FrozenInstanceError):
        step.rule = "other"


def test_html_needs_nothing_from_elsewhere():
    page = derivation("conv2d").to_html()
    assert re.findall(r"""(?:src|href)\s*=|@import|url\(|<script""", page) == []
    assert "http" not in page.replace("http://www.w3.org/1998/Math/MathML", "")


def test_the_words_of_a_layer_are_escaped():
    N = symbols("N", integer=True, positive=True)
    x, y, i = IndexedBase("x"), IndexedBase("y"), Idx("i", N)
    doc = "A <script>alert(1)</script> & 50 % of {x_1}, $5, #2, a^b ~ \\end{document} {{ name }} |."
    document = derivation_of(run(Layer("odd", inputs=[x[N]], equations=[Eq(y[i], Max(x[i], 0))], doc=doc)))
    assert "<script>" not in document.to_html()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; 50 %" in document.to_html()
    assert r"50 \% of \{x\_1\}, \$5, \#2, a\textasciicircum{}b" in document.to_latex()
    assert r"\textbackslash{}end\{document\}" in document.to_latex()
    assert r"\<script\>" in document.to_markdown()
    assert "{{ name }}" in document.to_text()
