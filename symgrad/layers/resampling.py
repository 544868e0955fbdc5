"""Images at other resolutions and positions: upsampling, shuffling between channels and space, sampling at a grid."""

from sympy import Expr, Idx, Mod, Sum, symbols

from symgrad import Layer, Padded
from symgrad.layers.equation import Eq, floor
from symgrad.layers.symbols import C, H, N, W, c, n, tensors, x, y

P, Q, G = symbols("P Q G", integer=True, positive=True)
scale = symbols("scale", integer=True, positive=True)
grid, row, column, theta = tensors("grid row column theta")

TYPICAL = {N: 16, C: 64, H: 32, W: 32, scale: 2}
i, j = Idx("i", scale * H), Idx("j", scale * W)
a, d = Idx("a", 2), Idx("d", 2)

upsample_nearest2d = Layer(
    "upsample_nearest2d",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, i, j], x[n, c, floor(i / scale), floor(j / scale)])],
    attributes={scale: 2},
    typical=TYPICAL,
    doc="""
    Upsampling by repetition: every pixel becomes a block.

    x (N, C, H, W); y (N, C, scale H, scale W). scale: extent of the block.
    Source: Odena, Dumoulin and Olah, Deconvolution and checkerboard artifacts; torch.nn.Upsample, mode nearest.
    """,
)


def share(corner: Idx, fraction: Expr) -> Expr:
    """Return the weight of the corner 0 or 1 of a position that lies ``fraction`` behind corner 0."""
    return 1 - corner - fraction + 2 * corner * fraction


def from_centre(position: Idx) -> tuple[Expr, Expr]:
    """Return the pixel before ``position`` and the fraction behind it, pixels being squares of equal size."""
    twice = 2 * position + 1 - scale
    return floor(twice / (2 * scale)), Mod(twice, 2 * scale) / (2 * scale)


def from_corner(position: Idx, extent: Expr, new: Expr) -> tuple[Expr, Expr]:
    """Return the pixel before ``position`` and the fraction behind it, the first and last pixels staying put."""
    ahead = position * (extent - 1)
    return floor(ahead / (new - 1)), Mod(ahead, new - 1) / (new - 1)


def blended(down: tuple[Expr, Expr], across: tuple[Expr, Expr]) -> Expr:
    """Return the four pixels around a position, weighted."""
    read = Padded(x, mode="replicate")[n, c, down[0] + a, across[0] + d]
    return Sum(read * share(a, down[1]) * share(d, across[1]), a, d)


upsample_bilinear2d = Layer(
    "upsample_bilinear2d",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, i, j], blended(from_centre(i), from_centre(j)))],
    attributes={scale: 2},
    typical=TYPICAL,
    doc="""
    Bilinear upsampling between the centres of pixels.

    x (N, C, H, W); y (N, C, scale H, scale W). scale: how many times finer. Pixel i of y lies at
    (i + 1/2) / scale - 1/2 of x; beyond the outermost centres their values go on.
    Source: torch.nn.functional.interpolate, mode bilinear, without aligned corners.
    """,
)

p, q = Idx("i", P), Idx("j", Q)

resize_bilinear2d_corners = Layer(
    "resize_bilinear2d_corners",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, p, q], blended(from_corner(p, H, P), from_corner(q, W, Q)))],
    attributes={P: 16, Q: 16},
    requires=[P > 1, Q > 1],
    typical={N: 16, C: 64, H: 32, W: 32, P: 64, Q: 64},
    doc="""
    Bilinear resizing that keeps the corners: the outermost pixels of both images lie upon one another.

    x (N, C, H, W); y (N, C, P, Q). P, Q: extents of y, at least 2. Pixel i of y lies at i (H - 1) / (P - 1) of x.
    Source: torch.nn.functional.interpolate, mode bilinear, with aligned corners.
    """,
)

# ---- between channels and space

pixel_shuffle = Layer(
    "pixel_shuffle",
    inputs=[x[N, C * scale**2, H, W]],
    equations=[
        Eq(
            y[n, c, i, j],
            x[n, c * scale**2 + Mod(i, scale) * scale + Mod(j, scale), floor(i / scale), floor(j / scale)],
        )
    ],
    attributes={scale: 2},
    typical={N: 16, C: 16, H: 32, W: 32},
    doc="""
    Pixel shuffle: scale^2 channels become one, scale times finer along both axes.

    x (N, C scale^2, H, W); y (N, C, scale H, scale W). scale: how many times finer.
    Source: Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network, equation 4.
    """,
)

