"""Statements after the split: one reduction each, the same values as the equations they came from."""

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Max, Mod, Piecewise, Product, Sum, Symbol, exp, log, symbols

from symgrad import ArgMax, Layer, LogSumExp, Padded, ReduceMax
from symgrad.declare.graph import groups
from symgrad.declare.integers import Entry, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import Add, Mul, Node, Read, Reduce, children, polynomials, reads_of, tensors_of, walk
from symgrad.derive.split import split
from symgrad.derive.trace import Trace

from ..agreement import normals
from ..data_evaluator import run
from ..points import NAMES, point, stages

N, M, K, D = symbols("N M K D", integer=True, positive=True)
x, y, z, w, ids = (IndexedBase(name) for name in ("x", "y", "z", "w", "ids"))
n, m, k, d = Idx("n", N), Idx("m", M), Idx("k", N), Idx("d", D)


def splitted(*equations: Any, inputs: tuple[Any, ...] = (x[N, M],), **options: Any) -> Program:
    layer = Layer("layer", inputs=list(inputs), equations=list(equations), **options)
    return split(layer.program, Trace())


def reductions(equation: Equation) -> list[Reduce]:
    return [node for node in walk(equation.body) if isinstance(node, Reduce)]


def nested(node: Node, inside: bool = False) -> bool:
    """Whether a reduction stands inside another, or under anything but a sum of products."""
    if isinstance(node, Reduce):
        return inside or any(nested(child, True) for child in children(node))
    linear = isinstance(node, Add | Mul) and not inside
    return any(nested(child, not linear) for child in children(node))


# --- every layer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_statements_have_the_values_of_the_equations(name: str) -> None:
    here, program = point(name), stages(name).split
    want = run(here.layer.program, here.arrays, here.attributes)
    got = run(program, here.arrays, here.attributes)
    for target, values in want.items():
        np.testing.assert_allclose(got[target], values, rtol=1e-12, atol=1e-13, err_msg=target)
        assert got[target].dtype == values.dtype


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_reduces_once_at_its_top(name: str) -> None:
    program = stages(name).split
    for equation in program.equations:
        assert not nested(equation.body), equation.target
        kinds = {r.kind for r in reductions(equation)}
        assert kinds <= {"sum"} or len(reductions(equation)) == 1
    defined: set[str] = {t.name for t in program.inputs} | {a.name for a in program.attributes}
    for group in groups(program.equations):
        defined |= {e.target for e in group}
        for equation in group:
            assert set(tensors_of(equation.body)) <= defined, f"{equation.target} reads what comes later"
    assert len({e.target for e in program.equations}) == len(program.equations)


# --- names and sharing -------------------------------------------------------------------------------------------


def targets(program: Program) -> list[str]:
    return [e.target for e in program.equations]


def test_an_inner_sum_is_named_after_what_it_adds() -> None:
    program = splitted(Eq(y[n, m], exp(x[n, m]) / Sum(exp(x[n, Idx("j", M)]), Idx("j", M))))
    assert targets(program) == ["sum_exp", "y"]
    assert [len(e.indices) for e in program.equations] == [1, 2]


def test_equal_inner_sums_are_one() -> None:
    j, o = Idx("j", M), Idx("o", M)
    program = splitted(
        Eq(y[n, m], x[n, m] / Sum(x[n, j] ** 2, j) + 1 / Sum(x[n, o] ** 2, o)), Eq(z[n], log(Sum(x[n, j] ** 2, j)))
    )
    assert sum(len(reductions(e)) for e in program.equations) == 1
    assert targets(program)[-2:] == ["y", "z"]


def test_transposed_sums_are_not_one() -> None:
    program = splitted(
        Eq(y[n, k], exp(Sum(x[n, m] * w[k, m], m)) + exp(Sum(x[k, m] * w[n, m], m))), inputs=(x[N, M], w[N, M])
    )
    arrays = normals(x=(3, 2), w=(3, 2))
    got = run(program, arrays)["y"]
    cross = arrays["x"] @ arrays["w"].T
    np.testing.assert_allclose(got, np.exp(cross) + np.exp(cross.T), rtol=1e-12)


def test_a_name_that_is_taken_is_left_alone() -> None:
    sum_exp = IndexedBase("sum_exp")
    program = splitted(
        Eq(y[n], sum_exp[n] * log(Sum(exp(x[n, m]), m))),
        inputs=(x[N, M], sum_exp[N]),
        attributes={Symbol("sum_exp_2"): 1.0},
    )
    assert targets(program) == ["sum_exp_3", "y"]


def test_a_sum_of_a_sum_is_one_sum() -> None:
    program = splitted(Eq(Symbol("t"), Sum(Sum(x[n, m], m), n)))
    (equation,) = program.equations
    (node,) = reductions(equation)
    assert {i.name for i in node.indices} == {"n", "m"}


def test_a_constant_factor_stays_outside() -> None:
    program = splitted(Eq(y[n], Sum(x[n, m], m) / M + 2 * Sum(x[n, m] ** 2, m)))
    assert targets(program) == ["y"]


def test_a_sum_beside_a_function_of_another_is_hoisted() -> None:
    program = splitted(Eq(y[n], Sum(x[n, m], m) * Sum(x[n, m] ** 2, m) + Max(Product(x[n, m], m), 0)))
    assert len(targets(program)) == 4
    assert targets(program)[-1] == "y"
    assert any(name.startswith("prod_") for name in targets(program))


# --- guards ------------------------------------------------------------------------------------------------------


