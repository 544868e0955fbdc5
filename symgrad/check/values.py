"""Arrays to check a layer at: valid integers, real numbers in the domain of the equations, and points on kinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy.core.relational import Relational
from sympy.tensor.indexed import Idx, Indexed

from symgrad.check.evaluator import Evaluator
from symgrad.check.scope import label
from symgrad.check.shapes import Geometry, Sizes, draw_sizes, without_elements
from symgrad.declare.layer import Layer
from symgrad.declare.notation import CustomGradient, ReduceMax, ReduceMin, StopGradient
from symgrad.errors import CheckError, DeclarationError

Array = npt.NDArray[Any]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

RECIPES: Mapping[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2.0, size=shape),
    "unit": lambda rng, shape: rng.uniform(0.1, 0.9, size=shape),
    "above one": lambda rng, shape: rng.uniform(1.1, 3.0, size=shape),
    "small": lambda rng, shape: rng.uniform(-0.2, 0.2, size=shape),
    "large": lambda rng, shape: rng.uniform(20.0, 40.0, size=shape),
    "diagonally dominant": lambda rng, shape: _dominant(rng, shape),
}
"""Ways to draw real inputs, tried in this order until the equations give finite values."""

SIZES_TRIED = 6
MIXTURES_TRIED = 24
INTEGERS_TRIED = 60
"""How often sizes are drawn, recipes of each input its own, and integers in windows of each input's own."""


@dataclass(frozen=True)
class Case:
    """A point to check a layer at; ``kind`` says what is special about it."""

    sizes: Sizes
    arrays: dict[str, Array]
    kind: str = ""

    @property
    def attributes(self) -> dict[str, int | float]:
        """Attributes by name."""
        return self.sizes.attributes

    def __str__(self) -> str:
        """Sizes, attributes and kind on one line."""
        return f"{self.sizes}, {self.kind}" if self.kind else str(self.sizes)


def integer_bounds(layer: Layer) -> dict[str, list[tuple[str, int]]]:
    """Return for every integer input the (input, axis) pairs that it is the plain index of."""
    integers = {t.name for t in layer.inputs if t.integer}
    inputs = {t.name for t in layer.inputs}
    bounds: dict[str, list[tuple[str, int]]] = {name: [] for name in sorted(integers)}
    for equation in layer.equations:
        for read in (n for n in sympy.preorder_traversal(equation.rhs) if isinstance(n, Indexed)):
            for axis, index in enumerate(read.indices):
                name = label(index.base) if isinstance(index, Indexed) else label(index)
                if name in integers and label(read.base) in inputs:
                    bounds[name].append((label(read.base), axis))
    return bounds


def position_bounds(layer: Layer) -> dict[str, list[tuple[str, int, int]]]:
    """Return for every real input the (input, axis, k) that ``floor`` of its elements, plus k, is the index of."""
    reals = {t.name for t in layer.inputs if not t.integer}
    bounds: dict[str, list[tuple[str, int, int]]] = {}
    for equation in layer.equations:
        for read in (n for n in sympy.preorder_traversal(equation.rhs) if isinstance(n, Indexed)):
            for axis, index in enumerate(read.indices):
                for part in (f for f in index.atoms(sympy.floor) if isinstance(f.args[0], Indexed)):
                    name, step = label(part.args[0].base), index - part
                    if name in reals and label(read.base) in {t.name for t in layer.inputs} and step.is_Integer:
                        bounds.setdefault(name, []).append((label(read.base), axis, int(step)))
    return bounds


def integer_partners(layer: Layer) -> dict[str, list[Idx]]:
    """Return for every integer input the indices with a range that a delta compares it with."""
    partners: dict[str, list[Idx]] = {t.name: [] for t in layer.inputs if t.integer}
    for delta in [d for e in layer.equations for d in e.rhs.atoms(sympy.KroneckerDelta)]:
        for one, other in (delta.args[:2], delta.args[1::-1]):
            name = label(one.base) if isinstance(one, Indexed) else label(one)
            if name in partners and isinstance(other, Idx) and other.upper is not None:
                partners[name].append(other)
    return partners


