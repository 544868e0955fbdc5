"""Array programs as NumPy text: one table row per operation, parentheses only where Python needs them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from symgrad.declare.bounds import nonnegative
from symgrad.declare.integers import Atom, Index, Poly, Size, as_poly
from symgrad.declare.substitution import substitute
from symgrad.emit.integer_text import AND, CALL, COMPARE, OR, POWER, PRODUCT, SUM, UNARY, IntegerPrinter
from symgrad.emit.number_text import float_text, number_text
from symgrad.emit.part_text import blocks_lines, parts_lines
from symgrad.lower.arrays import (
    Arange,
    Array,
    Assign,
    At,
    Blocks,
    By,
    Cast,
    Chunks,
    Collapse,
    Const,
    Einsum,
    Fold,
    For,
    Fresh,
    Helper,
    Item,
    Map,
    MatMul,
    Name,
    NewAxis,
    Pad,
    Parts,
    Reshape,
    Run,
    Slice,
    Statement,
    Subscript,
    Transpose,
    Update,
    When,
    Whole,
    Windows,
)

_INFIX: dict[str, tuple[str, int]] = {
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "div": ("/", PRODUCT),
    "mod": ("%", PRODUCT),
    "and": ("&", AND),
    "or": ("|", OR),
    "lt": ("<", COMPARE),
    "le": ("<=", COMPARE),
    "gt": (">", COMPARE),
    "ge": (">=", COMPARE),
    "eq": ("==", COMPARE),
    "ne": ("!=", COMPARE),
}
_OWN = ("sigmoid", "softplus", "logcosh", "log1mexp", "erf", "erfc", "erfcx", "ierfcx", "logerfc", "loghalferfc")
_CALLS = {"pow": "np.power"} | {f: f"_{f}" for f in _OWN}
_REDUCTIONS = {"sum": "sum", "max": "max", "min": "min", "product": "prod", "argmax": "argmax", "argmin": "argmin"}
_PAD_MODES = {"wrap": "wrap", "replicate": "edge", "reflect": "reflect"}
WIDTH = 112
CHUNK = 2**18
"""Elements of one operand in a chunk: about a megabyte."""


class Printer(IntegerPrinter):
    """Prints one function, whose dtype is called ``dtype``; names of extents as in ``IntegerPrinter``."""

    def __init__(self, locals_: Mapping[Atom, Poly], dtype: str, extents: Mapping[str, Poly] | None = None) -> None:
        super().__init__(locals_, extents)
        self.dtype = dtype
        self.helpers: set[str] = set()
        self.uses_dtype = False
        self.runs: set[Poly] = set()

    def expr(self, array: Array, level: int = 0) -> str:
        """An array expression; in parentheses if it binds less tightly than ``level``."""
        line, mine = self._render(array)
        return f"({line})" if mine < level else line

    def _render(self, array: Array) -> tuple[str, int]:
        match array:
            case Name(text):
                return text, CALL
            case Const(value):
                return number_text(value)
            case Whole(poly, arrays):
                return self.ranked_poly(poly, dict(arrays))
            case Subscript(source, items):
                return f"{self.expr(source, CALL)}[{self._items(items)}]", CALL
            case Transpose(source, order):
                if order == (1, 0):
                    return f"{self.expr(source, CALL)}.T", CALL
                if order[:-2] == tuple(range(len(order) - 2)) and order[-2:] == (len(order) - 1, len(order) - 2):
                    return f"{self.expr(source, CALL)}.swapaxes(-1, -2)", CALL
                return f"{self.expr(source, CALL)}.transpose({', '.join(map(str, order))})", CALL
            case Reshape(Reshape(source, _), shape):
                return self._render(Reshape(source, shape))
            case Reshape(source, shape):
                return f"{self.expr(source, CALL)}.reshape({self._reshaped(shape)})", CALL
            case Windows(source, sizes, axes):
                self.helpers.add("_windows")
                where = ", ".join(map(str, axes)) + ("," if len(axes) == 1 else "")
                return f"_windows({self.expr(source)}, {self.shape(sizes)}, axes=({where}))", CALL
            case Pad(source, widths, value, mode, read_only, crops):
                pairs = ", ".join(f"({self.poly(a)}, {self.poly(b)})" for a, b in widths)
                pairs = f"({pairs}{',' if len(widths) == 1 else ''})"
                if mode != "constant":
                    self.helpers.add("_repeat_border")
                    return f'_repeat_border({self.expr(source)}, {pairs}, "{_PAD_MODES[mode]}")', CALL
                shown = value.text if isinstance(value, Name) else float_text(value) if value else ""
                never_none = any(w.terms and nonnegative(w - 1) for pair in widths for w in pair)
                if crops or (read_only and not never_none):
                    function = "_extended" if crops else "_bordered"
                    self.helpers.add(function)
                    return f"{function}({self.expr(source)}, {pairs}{f', {shown}' if shown else ''})", CALL
                fill = f", constant_values={shown}" if shown else ""
                return f"np.pad({self.expr(source)}, {pairs}{fill})", CALL
            case Fold(source, axis, before, after, mode):
                self.helpers.add("_fold_border")
                width = f"({self.poly(before)}, {self.poly(after)})"
                return f'_fold_border({self.expr(source)}, {axis}, {width}, "{_PAD_MODES[mode]}")', CALL
            case Map(function, args):
                return self._map(function, args)
            case Collapse():
                return self._collapse(array), CALL
            case MatMul(left, right):
                return f"{self.expr(left, PRODUCT)} @ {self.expr(right, UNARY)}", PRODUCT
            case Einsum(_, args, True):
                return f"np.vecdot({', '.join(map(self.expr, args))})", CALL
            case Einsum(spec, args):
                return f'np.einsum("{spec}", {", ".join(map(self.expr, args))})', CALL
            case Fresh():
                return self._fresh(array), CALL
            case Arange(extent, "int"):
                return f"np.arange({self.poly(extent)})", CALL
            case Arange(extent, _):
                self.uses_dtype = True
                return f"np.arange({self.poly(extent)}, dtype={self.dtype})", CALL
            case Cast(source, kind):
                return self._cast(source, kind)
            case Helper():
                return self._helper(array), CALL
        raise TypeError(array)

    def _reshaped(self, shape: tuple[Poly, ...]) -> str:
        """A shape; an extent that may come out negative where an axis is empty is 0 then."""
        checked = {*self.extents.values(), *self.runs}
        sure = (p in checked or nonnegative(substitute(p, self.locals)) for p in shape)
        return ", ".join(self.poly(p) if s else f"max({self.poly(p)}, 0)" for p, s in zip(shape, sure, strict=True))

    def _cast(self, source: Array, kind: str) -> tuple[str, int]:
        if kind == "int":
            return f"{self.expr(source, CALL)}.astype(np.intp)", CALL
        self.uses_dtype = True
        match source:
            case Whole(poly, ((_, Arange(extent, "int")),)) if isinstance(poly.atom, Index):
                return f"np.arange({self.poly(extent)}, dtype={self.dtype})", CALL
        return f"{self.expr(source, CALL)}.astype({self.dtype})", CALL

    def _fresh(self, array: Fresh) -> str:
        kinds = {"int": "np.intp", "bool": "bool"}
        if isinstance(array.dtype, Poly):
            dtype = f"np.min_scalar_type({self.poly(array.dtype)})"
        else:
            dtype = kinds.get(array.dtype, self.dtype)
        self.uses_dtype = self.uses_dtype or array.dtype == "float"
        if array.kind == "full":
            return f"np.full({self.shape(array.shape)}, {float_text(array.value)}, dtype={dtype})"
        return f"np.{array.kind}({self.shape(array.shape)}, dtype={dtype})"

    def _collapse(self, array: Collapse) -> str:
        axes = array.axes
        where = str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"
        source = self.expr(array.source, CALL)
        if array.kind == "cumsum":
            return f"{source}.cumsum(axis={where})"
        extra = "" if array.initial is None else f", initial={float_text(array.initial)}"
        extra += "" if array.where is None else f", where={self.expr(array.where)}"
        return f"{source}.{_REDUCTIONS[array.kind]}(axis={where}{extra})"

    def _map(self, function: str, args: tuple[Array, ...]) -> tuple[str, int]:
        if function in _INFIX:
            operator, rank = _INFIX[function]
            right = rank + 1
            left = rank if rank != COMPARE else rank + 1
            # & and | bind tighter than comparisons in Python.
            if function in ("and", "or"):
                pieces = [self.expr(a, SUM) if not _is_logic(a, function) else self.expr(a, rank) for a in args]
                return f" {operator} ".join(pieces), rank
            if rank == COMPARE:
                pieces = [self.expr(a, SUM) for a in args]
                return f" {operator} ".join(pieces), rank
            return f"{self.expr(args[0], left)} {operator} {self.expr(args[1], right)}", rank
        match function:
            case "neg":
                return f"-{self.expr(args[0], UNARY)}", UNARY
            case "square":
                if isinstance(args[0], Name):
                    return f"{args[0].text} * {args[0].text}", PRODUCT
                return f"np.square({self.expr(args[0])})", CALL
            case "chosen":
                self.helpers.add("_where")
                self.uses_dtype = True
                return f"_where({', '.join(map(self.expr, args))}, {self.dtype})", CALL
            case "pow" if isinstance(args[1], Const):
                return f"{self.expr(args[0], CALL)} ** {self.expr(args[1], CALL)}", POWER
        of_numbers = function in ("max", "min") or (function == "abs" and _plain(args))
        own = function.startswith("math.") or of_numbers
        name = function if own else _CALLS.get(function, f"np.{function}")
        if name.startswith("math."):
            self.helpers.add("math")
        if name.startswith("_"):
            self.helpers.add(name)
        return f"{name}({', '.join(map(self.expr, args))})", CALL

    def _helper(self, array: Helper) -> str:
        match array.function:
            case "copy":
                return f"{self.expr(array.args[0], CALL)}.copy()"
            case "tuple":
                inner = ", ".join(self.expr(a) for a in array.args)
                return f"({inner}{',' if len(array.args) == 1 else ''})"
            case "if":
                condition, value = array.args
                return f"{self.expr(value)} if {self.expr(condition)} else None"
            case "and":
                return " and ".join(self.expr(a) for a in array.args)
            case "scalar":
                self.uses_dtype = True
                return f"np.asarray({self.expr(array.args[0])}, dtype={self.dtype})"
            case "positions":
                better, position, winner = array.args
                return f"np.multiply({self.expr(better)}, {self.expr(position)}, dtype={self.expr(winner)}.dtype)"
            case "helper":  # itself, to be called by another one
                name = self.expr(array.args[0])
                self.helpers.add(name)
                return name
            case function if function.endswith("="):
                return f"{function}{self.expr(array.args[0])}"
        if array.function.startswith("_"):
            self.helpers.add(array.function)
        return f"{array.function}({', '.join(map(self.expr, array.args))})"

    def _items(self, items: tuple[Item, ...]) -> str:
        return ", ".join(self._item(i) for i in items) or "()"

    def _item(self, item: Item) -> str:
        match item:
            case NewAxis():
                return "None"
            case At(position):
                return self.poly(position)
            case By(array):
                return self.expr(array)
            case Slice(start, stop, step):
                first = "" if start is None else self.poly(start)
                last = "" if stop is None else self.poly(stop)
                if all(t.replace("_", "").replace("-", "").isalnum() or not t for t in (first, last)):
                    return f"{first}:{last}" if step is None else f"{first}:{last}:{self.poly(step)}"
                line = f"{first} : {last}".strip()
                return line if step is None else f"{line} : {self.poly(step)}".replace(" : : ", " :: ")
        raise TypeError(item)

    def lines(self, statements: tuple[Statement, ...], indent: int = 0) -> list[str]:
        """Statements as lines, comments above."""
        found: list[str] = []
        for s in statements:
            if s.comment:
                found += [" " * indent + c for c in wrap_comment(s.comment, WIDTH - indent)]
            found += [" " * indent + line for line in self._statement(s, indent)]
        return found

    def _statement(self, s: Statement, indent: int) -> list[str]:
        match s:
            case Assign(name, array):
                return [f"{name} = {self.expr(array)}"]
            case Update(target, op, array):
                return [f"{self.expr(target)} {op if op == '=' else op + '='} {self.expr(array)}"]
            case Run(array):
                return [self.expr(array)]
            case Chunks(start, stop, rows, extent, others, body):
                self.runs.add(as_poly(Size(stop, 0)) - as_poly(Size(start, 0)))
                inner = self.lines(body)
                self.sizes -= {start, stop}
                length = self.poly(extent)
                count = self.poly(others)
                return [
                    f"{rows} = max(1, {CHUNK} // max({count}, 1))  # what is computed at once stays in cache",
                    f"for {start} in range(0, {length}, {rows}):",
                    f"    {stop} = min({start} + {rows}, {length})",
                    *("    " + line for line in inner),
                ]
            case Parts(body=body):
                return parts_lines(self, s, self.lines(body))
            case Blocks(body=body):
                return blocks_lines(self, s, self.lines(body))
            case When(condition, body, otherwise=otherwise):
                found = [f"if {self.expr(condition)}:", *("    " + line for line in self.lines(body))]
                return found + (["else:", *("    " + line for line in self.lines(otherwise))] if otherwise else [])
            case For(index, body):
                return [f"for {index.name} in {self._steps(s)}:", *("    " + line for line in self.lines(body))]
        raise TypeError(s)

    def _steps(self, s: For) -> str:
        """What a loop runs over."""
        stop = self.poly(s.index.extent if s.stop is None else s.stop)
        steps = f"range({stop})" if s.start is None or not s.start.terms else f"range({self.poly(s.start)}, {stop})"
        return f"reversed({steps})" if s.reverse else steps


def _plain(args: tuple[Array, ...]) -> bool:
    """Whether the arguments are numbers, not arrays."""
    return all(isinstance(a, Const) or (isinstance(a, Whole) and not a.arrays) for a in args)


def wrap_comment(text: str, width: int) -> list[str]:
    """A comment over as many lines as it needs."""
    lines = textwrap.wrap(text, width - 2, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in lines]


def escape(text: str) -> str:
    """Text that may stand in a string literal of the module."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _is_logic(array: Array, function: str) -> bool:
    return isinstance(array, Map) and array.function == function
