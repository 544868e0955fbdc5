"""Forward and backward by hand of the unseen layers with a softmax in them; called as those of ``unseen_by_hand``."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def softmax(scores, axis=-1):
    """Softmax without overflow, in one new array."""
    weights = scores - scores.max(axis=axis, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=axis, keepdims=True)
    return weights


def softmax_pullback(weights, grad, axis=-1):
    """Gradient of the scores, written over ``grad``."""
    grad -= (grad * weights).sum(axis=axis, keepdims=True)
    grad *= weights
    return grad


def causal_attention(q, k, v, g):
    scale = q.dtype.type(1 / np.sqrt(q.shape[2]))
    scores = q @ k.transpose(0, 2, 1)
    scores *= scale
    scores[:, ~np.tri(q.shape[1], dtype=bool)] = -np.inf
    weights = softmax(scores)
    y = weights @ v
    grad_scores = softmax_pullback(weights, g @ v.transpose(0, 2, 1))
    grad_scores *= scale
    grad_v = weights.transpose(0, 2, 1) @ g
    return (y,), {"q": grad_scores @ k, "k": grad_scores.transpose(0, 2, 1) @ q, "v": grad_v}


causal_by_condition = causal_by_limits = causal_attention


def window_attention(q, k, v, g, radius):
    T, size = q.shape[1], 2 * radius + 1
    scale = q.dtype.type(1 / np.sqrt(q.shape[2]))
    border = ((0, 0), (radius, radius), (0, 0))
    keys, values = (sliding_window_view(np.pad(a, border), size, axis=1) for a in (k, v))
    scores = np.matmul(q[:, :, None], keys)[:, :, 0]
    scores *= scale
    near = np.arange(T)[:, None] + np.arange(-radius, radius + 1)
    scores[:, (near < 0) | (near >= T)] = -np.inf
    weights = softmax(scores)
    y = np.matmul(values, weights[..., None])[..., 0]
    grad_scores = softmax_pullback(weights, np.matmul(g[:, :, None], values)[:, :, 0])
    grad_scores *= scale
    grad_k, grad_v = (np.zeros((len(a), T + 2 * radius, a.shape[2]), a.dtype) for a in (k, v))
    for u in range(size):
        grad_k[:, u : u + T] += grad_scores[:, :, u, None] * q
        grad_v[:, u : u + T] += weights[:, :, u, None] * g
    inside = slice(radius, radius + T)
    grad_q = np.matmul(keys, grad_scores[..., None])[..., 0]
    return (y,), {"q": grad_q, "k": grad_k[:, inside], "v": grad_v[:, inside]}


def local_softmax_pooling(x, z, g, radius):
    T, size = x.shape[1], 2 * radius + 1
    border = ((0, 0), (radius, radius))
    logits = sliding_window_view(np.pad(x, border, constant_values=-np.inf), size, axis=1)
    values = sliding_window_view(np.pad(z, border), size, axis=1)
    weights = softmax(logits)
    y = np.einsum("biu,biu->bi", weights, values)
    grad_logits = (values - y[..., None]) * weights
    grad_x, grad_z = np.zeros((2, len(x), T + 2 * radius), x.dtype)
    for u in range(size):
        grad_x[:, u : u + T] += grad_logits[:, :, u] * g
        grad_z[:, u : u + T] += weights[:, :, u] * g
    return (y,), {"x": grad_x[:, radius : radius + T], "z": grad_z[:, radius : radius + T]}


def soft_window_maxima(x, beta, g, K):
    outputs = (x.shape[1] - K) // 2 + 1
    windows = sliding_window_view(x, K, axis=1)[:, ::2]
    shifted = windows * beta
    top = shifted.max(axis=-1)
    shifted -= top[..., None]
    np.exp(shifted, out=shifted)
    total = shifted.sum(axis=-1)
    y = (top + np.log(total)) / beta
    shifted /= total[..., None]
    grad_beta = np.einsum("bi,bi->", g, np.einsum("biu,biu->bi", shifted, windows) - y) / beta
    grad_x = np.zeros_like(x)
    for u in range(K):
        grad_x[:, u : u + 2 * outputs - 1 : 2] += shifted[:, :, u] * g
    return (y,), {"x": grad_x, "beta": grad_beta}


def contrastive_loss(q, k, heat, g):
    T = len(q)
    s = q @ k.T
    s /= heat
    diagonal = np.arange(T)
    top = s.max(axis=1)
    weights = np.exp(s - top[:, None])
    total = weights.sum(axis=1)
    loss = (np.log(total) + top - s[diagonal, diagonal]).mean()
    weights /= total[:, None]
    weights[diagonal, diagonal] -= 1
    weights *= g / T
    grad_heat = -np.einsum("ij,ij->", weights, s) / heat
    weights /= heat
    return (loss,), {"q": weights @ k, "k": weights.T @ q, "heat": grad_heat}


def one_hot_loss(x, labels, g):
    rows = np.arange(len(x))
    top = x.max(axis=1)
    weights = np.exp(x - top[:, None])
    total = weights.sum(axis=1)
    loss = (np.log(total) + top - x[rows, labels]).mean()
    weights /= total[:, None]
    weights[rows, labels] -= 1
    weights *= g / len(x)
    return (loss,), {"x": weights}


def spatial_softmax(x, g_row, g_col):
    N, H, W = x.shape
    a = softmax(x.reshape(N, -1)).reshape(x.shape)
    heights, widths = np.arange(H, dtype=x.dtype), np.arange(W, dtype=x.dtype)
    row, col = a.sum(axis=2) @ heights, a.sum(axis=1) @ widths
    grad_a = g_row[:, None, None] * heights[:, None] + g_col[:, None, None] * widths
    grad_a -= (g_row * row + g_col * col)[:, None, None]
    grad_a *= a
    return (row, col), {"x": grad_a}
