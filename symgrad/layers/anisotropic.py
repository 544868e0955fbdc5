"""Convolution and pooling whose kernels, strides, dilations and borders differ from axis to axis.

The settings of an axis carry its letter: ``stride_h`` steps down an image, ``stride_w`` across; ``before_h`` positions
are added above it and ``after_h`` below.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from sympy import Expr, Idx, KroneckerDelta, Sum, Symbol, oo, symbols

from symgrad import Layer, Padded, ReduceMax
from symgrad.layers.equation import Abs, Eq, Max, Min, floor
from symgrad.layers.symbols import C, D, H, L, M, N, R, S, T, W, b, c, groups, n, w, x, y

power = symbols("power", real=True, positive=True)
round_up = symbols("round_up", integer=True, nonnegative=True)


@dataclass(frozen=True)
class Axis:
    """An axis of space: its extent, that of the kernel, and the settings of the windows along it."""

    extent: Symbol
    kernel: Symbol
    place: str
    offset: str

    def setting(self, name: str, positive: bool) -> Symbol:
        """Return the symbol of a setting of this axis."""
        kind = {"positive": True} if positive else {"nonnegative": True}
        return Symbol(f"{name}_{str(self.extent).lower()}", integer=True, **kind)

    @cached_property
    def stride(self) -> Symbol:
        """Step from one window to the next."""
        return self.setting("stride", True)

    @cached_property
    def dilation(self) -> Symbol:
        """Step inside a window."""
        return self.setting("dilation", True)

    @cached_property
    def before(self) -> Symbol:
        """Positions added at the near end."""
        return self.setting("before", False)

    @cached_property
    def after(self) -> Symbol:
        """Positions added at the far end."""
        return self.setting("after", False)

    @cached_property
    def output_padding(self) -> Symbol:
        """Positions added at the far end of the output of a transposed convolution."""
        return self.setting("output_padding", False)

    @cached_property
    def window(self) -> Symbol:
        """Extent of a window of pooling."""
        return self.setting("K", True)

    def count(self, kernel: Symbol, rounding: Expr | int = 0) -> Expr:
        """Return how many windows fit: Dumoulin and Visin, relationship 15, with a border of its own at each end."""
        room = self.extent + self.before + self.after - self.dilation * (kernel - 1) - 1
        return floor((room + rounding) / self.stride) + 1

    def at(self, window: Expr, offset: Expr) -> Expr:
        """Return the position that a window reads at ``offset``."""
        return self.stride * window + self.dilation * offset - self.before

    @cached_property
    def windows(self) -> Expr:
        """How many windows of pooling there are; where ``round_up`` is 1, what is left over makes one more."""
        begun = floor((self.extent + self.before - 1) / self.stride) + 1
        return Min(self.count(self.window, round_up * (self.stride - 1)), begun)

    def present(self, window: Expr, border: bool) -> Expr:
        """Return how many positions of a window lie in the input, or in the input and its border."""
        start = self.stride * window - self.before
        end = self.extent + self.after if border else self.extent
        missing = 0 if border else Max(0, -floor(start / self.dilation))
        return Min(self.window, floor((end - 1 - start) / self.dilation) + 1) - missing

    @cached_property
    def limits(self) -> list[Any]:
        """Conditions under which every window begins and ends in reach of the input."""
        reach = self.dilation * (self.window - 1)
        return [self.before <= reach, self.after <= reach, round_up <= 1]


@dataclass(frozen=True)
class Space:
    """The axes that windows slide along."""

    axes: tuple[Axis, ...]
    typical: dict[Symbol, int]
    things: str

    @property
    def suffix(self) -> str:
        """``2d`` of images."""
        return f"{len(self.axes)}d"

    @property
    def extents(self) -> tuple[Symbol, ...]:
        """The extents of the input."""
        return tuple(axis.extent for axis in self.axes)

    @property
    def places(self) -> list[Idx]:
        """An index for every window of pooling, axis by axis."""
        return [Idx(axis.place, axis.windows) for axis in self.axes]

    @property
    def offsets(self) -> list[Idx]:
        """An index inside a window of pooling, axis by axis."""
        return [Idx(axis.offset, axis.window) for axis in self.axes]

    def window(self, filled: Any) -> Expr:
        """Return what ``filled``, the input with its border, holds at an offset of a window."""
        triples = zip(self.axes, self.places, self.offsets, strict=True)
        read: Expr = filled[(n, c, *(axis.at(place, offset) for axis, place, offset in triples))]
        return read

    def settings(self, *names: str) -> dict[Symbol, int]:
        """Return the attributes called so, axis by axis, and their defaults."""
        defaults = {"window": 2, "stride": 1, "dilation": 1}
        return {getattr(axis, name): defaults.get(name, 0) for name in names for axis in self.axes}


SEQUENCE = Space((Axis(L, R, "i", "u"),), {N: 16, L: 1024}, "sequences")
IMAGE = Space((Axis(H, R, "i", "u"), Axis(W, S, "j", "v")), {N: 16, H: 32, W: 32}, "images")
VOLUME = Space((Axis(D, T, "h", "t"), *IMAGE.axes), {N: 4, D: 16, H: 16, W: 16}, "volumes")

ABOUT_SETTINGS = """For each axis of space, by its letter: stride steps from one window to the next, dilation inside a
    window; before and after are positions added at its near and at its far end."""
EXTENTS = """Extents out: floor((H + before_h + after_h - dilation_h ({0} - 1) - 1) / stride_h) + 1, and likewise along
    the other axes; Dumoulin and Visin, A guide to convolution arithmetic for deep learning, relationship 15."""


def letters(space: Space, *names: str) -> str:
    """Return the attributes' names, for a docstring."""
    return ", ".join(map(str, space.settings(*names)))


