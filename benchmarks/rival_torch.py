"""The workloads in PyTorch: eager, on contiguous and on channels_last tensors; and compiled, where it works."""

from collections.abc import Callable, Mapping
from typing import Any

import _measure
import numpy as np
import torch
import torch.nn.functional as F

Pass = Callable[[], list[Any]]


def lstm(x, h0, c0, w, r, b):
    units, bias = h0.shape[1], b.reshape(-1)
    weights = [w.reshape(4 * units, -1), r.reshape(4 * units, -1), bias, torch.zeros_like(bias)]
    return torch.lstm(x, (h0[None], c0[None]), weights, True, 1, 0.0, True, False, True)[0]


def mlp(x, w, b, w_2, b_2, labels):
    return F.cross_entropy(F.linear(F.relu(F.linear(x, w, b)), w_2, b_2), labels)


def conv2d(x, w, b, stride, padding):
    return F.conv2d(x, w, b, stride=stride, padding=padding)


def depthwise_conv2d(x, w, b, stride, padding):
    return F.conv2d(x, w[:, None], b, stride=stride, padding=padding, groups=x.shape[1])


LAYERS: Mapping[str, Callable[..., torch.Tensor]] = {
    "dense": F.linear,
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "max_pool2d": lambda x, K, stride: F.max_pool2d(x, K, stride),
    "average_pool2d": lambda x, K, stride: F.avg_pool2d(x, K, stride),
    "batch_norm2d": lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True),
    "layer_norm": lambda x, gamma, beta: F.layer_norm(x, gamma.shape, gamma, beta),
    "rms_norm": lambda x, gamma: F.rms_norm(x, gamma.shape, gamma, eps=1e-6),
    "softmax_cross_entropy": F.cross_entropy,
    "relu": F.relu,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "causal_attention": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    "embedding": lambda table, ids: F.embedding(ids, table),
    "lstm": lstm,
    "mlp": mlp,
}


def tensors(arrays: list[np.ndarray], memory_format: torch.memory_format) -> list[torch.Tensor]:
    """Tensors of their own memory that want gradients; the memory format is for those of four axes."""
    made = []
    for array in arrays:
        tensor = torch.tensor(array)
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=memory_format)
        made.append(tensor.requires_grad_(tensor.is_floating_point()))
    return made


def run_of(
    layer: Callable[..., torch.Tensor],
    attributes: Mapping[str, Any],
    arrays: list[np.ndarray],
    cotangent: np.ndarray,
    last: bool = False,
) -> Pass:
    """Forward and backward; the result is y and the gradients."""
    memory_format = torch.channels_last if last else torch.contiguous_format
    inputs = tensors(arrays, memory_format)
    grad_y = tensors([cotangent], memory_format)[0].detach()
    wanted = [tensor for tensor in inputs if tensor.requires_grad]

    def run() -> list[torch.Tensor]:
        y = layer(*inputs, **attributes)
        return [y.detach(), *torch.autograd.grad(y, wanted, grad_y)]

    return run


def network(images, labels, mask, *parameters):
    """The loss of the network of ``symgrad demo`` in training; dropout keeps half."""
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters
    x = F.max_pool2d(F.relu(F.conv2d(images, w1, b1)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w2, b2)), 2)
    x = F.relu(F.linear(x.flatten(1), w3, b3)) * mask * 2
    return F.cross_entropy(F.linear(x, w4, b4), labels)


def step_of(loss_of: Callable[..., torch.Tensor], arrays: list[np.ndarray], rate: float, last: bool = False) -> Pass:
    """A step of gradient descent; the result is the loss and the new parameters."""
    images, labels, mask, *parameters = tensors(arrays, torch.channels_last if last else torch.contiguous_format)
    data = (images.detach(), labels, mask.detach())

    def run() -> list[torch.Tensor]:
        loss = loss_of(*data, *parameters)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            return [loss, *(p - rate * g for p, g in zip(parameters, gradients, strict=True))]

    return lambda: [value.detach() for value in run()]


def eager(kind: str, attributes: Mapping[str, Any], arrays: list[np.ndarray], cotangent: np.ndarray) -> dict[str, Pass]:
    """Eager passes by the name of the memory layout."""
    torch.set_num_threads(_measure.THREADS)
    if kind == "network":
        made = {"torch": False, "torch channels_last": True}
        return {name: step_of(network, arrays, attributes["rate"], last) for name, last in made.items()}
    passes = {"torch": run_of(LAYERS[kind], attributes, arrays, cotangent)}
    if arrays[0].ndim == 4:
        passes["torch channels_last"] = run_of(LAYERS[kind], attributes, arrays, cotangent, last=True)
    return passes


def compiled(
    kind: str, attributes: Mapping[str, Any], arrays: list[np.ndarray], cotangent: np.ndarray
) -> dict[str, Pass]:
    """The pass that ``torch.compile`` makes of the layer."""
    import torch._inductor.config

    torch.set_num_threads(_measure.THREADS)
    torch._inductor.config.compile_threads = 1
    if kind == "network":
        whole = torch.compile(network, fullgraph=True, dynamic=False)
        return {"torch.compile": step_of(whole, arrays, attributes["rate"])}
    layer = torch.compile(LAYERS[kind], fullgraph=True, dynamic=False)
    return {"torch.compile": run_of(layer, attributes, arrays, cotangent)}
