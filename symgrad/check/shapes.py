"""Sizes and attributes to check a layer at: small, awkward and valid.

Candidates are drawn and kept when every extent that the declaration implies is an integer of at least 1. Extents that
differ, primes first, show axes that were swapped.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from symgrad.check.arithmetic import Arithmetic
from symgrad.check.closures import compile_expression
from symgrad.check.scope import Environment, Node, Scope, label, whole
from symgrad.declare.arguments import required
from symgrad.declare.layer import Layer
from symgrad.declare.notation import Reduction
from symgrad.errors import CheckError

STYLES = ("plain", "varied", "ones", "equal")
"""Attributes at their defaults; drawn attributes; some extents 1; few distinct extents, so that kernel = input."""

TRIES, WANTED = 2000, 24
WORK = 40_000
"""How many nodes of the equations one evaluation may visit, so that a check takes seconds."""

Ends = tuple[Node, Node]
"""First and last value of an index."""


@dataclass(frozen=True)
class Sizes:
    """Values of the dimension symbols and of the attributes, by name."""

    dimensions: dict[str, int]
    attributes: dict[str, int | float]

    @property
    def environment(self) -> Environment:
        """All of them."""
        return {**self.attributes, **self.dimensions}

    def __str__(self) -> str:
        """Names and values on one line."""
        values = [f"{name}={value:g}" for name, value in self.environment.items()]
        return " ".join(values) or "no sizes"


class Geometry:
    """What a declaration says about sizes: the symbols to draw, the extents to keep at least 1, the work to do."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.scope = Scope(layer.name, frozenset(), {}, layer.ranges, Arithmetic())
        self.attributes = {s.name: s for s in layer.attributes}
        stated = [required(layer.name, r)[0] for r in getattr(layer, "requires", ())]
        self.relations = [sympy.true if r is True else r for r in stated]
        divisors = {m.args[1] for r in self.relations for m in r.atoms(sympy.Mod)}
        self.multiples = sorted(int(d) for d in divisors if d.is_Integer)
        self.shapes = {t.name: [self._node(e) for e in t.shape] for t in layer.inputs}
        drawn = {s.name for t in layer.inputs for e in t.shape for s in e.free_symbols}
        self.dimensions = tuple(sorted(drawn - set(self.attributes)))
        self.lefts = [[self._ends(i) for i in getattr(e.lhs, "indices", ())] for e in layer.equations]
        self.visits = [self._visits(e.rhs) for e in layer.equations]
        self.bound = {ends for visits in self.visits for around in visits for ends in around}

    def _node(self, expr: Any) -> Node:
        return compile_expression(expr, self.scope)

    def _ends(self, index: Any) -> Ends:
        first, last = getattr(index, "lower", None), getattr(index, "upper", None)
        if first is None or last is None:
            first, last = self.layer.ranges[label(index)]
        return self._node(first), self._node(last)

    def _limit(self, limit: Any) -> Ends:
        return self._ends(limit[0]) if len(limit) == 1 else (self._node(limit[1]), self._node(limit[2]))

    def _visits(self, expr: Any, around: tuple[Ends, ...] = ()) -> dict[tuple[Ends, ...], int]:
        """Return how many nodes stand inside each nest of reductions."""
        found = Counter({around: 1})
        if isinstance(expr, sympy.Sum | sympy.Product | Reduction):
            inner = tuple(self._limit(limit) for limit in expr.limits)
            return found + Counter(self._visits(expr.function, around + inner))
        for argument in expr.args:
            found.update(self._visits(argument, around))
        return found

    def shape(self, tensor: str, sizes: Sizes) -> tuple[int, ...]:
        """Return the shape of an input.

        Raises:
            CheckError: an extent is no integer.
        """
        env = sizes.environment
        return tuple([whole(extent(env), f"an extent of {tensor}", self.scope, env) for extent in self.shapes[tensor]])

    def extent(self, index: Any, sizes: Sizes) -> int:
        """Return how many values an index has.

        Raises:
            CheckError: its range is no integer.
        """
        return self._extent(self._ends(index), sizes.environment)

    def fits(self, sizes: Sizes, least: int = 1) -> bool:
        """Return whether every extent that sizes alone determine is an integer, and at least ``least``."""
        env = sizes.environment
        try:
            extents = [k for name in self.shapes for k in self.shape(name, sizes)]
            extents += [self._extent(ends, env) for left in self.lefts for ends in left]
        except CheckError:
            return False
        return min([least, *extents]) == least and self._bound_fit(env, least) and self._required(env)

    def _required(self, env: Environment) -> bool:
        """Return whether the relations that the layer requires hold."""
        return all(bool(r.subs({s: env[s.name] for s in r.free_symbols})) for r in self.relations)

    def _bound_fit(self, env: Environment, least: int) -> bool:
        for ends in self.bound:
            try:
                if self._extent(ends, env) < least:
                    return False
            except CheckError:  # it hangs on data or on another index: the evaluator will judge
                continue
        return True

    def work(self, sizes: Sizes) -> int:
        """Return about how many nodes one naive evaluation visits."""
        env = sizes.environment
        total = 0
        for left, visits in zip(self.lefts, self.visits, strict=True):
            elements = math.prod([self._guess(ends, env) for ends in left])
            total += elements * sum(
                count * math.prod([self._guess(ends, env) for ends in around]) for around, count in visits.items()
            )
        return total

    def richness(self, sizes: Sizes) -> float:
        """Return the share of indices that take more than one value."""
        env = sizes.environment
        taken = [self._guess(ends, env) for ends in [*self.bound, *(ends for left in self.lefts for ends in left)]]
        return sum(k > 1 for k in taken) / max(len(taken), 1)

    def _extent(self, ends: Ends, env: Environment) -> int:
        first, last = (whole(end(env), "an end", self.scope, env) for end in ends)
        return last - first + 1

    def _guess(self, ends: Ends, env: Environment) -> int:
        try:
            return max(self._extent(ends, env), 0)
        except CheckError:
            return 3


