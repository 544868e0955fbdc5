"""The page that says how exact every layer is in float32: generated/study/accuracy.md.

python benchmarks/accuracy_page.py
python benchmarks/accuracy_page.py softmax dense --out page.md
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from accuracy import Arrays, changed, compared, results  # noqa: E402
from rich.progress import track  # noqa: E402

import symgrad  # noqa: E402
from symgrad.check.shapes import Sizes  # noqa: E402
from symgrad.check.values import Sampler  # noqa: E402

PAGE = ROOT / "generated" / "study" / "accuracy.md"
EXTENT, WORK = 16, 10_000
"""The largest extent, and how many nodes of the equations an evaluation may visit."""
DRAWS, TRIES, SEED = 5, 200, 100
"""Draws of values, how many may be tried until they are finite, and the first seed."""
LARGE = 64.0
"""From this error on a row says where it comes from."""
HEAD = f"""# How exact: float32 against float64

Each module runs twice on the same numbers, in float32 and in float64. An error is the largest absolute difference
between the two in an array, in units in the last place (ulps) of the largest absolute value of that array in float32:
an array that is right to rounding has 0.5. A row has the worst of {DRAWS} draws of values, from seed {SEED} on, over
all outputs and over all gradients; `of` names the input with the worst one. Values, and cotangents from the normal
distribution, are drawn as `symgrad check` draws them; attributes have their defaults where those fit small sizes.

Rounding an input to float32 in the first place moves a result too, however it is computed. `rounding` says by how many
ulps outputs and gradients move in float64 as every number given to forward moves by half a unit in its last place.
An error above {LARGE:g} is remarked on: where rounding does an eighth of it or more, the numbers drawn are
ill-conditioned, sums that cancel for instance; otherwise the module loses digits.

Written by `python benchmarks/accuracy_page.py`; `python benchmarks/accuracy.py` looks at very small and very large
numbers as well, result by result.

"""
COLUMNS = ("layer", "sizes", "outputs", "gradients", "of", "rounding", "remark")


@dataclass(frozen=True)
class Row:
    """What was measured of one layer, in ulps; ``gradients`` is None where no input gets one."""

    layer: str
    sizes: str
    outputs: float
    gradients: float | None
    worst: str
    rounded_outputs: float
    rounded_gradients: float

    @property
    def remark(self) -> str:
        """Where a large error comes from."""
        pairs = (("outputs", self.outputs, self.rounded_outputs), ("gradients", self.gradients, self.rounded_gradients))
        large = [(what, error <= 8 * rounded) for what, error, rounded in pairs if error is not None and error > LARGE]
        return "; ".join(f"{what} {'ill-conditioned' if own else 'lose digits'}" for what, own in large)

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        gradients = "" if self.gradients is None else f"{self.gradients:.2g}"
        moved = f"{self.rounded_outputs:.2g}" + (f", {self.rounded_gradients:.2g}" if gradients else "")
        return self.layer, self.sizes, f"{self.outputs:.2g}", gradients, self.worst, moved, self.remark


def grown(sampler: Sampler) -> Sizes:
    """Sizes of the layer, every dimension as large as the others and the work of an evaluation let it be."""
    geometry, sizes = sampler.geometry, sampler.case("plain").sizes
    growing = list(sizes.dimensions)
    while growing:
        for name in tuple(growing):
            more = replace(sizes, dimensions={**sizes.dimensions, name: sizes.dimensions[name] + 1})
            if sizes.dimensions[name] < EXTENT and geometry.fits(more) and geometry.work(more) <= WORK:
                sizes = more
            else:
                growing.remove(name)
    return sizes


def draws(sampler: Sampler, sizes: Sizes) -> Iterator[tuple[Arrays, np.random.Generator]]:
    """Values that float32 holds, each with a generator of its own."""
    found = 0
    for seed in range(TRIES):
        sampler.rng = np.random.default_rng(SEED + seed)
        drawn = sampler.values(sizes)
        if drawn is not None:
            yield {name: changed(array, None) for name, array in drawn.items()}, sampler.rng
            found += 1
        if found == DRAWS:
            return


def moved(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The numbers, each half a unit in its last place of float32 up or down; integers as they are."""
    if array.dtype.kind != "f":
        return array
    return array.astype(np.float64) + rng.choice([-0.5, 0.5], size=array.shape) * np.spacing(np.abs(array))


def measure(name: str) -> Row:
    """Measure a layer of the catalogue."""
    compiled = symgrad.compile_layer(symgrad.layers.get(name))
    sampler = Sampler(compiled.layer)
    sizes = grown(sampler)
    outputs = set(compiled.layer.outputs)
    errors: dict[str, float] = {}
    rounded: dict[str, float] = {}
    for arrays, rng in draws(sampler, sizes):
        near = {n: moved(a, rng) for n, a in arrays.items()}
        double, single, nearby = (
            results(compiled, given, sizes.attributes, dtype)
            for given, dtype in ((arrays, np.float64), (arrays, np.float32), (near, np.float64))
        )
        for result, value in double.items():
            errors[result] = max(errors.get(result, 0.0), compared(single[result], value)[0])
            rounded[result] = max(rounded.get(result, 0.0), compared(nearby[result], value)[0])
    gradients = {r: e for r, e in errors.items() if r not in outputs}
    worst = max(gradients, key=gradients.__getitem__, default=None)
    return Row(
        name,
        str(sizes),
        max(e for r, e in errors.items() if r in outputs),
        None if worst is None else gradients[worst],
        "" if worst is None else worst.removeprefix("gradient of "),
        max(e for r, e in rounded.items() if r in outputs),
        max((rounded[r] for r in gradients), default=0.0),
    )


def page(rows: Sequence[Row]) -> str:
    """The page, Markdown."""
    lines = (COLUMNS, ("---",) * len(COLUMNS), *(row.cells() for row in rows))
    return HEAD + "\n".join(f"| {' | '.join(cells)} |".replace("  ", " ") for cells in lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", help="names from the catalogue; all of it by default")
    parser.add_argument(
        "--out", type=Path, default=PAGE, help=f"the file to write, {PAGE.relative_to(ROOT)} by default"
    )
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.layers) - set(symgrad.catalogue()))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    if chosen.layers and chosen.out == PAGE:
        parser.error("the page is of the whole catalogue; say --out FILE for some of its layers")
    names = chosen.layers or symgrad.catalogue()
    chosen.out.write_text(page([measure(name) for name in track(names, "measuring", transient=True)]))
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    main()
