"""Matrix products written where they belong: NumPy writes one into an array of its own unless it is told where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from symgrad.declare.integers import Poly, Size, as_poly
from symgrad.declare.program import Program
from symgrad.lower.arrays import (
    FULL,
    Array,
    Assign,
    Blocks,
    Chunks,
    For,
    Fresh,
    Helper,
    Map,
    MatMul,
    Name,
    Parts,
    Reshape,
    Run,
    Slice,
    Statement,
    Subscript,
    Update,
    When,
)
from symgrad.lower.shapes import Shape, Shapes, shape_of, shapes_of
from symgrad.lower.share import walk
from symgrad.lower.traverse import names_in

REASON = "matrix products are written where they belong, without an array in between"


def products_in_place(program: Program, statements: tuple[Statement, ...]) -> tuple[tuple[Statement, ...], bool]:
    """The statements, parts of arrays in them filled in by products that write there; whether there are such."""
    made = Counter(s.name for s in walk(statements) if isinstance(s, Assign))
    known, whole, counts = shapes_of(program, statements), set[str](), _counts(statements)
    for statement in walk(statements):
        if isinstance(statement, Assign) and made[statement.name] == 1:
            shape = shape_of(statement.array, known)
            if shape is None and isinstance(statement.array, Reshape):
                shape = Shape(statement.array.shape)  # of floats, where it is part of a product
            if shape is not None:
                extents = tuple(counts.get(e, e) for e in shape.extents)
                known.setdefault(statement.name, replace(shape, extents=extents))
            if _is_whole(statement.array, whole):
                whole.add(statement.name)
    found = _Places(known, frozenset(whole), counts).all(statements)
    return found, found != statements


def _counts(statements: tuple[Statement, ...]) -> dict[Poly, Poly]:
    """What the lengths of runs are called, inside of parts and blocks."""
    found: dict[Poly, Poly] = {}
    for statement in walk(statements):
        if isinstance(statement, Parts):
            found[as_poly(Size(statement.stop, 0)) - as_poly(Size(statement.start, 0))] = as_poly(Size(statement.count))
        if isinstance(statement, Parts | Blocks):
            found |= {length: as_poly(Size(name)) for name, length in statement.heads}
    return found


def _is_whole(array: Array, whole: Set[str]) -> bool:
    """Whether the elements are side by side in memory: those of a new array, or of a run of its first axis."""
    match array:
        case Fresh():
            return True
        case Name(text):
            return text in whole
        case Subscript(Name(source), (Slice(_, _, None), *rest)):
            return source in whole and all(i == FULL for i in rest)
    return False


@dataclass(frozen=True, slots=True)
class _Places:
    known: Shapes
    whole: frozenset[str]
    """Names of arrays whose elements are side by side."""
    counts: Mapping[Poly, Poly]

    def all(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        return tuple(new for s in statements for new in self._one(s))

    def _one(self, statement: Statement) -> list[Statement]:
        match statement:
            case For(body=body) | Chunks(body=body) | Parts(body=body) | Blocks(body=body):
                return [replace(statement, body=self.all(body))]
            case When(body=body, otherwise=otherwise):
                return [replace(statement, body=self.all(body), otherwise=self.all(otherwise))]
            case Update(Subscript() as target, "=", Map("add", terms), comment):
                return self._sum(target, terms, comment) or [statement]
            case Update(Subscript() as target, "=", array, comment):
                return [self._written(target, array, comment) or statement]
            case Run(Helper("np.add", (*terms, Helper("out=", (target,)))), comment):
                return self._sum(target, tuple(terms), comment) or [statement]
        return [statement]

    def _sum(self, target: Array, terms: tuple[Array, ...], comment: str) -> list[Statement]:
        """A product and what is added to it, if one of two terms is a product and the other reads no target."""
        for product, other in (terms, terms[::-1]):
            written = self._written(target, product, comment)
            if written is not None and not names_in(target) & names_in(other):
                return [written, Update(_bare(target), "+", other)]
        return []

    def _written(self, target: Array, array: Array, comment: str) -> Statement | None:
        """A product that writes to the target; None if the array is no product, or not of that shape."""
        product = array.source if isinstance(array, Reshape) else array
        place, value = shape_of(target, self.known), shape_of(array, self.known)
        if not isinstance(product, MatMul) or place is None or value is None or not place.floats:
            return None
        if tuple(self.counts.get(e, e) for e in place.extents) != value.extents or names_in(target) & names_in(array):
            return None
        out = _bare(target)
        if isinstance(array, Reshape):
            shape = shape_of(product, self.known)
            if shape is None or not _is_whole(target, self.whole):
                return None
            out = Reshape(out, shape.extents)
        return Run(Helper("np.matmul", (product.left, product.right, Helper("out=", (out,)))), comment)


def _bare(target: Array) -> Array:
    """The target without items that leave nothing out."""
    full = isinstance(target, Subscript) and all(i == FULL for i in target.items)
    return target.source if isinstance(target, Subscript) and full else target
