"""Tests of ``wrt`` in backward passes: short where few inputs need a statement, computed once where many do."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from sympy import symbols

from symgrad import Graph, chain, compile_layer, layers
from symgrad.compiler import CompiledLayer
from symgrad.declare.textform import parse_layer

N, M = symbols("N M", integer=True, positive=True)
DEEP = chain(*[layers.dense, layers.tanh] * 5, name="deep")


@pytest.fixture(scope="module", params=["readable", "fast"])
def deep(request: pytest.FixtureRequest) -> CompiledLayer:
    return compile_layer(DEEP, schedule=request.param)


def backward_lines(compiled: CompiledLayer) -> list[str]:
    source = compiled.source
    return source[source.index("def backward") : source.index("# --- helpers")].splitlines()


def test_no_test_names_many_inputs(deep: CompiledLayer) -> None:
    lines = [line.strip() for line in backward_lines(deep)]
    assert all(line.count(" in wrt") <= 3 for line in lines if line.startswith("if "))
    assert "if (" not in lines
    flags = [line.split(" = ")[0] for line in lines if line.startswith("wants_") and " = " in line]
    assert flags and all(f"if {flag}:" in lines for flag in flags)
    assert all(flag.startswith("wants_grad_") for flag in flags)


def test_tests_build_on_each_other() -> None:
    text = "\n".join(backward_lines(compile_layer(DEEP)))
    assert text.count(" in wrt") <= 4 * len(DEEP.program.inputs)


def test_every_choice_of_gradients_is_what_all_of_them_are(deep: CompiledLayer) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=[4, 4][: len(t.extents)]) for t in DEEP.program.inputs]
    y, residuals = deep.forward(*arrays)
    whole = deep.backward(residuals, np.ones_like(y))
    for names in [(n,) for n in whole._fields] + list(combinations(whole._fields, 2)):
        found = deep.backward(residuals, np.ones_like(y), wrt=names)
        for name in whole._fields:
            if name in names:
                np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
            else:
                assert getattr(found, name) is None


def test_tests_of_one_or_two_inputs_stand_where_they_are() -> None:
    lines = backward_lines(compile_layer(chain(layers.dense, layers.tanh, layers.dense, name="two")))
    assert not any("wants_" in line for line in backward_lines(compile_layer(layers.dense)))
    assert '    if "dense_w" in wrt:' in lines


@pytest.mark.parametrize("text", ["y[i] = exp(x[i] - b[i])", "y[i] = sqrt(x[i] + b[i])*a[i]"])
def test_a_gradient_that_another_is_made_of_is_none_unless_asked_for(text: str) -> None:
    compiled = compile_layer(parse_layer(text))
    arrays = {t.name: np.array([1.0, 2.0, 3.0]) for t in compiled.layer.inputs}
    _, residuals = compiled.forward(*arrays.values())
    every = compiled.backward(residuals, np.ones(3))
    for name in arrays:
        alone = compiled.backward(residuals, np.ones(3), wrt=(name,))
        np.testing.assert_array_equal(getattr(alone, name), getattr(every, name))
        assert [n for n in arrays if getattr(alone, n) is not None] == [name]


@pytest.mark.parametrize("name", ["a", "gradient_in", "grad_a"])
def test_a_sum_is_called_after_a_cotangent_and_not_after_what_sounds_like_one(name: str) -> None:
    text = "m[n] = sum(a[n,j], j)/J; y[n,i] = exp(m[n]*u[i])*a[n,i]*m[n]"
    lines = "\n".join(backward_lines(compile_layer(parse_layer(re.sub(r"\ba\b", name, text)))))
    assert {*re.findall(r"\bdot_\w+", lines)} == {"dot_grad_y", "dot_grad_y_2"}


def test_a_tensor_of_the_users_keeps_its_name() -> None:
    def stack(output: str) -> str:
        graph = Graph("stack")
        wire = graph.input("x", (N, M))
        for _ in range(5):
            wire = graph(layers.tanh, graph(layers.dense, wire))
        return "\n".join(backward_lines(compile_layer(graph.layer(**{output: wire}))))

    flag = next(line.split()[0] for line in stack("y").splitlines() if line.strip().startswith("wants_"))
    assert f"{flag}_2" in stack(flag)
