"""What a step of a recurrence multiplies by and does not need the recurrence for: computed for all steps at once.

Inside a loop over steps every operation is a call on few elements; before it, one call does them all. A value that is
nothing but another one times such a factor is written out where it is used, if it is used in such products alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from symgrad.declare.algebra import add, multiply
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import ZERO, Index, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Item, Scan, scans
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    PLAIN,
    TRUE,
    Apply,
    Compare,
    Condition,
    Extension,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.derive.invert import guarded, solve
from symgrad.derive.states import range_where
from symgrad.derive.terms import Term, rename, terms_of, total
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder
from symgrad.lower.scan_parts import terms_in

FEW = 2**14
"""Elements of a step up to which the calls cost more than the arithmetic."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recurrence, and the equations to compute before it."""

    before: tuple[Equation, ...]
    scan: Scan


def with_factors(b: Builder, scan: Scan, kept: frozenset[str]) -> Prepared:
    """The recurrence with its factors computed before it; ``kept`` are names that are read elsewhere."""
    scan = _written_out(_once(_read_through(scan, kept), kept), kept)
    names = {e.target for e in scan.members}
    made: list[Equation] = []
    for equation in scan.members:
        body = add(*(_outside(b, t, equation, scan, names, made) for t in terms_in(equation.body)))
        if body != equation.body:
            scan = _with(scan, equation, equation.with_body(body))
    targets = {e.target: e for e in scan.members}
    others = (targets.get(e.target, e) for e in b.program.equations)
    b.program = replace(b.program, equations=(*others, *made))
    return Prepared(tuple(made), scan)


# --- elements of another value ---------------------------------------------------------------------------------------


def _read_through(scan: Scan, kept: frozenset[str]) -> Scan:
    """The recurrence without values that repeat those of another member along further indices."""
    names = {e.target for e in scan.members}
    for equation in scan.members:
        read = equation.body
        if equation.target in kept or not isinstance(read, Read) or read.extension is not None:
            continue
        plain = all(isinstance(p.atom, Index) for p in read.indices)
        uses = [r for e in scan.members for r in reads_of(e.body) if r.tensor == equation.target]
        fewer = read.tensor in names and plain and len(read.indices) < len(equation.indices)
        if fewer and uses and all(r.extension in PLAIN for r in uses):
            return _read_through(_without(scan, equation, _elsewhere(equation.indices, read)), kept)
    return scan


def _elsewhere(indices: Axes, read: Read) -> Callable[[Read], Scalar]:
    """What a read of a value that is nothing but a read itself becomes; it is guarded as it was."""

    def written(found: Read) -> Scalar:
        inner = rename(read, dict(zip(indices, found.indices, strict=True)))
        assert isinstance(inner, Read)
        return replace(inner, extension=found.extension)

    return written


def _defined(made: Equation) -> Callable[[Read], Scalar]:
    """What a read of a value is by its equation."""
    return lambda read: rename(made.body, dict(zip(made.indices, read.indices, strict=True)))


# --- the same value twice ----------------------------------------------------------------------------------------


def _once(scan: Scan, kept: frozenset[str]) -> Scan:
    """Of members that say the same, the first."""
    first: dict[object, Equation] = {}
    for equation in scan.members:
        key = (equation.indices, equation.body, equation.integer, scan.shift(equation.target))
        other = first.setdefault(key, equation)
        if other is not equation and equation.target not in kept:
            return _once(_without(scan, equation, _by_name(other.target)), kept)
    return scan


def _by_name(name: str) -> Callable[[Read], Scalar]:
    return lambda read: replace(read, tensor=name)


# --- products written out ------------------------------------------------------------------------------------------


def _written_out(scan: Scan, kept: frozenset[str]) -> Scan:
    """The recurrence without values that are another one times a factor, where all that use them are such products."""
    names = {e.target for e in scan.members}
    for equation in scan.members:
        read = _linear(equation.body, names)
        if equation.target in kept or equation.integer or read is None:
            continue
        readers = [e for e in scan.members if equation.target in tensors_of(e.body)]
        same = read.indices == tuple(map(as_poly, equation.indices))
        if same and readers and all(e != equation and _multiplies(e, equation.target, names) for e in readers):
            return _written_out(_without(scan, equation, _defined(equation)), kept)
    return scan


def _linear(term: Scalar, names: set[str]) -> Read | None:
    """The one plain read of the recurrence in a product of it and a factor; None if it is no such product."""
    factors = term.args if isinstance(term, Mul) else (term,)
    inner = [f for f in factors if set(tensors_of(f)) & names]
    if len(inner) != 1 or any(isinstance(p, Reduce) for p in walk(term)):
        return None
    return inner[0] if isinstance(inner[0], Read) and inner[0].extension is None else None


def _multiplies(reader: Equation, name: str, names: set[str]) -> bool:
    """Whether an equation uses a value in terms that are nothing but it and a factor."""
    for term in terms_in(reader.body):
        if name in tensors_of(term) and _linear(term, names) is None:
            return False
    return not reader.integer


# --- factors before the loop ---------------------------------------------------------------------------------------


