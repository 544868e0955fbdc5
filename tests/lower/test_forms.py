"""Optimised forms against the general one on every layer; and that each form is used where it should be, and right."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Mod, Piecewise, Product, Sum, Symbol, floor, symbols

from symgrad import Layer, Padded, ReduceMax
from symgrad.compiler import CompiledLayer, run

from ..agreement import agrees, as_tuple, normals
from ..points import NAMES, point, stages
from ..unseen.declarations import CASES

# --- every layer, both ways ---------------------------------------------------------------------------------------


@cache
def general(name: str) -> CompiledLayer:
    return CompiledLayer(run(point(name).layer, general=True))


@pytest.mark.parametrize("name", NAMES)
def test_optimised_equals_general(name: str) -> None:
    here = point(name)
    both = CompiledLayer(stages(name)), general(name)
    extra = CASES[name]().also if name in CASES else ()
    for arrays, attributes in ((here.arrays, here.attributes), *extra):
        found = []
        for compiled in both:
            outputs, residuals = compiled.forward(*arrays.values(), **attributes)
            rng = np.random.default_rng(2)
            seeds = [np.asarray(rng.normal(size=np.shape(y))) for y in as_tuple(outputs)]
            found.append((as_tuple(outputs), compiled.backward(residuals, *seeds)))
        (values, gradients), (other_values, other_gradients) = found
        for got, want in zip(values, other_values, strict=True):
            assert (np.shape(got), np.asarray(got).dtype) == (np.shape(want), np.asarray(want).dtype)
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
        for tensor, got, want in zip(gradients._fields, gradients, other_gradients, strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            scale = max(1.0, float(np.abs(want).max(initial=0.0)))
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * scale, err_msg=f"gradient of {tensor}")


def test_the_general_form_is_general() -> None:
    """No view, window or product is left in it: reads are gathers, sums run over the joint index space."""
    source = body_of(general("conv2d").source, "forward") + body_of(general("conv2d").source, "backward")
    assert "_windows(" not in source
    assert " @ " not in source
    assert "einsum" not in source
    assert "_add_at(" in source
    assert "np.arange(" in source


# --- targeted declarations ----------------------------------------------------------------------------------------

N, M, B, K, C, G, D, R = symbols("N M B K C G D R", integer=True, positive=True)
s = Symbol("s", integer=True, positive=True)
x, y, z, w, ids = (IndexedBase(name) for name in ("x", "y", "z", "w", "ids"))
n, m, q, k, c, g, u, d, r = (Idx(name, e) for name, e in zip("nmqkcgudr", (N, M, B, K, C, G, R, D, R), strict=True))
after = Idx("i", N - 1)
half = Idx("h", floor((N - 1) / 2) + 1)
valid = Idx("i", N - R + 1)
strided = Idx("o", floor((N - R) / s) + 1)
digit = Idx("f", G * C)
p = Symbol("p", integer=True)
BIG = {N: 100, R: 3}


def windows(a: np.ndarray, size: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(a, size, axis=-1)


@dataclass(frozen=True)
class Form:
    """A declaration, what it computes, and what has to stand in the emitted functions, or must not."""

    layer: Layer
    arrays: dict[str, np.ndarray]
    reference: Callable[..., Any]
    forward: tuple[str, ...] = ()
    backward: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


def form(
    right: Any, left: Any, inputs: tuple[Any, ...], reference: Callable[..., Any], *, attributes: Any = (), **rest: Any
) -> Form:
    shapes, options = rest.pop("shapes"), rest.pop("options", {})
    layer = Layer("form", inputs=list(inputs), equations=[Eq(left, right)], attributes=dict(attributes), **options)
    arrays = {**normals(**shapes), **rest.pop("integers", {})}
    return Form(layer, {t.name: arrays[t.name] for t in layer.inputs}, reference, **rest)


GATHERS = ("np.arange(", "np.where(", "np.clip(", "_add_at(", "einsum")

FORMS: dict[str, Form] = {
    "slice": form(
        x[after + 1] ** 2, y[after], (x[N],), lambda x: x[1:] ** 2,
        shapes={"x": (6,)}, forward=("x[1:]",), backward=("grad_x[1:",), absent=GATHERS,
    ),
    "a sum for each window offset": form(
        Sum(x[k, valid + u] * z[k, valid], k, valid), y[u], (x[K, N], z[K, N - R + 1]),
        lambda x, z: np.einsum("kiu,ki->u", windows(x, x.shape[1] - z.shape[1] + 1), z),
        shapes={"x": (4, 9), "z": (4, 7)}, options={"typical": BIG},
        forward=("for u in range(R):", 'np.einsum("ki,ki->"'), absent=("_windows(", "_add_at("),
    ),
    "strided slice": form(
        x[2 * half] ** 2, y[half], (x[N],), lambda x: x[::2] ** 2,
        shapes={"x": (7,)}, forward=("x[::2]",), backward=(" : 2] = ",), absent=(*GATHERS, "for "),
    ),
    "flipped": form(
        x[N - 1 - n] ** 2, y[n], (x[N],), lambda x: x[::-1] ** 2,
        shapes={"x": (5,)}, forward=("x[::-1]",), backward=("grad_y[::-1]",), absent=(*GATHERS, "for "),
    ),
    "transposed": form(
        x[n, m] ** 2, y[m, n], (x[N, M],), lambda x: x.T**2,
        shapes={"x": (3, 4)}, forward=("x.T",), backward=("grad_y.T",), absent=GATHERS,
    ),
    "offset loop": form(
        Sum(x[valid + u] * w[u], u), y[valid], (x[N], w[R]), lambda x, w: windows(x, len(w)) @ w,
        shapes={"x": (9,), "w": (3,)}, options={"typical": BIG},
        forward=("for u in range(R):",), backward=("_windows(x, (R,), axes=(0,))", "for u in range(R):"),
        absent=GATHERS,
    ),
    "window product": form(
        Sum(x[q, c, valid + u] * w[k, c, u], c, u), y[q, k, valid], (x[B, C, N], w[K, C, R]),
        lambda x, w: np.einsum("qciu,kcu->qki", windows(x, w.shape[2]), w),
        shapes={"x": (2, 3, 8), "w": (4, 3, 3)}, options={"typical": BIG},
        forward=("_windows(x, (R,), axes=(2,))", " @ "), absent=GATHERS,
    ),
    "solved form": form(
        Sum(x[q, c, valid + u] * w[k, c, u], c, u), y[q, k, valid], (x[B, C, N], w[K, C, R]),
        lambda x, w: np.einsum("qciu,kcu->qki", windows(x, w.shape[2]), w),
        shapes={"x": (2, 3, 8), "w": (4, 3, 3)}, options={"typical": BIG},
        backward=("_extended(grad_y, ((0, 0), (0, 0), (R - 1, R - 1)))", "_windows(grad_y_padded"), absent=("+=",),
    ),
    "slice accumulation": form(
        Sum(x[q, c, s * strided + u] * w[k, c, u], c, u), y[q, k, strided], (x[B, C, N], w[K, C, R]),
        lambda x, w: np.einsum("qciu,kcu->qki", windows(x, w.shape[2])[:, :, ::2], w), attributes={s: 2},
        shapes={"x": (2, 3, 10), "w": (4, 3, 3)}, options={"typical": BIG},
        forward=("[:, :, ::s]", " @ "), backward=("for u in range(R):", " : s] +="), absent=GATHERS,
    ),
    "running maximum": form(
        ReduceMax(x[q, s * strided + u], u), y[q, strided], (x[B, N],), lambda x: windows(x, 3)[:, ::2].max(-1),
        attributes={s: 2, R: 3}, shapes={"x": (2, 9)}, options={"typical": {N: 100}},
        forward=(".copy()", "for u in range(1, R):", "np.maximum("), backward=("for u in range(R):",), absent=GATHERS,
    ),
    "digits of a read": form(
        Sum(x[q, g * C + c] * w[g, c], c), y[q, g], (x[B, G * C], w[G, C]),
        lambda x, w: (x.reshape(len(x), *w.shape) * w).sum(-1),
        shapes={"x": (2, 12), "w": (3, 4)}, forward=("x.reshape(B, G, C)",), backward=(".reshape(B, ",),
        absent=("np.arange(", "_add_at(", "for "),
    ),
    "digits of a left side": form(
        x[q, floor(digit / C), Mod(digit, C)] ** 2, y[q, digit], (x[B, G, C],), lambda x: (x**2).reshape(len(x), -1),
        shapes={"x": (2, 3, 4)}, forward=(".reshape(B, ",), backward=("grad_y.reshape(B, G, C)",), absent=GATHERS,
    ),
    "diagonal": form(
        x[n, n] ** 2, y[n], (x[N, N],), lambda x: np.diag(x) ** 2,
        shapes={"x": (4, 4)}, forward=("np.arange(N), np.arange(N)",), absent=("_add_at(", "for "),
    ),
    "gather": form(
        x[ids[n], d], y[n, d], (x[K, D], ids[N]), lambda x, ids: x[ids],
        shapes={"x": (5, 3)}, integers={"ids": np.array([4, 0, 4, 1])}, forward=("x[ids]",),
        backward=("_add_at(grad_x, ids, grad_y)",), absent=("np.clip(", "np.where(", "for "),
    ),
    "accumulation of rows": form(
        Sum(x[n, d] * KroneckerDelta(ids[n], k), n), y[k, d], (x[N, D], ids[N], z[K]),
        lambda x, ids, z: np.stack([x[ids == k].sum(0) for k in range(len(z))]),
        shapes={"x": (6, 2), "z": (4,)}, integers={"ids": np.array([3, 0, 3, 1, 1, 3])}, forward=("_add_at(",),
        absent=("for ",),
    ),
    "running sum": form(
        Sum(x[q, p], (p, 0, n)), y[q, n], (x[B, N],), lambda x: x.cumsum(1),
        shapes={"x": (2, 5)}, forward=("x.cumsum(axis=1)",), backward=(".cumsum(axis=1)", "::-1"),
        absent=(*GATHERS, "for "),
    ),
    "strict running sum": form(
        Sum(x[p] * w[p], (p, 0, n - 1)), y[n], (x[N], w[N]),
        lambda x, w: np.concatenate([[0.0], (x * w).cumsum()[:-1]]),
        shapes={"x": (5,), "w": (5,)}, forward=(".cumsum(axis=0)",), backward=(".cumsum(axis=0)",),
        absent=("_add_at(", "for "),
    ),
    "matrix product": form(
        Sum(x[n, k] * w[m, k], k), y[n, m], (x[N, K], w[M, K]), lambda x, w: x @ w.T,
        shapes={"x": (3, 5), "w": (4, 5)}, forward=("x @ w.T",), backward=("grad_y @ w", "grad_y.T @ x"),
        absent=GATHERS,
    ),
    "matrix product with batch": form(
        Sum(x[q, n, k] * w[q, k, m], k), y[q, n, m], (x[B, N, K], w[B, K, M]), lambda x, w: x @ w,
        shapes={"x": (2, 3, 5), "w": (2, 5, 4)}, forward=("x @ w",), absent=GATHERS,
        backward=("grad_y @ w.swapaxes(-1, -2)", "x.swapaxes(-1, -2) @ grad_y"),
    ),
    "product of others": form(
        Product(x[q, m], m), y[q], (x[B, M],), lambda x: x.prod(1),
        shapes={"x": (3, 4)}, forward=("x.prod(axis=1)",), backward=("_product_of_others(x)",),
        absent=(*GATHERS, "for "),
    ),
    "border": form(
        Padded(x)[Idx("t", N + 2) - 1] ** 2, y[Idx("t", N + 2)], (x[N],), lambda x: np.pad(x, 1) ** 2,
        shapes={"x": (4,)}, forward=("np.pad(x, ((1, 1),))",), backward=("grad_y[1 : N + 1]",), absent=GATHERS,
    ),
    "mask": form(
        Piecewise((x[n] ** 2, x[n] > 0), (0, True)), y[n], (x[N],), lambda x: np.where(x > 0, x**2, 0),
        shapes={"x": (6,)}, backward=("x > 0",), absent=("_add_at(", "np.clip(", "for "),
    ),
}  # fmt: skip


def body_of(source: str, function: str) -> str:
    """The text of one function of a module, without its comments."""
    start = source.index(f"\ndef {function}(")
    end = source.index("\n\n\n", start)
    lines = source[start:end].splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("#", '"""')))


