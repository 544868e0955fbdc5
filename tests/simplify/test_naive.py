"""Losses and layers as a paper writes them, at extreme inputs in float32: no warning, values and gradients right.

The oracle evaluates the declared equations themselves, with more digits than any exponential needs, and takes
differences of that.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from sympy import (
    Abs,
    Eq,
    Idx,
    IndexedBase,
    Ne,
    Piecewise,
    Sum,
    Symbol,
    exp,
    log,
    pi,
    sqrt,
    symbols,
)

import symgrad
from symgrad import Layer
from symgrad.check.steps import check_steps
from symgrad.compiler import run

from .exact import exact, exact_gradients, quiet

N, M, K = symbols("N M K", integer=True, positive=True)
tau, nu, delta, gamma, margin, lam = symbols("tau nu delta gamma margin lam", real=True, positive=True)
loss = Symbol("loss")
x, y, z, p, q, t, a, b, u, v, w, s, mu, scale, mask = (
    IndexedBase(name) for name in ["x", "y", "z", "p", "q", "t", "a", "b", "u", "v", "w", "s", "mu", "scale", "mask"]
)
n, m, j, k, i = Idx("n", N), Idx("m", M), Idx("j", M), Idx("k", K), Idx("i", N)
logistic = 1 / (1 + exp(-x[n, m]))
softmax_x = exp(x[n, m]) / Sum(exp(x[n, j]), j)
softmax_z = exp(z[n, m]) / Sum(exp(z[n, j]), j)

WIDE = np.array([[800, -800, 0], [500, 400, -700], [-800, -800, -800]], np.float32)
OTHER = np.array([[0, 800, -20], [-300, 90, 3], [1e-3, 0, -1e-3]], np.float32)
LABELS = np.array([[0, 1, 0], [1, 0, 1], [1, 1, 0]], np.float32)
SMALL = np.array([[1e-30, 0.5, 0.9999999], [0.25, 1e-7, 0.3], [0.1, 0.2, 0.3]], np.float32)


def declared(inputs: Any, equations: Any, constants: Any = (), attributes: Any = None) -> Layer:
    last = equations[-1].lhs
    return Layer(
        "naive",
        inputs=list(inputs),
        equations=list(equations),
        constants=list(constants),
        attributes=attributes or {},
        outputs=[last if isinstance(last, Symbol) else last.base],
    )


BOTH = (x[N, M], z[N, M])
LABELLED = (x[N, M], t[N, M])
CASES: dict[str, tuple[Layer, dict[str, np.ndarray]]] = {
    "focal loss": (
        declared(
            LABELLED,
            [
                Eq(p[n, m], logistic),
                Eq(
                    y[n, m],
                    -t[n, m] * (1 - p[n, m]) ** 2 * log(p[n, m]) - (1 - t[n, m]) * p[n, m] ** 2 * log(1 - p[n, m]),
                ),
            ],
            [t],
        ),
        {"x": WIDE, "t": LABELS},
    ),
    "binary cross-entropy": (
        declared(
            LABELLED,
            [
                Eq(p[n, m], logistic),
                Eq(y[n], -Sum(t[n, m] * log(p[n, m]) + (1 - t[n, m]) * log(1 - p[n, m]), m)),
            ],
            [t],
        ),
        {"x": WIDE, "t": LABELS},
    ),
    "InfoNCE": (
        declared(BOTH, [Eq(y[n], -log(exp(x[n, 0]) / (exp(x[n, 0]) + Sum(exp(z[n, j]), j))))]),
        {"x": WIDE, "z": OTHER},
    ),
    "InfoNCE without the pair itself": (
        declared(
            [x[N, N]],
            [Eq(y[n], -log(exp(x[n, n]) / Sum(Piecewise((exp(x[n, i]), Ne(i, n)), (0, True)), i)))],
        ),
        {"x": WIDE},
    ),
    "entropy of a softmax": (
        declared([x[N, M]], [Eq(p[n, m], softmax_x), Eq(y[n], -Sum(p[n, m] * log(p[n, m]), m))]),
        {"x": WIDE},
    ),
    "divergence of two softmaxes": (
        declared(
            BOTH,
            [
                Eq(p[n, m], softmax_x),
                Eq(q[n, m], softmax_z),
                Eq(y[n], Sum(p[n, m] * (log(p[n, m]) - log(q[n, m])), m)),
            ],
        ),
        {"x": WIDE, "z": OTHER},
    ),
    "divergence, by the logarithm of a quotient": (
        declared(
            BOTH,
            [Eq(p[n, m], softmax_x), Eq(q[n, m], softmax_z), Eq(y[n], Sum(p[n, m] * log(p[n, m] / q[n, m]), m))],
        ),
        {"x": WIDE, "z": OTHER},
    ),
    "Gumbel softmax": (
        declared(
            [x[N, M], u[N, M]],
            [
                Eq(s[n, m], (x[n, m] - log(-log(u[n, m]))) / tau),
                Eq(y[n, m], exp(s[n, m]) / Sum(exp(s[n, j]), j) * m),
            ],
            [u],
            {tau: 0.5},
        ),
        {"x": WIDE, "u": SMALL},
    ),
    "masked softmax": (
        declared(
            [x[N, M], mask[N, M]],
            [
                Eq(
                    y[n, m],
                    m
                    * Piecewise((exp(x[n, m]), mask[n, m] > 0), (0, True))
                    / Sum(Piecewise((exp(x[n, j]), mask[n, j] > 0), (0, True)), j),
                )
            ],
            [mask],
        ),
        {"x": WIDE, "mask": LABELS},
    ),
    "logarithm of the mean of exponentials": (
        declared([x[N, M]], [Eq(y[n], log(Sum(exp(x[n, j]), j) / M))]),
        {"x": WIDE},
    ),
    "a step of Sinkhorn": (
        declared(
            [x[N, M], v[M]],
            [
                Eq(w[n, m], exp(-x[n, m] / tau)),
                Eq(u[n], 1 / Sum(w[n, j] * v[j], j)),
                Eq(y[n, m], u[n] * w[n, m] * v[m] * m),
            ],
            attributes={tau: 0.5},
        ),
        {"x": WIDE, "v": np.array([0.5, 2, 1], np.float32)},
    ),
    "mixture of normals": (
        declared(
            [a[N], x[M], mu[M], scale[M]],
            [
                Eq(
                    y[n],
                    log(
                        Sum(
                            exp(x[m])
                            / Sum(exp(x[j]), j)
                            * exp(-((a[n] - mu[m]) ** 2) / (2 * scale[m] ** 2))
                            / (scale[m] * sqrt(2 * pi)),
                            m,
                        )
                    ),
                )
            ],
        ),
        {
            "a": np.array([40, -40, 0], np.float32),
            "x": np.array([300, 0, -300], np.float32),
            "mu": np.array([0, 1, -2], np.float32),
            "scale": np.array([0.5, 1, 2], np.float32),
        },
    ),
    "softmax that may attend to nothing": (
        declared([x[N, M]], [Eq(y[n, m], m * exp(x[n, m]) / (1 + Sum(exp(x[n, j]), j)))]),
        {"x": WIDE},
    ),
    "pairwise ranking": (
        declared(BOTH, [Eq(y[n, m], -log(1 / (1 + exp(-(x[n, m] - z[n, m])))))]),
        {"x": WIDE, "z": OTHER},
    ),
    "Huber": (
        declared(
            BOTH,
            [
                Eq(
                    y[n, m],
                    Piecewise(
                        ((x[n, m] - z[n, m]) ** 2 / 2, Abs(x[n, m] - z[n, m]) <= delta),
                        (delta * (Abs(x[n, m] - z[n, m]) - delta / 2), True),
                    ),
                )
            ],
            attributes={delta: 1.5},
        ),
        {"x": WIDE, "z": OTHER},
    ),
    "Student t": (
        declared(
            [x[N, M], s[M]],
            [Eq(y[n, m], log(s[m]) + (nu + 1) / 2 * log(1 + (x[n, m] / s[m]) ** 2 / nu))],
            attributes={nu: 3.0},
        ),
        {"x": WIDE, "s": np.array([1e-3, 1, 1e3], np.float32)},
    ),
    "logit-normal": (
        declared(
            [x[N, M], s[M]],
            [
                Eq(p[n, m], logistic),
                Eq(
                    y[n, m],
                    log(s[m]) + log(p[n, m] / (1 - p[n, m])) ** 2 / (2 * s[m] ** 2) + log(p[n, m] * (1 - p[n, m])),
                ),
            ],
        ),
        {"x": WIDE, "s": np.array([0.5, 1, 2], np.float32)},
    ),
    "label smoothing": (
        declared(
            LABELLED,
            [
                Eq(p[n, m], softmax_x),
                Eq(y[n], -Sum(((1 - delta) * t[n, m] + delta / M) * log(p[n, m]), m)),
            ],
            [t],
            {delta: 0.1},
        ),
        {"x": WIDE, "t": LABELS},
    ),
    "soft minimum of distances": (
        declared(
            [x[N, M], z[K, M]],
            [Eq(y[n], -tau * log(Sum(exp(-Sum((x[n, j] - z[k, j]) ** 2, j) / tau), k)))],
            attributes={tau: 0.5},
        ),
        {"x": WIDE / 100, "z": OTHER[:2] / 100},
    ),
    "evidence for two classes": (
        declared([x[N, M]], [Eq(y[n, m], log(1 + exp(x[n, m])) - log(1 + exp(-x[n, m])))]),
        {"x": WIDE},
    ),
    "distillation": (
        declared(
            BOTH,
            [
                Eq(p[n, m], exp(x[n, m] / tau) / Sum(exp(x[n, j] / tau), j)),
                Eq(y[n], -(tau**2) * Sum(p[n, m] * log(exp(z[n, m] / tau) / Sum(exp(z[n, j] / tau), j)), m)),
            ],
            attributes={tau: 2.0},
        ),
        {"x": WIDE, "z": OTHER},
    ),
    "noisy or": (
        declared([x[N, M]], [Eq(y[n], -log(1 - exp(-Sum(log(1 + exp(x[n, j])), j))))]),
        {"x": np.array([[800, -800, 0], [5, 4, -7], [-3, -10, -8]], np.float32)},
    ),
}


NAMED = Eq(w[n, m], exp(x[n, m]))
NAMES: dict[str, tuple[Any, ...]] = {
    "exponential": (NAMED, w[n, m] / Sum(w[n, j], j)),
    "exponential and sum": (NAMED, Eq(s[n], Sum(w[n, j], j)), w[n, m] / s[n]),
    "exponential and factor": (NAMED, Eq(s[n], 1 / Sum(w[n, j], j)), w[n, m] * s[n]),
    "masked exponential": (
        Eq(w[n, m], Piecewise((exp(x[n, m]), m > 0), (0, True))),
        w[n, m] / Sum(w[n, j], j),
    ),
    "exponential beside one": (NAMED, w[n, m] / (1 + w[n, m])),
    "one more than an exponential": (NAMED, Eq(a[n, m], 1 + w[n, m]), log(a[n, m])),
    "both": (Eq(w[n, m], exp(-x[n, m])), Eq(p[n, m], 1 / (1 + w[n, m])), p[n, m] * log(1 - p[n, m])),
}
for name, (*more, right) in NAMES.items():
    CASES[f"named: {name}"] = declared([x[N, M]], [*more, Eq(y[n, m], m * right)]), {"x": WIDE}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_right_without_a_warning(name: str) -> None:
    """To the rounding of the inputs: a few units of the largest."""
    layer, arrays = CASES[name]
    value, gradients = quiet(layer, arrays)
    assert value.dtype == np.float32
    given = {att.name: float(att.default) for att in layer.program.attributes}
    with mpmath.workdps(1500):
        want, slopes = exact(layer, arrays, given), exact_gradients(layer, arrays, given)
    rounding = float(np.finfo(np.float32).eps) * max(float(np.abs(a).max()) for a in arrays.values())
    np.testing.assert_allclose(value, want, rtol=1e-5, atol=rounding, err_msg="value")
    for tensor, slope in slopes.items():
        assert gradients[tensor].dtype == np.float32
        largest = max(1.0, float(np.abs(slope).max()))
        np.testing.assert_allclose(gradients[tensor], slope, rtol=2e-5, atol=rounding * largest, err_msg=tensor)


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith("named")])
def test_every_step_of_what_is_written_out_holds(name: str) -> None:
    stages = run(CASES[name][0])
    assert check_steps(stages) == []
    text = symgrad.compile_layer(CASES[name][0]).derivation.to_text()
    assert "are written out" in " ".join(text.split())