def _outside(b: Builder, term: Scalar, equation: Equation, scan: Scan, names: set[str], made: list[Equation]) -> Scalar:
    """A term whose factor that needs nothing of the recurrence is read from an array over all steps."""
    bound: Axes = ()
    condition: Condition = TRUE
    body = term
    if isinstance(term, Reduce) and term.kind == "sum":
        bound, condition, body = term.indices, term.condition, term.body
    if not isinstance(body, Mul):
        return term
    free = [f for f in body.args if not set(tensors_of(f)) & names]
    inner = [f for f in body.args if f not in free]
    factor = multiply(*free)
    axes = free_indices(factor)
    steps = {s.index(equation.target) for s in (scan, *scans(scan.body)) if equation in s.members}
    if not inner or not steps & axes or not axes <= {*equation.indices, *bound} or b.volume(axes - steps) > FEW:
        return term
    found = _named(b, factor, tuple(i for i in (*equation.indices, *bound) if i in axes), condition, equation, made)
    if found is None:
        return term
    product = multiply(Number(body.coefficient), found, *inner)
    return Reduce("sum", bound, condition, product) if isinstance(term, Reduce) else product


def _named(
    b: Builder, factor: Scalar, axes: Axes, condition: Condition, equation: Equation, made: list[Equation]
) -> Read | None:
    """A read of the factor under a name, over the ranges in which a condition holds; None if it is not worth one."""
    ranges = {i: range_where(i, conjuncts(condition)) for i in axes}
    first = {i: found[0] if found else ZERO for i, found in ranges.items()}
    own = {i: Index(i.name, found[1]) if found else i for i, found in ranges.items()}
    body = rename(factor, {i: as_poly(own[i]) + first[i] for i in axes})
    if not _is_work(b, body):
        return None
    indices = tuple(own[i] for i in axes)
    extension = Extension("guarded") if any(ranges.values()) else None
    at = tuple(as_poly(i) - first[i] for i in axes)
    for other in made:
        if (other.indices, other.body) == (indices, body):
            return Read(other.target, at, extension)
    name = b.name(f"factor_{equation.target.removeprefix('grad_')}")
    made.append(Equation(name, indices, body))
    return Read(name, at, extension)


def _is_work(b: Builder, factor: Scalar) -> bool:
    """Whether computing a factor takes two operations at least, on values that are all there."""
    parts = list(walk(factor))
    if any(isinstance(p, Reduce) for p in parts):
        return False
    reads = [p for p in parts if isinstance(p, Read)]
    if not all(r.extension not in PLAIN or _is_inside(b, r) for r in reads):
        return False
    if isinstance(factor, Power) and isinstance(factor.base, Read):
        return False  # a division in the step costs as much as a product
    return len(reads) > 1 or any(isinstance(p, Apply | Power) for p in parts)


def _is_inside(b: Builder, read: Read) -> bool:
    """Whether a read is inside wherever it stands."""
    pairs = zip(read.indices, b.program.extents(read.tensor), strict=True)
    return all(nonnegative(p) and nonnegative(extent - 1 - p) for p, extent in pairs)


# --- sums that are no sums ------------------------------------------------------------------------------------------


def solved(scan: Scan) -> Scan:
    """The recurrence with sums over an index that an equality determines as what they are: one element, or nothing."""
    for equation in scan.members:
        terms = [_solved_term(t) for t in terms_of(equation.body)]
        scan = _with(scan, equation, equation.with_body(total(terms)))
    return scan


def _solved_term(term: Term) -> Term:
    if not term.bound or not any(isinstance(c, Compare) and c.relation == "==" for c in conjuncts(term.condition)):
        return term
    found = solve(term.bound, term.condition, term.body, unit_only=True)
    body = found.body if found.condition == TRUE else guarded(found.body)
    return Term(term.scale, found.bound, found.condition, body)


# --- members changed ---------------------------------------------------------------------------------------------


def _without(scan: Scan, gone: Equation, written: Callable[[Read], Scalar]) -> Scan:
    """The recurrence without a member; its reads are written as something else."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.tensor == gone.target:
            return written(node)
        return map_children(node, change)

    for equation in scan.members:
        if gone.target in tensors_of(equation.body):
            scan = _with(scan, equation, equation.with_body(changed(equation.body, change)))
    return _with(scan, gone, None)


def _with(scan: Scan, old: Equation, new: Equation | None) -> Scan:
    """The recurrence with another equation in place of one, or with one less."""
    places = [p for p, e in enumerate(scan.members) if e != old or new is not None]
    members = tuple(new if e == old and new is not None else e for e in scan.members if e != old or new is not None)
    return replace(
        scan,
        members=members,
        axes=tuple(scan.axes[p] for p in places),
        shifts=tuple(scan.shifts[p] for p in places),
        body=tuple(_items(scan.body, old, new)),
    )


def _items(items: Sequence[Item], old: Equation, new: Equation | None) -> Iterable[Item]:
    for item in items:
        if isinstance(item, Scan):
            yield _with(item, old, new) if old in item.members else item
        elif item != old:
            yield item
        elif new is not None:
            yield new
