"""The naive evaluator against NumPy written by hand, expression by expression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import sympy
from sympy import (
    Abs,
    And,
    Eq,
    Idx,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Piecewise,
    Product,
    Rational,
    Sum,
    ceiling,
    cos,
    exp,
    floor,
    log,
    oo,
    pi,
    sign,
    sqrt,
    symbols,
    tanh,
)

from symgrad import ArgMax, ArgMin, Layer, LogSumExp, Padded, ReduceMax, ReduceMin, StopGradient
from symgrad.check.evaluator import evaluate
from symgrad.errors import CheckError, DeclarationError

from .bare import IDS, B, H, K, M, N, T, W, X, Y, Z, bare

rng = np.random.default_rng(3)
b, i, j, k, n, t, u = symbols("b i j k n t u", integer=True)
I_N, I_M, J_M, J_N = Idx("i", N), Idx("i", M), Idx("j", M), Idx("j", N)
stride, padding = symbols("stride padding", integer=True, nonnegative=True)
alpha, scale = symbols("alpha scale", real=True)

vector, matrix, square = rng.normal(size=7), rng.normal(size=(5, 4)), rng.normal(size=(4, 4))
kernel, weights = rng.normal(size=3), rng.normal(size=(3, 4))
long = rng.normal(size=900)
ids, lengths = np.array([2, 0, 3, 2, 1, 0, 2]), np.array([2, 0, 4, 3, 1])


def values(equation: Any, inputs: list[Any], arrays: dict[str, Any], given: Any = None, **rest: Any) -> np.ndarray:
    """The left side y of one or several equations."""
    equations = equation if isinstance(equation, list) else [equation]
    return evaluate(bare(inputs, *equations, **rest), {n: np.asarray(a) for n, a in arrays.items()}, given)["y"]


def cumulative_states(rows: np.ndarray) -> np.ndarray:
    states = [rows[0]]
    for row in rows[1:]:
        states.append(np.tanh(row + np.cumsum(states[-1])))
    return np.array(states)


WINDOWS = Idx("i", floor((N + 2 * padding - K) / stride) + 1)

# name: equation, inputs, arrays, attributes, expected
CASES: dict[str, tuple[Any, list[Any], dict[str, Any], dict[str, Any], Any]] = {
    "contraction": (
        Eq(Y[Idx("n", B), Idx("k", K)], Sum(X[n, J_M] * W[k, J_M], J_M)),
        [X[B, M], W[K, M]],
        {"x": matrix, "w": weights},
        {},
        matrix @ weights.T,
    ),
    "strided windows of a padded sequence": (
        Eq(Y[WINDOWS], Sum(Padded(X)[stride * i + u - padding] * W[u], (u, 0, K - 1))),
        [X[N], W[K]],
        {"x": vector, "w": kernel},
        {"stride": 3, "padding": 2},
        np.array([np.pad(vector, 2)[3 * p : 3 * p + 3] @ kernel for p in range(3)]),
    ),
    "a kernel read backwards": (
        Eq(Y[Idx("i", N - K + 1)], Sum(X[i - u + K - 1] * W[u], (u, 0, K - 1))),
        [X[N], W[K]],
        {"x": vector, "w": kernel},
        {},
        np.convolve(vector, kernel, mode="valid"),
    ),
    "constant border": (
        Eq(Y[Idx("i", N + 4)], Padded(X, value=Rational(1, 2))[i - 2]),
        [X[N]],
        {"x": vector},
        {},
        np.pad(vector, 2, constant_values=0.5),
    ),
    "border of minus infinity": (
        Eq(Y[Idx("i", N + 2)], ReduceMax(Padded(X, value=-oo)[i + u - 2], (u, 0, 2))),
        [X[N]],
        {"x": vector},
        {},
        np.lib.stride_tricks.sliding_window_view(np.pad(vector, 2, constant_values=-np.inf), 3).max(-1),
    ),
    "triangular sum": (
        Eq(Y[I_N], Sum(X[j] * (j + 1), (j, 0, i))),
        [X[N]],
        {"x": vector},
        {},
        np.cumsum(vector * np.arange(1, 8)),
    ),
    "ragged sum": (
        Eq(Y[Idx("b", B)], Sum(X[b, t], (t, 0, IDS[b] - 1))),
        [X[B, T], IDS[B]],
        {"x": matrix, "ids": lengths},
        {},
        np.array([row[:k].sum() for row, k in zip(matrix, lengths, strict=True)]),
    ),
    "product, empty for the first": (
        Eq(Y[I_N], Product(X[j], (j, 0, i - 1))),
        [X[N]],
        {"x": vector},
        {},
        np.cumprod([1.0, *vector[:-1]]),
    ),
    "sum whose limits are the wrong way round is empty": (
        Eq(Y[I_N], X[i] + Sum(X[j], (j, 3, 1)) + Product(X[j], (j, 3, 1))),
        [X[N]],
        {"x": vector},
        {},
        vector + 1,
    ),
    "two limits, the inner one hangs on the outer": (
        Eq(Y[I_N], Sum(X[j] * X[k], (j, 0, k), (k, 0, i))),
        [X[N]],
        {"x": vector},
        {},
        np.array([sum(vector[q] * vector[: q + 1].sum() for q in range(p + 1)) for p in range(7)]),
    ),
    "an index bound twice, one inside the other": (
        Eq(Y[I_N], Sum(X[j] * Sum(X[j], (j, 0, 1)), (j, 0, i)) + X[i]),
        [X[N]],
        {"x": vector},
        {},
        np.cumsum(vector) * vector[:2].sum() + vector,
    ),
    "diagonal and reversed reads": (
        Eq(Y[I_N], X[i, i] - X[N - 1 - i, i]),
        [X[N, N]],
        {"x": square},
        {},
        np.diag(square) - np.diag(square[::-1]),
    ),
    "accumulation by a delta": (
        Eq(Y[Idx("k", K)], Sum(X[n] * KroneckerDelta(IDS[n], k), (n, 0, N - 1))),
        [X[N], IDS[N], W[K]],
        {"x": vector, "ids": ids, "w": np.zeros(4)},
        {},
        np.bincount(ids, weights=vector, minlength=4),
    ),
    "gather": (
        Eq(Y[Idx("n", N), J_M], X[IDS[n], j] * IDS[n]),
        [X[B, M], IDS[N]],
        {"x": matrix, "ids": ids},
        {},
        matrix[ids] * ids[:, None],
    ),
    "a real number under floor as an index": (
        Eq(Y[Idx("n", N)], X[floor(W[n])] * (1 - W[n] + floor(W[n]))),
        [X[M], W[N]],
        {"x": vector, "w": np.array([0.25, 5.75, 3.0])},
        {},
        vector[[0, 5, 3]] * np.array([0.75, 0.25, 1.0]),
    ),
    "indices as numbers": (
        Eq(Y[Idx("k", N)], Sum(X[n] * cos(2 * pi * k * n / N), (n, 0, N - 1))),
        [X[N]],
        {"x": vector},
        {},
        np.fft.fft(vector).real,
    ),
    "sizes and attributes as numbers": (
        Eq(Y[I_N], (X[i] - Sum(X[j], J_N) / N) * alpha ** Rational(3, 2) + scale),
        [X[N]],
        {"x": vector},
        {"alpha": 2.5},
        (vector - vector.mean()) * 2.5**1.5 + 0.125,
    ),
    "equations in any order": (
        [Eq(Y[I_N], Z[i] / Sum(Z[j], J_N)), Eq(Z[I_N], exp(X[i]))],
        [X[N]],
        {"x": vector},
        {},
        np.exp(vector) / np.exp(vector).sum(),
    ),
    "scalars": (
        [Eq(Y[I_N], X[i] * symbols("a") + symbols("mean")), Eq(symbols("mean"), Sum(X[j], J_N) / N)],
        [X[N], symbols("a")],
        {"x": vector, "a": 1.5},
        {},
        vector * 1.5 + vector.mean(),
    ),
    "recurrence": (
        [
            Eq(
                H[Idx("t", T), J_M], Piecewise((X[t, j], Eq(t, 0)), (tanh(X[t, j] + Sum(H[t - 1, k], (k, 0, j))), True))
            ),
            Eq(Y[Idx("t", T), J_M], H[t, j]),
        ],
        [X[T, M]],
        {"x": matrix},
        {},
        cumulative_states(matrix),
    ),
    "recurrence from the far end": (
        Eq(Y[Idx("t", T)], X[t] + Piecewise((Y[t + 1] / 2, t < T - 1), (0, True))),
        [X[T]],
        {"x": long},
        {},
        np.array([(long[p:] * 0.5 ** np.arange(len(long) - p)).sum() for p in range(len(long))]),
    ),
    "a guard keeps reads in bounds": (
        Eq(Y[I_N], Piecewise((X[i - 2] + X[i + 1], And(i >= 2, i < N - 1)), (X[i], True))),
        [X[N]],
        {"x": vector},
        {},
        np.array([*vector[:2], *(vector[p - 2] + vector[p + 1] for p in range(2, 6)), vector[6]]),
    ),
    "a guard keeps conditions in bounds": (
        Eq(Y[I_N], Piecewise((1, And(X[i - 1] > 0, i >= 1)), (Rational(1, 4), True))),
        [X[N]],
        {"x": vector},
        {},
        np.where(np.concatenate([[False], vector[:-1] > 0]), 1, 0.25),
    ),
    "digits of an index": (
        Eq(Y[Idx("i", 2 * N)], X[floor(i / 2)] * (Mod(i, 2) + 1) + ceiling(i / 3)),
        [X[N]],
        {"x": vector},
        {},
        np.repeat(vector, 2) * np.tile([1, 2], 7) + -(-np.arange(14) // 3),
    ),
    "extremes of two limits": (
        Eq(Y[Idx("n", 2)], Piecewise((ReduceMin(X[i, j], I_N, J_M), Eq(n, 0)), (ReduceMax(X[i, j], I_N, J_M), True))),
        [X[N, M]],
        {"x": matrix},
        {},
        np.array([matrix.min(), matrix.max()]),
    ),
    "positions over two limits are row-major": (
        Eq(Y[Idx("n", 2)], Piecewise((ArgMin(X[i, j], J_M, I_N), Eq(n, 0)), (ArgMax(X[i, j], I_N, J_M), True))),
        [X[N, M]],
        {"x": matrix},
        {},
        np.array([matrix.T.argmin(), matrix.argmax()]),
    ),
    "a position as an index": (
        [Eq(Y[I_N], X[i, Z[i]]), Eq(Z[I_N], ArgMax(X[i, j], J_M))],
        [X[N, M]],
        {"x": matrix},
        {},
        matrix.max(1),
    ),
    "log-sum-exp without overflow": (
        Eq(Y[I_N], LogSumExp(1000 * X[i, j], J_M)),
        [X[N, M]],
        {"x": matrix},
        {},
        scipy.special.logsumexp(1000 * matrix, axis=1),
    ),
    "log-sum-exp of nothing": (
        Eq(Y[I_N], LogSumExp(X[j], (j, 0, i - 1))),
        [X[N]],
        {"x": vector},
        {},
        np.array([-np.inf, *np.logaddexp.accumulate(vector[:-1])]),
    ),
    "pointwise kinks": (
        Eq(Y[I_N], Max(X[i], 0) - Min(X[i], Rational(1, 2)) + Abs(X[i]) * sign(X[i]) + StopGradient(X[i])),
        [X[N]],
        {"x": vector},
        {},
        np.maximum(vector, 0) - np.minimum(vector, 0.5) + 2 * vector,
    ),
    "remainders of reals": (
        Eq(Y[I_N], Mod(X[i], Rational(1, 3)) + Mod(X[i], -2) + floor(X[i]) - ceiling(X[i])),
        [X[N]],
        {"x": vector},
        {},
        np.mod(vector, 1 / 3) + np.mod(vector, -2) - 1,
    ),
    "an axis without elements": (
        Eq(Y[I_N], 1 + Sum(X[i, j], J_M)),
        [X[N, M]],
        {"x": np.zeros((3, 0))},
        {},
        np.ones(3),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_numpy(name: str) -> None:
    equation, inputs, arrays, attributes, expected = CASES[name]
    declared = {stride: 1, padding: 0, alpha: 1.0, scale: 0.125}
    got = values(equation, inputs, arrays, attributes, integers=[IDS], attributes=declared)
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "wrap"])
@pytest.mark.parametrize("extent", [1, 2, 5])
def test_borders_repeat_as_numpy_pads(mode: str, extent: int) -> None:
    x = rng.normal(size=extent)
    got = values(Eq(Y[Idx("i", N + 12)], Padded(X, mode=mode)[i - 6]), [X[N]], {"x": x})
    named = {"reflect": "reflect", "replicate": "edge", "wrap": "wrap"}[mode]
    np.testing.assert_array_equal(got, np.pad(x, 6, mode=named))


def functions() -> dict[str, tuple[Any, Any, np.ndarray]]:
    inside, around, above = np.linspace(-0.9, 0.9, 7), np.linspace(-3, 3, 7), np.linspace(1.1, 4, 7)
    listed = [
        *((name, getattr(np, name), around) for name in ("exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign")),
        *((f"a{name}", getattr(np, f"arc{name}"), inside) for name in ("sin", "cos", "tan", "sinh", "tanh")),
        ("acosh", np.arccosh, above),
        ("log", np.log, above),
        *((name, getattr(scipy.special, name), around) for name in ("erf", "erfc")),
        ("gamma", scipy.special.gamma, above),
        ("loggamma", scipy.special.gammaln, above),
        ("digamma", scipy.special.digamma, above),
        *((name, lambda x, of=of: 1 / of(x), above) for name, of in (("sec", np.cos), ("coth", np.tanh))),
        ("floor", np.floor, around),
        ("ceiling", np.ceil, around),
    ]
    return {name: (getattr(sympy, name), reference, points) for name, reference, points in listed}


@pytest.mark.parametrize("name", functions())
def test_functions(name: str) -> None:
    function, reference, points = functions()[name]
    got = values(Eq(Y[I_N], function(X[i])), [X[N]], {"x": points})
    np.testing.assert_allclose(got, reference(points), rtol=1e-13)


def test_functions_of_two_arguments() -> None:
    equation = Eq(Y[I_N], sympy.atan2(X[i], W[i]) + Abs(X[i]) ** W[i] + sympy.polygamma(1, Abs(X[i])))
    x, w = rng.normal(size=6), rng.normal(size=6)
    expected = np.arctan2(x, w) + np.abs(x) ** w + scipy.special.polygamma(1, np.abs(x))
    np.testing.assert_allclose(values(equation, [X[N], W[N]], {"x": x, "w": w}), expected, rtol=1e-13)


def test_ieee_instead_of_python_errors() -> None:
    terms = [log(X[0]), sqrt(X[1]), 1 / X[0], exp(X[2]), X[2] ** 300, X[1] ** X[3], Mod(X[1], X[0]), sympy.atanh(-X[1])]
    pieces = Piecewise(*((term, Eq(n, place)) for place, term in enumerate(terms)), (0, True))
    got = values(Eq(Y[Idx("n", len(terms))], pieces), [X[N]], {"x": np.array([0.0, -1.0, 1e3, 0.5])})
    np.testing.assert_array_equal(got, [-np.inf, np.nan, np.inf, np.inf, np.inf, np.nan, np.nan, np.inf])


def test_nan_wins_an_extreme() -> None:
    x = np.array([[1.0, np.nan, 3.0]])
    assert np.isnan(values(Eq(Y[I_N], ReduceMax(X[i, j], J_M)), [X[N, M]], {"x": x})).all()
    assert values(Eq(Y[I_N], ArgMax(X[i, j], J_M)), [X[N, M]], {"x": x}).tolist() == [1]
    assert np.isnan(values(Eq(Y[I_N], Max(X[i, 1], 0)), [X[N, M]], {"x": x})).all()


def test_dtype_says_what_was_computed() -> None:
    arrays = {"x": matrix.astype(np.float32)}
    assert values(Eq(Y[I_N], X[i, 0]), [X[N, M]], arrays).dtype == np.float64
    assert values(Eq(Y[I_N], ArgMax(X[i, j], J_M)), [X[N, M]], arrays).dtype == np.int64
    assert values(Eq(Y[I_N], X[i, 0]), [X[N, M]], {"x": matrix + 0j}).dtype == np.complex128


SMOOTH = {
    "analytic": exp(X[i]) * tanh(X[i]) / sqrt(1 + X[i] ** 2) + sympy.erf(X[i]) * sympy.gamma(2 + X[i] ** 2),
    "branches by the real part": Max(X[i], X[i] ** 2) * Abs(X[i])
    + Piecewise((X[i] ** 3, X[i] > 0), (sympy.sin(X[i]), True)),
    "rounding": Mod(X[i], Rational(1, 3)) * X[i] + floor(X[i]) * X[i],
    "reductions": LogSumExp(X[i] * j, (j, 0, 3)) + ReduceMax(X[i] * (j - 1), (j, 0, 3)) + Product(X[i] + j, (j, 0, 2)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_complex_step_is_the_derivative(name: str) -> None:
    equation = Eq(Y[I_N], SMOOTH[name])
    x = np.array([-1.3, -0.4, 0.2, 0.9, 1.7])
    step = values(equation, [X[N]], {"x": x + 1e-20j}).imag / 1e-20
    difference = (
        values(equation, [X[N]], {"x": x + 1e-6}).real - values(equation, [X[N]], {"x": x - 1e-6}).real
    ) / 2e-6
    np.testing.assert_allclose(step, difference, rtol=1e-7)


def test_stop_gradient_stops_the_complex_step() -> None:
    stopped = values(Eq(Y[I_N], X[i] * StopGradient(X[i])), [X[N]], {"x": vector + 1e-20j})
    np.testing.assert_allclose(stopped.imag / 1e-20, vector)
    np.testing.assert_allclose(stopped.real, vector**2)


@pytest.mark.parametrize(
    ("equation", "words"),
    [
        (Eq(Y[I_N], X[i + 1, 0]), ["x[i + 1, 0]", "index 5 on axis 0", "extent 5", "i = 4"]),
        (Eq(Y[I_N], X[i - 1, 0]), ["x[i - 1, 0]", "index -1 on axis 0", "i = 0"]),
        (Eq(Y[I_N], X[0, 2 * i]), ["index 4 on axis 1", "extent 4", "i = 2"]),
        (Eq(Y[I_N], X[i / 2, 0]), ["the index i/2 of x[i/2, 0] is 1/2", "no integer"]),
        (Eq(Y[I_N], X[i]), ["x[i]", "1 indices", "2 axes"]),
        (Eq(Y[I_N], W[i]), ["w[i]", "neither an input nor a left side"]),
        (Eq(Y[I_N], X[i, k]), ["k has no value"]),
        (Eq(Y[I_N], ReduceMax(X[i, j], (j, 0, -1))), ["no value at all", "i = 0"]),
        (Eq(Y[I_N], ArgMax(X[i, j], (j, 0, k), (k, 0, 2))), ["depend on each other"]),
        (Eq(Y[I_N], Y[i]), ["y[0] needs its own value"]),
        (Eq(Y[I_N], Piecewise((X[i, 0], i > 2))), ["says nothing for this case", "i = 0"]),
        (Eq(Y[I_N], sympy.zeta(X[i, 0])), ["no meaning for zeta"]),
        (Eq(Y[I_N], Sum(X[i, j], (j, 0, Rational(1, 2)))), ["the last value of j is 1/2"]),
        (Eq(Y[2 * I_N], X[i, 0]), ["indexed by 2*i", "plain indices"]),
        (Eq(Y[i], X[i, 0]), ["the index i", "has no range"]),
        (Eq(Y[Idx("i", (1, 3))], X[i, 0]), ["index i of y runs from 1 to 3"]),
        (Eq(Y[Idx("i", M - N)], X[i, 0]), ["runs from 0 to -2"]),
    ],
)
def test_errors_name_what_is_wrong(equation: Any, words: list[str]) -> None:
    with pytest.raises(CheckError) as caught:
        values(equation, [X[N, M]], {"x": matrix})
    assert all(word in str(caught.value) for word in ["bare", *words]), str(caught.value)


def test_a_real_number_is_no_index() -> None:
    with pytest.raises(CheckError, match=r"the index w\[i\] of x\[w\[i\]\] is 1\.0, which is no integer"):
        values(Eq(Y[I_N], X[W[i]]), [X[M], W[N]], {"x": vector, "w": np.ones(2)})


def test_layer_with_inferred_ranges_and_default_attributes() -> None:
    moving_sum = Eq(Y[i], alpha * Sum(X[i + Idx("u", K)], Idx("u", K)))
    layer = Layer("moving_sum", inputs=[X[N]], equations=[moving_sum], attributes={K: 3, alpha: 2.0})
    windows = np.lib.stride_tricks.sliding_window_view
    np.testing.assert_allclose(evaluate(layer, {"x": vector}, {})["y"], 2 * windows(vector, 3).sum(-1))
    np.testing.assert_allclose(evaluate(layer, {"x": vector}, {"K": 2})["y"], 2 * windows(vector, 2).sum(-1))


def test_shapes_that_disagree_are_refused() -> None:
    layer = Layer("dot", inputs=[X[N], W[N]], equations=[Eq(symbols("y"), Sum(X[i] * W[i], I_N))])
    with pytest.raises(DeclarationError):
        evaluate(layer, {"x": vector, "w": kernel}, {})
    assert evaluate(layer, {"x": kernel, "w": kernel}, {})["y"].shape == ()


def test_inputs_are_not_written_to() -> None:
    x = vector.copy()
    values(Eq(Y[I_N], X[i] ** 2), [X[N]], {"x": x})
    np.testing.assert_array_equal(x, vector)
