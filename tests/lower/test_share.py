"""What a function computes twice is computed once: outside of loops, in a turn of one, and what no turn changes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, Piecewise, Sum, floor, symbols, tanh

import symgrad
from symgrad import Layer, compile_layer
from symgrad.check.check import check_layer

N, T, M, L, K = symbols("N T M L K", integer=True, positive=True)
x, first, h, g, r, y, total = map(IndexedBase, ("x", "first", "h", "g", "r", "y", "total"))
n, t, m, i = Idx("n", N), Idx("t", T), Idx("m", M), Idx("i", M)


def before(index: Idx) -> Expr:
    return Piecewise((first[n, index], Eq(t, 0)), (h[n, t - 1, index], True))


gated = Layer(
    "gated",
    [x[N, T, M], first[N, M], r[M, M]],
    [
        Eq(g[n, t, m], tanh(x[n, t, m] + before(m))),
        Eq(h[n, t, m], tanh(Sum(r[m, i] * g[n, t, i] * before(i), i))),
    ],
    outputs=[h],
)
mean = Layer(
    "mean",
    [x[N, L]],
    [
        Eq(total[n, Idx("j", L - K + 1)], Sum(x[n, Idx("j", L - K + 1) + Idx("u", K)], Idx("u", K))),
        Eq(
            y[n, Idx("j", L - K + 1)],
            Piecewise(
                (
                    Sum(x[n, Idx("j", L - K + 1) + Idx("u", K)] ** 2, Idx("u", K)) / total[n, Idx("j", L - K + 1)],
                    total[n, Idx("j", L - K + 1)] > 0,
                ),
                (0, True),
            ),
        ),
    ],
    outputs=[y],
    attributes={K: 3},
)


def backward_of(layer: Layer, schedule: str = "readable") -> ast.FunctionDef:
    tree = ast.parse(compile_layer(layer, schedule=schedule).source)
    return next(f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == "backward")


def products(node: ast.AST) -> list[str]:
    found = (b for b in ast.walk(node) if isinstance(b, ast.BinOp) and isinstance(b.op, ast.MatMult))
    return [ast.unparse(b) for b in found]


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_a_product_that_two_gradients_of_a_step_need_is_made_once(schedule: str) -> None:
    steps = [s for s in ast.walk(backward_of(gated, schedule)) if isinstance(s, ast.For)]
    made = [p for step in steps for p in products(step)]
    assert made
    assert len(made) == len(set(made))
    assert check_layer(gated).ok


def test_a_mask_that_no_turn_changes_is_made_before_the_loops() -> None:
    loops = [s for s in ast.walk(backward_of(mean)) if isinstance(s, ast.For)]
    assert loops
    assert not any(re.search(r"total\b.*>|1 / ", ast.unparse(loop)) for loop in loops)
    assert check_layer(mean).ok


def test_positions_read_from_data_are_computed_once() -> None:
    place = IndexedBase("place")
    picked = Layer("picked", [x[N, L], place[N, T]], [Eq(y[n, t], x[n, floor(place[n, t] / 2)])], integers=[place])
    source = ast.unparse(backward_of(picked))
    assert source.count("// 2") == 1
    assert check_layer(picked).ok
    drawn = np.array([[0, 3, 1]])
    compiled = compile_layer(picked)
    value, residuals = compiled.forward(np.array([[5.0, 7.0]]), drawn)
    assert value.tolist() == [[5.0, 7.0, 5.0]]
    assert compiled.backward(residuals, np.ones((1, 3))).x.tolist() == [[2.0, 1.0]]


def test_a_matrix_that_is_copied_from_a_part_of_an_array_is_made_once() -> None:
    source = ast.unparse(backward_of(symgrad.layers.gru))
    assert source.count("h_states[:, :T].reshape(") == 1
    assert source.count("@ h_states_matrix") == 3


def test_an_input_that_is_not_asked_for_gets_no_gradient_though_another_is_made_of_it() -> None:
    compiled = compile_layer(symgrad.layers.margin_ranking)
    one = np.array([1.0, 2.0])
    _, residuals = compiled.forward(one, one, np.ones(2))
    found = compiled.backward(residuals, np.array(1.0), wrt=("left",))
    assert found.right is None
    assert found.left is not None


def repeated(path: Path) -> list[str]:
    """Products of matrices, and sums and functions over arrays, that a block computes twice from the same arrays."""
    found: list[str] = []
    for function in ast.parse(path.read_text()).body:
        if isinstance(function, ast.FunctionDef) and function.name in ("forward", "backward"):
            for block in [
                b for node in ast.walk(function) for b in (getattr(node, "body", None),) if isinstance(b, list)
            ]:
                seen: dict[str, int] = {}
                for place, statement in enumerate(block):
                    if isinstance(statement, ast.Assign | ast.AugAssign):
                        for text in products(statement.value):
                            if text in seen and not changed(block[seen[text] : place], text):
                                found.append(f"{path.stem}: {text}")
                            seen[text] = place
    return found


def changed(block: list[ast.stmt], text: str) -> bool:
    """Whether statements assign a name in an expression, or change what it holds."""
    read = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    roots: set[str] = set()
    for node in (n for s in block for n in ast.walk(s)):
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            while isinstance(target, ast.Subscript):
                target = target.value
            roots |= {target.id} if isinstance(target, ast.Name) else set()
    return bool(roots & read)


def test_no_generated_module_multiplies_the_same_matrices_twice() -> None:
    folder = Path(__file__).parents[2] / "generated" / "numpy"
    assert [text for path in sorted(folder.glob("*.py")) for text in repeated(path)] == []


@pytest.mark.parametrize("name", ["gru", "gru_reset_first"])
def test_what_the_state_adds_to_a_gate_is_added_and_not_subtracted_twice(name: str) -> None:
    source = compile_layer(symgrad.layers.get(name)).source.split("def backward")[0]
    assert "-(-" not in source
    assert "pre_" in source
