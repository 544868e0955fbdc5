"""Axes of extent 0: kernels without entries, borders whose width comes out negative, reads of a tensor of nothing.

Forward is compared with the naive evaluator and backward with its differences, at every combination of small sizes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, KroneckerDelta, Max, Min, Mod, Piecewise, Sum, exp, floor, symbols, tanh

from symgrad import Layer, Padded, ReduceMax, check_layer, compile_layer
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import linearise
from symgrad.errors import CheckError

from ..agreement import close

C, M, N, R = symbols("C M N R", integer=True, positive=True)
dilation, stride = symbols("dilation stride", integer=True, positive=True)
h, ids, lengths, p, q, w, x, y = (IndexedBase(name) for name in ("h", "ids", "lengths", "p", "q", "w", "x", "y"))
c, i, j, k, m, n = Idx("c", C), Idx("i", N), Idx("j", M), Idx("k", N + M - 1), Idx("m", M), Idx("n", N)
u, v = Idx("u", R), Idx("v", R)
t = Idx("t", stride * (N - 1) + R)

first = Piecewise((1, Eq(i, 0)), (0, True))
last = Piecewise((1, Eq(i, N - 1)), (0, True))

LAYERS = {
    "next_of_a_ring": Layer("next_of_a_ring", [x[N]], [Eq(y[i], x[Mod(i + 1, N)] - x[Mod(i - 1, N)])]),
    "circulant": Layer("circulant", [x[N], w[N]], [Eq(y[n], Sum(w[Mod(n - i, N)] * x[i], i))]),
    "circulant_forwards": Layer("circulant_forwards", [x[N], w[N]], [Eq(y[n], Sum(w[Mod(n + i, N)] * x[i], i))]),
    "circulant_turned": Layer("circulant_turned", [x[N], w[N]], [Eq(y[n], Sum(w[Mod(i - n, N)] * x[i], i))]),
    "rings": Layer(
        "rings", [x[C, N], w[C, R]], [Eq(y[c, n], Sum(x[c, Mod(n + u, N)] * w[c, u], u) + x[Mod(c + 1, C), n])]
    ),
    "last_or_nothing": Layer("last_or_nothing", [x[C, N]], [Eq(y[c], Padded(x)[c, N - 1] ** 2)]),
    "first_or_nothing": Layer("first_or_nothing", [x[N, C]], [Eq(y[c], tanh(Padded(x)[0, c]))]),
    "first_of_a_recurrence": Layer(
        "first_of_a_recurrence",
        [x[C], w[N, C]],
        [Eq(h[n, c], Piecewise((x[c], Eq(n, 0)), (tanh(h[n - 1, c]) * w[n, c], True)))],
    ),
    "first_or_no_term": Layer("first_or_no_term", [x[N], w[C]], [Eq(y[c], Sum(first * w[c] * exp(x[i]), i))]),
    "last_or_no_term": Layer("last_or_no_term", [x[N], w[C]], [Eq(y[c], Sum(last * w[c] * x[i], i))]),
    "count_of_firsts": Layer("count_of_firsts", [x[N], w[C]], [Eq(y[c], Sum(first * w[c] * x[i] ** 0, i))]),
    "slope": Layer("slope", [x[N]], [Eq(y[i], Padded(x, mode="replicate")[i + 1] - x[i])]),
    "mirrored": Layer("mirrored", [x[N], w[R]], [Eq(y[i], Sum(Padded(x, mode="reflect")[i + u] * w[u], u))]),
    "past": Layer(
        "past",
        [x[N], w[R]],
        [Eq(y[i], Sum(Padded(x)[i - dilation * (R - 1 - u)] * w[u], u))],
        attributes={dilation: 1},
    ),
    "past_of_channels": Layer(
        "past_of_channels",
        [x[C, N], w[M, C, R]],
        [Eq(y[m, i], Sum(Padded(x)[c, i - dilation * (R - 1 - u)] * w[m, c, u], c, u))],
        attributes={dilation: 2},
    ),
    "past_maximum": Layer(
        "past_maximum", [x[N]], [Eq(y[i], ReduceMax(Padded(x, -7)[i - (R - 1 - u)], u))], attributes={R: 2}
    ),
    "full": Layer("full", [x[N], w[M]], [Eq(h[k], Sum(x[i] * Padded(w)[k - i], i))]),
    "full_both": Layer("full_both", [x[N], w[M]], [Eq(h[k], Sum(Padded(x)[k - j] * w[j], j))]),
    "full_2d": Layer(
        "full_2d",
        [x[N, N], w[R, R]],
        [
            Eq(
                h[Idx("a", N + R - 1), Idx("b", N + R - 1)],
                Sum(Padded(x)[Idx("a", N + R - 1) - u, Idx("b", N + R - 1) - v] * w[u, v], u, v),
            )
        ],
    ),
    "upsampled": Layer(
        "upsampled", [x[N], w[R]], [Eq(y[t], Sum(x[i] * Padded(w)[t - stride * i], i))], attributes={stride: 2}
    ),
    "spread_by_an_extent": Layer(
        "spread_by_an_extent",
        [x[N], w[R]],
        [Eq(y[i], Sum(Padded(x)[2 * i - (R - 1) + u] * w[u], u))],
    ),
    "at_data": Layer("at_data", [x[N], p[M]], [Eq(y[m], Padded(x)[floor(p[m])])]),
    "between": Layer(
        "between",
        [x[C, N], p[M]],
        [Eq(y[c, m], Padded(x, 2)[c, floor(p[m])] * (1 + floor(p[m]) - p[m]) + Padded(x)[c, floor(p[m]) + 1])],
    ),
    "behind_a_condition": Layer(
        "behind_a_condition",
        [x[N], ids[M, R], lengths[M]],
        [Eq(y[m], Sum(Piecewise((x[ids[m, u]], u < lengths[m]), (0, True)), u))],
        integers=[lengths],
    ),
}

r, z = IndexedBase("r"), IndexedBase("z")
ahead, behind, spread = i + u + C - 1, i - u - (C - 1), 2 * i + u - (C - 1)


def kept(value: Expr, place: Expr) -> Expr:
    return Piecewise((value, (place >= 0) & (place <= N - 1)), (0, True))


def beside(name: str, right: Expr) -> Layer:
    """Places are moved by the extent of an axis that nothing else runs over, which changes the sign where it is 0."""
    return Layer(f"moved_{name}", [x[N], w[R], z[C]], [Eq(y[i], right)])


MOVED = [
    beside("ahead", Sum(Padded(x)[ahead] * w[u], u)),
    beside("behind_with_a_number", Sum(Padded(x, 2)[behind] * w[u], u)),
    beside("half", Sum(Padded(x)[i + u - floor(C / 2)] * w[u], u)),
    beside("by_steps", Sum(Padded(x)[spread] * w[u], u)),
    beside("twice", Sum(Padded(x)[i + u - (C - 1)] * w[u], u) + Padded(x)[i + C - 1]),
    beside("guarded_behind", Sum(kept(x[behind] * w[u], behind), u)),
    beside("guarded_ahead", Sum(kept(x[ahead] * w[u], ahead), u)),
    beside("a_share", Sum(kept(x[behind] * w[u], behind), u) / (1 + Sum(kept(1, behind), u))),
    beside("a_run", Sum(x[m], (m, Max(0, i - (C - 1)), Min(N - 1, i + C - 1)))),
    beside("put_ahead", Sum(x[n] * KroneckerDelta(n + C - 1, i), n)),
    beside("put_behind", Sum(x[n] * w[u] * KroneckerDelta(n + u - (C - 1), i), n, u)),
    beside("one_place", Padded(x)[C - 1] * (i + 1)),
    beside("equal", Piecewise((x[i], Eq(i + C - 1, 0)), (x[i] ** 2, True))),
    Layer(
        "moved_recurrence",
        [x[N], z[C]],
        [Eq(r[n], Piecewise((tanh(r[n - 1]), n > 0), (0, True)) + Padded(x)[n - (C - 1)])],
    ),
]
LAYERS |= {layer.name: layer for layer in MOVED}


def drawn(layer: Layer, sizes: dict[Any, int]) -> dict[str, np.ndarray]:
    """Inputs of these sizes; real positions stay away from whole numbers."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for tensor in layer.inputs:
        shape = tuple(int(extent.subs(sizes)) for extent in tensor.shape)
        arrays[tensor.name] = np.zeros(shape, int) if tensor.integer else rng.integers(-2, 4, shape) + 0.37
    return arrays


