"""Operators of ONNX said with layers of the catalogue: from a node's settings and inputs to its outputs.

Every operator is a function of the settings and the inputs. What the catalogue has no layer for raises ``Uncovered``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


@cache
def _module(name: str) -> Any:
    return symgrad.compile_layer(symgrad.layers.get(name))


def use(name: str, *arrays: Array, **attributes: Any) -> Any:
    """Run a layer of the catalogue forward."""
    return _module(name).forward(*arrays, **attributes)[0]


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
    """Only single and double precision."""
    only(x.dtype in (np.float32, np.float64), "neither float32 nor float64")


# ---- pointwise

POINTWISE: dict[str, tuple[str, dict[str, tuple[str, float]]]] = {
    "Abs": ("absolute", {}),
    "Celu": ("celu", {"alpha": ("alpha", 1.0)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "HardSwish": ("hard_swish", {}),
    "LeakyRelu": ("leaky_relu", {"alpha": ("slope", 0.01)}),
    "Mish": ("mish", {}),
    "Relu": ("relu", {}),
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


@operator("Selu")
def selu(a: Settings, x: Array) -> tuple[Array]:
    only(not a, "alpha and gamma of the layer are those of its source")
    return (use("selu", rows(x, 1)).reshape(x.shape),)


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
    only(not a.get("exclusive"), "sums of what lies strictly before")
    last = np.moveaxis(x, int(axis), -1)
    last = last[..., ::-1] if a.get("reverse") else last
    name = "cumulative_sum" if a["op"] == "CumSum" else "cumulative_product"
    found = use(name, last.reshape(-1, last.shape[-1])).reshape(last.shape)
    return (np.moveaxis(found[..., ::-1] if a.get("reverse") else found, -1, int(axis)),)


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


def _bordered(a: Settings, x: Array, kernel: Sequence[int], fill: float = 0.0) -> tuple[Array, int]:
    """The input with what a border has on one side only, and the border that both sides share."""
    axes = x.ndim - 2
    strides, dilations = a.get("strides", [1] * axes), a.get("dilations", [1] * axes)
    pads = list(a.get("pads", [0] * 2 * axes))
    kind = a.get("auto_pad", b"NOTSET")
    if kind in (b"SAME_UPPER", b"SAME_LOWER"):
        sizes = zip(x.shape[2:], kernel, strides, dilations, strict=True)
        total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in sizes]
        less = [t // 2 for t in total]
        more = [t - low for t, low in zip(total, less, strict=True)]
        pads = [*less, *more] if kind == b"SAME_UPPER" else [*more, *less]
    if len(set(pads)) <= 1:
        return x, pads[0] if pads else 0
    widths = [(0, 0), (0, 0), *zip(pads[:axes], pads[axes:], strict=True)]
    return np.pad(x, widths, constant_values=fill), 0


@operator("Conv")
def convolution(a: Settings, x: Array, w: Array, b: Array | None = None) -> tuple[Array]:
    axes = x.ndim - 2
    x, padding = _bordered(a, x, w.shape[2:])
    settings = {"stride": _single(a.get("strides")), "dilation": _single(a.get("dilations")), "padding": padding}
    bias = np.zeros(len(w), x.dtype) if b is None else b
    return (use(f"grouped_conv{axes}d", x, w, bias, groups=a.get("group", 1), **settings),)


@operator("ConvTranspose")
def transposed_convolution(a: Settings, x: Array, w: Array, b: Array | None = None) -> tuple[Array]:
    axes, groups = x.ndim - 2, a.get("group", 1)
    only("output_shape" not in a and "auto_pad" not in a, "padding from the shape of the output")
    if axes == 1:
        x, w = x[..., None, :], w[..., None, :]
    strides, dilation = list(a.get("strides", [1] * axes)), _single(a.get("dilations"))
    bias = np.zeros(w.shape[1] * groups, x.dtype) if b is None else b
    pads, more = list(a.get("pads", [0])), list(a.get("output_padding", [0]))
    # Cut afterwards where the padding differs from side to side, so that every padding is covered.
    extra, stride = _single(more, 0), _single(strides)
    if axes == 3:
        only(groups == dilation == 1, "groups or dilation in three axes")
        return (use("transposed_conv3d", x, w, bias, stride=stride, padding=_single(pads, 0), output_padding=extra),)
    same = len(set(pads)) == 1
    settings = {"stride": stride, "padding": pads[0] if same and axes == 2 else 0, "dilation": dilation}
    only(axes == 2 or (stride == 1 and not extra and not any(pads)), "one axis, strided")
    y = use("grouped_transposed_conv2d", x, w, bias, groups=groups, output_padding=extra, **settings)
    if not same:
        top, left, bottom, right = pads
        y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
    return (y[:, :, 0] if axes == 1 else y,)


@operator("MaxPool")
def max_pool(a: Settings, x: Array) -> tuple[Array | None, ...]:
    floats(x)
    axes, K, dilation = x.ndim - 2, _single(a["kernel_shape"]), _single(a.get("dilations"))
    only(not (a.get("ceil_mode") and dilation > 1), "dilated and rounded up")
    only(dilation == 1 or axes == 2, "dilated, not over images")
    padded, padding = _bordered(a, x, a["kernel_shape"], -np.inf)
    settings = {"K": K, "stride": _single(a.get("strides")), "padding": padding}
    if dilation > 1:
        return (use("max_pool2d_dilated", padded, dilation=dilation, **settings),)
    return (use(f"max_pool{axes}d_ceil" if a.get("ceil_mode") else f"max_pool{axes}d", padded, **settings), None)


@operator("AveragePool")
def average_pool(a: Settings, x: Array) -> tuple[Array]:
    axes, K = x.ndim - 2, _single(a["kernel_shape"])
    only(_single(a.get("dilations")) == 1, "dilated")
    counted = bool(a.get("count_include_pad"))
    padded, padding = _bordered(a, x, a["kernel_shape"])
    only(counted or padded is x, "a border that differs from side to side, not counted")
    settings = {"K": K, "stride": _single(a.get("strides")), "padding": padding}
    if a.get("ceil_mode"):
        only(not counted, "rounded up, with the border counted")
        return (use(f"average_pool{axes}d_ceil", padded, **settings),)
    return (use(f"average_pool{axes}d{'' if counted else '_exclude_padding'}", padded, **settings),)


@operator("LpPool")
def lp_pool(a: Settings, x: Array) -> tuple[Array]:
    only(_single(a.get("dilations")) == 1, "dilated")
    padded, padding = _bordered(a, x, a["kernel_shape"])
    K = _single(a["kernel_shape"])
    settings = {"K": K, "stride": _single(a.get("strides")), "padding": padding, "power": float(a.get("p", 2))}
    return (use(f"lp_pool{x.ndim - 2}d", padded, **settings),)


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
    return (np.moveaxis(found.reshape(*ids.shape, size), -1, axis),)


@operator("Trilu")
def triangle(a: Settings, x: Array, diagonal: Array | None = None) -> tuple[Array]:
    flat = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).astype(np.float64)
    name = "upper_triangle" if a.get("upper", 1) else "lower_triangle"
    found = use(name, flat, diagonal=0 if diagonal is None else int(diagonal))
    return (found.reshape(x.shape).astype(x.dtype),)


@operator("Pad")
def pad(a: Settings, x: Array, pads: Array, value: Any = None, axes: Any = None) -> tuple[Array]:
    mode = a.get("mode", b"constant").decode()
    only(len(set(pads)) == 1 and (axes is None) and x.ndim > 2, "axes with borders of their own")
    name = {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "wrap"}[mode]
    return (use(f"pad_{name}{x.ndim - 2}d", x, padding=int(pads[0])),)


@operator("Concat")
def concat(a: Settings, *parts: Array) -> tuple[Array]:
    only(len(parts) == 2, "more than two")
    axis = a["axis"] % parts[0].ndim
    left, right = (rows(p, axis) for p in parts)
    shape = [p + q if k == axis else p for k, (p, q) in enumerate(zip(parts[0].shape, parts[1].shape, strict=True))]
    return (use("concat", left, right).reshape(shape),)


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
    only(a.get("reduction", b"mean") == b"mean", "a loss for every sample, or their sum")
    softmax = a["op"] == "SoftmaxCrossEntropyLoss"
    only(softmax or (weight is None and "ignore_index" not in a), "scores that are log-probabilities already")
    ignored, flat, picked = a.get("ignore_index"), _classes(x), labels.reshape(-1)
    if ignored is not None and weight is None:
        return (use("masked_cross_entropy", flat, picked, ignored=ignored), None)
    only(ignored is None, "weights, and a class that does not count")
    if weight is not None:
        return (use("weighted_cross_entropy", flat, picked, weight), None)
    return (use("softmax_cross_entropy" if softmax else "nll", flat, picked), None)


# ---- recurrences


def _directions(a: Settings, x: Array, run: Callable[[int, Array], tuple[Array, ...]]) -> tuple[Array, ...]:
    """The states of every direction, and the last of each kind."""
    x = x if a.get("layout") else x.swapaxes(0, 1)
    turns = {b"forward": [1], b"reverse": [-1], b"bidirectional": [1, -1]}[a.get("direction", b"forward")]
    found = [run(k, np.ascontiguousarray(x[:, ::turn])) for k, turn in enumerate(turns)]
    states = np.stack([part[0][:, ::turn] for part, turn in zip(found, turns, strict=True)], 2)
    last = [np.stack([part[kind][:, -1] for part in found], 1) for kind in range(len(found[0]))]
    if a.get("layout"):
        return (states, *last)
    return (states.transpose(1, 2, 0, 3), *(y.swapaxes(0, 1) for y in last))


def _biases(b: Array | None, gates: int, k: int, size: int, dtype: Any) -> Array:
    return np.zeros((2, gates, size), dtype) if b is None else b[k].reshape(2, gates, size)


@operator("RNN")
def rnn(a: Settings, x: Array, w: Array, r: Array, b: Any = None, lengths: Any = None, *more: Any) -> tuple[Array, ...]:
    only(lengths is None and not more, "sequences of different lengths")
    size = a["hidden_size"]

    def run(k: int, x: Array) -> tuple[Array]:
        start, bias = np.zeros((len(x), size), x.dtype), _biases(b, 1, k, size, x.dtype).sum((0, 1))
        return (use("rnn", x, start, w[k], r[k], bias),)

    return _directions(a, x, run)


@operator("LSTM")
def lstm(a: Settings, x: Array, w: Array, r: Array, b: Any = None, *more: Any) -> tuple[Array, ...]:
    only(not more, "peepholes, sequences of different lengths")
    size, order = a["hidden_size"], [0, 2, 3, 1]  # input, output, forget, cell there; input, forget, cell, output here

    def run(k: int, x: Array) -> tuple[Array, Array]:
        start = np.zeros((len(x), size), x.dtype)
        inner, outer = (part[k].reshape(4, size, -1)[order] for part in (w, r))
        bias = _biases(b, 4, k, size, x.dtype).sum(0)[order]
        return tuple(use("lstm", x, start, start, inner, outer, bias))  # type: ignore[return-value]

    return _directions(a, x, run)
