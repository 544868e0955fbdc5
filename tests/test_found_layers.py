"""Declarations that random drawing found, compiled wrong once, as they were drawn or made smaller."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import (
    Abs,
    Eq,
    Expr,
    Idx,
    IndexedBase,
    KroneckerDelta,
    Mod,
    Piecewise,
    Product,
    Rational,
    Sum,
    Symbol,
    ceiling,
    exp,
    floor,
    log,
    oo,
    symbols,
    tanh,
)

from symgrad import Layer, LogSumExp, Padded, ReduceMax, ReduceMin, check_layer, jvp, vjp
from symgrad.declare.textform import parse_layer

from .agreement import SCHEDULES, as_declared

K, M, N = symbols("K M N", integer=True, positive=True)
b, e, h, q, r, w, x, y, ids = (IndexedBase(name) for name in ("b", "e", "h", "q", "r", "w", "x", "y", "ids"))
u, v = Idx("u"), Idx("v")


@pytest.mark.parametrize("function", [lambda t: 2 * tanh(t), lambda t: 1.5 / (1 + exp(-t)), lambda t: -3 * exp(t)])
def test_a_sum_folded_into_another_keeps_its_index_apart(function) -> None:
    """The outer sum of two functions of one tensor: the sum over columns was read along the diagonal."""
    m, n = Idx("m", M), Idx("n", M)
    for body in (x[n] + function(x[m]), x[m] + function(x[n])):
        report = check_layer(Layer("outer_sum", [x[M]], [Eq(h[m, n], body)]))
        assert report.ok, str(report)


def chosen(inside: Expr, condition: object, outside: object = 0) -> Expr:
    return Piecewise((inside, condition), (outside, True))


def test_a_border_for_a_run_of_an_axis_stays_inside_the_loop() -> None:
    i, j, k = Idx("i", floor((N + 2) / 2) + 1), Idx("j", 2 * N), Idx("k", 2)
    smallest = Symbol("smallest")
    first = b[u] * (1 + chosen(ids[0], b[0] - x[ids[0], 0] > 0, Rational(1, 2)) ** 2)
    decided = (chosen(x[M * k + i, k], M * k + i <= M) - x[j, j] < 0) | (q[0] > 1)
    second = Padded(b, K)[floor(w[i, floor((j + k) / 3), k] * K) + j] * Piecewise(
        (chosen(smallest, k + j > 2, k), decided), (Product(b[v], (v, 0, j), (u, 0, 1)), True)
    )
    layer = Layer(
        "runs",
        [x[M + 1, M + 1], w[2 * N, 2 * N, 3], b[5], q[M], ids[5]],
        [Eq(smallest, ReduceMin(first, (u, 0, ids[0]))), Eq(r[i, j, k], second)],
        attributes={K: 2},
        integers=[ids],
        outputs=[smallest, r],
    )
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape) for name, shape in (("x", (5, 5)), ("w", (2, 2, 3)), ("b", 5), ("q", 4))}
    assert as_declared(layer, arrays | {"ids": np.array([2, 3, -1, -1, 0])}, {"K": 2})


def test_left_sides_that_no_output_needs_may_be_read_at_data() -> None:
    i, j, k = Idx("i", floor(N / 2)), Idx("j", ceiling((N + 1) / 2)), Idx("k", 2)
    n, o, p, s = Idx("n", N), Idx("o", 1), Idx("p", floor((7 - N) / 2) + 1), Idx("s", 2 * ceiling((N + 1) / 2))
    place = 2 * ids[Mod(s + 1, N)] - 1
    layer = Layer(
        "unneeded",
        [x[2, 5], q[N + 1, N], ids[N]],
        [
            Eq(h[i, j, k], x[k, 4 - Mod(i, 3)] - LogSumExp(q[u, j], (u, 0, N))),
            Eq(e[n, o, p], chosen(h[Abs(n - p), o, ids[Mod(p + 1, N)]], Abs(n - p) <= floor(N / 2) - 1)),
            Eq(
                y[s, j],
                Product(
                    chosen(q[u, place], (place >= 0) & (place <= N - 1)) * KroneckerDelta(0, ids[0]), (u, 0, N - 1 - j)
                ),
            ),
        ],
        integers=[ids],
        outputs=[y],
    )
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(2, 5)), "q": rng.normal(size=(6, 5)), "ids": np.array([1, 0, 1, 1, 0])}
    assert as_declared(layer, arrays)


def test_minus_a_sum_over_all_columns_beside_one_over_rows() -> None:
    """Both are left as terms of one gradient, with other reads of what they sum."""
    m, n = Idx("m", M), Idx("n", M)
    equations = [Eq(h[m, n], x[n] - 2 * tanh(x[m])), Eq(y[m], Sum(h[m, n] * x[n], n))]
    report = check_layer(Layer("beside", [x[M]], equations, outputs=[h, y]))
    assert report.ok, str(report)


def test_a_maximum_over_nothing_that_a_choice_leaves_out() -> None:
    i = Idx("i", ceiling(M / 2))
    body = Piecewise((ReduceMax(y[Mod(i, N)] + u, (u, 0, i - 1), ties="split"), i > 0), (x[i], True))
    layer = Layer("earlier", [x[M], y[N]], [Eq(r[i], body)])
    for extent in (1, 5):
        arrays = {"x": np.arange(1.0, 1 + extent), "y": np.array([0.5, 2.0])}
        assert as_declared(layer, arrays)


def test_softmax_over_windows_without_positions() -> None:
    stride = symbols("stride", integer=True, positive=True)
    length, taps = symbols("T R", integer=True, positive=True)
    o, k, n = Idx("o", floor((length - taps) / stride) + 1), Idx("k", taps), Idx("n", taps)
    share = exp(x[stride * o + k] ** 2) / Sum(exp(x[stride * o + n] ** 2), n)
    equations = [Eq(h[o, k], share), Eq(y[o], Sum(h[o, k] * w[k], k))]
    layer = Layer("shares", [x[length], w[taps]], equations, attributes={stride: 1}, outputs=[h, y])
    for extent in (0, 1, 3):
        arrays = {"x": np.linspace(-1, 1, 5), "w": np.arange(1.0, 1 + extent)}
        assert as_declared(layer, arrays, {"stride": 1})


def test_what_a_condition_leaves_out_is_not_divided_by() -> None:
    """The cotangent of a broadcast result is summed apart from the quotient that its condition guards."""
    i, k = Idx("i", K), Idx("k", 3)
    body = Sum(LogSumExp(y[u, v] * (1 + x[k] ** 2), (v, 0, 1)), (u, 0, k))
    layer = Layer("levels", [x[N + 1], y[N + 1, 2]], [Eq(r[i, k], body)], attributes={K: 2})
    arrays = {"x": np.linspace(0.2, 1, 3), "y": np.arange(6.0).reshape(3, 2) / 5}
    assert as_declared(layer, arrays, {"K": 2}, schedules=SCHEDULES)


def test_reads_that_give_a_place_stand_behind_the_same_conditions() -> None:
    """The floor of a read is a place; where the condition fails, as where a solved index is out of range, it is any."""
    n, m, k = Idx("n", N), Idx("m", M), Idx("k", K)
    ahead = Padded(q)[floor(x[n + 1])]
    behind_one = Layer("behind_one", [x[N], q[M], w[N]], [Eq(y[n], chosen(ahead * w[n], n < N - 1))])
    shifted = chosen(x[k, m + floor(n / 2)], m + floor(n / 2) < N, 2)
    solved = Layer(
        "solved",
        [x[N + 1, N]],
        [Eq(y[n, m, k], shifted * Padded(x)[n, floor(x[n, k])])],
        attributes={K: 2, M: 1},
    )
    rng = np.random.default_rng(0)
    for extent in (1, 3):
        arrays = {"x": rng.normal(size=extent) * 2, "q": np.arange(1.0, 5), "w": rng.normal(size=extent)}
        assert as_declared(behind_one, arrays, schedules=SCHEDULES)
        grid = {"x": rng.normal(size=(extent + 1, extent))}
        assert as_declared(solved, grid, {"K": min(2, extent), "M": 1}, schedules=SCHEDULES)


def test_a_shift_that_is_chosen_by_itself() -> None:
    """The largest exponent is 0 where it is infinite: guarding that choice by its own condition had no end."""
    a, c, x0 = symbols("a c x0")
    total = exp(x0 * log(exp(a) + exp(x0))) + c * exp(Padded(q, -oo)[1])
    layer = Layer("shifted", [x0, a, c, q[K]], [Eq(Symbol("y"), log(total))])
    for extent in (0, 1, 3):
        arrays = {name: np.array(value) for name, value in (("x0", 0.5), ("a", -0.3), ("c", 2.0))}
        assert as_declared(layer, arrays | {"q": np.linspace(0.1, 1, extent)}, schedules=SCHEDULES)


FACTORS = {
    "root_beside_a_maximum": "d[r,c] = sum((a[q,c] - b[r,c])**2*exp(-s[q]), (q, first[r], first[r+1] - 1));"
    "y[r] = max(where(d[r,0] > 0, sqrt(d[r,0]), 0), reduce_max(d[r,c]*v[c], c))",
    "root_of_an_input": "y[r] = max(where(d[r] > 0, sqrt(d[r]), 0), v[r])",
    "logarithms_and_roots": "y[r] = max(where(d[r] > 0, log(d[r]), 0), v[r], where(v[r] > 1, sqrt(v[r] - 1), d[r]))",
}


@pytest.mark.parametrize("derivative", [vjp, jvp])
@pytest.mark.parametrize("name", FACTORS)
def test_what_one_of_several_conditions_asks_for_need_not_exist_elsewhere(name, derivative) -> None:
    """A factor before a sum whose condition is a choice of conditions, and what such conditions compare."""
    report = check_layer(derivative(parse_layer(FACTORS[name], name)), seed=4, cases=2)
    assert report.ok, str(report)
