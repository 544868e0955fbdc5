"""The workloads in JAX on the processor: forward and backward as one compiled function."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from rival_formulas import formulas

FORMULAS = formulas(jnp, jax.scipy.special.erf)
IMAGES = ("NCHW", "OIHW", "NCHW")


def conv2d(x, w, b, stride, padding, groups=1):
    y = lax.conv_general_dilated(
        x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=IMAGES, feature_group_count=groups
    )
    return y + b[:, None, None]


def depthwise_conv2d(x, w, b, stride, padding):
    return conv2d(x, w[:, None], b, stride, padding, groups=x.shape[1])


def max_pool2d(x, K, stride):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, K, K), (1, 1, stride, stride), "VALID")


def average_pool2d(x, K, stride):
    return lax.reduce_window(x, 0.0, lax.add, (1, 1, K, K), (1, 1, stride, stride), "VALID") / K**2


def lstm(x, h0, c0, w, r, b):
    units = h0.shape[1]
    recurrent = r.reshape(4 * units, -1).T

    def step(carried, inner):
        h, cell = FORMULAS["lstm_step"](inner, recurrent, *carried)
        return (h, cell), h

    gates = jnp.swapaxes(x, 0, 1) @ w.reshape(4 * units, -1).T + b.reshape(-1)
    return jnp.swapaxes(lax.scan(step, (h0, c0), gates)[1], 0, 1)


def network(images, labels, mask, *parameters):
    """The loss of the network of ``symgrad demo`` in training; dropout keeps half."""
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters
    x = max_pool2d(jax.nn.relu(conv2d(images, w1, b1, 1, 0)), 2, 2)
    x = max_pool2d(jax.nn.relu(conv2d(x, w2, b2, 1, 0)), 2, 2)
    x = jax.nn.relu(FORMULAS["dense"](x.reshape(len(x), -1), w3, b3)) * mask * 2
    return FORMULAS["softmax_cross_entropy"](FORMULAS["dense"](x, w4, b4), labels)


LAYERS: Mapping[str, Callable[..., Any]] = dict(FORMULAS) | {
    f.__name__: f for f in (conv2d, depthwise_conv2d, max_pool2d, average_pool2d, lstm)
}


def passes(
    kind: str, attributes: Mapping[str, Any], arrays: list[np.ndarray], cotangent: np.ndarray
) -> dict[str, Callable[[], list[Any]]]:
    """The pass by its name; it waits for its results."""
    if kind == "network":
        return {"jax": step_of(arrays, attributes["rate"])}
    wanted = [number for number, array in enumerate(arrays) if array.dtype.kind == "f"]
    given = [jnp.asarray(array) for array in arrays]
    grad_y = jnp.asarray(cotangent)

    @jax.jit
    def both(inputs, grad_y):
        def layer(*floats):
            whole = list(inputs)
            for number, value in zip(wanted, floats, strict=True):
                whole[number] = value
            return LAYERS[kind](*whole, **attributes)

        y, pull = jax.vjp(layer, *(inputs[number] for number in wanted))
        return [y, *pull(grad_y)]

    return {"jax": lambda: jax.block_until_ready(both(given, grad_y))}


def step_of(arrays: list[np.ndarray], rate: float) -> Callable[[], list[Any]]:
    """A step of gradient descent; the result is the loss and the new parameters."""
    images, labels, mask, *parameters = map(jnp.asarray, arrays)

    @jax.jit
    def step(parameters):
        loss, gradients = jax.value_and_grad(lambda p: network(images, labels, mask, *p))(parameters)
        return [loss, *(p - rate * g for p, g in zip(parameters, gradients, strict=True))]

    return lambda: jax.block_until_ready(step(parameters))
