"""Logarithms of one less a share, and powers of shares: no digits lost near 1, finite slopes near 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, exp, log, symbols

from symgrad import Layer, compile_layer
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.simplify.shares import logs_of_others

from ..agreement import as_declared, normals
from .exact import right_everywhere

C, H, N = symbols("C H N", integer=True, positive=True)
x, t, p, y, labels = (IndexedBase(name) for name in ("x", "t", "p", "y", "labels"))
n, c, j, k, h, g = Idx("n", N), Idx("c", C), Idx("j", C), Idx("k", C), Idx("h", H), Idx("g", H)
SHARE = exp(x[n, c]) / Sum(exp(x[n, j]), j)
MASKED = Sum(Piecewise((exp(x[n, j]), t[j] > 0), (0, True)), j)
KEPT = Piecewise((exp(x[n, c]), c >= 1), (0, True))
NAMED = Eq(p[n, c], SHARE)


def layer(*equations: Any, inputs: tuple[Any, ...] = (x[N, C],), **options: Any) -> Layer:
    return Layer("shares", list(inputs), list(equations), outputs=[y], **options)


ONE_LESS: dict[str, Layer] = {
    "unlikelihood": layer(NAMED, Eq(y[n, c], -log(1 - p[n, c]))),
    "written out": layer(Eq(y[n, c], log(1 - SHARE))),
    "the other way round": layer(Eq(p[c, n], SHARE), Eq(y[n, c], log(1 - p[c, n]))),
    "cross-entropy with every share": layer(
        NAMED, Eq(y[n], -Sum(t[n, k] * log(p[n, k]) + (1 - t[n, k]) * log(1 - p[n, k]), k)), inputs=(x[N, C], t[N, C])
    ),
    "of a label": layer(
        NAMED, Eq(y[n], -log(1 - p[n, labels[n]])), inputs=(x[N, C], labels[N]), integers=[labels]
    ),
    "of a label, written out": layer(
        Eq(y[n], -log(1 - exp(x[n, labels[n]]) / Sum(exp(x[n, j]), j))),
        inputs=(x[N, C], labels[N]),
        integers=[labels],
    ),
    "of what a mask leaves": layer(
        Eq(p[n, c], Piecewise((exp(x[n, c]) / MASKED, t[c] > 0), (0, True))),
        Eq(y[n, c], log(1 - p[n, c])),
        inputs=(x[N, C], t[C]),
        constants=[t],
    ),
    "written out behind a mask": layer(
        Eq(y[n, c], log(1 - KEPT / Sum(Piecewise((exp(x[n, j]), j >= 1), (0, True)), j))),
    ),
    "odds": layer(NAMED, Eq(y[n, c], log(p[n, c]) - log(1 - p[n, c]))),
    "over two axes": layer(
        Eq(p[n, c, h], exp(x[n, c, h]) / Sum(exp(x[n, j, g]), j, g)),
        Eq(y[n, c, h], log(1 - p[n, c, h])),
        inputs=(x[N, C, H],),
    ),
}  # fmt: skip
LOGITS = np.array([[20, 0, 1], [300, -300, 3], [0.5, 0.25, -0.125], [-90, -90, -90], [-40, 0, -41]])


def given(name: str, logits: np.ndarray) -> dict[str, np.ndarray]:
    found = {"x": logits[:, :, None] + np.array([0, -2]) if name == "over two axes" else logits}
    if name == "cross-entropy with every share":
        found["t"] = np.eye(3)[np.arange(len(logits)) % 3] / 2
    if name == "of what a mask leaves":
        found["t"] = np.array([1.0, 0, 1])
    if name.startswith("of a label"):
        found["labels"] = np.arange(len(logits)) % 3
    return found


@pytest.mark.parametrize("name", ONE_LESS)
def test_the_logarithm_of_one_less_a_share(name: str) -> None:
    arrays = given(name, LOGITS)
    right_everywhere(ONE_LESS[name], arrays, 900, slack=4)


@pytest.mark.parametrize("name", ONE_LESS)
def test_moderate_logits(name: str) -> None:
    assert as_declared(ONE_LESS[name], given(name, normals(x=(5, 3))["x"]))


def test_no_logits_and_one() -> None:
    compiled = compile_layer(ONE_LESS["unlikelihood"])
    with np.errstate(all="ignore"):
        assert compiled.forward(np.ones((2, 0)))[0].shape == (2, 0)
    assert (compiled.forward(np.ones((2, 1)))[0] == np.inf).all()


@pytest.mark.parametrize(
    "right",
    [
        log(1 - exp(x[n, c]) / Sum(exp(2 * x[n, j]), j)),
        log(1 - exp(x[n, c]) / Sum(exp(x[n, j]), (j, 1, C - 1))),
        log(2 - SHARE),
    ],
    ids=str,
)
def test_what_only_looks_alike_stays(right: Any) -> None:
    statements = split(layer(Eq(y[n, c], right)).program, Trace())
    assert logs_of_others(statements, Trace()) is statements