def shape(space: Space, leading: str) -> str:
    """Return ``(N, C, H, W)``."""
    return f"({', '.join([leading, *map(str, space.extents)])})"


def convolution(space: Space) -> Layer:
    """Declare a convolution in groups."""
    axes = space.axes
    out, kernel = Idx("k", groups * M), [axis.kernel for axis in axes]
    places = [Idx(axis.place, axis.count(axis.kernel)) for axis in axes]
    offsets = [Idx(axis.offset, axis.kernel) for axis in axes]
    read = [axis.at(p, o) for axis, p, o in zip(axes, places, offsets, strict=True)]
    product = Padded(x)[(n, C * floor(out / M) + c, *read)] * w[(out, c, *offsets)]
    return Layer(
        f"conv{space.suffix}_anisotropic",
        inputs=[x[(N, groups * C, *space.extents)], w[(groups * M, C, *kernel)], b[groups * M]],
        equations=[Eq(y[(n, out, *places)], Sum(product, c, *offsets) + b[out])],
        attributes={**space.settings("stride", "dilation", "before", "after"), groups: 1},
        typical={**space.typical, C: 16, M: 16, groups: 1, **dict.fromkeys(kernel, 3)},
        doc=f"""
    Convolution over {space.things} with settings of their own for each end of each axis.

    x {shape(space, "N, groups C")}, w (groups M, C, {", ".join(map(str, kernel))}) kernels, b (groups M,) biases;
    y (N, groups M, windows). Borders hold zeros. Every one of `groups` groups is a convolution of its own.
    {ABOUT_SETTINGS}
    {letters(space, "stride", "dilation")};
    {letters(space, "before", "after")}.
    {EXTENTS.format("R")}
    Source: Goodfellow, Bengio and Courville, Deep Learning, equation 9.8, with a stride for every axis.
    """,
    )


def transposed(space: Space) -> Layer:
    """Declare the transposed convolution in groups."""
    axes = space.axes
    kernel = [axis.kernel for axis in axes]
    out, inner = Idx("k", groups * M), Idx("m", C)
    places = [Idx(axis.place, axis.extent) for axis in axes]
    offsets = [Idx(axis.offset, axis.kernel) for axis in axes]
    reach = [
        a.stride * (a.extent - 1) + a.dilation * (a.kernel - 1) + 1 - a.before - a.after + a.output_padding
        for a in axes
    ]
    targets = [Idx(name, extent) for name, extent in zip("opq", reach, strict=False)]
    hit = prod(KroneckerDelta(a.at(p, o), t) for a, p, o, t in zip(axes, places, offsets, targets, strict=True))
    source = C * floor(out / M) + inner
    product = x[(n, source, *places)] * w[(source, out - M * floor(out / M), *offsets)] * hit
    return Layer(
        f"transposed_conv{space.suffix}_anisotropic",
        inputs=[x[(N, groups * C, *space.extents)], w[(groups * C, M, *kernel)], b[groups * M]],
        equations=[Eq(y[(n, out, *targets)], Sum(product, inner, *places, *offsets) + b[out])],
        attributes={**space.settings("stride", "dilation", "before", "after", "output_padding"), groups: 1},
        typical={**space.typical, C: 16, M: 16, groups: 1, **dict.fromkeys(kernel, 4)},
        doc=f"""
    Transposed convolution over {space.things} with settings of their own for each end of each axis.

    x {shape(space, "N, groups C")}, w (groups C, M, {", ".join(map(str, kernel))}) kernels, b (groups M,) biases;
    y (N, groups M, ...), with extents of
    stride_h (H - 1) + dilation_h (R - 1) + 1 - before_h - after_h + output_padding_h and likewise.
    Settings are those of the convolution that is transposed, by the letter of the axis; output_padding: positions added
    at the far end; groups: how many groups of channels.
    {letters(space, "stride", "dilation", "output_padding")};
    {letters(space, "before", "after")}.
    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, relationships 8 to 14.
    """,
    )


