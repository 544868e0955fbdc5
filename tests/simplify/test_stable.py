"""Rules for forms that neither overflow nor cancel: both sides are equal, and the right one is finite."""

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from sympy import (
    Abs,
    Eq,
    Idx,
    IndexedBase,
    Mod,
    Piecewise,
    Rational,
    Sum,
    atan,
    cosh,
    erf,
    exp,
    floor,
    log,
    sinh,
    sqrt,
    symbols,
    tanh,
)

import symgrad
from symgrad import Layer, LogSumExp, StopGradient
from symgrad.declare.algebra import add, apply, divide, multiply, negate, number, power, select, subtract
from symgrad.declare.conditions import relation
from symgrad.declare.scalars import NOUGHT, Apply, Number, Read, Reduce, Scalar, Stopped, reads_of, walk
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.simplify.pointwise import POINTWISE, rewrite
from symgrad.simplify.stable import stabilise

from ..agreement import as_declared, normals
from ..data_evaluator import EXACT, World, run, scalar
from ..points import NAMES, point, stages
from .exact import exact, finite_and_right

u, v, w = (Read(name, ()) for name in "uvw")
one = number(1)
RULES = dict(POINTWISE)


def e(node: Scalar) -> Scalar:
    return apply("exp", node)


def s(node: Scalar) -> Scalar:
    return apply("sigmoid", node)


def inverse(node: Scalar) -> Scalar:
    return power(node, number(-1))


