"""Operators of ONNX said with layers of the catalogue: from a node's settings and inputs to its outputs.

Every operator is a function of the settings and the inputs. What the catalogue has no layer for raises ``Uncovered``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

import symgrad

Array = np.ndarray
Settings = dict[str, Any]
Operator = Callable[..., tuple[Array | None, ...]]
OPERATORS: dict[str, Operator] = {}


class Uncovered(Exception):
    """The catalogue has no layer for this variant."""


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Enter a function under the names of operators."""

    def enter(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return enter


SCHEDULE = ContextVar("SCHEDULE", default="readable")
USED: ContextVar[set[str]] = ContextVar("USED")


@contextmanager
def running(schedule: str) -> Iterator[set[str]]:
    """Let ``use`` compile with a schedule; gives the names of the layers that were run."""
    names: set[str] = set()
    chosen, kept = SCHEDULE.set(schedule), USED.set(names)
    try:
        yield names
    finally:
        SCHEDULE.reset(chosen)
        USED.reset(kept)


@cache
def _module(name: str, schedule: str) -> Any:
    return symgrad.compile_layer(symgrad.layers.get(name), schedule=schedule)


def use(name: str, *arrays: Array, **attributes: Any) -> Any:
    """Run a layer of the catalogue forward."""
    USED.get().add(name)
    return _module(name, SCHEDULE.get()).forward(*arrays, **attributes)[0]


def only(condition: bool, reason: str) -> None:
    """Raise ``Uncovered`` where the condition does not hold."""
    if not condition:
        raise Uncovered(reason)


def rows(x: Array, axis: int) -> Array:
    """Two axes: those before ``axis``, and the rest."""
    return x.reshape(math.prod(x.shape[:axis]), -1)


def cube(x: Array, axis: int) -> Array:
    """Three axes: those before ``axis``, the axis, those behind."""
    axis %= max(x.ndim, 1)
    return x.reshape(math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))


def floats(x: Array) -> None:
    """Only real numbers."""
    only(x.dtype in (np.float16, np.float32, np.float64), "no real numbers")


# ---- pointwise

