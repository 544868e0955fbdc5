"""The derived backward pass: <u, J v> = <J^T u, v>, by the naive evaluator's own derivatives, and in its forms."""

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Max, Product, Sum, Symbol, exp, symbols

import symgrad
from symgrad import Layer, ReduceMax, ReduceMin, StopGradient
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import Linearised, linearise
from symgrad.declare.graph import groups
from symgrad.declare.integers import Index, Size, as_poly
from symgrad.declare.scalars import Compare, Reduce, Stopped, reads_of, tensors_of, walk
from symgrad.derive.adjoint import Adjoint, adjoint, row_major
from symgrad.derive.split import split
from symgrad.derive.trace import Trace

from ..data_evaluator import run
from ..points import NAMES, Point, cotangents, point, stages

N, M, K = symbols("N M K", integer=True, positive=True)
x, y, z, w, ids = (IndexedBase(name) for name in ("x", "y", "z", "w", "ids"))
n, m, k = Idx("n", N), Idx("m", M), Idx("k", K)


def reference(here: Point) -> Linearised:
    return linearise(here.layer, here.arrays, here.attributes)


def close(got: np.ndarray, want: np.ndarray, what: str) -> None:
    scale = max(1.0, float(np.abs(want).max(initial=0.0)))
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10 * scale, err_msg=what)


def chain(layer: Layer) -> Adjoint:
    trace = Trace()
    return adjoint(split(layer.program, trace), trace)


# --- every layer -------------------------------------------------------------------------------------------------


