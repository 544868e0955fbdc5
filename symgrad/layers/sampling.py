"""Values between pixels: sampling at a grid in further ways, cubic, linear and trilinear upsampling."""

from collections.abc import Sequence

from sympy import Abs, Expr, Idx, Mod, Piecewise, Rational, Sum, Symbol, symbols

from symgrad import Layer, Padded
from symgrad.layers.equation import Eq, Max, Min, ceiling, floor
from symgrad.layers.resampling import from_centre, share
from symgrad.layers.symbols import C, D, H, L, N, W, c, n, tensors, x, y

O, P, Q = symbols("O P Q", integer=True, positive=True)  # noqa: E741
scale = symbols("scale", integer=True, positive=True)
corners = symbols("corners", integer=True, nonnegative=True)
grid, row, column, depth, raw_row, raw_column = tensors("grid row column depth raw_row raw_column")
down_weights, across_weights, wide = tensors("down_weights across_weights wide")
a, d, e = Idx("a", 2), Idx("d", 2), Idx("e", 2)
p, q, o = Idx("i", P), Idx("j", Q), Idx("h", O)
SAMPLED = {N: 16, C: 16, H: 32, W: 32, P: 32, Q: 32}
ABOUT_CORNERS = (
    """corners: 0 if -1 and 1 are the outer edges of the image, 1 if they are the centres of its corner pixels."""
)
JADERBERG = "Jaderberg, Simonyan, Zisserman and Kavukcuoglu, Spatial transformer networks"


def some(*extents: Symbol) -> list[Expr]:
    """Return the requirements that these extents be at least 1: there is nothing between the pixels of nothing."""
    return [Symbol(extent.name, integer=True) > 0 for extent in extents]


def unnormalised(coordinate: Expr, extent: Expr) -> Expr:
    """Return the position in pixels of a coordinate from -1 to 1."""
    return ((coordinate + 1) * (extent - corners) - 1 + corners) / 2


def mirrored(position: Expr, extent: Expr) -> Expr:
    """Return a position beyond the borders mirrored at them until it is inside, and kept on the pixels."""
    first = -(1 - corners) / 2
    period = 2 * (extent - corners)
    distance = Abs(position - first)
    rest = distance - period * floor(distance / period)
    return Max(0, Min(Min(rest, period - rest) + first, extent - 1))


def rounded(position: Expr) -> Expr:
    """Return the nearest whole number, of two as near the even one."""
    above, below = floor(position + Rational(1, 2)), ceiling(position - Rational(1, 2))
    return above - (above - below) * Mod(above, 2)


def fraction(position: Expr) -> Expr:
    """Return how far a position lies behind the pixel before it."""
    return position - floor(position)


def blended(mode: str, pixels: tuple[Expr, ...], positions: Sequence[Expr], corner: Sequence[Idx]) -> Expr:
    """Return the pixels around a position, weighted linearly along every axis."""
    around = [floor(at) + far for at, far in zip(positions, corner, strict=True)]
    value = Padded(x, mode=mode)[(*pixels, *around)]
    for at, far in zip(positions, corner, strict=True):
        value *= share(far, fraction(at))
    return Sum(value, *corner)


HERE = (row[n, p, q], column[n, p, q])
POSITIONS = [
    Eq(column[n, p, q], unnormalised(grid[n, p, q, 0], W)),
    Eq(row[n, p, q], unnormalised(grid[n, p, q, 1], H)),
]
ABOUT_GRID = f"""x (N, C, H, W), grid (N, P, Q, 2); y (N, C, P, Q). Coordinate 0 of the grid runs across, 1 down, both
    from -1 to 1.
    {ABOUT_CORNERS}"""

grid_sample2d_corners = Layer(
    "grid_sample2d_corners",
    inputs=[x[N, C, H, W], grid[N, P, Q, 2]],
    equations=[*POSITIONS, Eq(y[n, c, p, q], blended("constant", (n, c), HERE, (a, d)))],
    outputs=[y],
    attributes={corners: 1},
    requires=[corners <= 1, *some(H, W)],
    typical=SAMPLED,
    doc=f"""
    Bilinear sampling of an image at the positions of a grid, by either rule for its corners.

    {ABOUT_GRID}
    Around the image are zeros. On a pixel the gradient of the grid is that to the right and down.
    Source: {JADERBERG}, equation 5;
    torch.nn.functional.grid_sample.
    """,
)

