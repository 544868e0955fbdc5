"""From data back to SymPy: what is written evaluates as what was read, for whole layers and for what stages make."""

from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symgrad import CustomGradient, Layer
from symgrad.check.arithmetic import Arithmetic
from symgrad.check.closures import compile_expression
from symgrad.check.evaluator import evaluate, stored
from symgrad.check.scope import Scope
from symgrad.declare.algebra import apply
from symgrad.declare.conditions import negation, relation
from symgrad.declare.integers import Poly
from symgrad.declare.scalars import Number, Read, Stopped, walk
from symgrad.declare.write import condition_to_sympy, declaration, poly_to_sympy, scalar_to_sympy

from ..data_evaluator import FLOATS, World, holds, scalar
from ..points import NAMES, point, stages
from .expressions import Maker, world
from .polynomials import GRID, Choices, polynomials
from .polynomials import evaluate as values_of

many = settings(max_examples=80, deadline=None, derandomize=True, database=None)
SCOPE = Scope("written", frozenset("abc"), {}, {}, Arithmetic())


def same_outputs(layer: Layer, again: Layer, arrays: dict[str, np.ndarray], attributes: dict[str, Any]) -> None:
    want, got = evaluate(layer, arrays, attributes), evaluate(again, arrays, attributes)
    for name in layer.outputs:
        assert got[name].dtype == want[name].dtype
        np.testing.assert_allclose(got[name], want[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_written_back_is_the_layer(name: str) -> None:
    here = point(name)
    layer, arrays, attributes = here.layer, here.arrays, here.attributes
    again = Layer.from_program(layer.program)
    assert [(t.name, t.integer, t.constant) for t in again.inputs] == [
        (t.name, t.integer, t.constant) for t in layer.inputs
    ]
    assert (again.name, again.outputs, again.doc) == (layer.name, layer.outputs, layer.doc)
    assert again.program.attributes == layer.program.attributes
    assert again.program.inputs == layer.program.inputs
    same_outputs(layer, again, arrays, attributes)


@pytest.mark.parametrize("name", NAMES)
def test_a_stable_program_written_back_is_the_layer(name: str) -> None:
    """Intermediates, sigmoid, softplus, log1p and stopped maxima are written in SymPy's words."""
    here = point(name)
    layer, arrays, attributes = here.layer, here.arrays, here.attributes
    same_outputs(layer, Layer.from_program(stages(name).stable), arrays, attributes)


@many
@given(polynomials())
def test_an_integer_expression_written_back_has_its_values(poly: Poly) -> None:
    node = compile_expression(sympy.sympify(poly_to_sympy(poly)), SCOPE)
    rows = slice(3, None, 397)
    want = values_of(poly, GRID)[rows]
    got = [node({name: int(column[rows][row]) for name, column in GRID.items()}) for row in range(len(want))]
    np.testing.assert_array_equal(np.array(got, dtype=np.int64), want, err_msg=str(poly))


@many
@given(st.binary(max_size=50))
def test_an_expression_written_back_has_its_value(data: bytes) -> None:
    choose = Choices(data)
    where = world(choose)
    made = Maker(choose, where).scalar(3)
    if any(isinstance(node, Stopped) for node in walk(made.data)):
        return
    tensors = {name: np.asarray(float(table[()])) for name, table in where.tensors.items()}
    want = scalar(made.data, World(where.integers, tensors, FLOATS))
    scope = Scope("written", frozenset(tensors), {n: stored(v) for n, v in tensors.items()}, {}, Arithmetic())
    got = compile_expression(sympy.sympify(scalar_to_sympy(made.data)), scope)(dict(where.integers))
    if np.isfinite(want) and abs(want) < 1e8:
        np.testing.assert_allclose(float(got), want, rtol=1e-7, atol=1e-7, err_msg=str(made.data))


@many
@given(st.binary(max_size=40))
def test_a_condition_written_back_is_as_true(data: bytes) -> None:
    choose = Choices(data)
    where = world(choose)
    condition, _ = Maker(choose, where).condition(2)
    tensors = {name: np.asarray(float(table[()])) for name, table in where.tensors.items()}
    scope = Scope("written", frozenset(tensors), {n: stored(v) for n, v in tensors.items()}, {}, Arithmetic())
    written = sympy.Piecewise((1, condition_to_sympy(condition)), (0, True))
    got = compile_expression(written, scope)(dict(where.integers))
    assert bool(got) is holds(condition, World(where.integers, tensors, FLOATS)), str(written)


def test_what_a_declaration_takes_is_what_is_written() -> None:
    layer = point("grouped_conv2d").layer
    written = declaration(layer.program)
    assert sorted(written) == sorted(
        ["name", "inputs", "equations", "attributes", "constants", "integers", "outputs", "typical", "doc"]
    )
    assert all(isinstance(e, sympy.Eq) for e in written["equations"])
    assert Layer(**written).typical == layer.typical


def test_a_guard_against_infinity_is_written() -> None:
    """SymPy takes values to be finite, and would drop it."""
    value = Read("a", ())
    finite = relation("<", apply("abs", value), Number(float("inf")))
    for condition, at_infinity in ((finite, False), (negation(finite), True)):
        written = sympy.Piecewise((1, condition_to_sympy(condition)), (0, True))
        for number, holds_there in ((float("inf"), at_infinity), (-float("inf"), at_infinity), (2.0, not at_infinity)):
            scope = Scope("written", frozenset("a"), {"a": stored(np.asarray(number))}, {}, Arithmetic())
            assert bool(compile_expression(written, scope)({})) is holds_there


def test_a_slope_of_ones_own_is_written() -> None:
    n = sympy.Symbol("N", integer=True, positive=True)
    x, y, i = sympy.IndexedBase("x"), sympy.IndexedBase("y"), sympy.Idx("i", n)
    body = CustomGradient(sympy.sign(x[i]), {x[i]: sympy.tanh(x[i])}, check=False) * x[i]
    layer = Layer("own", [x[n]], [sympy.Eq(y[i], body)])
    assert Layer.from_program(layer.program).program == layer.program
