"""Pooling over windows of sequences, images and volumes: maximum (both rules for ties), average (both divisors)."""

from dataclasses import dataclass
from math import prod

from sympy import Expr, Idx, Sum, Symbol, oo

from symgrad import Layer, Padded, ReduceMax
from symgrad.layers.equation import Eq, Max, Min, floor
from symgrad.layers.symbols import C, D, H, K, L, N, W, c, n, padding, stride, x, y


def windows(extent: Expr) -> Expr:
    """Return how many windows fit along an axis: Dumoulin and Visin, relationship 7, with padding."""
    return floor((extent + 2 * padding - K) / stride) + 1


def at(window: Expr, offset: Expr | int) -> Expr:
    """Return the position that a window reads at ``offset``."""
    return stride * window + offset - padding


def inside(window: Expr, extent: Expr) -> Expr:
    """Return how many positions of a window lie in the input."""
    return Min(at(window, K), extent) - Max(at(window, 0), 0)


@dataclass(frozen=True)
class Space:
    """The axes that windows slide along."""

    extents: tuple[Symbol, ...]
    windows: tuple[Idx, ...]
    offsets: tuple[Idx, ...]
    typical: dict[Symbol, int]
    shapes: str


t, u, v = Idx("t", K), Idx("u", K), Idx("v", K)
h, i, j = Idx("h", windows(D)), Idx("i", windows(H)), Idx("j", windows(W))

SEQUENCE = Space(
    (L,),
    (Idx("i", windows(L)),),
    (u,),
    {N: 16, C: 64, L: 1024, K: 2},
    "x (N, C, L) sequences; y (N, C, windows).",
)
IMAGE = Space(
    (H, W),
    (i, j),
    (u, v),
    {N: 16, C: 64, H: 64, W: 64, K: 2},
    "x (N, C, H, W) images; y (N, C, windows down, windows across).",
)
VOLUME = Space(
    (D, H, W),
    (h, i, j),
    (t, u, v),
    {N: 4, C: 16, D: 16, H: 16, W: 16, K: 2},
    "x (N, C, D, H, W) volumes; y (N, C, windows along D, H and W).",
)

OPTIONS = {K: 2, stride: 2, padding: 0}
ABOUT_OPTIONS = """K: extent of the window along every axis of space; stride: step from one window to the next;
    padding: positions added on either side. What is left over at the far end is not read.
    Extents out: floor((H + 2 padding - K) / stride) + 1, and likewise along every axis of space;
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, relationship 7."""
TIES = {
    "first": "the gradient goes to the first of them in row-major order",
    "split": "the gradient is split evenly among them",
}


def max_pool(name: str, space: Space, ties: str = "first") -> Layer:
    """Declare the maximum over windows; ``ties`` is the rule of ``ReduceMax``."""
    read = Padded(x, value=-oo)[n, c, *map(at, space.windows, space.offsets)]
    return Layer(
        name,
        inputs=[x[N, C, *space.extents]],
        equations=[Eq(y[n, c, *space.windows], ReduceMax(read, *space.offsets, ties=ties))],
        attributes=OPTIONS,
        requires=[padding < K],
        typical=space.typical,
        doc=f"""
    Maximum pooling: the largest value of every window.

    {space.shapes} Where several are largest,
    {TIES[ties]}. Padding is minus infinity and never wins; it must be
    less than K, because a window wholly in padding has no maximum.
    {ABOUT_OPTIONS}
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 9.3.
    """,
    )


def average_pool(name: str, space: Space) -> Layer:
    """Declare the average over windows, divided by the size of the window."""
    read = Padded(x)[n, c, *map(at, space.windows, space.offsets)]
    return Layer(
        name,
        inputs=[x[N, C, *space.extents]],
        equations=[Eq(y[n, c, *space.windows], Sum(read, *space.offsets) / K ** len(space.extents))],
        attributes=OPTIONS,
        requires=[padding < K],
        typical=space.typical,
        doc=f"""
    Average pooling: the mean of every window, padding counted as zeros.

    {space.shapes}
    {ABOUT_OPTIONS}
    Source: LeCun et al., Gradient-based learning applied to document recognition, section II (subsampling).
    """,
    )


def average_pool_exclude_padding(name: str, space: Space) -> Layer:
    """Declare the average over those positions of a window that lie in the input."""
    read = Padded(x)[n, c, *map(at, space.windows, space.offsets)]
    count = prod(map(inside, space.windows, space.extents))
    return Layer(
        name,
        inputs=[x[N, C, *space.extents]],
        equations=[Eq(y[n, c, *space.windows], Sum(read, *space.offsets) / count)],
        attributes=OPTIONS,
        requires=[padding < K],
        typical=space.typical,
        doc=f"""
    Average pooling: the mean of what every window reads of the input, padding not counted.

    {space.shapes}
    Along an axis of extent H, Min(stride i - padding + K, H) - Max(stride i - padding, 0) positions of window i lie
    in the input. padding must be less than K, so that there is one at least.
    {ABOUT_OPTIONS}
    Source: LeCun et al., Gradient-based learning applied to document recognition, section II (subsampling).
    """,
    )


max_pool1d = max_pool("max_pool1d", SEQUENCE)
max_pool2d = max_pool("max_pool2d", IMAGE)
max_pool3d = max_pool("max_pool3d", VOLUME)

max_pool1d_split = max_pool("max_pool1d_split", SEQUENCE, ties="split")
max_pool2d_split = max_pool("max_pool2d_split", IMAGE, ties="split")
max_pool3d_split = max_pool("max_pool3d_split", VOLUME, ties="split")

average_pool1d = average_pool("average_pool1d", SEQUENCE)
average_pool2d = average_pool("average_pool2d", IMAGE)
average_pool3d = average_pool("average_pool3d", VOLUME)

average_pool1d_exclude_padding = average_pool_exclude_padding("average_pool1d_exclude_padding", SEQUENCE)
average_pool2d_exclude_padding = average_pool_exclude_padding("average_pool2d_exclude_padding", IMAGE)
average_pool3d_exclude_padding = average_pool_exclude_padding("average_pool3d_exclude_padding", VOLUME)

row, column = Idx("i", H), Idx("j", W)
global_average_pool2d = Layer(
    "global_average_pool2d",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c], Sum(x[n, c, row, column], row, column) / (H * W))],
    typical={N: 16, C: 64, H: 32, W: 32},
    doc="""
    Global average pooling: the mean of every channel of every image.

    x (N, C, H, W) images; y (N, C).
    Source: Lin, Chen and Yan, Network in network, section 3.2.
    """,
)