@pytest.mark.parametrize("name", FORMS)
def test_form_is_right(name: str) -> None:
    case = FORMS[name]
    agrees(case.layer, case.arrays, case.reference, **case.attributes)


@pytest.mark.parametrize("name", FORMS)
def test_the_general_form_of_it_is_right(name: str) -> None:
    case = FORMS[name]
    agrees(case.layer, case.arrays, case.reference, general=True, **case.attributes)


@pytest.mark.parametrize("name", FORMS)
def test_form_is_used(name: str) -> None:
    case = FORMS[name]
    source = run(case.layer).source
    forward, backward = body_of(source, "forward"), body_of(source, "backward")
    for text in case.forward:
        assert text in forward, forward
    for text in case.backward:
        assert text in backward, backward
    for text in case.absent:
        assert text not in forward + backward, f"{text} in {forward}{backward}"


# --- awkward sizes ------------------------------------------------------------------------------------------------

SIZES = [(n_, r_, s_) for n_ in range(1, 8) for r_ in (1, 2, 3) for s_ in (1, 2, 3) if n_ >= r_]


@pytest.mark.parametrize("name", ["slice accumulation", "running maximum"])
def test_strides_with_a_remainder(name: str) -> None:
    """Every small length, window and stride, misfits included: against the general form."""
    case = FORMS[name]
    both = CompiledLayer(run(case.layer)), CompiledLayer(run(case.layer, general=True))
    for length, size, step in SIZES:
        arrays = normals(x=(2, length)) if name == "running maximum" else normals(x=(2, 3, length), w=(4, 3, size))
        options = {"s": step, "R": size} if name == "running maximum" else {"s": step}
        results = []
        for compiled in both:
            value, residuals = compiled.forward(*arrays.values(), **options)
            gradients = compiled.backward(residuals, np.cos(np.arange(value.size)).reshape(value.shape))
            results.append((value, *gradients))
        for got, want in zip(*results, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13, err_msg=f"{length}, {size}, {step}")


EMPTY = {
    "slice": {"x": (1,)},
    "offset loop": {"x": (2,), "w": (3,)},
    "window product": {"x": (0, 3, 8), "w": (4, 3, 3)},
    "matrix product": {"x": (3, 0), "w": (4, 0)},
    "gather": {"x": (5, 3)},
    "running sum": {"x": (2, 0)},
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_extent_of_zero(name: str) -> None:
    compiled = CompiledLayer(run(FORMS[name].layer))
    arrays: dict[str, np.ndarray] = {t: np.ones(shape) for t, shape in EMPTY[name].items()}
    if name == "gather":
        arrays["ids"] = np.zeros(0, dtype=np.int64)
    value, residuals = compiled.forward(*arrays.values())
    gradients = compiled.backward(residuals, np.ones_like(value))
    assert value.size == 0 or name == "matrix product"
    for tensor, gradient in zip(gradients._fields, gradients, strict=True):
        assert gradient.shape == arrays[tensor].shape
        assert not gradient.any()
