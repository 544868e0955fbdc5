"""Memory used again: long expressions computed in the array that they end in, and in arrays that nobody reads any more.

NumPy makes an array for every operation unless it can see that an operand is a temporary of the same shape, which a
vector that is spread over a matrix hides from it: ``y = x * gamma / scale[:, None]`` makes two matrices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from symgrad.declare.program import Program
from symgrad.declare.typical import LARGE, typical, typical_sizes
from symgrad.lower.arrays import (
    Array,
    Assign,
    Collapse,
    Einsum,
    Fresh,
    Helper,
    Map,
    MatMul,
    Name,
    Run,
    Statement,
    Update,
)
from symgrad.lower.shapes import Shape, Shapes, shape_of
from symgrad.lower.share import BLOCKS, uses, walk
from symgrad.lower.traverse import map_parts, names_in, parts

BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
CALLS = {"add": "np.add", "sub": "np.subtract", "mul": "np.multiply", "div": "np.divide"}
CALLS |= {f: f"np.{f}" for f in ("maximum", "minimum")}
UNARY = frozenset({"exp", "expm1", "log", "log1p", "sqrt", "tanh", "sin", "cos", "sinh", "cosh", "abs", "square"})
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
    program: Program, statements: tuple[Statement, ...], results: frozenset[str], fast: bool = False
) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """Statements of a function that make fewer arrays, and why.

    Args:
        program: what the equations read.
        statements: those of one function.
        results: names that must hold their values to the end.
        fast: write over arrays inside of expressions as well.
    """
    sizes = typical_sizes(program)

    def large(shape: Shape) -> bool:
        return len(shape.extents) > 1 and prod(typical(e, sizes) for e in shape.extents) >= LARGE**2

    known = shapes_of(program, statements)
    found: list[Statement] = []
    reasons: list[str] = []
    for statement in statements:
        made = _in_place(statement, known, large)
        made = made if fast or len(made) <= READABLE else [statement]
        found += made
        if len(made) > 1 and REASON not in reasons:
            reasons.append(REASON)
    over = _written_over(found, known, large, results, fast)
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
    return Run(Helper(CALLS.get(step.function, f"np.{step.function}"), (name, *operands, Helper("out=", (name,)))))


def _steps(array: Array, shape: Shape, known: Shapes) -> tuple[Array, list[_Step]]:
    """An expression as an array of the whole shape, made anew, and what is done to it then."""

    def is_made(part: Array) -> bool:
        return isinstance(part, Map | MatMul) and shape_of(part, known) == shape

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


# --- arrays that nobody reads any more -------------------------------------------------------------------------------


def _written_over(
    block: list[Statement], known: Shapes, large: Callable[[Shape], bool], results: frozenset[str], nested: bool
) -> list[Statement]:
    """The block with operations that write over an operand that is read there for the last time."""
    own = _own(block, results)
    found: list[Statement] = []
    later: set[str] = set()
    for statement in reversed(block):
        dead = own - later
        later |= uses(statement)
        if isinstance(statement, Assign) or (nested and isinstance(statement, Update)):
            counts = Counter(_names(statement.array))
            free = {n for n in dead if counts[n] == 1 and n not in _target_names(statement)}
            array = _over(statement.array, free, known, large, nested)
            if array != statement.array:
                statement = replace(statement, array=array)
        found.append(statement)
    return found[::-1]


def _target_names(statement: Assign | Update) -> set[str]:
    return names_in(statement.target) if isinstance(statement, Update) else {statement.name}


def _names(array: Array) -> list[str]:
    own = [array.text] if isinstance(array, Name) else []
    return own + [n for p in parts(array) for n in _names(p)]


def _own(block: Sequence[Statement], results: frozenset[str]) -> set[str]:
    """Variables that hold arrays of the function's own, made once, that no other variable is a view of."""
    made = Counter(s.name for s in walk(block) if isinstance(s, Assign))
    own = {s.name for s in block if isinstance(s, Assign) and made[s.name] == 1 and _is_new(s.array)} - results
    for statement in walk(block):
        if isinstance(statement, Assign) and not _is_new(statement.array):
            own -= names_in(statement.array)
        if isinstance(statement, BLOCKS):
            own -= uses(statement)
    return own


def _is_new(array: Array) -> bool:
    return isinstance(array, Map | MatMul | Collapse | Fresh) or (isinstance(array, Einsum) and len(array.args) > 1)


def _over(array: Array, free: set[str], known: Shapes, large: Callable[[Shape], bool], nested: bool) -> Array:
    """The outermost operation on a large array that is free writes its result there."""
    if not free:
        return array
    match array:
        case Map(function, args) if function in CALLS or function in UNARY:
            shape = shape_of(array, known)
            fit = [a for a in args if isinstance(a, Name) and a.text in free and known.get(a.text) == shape]
            if fit and shape is not None and shape.floats and large(shape):
                if nested:
                    left = free - {fit[0].text}
                    args = tuple(a if a == fit[0] else _over(a, left, known, large, nested) for a in args)
                return Helper(CALLS.get(function, f"np.{function}"), (*args, Helper("out=", (fit[0],))))
    return map_parts(array, lambda part: _over(part, free, known, large, nested)) if nested else array
