"""The catalogue: layers by name, declared in the notation that users write and loaded when asked for.

``symgrad.layers.conv2d`` and ``get("conv2d")`` are the same ``Layer``; ``catalogue()`` lists the names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import get_data
from typing import TYPE_CHECKING

from symgrad.errors import UnknownLayerError

if TYPE_CHECKING:
    from symgrad import Layer

# Which submodule declares which layers: known without importing any of them, and with them SymPy.
_DECLARED = {
    "activation": """
        absolute elu gelu gelu_tanh leaky_relu log_softmax relu relu2d sigmoid sigmoid2d silu softmax softplus tanh
        tanh2d
    """,
    "affine": "dense",
    "alignment": "connectionist_loss",
    "anisotropic": """
        average_pool1d_anisotropic average_pool1d_anisotropic_exclude_padding average_pool2d_anisotropic
        average_pool2d_anisotropic_exclude_padding average_pool3d_anisotropic
        average_pool3d_anisotropic_exclude_padding conv1d_anisotropic conv2d_anisotropic conv3d_anisotropic
        lp_pool1d_anisotropic lp_pool2d_anisotropic lp_pool3d_anisotropic max_pool1d_anisotropic
        max_pool2d_anisotropic max_pool3d_anisotropic transposed_conv1d_anisotropic transposed_conv2d_anisotropic
        transposed_conv3d_anisotropic
    """,
    "arrangement": """
        channels_last concat cumulative_product cumulative_sum flip fold2d pad_reflect2d pad_replicate2d pad_wrap2d
        pad_zero2d roll split transpose unflatten unfold2d weighted_sum
    """,
    "attention": """
        additive_attention alibi_attention attention_pooling biased_attention causal_attention causal_linear_attention
        dot_product_attention grouped_query_attention linear_attention masked_attention multi_head_attention
        sliding_window_attention
    """,
    "borders": """
        pad_constant1d pad_constant2d pad_constant3d pad_reflect1d pad_reflect3d pad_replicate1d pad_replicate3d
        pad_wrap1d pad_wrap3d pad_zero1d pad_zero3d pad_constant1d_anisotropic pad_constant2d_anisotropic
        pad_constant3d_anisotropic pad_reflect1d_anisotropic pad_reflect2d_anisotropic pad_reflect3d_anisotropic
        pad_replicate1d_anisotropic pad_replicate2d_anisotropic pad_replicate3d_anisotropic pad_wrap1d_anisotropic
        pad_wrap2d_anisotropic pad_wrap3d_anisotropic
    """,
    "classification": """
        dice focal hinge kl_divergence masked_cross_entropy multiclass_hinge nll smoothed_cross_entropy
        soft_cross_entropy squared_hinge weighted_cross_entropy
    """,
    "contraction": """
        batch_matmul bilinear cp_contraction factorization_machine feature_modulation2d low_rank_dense
        mixture_of_experts pairwise_distance radial_basis squeeze_excite2d switch_experts tucker_contraction
    """,
    "convolution": """
        conv1d conv2d conv3d depthwise_conv2d grouped_conv1d grouped_conv2d grouped_conv3d transposed_conv1d
        transposed_conv2d true_conv1d true_conv2d
    """,
    "dimensions": """
        adaptive_average_pool1d adaptive_average_pool3d adaptive_max_pool1d adaptive_max_pool3d average_pool1d_ceil
        average_pool3d_ceil batch_norm1d batch_norm3d global_average_pool1d global_average_pool3d global_max_pool1d
        global_max_pool3d instance_norm1d instance_norm3d lp_pool3d max_pool1d_ceil max_pool3d_ceil max_unpool1d
        max_unpool3d upsample_nearest1d upsample_nearest3d average_pool1d_zero_padding average_pool3d_zero_padding
        max_pool1d_zero_padding max_pool3d_zero_padding
    """,
    "gate": """
        bilinear_glu geglu glu gumbel_softmax highway log_softmax_axis masked_softmax maxout prelu reglu softmax_axis
        softmin swiglu temperature_softmax
    """,
    "locality": """
        causal_conv1d deformable_conv2d depthwise_conv1d dynamic_conv2d locally_connected1d locally_connected2d
        pointwise_conv2d separable_conv2d tiled_conv2d transposed_conv3d
    """,
    "lookup": """
        embedding embedding_bag embedding_bag_mean graph_convolution segment_mean segment_sum take_along
        vector_quantisation weighted_embedding_bag
    """,
    "loss": """
        cross_entropy log_likelihood mean_squared_error quadratic_cost sigmoid_cross_entropy softmax_cross_entropy
    """,
    "memory": "gated_delta_attention gated_linear_attention",
    "momentum": """
        adadelta_step adagrad_step adamax_step adamw_step clip_by_norm lion_step momentum_step moving_average_step
        nesterov_step rmsprop_step
    """,
    "normalisation": """
        batch_norm batch_norm2d batch_norm2d_eval batch_norm2d_running_step batch_norm_eval batch_norm_running_step
        layer_norm
    """,
    "optimiser": "adam_step sgd_step",
    "pooling": """
        average_pool1d average_pool1d_exclude_padding average_pool2d average_pool2d_exclude_padding average_pool3d
        average_pool3d_exclude_padding global_average_pool2d max_pool1d max_pool1d_split max_pool2d max_pool2d_split
        max_pool3d max_pool3d_split
    """,
    "recurrent": """
        crf_log_partition exponential_moving_average gru gru_reset_first linear_recurrence lstm rnn soft_dtw
        state_space_scan
    """,
    "position": """
        fourier_features learned_positions rotary_embedding rotary_embedding_by_table rotary_embedding_halves
        rotary_embedding_halves_by_table sinusoidal_positions
    """,
    "reduction": """
        l1_axis l2_axis log_sum_axis log_sum_exp_axis max_axis mean_axis min_axis product_axis sum_axis sum_square_axis
    """,
    "regions": "modulated_deformable_conv2d roi_align",
    "regression": """
        absolute_error gaussian_loss huber l1_penalty l2_penalty log_cosh poisson_loss quantile_loss smooth_l1
    """,
    "resampling": """
        affine_grid2d channel_shuffle grid_sample2d grid_sample2d_border pixel_shuffle pixel_unshuffle
        resize_bilinear2d_corners upsample_bilinear2d upsample_nearest2d
    """,
    "sampling": """
        grid_sample2d_bicubic grid_sample2d_corners grid_sample2d_nearest grid_sample2d_reflection grid_sample3d
        upsample_bicubic2d upsample_linear1d upsample_trilinear3d
    """,
    "saturation": """
        celu gaussian hard_shrink hard_sigmoid hard_swish hard_tanh log_sigmoid mish relu6 scaled_tanh selu sine
        soft_shrink soft_sign squareplus swish tanh_shrink threshold
    """,
    "scaling": """
        adaptive_instance_norm2d batch_norm_unbiased cosine_similarity group_norm instance_norm2d l2_normalise
        local_contrast_norm2d local_response_norm2d rms_norm spectral_norm_dense weight_norm_dense
    """,
    "selection": """
        clip depth_to_space hardmax l1_normalise lower_triangle mean_variance_norm2d one_hot scatter_add scatter_along
        shrink space_to_depth top_1 upper_triangle
    """,
    "similarity": "clip_loss contrastive cosine_embedding info_nce margin_ranking normal_divergence triplet",
    "structure": "dropout flatten",
    "stochastic": """
        spatial_pyramid_stochastic_mean2d spatial_pyramid_stochastic_pool2d stochastic_pool2d_mean
    """,
    "totals": """
        concat3 cumulative_product_exclusive cumulative_product_exclusive_reversed cumulative_product_reversed
        cumulative_sum_exclusive cumulative_sum_exclusive_reversed cumulative_sum_reversed split3 weighted_sum3
    """,
    "unreduced": """
        absolute_error_each absolute_error_sum huber_each huber_sum kl_divergence_each kl_divergence_sum
        masked_weighted_cross_entropy masked_weighted_cross_entropy_each masked_weighted_cross_entropy_sum
        masked_weighted_nll masked_weighted_nll_each masked_weighted_nll_sum nll_each nll_sum
        sigmoid_cross_entropy_each sigmoid_cross_entropy_sum smooth_l1_each smooth_l1_sum softmax_cross_entropy_each
        softmax_cross_entropy_sum squared_error_each squared_error_sum
    """,
    "variants": """
        depthwise_conv3d fractional_max_pool2d grouped_transposed_conv2d max_pool2d_dilated pointwise_conv1d
        separable_conv1d true_conv3d
    """,
    "windows": """
        adaptive_average_pool2d adaptive_max_pool2d average_pool2d_ceil average_pool2d_zero_padding global_max_pool2d
        log_sum_exp_pool2d lp_pool1d lp_pool2d max_pool2d_ceil max_pool2d_zero_padding max_unpool2d
        spatial_pyramid_average_pool2d spatial_pyramid_pool2d stochastic_pool2d
    """,
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


def by_submodule(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names that each submodule declares, the submodule with the most of them first."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_SUBMODULE[name], []).append(name)
    return {submodule: tuple(group) for submodule, group in sorted(groups.items(), key=lambda item: -len(item[1]))}


def length(submodule: str) -> int:
    """Return how long the text of a submodule is, without importing it."""
    return len(get_data(__name__, f"{submodule}.py") or b"")


@cache
def _compared() -> dict[str, dict[str, list[str]]]:
    """Oracle -> layer -> what of the oracle it was compared with; tests write the file and compare with it."""
    found: dict[str, dict[str, list[str]]] = json.loads(get_data(__name__, "compared.json") or b"{}")
    return found


def compared(name: str) -> dict[str, tuple[str, ...]]:
    """Return the oracles that a layer was compared with -> what of them: functions of torch are not told apart."""
    return {oracle: tuple(layers[name]) for oracle, layers in _compared().items() if name in layers}


def theme(submodule: str) -> str:
    """Return what the docstring of a submodule says first."""
    doc = import_module(f"{__name__}.{submodule}").__doc__ or ""
    return doc.split("\n", 1)[0]


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
