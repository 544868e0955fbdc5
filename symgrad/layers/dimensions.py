"""Over sequences and volumes what stands elsewhere for images: pooling, unpooling, normalisation, upsampling."""

from dataclasses import dataclass
from math import prod

from sympy import Expr, Idx, KroneckerDelta, Sum, Symbol, oo, sqrt, symbols

from symgrad import Layer, Padded, ReduceMax
from symgrad.layers.equation import Abs, Eq, ceiling, floor
from symgrad.layers.pooling import at, inside
from symgrad.layers.symbols import C, D, H, K, L, N, W, c, n, padding, stride, tensors, x, y
from symgrad.layers.windows import ABOUT_ADAPTIVE, ABOUT_OPTIONS, ABOUT_ROUNDING, begin, end, limits, rounded_up

O, P, Q = symbols("O P Q", integer=True, positive=True)  # noqa: E741
scale = symbols("scale", integer=True, positive=True)
power, epsilon = symbols("power epsilon", real=True, positive=True)
positions, mean, variance, gamma, beta = tensors("positions mean variance gamma beta")
OPTIONS = {K: 2, stride: 2, padding: 0}


@dataclass(frozen=True)
class Space:
    """The axes of sequences or of volumes."""

    suffix: str
    extents: tuple[Symbol, ...]
    counts: tuple[Symbol, ...]
    typical: dict[Symbol, int]
    things: str

    @property
    def places(self) -> tuple[Idx, ...]:
        """An index for every position."""
        return tuple(Idx(name, extent) for name, extent in zip("ijh", self.extents, strict=False))

    def indices(self, extents: tuple[Expr, ...]) -> tuple[Idx, ...]:
        """Indices of the output, with these extents."""
        return tuple(Idx(name, extent) for name, extent in zip("pqr", extents, strict=False))

    @property
    def offsets(self) -> tuple[Idx, ...]:
        """An index inside a window for every axis."""
        return tuple(Idx(name, K) for name, _ in zip("tuv", self.extents, strict=False))

    @property
    def shape(self) -> str:
        """The shape of the input, in words."""
        return f"x (N, C, {', '.join(map(str, self.extents))}) {self.things}"


SEQUENCE = Space("1d", (L,), (P,), {N: 16, C: 64, L: 1024}, "sequences")
VOLUME = Space("3d", (D, H, W), (O, P, Q), {N: 4, C: 8, D: 16, H: 16, W: 16}, "volumes")


def global_pool(space: Space, largest: bool) -> Layer:
    """Declare the mean, or the largest, of every channel."""
    read = x[(n, c, *space.places)]
    body = ReduceMax(read, *space.places) if largest else Sum(read, *space.places) / prod(space.extents)
    what, word = ("max", "largest value") if largest else ("average", "mean")
    return Layer(
        f"global_{what}_pool{space.suffix}",
        inputs=[x[(N, C, *space.extents)]],
        equations=[Eq(y[n, c], body)],
        typical=space.typical,
        doc=f"""
    Global pooling: the {word} of every channel of every sample.

    {space.shape}; y (N, C).
    Source: Lin, Chen and Yan, Network in network, section 3.2.
    """,
    )


def adaptive_pool(space: Space, largest: bool) -> Layer:
    """Declare the mean, or the largest, of as many windows as asked for."""
    out = space.indices(space.counts)
    inner = symbols(" ".join("tuv"[: len(out)]), integer=True, seq=True)
    axes = list(zip(out, space.extents, space.counts, inner, strict=True))
    ranges = [limits(*axis) for axis in axes]
    read = x[(n, c, *inner)]
    sizes = prod(end(i, extent, count) - begin(i, extent, count) for i, extent, count, _ in axes)
    what, word = ("max", "largest value") if largest else ("average", "mean")
    return Layer(
        f"adaptive_{what}_pool{space.suffix}",
        inputs=[x[(N, C, *space.extents)]],
        equations=[Eq(y[(n, c, *out)], ReduceMax(read, *ranges) if largest else Sum(read, *ranges) / sizes)],
        attributes=dict.fromkeys(space.counts, 2),
        typical=space.typical,
        doc=f"""
    Adaptive pooling: the {word} of each of as many windows as asked for.

    {space.shape}; y (N, C, {", ".join(map(str, space.counts))}).
    {ABOUT_ADAPTIVE}
    Source: torch.nn.functional.adaptive_{"max" if largest else "avg"}_pool{space.suffix}.
    """,
    )


