"""The workloads as a user of automatic differentiation writes them; ``xp`` is a NumPy that is traced."""

from collections.abc import Callable, Mapping
from typing import Any

Function = Callable[..., Any]


def formulas(xp: Any, erf: Function) -> Mapping[str, Function]:
    """Layers by name, in the functions of ``xp``."""

    def dense(x, w, b):
        return x @ w.T + b

    def batch_norm2d(x, gamma, beta):
        mean = x.mean(axis=(0, 2, 3), keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
        return (x - mean) / xp.sqrt(variance + 1e-5) * gamma[:, None, None] + beta[:, None, None]

    def layer_norm(x, gamma, beta):
        mean = x.mean(axis=1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=1, keepdims=True)
        return (x - mean) / xp.sqrt(variance + 1e-5) * gamma + beta

    def rms_norm(x, gamma):
        return x / xp.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * gamma

    def softmax_cross_entropy(logits, labels):
        shifted = logits - xp.max(logits, axis=1, keepdims=True)
        chosen = shifted[xp.arange(len(labels)), labels]
        return xp.mean(xp.log(xp.exp(shifted).sum(axis=1)) - chosen)

    def relu(x):
        return xp.maximum(x, 0)

    def silu(x):
        return x / (1 + xp.exp(-x))

    def gelu(x):
        return 0.5 * x * (1 + erf(x * 0.5**0.5))

    def gelu_tanh(x):
        return 0.5 * x * (1 + xp.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))

    def causal_attention(q, k, v):
        steps = q.shape[1]
        hidden = xp.triu(xp.ones((steps, steps), bool), 1)
        scores = xp.where(hidden, -1e30, q @ xp.swapaxes(k, 1, 2) / q.shape[2] ** 0.5)
        weights = xp.exp(scores - xp.max(scores, axis=2, keepdims=True))
        return weights / weights.sum(axis=2, keepdims=True) @ v

    def embedding(table, ids):
        return table[ids]

    def lstm(x, h0, c0, w, r, b):
        units = h0.shape[1]
        gates = xp.swapaxes(x, 0, 1) @ w.reshape(4 * units, -1).T + b.reshape(-1)
        recurrent, h, cell, states = r.reshape(4 * units, -1).T, h0, c0, []
        for inner in gates:
            h, cell = lstm_step(inner, recurrent, h, cell)
            states.append(h)
        return xp.stack(states, axis=1)

    def lstm_step(inner, recurrent, h, cell):
        units = h.shape[1]
        z = inner + h @ recurrent
        sigmoid = 1 / (1 + xp.exp(-z))
        cell = sigmoid[:, units : 2 * units] * cell + sigmoid[:, :units] * xp.tanh(z[:, 2 * units : 3 * units])
        return sigmoid[:, 3 * units :] * xp.tanh(cell), cell

    def mlp(x, w, b, w_2, b_2, labels):
        return softmax_cross_entropy(dense(relu(dense(x, w, b)), w_2, b_2), labels)

    return {f.__name__: f for f in (
        dense, batch_norm2d, layer_norm, rms_norm, softmax_cross_entropy, relu, silu, gelu, gelu_tanh,
        causal_attention, embedding, lstm, lstm_step, mlp,
    )}  # fmt: skip
