"""The backward pass made short: same values, forward values reused, nothing summed that is known to be zero."""

from typing import Any

import numpy as np
import pytest
from sympy import (
    Eq,
    Idx,
    IndexedBase,
    KroneckerDelta,
    Max,
    Piecewise,
    Rational,
    Sum,
    Symbol,
    exp,
    log,
    sqrt,
    symbols,
    tanh,
)

from symgrad import Layer
from symgrad.compiler import Stages
from symgrad.compiler import run as compile_stages
from symgrad.declare.formula import equation_text
from symgrad.declare.graph import needed
from symgrad.declare.program import Equation
from symgrad.declare.scalars import Apply, Reduce, Stopped, reads_of, walk
from symgrad.derive.adjoint import Adjoint
from symgrad.simplify.cost import cost

from ..agreement import as_declared
from ..data_evaluator import run
from ..points import NAMES, cotangents, point, stages

N, M, K, C = symbols("N M K C", integer=True, positive=True)
x, y, z, w, b, t, labels = (IndexedBase(name) for name in ("x", "y", "z", "w", "b", "t", "labels"))
n, m, j, k = Idx("n", N), Idx("m", M), Idx("j", M), Idx("k", K)


def layer(*equations: Any, inputs: tuple[Any, ...] = (x[N, M],), **options: Any) -> Layer:
    return Layer("layer", inputs=list(inputs), equations=list(equations), **options)


def pointwise(right: Any, **options: Any) -> Stages:
    return compile_stages(layer(Eq(y[n], right), inputs=(x[N],), **options))


def backward(made: Stages) -> list[Equation]:
    return [q for q in made.derived.program.equations if q.target in made.derived.backward]


def texts(made: Stages) -> list[str]:
    return [equation_text(q) for q in backward(made)]


def applied(made: Stages) -> set[str]:
    """Functions that the backward pass evaluates."""
    return {node.function for q in backward(made) for node in walk(q.body) if isinstance(node, Apply)}


# --- every layer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_simplified_and_plain_gradients_are_equal(name: str) -> None:
    here, made = point(name), stages(name)
    values = run(made.stable, here.arrays, here.attributes)
    arrays = here.arrays | dict(zip(made.chained.cotangents, cotangents(values, here.layer), strict=True))
    plain = run(made.chained.program, arrays, here.attributes)
    short = run(made.derived.program, arrays, here.attributes)
    assert made.derived.gradients == made.chained.gradients
    assert made.derived.cotangents == made.chained.cotangents
    for gradient in made.derived.gradients:
        scale = max(1.0, float(np.abs(plain[gradient]).max(initial=0.0)))
        np.testing.assert_allclose(short[gradient], plain[gradient], rtol=1e-9, atol=1e-11 * scale, err_msg=gradient)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_computed_that_no_gradient_needs(name: str) -> None:
    derived = stages(name).derived
    made = [q for q in derived.program.equations if q.target in derived.backward]
    assert {q.target for q in needed(made, derived.gradients)} == {q.target for q in made}


@pytest.mark.parametrize("name", NAMES)
def test_no_stop_is_left(name: str) -> None:
    for equation in backward(stages(name)):
        assert not any(isinstance(node, Stopped) for node in walk(equation.body))


def total_cost(derived: Adjoint, sizes: dict[str, int]) -> int:
    seen: set[Any] = set()
    return sum(cost(q.body, sizes, seen) for q in derived.program.equations if q.target in derived.backward)


@pytest.mark.parametrize("name", ["softmax", "batch_norm2d", "layer_norm", "sigmoid", "tanh", "log_softmax"])
def test_simplifying_pays(name: str) -> None:
    made = stages(name)
    sizes = {"N": 32, "M": 64, "C": 16, "H": 8, "W": 8}
    assert total_cost(made.derived, sizes) < total_cost(made.chained, sizes)


# --- forward values reused ---------------------------------------------------------------------------------------


def test_softmax_reads_its_output_only() -> None:
    made = stages("softmax")
    assert made.plan.residuals == ("y",)
    assert applied(made) == set()
    assert texts(made) == [
        "dot_grad_y_y[n] = sum_{i} grad_y[n, i] * y[n, i]",
        "grad_x[n, j] = y[n, j] * (grad_y[n, j] - dot_grad_y_y[n])",
    ]


