"""Flatten and dropout."""

from __future__ import annotations

import numpy as np
import pytest


def test_flatten_is_torchs(agree, rng):
    """Source: torch.flatten from axis 1."""
    pytest.importorskip("torch")
    agree("flatten", [rng.normal(size=(2, 3, 5, 4))], lambda x: x.flatten(1))


def test_flatten_is_a_reshape_there_and_back(compiled, rng):
    """Source: numpy.reshape in row-major order."""
    x, delta = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(2, 60))
    y, residuals = compiled("flatten").forward(x)
    np.testing.assert_array_equal(y, x.reshape(2, 60))
    np.testing.assert_array_equal(compiled("flatten").backward(residuals, delta).x, delta.reshape(2, 3, 5, 4))


@pytest.mark.parametrize("options", [{}, {"rate": 0.2}, {"rate": 0.0}], ids=["default", "rate=0.2", "rate=0"])
def test_dropout_is_the_mask_over_the_share_that_stays(agree, rng, options):
    """Source: Srivastava et al., section 10, written in torch: x times the mask over 1 - rate."""
    mask = (rng.uniform(size=(4, 5)) > 0.5).astype(float)
    agree(
        "dropout", [rng.normal(size=(4, 5)), mask], lambda x, kept: x * kept / (1 - options.get("rate", 0.5)), **options
    )


def test_dropout_scales_as_torch_does(compiled):
    """Source: torch.nn.functional.dropout: what it keeps of ones is what the layer makes of the same mask."""
    torch = pytest.importorskip("torch")
    kept = torch.nn.functional.dropout(torch.ones(50, 4, dtype=torch.float64), 0.25).numpy()
    y, _ = compiled("dropout").forward(np.ones((50, 4)), (kept > 0).astype(float), rate=0.25)
    np.testing.assert_allclose(y, kept, rtol=1e-12)