def draw_sizes(geometry: Geometry, rng: np.random.Generator, style: str) -> Sizes:
    """Return valid sizes in one of the ``STYLES``: of a few dozen that fit, those that show most.

    Raises:
        CheckError: none of the candidates gives every index an extent of at least 1.
    """
    least = 1 if _may_have_elements(geometry) else 0
    found: list[Sizes] = []
    cheapest: tuple[float, Sizes | None] = (math.inf, None)
    for attempt in range(TRIES):
        # Defaults may fit no small size, as a window of 1000 does; and with many indices only tiny extents are cheap.
        age = 4 * attempt // TRIES
        sizes = _candidate(geometry, rng, "varied" if style == "plain" and age else style, (7, 4, 3, 2)[age])
        if not geometry.fits(sizes, least):
            continue
        work = geometry.work(sizes)
        if work < cheapest[0]:
            cheapest = work, sizes
        if work <= WORK:
            found.append(sizes)
        if len(found) == WANTED:
            break
    if cheapest[1] is None:
        raise CheckError(
            f"{geometry.layer.name}: none of {TRIES} small sizes for {', '.join(geometry.dimensions) or 'no symbol'} "
            "gives every index an integer extent of at least 1"
        )
    found = found or [cheapest[1]]
    return found[0] if style == "ones" else max(found, key=lambda sizes: _worth(geometry, sizes, style))


def _may_have_elements(geometry: Geometry) -> bool:
    """Return whether no extent is 0 whatever the sizes are."""
    extents = [e for t in geometry.layer.program.inputs for e in t.extents]
    extents += [i.extent for e in geometry.layer.program.equations for i in e.indices]
    return all(extent.constant != 0 for extent in extents)


def _worth(geometry: Geometry, sizes: Sizes, style: str) -> float:
    """Return how much sizes show: indices with more than one value, extents that differ, attributes, little work."""
    extents = sizes.dimensions.values()
    worth = 3 * geometry.richness(sizes) - geometry.work(sizes) / WORK
    if style != "equal":
        worth += (len(set(extents)) + sum(e in (2, 3, 5, 7) for e in extents)) / max(len(extents), 1)
    defaults = {a.name: a.default for a in geometry.layer.program.attributes}
    moved = sum(v not in (0, defaults[name]) for name, v in sizes.attributes.items()) / max(len(defaults), 1)
    return worth - moved if style == "plain" else worth + moved


def without_elements(geometry: Geometry, rng: np.random.Generator, sizes: Sizes) -> Sizes | None:
    """Return the sizes with one dimension 0, None where no dimension may be."""
    for name in rng.permutation(np.array(geometry.dimensions, dtype=object)):
        empty = Sizes({**sizes.dimensions, str(name): 0}, sizes.attributes)
        if geometry.fits(empty, least=0):
            return empty
    return None


def _candidate(geometry: Geometry, rng: np.random.Generator, style: str, most: int) -> Sizes:
    attributes: dict[str, int | float] = {}
    for attribute in geometry.layer.program.attributes:
        default, symbol = attribute.default, geometry.attributes[attribute.name]
        if style == "plain":
            attributes[attribute.name] = default
        elif attribute.integer:
            low = int(default) - 1 if attribute.minimum is None else attribute.minimum
            attributes[attribute.name] = int(rng.choice([default, low, low + 1, low + 2]))
        else:
            attributes[attribute.name] = _near(float(default), bool(symbol.is_nonnegative), rng)
    pools = {"equal": rng.integers(1, most, size=2, endpoint=True), "ones": np.array([1, 1, 2, 3, 5])}
    pool = pools.get(style, np.array([1, 2, 2, 3, 3, 4, 5, 6, 7]))
    pool = np.append(pool[pool <= most], geometry.multiples).astype(int)
    extents = rng.choice(pool, size=len(geometry.dimensions)).tolist()
    return Sizes(dict(zip(geometry.dimensions, extents, strict=True)), attributes)


def _near(default: float, nonnegative: bool, rng: np.random.Generator) -> float:
    """Return a value near a real default, on its side of 0 and of 1."""
    if default == 0:
        drawn = float(rng.normal() / 4)
        return abs(drawn) if nonnegative else drawn
    drawn = default * float(rng.uniform(0.5, 1.5))
    return (default + 1) / 2 if 0 < default < 1 <= drawn else drawn
