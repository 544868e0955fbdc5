"""Equations made ready for lowering: trivial equalities solved, digits of an index made indices of their own."""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.bounds import nonnegative, positive, tighten
from symgrad.declare.conditions import all_of, at_least, compare, conjuncts
from symgrad.declare.division import divide, split_multiples
from symgrad.declare.facts import may_be_negative
from symgrad.declare.frozen import remember
from symgrad.declare.integers import (
    Entry,
    Index,
    Poly,
    Quotient,
    Remainder,
    affine_in,
    as_poly,
    atoms,
    depends_on_data,
    indices_of,
)
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import changed, map_children, map_polynomials
from symgrad.declare.scalars import (
    TRUE,
    Compare,
    Condition,
    Node,
    Read,
    Reduce,
    Scalar,
    contains,
    polynomials,
    walk,
)
from symgrad.declare.substitution import substitute
from symgrad.derive.ranges import at_element
from symgrad.derive.terms import Term, all_indices, rename
from symgrad.lower.builder import Builder
from symgrad.lower.walks import as_digits
from symgrad.naming import fresh
from symgrad.simplify.placed import guarded


def eliminate(b: Builder, term: Term) -> Term:
    """Solve equalities whose solution is in range whatever the other indices are, or is given by data and summed."""
    bound, condition, body = term.bound, term.condition, term.body
    searching = True
    while searching:
        searching = False
        for part in conjuncts(condition):
            rest = all_of(*(c for c in conjuncts(condition) if c is not part))
            found = _trivial(b, part, rest, bound)
            if found is None:
                continue
            index, value, sure, anywhere = found
            there, body = in_axis(b, index, value, body) if sure else (TRUE, body)
            condition = map_polynomials(rename(all_of(rest, there), {index: value}), tighten)
            body = map_polynomials(rename(body, {index: value}), tighten)
            if not anywhere:
                condition, body = guarded(condition, value), guarded(body, value)
            if not sure:
                condition = all_of(condition, at_least(value, 0), at_least(index.extent - 1, value))
            bound = tuple(i for i in bound if i != index)
            searching = True
            break
    return Term(term.scale, bound, condition, body)


def in_axis(b: Builder, index: Index, place: Poly, body: Scalar) -> tuple[Condition, Scalar]:
    """What is computed at one place of a range that only an empty one lacks, and a condition where that is not 0.

    The body still reads the index; along an axis that may be empty it reads 0 then.
    """
    if indices_of(place):
        return TRUE, body

    def lacks(read: Read) -> bool:
        for at, extent in zip(read.indices, b.program.extents(read.tensor), strict=True):
            if index in indices_of(at) and may_be_negative(b.program, extent - 1, b.facts):
                there = substitute(at, {index: place})
                if not indices_of(there) and nonnegative(there) and nonnegative(extent - 1 - there):
                    return True
        return False

    return at_element(b.program, index.extent, lacks, body, b.facts)


def _trivial(
    b: Builder, part: Condition, rest: Condition, bound: tuple[Index, ...]
) -> tuple[Index, Poly, bool, bool] | None:
    """An index, what it equals, and whether that is sure to lie in its range: under the conditions, and anywhere."""
    if not isinstance(part, Compare) or part.relation != "==":
        return None
    for index in bound:
        split = affine_in(part.poly, index)
        if split is None or split[0].constant not in (1, -1):
            continue
        value = -split[1] if split[0].constant == 1 else split[1]
        sure = nonnegative(value) and nonnegative(index.extent - 1 - value)
        known = b.inside(value, index.extent, rest)
        # Positions found in a window are better looped over.
        found = isinstance(value.atom, Entry) and b.program.equation(value.atom.tensor) is not None
        alone = known and not (found and b.small(index))
        if sure or alone or (depends_on_data(value) and indices_of(value) <= set(bound)):
            return index, value, sure or known, sure or b.inside(value, index.extent, TRUE)
    return None