# Expressions that each rule has to change; all are defined where u, v, w are positive and below 2.
INSTANCES: dict[str, list[Scalar]] = {
    "1/(1 + exp(u)) = sigmoid(-u)": [
        inverse(add(one, e(u))),
        inverse(add(one, e(negate(multiply(u, v))))),
        power(add(one, e(negate(u))), number(-3)),
        inverse(add(number(2), multiply(number(3), e(u)))),
        divide(e(u), add(e(u), e(v))),
        multiply(w, e(add(u, v)), power(add(e(u), e(v)), number(-2))),
    ],
    "(exp(u) v)^n = exp(n u) v^n": [
        power(e(u), Number(Fraction(1, 2))),
        power(multiply(number(3), v, e(negate(w))), Number(Fraction(-3, 2))),
        power(multiply(e(u), power(add(v, w), number(-1))), Number(Fraction(1, 3))),
    ],
    "sigmoid(u)^n = exp(-n softplus(-u))": [
        power(s(u), Number(Fraction(1, 2))),
        power(multiply(number(3), v, s(negate(u)), power(s(w), number(2))), Number(Fraction(-3, 4))),
    ],
    "exp(u) (v if c else w) = (exp(u) v if c else exp(u) w)": [
        multiply(number(3), v, e(negate(w)), select(relation("<", u, one), e(u), NOUGHT)),
        multiply(e(negate(w)), select(relation("<", one, u), one, multiply(v, e(u)))),
    ],
    "exp(u) sigmoid(-u) = sigmoid(u)": [
        multiply(e(u), apply("sigmoid", negate(u))),
        multiply(number(5), v, e(negate(u)), apply("sigmoid", u)),
        multiply(e(negate(u)), power(apply("sigmoid", u), number(2))),
    ],
    "log(1 + exp(u)) = softplus(u)": [
        apply("log", add(one, e(u))),
        apply("log", add(one, e(multiply(number(-2), u, v)))),
    ],
    "log(sigmoid(u)) = -softplus(-u)": [
        apply("log", apply("sigmoid", u)),
        apply("log", apply("sigmoid", multiply(number(-2), v))),
        apply("log", subtract(one, apply("sigmoid", u))),
        apply("log", multiply(power(s(u), number(3)), v)),
        apply("log", multiply(s(u), s(negate(u)))),
        apply("log", divide(s(u), multiply(w, s(negate(u))))),
    ],
    "1 - sigmoid(u) = sigmoid(-u)": [
        subtract(one, s(u)),
        add(v, multiply(number(3), s(u)), number(-3)),
        subtract(multiply(number(2), s(u)), one),
        add(one, multiply(number(-2), s(negate(multiply(u, v)))), w),
    ],
    "1 + tanh(u) = 2 sigmoid(2u)": [
        add(one, apply("tanh", u)),
        add(number(3), multiply(number(-3), apply("tanh", multiply(u, v))), w),
    ],
    "1 - tanh(u)^2 = 1/cosh(u)^2": [
        subtract(one, power(apply("tanh", u), number(2))),
        add(multiply(number(2), power(apply("tanh", multiply(u, v)), number(2))), number(-2)),
    ],
    "1/cosh(u) = 2/(exp(u) + exp(-u))": [
        inverse(apply("cosh", u)),
        multiply(v, power(apply("cosh", multiply(u, v)), number(-3))),
        divide(apply("sinh", u), apply("cosh", u)),
        divide(multiply(v, apply("sinh", u)), power(apply("cosh", u), number(2))),
    ],
    "v/(exp(a) + exp(b)) = v exp(-m)/(exp(a - m) + exp(b - m)), m = max(a, b)": [
        inverse(add(e(u), e(v), w)),
        divide(multiply(v, e(w)), add(e(u), multiply(w, e(negate(v))))),
        divide(add(e(u), number(3)), add(e(u), number(2))),
        divide(subtract(e(u), e(v)), add(e(u), multiply(number(2), e(v)), one)),
        divide(multiply(power(add(e(u), v), number(2)), subtract(e(u), one)), power(add(e(u), e(v), w), number(4))),
        power(add(one, e(u)), Number(Fraction(-1, 2))),
    ],
    "log(c + exp(u)) = log(c) + softplus(u - log(c))": [
        apply("log", add(number(2), e(u))),
        apply("log", add(Number(Fraction(1, 3)), multiply(number(5), e(negate(multiply(u, v)))))),
        apply("log", add(one, power(number(2), u))),
    ],
    "log(sigmoid(a) - sigmoid(b)) = -softplus(-a) - softplus(b) + log1mexp(b - a)": [
        apply("log", subtract(apply("sigmoid", u), apply("sigmoid", negate(v)))),
        apply("log", subtract(multiply(number(3), apply("sigmoid", u)), multiply(number(3), apply("sigmoid", v)))),
    ],
    "log(cosh(u)) = logcosh(u)": [
        apply("log", apply("cosh", multiply(u, v))),
        apply("log", add(e(u), e(negate(u)))),
        apply("log", add(multiply(number(3), e(subtract(u, v))), multiply(number(3), e(subtract(v, u))))),
    ],
    "softplus(u) - u/2 - log(2) = logcosh(u/2)": [
        add(u, apply("softplus", multiply(number(-2), u)), negate(apply("log", number(2)))),
        add(v, multiply(number(2), apply("softplus", w)), negate(w), multiply(number(-2), apply("log", number(2)))),
    ],
    "log(u + sqrt(u^2 + 1)) = arcsinh(u)": [
        apply("log", add(u, power(add(power(u, number(2)), one), Number(Fraction(1, 2))))),
    ],
    "log(exp(a) - exp(b)) = a + log1mexp(b - a)": [
        apply("log", subtract(one, e(negate(u)))),
        apply("log", subtract(e(multiply(u, v)), one)),
        apply("log", subtract(multiply(number(3), e(u)), multiply(number(2), e(negate(v))))),
        apply("log", multiply(number(-2), apply("expm1", negate(u)))),
    ],
    "log(exp(a) + exp(b)) = m + log(exp(a - m) + exp(b - m)), m = max(a, b)": [
        apply("log", add(e(u), e(v))),
        apply("log", add(e(u), e(v), multiply(w, e(negate(u))), one)),
        apply("log1p", add(multiply(w, e(u)), v)),
        apply("log", add(e(negate(power(u, number(2)))), e(negate(power(v, number(2)))))),
    ],
    "1/(exp(u) - 1) = -exp(-u)/(exp(-u) - 1) where u > 0": [
        inverse(apply("expm1", u)),
        power(apply("expm1", negate(multiply(u, v))), number(-2)),
    ],
    "|exp(u) - 1| = exp(u) - 1 where u > 1": [
        inverse(add(v, multiply(number(2), apply("abs", apply("expm1", u))))),
        inverse(add(one, apply("abs", negate(apply("expm1", negate(multiply(u, v))))))),
    ],
    "sqrt(1 + u) - 1 = u/(sqrt(1 + u) + 1)": [
        subtract(power(add(one, power(u, number(2))), Number(Fraction(1, 2))), one),
        add(v, multiply(number(-3), power(add(one, u, w), Number(Fraction(1, 2)))), number(3)),
    ],
    "log(exp(u) v) = u + log(v)": [
        apply("log", multiply(e(u), v)),
        apply("log", multiply(number(3), e(negate(u)), power(v, number(2)))),
        apply("log", inverse(add(v, w))),
        apply("log", multiply(v, power(apply("cosh", u), number(-2)))),
    ],
    "log(c erfc(u)) = log(c) + logerfc(u)": [
        apply("log", add(Number(Fraction(1, 2)), multiply(Number(Fraction(1, 2)), apply("erf", u)))),
        apply("log1p", negate(apply("erf", multiply(u, v)))),
        apply("log", multiply(number(3), power(v, number(2)), apply("erfc", u))),
    ],
    "exp(-u^2)/erfc(u) = 1/erfcx(u) where u > 0": [
        divide(e(negate(power(u, number(2)))), subtract(one, apply("erf", u))),
        divide(multiply(v, e(subtract(w, power(u, number(2))))), multiply(number(3), apply("erfc", u))),
    ],
    "log(1 + u) = log1p(u)": [apply("log", add(one, u)), apply("log", add(one, multiply(u, v), w))],
    "exp(u) - 1 = expm1(u)": [
        subtract(e(u), one),
        add(number(2), negate(multiply(number(2), e(u))), v),
        add(multiply(Number(Fraction(1, 3)), e(multiply(u, v))), Number(Fraction(-1, 3))),
    ],
    "(exp(u) - exp(-u))/(exp(u) + exp(-u)) = tanh(u)": [
        divide(subtract(e(u), e(negate(u))), add(e(u), e(negate(u)))),
        multiply(v, divide(subtract(e(multiply(number(2), u)), e(multiply(number(-2), u))),
                           add(e(multiply(number(2), u)), e(multiply(number(-2), u))))),
        divide(subtract(one, e(negate(u))), add(multiply(number(3), e(negate(u))), number(3))),
        divide(add(e(u), e(v)), subtract(e(u), e(v))),
        divide(apply("expm1", u), add(e(u), one)),
    ],
    "min(exp(u) - 1, 0) = exp(min(u, 0)) - 1": [
        apply("min", NOUGHT, apply("expm1", u)),
        apply("max", NOUGHT, multiply(number(-3), apply("expm1", negate(multiply(u, v))))),
        apply("min", number(2), e(u)),
        apply("max", number(-2), add(number(3), negate(apply("expm1", u)))),
    ],
    "f(exp(u)) = f(exp(min(u, c))), where f is at its limit": [
        apply("tanh", e(u)),
        apply("erf", multiply(number(-3), e(negate(multiply(u, v))))),
        apply("arctan", multiply(number(2), apply("sinh", u))),
        e(negate(e(u))),
        e(add(v, multiply(number(-2), apply("cosh", u)))),
        apply("expm1", add(u, negate(e(multiply(u, w))))),
    ],
}  # fmt: skip
PAIRS = [(name, node) for name, nodes in INSTANCES.items() for node in nodes]


