"""Left sides that are used as integers and choose between integers."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Rational, symbols

from symgrad import ArgMax, Layer, ReduceMax, check_layer, compile_layer
from symgrad.declare.textform import parse_layer
from symgrad.errors import DeclarationError

B, T, K = symbols("B T K", integer=True, positive=True)
s, score, move, back, path = map(IndexedBase, ("s", "score", "move", "back", "path"))
b, t, k, j = Idx("b", B), Idx("t", T), Idx("k", K), Idx("j", K)
STEP = s[b, t - 1, j] + move[j, k]
INPUTS = [score[B, T, K], move[K, K]]


def backward_pointers() -> Layer:
    """Where the best way to every state came from, two steps back from the last."""
    return Layer(
        "pointers",
        INPUTS,
        [
            Eq(s[b, t, k], score[b, t, k] + Piecewise((0, Eq(t, 0)), (ReduceMax(STEP, j), True))),
            Eq(back[b, t, k], Piecewise((0, Eq(t, 0)), (ArgMax(STEP, j), True))),
            Eq(path[b, k], back[b, T - 1, back[b, T - 1, k]]),
        ],
        outputs=[path],
    )


@pytest.mark.parametrize("schedule", ["readable", "fast"])
def test_a_choice_between_integers_is_an_integer(schedule: str) -> None:
    compiled = compile_layer(backward_pointers(), schedule=schedule)
    rng = np.random.default_rng(0)
    scores, moves = rng.normal(size=(3, 5, 4)), rng.normal(size=(4, 4))
    best = scores[:, 0]
    for step in range(1, 5):
        ways = best[:, :, None] + moves
        best = scores[:, step] + ways.max(axis=1)
    came = ways.argmax(axis=1)
    found = compiled.forward(scores, moves)[0]
    np.testing.assert_array_equal(found, np.take_along_axis(came, came, axis=1))


def test_the_layer_with_such_a_choice_passes_its_check() -> None:
    report = check_layer(backward_pointers())
    assert report.ok, report


@pytest.mark.parametrize(
    "text",
    [
        "p[i] = where(i > 2, a[i], b[i]); y[i] = x[p[i]]",
        "p[i] = a[i]; y[i] = x[p[i]]*x[i]",
        "p[i] = where(i > 2, a[i], q[i]); q[i] = where(i < 1, b[i], 0); y[i] = x[p[i]]",
        "p[i] = where(i > 2, a[i], s); y[i] = x[p[i]]",
    ],
)
def test_inputs_that_only_an_integer_is_chosen_from_are_integers(text: str) -> None:
    layer = parse_layer(text)
    assert [t.name for t in layer.inputs if not t.integer] == ["x"]
    report = check_layer(layer)
    assert report.ok, str(report)


def test_an_input_that_is_read_as_a_real_number_too_stays_one() -> None:
    with pytest.raises(DeclarationError, match="p is used as an integer, but its equation gives a real number"):
        parse_layer("p[i] = where(i > 2, x[i], 0); y[i] = x[p[i]]")


def test_a_choice_with_a_real_arm_is_refused() -> None:
    equations = [
        Eq(back[b, t], Piecewise((Rational(1, 2), Eq(t, 0)), (ArgMax(score[b, t, k], k), True))),
        Eq(path[b, t], score[b, t, back[b, t]]),
    ]
    with pytest.raises(DeclarationError, match="back is used as an integer, but its equation gives a real number"):
        Layer("half", [score[B, T, K]], equations)
