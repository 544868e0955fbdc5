"""Reads and accumulations that no layer of the catalogue has: diagonals, constants, reads kept in by conditions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Max, Min, Mod, Ne, Piecewise, Product, Sum, Symbol, cos, exp, floor
from sympy import symbols as sizes

from symgrad import ArgMax, Layer, LogSumExp, Padded, ReduceMax, ReduceMin, compile_layer

from ..agreement import as_declared, normals

K, M, N = sizes("K M N", integer=True, positive=True)
b, e, h, ids, q, w, x, y = (IndexedBase(name) for name in ["b", "e", "h", "ids", "q", "w", "x", "y"])
real = IndexedBase("x", real=True)
scalar, scale, total = Symbol("x", real=True), Symbol("scale", positive=True), Symbol("y")
i, j, k = Idx("i", N), Idx("j", N), Idx("k", N)
two, three, five = Idx("i", 2), Idx("i", 3), Idx("i", 5)
u, v, at = Idx("u"), Idx("v"), Idx("at")


def judged(inputs: list[Any], *equations: Any, seed: int = 0, **settings: Any) -> bool:
    """Compile and compare, with values drawn for the shapes in ``settings``."""
    shapes = {n: s for n, s in settings.items() if isinstance(s, tuple)}
    given = {n: s for n, s in settings.items() if isinstance(s, np.ndarray)}
    attributes = {n: s for n, s in settings.items() if isinstance(s, int | float)}
    drawn = normals(seed, **shapes) | given
    names = [str(getattr(t, "base", t)) for t in inputs]
    known = {Symbol(n, integer=True, positive=True): s for n, s in attributes.items() if isinstance(s, int)}
    known |= {scale: attributes["scale"]} if "scale" in attributes else {}
    outputs = [eq.lhs for eq in equations if str(getattr(eq.lhs, "base", eq.lhs)) in ("y", "r")]
    layer = Layer("unusual", inputs, list(equations), attributes=known, outputs=outputs or None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return as_declared(layer, {n: drawn[n] for n in names}, attributes)


def test_what_depends_on_a_loop_variable_is_computed_inside_the_loop() -> None:
    equations = [
        Eq(h[i, j, k], b[k, k]),
        Eq(y[two, k], ReduceMin(h[two, two, 2], (u, 0, two))),
    ]
    assert judged([w[N], b[5, 5]], *equations, w=(5,), b=(5, 5))


def test_positions_that_a_condition_excludes_do_not_swallow_others() -> None:
    inner = Piecewise((q[two, Max(two - 2, 0)], two <= 0), (2, True))
    assert judged([q[N, 3]], Eq(y[two], inner), q=(1, 3))


def test_an_index_that_rounds_to_a_constant() -> None:
    one = Idx("i", 1)
    assert judged([x[K, M]], Eq(y[one, at], x[floor(one / 3), at]), x=(2, 5))
    assert judged([w[N + 4]], Eq(y[two], Piecewise((w[floor(two / 2)], two >= 1), (1, True))), w=(6,))


def test_borders_grow_where_a_solved_sum_reads_further() -> None:
    factor = Piecewise((0, Ne(w[five, u], 0)), (w[1 + five, u], True))
    values = normals(w=(5, 3))["w"]
    assert judged([w[5, 3]], Eq(y[five], Product(factor, (u, 0, 2))), w=values)


def test_a_gather_whose_mask_lacks_the_leading_axis() -> None:
    slices = Idx("u", 3)
    read = Padded(x, 2)[v - 2, Mod(slices, 3), M - 1 - floor(at / 2)]
    assert judged([x[2, 3, M]], Eq(y[at], x[0, 0, 2 * at] + ReduceMax(read, (v, -1, 1), slices)), x=(2, 3, 5))


def test_an_accumulation_into_what_it_reads_leaves_that_alone() -> None:
    middle = Eq(e[at], x[at] + Sum(x[u] * N, (u, 0, 0)))
    c = Idx("c", 3)
    last = Eq(y[i, c], Piecewise((e[c], w[c, 1] > 0), (Max(Padded(x, mode="reflect")[c], b[i, c]), True)))
    assert judged([x[5], w[N, N], b[N, 3]], middle, last, x=(5,), w=(5, 5), b=(5, 3))


def test_numbers_alone_keep_the_dtype() -> None:
    assert judged([scalar], Eq(h[Idx("z", 1)], Min(Symbol("scale", positive=True), 1.5)), x=(), scale=0.5)
    assert judged([scalar], Eq(total, Min(scalar * M, scalar)), x=(), M=2)
    assert judged([x[2]], Eq(total, 1 / (1 + exp(2))), x=(2,))
    assert judged([x[2 * N]], Eq(h[three, j], 1), Eq(total, 1 / (1 + exp(2)) / h[2, 1]), x=(4,))


def test_a_derivative_of_several_sums_over_nothing_in_common() -> None:
    assert judged([scalar], Eq(y[five], LogSumExp(scalar, (v, 0, u), (u, 0, 2))), x=())


def test_a_factor_is_not_zero_over_zero_beyond_its_range() -> None:
    """The gradient of x is longer than what is read of it."""
    n = Idx("n", M)
    assert judged([x[N + M], w[M]], Eq(h[n], exp(w[n])), Eq(y[n], x[n] / h[n]), x=(5,), w=(3,))


def test_data_beside_a_solved_read_stays_in_bounds() -> None:
    z, one, m = Idx("i", 3), Idx("j", 1), Idx("k", 3)
    value = cos(x[m, one, z] + ids[one, Mod(m + 1, 3)])
    layer = Layer("beside", [x[3, 3, 3], ids[2, 3]], [Eq(y[z, one, m], value)], integers=[ids])
    assert as_declared(layer, normals(x=(3, 3, 3)) | {"ids": np.array([[1, 2, 0], [1, 2, 0]])})


def test_a_sum_over_an_empty_condition_is_left_out() -> None:
    layer = Layer("nothing", [x[N, M]], [Eq(y[at], x[0, at] + Sum(Padded(x)[u - 9, 0], (u, 0, 2)))])
    assert "where(False" not in compile_layer(layer).source


@pytest.mark.parametrize("rows", [3, 5])
def test_an_entry_whose_index_holds_a_named_extent(rows: int) -> None:
    """``h`` is read at the end of an axis whose extent has a name of its own in the module."""
    columns = floor((N + M - 1) / 2) + 1
    z, c, o = Idx("i", N), Idx("j", columns), Idx("o", 2)
    t = Idx("t")
    equations = [
        Eq(h[z, c], ArgMax(x[z, t] * (c + 1), (t, 0, 1))),
        Eq(y[o], Product(x[o, h[o, floor((N + M - 1) / 2)] + v], (v, 1, 2))),
    ]
    assert judged([x[N, M]], *equations, x=(rows, 6))


def test_an_index_that_drops_out_still_counts() -> None:
    """``m // 2`` is 0 for m < 2: the sum over m is a factor 2, in the gradient too."""
    m, last = Idx("m", 2), Idx("i", N)
    inner = Sum(exp(Padded(x, mode="reflect")[u - floor(m / 2), 0]), m, (u, 1, last))
    assert judged([x[M, 2 * M]], Eq(h[last], inner), Eq(y[last, k], x[0, 0] - h[last] ** 2), x=(1, 2), N=3)


