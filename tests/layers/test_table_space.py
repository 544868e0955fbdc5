"""Windows, resampling, rearrangement and local convolutions against torch: a row a layer. Source: what a row calls."""

from __future__ import annotations

from math import log

import pytest

from .rows import Row, every, given, normal, uniform, whole

torch = pytest.importorskip("torch")
f = torch.nn.functional
IMAGES = [normal(2, 3, 7, 6)]
POOL = {"K": 3, "stride": 2, "padding": 1}
STRIDED = {"stride": 2, "padding": 1}
DILATED = STRIDED | {"dilation": 2}


def power_pool(rank, p, K=2, stride=2, padding=0):
    def oracle(x):
        x = f.pad(x, (padding, padding) * rank).abs() ** p
        for axis in range(2, 2 + rank):
            x = x.unfold(axis, K, stride)
        return x.flatten(2 + rank).sum(-1) ** (1 / p)

    return oracle


def log_mean_exp(x):
    return (torch.logsumexp(2 * x, (2, 3)) - log(42)) / 2


def pyramid(pool):
    return lambda x: tuple(pool(x, n) for n in (1, 2, 4))


def zero_padded(pool):
    """Sizes rounded up: what the last window reads behind the image and its padding is zeros too."""
    return lambda x: pool(f.pad(x, (1, 2, 1, 1)), 3, 2)


def chosen_in_windows(x, choice):
    windows = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    return windows.gather(4, choice[..., None])[..., 0]


def unpooled(x, positions):
    return f.max_unpool2d(x, positions, 2, output_size=(5, 4))


def local_1d(x, w, b):
    windows = f.pad(x, (1, 1)).unfold(2, 3, 2)
    return torch.einsum("nciu,kicu->nki", windows, w) + b


def windows_2d(x, padding, stride):
    return f.pad(x, (padding,) * 4).unfold(2, 3, stride).unfold(3, 2, stride)


def local_2d(x, w, b):
    return torch.einsum("ncijuv,kijcuv->nkij", windows_2d(x, 1, 2), w) + b


def tiled(x, w, b):
    windows = windows_2d(x, 0, 1)
    rows, columns = torch.arange(windows.shape[2]) % 2, torch.arange(windows.shape[3]) % 3
    return torch.einsum("ncijuv,kijcuv->nkij", windows, w[:, rows][:, :, columns]) + b[:, None, None]


def separable(x, depthwise, pointwise, b):
    inner = f.conv2d(x, depthwise[:, None], groups=3, **DILATED)
    return f.conv2d(inner, pointwise[:, :, None, None], b)


def causal(x, w, b):
    return f.conv1d(f.pad(x, (4, 0)), w, b, dilation=2)


def dynamic(x, kernel):
    windows = f.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)
    return torch.einsum("ncijuv,nuvij->ncij", windows, kernel)


def deformable(x, offset, w, b):
    """Every entry of the kernel by torch.nn.functional.grid_sample, at stride 1 and padding 1."""
    n, r, s, _, height, width = offset.shape
    rows, columns = torch.arange(height)[:, None] - 1.0, torch.arange(width) - 1.0
    out = b[:, None, None].expand(n, -1, height, width)
    for u in range(r):
        for v in range(s):
            down, across = rows + u + offset[:, u, v, 0], columns + v + offset[:, u, v, 1]
            grid = torch.stack([2 * across / (x.shape[3] - 1) - 1, 2 * down / (x.shape[2] - 1) - 1], 3)
            out = out + torch.einsum("ncij,kc->nkij", f.grid_sample(x, grid, align_corners=True), w[:, :, u, v])
    return out


def sampled(padding):
    return lambda x, grid: f.grid_sample(x, grid, padding_mode=padding, align_corners=False)


def resized(scale):
    return lambda x: f.interpolate(x, scale_factor=scale, mode="bilinear")


PADS = {"zero": "constant", "reflect": "reflect", "replicate": "replicate", "wrap": "circular"}
CHOICES = [whole(4, 2, 3, 3, 3)]
PLACES = given([[[[0, 6], [17, 10]], [[5, 2], [12, 19]]]])

