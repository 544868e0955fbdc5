"""What forward keeps: every policy gives the same gradients; ``recompute`` keeps inputs and outputs alone."""

from __future__ import annotations

import builtins
import symtable
from collections.abc import Collection

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, symbols

from symgrad import Layer, ReduceMax, chain, compile_layer, layers

from ..agreement import as_tuple
from ..points import NAMES, point

EXTREMA = ["max_axis", "max_pool1d", "max_pool2d_dilated", "adaptive_max_pool1d", "global_max_pool2d"]
EXTREMA += ["global_max_pool3d", "spatial_pyramid_pool2d"]
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


@pytest.mark.parametrize("policy", ["auto", "store", "recompute"])
@pytest.mark.parametrize("name", dict.fromkeys([*NAMES[::2], *EXTREMA]))
def test_the_fast_schedule_runs_with_every_policy(name: str, policy: str) -> None:
    here = point(name)
    compiled = compile_layer(here.layer, residuals=policy, schedule="fast")
    assert not unassigned(symtable.symtable(compiled.source, name, "exec"), dir(builtins))
    plain = compile_layer(here.layer)
    outputs, residuals = compiled.forward(*here.arrays.values(), **here.attributes)
    want, kept = plain.forward(*here.arrays.values(), **here.attributes)
    for found, expected in zip(as_tuple(outputs), as_tuple(want), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    rng = np.random.default_rng(0)
    cotangents = [np.asarray(rng.normal(size=np.shape(y))) for y in as_tuple(outputs)]
    gradients = compiled.backward(residuals, *cotangents), plain.backward(kept, *cotangents)
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def unassigned(scope: symtable.SymbolTable, known: Collection[str]) -> set[str]:
    """Names that a module's text reads and that nothing around gives a value."""
    symbols = scope.get_symbols()
    given = {s.get_name() for s in symbols if s.is_assigned() or s.is_parameter() or s.is_imported()}
    given |= {"__name__", *known}
    found = {s.get_name() for s in symbols if s.is_referenced()} - given
    return found.union(*(unassigned(inner, given) for inner in scope.get_children()))


def test_forward_finds_no_position_for_backward_alone() -> None:
    B, N = symbols("B N", integer=True, positive=True)
    x, y, b, n = IndexedBase("x"), IndexedBase("y"), Idx("b", B), Idx("n", N)
    layer = Layer("largest", [x[B, N]], [Eq(y[b], ReduceMax(x[b, n], n))])
    for schedule in ("readable", "fast"):
        compiled = compile_layer(layer, residuals="recompute", schedule=schedule)
        forward = compiled.source[compiled.source.index("def forward") : compiled.source.index("def backward")]
        assert "winner" not in forward
        assert "argmax" not in forward
        values = np.random.default_rng(0).normal(size=(3, 4))
        largest, residuals = compiled.forward(values)
        np.testing.assert_array_equal(largest, values.max(axis=1))
        gradient = compiled.backward(residuals, np.ones(3)).x
        np.testing.assert_array_equal(gradient, values == largest[:, None])


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
