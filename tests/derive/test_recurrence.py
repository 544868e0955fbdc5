"""What is done to recurrences before the chain rule, and the recurrences that the chain rule gives."""

from __future__ import annotations

import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, floor, symbols, tanh

import symgrad
from symgrad import Layer, Padded
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


def test_backward_without_an_order_of_steps_is_an_error_of_ours() -> None:
    size = symbols("size", integer=True, positive=True)
    given, halved = IndexedBase("given"), IndexedBase("halved")
    n = Idx("n", size)
    halves = halved[floor(n / 2)] * halved[n - floor(n / 2)] + given[n]
    layer = Layer("by_halves", [given[size]], [Eq(halved[n], Piecewise((given[n], n < 2), (halves, True)))])
    with pytest.raises(DerivationError, match="by_halves: its backward pass cannot be computed step by step"):
        compile_layer(layer)