@remember
def split_digits(equation: Equation) -> tuple[Equation, bool]:
    """Write an index ``i`` that is read as ``i // B`` and ``i % B`` by its digits, if ``B`` divides its extent.

    Returns the equation with the digits in place of the index, and whether a left-side index was split (the
    result then has more axes than the tensor, in the same row-major order).
    """
    split_left = False
    for _ in range(8):
        found = _digit_of(equation)
        if found is None:
            break
        index, base = found
        count = divide(index.extent, base)
        assert count is not None
        taken = {i.name for i in _everything(equation)}
        high = Index(fresh(f"{index.name}_high", taken), count)
        low = Index(fresh(f"{index.name}_low", taken), base)
        value = as_poly(high) * base + as_poly(low)
        body = map_polynomials(_rebind(equation.body, index, (high, low), value), tighten)
        indices: tuple[Index, ...] = ()
        for i in equation.indices:
            indices += (high, low) if i == index else (i,)
        split_left = split_left or index in equation.indices
        equation = replace(equation, indices=indices, body=body)
    equation, placed = _split_placed(equation.with_body(_digit_equalities(equation.body)))
    equation = equation.with_body(_digit_equalities(equation.body))
    return equation, split_left or placed


def fuse_digits(equation: Equation) -> tuple[Equation, bool]:
    """Write neighbouring left indices that the body knows by their place in row-major order alone as one index.

    Returns the equation with that index in their place, and whether there were any: ``H i + j == winner[n]``.
    """
    left = equation.indices
    runs = [(a, b) for a in range(len(left)) for b in range(len(left), a + 1, -1)]
    compared = {p.poly for p in walk(equation.body) if isinstance(p, Compare) and p.relation == "=="}
    compared = {p for p in compared if len(indices_of(p) & set(left)) > 1}
    if not compared:
        return equation, False
    for first, stop in sorted(runs, key=lambda run: run[0] - run[1]):
        digits, extent, place = left[first:stop], as_poly(1), as_poly(0)
        for i in reversed(digits):
            place, extent = place + extent * as_poly(i), extent * i.extent
        if not any(set(digits) <= indices_of(p) for p in compared):
            continue
        whole = Index(fresh("_".join(i.name for i in digits), {i.name for i in _everything(equation)}), extent)
        last = digits[-1]
        body = rename(equation.body, {last: as_poly(whole) - (place - as_poly(last))})
        if not all_indices(body) & set(digits):
            return replace(equation, indices=(*left[:first], whole, *left[stop:]), body=body), True
    return equation, False


def _digit_equalities(body: Scalar) -> Scalar:
    """``u a + b = u c + d`` with ``b, d`` in 0 .. u - 1 says ``a = c`` and ``b = d``."""

    def change(node: Node) -> Node:
        if not contains(node, Compare):
            return node
        if isinstance(node, Compare) and node.relation == "==":
            for index in sorted(indices_of(node.poly), key=lambda i: i.name):
                split = affine_in(node.poly, index)
                if split is None or indices_of(split[0]) or split[0].constant in (1, -1):
                    continue
                unit = split[0] if positive(split[0]) else -split[0]
                high, low = split_multiples(node.poly, unit)
                if high.terms and low.terms and nonnegative(unit - 1 - low) and nonnegative(unit - 1 + low):
                    return all_of(*(changed(compare("==", digit), change) for digit in (high, low)))
            return node
        return map_children(node, change)

    return changed(body, change)


