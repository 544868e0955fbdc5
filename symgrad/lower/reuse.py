"""Memory used again: long expressions computed in the array that they end in, and in arrays that nobody reads any more.

NumPy makes an array for every operation unless it can see that an operand is a temporary of the same shape, which a
vector that is spread over a matrix hides from it: ``y = x * gamma / scale[:, None]`` makes two matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symgrad.declare.program import Program
from symgrad.declare.typical import LARGE, elements, typical_sizes
from symgrad.lower.arrays import (
    Array,
    Assign,
    Map,
    MatMul,
    Name,
    Reshape,
    Run,
    Statement,
    Update,
)
from symgrad.lower.destinations import BINARY, CALLS, UNARY, written_to
from symgrad.lower.last_reads import written_over
from symgrad.lower.shapes import Shape, Shapes, shape_of, shapes_of
from symgrad.lower.traverse import names_in

READABLE = 4
"""Lines that an expression may be spread over before it reads better as it is."""
REASON = "long expressions with vectors in them are computed in place: one array instead of one for each operation"
REASON_DEAD = "an array that nothing reads any more is written over"


@dataclass(frozen=True, slots=True)
class _Step:
    """An operation on what is computed so far: ``so_far op= operand``, or ``function(so_far)``."""

    function: str
    operand: Array | None
    seen: bool
    """Whether NumPy sees by itself that it can write over the operand."""


def reuse(
    program: Program,
    statements: tuple[Statement, ...],
    results: frozenset[str],
    fast: bool = False,
    placed: frozenset[str] = frozenset(),
) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """Statements of a function that make fewer arrays, and why.

    Args:
        program: what the equations read.
        statements: those of one function.
        results: names that must hold their values to the end.
        fast: write over arrays inside of expressions as well.
        placed: names whose memory is there already.
    """
    sizes = typical_sizes(program)

    def large(shape: Shape) -> bool:
        return len(shape.extents) > 1 and elements(shape.extents, sizes) >= LARGE**2

    known = shapes_of(program, statements)
    found: list[Statement] = []
    reasons: list[str] = []
    for statement in statements:
        made = _in_place(statement, known, large)
        made = made if fast or len(made) <= READABLE else [statement]
        found += made
        if len(made) > 1 and REASON not in reasons:
            reasons.append(REASON)
    over = written_over(found, known, large, results, placed, fast)
    if over != found:
        reasons.append(REASON_DEAD)
    return tuple(over), tuple(reasons)


def _in_place(statement: Statement, known: Shapes, large: Callable[[Shape], bool]) -> list[Statement]:
    """``y = a * b / c[:, None]`` as ``y = a * b`` and ``y /= c[:, None]``."""
    if not isinstance(statement, Assign) or statement.name in names_in(statement.array):
        return [statement]
    shape = shape_of(statement.array, known)
    if shape is None or not shape.floats or not large(shape):
        return [statement]
    base, steps = _steps(statement.array, shape, known)
    first = next((p for p, s in enumerate(steps) if not s.seen), None)
    if first is None:
        return [statement]
    name = Name(statement.name)
    for step in steps[:first]:
        base = Map(step.function, (base, step.operand) if step.operand is not None else (base,))
    made: list[Statement] = [Assign(name.text, base, statement.comment)]
    return made + [_applied(name, step) for step in steps[first:]]


def _applied(name: Name, step: _Step) -> Statement:
    if step.operand is not None and step.function in BINARY:
        return Update(name, BINARY[step.function], step.operand)
    operands = () if step.operand is None else (step.operand,)
    return Run(written_to(name, step.function, (name, *operands)))


def _steps(array: Array, shape: Shape, known: Shapes) -> tuple[Array, list[_Step]]:
    """An expression as an array of the whole shape, made anew, and what is done to it then."""

    def is_made(part: Array) -> bool:
        new = part.source if isinstance(part, Reshape) else part
        return isinstance(new, Map | MatMul) and shape_of(part, known) == shape

    match array:
        case Map(function, (inner,)) if function in UNARY and is_made(inner):
            base, steps = _steps(inner, shape, known)
            return base, [*steps, _Step(function, None, False)]
        case Map(function, (left, right)) if (function in BINARY or function in CALLS) and is_made(left):
            base, steps = _steps(left, shape, known)
            return base, [*steps, _Step(function, right, _is_seen(function, right, shape, known))]
        case Map("add" | "mul" as function, (left, right)) if is_made(right):
            base, steps = _steps(right, shape, known)
            step = _Step(function, left, _is_seen(function, left, shape, known))
            # What is written as it was reads best: operands change places only if that saves an array.
            return (base, [*steps, step]) if not all(s.seen for s in (*steps, step)) else (array, [])
    return array, []


def _is_seen(function: str, operand: Array, shape: Shape, known: Shapes) -> bool:
    """Whether NumPy writes over a temporary by itself: beside a number, or beside an array of the same shape."""
    if function not in BINARY:
        return False
    found = shape_of(operand, known)
    return found is not None and (not found.extents or found.extents == shape.extents)
