"""Layers over sequences and volumes, borders, further convolutions against torch: a row a layer."""

from __future__ import annotations

import pytest

from .rows import Row, every, given, normal

torch = pytest.importorskip("torch")
f = torch.nn.functional
LINES, VOLUMES = [normal(2, 3, 9)], [normal(2, 3, 5, 6, 7)]
IMAGES = [normal(2, 3, 7, 6)]
SPACES = {1: LINES, 2: IMAGES, 3: VOLUMES}
POOL = {"K": 3, "stride": 2, "padding": 1}
STRIDED = {"stride": 2, "padding": 1}
DILATED = STRIDED | {"dilation": 2}
MODES = {"constant": "constant", "zero": "constant", "reflect": "reflect", "replicate": "replicate", "wrap": "circular"}


def padded(mode, axes, width, value):
    fill = {"value": value} if mode == "constant" else {}
    return lambda x: f.pad(x, (width,) * 2 * axes, MODES[mode], **fill)


def border(mode, axes):
    options = {"padding": 2} | ({"value": -0.75} if mode == "constant" else {})
    return Row(f"pad_{mode}{axes}d", SPACES[axes], padded(mode, axes, 2, options.get("value")), options)


def power_pool_3d(x):
    x = f.pad(x, (1,) * 6).abs() ** 3.0
    for axis in (2, 3, 4):
        x = x.unfold(axis, 3, 2)
    return x.flatten(5).sum(-1) ** (1 / 3)


def normalised(x, gamma, beta, over):
    mean, variance = x.mean(over, keepdim=True), x.var(over, unbiased=False, keepdim=True)
    shape = (-1, *[1] * (x.ndim - 2))
    return gamma.reshape(shape) * (x - mean) / torch.sqrt(variance + 1e-5) + beta.reshape(shape)


def norm(name, axes, over):
    draws = [*SPACES[axes], normal(3), normal(3)]
    return Row(f"{name}{axes}d", draws, lambda x, g, b: normalised(x, g, b, over))


def zero_padded(pool):
    """Sizes rounded up: what the last window reads behind the input and its padding is zeros too."""

    def oracle(x):
        ends = [w for n in reversed(x.shape[2:]) for w in (1, 1 + (-(n + 2 - 3)) % 2)]
        return pool(f.pad(x, ends), 3, 2)

    return oracle


def separable(x, depthwise, pointwise, b):
    return f.conv1d(f.conv1d(x, depthwise[:, None], groups=3, **DILATED), pointwise[:, :, None], b)


def windows_at(x, row, column):
    rows = [torch.stack([x[n, c, r : r + 2] for r in row[n, c]]) for n in range(2) for c in range(3)]
    cut = [torch.stack([part[:, :, s : s + 2] for s in column.flatten(0, 1)[k]], 1) for k, part in enumerate(rows)]
    return torch.stack(cut).amax((-2, -1)).unflatten(0, (2, 3))


STARTS = [[0, 2, 3], [0, 1, 4], [1, 2, 5]]
ROWS = [
    *(border(mode, axes) for mode in MODES for axes in (1, 3)),
    border("constant", 2),
    Row("global_average_pool1d", LINES, lambda x: x.mean(2)),
    Row("global_average_pool3d", VOLUMES, lambda x: x.mean((2, 3, 4))),
    Row("global_max_pool1d", LINES, lambda x: x.amax(2)),
    Row("global_max_pool3d", VOLUMES, lambda x: x.amax((2, 3, 4))),
    Row("adaptive_average_pool1d", LINES, lambda x: f.adaptive_avg_pool1d(x, 4), {"P": 4}),
    Row("adaptive_average_pool3d", VOLUMES, lambda x: f.adaptive_avg_pool3d(x, (3, 4, 2)), {"O": 3, "P": 4, "Q": 2}),
    Row("adaptive_max_pool1d", LINES, lambda x: f.adaptive_max_pool1d(x, 4), {"P": 4}),
    Row("adaptive_max_pool3d", VOLUMES, lambda x: f.adaptive_max_pool3d(x, (3, 4, 2)), {"O": 3, "P": 4, "Q": 2}),
    Row("max_pool1d_ceil", LINES, lambda x: f.max_pool1d(x, 3, 2, 1, ceil_mode=True), POOL),
    Row("max_pool3d_ceil", VOLUMES, lambda x: f.max_pool3d(x, 3, 2, 1, ceil_mode=True), POOL),
    Row("average_pool1d_ceil", LINES, lambda x: f.avg_pool1d(x, 3, 2, 1, True, False), POOL),
    Row("average_pool3d_ceil", VOLUMES, lambda x: f.avg_pool3d(x, 3, 2, 1, True, False), POOL),
    Row("lp_pool3d", VOLUMES, power_pool_3d, POOL | {"power": 3.0}),
    Row("max_unpool1d", [normal(1, 2, 3), given([[[1, 3, 4], [0, 2, 5]]])],
        lambda x, p: f.max_unpool1d(x, p, 2, output_size=(6,)), {"P": 6}),
    Row("max_unpool3d", [normal(1, 1, 1, 2, 2), given([[[[[1, 3], [12, 31]]]]])],
        lambda x, p: f.max_unpool3d(x, p, 2, output_size=(2, 4, 4)), {"O": 2, "P": 4, "Q": 4}),
    norm("instance_norm", 1, 2),
    norm("instance_norm", 3, (2, 3, 4)),
    norm("batch_norm", 1, (0, 2)),
    norm("batch_norm", 3, (0, 2, 3, 4)),
    Row("upsample_nearest1d", LINES, lambda x: f.interpolate(x, scale_factor=3), {"scale": 3}),
    Row("upsample_nearest3d", VOLUMES, lambda x: f.interpolate(x, scale_factor=2)),
    Row("true_conv3d", [*VOLUMES, normal(4, 3, 2, 3, 2), normal(4)],
        lambda x, w, b: f.conv3d(x, w.flip((2, 3, 4)), b, **STRIDED), STRIDED),
    *(Row(f"{kind}_pool{rank}d_zero_padding", draws, zero_padded(function), POOL)
      for rank, draws in ((1, LINES), (3, VOLUMES))
      for kind, function in (("max", getattr(f, f"max_pool{rank}d")), ("average", getattr(f, f"avg_pool{rank}d")))),
    Row("depthwise_conv3d", [*VOLUMES, normal(3, 2, 3, 2), normal(3)],
        lambda x, w, b: f.conv3d(x, w[:, None], b, groups=3, **DILATED), DILATED),
    Row("pointwise_conv1d", [*LINES, normal(4, 3), normal(4)], lambda x, w, b: f.conv1d(x, w[:, :, None], b)),
    Row("separable_conv1d", [*LINES, normal(3, 3), normal(4, 3), normal(4)], separable, DILATED),
    Row("grouped_transposed_conv2d", [normal(2, 4, 3, 4), normal(4, 3, 2, 3), normal(6)],
        lambda x, w, b: f.conv_transpose2d(x, w, b, 2, 1, 1, 2, 2),
        DILATED | {"output_padding": 1, "groups": 2}),
    Row("max_pool2d_dilated", IMAGES, lambda x: f.max_pool2d(x, 3, 2, 1, 2), POOL | {"dilation": 2}),
    Row("fractional_max_pool2d", [*IMAGES, given([STARTS, STARTS[::-1]]), given([[r[:2] for r in STARTS]] * 2)],
        windows_at),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)
