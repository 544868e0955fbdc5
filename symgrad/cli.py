"""The command line. What a command does is imported when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from symgrad import __version__
from symgrad.errors import TOO_DEEP, CheckError, SymgradError

STAGES = ("graph", "declare", "derive", "simplify", "lower", "emit")
GRAPHS = ("mermaid", "dot")
RESIDUALS = ("auto", "store", "recompute")
SCHEDULES = ("readable", "fast")
DTYPES = ("float32", "float64", "float16")
FORMATS = ("text", "latex", "markdown", "html")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What says that a device takes no more."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Program(click.Group):
    """A group of commands that tells the errors raised on purpose in one message."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit code 2 for a ``SymgradError``, 1 where it says that a check failed."""
        try:
            return super().invoke(ctx)
        except SymgradError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1 if isinstance(error, CheckError) else 2)
        except RecursionError:
            click.echo(f"Error: {TOO_DEEP}", err=True)
            ctx.exit(2)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
            ctx.exit(2)


def examples(*lines: str) -> str:
    """Return the end of a help text: examples, kept as they are."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def residuals_option(command: Command) -> Command:
    """Add ``--residuals``."""
    help_text = "What forward keeps for backward: everything, as little as can be, or what is dear to compute."
    return click.option(
        "--residuals", type=click.Choice(RESIDUALS), default=RESIDUALS[0], show_default=True, help=help_text
    )(command)


def schedule_option(command: Command) -> Command:
    """Add ``--schedule``."""
    help_text = "The plainest efficient code, or faster code that is longer: parts that stay in cache, threads."
    return click.option(
        "--schedule", type=click.Choice(SCHEDULES), default=SCHEDULES[0], show_default=True, help=help_text
    )(command)


@click.group(
    cls=Program,
    epilog=examples('symgrad derive "y[b,i] = sum(x[b,j]*w[i,j], j) + c[i]"'),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="symgrad")
def main() -> None:
    """Layers from index equations: derived gradients, readable NumPy code, checks."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and not (stream.encoding or "").lower().startswith("utf"):
            stream.reconfigure(errors="backslashreplace")


@main.command("list", epilog=examples("symgrad list --json"))
@json_option
def list_command(as_json: bool) -> None:
    """List the catalogue: names, equations, attributes.

    generated/study/index.md holds the same by theme, with links to modules and derivations.
    """
    from symgrad.commands.study import list_layers

    list_layers(as_json)


@main.command(
    epilog=examples(
        "symgrad show conv2d --stage lower",
        "symgrad show dense > dense.py",
        "symgrad show net.py:net --stage graph --format dot | dot -Tsvg > net.svg",
    )
)
@click.argument("layer")
@click.option("--stage", type=click.Choice(STAGES), default="emit", show_default=True, help="Stop after this stage.")
@click.option("--format", "form", type=click.Choice(GRAPHS), help="Form of the graph.  [default: mermaid]")
@residuals_option
@schedule_option
def show(layer: str, stage: str, form: str | None, residuals: str, schedule: str) -> None:
    """Show LAYER at a stage of the compiler. The last stage is the module.

    The stage graph draws which equation reads which tensor; in a layer made of layers, theirs stand together.
    LAYER is a name of the catalogue, file.py:variable, file.sg (equations as text; - reads them from standard input),
    or the equations themselves.
    """
    from symgrad.commands.study import show as run

    if form is not None and stage != "graph":
        raise click.UsageError("--format is of the graph; add --stage graph")
    run(layer, stage, form or GRAPHS[0], residuals, schedule)


@main.command(epilog=examples("symgrad new my_layer && symgrad check my_layer.py:my_layer"))
@click.argument("name")
def new(name: str) -> None:
    """Write NAME.py, a commented layer to start from. Never overwrites a file."""
    from symgrad.commands.starter import new as run

    run(name)


@main.command(
    epilog=examples(
        "symgrad derive softmax --format markdown",
        'symgrad derive "y[n,i] = exp(x[n,i]) / sum(exp(x[n,j]), j)"',
        "symgrad derive soft.sg",
        "symgrad derive conv2d --schedule fast",
    )
)
@click.argument("layer")
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="text", show_default=True, help="Output.")
@schedule_option
def derive(layer: str, format_name: str, schedule: str) -> None:
    """Derive the gradients of LAYER, step by step; of a fast module also what forms it takes, and why.

    LAYER is a name of the catalogue, file.py:variable, file.sg (equations as text; - reads them from standard input),
    or the equations themselves.
    """
    from symgrad.commands.study import derive as run

    run(layer, format_name, schedule)


