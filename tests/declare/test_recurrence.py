"""Which recurrences have an order of steps, what that order is, and what is said where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Mod, Ne, Piecewise, Sum, Symbol, floor, sqrt, symbols, tanh

from symgrad import Layer, Padded, check_layer, compile_layer
from symgrad.declare.graph import components, needed
from symgrad.declare.integers import Index, Size, as_poly
from symgrad.declare.recurrence import Scan, schedule
from symgrad.declare.scalars import Compare, Read, Select
from symgrad.declare.segments import interval, segments
from symgrad.errors import DeclarationError

T, U, D = symbols("T U D", integer=True, positive=True)
x, h, g, r, s, w = (IndexedBase(name) for name in ["x", "h", "g", "r", "s", "w"])
t, u, i, j = Idx("t", T), Idx("u", U), Idx("i", D), Idx("j", D)


def scan_of(*equations, inputs=(x[T, D],)) -> Scan:
    layer = Layer("example", inputs=list(inputs), equations=list(equations))
    (found,) = (item for item in schedule(layer.program.equations) if isinstance(item, Scan))
    return found


def test_a_read_one_step_earlier_runs_forwards() -> None:
    scan = scan_of(Eq(h[t, i], x[t, i] + Padded(h)[t - 1, i]))
    assert not scan.reverse
    assert scan.axes == (0,)
    assert [e.target for e in scan.body] == ["h"]


def test_a_read_one_step_later_runs_backwards() -> None:
    assert scan_of(Eq(h[t, i], x[t, i] + Padded(h)[t + 2, i])).reverse


def test_the_recurrent_index_may_stand_anywhere() -> None:
    scan = scan_of(Eq(h[i, t], x[t, i] + Sum(Padded(h)[j, t - 1], j)))
    assert scan.axes == (1,)


def test_equations_of_one_step_come_after_what_they_read() -> None:
    scan = scan_of(Eq(g[t, i], tanh(h[t, i])), Eq(h[t, i], x[t, i] + Padded(g)[t - 1, i]))
    assert [e.target for e in scan.body] == ["h", "g"]


def test_two_indices_are_two_loops() -> None:
    scan = scan_of(Eq(r[t, u], x[t, u] + Padded(r)[t - 1, u] + Padded(r)[t, u - 1]), inputs=[x[T, U]])
    (inner,) = scan.body
    assert isinstance(inner, Scan)
    assert (scan.axes, inner.axes) == ((0,), (1,))


def test_a_left_side_that_is_longer_is_a_step_ahead() -> None:
    tau = Idx("tau", T + 1)
    first = Piecewise((1, Eq(tau, 0)), (tanh(s[tau - 1, i]), True))
    scan = scan_of(Eq(s[t, i], x[t, i] + h[t, i]), Eq(h[tau, i], first))
    shifts = dict(zip((e.target for e in scan.members), scan.shifts, strict=True))
    assert (shifts["h"] - shifts["s"]).constant == 1


def test_a_sum_over_all_earlier_steps_is_a_recurrence() -> None:
    k = symbols("k", integer=True)
    scan = scan_of(Eq(h[t, i], x[t, i] - Sum(h[k, i], (k, 0, t - 1))))
    assert not scan.reverse


@pytest.mark.parametrize(
    ("equation", "read"),
    [
        (Eq(h[t, i], x[t, i] + h[t, i]), "h[t, i] reads h[t, i]"),
        (Eq(h[t, i], x[t, i] + Padded(h)[t - 1, i] + Padded(h)[t + 1, i]), "h[t, i] reads h[t + 1, i]"),
        (
            Eq(h[t, i], Piecewise((x[t, i], Eq(t, 0)), (h[floor((t + 1) / 2), i], True))),
            "h[t, i] reads h[(t + 1) // 2, i]",
        ),
        (Eq(h[t, i], x[t, i] + h[Mod(t + 1, T), i]), "h[t, i] reads h[(t + 1) % T, i]"),
        (Eq(h[t, i], x[t, i] + Sum(h[t, j], j)), "h[t, i] reads h[t, j]"),
        (Eq(h[t, i], x[t, i] + Padded(h, mode="wrap")[t - 1, i]), "Padded(h, mode='wrap')"),
    ],
)
def test_no_order_is_an_error_that_names_equation_and_read(equation, read) -> None:
    with pytest.raises(DeclarationError) as caught:
        Layer("loop", inputs=[x[T, D]], equations=[equation])
    assert "loop" in str(caught.value) and read in str(caught.value)


def test_equations_that_need_each_other_at_one_step_are_an_error() -> None:
    with pytest.raises(DeclarationError, match="g -> h -> g is a cycle"):
        Layer("loop", inputs=[x[T, D]], equations=[Eq(g[t, i], h[t, i]), Eq(h[t, i], g[t, i] + x[t, i])])


def test_a_scalar_that_needs_itself_is_an_error() -> None:
    y = Symbol("y")
    with pytest.raises(DeclarationError, match="y -> y is a cycle"):
        Layer("loop", inputs=[x[T, D]], equations=[Eq(y, y + x[0, 0])])


def test_a_read_before_the_first_step_is_refuted() -> None:
    with pytest.raises(DeclarationError, match="reads h at t - 1"):
        Layer("loop", inputs=[x[T, D]], equations=[Eq(h[t, i], x[t, i] + h[t - 1, i])])


# --- graphs and segments ---------------------------------------------------------------------------------------


def test_groups_come_after_what_they_need() -> None:
    assert components({"a": ["b"], "b": ["c", "d"], "c": ["b"], "d": []}) == (("d",), ("b", "c"), ("a",))


def test_what_is_needed_goes_round_a_cycle() -> None:
    layer = Layer(
        "example", inputs=[x[T, D]], equations=[Eq(g[t, i], Padded(h)[t - 1, i]), Eq(h[t, i], g[t, i] + x[t, i])]
    )
    assert [e.target for e in needed(layer.program.equations, {"g"})] == ["g", "h"]


SIZE = as_poly(Size("T"))
STEP = Index("t", SIZE)
step = as_poly(STEP)
FIRST, LAST, REST = (Read(name, ()) for name in ("first", "last", "rest"))


def test_conditions_on_the_index_cut_its_range() -> None:
    found = segments(STEP, Select(Compare("==", step), FIRST, REST))
    assert [(str(s.first), str(s.stop), s.body) for s in found] == [("0", "1", FIRST), ("1", "T", REST)]


def test_a_range_that_may_be_too_short_ends_with_the_axis() -> None:
    found = segments(STEP, Select(Compare(">=", step - 3), REST, FIRST))
    assert [(str(s.first), str(s.stop)) for s in found] == [("0", "min(T, 3)"), ("3", "T")]


def test_a_condition_whose_place_is_not_known_stays() -> None:
    both = Select(Compare(">=", step - 2), Select(Compare(">=", SIZE - step - 3), REST, LAST), FIRST)
    found = segments(STEP, both)
    assert len(found) == 2
    assert any(isinstance(s.body, Select) for s in found)


def test_the_range_of_a_condition() -> None:
    first, extent = interval(Compare(">=", step - 1), STEP) or (None, None)
    assert (str(first), str(extent)) == ("1", "T - 1")
    assert interval(Compare("!=", step - 1), STEP) is None


def test_a_step_that_is_not_the_first_reads_the_one_of_half_its_number() -> None:
    body = Piecewise((x[t, i], Eq(t, 0)), (x[t, i] * tanh(h[floor(t / 2), i]), True))
    given = np.random.default_rng(0).normal(size=(9, 2))
    expected = given.copy()
    for step in range(1, 9):
        expected[step] *= np.tanh(expected[step // 2])
    tree = Layer("tree", [x[T, D]], [Eq(h[t, i], body)])
    np.testing.assert_allclose(compile_layer(tree).forward(given)[0], expected, atol=1e-15)
    report = check_layer(tree)
    assert report.ok, str(report)


A, L = IndexedBase("A"), IndexedBase("L")
m, n, k = Idx("m", T), Idx("n", T), Idx("k")
ROOT = sqrt(A[m, m] - Sum(L[m, k] ** 2, (k, 0, m - 1)))
BELOW = (A[m, n] - Sum(L[m, k] * L[n, k], (k, 0, n - 1))) / L[n, n]


@pytest.mark.parametrize(
    "arms",
    [
        [(ROOT, Eq(m, n)), (BELOW, m > n), (0, True)],
        [(0, m < n), (ROOT, Eq(m, n)), (BELOW, True)],
        [(ROOT, Eq(m, n)), (0, m < n), (BELOW, True)],
        [(BELOW, m > n), (0, m < n), (ROOT, True)],
        [(0, m < n), (BELOW, Ne(m, n)), (ROOT, True)],
    ],
)
def test_a_factorisation_is_a_recurrence_however_its_arms_are_sorted(arms) -> None:
    factor = Layer("factor", [A[T, T]], [Eq(L[m, n], Piecewise(*arms))])
    given = np.random.default_rng(0).normal(size=(5, 5))
    given = given @ given.T + np.eye(5)
    np.testing.assert_allclose(compile_layer(factor).forward(given)[0], np.linalg.cholesky(given), atol=1e-14)
