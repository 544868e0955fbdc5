"""Choices that SymPy multiplies out under a sum: the factors they share are written once again."""

from __future__ import annotations

from sympy import Eq, Idx, IndexedBase, Mod, Piecewise, Sum, floor, symbols

from symgrad import Layer
from symgrad.declare.formula import equation_text
from symgrad.derive.split import split
from symgrad.derive.trace import Trace

N, T, V = symbols("N T V", integer=True, positive=True)
p, q, x, y = (IndexedBase(name) for name in "pqxy")
n, a, b = Idx("n", N), Idx("a", 2), Idx("b", 2)


def last_line(body: object, size: object = 2) -> str:
    layer = Layer("choices", [x[size], p[N], q[N]], [Eq(y[n], body)])
    return equation_text(split(layer.program, Trace()).equations[-1])


def test_product_of_choices_stays_one() -> None:
    row, column = Piecewise((1 - p[n], Eq(a, 0)), (p[n], True)), Piecewise((1 - q[n], Eq(b, 0)), (q[n], True))
    text = last_line(Sum(row * column * x[Mod(floor(p[n]) + a + 3 * b, T)], a, b), T)
    assert text.count("x[") == 1
    assert "(1 - p[n] if a == 0 else p[n])" in text
    assert "(1 - q[n] if b == 0 else q[n])" in text


def test_common_read_is_outside_the_choice() -> None:
    text = last_line(Sum(Piecewise((x[a] * p[n], Eq(a, 0)), (x[a] * q[n], True)), a))
    assert text.count("x[") == 1


def test_choice_by_value_is_left_alone() -> None:
    text = last_line(Sum(Piecewise((x[a] * p[n], p[n] > 0), (x[a] * q[n], True)), a))
    assert text.count("x[") == 2
