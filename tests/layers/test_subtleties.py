"""Where implementations of layers go wrong: ties, borders, kinks, branches not taken, duplicates, shared inputs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Max, Piecewise, Sum, log, sqrt, symbols

import symgrad
from symgrad import Layer, compile_layer

MODULES = sorted((Path(__file__).parents[2] / "generated/numpy").glob("*.py"))
N = symbols("N", integer=True, positive=True)
half = symbols("half", real=True)
x, w, y, z = (IndexedBase(name) for name in "xwyz")
i, j = Idx("i", N), Idx("j", N)


def gradient(compiled, name, arrays, delta, **options):
    module = compiled(name)
    return module.backward(module.forward(*arrays, **options)[1], delta)


# --- ties -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("max_pool2d", (1, 1, 2, 2), {}),
        ("max_pool2d_ceil", (1, 1, 2, 2), {}),
        ("global_max_pool2d", (1, 1), {}),
        ("adaptive_max_pool2d", (1, 1, 1, 1), {"P": 1, "Q": 1}),
    ],
)
def test_ties_go_to_the_first_and_to_it_alone(compiled, name, shape, options):
    """All of them getting everything would be no adjoint: the gradient of a window adds up to that of its maximum."""
    found = gradient(compiled, name, [np.ones((1, 1, 4, 4))], np.ones(shape), **options).x[0, 0]
    assert found.sum() == np.prod(shape)
    assert found[0, 0] == 1


def test_a_tie_among_units_goes_to_the_first(compiled):
    found = gradient(compiled, "maxout", [np.ones((1, 2)), np.ones((1, 3, 2)), np.zeros((1, 3))], np.ones((1, 1)))
    np.testing.assert_array_equal(found.b, [[1, 0, 0]])
    np.testing.assert_array_equal(found.x, [[1, 1]])


# --- borders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "max_pool2d_ceil", "average_pool1d", "lp_pool1d"])
def test_windows_wholly_in_the_padding_are_refused(compiled, name):
    shape = (1, 1, 5) if name.endswith("1d") else (1, 1, 5, 5)
    with pytest.raises(ValueError, match="padding < K must hold"):
        compiled(name).forward(np.ones(shape), K=2, padding=2)


def test_padding_never_wins_a_maximum_unless_the_layer_says_so(compiled):
    image = np.full((1, 1, 3, 3), -7.0)
    options = {"K": 3, "stride": 2, "padding": 1}
    assert compiled("max_pool2d").forward(image, **options)[0].max() == -7
    assert compiled("max_pool2d_ceil").forward(image, **options)[0].max() == -7
    assert compiled("max_pool2d_zero_padding").forward(image, **options)[0].max() == 0


def test_three_divisors_of_an_average(compiled):
    """With padding, without it, and with what a window cut short reads."""
    image, options = np.ones((1, 1, 4, 4)), {"K": 3, "stride": 3, "padding": 1}
    assert compiled("average_pool2d").forward(image, **options)[0][0, 0, 0, 0] == pytest.approx(4 / 9)
    assert compiled("average_pool2d_exclude_padding").forward(image, **options)[0][0, 0, 0, 0] == 1
    short, _ = compiled("average_pool2d_ceil").forward(np.ones((1, 1, 4, 4)), K=3, stride=2)
    np.testing.assert_array_equal(short, np.ones((1, 1, 2, 2)))


def test_a_kernel_larger_than_the_image_is_refused_or_gives_nothing(compiled):
    with pytest.raises(ValueError, match="conv2d"):
        compiled("conv2d").forward(np.ones((1, 1, 2, 2)), np.ones((1, 1, 5, 5)), np.zeros(1))
    y, residuals = compiled("conv2d").forward(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)), np.zeros(1))
    assert y.shape == (1, 1, 0, 0)
    np.testing.assert_array_equal(compiled("conv2d").backward(residuals, y).x, 0)


def test_more_padding_than_a_kernel_reaches(compiled, rng):
    """p > k - 1: some windows see padding alone; their part is the bias, and no gradient comes from them."""
    image, kernel = rng.normal(size=(1, 1, 3)), rng.normal(size=(1, 1, 2))
    y, residuals = compiled("conv1d").forward(image, kernel, np.array([5.0]), padding=4)
    np.testing.assert_array_equal(y[0, 0, [0, 1, 2, -1, -2, -3]], 5)
    delta = np.zeros_like(y)
    delta[0, 0, :3] = 1
    assert not compiled("conv1d").backward(residuals, delta).x.any()


# --- kinks and branches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "point", "options", "slope"),
    [
        ("hard_tanh", 1.0, {}, 0),
        ("hard_tanh", -1.0, {}, 0),
        ("relu6", 6.0, {}, 0),
        ("relu6", 0.0, {}, 0),
        ("hard_sigmoid", 3.0, {}, 0),
        ("hard_swish", 3.0, {}, 1),
        ("hard_swish", -3.0, {}, 0),
        ("threshold", 0.5, {"threshold": 0.5}, 0),
        ("soft_shrink", 0.5, {}, 0),
        ("hard_shrink", -0.5, {}, 0),
        ("celu", 0.0, {"alpha": 3.0}, 1),
        ("soft_sign", 0.0, {}, 1),
    ],
)
def test_kinks_have_the_slope_that_the_layer_states(compiled, name, point, options, slope):
    found = gradient(compiled, name, [np.array([[point]])], np.ones((1, 1)), **options).x
    assert found[0, 0] == pytest.approx(slope, abs=1e-12)


def test_prelu_has_its_slope_at_zero(compiled):
    found = gradient(compiled, "prelu", [np.zeros((1, 1, 1)), np.array([0.3])], np.ones((1, 1, 1)))
    assert (found.x[0, 0, 0], found.slope[0]) == (0.3, 0)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_no_module_leaves_the_kinks_to_sympy(path):
    """No Heaviside, no DiracDelta; and no accumulation through index arrays, which drops duplicates."""
    text = path.read_text()
    assert "heaviside" not in text.lower() and "diracdelta" not in text.lower()
    for target in accumulated(ast.parse(text)):
        assert not unsafe(target), ast.unparse(target)


def accumulated(tree: ast.AST) -> Iterator[ast.Subscript]:
    """Subscripts left of an augmented assignment in forward and backward; _add_at makes its positions unique."""
    passes = [f for f in ast.iter_child_nodes(tree) if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")]
    for node in (node for f in passes for node in ast.walk(f)):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            yield node.target


def unsafe(target: ast.Subscript) -> bool:
    """Whether places may occur twice: a part of the index may be an array, and none tells all its rows apart."""
    parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    if any(isinstance(part, ast.Call) and ast.unparse(part.func) == "np.arange" for part in parts):
        return False
    whole = (ast.Slice, ast.Constant, ast.Name, ast.BinOp)
    inner = [node for part in parts if isinstance(part, ast.BinOp) for node in ast.walk(part)]
    return not all(isinstance(part, whole) for part in parts) or any(isinstance(n, ast.Subscript) for n in inner)


@pytest.mark.parametrize(
    "body",
    [
        Piecewise((sqrt(x[i]), x[i] > 0), (0, True)),
        Piecewise((log(x[i]), x[i] > 0), (0, True)),
        Piecewise((1 / x[i], x[i] > 0), (0, True)),
        Piecewise((x[i] ** half, x[i] > 0), (0, True)),
    ],
    ids=["sqrt", "log", "division", "power"],
)
def test_the_branch_not_taken_does_no_harm(body):
    """np.where evaluates both: what stands inside is guarded as well. A warning fails the test."""
    attributes = {half: 0.5} if half in body.free_symbols else {}
    module = compile_layer(Layer("guarded", [x[N]], [Eq(y[i], body)], attributes=attributes))
    values, residuals = module.forward(np.array([-1.0, 0.0, 4.0]))
    assert values[0] == values[1] == 0 and values[2] != 0
    found = module.backward(residuals, np.ones(3)).x
    assert found[0] == found[1] == 0 and np.isfinite(found[2]) and found[2] != 0


@pytest.mark.parametrize("name", ["embedding", "take_along"])
def test_negative_and_large_indices_are_refused(compiled, name):
    """They would wrap silently, or be clipped."""
    for wrong in (-1, 4):
        with pytest.raises((ValueError, IndexError), match=name):
            compiled(name).forward(np.ones((2, 4) if name == "take_along" else (4, 2)), np.array([[wrong], [0]]))


# --- accumulation -----------------------------------------------------------------------------------------------------


def test_duplicates_add_up(compiled):
    found = gradient(compiled, "embedding", [np.ones((3, 1)), np.array([[2, 2, 2, 0]])], np.ones((1, 4, 1)))
    np.testing.assert_array_equal(found.table[:, 0], [1, 0, 3])
    found = gradient(compiled, "take_along", [np.ones((1, 3)), np.array([[1, 1, 1]])], np.ones((1, 3)))
    np.testing.assert_array_equal(found.x, [[0, 3, 0]])


def test_overlapping_windows_add_up(compiled):
    found = gradient(compiled, "unfold2d", [np.zeros((1, 1, 3, 3))], np.ones((1, 4, 4)), K=2)
    np.testing.assert_array_equal(found.x[0, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])


def test_contributions_add_up(rng):
    """One tensor read three ways, broadcast, tied weights, two outputs."""
    layer = Layer(
        "shared",
        [x[N], w[N, N]],
        [Eq(z[i], Sum(w[i, j] * x[j], j)), Eq(y[i], Sum(w[j, i] * Max(z[j], 0), j) + x[i] * x[N - 1 - i])],
        outputs=[y, z],
    )
    module = compile_layer(layer)
    a, b = rng.normal(size=4), rng.normal(size=(4, 4))
    (_, inner), residuals = module.forward(a, b)
    g, h = rng.normal(size=(2, 4))
    found = module.backward(residuals, g, h)
    to_inner = (b @ g) * (inner > 0) + h
    np.testing.assert_allclose(found.x, b.T @ to_inner + (g + g[::-1]) * a[::-1], rtol=1e-12)
    np.testing.assert_allclose(found.w, np.outer(to_inner, a) + np.outer(np.maximum(inner, 0), g), rtol=1e-12)


# --- statistics -------------------------------------------------------------------------------------------------------


def test_running_statistics_get_no_gradient(compiled):
    step = compiled("batch_norm_running_step")
    _, residuals = step.forward(np.arange(6.0).reshape(3, 2), np.zeros(2), np.ones(2))
    assert step.backward(residuals, np.ones(2), np.ones(2)) == ()
    evaluated = symgrad.layers.get("batch_norm_eval")
    assert [t.name for t in evaluated.inputs if t.constant] == ["mean", "variance"]


def test_a_row_without_a_key_is_zero_with_a_gradient_of_zero(compiled, rng):
    query, key, value = rng.normal(size=(1, 2, 3)), rng.normal(size=(1, 4, 3)), rng.normal(size=(1, 4, 5))
    mask = np.array([[[0.0] * 4, [1.0, 0, 0, 1]]])
    y, residuals = compiled("masked_attention").forward(query, key, value, mask)
    np.testing.assert_array_equal(y[0, 0], 0)
    found = compiled("masked_attention").backward(residuals, np.ones_like(y))
    assert not found.query[0, 0].any() and found.query[0, 1].any()
    assert all(np.isfinite(g).all() for g in found)