def value(node: Scalar, rng: np.random.Generator) -> tuple[Any, Any]:
    """Values at a random point, to compare with those of another node at the same point."""
    tensors = {name: {(): mpmath.mpf(float(rng.uniform(0.05, 2)))} for name in "uvw"}
    return scalar(node, World({}, tensors, EXACT)), tensors


# --- pointwise ---------------------------------------------------------------------------------------------------


def test_every_rule_has_instances() -> None:
    assert set(INSTANCES) == set(RULES)


@pytest.mark.parametrize(("name", "node"), PAIRS, ids=lambda value: str(value)[:30])
def test_both_sides_are_equal(name: str, node: Scalar) -> None:
    changed = RULES[name](node)
    assert changed is not None
    assert changed != node
    rng = np.random.default_rng(0)
    with mpmath.workdps(30):
        for _ in range(5):
            left, tensors = value(node, rng)
            right = scalar(changed, World({}, tensors, EXACT))
            assert mpmath.almosteq(left, right, rel_eps=mpmath.mpf(10) ** -22), f"{node} and {changed}"


@pytest.mark.parametrize(("name", "node"), PAIRS, ids=lambda value: str(value)[:30])
def test_rewriting_inside_an_expression_keeps_the_value(name: str, node: Scalar) -> None:
    """All the rules together, to the end; v + 1 and a product around the instance."""
    whole = add(multiply(w, node, number(2)), apply("tanh", node), one)
    used: list[str] = []
    changed = rewrite(whole, used)
    assert used
    again: list[str] = []
    assert rewrite(changed, again) == changed
    assert again == []
    with mpmath.workdps(30):
        left, tensors = value(whole, np.random.default_rng(1))
        assert mpmath.almosteq(left, scalar(changed, World({}, tensors, EXACT)), rel_eps=mpmath.mpf(10) ** -22)


