"""Which index the equations of a function go along in parts: the one by which the least is moved through memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgrad.declare.division import divide
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Index, Poly, Quotient, as_poly, atoms, depends_on_data, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import (
    TRUE,
    Apply,
    Mul,
    Node,
    Read,
    Reduce,
    Scalar,
    free_indices,
    polynomials,
    tensors_of,
    walk,
)
from symgrad.declare.typical import elements, typical, typical_sizes, volume
from symgrad.derive.ragged import in_ranges
from symgrad.derive.terms import Term, terms_of
from symgrad.lower.blocks import beside_of, inner_section, table_section
from symgrad.lower.parts import Cut, Item, Section, along, candidates, maxima_of, reads_in
from symgrad.simplify.costly import COSTLY

PARTS = 8
"""How many parts to expect when what every part needs as a whole is weighed."""

REUSE = 16
"""Multiplications and additions on one element that take a matrix product as long as moving the element takes."""

NOTABLE = 4 * REUSE
"""The same, for elements that are moved by the way: a bias beside a product is no work."""


WINDOWS, SUMS, POINTWISE, LIGHT = 3, 4, 4, 8
"""Eighths of a part for which a thread is woken where there are windows; where there is neither a window nor a product
of matrices; where all is done element by element; and where no function that takes long is among that."""


def sections(program: Program, equations: Sequence[Equation], results: frozenset[str]) -> tuple[Item, ...]:
    """The equations in order, those in sections where it is worth while; ``results`` are what a function gives.

    Recurrences and reductions over ragged ranges stay as they are, and so do products of matrices: they keep all
    cores busy and stay in cache by themselves.
    """
    sizes = typical_sizes(program)
    alone = {e.target for g in groups(equations) if is_recurrent(g) for e in g}
    alone |= {e.target for e in equations if _is_product(e, sizes)}
    alone |= in_ranges(equations)  # every part would look for the pairs of ranges and positions again
    alone |= {winner for winner, largest in maxima_of(equations).items() if largest in alone}
    extents = dict.fromkeys(i.extent for e in equations if e.target not in alone for i in candidates(e))
    found = [along(program, equations, extent, alone) for extent in extents if extent.constant is None]
    best = min(found, key=lambda items: _cost(program, items, sizes), default=tuple(equations))
    products = sum(_product_work(t, sizes) for e in equations for t in terms_of(e.body))
    kept = [
        _is_worthwhile(item, products, sizes) or bool(_in_blocks(program, best, place, results))
        for place, item in enumerate(best)
    ]
    items = tuple(
        part for item, whole in zip(best, kept, strict=True) for part in ((item,) if whole else equations_of(item))
    )
    if any(map(is_recurrent, groups(equations))):
        return items
    found_in = [_in_parts(program, items, place, results) for place in range(len(items))]
    inner = table_section(program, equations, results, frozenset().union(*found_in))
    if inner is None:
        return items
    after = sections(program, inner.after, results)
    needed = results | {t for c in inner.section.cuts for t in tensors_of(c.equation.body)}
    needed |= {t for e in inner.after for t in tensors_of(e.body)}
    return (*sections(program, inner.before, needed), inner.section, *after)


def tables_in_blocks(program: Program, items: Sequence[Item], results: frozenset[str]) -> frozenset[str]:
    """The left sides of tables that exist for a block at a time."""
    found = (_in_blocks(program, items, place, results) for place in range(len(items)))
    return frozenset[str]().union(*found)


def _in_blocks(program: Program, items: Sequence[Item], place: int, results: frozenset[str]) -> frozenset[str]:
    """The left sides of one section that exist for a block at a time."""
    item, wanted = items[place], wanted_after(items, place, results)
    if not isinstance(item, Section):
        return frozenset()
    inner = None if item.moving else inner_section(program, item, wanted)
    section = item if item.moving else inner.section if inner else None
    return frozenset() if section is None else frozenset(_local(section) - wanted)


def _in_parts(program: Program, items: Sequence[Item], place: int, results: frozenset[str]) -> frozenset[str]:
    """The left sides of one section of which no part has more than a run along one index."""
    item = items[place]
    if not isinstance(item, Section):
        return frozenset()
    rows = (c.equation.target for c in item.cuts if len(beside_of(c.equation, c.indices)) < 2)
    local = (_local(item) & set(rows)) - wanted_after(items, place, results)
    return frozenset(local) | _in_blocks(program, items, place, results)


def _local(section: Section) -> set[str]:
    return {c.equation.target for c in section.cuts if not c.summed}


def wanted_after(items: Sequence[Item | tuple[Equation, ...]], place: int, results: frozenset[str]) -> frozenset[str]:
    """What is read after an item, or given back."""
    return results | {t for other in items[place + 1 :] for e in equations_of(other) for t in tensors_of(e.body)}


def _is_worthwhile(item: Item, products: float, sizes: Mapping[str, int]) -> bool:
    """Whether a section is some of the work of a function that else multiplies matrices."""
    moved = sum(_elements(c.equation, c.indices, sizes) for c in item.cuts) if isinstance(item, Section) else 0
    return moved * NOTABLE >= products


def _cost(program: Program, items: Sequence[Item], sizes: Mapping[str, int]) -> float:
    """Elements moved, in units of one that comes from memory."""
    total = 0.0
    for place, item in enumerate(items):
        if not isinstance(item, Section):
            total += _elements(item, (), sizes)
            continue
        own = {c.equation.target for c in item.cuts}
        later = wanted_after(items, place, frozenset())
        total += sum(elements(program.extents(t), sizes) for t, _ in item.sliced) / 2
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
    for tensor, indices in dict.fromkeys((*reads_in(cut.equation.body), left)):
        places = [p for p, poly in enumerate(indices) if poly.atom in cut.indices]
        if places:
            last = len(indices) > 1 and places[0] == len(indices) - 1
            cost += (1.0 if last else 0.1 * places[0]) * elements(program.extents(tensor), sizes)
    return cost


def equations_of(item: Item | tuple[Equation, ...]) -> tuple[Equation, ...]:
    """The equations of an item, or of several that no section has."""
    match item:
        case Section(cuts=cuts):
            return tuple(c.equation for c in cuts)
        case Equation():
            return (item,)
    return item


def _elements(equation: Equation, along: Iterable[Index], sizes: Mapping[str, int]) -> int:
    """Elements of what an equation reads and computes, a window of them as often as it is read.

    With ``along``: those that depend on one of these indices.
    """
    spaces = {frozenset().union(*map(indices_of, indices)) for _, indices in reads_in(equation.body)}
    spaces.add(frozenset(equation.indices))
    chosen = frozenset(along)
    counted = [s for s in spaces if not chosen or s & chosen]
    return sum(volume(sorted(s, key=lambda i: i.name), sizes) for s in counted)


def row_elements(program: Program, section: Section, windows: bool = True) -> Poly:
    """How many elements one position of the section takes: those of its largest array.

    A window is an array of its own where it goes into a matrix product (unless ``windows`` is false); else its offsets
    are met one by one. Where all is done element by element, each array counts twice: nothing else is done to a part,
    and shorter ones stay closer.
    """
    sizes = typical_sizes(program)
    found = [as_poly(1)]
    for cut in section.cuts:
        whole = not (windows and _has_matrices(cut.equation))
        left = (cut.equation.target, tuple(map(as_poly, cut.equation.indices)))
        for tensor, indices in (left, *reads_in(cut.equation.body)):
            here = [p for p, poly in enumerate(indices) if indices_of(poly) & cut.indices]
            if whole and here and _has_windows(indices):
                found.append(_product(e for p, e in enumerate(program.extents(tensor)) if p not in here))
            elif here:
                space = frozenset().union(*map(indices_of, indices)) - cut.indices
                found.append(_product(_values(i, indices) for i in sorted(space, key=lambda i: i.name)))
    largest = max(found, key=lambda extent: typical(extent, sizes))
    return 2 * largest if is_pointwise(section) else largest


def _values(index: Index, places: Iterable[Poly]) -> Poly:
    """How many values of an index tell places apart: those of a quotient where no more than that is known."""
    known = {a for p in places for a in atoms(p, deep=False) if index in indices_of(as_poly(a))}
    match list(known):
        case [Quotient(numerator, denominator)] if numerator.atom == index:
            return divide(index.extent, denominator) or index.extent
    return index.extent


def is_pointwise(section: Section) -> bool:
    """Whether all is done element by element."""
    return not any(isinstance(part, Reduce) for cut in section.cuts for part in walk(cut.equation.body))


def eighths_to_wake(section: Section) -> int:
    """Eighths of a part for which a thread is woken: so many that it saves more than waking it takes.

    Where all is done element by element, arrays count twice.
    """
    if is_pointwise(section):
        return POINTWISE if _has_functions(section) else LIGHT
    equations = [cut.equation for cut in section.cuts]
    if any(_has_windows(indices) for e in equations for _, indices in reads_in(e.body)):
        return WINDOWS
    return 1 if any(map(_has_matrices, equations)) else SUMS


def _has_functions(section: Section) -> bool:
    """Whether a function is evaluated that takes long for each element."""
    nodes = (part for cut in section.cuts for part in walk(cut.equation.body))
    return any(isinstance(part, Apply) and part.function in COSTLY for part in nodes)


def has_window_products(equation: Equation) -> bool:
    """Whether windows go into matrix products."""
    return _has_matrices(equation) and any(_has_windows(indices) for _, indices in reads_in(equation.body))


def _has_windows(indices: Iterable[Poly]) -> bool:
    """Whether two indices run along one axis, in a place that no data decide."""
    return any(len(indices_of(p)) > 1 for p in indices) and not any(map(depends_on_data, indices))


def _product(extents: Iterable[Poly]) -> Poly:
    total = as_poly(1)
    for extent in extents:
        total = total * extent
    return total


def _has_matrices(equation: Equation) -> bool:
    """Whether two factors of a term share a summed index and each has another one that stays.

    An index of which a factor knows a quotient alone, its group, is one more that the other has.
    """
    for term in terms_of(equation.body):
        factors = term.body.args if isinstance(term.body, Mul) else ()
        sets = [(free_indices(f), _whole_indices(f)) for f in factors]
        bound = set(term.bound)
        for place, (left, left_whole) in enumerate(sets):
            for right, right_whole in sets[place + 1 :]:
                if left & right & bound and left - right_whole - bound and right - left_whole - bound:
                    return True
    return False


def _whole_indices(factor: Scalar) -> frozenset[Index]:
    return frozenset(a for p in polynomials(factor) for a in atoms(p, deep=False) if isinstance(a, Index))


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
