"""``symgrad bench``: what it measures, at which sizes, and what it says to arguments that do not fit."""

import json

import numpy as np
import pytest
from click.testing import CliRunner, Result

import symgrad
from symgrad.cli import main
from symgrad.commands.count import operations
from symgrad.commands.measuring import measure
from symgrad.commands.setting import setting_of
from symgrad.declare.textform import parse_layer

SMALL = ("--shape", "x=3,4", "--shape", "w=5,4")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["bench", *arguments, "--seconds", "0"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def measured(*arguments: str) -> dict:
    return json.loads(run(*arguments, "--threads", "1", "--json").stdout)


def test_it_tells_times_rates_and_memory_of_both_passes():
    printed = run("dense", *SMALL, "--threads", "1").stdout
    assert printed.startswith("dense(x[3, 4], w[5, 4], b[5]), float32, threads: 1")
    for word in ("readable", "fast", "forward", "backward", "both", "median ms", "min ms", "Gflop/s", "residuals"):
        assert word in printed


def test_as_json():
    found = measured("dense", *SMALL, "--dtype", "float64")
    assert found["layer"] == "dense"
    assert found["dtype"] == "float64"
    assert found["threads"] == 1
    assert found["shapes"] == {"x": [3, 4], "w": [5, 4], "b": [5]}
    assert found["sizes"] == {"N": 3, "M": 4, "K": 5}
    assert found["bytes"] == {"inputs": 8 * (12 + 20 + 5), "outputs": 8 * 15}
    assert found["operations"] == {"forward": 2 * 3 * 4 * 5, "backward": 2 * 2 * 3 * 4 * 5}
    assert list(found["schedules"]) == ["readable", "fast"]
    for schedule in found["schedules"].values():
        assert schedule["same_as"] in found["schedules"]
        assert schedule["runs"] >= 1
        for name in ("forward", "backward", "both"):
            assert 0 < schedule[name]["minimum"] <= schedule[name]["median"]


def test_memory_is_that_of_the_module():
    found = measured("softmax", "--shape", "x=100,1000", "--schedule", "readable")["schedules"]["readable"]
    array = 4 * 100 * 1000
    assert found["residuals"] == array  # y
    assert found["own_residuals"] == 0
    assert 2 * array <= found["peak"] <= 5 * array  # y and the gradient at least


def test_residuals_of_their_own_are_told_apart():
    text = "z[n] = exp(x[n])*cos(x[n]); y[n] = z[n]*z[n]*sin(z[n])"
    kept = measured(text, "--shape", "x=50", "--schedule", "readable")["schedules"]["readable"]
    compiled = symgrad.compile_layer(parse_layer(text))
    x = np.ones(50, np.float32)
    y, residuals = compiled.forward(x)
    arrays = [a for a in residuals if isinstance(a, np.ndarray)]
    assert kept["residuals"] == sum(a.nbytes for a in arrays)
    assert kept["own_residuals"] == sum(a.nbytes for a in arrays if a is not x and a is not y)
    assert kept["own_residuals"] > 0


def test_one_schedule_alone():
    assert list(measured("relu", "--shape", "x=2,3", "--schedule", "fast")["schedules"]) == ["fast"]


def test_sizes_that_no_shape_determines_are_typical():
    layer = symgrad.layers.conv2d
    typical = {str(symbol): size for symbol, size in layer.typical.items()}
    setting = setting_of(layer, ["x=2,3,9,9"], ["stride=2"])
    assert setting.shapes["x"] == (2, 3, 9, 9)
    assert setting.shapes["w"] == (typical["K"], 3, typical["R"], typical["S"])
    assert setting.shapes["b"] == (typical["K"],)
    assert setting.attributes == {"stride": 2, "padding": 0, "dilation": 1}
    assert setting_of(layer).sizes.items() >= typical.items()


def test_an_attribute_helps_to_solve_for_sizes():
    setting = setting_of(symgrad.layers.grouped_conv2d, ["x=2,64,8,8"], ["groups=4"])
    assert setting.shapes["w"][1] == 16
    assert setting.shapes["w"][0] % 4 == 0


def test_layers_without_typical_sizes_and_scalars():
    setting = setting_of(parse_layer("y[n] = scale*x[n] + pad(x)[n - 1]"))
    assert setting.shapes["scale"] == ()
    assert setting.shapes["x"][0] > 1


def test_integers_are_valid_indices():
    found = measured("embedding", "--shape", "table=3,2", "--shape", "ids=4,50")
    assert found["operations"] is None
    assert found["schedules"]["readable"]["backward"]["median"] > 0
    measured("softmax_cross_entropy", "--shape", "logits=40,2")
    measured("one_hot", "--shape", "positions=9", "--set", "R=2")


def test_integers_that_no_axis_bounds_are_drawn_until_they_are_valid():
    measured("y[n] = x[ids[n] + 3]", "--shape", "x=5", "--shape", "ids=100")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_real_inputs_have_the_dtype_asked_for(dtype):
    found = measured("relu", "--shape", "x=8,16", "--dtype", dtype)
    assert found["bytes"]["inputs"] == 8 * 16 * np.dtype(dtype).itemsize


def test_a_layer_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(main, ["new", "leaky"], catch_exceptions=False)
    result = run("leaky.py:leaky", "--shape", "x=2,3", "--set", "slope=0.2")
    assert result.stdout.startswith("leaky(x[2, 3], ")
    assert "slope=0.2" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dense", "--shape", "z=3"], "dense has no input z; its inputs: x, w, b"),
        (["dense", "--shape", "x=3"], "x is declared with 2 axes [N, M], but x=3 has 1"),
        (["dense", "--shape", "x=3,a"], "the shape of x is '3,a'; write x=16,64,32,32"),
        (["dense", "--shape", "x=-3,4"], "an extent is at least 0"),
        (["dense", "--shape", "x"], "'x' does not say what it gives a value to"),
        (["dense", "--shape", "x=3,4", "--shape", "w=5,6"], "axis 1 of w has extent 6, but M = 4"),
        (["dense", "--set", "stride=2"], "dense has no attribute stride; its attributes: none"),
        (["conv2d", "--set", "stride=half"], "the attribute stride is a whole number, not 'half'"),
        (["conv2d", "--set", "step=2"], "its attributes: stride, padding, dilation"),
        (["conv2d", "--set", "stride=0"], "stride must be at least 1, got 0"),
        (["grouped_conv2d", "--shape", "x=2,30,8,8", "--set", "groups=4"], "axis 1 of x has extent 30"),
        (["densely"], "there is no layer 'densely' in the catalogue"),
    ],
)
def test_what_does_not_fit_is_told(arguments, message):
    assert message in run(*arguments, code=2).stderr


