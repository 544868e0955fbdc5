"""Convolution and pooling that read between the pixels: regions of interest, deformable convolution with masks."""

from sympy import Expr, Idx, Piecewise, Sum, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq, Max, Min, floor
from symgrad.layers.resampling import share
from symgrad.layers.sampling import blended, fraction, some
from symgrad.layers.symbols import C, H, K, N, R, S, W, b, c, dilation, k, n, padding, stride, tensors, u, v, w, x, y

P, Q, G = symbols("P Q G", integer=True, positive=True)
aligned = symbols("aligned", integer=True, nonnegative=True)
spatial_scale = symbols("spatial_scale", real=True, positive=True)
row, column, down, across, offset, mask, inner = tensors("row column down across offset mask inner")
boxes, image, top, left, tall, wide = tensors("boxes image top left tall wide")
a, d, p, q = Idx("a", 2), Idx("d", 2), Idx("i", P), Idx("j", Q)
box, f, g = Idx("k", K), Idx("u", G), Idx("v", G)


def begins(edge: int) -> Expr:
    """Return an edge of a box in pixels."""
    return boxes[box, edge] * spatial_scale - aligned / 2


def reaches(edge: int) -> Expr:
    """Return the extent of a box in pixels, at least 1 by the older convention."""
    extent = (boxes[box, edge + 2] - boxes[box, edge]) * spatial_scale
    return Piecewise((extent, aligned >= 1), (Max(extent, 1), True))


INSIDE = (down[box, p, f] >= -1) & (down[box, p, f] <= H) & (across[box, q, g] >= -1) & (across[box, q, g] <= W)
NEAR = (row[box, p, f], column[box, q, g])
READ = x[image[box], c, Min(floor(NEAR[0]) + a, H - 1), Min(floor(NEAR[1]) + d, W - 1)]

roi_align = Layer(
    "roi_align",
    inputs=[x[N, C, H, W], boxes[K, 4], image[K]],
    equations=[
        Eq(left[box], begins(0)),
        Eq(top[box], begins(1)),
        Eq(wide[box], reaches(0)),
        Eq(tall[box], reaches(1)),
        Eq(down[box, p, f], top[box] + tall[box] * (p + (f + 0.5) / G) / P),
        Eq(across[box, q, g], left[box] + wide[box] * (q + (g + 0.5) / G) / Q),
        Eq(row[box, p, f], Max(0, Min(down[box, p, f], H - 1))),
        Eq(column[box, q, g], Max(0, Min(across[box, q, g], W - 1))),
        Eq(
            y[box, c, p, q],
            Sum(
                Piecewise((READ * share(a, fraction(NEAR[0])) * share(d, fraction(NEAR[1])), INSIDE), (0, True)),
                *(f, g, a, d),
            )
            / G**2,
        ),
    ],
    outputs=[y],
    attributes={P: 7, Q: 7, G: 2, spatial_scale: 1.0, aligned: 0},
    requires=[aligned <= 1, *some(H, W)],
    typical={N: 2, C: 16, H: 32, W: 32, K: 32, P: 7, Q: 7, G: 2},
    doc="""
    Region of interest, aligned: cells of a box, each the average of samples between the pixels.

    x (N, C, H, W), boxes (K, 4) left, top, right and bottom edges, image (K,) which image each box lies in; y (K, C,
    P, Q). P, Q: cells down and across; G: samples down and across a cell; spatial_scale: pixels of x to one unit of the
    boxes; aligned: 1 if the edge of a pixel is half a pixel from its centre, 0 for the older convention, in which a
    box is at least one pixel wide. A sample more than one pixel outside the image is 0. Boxes have a gradient too.
    Source: He, Gkioxari, Dollar and Girshick, Mask R-CNN, section 3; torchvision.ops.roi_align.
    """,
)


def windows(extent: Expr, kernel: Expr) -> Expr:
    """Return how many windows fit along an axis."""
    return floor((extent + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1


s, t = Idx("i", windows(H, R)), Idx("j", windows(W, S))
PLACED = (row[n, u, v, s, t], column[n, u, v, s, t])

modulated_deformable_conv2d = Layer(
    "modulated_deformable_conv2d",
    inputs=[
        x[N, C, H, W],
        offset[N, R, S, 2, windows(H, R), windows(W, S)],
        mask[N, R, S, windows(H, R), windows(W, S)],
        w[K, C, R, S],
        b[K],
    ],
    equations=[
        Eq(row[n, u, v, s, t], stride * s + dilation * u - padding + offset[n, u, v, 0, s, t]),
        Eq(column[n, u, v, s, t], stride * t + dilation * v - padding + offset[n, u, v, 1, s, t]),
        Eq(inner[n, c, u, v, s, t], mask[n, u, v, s, t] * blended("constant", (n, c), PLACED, (a, d))),
        Eq(y[n, k, s, t], Sum(w[k, c, u, v] * inner[n, c, u, v, s, t], c, u, v) + b[k]),
    ],
    outputs=[y],
    attributes={stride: 1, padding: 0, dilation: 1},
    requires=some(H, W),
    typical={N: 4, C: 16, K: 16, H: 16, W: 16, R: 3, S: 3},
    doc="""
    Modulated deformable convolution: every read is moved by an offset and weighted by a mask.

    x (N, C, H, W), offset (N, R, S, 2, windows down, windows across), down and across, mask (N, R, S, windows down,
    windows across), w (K, C, R, S) kernels, b (K,) biases; y (N, K, windows down, windows across). Beyond the border
    are zeros. stride, padding, dilation as in a convolution.
    Source: Zhu, Hu, Lin and Dai, Deformable ConvNets v2, section 3.2, equation 1.
    """,
)
