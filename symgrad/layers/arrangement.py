"""Values rearranged: joined, split, turned, padded, unfolded into windows and folded back, accumulated."""

from sympy import Expr, Idx, KroneckerDelta, Mod, Piecewise, Product, Sum, Symbol, symbols

from symgrad import Layer, Padded
from symgrad.layers.equation import Eq, floor
from symgrad.layers.symbols import C, H, K, M, N, W, c, m, n, padding, stride, tensors, x, y

P, Q = symbols("P Q", integer=True, positive=True)
first_scale, second_scale = symbols("first_scale second_scale", real=True)
shift = Symbol("shift", integer=True, nonnegative=True)
first, second = tensors("first second")
i, j, q = Idx("i", H), Idx("j", W), Idx("q", P + Q)
IMAGES = {N: 16, C: 64, H: 32, W: 32}

concat = Layer(
    "concat",
    inputs=[first[N, P], second[N, Q]],
    equations=[Eq(y[n, q], Piecewise((first[n, q], q < P), (second[n, q - P], True)))],
    typical={N: 256, P: 512, Q: 512},
    doc="""
    Two arrays, one behind the other.

    first (N, P), second (N, Q); y (N, P + Q). Further axes: flatten those before into N, those behind into P and Q.
    Source: Intel DAAL, concat layer.
    """,
)

split = Layer(
    "split",
    inputs=[x[N, M]],
    equations=[
        Eq(first[n, Idx("i", P)], x[n, Idx("i", P)]),
        Eq(second[n, Idx("i", M - P)], x[n, P + Idx("i", M - P)]),
    ],
    outputs=[first, second],
    attributes={P: 1},
    requires=[P <= M],
    typical={N: 256, M: 1024, P: 512},
    doc="""
    One array in two parts.

    x (N, M); first (N, P), second (N, M - P). P: where the second part begins.
    Source: torch.split; Intel DAAL's split layer, whose gradients add up, is two uses of one value.
    """,
)

weighted_sum = Layer(
    "weighted_sum",
    inputs=[first[N, M], second[N, M]],
    equations=[Eq(y[n, m], first_scale * first[n, m] + second_scale * second[n, m])],
    attributes={first_scale: 1.0, second_scale: 1.0},
    typical={N: 256, M: 1024},
    doc="""
    Sum of two arrays with a coefficient each; at 1 and 1, a residual connection.

    first (N, M), second (N, M); y (N, M). first_scale, second_scale: the coefficients.
    Source: Intel DAAL, element-wise sum layer; He, Zhang, Ren and Sun, Deep residual learning, equation 1.
    """,
)

unflatten = Layer(
    "unflatten",
    inputs=[x[N, C * H * W]],
    equations=[Eq(y[n, c, i, j], x[n, (c * H + i) * W + j])],
    attributes={H: 1, W: 1},
    typical={N: 16, C: 64, H: 8, W: 8},
    doc="""
    Rows of features laid out as images; undoes `flatten`.

    x (N, C H W); y (N, C, H, W). H, W: extents of the images.
    Source: row-major order; Intel DAAL, reshape layer.
    """,
)

transpose = Layer(
    "transpose",
    inputs=[x[N, H, W]],
    equations=[Eq(y[n, j, i], x[n, i, j])],
    typical={N: 16, H: 256, W: 256},
    doc="""
    Matrices with rows and columns exchanged.

    x (N, H, W); y (N, W, H).
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 2.1.
    """,
)

channels_last = Layer(
    "channels_last",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, i, j, c], x[n, c, i, j])],
    typical=IMAGES,
    doc="""
    Images with their channels as the last axis.

    x (N, C, H, W); y (N, H, W, C).
    Source: numpy.transpose.
    """,
)

flip = Layer(
    "flip",
    inputs=[x[N, C, H, W]],
    equations=[Eq(y[n, c, i, j], x[n, c, i, W - 1 - j])],
    typical=IMAGES,
    doc="""
    Images mirrored left to right.

    x (N, C, H, W); y as x.
    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 4.1.
    """,
)

roll = Layer(
    "roll",
    inputs=[x[N, M]],
    equations=[Eq(y[n, m], x[n, Mod(m - shift, M)])],
    attributes={shift: 1},
    typical={N: 256, M: 1024},
    doc="""
    Rows moved along, what leaves at the end coming back at the beginning.

    x (N, M); y (N, M). shift: by how many positions.
    Source: numpy.roll.
    """,
)

# ---- borders