@pytest.mark.parametrize(
    "node",
    [
        add(one, u),
        add(one, e(u)),
        power(add(one, e(u)), Number(Fraction(1, 2))),
        inverse(add(one, e(negate(power(u, number(2)))), v)),
        inverse(subtract(e(u), e(v))),
        subtract(number(2), apply("sigmoid", u)),
        add(number(2), apply("tanh", u)),
        multiply(e(u), apply("sigmoid", u)),
        multiply(e(u), apply("sigmoid", negate(v))),
        apply("log", add(u, v)),
        subtract(multiply(number(2), e(u)), one),
    ],
    ids=lambda node: str(node)[:40],
)
def test_what_only_looks_alike_stays(node: Scalar) -> None:
    assert rewrite(node, []) == node


# --- the shift ---------------------------------------------------------------------------------------------------

N, M, K = symbols("N M K", integer=True, positive=True)
x, y, z, t = (IndexedBase(name) for name in "xyzt")
n, m, j, k = Idx("n", N), Idx("m", M), Idx("j", M), Idx("k", K)
z_ = x[n, m]


def layer(right: Any, left: Any = y[n, m], inputs: tuple[Any, ...] = (x[N, M],), more: tuple[Any, ...] = ()) -> Layer:
    return Layer("stable", inputs=list(inputs), equations=[*more, Eq(left, right)], outputs=[left.base])


SHIFTED = {
    "softmax": layer(exp(x[n, m]) / Sum(exp(x[n, j]), j)),
    "with temperature": layer(exp(x[n, m] / 3) / Sum(exp(x[n, j] / 3), j)),
    "of distances": layer(exp(-(x[n, m] ** 2)) / Sum(exp(-(x[n, j] ** 2)), j)),
    "log-softmax": layer(x[n, m] - log(Sum(exp(x[n, j]), j))),
    "log of softmax": layer(log(exp(x[n, m]) / Sum(exp(x[n, j]), j))),
    "log-sum-exp": layer(LogSumExp(x[n, j], j), y[n]),
    "log of a mean": layer(log(Sum(exp(x[n, j]), j) / M), y[n]),
    "weighted": layer(Sum(exp(x[n, j]) * x[n, j], j) / Sum(exp(x[n, j]), j), y[n]),
    "softmin": layer(Sum(exp(-x[n, j]) * x[n, j], j) / Sum(exp(-x[n, j]), j), y[n]),
    "squared": layer((exp(x[n, m]) / Sum(exp(x[n, j]), j)) ** 2),
    "by way of logarithms": layer(exp(x[n, m] - log(Sum(exp(x[n, j]), j)))),
    "named parts": layer(exp(x[n, m]) / z[n], more=(Eq(z[n], Sum(exp(x[n, j]), j)),)),
    "causal": layer(
        Sum(exp(x[n, j]) * x[n, j], (j, 0, m)) / Sum(exp(x[n, j]), (j, 0, m)),
    ),
}


@pytest.mark.parametrize("name", SHIFTED)
def test_the_largest_exponent_is_subtracted(name: str) -> None:
    trace = Trace()
    statements = split(SHIFTED[name].program, trace)
    program = stabilise(statements, trace)
    assert any(step.rule.startswith("sum exp(a) = exp(m)") for step in trace.steps)
    maxima = [q for q in program.equations if isinstance(q.body, Reduce) and q.body.kind == "max"]
    assert len(maxima) == 1, "one for all sums with the same exponent"
    for equation in program.equations:
        for node in walk(equation.body):
            if isinstance(node, Apply) and node.function == "exp":
                shifts = [r for r in reads_of(node) if r.tensor == maxima[0].target]
                assert shifts or equation is maxima[0], f"{equation.target} has an exponential that is not shifted"
                stopped = {r for s in walk(node) if isinstance(s, Stopped) for r in reads_of(s)}
                assert set(shifts) <= stopped, "the maximum has a gradient"
    arrays = {"x": np.random.default_rng(0).normal(size=(3, 4))}
    np.testing.assert_allclose(run(program, arrays)["y"], run(SHIFTED[name].program, arrays)["y"], rtol=1e-12)


@pytest.mark.parametrize("name", SHIFTED)
def test_logits_of_ten_thousand(name: str) -> None:
    X = np.array([[1e4, -1e4, 0, 3], [9999, 1e4, 3, -2], [-1e4, -1e4, -1e4, -1e4], [512, 400, -700, 90]], np.float32)
    if name == "of distances":
        X = X / 128
    if name == "with temperature":
        X = np.rint(X / 3) * 3  # the quotient is exact, so that only what symgrad does is measured
    finite_and_right(SHIFTED[name], {"x": X})