def rounded_pool(space: Space, largest: bool) -> Layer:
    """Declare pooling that also reads what is left over at the far end."""
    out = space.indices(tuple(map(rounded_up, space.extents)))
    read = Padded(x, value=-oo if largest else 0)[(n, c, *map(at, out, space.offsets))]
    count = prod(map(inside, out, space.extents))
    what, word = ("max", "the largest value") if largest else ("average", "the mean")
    return Layer(
        f"{what}_pool{space.suffix}_ceil",
        inputs=[x[(N, C, *space.extents)]],
        equations=[
            Eq(y[(n, c, *out)], ReduceMax(read, *space.offsets) if largest else Sum(read, *space.offsets) / count)
        ],
        attributes=OPTIONS,
        requires=[padding < K],
        typical=space.typical | {K: 2},
        doc=f"""
    Pooling that also reads what is left over at the far end: {word} of every window.

    {space.shape}; y (N, C, windows).{"" if largest else " Padding is not counted."}
    {ABOUT_OPTIONS}
    {ABOUT_ROUNDING}
    Source: torch.nn.functional.{"max" if largest else "avg"}_pool{space.suffix}, ceil_mode.
    """,
    )


def zero_padded_pool(space: Space, largest: bool) -> Layer:
    """Declare pooling over an input padded with zeros, which also reads what is left over at the far end."""
    out = space.indices(tuple(ceiling((extent + 2 * padding - K) / stride) + 1 for extent in space.extents))
    read = Padded(x)[(n, c, *map(at, out, space.offsets))]
    rank = len(space.extents)
    what, word = ("max", "the largest value") if largest else ("average", "the mean")
    note = "Zeros win over negative values" if largest else f"The divisor is always K^{rank}"
    return Layer(
        f"{what}_pool{space.suffix}_zero_padding",
        inputs=[x[(N, C, *space.extents)]],
        equations=[
            Eq(y[(n, c, *out)], ReduceMax(read, *space.offsets) if largest else Sum(read, *space.offsets) / K**rank)
        ],
        attributes=OPTIONS,
        typical=space.typical | {K: 2},
        doc=f"""
    Pooling over an input padded with zeros: {word} of every window.

    {space.shape}; y (N, C, windows). {note}.
    {ABOUT_OPTIONS}
    Extents out: ceil(({space.extents[0]} + 2 padding - K) / stride) + 1.
    Source: Intel DAAL, {rank}D {"maximum" if largest else "average"} pooling layer.
    """,
    )


def unpool(space: Space) -> Layer:
    """Declare the return of values to where maxima were found."""
    out, places = space.indices(space.counts), space.places
    flat: Expr = out[0]
    for index, count in zip(out[1:], space.counts[1:], strict=True):
        flat = flat * count + index
    found = KroneckerDelta(positions[(n, c, *places)], flat)
    return Layer(
        f"max_unpool{space.suffix}",
        inputs=[x[(N, C, *space.extents)], positions[(N, C, *space.extents)]],
        equations=[Eq(y[(n, c, *out)], Sum(x[(n, c, *places)] * found, *places))],
        attributes=dict.fromkeys(space.counts, 4),
        integers=[positions],
        typical=space.typical
        | {count: 2 * space.typical[e] for count, e in zip(space.counts, space.extents, strict=True)},
        doc=f"""
    Unpooling: every value goes back to where a maximum was found, all else is 0.

    {space.shape}, positions (as x) whole numbers that count the elements of a channel of y in row-major
    order; y (N, C, {", ".join(map(str, space.counts))}). Values with one position add up.
    Source: Zeiler, Taylor and Fergus, Adaptive deconvolutional networks for mid and high level feature learning, 2.1.
    """,
    )


