"""What the tests of the catalogue share: compiled layers, and the comparison with torch.

An oracle is a function of torch tensors, one for every input of the layer and in their order; autograd
gives its gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import symgrad


@cache
def _compile(name: str) -> Any:
    return symgrad.compile_layer(symgrad.layers.get(name))


def _as_tuple(outputs: Any) -> tuple[Any, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers in every test."""
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def compiled() -> Callable[[str], Any]:
    """A catalogue layer by name, compiled once."""
    return _compile


@pytest.fixture
def agree(compiled: Callable[[str], Any]) -> Callable[..., None]:
    """``agree(name, arrays, oracle, **attributes)``: outputs and gradients are torch's, in float64; float32 stays."""
    torch = pytest.importorskip("torch")

    def compare(name: str, arrays: list[np.ndarray], oracle: Callable[..., Any], **attributes: Any) -> None:
        layer, module = symgrad.layers.get(name), compiled(name)
        wanted = tuple(t.name for t in layer.inputs if not (t.integer or t.constant))
        leaves = [torch.tensor(a, requires_grad=t.name in wanted) for a, t in zip(arrays, layer.inputs, strict=True)]
        expected = _as_tuple(oracle(*leaves))

        outputs, residuals = module.forward(*arrays, **attributes)
        for got, want in zip(_as_tuple(outputs), expected, strict=True):
            assert got.dtype == np.float64
            assert np.shape(got) == tuple(want.shape)
            np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-10, atol=1e-12)

        rng = np.random.default_rng(7)
        cotangents = [rng.normal(size=tuple(want.shape)) for want in expected]
        gradients = module.backward(residuals, *cotangents)
        assert gradients._fields == wanted
        if wanted:
            sources = [leaf for leaf in leaves if leaf.requires_grad]
            by_torch = torch.autograd.grad(expected, sources, [torch.tensor(g) for g in cotangents])
            for field, want in zip(wanted, by_torch, strict=True):
                got = getattr(gradients, field)
                assert got.dtype == np.float64
                assert np.shape(got) == tuple(want.shape)
                np.testing.assert_allclose(got, want.numpy(), rtol=1e-9, atol=1e-11, err_msg=f"gradient of {field}")

        singles = [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]
        outputs, residuals = module.forward(*singles, **attributes)
        gradients = module.backward(residuals, *[np.asarray(g, np.float32) for g in cotangents])
        assert {np.asarray(a).dtype for a in (*_as_tuple(outputs), *gradients)} == {np.dtype(np.float32)}

    return compare


LARGE = np.array([1e4, -1e4, 90.0, -90.0, 1.0, -0.5, 1e3, -20.0])


@pytest.fixture
def agree_in_single(compiled: Callable[[str], Any]) -> Callable[..., None]:
    """``agree_in_single(row, rng)``: with numbers up to +-1e4, float32 is as near to torch's float64 as float32 can be.

    A warning fails the test, here as everywhere.
    """
    torch = pytest.importorskip("torch")

    def compare(row: Any, rng: np.random.Generator) -> None:
        layer, module = symgrad.layers.get(row.name), compiled(row.name)
        arrays = row.arrays(rng)
        for place, tensor in enumerate(layer.inputs):
            if tensor.name in row.large.split():
                arrays[place] = rng.permutation(np.resize(LARGE, arrays[place].size)).reshape(arrays[place].shape)
        singles = [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]
        wanted = [not (t.integer or t.constant) for t in layer.inputs]
        leaves = [
            torch.tensor(a.astype(np.float64) if a.dtype == np.float32 else a, requires_grad=w)
            for a, w in zip(singles, wanted, strict=True)
        ]
        expected = _as_tuple(row.oracle(*leaves))
        outputs, residuals = module.forward(*singles, **row.attributes)
        for got, want in zip(_as_tuple(outputs), expected, strict=True):
            assert np.asarray(got).dtype == np.float32
            np.testing.assert_allclose(got, want.detach().numpy(), rtol=4e-6, atol=1e-6)
        cotangents = [np.asarray(rng.normal(size=tuple(want.shape)), np.float32) for want in expected]
        sources = [leaf for leaf in leaves if leaf.requires_grad]
        by_torch = torch.autograd.grad(expected, sources, [torch.tensor(g.astype(np.float64)) for g in cotangents])
        for got, want in zip(module.backward(residuals, *cotangents), by_torch, strict=True):
            assert np.asarray(got).dtype == np.float32
            np.testing.assert_allclose(got, want.numpy(), rtol=2e-5, atol=2e-6 * (1 + float(want.abs().max())))

    return compare
