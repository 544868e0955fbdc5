"""What forward makes sure of on entry: requirements on sizes, and that no extent is negative."""

from __future__ import annotations

from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import conjuncts
from symgrad.declare.frozen import remember
from symgrad.declare.integers import Atom, Poly, Size, as_poly, atoms, depends_on_data, indices_of
from symgrad.declare.program import Program
from symgrad.declare.scalars import Compare, tensors_of
from symgrad.declare.substitution import substitute


@remember
def facts(declared: Program) -> tuple[Poly, ...]:
    """Expressions in sizes that are at least 0 in every call, as the rest of the program writes its sizes."""
    sizes = _sizes(declared)
    parts = [c for r in declared.requirements if not tensors_of(r.condition) for c in conjuncts(r.condition)]
    found = [c.poly for c in parts if isinstance(c, Compare) and c.relation == ">="]
    found += [i.extent for e in declared.equations for i in e.indices]
    table: dict[Atom, Poly] = {a: as_poly(sizes[a.name]) for p in found for a in _of(p) if a.name in sizes}
    found = [substitute(p, table) for p in found]
    plain = (p for p in found if p.constant is None and not indices_of(p) and not depends_on_data(p))
    return tuple(p for p in dict.fromkeys(plain) if not all(c > 0 for _, c in p.terms))


def may_be_negative(program: Program, poly: Poly, known: tuple[Poly, ...]) -> bool:
    """Whether an expression in sizes may be below 0 where a dimension is 0, given that ``known`` are at least 0."""
    return not nonnegative(maybe_empty(program, poly), [maybe_empty(program, k) for k in known])


def maybe_empty(program: Program, poly: Poly) -> Poly:
    """The expression with every dimension, other than attributes, as one that may be 0."""
    return _maybe_empty(tuple(a.name for a in program.attributes), poly)


@remember
def _maybe_empty(attributes: tuple[str, ...], poly: Poly) -> Poly:
    table: dict[Atom, Poly] = {a: as_poly(Size(a.name, 0)) for a in _of(poly) if a.name not in attributes}
    return substitute(poly, table)


def surely_nonnegative(program: Program, poly: Poly, known: tuple[Poly, ...] = ()) -> bool:
    """Whether an expression is at least 0 although dimensions may be 0: those of no index that runs here, for one."""
    return nonnegative(poly, known) and not may_be_negative(program, poly, known)


def _sizes(program: Program) -> dict[str, Size]:
    """The sizes by name: a requirement allows dimensions of 0."""
    extents = [e for t in program.inputs for e in t.extents] + [i.extent for e in program.equations for i in e.indices]
    found = {a.name: a for e in extents for a in _of(e)}
    return found | {a.name: Size(a.name, a.minimum) for a in program.attributes if a.integer}


def _of(poly: Poly) -> list[Size]:
    return sorted((a for a in atoms(poly) if isinstance(a, Size)), key=lambda s: s.name)
