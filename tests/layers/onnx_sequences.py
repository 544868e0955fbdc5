"""Operators of ONNX that go along sequences: recurrences, attention, positions, said with layers of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .onnx_operators import Array, Settings, floats, only, operator, use

# ---- recurrences


def _directions(a: Settings, x: Array, run: Callable[[int, Array], tuple[Array, ...]]) -> tuple[Array, ...]:
    """The states of every direction, and the last of each kind."""
    x = x if a.get("layout") else x.swapaxes(0, 1)
    turns = {b"forward": [1], b"reverse": [-1], b"bidirectional": [1, -1]}[a.get("direction", b"forward")]
    found = [run(k, np.ascontiguousarray(x[:, ::turn])) for k, turn in enumerate(turns)]
    states = np.stack([part[0][:, ::turn] for part, turn in zip(found, turns, strict=True)], 2)
    last = [np.stack([part[kind][:, -1] for part in found], 1) for kind in range(len(found[0]))]
    if a.get("layout"):
        return (states, *last)
    return (states.transpose(1, 2, 0, 3), *(y.swapaxes(0, 1) for y in last))


def _biases(b: Array | None, gates: int, k: int, size: int, dtype: Any) -> Array:
    return np.zeros((2, gates, size), dtype) if b is None else b[k].reshape(2, gates, size)


def _whole(a: Settings, x: Array, lengths: Array | None) -> None:
    """Only sequences that run to the end, as the layers take them."""
    steps = x.shape[1 if a.get("layout") else 0]
    only(lengths is None or bool((lengths == steps).all()), "sequences of different lengths")


def _start(given: Array | None, k: int, a: Settings, x: Array) -> Array:
    """The state before the first step of a direction."""
    if given is None:
        return np.zeros((len(x), a["hidden_size"]), x.dtype)
    return np.ascontiguousarray(given[:, k] if a.get("layout") else given[k])


@operator("RNN")
def rnn(
    a: Settings, x: Array, w: Array, r: Array, b: Any = None, lengths: Any = None, first: Any = None
) -> tuple[Array, ...]:
    _whole(a, x, lengths)
    size = a["hidden_size"]

    def run(k: int, x: Array) -> tuple[Array]:
        start, bias = _start(first, k, a, x), _biases(b, 1, k, size, x.dtype).sum((0, 1))
        return (use("rnn", x, start, w[k], r[k], bias),)

    return _directions(a, x, run)


@operator("GRU")
def gru(
    a: Settings, x: Array, w: Array, r: Array, b: Any = None, lengths: Any = None, first: Any = None
) -> tuple[Array, ...]:
    _whole(a, x, lengths)
    size, order = a["hidden_size"], [1, 0, 2]  # update, reset, new there; reset, update, new here

    def run(k: int, x: Array) -> tuple[Array]:
        inner, outer = (part[k].reshape(3, size, -1)[order] for part in (w, r))
        own, others = _biases(b, 3, k, size, x.dtype)[:, order]
        if a.get("linear_before_reset"):
            return (use("gru", x, _start(first, k, a, x), inner, outer, own, others),)
        return (use("gru_reset_first", x, _start(first, k, a, x), inner, outer, own + others),)

    return _directions(a, x, run)


@operator("LSTM")
def lstm(
    a: Settings, x: Array, w: Array, r: Array, b: Any = None, lengths: Any = None, *more: Any
) -> tuple[Array, ...]:
    _whole(a, x, lengths)
    first, cell, peepholes = (*more, None, None, None)[:3]
    only(peepholes is None, "peepholes")
    size, order = a["hidden_size"], [0, 2, 3, 1]  # input, output, forget, cell there; input, forget, cell, output here

    def run(k: int, x: Array) -> tuple[Array, Array]:
        inner, outer = (part[k].reshape(4, size, -1)[order] for part in (w, r))
        bias = _biases(b, 4, k, size, x.dtype).sum(0)[order]
        return tuple(use("lstm", x, _start(first, k, a, x), _start(cell, k, a, x), inner, outer, bias))  # type: ignore[return-value]

    return _directions(a, x, run)


# ---- attention


def _heads(x: Array, heads: int) -> Array:
    """(N, T, heads D) as (N, heads, T, D)."""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def _masked(keep: Array | None, more: Array) -> Array:
    return more if keep is None else keep & more


def _allowed(a: Settings, shape: tuple[int, ...], past: int, lengths: Array | None) -> Array | None:
    """Which keys a query may read, by its position; None if all."""
    _, _, steps, keys = shape
    place, key = np.arange(steps)[:, None], np.arange(keys)
    offset = np.full((1, 1, 1, 1), past) if lengths is None else (lengths - steps).reshape(-1, 1, 1, 1)
    keep: Array | None = None
    if lengths is not None:
        keep = _masked(keep, key < lengths.reshape(-1, 1, 1, 1))
    if a.get("is_causal"):
        keep = _masked(keep, key <= place + offset)
    if a.get("left_window_size", -1) >= 0:
        keep = _masked(keep, key >= place + offset - a["left_window_size"])
    if a.get("right_window_size", -1) >= 0:
        keep = _masked(keep, key <= place + offset + a["right_window_size"])
    return None if keep is None else np.broadcast_to(keep, shape)


def _attend(query: Array, key: Array, value: Array, causal: bool, keep: Array | None, bias: Array | None) -> Array:
    """Attention of heads in the axis of samples, through the layer that has what is asked for."""
    only(keep is None or bias is None, "what a mask adds, together with what is left out")
    found: Array
    if bias is not None:
        only(bool(np.isfinite(bias).all()), "a bias of minus infinity")
        if (bias == bias[:1]).all():
            found = use("biased_attention", query, key, value, bias[0])
            return found
        parts = zip(query[:, None], key[:, None], value[:, None], bias, strict=True)
        return np.concatenate([use("biased_attention", *part) for part in parts])
    if keep is None:
        found = use("dot_product_attention", query, key, value)
    elif causal and query.shape[1] == key.shape[1]:
        found = use("causal_attention", query, key, value)
    else:
        found = use("masked_attention", query, key, value, keep.astype(query.dtype))
    return found


def _scores(a: Settings, query: Array, key: Array, bias: Array | None, keep: Array | None) -> Array:
    """What the fourth output of Attention holds."""
    mode = a.get("qk_matmul_output_mode", 0)
    scores = use("batch_matmul", query, np.ascontiguousarray(key.swapaxes(1, 2)))
    scores = scores * np.asarray(query.shape[2] ** -0.5, query.dtype)
    flat = scores.reshape(-1, scores.shape[-1])
    if bias is not None and mode >= 2:
        flat = use("weighted_sum", flat, bias.reshape(flat.shape))
    if mode == 3:
        kept = np.ones_like(flat) if keep is None else keep.reshape(flat.shape).astype(flat.dtype)
        flat = use("masked_softmax", flat, kept)
    only(mode != 2 or keep is None, "scores that are left out")
    found: Array = flat.reshape(scores.shape)
    return found


def _joined(past: Array, new: Array) -> Array:
    """The positions of a cache, then the new ones."""
    found: Array = use("concat", *(x.reshape(math.prod(x.shape[:2]), -1) for x in (past, new)))
    return found.reshape(*new.shape[:2], -1, new.shape[3])


@operator("Attention", "FlexAttention")
def attention(a: Settings, query: Array, key: Array, value: Array, *more: Array | None) -> tuple[Array | None, ...]:
    floats(query)
    only(not a.get("softcap"), "scores under a cap")
    only("score_mod" not in a and "prob_mod" not in a, "scores changed by a graph")
    mask, past_key, past_value, lengths = (*more, None, None, None, None)[:4]
    packed = query.ndim == 3
    if packed:
        query = _heads(query, a["q_num_heads"])
        key, value = (_heads(x, a["kv_num_heads"]) for x in (key, value))
    present: tuple[Array | None, Array | None] = (None, None)
    past = 0 if past_key is None else past_key.shape[2]
    if past_key is not None and past_value is not None:
        present = key, value = _joined(past_key, key), _joined(past_value, value)
    (n, heads, t, d), (_, groups, s, e) = query.shape, value.shape
    query = query * np.asarray(a.get("scale", d**-0.5) * math.sqrt(d), query.dtype) if "scale" in a else query
    keep, bias = _allowed(a, (n, heads, t, s), past, lengths), None
    if mask is not None:
        width = s - mask.shape[-1]  # what a mask says nothing of is left out
        only(width == 0 or mask.dtype == bool, "a bias of fewer keys than there are")
        wide = np.broadcast_to(mask, (n, heads, t, mask.shape[-1]))
        if mask.dtype == bool:
            keep = _masked(keep, np.pad(wide, ((0, 0),) * 3 + ((0, width),)))
        else:
            bias = wide.reshape(-1, t, s)
    kept = None if keep is None else keep.reshape(-1, t, s)
    repeated = [np.repeat(x, heads // groups, axis=1) for x in (key, value)]
    merged = [np.ascontiguousarray(x).reshape(-1, *x.shape[2:]) for x in (query, *repeated)]
    if groups < heads and kept is None and bias is None:
        shared = query.reshape(n, groups, heads // groups, t, d)
        found = use("grouped_query_attention", shared, np.ascontiguousarray(key), np.ascontiguousarray(value))
    else:
        causal = bool(a.get("is_causal")) and not past and not {"left_window_size", "right_window_size"} & set(a)
        found = _attend(*merged, causal and mask is None and lengths is None, kept, bias)
    found = found.reshape(n, heads, t, e)
    found = found.swapaxes(1, 2).reshape(n, t, -1) if packed else found
    scores = _scores(a, *merged[:2], bias, kept).reshape(n, heads, t, s) if a["outputs"] > 3 else None
    return found, *present, scores


@operator("LinearAttention")
def linear_attention(
    a: Settings, query: Array, key: Array, value: Array, state: Any = None, decay: Any = None, beta: Any = None
) -> tuple[Array, ...]:
    floats(query)
    heads, groups, rule = a["q_num_heads"], a["kv_num_heads"], a.get("update_rule", b"gated_delta").decode()
    query, key, value = _heads(query, heads), _heads(key, groups), _heads(value, groups)
    (n, _, t, d), e, share = query.shape, value.shape[3], heads // groups
    fade = np.zeros((n, groups, t, d), query.dtype)
    if "gated" in rule:
        fade = fade + (_heads(decay, groups) if decay.shape[2] != groups else decay.swapaxes(1, 2)[..., None])
    first = np.zeros((n, groups, d, e), query.dtype) if state is None else state
    query = query * np.asarray(a.get("scale") or d**-0.5, query.dtype)
    spread = [np.repeat(x, share, axis=1).reshape(-1, *x.shape[2:]) for x in (key, value, fade, first)]
    parts = [np.ascontiguousarray(query).reshape(-1, t, d), *spread[:3]]
    if "delta" in rule:
        strength = np.broadcast_to(beta.swapaxes(1, 2), (n, groups, t))
        parts.append(np.repeat(strength, share, axis=1).reshape(-1, t))
    found, states = use(f"gated_{'delta' if 'delta' in rule else 'linear'}_attention", *parts, spread[3])
    out = found.reshape(n, heads, t, e).swapaxes(1, 2).reshape(n, t, -1)
    return out, states[:, -1].reshape(n, groups, share, d, e)[:, :, 0]


@operator("RotaryEmbedding")
def rotary_embedding(a: Settings, x: Array, cosine: Array, sine: Array, positions: Any = None) -> tuple[Array]:
    heads = x if x.ndim == 4 else _heads(x, a["num_heads"])
    size = a.get("rotary_embedding_dim", 0) or heads.shape[3]
    n, _, t, _ = heads.shape
    if positions is None:  # the tables are those of every element of every sequence
        positions = np.arange(n * t).reshape(n, t)
        cosine, sine = (table.reshape(n * t, -1) for table in (cosine, sine))
    name = "rotary_embedding_by_table" if a.get("interleaved") else "rotary_embedding_halves_by_table"
    turned = use(name, np.ascontiguousarray(heads[..., :size]), cosine, sine, positions)
    found = np.concatenate([turned, heads[..., size:]], axis=3)
    return (found if x.ndim == 4 else found.swapaxes(1, 2).reshape(x.shape),)


@operator("CausalConvWithState")
def causal_convolution(a: Settings, x: Array, w: Array, b: Any = None, past: Any = None) -> tuple[Array, Array]:
    floats(x)
    n, c, length = x.shape
    reach = w.shape[2] - 1
    before = np.zeros((n, c, reach), x.dtype) if past is None else past
    longer = use("concat", before.reshape(n * c, reach), x.reshape(n * c, length)).reshape(n, c, -1)
    y = use("depthwise_conv1d", longer, w[:, 0], np.zeros(c, x.dtype) if b is None else b)
    if a.get("activation", b"none") in (b"silu", b"swish"):
        y = use("silu", y.reshape(n * c, -1)).reshape(y.shape)
    return y, use("split", longer.reshape(n * c, -1), P=length)[1].reshape(n, c, reach)
