"""The catalogue: layers by name, declared in the notation that users write and loaded when asked for.

``symgrad.layers.conv2d`` and ``get("conv2d")`` are the same ``Layer``; ``catalogue()`` lists the names.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from symgrad.errors import UnknownLayerError

if TYPE_CHECKING:
    from symgrad import Layer

# Which submodule declares which layers: known without importing any of them, and with them SymPy.
_DECLARED = {
    "activation": """
        absolute elu gelu gelu_tanh leaky_relu log_softmax relu relu2d sigmoid sigmoid2d silu softmax softplus
        tanh tanh2d
    """,
    "affine": "dense",
    "convolution": """
        conv1d conv2d conv3d depthwise_conv2d grouped_conv1d grouped_conv2d grouped_conv3d
        transposed_conv1d transposed_conv2d true_conv1d true_conv2d
    """,
    "loss": """
        cross_entropy log_likelihood mean_squared_error quadratic_cost sigmoid_cross_entropy softmax_cross_entropy
    """,
    "normalisation": """
        batch_norm batch_norm2d batch_norm2d_eval batch_norm2d_running_step batch_norm_eval batch_norm_running_step
        layer_norm
    """,
    "optimiser": "adam_step sgd_step",
    "pooling": """
        average_pool1d average_pool1d_exclude_padding average_pool2d average_pool2d_exclude_padding
        average_pool3d average_pool3d_exclude_padding global_average_pool2d
        max_pool1d max_pool1d_split max_pool2d max_pool2d_split max_pool3d max_pool3d_split
    """,
    "recurrent": """
        crf_log_partition exponential_moving_average gru linear_recurrence lstm rnn soft_dtw state_space_scan
    """,
    "structure": "dropout flatten",
}
_SUBMODULE = {name: submodule for submodule, names in _DECLARED.items() for name in names.split()}


def catalogue() -> tuple[str, ...]:
    """Return the names of all layers, sorted."""
    return tuple(sorted(_SUBMODULE))


def get(name: str) -> Layer:
    """Return the layer called ``name``.

    Raises:
        UnknownLayerError: there is no such layer; the message suggests names that look alike.
    """
    if name not in _SUBMODULE:
        close = get_close_matches(name, catalogue(), cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "`symgrad list` names them all"
        raise UnknownLayerError(f"there is no layer {name!r} in the catalogue; {hint}")
    layer: Layer = getattr(import_module(f"{__name__}.{_SUBMODULE[name]}"), name)
    return layer


def __getattr__(name: str) -> Layer:
    """Return the layer called ``name``, so that ``symgrad.layers.conv2d`` works.

    Raises:
        AttributeError: there is no such layer.
    """
    try:
        return get(name)
    except UnknownLayerError as error:
        raise AttributeError(str(error), name=name, obj=None) from None


def __dir__() -> list[str]:
    """Return the names of all layers beside what the module holds."""
    return sorted({*globals(), *_SUBMODULE})
