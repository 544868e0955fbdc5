"""Values chosen, marked, put in place: the largest, classes, triangles, blocks, updates by number."""

from sympy import Idx, KroneckerDelta, Mod, Piecewise, Sum, sqrt, symbols

from symgrad import ArgMax, Layer
from symgrad.layers.equation import Abs, Eq, Max, Min, floor
from symgrad.layers.symbols import C, H, K, M, N, W, c, k, m, n, tensors, x, y

R = symbols("R", integer=True, positive=True)
scale = symbols("scale", integer=True, positive=True)
diagonal = symbols("diagonal", integer=True)
off, on, reach, bias, low, high, epsilon = symbols("off on reach bias low high epsilon", real=True)
positions, update, mean, variance, deviation, count = tensors("positions update mean variance deviation count")
i, j, r = Idx("i", H), Idx("j", W), Idx("r", R)
o = Idx("k", M)
ROWS = {N: 4096, M: 1000}

hardmax = Layer(
    "hardmax",
    inputs=[x[N, M]],
    equations=[Eq(y[n, m], Piecewise((1, Eq(m, ArgMax(x[n, o], o))), (0, True)))],
    typical=ROWS,
    doc="""
    Hardmax: 1 at the first largest value of every row, 0 elsewhere.

    x (N, M); y as x. The gradient is 0.
    Source: the operator Hardmax of ONNX.
    """,
)

top_1 = Layer(
    "top_1",
    inputs=[x[N, M]],
    equations=[Eq(y[n], x[n, ArgMax(x[n, o], o)])],
    typical=ROWS,
    doc="""
    The first largest value of every row, read where it stands.

    x (N, M); y (N,). The gradient goes to that value alone.
    Source: torch.topk with k = 1.
    """,
)

one_hot = Layer(
    "one_hot",
    inputs=[positions[N]],
    equations=[Eq(y[n, r], Piecewise((on, Eq(positions[n], r)), (off, True)))],
    integers=[positions],
    attributes={R: 8, off: 0.0, on: 1.0},
    typical={N: 4096, R: 1000},
    doc="""
    One-hot code: a value at the place that a number names, another elsewhere.

    positions (N,) whole numbers; y (N, R). R: how many places; on, off: the two values. A number outside the places
    marks none.
    Source: torch.nn.functional.one_hot.
    """,
)

ABOUT_SCATTER = "x (N, M), positions (N, K) whole numbers from 0 to M - 1, update (N, K); y as x."

scatter_add = Layer(
    "scatter_add",
    inputs=[x[N, M], positions[N, K], update[N, K]],
    equations=[Eq(y[n, m], x[n, m] + Sum(update[n, k] * KroneckerDelta(positions[n, k], m), k))],
    integers=[positions],
    typical={**ROWS, K: 64},
    doc=f"""
    Updates added to the elements of every row that numbers name; repeated ones add up.

    {ABOUT_SCATTER}
    Source: torch.Tensor.scatter_add along the last axis.
    """,
)

scatter_along = Layer(
    "scatter_along",
    inputs=[x[N, M], positions[N, K], update[N, K]],
    equations=[
        Eq(count[n, m], Sum(KroneckerDelta(positions[n, k], m), k)),
        Eq(
            y[n, m],
            Piecewise((Sum(update[n, k] * KroneckerDelta(positions[n, k], m), k), count[n, m] > 0), (x[n, m], True)),
        ),
    ],
    integers=[positions],
    outputs=[y],
    typical={**ROWS, K: 64},
    doc=f"""
    Updates in place of the elements of every row that numbers name, each at most once.

    {ABOUT_SCATTER}
    Source: torch.Tensor.scatter along the last axis.
    """,
)

lower_triangle = Layer(
    "lower_triangle",
    inputs=[x[N, H, W]],
    equations=[Eq(y[n, i, j], Piecewise((x[n, i, j], j <= i + diagonal), (0, True)))],
    attributes={diagonal: 0},
    typical={N: 16, H: 256, W: 256},
    doc="""
    Lower triangle of matrices, zeros above it.

    x (N, H, W); y as x. diagonal: how far right of the main diagonal the last one kept is.
    Source: torch.tril.
    """,
)

