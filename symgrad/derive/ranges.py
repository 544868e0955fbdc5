"""Indices: summed ones that a condition gives one value or a range of values, and such as have names of their own."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

from symgrad.declare.algebra import multiply
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import all_of, compare, conjuncts, negation
from symgrad.declare.facts import may_be_negative, maybe_empty
from symgrad.declare.integers import Index, Poly, affine_in, as_poly, indices_of
from symgrad.declare.program import Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    PLAIN,
    TRUE,
    Compare,
    Condition,
    Extension,
    Mul,
    Node,
    Number,
    Read,
    Reduce,
    Scalar,
    Select,
)
from symgrad.derive.states import range_where
from symgrad.derive.terms import rename
from symgrad.naming import fresh


def pinned(
    program: Program, rest: tuple[Index, ...], where: Condition, value: Scalar
) -> tuple[tuple[Index, ...], Condition, Scalar]:
    """A summed index that a factor ``[i == c, ..]`` of the value gives a fixed value has that value."""
    factors = value.args if isinstance(value, Mul) else (value,)
    tests = (c for f in factors if isinstance(f, Select) and f.otherwise == NOUGHT for c in conjuncts(f.condition))
    for test in tests:
        if not (isinstance(test, Compare) and test.relation == "=="):
            continue
        for index in (i for i in rest if indices_of(test.poly) == {i}):
            split = affine_in(test.poly, index)
            at = None if split is None or split[0].constant not in (1, -1) else split[1] * -(split[0].constant or 1)
            if at is not None and nonnegative(at) and nonnegative(index.extent - 1 - at):
                table = {index: at}
                left = tuple(i for i in rest if i != index)
                lacks = partial(_is_along, index) if may_be_negative(program, index.extent - 1, ()) else never
                there, value = at_element(program, index.extent, lacks, value)
                return pinned(program, left, rename(all_of(where, there), table), rename(value, table))
    return rest, where, value


def _is_along(index: Index, read: Read) -> bool:
    return as_poly(index) in read.indices


def never(read: Read) -> bool:
    """No axis lacks what is read."""
    return False


def at_element(
    program: Program, extent: Poly, lacks: Callable[[Read], bool], value: Scalar, known: tuple[Poly, ...] = ()
) -> tuple[Condition, Scalar]:
    """A value at an element that a range lacks only if it is empty, and a condition where 0 has to be asked for.

    Args:
        program: whose dimensions may be 0.
        extent: of the range.
        lacks: whether an axis may lack what is read; that is 0 then, and so are products with it.
        value: what reads the element.
        known: expressions in sizes that are at least 0.
    """

    def absent(node: Node) -> bool:
        return isinstance(node, Read) and node.extension in (*PLAIN, Extension("constant")) and lacks(node)

    def change(node: Node) -> Node:
        if isinstance(node, Read) and absent(node):
            return Read(node.tensor, node.indices, Extension("constant"))
        return map_children(node, change)

    factors = value.args if isinstance(value, Mul) else (value,)
    sure = any(map(absent, factors)) or not may_be_negative(program, extent - 1, known)
    there = TRUE if sure else compare(">=", maybe_empty(program, extent - 1))
    return there, changed(value, change)


def limited(rest: tuple[Index, ...], where: Condition, value: Scalar) -> tuple[Condition, Scalar]:
    """A factor that is 0 where comparisons on a summed index alone fail makes them conditions of the sum."""
    factors = value.args if isinstance(value, Mul) else (value,)
    for factor in factors:
        if not isinstance(factor, Select) or NOUGHT not in (factor.then, factor.otherwise):
            continue
        kept, test = factor.then, factor.condition
        if factor.then == NOUGHT:
            kept, test = factor.otherwise, negation(factor.condition)
        if all(isinstance(c, Compare) and indices_of(c.poly) & set(rest) for c in conjuncts(test)) and rest:
            others = multiply(*(f for f in factors if f is not factor))
            coefficient = value.coefficient if isinstance(value, Mul) else Fraction(1)
            value = multiply(Number(coefficient), others, kept)
            return limited(rest, all_of(where, test), value)
    return where, value


def narrowed(rest: tuple[Index, ...], where: Condition, value: Scalar) -> tuple[tuple[Index, ...], Condition, Scalar]:
    """A summed index with a condition on itself alone runs over the range only in which that holds."""
    for index in rest:
        found = range_where(index, conjuncts(where))
        if found is not None:
            own = Index(index.name, found[1])
            table = {index: as_poly(own) + found[0]}
            rest = tuple(own if i == index else i for i in rest)
            where, value = rename(where, table), rename(value, table)
    return rest, where, value


def distinct(indices: tuple[Index, ...]) -> tuple[Index, ...]:
    """The indices, renamed where two have one name."""
    names: set[str] = set()
    made = []
    for index in indices:
        name = fresh(index.name, names)
        names.add(name)
        made.append(Index(name, index.extent))
    return tuple(made)


def never_empty(node: Reduce) -> bool:
    """Whether the first element of each range is in it, whatever the outer indices are."""
    first = {i: as_poly(0) for i in node.indices}
    known = (rename(c, first) for c in conjuncts(node.condition))
    return all(isinstance(c, Compare) and c.relation == ">=" and nonnegative(c.poly) for c in known)
