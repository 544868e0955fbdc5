"""Reductions over ragged ranges: one element for each pair of a range and a position in it, no table of all pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import ZERO, Entry, Index, Poly, Size, as_poly
from symgrad.declare.program import Equation, Tensor
from symgrad.declare.scalars import TRUE, Compare, Condition, FromInteger, Read, Reduce, Scalar, free_indices
from symgrad.derive.ragged import Ragged, ragged
from symgrad.derive.terms import rename
from symgrad.lower.arrays import Array, At, Const, Fresh, Helper, Name, Reshape, Subscript, Value, Whole
from symgrad.lower.axes import Axes, align, joint_extent
from symgrad.lower.builder import Builder
from symgrad.lower.reads import integer
from symgrad.lower.values import as_float, mapped

FOLD = {"sum": "np.add", "max": "np.maximum", "min": "np.minimum", "product": "np.multiply"}
NOTHING = {"sum": 0.0, "max": float("-inf"), "min": float("inf"), "product": 1.0}

_Body = TypeVar("_Body", Scalar, Condition)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of ranges and positions in them, ordered by range: arrays of integers over the index ``pair``."""

    found: Ragged
    pair: Index
    ranges: Name
    places: tuple[tuple[Index, Name], ...]

    def moved(self, body: _Body) -> _Body:
        """What stands for every tuple of indices, for those in the ranges."""
        return rename(body, {i: as_poly(Entry(n.text, (as_poly(self.pair),))) for i, n in self.places})

    def folded(self, kind: str, rows: Value) -> Value:
        """The rows of each range reduced: the owners in place of the axis ``pair``."""
        args = (rows.array, self.ranges, Whole(joint_extent(self.found.owners)), Const(NOTHING[kind]))
        return _apart(Helper("_fold_pairs", (Name(FOLD[kind]), *args)), self.found.owners, rows.axes[1:])

    def added(self, rows: Value, left: Axes) -> Value:
        """The rows added up where they belong on the axes ``left``, which stand in place of the axis ``pair``."""
        names = dict(self.places)
        shape = Helper("tuple", tuple(Whole(i.extent) for i in left))
        positions: Array = names[left[0]]
        if len(left) > 1:
            positions = Helper("np.ravel_multi_index", (Helper("tuple", tuple(names[i] for i in left)), shape))
        return _apart(Helper("_add_pairs", (rows.array, positions, Whole(joint_extent(left)))), left, rows.axes[1:])

    def first(self, rows: Array, best: Value) -> Value:
        """The position of the first row of each range that is the best of them."""
        axes = best.axes[len(self.found.owners) :]
        flat = best.array
        if len(self.found.owners) > 1:
            flat = Reshape(flat, (joint_extent(self.found.owners), *(i.extent for i in axes)))
        array = Helper("_first_of_pairs", (rows, flat, self.ranges, dict(self.places)[self.found.inside]))
        return replace(_apart(array, self.found.owners, axes), kind="int")

    def rows(self, value: Value, order: Axes) -> Value:
        """The value with ``pair`` as its first axis, one that it has."""
        if self.pair not in value.axes:
            ones = Value(Fresh("ones", (self.pair.extent,)), (self.pair,))
            value = mapped("mul", [value, ones], (self.pair, *order))
        axes = (self.pair, *(i for i in order if i in value.axes and i != self.pair))
        return Value(align(value, axes), axes)


def _apart(array: Array, lead: Axes, rest: Axes) -> Value:
    """The value of an array whose first axis is several."""
    axes = (*lead, *rest)
    return Value(Reshape(array, tuple(i.extent for i in axes)) if len(lead) > 1 else array, axes)


def pairs_of(b: Builder, found: Ragged) -> Pairs:
    """Emit the pairs of these ranges, once in a function."""
    ends = tuple(_end(b, e, found.owners) for e in (found.first, found.last))
    both = b.keep(Helper("_ranges", (*ends, Whole(found.inside.extent))), "pairs")
    single = len(found.owners) == 1
    ranges = b.keep(Subscript(both, (At(ZERO),)), f"pair_{found.owners[0].name}" if single else "pair_range")
    count = b.keep(Helper("len", (ranges,)), "pair_count")
    places = [(found.inside, b.keep(Subscript(both, (At(as_poly(1)),)), f"pair_{found.inside.name}"))]
    if single:
        places.append((found.owners[0], ranges))
    else:
        shape = Helper("tuple", tuple(Whole(i.extent) for i in found.owners))
        apart = b.keep(Helper("np.unravel_index", (ranges, shape)), "pair_owners")
        for axis, owner in enumerate(found.owners):
            places.append((owner, b.keep(Subscript(apart, (At(as_poly(axis)),)), f"pair_{owner.name}")))
    b.sizes.setdefault(count.text, b.typical(found.inside.extent))
    pair = Index("pair", as_poly(Size(count.text, 0)))
    for _, name in places:
        _declare(b, Tensor(name.text, (pair.extent,), integer=True))
    return Pairs(found, pair, ranges, tuple(places))


