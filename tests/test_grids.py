"""Derivatives of recurrences along several indices: ``check`` of every derived layer, each gradient alone too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from symgrad import Layer, check_layer, jvp, vjp
from symgrad.declare.textform import parse_layer

DERIVED: dict[str, Callable[[Layer], Layer]] = {
    "vjp": vjp,
    "vjp_of_vjp": lambda layer: vjp(vjp(layer)),
    "jvp_of_vjp": lambda layer: jvp(vjp(layer)),
}
GRIDS = {
    "three_indices": "h[i,j,k] = x[i,j,k]/2 + pad(h)[i-1,j,k] + tanh(pad(h)[i,j-1,k])*pad(h)[i,j,k-1]",
    "corners": "h[i,j,k] = x[i,j,k]*tanh(pad(h)[i-1,j-1,k] + w[k]*pad(h)[i,j-1,k-1]*pad(h)[i-1,j,k])",
    "borders_of_inputs": "h[i,j] = where(i==0, x[j], where(j==0, w[i], h[i-1,j]*h[i,j-1] + sin(h[i-1,j-1])))",
    "from_the_far_end": "h[i,j] = where(j==0, x[i], where(i==I-1, w[j]*v, h[i+1,j]*h[i,j-1] + sin(h[i+1,j-1])))",
    "two_states": "a[i,j] = tanh(pad(b)[i-1,j])*x[i,j] + pad(a)[i,j-1]; "
    "b[i,j] = a[i,j]*pad(b)[i,j-1] + pad(a)[i-1,j-1]**2",
    "longer_lags": "h[i,j] = x[i,j]*tanh(pad(h)[i-2,j] + w[j]*pad(h)[i,j-3]*pad(h)[i-1,j-1])",
}


@pytest.mark.parametrize("derived", DERIVED)
@pytest.mark.parametrize("grid", GRIDS)
def test_derivatives_of_a_grid(grid: str, derived: str) -> None:
    report = check_layer(DERIVED[derived](parse_layer(GRIDS[grid], grid)), seed=2, cases=1)
    assert report.ok, str(report)