def normalise(name: str, space: Space, over: tuple[Idx, ...], source: str) -> Layer:
    """Declare normalisation by mean and variance over the batch, or over one sample."""
    axes = (n, c, *space.places)
    kept, shared = ((c,), (n, *space.places)) if n in over else ((n, c), space.places)
    count = prod(index.upper + 1 for index in shared)
    return Layer(
        f"{name}{space.suffix}",
        inputs=[x[(N, C, *space.extents)], gamma[C], beta[C]],
        equations=[
            Eq(mean[kept], Sum(x[axes], *shared) / count),
            Eq(variance[kept], Sum((x[axes] - mean[kept]) ** 2, *shared) / count),
            Eq(y[axes], gamma[c] * (x[axes] - mean[kept]) / sqrt(variance[kept] + epsilon) + beta[c]),
        ],
        outputs=[y],
        attributes={epsilon: 1e-5},
        typical=space.typical,
        doc=f"""
    Normalisation: every channel by its mean and variance over {"the batch" if n in over else "each sample"}.

    {space.shape}, gamma (C,) scales, beta (C,) shifts; y as x. epsilon: added to the variance.
    Source: {source}.
    """,
    )


def nearest(space: Space) -> Layer:
    """Declare upsampling by repetition."""
    out = space.indices(tuple(scale * extent for extent in space.extents))
    return Layer(
        f"upsample_nearest{space.suffix}",
        inputs=[x[(N, C, *space.extents)]],
        equations=[Eq(y[(n, c, *out)], x[(n, c, *(floor(i / scale) for i in out))])],
        attributes={scale: 2},
        typical=space.typical | {scale: 2},
        doc=f"""
    Upsampling by repetition: every element becomes scale elements along each axis.

    {space.shape}; y with extents scale times as large. scale: how many times finer.
    Source: torch.nn.functional.interpolate, mode nearest.
    """,
    )


def powers(space: Space) -> Layer:
    """Declare the p-norm of every window."""
    out = space.indices(tuple(floor((extent + 2 * padding - K) / stride) + 1 for extent in space.extents))
    read = Padded(x)[(n, c, *map(at, out, space.offsets))]
    return Layer(
        f"lp_pool{space.suffix}",
        inputs=[x[(N, C, *space.extents)]],
        equations=[Eq(y[(n, c, *out)], Sum(Abs(read) ** power, *space.offsets) ** (1 / power))],
        attributes={**OPTIONS, power: 2.0},
        requires=[padding < K],
        typical=space.typical | {K: 2},
        doc=f"""
    Power pooling: the p-norm of every window.

    {space.shape}; y (N, C, windows).
    {ABOUT_OPTIONS}
    power: p; 2 is L2 pooling. The gradient of a window of zeros is 0.
    Source: torch.nn.functional.lp_pool{space.suffix}.
    """,
    )


global_average_pool1d, global_average_pool3d = global_pool(SEQUENCE, False), global_pool(VOLUME, False)
global_max_pool1d, global_max_pool3d = global_pool(SEQUENCE, True), global_pool(VOLUME, True)
adaptive_average_pool1d, adaptive_average_pool3d = adaptive_pool(SEQUENCE, False), adaptive_pool(VOLUME, False)
adaptive_max_pool1d, adaptive_max_pool3d = adaptive_pool(SEQUENCE, True), adaptive_pool(VOLUME, True)
average_pool1d_ceil, average_pool3d_ceil = rounded_pool(SEQUENCE, False), rounded_pool(VOLUME, False)
max_pool1d_ceil, max_pool3d_ceil = rounded_pool(SEQUENCE, True), rounded_pool(VOLUME, True)
average_pool1d_zero_padding = zero_padded_pool(SEQUENCE, False)
average_pool3d_zero_padding = zero_padded_pool(VOLUME, False)
max_pool1d_zero_padding, max_pool3d_zero_padding = zero_padded_pool(SEQUENCE, True), zero_padded_pool(VOLUME, True)
lp_pool3d = powers(VOLUME)
max_unpool1d, max_unpool3d = unpool(SEQUENCE), unpool(VOLUME)
upsample_nearest1d, upsample_nearest3d = nearest(SEQUENCE), nearest(VOLUME)

ULYANOV = "Ulyanov, Vedaldi and Lempitsky, Instance normalization, section 2"
IOFFE = "Ioffe and Szegedy, Batch normalization, algorithm 1"
instance_norm1d, instance_norm3d = (normalise("instance_norm", s, s.places, ULYANOV) for s in (SEQUENCE, VOLUME))
batch_norm1d, batch_norm3d = (normalise("batch_norm", s, (n, *s.places), IOFFE) for s in (SEQUENCE, VOLUME))
