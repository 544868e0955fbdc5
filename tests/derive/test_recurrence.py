"""What is done to recurrences before the chain rule, and the recurrences that the chain rule gives."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, sqrt, symbols, tanh

import symgrad
from symgrad import Layer, LogSumExp, Padded
from symgrad.check.steps import check_steps
from symgrad.compiler import CompiledLayer, compile_layer, run
from symgrad.declare.formula import equation_text
from symgrad.declare.program import Program
from symgrad.declare.recurrence import Scan, schedule
from symgrad.derive.adjoint import adjoint
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.errors import DerivationError

T, U, D = symbols("T U D", integer=True, positive=True)
x, h, w, first, r = (IndexedBase(name) for name in ["x", "h", "w", "first", "r"])
t, u, i, j = Idx("t", T), Idx("u", U), Idx("i", D), Idx("j", D)


def before(index):
    return Piecewise((first[index], Eq(t, 0)), (h[t - 1, index], True))


def elman(body) -> Layer:
    return Layer("elman", inputs=[x[T, D], first[D], w[D, D]], equations=[Eq(h[t, i], body)])


def statements(layer: Layer) -> Program:
    return split(layer.program, Trace())


def texts(program: Program) -> list[str]:
    return [equation_text(e) for e in program.equations]


def test_a_first_value_stands_beside_the_states() -> None:
    found = texts(statements(elman(x[t, i] + Sum(w[i, j] * before(j), j))))
    assert found == [
        "h[t, i] = x[t, i] + sum_{j} h_states[t, j] * w[i, j]",
        "h_states[t, i] = (first[i] if t == 0 else h[t - 1, i])",
    ]


def test_a_constant_outside_stands_around_the_states() -> None:
    layer = Layer(
        "lags", inputs=[x[T, D]], equations=[Eq(h[t, i], x[t, i] + Padded(h)[t - 1, i] * Padded(h)[t - 3, i])]
    )
    assert texts(statements(layer)) == [
        "h[t, i] = x[t, i] + h_states[t + 2, i] * h_states[t, i]",
        "h_states[t, i] = (h[t - 3, i] if t >= 3 else 0)",
    ]


def test_an_element_that_needs_no_step_is_what_the_equation_says() -> None:
    body = Piecewise((tanh(x[t, i] + Sum(w[i, j] * h[0, j], j)), t > 0), (x[t, i], True))
    layer = Layer("from_the_first", inputs=[x[T, D], w[D, D]], equations=[Eq(h[t, i], body)])
    assert texts(statements(layer)) == [
        "sum_h[i] = sum_{j} w[i, j] * x[0, j]",
        "h[t, i] = (tanh(sum_h[i] + x[t, i]) if t >= 1 else x[t, i])",
    ]
    stages = run(layer)
    assert check_steps(stages) == []
    assert "what its equation says of it" in CompiledLayer(stages).derivation.to_text()


def test_what_both_cases_have_in_common_is_written_once() -> None:
    body = Piecewise((tanh(x[t, i]), Eq(t, 0)), (tanh(x[t, i] + Sum(w[i, j] * h[t - 1, j], j)), True))
    layer = Layer("elman", inputs=[x[T, D], w[D, D]], equations=[Eq(h[t, i], body)])
    assert texts(statements(layer)) == [
        "sum_h[t, i] = sum_{j} h[t, j] * w[i, j]",
        "h[t, i] = tanh(x[t, i] + (0 if t == 0 else sum_h[t - 1, i]))",
    ]


def test_an_argument_that_the_state_adds_to_gets_a_name() -> None:
    body = tanh(Sum(w[i, j] * x[t, j], j) + Sum(w[j, i] * before(j), j))
    assert texts(statements(elman(body)))[:2] == [
        "pre_h[t, i] = sum_{j_2} h_states[t, j_2] * w[j_2, i] + sum_{j} w[i, j] * x[t, j]",
        "h[t, i] = tanh(pre_h[t, i])",
    ]


@pytest.mark.parametrize("step", [-1, 1])
def test_cotangents_run_the_other_way(step: int) -> None:
    layer = Layer("decay", inputs=[x[T, D]], equations=[Eq(h[t, i], x[t, i] + Padded(h)[t + step, i] * x[t, i])])
    program = statements(layer)
    (forward,) = (s for s in schedule(program.equations) if isinstance(s, Scan))
    derived = adjoint(program, Trace())
    backward = [e for e in derived.program.equations if e.target in derived.backward]
    (reverse,) = (s for s in schedule(backward) if isinstance(s, Scan))
    assert forward.reverse != reverse.reverse


def test_the_gradient_of_weights_is_one_sum_over_all_steps() -> None:
    program = statements(elman(tanh(x[t, i] + Sum(w[i, j] * before(j), j))))
    gradients = texts(adjoint(program, Trace()).program)
    assert "grad_w[i, j] = sum_{t} grad_sum_h[t, i] * h_states[t, j]" in gradients


def grid() -> Layer:
    return Layer(
        "grid", inputs=[x[T, U]], equations=[Eq(r[t, u], tanh(x[t, u] + Padded(r)[t - 1, u] - Padded(r)[t, u - 1]))]
    )


@pytest.mark.parametrize(
    "make",
    [
        grid,
        lambda: elman(tanh(x[t, i] + Sum(w[i, j] * before(j), j))),
        lambda: symgrad.layers.lstm,
        lambda: symgrad.layers.crf_log_partition,
        lambda: symgrad.layers.soft_dtw,
        lambda: symgrad.layers.state_space_scan,
    ],
)
def test_every_step_of_the_derivation_holds(make) -> None:
    stages = run(make())
    assert check_steps(stages) == []
    derivation = CompiledLayer(stages).derivation
    assert check_steps(stages, steps=derivation.steps) == []
    text = derivation.to_text()
    assert "need each other; each step along" in text
    assert "they are found in the opposite order" in " ".join(text.split())


@pytest.mark.parametrize("make", [lambda: elman(tanh(x[t, i] * Sum(w[i, j] * before(j), j))), grid])
def test_the_gradient_is_a_layer_again(make) -> None:
    """Its own gradients are those of a layer with recurrences in both directions."""
    assert symgrad.check_layer(symgrad.vjp(make()), cases=2).ok


def triangular() -> Layer:
    """The triangular factor of a matrix: its sums read what conditions around them put in order."""
    size = symbols("size", integer=True, positive=True)
    given, factor = IndexedBase("given"), IndexedBase("factor")
    i, j, p, q = (Idx(name, size) for name in "ijpq")
    below = (given[i, j] - Sum(factor[i, q] * factor[j, q], (q, 0, j - 1))) / factor[j, j]
    diagonal = sqrt(given[i, i] - Sum(factor[i, p] ** 2, (p, 0, j - 1)))
    cholesky = Eq(factor[i, j], Piecewise((diagonal, Eq(i, j)), (below, i > j), (0, True)))
    return Layer("triangular", [given[size, size]], [cholesky])


def test_sums_whose_conditions_put_them_in_order() -> None:
    compiled = compile_layer(triangular())
    rng = np.random.default_rng(0)
    given, step = rng.normal(size=(5, 5)), 1e-6
    given = given @ given.T + 5 * np.eye(5)
    factor, residuals = compiled.forward(given)
    np.testing.assert_allclose(factor, np.linalg.cholesky(given), rtol=1e-12, atol=1e-14)
    cotangent = rng.normal(size=(5, 5))
    slopes = np.zeros((5, 5))
    for place in zip(*np.tril_indices(5), strict=True):
        nudge = np.zeros((5, 5))
        nudge[place] = step
        ends = (np.linalg.cholesky(np.tril(end) + np.tril(end, -1).T) for end in (given + nudge, given - nudge))
        slopes[place] = np.sum(cotangent * np.subtract(*ends)) / (2 * step)
    np.testing.assert_allclose(np.tril(compiled.backward(residuals, cotangent).given), slopes, rtol=1e-6, atol=1e-8)


def test_statements_without_an_order_of_steps_are_an_error_of_ours() -> None:
    later = x[t, i] * LogSumExp(h[2, j], j) + h[t - 1, i]
    equation = Eq(h[t, i], Piecewise((later, t > 2), (tanh(h[t - 1, i] * x[t, i]), t > 0), (x[t, i], True)))
    with pytest.raises(DerivationError, match="odd: its statements cannot be computed step by step"):
        compile_layer(Layer("odd", [x[T, D]], [equation]))
