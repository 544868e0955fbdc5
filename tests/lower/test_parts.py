"""The fast schedule: parts of an axis, on threads, give what the whole gives."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, exp, symbols

import symgrad
from symgrad import layers
from symgrad.compiler import CompiledLayer, run
from symgrad.declare.textform import parse_layer

from ..agreement import as_tuple
from ..emit.test_layout import needs_ruff, ruff_difference
from ..points import NAMES, cotangents, point, stages


def _results(compiled, case, **options):
    outputs, residuals = compiled.forward(*case.arrays.values(), **case.attributes, **options)
    values = dict(zip(case.layer.outputs, as_tuple(outputs), strict=True))
    grads = compiled.backward(residuals, *cotangents(values, case.layer), **options)
    return values | {f"grad_{name}": g for name, g in zip(grads._fields, grads, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_fast_modules_agree_with_readable_ones(name):
    case = point(name)
    whole = _results(CompiledLayer(stages(name)), case)
    fast = CompiledLayer(run(case.layer, schedule="fast"))
    options = [{}]
    if hasattr(fast.module, "_PART"):
        fast.module._PART = 5
        options += [{"threads": 1}, {"threads": 2}, {"threads": 3}]
    for option in options:
        parts = _results(fast, case, **option)
        assert parts.keys() == whole.keys()
        for key, value in whole.items():
            assert np.asarray(parts[key]).dtype == np.asarray(value).dtype, key
            np.testing.assert_allclose(parts[key], value, rtol=1e-9, atol=1e-11, err_msg=f"{key} with {option}")


def _in_small_parts(name):
    """A fast layer whose parts have at most eight elements."""
    compiled = CompiledLayer(run(point(name).layer, schedule="fast"))
    compiled.module._PART = 8
    return compiled


def test_large_sums_over_the_axis_of_parts_are_added_up():
    compiled = symgrad.compile_layer(symgrad.layers.conv2d, schedule="fast")
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(7, 3, 9, 8)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)
    plain = symgrad.compile_layer(symgrad.layers.conv2d)
    y, residuals = plain.forward(x, w, b, padding=1)
    grad_y = rng.normal(size=y.shape)
    wanted = plain.backward(residuals, grad_y)
    for part, threads in ((1, 2), (500, 2), (500, 1), (10**6, None)):
        compiled.module._PART = part
        y_fast, residuals = compiled.forward(x, w, b, padding=1, threads=threads)
        np.testing.assert_allclose(y_fast, y, rtol=1e-12, atol=1e-12)
        for got, want in zip(compiled.backward(residuals, grad_y, threads=threads), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


def test_gradients_that_nobody_asked_for_are_none_and_cost_nothing():
    compiled = symgrad.compile_layer(symgrad.layers.conv2d, schedule="fast")
    compiled.module._PART = 100
    x, w, b = np.ones((5, 2, 6, 6)), np.ones((3, 2, 3, 3)), np.ones(3)
    y, residuals = compiled.forward(x, w, b, stride=2)
    compiled.module._windows = None  # only the gradient of w needs windows
    grads = compiled.backward(residuals, y, wrt=("b", "x"), threads=2)
    assert grads.w is None
    assert grads.x.shape == x.shape
    np.testing.assert_allclose(grads.b, y.sum(axis=(0, 2, 3)))


def test_errors_and_floating_point_settings_reach_the_threads():
    compiled = _in_small_parts("sigmoid")
    log = symgrad.compile_layer(parse_layer("y[n,m] = log(x[n,m])"), schedule="fast")
    log.module._PART = 8
    x = np.ones((64, 3))
    x[60] = 0
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        log.forward(x, threads=2)
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        y, _ = log.forward(x, threads=2)
    assert np.isneginf(y[60]).all() and np.isfinite(np.delete(y, 60, axis=0)).all()
    with pytest.raises(ValueError, match="threads must be None or a number from 1 on, got 0"):
        compiled.forward(x, threads=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_buffers_of_numpy_are_the_callers_again_afterwards(threads):
    """Short ones are for parts alone, on all threads."""
    module = symgrad.compile_layer(symgrad.layers.relu, schedule="fast").module
    found = []

    def part(start, stop):
        found.append(np.getbufsize())
        if len(found) > 3:
            raise KeyError(start)

    before = np.setbufsize(4096)
    try:
        module._side_by_side(part, 3, 3, threads, threads)
        assert np.getbufsize() == 4096 and found == [1024] * 3
        with pytest.raises(KeyError):
            module._side_by_side(part, 3, 3, threads, threads)
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(before)


def test_matrix_products_have_their_threads_back_afterwards():
    compiled = _in_small_parts("conv2d")
    module, case = compiled.module, point("conv2d")
    if module._BLAS is None:
        pytest.skip("NumPy's matrix products cannot be told how many threads to take")
    before = module._BLAS[0]()
    compiled.forward(*case.arrays.values(), **case.attributes, threads=2)
    assert module._BLAS[0]() == before
    with pytest.raises(ZeroDivisionError):
        module._in_parts(lambda start, stop: 1 // 0, 100, 1, 2)
    assert module._BLAS[0]() == before


@pytest.mark.parametrize(
    ("name", "rows", "woken"),
    [("relu", 500, False), ("relu", 550, True), ("gelu", 250, False), ("gelu", 300, True)]
    + [("softmax", 500, False), ("softmax", 550, True)],
)
def test_a_thread_is_woken_for_what_takes_longer_than_waking_it(name, rows, woken):
    """Of work that is done element by element with a function that takes long, half as much is enough."""
    module = symgrad.compile_layer(layers.get(name), schedule="fast").module
    helpers, asked = module._helpers, []
    module._helpers = lambda count: asked.append(1) or helpers(count)
    x = np.random.default_rng(0).normal(size=(rows, 1000))
    y, residuals = module.forward(x, threads=2)
    assert bool(asked) == woken
    whole, _ = module.forward(x, threads=1)
    if name == "softmax":  # sums of 1000 are products, whose last bits depend on which rows are beside each other
        np.testing.assert_array_max_ulp(y, whole, 32)
    else:
        np.testing.assert_array_equal(y, whole)
    asked.clear()
    module.backward(residuals, y, threads=2)
    assert bool(asked) == woken


def _sides():
    """The function of an emitted module that runs parts on threads."""
    return symgrad.compile_layer(layers.relu, schedule="fast").module._side_by_side


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_what_parts_return_is_added_in_their_order_whoever_is_first(threads):
    rng = np.random.default_rng(0)
    values, waits = rng.normal(size=60).astype(np.float32), rng.random(60) / 500

    def part(start, stop):
        time.sleep(waits[start])
        return (values[start:stop].sum(), np.full(2, values[start]))

    want = np.float32(0)
    for value in values:
        want = want + value
    got = _sides()(part, 60, 60, threads, threads)
    assert got[0] == want
    np.testing.assert_array_equal(got[1], [want, want])


@pytest.mark.parametrize("fails", [0, 1, 7])
@pytest.mark.parametrize("sums", [False, True])
def test_a_part_that_fails_ends_the_work_and_is_reported(fails, sums):
    begun, side_by_side = [], _sides()

    def part(start, stop):
        begun.append(start)
        time.sleep(0.001)
        if start == fails:
            raise ZeroDivisionError(start)
        return start if sums else None

    with pytest.raises(ZeroDivisionError):
        side_by_side(part, 100, 100, 3, 3)
    assert len(begun) < 20
    assert side_by_side(lambda start, stop: start, 100, 100, 3, 3) == sum(range(100))


def test_nothing_that_was_computed_is_held_by_threads():
    def work(array):
        _sides()(lambda start, stop: time.sleep(0.001 * len(array)), 9, 9, 3, 3)
        return weakref.ref(array)

    alive = work(np.zeros(9))
    deadline = time.monotonic() + 5
    while alive() is not None and time.monotonic() < deadline:
        gc.collect()
    assert alive() is None


def test_threads_of_the_caller_get_the_same_results():
    compiled = _in_small_parts("softmax")
    x = np.random.default_rng(0).normal(size=(200, 7))
    want = compiled.forward(x, threads=1)[0]
    with ThreadPoolExecutor(4) as pool:
        for y, _ in pool.map(lambda threads: compiled.forward(x, threads=threads), [None, 2, 3, None, 2, 1]):
            np.testing.assert_array_equal(y, want)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own():
    compiled = _in_small_parts("softmax")
    x = np.random.default_rng(0).normal(size=(200, 7))
    want = compiled.forward(x, threads=2)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads is what is tried here
        child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(compiled.forward(x, threads=2)[0], want) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_axis_without_positions_and_one_of_one_part():
    compiled = _in_small_parts("layer_norm")
    for rows in (0, 1, 2, 100):
        x, gamma, beta = np.random.default_rng(0).normal(size=(rows, 5)), np.ones(5), np.zeros(5)
        y, residuals = compiled.forward(x, gamma, beta, threads=2)
        grads = compiled.backward(residuals, np.ones_like(y), threads=2)
        assert y.shape == x.shape and grads.gamma.shape == (5,)
        np.testing.assert_allclose(grads.beta, np.full(5, float(rows)))


def test_a_network_is_cut_where_its_matrix_products_are():
    """Large products stand alone; what is before, between and after them goes in parts, winners beside maxima."""
    whole = [
        layers.conv2d,
        layers.relu2d,
        layers.max_pool2d,
        layers.flatten,
        layers.dense,
        layers.softmax_cross_entropy,
    ]
    network = symgrad.chain(*whole, name="network")
    readable, fast = (symgrad.compile_layer(network, schedule=s) for s in ("readable", "fast"))
    fast.module._PART = 50
    forward = fast.source[fast.source.index("def forward") : fast.source.index("def backward")]
    assert forward.count("_in_parts(") == 1
    assert forward.index("flatten_y[start:stop]") < forward.index("_in_parts(") < forward.index("dense_y = ")
    assert "argmax" not in forward
    rng = np.random.default_rng(0)
    shapes = [(5, 3, 9, 9), (4, 3, 3, 3), (4,), (7, 4 * 3 * 3), (7,)]
    arrays = [*(rng.normal(size=shape) for shape in shapes), rng.integers(0, 7, 5)]
    results = []
    for compiled in (readable, fast):
        loss, residuals = compiled.forward(*arrays)
        results.append((loss, *compiled.backward(residuals, np.array(2.0))))
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_rows_that_data_place_are_placed_once():
    source = symgrad.compile_layer(symgrad.layers.embedding, schedule="fast").source
    assert "_in_parts" not in source[source.index("def backward") : source.index("# --- helpers")]


def test_products_that_stand_alone_are_cut_for_threads_and_not_for_the_cache():
    source = symgrad.compile_layer(symgrad.layers.dense, schedule="fast").source
    assert "_product(x, w.T, threads)" in source and "_in_parts" not in source


def test_products_in_a_recurrence_are_left_to_the_library():
    assert "threads" not in symgrad.compile_layer(symgrad.layers.rnn, schedule="fast").source


SHAPES = [
    ((900, 400), (400, 120)),
    ((120, 400), (400, 900)),
    ((3, 700, 250), (250, 90)),
    ((700, 250), (3, 250, 210)),
    ((2, 1, 600, 250), (3, 250, 150)),
    ((9, 3000), (3000, 700)),
    ((300, 200), (200, 100)),
    ((700, 900), (900,)),
    ((900,), (900, 700)),
    ((0, 900), (900, 700)),
    ((7, 0), (0, 5)),
    ((20, 4), (4, 30)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_a_shared_product_is_the_product(shapes):
    module = symgrad.compile_layer(symgrad.layers.dense, schedule="fast").module
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape) for shape in shapes)
    before = module._BLAS and module._BLAS[0]()
    done = threading.Event()
    threading.Thread(target=done.wait, daemon=True).start()  # one that products of BLAS would slow down
    for left, right in ((a, b), (np.asfortranarray(a), np.asfortranarray(b)), (a[::-1], b)):
        for threads in (None, 1, 2, 3):
            found = module._product(left, right, threads)
            assert found.shape == (left @ right).shape and found.flags.c_contiguous
            np.testing.assert_allclose(found, left @ right, rtol=1e-11, atol=1e-11)
    done.set()
    assert (module._BLAS and module._BLAS[0]()) == before


def test_an_error_in_one_of_several_threads_gives_the_librarys_threads_back():
    module = symgrad.compile_layer(symgrad.layers.dense, schedule="fast").module
    before = module._BLAS and module._BLAS[0]()

    def fails(start, stop):
        with module._one_thread_each():
            raise KeyError(start)

    with pytest.raises(KeyError):
        module._side_by_side(fails, 10, 4, 2, 2)
    assert (module._BLAS and module._BLAS[0]()) == before and not module._HELD


@needs_ruff
@pytest.mark.parametrize("part", range(4))
def test_fast_modules_are_laid_out(part, tmp_path):
    for name in NAMES[part::4]:
        (tmp_path / f"{name}.py").write_text(run(point(name).layer, schedule="fast").source)
    assert ruff_difference(tmp_path) == ""


def _as_the_readable_one(layer, *arrays, **attributes):
    """Compare both schedules, the fast one in parts of four elements."""
    results = []
    for schedule in ("readable", "fast"):
        compiled = symgrad.compile_layer(layer, schedule=schedule)
        if schedule == "fast":
            compiled.module._PART = 4
        y, residuals = compiled.forward(*arrays, **attributes)
        results.append((y, *compiled.backward(residuals, np.arange(1.0, y.size + 1).reshape(y.shape))))
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    return results[0]


def test_a_tensor_shorter_than_the_axis_of_the_parts_is_read_beyond_its_end():
    q, w, y = (IndexedBase(name) for name in "qwy")
    i, j = Idx("i", symbols("N", integer=True, positive=True) + 4), Idx("j", 3)
    layer = symgrad.Layer(
        "made", inputs=[q[i.upper - 3], w[3]], equations=[Eq(y[i, j], exp(symgrad.Padded(q, 1)[i]) * w[j])]
    )
    y, *_ = _as_the_readable_one(layer, np.zeros(3), np.arange(1.0, 4.0))
    np.testing.assert_allclose(y[:, 0], [1, 1, 1, *[np.e] * 4])


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_small_work_refuses_what_is_no_number_of_threads(threads):
    module = symgrad.compile_layer(symgrad.layers.relu, schedule="fast").module
    with pytest.raises(ValueError, match="threads must be"):
        module.forward(np.ones((2, 3)), threads=threads)


@pytest.mark.parametrize("threads", [None, 1, 2, np.int64(2)])
def test_small_work_is_one_part(threads):
    module = symgrad.compile_layer(symgrad.layers.layer_norm, schedule="fast").module
    found = []
    assert module._in_parts(lambda start, stop: found.append((start, stop)), 100, 4, threads) is None
    assert found == [(0, 100)]
    assert module._in_parts(lambda start, stop: (1.0, None), 7, 4, threads) == (1.0, None)