@pytest.mark.parametrize(
    ("right", "left"),
    [
        (Sum(exp(x[n, j]), j), y[n]),  # the output is the sum itself: nothing cancels
        (exp(x[n, m]) + Sum(exp(x[n, j]), j), y[n, m]),
        (Sum(exp(x[n, 0]) * x[n, j], j), y[n]),  # the exponential does not vary
    ],
    ids=str,
)
def test_no_shift_where_it_would_not_cancel(right: Any, left: Any) -> None:
    program = stabilise(split(layer(right, left).program, Trace()), Trace())
    kinds = {node.kind for q in program.equations for node in walk(q.body) if isinstance(node, Reduce)}
    assert kinds == {"sum"}


def test_the_shift_of_one_group_leaves_the_other_alone() -> None:
    declared = layer(exp(x[n, m]) / Sum(exp(x[n, j]), j) + exp(2 * x[n, m]) / Sum(exp(2 * x[n, j]), j))
    program = stabilise(split(declared.program, Trace()), Trace())
    maxima = [q.target for q in program.equations if isinstance(q.body, Reduce) and q.body.kind == "max"]
    assert len(maxima) == 2
    arrays = {"x": np.random.default_rng(0).normal(size=(3, 4))}
    np.testing.assert_allclose(run(program, arrays)["y"], run(declared.program, arrays)["y"], rtol=1e-12)


# --- every layer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_stable_statements_have_the_same_values(name: str) -> None:
    here, made = point(name), stages(name)
    if made.stable == made.split:
        return
    want = run(made.split, here.arrays, here.attributes)
    got = run(made.stable, here.arrays, here.attributes)
    for output in here.layer.outputs:
        np.testing.assert_allclose(got[output], want[output], rtol=1e-10, atol=1e-13, err_msg=output)


# --- no overflow, no cancellation ----------------------------------------------------------------------------------


LOGITS = np.array([-1e4, -300, -90, -20, -1, -1e-8, 0, 1e-8, 1, 20, 90, 300, 1e4], np.float32)
p = x[n]
logistic = 1 / (1 + exp(-p))
FORMS: dict[str, Any] = {
    "log of the sum of two": log(exp(p) + exp(-p / 2)),
    "sigmoid": logistic,
    "sigmoid by exp(x)": exp(p) / (1 + exp(p)),
    "sigmoid squared": logistic**2,
    "density of the logistic": exp(p) / (1 + exp(p)) ** 2,
    "density of the logistic, mirrored": exp(-p) / (1 + exp(-p)) ** 2,
    "softplus": log(1 + exp(p)),
    "softplus of 3x": log(1 + exp(3 * p)) / 3,
    "log sigmoid": log(logistic),
    "log sigmoid, spelt out": -log(1 + exp(-p)),
    "log (1 - sigmoid)": log(1 - logistic),
    "tanh": tanh(p),
    "tanh by exponentials": (exp(p) - exp(-p)) / (exp(p) + exp(-p)),
    "silu": p * logistic,
    "mish": p * tanh(log(1 + exp(p))),
    "elu": Piecewise((p, p > 0), (exp(p) - 1, True)),
    "gelu": p * (1 + erf(p / sqrt(2))) / 2,
    "bell": exp(-(p**2)),
    "root": sqrt(p**2 + 1),
    "log(1 + u)": log(1 + Abs(p)),
    "binary cross-entropy": -(log(logistic) / 4 + 3 * log(1 - logistic) / 4),
    "tanh by a sigmoid": 1 - 2 / (exp(2 * p) + 1),
    "slope of the sigmoid": logistic * (1 - logistic),
    "1 - sigmoid": 1 - logistic,
    "tanh by exp(-2x)": (1 - exp(-2 * p)) / (1 + exp(-2 * p)),
    "tanh by exp(2x)": (exp(2 * p) - 1) / (exp(2 * p) + 1),
    "log cosh": log(cosh(p)),
    "log(2 + exp(x))": log(2 + exp(p)),
    "1/(2 + exp(x))": 1 / (2 + exp(p)),
    "softmax of two": exp(p) / (exp(p) + exp(-p / 2)),
    "softmax of three": exp(p) / (exp(p) + exp(-p / 2) + 1),
    "tanh by hyperbolic functions": sinh(p) / cosh(p),
    "secant": 1 / cosh(p),
    "secant by exponentials": 2 / (exp(p) + exp(-p)),
    "slope of tanh": 1 - tanh(p) ** 2,
    "log of the slope of tanh": log(1 - tanh(p) ** 2),
    "log cosh by exponentials": log((exp(p) + exp(-p)) / 2),
    "log cosh by softplus": p + log(1 + exp(-2 * p)) - log(2),
    "sigmoid of base 2": 1 / (1 + 2 ** (-p)),
    "softplus of base 2": log(1 + 2**p) / log(2),
    "logistic of roots": sqrt(exp(p)) / (1 + sqrt(exp(p))),
    "one root": (1 + exp(p)) ** Rational(-1, 2),
    "focal loss": -((1 - logistic) ** 2) * log(logistic),
    "entropy": -logistic * log(logistic) - (1 - logistic) * log(1 - logistic),
    "log odds": log(logistic / (1 - logistic)),
    "log of log": log(1 + log(1 + exp(p))),
    "softplus with a threshold": Piecewise((p, p > 20), (log(1 + exp(2 * p)) / 2, True)),
    "pseudo-Huber": sqrt(1 + p**2) - 1,
    "arcsinh": log(p + sqrt(p**2 + 1)),
    "root behind a Piecewise": Piecewise((sqrt(p), p > 0), (0, True)),
    "logarithm behind a Piecewise": Piecewise((log(p), p > 0), (0, True)),
    "quotient behind a Piecewise": Piecewise((1 / p, p > 0), (0, True)),
    "exponential behind a Piecewise": Piecewise((exp(p), p < 0), (1 + p, True)),
    "x log(x) behind a Piecewise": Piecewise((p * log(p), p > 0), (0, True)),
    "tanh of an exponential": p * tanh(exp(p)),
    "complementary log-log": 1 - exp(-exp(p)),
    "Gumbel density": exp(-p - exp(-p)),
    "Gompertz": 3 * exp(-2 * exp(-p)),
    "erf of an exponential": erf(exp(p) / 2),
    "arctangent of an exponential": 2 * atan(exp(p)),
    "exponential of a cosine": exp(-cosh(p)),
    "tanh of a sine": tanh(sinh(p)),
}
SIDED = {  # where they are defined, and small numbers
    "log(1 - exp(x))": (log(1 - exp(p)), [-1e4, -300, -20, -1, -0.7, -0.6, -1e-3, -1e-8]),
    "log(exp(x) - 1)": (log(exp(p) - 1), [1e4, 300, 20, 1, 0.7, 1e-3, 1e-8]),
    "cotangent": ((exp(p) + exp(-p)) / (exp(p) - exp(-p)), [-1e4, -300, -1, -1e-3, 1e-3, 1, 300, 1e4]),
    "root less one": (sqrt(1 + p) - 1, [-0.75, -1e-8, 0, 1e-12, 1e-3, 1, 1e4]),
}


