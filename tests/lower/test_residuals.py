"""What forward keeps: every policy gives the same gradients; ``recompute`` keeps inputs and outputs alone."""

from __future__ import annotations

import numpy as np
import pytest

from symgrad import chain, compile_layer, layers

from ..agreement import as_tuple
from ..points import NAMES, point

NETWORK = chain(layers.dense, layers.relu, layers.dense, layers.softmax_cross_entropy, name="network")


@pytest.mark.parametrize("name", NAMES[::2])
def test_recomputed_values_are_the_kept_ones(name: str) -> None:
    here = point(name)
    allowed = {t.name for t in here.layer.inputs} | set(here.layer.outputs)
    found = []
    for policy in ("store", "recompute"):
        compiled = compile_layer(here.layer, residuals=policy)
        outputs, residuals = compiled.forward(*here.arrays.values(), **here.attributes)
        rng = np.random.default_rng(0)
        cotangents = [np.asarray(rng.normal(size=np.shape(y))) for y in as_tuple(outputs)]
        found.append(compiled.backward(residuals, *cotangents))
        arrays = {k for k, v in residuals._asdict().items() if isinstance(v, np.ndarray)}
        assert policy == "store" or arrays <= allowed
    for stored, recomputed in zip(*found, strict=True):
        np.testing.assert_allclose(recomputed, stored, rtol=1e-12, atol=1e-14)


def test_what_is_cheap_is_not_kept() -> None:
    kept = {policy: compile_layer(NETWORK, residuals=policy).stages.plan for policy in ("auto", "store", "recompute")}
    assert kept["auto"].again == ("relu_y",)
    assert set(kept["store"].residuals) - set(kept["auto"].residuals) == {"relu_y"}
    assert set(kept["recompute"].residuals) <= {t.name for t in NETWORK.inputs} | {"loss"}


def test_the_module_says_what_it_keeps() -> None:
    source = compile_layer(NETWORK).source
    assert "Computed again there: relu_y." in source
    assert "    dense_y: np.ndarray  # dense_y[N, K], kept\n" in source
    assert "    dense_w: np.ndarray  # dense_w[K, M], an input\n" in source
    assert "Computed again" not in compile_layer(NETWORK, residuals="store").source


def test_an_unknown_policy() -> None:
    with pytest.raises(ValueError, match="auto, store, recompute"):
        compile_layer(NETWORK, residuals="some")


def test_what_a_step_forms_of_much_less_is_formed_again() -> None:
    """The candidates of a step have an axis more than what they are made of: no function has them for all steps."""
    small = compile_layer(layers.crf_log_partition, residuals="store")
    compiled = compile_layer(layers.crf_log_partition)
    rng = np.random.default_rng(0)
    score, transition = rng.normal(size=(2, 5, 16)), rng.normal(size=(16, 16))
    total, residuals = compiled.forward(score, transition)
    assert all(v.size <= max(score.size, transition.size) for v in residuals if isinstance(v, np.ndarray))
    assert max(v.size for v in small.forward(score, transition)[1] if isinstance(v, np.ndarray)) == 2 * 4 * 16 * 16
    assert "Computed again there: exp_path." in compiled.source
    assert "np.pad" not in compiled.source
    cotangent = rng.normal(size=total.shape)
    expected = small.backward(small.forward(score, transition)[1], cotangent)
    for found, want in zip(compiled.backward(residuals, cotangent), expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-14)
