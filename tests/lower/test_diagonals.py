"""Recurrences along two axes: one loop over diagonals, forward and backward, wherever the reads allow it."""

from __future__ import annotations

import ast
from collections.abc import Callable

import numpy as np
import pytest
from sympy import And, Eq, Expr, Idx, IndexedBase, Or, Piecewise, Rational, Sum, exp, log, oo, sin, symbols, tanh

import symgrad
from symgrad import Layer, Padded
from symgrad.compiler import CompiledLayer, run

N, M, B, D = symbols("N M B D", integer=True, positive=True)
x, y, h, w, a, c = (IndexedBase(name) for name in "xyhwac")
r, o, b, i, j = Idx("r", N), Idx("o", M), Idx("b", B), Idx("i", D), Idx("j", D)
GRID = {N: 16, M: 16}


def grid() -> Layer:
    above = Sum(w[i, j] * Padded(h)[b, r - 1, o, j], j)
    body = tanh(x[b, r, o, i] + above + Padded(h)[b, r, o - 1, i] / 2)
    return Layer("grid", inputs=[x[B, N, M, D], w[D, D]], equations=[Eq(h[b, r, o, i], body)], typical=GRID)


def filtered() -> Layer:
    body = x[r, o] + a[0] * Padded(y)[r - 1, o] + a[1] * Padded(y)[r, o - 1] + a[2] * Padded(y)[r - 1, o - 1]
    return Layer("filtered", inputs=[x[N, M], a[3]], equations=[Eq(y[r, o], body)], typical=GRID)


def to_the_left() -> Layer:
    body = tanh(x[r, o] + Padded(y)[r - 1, o] / 2 + Padded(y)[r, o + 1] / 3)
    return Layer("to_the_left", inputs=[x[N, M]], equations=[Eq(y[r, o], body)], typical=GRID)


def from_both_ends() -> Layer:
    body = sin(x[r, o] + Padded(y)[r, o + 2] / 2 + Padded(y, value=3)[r + 1, o] / 3)
    return Layer("from_both_ends", inputs=[x[N, M]], equations=[Eq(y[r, o], body)], typical=GRID)


def error_diffusion() -> Layer:
    """A read from above right: two columns a row."""
    above = Padded(y)[r - 1, o + 1] * 3 + Padded(y)[r - 1, o] * 5 + Padded(y)[r - 1, o - 1]
    body = tanh(x[r, o] + (Padded(y)[r, o - 1] * 7 + above) / 16)
    return Layer("error_diffusion", inputs=[x[N, M]], equations=[Eq(y[r, o], body)], typical=GRID)


def given_edges() -> Layer:
    """Weights of rows and of columns, edges that are given."""
    going = tanh(c[r] * h[r - 1, o] + a[o] * h[r, o - 1] + x[r, o])
    body = Piecewise((x[r, o], Or(Eq(r, 0), Eq(o, 0))), (going, True))
    return Layer("given_edges", inputs=[x[N, M], a[M], c[N]], equations=[Eq(h[r, o], body)], typical=GRID)


def apart() -> Layer:
    """The two axes are no neighbours, the column comes first."""
    body = x[o, b, r] * Padded(y, value=1)[o - 1, b, r] + Padded(y)[o, b, r - 1] * Rational(1, 3)
    return Layer("apart", inputs=[x[M, B, N]], equations=[Eq(y[o, b, r], body)], typical=GRID)


def gaps() -> Layer:
    """Alignment with affine gaps: three states that need each other."""
    pair, up, left = IndexedBase("pair"), IndexedBase("up"), IndexedBase("left")
    edge = Or(Eq(r, 0), Eq(o, 0))
    best = log(exp(pair[r - 1, o - 1]) + exp(up[r - 1, o - 1]) + exp(left[r - 1, o - 1]))
    opened = log(exp(pair[r - 1, o] - 2) + exp(up[r - 1, o] - 1))
    other = log(exp(pair[r, o - 1] - 2) + exp(left[r, o - 1] - 1))
    return Layer(
        "gaps",
        inputs=[x[N, M]],
        equations=[
            Eq(pair[r, o], x[r, o] + Piecewise((0, edge), (best, True))),
            Eq(up[r, o], Piecewise((-9, Eq(r, 0)), (opened, True))),
            Eq(left[r, o], Piecewise((-9, Eq(o, 0)), (other, True))),
        ],
        outputs=[pair],
        typical=GRID,
    )


def global_alignment(inner: bool) -> Layer:
    """Affine gaps whose states are -oo outside; two of them go on along one axis each."""
    pair, up, left, z = (IndexedBase(name) for name in ("pair", "up", "left", "z"))
    states = [Padded(state, value=-oo) for state in (pair, up, left)]

    def joined(*values: Expr) -> Expr:
        return log(sum(exp(value) for value in values))

    if inner:
        best = joined(states[0][r - 1, o - 1] + x[r, o], up[r, o], left[r, o])
    else:
        best = x[r, o] + joined(*(state[r - 1, o - 1] for state in states))
    return Layer(
        "global_alignment",
        inputs=[x[N, M], a[2]],
        equations=[
            Eq(pair[r, o], Piecewise((x[r, o], And(Eq(r, 0), Eq(o, 0))), (best, True))),
            Eq(up[r, o], joined(states[0][r - 1, o] - a[0], states[1][r - 1, o] - a[1])),
            Eq(left[r, o], joined(states[0][r, o - 1] - a[0], states[2][r, o - 1] - a[1])),
            Eq(z[Idx("k", 1)], joined(pair[N - 1, M - 1], up[N - 1, M - 1], left[N - 1, M - 1])),
        ],
        outputs=[z],
        typical=GRID,
    )


