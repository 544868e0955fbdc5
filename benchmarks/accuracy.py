"""Float32 against float64 of every layer: the largest error of outputs and gradients, in units in the last place.

    python benchmarks/accuracy.py
    python benchmarks/accuracy.py softmax layer_norm --seeds 20 --json out.json

The same emitted module runs on the same numbers twice. The unit is that of the largest value of the array in float32:
an array that is right to rounding has an error of about 1. Inputs are drawn as ``symgrad check`` draws them
(ordinary), and then made small and large: normal numbers times 1e-4 and 1e4, positive ones to their fourth power,
numbers between 0 and 1 close to either end. ``overflows`` counts numbers that are finite in float64, would fit into
float32 and are not finite there; ``warns`` says that NumPy warned in float32 and not in float64.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import symgrad  # noqa: E402
from symgrad.check.values import Sampler  # noqa: E402
from symgrad.errors import CheckError  # noqa: E402

SMOKE = ("softmax", "dense")
HIGHEST = float(np.finfo(np.float32).max)
Arrays = dict[str, np.ndarray]
Change = Callable[[np.ndarray], np.ndarray]
LARGE: dict[str, Change] = {
    "normal": lambda x: 1e4 * x,
    "positive": lambda x: (4 * x) ** 4,
    "unit": lambda x: np.where(x > 0.5, 1 - 1e-6 * x, 1e-6 * x),
    "above one": lambda x: 1 + (4 * x) ** 4,
}
SMALL: dict[str, Change] = {
    "normal": lambda x: 1e-4 * x,
    "positive": lambda x: (x / 4) ** 4,
    "unit": lambda x: 1e-3 + 0.998 * x,
    "above one": lambda x: 1 + 1e-3 * x,
}
INPUTS: dict[str, dict[str, Change]] = {"ordinary": {}, "small": SMALL, "large": LARGE}


@dataclass(frozen=True)
class Error:
    """The worst of several draws: of one output or gradient of one layer at inputs of one kind."""

    layer: str
    result: str
    inputs: str
    ulps: float
    overflows: int
    warns: bool


def results(compiled: Any, arrays: Arrays, attributes: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """Outputs and gradients by name, every cotangent drawn anew from the same seed."""
    layer, rng = compiled.layer, np.random.default_rng(1)
    given = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays.values()]
    value, residuals = compiled.forward(*given, **attributes)
    values = value if isinstance(value, tuple) else (value,)
    cotangents = [rng.normal(size=np.shape(v)).astype(np.float32).astype(dtype) for v in values]
    floats = [v for v in values if np.asarray(v).dtype.kind == "f"]
    if len(floats) < len(values):
        return dict(zip(layer.outputs, values, strict=True))
    gradients = compiled.backward(residuals, *cotangents)
    found = dict(zip(layer.outputs, values, strict=True))
    return found | {f"gradient of {name}": g for name, g in zip(gradients._fields, gradients, strict=True)}


def warned(compiled: Any, arrays: Arrays, attributes: dict[str, Any], dtype: Any) -> tuple[dict[str, Any], bool]:
    """The results, and whether NumPy warned."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        return results(compiled, arrays, attributes, dtype), bool(seen)


def changed(array: np.ndarray, change: Change | None) -> np.ndarray:
    """The numbers that both runs get, which float32 holds; integers as they are."""
    if array.dtype.kind != "f":
        return array
    return (array if change is None else change(array)).astype(np.float32)


def compared(single: Any, double: Any) -> tuple[float, int]:
    """Largest error in units of the largest value, and how many numbers overflow for no reason."""
    a, b = np.asarray(single, np.float64), np.asarray(double, np.float64)
    fits = np.isfinite(b) & (np.abs(b) < HIGHEST)
    lost = fits & ~np.isfinite(a)
    both = fits & np.isfinite(a)
    largest = np.abs(b[fits]).max(initial=0.0)
    unit = float(np.spacing(np.float32(max(largest, float(np.finfo(np.float32).tiny)))))
    return float(np.abs(a[both] - b[both]).max(initial=0.0)) / unit, int(lost.sum())


def errors(name: str, seeds: int) -> Iterator[Error]:
    """The errors of a layer, the worst of several draws each."""
    compiled = symgrad.compile_layer(symgrad.layers.get(name))
    worst: dict[tuple[str, str], Error] = {}
    for seed in range(seeds):
        sampler = Sampler(compiled.layer, seed)
        try:
            case = sampler.case("varied")
        except CheckError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        for kind, change in INPUTS.items():
            arrays = {n: changed(a, change.get(sampler.recipes.get(n, ""))) for n, a in case.arrays.items()}
            double, expected = warned(compiled, arrays, case.attributes, np.float64)
            single, warns = warned(compiled, arrays, case.attributes, np.float32)
            for result, value in double.items():
                ulps, lost = compared(single[result], value)
                found = Error(name, result, kind, ulps, lost, warns and not expected)
                before = worst.get((result, kind), found)
                worst[result, kind] = Error(
                    name,
                    result,
                    kind,
                    max(ulps, before.ulps),
                    max(lost, before.overflows),
                    found.warns or before.warns,
                )
    yield from worst.values()


TITLE = "float32 against float64, in units in the last place of the largest value"
COLUMNS = ("layer", "result", *INPUTS, "overflows", "warns")


def rows(found: Sequence[Error]) -> list[tuple[str, ...]]:
    """The cells for each output and gradient, in the order of the layers."""
    kinds_of: dict[tuple[str, str], dict[str, Error]] = {}
    for error in found:
        kinds_of.setdefault((error.layer, error.result), {})[error.inputs] = error
    made = []
    for (layer, result), kinds in kinds_of.items():
        lost = sum(e.overflows for e in kinds.values())
        warns = ", ".join(k for k, e in kinds.items() if e.warns)
        made.append((layer, result, *(f"{kinds[k].ulps:.3g}" for k in INPUTS), str(lost or ""), warns))
    return made


def table(found: Sequence[Error]) -> Table:
    """A row for each output and gradient, the worst first."""
    made = Table(title=TITLE)
    for column in COLUMNS:
        made.add_column(column, justify="left" if column in ("layer", "result") else "right")
    for cells in sorted(rows(found), key=lambda cells: -max(map(float, cells[2 : 2 + len(INPUTS)]))):
        made.add_row(*cells)
    return made


def page(found: Sequence[Error]) -> str:
    """The table as Markdown, layers in alphabetical order."""
    about = " ".join((__doc__ or "").split("\n\n")[-1].split()).replace("``", "`")
    lines = [f"# Accuracy: {TITLE}", "", "As `python benchmarks/accuracy.py --markdown FILE` found it.", about, ""]
    lines += ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, ("---",) * len(COLUMNS), *rows(found))]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; write nothing unless asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", help="names from the catalogue; all of it by default")
    parser.add_argument("--seeds", type=int, default=5, help="draws of sizes and values for each layer")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    parser.add_argument("--smoke", action="store_true", help="two layers, one draw")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.layers) - set(symgrad.catalogue()))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    names = SMOKE if chosen.smoke else chosen.layers or symgrad.catalogue()
    found = [error for name in names for error in errors(name, 1 if chosen.smoke else chosen.seeds)]
    Console(width=120).print(table(found))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(e) for e in found], indent=1) + "\n")
    if chosen.markdown:
        chosen.markdown.write_text(page(found))


if __name__ == "__main__":
    main()
