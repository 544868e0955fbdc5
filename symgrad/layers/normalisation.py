"""Normalisation: batch (training, evaluation, running statistics) and layer.

The plain names take a batch of features (N, C), those that end in 2d a batch of images (N, C, H, W).
"""

from sympy import Equality, Idx, Sum, sqrt, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import C, H, M, N, W, c, m, n, tensors, x, y

i, j = Idx("i", H), Idx("j", W)
epsilon, momentum = symbols("epsilon momentum", real=True, nonnegative=True)
gamma, beta, mean, variance = tensors("gamma beta mean variance")
running_mean, running_variance, new_mean, new_variance = tensors("running_mean running_variance new_mean new_variance")

FEATURES, IMAGES = (n, c), (n, c, i, j)
EXTENTS = {FEATURES: (N, C), IMAGES: (N, C, H, W)}
SHARED = {FEATURES: (n,), IMAGES: (n, i, j)}  # the indices that one mean is taken over
COUNT = {FEATURES: N, IMAGES: N * H * W}
TYPICAL = {FEATURES: {N: 256, C: 1024}, IMAGES: {N: 16, C: 64, H: 32, W: 32}}


def statistics(axes: tuple[Idx, ...]) -> list[Equality]:
    """Return the equations of every channel's mean and variance; the divisor of both is the count of values."""
    return [
        Eq(mean[c], Sum(x[axes], *SHARED[axes]) / COUNT[axes]),
        Eq(variance[c], Sum((x[axes] - mean[c]) ** 2, *SHARED[axes]) / COUNT[axes]),
    ]


def normalised(axes: tuple[Idx, ...]) -> Equality:
    """Return the equation that shifts and scales every channel to mean beta and deviation gamma."""
    return Eq(y[axes], gamma[c] * (x[axes] - mean[c]) / sqrt(variance[c] + epsilon) + beta[c])


def batch_norm_train(name: str, axes: tuple[Idx, ...]) -> Layer:
    """Declare batch normalisation by the batch's own statistics."""
    return Layer(
        name,
        inputs=[x[EXTENTS[axes]], gamma[C], beta[C]],
        equations=[*statistics(axes), normalised(axes)],
        attributes={epsilon: 1e-5},
        typical=TYPICAL[axes],
        doc=f"""
    Batch normalisation in training: every channel by its mean and variance over the batch.

    x {EXTENTS[axes]}, gamma (C,) scales, beta (C,) shifts; y as x. The gradient goes through mean and variance.
    epsilon: added to the variance.
    Source: Ioffe and Szegedy, Batch normalization, algorithm 1.
    """,
    )


def batch_norm_evaluate(name: str, axes: tuple[Idx, ...]) -> Layer:
    """Declare batch normalisation by given statistics."""
    return Layer(
        name,
        inputs=[x[EXTENTS[axes]], gamma[C], beta[C], mean[C], variance[C]],
        equations=[normalised(axes)],
        attributes={epsilon: 1e-5},
        constants=[mean, variance],
        typical=TYPICAL[axes],
        doc=f"""
    Batch normalisation in evaluation: every channel by a mean and variance that training left behind.

    x {EXTENTS[axes]}, gamma (C,) scales, beta (C,) shifts, mean (C,), variance (C,); y as x.
    mean and variance are data and get no gradient. epsilon: added to the variance.
    Source: Ioffe and Szegedy, Batch normalization, algorithm 2, step 11.
    """,
    )


def running_statistics_step(name: str, axes: tuple[Idx, ...]) -> Layer:
    """Declare one step of the moving averages that evaluation uses."""
    return Layer(
        name,
        inputs=[x[EXTENTS[axes]], running_mean[C], running_variance[C]],
        equations=[
            *statistics(axes),
            Eq(new_mean[c], (1 - momentum) * running_mean[c] + momentum * mean[c]),
            Eq(
                new_variance[c],
                (1 - momentum) * running_variance[c] + momentum * variance[c] * COUNT[axes] / (COUNT[axes] - 1),
            ),
        ],
        attributes={momentum: 0.1},
        constants=[x, running_mean, running_variance],
        outputs=[new_mean, new_variance],
        typical=TYPICAL[axes],
        doc=f"""
    One step of the running mean and variance that batch normalisation uses in evaluation.

    x {EXTENTS[axes]}, running_mean (C,), running_variance (C,); new_mean (C,), new_variance (C,), each a number for
    every channel. No gradients.
    momentum: weight of the new batch. The variance of the batch is the unbiased one: it divides by one less than
    the count of values, which has to be at least 2.
    Source: Ioffe and Szegedy, Batch normalization, algorithm 2, step 10, by moving averages (section 3.1).
    """,
    )


batch_norm = batch_norm_train("batch_norm", FEATURES)
batch_norm2d = batch_norm_train("batch_norm2d", IMAGES)
batch_norm_eval = batch_norm_evaluate("batch_norm_eval", FEATURES)
batch_norm2d_eval = batch_norm_evaluate("batch_norm2d_eval", IMAGES)
batch_norm_running_step = running_statistics_step("batch_norm_running_step", FEATURES)
batch_norm2d_running_step = running_statistics_step("batch_norm2d_running_step", IMAGES)

layer_norm = Layer(
    "layer_norm",
    inputs=[x[N, M], gamma[M], beta[M]],
    equations=[
        Eq(mean[n], Sum(x[n, m], m) / M),
        Eq(variance[n], Sum((x[n, m] - mean[n]) ** 2, m) / M),
        Eq(y[n, m], gamma[m] * (x[n, m] - mean[n]) / sqrt(variance[n] + epsilon) + beta[m]),
    ],
    attributes={epsilon: 1e-5},
    typical={N: 4096, M: 768},
    doc="""
    Layer normalisation: every sample by the mean and variance of its own features.

    x (N, M), gamma (M,) scales, beta (M,) shifts; y (N, M). epsilon: added to the variance.
    Source: Ba, Kiros and Hinton, Layer normalization, section 3.
    """,
)