pixel_unshuffle = Layer(
    "pixel_unshuffle",
    inputs=[x[N, C, H * scale, W * scale]],
    equations=[
        Eq(
            y[n, Idx("k", C * scale**2), Idx("i", H), Idx("j", W)],
            x[
                n,
                floor(Idx("k", C * scale**2) / scale**2),
                scale * Idx("i", H) + floor(Mod(Idx("k", C * scale**2), scale**2) / scale),
                scale * Idx("j", W) + Mod(Idx("k", C * scale**2), scale),
            ],
        )
    ],
    attributes={scale: 2},
    typical={N: 16, C: 16, H: 32, W: 32},
    doc="""
    Pixel unshuffle: blocks of scale by scale pixels become channels.

    x (N, C, H scale, W scale); y (N, C scale^2, H, W). scale: extent of the block. Undoes `pixel_shuffle`.
    Source: torch.nn.functional.pixel_unshuffle.
    """,
)

channel_shuffle = Layer(
    "channel_shuffle",
    inputs=[x[N, G * C, H, W]],
    equations=[
        Eq(
            y[n, Idx("k", G * C), Idx("i", H), Idx("j", W)],
            x[n, Mod(Idx("k", G * C), G) * C + floor(Idx("k", G * C) / G), Idx("i", H), Idx("j", W)],
        )
    ],
    attributes={G: 2},
    typical={N: 16, C: 32, H: 32, W: 32},
    doc="""
    Channel shuffle: the channels of G groups, dealt out in turn.

    x (N, G C, H, W); y as x. G: how many groups.
    Source: Zhang, Zhou, Lin and Sun, ShuffleNet, section 3.1.
    """,
)

# ---- at positions that are data

p, q = Idx("i", P), Idx("j", Q)
SAMPLED = {N: 16, C: 16, H: 32, W: 32, P: 32, Q: 32}


def at_grid(mode: str) -> Expr:
    """Return the four pixels around the position of the grid, weighted, extended by ``mode``."""
    here = (row[n, p, q], column[n, p, q])
    read = Padded(x, mode=mode)[n, c, floor(here[0]) + a, floor(here[1]) + d]
    return Sum(read * share(a, here[0] - floor(here[0])) * share(d, here[1] - floor(here[1])), a, d)


POSITIONS = [
    Eq(column[n, p, q], ((grid[n, p, q, 0] + 1) * W - 1) / 2),
    Eq(row[n, p, q], ((grid[n, p, q, 1] + 1) * H - 1) / 2),
]
ABOUT_GRID = """Coordinate 0 of the grid runs across, 1 down, both from -1 to 1 between the outer edges of the image.
    x and the grid have a gradient; where a position lies on a pixel, it is that to the right and down."""

grid_sample2d = Layer(
    "grid_sample2d",
    inputs=[x[N, C, H, W], grid[N, P, Q, 2]],
    equations=[*POSITIONS, Eq(y[n, c, p, q], at_grid("constant"))],
    outputs=[y],
    typical=SAMPLED,
    doc=f"""
    Bilinear sampling of an image at the positions of a grid, with zeros around the image.

    x (N, C, H, W), grid (N, P, Q, 2); y (N, C, P, Q).
    {ABOUT_GRID}
    Source: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, Spatial transformer networks, equation 5.
    """,
)

grid_sample2d_border = Layer(
    "grid_sample2d_border",
    inputs=[x[N, C, H, W], grid[N, P, Q, 2]],
    equations=[*POSITIONS, Eq(y[n, c, p, q], at_grid("replicate"))],
    outputs=[y],
    typical=SAMPLED,
    doc=f"""
    Bilinear sampling of an image at the positions of a grid, its border going on around it.

    x (N, C, H, W), grid (N, P, Q, 2); y (N, C, P, Q).
    {ABOUT_GRID}
    Source: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, Spatial transformer networks, equation 5.
    """,
)

affine_grid2d = Layer(
    "affine_grid2d",
    inputs=[theta[N, 2, 3]],
    equations=[
        Eq(
            y[n, p, q, a],
            theta[n, a, 0] * ((2 * q + 1) / Q - 1) + theta[n, a, 1] * ((2 * p + 1) / P - 1) + theta[n, a, 2],
        )
    ],
    attributes={P: 16, Q: 16},
    typical={N: 16, P: 32, Q: 32},
    doc="""
    Grid of positions under an affine map, for `grid_sample2d`.

    theta (N, 2, 3) maps; y (N, P, Q, 2). P, Q: extents of the grid.
    Source: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, Spatial transformer networks, equation 1.
    """,
)