def pool(name: str, space: Space, body: Expr, summary: str, source: str, suffix: str = "") -> Layer:
    """Declare pooling; ``body`` is the value of the window at ``space.places``."""
    axes = space.axes
    more: dict[Symbol, float] = {power: 2.0} if body.has(power) else {}
    return Layer(
        f"{name}_pool{space.suffix}_anisotropic{suffix}",
        inputs=[x[(N, C, *space.extents)]],
        equations=[Eq(y[(n, c, *space.places)], body)],
        attributes={**space.settings("window", "stride", "dilation", "before", "after"), round_up: 0, **more},
        requires=[limit for axis in axes for limit in axis.limits],
        typical={**space.typical, C: 64 if len(axes) < 3 else 8, **{axis.window: 2 for axis in axes}},
        doc=f"""
    {summary}, each axis with settings of its own.

    x {shape(space, "N, C")} {space.things}; y (N, C, windows).{" power: p." if more else ""}
    {ABOUT_SETTINGS}
    K: extent of the windows. round_up: 1 where what is left over at the far end makes one more window, if that begins
    in the input or before it.
    {letters(space, "window", "stride", "dilation")};
    {letters(space, "before", "after")}.
    {EXTENTS.format("K_h")}
    Source: {source}.
    """,
    )


def max_pool(space: Space) -> Layer:
    """Declare the largest value of every window; the border never wins."""
    largest = ReduceMax(space.window(Padded(x, value=-oo)), *space.offsets)
    source = "the operator MaxPool of ONNX; Goodfellow, Bengio and Courville, Deep Learning, section 9.3"
    return pool("max", space, largest, "Maximum pooling", source)


def average_pool(space: Space, border: bool) -> Layer:
    """Declare the mean of every window, with the border counted as zeros or not at all."""
    pairs = zip(space.axes, space.places, strict=True)
    count = prod(axis.present(place, border) for axis, place in pairs)
    mean = Sum(space.window(Padded(x)), *space.offsets) / (count if border else Max(count, 1))
    summary = f"Average pooling, the border counted {'as zeros' if border else 'not at all'}"
    source, suffix = "the operator AveragePool of ONNX", "" if border else "_exclude_padding"
    return pool("average", space, mean, summary, source, suffix)


def lp_pool(space: Space) -> Layer:
    """Declare the p-norm of every window."""
    norm = Sum(Abs(space.window(Padded(x))) ** power, *space.offsets) ** (1 / power)
    return pool("lp", space, norm, "Power pooling, the p-norm", "the operator LpPool of ONNX")


conv1d_anisotropic, conv2d_anisotropic, conv3d_anisotropic = map(convolution, (SEQUENCE, IMAGE, VOLUME))
transposed_conv1d_anisotropic, transposed_conv2d_anisotropic = transposed(SEQUENCE), transposed(IMAGE)
transposed_conv3d_anisotropic = transposed(VOLUME)
max_pool1d_anisotropic, max_pool2d_anisotropic, max_pool3d_anisotropic = map(max_pool, (SEQUENCE, IMAGE, VOLUME))
average_pool1d_anisotropic, average_pool2d_anisotropic = average_pool(SEQUENCE, True), average_pool(IMAGE, True)
average_pool3d_anisotropic = average_pool(VOLUME, True)
average_pool1d_anisotropic_exclude_padding = average_pool(SEQUENCE, False)
average_pool2d_anisotropic_exclude_padding = average_pool(IMAGE, False)
average_pool3d_anisotropic_exclude_padding = average_pool(VOLUME, False)
lp_pool1d_anisotropic, lp_pool2d_anisotropic, lp_pool3d_anisotropic = map(lp_pool, (SEQUENCE, IMAGE, VOLUME))
