"""``symgrad demo``: networks of emitted modules, checked and trained on real handwritten digits."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from symgrad.demo.data import Dataset, DemoError, extra, load_digits, load_mnist
from symgrad.demo.gradients import TOLERANCE, Direction, check_gradient
from symgrad.demo.modules import emitted
from symgrad.demo.networks import FULL_CONV, FULL_SIDE, SMALL_CONV, Network, build, full_parameters
from symgrad.demo.plot import FORMATS, save_plot
from symgrad.demo.report import Report, derived_formulas
from symgrad.demo.training import Epoch, Recipe, steps_per_epoch, train
from symgrad.emit.files import write_files
from symgrad.errors import CheckError

__all__ = ["DemoError", "DemoResult", "NetworkResult", "run"]

NETWORKS = ("conv", "dense")
SMALL_TEXT = (
    "The layers are those of the network for 28 x 28 pixels, which has {full:,} parameters. 8 x 8 pixels, unpadded,",
    "would leave 1 x 1 for the second maximum, so convolutions are padded by 1; {units} hidden units for {most}.",
)
CHECKED_IMAGES = 8
SHOWN_LAYERS = ("conv2d", "batch_norm")  # the first that runs; every network has one

RECIPES = {
    ("conv", "digits"): Recipe("sgd", rate=0.2, final=0.05, epochs=40, batch=32, average=0.004, reach=0.5),
    ("dense", "digits"): Recipe("adam", rate=0.005, final=0.01, epochs=30, batch=32, reach=0.5),
    ("conv", "MNIST"): Recipe("sgd", rate=0.1, final=0.1, epochs=10, batch=16, average=0.002, reach=0.5),
    ("dense", "MNIST"): Recipe("adam", rate=0.002, final=0.01, epochs=10, batch=64),
}


@dataclass(frozen=True)
class NetworkResult:
    """What came of one network."""

    name: str
    dataset: str
    parameters: int
    directions: tuple[Direction, ...]
    epochs: tuple[Epoch, ...]

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch."""
        return self.epochs[-1].accuracy


@dataclass(frozen=True)
class DemoResult:
    """What the demo did: results by network, the plot, and the folder of the emitted modules."""

    networks: tuple[NetworkResult, ...]
    plot: Path
    modules: Path


def run(
    *,
    mnist: Path | None = None,
    network: str | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    out: Path = Path("symgrad-demo"),
    seed: int = 0,
    report: Report | None = None,
) -> DemoResult:
    """Derive and emit layers, build networks of them, check their gradients, train them and plot the course.

    Args:
        mnist: folder with MNIST in IDX format; None for scikit-learn's bundled digits.
        network: ``conv`` or ``dense``; None for both on the digits, and for ``conv`` on MNIST.
        epochs: passes over the training images; None for the recipe's.
        batch: images a step; None for the recipe's.
        out: folder for plot and modules, or the plot's file (``.png``, ``.svg``) in such a folder.
        seed: of all that is drawn; one seed, one course.
        report: where to print; None for standard output.

    Raises:
        DemoError: an extra, a file or an argument is missing or unsound.
        CheckError: a gradient disagrees with its central difference.
    """
    report = report or Report()
    if network is not None and network not in NETWORKS:
        raise DemoError(f"no network {network!r}; there are {' and '.join(NETWORKS)}")
    extra("matplotlib.figure")  # before the training, not after it
    data = load_digits() if mnist is None else load_mnist(Path(mnist))
    names = (network,) if network else NETWORKS if mnist is None else NETWORKS[:1]
    recipes = {name: _recipe(name, data, epochs, batch) for name in names}
    plot, folder = _places(Path(out))

    built = {name: build(name, data.side, seed) for name in names}
    modules = _emit(built.values(), recipes.values(), folder / "modules", report)
    results = tuple(_learn(built[name], data, recipes[name], seed, report) for name in names)

    report.heading("Loss and accuracy, plotted")
    save_plot(plot, {f"{result.name} on {result.dataset}": result.epochs for result in results})
    report.line(str(plot))
    return DemoResult(results, plot, modules)


def _recipe(name: str, data: Dataset, epochs: int | None, batch: int | None) -> Recipe:
    """Return the recipe with what the caller changes of it."""
    recipe = RECIPES[name, data.name]
    recipe = replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        batch=recipe.batch if batch is None else batch,
    )
    images, least = len(data.train_images), 2 if name == "dense" else 1
    if recipe.epochs < 1:
        raise DemoError(f"{recipe.epochs} epochs: at least 1 is needed")
    if not least <= recipe.batch <= images:
        raise DemoError(f"batches of {recipe.batch} images: the network {name} takes {least} to {images:,}")
    return recipe


def _places(out: Path) -> tuple[Path, Path]:
    """Return the plot's file and the folder that everything lies in, which is made.

    Raises:
        DemoError: the folder cannot be made.
    """
    plot = out if out.suffix.lower() in FORMATS else out / "training.png"
    try:
        plot.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"cannot make the folder {plot.parent}: {error.strerror}") from error
    return plot, plot.parent


def _emit(networks: Iterable[Network], recipes: Iterable[Recipe], folder: Path, report: Report) -> Path:
    """Derive and emit every layer that is going to run, and write the modules to ``folder``."""
    names = [name for network in networks for name in network.modules()]
    names += [name for recipe in recipes for name in recipe.modules()]
    report.heading("Layers derived from their equations, and emitted as NumPy modules")
    sources = {}
    for name in dict.fromkeys(names):
        started = time.perf_counter()
        sources[f"{name}.py"] = source = emitted(name).source
        report.line(f"{name:24}{len(source.splitlines()):>5} lines{time.perf_counter() - started:>8.2f} s")
    write_files(sources, folder)
    shown = next(name for name in SHOWN_LAYERS if name in names)
    report.heading(f"What was derived for {shown}; the code of every layer is in {folder}")
    for line in derived_formulas(emitted(shown).source):
        report.line(line)
    return folder


def _learn(network: Network, data: Dataset, recipe: Recipe, seed: int, report: Report) -> NetworkResult:
    """Check and train one network."""
    report.network(network, data.side)
    if network.name == "conv":
        full = full_parameters()
        if data.side < FULL_SIDE:
            for line in SMALL_TEXT:
                report.line(line.format(full=full, units=SMALL_CONV.units, most=FULL_CONV.units))
    report.heading(f"The gradient of the whole network {network.name}, against central differences in float64")
    chosen = slice(0, CHECKED_IMAGES)
    directions = check_gradient(network, data.train_images[chosen], data.train_labels[chosen], seed)
    report.directions(directions)
    wrong = [direction.name for direction in directions if not direction.ok]
    if wrong:
        raise CheckError(f"network {network.name}: relative error over {TOLERANCE:g} in {', '.join(wrong)}")

    images, tests = len(data.train_images), len(data.test_images)
    report.heading(f"Training {network.name} on {images:,} images of {data.name}; {tests:,} others test it")
    report.recipe(recipe)
    epochs = []
    with report.progress(recipe.epochs * steps_per_epoch(data, recipe.batch)) as on_step:
        for epoch in train(network, data, recipe, seed, on_step):
            report.epoch(epoch, recipe.epochs)
            epochs.append(epoch)
    seconds = sum(epoch.seconds for epoch in epochs)
    report.line(
        f"test accuracy {epochs[-1].accuracy:.4f}; {seconds:.1f} s of training, {seconds / len(epochs):.1f} s an epoch"
    )
    return NetworkResult(network.name, data.name, network.count(), tuple(directions), tuple(epochs))
