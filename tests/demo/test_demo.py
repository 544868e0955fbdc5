import io
import sys

import pytest
from rich.console import Console

from symgrad import compile_layer, demo, layers
from symgrad.demo import DemoError, run
from symgrad.demo.gradients import Direction
from symgrad.demo.report import Report, derived_formulas
from symgrad.errors import CheckError


def report(terminal=False):
    return Report(Console(file=io.StringIO(), force_terminal=terminal, width=80))


def test_the_demo_on_digits_from_layers_to_plot(tmp_path):
    shown = report()
    result = run(out=tmp_path / "out", epochs=1, report=shown)
    text = shown.console.file.getvalue()

    assert [network.name for network in result.networks] == ["conv", "dense"]
    assert [network.parameters for network in result.networks] == [87_178, 10_100]
    assert "1,668,490 parameters" in text
    for network in result.networks:
        assert len(network.epochs) == 1
        assert all(direction.ok for direction in network.directions)
        assert f"test accuracy {network.accuracy:.4f}" in text
    assert "grad_w[k, c, u, v] = sum_{n, i, j}" in text
    assert result.plot == tmp_path / "out" / "training.png"
    assert f"  {result.plot}\n" in text
    assert str(result.modules) in text
    assert (result.modules / "conv2d.py").read_text() == compile_layer(layers.get("conv2d")).source
    written = {path.stem for path in result.modules.iterdir()}
    assert {"conv2d", "max_pool2d", "batch_norm", "batch_norm_eval", "sgd_step", "adam_step"} <= written
    assert "\x1b" not in text


def test_the_demo_on_mnist_files(mnist_folder, tmp_path):
    shown = report()
    plot = tmp_path / "course.svg"
    result = run(mnist=mnist_folder, network="dense", epochs=2, batch=20, out=plot, seed=3, report=shown)
    (network,) = result.networks
    assert (network.dataset, network.parameters, len(network.epochs)) == ("MNIST", 82_100, 2)
    assert result.plot == plot
    assert plot.is_file()
    assert "batches of 20" in shown.console.file.getvalue()
    assert "grad_gamma[c] = " in shown.console.file.getvalue()


def test_a_terminal_sees_a_bar(mnist_folder, tmp_path):
    shown = report(terminal=True)
    run(mnist=mnist_folder, network="dense", epochs=1, batch=20, out=tmp_path, report=shown)
    assert "━" in shown.console.file.getvalue()


def test_a_gradient_that_disagrees_stops_the_demo(monkeypatch, mnist_folder, tmp_path):
    monkeypatch.setattr(demo, "check_gradient", lambda *_: [Direction("dense1.w", 7, 1.0, 1.1)])
    with pytest.raises(CheckError, match=r"network dense: relative error over 1e-05 in dense1\.w"):
        run(mnist=mnist_folder, network="dense", batch=20, out=tmp_path, report=report())
    assert not (tmp_path / "training.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "recurrent"}, "no network 'recurrent'; there are conv and dense"),
        ({"epochs": 0}, "0 epochs: at least 1"),
        ({"network": "dense", "batch": 1}, "batches of 1 images: the network dense takes 2 to 1,437"),
        ({"batch": 2000}, "batches of 2000 images"),
        ({"epochs": -2}, "-2 epochs"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path, arguments, message):
    with pytest.raises(DemoError, match=message):
        run(out=tmp_path / "out", report=report(), **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("module", ["sklearn.datasets", "matplotlib.figure"])
def test_without_its_extra_the_demo_says_so_at_once(monkeypatch, tmp_path, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DemoError, match="extra 'demo'"):
        run(out=tmp_path / "out", report=report())
    assert not (tmp_path / "out").exists()


def test_mnist_needs_no_digits(monkeypatch, mnist_folder, tmp_path):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    result = run(mnist=mnist_folder, network="dense", epochs=1, batch=20, out=tmp_path, report=report())
    assert result.networks[0].dataset == "MNIST"


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DemoError, match="cannot make the folder"):
        run(out=tmp_path / "out", report=report())


def test_derived_formulas_are_those_of_the_docstring():
    source = '"""name: about.\n\nDeclaration:\n    y = x\n\nDerived:\n    grad_x = grad_y\n    grad_w = 0\n"""\n'
    assert derived_formulas(source) == ["    grad_x = grad_y", "    grad_w = 0"]
    assert derived_formulas('"""name."""') == []
