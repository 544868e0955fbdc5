"""Costly values that are needed again become named intermediates, and nothing else changes."""

import ast
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, erf, exp, log, sin, symbols, tanh

import symgrad
from symgrad import Layer, check_layer, compile_layer
from symgrad.declare.program import Program
from symgrad.declare.scalars import Apply, Reduce, show_scalar, walk
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.simplify.costly import COSTLY
from symgrad.simplify.named import name_costly
from symgrad.simplify.stable import stabilise

from ..agreement import normals
from ..data_evaluator import run
from ..points import NAMES, point, stages

N, M, K = symbols("N M K", integer=True, positive=True)
x, y, z, w = (IndexedBase(name) for name in "xyzw")
n, m, j, k = Idx("n", N), Idx("m", M), Idx("j", M), Idx("k", K)
COSTLY_CALLS = tuple(f"np.{name}(" for name in ("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "power"))


def named(right: Any, left: Any = y[n, m], inputs: tuple[Any, ...] = (x[N, M],)) -> tuple[Program, Program]:
    """The stable program before and after naming."""
    layer = Layer("named", inputs=list(inputs), equations=[Eq(left, right)])
    before = stabilise(split(layer.program, Trace()), Trace())
    return before, name_costly(before, Trace())


def targets(program: Program) -> list[str]:
    return [q.target for q in program.equations]


def counted(program: Program) -> int:
    return sum(isinstance(node, Apply) and node.function in COSTLY for q in program.equations for node in walk(q.body))


def test_a_value_that_occurs_twice_is_named_once() -> None:
    before, after = named(x[n, m] * tanh(x[n, m]) + tanh(x[n, m]) ** 2)
    assert targets(after) == ["tanh_x", "y"]
    assert (counted(before), counted(after)) == (2, 1)


@pytest.mark.parametrize("right", [x[n, m] * log(x[n, m]), x[n, m] * (log(x[n, m]) + 1)])
def test_a_value_that_occurs_once_stays(right: Any) -> None:
    before, after = named(right)
    assert after == before


@pytest.mark.parametrize("function", [exp, tanh, erf])
def test_a_value_that_its_own_slope_needs_is_named(function: Any) -> None:
    _, after = named(x[n, m] * function(x[n, m]))
    assert targets(after) == [f"{function.__name__}_x", "y"]


def test_an_equation_that_is_the_value_has_a_name_already() -> None:
    layer = Layer("named", inputs=[x[N, M]], equations=[Eq(z[n, m], exp(x[n, m])), Eq(y[n], Sum(z[n, m], m))])
    before = stabilise(split(layer.program, Trace()), Trace())
    assert name_costly(before, Trace()) == before


def test_the_same_value_under_other_index_names_is_one() -> None:
    _, after = named(log(1 + exp(x[n, m])) + Sum(log(1 + exp(x[n, j])), j))
    assert targets(after) == ["softplus_x", "y"]


def test_the_same_function_of_other_elements_is_another() -> None:
    o = Idx("o", N)
    _, after = named(sin(x[n, o]) * sin(x[o, n]) + sin(x[n, o]), inputs=(x[N, N],), left=y[n, o])
    values = {"x": normals(x=(3, 3))["x"]}
    assert "sin_x" in targets(after)
    np.testing.assert_allclose(
        run(after, values)["y"], np.sin(values["x"]) * np.sin(values["x"].T) + np.sin(values["x"]), rtol=1e-13
    )


def test_exponentials_in_a_shifted_sum_are_named() -> None:
    """Softmax needs them in the sum and above it."""
    _, after = named(exp(x[n, m]) / Sum(exp(x[n, j]), j))
    assert targets(after) == ["max_x", "exp_x", "sum_exp", "y"]
    assert counted(after) == 1


def test_a_condition_of_the_sum_goes_into_the_named_value() -> None:
    """Where the condition fails the exponential might overflow: it is 0 there."""
    before, after = named(Sum(exp(x[n, j]) * w[j], (j, 0, m)) / Sum(exp(x[n, j]), (j, 0, m)), inputs=(x[N, M], w[M]))
    assert counted(after) <= counted(before)
    arrays = normals(x=(2, 4), w=(4,))
    np.testing.assert_allclose(run(after, arrays)["y"], run(before, arrays)["y"], rtol=1e-13)
    arrays["x"][0] = [0.0, 1.0, 2.0, 800.0]
    assert np.isfinite(run(after, arrays)["y"][0, :3]).all()


def test_a_name_that_is_taken_is_left_alone() -> None:
    tanh_x = IndexedBase("tanh_x")
    _, after = named(tanh(x[n, m]) * tanh_x[n] + tanh(x[n, m]) ** 2, inputs=(x[N, M], tanh_x[N]))
    assert targets(after) == ["tanh_x_2", "y"]


def test_axes_stand_as_the_tensor_has_them() -> None:
    _, after = named(Sum(erf(x[j, n]) * erf(x[j, n]) * w[m], j), inputs=(x[M, N], w[M]), left=y[n, m])
    made = after.equations[0]
    assert made.target == "erf_x"
    assert tuple(i.extent for i in made.indices) == after.extents("x")


TWICE = {
    "first_and_previous": "an element that needs no step is written out in a maximum and in a sum",
    "soft_average_of_the_past": "the factor of two recurrences, which lowering names",
}


def known(names: list[str], reasons: dict[str, str]) -> list[Any]:
    """Names as parameters, those with a reason expected to fail."""
    marks = {name: pytest.mark.xfail(strict=True, reason=reason) for name, reason in reasons.items()}
    return [pytest.param(name, marks=marks[name]) if name in marks else name for name in names]


@pytest.mark.parametrize("name", known(NAMES, TWICE))
def test_no_costly_value_is_computed_twice(name: str) -> None:
    """Within one equation and, up to index names, across equations: the statements of a layer after naming."""
    here, made = point(name), stages(name)
    seen: list[Apply] = []
    for equation in made.stable.equations:
        found = {node for node in walk(equation.body) if isinstance(node, Apply) and node.function in COSTLY}
        found = {node for node in found if not any(isinstance(part, Reduce) for part in walk(node))}
        seen += [node for node in found if any(hasattr(part, "tensor") for part in walk(node))]
    assert len(seen) == len(set(seen)), here.layer.name


@pytest.mark.parametrize("name", NAMES)
def test_no_costly_call_stands_twice_in_forward(name: str) -> None:
    """Outside loops; each is another array there."""
    tree = ast.parse(stages(name).source)
    (forward,) = (s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == "forward")
    once = [s for s in forward.body if not isinstance(s, ast.For | ast.If | ast.FunctionDef)]
    calls = [ast.unparse(c) for s in once for c in ast.walk(s) if isinstance(c, ast.Call)]
    seen = [c for c in calls if c.startswith(COSTLY_CALLS) and "out=" not in c]
    assert len(seen) == len(set(seen)), seen


def test_the_trace_names_the_rule() -> None:
    trace = Trace()
    layer = Layer("named", [x[N, M]], [Eq(y[n, m], x[n, m] * tanh(x[n, m]) + tanh(x[n, m]) ** 2)])
    name_costly(split(layer.program, Trace()), trace)
    assert [(s.rule, s.before is None, s.after.target) for s in trace.steps] == [
        ("name a value that is used again", True, "tanh_x"),
        ("name a value that is used again", False, "y"),
    ]


def test_a_sum_keeps_conditions_without_which_another_factor_is_no_number() -> None:
    i, j = Idx("i", N), Idx("j", N)
    _, after = named(Sum(exp(x[i] * x[j]) * log(1 + w[i] - w[j]), (j, 0, i)), y[i], (x[N], w[N]))
    assert targets(after) == ["exp_x", "y"]
    X, W = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 4.0])
    want = [sum(np.exp(X[a] * X[b]) * np.log(1 + W[a] - W[b]) for b in range(a + 1)) for a in range(3)]
    np.testing.assert_allclose(run(after, {"x": X, "w": W})["y"], want, rtol=1e-12)
    layer = Layer("named", [x[N], w[N]], [Eq(y[i], Sum(exp(x[i] * x[j]) * log(1 + w[i] - w[j]), (j, 0, i)))])
    got, residuals = compile_layer(layer).forward(X, W)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    assert all(np.isfinite(g).all() for g in compile_layer(layer).backward(residuals, np.ones(3)))


