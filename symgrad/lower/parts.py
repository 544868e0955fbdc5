"""Which equations of a function can be computed in parts along one index, side by side and in cache.

A section is a run of equations that all go along an index of one extent: an index of the left side, or one that is
summed as a whole. What a section computes and nobody else reads exists for one part at a time. A value that the
section sums up is there after it, so an equation that reads it opens another section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from symgrad.declare.integers import Entry, Index, Poly, RealFloor, as_poly, atoms, depends_on_data, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import (
    Compare,
    Node,
    Read,
    Reduce,
    children,
    own_polynomials,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.derive.terms import terms_of


@dataclass(frozen=True, slots=True)
class Cut:
    """How one equation goes along the section: by an index of its left side, or by an index summed in each term."""

    equation: Equation
    indices: frozenset[Index]
    summed: bool

    def axis(self) -> int:
        """The position of the index on the left side."""
        return next(p for p, i in enumerate(self.equation.indices) if i in self.indices)


@dataclass(frozen=True, slots=True)
class Section:
    """Equations computed together, part by part.

    Attributes:
        extent: the extent of the index that they go along.
        cuts: the equations.
        sliced: tensors from outside that are read at the same position, with the axis of it.
        moving: whether conditions may move with the index.
    """

    extent: Poly
    cuts: tuple[Cut, ...]
    sliced: tuple[tuple[str, int], ...]
    moving: bool = False


Item = Equation | Section


@dataclass(frozen=True, slots=True)
class _Open:
    """A section that may take further equations.

    Attributes:
        cuts: the equations so far.
        axes: the axis of the section's index in what they compute.
        sliced: what they read of tensors from outside at the same position, by tensor and axis.
        sums: what they sum up.
    """

    cuts: tuple[Cut, ...] = ()
    axes: tuple[tuple[str, int], ...] = ()
    sliced: frozenset[tuple[str, int]] = frozenset()
    sums: frozenset[str] = frozenset()


def maxima_of(equations: Sequence[Equation]) -> dict[str, str]:
    """For each left side that is the position of a maximum or minimum the left side that is its value."""
    values = {
        (e.body.kind, e.body.indices, e.body.condition, e.body.body): e.target
        for e in equations
        if isinstance(e.body, Reduce)
    }
    found: dict[str, str] = {}
    for e in equations:
        if isinstance(e.body, Reduce) and e.body.kind.startswith("arg"):
            key = (e.body.kind.removeprefix("arg"), e.body.indices, e.body.condition, e.body.body)
            if key in values:
                found[e.target] = values[key]
    return found


def candidates(equation: Equation) -> tuple[Index, ...]:
    """The indices that an equation can go along, on its left side and summed."""
    return (*equation.indices, *(i for t in terms_of(equation.body) for i in t.bound))


def along(program: Program, equations: Sequence[Equation], extent: Poly, alone: set[str]) -> tuple[Item, ...]:
    """Every equation joins the section before it if it can, else opens one; what can do neither stands alone."""
    integers = _integers(program)
    items: list[Item | _Open] = []
    for equation in equations:
        last = items[-1] if items else None
        joins = equation.target not in alone
        joined = _join(program, last, equation, extent, integers) if joins and isinstance(last, _Open) else None
        if joined is not None:
            items[-1] = joined
        else:
            items.append(_join(program, _Open(), equation, extent, integers) or equation if joins else equation)
    return tuple(_closed(item, extent) if isinstance(item, _Open) else item for item in items)


def gathered(
    program: Program, equations: Sequence[Equation], extent: Poly, tables: set[str], outer: frozenset[Index]
) -> tuple[tuple[Equation, ...], Section, tuple[Equation, ...]]:
    """The equations in another order: some, a section along an index of the extent, others.

    The section has what fits of ``tables`` and of what reads them; conditions may move with its index. It goes along
    none of the indices ``outer``.
    """
    integers = _integers(program)
    section = _Open()
    before: list[Equation] = []
    after: list[Equation] = []
    for equation in equations:
        read = set(tensors_of(equation.body))
        inside = {c.equation.target for c in section.cuts}
        late = bool(read & {e.target for e in after})
        if equation.target not in tables and not late and not read & inside:
            before.append(equation)
            continue
        joined = None if late else _join(program, section, equation, extent, integers, outer, moving=True)
        if joined is not None:
            section = joined
        else:
            after.append(equation)
    return tuple(before), replace(_closed(section, extent), moving=True), tuple(after)


def _integers(program: Program) -> set[str]:
    return {e.target for e in program.equations if e.integer} | {t.name for t in program.inputs if t.integer}


def _closed(section: _Open, extent: Poly) -> Section:
    return Section(extent, section.cuts, tuple(sorted(section.sliced)))


def _join(
    program: Program,
    section: _Open,
    equation: Equation,
    extent: Poly,
    integers: set[str],
    outer: frozenset[Index] = frozenset(),
    moving: bool = False,
) -> _Open | None:
    """The section with one equation more, None if the equation does not fit.

    ``outer``: indices that it does not go along; ``moving``: conditions may move with the section's index.
    """
    if section.sums & set(tensors_of(equation.body)):
        return None
    axes = dict(section.axes)
    for cut in _cuts(equation, extent, lambda c: _sliced(program, c, axes, integers, moving) is not None):
        if cut.indices & outer:
            continue
        sliced = _sliced(program, cut, axes, integers, moving)
        if sliced is None:
            continue
        made = () if cut.summed else ((equation.target, cut.axis()),)
        sums = section.sums | ({equation.target} if cut.summed else frozenset())
        return _Open((*section.cuts, cut), section.axes + made, section.sliced | sliced, sums)
    return None


def _cuts(equation: Equation, extent: Poly, fits: Callable[[Cut], bool]) -> Iterable[Cut]:
    """The ways in which an equation can go along an index of the extent.

    ``fits`` says of one term by itself whether it can: where a term sums over several indices of the extent the first
    that fits is taken.
    """
    for index in equation.indices:
        if index.extent == extent:
            yield Cut(equation, frozenset({index}), False)
    if equation.integer:
        return
    chosen: set[Index] = set()
    terms = terms_of(equation.body)
    for term in terms:
        own = [i for i in term.bound if i.extent == extent]
        alone = equation.with_body(Reduce("sum", term.bound, term.condition, term.body)) if own[1:] else equation
        chosen.update([i for i in own if not own[1:] or fits(Cut(alone, frozenset({i}), True))][:1])
    if all(len(chosen & set(t.bound)) == 1 for t in terms):
        yield Cut(equation, frozenset(chosen), True)


def _sliced(
    program: Program, cut: Cut, axes: Mapping[str, int], integers: set[str], moving: bool
) -> frozenset[tuple[str, int]] | None:
    """What an equation reads of tensors from outside at the section's position; None if it looks beyond that.

    ``axes`` are those of what the section computes. Integers from outside are read where they are.
    """
    found: set[tuple[str, int]] = set()
    if any(_may_be_outside(program, read, cut) for read in reads_of(cut.equation.body)):
        return None
    for tensor, indices in reads_in(cut.equation.body):
        here = [p for p, poly in enumerate(indices) if _counted(poly) & cut.indices]
        plain = len(here) == 1 and indices[here[0]].atom in cut.indices
        if (here and not plain) or (tensor in axes and here != [axes[tensor]]):
            return None
        if here and tensor not in axes and tensor not in integers:
            found.add((tensor, here[0]))
    return frozenset(found) if _is_regular(cut.equation.body, cut, moving) else None


def _may_be_outside(program: Program, read: Read, cut: Cut) -> bool:
    """Whether the section's index leaves the tensor that it reads: a part of that would end before the section's."""
    if read.extension is None:
        return False
    pairs = zip(read.indices, program.extents(read.tensor), strict=True)
    return any(isinstance(p.atom, Index) and p.atom in cut.indices and p.atom.extent != e for p, e in pairs)


def reads_in(node: Node) -> Iterable[tuple[str, tuple[Poly, ...]]]:
    """Every tensor read inside a node with its indices, integer ones and those under floors too."""
    for part in walk(node):
        if isinstance(part, Read):
            yield part.tensor, part.indices
        for poly in own_polynomials(part):
            for atom in atoms(poly):
                match atom:
                    case Entry(tensor, indices):
                        yield tensor, indices
                    case RealFloor(value):
                        yield from reads_in(value)


def _counted(poly: Poly) -> frozenset[Index]:
    """The indices that an integer expression depends on other than through data."""
    plain = [a for a in atoms(poly, deep=False) if not isinstance(a, Entry | RealFloor)]
    return frozenset().union(*(indices_of(as_poly(a)) for a in plain))


def _is_regular(node: Node, cut: Cut, moving: bool) -> bool:
    """Whether no condition moves with the section's index, nothing but sums runs over it, and what data place is cut.

    ``moving``: inequalities may. Rows that data place are placed once, unless each part has its own.
    """
    match node:
        case Compare(relation, poly):
            if _counted(poly) & cut.indices and not (moving and relation == ">="):
                return False
            placed = relation == "==" and depends_on_data(poly)
            return not placed or (not cut.summed and bool(indices_of(poly) & cut.indices))
        case Reduce(kind, bound) if kind != "sum" and set(bound) & cut.indices:
            return False
    return all(_is_regular(child, cut, moving) for child in children(node))