def cases(layer: Layer) -> Iterator[tuple[dict[str, np.ndarray], dict[str, int]]]:
    """Every combination of dimensions from 0 to 3, with attributes of 1 and 3."""
    dimensions = sorted({s for t in layer.inputs for e in t.shape for s in e.free_symbols}, key=str)
    for sizes in itertools.product(range(4), repeat=len(dimensions)):
        for spread in (1, 3):
            yield drawn(layer, dict(zip(dimensions, sizes, strict=True))), {a.name: spread for a in layer.attributes}


@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("name", LAYERS)
def test_empty_axes_mean_what_the_evaluator_says(name: str, schedule: str) -> None:
    layer = LAYERS[name]
    compiled = compile_layer(layer, schedule=schedule)
    agreed = 0
    for arrays, settings in cases(layer):
        try:
            expected = evaluate(layer, arrays, settings)[layer.outputs[0]]
        except CheckError as error:
            assert "extent is not negative" in str(error)
            with pytest.raises(ValueError, match="negative"):
                compiled.forward(*arrays.values(), **settings)
            continue
        output, residuals = compiled.forward(*arrays.values(), **settings)
        close(output, expected, f"{name} of {settings} and shapes {[a.shape for a in arrays.values()]}")
        cotangent = np.random.default_rng(1).normal(size=expected.shape)
        gradients = compiled.backward(residuals, cotangent)
        slopes = linearise(layer, arrays, settings).pull_back({layer.outputs[0]: cotangent})
        for tensor, slope in slopes.items():
            what = f"gradient of {tensor} at {settings} and shapes {[a.shape for a in arrays.values()]}"
            close(getattr(gradients, tensor), slope, what)
        agreed += 1
    assert agreed >= 8


@pytest.mark.parametrize(
    "layer, place",
    [
        (Layer("times_the_first", [x[N]], [Eq(y[i], x[i] * x[0])]), "x is read at index 0 of axis 0"),
        (Layer("less_the_last", [x[M, N]], [Eq(y[m, i], x[m, i] - x[m, N - 1])]), "x is read at index N - 1 of axis 1"),
        (Layer("the_largest", [x[N]], [Eq(y[i], x[i] - ReduceMax(x[n], n))]), "the maximum over n"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_every_element_reads_has_to_be_there(layer: Layer, place: str) -> None:
    """The results are empty, but what is read once for all of them is not there: an error says so, and is expected."""
    with pytest.raises(ValueError, match=rf"{layer.name}: {place}.*: N is 0"):
        compile_layer(layer).forward(np.zeros([2, 0][2 - len(layer.inputs[0].shape) :]))
    report = check_layer(layer, seed=1)
    assert report.ok, str(report)