grid_sample2d_reflection = Layer(
    "grid_sample2d_reflection",
    inputs=[x[N, C, H, W], grid[N, P, Q, 2]],
    equations=[
        Eq(raw_column[n, p, q], unnormalised(grid[n, p, q, 0], W)),
        Eq(raw_row[n, p, q], unnormalised(grid[n, p, q, 1], H)),
        Eq(column[n, p, q], mirrored(raw_column[n, p, q], W)),
        Eq(row[n, p, q], mirrored(raw_row[n, p, q], H)),
        Eq(y[n, c, p, q], blended("replicate", (n, c), HERE, (a, d))),
    ],
    outputs=[y],
    attributes={corners: 0},
    requires=[corners <= 1, corners < H, corners < W],
    typical=SAMPLED,
    doc=f"""
    Bilinear sampling of an image at the positions of a grid, mirrored at its borders.

    {ABOUT_GRID}
    Source: {JADERBERG}, equation 5;
    torch.nn.functional.grid_sample, padding_mode reflection.
    """,
)

grid_sample2d_nearest = Layer(
    "grid_sample2d_nearest",
    inputs=[x[N, C, H, W], grid[N, P, Q, 2]],
    equations=[
        *POSITIONS,
        Eq(y[n, c, p, q], Padded(x)[n, c, rounded(row[n, p, q]), rounded(column[n, p, q])]),
    ],
    outputs=[y],
    attributes={corners: 0},
    requires=[corners <= 1, *some(H, W)],
    typical=SAMPLED,
    doc=f"""
    The pixel nearest to each position of a grid; the grid has no gradient but 0.

    {ABOUT_GRID}
    Around the image are zeros; half way between two pixels it is the one of the even number.
    Source: {JADERBERG}, equation 4;
    torch.nn.functional.grid_sample, mode nearest.
    """,
)

grid_sample3d = Layer(
    "grid_sample3d",
    inputs=[x[N, C, D, H, W], grid[N, O, P, Q, 3]],
    equations=[
        Eq(column[n, o, p, q], unnormalised(grid[n, o, p, q, 0], W)),
        Eq(row[n, o, p, q], unnormalised(grid[n, o, p, q, 1], H)),
        Eq(depth[n, o, p, q], unnormalised(grid[n, o, p, q, 2], D)),
        Eq(
            y[n, c, o, p, q],
            blended("constant", (n, c), (depth[n, o, p, q], row[n, o, p, q], column[n, o, p, q]), (e, a, d)),
        ),
    ],
    outputs=[y],
    attributes={corners: 0},
    requires=[corners <= 1, *some(D, H, W)],
    typical={N: 2, C: 4, D: 8, H: 16, W: 16, O: 8, P: 16, Q: 16},
    doc=f"""
    Trilinear sampling of a volume at the positions of a grid, with zeros around the volume.

    x (N, C, D, H, W), grid (N, O, P, Q, 3); y (N, C, O, P, Q). Coordinate 0 of the grid runs across, 1 down, 2 along D.
    {ABOUT_CORNERS}
    Source: {JADERBERG}, equation 5, with one axis more.
    """,
)

# ---- cubic

taps, others = Idx("a", 4), Idx("d", 4)


def cubic(tap: Idx, behind: Expr) -> Expr:
    """Return the weight of tap 0 to 3 around a position that lies ``behind`` tap 1."""
    far = Abs(behind + 1 - tap)
    near = (1.25 * far - 2.25) * far**2 + 1
    return Piecewise((near, (tap >= 1) & (tap <= 2)), (((-0.75 * far + 3.75) * far - 6) * far + 3, True))


ABOUT_CUBIC = "The cubic has the parameter -3/4."
KEYS = "Keys, Cubic convolution interpolation for digital image processing"

