"""Random scalar expressions, made twice from the same choices: as data by the constructors, and as a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath

from symgrad.declare.algebra import add, apply, divide, from_integer, multiply, negate, power, select, subtract
from symgrad.declare.conditions import all_of, any_of, compare, negation, relation
from symgrad.declare.integers import Index, Size, as_poly
from symgrad.declare.scalars import Condition, Number, Read, Scalar

from ..data_evaluator import EXACT, World, integer
from .polynomials import Choices

N, P, I = Size("N"), Size("P", 0), Index("i", as_poly(Size("N")))
POLYS = (as_poly(N), as_poly(I), as_poly(P), 2 * as_poly(N) - as_poly(I), as_poly(N) * as_poly(P) - 1)
SIZES_ONLY = (as_poly(N), 2 * as_poly(N), as_poly(N) * as_poly(N))
TENSORS = ("a", "b", "c")
UNARY = ("exp", "sin", "tanh", "arctan", "arcsinh", "erf", "sigmoid", "softplus", "cos", "cosh", "expm1", "log")
EXPONENTS = tuple(Number(Fraction(*e)) for e in ((2,), (-1,), (3,), (1, 2), (-1, 2), (-2,), (1,), (0,)))


@dataclass(frozen=True)
class Made:
    """An expression and its value, found without the constructors (nan where it has none)."""

    data: Scalar
    value: Any


def world(choose: Choices) -> World:
    """Sizes, an index in its range, and real values away from special ones."""
    extent = 1 + choose.below(4)
    integers = {"N": extent, "P": choose.below(3), "i": choose.below(extent)}
    tensors = {name: {(): mpmath.mpf(choose.below(251) - 125) / 64 + mpmath.mpf("0.00371")} for name in TENSORS}
    return World(integers, tensors, EXACT)


class Maker:
    """Makes expressions in one world."""

    def __init__(self, choose: Choices, where: World) -> None:
        self.choose, self.world = choose, where

    def scalar(self, depth: int) -> Made:
        kinds: tuple[Callable[[int], Made], ...] = (
            self._leaf,
            self._sum,
            self._product,
            self._power,
            self._function,
            self._select,
            self._difference,
        )
        return self._leaf(0) if depth == 0 else self.choose.of(kinds)(depth - 1)

    def _leaf(self, _: int) -> Made:
        match self.choose.below(4):
            case 0 | 1:
                name = self.choose.of(TENSORS)
                return Made(Read(name, ()), self.world.tensors[name][()])
            case 2:
                value = Fraction(self.choose.below(9) - 4, 1 + self.choose.below(3))
                return Made(Number(value), mpmath.mpf(value.numerator) / value.denominator)
        poly = self.choose.of(POLYS)
        return Made(from_integer(poly), mpmath.mpf(integer(poly, self.world)))

    def _several(self, depth: int) -> list[Made]:
        found = [self.scalar(depth) for _ in range(1 + self.choose.below(3))]
        return found + found[: self.choose.below(2)]  # one of them twice

    def _sum(self, depth: int) -> Made:
        parts = self._several(depth)
        return Made(add(*(p.data for p in parts)), mpmath.fsum(p.value for p in parts))

    def _difference(self, depth: int) -> Made:
        a, b = self.scalar(depth), self.scalar(depth)
        match self.choose.below(3):
            case 0:
                return Made(subtract(a.data, b.data), a.value - b.value)
            case 1:
                return Made(negate(a.data), -a.value)
        size = self.choose.of(SIZES_ONLY)
        return Made(divide(a.data, from_integer(size)), a.value / integer(size, self.world))

    def _product(self, depth: int) -> Made:
        parts = self._several(depth)
        return Made(multiply(*(p.data for p in parts)), mpmath.fprod(p.value for p in parts))

    def _power(self, depth: int) -> Made:
        base, exponent = self.scalar(depth), self.choose.of(EXPONENTS)
        value = EXACT.power(base.value, mpmath.mpf(exponent.value.numerator) / exponent.value.denominator)
        return Made(power(base.data, exponent), value)

    def _function(self, depth: int) -> Made:
        name, inner = self.choose.of(UNARY), self.scalar(depth)
        if mpmath.isnan(inner.value) or abs(inner.value) > 50 or (name == "log" and inner.value <= 0):
            return inner
        return Made(apply(name, inner.data), EXACT.functions[name](inner.value))

    def condition(self, depth: int) -> tuple[Condition, bool]:
        """A condition and whether it holds."""
        match self.choose.below(5):
            case 0:
                poly = self.choose.of(POLYS) - self.choose.below(4)
                kind = self.choose.of((">=", "==", "!="))
                value = integer(poly, self.world)
                return compare(kind, poly), {">=": value >= 0, "==": value == 0, "!=": value != 0}[kind]
            case 1:
                a, b = self._leaf(0), self._leaf(0)
                kind = self.choose.of(("<", "<=", "==", "!="))
                truth = {"<": a.value < b.value, "<=": a.value <= b.value, "==": a.value == b.value}
                return relation(kind, a.data, b.data), truth.get(kind, a.value != b.value)
            case 2 if depth:
                inner, truth = self.condition(depth - 1)
                return negation(inner), not truth
        if not depth:
            return compare(">=", as_poly(I) - 1), self.world.integers["i"] >= 1
        (a, left), (b, right) = self.condition(depth - 1), self.condition(depth - 1)
        return (all_of(a, b), left and right) if self.choose.below(2) else (any_of(a, b), left or right)

    def _select(self, depth: int) -> Made:
        condition, truth = self.condition(1)
        a, b = self.scalar(depth), self.scalar(depth)
        return Made(select(condition, a.data, b.data), a.value if truth else b.value)


def make(data: bytes, depth: int = 3) -> tuple[Made, World]:
    """An expression in a world of its own."""
    choose = Choices(data)
    where = world(choose)
    return Maker(choose, where).scalar(depth), where
