"""Operators of ONNX that join, part, turn and add arrays, or update parameters, said with layers of the catalogue."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .onnx_operators import Array, Settings, Uncovered, floats, only, operator, rows, use

# ---- joining, parting, turning


@operator("Concat")
def concat(a: Settings, *parts: Array) -> tuple[Array]:
    only(len(parts) > 1, "one operand")
    axis = a["axis"] % parts[0].ndim
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    flat = [rows(p, axis) for p in parts]
    while len(flat) > 2:
        flat[:3] = [use("concat3", *flat[:3])]
    return ((use("concat", *flat) if len(flat) == 2 else flat[0]).reshape(shape),)


@operator("Split")
def split(a: Settings, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    axis = a.get("axis", 0) % x.ndim
    extent, count = x.shape[axis], a.get("num_outputs", a["outputs"])
    each = -(-extent // count)
    wanted = [min(each, extent - k * each) for k in range(count)] if sizes is None else [int(s) for s in sizes]
    inner = math.prod(x.shape[axis + 1 :])
    found: list[Array] = []
    rest = rows(x, axis)
    while len(wanted) > len(found) + 3:
        part, rest = use("split", rest, P=wanted[len(found)] * inner)
        found.append(part)
    left = [s * inner for s in wanted[len(found) :]]
    found += use("split3", rest, P=left[0], Q=left[1]) if len(left) == 3 else use("split", rest, P=left[0])
    shapes = [(*x.shape[:axis], s, *x.shape[axis + 1 :]) for s in wanted]
    return tuple(part.reshape(shape) for part, shape in zip(found, shapes, strict=True))


@operator("Transpose")
def transpose(a: Settings, x: Array) -> tuple[Array]:
    order, wanted = list(range(x.ndim)), list(a.get("perm", range(x.ndim)[::-1]))
    for k, axis in enumerate(wanted):  # what is behind the axes in place turns until the next one leads
        at = order.index(axis)
        blocks = [math.prod(x.shape[low:high]) for low, high in ((0, k), (k, at), (at, x.ndim))]
        shape = [*x.shape[:k], *x.shape[at:], *x.shape[k:at]]
        x, order = use("transpose", x.reshape(blocks)).reshape(shape), [*order[:k], *order[at:], *order[k:at]]
    return (x,)


@operator("Einsum")
def einsum(a: Settings, *arrays: Array) -> tuple[Array]:
    match a["equation"].decode().replace(" ", ""):
        case "ij->ji":
            return transpose({}, arrays[0])  # type: ignore[return-value]
        case "ij->i":
            return (use("sum_axis", arrays[0].T[None])[0],)
        case "i,i":
            left, right = arrays
            return (use("batch_matmul", left.reshape(1, 1, -1), right.reshape(1, -1, 1)).reshape(()),)
        case "bij,bjk->bik":
            return (use("batch_matmul", *arrays),)
        case equation:
            raise Uncovered(f"no layer for {equation}")


@operator("Upsample")
def upsample(a: Settings, x: Array, scales: Array) -> tuple[Array]:
    factors = [int(s) for s in scales[2:]]
    only(len(set(factors)) == 1, "factors that differ from axis to axis")
    return (use("upsample_nearest2d", x, scale=factors[0]),)


# ---- numbers of places


@operator("GatherND")
def gather_nd(a: Settings, x: Array, ids: Array) -> tuple[Array]:
    floats(x)
    only(not a.get("batch_dims"), "axes of a batch")
    depth = ids.shape[-1]
    places = np.ravel_multi_index(tuple(np.moveaxis(ids, -1, 0)), x.shape[:depth], mode="wrap")
    table = x.reshape(math.prod(x.shape[:depth]), -1)
    return (use("embedding", table, places.reshape(1, -1)).reshape(*places.shape, *x.shape[depth:]),)


@operator("ScatterND")
def scatter_nd(a: Settings, x: Array, ids: Array, update: Array) -> tuple[Array]:
    reduction = a.get("reduction", b"none")
    only(reduction in (b"none", b"add"), "multiplied, or the extremum taken")
    depth = ids.shape[-1]
    places = np.ravel_multi_index(tuple(np.moveaxis(ids, -1, 0)), x.shape[:depth], mode="wrap").reshape(-1)
    columns = math.prod(x.shape[depth:])
    spread = (places[:, None] * columns + np.arange(columns)).reshape(1, -1)
    name = "scatter_along" if reduction == b"none" else "scatter_add"
    return (use(name, x.reshape(1, -1), spread, update.reshape(1, -1)).reshape(x.shape),)


@operator("TensorScatter")
def tensor_scatter(a: Settings, x: Array, update: Array, begin: Array | None = None) -> tuple[Array]:
    axis = a.get("axis", -2) % x.ndim
    start = np.zeros(len(x), np.int64) if begin is None else begin
    places = start[:, None] + np.arange(update.shape[axis])
    places = places % x.shape[axis] if a.get("mode") == b"circular" else places
    lines, news = np.moveaxis(x, axis, -1), np.moveaxis(update, axis, -1)
    ids = np.broadcast_to(places.reshape(len(x), *[1] * (x.ndim - 2), -1), news.shape)
    flat = [np.ascontiguousarray(v).reshape(-1, v.shape[-1]) for v in (lines, ids, news)]
    return (np.moveaxis(use("scatter_along", *flat).reshape(lines.shape), -1, axis),)


@operator("TopK")
def top_k(a: Settings, x: Array, k: Array) -> tuple[Array, ...]:
    only(int(k[0]) == 1 and bool(a.get("largest", 1)), "more than the largest")
    last = np.moveaxis(x, a.get("axis", -1), -1)
    found = use("top_1", last.reshape(-1, last.shape[-1])).reshape(*last.shape[:-1], 1)
    return (np.moveaxis(found, -1, a.get("axis", -1)),)


# ---- sums


def _weighted(parts: tuple[Array, ...], scales: list[float]) -> Array:
    shape = np.broadcast_shapes(*(p.shape for p in parts))
    names = ("first_scale", "second_scale", "third_scale")
    flat = [np.ascontiguousarray(np.broadcast_to(p, shape)).reshape(1, -1) for p in parts]
    layer = {2: "weighted_sum", 3: "weighted_sum3"}[len(flat)]
    found: Array = use(layer, *flat, **dict(zip(names, scales, strict=False))).reshape(shape)
    return found


@operator("Add", "Sub")
def add(a: Settings, left: Array, right: Array) -> tuple[Array]:
    floats(left)
    return (_weighted((left, right), [1.0, 1.0 if a["op"] == "Add" else -1.0]),)


@operator("Sum", "Mean")
def add_all(a: Settings, *parts: Array) -> tuple[Array]:
    only(len(parts) > 1, "one operand")
    share = 1.0 if a["op"] == "Sum" else 1 / len(parts)
    return (_weighted(parts, [share] * len(parts)),)


# ---- gates and chance


@operator("SwiGLU")
def swiglu(a: Settings, gate: Array, value: Array) -> tuple[Array]:
    floats(gate)
    only(a.get("alpha", 1.0) == 1, "a slope inside the sigmoid")
    return (use("swiglu", np.concatenate([rows(gate, 1), rows(value, 1)], 1)).reshape(gate.shape),)


@operator("Dropout")
def dropout(a: Settings, x: Array, ratio: Any = None, training: Any = None) -> tuple[Array, Array]:
    rate = float(a.get("ratio", 0.5) if ratio is None else ratio)
    rate = rate if training is not None and bool(training) else 0.0
    # The published masks are those of NumPy's generator with the seed that the node carries.
    drawn = np.random.RandomState(a.get("seed", 0)).uniform(0, 1.0, x.shape) >= rate
    return use("dropout", rows(x, 1), rows(drawn.astype(x.dtype), 1), rate=rate).reshape(x.shape), drawn


# ---- optimisers


def _each(groups: int, states: tuple[Array, ...]) -> list[tuple[Array, ...]]:
    """The tensors of every parameter: ONNX lists all parameters, then all gradients, and so on."""
    count = len(states) // groups
    return [states[k::count] for k in range(count)]


def _gathered(results: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    return tuple(part for parts in zip(*results, strict=True) for part in parts)


def _regularised(a: Settings, x: Array, gradient: Array) -> Array:
    """The gradient with that of a penalty."""
    return _weighted((x, gradient), [a.get("norm_coefficient", 0.0), 1.0])


@operator("Adagrad")
def adagrad(a: Settings, rate: Array, step: Array, *states: Array) -> tuple[Array, ...]:
    slower = 1 + int(step) * a.get("decay_factor", 0.0)
    settings = {"learning_rate": float(rate) / slower, "epsilon": a.get("epsilon", 0.0)}
    groups = _each(3, states)
    return _gathered([tuple(use("adagrad_step", x, _regularised(a, x, g), h, **settings)) for x, g, h in groups])


@operator("Momentum")
def momentum(a: Settings, rate: Array, step: Array, *states: Array) -> tuple[Array, ...]:
    only(a["beta"] == 1 or int(step) == 0, "a share of the gradient")
    name = "nesterov_step" if a["mode"] == b"nesterov" else "momentum_step"
    settings = {"learning_rate": float(rate), "momentum": a["alpha"]}
    groups = _each(3, states)
    return _gathered([tuple(use(name, x, _regularised(a, x, g), v, **settings)) for x, g, v in groups])


@operator("Adam")
def adam(a: Settings, rate: Array, step: Array, *states: Array) -> tuple[Array, ...]:
    only(int(step) > 0, "a step that is not corrected")
    settings = {"step": int(step), "learning_rate": float(rate), "beta1": a["alpha"], "beta2": a["beta"]}
    # There epsilon is added before the deviation is corrected, here after it.
    settings["epsilon"] = a["epsilon"] / math.sqrt(1 - a["beta"] ** int(step))
    groups = _each(4, states)
    return _gathered([tuple(use("adam_step", x, _regularised(a, x, g), v, h, **settings)) for x, g, v, h in groups])
