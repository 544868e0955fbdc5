"""Layers of images whose channels are the last axis, declared as any user would: batch, row, column, channel."""

from functools import cache

from sympy import Eq, Idx, IndexedBase, Sum, floor, sqrt, symbols

from symgrad import Layer, Padded, ReduceMax

N, H, W, C, K, R, S = symbols("N H W C K R S", integer=True, positive=True)
stride, padding = symbols("stride padding", integer=True, nonnegative=True)
epsilon = symbols("epsilon", positive=True)
x, w, b, y, gamma, beta, mean, variance = map(IndexedBase, ["x", "w", "b", "y", "gamma", "beta", "mean", "variance"])
n, c, k, u, v = Idx("n", N), Idx("c", C), Idx("k", K), Idx("u", R), Idx("v", S)
i = Idx("i", floor((H + 2 * padding - R) / stride) + 1)
j = Idx("j", floor((W + 2 * padding - S) / stride) + 1)


@cache
def conv2d() -> Layer:
    """Convolution."""
    window = Padded(x)[n, stride * i + u - padding, stride * j + v - padding, c]
    return Layer(
        "conv2d_last",
        inputs=[x[N, H, W, C], w[R, S, C, K], b[K]],
        equations=[Eq(y[n, i, j, k], Sum(window * w[u, v, c, k], u, v, c) + b[k])],
        attributes={stride: 1, padding: 0},
        typical={N: 16, H: 32, W: 32, C: 64, K: 64, R: 3, S: 3},
    )


@cache
def depthwise_conv2d() -> Layer:
    """Convolution of every channel with a kernel of its own."""
    window = Padded(x)[n, stride * i + u - padding, stride * j + v - padding, c]
    return Layer(
        "depthwise_conv2d_last",
        inputs=[x[N, H, W, C], w[R, S, C], b[C]],
        equations=[Eq(y[n, i, j, c], Sum(window * w[u, v, c], u, v) + b[c])],
        attributes={stride: 1, padding: 0},
        typical={N: 16, H: 32, W: 32, C: 64, R: 3, S: 3},
    )


def _pooling(name: str, reduced) -> Layer:
    """Windows of K by K; ``reduced`` takes what a window reads, and the indices inside it."""
    down, across = Idx("i", floor((H - K) / stride) + 1), Idx("j", floor((W - K) / stride) + 1)
    p, q = Idx("p", K), Idx("q", K)
    return Layer(
        name,
        inputs=[x[N, H, W, C]],
        equations=[Eq(y[n, down, across, c], reduced(x[n, stride * down + p, stride * across + q, c], p, q))],
        attributes={K: 2, stride: 2},
        typical={N: 16, H: 64, W: 64, C: 64},
    )


@cache
def max_pool2d() -> Layer:
    """The largest of every window."""
    return _pooling("max_pool2d_last", ReduceMax)


@cache
def average_pool2d() -> Layer:
    """The mean of every window."""
    return _pooling("average_pool2d_last", lambda read, p, q: Sum(read, p, q) / K**2)


@cache
def batch_norm2d() -> Layer:
    """Standardise every channel over the batch, then scale and shift it."""
    h, g = Idx("h", H), Idx("g", W)
    count = N * H * W
    return Layer(
        "batch_norm2d_last",
        inputs=[x[N, H, W, C], gamma[C], beta[C]],
        equations=[
            Eq(mean[c], Sum(x[n, h, g, c], n, h, g) / count),
            Eq(variance[c], Sum((x[n, h, g, c] - mean[c]) ** 2, n, h, g) / count),
            Eq(y[n, h, g, c], (x[n, h, g, c] - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c]),
        ],
        attributes={epsilon: 1e-5},
        typical={N: 16, H: 64, W: 64, C: 64},
    )