def _declare(b: Builder, tensor: Tensor) -> None:
    """Let an array of ours be read like an input."""
    if tensor.name not in {t.name for t in b.program.inputs}:
        b.program = replace(b.program, inputs=(*b.program.inputs, tensor))


def _end(b: Builder, end: Poly, owners: Axes) -> Array:
    value = integer(b, end, owners)
    if len(owners) == 1 and value.axes:
        return value.array
    if not value.axes:
        return Helper("np.full", (Whole(joint_extent(owners)), value.array))
    shape = Helper("tuple", tuple(Whole(i.extent) for i in owners))
    array = align(value, owners)
    if set(value.axes) != set(owners):
        array = Helper("np.broadcast_to", (array, shape))
    return Reshape(array, (joint_extent(owners),))


def found_in(
    b: Builder, condition: Condition, factors: list[Scalar], windows: bool = False
) -> tuple[Ragged, list[Scalar]] | None:
    """The ranges that a reduction runs over, and its factors with products of others over pairs.

    ``windows``: also ranges between quotients.
    """
    if b.general or b.loops or b.chunked or condition == TRUE:
        return None
    found = ragged(condition, *factors, windows=windows)
    if found is not None:
        return found, factors
    plain = [f for f in factors if not (isinstance(f, Read) and _others(b, f.tensor))]
    found = ragged(condition, *plain, windows=True) if len(plain) < len(factors) else None
    if found is None:
        return None
    opened: list[Scalar] = []
    for factor in factors:
        over = factor if factor in plain else _over_pairs(b, found, factor)
        if over is None:
            return None
        opened.append(over)
    return found, opened


def _others(b: Builder, tensor: str) -> tuple[Equation, Reduce, Ragged, Index] | None:
    """An equation that is the product of all factors of a range but one, and the index of the one left out."""
    equation = b.program.equation(tensor)
    node = equation.body if equation else None
    if equation is None or not isinstance(node, Reduce) or node.kind != "product" or len(node.indices) != 1:
        return None
    for part in conjuncts(node.condition):
        if isinstance(part, Compare) and part.relation == "!=":
            inside = node.indices[0]
            rest = all_of(*(c for c in conjuncts(node.condition) if c is not part))
            found = ragged(rest, node.body, windows=True)
            for own in equation.indices:
                apart = as_poly(own) - as_poly(inside)
                alone = own not in free_indices(rest) | free_indices(node.body)
                if found is not None and found.inside == inside and alone and part.poly in (apart, -apart):
                    return equation, node, found, own
    return None


def _over_pairs(b: Builder, found: Ragged, read: Scalar) -> Read | None:
    """Emit such products for every pair, if the ranges are those of the sum that reads them."""
    others = _others(b, read.tensor) if isinstance(read, Read) else None
    if others is None or not isinstance(read, Read):
        return None
    equation, node, own_range, own = others
    table = dict(zip(equation.indices, read.indices, strict=True))
    ends = tuple(rename(FromInteger(e), table) for e in (own_range.first, own_range.last))
    if ends != (FromInteger(found.first), FromInteger(found.last)) or table.get(own) != as_poly(found.inside):
        return None
    owners = tuple(table.get(i, as_poly(i)) for i in own_range.owners)
    if own_range.rest != TRUE or owners != tuple(map(as_poly, found.owners)):
        return None
    from symgrad.lower.elementwise import value_of  # expressions read these arrays: the modules need each other

    pairs = pairs_of(b, found)
    names = dict(pairs.places)
    own_indices = (own_range.inside, *own_range.owners)
    places = tuple(zip(own_indices, (names[i] for i in (found.inside, *found.owners)), strict=True))
    pairs = replace(pairs, found=own_range, places=places)
    rest = tuple(i for i in equation.indices if i != own and i not in own_range.owners)
    rows = pairs.rows(as_float(value_of(b, pairs.moved(node.body), (pairs.pair, *rest))), rest)
    b.because(f"{read.tensor}: products of the factors before and after in the same range")
    kept = b.keep(Helper("_others_in_pairs", (rows.array, pairs.ranges)), f"{read.tensor}_pairs")
    axes = tuple(i for i in rest if i in rows.axes)
    _declare(b, Tensor(kept.text, (pairs.pair.extent, *(i.extent for i in axes))))
    return Read(kept.text, (as_poly(pairs.pair), *(table[i] for i in axes)))
