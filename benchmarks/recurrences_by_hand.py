"""Forward and backward of recurrences as a careful person writes them in NumPy, one step of the loop at a time.

Every function takes the layer's arrays, then the cotangents, and returns the outputs and the gradients by name.
"""

import numpy as np


def sigmoid(x):
    """Logistic function without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def rnn(x, h0, w, r, b, g):
    N, T, C = x.shape
    M = len(b)
    states = np.empty((T + 1, N, M), x.dtype)
    states[0] = h0
    inner = (x.reshape(N * T, C) @ w.T + b).reshape(N, T, M)
    for t in range(T):
        states[t + 1] = np.tanh(inner[:, t] + states[t] @ r.T)
    grad_inner = np.empty((T, N, M), x.dtype)
    carried = np.zeros((N, M), x.dtype)
    slopes = 1 - states[1:] ** 2
    for t in reversed(range(T)):
        grad_inner[t] = (g[:, t] + carried) * slopes[t]
        carried = grad_inner[t] @ r
    rows = grad_inner.reshape(T * N, M)
    inputs = x.transpose(1, 0, 2).reshape(T * N, C)
    grads = {
        "x": (rows @ w).reshape(T, N, C).transpose(1, 0, 2),
        "h0": carried,
        "w": rows.T @ inputs,
        "r": rows.T @ states[:-1].reshape(T * N, M),
        "b": rows.sum(axis=0),
    }
    return (states[1:].transpose(1, 0, 2),), grads


def lstm(x, h0, c0, w, r, b, g_h, g_c):
    N, T, C = x.shape
    M = b.shape[1]
    states, cells = np.empty((2, T + 1, N, M), x.dtype)
    states[0], cells[0] = h0, c0
    gates = (x.transpose(1, 0, 2).reshape(T * N, C) @ w.reshape(4 * M, C).T + b.reshape(-1)).reshape(T, N, 4, M)
    weights = r.reshape(4 * M, M)
    shown = np.empty((T, N, M), x.dtype)
    for t in range(T):
        z = gates[t]
        z += (states[t] @ weights.T).reshape(N, 4, M)
        z[:, 2] = np.tanh(z[:, 2])
        for k in (0, 1, 3):
            z[:, k] = sigmoid(z[:, k])
        cells[t + 1] = z[:, 1] * cells[t] + z[:, 0] * z[:, 2]
        shown[t] = np.tanh(cells[t + 1])
        states[t + 1] = z[:, 3] * shown[t]
    slopes = gates * (1 - gates)
    slopes[:, :, 2] = 1 - gates[:, :, 2] ** 2
    slopes_shown = gates[:, :, 3] * (1 - shown**2)
    grad_z = np.empty((T, N, 4, M), x.dtype)
    grad_h, grad_c = np.zeros((2, N, M), x.dtype)
    for t in reversed(range(T)):
        grad_h = grad_h + g_h[:, t]
        grad_c = grad_c + g_c[:, t] + grad_h * slopes_shown[t]
        z = grad_z[t]
        z[:, 0] = grad_c * gates[t, :, 2]
        z[:, 1] = grad_c * cells[t]
        z[:, 2] = grad_c * gates[t, :, 0]
        z[:, 3] = grad_h * shown[t]
        z *= slopes[t]
        grad_c = grad_c * gates[t, :, 1]
        grad_h = z.reshape(N, 4 * M) @ weights
    rows = grad_z.reshape(T * N, 4 * M)
    grads = {
        "x": (rows @ w.reshape(4 * M, C)).reshape(T, N, C).transpose(1, 0, 2),
        "h0": grad_h,
        "c0": grad_c,
        "w": (rows.T @ x.transpose(1, 0, 2).reshape(T * N, C)).reshape(w.shape),
        "r": (rows.T @ states[:-1].reshape(T * N, M)).reshape(r.shape),
        "b": rows.sum(axis=0).reshape(b.shape),
    }
    return (states[1:].transpose(1, 0, 2), cells[1:].transpose(1, 0, 2)), grads


def gru(x, h0, w, r, b, s, g):
    N, T, C = x.shape
    M = b.shape[1]
    states = np.empty((T + 1, N, M), x.dtype)
    states[0] = h0
    inputs = x.transpose(1, 0, 2).reshape(T * N, C)
    gates = (inputs @ w.reshape(3 * M, C).T + b.reshape(-1)).reshape(T, N, 3, M)
    weights = r.reshape(3 * M, M)
    inner = np.empty((T, N, M), x.dtype)
    for t in range(T):
        z = gates[t]
        through = (states[t] @ weights.T).reshape(N, 3, M) + s
        z[:, :2] = sigmoid(z[:, :2] + through[:, :2])
        inner[t] = through[:, 2]
        z[:, 2] = np.tanh(z[:, 2] + z[:, 0] * inner[t])
        states[t + 1] = z[:, 2] + z[:, 1] * (states[t] - z[:, 2])
    reset, update, new = gates[:, :, 0], gates[:, :, 1], gates[:, :, 2]
    slope_update = (states[:-1] - new) * update * (1 - update)
    slope_new = (1 - update) * (1 - new**2)
    slope_reset = inner * reset * (1 - reset)
    grad_through = np.empty((T, N, 3, M), x.dtype)
    grad_new = np.empty((T, N, M), x.dtype)
    carried = np.zeros((N, M), x.dtype)
    for t in reversed(range(T)):
        grad = carried + g[:, t]
        z = grad_through[t]
        grad_new[t] = grad * slope_new[t]
        z[:, 0] = grad_new[t] * slope_reset[t]
        z[:, 1] = grad * slope_update[t]
        z[:, 2] = grad_new[t] * reset[t]
        carried = grad * update[t] + z.reshape(N, 3 * M) @ weights
    rows = grad_through.reshape(T * N, 3 * M)
    grads = {"h0": carried, "r": (rows.T @ states[:-1].reshape(T * N, M)).reshape(r.shape)}
    grads["s"] = rows.sum(axis=0).reshape(s.shape)
    grad_through[:, :, 2] = grad_new
    grads["x"] = (rows @ w.reshape(3 * M, C)).reshape(T, N, C).transpose(1, 0, 2)
    grads["w"] = (rows.T @ inputs).reshape(w.shape)
    grads["b"] = rows.sum(axis=0).reshape(b.shape)
    return (states[1:].transpose(1, 0, 2),), grads


def exponential_moving_average(x, g, weight=0.9):
    y = (1 - weight) * x
    y[:, 0] = x[:, 0]
    grad = g.copy()
    for t in range(1, x.shape[1]):
        y[:, t] += weight * y[:, t - 1]
    for t in reversed(range(x.shape[1] - 1)):
        grad[:, t] += weight * grad[:, t + 1]
    grad[:, 1:] *= 1 - weight
    return (y,), {"x": grad}


def linear_recurrence(x, decay, h0, g):
    T = x.shape[1]
    states = np.concatenate([h0[:, None], x], axis=1)
    for t in range(T):
        states[:, t + 1] += decay[:, t] * states[:, t]
    grad = g.copy()
    for t in reversed(range(T - 1)):
        grad[:, t] += decay[:, t + 1] * grad[:, t + 1]
    return (states[:, 1:],), {"x": grad, "decay": grad * states[:, :-1], "h0": grad[:, 0] * decay[:, 0]}


def state_space_scan(x, step, A, B, U, gain, g):
    N, T, C = x.shape
    decay = np.exp(step[..., None] * A)
    states = np.empty((N, T, C, A.shape[1]), x.dtype)
    np.multiply((step * x)[..., None], B[:, :, None], out=states)
    for t in range(1, T):
        states[:, t] += decay[:, t] * states[:, t - 1]
    y = (states @ U[..., None])[..., 0] + gain * x
    grad = g[..., None] * U[:, :, None]
    for t in reversed(range(T - 1)):
        grad[:, t] += decay[:, t + 1] * grad[:, t + 1]
    along = (grad @ B[..., None])[..., 0]
    turned = decay[:, 1:]
    turned *= grad[:, 1:]
    turned *= states[:, :-1]
    grad_step = along * x
    grad_step[:, 1:] += np.einsum("ntck,ck->ntc", turned, A)
    grads = {
        "x": along * step + gain * g,
        "step": grad_step,
        "A": np.einsum("ntck,ntc->ck", turned, step[:, 1:]),
        "B": ((step * x)[:, :, None] @ grad)[:, :, 0],
        "U": (g[:, :, None] @ states)[:, :, 0],
        "gain": np.einsum("ntc,ntc->c", g, x),
    }
    return (y,), grads


def log_sum_exp(x, axis):
    """Logarithm of a sum of exponentials, and the softmax of what was summed."""
    largest = x.max(axis=axis, keepdims=True)
    shares = np.exp(x - largest)
    total = shares.sum(axis=axis, keepdims=True)
    shares /= total
    return (np.log(total) + largest).squeeze(axis), shares


def crf_log_partition(score, transition, g):
    """The candidates of a step are formed again on the way back, so that their exponentials need not be kept."""
    T = score.shape[1]
    path = np.empty_like(score)
    path[:, 0] = score[:, 0]
    for t in range(1, T):
        candidates = path[:, t - 1, :, None] + transition
        largest = candidates.max(axis=1)
        candidates -= largest[:, None]
        np.exp(candidates, out=candidates)
        path[:, t] = score[:, t] + np.log(candidates.sum(axis=1)) + largest
    total, last = log_sum_exp(path[:, -1], 1)
    grad = np.empty_like(score)
    grad_transition = np.zeros_like(transition)
    grad[:, -1] = g[:, None] * last
    for t in reversed(range(1, T)):
        shares = path[:, t - 1, :, None] + transition
        shares -= (path[:, t] - score[:, t])[:, None]
        np.exp(shares, out=shares)
        shares *= grad[:, t, None]
        grad[:, t - 1] = shares.sum(axis=2)
        grad_transition += shares.sum(axis=0)
    return (total,), {"score": grad, "transition": grad_transition}


def best_path(e, w, g):
    B, T, D = e.shape
    path = e[:, 0]
    winners = np.empty((T, B, D), np.intp)
    turned = np.ascontiguousarray(w.T)
    for t in range(1, T):
        candidates = path[:, None] + turned
        winners[t] = candidates.argmax(axis=2)
        path = e[:, t] + np.take_along_axis(candidates, winners[t][:, :, None], axis=2)[:, :, 0]
    best = path.argmax(axis=1)
    rows = np.arange(B)
    grad_e = np.zeros_like(e)
    grad_w = np.zeros(D * D, e.dtype)
    states = best
    for t in reversed(range(T)):
        grad_e[rows, t, states] = g
        if t:
            before = winners[t, rows, states]
            grad_w += np.bincount(before * D + states, g, D * D)
            states = before
    return (path[rows, best],), {"e": grad_e, "w": grad_w.reshape(D, D).astype(e.dtype)}


def alignments_with_skips(e, skip, g):
    B, T, S = e.shape
    low = -50
    path = np.full((T, B, S + 2), low, e.dtype)
    path[0, :, 2:] = e[:, 0]
    path[0, :, 4:] += low
    shares = np.empty((T, 3, B, S), e.dtype)
    for t in range(1, T):
        before, moves = path[t - 1], shares[t]
        moves[0], moves[1] = before[:, 2:], before[:, 1:-1]
        np.add(before[:, :-2], skip, out=moves[2])
        largest = moves.max(axis=0)
        moves -= largest
        np.exp(moves, out=moves)
        total = moves.sum(axis=0)
        moves /= total
        path[t, :, 2:] = e[:, t] + np.log(total) + largest
    grad = np.zeros((T, B, S + 2), e.dtype)
    grad[-1, :, -1] = g
    for t in reversed(range(1, T)):
        moves = shares[t] * grad[t, :, 2:]
        grad[t - 1, :, 2:] += moves[0]
        grad[t - 1, :, 1:-1] += moves[1]
        grad[t - 1, :, :-2] += moves[2]
    return (path[-1, :, -1],), {"e": grad[:, :, 2:].transpose(1, 0, 2)}


def soft_dtw(cost, g, gamma=1.0):
    """Along the anti-diagonals: row ``s`` of a skewed array holds the elements with ``p + q = s``."""
    N, P, Q = cost.shape
    flat = cost.reshape(N, P * Q)
    r = np.full((P + Q + 1, N, P + 1), np.inf, cost.dtype)
    r[0, :, 0] = 0
    shares = np.zeros((P + Q + 1, 3, N, P + 2), cost.dtype)
    for s in range(2, P + Q + 1):
        low, high = max(1, s - Q), min(P, s - 1)
        moves = np.stack([r[s - 2, :, low - 1 : high], r[s - 1, :, low - 1 : high], r[s - 1, :, low : high + 1]])
        moves /= -gamma
        largest = moves.max(axis=0)
        moves -= largest
        np.exp(moves, out=moves)
        total = moves.sum(axis=0)
        np.divide(moves, total, out=shares[s, :, :, low : high + 1])
        first = (low - 1) * Q + s - low - 1
        costs = flat[:, first : first + (high - low) * (Q - 1) + 1 : max(Q - 1, 1)]
        r[s, :, low : high + 1] = costs - gamma * (np.log(total) + largest)
    grad = np.zeros((P + Q + 3, N, P + 2), cost.dtype)
    grad[P + Q, :, P] = g
    grad_flat = np.empty_like(flat)
    for s in range(P + Q, 1, -1):
        low, high = max(1, s - Q), min(P, s - 1)
        here = grad[s, :, low : high + 1]
        moved = shares[s, :, :, low : high + 1] * here
        grad[s - 2, :, low - 1 : high] += moved[0]
        grad[s - 1, :, low - 1 : high] += moved[1]
        grad[s - 1, :, low : high + 1] += moved[2]
        first = (low - 1) * Q + s - low - 1
        grad_flat[:, first : first + (high - low) * (Q - 1) + 1 : max(Q - 1, 1)] = here
    return (r[P + Q, :, P].copy(),), {"cost": grad_flat.reshape(cost.shape)}


def running_log_sum_exp(x, g):
    y = x.copy()
    for t in range(1, x.shape[1]):
        y[:, t] = np.logaddexp(y[:, t - 1], x[:, t])
    own, kept = np.exp(x - y), np.exp(y[:, :-1] - y[:, 1:])
    grad = g.copy()
    for t in reversed(range(x.shape[1] - 1)):
        grad[:, t] += kept[:, t] * grad[:, t + 1]
    return (y,), {"x": grad * own}


def running_product(x, g):
    y = np.multiply.accumulate(x, axis=1)
    grad = g.copy()
    for t in reversed(range(x.shape[1] - 1)):
        grad[:, t] += x[:, t + 1] * grad[:, t + 1]
    grad[:, 1:] *= y[:, :-1]
    return (y,), {"x": grad}


def grid_of_states(x, w, u, g):
    """A recurrent network over a grid, along the anti-diagonals."""
    N, P, Q, M = x.shape
    states = np.zeros((N, P + 1, Q + 1, M), x.dtype)
    rows = np.arange(P)
    for s in range(P + Q - 1):
        p = rows[max(0, s - Q + 1) : s + 1]
        q = s - p
        states[:, p + 1, q + 1] = np.tanh(x[:, p, q] + states[:, p, q + 1] @ w.T + states[:, p + 1, q] @ u.T)
    grad = np.zeros((N, P + 1, Q + 1, M), x.dtype)
    grad[:, 1:, 1:] = g
    inner = 1 - states[:, 1:, 1:] ** 2
    for s in reversed(range(P + Q - 1)):
        p = rows[max(0, s - Q + 1) : s + 1]
        q = s - p
        here = inner[:, p, q] * grad[:, p + 1, q + 1]
        inner[:, p, q] = here
        grad[:, p, q + 1] += here @ w
        grad[:, p + 1, q] += here @ u
    flat = inner.reshape(-1, M)
    grads = {
        "x": inner,
        "w": flat.T @ states[:, :-1, 1:].reshape(-1, M),
        "u": flat.T @ states[:, 1:, :-1].reshape(-1, M),
    }
    return (states[:, 1:, 1:],), grads
