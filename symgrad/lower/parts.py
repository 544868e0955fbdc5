"""Which equations of a function can be computed in parts along one index, side by side and in cache.

A section is a run of equations that all go along an index of one extent: an index of the left side, or one that is
summed as a whole. What a section computes and nobody else reads exists for one part at a time. A value that the
section sums up is there after it, so an equation that reads it opens another section.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Entry, Index, Poly, RealFloor, as_poly, atoms, depends_on_data, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import (
    TRUE,
    Compare,
    Mul,
    Node,
    Read,
    Reduce,
    children,
    free_indices,
    own_polynomials,
    tensors_of,
    walk,
)
from symgrad.declare.typical import typical, typical_sizes, volume
from symgrad.derive.terms import Term, terms_of

PARTS = 8
"""How many parts to expect when what every part needs as a whole is weighed."""

REUSE = 16
"""Multiplications and additions on one element that take a matrix product as long as moving the element takes."""

NOTABLE = 4 * REUSE
"""The same, for elements that are moved by the way: a bias beside a product is no work."""


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
    """

    extent: Poly
    cuts: tuple[Cut, ...]
    sliced: tuple[tuple[str, int], ...]


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


def sections(program: Program, equations: Sequence[Equation]) -> tuple[Item, ...]:
    """The equations in order, those in sections where it is worth while.

    Recurrences stay as they are, and so do products of matrices: they keep all cores busy and stay in cache by
    themselves.
    """
    sizes = typical_sizes(program)
    alone = {e.target for g in groups(equations) if is_recurrent(g) for e in g}
    alone |= {e.target for e in equations if _is_product(e, sizes)}
    alone |= {winner for winner, largest in maxima_of(equations).items() if largest in alone}
    extents = dict.fromkeys(i.extent for e in equations if e.target not in alone for i in _candidates(e))
    found = [_along(program, equations, extent, alone) for extent in extents if extent.constant is None]
    best = min(found, key=lambda items: _cost(program, items, sizes), default=tuple(equations))
    products = sum(_product_work(t, sizes) for e in equations for t in terms_of(e.body))
    return tuple(part for item in best for part in _worthwhile(item, products, sizes))


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


def _worthwhile(item: Item, products: float, sizes: Mapping[str, int]) -> tuple[Item, ...]:
    """A section that is some of the work of a function that else multiplies matrices, or its equations."""
    if not isinstance(item, Section):
        return (item,)
    moved = sum(_elements(c.equation, c.indices, sizes) for c in item.cuts)
    return (item,) if moved * NOTABLE >= products else tuple(c.equation for c in item.cuts)


def _candidates(equation: Equation) -> tuple[Index, ...]:
    return (*equation.indices, *(i for t in terms_of(equation.body) for i in t.bound))


# --- one extent ------------------------------------------------------------------------------------------------


def _along(program: Program, equations: Sequence[Equation], extent: Poly, alone: set[str]) -> tuple[Item, ...]:
    """Every equation joins the section before it if it can, else opens one; what can do neither stands alone."""
    integers = {e.target for e in program.equations if e.integer} | {t.name for t in program.inputs if t.integer}
    items: list[Item | _Open] = []
    for equation in equations:
        last = items[-1] if items else None
        joins = equation.target not in alone
        joined = _join(last, equation, extent, integers) if joins and isinstance(last, _Open) else None
        if joined is not None:
            items[-1] = joined
        else:
            items.append(_join(_Open(), equation, extent, integers) or equation if joins else equation)
    return tuple(_closed(item, extent) if isinstance(item, _Open) else item for item in items)


def _closed(section: _Open, extent: Poly) -> Section:
    return Section(extent, section.cuts, tuple(sorted(section.sliced)))


def _join(section: _Open, equation: Equation, extent: Poly, integers: set[str]) -> _Open | None:
    """The section with one equation more, None if the equation does not fit."""
    if section.sums & set(tensors_of(equation.body)):
        return None
    for cut in _cuts(equation, extent):
        sliced = _sliced(cut, dict(section.axes), integers)
        if sliced is None:
            continue
        made = () if cut.summed else ((equation.target, cut.axis()),)
        sums = section.sums | ({equation.target} if cut.summed else frozenset())
        return _Open((*section.cuts, cut), section.axes + made, section.sliced | sliced, sums)
    return None


def _cuts(equation: Equation, extent: Poly) -> Iterable[Cut]:
    """The ways in which an equation can go along an index of the extent."""
    for index in equation.indices:
        if index.extent == extent:
            yield Cut(equation, frozenset({index}), False)
    if equation.integer:
        return
    found = [[i for i in t.bound if i.extent == extent] for t in terms_of(equation.body)]
    if all(len(indices) == 1 for indices in found):
        yield Cut(equation, frozenset(i for indices in found for i in indices), True)


def _sliced(cut: Cut, axes: Mapping[str, int], integers: set[str]) -> frozenset[tuple[str, int]] | None:
    """What an equation reads of tensors from outside at the section's position; None if it looks beyond that.

    ``axes`` are those of what the section computes. Integers from outside are read where they are.
    """
    found: set[tuple[str, int]] = set()
    for tensor, indices in _reads(cut.equation.body):
        here = [p for p, poly in enumerate(indices) if _counted(poly) & cut.indices]
        plain = len(here) == 1 and indices[here[0]].atom in cut.indices
        if (here and not plain) or (tensor in axes and here != [axes[tensor]]):
            return None
        if here and tensor not in axes and tensor not in integers:
            found.add((tensor, here[0]))
    return frozenset(found) if _is_regular(cut.equation.body, cut) else None


