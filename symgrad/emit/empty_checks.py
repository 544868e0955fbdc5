"""Checks that every maximum, minimum or position of one has something to choose from, as lines of an emitted forward.

Only ranges count: what a Piecewise leaves out of a range has a value of its own, -oo for instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import at_least, conjuncts
from symgrad.declare.integers import (
    ZERO,
    Atom,
    Index,
    Poly,
    Quotient,
    Remainder,
    Size,
    affine_in,
    as_poly,
    atoms,
    depends_on_data,
    indices_of,
)
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import (
    TRUE,
    Compare,
    Condition,
    Node,
    Read,
    Reduce,
    Select,
    children,
    free_indices,
    tensors_of,
)
from symgrad.declare.substitution import substitute
from symgrad.emit.printer import Printer
from symgrad.emit.sizes import PLAIN
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import condition_value
from symgrad.lower.equals import paired
from symgrad.lower.plan import ModulePlan

REPEATING = ("wrap", "replicate", "reflect")
WORDS = {"max": "maximum", "argmax": "maximum", "min": "minimum", "argmin": "minimum"}


@dataclass(frozen=True, slots=True)
class _Choice:
    """A reduction that needs a value, the extents of what it is computed for, and whether it always is."""

    node: Reduce
    outer: tuple[Poly, ...]
    everywhere: bool


def empty_checks(plan: ModulePlan, printer: Printer) -> list[str]:
    """Lines that refuse an extremum over an axis or a range without elements."""
    program = plan.program
    lines: dict[str, None] = {}
    for choice in _choices(program):
        node, what = choice.node, f"the {WORDS[choice.node.kind]} over {{}} has no values to choose from"
        for index in node.indices:
            # Where a size decides both and a condition the range, nothing may be computed for an empty axis.
            shared = {a for e in choice.outer for a in atoms(e)} & set(atoms(index.extent))
            if not (shared and node.condition != TRUE) and not _surely_positive(program, index.extent):
                extent = PLAIN.poly(index.extent)
                lines[f'_require({extent} > 0, "{what.format(index.name)}: {extent} is 0")'] = None
        if choice.everywhere and len(node.indices) == 1:
            for condition in _range_conditions(node.indices[0], node.condition):
                if set(tensors_of(condition)) <= {t.name for t in program.inputs}:
                    text = what.format(node.indices[0].name)
                    lines |= dict.fromkeys(_range_check(plan, printer, condition, text))
    lines |= dict.fromkeys(_repeats(program))
    lines |= dict.fromkeys(_fixed(program))
    if lines:
        printer.helpers.add("_require")
    return list(lines)


def _repeats(program: Program) -> Iterator[str]:
    """Checks that an axis that is repeated beyond its ends has an element, where one is read."""
    for equation in program.equations:
        for part, outer, always, _ in _parts(equation):
            if not always or not isinstance(part, Read):
                continue
            for axis, (poly, extent) in enumerate(zip(part.indices, program.extents(part.tensor), strict=True)):
                beyond = part.extension is not None and part.extension.mode in REPEATING
                inside = isinstance(poly.atom, Index) and poly.atom.extent == extent
                around = any(isinstance(a, Remainder) and a.denominator == extent for a in atoms(poly))
                if not (beyond and not inside) and not around:
                    continue
                if _surely_positive(program, extent) or any(_is_multiple(o, extent) for o in outer):
                    continue
                nothing = ", ".join(dict.fromkeys(PLAIN.poly(o) for o in outer if not _surely_positive(program, o)))
                unread = f" or 0 in ({nothing}{'' if ', ' in nothing else ','})" if nothing else ""
                size = PLAIN.poly(extent)
                text = f"axis {axis} of {part.tensor} has nothing to repeat beyond its ends: {size} is 0"
                yield f'_require({size} > 0{unread}, "{text}")'


def _fixed(program: Program) -> Iterator[str]:
    """Checks that an axis has an element, where one is read at a fixed place for whatever is computed."""
    for equation in program.equations:
        for part, _, always, _ in _parts(equation):
            if not always or not isinstance(part, Read) or part.extension is not None:
                continue
            for axis, (place, extent) in enumerate(zip(part.indices, program.extents(part.tensor), strict=True)):
                fixed = not indices_of(place) and not depends_on_data(place) and nonnegative(extent - 1 - place)
                if fixed and not _surely_positive(program, extent):
                    size = PLAIN.poly(extent)
                    where = f"{part.tensor} is read at index {PLAIN.poly(place)} of axis {axis}"
                    yield f'_require({size} > 0, "{where}, which has no elements: {size} is 0")'


def _is_multiple(poly: Poly, extent: Poly) -> bool:
    """Whether an extent is 0 where the other is."""
    atom = extent.atom
    return poly == extent or (atom is not None and all(atom in monomial for monomial, _ in poly.terms))


def _choices(program: Program) -> Iterator[_Choice]:
    """The reductions that need a value, in the order of the equations."""
    for equation in program.equations:
        for node, outer, _, everywhere in _parts(equation):
            if isinstance(node, Reduce) and node.kind in WORDS and node.ties != "none" and paired(equation) is None:
                yield _Choice(node, outer, everywhere)


def _parts(equation: Equation) -> Iterator[tuple[Node, tuple[Poly, ...], bool, bool]]:
    """Every part of an equation, the extents of what it is computed for, and what is not around it.

    That is no condition, and neither a condition nor a reduction.
    """
    extents = tuple(i.extent for i in equation.indices)
    waiting: list[tuple[Node, tuple[Poly, ...], bool, bool]] = [(equation.body, extents, True, True)]
    while waiting:
        node, outer, always, everywhere = waiting.pop(0)
        yield node, outer, always, everywhere
        if isinstance(node, Reduce):
            outer = (*outer, *(i.extent for i in node.indices))
            always = always and node.condition == TRUE
        always = always and not isinstance(node, Select)
        everywhere = everywhere and not isinstance(node, Select) and not (isinstance(node, Reduce) and node.indices)
        waiting += [(child, outer, always, everywhere) for child in children(node)]


def _surely_positive(program: Program, extent: Poly) -> bool:
    """Whether an extent is at least 1 although a dimension may be 0."""
    least: dict[Atom, Poly] = {}
    for attribute in program.attributes:
        if attribute.integer and attribute.minimum:
            size = Size(attribute.name, attribute.minimum)
            least[size] = as_poly(size) + attribute.minimum
    rest = substitute(extent, least) - 1
    return all(c > 0 and all(isinstance(a, Size) for a in m) for m, c in rest.terms)


def _range_conditions(index: Index, condition: Condition) -> Iterator[Condition]:
    """What has to hold for a range to have an element: each lower end is at most each upper one.

    Left out is what is known, and what quotients decide: those divide an axis into parts, none of them empty.
    """
    low, high = [ZERO], [index.extent - 1]
    for part in conjuncts(condition):
        if index not in free_indices(part):
            continue
        split = affine_in(part.poly, index) if isinstance(part, Compare) and part.relation == ">=" else None
        if split is None or split[0].constant not in (1, -1) or index in indices_of(split[1]):
            return
        if split[0].constant == 1:
            low.append(-split[1])
        else:
            high.append(split[1])
    if len(low) + len(high) == 2:
        return
    for first in low:
        for last in high:
            divided = any(isinstance(a, Quotient | Remainder) for a in atoms(last - first))
            if (first, last) != (ZERO, index.extent - 1) and not divided and not nonnegative(last - first):
                yield at_least(last, first)


def _range_check(plan: ModulePlan, printer: Printer, condition: Condition, message: str) -> list[str]:
    program = plan.program
    taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
    b = Builder(plan.adjoint.program, taken | {a.name for a in program.attributes})
    value = condition_value(b, condition, tuple(sorted(free_indices(condition), key=lambda i: i.name)))
    text = printer.expr(value.array)
    check = f'_require({f"np.all({text})" if value.axes else text}, "{message}")'
    return [*printer.lines(tuple(b.block)), check]