@pytest.mark.parametrize(
    ("right", "want"),
    [
        (1 / (1 + exp(-x[n])), "grad_x[n] = grad_y[n] * y[n] * (1 - y[n])"),
        (tanh(x[n]), "grad_x[n] = grad_y[n] * (1 - y[n]^2)"),
        (exp(x[n]), "grad_x[n] = grad_y[n] * y[n]"),
        (sqrt(x[n]), "grad_x[n] = grad_y[n] / (2 * y[n])"),
        (x[n] ** Rational(1, 3), "grad_x[n] = grad_y[n] / (3 * y[n]^2)"),
        (1 / x[n], "grad_x[n] = -grad_y[n] * y[n]^2"),
        (x[n] ** 2, "grad_x[n] = 2 * grad_y[n] * x[n]"),
        (exp(2 * x[n]) - 1, "grad_x[n] = 2 * grad_y[n] * (y[n] + 1)"),
        (exp(-(x[n] ** 2)), "grad_x[n] = -2 * grad_y[n] * x[n] * y[n]"),
    ],
    ids=str,
)
def test_slopes_in_terms_of_the_value(right: Any, want: str) -> None:
    assert texts(pointwise(right)) == [want]


def test_nothing_is_named_a_layer() -> None:
    """The same rules see through other names and another order of axes."""
    hidden, gate = IndexedBase("hidden"), IndexedBase("gate")
    p, q = Idx("p", K), Idx("q", C)
    made = compile_stages(
        Layer(
            "anything",
            [hidden[C, K]],
            [Eq(gate[q, p], exp(hidden[q, p]) / Sum(exp(hidden[Idx("r", C), p]), Idx("r", C)))],
        )
    )
    assert made.plan.residuals == ("gate",)
    assert applied(made) == set()


def test_elu_needs_no_second_exponential() -> None:
    """Where x <= 0 the slope is y + alpha."""
    made = stages("elu")
    assert "y" in made.plan.residuals
    assert applied(made) == set()


@pytest.mark.parametrize(
    ("right", "functions"),
    [
        (Piecewise((x[n], x[n] > 0), (3 * (exp(x[n] / 3) - 1), True)), set()),
        (Piecewise((2 * x[n], x[n] > 1), (exp(-x[n]), x[n] < -1), (x[n] ** 2, True)), set()),
        (Piecewise((sqrt(x[n]), x[n] > 0), (0, True)) + 1, {"sqrt"}),
        (Piecewise((log(x[n]) ** 2, x[n] > 1), (tanh(x[n]), True)), {"log"}),
        (Piecewise((exp(x[n]) / (1 + exp(x[n])), x[n] > 0), (5 * x[n], True)), set()),
    ],
    ids=str,
)
def test_an_arm_of_a_choice_is_read_where_it_was_chosen(right: Any, functions: set[str]) -> None:
    arrays = {"x": np.array([-2.5, -1.2, -0.3, 0.4, 1.7, 30.0])}
    assert as_declared(layer(Eq(y[n], right), inputs=(x[N],)), arrays)
    assert applied(pointwise(right)) <= functions


def test_silu_evaluates_no_function_again() -> None:
    assert applied(stages("silu")) == set()


def test_gelu_evaluates_its_error_function_once() -> None:
    assert "erf" not in applied(stages("gelu"))


def test_log_softmax_evaluates_no_exponential_again() -> None:
    assert applied(stages("log_softmax")) == set()


def test_softmax_with_cross_entropy_is_probability_minus_target() -> None:
    made = stages("softmax_cross_entropy")
    assert applied(made) == set()
    assert not any(isinstance(node, Reduce) for q in backward(made) for node in walk(q.body) if _sums(node))
    layer_ = point("softmax_cross_entropy").layer
    logits = np.random.default_rng(0).normal(size=(4, 3))
    chosen = np.array([0, 2, 1, 2])
    arrays = dict(zip([i.name for i in layer_.inputs], (logits, chosen), strict=True))
    got = run(made.derived.program, arrays | {made.derived.cotangents[0]: np.array(1.0)})[made.derived.gradients[0]]
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(got, (probability - np.eye(3)[chosen]) / 4, rtol=1e-12)


def _sums(node: Any) -> bool:
    return isinstance(node, Reduce) and len(node.indices) > 0