@main.command(
    epilog=examples(
        "symgrad generate my_layer.py:my_layer --out build",
        'symgrad generate soft.sg "layer: cube; y[i] = x[i]**3" --out build',
        "symgrad generate --check",
    )
)
@click.argument("layers", metavar="[LAYER]...", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and list the files that are not current.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("generated"), show_default=True, help="Folder.")
@residuals_option
@schedule_option
@click.option("--afresh", is_flag=True, help="Compile the catalogue anew, whatever the cache holds.")
@json_option
@click.pass_context
def generate(
    ctx: click.Context,
    layers: tuple[str, ...],
    check: bool,
    out: Path,
    residuals: str,
    schedule: str,
    afresh: bool,
    as_json: bool,
) -> None:
    """Write modules and derivations as files.

    OUT/numpy/NAME.py and OUT/study/NAME.md for each LAYER; without one, for the whole catalogue, with a page that
    lists it, OUT/study/index.md.
    LAYER is a name of the catalogue, file.py:variable, file.sg (equations as text; - reads them from standard input),
    or the equations themselves.
    A file that symgrad did not generate is never overwritten. What was compiled of the catalogue is kept in the
    user's cache and compiled again when its declaration or the compiler changed.
    """
    from symgrad.commands.generate import generate as run

    ctx.exit(0 if run(layers, out, check, as_json, residuals, schedule, afresh) else 1)


@main.command(epilog=examples("symgrad check conv2d max_pool2d"))
@click.argument("layers", metavar="[LAYER]...", nargs=-1)
@schedule_option
@json_option
@click.pass_context
def check(ctx: click.Context, layers: tuple[str, ...], schedule: str, as_json: bool) -> None:
    """Check emitted code and its gradients.

    Compares the module with a naive evaluation of the equations, and gradients with numeric ones.
    LAYER is a name of the catalogue, file.py:variable, file.sg (equations as text; - reads them from standard input),
    or the equations themselves; without one, all of the catalogue.
    Exit code 1 when a check fails.
    """
    from symgrad.commands.check import check as run

    ctx.exit(0 if run(layers, as_json, schedule) else 1)


@main.command(
    epilog=examples(
        "symgrad bench conv2d --shape x=16,64,32,32 --shape w=64,64,3,3 --set padding=1",
        'symgrad bench "y[b,i] = tanh(sum(x[b,j]*w[i,j], j))" --schedule fast --threads 1',
    )
)
@click.argument("layer")
@click.option("--shape", "shapes", multiple=True, metavar="INPUT=EXTENTS", help="Shape of an input, as x=16,64.")
@click.option("--set", "values", multiple=True, metavar="ATTRIBUTE=VALUE", help="Value of an attribute, as stride=2.")
@click.option("--dtype", type=click.Choice(DTYPES), default=DTYPES[0], show_default=True, help="Of real inputs.")
@click.option(
    "--schedule", type=click.Choice((*SCHEDULES, "both")), default="both", show_default=True, help="Which modules."
)
@click.option("--threads", type=click.IntRange(min=1), help="How many threads.  [default: as NumPy chooses]")
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=2.0, show_default=True, help="About how long to measure."
)
@json_option
def bench(
    layer: str,
    shapes: tuple[str, ...],
    values: tuple[str, ...],
    dtype: str,
    schedule: str,
    threads: int | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure time and memory of LAYER's module, forward and backward.

    Sizes that no --shape determines are the layer's typical ones. Rates count what the equations state: operations of
    sums of products, or where there are none the bytes of inputs and outputs. Residuals are what forward keeps for
    backward.
    LAYER is a name of the catalogue, file.py:variable, file.sg (equations as text; - reads them from standard input),
    or the equations themselves.
    """
    from symgrad.commands.bench import bench as run

    run(layer, shapes, values, dtype, SCHEDULES if schedule == "both" else (schedule,), threads, seconds, as_json)


@main.command(epilog=examples("symgrad demo --network dense --out digits.svg"))
@click.option("--network", type=click.Choice(["conv", "dense"]), help="Which network; on the bundled digits both.")
@click.option(
    "--mnist", type=click.Path(path_type=Path), help="Folder with MNIST in IDX format, to train on it instead."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.")
@click.option("--batch", type=click.IntRange(min=1), help="Images in a step.")
@click.option("--seed", type=int, default=0, show_default=True, help="One seed, one course.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("symgrad-demo"), show_default=True, help="Folder, or plot."
)
def demo(network: str | None, mnist: Path | None, epochs: int | None, batch: int | None, seed: int, out: Path) -> None:
    """Train networks on handwritten digits.

    The networks are made of emitted modules alone. Checks the gradient of each whole network first, and plots loss
    and accuracy in the end, as PNG or SVG.
    """
    from symgrad.demo import run

    run(mnist=mnist, network=network, epochs=epochs, batch=batch, out=out, seed=seed)


if __name__ == "__main__":
    main()