UNREACHED = "labellings_with_blanks"
"""States that cannot be reached are -oo: before simplification they are multiplied by 0."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xfail(strict=True)) if name == UNREACHED else name for name in NAMES]
)
def test_the_chain_rule_gives_the_derivatives_of_the_equations(name: str) -> None:
    """The scatter form, before anything is simplified."""
    here, derived = point(name), stages(name).chained
    found = reference(here)
    seeds = cotangents(dict(found.values), here.layer)
    want = found.pull_back(dict(zip(here.layer.program.real_outputs, seeds, strict=True)))
    arrays = here.arrays | dict(zip(derived.cotangents, seeds, strict=True))
    got = run(derived.program, arrays, here.attributes)
    assert len(derived.gradients) == len(here.wanted)
    for tensor, gradient in zip(here.wanted, derived.gradients, strict=True):
        assert got[gradient].shape == np.shape(here.arrays[tensor])
        close(got[gradient], want[tensor], f"{gradient} of {name}")


SMOOTH = [
    "dense",
    "conv2d",
    "grouped_conv1d",
    "transposed_conv1d",
    "average_pool1d",
    "batch_norm",
    "layer_norm",
    "sigmoid",
    "gelu",
    "silu",
    "elu",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "max_pool1d",
    "max_pool1d_split",
    "flatten",
    "diagonal_weighted",
    "backward_windows",
    "hankel_product",
    "circulant_product",
    "row_products",
    "segment_totals",
    "segment_means",
    "running_total",
    "ragged_mean",
    "value_at_the_best",
]


@pytest.mark.parametrize("name", SMOOTH)
def test_the_adjoint_identity_of_the_vjp_as_a_layer(name: str) -> None:
    """``vjp(layer)`` is a layer in SymPy again, evaluated by loops over its indices."""
    here = point(name)
    if not here.wanted:
        pytest.skip("no gradients")
    found = reference(here)
    seeds = cotangents(dict(found.values), here.layer)
    rng = np.random.default_rng(5)
    directions = {t: rng.normal(size=np.shape(here.arrays[t])) for t in here.wanted}
    pushed = 0.0
    for output, seed in zip(here.layer.program.real_outputs, seeds, strict=True):
        for tensor, direction in directions.items():
            pushed += float((seed * np.tensordot(found.jacobian[output][tensor], direction, direction.ndim)).sum())
    backward = symgrad.vjp(here.layer)
    extra = [t.name for t in backward.inputs if t.name not in here.arrays]
    assert len(extra) == len(seeds)
    values = evaluate(backward, here.arrays | dict(zip(extra, seeds, strict=True)), here.attributes)
    pulled = sum(float((values[g] * directions[t]).sum()) for t, g in zip(here.wanted, backward.outputs, strict=True))
    assert pulled == pytest.approx(pushed, rel=1e-9, abs=1e-11)


# --- forms -------------------------------------------------------------------------------------------------------


def layer(*equations: Any, inputs: tuple[Any, ...] = (x[N, M],), **options: Any) -> Layer:
    return Layer("layer", inputs=list(inputs), equations=list(equations), **options)


def body(derived: Adjoint, target: str) -> Any:
    found = derived.program.equation(target)
    assert found is not None
    return found.body


def test_a_bare_index_needs_no_condition() -> None:
    derived = chain(layer(Eq(y[n, m], x[n, m] * w[m]), inputs=(x[N, M], w[M])))
    assert not any(isinstance(node, Reduce | Compare) for node in walk(body(derived, "grad_x")))
    (total,) = [node for node in walk(body(derived, "grad_w")) if isinstance(node, Reduce)]
    assert [i.name for i in total.indices] == ["n"]


def test_every_other_axis_keeps_an_equality() -> None:
    derived = chain(layer(Eq(y[Idx("i", N - 1)], x[Idx("i", N - 1) + 1] ** 2), inputs=(x[N],)))
    conditions = [node for node in walk(body(derived, "grad_x")) if isinstance(node, Compare)]
    assert [c.relation for c in conditions] == ["=="]


def test_a_diagonal_keeps_one_equality() -> None:
    derived = chain(layer(Eq(y[n], x[n, n]), inputs=(x[N, N],)))
    conditions = [node for node in walk(body(derived, "grad_x")) if isinstance(node, Compare)]
    assert [c.relation for c in conditions] == ["=="]


def test_contributions_add_up() -> None:
    """Two reads, two equations and an output that another equation reads."""
    derived = chain(layer(Eq(y[n], x[n] ** 2 + x[N - 1 - n]), Eq(z[n], y[n] * x[n]), inputs=(x[N],), outputs=[y, z]))
    assert derived.cotangents == ("grad_y", "grad_z")
    assert derived.gradients == ("grad_x",)
    X = np.array([0.5, -1.0, 2.0])
    got = run(derived.program, {"x": X, "grad_y": np.ones(3), "grad_z": np.full(3, 2.0)})
    Y = X**2 + X[::-1]
    total = 1 + 2 * X
    np.testing.assert_allclose(got["grad_x"], 2 * Y + total * 2 * X + total[::-1], rtol=1e-14)


def test_an_input_that_nothing_reads_gets_zeros() -> None:
    derived = chain(layer(Eq(y[n], x[n, 0]), inputs=(x[N, M], w[M])))
    got = run(derived.program, {"x": np.ones((2, 3)), "w": np.ones(3), "grad_y": np.ones(2)})
    np.testing.assert_array_equal(got["grad_w"], np.zeros(3))


def test_constants_and_integers_get_nothing() -> None:
    derived = chain(layer(Eq(y[n], x[ids[n], 0] * w[n]), inputs=(x[K, M], ids[N], w[N]), constants=[w]))
    assert derived.gradients == ("grad_x",)


def test_a_stopped_factor_has_no_slope_and_keeps_its_value() -> None:
    derived = chain(layer(Eq(y[n], x[n] * StopGradient(x[n] ** 2)), inputs=(x[N],)))
    X = np.array([0.5, -1.0])
    np.testing.assert_allclose(run(derived.program, {"x": X, "grad_y": np.ones(2)})["grad_x"], X**2)
    assert not any(r.tensor == "x" for r in reads_of(body(derived, "grad_x")) if not _stopped(derived, r))


def _stopped(derived: Adjoint, read: Any) -> bool:
    stopped = [node for node in walk(body(derived, "grad_x")) if isinstance(node, Stopped)]
    return any(read in reads_of(node) for node in stopped)


@pytest.mark.parametrize(("reduction", "pick"), [(ReduceMax, np.argmax), (ReduceMin, np.argmin)])
def test_the_first_extremum_takes_all(reduction: Any, pick: Any) -> None:
    derived = chain(layer(Eq(y[n], reduction(x[n, m], m))))
    X = np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0], [-1.0, -5.0, -5.0]])
    got = run(derived.program, {"x": X, "grad_y": np.array([1.0, 2.0, 3.0])})
    want = np.zeros((3, 3))
    want[np.arange(3), pick(X, axis=1)] = [1, 2, 3]
    np.testing.assert_array_equal(got["grad_x"], want)
    assert got["winner_y"].dtype == np.int64


def test_split_ties_share() -> None:
    derived = chain(layer(Eq(y[n], ReduceMax(x[n, m], m, ties="split"))))
    X = np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]])
    got = run(derived.program, {"x": X, "grad_y": np.array([1.0, 3.0])})
    np.testing.assert_allclose(got["grad_x"], [[0, 0.5, 0.5], [1, 1, 1]])


def test_a_product_with_zeros_is_not_divided_by() -> None:
    derived = chain(layer(Eq(y[n], Product(x[n, m], m))))
    X = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [1.0, 2.0, 4.0]])
    got = run(derived.program, {"x": X, "grad_y": np.ones(3)})
    np.testing.assert_array_equal(got["grad_x"], [[0, 6, 0], [0, 0, 0], [8, 4, 2]])


def test_a_cumulative_product_with_zeros() -> None:
    p = Symbol("p", integer=True)
    derived = chain(layer(Eq(y[n], Product(x[p], (p, 0, n))), inputs=(x[N],)))
    X = np.array([2.0, 0.0, 3.0, 5.0])
    got = run(derived.program, {"x": X, "grad_y": np.ones(4)})
    np.testing.assert_allclose(got["grad_x"], [1, 2 + 6 + 30, 0, 0])


# --- names -------------------------------------------------------------------------------------------------------


def test_cotangents_are_fresh_against_the_layer() -> None:
    grad_y = IndexedBase("grad_y")
    derived = chain(layer(Eq(y[n], x[n] * grad_y[n]), inputs=(x[N], grad_y[N])))
    assert derived.cotangents == ("grad_y_2",)
    assert len(set(derived.gradients)) == 2
    assert not set(derived.gradients) & {"grad_y", "grad_y_2"}


def test_an_attribute_is_no_name_for_a_cotangent() -> None:
    slope = Symbol("grad_y", real=True)
    derived = chain(layer(Eq(y[n], Max(x[n], slope * x[n])), inputs=(x[N],), attributes={slope: 0.1}))
    assert derived.cotangents == ("grad_y_2",)


@pytest.mark.parametrize("name", NAMES)
def test_backward_reads_only_what_exists(name: str) -> None:
    for derived in (stages(name).chained, stages(name).derived):
        defined = {t.name for t in derived.program.inputs} | {a.name for a in derived.program.attributes}
        for group in groups(derived.program.equations):
            targets = {q.target for q in group}
            assert len(targets) == len(group) and not targets & defined
            defined |= targets
            for equation in group:
                assert set(tensors_of(equation.body)) <= defined, equation.target
        assert set(derived.gradients) <= set(derived.backward) <= defined
        assert set(derived.cotangents) <= defined


def test_the_position_of_an_index_tuple() -> None:
    i, j = Index("i", as_poly(Size("N"))), Index("j", as_poly(Size("M")))
    assert row_major((i, j)) == as_poly(i) * as_poly(Size("M")) + as_poly(j)
    assert row_major(()) == as_poly(0)


def test_the_trace_has_a_step_for_every_cotangent() -> None:
    trace = Trace()
    program = split(layer(Eq(y[n], exp(Sum(x[n, m], m)))).program, trace)
    derived = adjoint(program, trace)
    steps = [s.after.target for s in trace.steps if s.rule == "chain rule"]
    assert steps == list(derived.backward)


def test_a_stop_does_not_hide_what_it_is_multiplied_with() -> None:
    """A factor that would be 0 if the stopped value were 1."""
    derived = chain(layer(Eq(y[n], x[n] * (1 - StopGradient(x[n]))), inputs=(x[N],)))
    X = np.array([0.5, -1.0])
    np.testing.assert_allclose(run(derived.program, {"x": X, "grad_y": np.ones(2)})["grad_x"], 1 - X)