POINTWISE: dict[str, tuple[str, dict[str, tuple[str, float]]]] = {
    "Abs": ("absolute", {}),
    "Celu": ("celu", {"alpha": ("alpha", 1.0)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": ("slope", 0.2), "beta": ("offset", 0.5)}),
    "HardSwish": ("hard_swish", {}),
    "LeakyRelu": ("leaky_relu", {"alpha": ("slope", 0.01)}),
    "Mish": ("mish", {}),
    "Relu": ("relu", {}),
    "Selu": ("selu", {"alpha": ("alpha", 1.67326319217681884765625), "gamma": ("gamma", 1.05070102214813232421875)}),
    "Shrink": ("shrink", {"lambd": ("reach", 0.5), "bias": ("bias", 0.0)}),
    "Sigmoid": ("sigmoid", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("soft_sign", {}),
    "Swish": ("swish", {"alpha": ("beta", 1.0)}),
    "Tanh": ("tanh", {}),
    "ThresholdedRelu": ("threshold", {"alpha": ("threshold", 1.0)}),
}


def _pointwise(layer: str, names: dict[str, tuple[str, float]]) -> Operator:
    def run(a: Settings, x: Array) -> tuple[Array]:
        floats(x)
        given = {ours: a.get(theirs, default) for theirs, (ours, default) in names.items()}
        return (use(layer, rows(x, 1), **given).reshape(x.shape),)

    return run


OPERATORS.update({name: _pointwise(*entry) for name, entry in POINTWISE.items()})


@operator("Gelu")
def gelu(a: Settings, x: Array) -> tuple[Array]:
    return (use("gelu_tanh" if a.get("approximate") == b"tanh" else "gelu", rows(x, 1)).reshape(x.shape),)


@operator("PRelu")
def prelu(a: Settings, x: Array, slope: Array) -> tuple[Array]:
    slope = np.broadcast_to(slope, x.shape)
    return (use("prelu", x.reshape(1, -1, 1), slope.reshape(-1)).reshape(x.shape),)


@operator("Clip")
def clip(a: Settings, x: Array, low: Array | None = None, high: Array | None = None) -> tuple[Array]:
    floats(x)
    most = float(np.finfo(x.dtype).max)
    bounds = {"low": -most if low is None else float(low), "high": most if high is None else float(high)}
    return (use("clip", rows(x, 1), **bounds).reshape(x.shape),)


# ---- over one axis


def _over_axis(layer: str) -> Operator:
    def run(a: Settings, x: Array) -> tuple[Array]:
        floats(x)
        return (use(layer, cube(x, a.get("axis", -1))).reshape(x.shape),)

    return run


OPERATORS.update({"Softmax": _over_axis("softmax_axis"), "LogSoftmax": _over_axis("log_softmax_axis")})


@operator("Hardmax")
def hardmax(a: Settings, x: Array) -> tuple[Array]:
    last = np.moveaxis(x, a.get("axis", -1), -1)
    return (np.moveaxis(use("hardmax", last.reshape(-1, last.shape[-1])).reshape(last.shape), -1, a.get("axis", -1)),)


@operator("CumSum", "CumProd")
def cumulative(a: Settings, x: Array, axis: Array) -> tuple[Array]:
    floats(x)
    last = np.moveaxis(x, int(axis), -1)
    kind = [word for word, said in (("exclusive", "exclusive"), ("reversed", "reverse")) if a.get(said)]
    name = "_".join(["cumulative", "sum" if a["op"] == "CumSum" else "product", *kind])
    found = use(name, last.reshape(-1, last.shape[-1])).reshape(last.shape)
    return (np.moveaxis(found, -1, int(axis)),)


REDUCTIONS = {
    "ReduceL1": "l1_axis",
    "ReduceL2": "l2_axis",
    "ReduceLogSum": "log_sum_axis",
    "ReduceLogSumExp": "log_sum_exp_axis",
    "ReduceMax": "max_axis",
    "ReduceMean": "mean_axis",
    "ReduceMin": "min_axis",
    "ReduceProd": "product_axis",
    "ReduceSum": "sum_axis",
    "ReduceSumSquare": "sum_square_axis",
}


@operator(*REDUCTIONS)
def reduce(a: Settings, x: Array, axes: Array | None = None) -> tuple[Array]:
    floats(x)
    chosen = a.get("axes", () if axes is None else [int(k) for k in axes])
    if not chosen and a.get("noop_with_empty_axes"):
        raise Uncovered("no axis, nothing reduced")
    over = sorted(k % x.ndim for k in chosen) or list(range(x.ndim))
    kept = [k for k in range(x.ndim) if k not in over]
    turned = x.transpose(*over, *kept)
    count = math.prod(x.shape[k] for k in over)
    only(count > 0 or a["op"] not in ("ReduceMax", "ReduceMin"), "the extremum of nothing")
    flat = turned.reshape(1, count, math.prod(x.shape[k] for k in kept))
    shape = [1 if k in over else x.shape[k] for k in range(x.ndim) if a.get("keepdims", 1) or k in kept]
    return (use(REDUCTIONS[a["op"]], flat).reshape(shape),)


# ---- normalisation


@operator("LayerNormalization")
def layer_norm(a: Settings, x: Array, scale: Array, bias: Array | None = None) -> tuple[Array | None, ...]:
    axis = a.get("axis", -1) % x.ndim
    flat = rows(x, axis)
    shift = np.zeros(flat.shape[1], x.dtype) if bias is None else bias.reshape(-1)
    found = use("layer_norm", flat, scale.reshape(-1), shift, epsilon=a.get("epsilon", 1e-5))
    return (found.reshape(x.shape), None, None)


@operator("RMSNormalization")
def rms_norm(a: Settings, x: Array, scale: Array) -> tuple[Array]:
    flat = rows(x, a.get("axis", -1) % x.ndim)
    scale = np.ascontiguousarray(np.broadcast_to(scale, x.shape[a.get("axis", -1) % x.ndim :])).reshape(-1)
    return (use("rms_norm", flat, scale, epsilon=a.get("epsilon", 1e-5)).reshape(x.shape),)


@operator("BatchNormalization")
def batch_norm(
    a: Settings, x: Array, scale: Array, bias: Array, mean: Array, variance: Array
) -> tuple[Array | None, ...]:
    epsilon, flat = a.get("epsilon", 1e-5), x.reshape(*x.shape[:2], -1, 1)
    if not a.get("training_mode"):
        return (use("batch_norm2d_eval", flat, scale, bias, mean, variance, epsilon=epsilon).reshape(x.shape),)
    # The running variance of ONNX is that of the batch, not the unbiased one of the layer of running statistics.
    return (use("batch_norm2d", flat, scale, bias, epsilon=epsilon).reshape(x.shape), None, None)


@operator("InstanceNormalization")
def instance_norm(a: Settings, x: Array, scale: Array, bias: Array) -> tuple[Array]:
    flat = x.reshape(*x.shape[:2], -1, 1)
    return (use("instance_norm2d", flat, scale, bias, epsilon=a.get("epsilon", 1e-5)).reshape(x.shape),)


@operator("GroupNormalization")
def group_norm(a: Settings, x: Array, scale: Array, bias: Array) -> tuple[Array]:
    flat, groups = x.reshape(*x.shape[:2], -1), a["num_groups"]
    return (use("group_norm", flat, scale, bias, G=groups, epsilon=a.get("epsilon", 1e-5)).reshape(x.shape),)


@operator("MeanVarianceNormalization")
def mean_variance_norm(a: Settings, x: Array) -> tuple[Array]:
    only(list(a.get("axes", [0, 2, 3])) == [0, 2, 3], "over other axes")
    return (use("mean_variance_norm2d", x),)


@operator("LpNormalization")
def lp_normalisation(a: Settings, x: Array) -> tuple[Array]:
    last = np.moveaxis(x, a.get("axis", -1), -1)
    name = "l1_normalise" if a.get("p", 2) == 1 else "l2_normalise"
    found = use(name, last.reshape(-1, last.shape[-1])).reshape(last.shape)
    return (np.moveaxis(found, -1, a.get("axis", -1)),)


@operator("LRN")
def local_response(a: Settings, x: Array) -> tuple[Array]:
    # ONNX divides alpha by the size; both take one more channel behind than before where the size is even.
    size = a["size"]
    settings = {"kappa": a.get("bias", 1.0), "alpha": a.get("alpha", 1e-4) / size, "beta": a.get("beta", 0.75)}
    return (use("local_response_norm2d", x, size=size, **settings),)


# ---- windows


def _single(values: Sequence[int] | None, default: int = 1) -> int:
    values = list(values or [default])
    only(len(set(values)) == 1, "axes with settings of their own")
    return values[0]


LETTERS = {1: "l", 2: "hw", 3: "dhw"}


def _borders(a: Settings, shape: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """The widths before every axis of space, then behind every one."""
    axes = len(shape)
    kind = a.get("auto_pad", b"NOTSET")
    if kind not in (b"SAME_UPPER", b"SAME_LOWER"):
        return list(a.get("pads", [0] * 2 * axes))
    strides, dilations = a.get("strides", [1] * axes), a.get("dilations", [1] * axes)
    sizes = zip(shape, kernel, strides, dilations, strict=True)
    total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in sizes]
    less = [t // 2 for t in total]
    more = [t - low for t, low in zip(total, less, strict=True)]
    return [*less, *more] if kind == b"SAME_UPPER" else [*more, *less]


def _by_axis(rank: int, **settings: Sequence[int]) -> dict[str, int]:
    """``stride=[2, 1]`` as ``stride_h=2, stride_w=1``."""
    pairs = {name: zip(LETTERS[rank], values, strict=True) for name, values in settings.items()}
    return {f"{name}_{letter}": int(v) for name, values in pairs.items() for letter, v in values}


def _spacing(a: Settings, borders: list[int]) -> dict[str, int]:
    """Strides, dilations and borders of every axis."""
    rank = len(borders) // 2
    strides, dilations = a.get("strides", [1] * rank), a.get("dilations", [1] * rank)
    return _by_axis(rank, stride=strides, dilation=dilations, before=borders[:rank], after=borders[rank:])


def _bordered(a: Settings, x: Array, kernel: Sequence[int]) -> tuple[Array, int]:
    """The input with what a border has on one side only, and the border that both sides share."""
    pads = _borders(a, x.shape[2:], kernel)
    if len(set(pads)) <= 1:
        return x, pads[0] if pads else 0
    widths = [(0, 0), (0, 0), *zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True)]
    return np.pad(x, widths), 0


def _equal(*settings: Sequence[int] | None) -> bool:
    return all(len(set(values or [0])) == 1 for values in settings)


@operator("Conv")
def convolution(a: Settings, x: Array, w: Array, b: Array | None = None) -> tuple[Array]:
    rank, groups = x.ndim - 2, a.get("group", 1)
    bias = np.zeros(len(w), x.dtype) if b is None else b
    borders = _borders(a, x.shape[2:], w.shape[2:])
    if not _equal(a.get("strides"), a.get("dilations"), borders):
        return (use(f"conv{rank}d_anisotropic", x, w, bias, groups=groups, **_spacing(a, borders)),)
    settings = {"stride": _single(a.get("strides")), "dilation": _single(a.get("dilations")), "padding": borders[0]}
    return (use(f"grouped_conv{rank}d", x, w, bias, groups=groups, **settings),)


@operator("ConvTranspose")
def transposed_convolution(a: Settings, x: Array, w: Array, b: Array | None = None) -> tuple[Array]:
    rank, groups = x.ndim - 2, a.get("group", 1)
    strides, dilations = a.get("strides", [1] * rank), a.get("dilations", [1] * rank)
    more, borders = list(a.get("output_padding", [0] * rank)), list(a.get("pads", [0] * 2 * rank))
    kernel = zip(x.shape[2:], strides, w.shape[2:], dilations, more, strict=True)
    full = [s * (n - 1) + d * (k - 1) + 1 + o for n, s, k, d, o in kernel]
    wanted = list(a.get("output_shape", full))
    if "auto_pad" in a or "output_shape" in a:
        wanted = wanted if "output_shape" in a else [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
        total = [f - w for f, w in zip(full, wanted, strict=True)]
        less = [max(t, 0) // 2 for t in total]
        greater = [max(t, 0) - low for t, low in zip(total, less, strict=True)]
        borders = [*less, *greater] if a.get("auto_pad") == b"SAME_UPPER" else [*greater, *less]
        more = [o + max(-t, 0) for o, t in zip(more, total, strict=True)]
    bias = np.zeros(w.shape[1] * groups, x.dtype) if b is None else b
    settings = _spacing(a, borders) | _by_axis(rank, output_padding=more)
    if rank == 2 and _equal(strides, dilations, borders, more):
        shared = {"stride": strides[0], "dilation": dilations[0], "padding": borders[0], "output_padding": more[0]}
        only(more[0] < strides[0], "output padding of a stride or more")
        return (use("grouped_transposed_conv2d", x, w, bias, groups=groups, **shared),)
    return (use(f"transposed_conv{rank}d_anisotropic", x, w, bias, groups=groups, **settings),)


def _pool(kind: str, a: Settings, x: Array, suffix: str = "", **more: Any) -> Array:
    """Pooling with settings of every axis of its own."""
    rank, kernel = x.ndim - 2, list(a["kernel_shape"])
    settings = _by_axis(rank, K=kernel) | _spacing(a, _borders(a, x.shape[2:], kernel))
    settings["round_up"] = a.get("ceil_mode", 0)
    found: Array = use(f"{kind}_pool{rank}d_anisotropic{suffix}", x, **settings, **more)
    return found


def _shared(a: Settings, x: Array) -> dict[str, int] | None:
    """The settings that all axes of space share; None where they do not."""
    kernel = list(a["kernel_shape"])
    borders = _borders(a, x.shape[2:], kernel)
    if not _equal(kernel, a.get("strides"), a.get("dilations"), borders):
        return None
    return {"K": kernel[0], "stride": _single(a.get("strides")), "padding": borders[0]}


@operator("MaxPool")
def max_pool(a: Settings, x: Array) -> tuple[Array | None, ...]:
    floats(x)
    rank, shared, dilation = x.ndim - 2, _shared(a, x), max(a.get("dilations", [1]))
    if shared is None or (dilation > 1 and (rank != 2 or a.get("ceil_mode"))):
        return (_pool("max", a, x), None)
    if dilation > 1:
        return (use("max_pool2d_dilated", x, dilation=dilation, **shared), None)
    return (use(f"max_pool{rank}d_ceil" if a.get("ceil_mode") else f"max_pool{rank}d", x, **shared), None)


@operator("AveragePool")
def average_pool(a: Settings, x: Array) -> tuple[Array]:
    rank, shared, counted = x.ndim - 2, _shared(a, x), bool(a.get("count_include_pad"))
    rounded, dilated = bool(a.get("ceil_mode")), max(a.get("dilations", [1])) > 1
    if shared is None or dilated or (rounded and counted):
        return (_pool("average", a, x, "" if counted else "_exclude_padding"),)
    ending = "_ceil" if rounded else "" if counted else "_exclude_padding"
    return (use(f"average_pool{rank}d{ending}", x, **shared),)


@operator("LpPool")
def lp_pool(a: Settings, x: Array) -> tuple[Array]:
    shared, power = _shared(a, x), float(a.get("p", 2))
    if shared is None or a.get("ceil_mode") or max(a.get("dilations", [1])) > 1:
        return (_pool("lp", a, x, power=power),)
    return (use(f"lp_pool{x.ndim - 2}d", x, power=power, **shared),)


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(a: Settings, x: Array) -> tuple[Array]:
    name = "global_average_pool2d" if a["op"] == "GlobalAveragePool" else "global_max_pool2d"
    return (use(name, x.reshape(*x.shape[:2], -1, 1)).reshape(*x.shape[:2], *[1] * (x.ndim - 2)),)


@operator("MaxUnpool")
def max_unpool(a: Settings, x: Array, positions: Array, shape: Array | None = None) -> tuple[Array]:
    only(shape is None, "positions that belong to another shape than that of the output")
    stride, kernel = _single(a.get("strides")), _single(a["kernel_shape"])
    P, Q = ((n - 1) * stride + kernel for n in x.shape[2:])
    return (use("max_unpool2d", x, positions, P=P, Q=Q),)


@operator("DeformConv")
def deformable(a: Settings, x: Array, w: Array, offset: Array, b: Any = None, mask: Any = None) -> tuple[Array]:
    only(a.get("offset_group", 1) == a.get("group", 1) == 1, "in groups")
    (n, _, down, across), (r, s) = offset.shape, w.shape[2:]
    bias = np.zeros(len(w), x.dtype) if b is None else b
    weight = np.ones((n, r * s, down, across), x.dtype) if mask is None else mask
    moved, weight = offset.reshape(n, r, s, 2, down, across), weight.reshape(n, r, s, down, across)
    x, padding = _bordered(a, x, w.shape[2:])
    settings = {"stride": _single(a.get("strides")), "padding": padding, "dilation": _single(a.get("dilations"))}
    return (use("modulated_deformable_conv2d", x, moved, weight, w, bias, **settings),)


@operator("Col2Im")
def fold(a: Settings, x: Array, shape: Array, block: Array) -> tuple[Array]:
    only(len(shape) == 2 and _single(a.get("dilations")) == 1, "dilated, or not over images")
    settings = {"stride": _single(a.get("strides")), "padding": _single(a.get("pads"), 0), "K": _single(list(block))}
    return (use("fold2d", x, H=int(shape[0]), W=int(shape[1]), **{k: int(v) for k, v in settings.items()}),)


# ---- positions


@operator("GridSample")
def grid_sample(a: Settings, x: Array, grid: Array) -> tuple[Array]:
    mode, border = a.get("mode", b"linear"), a.get("padding_mode", b"zeros")
    corners = a.get("align_corners", 0)
    if x.ndim == 5:
        only(mode == b"linear" and border == b"zeros", "the nearest in a volume")
        return (use("grid_sample3d", x, grid, corners=corners),)
    if border == b"border":
        only(mode == b"linear" and not corners, "the border going on, otherwise than linear")
        return (use("grid_sample2d_border", x, grid),)
    if border == b"reflection":
        return (use("grid_sample2d_reflection", x, grid, corners=corners),)
    name = {b"linear": "corners", b"nearest": "nearest", b"cubic": "bicubic"}[mode]
    return (use(f"grid_sample2d_{name}", x, grid, corners=corners),)


@operator("RoiAlign")
def roi_align(a: Settings, x: Array, boxes: Array, image: Array) -> tuple[Array]:
    only(a.get("mode", b"avg") == b"avg", "the largest sample")
    settings = {"P": a["output_height"], "Q": a["output_width"], "G": a["sampling_ratio"]}
    aligned = int(a.get("coordinate_transformation_mode", b"half_pixel") == b"half_pixel")
    return (use("roi_align", x, boxes, image, spatial_scale=a["spatial_scale"], aligned=aligned, **settings),)


@operator("AffineGrid")
def affine_grid(a: Settings, theta: Array, size: Array) -> tuple[Array]:
    only(len(size) == 4 and not a.get("align_corners"), "volumes, or the corners' centres")
    return (use("affine_grid2d", theta, P=int(size[2]), Q=int(size[3])),)


@operator("Resize")
def resize(a: Settings, x: Array, roi: Any = None, scales: Any = None, sizes: Any = None) -> tuple[Array]:
    mode, place = a.get("mode", b"nearest"), a.get("coordinate_transformation_mode", b"half_pixel")
    only(not a.get("antialias") and not a.get("exclude_outside") and "axes" not in a, "antialias, weights left out")
    only("keep_aspect_ratio_policy" not in a, "sizes that keep a ratio")
    new = [int(s) for s in sizes] if sizes is not None else [int(n * s) for n, s in zip(x.shape, scales, strict=True)]
    factors = {p / n for n, p in zip(x.shape[2:], new[2:], strict=True)}
    if mode == b"linear" and place == b"align_corners":
        only(min(new[2:]) > 1, "one pixel left")
        return (use("resize_bilinear2d_corners", x, P=new[2], Q=new[3]),)
    only(mode != b"nearest" or a.get("nearest_mode", b"round_prefer_floor") == b"round_prefer_floor", "rounded up")
    whole = len(factors) == 1 and factors.pop().is_integer()
    only(place == b"half_pixel" and whole, "no whole factor, the same for both axes")
    name = {b"linear": "upsample_bilinear2d", b"cubic": "upsample_bicubic2d", b"nearest": "upsample_nearest2d"}[mode]
    return (use(name, x, scale=new[2] // x.shape[2]),)


# ---- rearranging, gathering


@operator("DepthToSpace")
def depth_to_space(a: Settings, x: Array) -> tuple[Array]:
    return (use("pixel_shuffle" if a.get("mode") == b"CRD" else "depth_to_space", x, scale=a["blocksize"]),)


@operator("SpaceToDepth")
def space_to_depth(a: Settings, x: Array) -> tuple[Array]:
    return (use("pixel_unshuffle" if a.get("mode") == b"CRD" else "space_to_depth", x, scale=a["blocksize"]),)


@operator("Gather")
def gather(a: Settings, x: Array, ids: Array) -> tuple[Array]:
    floats(x)
    axis = a.get("axis", 0)
    first = np.moveaxis(x, axis, 0)
    ids = np.where(ids < 0, ids + len(first), ids)  # the layer refuses negative positions
    found = use("embedding", first.reshape(len(first), -1), ids.reshape(1, -1)).reshape(*ids.shape, *first.shape[1:])
    return (np.moveaxis(found, range(ids.ndim), range(axis, axis + ids.ndim)),)


def _lines(axis: int, *arrays: Array) -> list[Array]:
    return [np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]) for x in arrays]


@operator("GatherElements")
def gather_elements(a: Settings, x: Array, ids: Array) -> tuple[Array]:
    axis = a.get("axis", 0) % x.ndim
    only(all(p == q for k, (p, q) in enumerate(zip(x.shape, ids.shape, strict=True)) if k != axis), "other extents")
    ids = np.where(ids < 0, ids + x.shape[axis], ids)
    found = use("take_along", *_lines(axis, x, ids)).reshape(np.moveaxis(ids, axis, -1).shape)
    return (np.moveaxis(found, -1, axis),)


@operator("ScatterElements", "Scatter")
def scatter_elements(a: Settings, x: Array, ids: Array, update: Array) -> tuple[Array]:
    axis, reduction = a.get("axis", 0) % x.ndim, a.get("reduction", b"none")
    only(reduction in (b"none", b"add"), "multiplied, or the extremum taken")
    extents = [q for k, q in enumerate(ids.shape) if k != axis]
    whole = [p for k, p in enumerate(x.shape) if k != axis]
    only(all(p >= q for p, q in zip(whole, extents, strict=True)), "other extents")
    ids = np.where(ids < 0, ids + x.shape[axis], ids)
    turned = np.moveaxis(x, axis, -1).copy()
    part = tuple(slice(q) for q in extents)  # rows beyond the updates stay as they are
    lines = [turned[part].reshape(-1, x.shape[axis]), *_lines(axis, ids, update)]
    found = use("scatter_along" if reduction == b"none" else "scatter_add", *lines)
    turned[part] = found.reshape(turned[part].shape)
    return (np.moveaxis(turned, -1, axis),)


@operator("OneHot")
def one_hot(a: Settings, ids: Array, depth: Array, values: Array) -> tuple[Array]:
    size, axis = int(np.ravel(depth)[0]), a.get("axis", -1)
    ids = ids.astype(np.int64)
    ids = np.where((ids < 0) & (ids >= -size), ids + size, ids)
    found = use("one_hot", ids.reshape(-1), R=size, off=float(values[0]), on=float(values[1]))
    return (np.moveaxis(found.reshape(*ids.shape, size), -1, axis).astype(values.dtype),)


@operator("Trilu")
def triangle(a: Settings, x: Array, diagonal: Array | None = None) -> tuple[Array]:
    flat = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).astype(np.float64)
    name = "upper_triangle" if a.get("upper", 1) else "lower_triangle"
    found = use(name, flat, diagonal=0 if diagonal is None else int(diagonal))
    return (found.reshape(x.shape).astype(x.dtype),)


@operator("Pad")
def pad(a: Settings, x: Array, pads: Array, value: Any = None, axes: Any = None) -> tuple[Array]:
    mode = a.get("mode", b"constant").decode()
    over = list(range(x.ndim)) if axes is None else [int(k) % x.ndim for k in axes]
    widths = dict(zip(over, zip(pads[: len(over)], pads[len(over) :], strict=True), strict=True))
    before, after = ([int(widths.get(k, (0, 0))[end]) for k in range(x.ndim)] for end in (0, 1))
    only(min([*before, *after]) >= 0, "a border that cuts off")
    first = next((k for k in range(x.ndim) if before[k] or after[k]), 0)
    only(x.ndim - first <= 3, "more than three axes with a border")
    first = max(x.ndim - 3, 0) if x.ndim - first < 1 else first
    rank = x.ndim - first
    shape = (1, math.prod(x.shape[:first]), *x.shape[first:])
    name = {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "wrap"}[mode]
    settings: dict[str, Any] = _by_axis(rank, before=before[first:], after=after[first:])
    if mode == "constant" and value is not None:
        settings["value"] = float(value)
    given = x if x.dtype.kind == "f" else x.astype(np.float64)
    y = use(f"pad_{name}{rank}d_anisotropic", given.reshape(shape), **settings)
    return (y.reshape(*x.shape[:first], *y.shape[2:]).astype(x.dtype),)


@operator("Flatten")
def flatten(a: Settings, x: Array) -> tuple[Array]:
    only(x.ndim == 4 and a.get("axis", 1) % 4 == 1, "other axes than those of images")
    return (use("flatten", x),)


# ---- products


@operator("MatMul")
def matmul(a: Settings, left: Array, right: Array) -> tuple[Array]:
    only(min(left.ndim, right.ndim) > 1, "vectors")
    floats(left)
    shape = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    parts = [np.broadcast_to(p, (*shape, *p.shape[-2:])).reshape(-1, *p.shape[-2:]) for p in (left, right)]
    return (use("batch_matmul", *parts).reshape(*shape, left.shape[-2], right.shape[-1]),)


@operator("Gemm")
def gemm(a: Settings, left: Array, right: Array, bias: Array | None = None) -> tuple[Array]:
    left = left.T if a.get("transA") else left
    right = right if a.get("transB") else right.T
    product = use("dense", left, right, np.zeros(len(right), left.dtype))
    offset = np.zeros((1, 1), left.dtype) if bias is None else np.atleast_2d(bias)
    offset = np.ascontiguousarray(np.broadcast_to(offset, product.shape))
    settings = {"first_scale": a.get("alpha", 1.0), "second_scale": a.get("beta", 1.0)}
    return (use("weighted_sum", product, offset, **settings),)


# ---- losses


def _classes(x: Array) -> Array:
    """Rows of classes, which are axis 1."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


@operator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def cross_entropy(a: Settings, x: Array, labels: Array, weight: Array | None = None) -> tuple[Array | None, ...]:
    softmax, reduction = a["op"] == "SoftmaxCrossEntropyLoss", a.get("reduction", b"mean").decode()
    ignored, flat, picked = a.get("ignore_index"), _classes(x), labels.reshape(-1)
    ending = {"mean": "", "none": "_each", "sum": "_sum"}[reduction]
    if ignored is not None or (weight is not None and (ending or not softmax)):
        name = f"masked_weighted_{'cross_entropy' if softmax else 'nll'}{ending}"
        given = np.ones(x.shape[1], x.dtype) if weight is None else weight
        loss = use(name, flat, picked, given, **({} if ignored is None else {"ignored": ignored}))
    elif weight is not None:
        loss = use("weighted_cross_entropy", flat, picked, weight)
    else:
        loss = use(f"{'softmax_cross_entropy' if softmax else 'nll'}{ending}", flat, picked)
    logs = np.moveaxis(use("log_softmax", flat).reshape(np.moveaxis(x, 1, -1).shape), -1, 1) if softmax else None
    return (loss.reshape(labels.shape) if ending == "_each" else loss, logs)