@pytest.mark.parametrize(
    ("layer", "shapes", "forward", "backward"),
    [
        ("dense", ["x=3,4", "w=5,4"], 2 * 3 * 4 * 5, 2),
        ("conv2d", ["x=2,3,9,9", "w=4,3,3,3"], 2 * 2 * 4 * 7 * 7 * 3 * 3 * 3, 2),
        ("dot_product_attention", ["query=2,5,4", "key=2,7,4", "value=2,7,6"], 2 * 2 * 5 * 7 * (4 + 6), 2),
        ("rnn", ["x=2,5,3", "r=4,4"], 2 * 2 * 5 * 4 * (3 + 4), 2),
    ],
)
def test_operations_are_those_of_the_sums_of_products(layer, shapes, forward, backward):
    found = symgrad.layers.get(layer)
    assert operations(found, setting_of(found, shapes).sizes) == (forward, backward * forward)


@pytest.mark.parametrize("name", ["relu", "layer_norm", "embedding", "max_pool2d", "segment_sum", "transposed_conv2d"])
def test_layers_without_sums_of_products_that_can_be_counted(name):
    layer = symgrad.layers.get(name)
    assert operations(layer, setting_of(layer).sizes) is None


def test_schedules_of_a_long_recurrence_agree():
    """Its inputs are drawn so that it does not blow rounding up."""
    found = measured("lstm", "--shape", "x=4,64,32", "--shape", "r=4,64,64")
    assert (found["difference"] or 0) < 1e-4


def test_a_module_that_takes_threads_is_told_how_many():
    text = """
seen = []
def forward(x, *, threads=None):
    assert threads == 3, threads
    return x + x, ()
def backward(residuals, grad_y, wrt=None, *, threads=None):
    assert threads == 3, threads
    return (2 * grad_y,)
"""
    job = {
        "modules": {"threaded": text},
        "inputs": {"x": {"shape": [4], "recipe": "normal"}},
        "attributes": {},
        "dtype": "float32",
        "threads": 3,
        "seconds": 0,
    }
    assert measure(job)["modules"]["threaded"]["runs"] > 0


def test_modules_that_differ_are_said_to():
    job = {
        "modules": {
            name: f"def forward(x):\n    return {factor} * x, ()\n"
            f"def backward(residuals, grad_y):\n    return ({factor} * grad_y,)\n"
            for name, factor in (("one", 1), ("other", 1.5))
        },
        "inputs": {"x": {"shape": [4], "recipe": "normal"}},
        "attributes": {},
        "dtype": "float64",
        "threads": None,
        "seconds": 0,
    }
    assert measure(job)["apart"] == pytest.approx(0.5)
