"""Sizes and attributes to check a layer at: small, awkward and valid.

Candidates are drawn and kept when every extent that the declaration implies is an integer of at least 1. Extents that
differ, primes first, show axes that were swapped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from sympy.tensor.indexed import Indexed

from symgrad.check.arithmetic import Arithmetic
from symgrad.check.closures import compile_expression
from symgrad.check.scope import Environment, Node, Scope, label, whole
from symgrad.declare.layer import Layer
from symgrad.declare.notation import Reduction
from symgrad.errors import CheckError

STYLES = ("plain", "varied", "ones", "equal")
"""Attributes at their defaults; drawn attributes; some extents 1; few distinct extents, so that kernel = input."""

TRIES, WANTED = 4000, 12
WORK = 12_000
"""How many nodes of the equations an evaluation may visit, so that a check takes seconds."""


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


@dataclass(frozen=True)
class _Extent:
    """First and last value of an index; an axis runs from 0. ``own`` is whether sizes alone have to determine it."""

    first: Node
    last: Node
    own: bool


class Geometry:
    """What a declaration says about sizes: the symbols to draw, the extents to keep at least 1, the work to do."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.scope = Scope(layer.name, frozenset(), {}, layer.ranges, Arithmetic())
        self.attributes = {s.name: s for s in layer.attributes}
        shapes = [sympy.sympify(e) for t in layer.inputs for e in t.shape]
        drawn = {s.name for e in shapes for s in e.free_symbols} - set(self.attributes)
        self.dimensions = tuple(sorted(drawn))
        axes = [(sympy.Integer(0), e - 1) for e in shapes]
        lefts = [self._ends(i) for e in layer.equations if isinstance(e.lhs, Indexed) for i in e.lhs.indices]
        bound = [
            (limit[1], limit[2])
            for e in layer.equations
            for r in _reductions(e.rhs)
            for limit in r.limits
            if len(limit) == 3
        ]
        self.extents = [self._extent(*ends, own=True) for ends in axes + lefts] + [
            self._extent(*ends, own=False) for ends in bound
        ]

    def _ends(self, index: Any) -> tuple[Any, Any]:
        ends = (getattr(index, "lower", None), getattr(index, "upper", None))
        if None in ends:
            return self.layer.ranges.get(label(index), (sympy.Integer(0), sympy.Integer(0)))
        return ends

    def _extent(self, first: Any, last: Any, own: bool) -> _Extent:
        return _Extent(compile_expression(first, self.scope), compile_expression(last, self.scope), own)

    def shape(self, extents: Sequence[Any], sizes: Sizes) -> tuple[int, ...]:
        """Return the shape that a declared shape has at given sizes.

        Raises:
            CheckError: an extent is no integer.
        """
        env = sizes.environment
        nodes = [compile_expression(sympy.sympify(e), self.scope) for e in extents]
        return tuple(
            whole(node(env), f"the extent {e}", self.scope, env) for node, e in zip(nodes, extents, strict=True)
        )

    def fits(self, sizes: Sizes, least: int = 1) -> bool:
        """Return whether every extent that sizes alone determine is an integer, and at least ``least``."""
        env = sizes.environment
        for extent in self.extents:
            try:
                ends = [whole(end(env), "an end", self.scope, env) for end in (extent.first, extent.last)]
            except CheckError:  # a limit may hang on data or on another index: the evaluator will judge it
                if extent.own:
                    return False
                continue
            if ends[1] - ends[0] + 1 < least:
                return False
        return True

    def work(self, sizes: Sizes) -> int:
        """Return about how many nodes one naive evaluation visits."""
        env = sizes.environment
        total = 0
        for equation in self.layer.equations:
            indices = equation.lhs.indices if isinstance(equation.lhs, Indexed) else ()
            ends = [self._ends(i) for i in indices]
            total += math.prod([self._length(*e, env) for e in ends]) * self._nodes(equation.rhs, env)
        return total

    def _length(self, first: Any, last: Any, env: Environment) -> int:
        try:
            ends = [whole(compile_expression(e, self.scope)(env), "an end", self.scope, env) for e in (first, last)]
        except CheckError:
            return 3
        return max(ends[1] - ends[0] + 1, 0)

    def _nodes(self, expr: Any, env: Environment) -> int:
        if isinstance(expr, sympy.Sum | sympy.Product | Reduction):
            lengths = [self._length(limit[1], limit[2], env) if len(limit) == 3 else 3 for limit in expr.limits]
            return 1 + math.prod(lengths) * self._nodes(expr.function, env)
        return 1 + sum(self._nodes(a, env) for a in expr.args)


