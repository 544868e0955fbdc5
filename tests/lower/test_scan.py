"""Recurrences as loops: the loop over the steps is the only one, and what does not depend on the state is outside."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, exp, symbols, tanh

import symgrad
from symgrad import Layer, LogSumExp, Padded, ReduceMax
from symgrad.compiler import CompiledLayer, run

RECURRENT = (
    "crf_log_partition", "exponential_moving_average", "gru", "linear_recurrence", "lstm", "rnn", "soft_dtw",
    "state_space_scan",
)  # fmt: skip
T, D, B = symbols("T D B", integer=True, positive=True)
x, h, w, y = (IndexedBase(name) for name in ["x", "h", "w", "y"])
t, i, j, b = Idx("t", T), Idx("i", D), Idx("j", D), Idx("b", B)


def functions(source: str) -> dict[str, ast.FunctionDef]:
    return {n.name: n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}


def loops(node: ast.AST) -> list[ast.For]:
    return [n for n in ast.walk(node) if isinstance(n, ast.For)]


def products(node: ast.AST) -> int:
    return sum(isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult) for n in ast.walk(node))


def simple() -> Layer:
    inner = Sum(w[i, j] * Padded(h)[b, t - 1, j], j)
    return Layer("simple", inputs=[x[B, T, D], w[D, D]], equations=[Eq(h[b, t, i], tanh(x[b, t, i] + inner))])


@pytest.mark.parametrize("name", RECURRENT)
def test_loops_run_over_steps_only(name: str) -> None:
    found = functions(symgrad.compile_layer(symgrad.layers.get(name)).source)
    steps = {"diagonal"} if name == "soft_dtw" else {"t"}
    for function in (found["forward"], found["backward"]):
        inside = loops(function)
        if "_carry(" in ast.unparse(function):
            assert not inside  # affine in one state
            continue
        assert inside
        # What a step forms of much less is formed again afterwards in chunks, whose loop is over their starts.
        chunks = {"start"} if name == "crf_log_partition" and function is found["backward"] else set()
        assert {n.target.id for n in inside if isinstance(n.target, ast.Name)} == steps | chunks
        assert not any(isinstance(n, ast.ListComp | ast.List) for n in ast.walk(function))


@pytest.mark.parametrize(("name", "forward", "backward"), [("rnn", 1, 1), ("lstm", 1, 1), ("gru", 3, 3)])
def test_a_step_multiplies_by_the_recurrent_weights_alone(name: str, forward: int, backward: int) -> None:
    """The products with the inputs, and those for the gradients of all weights, are outside of the loop."""
    found = functions(symgrad.compile_layer(symgrad.layers.get(name)).source)
    assert [products(n) for n in loops(found["forward"])] == [forward]
    assert [products(n) for n in loops(found["backward"])] == [backward]
    assert products(found["backward"]) > backward


def test_the_cotangents_run_the_other_way() -> None:
    found = functions(symgrad.compile_layer(simple()).source)
    (forward,), (backward,) = loops(found["forward"]), loops(found["backward"])
    assert ast.unparse(forward.iter) == "range(T)"
    assert ast.unparse(backward.iter) == "reversed(range(T))"


def test_a_base_case_is_no_test_in_the_loop() -> None:
    first = Piecewise((tanh(x[b, t, i]), Eq(t, 0)), (tanh(x[b, t, i] + Sum(w[i, j] * h[b, t - 1, j], j)), True))
    layer = Layer("peeled", inputs=[x[B, T, D], w[D, D]], equations=[Eq(h[b, t, i], first)])
    source = symgrad.compile_layer(layer).source
    (loop,) = loops(functions(source)["forward"])
    assert ast.unparse(loop.iter) == "range(1, T)"
    assert not any(isinstance(n, ast.If) or "where" in ast.unparse(n) for n in ast.walk(loop))


def test_what_is_the_same_in_every_step_is_computed_before_the_loop() -> None:
    layer = Layer(
        "weights",
        inputs=[x[B, T, D], w[D, D]],
        equations=[Eq(h[b, t, i], tanh(x[b, t, i] + Padded(h)[b, t - 1, i] * w[i, i] ** 2))],
    )
    (loop,) = loops(functions(symgrad.compile_layer(layer).source)["forward"])
    assert "np.square" not in ast.unparse(loop) and "w[" not in ast.unparse(loop)


def test_the_order_of_ranges_may_be_unknown() -> None:
    """With T = 1, 2, 3 the last step, the first two and the others fall together in different ways."""
    k = symbols("k", integer=True)
    body = Piecewise((x[t, i], t < 2), (h[t - 1, i] / 2, Eq(t, T - 1)), (h[t - 2, i] + Sum(x[k, i], (k, 0, t)), True))
    layer = Layer("ends", inputs=[x[T, D]], equations=[Eq(h[t, i], body)])
    assert symgrad.check_layer(layer).ok
    compiled = symgrad.compile_layer(layer)
    for steps in (1, 2, 3, 4):
        array = np.arange(2.0 * steps).reshape(steps, 2)
        want = array.copy()
        for place in range(2, steps):
            want[place] = (
                want[place - 1] / 2 if place == steps - 1 else want[place - 2] + array[: place + 1].sum(axis=0)
            )
        np.testing.assert_allclose(compiled.forward(array)[0], want)


@pytest.mark.parametrize("make", [simple, lambda: symgrad.layers.lstm, lambda: symgrad.layers.linear_recurrence])
def test_the_general_form_gives_the_same(make) -> None:
    layer = make()
    rng = np.random.default_rng(0)
    sizes = {"N": 2, "T": 4, "C": 3, "M": 2, "B": 2, "D": 3}
    shapes = [tuple(int(str(sizes.get(str(e), e))) for e in tensor.shape) for tensor in layer.inputs]
    arrays = [rng.normal(size=shape) for shape in shapes]
    results = []
    for general in (False, True):
        compiled = CompiledLayer(run(layer, general))
        outputs, residuals = compiled.forward(*arrays)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        results.append((*outputs, *compiled.backward(residuals, *(np.cos(o) for o in outputs))))
    for fast, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-13)


def test_paths_of_ten_thousand_in_float32() -> None:
    """A step of the forward algorithm is a log-sum-exp: no overflow, no nan."""
    score, path = IndexedBase("score"), IndexedBase("path")
    inner = Piecewise((0, Eq(t, 0)), (LogSumExp(path[t - 1, j] + w[j, i], j), True))
    layer = Layer("paths", inputs=[score[T, D], w[D, D]], equations=[Eq(path[t, i], score[t, i] + inner)])
    compiled = symgrad.compile_layer(layer)
    rng = np.random.default_rng(0)
    arrays = [(1e4 * rng.normal(size=s)).astype(np.float32) for s in ((6, 3), (3, 3))]
    found, residuals = compiled.forward(*arrays)
    want = arrays[0][0].astype(np.float64)
    for row in arrays[0][1:].astype(np.float64):
        want = row + np.logaddexp.reduce(want[:, None] + arrays[1], axis=0)
    np.testing.assert_allclose(found[-1], want, rtol=1e-5)
    gradients = compiled.backward(residuals, np.ones_like(found))
    assert all(np.isfinite(g).all() for g in gradients)
    assert all(g.dtype == np.float32 for g in gradients)


def volterra() -> Layer:
    s = symbols("s", integer=True)
    inner = Sum(w[t, s] * y[b, s, i], (s, 0, t - 1))
    return Layer("volterra", inputs=[x[B, T, D], w[T, T]], equations=[Eq(y[b, t, i], tanh(x[b, t, i] + inner))])


def attending() -> Layer:
    """Each state reads those before it, weighted by a softmax of products with the input.

    The summed index of one equation is the recurrent index of another.
    """
    s, u = symbols("s u", integer=True)
    score = Sum(x[b, t, j] * y[b, s, j], j)
    other = Sum(x[b, t, j] * y[b, u, j], j)
    read = Sum(exp(score) * y[b, s, i], (s, 0, t - 1)) / Sum(exp(other), (u, 0, t - 1))
    body = x[b, t, i] + Piecewise((read, t > 0), (0, True)) / 2
    return Layer("attending", inputs=[x[B, T, D]], equations=[Eq(y[b, t, i], body)])


@pytest.mark.parametrize(("make", "names"), [(volterra, ("forward", "backward")), (attending, ("forward",))])
def test_a_sum_over_the_past_is_a_slice_of_it(make, names) -> None:
    layer = make()
    tree = functions(symgrad.compile_layer(layer).source)
    for name in names:
        inside = loops(tree[name])
        text = "".join(map(ast.unparse, inside))
        assert "where" not in text and "arange" not in text
        steps = {loop.target.id for loop in inside if isinstance(loop.target, ast.Name)}
        slices = [n for loop in inside for n in ast.walk(loop) if isinstance(n, ast.Slice)]
        assert any(isinstance(n, ast.Name) and n.id in steps for s in slices for n in ast.walk(s))
    report = symgrad.check_layer(layer)
    assert report.ok, report


def test_a_maximum_and_its_position_are_found_in_one_search() -> None:
    """Candidates of a step are compared once; the first of equal ones wins."""
    before = ReduceMax(h[b, t - 1, i] + w[i, j], i)
    equation = Eq(h[b, t, j], Piecewise((x[b, t, j], Eq(t, 0)), (x[b, t, j] + before, True)))
    layer = Layer("best", inputs=[x[B, T, D], w[D, D]], equations=[equation])
    compiled = symgrad.compile_layer(layer)
    (loop,) = loops(functions(compiled.source)["forward"])
    calls = [n.func.attr for n in ast.walk(loop) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    assert calls.count("argmax") == 1
    assert "max" not in calls
    rng = np.random.default_rng(0)
    scores, moves = rng.integers(0, 3, (2, 4, 3)).astype(float), rng.integers(0, 2, (3, 3)).astype(float)
    states, residuals = compiled.forward(scores, moves)
    wanted = [scores[:, 0]]
    for step in range(1, 4):
        wanted.append(scores[:, step] + (wanted[-1][:, :, None] + moves).max(axis=1))
    np.testing.assert_array_equal(states, np.stack(wanted, axis=1))
    grads = compiled.backward(residuals, np.ones_like(states))
    general = CompiledLayer(run(layer, general=True))
    expected = general.backward(general.forward(scores, moves)[1], np.ones_like(states))
    np.testing.assert_array_equal(grads.x, expected.x)
    np.testing.assert_array_equal(grads.w, expected.w)
