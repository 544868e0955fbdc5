"""Values between pixels against torch, or against loops where torch has no such thing: a row a layer."""

from __future__ import annotations

import numpy as np
import pytest

import symgrad

from .rows import Row, every, normal, uniform

torch = pytest.importorskip("torch")
f = torch.nn.functional
IMAGES = [normal(2, 3, 7, 6)]
GRID = uniform(-1.4, 1.4, 2, 4, 5, 2)


def sampled(corners, mode="bilinear", padding="zeros"):
    return lambda x, grid: f.grid_sample(x, grid, mode, padding, align_corners=bool(corners))


def interpolated(mode, scale):
    return lambda x: f.interpolate(x, scale_factor=scale, mode=mode)


def modulated(x, offset, mask, w, b):
    """Every entry of the kernel by torch.nn.functional.grid_sample, at stride 2, padding 1, dilation 2."""
    n, r, s, _, height, width = offset.shape
    rows, columns = 2.0 * torch.arange(height)[:, None] - 1, 2.0 * torch.arange(width) - 1
    out = b[:, None, None].expand(n, -1, height, width)
    for u in range(r):
        for v in range(s):
            down, across = rows + 2 * u + offset[:, u, v, 0], columns + 2 * v + offset[:, u, v, 1]
            grid = torch.stack([2 * across / (x.shape[3] - 1) - 1, 2 * down / (x.shape[2] - 1) - 1], 3)
            read = f.grid_sample(x, grid, align_corners=True) * mask[:, None, u, v]
            out = out + torch.einsum("ncij,kc->nkij", read, w[:, :, u, v])
    return out


ROWS = [
    *(Row("grid_sample2d_corners", [*IMAGES, GRID], sampled(corners), {"corners": corners}) for corners in (0, 1)),
    *(Row("grid_sample2d_reflection", [*IMAGES, uniform(-3.3, 3.3, 2, 4, 5, 2)], sampled(corners, padding="reflection"),
          {"corners": corners}) for corners in (0, 1)),
    *(Row("grid_sample2d_nearest", [*IMAGES, GRID], sampled(corners, "nearest"), {"corners": corners})
      for corners in (0, 1)),
    *(Row("grid_sample2d_bicubic", [*IMAGES, GRID], sampled(corners, "bicubic"), {"corners": corners})
      for corners in (0, 1)),
    *(Row("grid_sample3d", [normal(2, 3, 4, 5, 6), uniform(-1.2, 1.2, 2, 3, 2, 4, 3)], sampled(corners),
          {"corners": corners}) for corners in (0, 1)),
    Row("upsample_bicubic2d", IMAGES, interpolated("bicubic", 2)),
    Row("upsample_bicubic2d", IMAGES, interpolated("bicubic", 3), {"scale": 3}),
    Row("upsample_linear1d", [normal(2, 3, 7)], interpolated("linear", 3), {"scale": 3}),
    Row("upsample_trilinear3d", [normal(2, 3, 4, 3, 5)], interpolated("trilinear", 2)),
    Row("modulated_deformable_conv2d",
        [*IMAGES, normal(2, 2, 3, 2, 4, 2), normal(2, 2, 3, 4, 2), normal(4, 3, 2, 3), normal(4)], modulated,
        {"stride": 2, "padding": 1, "dilation": 2}),
]  # fmt: skip


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


def bilinear(image, y, x):
    """Between four pixels, the outermost going on for one pixel, zeros beyond."""
    height, width = image.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    i, j = int(y), int(x)
    below, right = min(i + 1, height - 1), min(j + 1, width - 1)
    fy, fx = y - i, x - j
    upper = (1 - fx) * image[i, j] + fx * image[i, right]
    lower = (1 - fx) * image[below, j] + fx * image[below, right]
    return (1 - fy) * upper + fy * lower


def roi_align(x, boxes, image, P, Q, G, spatial_scale, aligned):
    """Loops over boxes, channels, cells and samples, as Mask R-CNN and torchvision.ops.roi_align describe it."""
    out = np.zeros((len(boxes), x.shape[1], P, Q))
    for k, (x1, y1, x2, y2) in enumerate(boxes * spatial_scale - (0.5 if aligned else 0)):
        height, width = y2 - y1, x2 - x1
        if not aligned:
            height, width = max(height, 1), max(width, 1)
        for c, p, q, u, v in np.ndindex(x.shape[1], P, Q, G, G):
            at = y1 + height / P * (p + (u + 0.5) / G), x1 + width / Q * (q + (v + 0.5) / G)
            out[k, c, p, q] += bilinear(x[image[k], c], *at) / G**2
    return out


@pytest.mark.parametrize("aligned", [0, 1])
def test_regions_of_interest_are_those_of_loops(compiled, rng, aligned):
    x, image = rng.normal(size=(2, 3, 8, 9)), np.array([1, 0, 1, 0])
    # An ordinary box, one that leaves the image, a thin one, one wholly outside.
    boxes = np.array([[2.1, 3.3, 11.7, 13.2], [-9.3, 1.1, 22.9, 19.4], [4.2, 5.1, 5.3, 14.9], [30.3, 31.1, 39.2, 38.1]])
    options = {"P": 3, "Q": 2, "G": 2, "spatial_scale": 0.6, "aligned": aligned}
    module = compiled("roi_align")
    y, residuals = module.forward(x, boxes, image, **options)
    np.testing.assert_allclose(y, roi_align(x, boxes, image, **options), rtol=1e-12, atol=1e-13)
    cotangent = rng.normal(size=y.shape)
    found = module.backward(residuals, cotangent)
    for name, array in (("x", x), ("boxes", boxes)):
        direction = rng.normal(size=array.shape)
        sides = [
            roi_align(**({"x": x, "boxes": boxes} | {name: array + step * direction}), image=image, **options)
            for step in (1e-6, -1e-6)
        ]
        slope = ((sides[0] - sides[1]) * cotangent).sum() / 2e-6
        assert (getattr(found, name) * direction).sum() == pytest.approx(slope, rel=1e-6)


def test_a_box_may_not_name_an_image_that_is_not_there(compiled):
    with pytest.raises((ValueError, IndexError), match="image"):
        compiled("roi_align").forward(np.ones((1, 1, 4, 4)), np.ones((1, 4)), np.array([1]))


@pytest.mark.parametrize("name", ["deformable_conv2d", "modulated_deformable_conv2d"])
def test_offsets_have_the_slope_of_differences(compiled, rng, name):
    layer, module = symgrad.layers.get(name), compiled(name)
    shapes = {"x": (2, 3, 6, 5), "offset": (2, 3, 2, 2, 4, 4), "mask": (2, 3, 2, 4, 4), "w": (4, 3, 3, 2), "b": (4,)}
    arrays = {t.name: rng.normal(size=shapes[t.name]) for t in layer.inputs}
    y, residuals = module.forward(*arrays.values())
    cotangent = rng.normal(size=y.shape)
    gradient = module.backward(residuals, cotangent, wrt=("offset",)).offset
    for _ in range(3):
        direction = rng.normal(size=shapes["offset"])
        sides = [
            module.forward(*(arrays | {"offset": arrays["offset"] + step * direction}).values())[0]
            for step in (1e-6, -1e-6)
        ]
        slope = ((sides[0] - sides[1]) * cotangent).sum() / 2e-6
        assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-5)