def alignment() -> Layer:
    return global_alignment(inner=False)


def alignment_within_a_step() -> Layer:
    return global_alignment(inner=True)


def known_edges() -> Layer:
    """Edges and a corner with values of their own: the last arm holds where neither condition does."""
    best = log(exp(y[r - 1, o - 1]) + exp(y[r - 1, o]) + exp(y[r, o - 1]))
    edge = (x[r, o] / 2, Or(Eq(r, 0), Eq(o, 0)))
    body = Piecewise((x[r, o], And(Eq(r, 0), Eq(o, 0))), edge, (x[r, o] + best, True))
    return Layer("known_edges", inputs=[x[N, M]], equations=[Eq(y[r, o], body)], typical=GRID)


ALIGNMENTS = [alignment, alignment_within_a_step, known_edges]
LAYERS = [*ALIGNMENTS, grid, filtered, to_the_left, from_both_ends, error_diffusion, given_edges, apart, gaps]


def arrays_of(layer: Layer, **sizes: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=[int(sizes.get(str(e), 0)) or int(e if e.is_number else 0) for e in t.shape])
        for t in layer.inputs
    ]


def results(compiled: CompiledLayer, arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    output, residuals = compiled.forward(*arrays)
    return (output, *compiled.backward(residuals, np.cos(output)))


@pytest.mark.parametrize("make", LAYERS)
def test_one_loop_over_diagonals(make: Callable[[], Layer]) -> None:
    tree = ast.parse(symgrad.compile_layer(make()).source)
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in ("forward", "backward")):
        loops = [n for n in ast.walk(function) if isinstance(n, ast.For)]
        assert [n.target.id for n in loops if isinstance(n.target, ast.Name)] == ["diagonal"]


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(("rows", "columns"), [(5, 4), (1, 1), (1, 6), (6, 1), (2, 9), (9, 2)])
def test_the_general_form_gives_the_same(make: Callable[[], Layer], rows: int, columns: int) -> None:
    layer = make()
    arrays = arrays_of(layer, N=rows, M=columns, B=2, D=3)
    fast, plain = (results(CompiledLayer(run(layer, general)), arrays) for general in (False, True))
    for got, want in zip(fast, plain, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("make", LAYERS[2:])
@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0)])
def test_no_rows_or_no_columns(make: Callable[[], Layer], rows: int, columns: int) -> None:
    layer = make()
    arrays = arrays_of(layer, N=rows, M=columns, B=2, D=3)
    output, *gradients = results(symgrad.compile_layer(layer), arrays)
    assert output.size == 0
    assert [g.shape for g in gradients] == [array.shape for array in arrays]
    assert not any(g.any() for g in gradients)


@pytest.mark.parametrize("make", [grid, gaps, to_the_left, error_diffusion])
def test_every_number_of_the_declaration(make: Callable[[], Layer]) -> None:
    report = symgrad.check_layer(make())
    assert report.ok, report


@pytest.mark.parametrize("make", ALIGNMENTS)
def test_a_largest_exponent_has_a_name_in_every_state(make: Callable[[], Layer]) -> None:
    """No formula subtracts a maximum that is written out."""
    assert "- (max(" not in symgrad.compile_layer(make()).source
    assert symgrad.check_layer(make()).ok


def test_single_precision_stays() -> None:
    layer = grid()
    arrays = [array.astype(np.float32) for array in arrays_of(layer, N=4, M=5, B=2, D=3)]
    assert all(v.dtype == np.float32 for v in results(symgrad.compile_layer(layer), arrays))


def test_arrays_in_any_layout() -> None:
    """Views of transposed and reversed arrays are read along diagonals as they are."""
    layer = filtered()
    compiled = symgrad.compile_layer(layer)
    array, weights = arrays_of(layer, N=5, M=4)[0], np.array([0.5, 0.25, -0.125])
    want = results(compiled, [array, weights])
    for same in (np.asfortranarray(array), array[::-1, ::-1].copy()[::-1, ::-1], np.repeat(array, 2, axis=1)[:, ::2]):
        for got, expected in zip(results(compiled, [same, weights]), want, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_few_rows_keep_a_loop_for_each_axis() -> None:
    body = x[r, o] + Padded(y)[r - 1, o] * Padded(y)[r, o - 1]
    layer = Layer("narrow", inputs=[x[N, M]], equations=[Eq(y[r, o], body)], typical={N: 2, M: 100})
    assert "diagonal" not in symgrad.compile_layer(layer).source


def test_reads_at_any_distance_keep_a_loop_for_each_axis() -> None:
    """A sum over all earlier columns has no diagonal that it stays behind."""
    earlier = symbols("earlier", integer=True)
    body = x[r, o] + Padded(y)[r - 1, o] / 2 + Sum(y[r, earlier], (earlier, 0, o - 1)) / 4
    layer = Layer("all_earlier", inputs=[x[N, M]], equations=[Eq(y[r, o], body)], typical=GRID)
    assert "diagonal" not in symgrad.compile_layer(layer).source
    assert symgrad.check_layer(layer).ok
