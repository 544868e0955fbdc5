"""The plot of loss and accuracy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from symgrad.demo.data import DemoError, extra
from symgrad.demo.training import Epoch

FORMATS = (".png", ".svg")


def save_plot(path: Path, histories: Mapping[str, Sequence[Epoch]]) -> None:
    """Plot training loss and test accuracy by epoch, a line for every entry of ``histories``, as PNG or SVG.

    Raises:
        DemoError: the file's name ends otherwise, matplotlib is not installed, or the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise DemoError(f"cannot plot to {path}: its name must end in {' or '.join(FORMATS)}")
    figure = extra("matplotlib.figure").Figure(figsize=(10, 4), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    for label, epochs in histories.items():
        numbers = [epoch.number for epoch in epochs]
        losses.plot(numbers, [epoch.loss for epoch in epochs], marker=".", label=label)
        accuracies.plot(numbers, [epoch.accuracy for epoch in epochs], marker=".", label=label)
    losses.set(xlabel="epoch", ylabel="training loss", yscale="log", title="Loss")
    accuracies.set(xlabel="epoch", ylabel="test accuracy", title="Accuracy")
    for axes in (losses, accuracies):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    # A date, or names drawn at random, would make two runs with one seed differ.
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else {}
    drawn = BytesIO()
    with extra("matplotlib").rc_context({"svg.hashsalt": "symgrad"}):
        figure.savefig(drawn, format=path.suffix.lower()[1:], dpi=150, metadata=metadata)
    _write(path, drawn.getvalue())


def _write(path: Path, content: bytes) -> None:
    """Write a file complete or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise DemoError(f"cannot write {path}: {error.strerror}") from error