def test_a_share_of_nothing_is_nothing() -> None:
    """Rows that a condition leaves out have no smallest element, so nobody to share their gradient."""
    columns = Idx("j", 6)
    value = Piecewise((ReduceMin(x[i, columns], (u, 0, columns), ties="split"), Eq(columns, 0)), (0, True))
    assert judged([x[N, 3]], Eq(y[i, columns], value), x=(5, 3))


def test_a_constant_exponent() -> None:
    assert judged([w[N]], Eq(y[two], LogSumExp(10000, (u, two, two)) + w[0]), w=(2,))


def test_data_checked_in_part_is_not_taken_as_checked_in_whole() -> None:
    read = Piecewise((x[three, ids[three, three]], ids[1, 1] >= 0), (0, True)) * w[ids[three, 0], 0]
    layer = Layer("partly", [x[N, N], w[N, 3], ids[3, 2]], [Eq(y[three], read)], integers=[ids])
    given = normals(x=(5, 5), w=(5, 3)) | {"ids": np.array([[0, -1], [0, -1], [0, 1]])}
    assert as_declared(layer, given)


def test_an_exact_fraction_that_is_one_number() -> None:
    one = Idx("i", floor((2 - N) / 2) + 1)
    assert judged([x[N + 3, N, 2]], Eq(y[one], x[one, one / 3, one]), x=(5, 2, 2))


def test_a_factor_left_out_by_an_index_of_another_extent() -> None:
    """No product of others: u has another range than the index whose factor is left out."""
    row, column, factor = Idx("i", K), Idx("j", M), Idx("u", 2)
    body = Product(Piecewise((x[factor, column], Ne(factor, row)), (1, True)), factor)
    layer = Layer("left_out", [x[2, M]], [Eq(y[row, column], body)], attributes={K: 4})
    assert as_declared(layer, normals(x=(2, 3)), {"K": 4})