SIXTEEN = Padded(x)[n, c, floor(row[n, p, q]) + taps - 1, floor(column[n, p, q]) + others - 1]

grid_sample2d_bicubic = Layer(
    "grid_sample2d_bicubic",
    inputs=[x[N, C, H, W], grid[N, P, Q, 2]],
    equations=[
        *POSITIONS,
        Eq(down_weights[n, p, q, taps], cubic(taps, fraction(row[n, p, q]))),
        Eq(across_weights[n, p, q, others], cubic(others, fraction(column[n, p, q]))),
        Eq(y[n, c, p, q], Sum(SIXTEEN * down_weights[n, p, q, taps] * across_weights[n, p, q, others], taps, others)),
    ],
    outputs=[y],
    attributes={corners: 0},
    requires=[corners <= 1, *some(H, W)],
    typical={**SAMPLED, C: 4},
    doc=f"""
    Bicubic sampling of an image at the positions of a grid, with zeros around the image.

    {ABOUT_GRID}
    {ABOUT_CUBIC}
    Source: {KEYS};
    torch.nn.functional.grid_sample, mode bicubic.
    """,
)

i, j, h, l = Idx("i", scale * H), Idx("j", scale * W), Idx("h", scale * D), Idx("i", scale * L)  # noqa: E741
ABOUT_SCALE = "scale: how many times finer. Beyond the outermost centres their values go on."

pixel = Idx("h", H)
(above, below), (before, behind) = from_centre(i), from_centre(j)

upsample_bicubic2d = Layer(
    "upsample_bicubic2d",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(down_weights[i, taps], cubic(taps, below)),
        Eq(across_weights[j, taps], cubic(taps, behind)),
        Eq(
            wide[n, c, pixel, j],
            Sum(Padded(x, mode="replicate")[n, c, pixel, before + taps - 1] * across_weights[j, taps], taps),
        ),
        Eq(
            y[n, c, i, j],
            Sum(Padded(wide, mode="replicate")[n, c, above + taps - 1, j] * down_weights[i, taps], taps),
        ),
    ],
    outputs=[y],
    attributes={scale: 2},
    typical={N: 16, C: 16, H: 32, W: 32, scale: 2},
    doc=f"""
    Bicubic upsampling between the centres of pixels.

    x (N, C, H, W); y (N, C, scale H, scale W).
    {ABOUT_SCALE}
    {ABOUT_CUBIC}
    Source: {KEYS};
    torch.nn.functional.interpolate, mode bicubic, without aligned corners.
    """,
)


def linear(positions: Sequence[Idx], corner: Sequence[Idx]) -> Expr:
    """Return what lies between the centres around a position, weighted linearly along every axis."""
    places = [from_centre(at) for at in positions]
    value = Padded(x, mode="replicate")[
        (n, c, *(before + far for (before, _), far in zip(places, corner, strict=True)))
    ]
    for (_, behind), far in zip(places, corner, strict=True):
        value *= share(far, behind)
    return Sum(value, *corner)


upsample_linear1d = Layer(
    "upsample_linear1d",
    inputs=[x[N, C, L]],
    equations=[Eq(y[n, c, l], linear((l,), (a,)))],
    attributes={scale: 2},
    typical={N: 16, C: 64, L: 1024, scale: 2},
    doc=f"""
    Linear upsampling of sequences between the centres of their elements.

    x (N, C, L); y (N, C, scale L). {ABOUT_SCALE}
    Source: torch.nn.functional.interpolate, mode linear, without aligned corners.
    """,
)

upsample_trilinear3d = Layer(
    "upsample_trilinear3d",
    inputs=[x[N, C, D, H, W]],
    equations=[Eq(y[n, c, h, i, j], linear((h, i, j), (e, a, d)))],
    attributes={scale: 2},
    typical={N: 2, C: 8, D: 8, H: 16, W: 16, scale: 2},
    doc=f"""
    Trilinear upsampling of volumes between the centres of their elements.

    x (N, C, D, H, W); y (N, C, scale D, scale H, scale W).
    {ABOUT_SCALE}
    Source: torch.nn.functional.interpolate, mode trilinear, without aligned corners.
    """,
)
