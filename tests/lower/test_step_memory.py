"""What loops fill in has its steps first in memory, and steps write where their results belong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Piecewise, Sum, symbols, tanh

import symgrad
from symgrad import Layer, check_layer, layers
from symgrad.compiler import show_stage

N, T, M = symbols("N T M", integer=True, positive=True)
n, t, m, i = Idx("n", N), Idx("t", T), Idx("m", M), Idx("i", M)
x, r, h = (IndexedBase(name) for name in "xrh")

RECURRENT = ["rnn", "gru", "lstm", "state_space_scan", "linear_attention", "gated_delta_attention", "crf_log_partition"]
FIRST = re.compile(r"= np\.(?:empty|zeros|full)\(\(T(?: \+ 1)?, .*\)\.transpose\(")


def of(name, schedule):
    return symgrad.compile_layer(layers.get(name), schedule=schedule)


@pytest.mark.parametrize("name", RECURRENT)
def test_the_results_are_those_of_the_readable_schedule_bit_for_bit_or_nearly(name):
    assert check_layer(layers.get(name), schedule="fast", cases=3).ok


def test_states_stand_side_by_side_in_a_step():
    module = of("lstm", "fast")
    rng = np.random.default_rng(0)
    batch, steps, inputs, units = 3, 5, 4, 6
    shapes = ((batch, steps, inputs), (batch, units), (batch, units))
    shapes += ((4, units, inputs), (4, units, units), (4, units))
    (states, _), residuals = module.forward(*(rng.normal(size=s) for s in shapes))
    shapes = {(batch, steps, units), (batch, steps + 1, units)}
    stepped = [a for a in residuals if getattr(a, "shape", None) in shapes]
    assert len(stepped) > 4
    assert all(a[:, 1].flags.c_contiguous for a in stepped)
    assert states.shape == (batch, steps, units)


def test_the_readable_schedule_keeps_axes_in_order():
    assert not FIRST.search(of("lstm", "readable").source)
    assert FIRST.search(of("lstm", "fast").source)


def test_what_a_product_takes_together_keeps_its_order():
    """``grad_pre_h`` is seen as one matrix after the loop, which would be a copy if steps came first."""
    source = of("rnn", "fast").source
    assert re.search(r"grad_pre_h = np\.empty\(\(N, T, M\)", source)
    assert re.search(r"grad_h_states = np\.zeros\(\(T \+ 1, N, M\)", source)
    in_parts = of("gru", "fast").source
    assert "grad_pre_reset_part_matrix" in in_parts  # a range of it, in a part
    assert re.search(r"grad_pre_reset = np\.empty\(\(N, T, M\)", in_parts)


def test_what_the_caller_gets_keeps_its_order():
    for name in ("exponential_moving_average", "linear_recurrence", "rnn", "gru", "cumulative_product"):
        source = of(name, "fast").source
        for result in ("y", "grad_x"):
            assert not re.search(rf"^ +{result} = np\.\w+\(.*\)\.transpose\(", source, re.M), name


def test_steps_write_where_results_belong():
    source = of("lstm", "fast").source
    assert "np.tanh(cell[:, t], out=tanh_cell[:, t])" in source
    assert "out=grad_z[:, t, 1])" in source
    assert "out=" not in of("lstm", "readable").source.split("# --- helpers ---")[0]
    text = show_stage(layers.lstm, "lower", schedule="fast")
    assert "steps first in memory" in text and "without an array in between" in text


def test_steps_of_several_loops_write_where_results_belong():
    """What each of two loops assigns has one shape: the first step has no state before it."""
    before = Piecewise((h[n, t - 1, i], t > 0), (0, True))
    equation = Eq(h[n, t, m], x[n, t, m] * tanh(Sum(r[m, i] * before, i)))
    layer = Layer("kept", inputs=[x[N, T, M], r[M, M]], equations=[equation])
    source = symgrad.compile_layer(layer, schedule="fast").source
    assert source.count("np.tanh(sum_h, out=tanh_sum_h[:, t])") == 2
    assert check_layer(layer, schedule="fast", cases=3).ok


def test_places_that_are_set_in_a_step_are_set_in_the_whole_array():
    """No array of the step's own, with zeros that are then all written over, and a copy of it."""
    for schedule in ("readable", "fast"):
        source = of("lstm", schedule).source
        assert "grad_z_step" not in source
        assert "grad_z[:, t, 3]" in source