def pointwise(right: Any) -> Layer:
    return layer(right, y[n], (x[N],))


@pytest.mark.parametrize("name", FORMS)
def test_no_overflow_at_ten_thousand(name: str) -> None:
    nines = 4343 if FORMS[name].has(1 - logistic) or FORMS[name].has(1 - tanh(p) ** 2) else 0  # those of sigmoid(1e4)
    finite_and_right(pointwise(FORMS[name]), {"x": LOGITS}, 60 + 2 * nines)


@pytest.mark.parametrize("name", SIDED)
def test_no_overflow_where_it_is_defined(name: str) -> None:
    right, places = SIDED[name]
    finite_and_right(pointwise(right), {"x": np.array(places, np.float32)})


@pytest.mark.parametrize("name", [n for n in FORMS if not FORMS[n].has(Abs)])
def test_slopes_are_those_of_the_declared_form(name: str) -> None:
    """Away from kinks, relative to the largest: SymPy's derivative in high precision."""
    compiled = symgrad.compile_layer(pointwise(FORMS[name]))
    here = np.array([-80, -9.5, -2, -0.125, 1e-3, 0.5, 3, 11, 60], np.float32)
    _, residuals = compiled.forward(here)
    got = compiled.backward(residuals, np.ones_like(here)).x
    with mpmath.workdps(120):
        want = exact(pointwise(FORMS[name].diff(p)), {"x": here})
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=3e-7 * np.abs(want).max())


