"""Base cases, borders and lags of recurrences: every element is computed, from what the declaration says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sympy import And, Eq, Expr, Idx, IndexedBase, Max, Min, Or, Piecewise, Sum, exp, log, oo, sin, symbols, tanh

import symgrad
from symgrad import Layer, LogSumExp, Padded, ReduceMax
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import linearise
from symgrad.compiler import CompiledLayer

from ..agreement import SCHEDULES, as_tuple, close

N, M, T, D = symbols("N M T D", integer=True, positive=True)
n, m, t, i, j, k = Idx("n", N), Idx("m", M), Idx("t", T), Idx("i", D), Idx("j", D), Idx("k", D)
a, g, h, s, x, z, w, r, p = (IndexedBase(name) for name in "aghsxzwrp")
P = Padded
edge, corner = Or(Eq(n, 0), Eq(m, 0)), And(Eq(n, 0), Eq(m, 0))
A, G, S = P(a, value=-oo), P(g, value=1), P(s, value=-2)
BELOW, LOW = P(a, value=-2), P(g, value=-2)


def grid(name: str, *arms: tuple[Expr, object], given: bool = False) -> Layer:
    return Layer(name, [x[N, M], z[M]] if given else [x[N, M]], [Eq(a[n, m], Piecewise(*arms))])


ON_GRIDS = [
    grid("paths", (1, edge), (a[n - 1, m] * x[n, m] + a[n, m - 1], True)),
    grid("subsequence", (0, edge), (Max(a[n - 1, m - 1] + x[n, m], a[n - 1, m], a[n, m - 1]), True)),
    grid("two_edges", (1, Eq(n, 0)), (2, Eq(m, 0)), (a[n - 1, m] * x[n, m] + a[n, m - 1], True)),
    grid("transducer", (0, corner), (log(exp(A[n - 1, m] + x[n, m]) + exp(A[n, m - 1] - x[n, m])), True)),
    grid("from_the_right", (z[m], edge), (P(a)[n - 1, m + 1] * x[n, m] / 2 + P(a)[n, m + 1], True), given=True),
    Layer(
        "two_grids",
        [x[N, M]],
        [
            Eq(a[n, m], Min(P(a)[n, m + 1] + x[n, m], P(a)[n + 1, m + 1])),
            Eq(g[n, m], tanh(P(a)[n + 1, m])),
        ],
        outputs=[g],
    ),
]
ON_GRIDS += [
    Layer(
        "two_states_with_far_reads",
        [x[N, M], z[M]],
        [
            Eq(a[n, m], Piecewise((1, corner), (tanh(BELOW[n, m - 1] + LOW[n - 1, m] + x[n, m]), True))),
            Eq(g[n, m], Piecewise((z[m], corner), (BELOW[n - 2, m] + LOW[n - 1, m - 2] + x[n, m], True))),
        ],
        outputs=[a],
    ),
    Layer(
        "two_states_from_above",
        [x[N, M], z[M]],
        [
            Eq(a[n, m], Piecewise((z[m], Eq(m, 0)), (tanh(BELOW[n, m - 2] * x[n, m] + LOW[n + 1, m]), True))),
            Eq(g[n, m], Piecewise((-3, Eq(m, 0)), (tanh(LOW[n + 1, m - 1] * x[n, m] + BELOW[n + 2, m]), True))),
        ],
        outputs=[a, g],
    ),
]
ON_LINES = [
    Layer(
        "all_but_the_last_given",
        [x[T, D], z[T]],
        [
            Eq(g[t, i], Piecewise((z[t], t <= T - 2), (tanh(LOW[t - 1, D - i - 1] * x[t, i] + P(s)[t - 1]), True))),
            Eq(s[t], Piecewise((z[t], Eq(t, 0)), (Sum(g[t, k], k) / 2, True))),
        ],
        outputs=[g],
    ),
    Layer("nought_late", [x[T, D]], [Eq(g[t, i], Piecewise((0, t > 2), (G[t + 1, i] + x[t, i] / 2, True)))]),
    Layer(
        "the_last_from_another",
        [x[T, D], w[D, D]],
        [
            Eq(g[t, i], Piecewise((1, Eq(t, 0)), (sin(P(h)[t - 2, i] * x[t, i] + P(h)[t - 2, i]), True))),
            Eq(
                h[t, i], Piecewise((-2, t <= T - 2), (tanh(x[t, i] + Sum(P(h)[t - 3, j] * w[i, j], j)) + g[t, i], True))
            ),
        ],
        outputs=[g, h],
    ),
    Layer("late", [z[T]], [Eq(g[t], Piecewise((z[t], t > 2), (tanh(P(g)[t - 1] + P(g)[t - 3]), True)))]),
    Layer("last", [z[T]], [Eq(g[t], Piecewise((z[t], Eq(t, T - 1)), (tanh(P(g)[t - 1]), True)))]),
    Layer(
        "coupled",
        [x[T, D]],
        [
            Eq(a[t, i], Piecewise((0, i < 2), (sin(G[t - 1, i] * x[t, i]), True))),
            Eq(g[t, i], Piecewise((0, Eq(t, 0)), (tanh(a[t - 1, i] * x[t, i]) + a[t, i], True))),
        ],
        outputs=[a, g],
    ),
    Layer(
        "from_the_end",
        [z[T], w[D, D]],
        [
            Eq(g[t, i], P(h, value=1)[t + 1, D - 1 - i]),
            Eq(h[t, i], Piecewise((z[t], t > 2), (Sum(G[t + 1, j] * w[i, j], j), True))),
        ],
        outputs=[g],
    ),
    Layer(
        "three_lags",
        [x[T, D], z[T]],
        [
            Eq(h[t, i], x[t, i] + S[t + 1]),
            Eq(s[t], S[t + 3] * z[t] + Sum(h[t, k], k)),
            Eq(g[t, i], S[t + 1] * S[t + 3] + x[t, i]),
        ],
        outputs=[g],
    ),
    Layer(
        "two_lags",
        [x[T, D], w[D, D]],
        [
            Eq(h[t, i], G[t + 2, i]),
            Eq(
                g[t, i],
                Piecewise(
                    (x[t, i], Eq(t, 0)), (sin(P(h, value=1)[t + 1, i + 1] * Sum(G[t + 1, j] * w[i, j], j)), True)
                ),
            ),
        ],
        outputs=[h, g],
    ),
    Layer(
        "a_scalar_between",
        [x[T, D]],
        [
            Eq(h[t, i], P(g, value=-2)[t + 1, i - 1] * P(s)[t + 1]),
            Eq(g[t, i], Piecewise((x[t, i], t > 2), (P(s)[t + 1], True))),
            Eq(s[t], LogSumExp(g[t, k], k)),
        ],
        outputs=[h],
    ),
    Layer(
        "a_base_of_one",
        [z[T], x[T, D]],
        [
            Eq(h[t, i], P(s, value=1)[t + 3]),
            Eq(g[t, i], z[t]),
            Eq(s[t], Piecewise((1, Eq(t, 0)), (ReduceMax(g[t, k] + h[t, k] * x[t, k], k), True))),
        ],
        outputs=[h],
    ),
    Layer(
        "a_first_element_of_its_own",
        [x[T, D]],
        [Eq(g[t, i], Piecewise((1, i < 1), (x[t, i] / 2 + Sum(P(g)[t + 1, k], k) / 4, True)))],
    ),
    Layer(
        "far_and_beside",
        [x[T, D], w[D, D]],
        [
            Eq(
                g[t, i],
                x[t, i] + P(g, value=-2)[t + 3, i + 1] + Sum(P(g, value=-2)[t + 2, j] * w[i, j], j),
            )
        ],
    ),
]


CONJUGATE = Layer(
    "conjugate_directions",
    [z[D], x[T, D]],
    [
        Eq(r[t, i], Piecewise((z[i], Eq(t, 0)), (r[t - 1, i] - p[t - 1, i] * x[t, i], True))),
        Eq(s[t], Sum(r[t, k] ** 2, k) / 64),
        Eq(p[t, i], Piecewise((r[t, i], Eq(t, 0)), (r[t, i] + s[t] * p[t - 1, i], True))),
    ],
    outputs=[p],
)


def arrays_of(layer: Layer, **sizes: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=[sizes[str(extent)] for extent in tensor.shape]) for tensor in layer.inputs]


def cosines(output: np.ndarray) -> np.ndarray:
    return np.cos(np.arange(output.size)).reshape(output.shape)


def split_results(compiled: CompiledLayer, arrays: list[np.ndarray]) -> tuple[Any, ...]:
    """The outputs, then each gradient."""
    outputs, residuals = compiled.forward(*arrays)
    return as_tuple(outputs), *compiled.backward(residuals, *map(cosines, as_tuple(outputs)))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("layer", [*ON_GRIDS, *ON_LINES, CONJUGATE], ids=lambda layer: layer.name)
def test_every_number_of_the_declaration(layer: Layer, schedule: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # differences of what is -oo
        report = symgrad.check_layer(layer, schedule=schedule)
    assert report.ok, report


@pytest.mark.parametrize("layer", [*ON_GRIDS, *ON_LINES, CONJUGATE], ids=lambda layer: layer.name)
@pytest.mark.parametrize("sizes", [(3, 4, 5, 2), (1, 1, 1, 1), (6, 2, 9, 3), (2, 5, 2, 1)], ids=str)
def test_values_and_slopes_are_those_of_the_evaluator(layer: Layer, sizes: tuple[int, ...]) -> None:
    arrays = arrays_of(layer, **dict(zip("NMTD", sizes, strict=True)))
    named = dict(zip((tensor.name for tensor in layer.inputs), arrays, strict=True))
    want = evaluate(layer, named, {})
    outputs, *gradients = split_results(symgrad.compile_layer(layer), arrays)
    cotangents = {}
    for name, got in zip(layer.outputs, outputs, strict=True):
        close(got, want[name], name)
        cotangents[name] = cosines(got)
    slopes = linearise(layer, named, {}).pull_back(cotangents)
    for tensor, got in zip(layer.inputs, gradients, strict=True):
        finite = np.isfinite(slopes[tensor.name])
        close(got[finite], slopes[tensor.name][finite], f"gradient of {tensor.name}")


@pytest.mark.parametrize("layer", [*ON_LINES, CONJUGATE], ids=lambda layer: layer.name)
def test_no_steps(layer: Layer) -> None:
    arrays = arrays_of(layer, T=0, D=2)
    _, *gradients = split_results(symgrad.compile_layer(layer), arrays)
    assert [gradient.shape for gradient in gradients] == [array.shape for array in arrays]


def test_paths_are_counted() -> None:
    output, _ = symgrad.compile_layer(ON_GRIDS[0]).forward(np.ones((3, 4)))
    np.testing.assert_array_equal(output, [[1, 1, 1, 1], [1, 2, 3, 4], [1, 3, 6, 10]])
