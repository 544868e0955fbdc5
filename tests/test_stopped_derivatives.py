"""Second derivatives where values are constant for differentiation, or have gradients of their own: torch's.

Symgrad stops values itself as well, the largest exponents that it takes out of sums; the derivatives are then those of
what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Max, Piecewise, Rational, Sum, Symbol, exp, log, sign, sqrt, symbols, tanh

from symgrad import CustomGradient, Layer, LogSumExp, StopGradient, check_layer, compile_layer, jvp, vjp
from symgrad.declare.layer import Layer as Declared

from .agreement import as_tuple

torch = pytest.importorskip("torch")
Function = Callable[[Any], Any]

N = symbols("N", integer=True, positive=True)
x, y = IndexedBase("x"), IndexedBase("y")
n, i, j = Idx("n", N), Idx("i", N), Idx("j", N)
o = Symbol("o")
X = x[n]
total = log(Sum(exp(x[i]), i))
chosen = exp(x[0]) / Sum(exp(x[i]), i)


def of_elements(body: Any) -> Layer:
    return Layer("elements", [x[N]], [Eq(y[n], body)])


def of_all(body: Any) -> Layer:
    return Layer("whole", [x[N]], [Eq(o, body)])


def own(value: Any, slope: Any, element: Any = X) -> Any:
    return CustomGradient(value, {element: slope}, check=False)


def owned(value: Function, slope: Function) -> Function:
    """What CustomGradient means, in torch."""

    class Own(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            return value(a)

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            (a,) = ctx.saved_tensors
            return cotangent * slope(a)

    return Own.apply  # type: ignore[no-any-return]


def lse(a: Any) -> Any:
    return torch.logsumexp(a, 0)


steep = owned(torch.tanh, lambda a: 2 * (1 - torch.tanh(a) ** 2))
straight = owned(torch.sign, torch.ones_like)
cubic = owned(torch.tanh, lambda a: 3 * a)

STOPPED: dict[str, tuple[Layer, Function]] = {
    "factor": (of_elements(X * StopGradient(X)), lambda a: a * a.detach()),
    "exponent": (of_elements(exp(X * StopGradient(X))), lambda a: torch.exp(a * a.detach())),
    "divisor": (of_elements(X**3 / StopGradient(X)), lambda a: a**3 / a.detach()),
    "maximum": (
        of_elements(Max(X**2, StopGradient(X) * X + Rational(1, 3))),
        lambda a: torch.maximum(a**2, a.detach() * a + 1 / 3),
    ),
    "arms": (
        of_elements(Piecewise((X**2 * StopGradient(X), X > 0), (StopGradient(X) ** 3 * X**2, True))),
        lambda a: torch.where(a > 0, a**2 * a.detach(), a.detach() ** 3 * a**2),
    ),
    "condition": (
        of_elements(Piecewise((X**2, StopGradient(X) > 0), (StopGradient(tanh(X)) * X**2, True))),
        lambda a: torch.where(a > 0, a**2, torch.tanh(a).detach() * a**2),
    ),
    "sum": (of_elements(X**2 * StopGradient(Sum(x[i] ** 2, i))), lambda a: a**2 * (a**2).sum().detach()),
    "beside what is not": (of_elements(X**3 * StopGradient(X) + X**2), lambda a: a**3 * a.detach() + a**2),
}
SHIFTED: dict[str, tuple[Layer, Function]] = {
    "squared": (of_all(total**2), lambda a: lse(a) ** 2),
    "log-sum-exp squared": (of_all(LogSumExp(x[i], i) ** 2), lambda a: lse(a) ** 2),
    "cross entropy": (of_all(total - x[0] + total**2 / 100), lambda a: lse(a) - a[0] + 0.01 * lse(a) ** 2),
    "root": (of_all(sqrt(1 + total**2)), lambda a: torch.sqrt(1 + lse(a) ** 2)),
    "product": (of_elements(X * total), lambda a: a * lse(a)),
    "quotient": (of_all(1 / (1 + total**2)), lambda a: 1 / (1 + lse(a) ** 2)),
    "softplus": (of_all(log(1 + exp(total))), lambda a: torch.nn.functional.softplus(lse(a))),
    "logarithms": (of_all(Sum((x[j] - total) ** 2, j)), lambda a: (torch.log_softmax(a, 0) ** 2).sum()),
    "two exponentials": (of_all(log(exp(x[0]) + exp(x[1])) ** 2), lambda a: torch.logaddexp(a[0], a[1]) ** 2),
    "focal": (
        of_all(-((1 - chosen) ** 2) * log(chosen)),
        lambda a: -((1 - torch.softmax(a, 0)[0]) ** 2) * torch.log_softmax(a, 0)[0],
    ),
}
OWN: dict[str, tuple[Layer, Function]] = {
    "squared": (of_elements(own(tanh(X), 2 * (1 - tanh(X) ** 2)) ** 2), lambda a: steep(a) ** 2),
    "straight through": (of_elements(own(sign(X), 1) * X**2), lambda a: straight(a) * a**2),
    "slope with one": (
        of_elements(exp(own(tanh(X), own(tanh(X), 3 * X) * X) * X)),
        lambda a: torch.exp(owned(torch.tanh, lambda b: cubic(b) * b)(a) * a),
    ),
    "value with one": (
        of_elements(own(tanh(X) * own(sign(X), X**2), own(tanh(X), 3 * X) * X)),
        owned(lambda a: torch.tanh(a) * torch.sign(a), lambda b: cubic(b) * b),
    ),
    "in a sum": (
        of_all(Sum(own(sign(x[i]), x[i] ** 2, x[i]) * x[i], i) ** 2),
        lambda a: (owned(torch.sign, lambda b: b**2)(a) * a).sum() ** 2,
    ),
    "beside a log-sum-exp": (
        of_elements(own(tanh(X), 2 * (1 - tanh(X) ** 2)) * total),
        lambda a: steep(a) * lse(a),
    ),
}
CASES = {
    f"{kind}: {name}": case
    for kind, cases in {"stopped": STOPPED, "shifted": SHIFTED, "own": OWN}.items()
    for name, case in cases.items()
}


def normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=shape))


def gradients(of: Any, by: Sequence[Any], weights: np.ndarray) -> list[np.ndarray]:
    found = torch.autograd.grad(of, by, torch.tensor(weights), allow_unused=True)
    return [np.zeros(b.shape) if f is None else f.numpy() for f, b in zip(found, by, strict=True)]


def same(got: Any, want: Sequence[np.ndarray]) -> None:
    for mine, expected in zip(as_tuple(got), want, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_the_gradient_are_torchs(name: str) -> None:
    layer, function = CASES[name]
    a = normal((3,), 0)
    at = torch.tensor(a, requires_grad=True)
    value = function(at)
    cotangent, weights = normal(tuple(value.shape), 1), normal((3,), 2)
    given = torch.tensor(cotangent, requires_grad=True)
    (first,) = torch.autograd.grad(value, at, given, create_graph=True)
    want = gradients(first, (at, given), weights)

    pulled = vjp(layer)
    compiled = compile_layer(pulled)
    got, residuals = compiled.forward(a, cotangent)
    same(got, [first.detach().numpy()])
    same(compiled.backward(residuals, weights), want)
    same(compile_layer(vjp(pulled)).forward(a, cotangent, weights)[0], want)

    # <weights, jvp(vjp)(s, v)> = <vjp(vjp)(weights), (s, v)> for unit tangents
    pushed = compile_layer(jvp(pulled))
    for place in range(a.size):
        unit = np.eye(a.size)[place]
        along = pushed.forward(a, cotangent, unit, np.zeros_like(cotangent))[0]
        np.testing.assert_allclose(weights @ along, want[0][place], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_the_tangent_are_torchs(name: str) -> None:
    layer, function = CASES[name]
    a, s = normal((3,), 0), normal((3,), 1)
    at, along = torch.tensor(a, requires_grad=True), torch.tensor(s, requires_grad=True)
    value = function(at)
    given = torch.zeros_like(value, requires_grad=True)
    (pulled,) = torch.autograd.grad(value, at, given, create_graph=True)
    (tangent,) = torch.autograd.grad(pulled, given, along, create_graph=True)
    weights = normal(tuple(tangent.shape), 2)

    compiled = compile_layer(jvp(layer))
    got, residuals = compiled.forward(a, s)
    same(got, [tangent.detach().numpy()])
    same(compiled.backward(residuals, weights), gradients(tangent, (at, along), weights))


# --- states ------------------------------------------------------------------------------------------------------

v, s, w, h = (IndexedBase(name) for name in "vswh")
T = symbols("T", integer=True, positive=True)
t = Idx("t", T)
BEFORE = {
    "of itself": StopGradient(h[t - 1, n]),
    "of a product": StopGradient(h[t - 1, n]) * h[t - 1, n],
    "beside a sum": StopGradient(h[t - 1, n]) + Sum(w[n, i] * h[t - 1, i], i),
    "in a sum": Sum(w[n, i] * StopGradient(h[t - 1, i]), i),
}
IN_TORCH: dict[str, Callable[[Any, Any], Any]] = {
    "of itself": lambda state, weight: state.detach(),
    "of a product": lambda state, weight: state.detach() * state,
    "beside a sum": lambda state, weight: state.detach() + weight @ state,
    "in a sum": lambda state, weight: weight @ state.detach(),
}


def torchs(values: Sequence[Any], outputs: Sequence[Any], given: Sequence[np.ndarray]) -> list[np.ndarray]:
    found = torch.autograd.grad(outputs, values, [torch.tensor(g) for g in given], allow_unused=True)
    return [np.zeros(a.shape) if f is None else f.numpy() for f, a in zip(found, values, strict=True)]


@pytest.mark.parametrize("name", BEFORE)
def test_a_state_that_is_read_constant(name: str) -> None:
    body = x[t, n] + Piecewise((BEFORE[name], t > 0), (0, True))
    layer = Layer("state", [x[T, N], w[N, N]], [Eq(h[t, n], body)])
    arrays = normal((5, 3), 0), normal((3, 3), 1)
    values = [torch.tensor(a, requires_grad=True) for a in arrays]
    states = [values[0][0]]
    for step in values[0][1:]:
        states.append(step + IN_TORCH[name](states[-1], values[1]))
    compiled = compile_layer(layer)
    got, residuals = compiled.forward(*arrays)
    np.testing.assert_allclose(got, torch.stack(states).detach().numpy(), rtol=1e-12)
    cotangent = normal((5, 3), 2)
    same(compiled.backward(residuals, cotangent), torchs(values, [torch.stack(states)], [cotangent]))
    for derived in (layer, vjp(layer), jvp(layer)):
        report = check_layer(derived, cases=1)
        assert report.ok, str(report)


@pytest.mark.parametrize("outputs", [["s"], ["v", "s"]], ids=str)
def test_a_neuron_whose_reset_is_detached(outputs: list[str]) -> None:
    potential = x[t] + Piecewise((v[t - 1] * (1 - StopGradient(s[t - 1])), t > 0), (0, True))
    layer = Layer("neuron", [x[T]], [Eq(v[t], potential), Eq(s[t], tanh(v[t]))], outputs=outputs)
    a = normal((6,), 0)
    at = torch.tensor(a, requires_grad=True)
    states: dict[str, list[Any]] = {"v": [at[0]], "s": [torch.tanh(at[0])]}
    for step in at[1:]:
        states["v"].append(step + states["v"][-1] * (1 - states["s"][-1].detach()))
        states["s"].append(torch.tanh(states["v"][-1]))
    results = [torch.stack(states[name]) for name in outputs]
    given = [normal((6,), 1), normal((6,), 2)][: len(outputs)]
    first = torch.autograd.grad(results, at, [torch.tensor(g) for g in given], create_graph=True)
    compiled = compile_layer(vjp(layer))
    got, residuals = compiled.forward(a, *given)
    same(got, [first[0].detach().numpy()])
    weights = normal((6,), 3)
    np.testing.assert_allclose(compiled.backward(residuals, weights).x, torchs([at], first, [weights])[0], rtol=1e-9)
    for derived in (layer, jvp(layer)):
        report = check_layer(derived, cases=1)
        assert report.ok, str(report)


# --- derived layers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("derivative", [vjp, jvp])
@pytest.mark.parametrize("name", CASES)
def test_the_derived_layer_agrees_with_its_equations(name: str, derivative: Callable[[Declared], Declared]) -> None:
    report = check_layer(derivative(CASES[name][0]), cases=1)
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["squared", "root"])
def test_large_exponents_have_second_derivatives(name: str) -> None:
    """What is stopped is still taken out."""
    layer, function = SHIFTED[name]
    a = np.array([1000.0, 999.0, -1000.0])
    at = torch.tensor(a, requires_grad=True)
    (first,) = torch.autograd.grad(function(at), at, create_graph=True)
    weights = normal((3,), 2)
    compiled = compile_layer(vjp(layer))
    _, residuals = compiled.forward(a, np.array(1.0))
    np.testing.assert_allclose(compiled.backward(residuals, weights).x, gradients(first, (at,), weights)[0], rtol=1e-9)


def test_third_derivatives() -> None:
    layer, function = SHIFTED["squared"]
    a, u, v = normal((3,), 0), normal((3,), 1), normal((3,), 2)

    def curved(b: Any) -> Any:
        return torch.autograd.functional.hvp(function, b, torch.tensor(u), create_graph=True)[1]

    want = torch.autograd.functional.vjp(curved, torch.tensor(a), torch.tensor(v))[1]
    compiled = compile_layer(vjp(vjp(layer)))
    _, residuals = compiled.forward(a, np.array(1.0), u)
    got = compiled.backward(residuals, v, np.zeros(()))
    np.testing.assert_allclose(got.x, want.numpy(), rtol=1e-9)
