"""The chain rule read by read: what every read adds to the cotangent of the tensor that it reads.

The reverse pass of ``derive`` is run once more and watched, so that what a document says about single reads is what
the pass does with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.integers import Index
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import TRUE, Condition, Read, Reduce, Scalar
from symgrad.derive.adjoint import Adjoint, _Reverse
from symgrad.derive.derivatives import derivative
from symgrad.derive.trace import Trace


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one read adds to a cotangent.

    Attributes:
        equation: the equation that reads.
        read: the read.
        summed: the indices that the term with the read is summed over.
        term: the expression that holds the read.
        slope: its derivative by the read.
        part: ``cotangent[axes] = sum of (cotangent of the left side) * slope`` where the read meets ``axes``.
    """

    equation: Equation
    read: Read
    summed: tuple[Index, ...]
    term: Scalar
    slope: Scalar
    part: Equation


@dataclass(frozen=True, slots=True)
class Chain:
    """A reverse pass, read by read.

    Attributes:
        adjoint: what the pass gives.
        bars: the tensor and a superscript for the name of every cotangent.
        contributions: in the order in which the pass finds them.
    """

    adjoint: Adjoint
    bars: dict[str, tuple[str, str]]
    contributions: tuple[Contribution, ...]

    def to(self, cotangent: str) -> tuple[Contribution, ...]:
        """Return what is added to one cotangent."""
        return tuple(c for c in self.contributions if c.part.target == cotangent)


class _Watched(_Reverse):
    """The reverse pass, with a note of every contribution."""

    def __init__(self, program: Program) -> None:
        super().__init__(program, Trace())
        self.contributions: list[Contribution] = []

    def _through(self, equation: Equation, cotangent: str) -> None:
        self.now = equation
        super()._through(equation, cotangent)

    def _term(
        self, free: tuple[Index, ...], bound: tuple[Index, ...], condition: Condition, weight: Scalar, body: Scalar
    ) -> None:
        self.term, self.summed = body, bound
        super()._term(free, bound, condition, weight, body)

    def _contribute(self, read: Read, over: tuple[Index, ...], condition: Condition, value: Scalar) -> None:
        super()._contribute(read, over, condition, value)
        axes, body = self.parts[read.tensor][-1]
        part = Equation(self.grad[read.tensor], axes, body)
        slope = derivative(self.term, read, self.flat)
        self.contributions.append(Contribution(self.now, read, self.summed, self.term, slope, part))


def chain_of(program: Program) -> Chain:
    """Run the reverse pass over a split program, watched."""
    watched = _Watched(program)
    adjoint = watched.run()
    bars = {name: (tensor, "") for tensor, name in watched.grad.items()}
    for output, name in watched.seed.items():
        bars.setdefault(name, (output, "out"))
    return Chain(adjoint, bars, tuple(watched.contributions))


def is_scatter(equation: Equation) -> bool:
    """Return whether a contribution is more than a product: summed, or under a condition."""
    return isinstance(equation.body, Reduce) and (bool(equation.body.indices) or equation.body.condition != TRUE)
