"""Costly values that a pass needs more than once become named intermediates of the forward pass."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import overload

from symgrad.declare.algebra import multiply, select
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Add,
    Apply,
    Condition,
    Mul,
    Node,
    Number,
    Read,
    Reduce,
    Scalar,
    Select,
    children,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.derive.invert import is_total
from symgrad.derive.ragged import ragged_in
from symgrad.derive.terms import alpha_form
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.affine_units import Units, affine_units
from symgrad.simplify.costly import COSTLY, OWN_SLOPE, is_costly


@dataclass(slots=True)
class _Shared:
    name: str
    indices: tuple[Index, ...]
    key_order: tuple[Index, ...]
    body: Scalar
    count: int = 0
    summed: bool = False


def name_costly(program: Program, trace: Trace) -> Program:
    """Name every costly function value that occurs twice up to renaming, and exponentials inside sums."""
    found: dict[str, _Shared] = {}
    units = affine_units(e.body for e in program.equations)
    for equation in program.equations:
        if not _is_alone(equation):
            _survey(equation.body, found, units)
    taken = program.names()
    chosen: dict[str, _Shared] = {}
    for key, shared in found.items():
        if shared.count > 1 or shared.summed:
            shared.name = fresh(_name(shared.body), taken)
            taken.add(shared.name)
            chosen[key] = shared
    if not chosen:
        return program
    equations: list[Equation] = []
    pending = dict(chosen)
    recurrent = {e.target for group in groups(program.equations) if is_recurrent(group) for e in group}
    for equation in program.equations:
        after = equation
        if not _is_alone(equation):
            after = equation.with_body(_apply(equation.body, chosen, recurrent, units))
        for key in [k for k, s in pending.items() if any(r.tensor == s.name for r in reads_of(after.body))]:
            shared = pending.pop(key)
            made = Equation(shared.name, shared.indices, shared.body)
            equations.append(made)
            trace.record("name a value that is used again", None, made)
        trace.record("name a value that is used again", equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _is_alone(equation: Equation) -> bool:
    """An equation that is nothing but the function value has a name already."""
    return isinstance(equation.body, Apply)


def _covered(where: Condition, factor: Scalar) -> Condition:
    """The conditions that the factor can carry itself: it need not be finite where they fail."""
    return all_of(*(c for c in conjuncts(where) if free_indices(c) <= free_indices(factor)))


def _is_number(factor: Scalar) -> bool:
    """Whether a factor is one where conditions around it fail as well, so that a 0 beside it is the product there."""
    return is_total(factor) and all(r.extension is None or r.extension.mode != "guarded" for r in reads_of(factor))


def _candidates(node: Reduce) -> tuple[Condition, tuple[Scalar, ...]]:
    return node.condition, (node.body.args if isinstance(node.body, Mul) else (node.body,))


def _pair(node: Reduce) -> frozenset[Index]:
    """The two indices of ragged ranges: what has both is needed for few pairs of them, and gets no table of all."""
    found = ragged_in(node)
    return found.indices if found is not None else frozenset()


def _survey(node: Node, found: dict[str, _Shared], units: Units, pairs: tuple[frozenset[Index], ...] = ()) -> None:
    if isinstance(node, Reduce) and (pair := _pair(node)):
        pairs = (*pairs, pair)
    parted = units.part(node)
    if parted is not None and not any(p <= free_indices(parted.unit) for p in pairs):
        shared = _count(parted.unit, TRUE, found)
        shared.summed = shared.summed or parted.value.function in OWN_SLOPE
        for factor in parted.others:
            _survey(factor, found, units, pairs)
        return
    match node:
        case Apply() if is_costly(node) and any(p <= free_indices(node) for p in pairs):
            pass
        case Reduce("sum"):
            where, factors = _candidates(node)
            for factor in factors:
                covered = _covered(where, factor)
                paired = any(p <= free_indices(factor) for p in pairs)
                if is_costly(factor) and (covered != TRUE or where == TRUE) and not paired:
                    shared = _count(factor, covered, found)
                    shared.summed = shared.summed or (
                        isinstance(factor, Apply) and factor.function == "exp" and len(reads_of(factor)) > 1
                    )
                else:
                    _survey(factor, found, units, pairs)
            return
        case Select():
            return  # evaluated where the choice takes it, and guarded there
        case Apply() if is_costly(node):
            shared = _count(node, TRUE, found)
            shared.summed = shared.summed or node.function in OWN_SLOPE
            return
    for child in children(node):
        _survey(child, found, units, pairs)


def _masked(node: Scalar, condition: Condition) -> Scalar:
    return select(condition, node, NOUGHT)


def _count(node: Scalar, condition: Condition, found: dict[str, _Shared]) -> _Shared:
    body = _masked(node, condition)
    key, order = alpha_form(body)
    if key not in found:
        found[key] = _Shared("", _stored(body, order), order, body)
    found[key].count += 1
    return found[key]


def _stored(body: Scalar, order: tuple[Index, ...]) -> tuple[Index, ...]:
    """Axes as the widest tensor inside has them."""
    widest = max(reads_of(body), key=lambda r: (len(free_indices(r)), r.tensor))
    lead = [p.atom for p in widest.indices if isinstance(p.atom, Index)]
    return tuple(dict.fromkeys((*lead, *order)))


def _read(node: Scalar, condition: Condition, chosen: dict[str, _Shared]) -> Read | None:
    key, order = alpha_form(_masked(node, condition))
    shared = chosen.get(key)
    if shared is None:
        return None
    table = dict(zip(shared.key_order, order, strict=True))
    return Read(shared.name, tuple(as_poly(table[i]) for i in shared.indices))


@overload
def _apply(node: Scalar, chosen: dict[str, _Shared], ordered: Set[str], units: Units) -> Scalar: ...
@overload
def _apply(node: Condition, chosen: dict[str, _Shared], ordered: Set[str], units: Units) -> Condition: ...
def _apply(node: Node, chosen: dict[str, _Shared], ordered: Set[str], units: Units) -> Node:
    """The node with reads of what has a name; sums of what is in ``ordered`` keep the conditions that order it."""
    if (parted := units.part(node)) is not None and (read := _read(parted.unit, TRUE, chosen)) is not None:
        return multiply(read, *(_apply(factor, chosen, ordered, units) for factor in parted.others))
    match node:
        case Select() if (read := _read(node, TRUE, chosen)) is not None:
            return read
        case Reduce("sum"):
            where, factors = _candidates(node)
            new: list[Scalar] = []
            nought = set[Condition]()  # where a factor is 0 in place of the conditions
            needing = set[Condition]()  # where another factor is no number
            for factor in factors:
                read = None
                covered = _covered(where, factor)
                if is_costly(factor) and (covered != TRUE or where == TRUE):
                    read = _read(factor, covered, chosen)
                own = set(conjuncts(covered)) if read is not None else set()
                nought |= set() if set(tensors_of(node)) & ordered else own
                needing |= set() if _is_number(factor) else set(conjuncts(where)) - own
                new.append(read if read is not None else _apply(factor, chosen, ordered, units))
            coefficient = node.body.coefficient if isinstance(node.body, Mul) else Fraction(1)
            body = multiply(Number(coefficient), *new)
            left = all_of(*(c for c in conjuncts(where) if c not in nought - needing))
            return Reduce("sum", node.indices, left, body, node.ties)
        case Apply() if is_costly(node):
            read = _read(node, TRUE, chosen)
            if read is not None:
                return read
    return map_children(node, lambda child: _apply(child, chosen, ordered, units))


def _name(body: Scalar) -> str:
    apply = next(p for p in walk(body) if isinstance(p, Apply) and p.function in COSTLY)
    reads = reads_of(apply)
    widest = max(reads, key=lambda r: (len(free_indices(r)), r.tensor))
    shifted = "_shifted" if isinstance(body, Add | Mul) else ""
    return f"{apply.function}_{widest.tensor}{shifted}"
