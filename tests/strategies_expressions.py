"""Right sides: values, reads, indices, conditions and reductions, drawn so that every read is in bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .strategies_placed import infinite, own_gradient, placed
from .strategies_world import BOUND, POINTS, Bound, Extent, Scope, Table, World

T = TypeVar("T")
Draw = Callable[[Sequence[Any]], Any]

INDICES = (
    *["{a}"] * 3, "{a} + {c}", "{a} - {c}", "{E} - 1 - {a}", "{a} + {b}", "{a} - {b}", "{s}*{a} + {b}", "{c}",
    "{E} - 1", "{s}*{a} + {b} - {p}", "{s}*{a} + {d}*{b} - {p}", "{a} - {b} + {c}", "{n}*{a} + {b}", "{c} - {s}*{a}",
    "{i}", "floor({a}/{n})", "Mod({a}, {n})", "floor(({a} + {b})/{n})", "Mod({a} + {c}, {E})",
    "Mod({s}*{a} - {b}, {E})", "{i} + {a}", "{i}", "Min({s}*{a} + {c}, {E} - 1)", "Max({a} - {c}, 0)",
    "Abs({a} - {b})", "Mod({a}*{b}, {E})", "ceiling({a}/{s})", "{E} - 1 - floor({a}/{s})", "{a} + floor({b}/2)",
    "{i} - {a}", "Mod({i} + {a}, {E})", "{a} - 2*floor({a}/2)", "Mod({a}, 2) + {b}", "floor({a}/2) + floor({b}/2)",
    "{E} - 1 - Mod({a}, {n})", "floor({E}/2)", "2*floor({a}/2) + {c}", "{i} + {i}", "floor({i}/2)", "{s}*{i} - {p}",
)  # fmt: skip
"""Forms of an index: a, b indices; c small; p padding; s, d positive; n positive or a size; i data; E extent."""

VALUES = (
    "{v} + {w}", "{v}*{w}", "{v} - {w}", "{v}*{w}", "{v} + {w}", "{v}**2", "-{v}", "{v}*{k}", "{v} + {z}", "{v}*{z}",
    "tanh({v})", "exp({v})", "exp(-{v}**2)", "1/(1 + exp(-{v}))", "log(1 + exp({v}))", "log({q})", "sqrt({q})",
    "1/{q}", "{v}/{q}", "{v}/(1 + Abs({w}))", "{v}/sqrt(1 + {w}**2)", "Max({v}, {w})", "Min({v}, {w})", "Max({v}, 0)",
    "Abs({v})", "Max({k}, Min({v}, {w}))", "{q}**{k}", "{q}**{v}", "cos({v} + {z})", "sin({k}*{v})", "erf({v})",
    "atan({v})", "{v}**3", "sign({v})*{w}", "StopGradient({v})*{w}", "{v}*(1 - {v})", "{v}*log({q})",
    "({v} - {w})**2", "exp({v} - {w})", "{q}**{z}", "exp(-{z}*{v}**2)", "{v}**{p}", "(1 + {v}**2)**(-{z})",
    "{n}**{v}", "{v}*{i}", "Max({v}, {w}, {k})", "tanh({v})/(1 + tanh({w})**2)", "{v}/(1 + exp(-{w}))",
    "{v}*exp({o})", "log(exp({v}) + exp({o}))", "log(2 + exp({o}) + exp({v}))", "Max({v}, {o})", "{f}", "{f}*{v}",
    "{v}*exp({o} - log(exp({o}) + exp({v}) + exp({w})))", "{g}*{w}", "log(exp({v}) + {w}**2*exp({o}))",
)  # fmt: skip
"""Forms of a value: v, w values; q a positive value; k a number; z an index, size or attribute as a number; o a read
that is -oo outside; f a read at a position that data give; g an expression with a gradient of its own."""

POSITIVE = ("{r}", "(1 + {v}**2)", "exp({v})", "({k}**2 + Abs({v}) + 1)", "(2 + tanh({v}))")
CONDITIONS = (
    "{a} >= {c}", "Eq({a}, {c})", "{a} <= {n} - {c}", "{a} < {b}", "Ne({a}, {b})", "Eq(Mod({a}, 2), 0)",
    "{a} + {b} > {c}", "({a} >= {c}) & ({b} < {n})", "({a} < {c}) | ({a} > {b})", "{a} <= {i}", "Eq({a}, {i})",
    "Not(Eq({a}, {b}))", "Eq({i}, {i})", "{i} < {i} + {a}", "Eq(Mod({a} + {b}, {n}), {c})",
    "({a} > 0) & Ne({b}, {c}) & ({a} <= {b} + {c})",
)  # fmt: skip
CHOICES = ("{v} - {w} > 0", "{v} <= {k}", "({v} > 0) & ({w} < {k})", "({v} - {w} < 0) | ({w} > 1)", "Ne({v}, 0)")
"""Conditions on values. Differences: what is compared with nothing but an index is taken to hold integers."""
LIMITS = (
    *[("0", "{E} - 1")] * 5, ("0", "{a}"), ("{a}", "{E} - 1"), ("{a} + 1", "{E} - 1"), ("0", "{E} - 1 - {a}"),
    ("-1", "1"), ("1", "{E} - 1"), ("0", "{a} - 1"), ("{a}", "{a} + 1"), ("0", "floor({a}/2)"), ("0", "{n} - 1"),
    ("{p}", "{E} - 1"), ("0", "{d} - 1"), ("{s}*{a}", "{s}*{a} + {s} - 1"), ("floor({a}/2)", "{a}"), ("0", "{p}"),
    ("Mod({a}, 2)", "{E} - 1"), ("0", "{s}*{a}"), ("Max({a} - 1, 0)", "Min({a} + 1, {E} - 1)"), ("{c}", "2"),
    ("-{p}", "{p}"),
)  # fmt: skip
REDUCTIONS = ("Sum", "Sum", "Sum", "ReduceMax", "Product", "LogSumExp", "ReduceMin", "Sum")
NUMBERS = ("2", "-1", "3", "Rational(1, 2)", "0.3", "-Rational(3, 2)", "1.5")
MODES = ("", "", "", ", 2", ", -1.5", ", {z}", ", mode='reflect'", ", mode='replicate'", ", mode='wrap'")


class Expressions:
    """Draws expressions over the tensors it is given."""

    def __init__(self, pick: Draw, world: World) -> None:
        self.pick, self.world = pick, world
        self.tables: list[Table] = []
        self.sizes: list[str] = []
        self.numbers: dict[str, tuple[str, ...]] = {"s": ("2",), "d": ("2",), "p": ("1",), "z": ()}
        self.ranged: dict[tuple[str, str], str] = {}

    def chance(self, one_in: int) -> bool:
        """Return True once in so many times; shrinks to False."""
        return bool(self.pick([False] * (one_in - 1) + [True]))

    def mentions_a_tensor(self, text: str) -> bool:
        """Whether a tensor is read in an expression."""
        return any(re.search(rf"\b{t.name}\b", text) for t in self.tables)

    # --- values ----------------------------------------------------------------------------------------------

    def value(self, scope: Scope, depth: int, nesting: int = 2) -> str:
        """Return a real value."""
        if depth <= 0:
            return self.leaf(scope)
        kind = self.pick(
            ("form", "form", "form", "reduction", "reduction", "leaf", "delta", "indices", "values", "ragged")
        )
        match kind:
            case "reduction" if nesting:
                return self.reduction(scope, depth - 1, nesting - 1)
            case "ragged" if nesting:
                return self.ragged(scope, depth - 1)
            case "delta" if scope.indices:
                return self.delta(scope, depth, nesting)
            case "indices" if scope.indices:
                return self.by_index(scope, depth, nesting)
            case "values":
                condition = self.fill(self.pick(CHOICES), scope, 0, nesting)
                if not self.mentions_a_tensor(condition):  # one on sizes alone decides which reads are judged
                    condition = f"{self.read(scope)} > {self.pick(NUMBERS)}"
                arms = [self.value(scope, depth - 1, nesting) for _ in range(2)]
                return f"Piecewise(({arms[0]}, {condition}), ({arms[1]}, True))"
            case "leaf":
                return self.leaf(scope)
        return f"({self.fill(self.pick(VALUES), scope, depth - 1, nesting)})"

    def leaf(self, scope: Scope) -> str:
        """Return a read, or at times a number."""
        kind = self.pick(("read", "read", "read", "read", "read", "read", "number", "index"))
        if kind == "number":
            return f"({self.pick(NUMBERS)})"
        return self.number(scope) if kind == "index" else self.read(scope)

    def number(self, scope: Scope) -> str:
        """Return an index, a size, an attribute or integer data as a number."""
        options = [b.name for b in scope.indices] + list(self.numbers["z"]) + self.sizes
        return self.integer(scope) if self.chance(6) or not options else str(self.pick(options))

    def positive(self, scope: Scope, depth: int, nesting: int) -> str:
        """Return a value that is positive."""
        tables = [t for t in self.tables if t.kind == "positive"]
        forms = POSITIVE if tables else POSITIVE[1:]
        form = self.pick(forms)
        return self.read(scope, tables, plain=True) if form == "{r}" else self.fill(form, scope, depth - 1, nesting)

    def by_index(self, scope: Scope, depth: int, nesting: int) -> str:
        """Return a Piecewise on indices, each arm drawn behind the condition that leads to it."""
        condition = self.fill(self.pick(CONDITIONS), scope, 0, 0)
        holds, fails = scope.behind(condition), scope.behind(f"Not({condition})")
        first = self.value(holds, depth - 1, nesting)
        if self.chance(3):
            second = self.fill(self.pick(CONDITIONS), scope, 0, 0)
            middle = self.value(fails.behind(second), depth - 2, nesting)
            return f"Piecewise(({first}, {condition}), ({middle}, {second}), ({self.leaf(fails)}, True))"
        other = self.pick(("0", None)) or self.value(fails, depth - 1, nesting)
        return f"Piecewise(({first}, {condition}), ({other}, True))"

    def delta(self, scope: Scope, depth: int, nesting: int) -> str:
        """Return a value times a KroneckerDelta."""
        left = self.fill(self.pick(INDICES[:11]), scope, 0, 0, "2")
        right = self.pick([b.name for b in scope.indices])
        left = self.integer(scope) if self.chance(2) else left
        right = self.integer(scope) if self.chance(4) else right
        return f"{self.value(scope, depth - 1, nesting)}*KroneckerDelta({left}, {right})"

    # --- reads -----------------------------------------------------------------------------------------------

    def read(self, scope: Scope, tables: Sequence[Table] | None = None, plain: bool = False) -> str:
        """Return a read of a real tensor: in bounds, extended beyond its border, or behind a condition."""
        table = self.pick(tables or [t for t in self.tables if t.kind in ("real", "positive")])
        if not table.extents:
            return str(table.name)
        indices = [self.index(e, scope) for e in table.extents]
        if len(indices) > 1 and self.chance(4):
            indices.reverse()
        out = [k for k, e in enumerate(table.extents) if not self.world.inside(indices[k], e, scope)]
        hidden = any(re.search(rf"\b{name}\b", " ".join(indices)) for name in scope.shy)
        if not out and not hidden and (plain or not self.chance(8)):
            return f"{table.name}[{', '.join(indices)}]"
        remedy = "extend" if hidden else "wrap" if plain else self.pick(("extend", "wrap", "clip", "guard", "extend"))
        if remedy == "extend" and not (plain and hidden):
            return f"Padded({table.name}{self.mode()})[{', '.join(indices)}]"
        for k in out:
            last = f"{table.extents[k].text} - 1"
            if remedy == "clip":
                indices[k] = f"Max(0, Min({indices[k]}, {last}))"
            elif remedy == "wrap":
                indices[k] = "0" if hidden else f"Mod({indices[k]}, {table.extents[k].text})"
        read = f"{table.name}[{', '.join(indices)}]" if not hidden else f"Padded({table.name}, 1)[{', '.join(indices)}]"
        if remedy != "guard" or not out:
            return read
        inside = " & ".join(f"({indices[k]} >= 0) & ({indices[k]} <= {table.extents[k].text} - 1)" for k in out)
        return f"Piecewise(({read}, {inside}), ({self.pick(('0', '2'))}, True))"

    def mode(self) -> str:
        """Return what lies outside a tensor."""
        return str(self.pick(MODES)).replace("{z}", str(self.pick((*self.numbers["z"], *self.sizes, "2"))))

    def index(self, extent: Extent, scope: Scope) -> str:
        """Return an index for an axis; it may lie outside."""
        fitting = [b.name for b in scope.indices if self.world.inside(b.name, extent, scope)]
        if fitting and self.pick((True, False)):
            return str(self.pick(fitting))
        return self.fill(self.pick(INDICES), scope, 0, 0, extent.text)

    def integer(self, scope: Scope) -> str:
        """Return an element of integer data, a small number where there is none."""
        tables = [t for t in self.tables if t.kind in ("integer", "position")]
        if not tables:
            return str(self.pick(("1", "0", "2")))
        table = self.pick(tables)
        indices = []
        for extent in table.extents:
            plain = [b for b in scope.indices if b.name not in scope.shy]
            fitting = [b.name for b in plain if self.world.inside(b.name, extent, scope)]
            wrapped = [f"Mod({b.name} + 1, {extent.text})" for b in plain]
            indices.append(self.pick([*fitting, *wrapped, "0"]))
        return f"{table.name}[{', '.join(indices)}]" if indices else str(table.name)

    # --- reductions ------------------------------------------------------------------------------------------

    def reduction(self, scope: Scope, depth: int, nesting: int, kind: str = "") -> str:
        """Return a reduction over one or two indices, the second nested outside the first."""
        kind = kind or self.pick(REDUCTIONS)
        bounds: list[Bound] = []
        for _ in range(self.pick((1, 1, 2))):
            bound = self.bound(scope.inside(*bounds))
            if bound is None:
                break
            bounds.append(bound)
        if not bounds or (kind not in ("Sum", "Product") and not self.world.never_empty(tuple(bounds), scope)):
            return self.leaf(scope)
        body = self.value(scope.inside(*bounds), depth, nesting)
        if not self.mentions_a_tensor(body):
            body = self.read(scope.inside(*bounds))  # SymPy's Max takes no sum of numbers alone
        if kind == "LogSumExp" and self.chance(4):
            body = f"10000*{body}"
        nested = any(b.label in BOUND for b in scope.indices) or "Sum(" in body
        if kind == "Product" and "Piecewise" in body and nested:
            kind = (
                "Sum"  # SymPy folds a Piecewise out of a product in a sum or the reverse, past the indices bound there
            )
        limits = [b.name if b.name in self.ranged.values() else f"({b.name}, {b.first}, {b.last})" for b in bounds]
        ties = ", ties='split'" if kind in ("ReduceMax", "ReduceMin") and self.chance(3) else ""
        return f"{kind}({body}, {', '.join(reversed(limits))}{ties})"

    def ragged(self, scope: Scope, depth: int) -> str:
        """Return a reduction whose first or last index is data; a plain read says how far it may go."""
        name = next(n for n in BOUND if n not in {b.label for b in scope.indices})
        first, last = self.integer(scope), self.integer(scope)
        bound = Bound(name, name, first if self.chance(3) else "0", last)
        read = self.read_along(bound, scope.inside(bound))
        if read is None or self.world.size(scope.inside(bound)) > POINTS:
            return self.leaf(scope)
        factor = self.value(scope, depth, 0)  # whatever it is, the read stays
        kind = self.pick(("Sum", "Sum", "Sum", "ReduceMax", "LogSumExp", "ReduceMin"))
        kind = kind if kind == "Sum" or self.world.never_empty((bound,), scope) else "Sum"
        return f"{kind}({read}*(1 + {factor}**2), ({name}, {bound.first}, {bound.last}))"

    def normalised(self, scope: Scope) -> str | None:
        """Return an exponential over the sum of its kind, of large values too; None where nothing can be read so."""
        extent = self.extent()
        name = next(n for n in BOUND if n not in {b.label for b in scope.indices})
        bound = Bound(name, name, "0", f"{extent.text} - 1")
        inner = self.read_along(bound, scope.inside(bound))
        if inner is None or self.world.size(scope.inside(bound)) > POINTS:
            return None
        outer, limits = self.read(scope), f"({name}, 0, {bound.last})"
        forms = (
            f"exp({outer})/Sum(exp({inner}), {limits})",
            f"log(Sum(exp({inner})*{outer}**2, {limits}))",
            f"Min(exp(10000*{inner.replace(name, '0')} - LogSumExp(10000*{inner}, {limits})), {outer})",
            f"1000*{outer} - LogSumExp(1000*{inner}, {limits})",
            f"Sum(exp({inner})*{self.leaf(scope.inside(bound))}, {limits})/Sum(exp({inner}), {limits})",
        )
        return f"({self.pick(forms)})"

    def read_along(self, bound: Bound, scope: Scope, form: str = "{a}") -> str | None:
        """Return a plain read with a given index on some axis; None where it fits none."""
        tables = [t for t in self.tables if t.kind in ("real", "positive") and t.extents]
        only = Scope((bound,))
        text = self.fill(form, only, 0, 0)
        places = [(t, k) for t in tables for k, e in enumerate(t.extents) if self.world.inside(text, e, scope)]
        if not places:
            return None
        table, axis = self.pick(places)
        plain = tuple(b for b in scope.indices if b is not bound and b.name not in scope.shy)
        outer = Scope(plain, scope.guards)
        indices = [text if k == axis else self.fitting(e, outer) for k, e in enumerate(table.extents)]
        return f"{table.name}[{', '.join(indices)}]"

    def fitting(self, extent: Extent, scope: Scope) -> str:
        return str(self.pick([b.name for b in scope.indices if self.world.inside(b.name, extent, scope)] + ["0"]))

    def bound(self, scope: Scope) -> Bound | None:
        """Return a new index with its range, None if there are too many points already."""
        extent = self.extent()
        taken = {b.label for b in scope.indices}
        name = next(n for n in BOUND if n not in taken)
        ends = self.pick(LIMITS if scope.indices else LIMITS[:5])
        first, last = (self.fill(end, scope, 0, 0, extent.text) for end in ends)
        bound = Bound(name, name, first, last)
        if self.world.size(scope.inside(bound)) > POINTS:
            return None
        if first == "0" and last == f"{extent.text} - 1" and self.chance(2):
            variable = self.ranged.setdefault((name, extent.text), f"{name}{len(self.ranged) + 1}")
            bound = Bound(variable, name, first, last)
        return bound

    def extent(self) -> Extent:
        """Return an extent for an index: that of an axis, or a small number."""
        axes = [e for t in self.tables for e in t.extents]
        return self.pick([*axes, Extent("2", 2), Extent("3", 3)])  # type: ignore[no-any-return]

    # --- forms -----------------------------------------------------------------------------------------------

    def fill(self, form: str, scope: Scope, depth: int, nesting: int, extent: str = "") -> str:
        """Return a form with everything in braces drawn."""
        names = [b.name for b in scope.indices] or ["0"]

        def drawn(match: re.Match[str]) -> str:
            match match[1]:
                case "v" | "w":
                    return self.value(scope, depth, nesting)
                case "q":
                    return self.positive(scope, depth, nesting)
                case "o":
                    return infinite(self, scope)
                case "f":
                    return placed(self, scope)
                case "g":
                    return own_gradient(self, scope)
                case "x" | "y":
                    return self.read(scope, plain=True)
                case "k":
                    return f"({self.pick(NUMBERS)})"
                case "z":
                    return self.number(scope)
                case "a" | "b":
                    return str(self.pick(names))
                case "c":
                    return str(self.pick(("1", "2", "0")))
                case "n":
                    return str(self.pick(("2", "3", *self.sizes)))
                case "i":
                    return self.integer(scope)
                case "E":
                    return f"({extent})" if " " in extent else extent
            return str(self.pick(self.numbers[match[1]]))

        return re.sub(r"\{(\w)\}", drawn, form)