def _split_placed(equation: Equation) -> tuple[Equation, bool]:
    """A left-side index met by ``unit * high + low`` over its whole range is written by these digits."""
    done = False
    for part in sorted({p for p in walk(equation.body) if isinstance(p, Compare) and p.relation == "=="}, key=str):
        for t in equation.indices:
            found = _whole_digits(part.poly, t)
            if found is None:
                continue
            digits = found
            taken = {i.name for i in _everything(equation)}
            made: list[Index] = []
            for d in digits:
                name = fresh(f"{t.name}_{d.name}", taken)
                taken.add(name)
                made.append(Index(name, d.extent))
            value = as_poly(0)
            for m in made:
                value = value * m.extent + as_poly(m)
            equalities = all_of(*(compare("==", as_poly(m) - as_poly(d)) for m, d in zip(made, digits, strict=True)))

            def change(node: Node, part: Compare = part, equalities: Condition = equalities) -> Node:
                return equalities if node == part else map_children(node, change)

            body = rename(changed(equation.body, change), {t: value})
            indices: tuple[Index, ...] = ()
            for i in equation.indices:
                indices += tuple(made) if i == t else (i,)
            equation = replace(equation, indices=indices, body=map_polynomials(body, tighten))
            done = True
            break
    return equation, done


def _whole_digits(poly: Poly, t: Index) -> list[Index] | None:
    """The digits, most significant first, if the equality says ``t = digits`` over the whole range of t."""
    split = affine_in(poly, t)
    if split is None or split[0].constant not in (1, -1):
        return None
    rest = -split[1] if split[0].constant == 1 else split[1]
    left: list[tuple[Index, Poly]] = []
    for index in sorted(indices_of(rest), key=lambda i: i.name):
        part = affine_in(rest, index)
        if part is None or indices_of(part[0]):
            return None
        left.append((index, part[0]))
        rest = part[1]
    if rest.terms or len(left) < 2:
        return None
    return as_digits(left, t.extent)


def _everything(equation: Equation) -> frozenset[Index]:
    return all_indices(equation.body) | set(equation.indices)


def _rebind(node: Scalar, index: Index, digits: tuple[Index, Index], value: Poly) -> Scalar:
    """Substitute digits for the index, in the lists of summed indices as well."""

    def change(part: Node) -> Node:
        part = map_children(part, change)
        if isinstance(part, Reduce) and index in part.indices:
            indices: tuple[Index, ...] = ()
            for i in part.indices:
                indices += digits if i == index else (i,)
            return Reduce(part.kind, indices, part.condition, part.body, part.ties)
        return part

    return rename(changed(node, change), {index: value})


def _digit_of(equation: Equation) -> tuple[Index, Poly] | None:
    """An index and the base of its digits; the finest base first."""
    bound = {i for p in walk(equation.body) if isinstance(p, Reduce) for i in p.indices}
    known = bound | set(equation.indices)
    found: list[tuple[Index, Poly]] = []
    for poly in polynomials(equation.body):
        for atom in atoms(poly):
            if isinstance(atom, Quotient | Remainder) and isinstance(atom.numerator.atom, Index):
                index = atom.numerator.atom
                if index in known and divide(index.extent, atom.denominator) is not None and _unmixed(equation, index):
                    found.append((index, atom.denominator))
    return min(found, key=lambda ib: (ib[0].name, len(ib[1].terms[0][0]), str(ib[1])), default=None)


def _unmixed(equation: Equation, index: Index) -> bool:
    """Outside quotients and remainders the index stands alone, and those hold it alone: else digits complicate."""
    for poly in polynomials(equation.body):
        if index in atoms(poly, deep=False) and poly.atom != index and not _leading_digit(poly, index):
            return False
        for atom in atoms(poly):
            if not (isinstance(atom, Quotient | Remainder) and index in _of(atom)):
                continue
            if atom.numerator.atom != index and not isinstance(atom.numerator.atom, Quotient | Remainder):
                return False
    return True


def _leading_digit(poly: Poly, index: Index) -> bool:
    """Whether ``poly = unit * index + rest`` with ``0 <= rest < unit``: the index is a digit already."""
    split = affine_in(poly, index)
    return split is not None and nonnegative(split[1]) and nonnegative(split[0] - 1 - split[1])


def _of(atom: Quotient | Remainder) -> set[Index]:
    return {a for a in atoms(atom.numerator) if isinstance(a, Index)}