ROWS = [
    Row("lp_pool1d", [normal(2, 3, 9)], lambda x: f.lp_pool1d(x.abs(), 2, 2)),
    Row("lp_pool1d", [normal(2, 3, 9)], power_pool(1, 3.5, **POOL), {"power": 3.5} | POOL),
    Row("lp_pool2d", IMAGES, lambda x: f.lp_pool2d(x.abs(), 2, 2)),
    Row("lp_pool2d", IMAGES, power_pool(2, 3.0, **POOL), {"power": 3.0} | POOL),
    Row("log_sum_exp_pool2d", IMAGES, log_mean_exp, {"sharpness": 2.0}),
    Row("global_max_pool2d", IMAGES, lambda x: f.adaptive_max_pool2d(x, 1)[:, :, 0, 0]),
    Row("adaptive_average_pool2d", IMAGES, lambda x: f.adaptive_avg_pool2d(x, (3, 4)), {"P": 3, "Q": 4}),
    Row("adaptive_max_pool2d", IMAGES, lambda x: f.adaptive_max_pool2d(x, (3, 4)), {"P": 3, "Q": 4}),
    Row("spatial_pyramid_pool2d", IMAGES, pyramid(f.adaptive_max_pool2d)),
    Row("spatial_pyramid_average_pool2d", IMAGES, pyramid(f.adaptive_avg_pool2d)),
    *(Row("max_pool2d_ceil", [normal(2, 3, 8, 6)],
          lambda x, o=o: f.max_pool2d(x, o["K"], o["stride"], o["padding"], ceil_mode=True), o)
      for o in (POOL, {"K": 2, "stride": 3, "padding": 0}, {"K": 3, "stride": 3, "padding": 1})),
    *(Row("average_pool2d_ceil", [normal(2, 3, 8, 6)],
          lambda x, o=o: f.avg_pool2d(x, o["K"], o["stride"], o["padding"], True, count_include_pad=False), o)
      for o in (POOL, {"K": 2, "stride": 3, "padding": 0}, {"K": 3, "stride": 3, "padding": 1})),
    Row("max_pool2d_zero_padding", IMAGES, zero_padded(f.max_pool2d), POOL),
    Row("average_pool2d_zero_padding", IMAGES, zero_padded(f.avg_pool2d), POOL),
    Row("stochastic_pool2d", [*IMAGES, *CHOICES], chosen_in_windows),
    Row("max_unpool2d", [normal(1, 2, 2, 2), PLACES], unpooled, {"P": 5, "Q": 4}),
    Row("upsample_nearest2d", IMAGES, lambda x: f.interpolate(x, scale_factor=3), {"scale": 3}),
    Row("upsample_bilinear2d", IMAGES, resized(2)),
    Row("upsample_bilinear2d", IMAGES, resized(3), {"scale": 3}),
    Row("resize_bilinear2d_corners", IMAGES,
        lambda x: f.interpolate(x, (10, 4), mode="bilinear", align_corners=True), {"P": 10, "Q": 4}),
    Row("pixel_shuffle", [normal(2, 12, 3, 4)], lambda x: f.pixel_shuffle(x, 2)),
    Row("pixel_unshuffle", [normal(2, 3, 6, 9)], lambda x: f.pixel_unshuffle(x, 3), {"scale": 3}),
    Row("channel_shuffle", [normal(2, 6, 3, 4)],
        lambda x: x.unflatten(1, (3, 2)).transpose(1, 2).flatten(1, 2), {"G": 3}),
    Row("grid_sample2d", [*IMAGES, uniform(-1.4, 1.4, 2, 4, 5, 2)], sampled("zeros")),
    Row("grid_sample2d_border", [*IMAGES, uniform(-1, 1, 2, 4, 5, 2)], sampled("border")),
    Row("affine_grid2d", [normal(2, 2, 3)],
        lambda theta: f.affine_grid(theta, (2, 1, 4, 5), align_corners=False), {"P": 4, "Q": 5}),
    Row("concat", [normal(2, 3), normal(2, 4)], lambda a, b: torch.cat([a, b], 1)),
    Row("split", [normal(2, 7)], lambda x: torch.split(x, [3, 4], 1), {"P": 3}),
    Row("weighted_sum", [normal(2, 3), normal(2, 3)], lambda a, b: 0.3 * a - 2 * b,
        {"first_scale": 0.3, "second_scale": -2.0}),
    Row("unflatten", [normal(2, 60)], lambda x: x.unflatten(1, (3, 5, 4)), {"H": 5, "W": 4}),
    Row("transpose", [normal(2, 3, 4)], lambda x: x.transpose(1, 2)),
    Row("channels_last", IMAGES, lambda x: x.permute(0, 2, 3, 1)),
    Row("flip", IMAGES, lambda x: x.flip(3)),
    Row("roll", [normal(2, 7)], lambda x: x.roll(3, 1), {"shift": 3}),
    *(Row(f"pad_{name}2d", IMAGES, lambda x, mode=mode: f.pad(x, (2,) * 4, mode), {"padding": 2})
      for name, mode in PADS.items()),
    Row("unfold2d", IMAGES, lambda x: f.unfold(x, 3, stride=2, padding=1), POOL),
    Row("fold2d", [normal(2, 27, 12)], lambda x: f.fold(x, (7, 6), 3, stride=2, padding=1), POOL | {"H": 7, "W": 6}),
    Row("cumulative_sum", [normal(2, 7)], lambda x: x.cumsum(1)),
    Row("cumulative_product", [normal(2, 7)], lambda x: x.cumprod(1)),
    Row("cumulative_product", [given([[2.0, 0, 3, 0, 5], [1.0, 2, 3, 4, 0]])], lambda x: x.cumprod(1)),
    Row("pointwise_conv2d", [*IMAGES, normal(5, 3), normal(5)], lambda x, w, b: f.conv2d(x, w[:, :, None, None], b)),
    Row("depthwise_conv1d", [normal(2, 3, 9), normal(3, 3), normal(3)],
        lambda x, w, b: f.conv1d(x, w[:, None], b, groups=3, **DILATED), DILATED),
    Row("causal_conv1d", [normal(2, 3, 7), normal(4, 3, 3), normal(4)], causal, {"dilation": 2}),
    Row("separable_conv2d", [*IMAGES, normal(3, 3, 2), normal(4, 3), normal(4)], separable, DILATED),
    Row("locally_connected1d", [normal(2, 3, 7), normal(5, 4, 3, 3), normal(5, 4)], local_1d, STRIDED),
    Row("locally_connected2d", [*IMAGES, normal(2, 4, 4, 3, 3, 2), normal(2, 4, 4)], local_2d, STRIDED),
    Row("tiled_conv2d", [*IMAGES, normal(2, 2, 3, 3, 3, 2), normal(2)], tiled),
    Row("dynamic_conv2d", [*IMAGES, normal(2, 3, 3, 7, 6)], dynamic),
    Row("deformable_conv2d", [*IMAGES, normal(2, 3, 2, 2, 7, 7), normal(4, 3, 3, 2), normal(4)], deformable,
        {"padding": 1}),
    Row("transposed_conv3d", [normal(1, 2, 3, 4, 2), normal(2, 3, 2, 3, 2), normal(3)],
        lambda x, w, b: f.conv_transpose3d(x, w, b, stride=2, padding=1, output_padding=1),
        STRIDED | {"output_padding": 1}),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)