def test_an_inner_reduction_carries_the_conditions_of_its_arm() -> None:
    """sum over x[n + 1] would leave x at the last n."""
    program = splitted(Eq(y[n], Piecewise((exp(Sum(x[n + 1, m], m)), n < N - 1), (0, True))))
    arrays = normals(x=(4, 3))
    want = np.append(np.exp(arrays["x"][1:].sum(1)), 0)
    np.testing.assert_allclose(run(program, arrays)["y"], want, rtol=1e-12)


def test_the_last_arm_carries_the_opposite() -> None:
    program = splitted(Eq(y[n], Piecewise((0, n < 2), (log(Sum(x[n - 2, m] ** 2, m)), True))))
    arrays = normals(x=(4, 3))
    want = np.append([0, 0], np.log((arrays["x"][:2] ** 2).sum(1)))
    np.testing.assert_allclose(run(program, arrays)["y"], want, rtol=1e-12)


def test_a_choice_against_the_identity_becomes_a_condition() -> None:
    j = Idx("j", M)
    program = splitted(Eq(y[n], Sum(Piecewise((x[n, j], j <= n), (0, True)), j)))
    (node,) = reductions(program.equations[0])
    assert isinstance(node.body, Read)
    assert node.condition.poly is not None


# --- extensions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("wrap", "wrap")])
@pytest.mark.parametrize("extent", [1, 2, 5])
def test_extensions_become_index_maps(mode: str, numpy_mode: str, extent: int) -> None:
    t = Idx("t", N + 6)
    program = splitted(Eq(y[t], Padded(x, mode=mode)[t - 3] ** 2), inputs=(x[N],))
    assert all(r.extension is None for e in program.equations for r in reads_of(e.body))
    arrays = normals(x=(extent,))
    got = run(program, arrays)["y"]
    # np.pad's reflect of one element is that element, as ours.
    np.testing.assert_allclose(got, np.pad(arrays["x"], 3, mode=numpy_mode) ** 2, rtol=1e-14)


def test_one_copy_has_the_border_of_all_its_reads() -> None:
    read = Padded(x, mode="replicate")
    program = splitted(Eq(y[n], read[n - 1] * x[n] + read[n + 2] ** 2), inputs=(x[N],))
    copy, last = program.equations
    assert {r.tensor for r in reads_of(copy.body)} == {"x"}
    assert str(copy.indices[0].extent - last.indices[0].extent) == "3"
    arrays = normals(x=(4,))
    padded = np.pad(arrays["x"], (1, 2), mode="edge")
    np.testing.assert_allclose(run(program, arrays)["y"], padded[:4] * arrays["x"] + padded[3:] ** 2, rtol=1e-14)


def test_what_wraps_without_known_bounds_is_gathered() -> None:
    shift = Symbol("shift", integer=True)
    program = splitted(Eq(y[n], x[Mod(n - shift, N)]), inputs=(x[N],), attributes={shift: 1})
    assert [e.target for e in program.equations] == ["y"]


def test_a_constant_extension_stays() -> None:
    program = splitted(Eq(y[n], Padded(x)[n - 1] ** 2), inputs=(x[N],))
    (read,) = reads_of(program.equations[0].body)
    assert read.extension is not None


# --- extrema -----------------------------------------------------------------------------------------------------


def test_an_inner_position_is_an_integer_statement() -> None:
    program = splitted(Eq(y[n], x[n, 0] + ArgMax(x[n, m], m)))
    integers = [e for e in program.equations if e.integer]
    assert [e.target for e in integers] == ["argmax_x"]
    entries = {a.tensor for p in polynomials(program.equations[-1].body) for a in atoms(p) if isinstance(a, Entry)}
    assert entries == {"argmax_x"}


def test_a_maximum_over_two_window_axes_is_taken_one_axis_at_a_time() -> None:
    t, q, a, b = Idx("t", N - 1), Idx("q", M - 2), Idx("a", 2), Idx("b", 3)
    program = splitted(Eq(y[t, q], ReduceMax(x[t + a, q + b], a, b)))
    assert [len(r.indices) for e in program.equations for r in reductions(e)] == [1, 1]
    arrays = normals(x=(4, 5))
    want = np.lib.stride_tricks.sliding_window_view(arrays["x"], (2, 3)).max((2, 3))
    np.testing.assert_array_equal(run(program, arrays)["y"], want)


def test_split_ties_are_not_taken_apart() -> None:
    """Evenly over both axes is not evenly over one and then over the other."""
    t, q, a, b = Idx("t", N - 1), Idx("q", M - 2), Idx("a", 2), Idx("b", 3)
    program = splitted(Eq(y[t, q], ReduceMax(x[t + a, q + b], a, b, ties="split")))
    assert [len(r.indices) for e in program.equations for r in reductions(e)] == [2]


def test_log_sum_exp_is_a_logarithm_of_a_sum() -> None:
    program = splitted(Eq(y[n], LogSumExp(x[n, m], m)))
    assert targets(program) == ["sum_exp", "y"]


def test_the_trace_names_every_new_statement() -> None:
    trace = Trace()
    layer = Layer("layer", inputs=[x[N, M]], equations=[Eq(y[n], log(Sum(exp(x[n, m]), m)))])
    split(layer.program, trace)
    assert [(step.before is None, step.after.target) for step in trace.steps] == [(True, "sum_exp"), (False, "y")]
    assert {step.rule for step in trace.steps} == {"name inner reductions"}
