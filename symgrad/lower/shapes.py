"""What shape an array expression has, as far as that can be told, and whether it holds floats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from symgrad.declare.division import quotient
from symgrad.declare.integers import Poly, as_poly
from symgrad.declare.program import Program
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Array,
    Assign,
    At,
    Cast,
    Collapse,
    Const,
    Einsum,
    Fresh,
    Helper,
    Item,
    Map,
    MatMul,
    Name,
    NewAxis,
    Reshape,
    Slice,
    Statement,
    Subscript,
    Transpose,
    Whole,
)
from symgrad.lower.share import walk

ONE = as_poly(1)
BOOLEAN = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or"})


@dataclass(frozen=True, slots=True)
class Shape:
    """Extents, 1 where an axis is there to be broadcast, and whether the elements are floats."""

    extents: tuple[Poly, ...]
    floats: bool = True


Shapes = Mapping[str, Shape]


def shapes_of(program: Program, statements: tuple[Statement, ...]) -> dict[str, Shape]:
    """Shapes of a program's tensors and of the variables that a function assigns outside loops."""
    made = Counter(s.name for s in walk(statements) if isinstance(s, Assign))
    floats = {t.name: not t.integer for t in program.inputs}
    floats |= {e.target: not (e.integer or getattr(e.body, "kind", "").startswith("arg")) for e in program.equations}
    found = {name: Shape(program.extents(name), real) for name, real in floats.items()}
    found |= {a.name: Shape(()) for a in program.attributes}
    # A variable that is assigned twice may change its shape.
    found = {name: shape for name, shape in found.items() if made[name] < 2}
    for statement in statements:
        if isinstance(statement, Assign) and statement.name not in found and made[statement.name] < 2:
            shape = shape_of(statement.array, found)
            if shape is not None:
                found[statement.name] = shape
    return found


def shape_of(array: Array, known: Shapes) -> Shape | None:
    """The shape of an expression; None if it cannot be told."""
    match array:
        case Name(text):
            return Shape(()) if text.startswith("np.") else known.get(text)
        case Const() | Whole(_, ()):
            return Shape(())
        case Subscript(source, items):
            return _subscripted(shape_of(source, known), items)
        case Helper("copy", (source,)):
            return shape_of(source, known)
        case Transpose(source, order):
            inner = shape_of(source, known)
            if inner is None or len(inner.extents) != len(order):
                return None
            return Shape(tuple(inner.extents[p] for p in order), inner.floats)
        case Map(function, args):
            if function.startswith("math."):
                return Shape(())
            return _broadcast([shape_of(a, known) for a in args], function not in BOOLEAN)
        case Collapse("sum" | "max" | "min" | "product", source, axes):
            inner = shape_of(source, known)
            if inner is None:
                return None
            return Shape(tuple(e for p, e in enumerate(inner.extents) if p not in axes), inner.floats)
        case MatMul(left, right):
            return _product(shape_of(left, known), shape_of(right, known))
        case Einsum(spec, args):
            return _contracted(spec, [shape_of(a, known) for a in args])
        case Fresh(_, shape, _, dtype):
            return Shape(shape, dtype == "float")
        case Reshape(source, extents):
            inner = shape_of(source, known)
            return None if inner is None else Shape(extents, inner.floats)
        case Cast(source, kind):
            inner = shape_of(source, known)
            return None if inner is None else Shape(inner.extents, kind == "float")
    return None


def _subscripted(source: Shape | None, items: tuple[Item, ...]) -> Shape | None:
    if source is None:
        return None
    left, found = list(source.extents), []
    for item in items:
        if isinstance(item, NewAxis):
            found.append(ONE)
            continue
        if not left:
            return None
        extent = left.pop(0)
        match item:
            case At():
                continue
            case Slice() if item in (FULL, FLIP):
                found.append(extent)
            case Slice(start, Poly() as stop, step) if step is None or step.constant is None or step.constant > 0:
                run = stop - start if start is not None else stop
                found.append(run if step is None else quotient(run - 1, step) + 1)
            case _:
                return None
    return Shape((*found, *left), source.floats)


def _broadcast(shapes: list[Shape | None], floats: bool) -> Shape | None:
    rank = max((len(s.extents) for s in shapes if s is not None), default=0)
    joint = [ONE] * rank
    for shape in shapes:
        if shape is None:
            return None
        for place, extent in enumerate(shape.extents, rank - len(shape.extents)):
            if extent != ONE and joint[place] not in (ONE, extent):
                return None
            joint[place] = extent if extent != ONE else joint[place]
    # Numbers take the kind of the arrays beside them.
    arrays = [s for s in shapes if s is not None and s.extents] or [s for s in shapes if s is not None]
    return Shape(tuple(joint), floats and any(s.floats for s in arrays))


def _product(left: Shape | None, right: Shape | None) -> Shape | None:
    if left is None or right is None or not left.extents or not right.extents:
        return None
    lead = _broadcast([Shape(left.extents[:-2]), Shape(right.extents[:-2])], True)
    if lead is None:
        return None
    rows = left.extents[-2:-1]
    columns = right.extents[-1:] if len(right.extents) > 1 else ()
    return Shape((*lead.extents, *rows, *columns), left.floats and right.floats)


def _contracted(spec: str, shapes: list[Shape | None]) -> Shape | None:
    inputs, arrow, output = spec.partition("->")
    letters: dict[str, Poly] = {}
    for term, shape in zip(inputs.split(","), shapes, strict=True):
        if shape is None or not arrow or len(term) != len(shape.extents):
            return None
        letters |= dict(zip(term, shape.extents, strict=True))
    return Shape(tuple(letters[c] for c in output))
