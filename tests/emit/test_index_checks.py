"""Emitted modules refuse what reads outside a tensor: what is used, and only that."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sympy import Abs, Eq, Idx, IndexedBase, Max, Min, Mod, Piecewise, Sum, Symbol
from sympy import symbols as sizes

from symgrad import ArgMax, Layer, compile_layer

from ..agreement import as_declared, normals

B, D, M, N, T, V = sizes("B D M N T V", integer=True, positive=True)
e, h, w, x, y = (IndexedBase(name) for name in "ehwxy")
ids, length, offsets = (IndexedBase(name, integer=True) for name in ("ids", "length", "offsets"))
b, d, i, j, step = Idx("b", B), Idx("d", D), Idx("i", N), Idx("j", M), Idx("t", T)
t, u = Idx("t"), Idx("u")
TABLE = np.arange(12.0).reshape(4, 3)

bag = Layer(
    "bag",
    [e[V, D], ids[T], offsets[B + 1]],
    [Eq(y[b, d], Sum(e[ids[t], d], (t, offsets[b], offsets[b + 1] - 1)))],
)
masked = Layer(
    "masked",
    [e[V, D], ids[B, T], length[B]],
    [Eq(y[b, step, d], Piecewise((e[ids[b, step], d], step < length[b]), (0, True)))],
)


def forward(layer: Layer, *arrays: Any, **attributes: Any) -> Any:
    return compile_layer(layer).forward(*arrays, **attributes)[0]


def test_ragged_rows_are_checked_where_they_are_summed() -> None:
    offsets_given = np.array([2, 3, 3, 4])
    got = forward(bag, TABLE, np.array([0, -1, 3, 2, 7]), offsets_given)
    np.testing.assert_array_equal(got, [TABLE[3], np.zeros(3), TABLE[2]])
    with pytest.raises(IndexError, match="bag: ids holds 4, but axis 0 of e has extent 4"):
        forward(bag, TABLE, np.array([0, -1, 4, 2, 7]), offsets_given)
    with pytest.raises(IndexError, match="bag: ids holds -2, but axis 0 of e has extent 4"):
        forward(bag, TABLE, np.array([0, -1, 3, -2, 7]), offsets_given)


def test_filler_behind_a_length_may_be_anything() -> None:
    lengths = np.array([1, 2])
    given = {"e": TABLE, "ids": np.array([[0, -1, 9], [1, 3, -5]]), "length": lengths}
    assert as_declared(masked, given)
    with pytest.raises(IndexError, match="masked: ids holds 4, but axis 0 of e has extent 4"):
        forward(masked, TABLE, np.array([[0, -1, 9], [1, 4, -5]]), lengths)


def test_the_same_error_as_without_a_condition() -> None:
    plain = Layer("masked", [e[V, D], ids[B, T]], [Eq(y[b, step, d], e[ids[b, step], d])])
    messages = []
    for layer, rest in ((plain, ()), (masked, (np.array([1, 2]),))):
        with pytest.raises(IndexError) as caught:
            forward(layer, TABLE, np.array([[0, 1, 1], [1, 4, 1]]), *rest)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_an_expression_of_data_is_checked_too() -> None:
    layer = Layer("shifted", [x[N], ids[B]], [Eq(y[b], x[ids[b] + 1])])
    np.testing.assert_array_equal(forward(layer, np.arange(4.0), np.array([-1, 2])), [0.0, 3.0])
    for outside in (-2, 3):
        with pytest.raises(IndexError, match=re.escape("the index ids[b] + 1 holds")):
            forward(layer, np.arange(4.0), np.array([outside, 0]))


def test_conditions_on_real_values_count() -> None:
    layer = Layer("chosen", [x[N], w[B], ids[B]], [Eq(y[b], Piecewise((x[ids[b]], w[b] > 0), (0, True)))])
    assert as_declared(layer, {"x": np.arange(4.0), "w": np.array([1.0, -1.0]), "ids": np.array([3, 8])})
    with pytest.raises(IndexError, match="ids holds 8"):
        forward(layer, np.arange(4.0), np.array([1.0, 1.0]), np.array([3, 8]))


def test_conditions_on_computed_values_are_checked_once_they_are_known() -> None:
    equations = [Eq(h[b], w[b] - Sum(w[u], (u, 0, B - 1))), Eq(y[b], Piecewise((x[ids[b]], h[b] > 0), (0, True)))]
    layer = Layer("computed", [x[N], w[B], ids[B]], equations)
    assert as_declared(layer, {"x": np.arange(4.0), "w": np.array([1.0, -3.0]), "ids": np.array([3, 8])})
    with pytest.raises(IndexError, match="ids holds 8"):
        forward(layer, np.arange(4.0), np.array([-3.0, 1.0]), np.array([3, 8]))


def test_a_condition_that_does_not_keep_a_read_inside_is_not_trusted() -> None:
    """x[j + 2] with j > 0: nothing says that N is at least M + 2."""
    layer = Layer("trusting", [x[N], w[M]], [Eq(y[j], Piecewise((x[j + 2] * w[j], j > 0), (0, True)))])
    assert as_declared(layer, normals(x=(6,), w=(4,)))
    assert as_declared(layer, normals(x=(2,), w=(1,)))
    with pytest.raises(IndexError, match=re.escape("the index j + 2 holds 5, but axis 0 of x has extent 5")):
        forward(layer, np.zeros(5), np.zeros(4))


def test_a_rounded_index_is_checked_at_the_values_that_it_takes() -> None:
    """The interval of ``j*j mod 5`` reaches 4, its values for j < 2 do not."""
    layer = Layer("squares", [x[N], w[M]], [Eq(y[j], x[Mod(j * j, 5)] * w[j])])
    assert as_declared(layer, normals(x=(2,), w=(2,)))
    with pytest.raises(IndexError, match="holds 4, but axis 0 of x has extent 2"):
        forward(layer, np.zeros(2), np.zeros(3))


def test_positions_of_a_maximum_need_no_check() -> None:
    layer = Layer(
        "positions", [x[N], w[N]], [Eq(h[d], ArgMax(x[u], (u, 0, N - 1))), Eq(y[d], w[h[d]])], attributes={D: 2}
    )
    assert "_within" not in compile_layer(layer).source


def test_a_limit_is_required_where_its_sum_is_taken() -> None:
    layer = Layer("behind", [x[N, M], ids[N]], [Eq(y[i], Piecewise((Sum(x[u, 0], (u, 0, ids[0])), i > 2), (0, True)))])
    assert as_declared(layer, normals(x=(3, 5)) | {"ids": np.array([3, 1, 1])})
    with pytest.raises(ValueError, match=re.escape("the limit ids[0] of u")):
        forward(layer, np.zeros((4, 5)), np.array([4, 1, 1, 1]))


def test_requirements_behind_conditions_read_in_bounds() -> None:
    """The condition of a limit holds reads that are outside where another part of it fails."""
    k, q = Symbol("k", integer=True), Symbol("q")
    two = Idx("i", 2)
    value = Piecewise((q, (x[k, two] > 0) & (x[j, j] < 1)), (Sum(x[0, u], (u, 0, k)), True))
    layer = Layer("parts", [x[5, M], q, k], [Eq(y[two, j], value)], integers=[k])
    assert as_declared(layer, normals(x=(5, 4), q=()) | {"k": np.array(3)})


def test_an_absolute_difference_is_an_integer() -> None:
    """So a condition on it keeps a read inside."""
    value = Piecewise((x[Abs(i - j)], Abs(i - j) <= N - 1), (0, True))
    layer = Layer("distance", [x[N], w[M]], [Eq(y[i, j], value * w[j])])
    assert "_within" not in compile_layer(layer).source
    assert as_declared(layer, normals(x=(3,), w=(5,)))


def test_several_checks_use_their_own_positions() -> None:
    k = Symbol("k", integer=True)
    two = Idx("i", 2)
    condition = (x[k - two, two] > 0) & (x[j, j] < 1)
    layer = Layer("own", [x[5, M], k], [Eq(y[two, j], Piecewise((1, condition), (x[0, two], True)))], integers=[k])
    assert as_declared(layer, normals(x=(5, 4)) | {"k": np.array(3)})


def test_names_that_forward_does_not_compute_are_not_asked_for() -> None:
    one = Symbol("h")
    two = Idx("i", 2)
    equations = [Eq(one, 0.3), Eq(h_at(two), Piecewise((x[0, 0], one > 1), (x[2, two], True)))]
    layer = Layer("unused", [x[M, M]], equations)
    assert as_declared(layer, normals(x=(4, 4)))


def h_at(index: Any) -> Any:
    return y[index]


def test_min_and_max_of_data_are_bounds() -> None:
    layer = Layer("clipped", [x[N], ids[B]], [Eq(y[b], x[Max(0, Min(ids[b], N - 1))])])
    assert "_within" not in compile_layer(layer).source


def test_an_index_inside_an_index_is_checked_first() -> None:
    """Before it is read with, to check the outer one."""
    thrice = Layer("thrice", [x[N], w[N]], [Eq(y[i], x[w[w[w[i]]]])])
    compiled = compile_layer(thrice)
    np.testing.assert_array_equal(compiled.forward(np.arange(3.0), np.array([1, 2, 0]))[0], [0, 1, 2])
    for wrong in (3, -1):
        with pytest.raises(IndexError, match=f"thrice: w holds {wrong}, but axis 0 of w has extent 3"):
            compiled.forward(np.arange(3.0), np.array([1, wrong, 0]))


def test_a_place_that_is_checked_already_is_not_checked_again_under_more_conditions() -> None:
    n, n_2, weight, total = Idx("n", N), Idx("n_2", N), IndexedBase("weight"), Symbol("total")
    scores, kinds, loss = IndexedBase("scores"), IndexedBase("kinds"), Symbol("loss")
    behind = Sum(Piecewise((weight[kinds[n_2]] * scores[n_2, kinds[n_2]], kinds[n_2] >= 0), (0, True)), n_2)
    layer = Layer(
        "picked",
        [scores[N, M], kinds[N], weight[M]],
        [
            Eq(total, Sum(Piecewise((weight[kinds[n]], kinds[n] >= 0), (0, True)), n)),
            Eq(loss, Piecewise((behind / total, total > 0), (0, True))),
        ],
        outputs=[loss],
        integers=[kinds],
    )
    compiled = compile_layer(layer)
    assert compiled.source.split("def backward")[0].count("_within_where(") == 1
    for total_is_positive in (1.0, -1.0):
        with pytest.raises(IndexError, match="kinds holds 5"):
            compiled.forward(np.ones((2, 3)), np.array([0, 5]), np.full(3, total_is_positive))
