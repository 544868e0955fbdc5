"""Recurrences that are affine in one state: blocks of steps give what one step after the other gives."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, exp, symbols

import symgrad
from symgrad import Layer, Padded
from symgrad.compiler import CompiledLayer, run

T, N, C = symbols("T N C", integer=True, positive=True)
x, y, a = (IndexedBase(name) for name in ["x", "y", "a"])
t, n, c = Idx("t", T), Idx("n", N), Idx("c", C)

FORWARD = Layer("leaky", inputs=[x[T, C], a[T, C]], equations=[Eq(y[t, c], x[t, c] + a[t, c] * Padded(y)[t - 1, c])])
BACKWARD = Layer(
    "leaky_reversed",
    inputs=[x[N, T], a[N, T]],
    equations=[Eq(y[n, t], exp(x[n, t]) + a[n, t] * Padded(y)[n, t + 1] / 2)],
)
THROUGH_ANOTHER = symgrad.layers.linear_recurrence
FIRST = Layer(
    "leaky_from_the_first",
    inputs=[x[N, T], a[T]],
    equations=[Eq(y[n, t], Piecewise((x[n, t], Eq(t, 0)), (a[t] * y[n, t - 1] + x[n, t], True)))],
)
LAYERS = [FORWARD, BACKWARD, THROUGH_ANOTHER, FIRST]
SHAPES = {"leaky": ("TC", "TC"), "leaky_reversed": ("NT", "NT"), "linear_recurrence": ("NTC", "NTC", "NC")}


def arrays(layer: Layer, steps: int, largest: float) -> list[np.ndarray]:
    sizes = {"T": steps, "N": 3, "C": 2}
    rng = np.random.default_rng(steps)
    shapes = [[sizes[s] for s in axes] for axes in SHAPES.get(layer.name, ("NT", "T"))]
    return [rng.uniform(-largest, largest, size=shape) for shape in shapes]


def both(layer: Layer, given: list[np.ndarray]) -> list[list[np.ndarray]]:
    found = []
    for compiled in (symgrad.compile_layer(layer), CompiledLayer(run(layer, general=True))):
        outputs, residuals = compiled.forward(*given)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        rng = np.random.default_rng(1)
        cotangents = [rng.normal(size=o.shape) for o in outputs]
        found.append([*outputs, *compiled.backward(residuals, *cotangents)])
    return found


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_no_statement_runs_for_every_step(layer: Layer) -> None:
    tree = ast.parse(symgrad.compile_layer(layer).source)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in ("forward", "backward"):
            assert not any(isinstance(part, ast.For) for part in ast.walk(node))
            assert "_carry" in ast.unparse(node)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("steps", [1, 2, 3, 64, 65, 66, 100, 300])
@pytest.mark.parametrize("largest", [1.0, 1.5])
def test_blocks_of_steps_are_the_steps(layer: Layer, steps: int, largest: float) -> None:
    found, wanted = both(layer, arrays(layer, steps, largest))
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12 * np.abs(want).max(initial=1))


@pytest.mark.parametrize("steps", [0, 1])
def test_no_steps(steps: int) -> None:
    compiled = symgrad.compile_layer(FORWARD)
    outputs, residuals = compiled.forward(np.ones((steps, 2)), np.ones((steps, 2)))
    assert outputs.shape == (steps, 2)
    assert compiled.backward(residuals, outputs).x.shape == (steps, 2)


def test_factors_above_one_are_taken_step_by_step() -> None:
    """Their products overflow and cancel where the states do not."""
    factor, value = np.full((200, 1), 1e10), np.zeros((200, 1))
    value[0], value[1] = 1.0, -1e10
    states, _ = symgrad.compile_layer(FORWARD).forward(value, factor)
    wanted = [1.0]
    for step in range(1, 200):
        wanted.append(value[step, 0] + factor[step, 0] * wanted[-1])
    np.testing.assert_array_equal(states[:, 0], wanted)


def test_a_factor_of_zero_forgets() -> None:
    factor, value = np.ones((200, 1)), np.full((200, 1), 1e300)
    factor[100], value[100:] = 0.0, 1e-300
    states, _ = symgrad.compile_layer(FORWARD).forward(value, factor)
    np.testing.assert_allclose(states[100:, 0], 1e-300 * np.arange(1, 101), rtol=1e-12)


def test_single_precision_stays_so() -> None:
    compiled = symgrad.compile_layer(FORWARD)
    given = [array.astype(np.float32) for array in arrays(FORWARD, 300, 1.0)]
    states, residuals = compiled.forward(*given)
    gradients = compiled.backward(residuals, np.ones_like(states))
    assert {states.dtype, *(g.dtype for g in gradients)} == {np.dtype(np.float32)}


def test_only_the_gradients_asked_for() -> None:
    compiled = symgrad.compile_layer(THROUGH_ANOTHER)
    given = arrays(THROUGH_ANOTHER, 70, 1.0)
    outputs, residuals = compiled.forward(*given)
    whole = compiled.backward(residuals, outputs)
    for name in ("x", "decay", "h0"):
        part = compiled.backward(residuals, outputs, wrt=(name,))
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
