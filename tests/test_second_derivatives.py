"""Second derivatives of layers of the catalogue: torch's where there is a row for a layer, else differences.

By default over a sample; SYMGRAD_EVERY_LAYER=1 takes all.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
import pytest

import symgrad
from symgrad import compile_layer

from .agreement import as_tuple
from .layers import (
    test_table_anisotropic,
    test_table_dimensions,
    test_table_further,
    test_table_losses,
    test_table_pointwise,
    test_table_products,
    test_table_sampling,
    test_table_selection,
    test_table_sequence,
    test_table_space,
)
from .layers.rows import Row
from .points import point

torch = pytest.importorskip("torch")
STEP = 1e-5
ALL = bool(os.environ.get("SYMGRAD_EVERY_LAYER"))
TABLES = (
    *(test_table_dimensions, test_table_losses, test_table_pointwise, test_table_products, test_table_sampling),
    *(test_table_selection, test_table_sequence, test_table_space, test_table_anisotropic, test_table_further),
)
ROWS: dict[str, Row] = {}
for table in TABLES:
    for row in table.ROWS:
        ROWS.setdefault(row.name, row)
SAMPLE = [
    "bilinear",
    "cosine_embedding",
    "focal",
    "gaussian_loss",
    "glu",
    "group_norm",
    "huber",
    "info_nce",
    "lp_pool1d",
    "maxout",
    "mish",
    "pairwise_distance",
    "poisson_loss",
    "product_axis",
    "radial_basis",
    "scatter_add",
    "smooth_l1",
    "softmax_axis",
    "squeeze_excite2d",
    "swiglu",
    "take_along",
    "tiled_conv2d",
    "transposed_conv3d",
    "triplet",
    "upsample_linear1d",
    "weight_norm_dense",
]
DIFFERENCES = [n for p, n in enumerate(sorted(set(symgrad.catalogue()) - set(ROWS))) if ALL or p % 8 == 0]


@cache
def pulled_back(name: str) -> Any:
    return compile_layer(symgrad.vjp(symgrad.layers.get(name)))


def normal_like(arrays: Any, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=np.shape(a))) for a in arrays]


@pytest.mark.parametrize("name", sorted(ROWS) if ALL else [name for name in SAMPLE if name in ROWS])
def test_second_derivatives_are_torchs(name: str) -> None:
    """The gradient of a random weighting of the gradients, with respect to inputs and cotangents."""
    row, layer = ROWS[name], symgrad.layers.get(name)
    arrays = row.arrays(np.random.default_rng(20240229))
    wanted = [not (t.integer or t.constant) for t in layer.inputs]
    if not any(wanted):
        pytest.skip("no input has a gradient")
    leaves = [torch.tensor(a, requires_grad=w) for a, w in zip(arrays, wanted, strict=True)]
    outputs = as_tuple(row.oracle(*leaves))
    cotangents = normal_like([o.detach() for o in outputs], 1)
    given = [torch.tensor(c, requires_grad=True) for c in cotangents]
    sources = [leaf for leaf in leaves if leaf.requires_grad]
    first = torch.autograd.grad(outputs, sources, given, create_graph=True)
    weights = normal_like([g.detach() for g in first], 2)
    total = sum((torch.tensor(w) * g).sum() for w, g in zip(weights, first, strict=True))
    try:
        want = torch.autograd.grad(total, [*sources, *given], allow_unused=True)
    except RuntimeError as error:
        pytest.skip(f"torch has no second derivative here: {error}")

    module = pulled_back(name)
    gradients, residuals = module.forward(*arrays, *cotangents, **row.attributes)
    for got, expected in zip(as_tuple(gradients), first, strict=True):
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
    second = module.backward(residuals, *weights)
    for field, got, expected in zip(second._fields, second, want, strict=True):
        expected = np.zeros_like(got) if expected is None else expected.numpy(force=True)
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9, err_msg=f"gradient of {field}")


@pytest.mark.parametrize("name", DIFFERENCES)
def test_second_derivatives_are_differences_of_first_ones(name: str) -> None:
    here = point(name)
    if not here.wanted:
        pytest.skip("no input has a gradient")
    plain = compile_layer(here.layer)
    outputs, _ = plain.forward(*here.arrays.values(), **here.attributes)
    cotangents = normal_like(as_tuple(outputs), 1)
    gradients, residuals = pulled_back(name).forward(*here.arrays.values(), *cotangents, **here.attributes)
    weights = normal_like(as_tuple(gradients), 2)
    second = pulled_back(name).backward(residuals, *weights)._asdict()
    tangents = dict(zip(here.wanted, normal_like([here.arrays[k] for k in here.wanted], 3), strict=True))
    sides = []
    for step in (STEP, -STEP):
        moved = [a + step * tangents[k] if k in tangents else a for k, a in here.arrays.items()]
        sides.append(plain.backward(plain.forward(*moved, **here.attributes)[1], *cotangents))
    slopes = [(up - down) / (2 * STEP) for up, down in zip(*sides, strict=True)]
    numeric = sum(float((w * s).sum()) for w, s in zip(weights, slopes, strict=True))
    exact = sum(float((second[k] * tangents[k]).sum()) for k in tangents)
    assert abs(exact - numeric) <= 1e-5 * (1 + abs(numeric)), f"{exact}, expected {numeric}"


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "conv1d", "gelu"])
def test_rows_and_columns_of_the_jacobian_agree(name: str) -> None:
    """A row is the vjp of a unit cotangent, a column the jvp of a unit tangent."""
    here = point(name)
    y, _ = compile_layer(here.layer).forward(*here.arrays.values(), **here.attributes)
    pushed = compile_layer(symgrad.jvp(here.layer))
    x = here.arrays["x"]
    rest = [np.zeros_like(here.arrays[k]) for k in here.wanted[1:]]
    for place in range(min(x.size, 6)):
        unit = np.zeros(x.size)
        unit[place] = 1
        column, _ = pushed.forward(*here.arrays.values(), unit.reshape(x.shape), *rest, **here.attributes)
        for output in range(min(y.size, 6)):
            cotangent = np.zeros(y.size)
            cotangent[output] = 1
            rows, _ = pulled_back(name).forward(*here.arrays.values(), cotangent.reshape(y.shape), **here.attributes)
            assert as_tuple(rows)[0].flat[place] == pytest.approx(column.flat[output], rel=1e-9, abs=1e-12)


def test_a_gauss_newton_product() -> None:
    """J^T J v through the two first derivatives, against torch's Jacobian."""
    rng = np.random.default_rng(5)
    x, w, b = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=5)
    net = symgrad.chain(symgrad.layers.dense, symgrad.layers.softmax)
    pushed, pulled = compile_layer(symgrad.jvp(net)), compile_layer(symgrad.vjp(net))
    v = rng.normal(size=w.shape)
    forward, _ = pushed.forward(x, w, b, np.zeros_like(x), v, np.zeros_like(b))
    _, product, _ = pulled.forward(x, w, b, forward)[0]
    tensors = [torch.tensor(a) for a in (x, w, b)]
    jacobian = torch.autograd.functional.jacobian(
        lambda weight: torch.softmax(tensors[0] @ weight.T + tensors[2], 1), tensors[1]
    ).reshape(15, 20)
    want = (jacobian.T @ (jacobian @ torch.tensor(v).reshape(20))).reshape(5, 4)
    np.testing.assert_allclose(product, want.numpy(), rtol=1e-9, atol=1e-12)
