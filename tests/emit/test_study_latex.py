"""Expressions in LaTeX: precedence, fractions, signs, ranges, conditions, names."""

from fractions import Fraction

import pytest

from symgrad.declare.algebra import add, apply, indicator, multiply, number, power, select
from symgrad.declare.conditions import all_of, at_least, compare
from symgrad.declare.division import quotient, remainder
from symgrad.declare.integers import Entry, Index, Quotient, Size, as_poly
from symgrad.declare.scalars import (
    TRUE,
    Extension,
    FromInteger,
    Named,
    Number,
    Read,
    Reduce,
    Relation,
    Stopped,
)
from symgrad.emit.study_latex import Typesetter
from symgrad.emit.study_names import Notation, upright
from symgrad.emit.study_tex import bare, parenthesised, width

N, M, S = (as_poly(Size(name)) for name in ("N", "M", "stride"))
WINDOWS = as_poly(Quotient(N - M, S)) + 1
i, u, v = Index("i", WINDOWS), Index("u", M), Index("v_2", M)
BARS = {"grad_y": ("y", ""), "grad_mean": ("mean", ""), "grad_z": ("z", "out")}
NOTATION = Notation(BARS, {"stride": "s", "v_2": "v'"}, ((WINDOWS, "I"),), frozenset({"top"}))
x, y, w = Read("x", (as_poly(u),)), Read("y", (as_poly(i),)), Read("w", (as_poly(u),))
half = Number(Fraction(1, 2))

SCALARS = [
    (number(-3), "-3"),
    (half, r"\frac{1}{2}"),
    (Number(1e-5), "10^{-5}"),
    (Number(2.5e-7), r"2.5 \cdot 10^{-7}"),
    (Number(float("-inf")), r"-\infty"),
    (Named("pi"), r"\pi"),
    (x, "x_{u}"),
    (Read("gamma", (as_poly(u),)), r"\gamma_{u}"),
    (Read("row_max", (as_poly(u),)), r"\mathrm{row\_max}_{u}"),
    (Read("beta1", ()), r"\beta_{1}"),
    (Read("x", (as_poly(u), S * i + u)), r"x_{u,\, s\,i+u}"),
    (Read("x", (as_poly(v),), Extension("constant", 0.0)), r"x^{\circ}_{v'}"),
    (Read("x", (as_poly(u),), Extension("constant", float("-inf"))), r"x^{-\infty}_{u}"),
    (Read("x", (as_poly(u),), Extension("wrap")), r"x^{\mathrm{wrap}}_{u}"),
    (Read("x", (as_poly(u),), Extension("guarded")), "x_{u}"),
    (Read("grad_y", (as_poly(i),)), r"\bar{y}_{i}"),
    (Read("grad_mean", (as_poly(i),)), r"\overline{\mathrm{mean}}_{i}"),
    (Read("grad_z", (as_poly(i),)), r"\bar{z}^{\mathrm{out}}_{i}"),
    (power(Read("grad_z", (as_poly(i),)), number(2)), r"(\bar{z}^{\mathrm{out}}_{i})^{2}"),
    (add(x, multiply(number(-1), w)), "x_{u} - w_{u}"),
    (multiply(number(-1), x, w), r"-w_{u}\, x_{u}"),
    (multiply(x, add(w, number(1))), r"x_{u}\, (w_{u} + 1)"),
    (multiply(half, x), r"\frac{x_{u}}{2}"),
    (multiply(x, power(w, number(-2))), r"\frac{x_{u}}{w_{u}^{2}}"),
    (multiply(x, power(add(w, number(1)), number(-1))), r"\frac{x_{u}}{w_{u} + 1}"),
    (power(x, number(-1)), r"\frac{1}{x_{u}}"),
    (power(x, half), r"\sqrt{x_{u}}"),
    (power(x, Number(Fraction(3, 2))), "x_{u}^{3/2}"),
    (power(add(x, w), number(2)), "(w_{u} + x_{u})^{2}"),
    (apply("exp", x), "e^{x_{u}}"),
    (apply("exp", add(*(Read(f"word_{p}", (as_poly(u),)) for p in "abcd"))), None),
    (apply("log", multiply(x, power(w, number(-1)))), r"\log\left( \frac{x_{u}}{w_{u}} \right)"),
    (apply("sigmoid", x), r"\sigma(x_{u})"),
    (apply("softplus", x), r"\operatorname{softplus}(x_{u})"),
    (apply("abs", x), r"\lvert x_{u} \rvert"),
    (apply("max", number(0), x), r"\max(0,\, x_{u})"),
    (FromInteger(u + N), r"u + N"),
    (multiply(x, FromInteger(u + N)), r"(u + N)\, x_{u}"),
    (Stopped(Read("top", (as_poly(u),))), r"\mathrm{top}_{u}"),
    (Stopped(x), r"\operatorname{stop}(x_{u})"),
]