def test_softmax_then_likelihood_by_a_delta() -> None:
    """Two equations, labels by KroneckerDelta: no division by a probability is left."""
    p, c = IndexedBase("p"), Idx("c", C)
    o = Idx("o", C)
    made = compile_stages(
        Layer(
            "likelihood",
            [x[N, C], labels[N]],
            [
                Eq(p[n, c], exp(x[n, c]) / Sum(exp(x[n, o]), o)),
                Eq(Symbol("loss"), -Sum(KroneckerDelta(c, labels[n]) * log(p[n, c]), n, c)),
            ],
        )
    )
    logits = np.array([[500.0, 0.0, -300.0], [0.0, 1.0, 2.0]])
    arrays = {"x": logits, "labels": np.array([2, 0]), "grad_loss": np.array(1.0)}
    got = run(made.derived.program, arrays)["grad_x"]
    np.testing.assert_allclose(got[0], [1, 0, -1], atol=1e-12)
    soft = np.exp(logits[1]) / np.exp(logits[1]).sum()
    np.testing.assert_allclose(got[1], soft - [1, 0, 0], rtol=1e-12)


def test_sigmoid_cross_entropy_is_sigmoid_minus_target() -> None:
    assert texts(stages("sigmoid_cross_entropy")) == [
        "grad_logits[n, m] = grad_loss * (sigmoid(logits[n, m]) - target[n, m]) / (M * N)"
    ]


# --- sums --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["batch_norm", "batch_norm2d", "layer_norm"])
def test_the_sum_of_deviations_from_a_mean_is_not_computed(name: str) -> None:
    """Every sum of the backward pass reads a cotangent: a sum of x - mean alone vanishes."""
    for equation in backward(stages(name)):
        for node in walk(equation.body):
            if isinstance(node, Reduce):
                assert any(r.tensor.startswith("grad_") for r in reads_of(node.body)), equation_text(equation)


@pytest.mark.parametrize(("name", "most"), [("batch_norm", 2), ("batch_norm2d", 2), ("layer_norm", 4), ("softmax", 1)])
def test_equal_sums_are_computed_once(name: str, most: int) -> None:
    """Batch normalisation: the gradients of gamma and beta are the two sums that the gradient of x needs."""
    assert sum(isinstance(node, Reduce) for q in backward(stages(name)) for node in walk(q.body)) == most


def test_invariant_factors_stand_outside() -> None:
    made = compile_stages(layer(Eq(y[n], Sum(w[n] * x[n, m] ** 2, m)), inputs=(x[N, M], w[N])))
    assert sorted(texts(made)) == [
        "grad_w[n] = grad_y[n] * sum_{m} x[n, m]^2",
        "grad_x[n, m] = 2 * grad_y[n] * w[n] * x[n, m]",
    ]


def test_a_shared_input_adds_up() -> None:
    made = compile_stages(layer(Eq(y[n], Sum(x[n, m] * x[n, m], m))))
    assert texts(made) == ["grad_x[n, m] = 2 * grad_y[n] * x[n, m]"]


@pytest.mark.parametrize(
    ("constants", "targets"), [((x, b), ["grad_w"]), ((), ["grad_z", "grad_x", "grad_w", "grad_b"])]
)
def test_an_intermediate_cotangent_keeps_its_name_for_several_readers(constants: Any, targets: list[str]) -> None:
    equations = Eq(z[n], Sum(w[n, m] * x[m], m) + b[n]), Eq(y[n], Max(z[n], 0))
    made = compile_stages(layer(*equations, inputs=(x[M], w[N, M], b[N]), constants=constants))
    assert [q.target for q in backward(made)] == targets
    assert "z" in made.plan.residuals


def test_a_choice_keeps_its_arms() -> None:
    made = pointwise(Piecewise((x[n] ** 2, x[n] > 1), (2 * x[n] - 1, True)))
    got = run(made.derived.program, {"x": np.array([-1.0, 1.0, 3.0]), "grad_y": np.ones(3)})["grad_x"]
    np.testing.assert_array_equal(got, [2, 2, 6])


def test_the_trace_says_which_rule() -> None:
    rules = {step.rule for step in stages("softmax").trace.steps}
    assert "reuse forward values, take invariant factors out of sums" in rules
    assert "name a sum" in rules
