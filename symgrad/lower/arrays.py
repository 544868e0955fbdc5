"""The array program: a small closed set of array operations, independent of the target's syntax.

A ``Value`` is an array expression with the index that each of its axes stands for. Integer expressions inside
(slice bounds, shapes) hold sizes and loop variables only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symgrad.declare.integers import Index, Poly

# --- items of a subscript --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slice:
    """``start:stop:step``; None leaves an end out."""

    start: Poly | None = None
    stop: Poly | None = None
    step: Poly | None = None


@dataclass(frozen=True, slots=True)
class At:
    """One position of an axis."""

    position: Poly


@dataclass(frozen=True, slots=True)
class NewAxis:
    """An axis of extent 1."""


@dataclass(frozen=True, slots=True)
class By:
    """Positions from an integer array."""

    array: Array


FULL, FLIP = Slice(), Slice(step=Poly((((), -1),)))
Item = Slice | At | NewAxis | By


# --- array expressions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A variable of the emitted function."""

    text: str


@dataclass(frozen=True, slots=True)
class Const:
    """A number."""

    value: Fraction | float


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer expression; ``arrays`` gives what stands for indices and integer tensors in it."""

    poly: Poly
    arrays: tuple[tuple[Any, Array], ...] = ()


@dataclass(frozen=True, slots=True)
class Subscript:
    """Basic or advanced indexing."""

    source: Array
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axes in another order."""

    source: Array
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements in another shape."""

    source: Array
    shape: tuple[Poly, ...]


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of ``sizes`` along ``axes``; the position in the window becomes new last axes."""

    source: Array
    sizes: tuple[Poly, ...]
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pad:
    """A border of ``widths`` (before, after) per axis: ``value``, or by mode elements of the tensor.

    One that is ``read_only`` may be the source itself where every width turns out to be 0.
    """

    source: Array
    widths: tuple[tuple[Poly, Poly], ...]
    value: float | Name = 0.0
    mode: str = "constant"
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """The adjoint of such a repeating border along one axis: it is added to the elements that it repeats."""

    source: Array
    axis: int
    before: Poly
    after: Poly
    mode: str


@dataclass(frozen=True, slots=True)
class Map:
    """An elementwise operation of the table in the printer."""

    function: str
    args: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Collapse:
    """A reduction over axes: sum, max, min, product, argmax, argmin, cumsum.

    ``initial`` is for empty axes; ``where`` leaves elements out and broadcasts against the source.
    """

    kind: str
    source: Array
    axes: tuple[int, ...]
    initial: float | None = None
    where: Array | None = None


@dataclass(frozen=True, slots=True)
class MatMul:
    """Matrix product over the last two axes, broadcast over the others."""

    left: Array
    right: Array


@dataclass(frozen=True, slots=True)
class Einsum:
    """A contraction that no matrix product fits; ``spec`` as NumPy writes it."""

    spec: str
    args: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Fresh:
    """A new array: ``kind`` zeros, ones, empty or full of ``value``.

    ``dtype`` is float, int, bool, or a polynomial: the smallest integer type that holds its value.
    """

    kind: str
    shape: tuple[Poly, ...]
    value: float = 0.0
    dtype: str | Poly = "float"


@dataclass(frozen=True, slots=True)
class Arange:
    """0 .. extent - 1."""

    extent: Poly
    dtype: str = "int"


@dataclass(frozen=True, slots=True)
class Cast:
    """Another dtype: float (the layer's), int."""

    source: Array
    dtype: str


@dataclass(frozen=True, slots=True)
class Helper:
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

    A part has ``count`` positions, few enough for ``count * others`` elements to stay in cache; ``threads`` is the
    argument that says how many, ``indices`` what they go along in the formulas. The body writes its
    part of arrays from outside; ``sums`` are what it gives back, to be added up over the parts.
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
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """An expression evaluated for its effect."""

    array: Array
    comment: str = ""


Statement = Assign | Update | For | When | Chunks | Parts | Run


@dataclass(frozen=True, slots=True)
class Function:
    """One emitted function: statements in order and the names of what it gives back."""

    statements: tuple[Statement, ...]
    results: tuple[str, ...]
