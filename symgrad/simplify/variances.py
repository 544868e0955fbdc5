"""Sums of squares less the square of a sum, which cancels, become sums of squared deviations from the mean.

``sum f g - (sum f)(sum g)/n = sum (f - sum f / n)(g - sum g / n)`` for sums of n terms: a variance where f is g, else a
covariance. Source: Chan, Golub and LeVeque, Algorithms for computing the sample variance, 1983: the two-pass form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations
from typing import TypeAlias

from symgrad.declare.algebra import add, divide, from_integer, multiply, negate, power, subtract
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    TRUE,
    UNIT,
    Add,
    FromInteger,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    contains,
    free_indices,
    reads_of,
    tensors_of,
)
from symgrad.derive.terms import all_indices, freshen, rename, terms_of
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.patterns import base_and_exponent
from symgrad.simplify.terms import factors_of

RULE = "sum f g - (sum f)(sum g)/n = sum (f - sum f / n)(g - sum g / n)"


Change: TypeAlias = Callable[[Node], Node]


@dataclass(frozen=True, slots=True)
class _Sum:
    """``value = scale * sum_{bound} body``, over all positions."""

    value: Scalar
    scale: Scalar
    bound: tuple[Index, ...]
    body: Scalar


def as_deviations(program: Program, trace: Trace) -> Program:
    """Write every variance and covariance of a split program as a sum over deviations."""
    definitions = {e.target: e for e in program.equations}
    steps = recurrent_axes(program.equations)
    taken, equations = set(program.names()), list[Equation]()
    for equation in program.equations:
        made: list[Equation] = []
        after = equation
        if equation.target not in steps:
            change = _change(definitions, equation, taken, made)
            after = equation.with_body(changed(equation.body, change))
        for new in made:
            trace.record(RULE, None, new)
        trace.record(RULE, equation, after)
        equations += [*made, after]
    if tuple(equations) == program.equations:
        return program
    before = {t for e in program.equations for t in tensors_of(e.body)}
    read = {t for e in equations for t in tensors_of(e.body)} | set(program.outputs)
    return replace(program, equations=tuple(e for e in equations if e.target in read or e.target not in before))


def _change(definitions: Mapping[str, Equation], equation: Equation, taken: set[str], made: list[Equation]) -> Change:
    """Replace what cancels inside one equation; the sums over deviations go to ``made``."""

    def change(node: Node) -> Node:
        if not contains(node, Add):
            return node
        node = map_children(node, change)
        while isinstance(node, Add) and (found := _found(node, definitions)) is not None:
            rest, scale, inner = found
            free = tuple(i for i in equation.indices if i in free_indices(inner))
            free += tuple(sorted(free_indices(inner) - set(free), key=lambda i: i.name))
            name = fresh(f"deviations_{reads_of(inner)[0].tensor}", taken)
            taken.add(name)
            names = {i.name for e in (*definitions.values(), *made) for i in (*e.indices, *all_indices(e.body))}
            made.append(Equation(name, free, freshen(inner, names)))
            node = add(*rest, multiply(scale, Read(name, tuple(map(as_poly, free)))))
        return node

    return change


def _found(node: Add, definitions: Mapping[str, Equation]) -> tuple[list[Scalar], Scalar, Reduce] | None:
    """The other terms, what stands before the sum over deviations, and that sum."""
    read = [(term, *_sums_in(term, definitions)) for term in node.args]
    for first, outer, products in read:
        for second, beside, factors in read:
            if first is second or len(products) != 1 or len(factors) != 2:
                continue
            found = _deviations(outer, products[0], beside, *factors)
            if found is not None:
                return [a for a in node.args if a is not first and a is not second], *found
    return None


def _deviations(outer: Scalar, whole: _Sum, beside: Scalar, left: _Sum, right: _Sum) -> tuple[Scalar, Reduce] | None:
    """What stands before the sum over deviations, and that sum, if the two terms are one."""
    count: Scalar = UNIT
    for i in whole.bound:
        count = multiply(count, from_integer(i.extent))
    for f in _over(left, whole.bound):
        for g in _over(right, whole.bound):
            ratio = divide(whole.body, multiply(f, g))
            scale = multiply(outer, whole.scale, ratio)
            if isinstance(ratio, Number) and _alike(multiply(beside, left.scale, right.scale, count), negate(scale)):
                ends = ((f, left), (g, right))
                apart = (subtract(u, divide(s.value, multiply(s.scale, count))) for u, s in ends)
                return scale, Reduce("sum", whole.bound, TRUE, multiply(*apart))
    return None


def _alike(left: Scalar, right: Scalar) -> bool:
    """Whether two products are the same, however their sizes are put together."""
    return _by_base(left) == _by_base(right)


def _by_base(node: Scalar) -> dict[Scalar, Fraction | float]:
    """The number in front of a product as a power of itself, the factors by base, products of sizes taken apart."""
    coefficient, factors = factors_of(node)
    found: dict[Scalar, Fraction | float] = {Number(coefficient): 1}
    for base, exponent in map(base_and_exponent, factors):
        if not isinstance(exponent, Number):
            base, exponent = power(base, exponent), UNIT
        parts = [base]
        if isinstance(base, FromInteger) and len(base.poly.terms) == 1 and base.poly.terms[0][1] == 1:
            parts = [from_integer(as_poly(a)) for a in base.poly.terms[0][0]]
        for part in parts:
            found[part] = found.get(part, 0) + exponent.value
    return {base: n for base, n in found.items() if n and base != UNIT}


def _over(total: _Sum, bound: tuple[Index, ...]) -> Iterator[Scalar]:
    """What is summed, over the other indices."""
    if len(total.bound) == len(bound):
        for order in permutations(bound):
            if all(i.extent == j.extent for i, j in zip(order, total.bound, strict=True)):
                yield rename(total.body, dict(zip(total.bound, map(as_poly, order), strict=True)))


def _sums_in(term: Scalar, definitions: Mapping[str, Equation]) -> tuple[Scalar, list[_Sum]]:
    """A term as a factor and sums; a squared one is there twice."""
    coefficient, factors = factors_of(term)
    rest: list[Scalar] = [Number(coefficient)]
    sums: list[_Sum] = []
    for factor in factors:
        match factor:
            case Power(base, Number(n)) if n == 2 and (found := _as_sum(base, definitions)) is not None:
                sums += [found, found]
            case _ if (found := _as_sum(factor, definitions)) is not None:
                sums.append(found)
            case _:
                rest.append(factor)
    return multiply(*rest), sums


def _as_sum(node: Scalar, definitions: Mapping[str, Equation]) -> _Sum | None:
    """A sum over all positions, by its name or as it stands."""
    match node:
        case Reduce("sum", bound, condition, body, _) if bound and condition == TRUE:
            return _Sum(node, UNIT, bound, body)
        case Read(tensor, indices, None) if tensor in definitions and all(isinstance(p.atom, Index) for p in indices):
            definition = definitions[tensor]
            table = dict(zip(definition.indices, indices, strict=True))
            (term, *more) = terms_of(definition.body)
            if more:
                return None
            if term.bound and term.condition == TRUE and not reads_of(term.scale):
                return _Sum(node, rename(term.scale, table), term.bound, rename(term.body, table))
            coefficient, factors = factors_of(definition.body)
            named = [f for f in factors if isinstance(f, Read)]
            if len(named) == 1 and len(reads_of(definition.body)) == 1 and isinstance(definition.body, Mul | Read):
                inner = _as_sum(named[0], definitions)
                if inner is not None:
                    beside = multiply(Number(coefficient), *(f for f in factors if f is not named[0]), inner.scale)
                    return _Sum(node, rename(beside, table), inner.bound, rename(inner.body, table))
    return None
