"""The array program: a small closed set of array operations, independent of the target's syntax.

A ``Value`` is an array expression with the index of each axis. Integer expressions hold sizes and loop variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symgrad.declare.frozen import Single, frozen
from symgrad.declare.integers import Index, Poly

# --- items of a subscript --------------------------------------------------------------------------------------


@frozen
class Slice(Single):
    """``start:stop:step``; None leaves an end out."""

    start: Poly | None = None
    stop: Poly | None = None
    step: Poly | None = None


@frozen
class At(Single):
    """One position of an axis."""

    position: Poly


@frozen
class NewAxis(Single):
    """An axis of extent 1."""


@frozen
class By(Single):
    """Positions from an integer array."""

    array: Array


FULL, FLIP = Slice(), Slice(step=Poly((((), -1),)))
Item = Slice | At | NewAxis | By


# --- array expressions -----------------------------------------------------------------------------------------


@frozen
class Name(Single):
    """A variable of the emitted function."""

    text: str


@frozen
class Const(Single):
    """A number."""

    value: Fraction | float


@frozen
class Whole(Single):
    """An integer expression; ``arrays`` gives what stands for indices and integer tensors in it."""

    poly: Poly
    arrays: tuple[tuple[Any, Array], ...] = ()


@frozen
class Subscript(Single):
    """Basic or advanced indexing."""

    source: Array
    items: tuple[Item, ...]


@frozen
class Transpose(Single):
    """Axes in another order."""

    source: Array
    order: tuple[int, ...]


@frozen
class Reshape(Single):
    """The same elements in another shape."""

    source: Array
    shape: tuple[Poly, ...]


@frozen
class Windows(Single):
    """Windows of ``sizes`` along ``axes``; the position in the window becomes new last axes."""

    source: Array
    sizes: tuple[Poly, ...]
    axes: tuple[int, ...]


@frozen
class Pad(Single):
    """A border of ``widths`` (before, after) per axis: ``value``, or by mode elements of the tensor.

    One that is ``read_only`` may be the source itself where every width turns out to be 0. With ``crops`` a width
    may turn out to be below 0, where some axis is empty, and takes elements away.
    """

    source: Array
    widths: tuple[tuple[Poly, Poly], ...]
    value: float | Name = 0.0
    mode: str = "constant"
    read_only: bool = False
    crops: bool = False


@frozen
class Fold(Single):
    """The adjoint of such a repeating border along one axis: it is added to the elements that it repeats."""

    source: Array
    axis: int
    before: Poly
    after: Poly
    mode: str


@frozen
class Map(Single):
    """An elementwise operation of the table in the printer."""

    function: str
    args: tuple[Array, ...]


@frozen
class Collapse(Single):
    """A reduction over axes: sum, max, min, product, argmax, argmin, cumsum.

    ``initial`` is for empty axes; ``where`` leaves elements out and broadcasts against the source.
    """

    kind: str
    source: Array
    axes: tuple[int, ...]
    initial: float | None = None
    where: Array | None = None


@frozen
class MatMul(Single):
    """Matrix product over the last two axes, broadcast over the others."""

    left: Array
    right: Array


@frozen
class Einsum(Single):
    """A contraction that no matrix product fits; ``spec`` as NumPy writes it. ``dots``: of long rows with rows."""

    spec: str
    args: tuple[Array, ...]
    dots: bool = False


@frozen
class Fresh(Single):
    """A new array: ``kind`` zeros, ones, empty or full of ``value``.

    ``dtype`` is float, int, bool, or a polynomial: the smallest integer type that holds its value.
    """

    kind: str
    shape: tuple[Poly, ...]
    value: float = 0.0
    dtype: str | Poly = "float"


@frozen
class Arange(Single):
    """0 .. extent - 1."""

    extent: Poly
    dtype: str = "int"


@frozen
class Cast(Single):
    """Another dtype: float (the layer's), int."""

    source: Array
    dtype: str


@frozen
class Helper(Single):
    """A call of a helper function that is printed into the module."""

    function: str
    args: tuple[Array, ...]


Array = (
    Name
    | Const
    | Whole
    | Subscript
    | Transpose
    | Reshape
    | Windows
    | Pad
    | Fold
    | Map
    | Collapse
    | MatMul
    | Einsum
    | Fresh
    | Arange
    | Cast
    | Helper
)


@dataclass(frozen=True, slots=True)
class Value:
    """An array expression, the index of each axis, and whether it holds floats, ints or bools."""

    array: Array
    axes: tuple[Index, ...]
    kind: str = "float"


# --- statements ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assign:
    """``name = array``, with the formula as a comment above."""

    name: str
    array: Array
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """``target op= array``: ``op`` is ``+``, ``*`` or ``=`` for plain assignment into a part."""

    target: Array
    op: str
    array: Array
    comment: str = ""


@dataclass(frozen=True, slots=True)
class For:
    """A loop of ``index`` over its extent, or over ``start .. stop - 1``, backwards if ``reverse``."""

    index: Index
    body: tuple[Statement, ...]
    comment: str = ""
    start: Poly | None = None
    stop: Poly | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class When:
    """Statements that run where a condition on sizes and loop variables holds, and those that run where it does not."""

    condition: Array
    body: tuple[Statement, ...]
    comment: str = ""
    otherwise: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunks:
    """A loop over ``start:stop``, runs of an axis short enough for ``rows * others`` elements to stay in cache."""

    start: str
    stop: str
    rows: str
    extent: Poly
    others: Poly
    body: tuple[Statement, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """A function of the positions ``start .. stop - 1`` of an axis, run for all parts of it, side by side on threads.

    A part has ``count`` positions, few enough for ``count * others`` elements to stay in cache. ``threads``, an
    argument, is how many, each for ``least`` eighths of a part; ``indices`` stand in formulas; ``sums`` are added up
    over the parts. ``rows``, if the body goes along another axis in blocks: how many positions at once, and of what
    that depends; ``heads`` name positions; ``tiles``: choices that leave so many elements in one position, much done.
    """

    function: str
    start: str
    stop: str
    count: str
    extent: Poly
    others: Poly
    threads: str
    body: tuple[Statement, ...]
    sums: tuple[str, ...] = ()
    indices: str = ""
    rows: tuple[str, tuple[Poly, ...]] | None = None
    heads: tuple[tuple[str, Poly], ...] = ()
    tiles: tuple[tuple[str, ...], Poly] | None = None
    least: int = 1
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A loop over ``start:stop``, runs of ``rows`` positions of an axis, inside a part of another.

    ``heads`` are names of positions in each turn, and what they are. Turns need nothing of each other: the body writes
    its part of arrays from outside, or adds to them.
    """

    start: str
    stop: str
    rows: str
    extent: Poly
    heads: tuple[tuple[str, Poly], ...]
    body: tuple[Statement, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """An expression evaluated for its effect."""

    array: Array
    comment: str = ""


Statement = Assign | Update | For | When | Chunks | Parts | Blocks | Run