def _reads(node: Node) -> Iterable[tuple[str, tuple[Poly, ...]]]:
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
                        yield from _reads(value)


def _counted(poly: Poly) -> frozenset[Index]:
    """The indices that an integer expression depends on other than through data."""
    plain = [a for a in atoms(poly, deep=False) if not isinstance(a, Entry | RealFloor)]
    return frozenset().union(*(indices_of(as_poly(a)) for a in plain))


def _is_regular(node: Node, cut: Cut) -> bool:
    """Whether no condition moves with the section's index, nothing but sums runs over it, and what data place is cut.

    Rows that data place are placed once, unless each part has its own.
    """
    match node:
        case Compare(relation, poly):
            if _counted(poly) & cut.indices:
                return False
            placed = relation == "==" and depends_on_data(poly)
            return not placed or (not cut.summed and bool(indices_of(poly) & cut.indices))
        case Reduce(kind, bound) if kind != "sum" and set(bound) & cut.indices:
            return False
    return all(_is_regular(child, cut) for child in children(node))


# --- what it is worth --------------------------------------------------------------------------------------------


def _cost(program: Program, items: Sequence[Item], sizes: Mapping[str, int]) -> float:
    """Elements moved, in units of one that comes from memory."""
    total = 0.0
    for place, item in enumerate(items):
        if not isinstance(item, Section):
            total += _elements(item, (), sizes)
            continue
        own = {c.equation.target for c in item.cuts}
        later = {t for other in items[place + 1 :] for e in _equations(other) for t in tensors_of(e.body)}
        total += sum(_volume_of(program, t, sizes) for t, _ in item.sliced) / 2
        for cut in item.cuts:
            moved = _elements(cut.equation, cut.indices, sizes)
            fixed = _elements(cut.equation, (), sizes) - moved
            made = volume(cut.equation.indices, sizes)
            total += moved / 4 + fixed * PARTS / 4
            total += made * PARTS / 4 if cut.summed else made / 2 if cut.equation.target in later - own else 0
            total += _strides(program, cut, sizes)
    return total


def _strides(program: Program, cut: Cut, sizes: Mapping[str, int]) -> float:
    """What it costs that a part is no run of memory: a little where runs are long, much where the axis is the last."""
    left = (cut.equation.target, tuple(map(as_poly, cut.equation.indices)))
    cost = 0.0
    for tensor, indices in dict.fromkeys((*_reads(cut.equation.body), left)):
        places = [p for p, poly in enumerate(indices) if poly.atom in cut.indices]
        if places:
            last = len(indices) > 1 and places[0] == len(indices) - 1
            cost += (1.0 if last else 0.1 * places[0]) * _volume_of(program, tensor, sizes)
    return cost


def _equations(item: Item) -> tuple[Equation, ...]:
    return tuple(c.equation for c in item.cuts) if isinstance(item, Section) else (item,)


def _volume_of(program: Program, tensor: str, sizes: Mapping[str, int]) -> int:
    total = 1
    for extent in program.extents(tensor):
        total *= typical(extent, sizes)
    return total


def _elements(equation: Equation, along: Iterable[Index], sizes: Mapping[str, int]) -> int:
    """Elements of what an equation reads and computes, a window of them as often as it is read.

    With ``along``: those that depend on one of these indices.
    """
    spaces = {frozenset().union(*map(indices_of, indices)) for _, indices in _reads(equation.body)}
    spaces.add(frozenset(equation.indices))
    chosen = frozenset(along)
    counted = [s for s in spaces if not chosen or s & chosen]
    return sum(volume(sorted(s, key=lambda i: i.name), sizes) for s in counted)


def row_elements(program: Program, section: Section) -> Poly:
    """How many elements one position of the section takes: those of its largest array."""
    sizes = typical_sizes(program)
    best, most = as_poly(1), 0
    for cut in section.cuts:
        spaces = [frozenset().union(*map(indices_of, indices)) for _, indices in _reads(cut.equation.body)]
        for space in (*spaces, frozenset(cut.equation.indices)):
            if not space & cut.indices:
                continue
            others = sorted(space - cut.indices, key=lambda i: i.name)
            count = volume(others, sizes)
            if count > most:
                best, most = as_poly(1), count
                for index in others:
                    best = best * index.extent
    return best


def _is_product(equation: Equation, sizes: Mapping[str, int]) -> bool:
    """Whether an equation is a plain product of two matrices, large enough to be worth the reading."""
    work = sum(_product_work(t, sizes) for t in terms_of(equation.body))
    smallest = min((_elements(equation, {i}, sizes) for i in equation.indices), default=0)
    return work > REUSE * max(smallest, 1)


def _product_work(term: Term, sizes: Mapping[str, int]) -> float:
    """Multiplications of a plain product of two matrices; 0 for anything else, or for a stack of such products."""
    factors = term.body.args if isinstance(term.body, Mul) else ()
    if term.condition != TRUE or len(factors) != 2 or not all(_is_plain(f) for f in factors):
        return 0.0
    left, right = (free_indices(f) for f in factors)
    shared = left & right & set(term.bound)
    alone = [left - right - set(term.bound), right - left - set(term.bound)]
    if not shared or not all(alone) or left & right - shared:
        return 0.0
    return float(volume(sorted(left | right, key=lambda i: i.name), sizes))


def _is_plain(factor: Node) -> bool:
    """Whether a factor is a tensor read element by element."""
    return (
        isinstance(factor, Read) and factor.extension is None and all(isinstance(p.atom, Index) for p in factor.indices)
    )
