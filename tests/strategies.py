"""A Hypothesis strategy of random valid declarations, each with values for its inputs and attributes.

A declaration is drawn as Python text, so that what fails can be pasted: sizes first, then tensors whose extents are
expressions in them, then equations over ranges that come from extents. ``strategies_expressions`` draws right sides.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from hypothesis import strategies as st

import symgrad

from .strategies_expressions import Expressions
from .strategies_world import Anywhere, Bound, Extent, Integers, Scope, Table, World

INPUT_EXTENTS = ("{A}", "{A}", "{A}", "{A}", "2", "3", "2*{A}", "{A} + 1", "{A}*{B}", "{A} + {B} - 1", "{A} + {B}", "5")
LEFT_EXTENTS = (
    "{E}", "{E}", "{E}", "2", "3", "{A}", "{E} - 1", "floor({E}/2)", "floor(({E} - {A})/{s}) + 1",
    "{E} - {d}*({A} - 1)", "floor(({E} + 2*{p} - {A})/{s}) + 1", "ceiling({E}/2)", "{E}*{A}", "2*{E}",
    "{E} + {A} - 1", "{s}*({E} - 1) + {A}", "floor(({E} + {p} - 2)/{s}) + 1",
)  # fmt: skip
LARGEST = 6
SYMGRAD = (
    "Layer", "Padded", "ReduceMax", "ReduceMin", "ArgMax", "ArgMin", "LogSumExp", "StopGradient", "CustomGradient",
)  # fmt: skip
ATTRIBUTES = {
    "s": ("stride", "integer=True, positive=True", (2, 1, 3)),
    "d": ("dilation", "integer=True, positive=True", (1, 2)),
    "p": ("padding", "integer=True, nonnegative=True", (1, 0, 2)),
    "z": ("scale", "positive=True", (0.5, 1.5)),
}
OTHER_SIZES = [dict(zip("NMK", sizes, strict=True)) for sizes in itertools.permutations((2, 3, 5))] + [
    {"N": 4, "M": 4, "K": 2},
    {"N": 3, "M": 2, "K": 2},
]
POOL = np.arange(1, 65, 2) / 32
"""Magnitudes of values: few binary digits, so that sums of products are exact and ties are ties in any order."""


@dataclass(frozen=True)
class Case:
    """A declaration as text, and what to run it with."""

    text: str
    arrays: dict[str, npt.NDArray[Any]]
    attributes: dict[str, int | float]

    def layer(self) -> symgrad.Layer:
        """Run the text."""
        names = {**vars(sympy), **{name: getattr(symgrad, name) for name in SYMGRAD}}
        exec(self.text, names)
        layer: symgrad.Layer = names["layer"]
        return layer

    def script(self) -> str:
        """Return the text with its imports and values: a program of its own."""
        lines = [
            "import numpy as np",
            "from sympy import *",
            f"from symgrad import {', '.join(SYMGRAD)}",
            "",
            self.text,
            "arrays = {",
        ]
        lines += [f"    {name!r}: np.array({a.tolist()!r})," for name, a in self.arrays.items()]
        return "\n".join([*lines, "}", f"attributes = {self.attributes!r}"])


class _Sketch:
    """One declaration while it is drawn."""

    def __init__(self, pick: Callable[[Sequence[Any]], Any]) -> None:
        self.pick, self.world = pick, World(OTHER_SIZES)
        self.made = Expressions(pick, self.world)
        self.lines: list[str] = []
        self.attributes: dict[str, tuple[int | float, int | float]] = {}
        self.lefts: dict[tuple[str, str], str] = {}
        self.equations: list[str] = []
        self.results: list[Table] = []

    def case(self) -> Case:
        """Draw everything, in the order of the text."""
        for name in ("N", "M", "K")[: self.pick((1, 2, 3))]:
            self.world.values[name] = self.pick((2, 3, 4, 1, 5))
            self.made.sizes.append(name)
        for key, (name, _, values) in ATTRIBUTES.items():
            if self.made.chance(3):
                self.attributes[name] = (self.pick(values), self.pick(values))
                self.world.values[name] = self.attributes[name][0]
                self.made.numbers[key] = (name, *self.made.numbers[key])
        seed = self.pick(range(100))
        inputs = [self.real(name) for name in ("x", "w", "b")[: self.pick((1, 2, 3))]]
        inputs += [Table("q", self.extents(2), "positive")] if self.made.chance(4) else []
        self.made.tables = list(inputs)
        data = self.integers(np.random.default_rng([seed, 1]))
        inputs += list(data)
        for name in ("h", "e")[: self.pick((0, 0, 1, 2))]:
            self.equation(name)
        for name in ("y", "r")[: self.pick((1, 1, 1, 2))]:
            self.equation(name)
        return self.finish(inputs, data, np.random.default_rng([seed, 2]))

    # --- tensors ---------------------------------------------------------------------------------------------

    def real(self, name: str) -> Table:
        return Table(name, self.extents(3))

    def extents(self, most: int) -> tuple[Extent, ...]:
        extents: list[Extent] = []
        for _ in range(self.pick(range(most + 1))):
            again = [e for t in self.made.tables for e in t.extents] + extents
            fresh = self.sized(INPUT_EXTENTS)
            extent = self.pick(again) if again and self.made.chance(4) else fresh
            if extent.value * int(np.prod([e.value for e in extents])) <= POOL.size:
                extents.append(extent)
        return tuple(extents)

    def sized(self, forms: Sequence[str]) -> Extent:
        """Return an extent of one of the forms; the plain one where that is too small or too large."""
        axes = [e for t in self.made.tables for e in t.extents] or [Extent("2", 2)]
        base = self.pick(axes)

        def drawn(match: re.Match[str]) -> str:
            if match[1] == "E":
                return f"({base.text})" if " " in base.text else base.text
            if match[1] == "B":
                return str(self.pick(self.made.sizes[1:] or ["3"]))
            return str(
                self.pick(
                    self.made.sizes[:1]
                    if "B" in form
                    else self.made.sizes
                    if match[1] == "A"
                    else self.made.numbers[match[1]]
                )
            )

        form = self.pick(forms)
        text = re.sub(r"\{(\w)\}", drawn, form)
        value = self.world.value(text)
        plain = base if "E" in form else Extent(self.made.sizes[0], self.world.value(self.made.sizes[0]))
        return Extent(text, value) if 1 <= value <= LARGEST and self.world.ever_positive(text) else plain

    def integers(self, rng: np.random.Generator) -> dict[Table, npt.NDArray[np.int64]]:
        """Draw integer data: what it holds is known before an equation reads it."""
        drawn: dict[Table, npt.NDArray[np.int64]] = {}
        for name in ("ids", "pos")[: self.pick((0, 0, 1, 2))]:
            table = Table(name, self.extents(2), "integer")
            shape = tuple(e.value for e in table.extents)
            first, beyond = self.pick((0, 0, 0, 1, -1)), self.pick((2, 3, 4))
            values = np.asarray(rng.integers(first, beyond, size=shape))
            self.world.values[name] = Integers(values) if shape else int(values)
            self.made.tables.append(table)
            drawn[table] = values
        return drawn

    # --- equations -------------------------------------------------------------------------------------------

    def equation(self, target: str) -> None:
        """Draw ``target[..] = ..``; the tables know the target afterwards."""
        scope = Scope()
        axes: list[Extent] = []
        for label in ("i", "j", "k")[: self.pick((1, 2, 3, 0))]:
            extent = self.sized(LEFT_EXTENTS)
            variable = self.lefts.setdefault((label, extent.text), f"{label}{len(self.lefts) or ''}")
            wider = scope.inside(Bound(variable, label, "0", f"{extent.text} - 1"))
            if self.world.size(wider) <= 48:
                scope, axes = wider, [*axes, extent]
        special = self.pick(("", "", "", "", "inferred", "argmax", "product", "normalised"))
        kind, most, right = "real", 0, ""
        if special == "inferred":
            scope, axes, right = self.inferred(target, scope, axes)
        elif special == "argmax" and axes and target in "he":
            extent = self.sized(LEFT_EXTENTS[:1])
            bound = Bound("t", "t", "0", f"{extent.text} - 1")
            if (read := self.made.read_along(bound, scope.inside(bound))) is not None:
                right = f"{self.pick(('ArgMax', 'ArgMin'))}({read}, (t, 0, {bound.last}))"
                kind, most = "position", extent.value
                self.world.values[target] = Anywhere(most)
        elif special == "product":
            right = self.made.reduction(scope, 1, 1, "Product")
        elif special == "normalised":
            right = self.made.normalised(scope) or ""
        right = right or self.made.value(scope, self.pick((2, 1, 3)))
        left = f"{target}[{', '.join(b.name for b in scope.indices)}]" if axes else target
        self.equations.append(f"Eq({left}, {right})")
        table = Table(target, tuple(axes), kind, most)
        self.results.append(table)
        self.made.tables.append(table)

    def inferred(self, target: str, scope: Scope, axes: list[Extent]) -> tuple[Scope, list[Extent], str]:
        """Draw an equation with a last index whose range its one plain read gives."""
        name = f"{target}_at"
        extent = self.sized(LEFT_EXTENTS[:1])
        stride, start = self.pick(("", "2*")), ""
        last = f"floor(({extent.text} - 1{start.replace('+', '-')})/{stride[:1] or 1})"
        bound = Bound(name, name, "0", last)
        wider = scope.inside(bound)
        if self.world.value(last) < 0 or self.world.size(wider) > 48:
            return scope, axes, ""
        tables = [t for t in self.made.tables if any(e.text == extent.text for e in t.extents)]
        table = self.pick([t for t in tables if t.kind in ("real", "positive")] or [None])
        if table is None:
            return scope, axes, ""
        axis = next(k for k, e in enumerate(table.extents) if e.text == extent.text)
        indices = [self.made.fitting(e, scope) for e in table.extents]
        indices[axis] = f"{stride}{name}{start}"
        self.lefts[name, ""] = name
        shy = Scope(wider.indices, (), frozenset({name}))
        right = f"{table.name}[{', '.join(indices)}] + {self.made.value(shy, 1)}"
        return wider, [*axes, Extent(f"({last} + 1)", self.world.value(last) + 1)], right

    # --- text ------------------------------------------------------------------------------------------------

    def finish(self, inputs: list[Table], data: dict[Table, Any], rng: np.random.Generator) -> Case:
        """Put the text together, without the inputs and attributes that nothing reads."""
        body = "\n".join(self.equations)
        used = [t for t in inputs if self._mentions(body, t.name)] or inputs[:1]
        shapes = [f"{t.name}[{', '.join(e.text for e in t.extents)}]" if t.extents else t.name for t in used]
        indices = [
            f'{name} = Idx("{label}", {extent})' if extent else f'{name} = Idx("{label}")'
            for (label, extent), name in {**self.lefts, **self.made.ranged}.items()
            if self._mentions(body, name)
        ]
        everything = "\n".join([body, *shapes, *indices])
        sizes = [s for s in self.made.sizes if self._mentions(everything, s)]
        named = {key: n for key, (n, _, _) in ATTRIBUTES.items() if self._mentions(everything, n)}
        lines = [f'{s} = Symbol("{s}", integer=True, positive=True)' for s in sizes]
        lines += [f'{n} = Symbol("{n}", {ATTRIBUTES[key][1]})' for key, n in named.items()]
        real = ", real=True" if re.search(r"\b(Max|Min)\(", body) else ""  # SymPy takes Max of real numbers only
        for t in [*used, *self.results]:
            known = ", integer=True" if t in data else "" if t.kind == "position" else real
            lines.append(f'{t.name} = {"IndexedBase" if t.extents else "Symbol"}("{t.name}"{known})')
        lines += [f'{n} = Idx("{n}")' for n in ("u", "v", "m", "t", "g") if self._mentions(body, n)] + indices
        attributes = {n: self.attributes[n] for n in named.values()}
        values = {n: value for n, (value, _) in attributes.items()}
        defaults = {n: default for n, (_, default) in attributes.items()}
        for s in _unsolved(sizes, [e.text for t in used for e in t.extents]):
            values[s], defaults[s] = self.world.value(s), 2
        outputs = [t.name for t in self.results if t.name in ("y", "r") or self.made.chance(4)]
        lines += ["layer = Layer(", '    "random_layer",', f"    inputs=[{', '.join(shapes)}],", "    equations=["]
        lines += [f"        {e}," for e in self.equations]
        lines += ["    ],", f"    attributes={{{', '.join(f'{n}: {v}' for n, v in defaults.items())}}},"]
        lines += [
            f"    integers=[{', '.join(t.name for t in data if t in used)}],",
            f"    outputs=[{', '.join(outputs)}],",
            ")",
        ]
        return Case("\n".join(lines), {t.name: self._values(t, data, rng) for t in used}, values)

    @staticmethod
    def _mentions(text: str, name: str) -> bool:
        return re.search(rf"\b{name}\b", text) is not None

    @staticmethod
    def _values(table: Table, data: dict[Table, Any], rng: np.random.Generator) -> npt.NDArray[Any]:
        if table in data:
            return np.asarray(data[table])
        shape = tuple(e.value for e in table.extents)
        magnitudes = rng.choice(POOL, size=shape, replace=False)
        if table.kind == "positive":
            return np.asarray(magnitudes)
        values = magnitudes * rng.choice([-1.0, 1.0], size=shape)
        if rng.integers(4) == 0:  # zeros in products, ties in maxima
            values = np.where(rng.random(shape) < 0.4, 0.0, values)
        return np.asarray(values)


def _unsolved(sizes: list[str], extents: list[str]) -> list[str]:
    """Return the sizes that the extents of the inputs do not determine one after the other."""
    known: set[str] = set()
    needs = [set(re.findall(r"[A-Z]", text)) for text in extents]
    while found := {next(iter(need - known)) for need in needs if len(need - known) == 1}:
        known |= found
    return [s for s in sizes if s not in known]


@st.composite
def declarations(draw: Any) -> Case:
    """Declarations of up to five equations over at most six tensors, all of them valid.

    One number decides everything: choices drawn one by one keep to what was drawn before, and rarely go far.
    """
    return declaration(draw(st.integers(1, 2**63)))


def declaration(seed: int) -> Case:
    """The declaration that a number stands for."""
    return _Sketch(random.Random(seed).choice).case()
