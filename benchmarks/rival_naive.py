"""The workloads in NumPy as one writes them first: textbook formulas, fancy indices, ``np.add.at``, ``np.where``.

Every function takes the layer's arrays, the cotangent and the attributes; it returns y and the gradients.
"""

from collections.abc import Callable, Mapping
from math import erf, pi, sqrt
from typing import Any

import numpy as np


def dense(x, w, b, g):
    return x @ w.T + b, g @ w, g.T @ x, g.sum(axis=0)


def places(height: int, width: int, r: int, s: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that every window reads: one column for each window, one row for each place in it."""
    tops = stride * np.arange((height - r) // stride + 1)
    lefts = stride * np.arange((width - s) // stride + 1)
    rows = np.repeat(np.arange(r), s)[:, None] + np.repeat(tops, len(lefts))
    columns = np.tile(np.arange(s), r)[:, None] + np.tile(lefts, len(tops))
    return rows, columns


def patches(x, r, s, stride, padding):
    """What every window reads (N, C, places, windows), where that is, and the padded shape."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = places(*padded.shape[2:], r, s, stride)
    return padded[:, :, rows, columns], (rows, columns), padded.shape


def windows(x, r, s, stride, padding):
    """How many windows fit, down and across."""
    return tuple((extent + 2 * padding - k) // stride + 1 for extent, k in zip(x.shape[2:], (r, s), strict=True))


def scattered(grad_patches, where, shape, padding):
    """Add what was read back to where it was read."""
    grad = np.zeros(shape, grad_patches.dtype)
    np.add.at(grad, (slice(None), slice(None), *where), grad_patches)
    return grad[:, :, padding : shape[2] - padding, padding : shape[3] - padding]


def conv2d(x, w, b, g, stride, padding):
    K, C, R, S = w.shape
    read, where, shape = patches(x, R, S, stride, padding)
    columns = read.reshape(len(x), C * R * S, -1)
    weights = w.reshape(K, -1)
    y = (weights @ columns + b[:, None]).reshape(len(x), K, *windows(x, R, S, stride, padding))
    grad = g.reshape(len(x), K, -1)
    grad_w = (grad @ columns.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    grad_columns = (weights.T @ grad).reshape(read.shape)
    return y, scattered(grad_columns, where, shape, padding), grad_w, g.sum(axis=(0, 2, 3))


def depthwise_conv2d(x, w, b, g, stride, padding):
    C, R, S = w.shape
    read, where, shape = patches(x, R, S, stride, padding)
    weights = w.reshape(C, R * S, 1)
    y = ((read * weights).sum(axis=2) + b[:, None]).reshape(len(x), C, *windows(x, R, S, stride, padding))
    grad = g.reshape(len(x), C, 1, -1)
    grad_w = (read * grad).sum(axis=(0, 3)).reshape(w.shape)
    return y, scattered(weights * grad, where, shape, padding), grad_w, g.sum(axis=(0, 2, 3))


def max_pool2d(x, g, K, stride):
    read, (rows, columns), shape = patches(x, K, K, stride, 0)
    first = read.argmax(axis=2)
    n, c, window = np.ix_(*map(np.arange, first.shape))
    y = read[n, c, first, window].reshape(*x.shape[:2], *windows(x, K, K, stride, 0))
    grad = np.zeros(shape, x.dtype)
    np.add.at(grad, (n, c, rows[first, window], columns[first, window]), g.reshape(first.shape))
    return y, grad


def average_pool2d(x, g, K, stride):
    read, where, shape = patches(x, K, K, stride, 0)
    y = read.mean(axis=2).reshape(*x.shape[:2], *windows(x, K, K, stride, 0))
    grad = np.broadcast_to(g.reshape(*x.shape[:2], 1, -1) / K**2, read.shape)
    return y, scattered(grad, where, shape, 0)


def standardised(x, gamma, beta, g, axes):
    """Batch and layer normalisation, by the formulas of the paper."""
    summed = tuple(k for k in range(x.ndim) if gamma.shape[k] == 1)
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    deviation = np.sqrt(variance + np.float32(1e-5))
    normal = (x - mean) / deviation
    y = normal * gamma + beta
    grad = g * gamma
    means = grad.mean(axis=axes, keepdims=True), (grad * normal).mean(axis=axes, keepdims=True)
    return y, (grad - means[0] - normal * means[1]) / deviation, (g * normal).sum(axis=summed), g.sum(axis=summed)


def batch_norm2d(x, gamma, beta, g):
    return standardised(x, gamma[None, :, None, None], beta[None, :, None, None], g, (0, 2, 3))


def layer_norm(x, gamma, beta, g):
    return standardised(x, gamma[None], beta[None], g, (1,))


def rms_norm(x, gamma, g):
    size = np.sqrt((x**2).mean(axis=1, keepdims=True) + np.float32(1e-6))
    normal, grad = x / size, g * gamma
    return (
        normal * gamma,
        (grad - normal * (grad * normal).mean(axis=1, keepdims=True)) / size,
        (g * normal).sum(axis=0),
    )


def softmax_cross_entropy(logits, labels, g):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(probabilities[rows, labels]).mean()
    grad = probabilities.copy()
    grad[rows, labels] -= 1
    return loss, g * grad / np.float32(len(labels))


def relu(x, g):
    return np.maximum(x, 0), np.where(x > 0, g, 0)


def silu(x, g):
    sigmoid = 1 / (1 + np.exp(-x))
    return x * sigmoid, g * (sigmoid + x * sigmoid * (1 - sigmoid))


def gelu(x, g):
    share = 0.5 * (1 + ERF(x * sqrt(0.5)).astype(x.dtype))
    return x * share, g * (share + x * np.exp(-0.5 * x**2) / sqrt(2 * pi))


def gelu_tanh(x, g):
    scale = sqrt(2 / pi)
    inner = np.tanh(scale * (x + 0.044715 * x**3))
    slope = 0.5 * (1 + inner) + 0.5 * x * (1 - inner**2) * scale * (1 + 3 * 0.044715 * x**2)
    return 0.5 * x * (1 + inner), g * slope


def causal_attention(q, k, v, g):
    steps, scale = q.shape[1], np.float32(1 / sqrt(q.shape[2]))
    scores = np.einsum("ntd,nsd->nts", q, k) * scale
    scores = np.where(np.tri(steps, dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights = powers / powers.sum(axis=2, keepdims=True)
    y = np.einsum("nts,nse->nte", weights, v)
    grad_v = np.einsum("nts,nte->nse", weights, g)
    grad = np.einsum("nte,nse->nts", g, v)
    grad = weights * (grad - (grad * weights).sum(axis=2, keepdims=True)) * scale
    return y, np.einsum("nts,nsd->ntd", grad, k), np.einsum("nts,ntd->nsd", grad, q), grad_v


def embedding(table, ids, g):
    grad = np.zeros_like(table)
    np.add.at(grad, ids, g)
    return table[ids], grad


def lstm(x, h0, c0, w, r, b, g):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    T = x.shape[1]
    M = h0.shape[1]
    w_all, r_all, b_all = w.reshape(4 * M, -1), r.reshape(4 * M, M), b.reshape(-1)
    h, cell, tape, states = h0, c0, [], []
    for t in range(T):
        z = x[:, t] @ w_all.T + h @ r_all.T + b_all
        i, f, o = (sigmoid(z[:, k * M : (k + 1) * M]) for k in (0, 1, 3))
        c = np.tanh(z[:, 2 * M : 3 * M])
        new = f * cell + i * c
        tape.append((h, cell, i, f, c, o, np.tanh(new)))
        h, cell = o * np.tanh(new), new
        states.append(h)
    grad_x, grad_w, grad_r, grad_b = np.zeros_like(x), np.zeros_like(w_all), np.zeros_like(r_all), np.zeros_like(b_all)
    grad_h, grad_c = np.zeros_like(h0), np.zeros_like(c0)
    for t in reversed(range(T)):
        h, cell, i, f, c, o, shown = tape[t]
        grad_h = grad_h + g[:, t]
        grad_c = grad_c + grad_h * o * (1 - shown**2)
        gates = (grad_c * c * i * (1 - i), grad_c * cell * f * (1 - f), grad_c * i * (1 - c**2))
        grad_z = np.concatenate([*gates, grad_h * shown * o * (1 - o)], axis=1)
        grad_x[:, t] = grad_z @ w_all
        grad_w += grad_z.T @ x[:, t]
        grad_r += grad_z.T @ h
        grad_b += grad_z.sum(axis=0)
        grad_h, grad_c = grad_z @ r_all, grad_c * f
    weights = grad_w.reshape(w.shape), grad_r.reshape(r.shape), grad_b.reshape(b.shape)
    return np.stack(states, axis=1), grad_x, grad_h, grad_c, *weights


def mlp(x, w, b, w_2, b_2, labels, g):
    inner = x @ w.T + b
    hidden = np.maximum(inner, 0)
    loss, grad = softmax_cross_entropy(hidden @ w_2.T + b_2, labels, g)
    grad_inner = np.where(inner > 0, grad @ w_2, 0)
    return (
        loss, grad_inner @ w, grad_inner.T @ x, grad_inner.sum(axis=0), grad.T @ hidden, grad.sum(axis=0)
    )  # fmt: skip


try:
    from scipy.special import erf as ERF
except ImportError:  # one number at a time
    ERF = np.vectorize(erf, otypes=[np.float64])
LAYERS: Mapping[str, Callable[..., tuple[Any, ...]]] = {f.__name__: f for f in (
    dense, conv2d, depthwise_conv2d, max_pool2d, average_pool2d, batch_norm2d, layer_norm, rms_norm,
    softmax_cross_entropy, relu, silu, gelu, gelu_tanh, causal_attention, embedding, lstm, mlp,
)}  # fmt: skip


def passes(
    kind: str, attributes: Mapping[str, Any], arrays: list[np.ndarray], cotangent: np.ndarray
) -> dict[str, Callable[[], list[Any]]]:
    """The pass by its name.

    Raises:
        NotImplementedError: nobody wrote it by hand.
    """
    if kind not in LAYERS:
        raise NotImplementedError("not written by hand")
    layer = LAYERS[kind]
    return {"naive": lambda: list(layer(*arrays, cotangent, **attributes))}