OTHERS = x[n, m], Sum(exp(x[n, j]), j), Sum(exp(z[n, j]), j)
TOGETHER: dict[str, Any] = {
    "softmax with a sink": exp(x[n, m]) / (1 + OTHERS[1]),
    "log softmax with a sink": log(exp(x[n, m]) / (1 + OTHERS[1])),
    "one more than a sum": log(1 + OTHERS[1]) + 0 * x[n, m],
    "two more than a sum": log(2 + 3 * OTHERS[1]) + 0 * x[n, m],
    "two sums": log(OTHERS[1] + OTHERS[2]) + 0 * x[n, m],
    "a share": OTHERS[1] / (OTHERS[1] + OTHERS[2]) + 0 * x[n, m],
    "one against many": -log(exp(z[n, m]) / (exp(z[n, m]) + OTHERS[1])),
    "base 2": 2 ** x[n, m] / Sum(2 ** x[n, j], j),
    "focal": (1 - exp(x[n, m]) / OTHERS[1]) ** 2 * (x[n, m] - log(OTHERS[1])),
    "root of a share": sqrt(exp(x[n, m]) / OTHERS[1]),
    "share of roots": sqrt(exp(x[n, m])) / Sum(sqrt(exp(x[n, j])), j),
    "entropy, a term": -exp(x[n, m]) / OTHERS[1] * log(exp(x[n, m]) / OTHERS[1]),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_sums_with_something_beside_them(name: str) -> None:
    right = TOGETHER[name]
    inputs = (x[N, M], z[N, M]) if right.has(z) else (x[N, M],)
    X = np.array([[1e4, -1e4, 0], [500, 400, -700], [-30, -20, -25], [1, 2, 3], [-1e4, -1e4, -1e4]], np.float32)
    arrays = {"x": X, "z": X[:, ::-1].copy()}
    finite_and_right(layer(right, inputs=inputs), {i.base.name: arrays[i.base.name] for i in inputs})


chance = IndexedBase("chance")
others = IndexedBase("others")
NAMED: dict[str, tuple[Any, ...]] = {
    "log(1 - p)": (Eq(chance[n], logistic), log(1 - chance[n])),
    "binary cross-entropy": (Eq(chance[n], logistic), -log(chance[n]) / 4 - 3 * log(1 - chance[n]) / 4),
    "by way of another name": (Eq(chance[n], logistic), Eq(others[n], 1 - chance[n]), log(others[n])),
    "log odds": (Eq(chance[n], logistic), log(chance[n] / (1 - chance[n]))),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_logarithm_sees_through_names(name: str) -> None:
    *more, right = NAMED[name]
    finite_and_right(layer(right, y[n], (x[N],), tuple(more)), {"x": LOGITS}, 9000)


def test_a_logarithm_that_would_not_be_safer_reads_the_name() -> None:
    declared = layer(log(3 - chance[n]), y[n], (x[N],), (Eq(chance[n], logistic),))
    program = stabilise(split(declared.program, Trace()), Trace())
    assert [r.tensor for r in reads_of(program.equations[-1].body)] == ["chance"]


mask = IndexedBase("mask")
KEPT = mask[n, j] > 0
MASKED: dict[str, Any] = {
    "softmax": Piecewise((exp(x[n, m]), mask[n, m] > 0), (0, True))
    / Sum(Piecewise((exp(x[n, j]), KEPT), (0, True)), j),
    "log-sum-exp": log(Sum(Piecewise((exp(x[n, j]), KEPT), (0, True)), j)) + 0 * x[n, m],
    "weighted": Sum(Piecewise((exp(x[n, j]) * x[n, j], KEPT), (0, True)), j)
    / Sum(Piecewise((exp(x[n, j]), KEPT), (0, True)), j)
    + 0 * x[n, m],
    "one against the others": -log(exp(x[n, 0]) / (exp(x[n, 0]) + Sum(Piecewise((exp(x[n, j]), j > 0), (0, True)), j)))
    + 0 * x[n, m],
}


@pytest.mark.parametrize("name", MASKED)
def test_masked_exponentials_are_shifted(name: str) -> None:
    right = MASKED[name]
    inputs = (x[N, M], mask[N, M]) if right.has(mask) else (x[N, M],)
    constants = [mask] if right.has(mask) else []
    declared = Layer("masked", inputs=inputs, equations=[Eq(y[n, m], right)], constants=constants)
    X = np.array([[1e4, -1e4, 0], [500, 400, -700], [1, 2, 3], [-1e4, -1e4, -1e4]], np.float32)
    arrays = {"x": X, "mask": np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)}
    finite_and_right(declared, {i.base.name: arrays[i.base.name] for i in inputs})


@pytest.mark.parametrize("name", ["expm1", "log1p"])
def test_no_cancellation_near_zero(name: str) -> None:
    right = exp(p) - 1 if name == "expm1" else log(1 + p)
    tiny = np.array([1e-12, -3e-9, 1e-5, 0.25], np.float32)
    finite_and_right(pointwise(right), {"x": tiny})


def test_fully_masked_rows_are_finite_elsewhere() -> None:
    """One row of -inf does not disturb the others."""
    compiled = symgrad.compile_layer(SHIFTED["softmax"])
    X = np.array([[-np.inf, 2.0, 1.0], [0.0, -np.inf, 1.0]], np.float32)
    got, residuals = compiled.forward(X)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.sum(1), [1, 1], rtol=1e-6)
    assert np.isfinite(compiled.backward(residuals, np.ones_like(got)).x).all()


