"""The checker passes correct modules and fails each deliberately wrong one, in the comparison about its fault."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Max, Piecewise, Sum, exp, symbols

from symgrad import Layer, ReduceMax
from symgrad.check.check import check_layer

N, M, K = symbols("N M K", integer=True, positive=True)
slope = symbols("slope", real=True)
x, w, b, y, z, ids = (IndexedBase(name) for name in ("x", "w", "b", "y", "z", "ids"))
n, k, m, j, u = Idx("n", N), Idx("k", K), Idx("m", M), Idx("j", M), Idx("u", 3)

DENSE = Layer(
    "rectified",
    inputs=[x[N, M], w[K, M], b[K]],
    equations=[Eq(y[n, k], Max(Sum(x[n, m] * w[k, m], m) + b[k], 0) * slope)],
    attributes={slope: 1.0},
)
SOFTMAX = Layer("softmax", inputs=[x[N, M]], equations=[Eq(y[n, m], exp(x[n, m]) / Sum(exp(x[n, j]), j))])
WINDOWS = Layer(
    "windows", inputs=[x[N, M]], equations=[Eq(y[n, Idx("i", M - 2)], ReduceMax(x[n, Idx("i", M - 2) + u], u))]
)
MEAN = Layer(
    "mean",
    inputs=[x[N], ids[N]],
    equations=[Eq(y[n], x[ids[n]]), Eq(z[n], Sum(x[Idx("q", N)], Idx("q", N)) / N)],
    outputs=[y, z],
)


@dataclass(frozen=True)
class Module:
    forward: Callable[..., Any]
    backward: Callable[..., Any]


def gradients(names: str, wrt: Any, *values: Callable[[], np.ndarray]) -> Any:
    """The gradients asked for; no work for the others."""
    chosen = [(name, value) for name, value in zip(names.split(), values, strict=True) if wrt is None or name in wrt]
    return namedtuple("Gradients", [name for name, _ in chosen])(*(value() for _, value in chosen))


# --- correct modules, with a place to go wrong in each -------------------------------------------------------


def dense(fault: str = "") -> Module:
    def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray, *, slope: float = 1.0) -> Any:
        before = x @ w.T + b
        if fault == "forward a little off":
            before = before + 1e-6
        if fault == "writes to its input":
            b *= 1.5
        if fault == "raises":
            raise RuntimeError("out of order")
        if fault == "warns":
            warnings.warn("divided by something", RuntimeWarning, stacklevel=2)
        if fault == "is random":
            before = before * (1 + 1e-12 * np.random.default_rng().normal())
        output = np.maximum(before, 0) * x.dtype.type(slope)
        if fault == "float32 becomes float64":
            output = output.astype(np.float64)
        return (output.T if fault == "output transposed" else output), (x, w, before, x.dtype.type(slope))

    def backward(residuals: Any, grad_y: np.ndarray, wrt: Any = None) -> Any:
        x, w, before, slope = residuals
        positive = before >= 0 if fault == "gradient at the tie" else before > 0
        grad = grad_y * positive * (1 if fault == "factor missing" else slope)
        if fault == "spoils its residuals":
            before[...] = 1
        if fault == "spoils the cotangent":
            grad_y *= 0
        wide = np.float64 if fault == "gradient of float32 is float64" else grad.dtype
        by_x = grad @ w.astype(wide)
        if fault == "one coordinate wrong":
            by_x[0, -1] *= 1.001
        if fault == "wrt alone differs" and wrt == ("x",):
            by_x = by_x * 1.01
        if fault == "no gradient of w" and wrt is None:
            wrt = ("x", "b")
        if fault == "gradients of all" and wrt == ("x",):
            wrt = None
        along = 1 if fault == "sum over the wrong axis" else 0
        return gradients("x w b", wrt, lambda: by_x, lambda: grad.T @ x, lambda: grad.sum(axis=along))

    return Module(forward, backward)


def softmax(fault: str = "") -> Module:
    def forward(x: np.ndarray) -> Any:
        top = x.max(axis=1, keepdims=True, initial=-np.inf if x.size == 0 else None) if x.size else 0
        weights = np.exp(x - top)
        with np.errstate(invalid="ignore"):
            y = weights / weights.sum(axis=0 if fault == "normalised along the wrong axis" else 1, keepdims=True)
        return y, (y,)

    def backward(residuals: Any, grad_y: np.ndarray, wrt: Any = None) -> Any:
        (y,) = residuals
        mean = 0 if fault == "mean term missing" else (grad_y * y).sum(axis=1, keepdims=True)
        gradient = (grad_y - mean) * y
        if fault == "nan":
            gradient[-1:, -1:] = np.nan
        return gradients("x", wrt, lambda: gradient)

    return Module(forward, backward)


def windows(fault: str = "") -> Module:
    def forward(x: np.ndarray) -> Any:
        parts = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
        if fault == "starts from 0":
            return np.maximum(parts.max(axis=-1), 0), (x, parts)
        return parts.max(axis=-1), (x, parts)

    def backward(residuals: Any, grad_y: np.ndarray, wrt: Any = None) -> Any:
        x, parts = residuals
        best = parts.max(axis=-1, keepdims=True)
        winners = parts == best
        if fault == "":
            winners = np.arange(3) == parts.argmax(axis=-1)[..., None]
        if fault == "last of the ties":
            winners = np.arange(3) == 2 - parts[..., ::-1].argmax(axis=-1)[..., None]
        shares = winners / (winners.sum(axis=-1, keepdims=True) if fault == "ties split" else 1)
        gradient = np.zeros_like(x)
        for place in range(3):
            gradient[:, place : place + grad_y.shape[1]] += (grad_y * shares[..., place]).astype(x.dtype)
        return gradients("x", wrt, lambda: gradient)

    return Module(forward, backward)


def mean(fault: str = "") -> Module:
    def forward(x: np.ndarray, ids: np.ndarray) -> Any:
        if fault != "negative indices wrap" and ids.size and (ids.min() < 0 or ids.max() >= len(x)):
            raise ValueError("ids is out of range")
        average = np.broadcast_to(x.sum() / max(len(x), 1), x.shape).astype(x.dtype)
        outputs = (x[ids], average)
        return (outputs[0] if fault == "an output missing" else outputs), (x, ids)

    def backward(residuals: Any, grad_y: np.ndarray, grad_z: np.ndarray, wrt: Any = None) -> Any:
        x, ids = residuals
        gradient = np.zeros_like(x)
        if fault == "repeated indices overwrite":
            gradient[ids] += grad_y
        else:
            np.add.at(gradient, ids, grad_y)
        shared = grad_z.sum() / (1 if fault == "not divided by N" else max(len(x), 1))
        return gradients("x", wrt, lambda: gradient + x.dtype.type(shared))

    return Module(forward, backward)


MAKERS = {DENSE: dense, SOFTMAX: softmax, WINDOWS: windows, MEAN: mean}


@cache
def report(layer: Layer, fault: str, seed: int = 0) -> Any:
    return check_layer(layer, MAKERS[layer](fault), seed=seed)


@pytest.mark.parametrize("layer", MAKERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_correct_modules_pass(layer: Layer, seed: int) -> None:
    found = report(layer, "", seed)
    assert found.ok, str(found)
    assert {e.check for e in found.entries if e.compared} >= {
        "forward",
        "gradient by dual numbers",
        "gradient by central difference",
        "gradient by complex step",
        "adjoint identity",
        "gradient alone (wrt)",
        "second run",
        "arguments untouched",
        "float32",
        "no warnings",
    }


FAULTS = [
    (DENSE, "forward a little off", "forward", "y"),
    (DENSE, "output transposed", "forward", "y"),
    (DENSE, "factor missing", "gradient by dual numbers", "x"),
    (DENSE, "factor missing", "gradient by central difference", "w"),
    (DENSE, "factor missing", "gradient by complex step", "random direction"),
    (DENSE, "factor missing", "adjoint identity", ""),
    (DENSE, "one coordinate wrong", "gradient by dual numbers", "x"),
    (DENSE, "one coordinate wrong", "gradient by complex step", "random direction"),
    (DENSE, "sum over the wrong axis", "gradient by dual numbers", "b"),
    (DENSE, "gradient at the tie", "gradient at kinks by the declared rule", "b"),
    (DENSE, "writes to its input", "arguments untouched", "b"),
    (DENSE, "spoils the cotangent", "arguments untouched", "cotangent of y"),
    (DENSE, "spoils its residuals", "gradient alone (wrt)", "x"),
    (DENSE, "is random", "second run", "y"),
    (DENSE, "wrt alone differs", "gradient alone (wrt)", "x"),
    (DENSE, "no gradient of w", "runs without an error", ""),
    (DENSE, "gradients of all", "runs without an error", ""),
    (DENSE, "raises", "runs without an error", ""),
    (DENSE, "warns", "no warnings", ""),
    (DENSE, "float32 becomes float64", "float32", "y"),
    (DENSE, "gradient of float32 is float64", "float32", "gradient of x"),
    (SOFTMAX, "mean term missing", "gradient by central difference", "x"),
    (SOFTMAX, "normalised along the wrong axis", "forward", "y"),
    (SOFTMAX, "nan", "gradient by dual numbers", "x"),
    (WINDOWS, "ties split", "gradient at kinks by the declared rule", "x"),
    (WINDOWS, "last of the ties", "gradient at kinks by the declared rule", "x"),
    (WINDOWS, "every tie gets all", "gradient at kinks by the declared rule", "x"),
    (WINDOWS, "starts from 0", "forward", "y"),
    (MEAN, "repeated indices overwrite", "gradient by dual numbers", "x"),
    (MEAN, "not divided by N", "gradient by dual numbers", "x"),
    (MEAN, "an output missing", "runs without an error", ""),
]


@pytest.mark.parametrize(("layer", "fault", "check", "subject"), FAULTS)
def test_wrong_modules_fail(layer: Layer, fault: str, check: str, subject: str) -> None:
    found = report(layer, fault)
    assert not found.ok
    assert (check, subject) in {(e.check, e.subject) for e in found.failures}, str(found)
    assert "FAILED" in str(found)


@pytest.mark.parametrize("fault", ["ties split", "last of the ties", "every tie gets all"])
def test_a_wrong_tie_shows_at_kinks_only(fault: str) -> None:
    assert {e.check for e in report(WINDOWS, fault).failures} == {"gradient at kinks by the declared rule"}


def test_both_numbers_are_printed_where_they_differ() -> None:
    text = str(report(DENSE, "one coordinate wrong"))
    assert "gradient by dual numbers: x[0, " in text
    analytic, expected = (
        float(next(line for line in text.splitlines() if line.startswith(f"  {word}")).split()[1])
        for word in ("module", "expected")
    )
    assert analytic / expected == pytest.approx(1.001, rel=1e-9)


def test_errors_of_the_module_are_quoted() -> None:
    assert "RuntimeError: out of order" in str(report(DENSE, "raises"))
    assert "backward gives no gradient of w" in str(report(DENSE, "no gradient of w"))
    assert "forward gives 1 outputs; declared are y, z" in str(report(MEAN, "an output missing"))


def test_ties_that_rounding_decides_are_skipped() -> None:
    share = Max(Sum(exp(x[n, m]), m) / Sum(exp(x[n, j]), j) + x[n, 0] / 10**12, 1)
    layer = Layer("close", inputs=[x[N, M]], equations=[Eq(y[n], share)])

    def forward(x: np.ndarray) -> Any:
        return np.maximum(1 + x[:, 0] / 10**12, 1).astype(x.dtype), (x,)

    def backward(residuals: Any, grad_y: np.ndarray, wrt: Any = None) -> Any:
        return gradients("x", wrt, lambda: np.zeros_like(residuals[0]))

    found = check_layer(layer, Module(forward, backward), cases=2)
    skipped = {e.check for e in found.entries if e.note == "rounding decides some ties"}
    assert "gradient by dual numbers" in skipped
    assert not [e for e in found.failures if e.check.startswith("gradient")]


def test_a_split_rule_is_checked_as_declared() -> None:
    largest = ReduceMax(x[n, Idx("i", M - 2) + u], u, ties="split")
    split = Layer("split", inputs=[x[N, M]], equations=[Eq(y[n, Idx("i", M - 2)], largest)])
    assert check_layer(split, windows("ties split")).ok
    assert not check_layer(split, windows("")).ok


def test_the_maximum_of_nothing_has_to_be_refused() -> None:
    largest = Layer("largest", inputs=[x[N, M]], equations=[Eq(y[n], ReduceMax(x[n, m], m))])

    def module(initial: float | None) -> Module:
        def forward(x: np.ndarray) -> Any:
            return (x.max(axis=1) if initial is None else x.max(axis=1, initial=initial)), (x,)

        def backward(residuals: Any, grad_y: np.ndarray, wrt: Any = None) -> Any:
            (x,) = residuals
            first = np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]
            return gradients("x", wrt, lambda: first * grad_y[:, None])

        return Module(forward, backward)

    assert check_layer(largest, module(None)).ok
    assert {e.check for e in check_layer(largest, module(-np.inf)).failures} == {"refuses an empty axis"}


def test_an_index_that_wraps_is_found_out() -> None:
    chosen = Sum(x[n, m] * KroneckerDelta(ids[n], m), m)
    picked = Layer("picked", inputs=[x[N, M], ids[N]], equations=[Eq(y[n], chosen)], integers=[ids])

    def module(careful: bool) -> Module:
        def forward(x: np.ndarray, ids: np.ndarray) -> Any:
            inside = (ids >= 0) & (ids < x.shape[1]) | (not careful)
            rows = np.arange(len(x))[inside]
            y = np.zeros(len(x), x.dtype)
            y[inside] = x[rows, ids[inside]]
            return y, (x, rows, ids, inside)

        def backward(residuals: Any, grad_y: np.ndarray, wrt: Any = None) -> Any:
            x, rows, ids, inside = residuals
            gradient = np.zeros_like(x)
            gradient[rows, ids[inside]] = grad_y[inside]
            return gradients("x", wrt, lambda: gradient)

        return Module(forward, backward)

    good, bad = (check_layer(picked, module(careful)) for careful in (True, False))
    assert good.ok, str(good)
    assert ("forward", True) in {(e.check, e.sizes.endswith("a negative integer")) for e in bad.failures}


def test_nothing_is_imported_from_the_stages_under_test() -> None:
    program = "import sys, symgrad.check.check; print([m for m in sys.modules if m.startswith('symgrad.')])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "symgrad.check.check" in loaded
    assert not [s for s in ("derive", "simplify", "lower", "emit", "compiler") if f"symgrad.{s}" in loaded]


def test_the_same_seed_gives_the_same_report() -> None:
    again = check_layer(SOFTMAX, softmax())
    assert again.to_json() == report(SOFTMAX, "").to_json()
    assert again.to_json() != report(SOFTMAX, "", 1).to_json()


def test_nothing_is_raised_even_where_no_case_exists() -> None:
    never = Layer("never", inputs=[x[N], w[K]], equations=[Eq(y[Idx("i", N - 100)], x[Idx("i", N - 100)])])
    found = check_layer(never, Module(lambda *a: None, lambda *a: None))
    assert not found.ok
    assert "none of 2000 small sizes" in str(found)


def test_without_real_inputs_there_is_no_single_precision_to_keep():
    body = Piecewise((1, Eq(ids[n], k)), (0, True))
    report = check_layer(Layer("marked", [ids[N]], [Eq(y[n, k], body)], attributes={K: 3}, integers=[ids]))
    assert report.ok, str(report)
