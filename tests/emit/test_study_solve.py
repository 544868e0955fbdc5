"""Solved forms: which index goes by which pivot, and which conditions stay."""

from functools import cache

import pytest
from sympy import Eq, Idx, IndexedBase, Sum, floor, log, symbols

import symgrad
from symgrad import Layer
from symgrad.check.steps import check_steps
from symgrad.compiler import Stages, run
from symgrad.declare.formula import equation_text
from symgrad.declare.program import Equation
from symgrad.emit.study import derivation_of
from symgrad.emit.study_chain import Chain, chain_of
from symgrad.emit.study_forms import SOLVE_RULE, Solver
from symgrad.emit.study_solve import SolvedForm, can_be_solved, solve_equation, with_sizes

N, K, L, s, a = symbols("N K L stride offset", integer=True, positive=True)
x, w, y = IndexedBase("x"), IndexedBase("w"), IndexedBase("y")
windows = Idx("i", floor((L - K) / s) + 1)
u = Idx("u", K)


@cache
def chained(name: str) -> tuple[Stages, Chain]:
    stages = run(symgrad.layers.get(name))
    return stages, chain_of(stages.stable)


def parts(chain: Chain, cotangent: str) -> list[Equation]:
    return [c.part for c in chain.to(cotangent)]


def solved(chain: Chain, part: Equation, others: bool = False) -> SolvedForm:
    form = solve_equation(part, frozenset(chain.bars), chain.adjoint.program.extents, others)
    assert form is not None
    return form


def steps(form: SolvedForm) -> list[tuple[str, str, str]]:
    return [(e.index.name, str(e.pivot), str(e.value)) for e in form.eliminations]


def test_pivots_are_retraced():
    _, chain = chained("conv2d")
    (part,) = parts(chain, "grad_x")
    assert steps(solved(chain, part)) == [
        ("i", "stride", "(h + padding - dilation * u) // stride"),
        ("j", "stride", "(w_t + padding - dilation * v) // stride"),
    ]
    form = solved(chain, part, others=True)
    assert [e.index.name for e in form.eliminations] == ["u", "v"]
    assert [r.tensor for r in form.extended] == ["w"]
    assert all(e.equality is not None and not e.unit for e in form.eliminations)


def test_divisibility_stays_and_ranges_become_zeros():
    _, chain = chained("conv1d")
    (part,) = parts(chain, "grad_x")
    assert equation_text(solved(chain, part).equation) == (
        "grad_x[n, c, l] = sum_{k, u : (l + padding - dilation * u) % stride == 0} "
        "pad(grad_y)[n, k, (l + padding - dilation * u) // stride] * w[k, c, u]"
    )


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool1d_split", "average_pool1d_exclude_padding"])
def test_ranges_stay_where_another_factor_would_be_undefined(name):
    _, chain = chained(name)
    (part,) = parts(chain, "grad_x")
    form = solved(chain, part)
    assert form.extended == ()
    assert ">= 0" in equation_text(form.equation)


def test_two_factors_may_both_be_zero_outside():
    _, chain = chained("grouped_conv1d")
    (part,) = parts(chain, "grad_x")
    form = solved(chain, part)
    assert sorted({r.tensor for r in form.extended}) == ["grad_y", "w"]
    assert form.effort[0] == 0


def test_the_form_with_fewer_conditions_comes_first():
    stages, chain = chained("max_pool1d")
    (part,) = parts(chain, "grad_x")
    forms = Solver(chain.adjoint.program, frozenset(chain.bars)).forms(part)
    assert [[e.index.name for e in form.eliminations] for form in forms] == [["u"], ["i"]]
    assert stages.derived.gradients == ("grad_x",)


def test_digits_make_an_index_solvable():
    _, chain = chained("flatten")
    (part,) = parts(chain, "grad_x")
    form = solved(chain, part)
    assert steps(form) == [("q_digit1", "1", "c"), ("q_digit2", "1", "h"), ("q_digit3", "1", "w")]
    assert form.digits is not None
    assert equation_text(form.equation) == "grad_x[n, c, h, w] = grad_y[n, H * W * c + W * h + w]"