upper_triangle = Layer(
    "upper_triangle",
    inputs=[x[N, H, W]],
    equations=[Eq(y[n, i, j], Piecewise((x[n, i, j], j >= i + diagonal), (0, True)))],
    attributes={diagonal: 0},
    typical={N: 16, H: 256, W: 256},
    doc="""
    Upper triangle of matrices, zeros below it.

    x (N, H, W); y as x. diagonal: how far right of the main diagonal the first one kept is.
    Source: torch.triu.
    """,
)

p, q = Idx("i", scale * H), Idx("j", scale * W)

depth_to_space = Layer(
    "depth_to_space",
    inputs=[x[N, scale**2 * C, H, W]],
    equations=[
        Eq(
            y[n, c, p, q],
            x[n, (Mod(p, scale) * scale + Mod(q, scale)) * C + c, floor(p / scale), floor(q / scale)],
        )
    ],
    attributes={scale: 2},
    typical={N: 16, C: 16, H: 32, W: 32},
    doc="""
    Depth to space: scale^2 runs of channels become blocks of scale by scale pixels.

    x (N, scale^2 C, H, W); y (N, C, scale H, scale W). scale: extent of a block. `pixel_shuffle` takes the channels of
    a block one behind the other instead.
    Source: the operator DepthToSpace of ONNX, mode DCR.
    """,
)

d = Idx("k", scale**2 * C)

space_to_depth = Layer(
    "space_to_depth",
    inputs=[x[N, C, scale * H, scale * W]],
    equations=[
        Eq(
            y[n, d, i, j],
            x[n, Mod(d, C), scale * i + floor(floor(d / C) / scale), scale * j + Mod(floor(d / C), scale)],
        )
    ],
    attributes={scale: 2},
    typical={N: 16, C: 16, H: 32, W: 32},
    doc="""
    Space to depth: blocks of scale by scale pixels become runs of channels. Undoes `depth_to_space`.

    x (N, C, scale H, scale W); y (N, scale^2 C, H, W). scale: extent of a block.
    Source: the operator SpaceToDepth of ONNX.
    """,
)

clip = Layer(
    "clip",
    inputs=[x[N, M]],
    equations=[Eq(y[n, m], Min(Max(x[n, m], low), high))],
    attributes={low: -1.0, high: 1.0},
    typical={N: 256, M: 1024},
    doc="""
    Values kept between two bounds; outside them, and on them, the slope is 0.

    x (N, M); y as x. low, high: the bounds.
    Source: the operator Clip of ONNX; torch.clamp.
    """,
)

shrink = Layer(
    "shrink",
    inputs=[x[N, M]],
    equations=[
        Eq(y[n, m], Piecewise((x[n, m] + bias, x[n, m] < -reach), (x[n, m] - bias, x[n, m] > reach), (0, True)))
    ],
    attributes={reach: 0.5, bias: 0.0},
    typical={N: 256, M: 1024},
    doc="""
    Shrinkage: 0 near 0, elsewhere nearer to 0 by a bias.

    x (N, M); y as x. reach: how far from 0 the output is 0; bias: what is taken off elsewhere.
    Source: the operator Shrink of ONNX.
    """,
)

mean_variance_norm2d = Layer(
    "mean_variance_norm2d",
    inputs=[x[N, C, H, W]],
    equations=[
        Eq(mean[c], Sum(x[n, c, i, j], n, i, j) / (N * H * W)),
        Eq(variance[c], Sum((x[n, c, i, j] - mean[c]) ** 2, n, i, j) / (N * H * W)),
        Eq(deviation[c], Piecewise((sqrt(variance[c]), variance[c] > 0), (0, True))),
        Eq(y[n, c, i, j], (x[n, c, i, j] - mean[c]) / (deviation[c] + epsilon)),
    ],
    outputs=[y],
    attributes={epsilon: 1e-9},
    typical={N: 16, C: 16, H: 32, W: 32},
    doc="""
    Mean-variance normalisation: every channel of a batch less its mean, over its deviation.

    x (N, C, H, W); y as x. epsilon: added to the deviation.
    Source: the operator MeanVarianceNormalization of ONNX.
    """,
)

l1_normalise = Layer(
    "l1_normalise",
    inputs=[x[N, M]],
    equations=[Eq(y[n, m], x[n, m] / Max(Sum(Abs(x[n, o]), o), epsilon))],
    attributes={epsilon: 1e-12},
    typical=ROWS,
    doc="""
    Rows divided by the sum of their absolute values.

    x (N, M); y as x. epsilon: the least divisor.
    Source: torch.nn.functional.normalize with p = 1.
    """,
)
