"""The table of residuals in a module's docstring: what is kept for backward, in bytes, and computed again, in work."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable

from symgrad.declare.integers import Poly
from symgrad.declare.program import Equation
from symgrad.declare.scalars import Add, Apply, Mul, Power, Reduce, Relation, Scalar, Select, walk
from symgrad.emit.printer import WIDTH
from symgrad.lower.arrays import Assign, Fresh
from symgrad.lower.plan import ModulePlan
from symgrad.lower.share import walk as walk_statements

Text = Callable[[Poly], str]
POSITION = 8
"""Bytes of an integer, where nothing says how large it may be."""
NARROW = (1, 2, 4)
"""Bytes of the integers of a smallest type; a larger one has ``POSITION``."""


def kept_table(plan: ModulePlan, text: Text) -> list[str]:
    """Lines of the table; one where forward keeps nothing but inputs and outputs. ``text`` prints an extent.

    A value that is kept takes its bytes from the end of forward on; one that is computed again takes its work twice,
    and is counted in operations: additions, products, comparisons, powers and functions alike.
    """
    given = {t.name for t in plan.program.inputs} | set(plan.program.outputs)
    made = {e.target: e for e in plan.adjoint.program.equations}
    free = ", ".join(n for n in plan.residuals if n in given) or "nothing"
    narrow = _narrow(plan)
    rows = [(n, _bytes(made[n], text, narrow.get(n))) for n in plan.residuals if n in made and n not in given]
    numbers = any(not made[n].integer for n, _ in rows)
    rows += [(n, f"computed again: {_work(made[n], text)}") for n in plan.again]
    if not rows:
        return _wrapped(f"Kept for backward ({plan.policy}): {free}; not copied.", "")
    width = max(len(name) for name, _ in rows)
    lines = [f"Kept for backward ({plan.policy}{', b bytes a number' if numbers else ''}):"]
    lines += [line for name, what in rows for line in _wrapped(f"{name.ljust(width)}  {what}", "    ")]
    return lines if free == "nothing" else [*lines, *_wrapped(f"beside {free}, not copied", "    ")]


def _narrow(plan: ModulePlan) -> dict[str, Poly]:
    """The largest value of what is stored in the smallest type of integers that holds it, by name."""
    made = (s for s in walk_statements(plan.forward.statements) if isinstance(s, Assign))
    return {s.name: s.array.dtype for s in made if isinstance(s.array, Fresh) and isinstance(s.array.dtype, Poly)}


def _bytes(equation: Equation, text: Text, largest: Poly | None = None) -> str:
    """The bytes of an array; ``largest`` is the largest value that its integers may have, if that decides."""
    extents = [text(i.extent) for i in equation.indices]
    if largest is None:
        return f"{_product([str(POSITION) if equation.integer else 'b', *extents])} bytes"
    if largest.constant is not None:
        size = next((n for n in NARROW if largest.constant < 256**n), POSITION)
        return f"{_product([str(size), *extents])} bytes"
    return f"{_product(extents)} bytes, twice that from {text(largest)} = 256 on, four times from 65536"


def _work(equation: Equation, text: Text) -> str:
    """What one evaluation takes: elements, terms of the largest sum for each, operations for each term."""
    elements = _product([text(i.extent) for i in equation.indices])
    terms = [_product([text(i.extent) for i in r.indices]) for r in _reductions(equation.body) if r.indices]
    of = f" of {' and '.join(dict.fromkeys(terms))} terms" if terms else ""
    count = _operations(equation.body)
    return f"{elements} elements{of}, {count} operation{'' if count == 1 else 's'} each"


def _reductions(body: Scalar) -> list[Reduce]:
    return [part for part in walk(body) if isinstance(part, Reduce)]


def _operations(body: Scalar) -> int:
    """Operations on one element, or on one term of a reduction."""
    count = 0
    for part in walk(body):
        match part:
            case Add(args) | Mul(_, args) | Apply("max" | "min", args):
                count += max(len(args) - 1, 1)
            case Apply() | Power() | Select() | Relation() | Reduce():
                count += 1
    return count


def _product(factors: Iterable[str]) -> str:
    kept = [f"({f})" if " " in f else f for f in factors if f != "1"]
    return " * ".join(kept).removeprefix("(").removesuffix(")") if len(kept) == 1 else " * ".join(kept) or "1"


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