def test_nothing_to_solve_without_an_equality():
    _, chain = chained("dense")
    assert [can_be_solved(e) for e in parts(chain, "grad_w")] == [False]


def test_a_special_case_needs_an_attribute_as_pivot():
    layer = Layer("even", inputs=[x[2 * N]], equations=[Eq(y[Idx("i", N)], x[2 * Idx("i", N)])])
    stages = run(layer)
    chain = chain_of(stages.stable)
    (part,) = parts(chain, "grad_x")
    solver = Solver(chain.adjoint.program, frozenset(chain.bars))
    (form,) = solver.forms(part)
    assert steps(form) == [("i", "2", "n // 2")]
    assert solver.special(part, form) is None


def test_a_special_case_puts_the_attribute_into_extents_as_well():
    _, chain = chained("conv1d")
    (part,) = parts(chain, "grad_x")
    solver = Solver(chain.adjoint.program, frozenset(chain.bars))
    values, form = solver.special(part, solver.forms(part)[0])
    assert values == {"stride": 1}
    assert equation_text(form.equation).endswith("pad(grad_y)[n, k, l + padding - dilation * u] * w[k, c, u]")
    put = with_sizes(part, values)
    extents = {i.name: str(i.extent) for r in [put.body] for i in r.indices}
    assert extents["i"] == "L + dilation + 2 * padding - R * dilation"


def declared(body) -> Layer:
    return Layer("declared", inputs=[x[L], w[K]], equations=[Eq(y[windows], body)], attributes={s: 2})


@pytest.mark.parametrize(
    "body",
    [
        Sum(x[s * windows + u] * w[u], u),
        Sum(x[s * windows + K - 1 - u] * w[u], u),
        Sum(log(1 + x[s * windows + u] ** 2) * w[u], u),
        Sum(x[s * windows + u] * x[s * windows] * w[u], u),
        Sum(x[s * windows + u] / (1 + w[u] ** 2), u) * w[0],
    ],
    ids=["window", "reversed", "function", "product", "quotient"],
)
def test_both_forms_have_the_value_of_the_scatter_form(body):
    stages = run(declared(body))
    steps = [step for step in derivation_of(stages).steps if not step.assuming]
    assert len([step for step in steps if step.rule == SOLVE_RULE]) >= 2
    assert check_steps(stages, 5, steps) == []


def test_a_number_read_from_data_is_no_extension():
    """w is read at ids[i] under the range of j, before and after: that does not make it zero outside."""
    ids, i, j = IndexedBase("ids"), Idx("i", N), Idx("j", K)
    layer = Layer("moved", [x[N, 2 * K], w[L, K], ids[N]], [Eq(y[i, j], x[i, j + K] * w[ids[i], j])], constants=[w])
    stages = run(layer)
    derivation = derivation_of(stages)
    assert "pad(w" not in derivation.to_text()
    steps = [step for step in derivation.steps if step.rule == SOLVE_RULE]
    assert steps and all("w[ids[" in equation_text(step.after) for step in steps)
    assert check_steps(stages, 1, steps) == []


def test_gradients_that_read_what_simplification_has_named() -> None:
    """A correlation over the energy of its windows: what several gradients share is an equation of its own."""
    channels, kernels = symbols("C M", integer=True, positive=True)
    n, i, c, m = Idx("n", N), Idx("i", L - K + 1), Idx("c", channels), Idx("m", kernels)
    energy = 1 + Sum(x[n, c, i + u] ** 2, c, u)
    correlation = Eq(y[n, m, i], Sum(x[n, c, i + u] * w[m, c, u], c, u) / energy)
    stages = run(Layer("energies", [x[N, channels, L], w[kernels, channels, K]], [correlation]))
    assert set(stages.derived.backward) - set(chain_of(stages.stable).adjoint.backward)
    steps = [step for step in derivation_of(stages).steps if not step.assuming]
    assert "grad_x" in {s.after.target for s in steps if s.rule == SOLVE_RULE and s.after is not None}
    assert check_steps(stages, 3, steps) == []
