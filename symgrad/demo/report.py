"""What the demo prints: headings and lines, and while it trains a progress bar, or plain lines off a terminal."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from symgrad.demo.gradients import Direction
from symgrad.demo.networks import Network
from symgrad.demo.stages import Stage
from symgrad.demo.training import Epoch, Recipe


class Report:
    """Prints the demo's course."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()

    def heading(self, text: str) -> None:
        """Print the heading of a step."""
        self.console.print(f"\n{text}", style="bold", soft_wrap=True, markup=False, highlight=False)

    def line(self, text: str) -> None:
        """Print a line below the heading; long ones are left to the terminal."""
        self.console.print(f"  {text}", soft_wrap=True, markup=False, highlight=False)

    def network(self, network: Network, side: int) -> None:
        """Print the stages, with the shapes of their weights, and the count of parameters."""
        self.heading(f"Network {network.name} for {side} x {side} pixels: {network.count():,} parameters")
        self.line(" > ".join(_stage_text(stage) for stage in network.stages))

    def recipe(self, recipe: Recipe) -> None:
        """Print how a network is trained."""
        parts = [
            f"{recipe.modules()[0]}, learning rate {recipe.rate:g} to {recipe.rate * recipe.final:g}",
            f"batches of {recipe.batch}",
        ]
        if recipe.reach:
            parts.append(f"images moved by up to {recipe.reach:g} pixels")
        if recipe.average:
            parts.append("tested on a moving average of the parameters")
        self.line("; ".join(parts))

    def directions(self, found: Iterable[Direction]) -> None:
        """Print how each derivative compares."""
        self.line(f"{'direction in':14}{'parameters':>12}{'emitted code':>16}{'differences':>16}{'relative error':>16}")
        for d in found:
            self.line(f"{d.name:14}{d.size:>12,}{d.analytic:>16.8f}{d.numeric:>16.8f}{d.error:>16.1e}")

    def epoch(self, epoch: Epoch, epochs: int) -> None:
        """Print what an epoch gave."""
        shown = f"epoch {epoch.number:>{len(str(epochs))}}/{epochs}"
        self.line(f"{shown}  loss {epoch.loss:.4f}  test accuracy {epoch.accuracy:.4f}  {epoch.seconds:.1f} s")

    @contextmanager
    def progress(self, steps: int) -> Iterator[Callable[[float], None]]:
        """Show a bar over ``steps`` steps on a terminal; yields what to call with the loss after each."""
        if not self.console.is_terminal:
            yield lambda loss: None
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("training", total=steps)
            yield lambda loss: bar.update(task, advance=1, description=f"loss {loss:.3f}")


def _stage_text(stage: Stage) -> str:
    """Return a stage's name, with the shape of its weights where it has some."""
    if not stage.parameters:
        return stage.name
    weights = next(iter(stage.parameters.values()))
    return f"{stage.name} {' x '.join(map(str, weights.shape))}"


def derived_formulas(source: str) -> list[str]:
    """Return the lines under "Derived:" in an emitted module's docstring; none where there is no such part."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    _, _, derived = docstring.partition("Derived:\n")
    return derived.partition("\n\n")[0].splitlines()