def _reductions(expr: Any) -> Iterator[Any]:
    for node in sympy.preorder_traversal(expr):
        if isinstance(node, sympy.Sum | sympy.Product | Reduction):
            yield node


def draw_sizes(geometry: Geometry, rng: np.random.Generator, style: str) -> Sizes:
    """Return valid sizes in one of the ``STYLES``: of a dozen that fit, those with most distinct extents.

    Raises:
        CheckError: none of the candidates gives every index an extent of at least 1.
    """
    found: list[Sizes] = []
    for attempt in range(TRIES):
        # Defaults may fit no small size, as a window of 1000 does.
        sizes = _candidate(geometry, rng, "varied" if style == "plain" and attempt > TRIES // 4 else style)
        if geometry.fits(sizes):
            found.append(sizes)
        if len(found) == WANTED:
            break
    if not found:
        raise CheckError(
            f"{geometry.layer.name}: none of {TRIES} small sizes for {', '.join(geometry.dimensions) or 'no symbol'} "
            "gives every index an integer extent of at least 1"
        )
    work = [geometry.work(sizes) for sizes in found]
    limit = max(WORK, min(work))
    affordable = [sizes for sizes, w in zip(found, work, strict=True) if w <= limit]
    return affordable[0] if style in ("ones", "equal") else max(affordable, key=_variety)


def without_elements(geometry: Geometry, rng: np.random.Generator, sizes: Sizes) -> Sizes | None:
    """Return the sizes with one dimension 0, None where no dimension may be."""
    for name in rng.permutation(np.array(geometry.dimensions, dtype=object)):
        empty = Sizes({**sizes.dimensions, str(name): 0}, sizes.attributes)
        if geometry.fits(empty, least=0):
            return empty
    return None


def _variety(sizes: Sizes) -> tuple[int, int]:
    values = sizes.dimensions.values()
    return len(set(values)), sum(v in (2, 3, 5, 7) for v in values)


def _candidate(geometry: Geometry, rng: np.random.Generator, style: str) -> Sizes:
    attributes = {}
    for attribute in geometry.layer.program.attributes:
        default, symbol = attribute.default, geometry.attributes[attribute.name]
        if style == "plain":
            attributes[attribute.name] = default
        elif attribute.integer:
            low = int(default) - 1 if attribute.minimum is None else attribute.minimum
            attributes[attribute.name] = int(rng.choice([default, low, low + 1, low + 2]))
        else:
            attributes[attribute.name] = _near(float(default), bool(symbol.is_nonnegative), rng)
    pool = {"equal": rng.integers(1, 7, size=2), "ones": np.array([1, 1, 2, 3, 5])}.get(
        style, np.array([1, 2, 2, 3, 3, 4, 5, 6, 7])
    )
    return Sizes({name: int(rng.choice(pool)) for name in geometry.dimensions}, attributes)


def _near(default: float, nonnegative: bool, rng: np.random.Generator) -> float:
    """Return a value near a real default, on its side of 0 and of 1."""
    if default == 0:
        drawn = float(rng.normal() / 4)
        return abs(drawn) if nonnegative else drawn
    drawn = default * float(rng.uniform(0.5, 1.5))
    return (default + 1) / 2 if 0 < default < 1 <= drawn else drawn