def test_a_sum_keeps_conditions_that_keep_another_factor_inside() -> None:
    i, j = Idx("i", N), Idx("j", N)
    body = Sum(Piecewise((exp(x[i] * x[j]) * w[j - i], j >= i), (0, True)), j)
    _, after = named(body, y[i], (x[N], w[N]))
    assert targets(after) == ["exp_x", "y"]
    assert check_layer(symgrad.jvp(Layer("named", [x[N], w[N]], [Eq(y[i], body)])), cases=2).ok


@pytest.mark.parametrize(
    ("right", "name", "body"),
    [
        (x[n, m] * (erf(x[n, m]) + 1) / 2, "erf_x_shifted", "1/2*(erf(x[n, m]) + 1)"),
        (z[m] * (3 - erf(x[n, m])), "erf_x_shifted", "(3 + -1*erf(x[n, m]))"),
        (Sum(z[j] * (erf(x[n, j]) + 1) / 2, j) * x[n, m], "erf_x_shifted", "(erf(x[n, j]) + 1)"),
        (x[n, m] * (erf(x[n, m]) + 1) + erf(x[n, m]) ** 2, "erf_x", "erf(x[n, m])"),
        (x[n, m] * (erf(x[n, m]) + 1) + z[m] * (erf(x[n, m]) + 2), "erf_x", "erf(x[n, m])"),
        (x[n, m] * (tanh(x[n, m]) + 2), "tanh_x", "tanh(x[n, m])"),
        (x[n, m] * (sin(x[n, m]) + 2) ** 2 + z[m] * (sin(x[n, m]) + 2), "sin_x_shifted", "(sin(x[n, m]) + 2)"),
    ],
)
def test_what_alone_reads_a_value_is_named_with_it(right, name, body):
    """One affine function of it, if the slope does without the value itself: with a tanh it does not."""
    inputs = tuple(t for t in (x[N, M], z[M]) if right.has(t.base))
    _, after = named(right, inputs=inputs)
    made = after.equations[0]
    assert made.target == name
    assert show_scalar(made.body) == body
    assert counted(after) == 1
    layer = Layer("shifted", inputs=list(inputs), equations=[Eq(y[n, m], right)])
    assert check_layer(layer, cases=2).ok
