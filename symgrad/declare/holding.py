"""Whether a left side that is used as an integer holds integers, and what to say where it does not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from symgrad.declare.scalars import FromInteger, Number, Reduce, Scalar, Select, tensors_of


def is_integer(body: Scalar) -> bool:
    """Whether a body gives integers: one of the indices, a reduction of them, or a choice between such."""
    match body:
        case Select(_, then, otherwise):
            return all(is_integer(arm) and not _is_total(arm) for arm in (then, otherwise))
        case Number(value):
            return isinstance(value, Fraction) and value.denominator == 1
    return isinstance(body, FromInteger | Reduce)


def _is_total(arm: Scalar) -> bool:
    """Whether an arm is a reduction that gives no position."""
    return isinstance(arm, Reduce) and not arm.kind.startswith("arg")


def no_integer(target: str, body: Scalar, equation: Any) -> str:
    """What is wrong with the equation of a left side that is used as an integer, and what to write instead."""
    if target not in tensors_of(body):
        return f"{target} is used as an integer, but its equation gives a real number"
    return (
        f"{target} is an integer (it stands in an index) and reads itself, in {equation.rhs}; a recurrence holds real "
        f"numbers. Let a counter be real and use floor({target}[..]) as the index; follow positions as rows that are 1 "
        f"there and 0 elsewhere, here[t, d] = Sum(here[t + 1, i]*KroneckerDelta(next[t + 1, i], d), i), which "
        f"ArgMax(here[t, d], d) turns into positions"
    )
