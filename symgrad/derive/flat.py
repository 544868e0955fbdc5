"""Sums of even powers and absolute values: where they are 0, all their terms are, and so is their slope.

A root of one has no slope there but a cone: the slope counts as 0, as that of the absolute value does.
"""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.program import Program
from symgrad.declare.scalars import NOUGHT, Add, Apply, Mul, Number, Power, Read, Reduce, Scalar, Select, reads_of


def flat_tensors(program: Program) -> frozenset[str]:
    """The left sides that are flat at 0."""
    names: set[str] = set()
    for equation in program.equations:
        if is_flat(equation.body, names):
            names.add(equation.target)
    return frozenset(names)


def is_flat(node: Scalar, names: set[str] | frozenset[str]) -> bool:
    """Whether a value is nowhere negative and has, by the rules for kinks, slope 0 wherever it is 0."""
    match node:
        case Read(tensor, _, _):
            return tensor in names
        case Apply("abs", _):
            return True
        case Power(base, Number(n)) if n > 0:
            even = isinstance(n, Fraction) and n.denominator == 1 and n.numerator % 2 == 0
            return even or is_flat(base, names)
        case Power(base, exponent):
            return not isinstance(exponent, Number) and is_flat(base, names)
        case Add(args):
            return all(is_flat(a, names) for a in args)
        case Mul(c, factors):
            moving = [f for f in factors if reads_of(f)]
            return c > 0 and bool(moving) and all(is_flat(f, names) for f in moving)
        case Reduce("sum" | "max", _, _, body, _):
            return is_flat(body, names)
        case Select(_, then, otherwise):
            return all(a == NOUGHT or is_flat(a, names) for a in (then, otherwise))
    return False