down, across = Idx("i", H + 2 * padding), Idx("j", W + 2 * padding)
TORCH = "torch.nn.functional.pad, mode"


def pad(name: str, mode: str, what: str, source: str) -> Layer:
    """Declare images with a border; ``mode`` is that of ``Padded``."""
    return Layer(
        name,
        inputs=[x[N, C, H, W]],
        equations=[Eq(y[n, c, down, across], Padded(x, mode=mode)[n, c, down - padding, across - padding])],
        attributes={padding: 1},
        typical=IMAGES,
        doc=f"""
    Images with a border: {what}.

    x (N, C, H, W); y (N, C, H + 2 padding, W + 2 padding). padding: width of the border.
    Source: {source}.
    """,
    )


pad_zero2d = pad("pad_zero2d", "constant", "zeros", f"{TORCH} constant")
pad_reflect2d = pad("pad_reflect2d", "reflect", "a mirror image, its axis not repeated", f"{TORCH} reflect")
pad_replicate2d = pad("pad_replicate2d", "replicate", "the outermost pixels, repeated", f"{TORCH} replicate")
pad_wrap2d = pad("pad_wrap2d", "wrap", "the image again, as on a torus", f"{TORCH} circular")

# ---- windows as columns, and back


def windows(extent: Expr) -> Expr:
    """Return how many windows fit along an axis."""
    return floor((extent + 2 * padding - K) / stride) + 1


patch = Idx("q", C * K**2)
place = Idx("l", windows(H) * windows(W))
patch_row, patch_column = floor(Mod(patch, K**2) / K), Mod(patch, K)
place_row, place_column = floor(place / windows(W)), Mod(place, windows(W))
OPTIONS = {K: 3, stride: 1, padding: 0}
ABOUT_WINDOWS = """K: extent of the windows; stride: step from one to the next; padding: zeros on either side. Row q
    of a column is channel floor(q / K^2), offset floor(q / K) mod K down and q mod K across.
    A window must fit."""

unfold2d = Layer(
    "unfold2d",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(
            y[n, patch, place],
            Padded(x)[
                n,
                floor(patch / K**2),
                stride * place_row + patch_row - padding,
                stride * place_column + patch_column - padding,
            ],
        )
    ],
    attributes=OPTIONS,
    requires=[H + 2 * padding >= K, W + 2 * padding >= K],
    typical=IMAGES,
    doc=f"""
    Windows of images as the columns of a matrix (im2col), so that a convolution is one product.

    x (N, C, H, W); y (N, C K^2, windows), the windows row by row.
    {ABOUT_WINDOWS}
    Source: cs231n, convolutional networks, implementation as matrix multiplication.
    """,
)

r, s, u, v = Idx("r", windows(H)), Idx("s", windows(W)), Idx("u", K), Idx("v", K)

fold2d = Layer(
    "fold2d",
    inputs=[x[N, C * K**2, windows(H) * windows(W)]],
    equations=[
        Eq(
            y[n, c, i, j],
            Sum(
                x[n, (c * K + u) * K + v, r * windows(W) + s]
                * KroneckerDelta(stride * r + u - padding, i)
                * KroneckerDelta(stride * s + v - padding, j),
                r,
                s,
                u,
                v,
            ),
        )
    ],
    attributes={H: 4, W: 4, **OPTIONS},
    requires=[H + 2 * padding >= K, W + 2 * padding >= K],
    typical=IMAGES,
    doc=f"""
    Columns of a matrix added up as windows of images (col2im): the transpose of `unfold2d`.

    x (N, C K^2, windows), the windows row by row; y (N, C, H, W). H, W: extents of the images.
    {ABOUT_WINDOWS}
    Source: torch.nn.functional.fold.
    """,
)

# ---- running totals

earlier = Symbol("j", integer=True)

cumulative_sum = Layer(
    "cumulative_sum",
    inputs=[x[N, M]],
    equations=[Eq(y[n, m], Sum(x[n, earlier], (earlier, 0, m)))],
    typical={N: 256, M: 1024},
    doc="""
    Sums of the first values of every row.

    x (N, M); y (N, M).
    Source: numpy.cumsum.
    """,
)

cumulative_product = Layer(
    "cumulative_product",
    inputs=[x[N, M]],
    equations=[Eq(y[n, m], Product(x[n, earlier], (earlier, 0, m)))],
    typical={N: 256, M: 32},
    doc="""
    Products of the first values of every row; right where some are 0.

    x (N, M); y (N, M).
    Source: numpy.cumprod.
    """,
)