class Sampler:
    """Draws cases for one layer; remembers how each input has to be drawn."""

    def __init__(self, layer: Layer, seed: int = 0) -> None:
        self.layer, self.rng = layer, np.random.default_rng(seed)
        self.geometry, self.evaluator = Geometry(layer), Evaluator(layer)
        self.bounds, self.partners = integer_bounds(layer), integer_partners(layer)
        self.positions = position_bounds(layer)
        self.inside = False  # whether positions have to be: unless a border or a condition takes what is outside
        self.recipes: dict[str, str] = {}
        self.blamed = ""  # the left side that was not finite last

    def case(self, style: str) -> Case:
        """Return a case in one of the styles of ``shapes.STYLES``, at which every output is finite.

        Raises:
            CheckError: no sizes fit, or at none of those tried do the equations give finite values.
        """
        refused: CheckError | DeclarationError | None = None
        self.blamed = ""
        for _ in range(SIZES_TRIED):
            sizes = draw_sizes(self.geometry, self.rng, style)
            try:
                arrays = self.values(sizes)
            except (CheckError, DeclarationError) as error:
                refused, self.inside = error, True
                continue
            if arrays is not None:
                return Case(sizes, arrays)
        raise CheckError(str(refused or self._nowhere_finite()))

    def _nowhere_finite(self) -> str:
        tried = ", ".join(RECIPES)
        return (
            f"{self.layer.name}: no values were found at which every output is finite; {self.blamed} is not at inputs "
            f"that are {tried}. Keep what it divides by, or takes a root or a logarithm of, where that has a value: "
            f"sqrt(Max(u, 0)), Piecewise((log(u), u > 0), (0, True)); or shift and scale the inputs"
        )

    def values(self, sizes: Sizes) -> dict[str, Array] | None:
        """Return values at which the equations are finite, None where none are found.

        All inputs are drawn by one recipe, then each as plainly as may be.
        """
        for recipes in self._recipes():
            arrays = self._readable(sizes, recipes)
            if not self._is_finite(arrays, sizes) or not (self.recipes or self._reliable(recipes, arrays, sizes)):
                continue
            for t in self.layer.inputs:
                if not t.integer and recipes[t.name] != "normal" and not self.recipes:
                    plainer = {**recipes, t.name: "normal"}
                    tried = {**arrays, t.name: self._real(t.name, sizes, "normal")}
                    if self._reliable(plainer, tried, sizes):
                        arrays, recipes = tried, plainer
            self.recipes = recipes
            return arrays
        return None

    def empty_case(self, case: Case) -> Case | None:
        """Return the case with one dimension 0, None where no dimension may be, or no integer is valid any more."""
        sizes = without_elements(self.geometry, self.rng, case.sizes)
        if sizes is None:
            return None
        arrays = self._draw(sizes, self.recipes, top=1)
        if any(arrays[name].size and self._most(name, sizes, 1) == 0 for name in self.bounds):
            return None
        return Case(sizes, arrays, "one extent 0")

    def kink_case(self, case: Case) -> Case | None:
        """Return a case of the same sizes whose values lie on kinks and tie; None without kinks or finite values."""
        if not has_kinks(self.layer):
            return None
        pool = kink_values(self.layer, case.attributes)
        for _ in range(4):
            arrays = dict(case.arrays)
            for t in self.layer.inputs:
                if not t.integer:
                    allowed = pool if self.recipes[t.name] == "normal" else np.array([0.5, 1.0, 2.0])
                    arrays[t.name] = self.rng.choice(allowed, size=arrays[t.name].shape)
            if self._usable(arrays, case.sizes):
                return Case(case.sizes, arrays, "values at kinks")
        return None

    def stray_case(self, case: Case) -> Case | None:
        """Return the case with a negative integer where the equations give it a meaning; None where they do not."""
        names = [t.name for t in self.layer.inputs if t.integer and case.arrays[t.name].size]
        for name in names:
            values = case.arrays[name].copy()
            values[tuple(0 for _ in values.shape)] = -1
            arrays = {**case.arrays, name: values}
            if self._usable(arrays, case.sizes):
                return Case(case.sizes, arrays, "a negative integer")
        return None

    def _reliable(self, recipes: Mapping[str, str], arrays: Mapping[str, Array], sizes: Sizes) -> bool:
        """Return whether the recipes give finite values again and again: a wrong one may be lucky once."""
        reals = [t.name for t in self.layer.inputs if not t.integer]
        return all(
            self._is_finite({**arrays, **{n: self._real(n, sizes, recipes[n]) for n in reals}}, sizes) for _ in range(4)
        )

    def _recipes(self) -> Iterator[dict[str, str]]:
        if self.recipes:
            yield self.recipes
        for recipe in RECIPES:
            yield {t.name: recipe for t in self.layer.inputs}
        names = [t.name for t in self.layer.inputs if not t.integer]
        for _ in range(MIXTURES_TRIED if len(names) > 1 else 0):
            yield dict(zip(names, self.rng.choice(list(RECIPES), size=len(names)).tolist(), strict=True))

    def _readable(self, sizes: Sizes, recipes: Mapping[str, str]) -> dict[str, Array]:
        """Return values whose integers keep every read in bounds, and no range empty that must not be.

        Integers are drawn from the largest extent downwards, then each input's from a window of its own: the narrower,
        the more often do first and last positions that several inputs give stand in order.
        """
        top = max([2, *sizes.dimensions.values()]) + 1
        refused: CheckError | None = None
        readable: list[dict[str, Array]] = []
        plain = [(most, 0) for most in range(top, 0, -1)]
        windows = [(top, max(1, top - top * k // INTEGERS_TRIED)) for k in range(INTEGERS_TRIED)]
        for most, width in [*plain, *windows] if self.bounds else [(1, 0)]:
            arrays = self._draw(sizes, recipes, most, width)
            try:
                if self._is_finite(arrays, sizes):
                    return arrays
                readable.append(arrays)
            except CheckError as error:
                refused = error
            if len(readable) > top:
                break  # what is not finite hangs on the real numbers
        if readable:
            return readable[0]
        raise refused or CheckError(f"{self.layer.name}: no integers keep every read in bounds")

    def _draw(self, sizes: Sizes, recipes: Mapping[str, str], top: int, width: int = 0) -> dict[str, Array]:
        """Return values; ``width`` is that of the window of each input of integers, 0 for all that it may hold."""
        arrays = {}
        for t in self.layer.inputs:
            if not t.integer:
                arrays[t.name] = self._real(t.name, sizes, recipes.get(t.name, "normal"))
                continue
            shape, most = self.geometry.shape(t.name, sizes), max(self._most(t.name, sizes, top), 1)
            low = int(self.rng.integers(0, max(most - width, 0), endpoint=True)) if width else 0
            drawn = self.rng.integers(low, min(low + width, most) if width else most, size=shape)
            rising = width and drawn.ndim and self.rng.integers(2)
            arrays[t.name] = np.sort(drawn) if rising else drawn
        return arrays

    def _most(self, name: str, sizes: Sizes, top: int) -> int:
        """Return how many values an integer may have, from 0: the smallest extent that it indexes, else ``top``."""
        axes = [self.geometry.shape(tensor, sizes)[axis] for tensor, axis in self.bounds[name]]
        return min(axes + [self.geometry.extent(index, sizes) for index in self.partners[name]], default=top)

    def _real(self, name: str, sizes: Sizes, recipe: str) -> Array:
        """Return values drawn by the recipe, or inside the inputs that they are positions in."""
        shape, positions = self.geometry.shape(name, sizes), self.positions.get(name, []) if self.inside else []
        ends = [(-k, self.geometry.shape(tensor, sizes)[axis] - k) for tensor, axis, k in positions]
        low, high = max((low for low, _ in ends), default=0), min((high for _, high in ends), default=0)
        draw = (lambda rng, shape: rng.uniform(low, high, size=shape)) if low < high else RECIPES[recipe]
        return np.asarray(draw(self.rng, shape))

    def _is_finite(self, arrays: Mapping[str, Array], sizes: Sizes) -> bool:
        """Return whether every output is finite and nothing on the way is nan; minus infinity may be, as a mask is."""
        lefts = self.evaluator(arrays, sizes.attributes)
        wrong = (n for n, a in lefts.items() if np.isnan(a).any() or (n in self.layer.outputs and np.isinf(a).any()))
        blamed = next(wrong, None)
        self.blamed = blamed or self.blamed
        return blamed is None

    def _usable(self, arrays: Mapping[str, Array], sizes: Sizes) -> bool:
        try:
            return self._is_finite(arrays, sizes)
        except CheckError:
            return False


def _dominant(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return symmetric matrices with a large diagonal, so positive definite ones; positive numbers of other shapes."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return rng.uniform(0.5, 2.0, size=shape)
    drawn = rng.uniform(0.1, 0.9, size=shape)
    return (drawn + np.swapaxes(drawn, -1, -2)) / 2 + shape[-1] * np.eye(shape[-1])


def kink_values(layer: Layer, attributes: Mapping[str, int | float]) -> npt.NDArray[np.float64]:
    """Return numbers at which the layer's branches meet, and a few more; small, and most of them exact in binary."""
    found = {-1.0, 0.0, 1.0, 2.0}
    for node in _deciding(layer):
        named = {float(attributes[s.name]) for s in node.atoms(sympy.Symbol) if s.name in attributes}
        written = {float(number) for number in node.atoms(sympy.Number) if number.is_finite and abs(number) < 100}
        found |= {sign * value for value in named | written for sign in (1, -1)}
    return np.array(sorted(found))


def has_kinks(layer: Layer) -> bool:
    """Return whether the branch that the equations take may hang on real values."""
    scalars = {t.name for t in layer.inputs if not t.shape}
    return any(node.has(Indexed) or scalars & {s.name for s in node.atoms(sympy.Symbol)} for node in _deciding(layer))


def has_stops(layer: Layer) -> bool:
    """Return whether a part of the equations counts as constant for differentiation."""
    unchecked = (n for e in layer.equations for n in e.rhs.atoms(CustomGradient) if not n.checked)
    return any(e.rhs.has(StopGradient) for e in layer.equations) or any(unchecked)


def divides(layer: Layer) -> bool:
    """Return whether the equations divide by something that may be 0 without elements, or take its logarithm."""
    nodes = [n for e in layer.equations for n in sympy.preorder_traversal(e.rhs)]
    powers = [n for n in nodes if isinstance(n, sympy.Pow) and not n.base.is_number]
    return any(not p.exp.is_nonnegative for p in powers) or any(isinstance(n, sympy.log) for n in nodes)


def _deciding(layer: Layer) -> list[Any]:
    kinds = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, ReduceMax, ReduceMin, Relational)
    return [n for e in layer.equations for n in sympy.preorder_traversal(e.rhs) if isinstance(n, kinds)]