REDUCTIONS = [
    (Reduce("sum", (u,), TRUE, x), r"\sum_{u=0}^{M-1} x_{u}"),
    (Reduce("sum", (i, u), TRUE, multiply(x, y)), r"\sum_{i=0}^{I-1} \sum_{u=0}^{M-1} x_{u}\, y_{i}"),
    (Reduce("sum", (u,), TRUE, add(x, w)), r"\sum_{u=0}^{M-1} (w_{u} + x_{u})"),
    (multiply(power(FromInteger(M), number(-1)), Reduce("sum", (u,), TRUE, x)), None),
    (multiply(number(2), Reduce("sum", (u,), TRUE, x)), r"2\, \sum_{u=0}^{M-1} x_{u}"),
    (
        Reduce("sum", (u,), compare("==", as_poly(u) - S * i), x),
        r"\sum_{u=0}^{M-1} x_{u}\, [s\,i = u]",
    ),
    (Reduce("sum", (), compare("==", as_poly(u) - S * i), x), r"x_{u}\, [s\,i = u]"),
    (Reduce("sum", (u,), TRUE, multiply(number(-2), x)), r"-\sum_{u=0}^{M-1} 2\, x_{u}"),
    (Reduce("max", (u,), TRUE, x), r"\max_{0 \le u < M} x_{u}"),
    (Reduce("max", (u, v), TRUE, x), r"\max_{\substack{0 \le u < M \\ 0 \le v' < M}} x_{u}"),
    (Reduce("argmax", (u,), TRUE, x), r"\operatorname*{argmax}_{0 \le u < M} x_{u}"),
    (Reduce("product", (u,), TRUE, x), r"\prod_{u=0}^{M-1} x_{u}"),
    (add(Reduce("sum", (u,), TRUE, multiply(number(-1), x)), y), r"y_{i} - \sum_{u=0}^{M-1} x_{u}"),
    (power(Reduce("sum", (u,), TRUE, x), number(2)), r"\left( \sum_{u=0}^{M-1} x_{u} \right)^{2}"),
]

CONDITIONS = [
    (compare("==", remainder(as_poly(u) + 1, S)), r"(u + 1) \bmod s = 0"),
    (at_least(as_poly(u) - S * i, 0), r"u \ge s\,i"),
    (all_of(at_least(as_poly(u) - S * i, 0), at_least(WINDOWS - 1, as_poly(u) - S * i)), r"0 \le u - s\,i < I"),
    (all_of(at_least(as_poly(u) - S * i, 0), at_least(as_poly(4), as_poly(u) - S * i)), r"0 \le u - s\,i \le 4"),
    (all_of(at_least(as_poly(u) - S * i, 0), at_least(N - 1, as_poly(u) - S * i)), r"0 \le u - s\,i < N"),
    (Relation("<", number(0), x), "0 < x_{u}"),
    (compare("==", as_poly(u) - as_poly(Entry("ids", (as_poly(i),)))), r"u = \mathrm{ids}_{i}"),
]


@pytest.fixture
def tex() -> Typesetter:
    return Typesetter(NOTATION)


@pytest.mark.parametrize(("node", "latex"), [pair for pair in SCALARS + REDUCTIONS if pair[1] is not None])
def test_expressions(tex, node, latex):
    assert tex.scalar(node) == latex


def test_a_long_exponent_is_an_argument(tex):
    (node,) = (node for node, latex in SCALARS if latex is None)
    assert tex.scalar(node).startswith(r"\exp(")


def test_a_mean_has_its_factor_before_the_sum(tex):
    (node,) = (node for node, latex in REDUCTIONS if latex is None)
    assert tex.scalar(node) == r"\frac{1}{M}\, \sum_{u=0}^{M-1} x_{u}"


@pytest.mark.parametrize(("condition", "latex"), CONDITIONS)
def test_conditions(tex, condition, latex):
    assert tex.conditions(condition) == [latex]


def test_cases_and_brackets(tex):
    positive = Relation("<", number(0), x)
    assert tex.scalar(indicator(positive)) == "[0 < x_{u}]"
    cases = tex.scalar(select(positive, x, multiply(half, x)))
    assert cases.startswith(r"\begin{cases} x_{u} & \text{if } 0 < x_{u} \\")
    assert cases.endswith(r"& \text{otherwise} \end{cases}")
    nested = tex.scalar(select(positive, x, select(Relation("<", x, w), w, number(0))))
    assert nested.count(r"\begin{cases}") == 1
    assert nested.count(r"\text{if }") == 2


def test_floors_take_one_line_in_a_subscript(tex):
    half_way = quotient(as_poly(u) + 1, S)
    assert tex.scalar(Read("x", (half_way,))) == r"x_{\lfloor (u+1)/s \rfloor}"
    assert tex.poly(half_way) == r"\left\lfloor \frac{u + 1}{s} \right\rfloor"


def test_letters_of_extents_stand_for_what_they_are(tex):
    assert tex.poly(WINDOWS) == "I"
    assert tex.poly(WINDOWS - 1 - as_poly(u)) == "I - u - 1"
    assert tex.last(i) == "I-1"


def test_names():
    assert [upright(n) for n in ("x", "alpha", "epsilon", "a_b")] == ["x", r"\alpha", r"\varepsilon", r"\mathrm{a\_b}"]
    assert NOTATION.index("q_digit2") == "q_{2}"


def test_parentheses_grow_with_what_they_hold():
    assert parenthesised("a") == "(a)"
    assert parenthesised(r"\frac{a}{b}") == r"\left( \frac{a}{b} \right)"
    assert bare("(a + b)") == "a + b"
    assert bare("(a)(b)") == "(a)(b)"


def test_widths_count_the_wider_half_of_a_fraction_and_scripts_less():
    assert width(r"\frac{aaaa}{b}") == width("aaaa") == 4
    assert width("x_{aaaa}") == 4
    assert width(r"\sum_{i=0}^{N-1} x") < width("x + x + x")
