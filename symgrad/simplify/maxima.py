"""Largest exponents that were taken out, and the exponentials they were subtracted from, as named intermediates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from symgrad.declare.algebra import add
from symgrad.declare.integers import as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    Apply,
    Node,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    children,
    free_indices,
    reads_of,
    walk,
)
from symgrad.derive.trace import Trace
from symgrad.naming import fresh

RULE = "name a value that is used again"


def name_maxima(program: Program, trace: Trace) -> Program:
    """Name every maximum that is constant for differentiation, and every exponential that it stands in.

    What is behind a choice or in a sum stays: it is evaluated where it is taken.
    """
    taken = program.names()
    equations: list[Equation] = []
    for equation in program.equations:
        after = equation
        for largest in dict.fromkeys(n for n in _open(equation.body) if _is_maximum(n)):
            assert isinstance(largest, Stopped)
            made = _equation(largest.value, equation, f"max_{_subject(largest)}", taken)
            shift = Stopped(_read(made))
            after = replace(after, body=_replaced(after.body, largest, shift))
            parts = [made]
            for exponential in dict.fromkeys(n for n in _open(after.body) if _is_shifted(n, shift)):
                assert isinstance(exponential, Apply)
                exponent = add(exponential.args[0], shift)
                parts.append(_equation(exponential, equation, f"exp_{_subject(exponent)}", taken))
                after = replace(after, body=_replaced(after.body, exponential, _read(parts[-1])))
            for part in parts:
                trace.record(RULE, None, part)
            equations += parts
        trace.record(RULE, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _equation(value: Scalar, user: Equation, base: str, taken: set[str]) -> Equation:
    """The equation of a value, over those indices of its user that it needs."""
    name = fresh(base, taken)
    taken.add(name)
    return Equation(name, tuple(i for i in user.indices if i in free_indices(value)), value)


def _read(equation: Equation) -> Read:
    return Read(equation.target, tuple(map(as_poly, equation.indices)))


def _open(node: Node) -> Iterator[Node]:
    """What is evaluated at every point of the equation."""
    yield node
    if not isinstance(node, Select | Reduce):
        for child in children(node):
            yield from _open(child)


def _is_maximum(node: Node) -> bool:
    return isinstance(node, Stopped) and isinstance(node.value, Apply) and node.value.function == "max"


def _is_shifted(node: Node, shift: Scalar) -> bool:
    return isinstance(node, Apply) and node.function == "exp" and shift in set(walk(node))


def _subject(exponents: Scalar) -> str:
    tensors = dict.fromkeys(r.tensor for r in reads_of(exponents))
    return next(iter(tensors)) if len(tensors) == 1 else "exponent"


def _replaced(body: Scalar, node: Scalar, by: Scalar) -> Scalar:
    def change(part: Node) -> Node:
        return by if part == node else map_children(part, change)

    return changed(body, change)