def test_sympy_is_not_asked_to_simplify() -> None:
    """SymPy's own forms of these overflow; ours come from the table above."""
    assert sympy.simplify(exp(p) / (1 + exp(p))).has(exp)
    names = {
        node.function for q in stages("sigmoid").stable.equations for node in walk(q.body) if isinstance(node, Apply)
    }
    assert names == {"sigmoid"}


def test_the_shift_is_read_where_it_was_made_and_not_where_another_value_is_stopped() -> None:
    x, y, at, out = IndexedBase("x"), IndexedBase("y"), Idx("u"), Idx("i", 4)
    layer = Layer("stopped", [x[3]], [Eq(y[out], LogSumExp(StopGradient(x[Mod(out + at, 3)]) * x[at], (at, 0, 1)))])
    assert as_declared(layer, normals(x=(3,)))
    below = LogSumExp(StopGradient(x[Mod(out + floor(at / 2), 3)]) * x[0], (at, -1, 1))
    assert as_declared(Layer("below", [x[3]], [Eq(y[out], below)]), normals(x=(3,)))


def test_an_exponent_that_does_not_vary_is_shifted_by_itself() -> None:
    x, y, at, other, out = IndexedBase("x"), IndexedBase("y"), Idx("u"), Idx("v"), Idx("i", 3)
    for value in (
        LogSumExp(x[out], (at, 1, 2)),
        log(Sum(exp(x[out]) * x[at] ** 2, (at, 0, 2))),
        LogSumExp(Sum(x[out], (Idx("t"), 0, 2)), (other, 0, 1), (at, -1, 1)),
    ):
        layer = Layer("constant", [x[3]], [Eq(y[out], value)])
        assert as_declared(layer, normals(x=(3,)))
        large = np.array([900.0, -900.0, 20.0])
        result, residuals = symgrad.compile_layer(layer).forward(large)
        assert np.isfinite(result).all()
        assert np.isfinite(symgrad.compile_layer(layer).backward(residuals, np.ones(3)).x).all()


def test_no_maximum_of_nothing_where_nothing_is_taken() -> None:
    """The rows that a condition leaves out have empty ranges; they must not give inf * 0."""
    x, y, at, other, out = IndexedBase("x"), IndexedBase("y"), Idx("u"), Idx("v"), Idx("i", 6)
    rows = Piecewise((LogSumExp(x[0], (at, out, 2)), Eq(out, 0)), (0, True))
    partly = Piecewise((LogSumExp(x[at], (other, out, 3), (at, 0, 2 - out)), out < 2), (0, True))
    for value in (rows, partly):
        assert as_declared(Layer("empty", [x[3]], [Eq(y[out], value)]), normals(x=(3,)))


@pytest.mark.parametrize("seed", range(2))
def test_a_log_sum_exp_of_log_sum_exps(seed: int) -> None:
    """The outer exponents are those after the inner sums were shifted."""
    x, y, inner, outer = IndexedBase("x"), sympy.Symbol("y"), Idx("v"), Idx("u")
    varied = LogSumExp(LogSumExp(x[outer, inner], (inner, 0, 3)), (outer, 0, 2))
    constant = LogSumExp(LogSumExp(x[0, 0], (inner, 0, 3)), (outer, 0, 2))
    for value in (varied, constant):
        assert as_declared(Layer("nested", [x[3, 4]], [Eq(y, value)]), normals(seed, x=(3, 4)))


def test_a_sum_of_powers_of_sums_is_shifted_twice() -> None:
    array = np.array([[[800, -800], [0, 3]], [[-700, 20], [-90, -900]]], np.float32)
    T, k_ = IndexedBase("t"), Idx("k", K)
    right = log(Sum(Sum(exp(T[n, j, k_]), j) ** 2, k_))
    finite_and_right(layer(right, y[n], (T[N, M, K],)), {"t": array}, 900)


def test_each_shift_meets_what_it_was_the_largest_of() -> None:
    """x - max x and z - max z are exact for equal rows of large numbers; x - z rounds."""
    other = sympy.exp(z[n, m]) / Sum(exp(z[n, j]), j)
    declared = layer(log(exp(x[n, m]) / Sum(exp(x[n, j]), j) / other), inputs=(x[N, M], z[N, M]))
    X = np.array([[-8e4, -8e4, -8e4], [8e4, 8e4 - 1, 8e4 - 2]], np.float32)
    Z = np.array([[0.3, 0.1, 0.2], [-0.7, 0.1, 0.5]], np.float32)
    finite_and_right(declared, {"x": X, "z": Z})
